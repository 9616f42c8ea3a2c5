"""Makes vehicles stop where they should not: ordered breakdowns, motorbikes that stall in water.

In come orders, depths and what was seen after the last step; out go stops into libsumo. A motorbike
that stalled is pushed out of the water at walking pace. `traffic.py` calls it before each step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import libsumo
import numpy as np

from sims.city import Network
from sims.observed import Seen
from sims.passability import KINDS, stall_chance_per_s
from sims.vehicle_types import TYPES

STALL_S = (40.0, 150.0)
STALLED_MAX = 4  # motorbikes that stand in the water of one edge
PUSHING_M_S = 1.2
BRAKING_M_S2 = 4.0
STALL_PLACE_M = 45.0  # before the stop line
BUMPER_ROOM_M = 3.0
BREAKDOWNS_MAX = 100  # ordered and not yet standing

PlaceNew = Callable[[str, str, int, float], str]  # type, edge, lane, metres along; the name or ""


class _Breakdown(NamedTuple):
    """A vehicle that is to stop in its lane; `placed` is a new one that waits for room."""

    segment: str
    kind: str
    until_s: float
    placed: str


class Standstill:
    """Who stands, and for how long."""

    def __init__(self, network: Network, seed: int, step_s: float, place_new: PlaceNew) -> None:
        self._network = network
        self._place_of = {edge: i for i, edge in enumerate(network.edges)}
        self._random = np.random.default_rng([seed, 2])
        self._step_s = step_s
        self._place_new = place_new
        self._breakdowns: list[_Breakdown] = []
        self._pushing: dict[str, str] = {}

    def order(self, segment: str, kind: str, until_s: float) -> bool:
        """Let a vehicle of a kind break down on a segment; False when too many are to."""
        if len(self._breakdowns) >= BREAKDOWNS_MAX:
            return False
        self._breakdowns.append(_Breakdown(segment, kind, until_s, ""))
        return True

    def forget(self, names: Iterable[str]) -> None:
        """Vehicles that have left."""
        for name in names:
            self._pushing.pop(name, None)

    def step(
        self, seen: Seen, on: Mapping[str, str], depths_m: Mapping[str, float], now_s: float
    ) -> None:
        """Stop who must stop within the next step. `on` is each vehicle's edge."""
        self._stall_in_water(seen, depths_m, now_s)
        self._drive_out(on)
        self._break_down(seen, on, now_s)

    def _break_down(self, seen: Seen, on: Mapping[str, str], now_s: float) -> None:
        """Stop who is to break down; a new vehicle may have to wait for room on the road."""
        waiting = []
        for breakdown in self._breakdowns:
            over = breakdown.until_s <= now_s
            if over or breakdown.placed in on or self._stop_one(breakdown, seen):
                continue
            placed = breakdown.placed
            if not placed or placed not in libsumo.simulation.getPendingVehicles():
                placed = self._place_stalled(breakdown)
            waiting.append(breakdown._replace(placed=placed))
        self._breakdowns = waiting

    def _stop_one(self, breakdown: _Breakdown, seen: Seen) -> bool:
        """Stop the vehicle that is nearest to where a camera looks."""
        edges = [self._place_of[e] for e in self._network.edges_of(breakdown.segment)]
        there = np.isin(seen.edge, edges)
        there &= seen.vehicles["kind"] == KINDS.index(breakdown.kind)
        candidates = np.flatnonzero(there)
        away_m = np.abs(seen.to_stop_line_m[candidates] - STALL_PLACE_M)
        nearest = candidates[np.argsort(away_m, kind="stable")]
        return any(self._stop(seen.names[i], breakdown.until_s) for i in nearest)

    def _stop(self, name: str, until_s: float) -> bool:
        """Stop a vehicle where it is until a time of the simulation; False when it cannot."""
        edge, lane = libsumo.vehicle.getRoadID(name), libsumo.vehicle.getLaneIndex(name)
        if edge not in self._place_of or libsumo.vehicle.isStopped(name):
            return False
        speed_m_s = libsumo.vehicle.getSpeed(name)
        at_m = libsumo.vehicle.getLanePosition(name) + speed_m_s**2 / 2 / BRAKING_M_S2
        at_m += speed_m_s * self._step_s + BUMPER_ROOM_M
        if at_m > self._network.edges[edge].length_m - 1.0:
            return False
        try:
            libsumo.vehicle.setStop(name, edge, at_m, lane, duration=0, until=until_s)
        except libsumo.TraCIException:
            return False
        return True

    def _place_stalled(self, breakdown: _Breakdown) -> str:
        """A new vehicle that stops on an edge as soon as there is room for it; gives its name."""
        edge = self._network.edges_of(breakdown.segment)[0]
        type_ = next(t for t, v in TYPES.items() if v.kind == breakdown.kind)
        length_m = self._network.edges[edge].length_m
        at_m = max(length_m - STALL_PLACE_M, length_m / 2)
        from_m = min(max(at_m - 15.0, TYPES[type_].length_m + 0.1), at_m)
        lane = self._kerb_lane(edge, TYPES[type_].sumo_class)
        name = self._place_new(type_, edge, lane, from_m)
        if name:
            libsumo.vehicle.setStop(name, edge, at_m, lane, duration=0, until=breakdown.until_s)
        return name

    def _kerb_lane(self, edge: str, sumo_class: str) -> int:
        """The open lane nearest to the kerb; the kerb's where none is."""
        lanes = enumerate(self._network.edges[edge].lanes)
        return next((i for i, e in lanes if sumo_class not in libsumo.lane.getDisallowed(e.id)), 0)

    def _stall_in_water(self, seen: Seen, depths_m: Mapping[str, float], now_s: float) -> None:
        for segment, depth_m in depths_m.items():
            chance = stall_chance_per_s(depth_m) * self._step_s
            if chance <= 0:
                continue
            for edge in self._network.edges_of(segment):
                self._stall_on(edge, chance, seen, now_s)

    def _drive_out(self, on: Mapping[str, str]) -> None:
        """Who was pushed off the edge rides again."""
        for name, edge in list(self._pushing.items()):
            if on.get(name) not in (edge, None):
                libsumo.vehicle.setMaxSpeed(name, libsumo.vehicletype.getMaxSpeed("bold"))
                del self._pushing[name]

    def _stall_on(self, edge: str, chance: float, seen: Seen, now_s: float) -> None:
        """Some motorbikes in the water stand for a while, and are then pushed out of it."""
        standing = sum(e == edge for e in self._pushing.values())
        wading = (seen.edge == self._place_of[edge]) & (seen.vehicles["kind"] == 0)
        for i in np.flatnonzero(wading):
            if standing >= STALLED_MAX:
                return
            name = seen.names[i]
            if name in self._pushing or self._random.random() >= chance:
                continue
            until_s = now_s + float(self._random.uniform(*STALL_S))
            if self._stop(name, until_s):
                libsumo.vehicle.setMaxSpeed(name, PUSHING_M_S)
                self._pushing[name] = edge
                standing += 1
