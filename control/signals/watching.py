"""What the planner is shown of a junction, made from its tracker's and its controller's reports.

In come `Tracks`, `SignalState`s and the centre's own stage commands; out go `StagePlan`s and the
measures of effectiveness. Pure: the worker that holds it gives the time. A vehicle counts with its
passenger-car units in queue and service.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from causeway.events import Interval, SignalMeasures, SignalState, StagePlan
from causeway.road_users import PERSONS
from causeway.site import Junction, Site
from causeway.tracks import TrackedCrossing, TrackedExit, TrackedVehicle, Tracks
from control.signals.layout import Lane, Layout
from control.signals.measures import Measures
from control.signals.observed import Crossing, Observed, Out, Vehicle
from control.signals.planner import Planner
from control.signals.site_layout import lay_out

NS = 1_000_000_000
# Vietnamese practice on urban roads (after TCXDVN 104:2007, 30 to 50 km/h); the last two assumed.
PCU = {"motorbike": 0.25, "car": 1.0, "bus": 2.5, "truck": 2.0, "emergency": 1.5, "works": 0.0}
EMERGENCY_ASKS = 100.0  # persons: it goes before three full buses
STATE_STALE_S = 5.0  # a controller that is silent is not planned for
IN_LANE_M = 120.0  # nearer to the stop line a vehicle is in the lane that it will cross from
KEPT_S = 60.0  # a track that has left the approach, until it has crossed


class JunctionWatch:
    """One junction as the reports have it."""

    def __init__(self, junction: Junction, layout: Layout, stretch: float = 1.0) -> None:
        self.layout = layout
        self._stale_ns = STATE_STALE_S * NS * stretch
        self._stages = [stage.id for stage in junction.stages]
        self._of_segment: dict[str, tuple[int, ...]] = {}
        for number, lane in enumerate(layout.lanes):
            segment = lane.id.rpartition("/")[0]
            self._of_segment[segment] = (*self._of_segment.get(segment, ()), number)
        self._exit = {lane.id: i for i, lane in enumerate(layout.exits)}
        self._movement = {(m.lane, m.exit): i for i, m in enumerate(layout.movements)}
        self._state: SignalState | None = None
        self._seen_at_ns = 0
        self._since_ns = 0  # of the present interval of the present stage
        self._leaving_at_ns = 0
        self._commanded = ""
        self._was: dict[str, tuple[int, float, float]] = {}  # lane, pcu, last seen s

    def signal(self, state: SignalState, at_ns: int) -> None:
        """The controller's report."""
        before = self._state
        if before is not None and state.observed_at_ns < before.observed_at_ns:
            return
        if before is None or (before.stage, before.interval) != (state.stage, state.interval):
            self._since_ns = at_ns
            if state.interval is not Interval.ALL_RED or before is None:
                self._leaving_at_ns = at_ns
        if state.interval is Interval.GREEN and state.stage == self._commanded:
            self._commanded = ""
        self._state, self._seen_at_ns = state, at_ns

    def commanded(self, stage: str) -> None:
        """The centre has told the controller to go to a stage."""
        self._commanded = stage

    def observed(self, tracks: Tracks, at_ns: int) -> Observed | None:
        """As the planner is to see it; None while nothing can be planned."""
        at_s = at_ns / NS
        vehicles = tuple(self._vehicles(tracks.vehicles, at_s))
        crossed = tuple(self._crossed(tracks.crossings))
        for track in [t for t, (_, _, s) in self._was.items() if at_s - s > KEPT_S]:
            del self._was[track]
        state = self._state
        if state is None or state.stage not in self._stages:
            return None
        if at_ns - self._seen_at_ns > self._stale_ns:
            return None
        outs = {out.segment: out for out in tracks.exits}
        stage = self._stages.index(state.stage)
        wanted, green_s, yellow_left_s = stage, int((at_ns - self._since_ns) / NS), 0
        if state.interval is not Interval.GREEN:
            if state.interval not in (Interval.YELLOW, Interval.ALL_RED):
                return None
            left_s = math.ceil(self.layout.yellow_s - (at_ns - self._leaving_at_ns) / NS)
            wanted, green_s, yellow_left_s = self._next(stage), 0, max(1, left_s)
        return Observed(
            stage=stage,
            wanted=wanted,
            green_s=green_s,
            yellow_left_s=yellow_left_s,
            vehicles=vehicles,
            outs=tuple(self._out(lane, outs.get(lane.id)) for lane in self.layout.exits),
            crossed=crossed,
        )

    def _next(self, stage: int) -> int:
        """On the way to the commanded one; a controller by itself takes the next of its list."""
        if self._commanded in self._stages and self._commanded != self._stages[stage]:
            return self._stages.index(self._commanded)
        return (stage + 1) % len(self._stages)

    def _vehicles(self, rows: tuple[TrackedVehicle, ...], at_s: float) -> Iterator[Vehicle]:
        for row in rows:
            lanes = self._of_segment.get(row.segment)
            if lanes is None:
                continue
            lane = lanes[min(row.lane, len(lanes)) - 1]
            pcu = PCU[row.kind]
            self._was[row.track] = (lane, pcu, at_s)
            near = row.distance_m < IN_LANE_M
            yield Vehicle(
                row.track,
                (lane,) if near else lanes,
                row.distance_m,
                row.speed_m_s,
                self.layout.lanes[lane].speed_m_s,
                self.layout.lanes[lane].id if near else row.segment,
                pcu,
                PERSONS[row.kind],
                EMERGENCY_ASKS if row.kind == "emergency" else 0.0,
            )

    def _crossed(self, rows: tuple[TrackedCrossing, ...]) -> Iterator[Crossing]:
        for row in rows:
            lane, pcu, _ = self._was.pop(row.track, (-1, 1.0, 0.0))
            exit_ = self._exit.get(row.to_segment)
            lanes = self._of_segment.get(row.from_segment, ())
            if exit_ is None or not lanes:
                continue
            nearest = sorted(lanes, key=lambda other: abs(other - lane) if lane >= 0 else 0)
            ways = (self._movement.get((other, exit_)) for other in nearest)
            movement = next((way for way in ways if way is not None), None)
            if movement is not None:
                yield Crossing(row.track, movement, pcu)

    def _out(self, lane: Lane, seen: TrackedExit | None) -> Out:
        if seen is None or not any(seen.counts.values()):
            return Out(0, lane.length_m, lane.speed_m_s, 0)
        vehicles = sum(seen.counts.values())
        pcu = sum(PCU[kind] * n for kind, n in seen.counts.items())
        return Out(
            vehicles, seen.free_m, seen.last_speed_m_s, seen.standing, pcu, entered=seen.entered
        )


class Watching:
    """All junctions of a site that can be planned for, each when its tracker speaks.

    By a clock that runs faster than the wall's a state is believed for `stretch` times as long.
    """

    def __init__(self, site: Site, stretch: float = 1.0) -> None:
        laid = lay_out(site)
        self.unusable = laid.unusable
        self._stages = {j.id: [stage.id for stage in j.stages] for j in site.junctions}
        self._planners = {
            id_: Planner(layout, laid.upstream[id_]) for id_, layout in laid.layouts.items()
        }
        self._watches = {
            j.id: JunctionWatch(j, laid.layouts[j.id], stretch)
            for j in site.junctions
            if j.id in laid.layouts
        }
        self._measures = {j.id: Measures(j, site) for j in site.junctions}

    @property
    def junctions(self) -> tuple[str, ...]:
        """Those that are planned for."""
        return tuple(self._watches)

    def signal(self, state: SignalState, at_ns: int) -> None:
        if state.junction in self._watches:
            self._watches[state.junction].signal(state, at_ns)
        if state.junction in self._measures:
            self._measures[state.junction].signal(state)

    def commanded(self, junction: str, stage: str) -> None:
        if junction in self._watches:
            self._watches[junction].commanded(stage)

    def tracks(self, tracks: Tracks, at_ns: int) -> StagePlan | None:
        """What a tracker saw; the junction's plan, where one can be made."""
        if tracks.junction in self._measures:
            self._measures[tracks.junction].see(tracks, at_ns)
        watch = self._watches.get(tracks.junction)
        seen = None if watch is None else watch.observed(tracks, at_ns)
        if seen is None:
            return None
        planner = self._planners[tracks.junction]
        wanted = planner.decide(at_ns // NS, seen, self._planners)
        plan = planner.plan
        stages = self._stages[tracks.junction]
        following = "" if plan.following < 0 else stages[plan.following]
        other = "" if plan.other < 0 else stages[plan.other]
        return StagePlan(
            tracks.junction,
            min(tracks.observed_at_ns, at_ns),
            stages[wanted],
            int(plan.hold_s),
            following,
            round(float(plan.cost), 1) if following else 0.0,
            other,
            round(float(plan.other_cost), 1) if other else 0.0,
        )

    def measured(self, at_ns: int) -> tuple[SignalMeasures, ...]:
        """The measures of effectiveness of every junction whose tracker has spoken lately."""
        found = (measures.measured(at_ns) for measures in self._measures.values())
        return tuple(measured for measured in found if measured is not None)

    def warm_up(self) -> None:
        """Plan once for an empty junction, so that what must be compiled is compiled."""
        for watch in list(self._watches.values())[:1]:
            layout = watch.layout
            outs = tuple(Out(0, lane.length_m, lane.speed_m_s, 0) for lane in layout.exits)
            green_s = math.ceil(layout.min_green_s)
            car = Vehicle("", (0,), 50.0, 5.0, layout.lanes[0].speed_m_s, layout.lanes[0].id)
            Planner(layout, ()).decide(0, Observed(0, 0, green_s, 0, (car,), outs), {})
