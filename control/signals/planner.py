"""Plans each junction's next stages every second, from what its detectors and cameras see.

In come `Observed` of all junctions, out goes for each the stage that it should have. A plan is how
long to hold the present stage and which comes next; what follows is left to a rule of thumb, so
that a plan's cost is that of a whole minute. Every second the plans are searched anew. A junction
tells those downstream what it expects to send them in the next seconds, which is as far as a plan
is likely to be kept.

What is assumed of the field: positions and speeds on the approaches (camera, radar), turning counts
at the stop line, who stands in the middle of the junction (camera; without one nobody does), how
full exit lanes are, the controller's state. No route, no destination.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from control.signals.layout import GREEN, PERMISSIVE, Layout, Upstream, stage_least_s
from control.signals.learning import Learnt
from control.signals.observed import VEHICLE_M, VIEW_M, Observed
from control.signals.service import (
    GOES,
    RED,
    SATURATION_VEH_S,
    WAITS,
    Floats,
    Frame,
    Ints,
    Moment,
    search,
)
from control.signals.unseen import Unseen

ACCELERATION_M_S2 = 2.6
# Of passenger car units, where half or more of them are motorbikes: side by side they go, but they
# also get in the way of each other and of those behind (measured in the simulated city).
MIXED_SATURATION_S = 0.38
HORIZON_S = 70
HOLDS_S = np.array([0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 31], np.int64)
MESSAGE_S = 5  # how far ahead a junction is believed what it will send
VIEW_LEAST_M = 100.0  # short lanes are followed at least as far as this
STILL_M_S = 0.5
AT_LINE_M = 6.0
WALKS_PER_S = 2.0  # pedestrians who step on a crossing together
LONGEST_CALL_S = 90  # of pedestrians; then their stage comes: crossings may be two, each with 30 s
LONGEST_WAIT_S = 110  # of a first vehicle; then its stage comes whatever it costs
REFUSES_AFTER_S = 3  # who stands so long before a clear green does not want to go that way
NO_LIMIT_VEH = 1e3
ASKS_SHARE = 0.3  # a lane that who has priority is less likely to come to is not held for it
ASPECTS = {"G": GOES, "g": WAITS, "s": WAITS}


class Plan(NamedTuple):
    """What is intended, and the best plan with another next stage; costs in vehicle seconds."""

    hold_s: int
    following: int  # -1: no other stage is wanted
    cost: float
    other: int
    other_cost: float


def frame_of(layout: Layout) -> tuple[Frame, list[int]]:
    """The layout as arrays, and which movement of the layout each row is.

    Crossings follow on the lanes: each is a lane with one movement, to an exit that is never full.
    """
    order = sorted(range(len(layout.movements)), key=lambda m: layout.movements[m].lane)
    row = {m: i for i, m in enumerate(order)}
    lanes = [layout.movements[m].lane for m in order]
    first = np.searchsorted(lanes, range(len(layout.lanes) + 1))
    walks = list(enumerate(layout.crossings, len(order)))
    yields = [
        [row[other] for other in layout.movements[m].yields_to]
        + [place for place, crossing in walks if m in crossing.crosses]
        for m in order
    ] + [[]] * len(walks)
    aspect = [
        [ASPECTS.get(stage[layout.movements[m].signal], RED) for m in order]
        + [GOES if stage[crossing.signal] == GREEN else RED for _, crossing in walks]
        for stage in layout.stages
    ]
    exits = [layout.movements[m].exit for m in order] + [len(layout.exits)] * len(walks)
    frame = Frame(
        exit=np.array(exits, np.int64),
        first=np.array([*first, *range(len(order) + 1, len(exits) + 1)], np.int64),
        yields=np.array([other for row_of in yields for other in row_of], np.int64),
        yields_first=np.cumsum([0, *map(len, yields)]).astype(np.int64),
        aspect=np.array(aspect, np.int64),
        yellow_s=layout.change_s,
        min_green_s=math.ceil(layout.min_green_s),
        max_green_s=int(layout.max_green_s),
    )
    return frame, order


def arrival_s(distance_m: float, speed_m_s: float, limit_m_s: float) -> float:
    """When a vehicle would reach the stop line, speeding up to the limit, with a free road."""
    limit = max(limit_m_s, speed_m_s, 1.0)
    reach_m = (limit**2 - speed_m_s**2) / (2 * ACCELERATION_M_S2)
    if distance_m <= reach_m:
        root = math.sqrt(speed_m_s**2 + 2 * ACCELERATION_M_S2 * max(0.0, distance_m))
        return (root - speed_m_s) / ACCELERATION_M_S2
    return (limit - speed_m_s) / ACCELERATION_M_S2 + (distance_m - reach_m) / limit


class Planner:
    """Of one junction."""

    def __init__(self, layout: Layout, upstream: tuple[Upstream, ...]) -> None:
        self.layout = layout
        self._upstream = upstream
        self._frame, self._order = frame_of(layout)
        self._row = {m: i for i, m in enumerate(self._order)}
        self._lane_of_row = [layout.movements[m].lane for m in self._order]
        self._learnt = Learnt(layout)
        self._unseen = Unseen(layout, self._frame)
        self._saturation = np.full(len(self._order), SATURATION_VEH_S)
        self._first_track = [""] * len(layout.lanes)
        self._refused_s = np.zeros(len(self._order))
        self._sends = np.zeros((len(self._frame.exit), HORIZON_S))
        self._sends_since_s = -HORIZON_S
        self._waited_s = np.zeros(len(layout.lanes), np.int64)
        self.searched = False  # in the last decision
        self.holds_red = False  # who comes next is to wait until somebody is out of the way
        self.plan = Plan(0, -1, 0.0, -1, 0.0)

    def decide(self, at_s: int, seen: Observed, others: Mapping[str, Planner]) -> int:
        """The stage that there should be next; that which is green, to go on with it."""
        seen = seen._replace(vehicles=self._unseen.see(seen))
        self._learnt.see(at_s, seen)
        self._watch_first(seen)
        self.holds_red = seen.yellow_left_s == 1 and self._shuts_in(seen)
        bound = seen.yellow_left_s > 0 or seen.green_s < self.layout.min_green_s
        self.searched = not bound or at_s - self._sends_since_s >= MESSAGE_S
        if not self.searched:
            return seen.wanted
        sends = np.zeros_like(self._sends)
        plan = Plan(*search(self._frame, self._moment(at_s, seen, others), HOLDS_S, sends))
        self.plan, self._sends, self._sends_since_s = plan, sends, at_s
        if bound:
            return seen.wanted
        overdue = self._overdue_call(seen)
        if overdue is None:
            overdue = self._overdue(seen.stage)
        if overdue is not None:
            return overdue
        holds = plan.hold_s > seen.walks_left_s
        return seen.stage if holds or plan.following < 0 else plan.following

    def _shuts_in(self, seen: Observed) -> bool:
        """Whether the next green would meet someone who had the way, but stands in the middle.

        Turning vehicles that wait for a gap are in his way, and he is in theirs. With those who
        come next among them nobody may ever move again.
        """
        before, after = self.layout.stages[seen.stage], self.layout.stages[seen.wanted]
        for _, number, speed_m_s in seen.inside:
            movement = self.layout.movements[number]
            had_way = before[movement.signal] == GREEN != after[movement.signal]
            if speed_m_s >= STILL_M_S or not had_way or not seen.outs[movement.exit].is_clear:
                continue
            crossing = {after[self.layout.movements[o].signal] for o in movement.crosses}
            if crossing & {GREEN, PERMISSIVE}:
                return True
        return False

    def _overdue_call(self, seen: Observed) -> int | None:
        """The stage for pedestrians who have waited for longer than anybody shall."""
        called = max(seen.calls, key=lambda call: call.waited_s, default=None)
        if called is None or called.waited_s < LONGEST_CALL_S:
            return None
        signal = self.layout.crossings[called.crossing].signal
        if self.layout.stages[seen.stage][signal] == GREEN:
            return None if called.waited_s < LONGEST_WAIT_S else seen.stage
        return next(s for s, stage in enumerate(self.layout.stages) if stage[signal] == GREEN)

    def _overdue(self, present: int) -> int | None:
        """The stage for a first vehicle that has waited for longer than anybody shall.

        None where the present stage lets it go: then it is not the signals that hold it.
        """
        for lane in np.argsort(-self._waited_s):
            if self._waited_s[lane] < LONGEST_WAIT_S:
                break
            rows = slice(self._frame.first[lane], self._frame.first[lane + 1])
            wants = self._refused_s[rows] < REFUSES_AFTER_S
            shown = (self._frame.aspect[:, rows] * wants).sum(axis=1)
            best = int(np.argmax(shown))
            if shown[best] > shown[present]:
                return best
        return None

    def _watch_first(self, seen: Observed) -> None:
        """Learn the way of a first vehicle from the clear green it does not take; time its wait.

        Where others pass beside it, it keeps nobody behind from going another way.
        """
        passed = {self.layout.movements[c.movement].lane for c in seen.crossed}
        first = {lane: (AT_LINE_M, "", 0.0) for lane in range(len(self.layout.lanes))}
        for vehicle in seen.vehicles:
            lane = vehicle.lanes[0]
            if len(vehicle.lanes) > 1 or vehicle.distance_m >= AT_LINE_M:
                continue
            stays = vehicle.track == self._first_track[lane]  # others may come to stand beside it
            distance_m = 0.0 if stays else vehicle.distance_m
            if stays or distance_m < first[lane][0]:
                first[lane] = (distance_m, vehicle.track, vehicle.speed_m_s)
        for lane, (_, track, speed_m_s) in first.items():
            rows = range(self._frame.first[lane], self._frame.first[lane + 1])
            self._waited_s[lane] += 1
            if not track or track != self._first_track[lane]:
                self._first_track[lane] = track
                self._waited_s[lane] = 0
                self._refused_s[rows.start : rows.stop] = 0
            elif lane in passed:
                self._refused_s[rows.start : rows.stop] = 0
            elif speed_m_s < STILL_M_S and not seen.yellow_left_s:
                for row in rows:
                    clear = seen.outs[self._frame.exit[row]].is_clear
                    if clear and self._frame.aspect[seen.stage, row] == GOES:
                        self._refused_s[row] += 1

    def _moment(self, at_s: int, seen: Observed, others: Mapping[str, Planner]) -> Moment:
        arrive = self._arrivals(at_s, seen, others)
        turn = self._learnt.turn_ratios()[self._order]
        head = turn.copy()
        for lane in range(len(self.layout.lanes)):
            rows = slice(self._frame.first[lane], self._frame.first[lane + 1])
            left = np.where(self._refused_s[rows] < REFUSES_AFTER_S, head[rows], 0.0)
            if left.sum() > 0:
                head[rows] = left / left.sum()
        exits = list(zip(self.layout.exits, seen.outs, strict=True))
        blocked = np.array([out.standing > 0 for _, out in exits])
        free_veh = [max(0.0, exit_.length_m / VEHICLE_M - out.cars) for exit_, out in exits]
        walks = np.ones(len(self.layout.crossings))
        crowd = self._learnt.vehicles_per_unit[self._lane_of_row]
        arrive = np.vstack((arrive, self._pedestrians(seen)))
        called = [call.crossing for call in seen.calls]
        arrived = np.hstack((np.zeros((len(arrive), 1)), np.cumsum(arrive, axis=1)))
        asks, asks_at, asks_from_s = self._asking(seen, arrived)
        return Moment(
            stage=seen.wanted,
            green_s=0 if seen.yellow_left_s else seen.green_s,
            head=np.append(head, walks),
            turn=np.append(turn, walks),
            arrive=arrive,
            arrived=arrived,
            saturation=np.append(self._saturation_of(crowd), WALKS_PER_S * walks),
            room=np.append(np.where(blocked, free_veh, NO_LIMIT_VEH), NO_LIMIT_VEH),
            drain=np.append(np.where(blocked, self._learnt.drain_veh_s, 1.0), 1.0),
            weight=np.append(self._learnt.persons_per_unit, walks),
            crowd=np.append(crowd, walks),
            least_s=np.array([stage_least_s(self.layout, s, called) for s in self.layout.stages]),
            bound_s=seen.walks_left_s,
            asks=asks,
            asks_at=asks_at,
            asks_from_s=asks_from_s,
        )

    def _asking(self, seen: Observed, arrived: Floats) -> tuple[Floats, Floats, Ints]:
        """Of each lane: what those with priority ask for together, and where the last is."""
        lanes = len(arrived)
        asks, asks_at, from_s = np.zeros(lanes), np.zeros(lanes), np.full(lanes, HORIZON_S)
        for vehicle in seen.vehicles:
            if vehicle.asks <= 0.0:
                continue
            in_s = int(arrival_s(vehicle.distance_m, vehicle.speed_m_s, vehicle.limit_m_s))
            for lane, share in self._learnt.shares(vehicle):
                if in_s < HORIZON_S and share >= ASKS_SHARE:
                    asks[lane] += vehicle.asks * share
                    asks_at[lane] = max(asks_at[lane], arrived[lane, in_s + 1])
                    from_s[lane] = min(from_s[lane], in_s)
        return asks, asks_at, from_s

    def _saturation_of(self, crowd: Floats) -> Floats:
        """(M) by how many vehicles go in place of a car."""
        mixed = np.clip(crowd - 1.0, 0.0, 1.0)
        rates: Floats = self._saturation + (MIXED_SATURATION_S - SATURATION_VEH_S) * mixed
        return rates

    def _pedestrians(self, seen: Observed) -> Floats:
        """(crossings, H): who waits now; who will come nobody can see."""
        waiting = np.zeros((len(self.layout.crossings), HORIZON_S))
        for call in seen.calls:
            waiting[call.crossing, 0] = call.persons
        return waiting

    def _arrivals(self, at_s: int, seen: Observed, others: Mapping[str, Planner]) -> Floats:
        """(L, H): who is seen, then what the junctions upstream send, then the mean flow."""
        arrive = np.zeros((len(self.layout.lanes), HORIZON_S))
        for vehicle in seen.vehicles:
            in_s = int(arrival_s(vehicle.distance_m, vehicle.speed_m_s, vehicle.limit_m_s))
            if in_s < HORIZON_S:
                for lane, share in self._learnt.shares(vehicle):
                    arrive[lane, in_s] += share * vehicle.units
        known_s = [
            int(min(VIEW_M, max(lane.length_m, VIEW_LEAST_M)) / max(1.0, lane.speed_m_s))
            for lane in self.layout.lanes
        ]
        for way in self._upstream:
            sent = others[way.junction].sends(way.movement, at_s)
            zone = others[way.junction].exit_of(way.movement)
            travel_s = int(way.distance_m / max(1.0, way.speed_m_s))
            for lane, share in self._learnt.shares_from(zone, way.lanes):
                known_s[lane] = max(known_s[lane], travel_s + MESSAGE_S)
                upto = max(0, min(len(sent), HORIZON_S - travel_s))
                arrive[lane, travel_s : travel_s + upto] += sent[:upto] * share
        for lane, from_s in enumerate(known_s):
            arrive[lane, from_s:] += self._learnt.flow_veh_s[lane]
        arrive[:, 0] += self._unseen.queue_veh
        arrive += self._unseen.flow_veh_s[:, None]
        return arrive

    def sends(self, movement: int, at_s: int) -> Floats:
        """Vehicles/s expected over the next seconds, as far as they can be believed."""
        old_s = at_s - self._sends_since_s
        return self._sends[self._row[movement], old_s : max(old_s, MESSAGE_S)]

    def exit_of(self, movement: int) -> str:
        """The lane to which a movement leads."""
        return self.layout.exits[self.layout.movements[movement].exit].id


class Planners:
    """All junctions of a network; each decides in turn."""

    def __init__(
        self, layouts: Mapping[str, Layout], upstream: Mapping[str, tuple[Upstream, ...]]
    ) -> None:
        self.planners = {id_: Planner(layout, upstream[id_]) for id_, layout in layouts.items()}
        self.searches = 0
        self.holds_red: list[str] = []

    def decide(self, at_s: int, seen: Mapping[str, Observed]) -> dict[str, int]:
        """The stage that each should have next."""
        wanted = {
            id_: planner.decide(at_s, seen[id_], self.planners)
            for id_, planner in self.planners.items()
        }
        self.searches = sum(planner.searched for planner in self.planners.values())
        self.holds_red = [id_ for id_, planner in self.planners.items() if planner.holds_red]
        return wanted
