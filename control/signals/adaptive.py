"""Decides by which method a junction goes, and asks for the stage that this method wants.

In come the planner's plans, its absences, and all that the greedy rule hears; out go
`StageRequested`, which `safety.py` refuses or turns into commands, and `SignalMethodChanged`, so
that everybody sees which method runs and why not the better one. While a junction's plan is fresh
the planner decides; else `greedy.py` does, and where its detectors are silent too, it gives each
stage the same time.

Laws of this file:
1. A junction is never without a method: what is missing falls back in the same second.
2. Nothing is asked of a junction that a person has in hand, that is not under the centre, or whose
   green is younger than its minimum.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    EngineStarted,
    Now,
    SignalMethod,
    SignalMethodChanged,
    StagePlan,
    StagePlanningLost,
    StageRequested,
    StagesPlanned,
    Tick,
)
from causeway.site import Junction, Site
from control.signals.greedy import GreedySignals

NS = 1_000_000_000
PLAN_STALE_S = 4.0  # there is one each second
BY = "planner"


class _Method(Struct):
    """How a junction goes now; `plan` is its newest, `lost` why there is none."""

    method: SignalMethod = SignalMethod.UNKNOWN
    why: str = ""
    plan: StagePlan | None = None
    lost: str = "no plan yet"


class _State(Struct):
    """All that the core knows."""

    stretch: float
    junctions: dict[str, _Method]
    greedy: bytes


class AdaptiveSignals:
    """One `StageRequested` for a junction whenever the method in charge wants another stage."""

    name = "signals"
    hears = GreedySignals.hears | {StagesPlanned, StagePlanningLost}

    def __init__(self, site: Site) -> None:
        self._greedy = GreedySignals(site)
        self._junctions = {j.id: j for j in site.junctions}
        self._methods = {j.id: _Method() for j in site.junctions}
        self._stretch = 1.0

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case StagesPlanned():
                for plan in event.plans:
                    if plan.junction in self._methods:
                        yield from self._take(plan, now.at_ns)
            case StagePlanningLost():
                for id_ in event.junctions or self._methods:
                    if id_ in self._methods:
                        self._methods[id_].plan = None
                        self._methods[id_].lost = event.why
            case Tick():
                for junction in self._junctions.values():
                    yield from self._decide(junction, now.at_ns)
            case _:
                if isinstance(event, EngineStarted):
                    self._stretch = event.stretch
                yield from self._greedy.step(event, now)

    def _take(self, plan: StagePlan, at_ns: int) -> Iterator[AnyEvent]:
        seen = self._methods[plan.junction]
        if seen.plan is None or plan.observed_at_ns >= seen.plan.observed_at_ns:
            seen.plan = plan
            if seen.method is SignalMethod.PLANNER:
                yield from self._follow(self._junctions[plan.junction], plan, at_ns)

    def _decide(self, junction: Junction, at_ns: int) -> Iterator[AnyEvent]:
        seen = self._methods[junction.id]
        plan = seen.plan
        why = seen.lost
        if plan is not None and self._is_fresh(plan, at_ns):
            method, why = SignalMethod.PLANNER, ""
        else:
            if plan is not None:
                why = f"no plan from the last {PLAN_STALE_S * self._stretch:.0f} s"
            method = self._greedy.method(junction, at_ns)
        if (method, why) != (seen.method, seen.why):
            seen.method, seen.why = method, why
            yield SignalMethodChanged(junction=junction.id, method=method, why=why)
        if method is SignalMethod.PLANNER and plan is not None:
            yield from self._follow(junction, plan, at_ns)
        else:
            yield from self._greedy.decide(junction, at_ns)

    def _is_fresh(self, plan: StagePlan, at_ns: int) -> bool:
        return at_ns - plan.observed_at_ns <= PLAN_STALE_S * NS * self._stretch

    def _follow(self, junction: Junction, plan: StagePlan, at_ns: int) -> Iterator[AnyEvent]:
        if not self._is_fresh(plan, at_ns) or not self._greedy.may_ask(junction, at_ns):
            return
        seen = self._greedy.watched[junction.id]
        if plan.stage == seen.stage or plan.stage not in [s.id for s in junction.stages]:
            return
        seen.asked_at_ns = at_ns
        yield StageRequested(junction=junction.id, stage=plan.stage, by=BY, why=_why(plan))

    def encode(self) -> bytes:
        state = _State(self._stretch, self._methods, self._greedy.encode())
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._stretch, self._methods = decoded.stretch, decoded.junctions
        self._greedy.restore(decoded.greedy)


def _why(plan: StagePlan) -> str:
    if plan.stage != plan.following or plan.hold_s > 0:
        return f"who waits for {plan.stage} has waited longest"
    best = f"{plan.following} now costs {plan.cost_veh_s:.0f} veh s"
    return f"{best}, {plan.other} {plan.other_cost_veh_s:.0f}" if plan.other else best
