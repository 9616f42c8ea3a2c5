"""Decides what a junction's roadside tracker (radar and camera on the mast) sees of the traffic.

In come the vehicles after a step; out goes one payload of docs/INTERFACES.md for each junction:
who is on the way to a stop line, who has just crossed, how full the roads behind are. Nothing of
it is more than such a sensor sees: positions, speeds and classes within `VIEW_M` of the junction,
no route, no destination, and track numbers that are its own.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from msgspec import Struct

from causeway.tracks import TrackedCrossing, TrackedExit, TrackedVehicle
from sims.city import Network
from sims.observed import Seen
from sims.passability import KINDS
from sims.vehicle_types import WORKS

VIEW_M = 250.0  # usual of a traffic radar (4D, 24 or 79 GHz) on cars; bikes are seen less far
STANDS_M_S = 0.5
LOST_AFTER_LOOKS = 30  # who has left an approach and came out nowhere has stopped within


class Looks(Protocol):
    """The part of the traffic model that a tracker sees."""

    network: Network

    def seen(self) -> Seen: ...
    def edge_names(self) -> tuple[str, ...]: ...
    def lane_of(self, name: str) -> int: ...


class TracksReport(Struct, frozen=True):
    """The payload of a tracks topic."""

    at_ns: int
    vehicles: list[TrackedVehicle]
    crossings: list[TrackedCrossing]
    exits: list[TrackedExit]


class _Crossing(Struct):
    """A vehicle that has left an approach and is within the junction."""

    number: str
    segment: str
    looks: int = 0


class Tracker:
    """The sensor of one junction."""

    def __init__(self, junction: str, looks: Looks) -> None:
        self._looks = looks
        edges = looks.network.edges
        places = {edge: i for i, edge in enumerate(looks.edge_names())}
        self._segments = {id_: edge.segment for id_, edge in edges.items()}
        signals = looks.network.signals[junction]
        self._in = [places[a] for a in signals.approaches if a is not None]
        self._out = [places[id_] for id_, edge in edges.items() if edge.start == junction]
        self._names = looks.edge_names()
        self._length_m = {i: edges[self._names[i]].length_m for i in self._out}
        self._numbers: dict[str, str] = {}
        self._on: dict[str, int] = {}  # who is on which approach
        self._within: dict[str, _Crossing] = {}
        self._count = 0

    def look(self, at_ns: int) -> TracksReport:
        """What it sees now; crossings are those since the last look."""
        seen = self._looks.seen()
        crossings = self._crossings(seen)
        return TracksReport(at_ns, self._vehicles(seen), crossings, self._exits(seen))

    def _vehicles(self, seen: Seen) -> list[TrackedVehicle]:
        kinds, speeds = seen.vehicles["kind"], seen.vehicles["speed"]
        near = np.isin(seen.edge, self._in) & (seen.to_stop_line_m < VIEW_M) & (kinds != WORKS)
        numbers: dict[str, str] = {}
        self._on = {}
        rows = []
        for i in np.flatnonzero(near).tolist():
            name = seen.names[i]
            numbers[name] = self._numbers.get(name) or self._next_number()
            self._on[name] = int(seen.edge[i])
            rows.append(
                TrackedVehicle(
                    numbers[name],
                    self._segments[self._names[seen.edge[i]]],
                    self._looks.lane_of(name) + 1,
                    round(max(0.0, float(seen.to_stop_line_m[i])), 1),
                    round(max(0.0, float(speeds[i])), 1),
                    KINDS[kinds[i]],  # type: ignore[arg-type]  # KINDS are the classes
                )
            )
        self._numbers = numbers
        return rows

    def _next_number(self) -> str:
        self._count += 1
        return str(self._count)

    def _crossings(self, seen: Seen) -> list[TrackedCrossing]:
        edge_of = dict(zip(seen.names, seen.edge.tolist(), strict=True))
        for name, edge in self._on.items():
            if edge_of.get(name, edge) != edge:
                segment = self._segments[self._names[edge]]
                self._within[name] = _Crossing(self._numbers[name], segment)
        crossed = []
        for name, crossing in list(self._within.items()):
            at = edge_of.get(name, -2)
            crossing.looks += 1
            if at in self._length_m:
                to = self._segments[self._names[at]]
                crossed.append(TrackedCrossing(crossing.number, crossing.segment, to))
            if at != -1 or crossing.looks > LOST_AFTER_LOOKS:
                del self._within[name]
        return crossed

    def _exits(self, seen: Seen) -> list[TrackedExit]:
        return [self._exit(seen, edge) for edge in self._out]

    def _exit(self, seen: Seen, edge: int) -> TrackedExit:
        from_start_m = self._length_m[edge] - seen.to_stop_line_m
        there = np.flatnonzero((seen.edge == edge) & (from_start_m < VIEW_M))
        vehicles = seen.vehicles[there]
        kinds, counts = np.unique(vehicles["kind"], return_counts=True)
        free_m, last_speed_m_s = min(VIEW_M, self._length_m[edge]), 0.0
        if len(there):
            tails_m = from_start_m[there] - vehicles["length"]
            last = int(np.argmin(tails_m))
            free_m = max(0.0, float(tails_m[last]))
            last_speed_m_s = max(0.0, float(vehicles["speed"][last]))
        return TrackedExit(
            self._segments[self._names[edge]],
            {KINDS[k]: int(n) for k, n in zip(kinds, counts, strict=True)},  # type: ignore[misc]
            round(free_m, 1),
            round(last_speed_m_s, 1),
            int(np.count_nonzero(vehicles["speed"] < STANDS_M_S)),
        )
