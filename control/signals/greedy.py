"""Decides which stage a junction should have next, from the queues at its stop lines.

In come detector readings, controllers' states and ticks; out go `StageRequested` events, which
`safety.py` refuses or turns into commands. The rule is greedy: when the minimum green is over,
the stage with the longest queue gets the next green if it is longer than the present one by a
margin that pays for the change-over; a stage that has waited too long goes first; without
detectors every stage gets the same time. It knows nothing of clearance: that is not its to
shorten. By a clock that runs faster than the wall's, reports are believed for so much longer.
`adaptive.py` lets it decide where there is no plan of the planner's.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    ControlMode,
    ControlModeChanged,
    EngineStarted,
    Interval,
    Now,
    Quality,
    ReadingsObserved,
    SignalMethod,
    SignalMode,
    SignalsObserved,
    StageRequested,
    Tick,
)
from causeway.site import Junction, Site, Stage

NS = 1_000_000_000
MARGIN_VEH = 3.0  # a change-over of 5 s costs about that many saturation headways of 2 s
WAIT_MAX_S = 110.0  # waiting time after which an approach goes first, whatever its queue
FIXED_GREEN_S = 30.0  # for each stage, where the detectors are silent
DETECTOR_STALE_S = 15.0
STATE_STALE_S = 5.0  # a controller that is silent is not asked
ASK_AGAIN_S = 4.0  # a request that had no effect is repeated after that


class _Queue(Struct):
    """The last count at one stop line, and since when vehicles have been waiting there."""

    vehicles: float
    observed_at_ns: int
    waiting_since_ns: int | None = None


class Watched(Struct):
    """One junction as it was last seen."""

    stage: str = ""
    green_since_ns: int = 0
    green_shown_ns: int = 0  # the same on the controller's clock
    shown_at_ns: int = 0  # its last report, on the controller's clock
    interval: Interval = Interval.UNKNOWN
    mode: SignalMode = SignalMode.UNKNOWN
    manual: bool = False
    asked_at_ns: int = 0
    seen_at_ns: int = 0
    green: list[str] = []  # the groups that are green
    queues: dict[str, _Queue] = {}


class _State(Struct):
    """All that the core knows."""

    stretch: float
    junctions: dict[str, Watched]


class GreedySignals:
    """One `StageRequested` for a junction whenever another stage has more to gain."""

    name = "greedy"
    hears = frozenset({EngineStarted, ReadingsObserved, SignalsObserved, ControlModeChanged, Tick})

    def __init__(self, site: Site) -> None:
        self._junctions = {j.id: j for j in site.junctions}
        self._queue_points = {
            f"{j.id}/{g.id}/queue_veh": (j.id, g.id) for j in site.junctions for g in j.groups
        }
        self.watched = {j.id: Watched() for j in site.junctions}
        self._stretch = 1.0

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case ReadingsObserved():
                self._count(event, now.at_ns)
            case SignalsObserved():
                self._see(event, now)
            case ControlModeChanged() if event.asset in self.watched:
                self.watched[event.asset].manual = event.mode is ControlMode.MANUAL
            case Tick():
                for junction in self._junctions.values():
                    yield from self.decide(junction, now.at_ns)
            case EngineStarted():
                self._stretch = event.stretch
            case _:
                pass

    def _count(self, event: ReadingsObserved, at_ns: int) -> None:
        for point, observed_at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            place = self._queue_points.get(point)
            if place is None or quality not in (Quality.GOOD, Quality.UNCERTAIN):
                continue
            junction, group = place
            seen = self.watched[junction]
            queue = seen.queues.setdefault(group, _Queue(0.0, 0))
            if observed_at_ns > queue.observed_at_ns:
                queue.vehicles, queue.observed_at_ns = value, observed_at_ns
                _wait(queue, group in seen.green, at_ns)

    def _see(self, event: SignalsObserved, now: Now) -> None:
        for state in event.states:
            junction = self._junctions.get(state.junction)
            if junction is None:
                continue
            seen = self.watched[state.junction]
            shown_at_ns = min(state.observed_at_ns, now.at_ns)
            if shown_at_ns < seen.seen_at_ns:
                continue  # overtaken
            green = state.interval is Interval.GREEN
            if green and (seen.interval is not Interval.GREEN or seen.stage != state.stage):
                seen.green_since_ns, seen.green_shown_ns = now.at_ns, state.observed_at_ns
            seen.stage, seen.interval, seen.mode = state.stage, state.interval, state.mode
            seen.seen_at_ns, seen.shown_at_ns = shown_at_ns, state.observed_at_ns
            seen.green = [
                group.id
                for group, aspect in zip(junction.groups, state.aspects, strict=False)
                if aspect == "G"
            ]
            for group_id, queue in seen.queues.items():
                _wait(queue, group_id in seen.green, now.at_ns)

    def may_ask(self, junction: Junction, at_ns: int) -> bool:
        """Whether a change of stage may be asked for now, whoever wants it.

        `safety.py` counts the minimum green by both clocks too, and would refuse an earlier wish.
        """
        seen = self.watched[junction.id]
        shown_ns = seen.shown_at_ns - seen.green_shown_ns
        return not (
            seen.manual
            or at_ns - seen.seen_at_ns > STATE_STALE_S * NS * self._stretch
            or seen.mode is not SignalMode.CENTRE
            or seen.interval is not Interval.GREEN
            or min(at_ns - seen.green_since_ns, shown_ns) / NS < junction.min_green_s
            or at_ns - seen.asked_at_ns < ASK_AGAIN_S * NS * self._stretch
        )

    def method(self, junction: Junction, at_ns: int) -> SignalMethod:
        """What this rule comes to now: by the queues, or without them."""
        live = self._detectors_live(junction, self.watched[junction.id], at_ns)
        return SignalMethod.GREEDY if live else SignalMethod.FIXED

    def decide(self, junction: Junction, at_ns: int) -> Iterator[AnyEvent]:
        """The request for one junction, if there is one to make."""
        if not self.may_ask(junction, at_ns):
            return
        seen = self.watched[junction.id]
        green_s = (at_ns - seen.green_since_ns) / NS
        chosen, why = self._choose(junction, seen, green_s, at_ns)
        if chosen.id != seen.stage:
            seen.asked_at_ns = at_ns
            yield StageRequested(junction=junction.id, stage=chosen.id, by=self.name, why=why)

    def _choose(
        self, junction: Junction, seen: Watched, green_s: float, at_ns: int
    ) -> tuple[Stage, str]:
        present = next((s for s in junction.stages if s.id == seen.stage), junction.stages[0])
        if not self._detectors_live(junction, seen, at_ns):
            if green_s < min(FIXED_GREEN_S, junction.max_green_s):
                return present, ""
            following = (junction.stages.index(present) + 1) % len(junction.stages)
            return junction.stages[following], f"detectors silent: {FIXED_GREEN_S:.0f} s each"
        queue = {s.id: _queue_of(s, seen) for s in junction.stages}
        waited = {s.id: _waited_s(s, seen, at_ns) for s in junction.stages}
        others = [s for s in junction.stages if s is not present]
        starved = max(others, key=lambda s: waited[s.id])
        if waited[starved.id] >= WAIT_MAX_S:
            return starved, f"{starved.id} has waited {waited[starved.id]:.0f} s"
        longest = max(others, key=lambda s: queue[s.id])
        here, there = queue[present.id], queue[longest.id]
        full = green_s >= junction.max_green_s and there > 0
        if full or there > here + MARGIN_VEH or (here == 0 and there > 0):
            return longest, f"{there:.0f} veh wait for {longest.id}, {here:.0f} for {present.id}"
        return present, ""

    def _detectors_live(self, junction: Junction, seen: Watched, at_ns: int) -> bool:
        """Whether each stage has at least one detector that spoke lately."""
        return all(
            any(
                at_ns - seen.queues[g].observed_at_ns < DETECTOR_STALE_S * NS * self._stretch
                for g in stage.green
                if g in seen.queues
            )
            for stage in junction.stages
        )

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._stretch, self.watched))

    def restore(self, state: bytes) -> None:
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._stretch, self.watched = decoded.stretch, decoded.junctions


def _queue_of(stage: Stage, seen: Watched) -> float:
    return sum(seen.queues[g].vehicles for g in stage.green if g in seen.queues)


def _wait(queue: _Queue, green: bool, at_ns: int) -> None:
    """Start or end the waiting of an approach: it waits while it has vehicles and no green."""
    if green or queue.vehicles <= 0:
        queue.waiting_since_ns = None
    elif queue.waiting_since_ns is None:
        queue.waiting_since_ns = at_ns


def _waited_s(stage: Stage, seen: Watched, at_ns: int) -> float:
    """The longest that vehicles of one of the stage's approaches have been without green."""
    since_ns = [seen.queues[g].waiting_since_ns for g in stage.green if g in seen.queues]
    return max(((at_ns - since) / NS for since in since_ns if since is not None), default=0.0)
