"""What detectors and cameras see around each junction in SUMO, and what faulty ones miss or invent.

Out come `Observed`, the same for every method: positions and speeds within `VIEW_M` of the stop
lines, no intentions. Faults are drawn by lane and seed. A dead lane shows nothing; of the lying
ones every other shows a queue that always stands there, the rest every other vehicle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

import libsumo
import numpy as np

from benchmarks.signals.cabinet import Cabinet
from benchmarks.signals.network import Network
from benchmarks.signals.road_users import CAR, RoadUser, road_user
from control.signals.layout import Lane, Layout
from control.signals.observed import (
    VEHICLE_M,
    VIEW_M,
    Call,
    Crossing,
    Inside,
    Observed,
    Out,
    Vehicle,
)

STILL_M_S = 0.1  # as SUMO's own waiting time counts
GHOSTS_MAX = 8
GHOST = "ghost "
INSIDE = ":"  # so begin the names of the lanes inside a node
IN_A_SECOND_M = 40.0

PRIORITY_PERSONS = 30.0  # a half full bus

Sighting = tuple[float, float, str, RoadUser]  # position on the lane in m, speed in m/s, track


class Faults(NamedTuple):
    """Lanes whose detectors fail: dead, with so many ghosts, or blind to every other vehicle."""

    dead: frozenset[str] = frozenset()
    ghosts: Mapping[str, int] = {}
    half: frozenset[str] = frozenset()


def faults_of(network: Network, dead_ratio: float, lying_ratio: float, seed: int) -> Faults:
    """Of the lanes that are watched, but not those inside a node: no detector lies there."""
    lanes = [lane for lane in lengths_m(network) if not lane.startswith(INSIDE)]
    return draw_faults(lanes, dead_ratio, lying_ratio, seed)


def draw_faults(lanes: Sequence[str], dead_ratio: float, lying_ratio: float, seed: int) -> Faults:
    """Shares of the lanes; the same for the same seed, whatever the method."""
    rng = np.random.default_rng([seed, len(lanes)])
    order = [lanes[i] for i in rng.permutation(len(lanes))]
    dead = round(dead_ratio * len(lanes))
    lying = order[dead : dead + round(lying_ratio * len(lanes))]
    return Faults(
        dead=frozenset(order[:dead]),
        ghosts={lane: int(rng.integers(1, GHOSTS_MAX + 1)) for lane in lying[::2]},
        half=frozenset(lying[1::2]),
    )


def lengths_m(network: Network) -> dict[str, float]:
    """The lanes that are watched, in order of their names."""
    lanes = {f.lane: f.length_m for feeders in network.feeders.values() for f in feeders}
    lanes |= {e.id: e.length_m for layout in network.layouts.values() for e in layout.exits}
    return dict(sorted(lanes.items()))


def asking(ratio: float, seed: int) -> Callable[[str], bool]:
    """Whether a vehicle asks for priority, as a bus with a transponder does: so many of them do."""
    return lambda vehicle: crc32(f"{seed} {vehicle}".encode()) < ratio * 2**32


class Eyes:
    """Sees all junctions of a network at once."""

    def __init__(
        self,
        network: Network,
        faults: Faults,
        by_persons: bool = False,
        asks: Callable[[str], bool] = lambda vehicle: False,
    ) -> None:
        self._network = network
        self._by_persons = by_persons
        self._asks = asks
        self._faults = faults
        self._length_m = lengths_m(network)
        self._over = _over_the_junctions(network)
        self._before: dict[str, list[Sighting]] = {}
        self._inside: dict[str, dict[str, int]] = {id_: {} for id_ in network.layouts}

    def look(
        self, cabinets: Mapping[str, Cabinet], calls: Mapping[str, tuple[Call, ...]]
    ) -> dict[str, Observed]:
        """What there is to see now; `calls` are those of pedestrians."""
        on = {lane: seen for lane in self._length_m if (seen := self._seen_on(lane))}
        before, self._before = self._before, on
        return {
            id_: self._observed(cabinet, calls.get(id_, ()), before, on)
            for id_, cabinet in cabinets.items()
        }

    def _observed(
        self,
        cabinet: Cabinet,
        calls: tuple[Call, ...],
        before: Mapping[str, list[Sighting]],
        on: Mapping[str, list[Sighting]],
    ) -> Observed:
        layout = cabinet.layout
        crossed = tuple(self._crossed(layout, before, on))
        return Observed(
            stage=cabinet.stage,
            wanted=cabinet.wanted,
            green_s=cabinet.green_s,
            yellow_left_s=cabinet.yellow_left_s,
            vehicles=self._approaching(layout.id, on),
            outs=tuple(
                _out(exit_, on.get(exit_.id, []), before.get(exit_.id, []))
                for exit_ in layout.exits
            ),
            crossed=crossed,
            calls=calls,
            walks_left_s=cabinet.walks_left_s,
            inside=self._still_inside(layout, crossed),
        )

    def _still_inside(self, layout: Layout, crossed: Sequence[Crossing]) -> tuple[Inside, ...]:
        """Who has crossed a stop line and has not come to the exit yet."""
        there = self._inside[layout.id] | {c.track: c.movement for c in crossed}
        self._inside[layout.id] = {
            track: movement
            for track, movement in there.items()
            if (at := _lane_of(track)).startswith(INSIDE)
            and at in self._over[layout.lanes[layout.movements[movement].lane].id]
        }
        return tuple(
            Inside(track, movement, libsumo.vehicle.getSpeed(track))
            for track, movement in self._inside[layout.id].items()
        )

    def _seen_on(self, lane: str) -> list[Sighting]:
        if lane in self._faults.dead:
            return []
        if lane in self._faults.ghosts:
            return self._ghosts(lane)
        position_m, speed_m_s = libsumo.vehicle.getLanePosition, libsumo.vehicle.getSpeed
        class_of = libsumo.vehicle.getVehicleClass
        half = lane in self._faults.half
        return [
            (position_m(vehicle), speed_m_s(vehicle), vehicle, road_user(class_of(vehicle)))
            for vehicle in libsumo.lane.getLastStepVehicleIDs(lane)
            if not half or crc32(vehicle.encode()) % 2
        ]

    def _ghosts(self, lane: str) -> list[Sighting]:
        places_m = (self._length_m[lane] - VEHICLE_M * i for i in range(self._faults.ghosts[lane]))
        return [(p, 0.0, f"{GHOST}{lane} {i}", CAR) for i, p in enumerate(places_m) if p > 0]

    def _approaching(self, id_: str, on: Mapping[str, list[Sighting]]) -> tuple[Vehicle, ...]:
        vehicles = []
        for feeder in self._network.feeders[id_]:
            for position_m, speed_m_s, track, user in on.get(feeder.lane, ()):
                distance_m = feeder.to_stop_line_m + feeder.length_m - position_m
                if distance_m <= VIEW_M:
                    vehicles.append(
                        Vehicle(
                            track,
                            feeder.lanes,
                            distance_m,
                            speed_m_s,
                            feeder.speed_m_s,
                            feeder.lane,
                            user.units,
                            user.persons if self._by_persons else 1.0,
                            PRIORITY_PERSONS if self._asks(track) else 0.0,
                        )
                    )
        return tuple(vehicles)

    def _crossed(
        self, layout: Layout, before: Mapping[str, list[Sighting]], on: Mapping[str, list[Sighting]]
    ) -> Iterator[Crossing]:
        """Who was seen near a stop line a second ago, and is now on the junction or beyond it."""
        for feeder in self._network.feeders[layout.id]:
            still = {track for _, _, track, _ in on.get(feeder.lane, ())}
            for position_m, _, track, user in before.get(feeder.lane, ()):
                distance_m = feeder.to_stop_line_m + feeder.length_m - position_m
                if distance_m > IN_A_SECOND_M or track in still or track.startswith(GHOST):
                    continue
                at = _lane_of(track)
                ways = (self._over[layout.lanes[lane].id].get(at) for lane in feeder.lanes)
                movement = next((way for way in ways if way is not None), None)
                if movement is not None:
                    yield Crossing(track, movement, user.units)


def _lane_of(vehicle: str) -> str:
    """Where it is now; "" when it has left the net."""
    try:
        lane: str = libsumo.vehicle.getLaneID(vehicle)
    except libsumo.TraCIException:
        return ""
    return lane


def _over_the_junctions(network: Network) -> dict[str, dict[str, int]]:
    """By stop-line lane: the movement that leads over each lane inside the junction or from it."""
    over: dict[str, dict[str, int]] = {}
    for layout in network.layouts.values():
        for number, movement in enumerate(layout.movements):
            ways = over.setdefault(layout.lanes[movement.lane].id, {})
            exit_ = layout.exits[movement.exit].id
            ways[exit_] = number
            links = libsumo.lane.getLinks(layout.lanes[movement.lane].id)
            via = next((link[4] for link in links if link[0] == exit_), "")
            while via:
                ways[via] = number
                via = next((link[4] for link in libsumo.lane.getLinks(via)), "")
    return over


def _out(exit_: Lane, there: Sequence[Sighting], before: Sequence[Sighting]) -> Out:
    last_m, last_speed_m_s, *_ = min(there, default=(exit_.length_m, exit_.speed_m_s))
    standing = sum(speed < STILL_M_S for _, speed, *_ in there)
    units = sum(user.units for *_, user in there)
    entered = {track for _, _, track, *_ in there} - {track for _, _, track, *_ in before}
    return Out(len(there), last_m, last_speed_m_s, standing, units, len(entered))
