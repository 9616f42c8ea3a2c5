"""What a junction learns of its traffic from detections: turns, flows, and the ways to its lanes.

A vehicle that is followed through zones of the approaches and then crosses tells where those who
are in these zones go; one that is lost from view without having crossed has turned off before.
"""

from __future__ import annotations

import numpy as np

from control.signals.layout import Layout
from control.signals.observed import Observed, Vehicle
from control.signals.service import Floats

ZONE_M = 60  # long zones are learnt in pieces of this length
LOST_S = 20  # who has not been seen for so long has turned off
PRIOR = 2.0  # so many made-up vehicles at first
FLOW_OVER_S, FLOW_AT_FIRST_S = 300, 30
DRAIN_OVER_S = 60
HALF_LIFE_S = 2_400  # of turns and ways: a detour changes them
AGE_EVERY_S = 60
LOAD_KEPT = 1 - 1 / 300  # each second, of who has been seen
LOAD_PRIOR = 0.5  # passenger cars of the usual kind are thought to be among those in view
NEAR_M = 120.0  # who comes later does not wait with those who are there
SWEEP_EVERY_S = 5
DRAIN_VEH_S = 0.3  # of an exit lane on which vehicles stand, before more is known
TRACKS_MAX = 2_000
TURNS_LEAST = 0.5  # no turn is ever taken to be impossible
QUEUED_M_S = 2.0

Piece = tuple[str, int]  # a zone, and how many times ZONE_M from the stop line


class _Track:
    """A vehicle that is followed, and where it was."""

    __slots__ = ("last_s", "pieces")

    def __init__(self, at_s: int) -> None:
        self.last_s = at_s
        self.pieces: set[Piece] = set()


class Learnt:
    """Of one junction. Movements are numbered as in the layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lanes = len(layout.lanes)
        self._turns = np.ones(len(layout.movements))
        self._tracks: dict[str, _Track] = {}
        self._ways: dict[Piece, Floats] = {}  # (L + 1) vehicles; the last turned off
        self._nobody = np.zeros(self._lanes + 1)
        self._farthest: dict[str, int] = {}
        self._out_before: list[float] = [-1.0] * len(layout.exits)
        self._seconds = 0
        # Persons, vehicles and passenger car units, seen again every second.
        self._load = np.ones((3, self._lanes))
        self._near = np.zeros((2, self._lanes))  # persons and units, of those in view now
        self.flow_veh_s = np.zeros(self._lanes)
        self._drain_veh_s = np.full(len(layout.exits), DRAIN_VEH_S)

    def see(self, at_s: int, seen: Observed) -> None:
        """Take in one second."""
        self._seconds += 1
        crossed = np.zeros(self._lanes)
        for vehicle in seen.vehicles:
            self._follow(at_s, vehicle)
        self._weigh(seen.vehicles)
        for track, movement, units in seen.crossed:
            lane = self._layout.movements[movement].lane
            self._turns[movement] += units
            crossed[lane] += units
            self._end(track, lane)
        if self._seconds % SWEEP_EVERY_S == 0:
            for track in [t for t, f in self._tracks.items() if at_s - f.last_s > LOST_S]:
                self._end(track, self._lanes)
        if self._seconds % AGE_EVERY_S == 0:
            self._forget()
        step = max(1 / FLOW_OVER_S, 1 / (self._seconds + FLOW_AT_FIRST_S))
        self.flow_veh_s += (crossed - self.flow_veh_s) * step
        exits = [movement.exit for movement in self._layout.movements]
        for exit_, out in enumerate(seen.outs):
            entered = sum(c.units for c in seen.crossed if exits[c.movement] == exit_)
            before = self._out_before[exit_]
            if before >= 0 and out.standing:
                left = before + entered - out.cars  # below 0 when who entered comes to it
                self._drain_veh_s[exit_] += (left - self._drain_veh_s[exit_]) / DRAIN_OVER_S
            self._out_before[exit_] = out.cars

    @property
    def persons_per_unit(self) -> Floats:
        """(lanes) how many wait there in place of each passenger car: a bus is worth its riders."""
        usual, _, units = self._load
        persons_near, units_near = self._near
        prior = LOAD_PRIOR * usual / units
        ratio: Floats = (persons_near + prior) / (units_near + LOAD_PRIOR)
        return ratio

    @property
    def vehicles_per_unit(self) -> Floats:
        """(lanes) the same of vehicles."""
        _, vehicles, units = self._load
        ratio: Floats = vehicles / units
        return ratio

    @property
    def drain_veh_s(self) -> Floats:
        """(exits) how many leave an exit lane each second while vehicles stand on it."""
        drains: Floats = np.maximum(self._drain_veh_s, 0.0)
        return drains

    def _weigh(self, vehicles: tuple[Vehicle, ...]) -> None:
        """Who is in view now, by lane; one that may come to several is shared among them."""
        load = [[0.0] * self._lanes for _ in range(3)]
        near = [[0.0] * self._lanes for _ in range(2)]
        for vehicle in vehicles:
            share = 1.0 / len(vehicle.lanes)
            for lane in vehicle.lanes:
                load[0][lane] += vehicle.persons * share
                load[1][lane] += share
                load[2][lane] += vehicle.units * share
                if vehicle.distance_m < NEAR_M:
                    near[0][lane] += vehicle.persons * share
                    near[1][lane] += vehicle.units * share
        self._load = (self._load + np.array(load)) * LOAD_KEPT
        self._near = np.array(near)

    def _forget(self) -> None:
        kept = 0.5 ** (AGE_EVERY_S / HALF_LIFE_S)
        self._turns = np.maximum(self._turns * kept, TURNS_LEAST)
        for way in self._ways.values():
            way *= kept

    def _follow(self, at_s: int, vehicle: Vehicle) -> None:
        track = self._tracks.get(vehicle.track)
        if track is None:
            if len(self._tracks) >= TRACKS_MAX:
                return
            track = self._tracks[vehicle.track] = _Track(at_s)
        piece = (vehicle.zone, int(vehicle.distance_m) // ZONE_M)
        track.last_s = at_s
        track.pieces.add(piece)
        if piece[1] > self._farthest.get(vehicle.zone, -1):
            self._farthest[vehicle.zone] = piece[1]

    def _end(self, name: str, lane: int) -> None:
        track = self._tracks.pop(name, None)
        if track is not None:
            for piece in track.pieces:
                self._ways.setdefault(piece, self._nobody.copy())[lane] += 1

    def shares(self, vehicle: Vehicle) -> list[tuple[int, float]]:
        """To which lanes a vehicle will come, and how likely; less than 1 together while it moves.

        One that stands waits for this junction, even if it will turn off before: a queue that
        reaches back to where ways part holds up all behind it.
        """
        lanes = vehicle.lanes
        at_line = len(lanes) == 1 and vehicle.distance_m < ZONE_M
        if at_line and vehicle.zone == self._layout.lanes[lanes[0]].id:
            return [(lanes[0], 1.0)]
        shares = self._shares((vehicle.zone, int(vehicle.distance_m) // ZONE_M), lanes)
        if vehicle.speed_m_s < QUEUED_M_S:
            together = sum(share for _, share in shares)
            shares = [(lane, share / together) for lane, share in shares]
        return shares

    def shares_from(self, zone: str, lanes: tuple[int, ...]) -> list[tuple[int, float]]:
        """The same of one that comes into a zone."""
        return self._shares((zone, self._farthest.get(zone, 0)), lanes)

    def _shares(self, piece: Piece, lanes: tuple[int, ...]) -> list[tuple[int, float]]:
        prior = PRIOR / len(lanes)
        known = self._ways.get(piece, self._nobody)
        total = float(known.sum()) + PRIOR
        return [
            (lane, (float(known[lane]) + (prior if lane in lanes else 0.0)) / total)
            for lane in range(self._lanes)
            if known[lane] > 0 or lane in lanes
        ]

    def turn_ratios(self) -> Floats:
        """(movements) which share of its lane's vehicles makes each movement."""
        by_lane = np.zeros(self._lanes)
        lanes = [m.lane for m in self._layout.movements]
        np.add.at(by_lane, lanes, self._turns)
        return self._turns / by_lane[lanes]
