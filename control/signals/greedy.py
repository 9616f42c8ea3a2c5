"""Decides which stage a junction should have next, from the queues at its stop lines.

In come detector readings, controllers' states and ticks; out go `StageRequested` events, which
`safety.py` refuses or turns into commands. The rule is greedy: when the minimum green is over, the
stage with the longest queue gets the next green if it is longer than the present one by a margin that
pays for the change-over; a stage that has waited too long goes first; without detectors every stage
gets the same time. It knows nothing of clearance: that is not its to shorten.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    ControlMode,
    ControlModeChanged,
    Interval,
    Now,
    Quality,
    ReadingsObserved,
    SignalMode,
    SignalsObserved,
    StageRequested,
    Tick,
)
from causeway.site import Junction, Site, Stage

NS = 1_000_000_000
MARGIN_VEH = 3.0  # a change-over of 5 s costs about that many saturation headways of 2 s
WAIT_MAX_S = 110.0  # red time after which a waiting approach goes first, whatever its queue
FIXED_GREEN_S = 30.0  # for each stage, where the detectors are silent
DETECTOR_STALE_S = 15.0
ASK_AGAIN_S = 4.0  # a request that had no effect is repeated after that


class _Queue(Struct):
    """The last count at one stop line."""

    vehicles: float
    observed_at_ns: int


class _Watched(Struct):
    """One junction as it was last seen."""

    stage: str = ""
    green_since_ns: int = 0
    interval: Interval = Interval.UNKNOWN
    mode: SignalMode = SignalMode.UNKNOWN
    manual: bool = False
    asked_at_ns: int = 0
    queues: dict[str, _Queue] = {}
    red_since_ns: dict[str, int] = {}  # by group: since when it has not been green


class GreedySignals:
    """One `StageRequested` for a junction whenever another stage has more to gain."""

    name = "signals"
    hears = frozenset({ReadingsObserved, SignalsObserved, ControlModeChanged, Tick})

    def __init__(self, site: Site) -> None:
        self._junctions = {j.id: j for j in site.junctions}
        self._queue_points = {
            f"{j.id}/{g.id}/queue_veh": (j.id, g.id) for j in site.junctions for g in j.groups
        }
        self._watched = {j.id: _Watched() for j in site.junctions}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case ReadingsObserved():
                self._count(event)
            case SignalsObserved():
                self._see(event, now)
            case ControlModeChanged() if event.asset in self._watched:
                self._watched[event.asset].manual = event.mode is ControlMode.MANUAL
            case Tick():
                for junction in self._junctions.values():
                    yield from self._decide(junction, now.at_ns)
            case _:
                pass

    def _count(self, event: ReadingsObserved) -> None:
        for point, at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            place = self._queue_points.get(point)
            if place is not None and quality in (Quality.GOOD, Quality.UNCERTAIN):
                junction, group = place
                self._watched[junction].queues[group] = _Queue(value, at_ns)

    def _see(self, event: SignalsObserved, now: Now) -> None:
        for state in event.states:
            junction = self._junctions.get(state.junction)
            if junction is None:
                continue
            seen = self._watched[state.junction]
            green = state.interval is Interval.GREEN
            if green and (seen.interval is not Interval.GREEN or seen.stage != state.stage):
                seen.green_since_ns = now.at_ns
            seen.stage, seen.interval, seen.mode = state.stage, state.interval, state.mode
            for group, aspect in zip(junction.groups, state.aspects, strict=False):
                if aspect == "G":
                    seen.red_since_ns.pop(group.id, None)
                else:
                    seen.red_since_ns.setdefault(group.id, now.at_ns)

    def _decide(self, junction: Junction, at_ns: int) -> Iterator[AnyEvent]:
        seen = self._watched[junction.id]
        green_s = (at_ns - seen.green_since_ns) / NS
        if (
            seen.manual
            or seen.mode is not SignalMode.CENTRE
            or seen.interval is not Interval.GREEN
            or green_s < junction.min_green_s
            or at_ns - seen.asked_at_ns < ASK_AGAIN_S * NS
        ):
            return
        chosen, why = self._choose(junction, seen, green_s, at_ns)
        if chosen.id != seen.stage:
            seen.asked_at_ns = at_ns
            yield StageRequested(junction=junction.id, stage=chosen.id, by=self.name, why=why)

    def _choose(
        self, junction: Junction, seen: _Watched, green_s: float, at_ns: int
    ) -> tuple[Stage, str]:
        present = next((s for s in junction.stages if s.id == seen.stage), junction.stages[0])
        if not self._detectors_live(junction, seen, at_ns):
            if green_s < FIXED_GREEN_S:
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

    def _detectors_live(self, junction: Junction, seen: _Watched, at_ns: int) -> bool:
        """Whether each stage has at least one detector that spoke lately."""
        return all(
            any(
                at_ns - seen.queues[g].observed_at_ns < DETECTOR_STALE_S * NS
                for g in stage.green
                if g in seen.queues
            )
            for stage in junction.stages
        )

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._watched)

    def restore(self, state: bytes) -> None:
        self._watched = msgspec.msgpack.decode(state, type=dict[str, _Watched])


def _queue_of(stage: Stage, seen: _Watched) -> float:
    return sum(seen.queues[g].vehicles for g in stage.green if g in seen.queues)


def _waited_s(stage: Stage, seen: _Watched, at_ns: int) -> float:
    """The longest that one of the stage's approaches with vehicles has been without green."""
    waits = [
        (at_ns - seen.red_since_ns[g]) / NS
        for g in stage.green
        if g in seen.red_since_ns and g in seen.queues and seen.queues[g].vehicles > 0
    ]
    return max(waits, default=0.0)
