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
from numpy.typing import NDArray

from causeway.tracks import TrackedCrossing, TrackedExit, TrackedVehicle, VehicleClass
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
    def rows_on(self, edge: str) -> NDArray[np.int64]: ...
    def edge_of(self, name: str) -> str | None: ...
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
        self._edges = looks.network.edges
        self._in = [a for a in looks.network.signals[junction].approaches if a is not None]
        self._out = [id_ for id_, edge in self._edges.items() if edge.start == junction]
        self._numbers: dict[str, str] = {}
        self._on: dict[str, str] = {}  # who is on which approach
        self._within: dict[str, _Crossing] = {}
        self._behind: dict[str, set[str]] = {}  # who is on which road from the junction
        self._count = 0

    def look(self, at_ns: int) -> TracksReport:
        """What it sees now; crossings are those since the last look."""
        crossings = self._crossings()
        seen = self._looks.seen()
        vehicles = self._vehicles(seen)
        return TracksReport(at_ns, vehicles, crossings, [self._exit(seen, e) for e in self._out])

    def _vehicles(self, seen: Seen) -> list[TrackedVehicle]:
        kinds, speeds = seen.vehicles["kind"], seen.vehicles["speed"]
        numbers: dict[str, str] = {}
        self._on = {}
        vehicles = []
        for edge in self._in:
            for i in self._looks.rows_on(edge).tolist():
                if seen.to_stop_line_m[i] >= VIEW_M or kinds[i] == WORKS:
                    continue
                name = seen.names[i]
                numbers[name] = self._numbers.get(name) or self._next_number()
                self._on[name] = edge
                vehicles.append(
                    TrackedVehicle(
                        numbers[name],
                        self._edges[edge].segment,
                        self._looks.lane_of(name) + 1,
                        round(max(0.0, float(seen.to_stop_line_m[i])), 1),
                        round(max(0.0, float(speeds[i])), 1),
                        KINDS[kinds[i]],
                    )
                )
        self._numbers = numbers
        return vehicles

    def _next_number(self) -> str:
        self._count += 1
        return str(self._count)

    def _crossings(self) -> list[TrackedCrossing]:
        for name, edge in self._on.items():
            if self._looks.edge_of(name) not in (edge, None):
                self._within[name] = _Crossing(self._numbers[name], self._edges[edge].segment)
        crossed = []
        for name, crossing in list(self._within.items()):
            at = self._looks.edge_of(name)
            crossing.looks += 1
            if at is not None and at in self._out:
                to = self._edges[at].segment
                crossed.append(TrackedCrossing(crossing.number, crossing.segment, to))
            if at != "" or crossing.looks > LOST_AFTER_LOOKS:
                del self._within[name]
        return crossed

    def _exit(self, seen: Seen, edge: str) -> TrackedExit:
        road = self._edges[edge]
        there = self._looks.rows_on(edge)
        from_start_m = road.length_m - seen.to_stop_line_m[there]
        there, from_start_m = there[from_start_m < VIEW_M], from_start_m[from_start_m < VIEW_M]
        vehicles = seen.vehicles[there]
        counts: dict[VehicleClass, int] = {}
        for kind in vehicles["kind"].tolist():
            counts[KINDS[kind]] = counts.get(KINDS[kind], 0) + 1
        names = {seen.names[i] for i in there.tolist()}
        entered = len(names - self._behind.get(edge, names))
        self._behind[edge] = names
        free_m, last_speed_m_s = min(VIEW_M, road.length_m), 0.0
        if len(there):
            tails_m = from_start_m - vehicles["length"]
            last = int(np.argmin(tails_m))
            free_m = max(0.0, float(tails_m[last]))
            last_speed_m_s = max(0.0, float(vehicles["speed"][last]))
        return TrackedExit(
            road.segment,
            counts,
            round(free_m, 1),
            round(last_speed_m_s, 1),
            int(np.count_nonzero(vehicles["speed"] < STANDS_M_S)),
            entered,
        )
