"""Decides how long an operator has a junction in hand: hold, advance, and the way back by itself.

In come `SignalOverrideRequested`, the controllers' states and ticks; out go `ControlModeChanged`,
which every rule hears, for `advance` a `StageRequested` in the operator's name, which `safety.py`
judges as any other, and `SignalOverridden`, which says until when. When the time is over, or the
operator releases it, the junction is automatic again. A junction that is taken in hand without a
time (`modes.py`) stays so.

A hold asks nothing of the controller: it stays in its green until its own maximum, and then goes
on by itself. The centre cannot make it exceed that.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    Now,
    SignalOverridden,
    SignalOverride,
    SignalOverrideRequested,
    SignalsObserved,
    StageRequested,
    Tick,
)
from causeway.site import Site

NS = 1_000_000_000
FOR_S_MAX = 900.0


class _Held(Struct):
    """One junction in an operator's hand."""

    until_at_ns: int
    operator: str


class _State(Struct):
    """All that the core knows."""

    held: dict[str, _Held]
    stage: dict[str, str]


class SignalOverrides:
    """Takes a junction in hand for a time, and gives it back."""

    name = "signal_overrides"
    hears = frozenset({SignalOverrideRequested, ControlModeChanged, SignalsObserved, Tick})

    def __init__(self, site: Site) -> None:
        self._stages = {j.id: [s.id for s in j.stages] for j in site.junctions}
        self._held: dict[str, _Held] = {}
        self._stage: dict[str, str] = {}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case SignalOverrideRequested():
                yield from self._override(event, now.at_ns)
            case ControlModeChanged() if event.asset in self._held:
                if event.mode is ControlMode.AUTOMATIC:
                    yield self._end(event.asset, event.operator)
            case SignalsObserved():
                self._stage.update((s.junction, s.stage) for s in event.states if s.stage)
            case Tick():
                for junction, held in list(self._held.items()):
                    if now.at_ns >= held.until_at_ns:
                        yield self._mode(junction, ControlMode.AUTOMATIC, held.operator)
            case _:
                pass

    def _override(self, request: SignalOverrideRequested, at_ns: int) -> Iterator[AnyEvent]:
        junction = request.junction
        stages = self._stages.get(junction)
        known = stages is not None and self._stage.get(junction) in stages
        if stages is None or not 0 < request.for_s <= FOR_S_MAX:
            yield self._refused(request, "unknown_asset" if stages is None else "for_s")
        elif request.action is SignalOverride.RELEASE:
            yield self._mode(junction, ControlMode.AUTOMATIC, request.operator)
        elif request.action is SignalOverride.ADVANCE and not known:
            yield self._refused(request, "state_unknown")
        else:
            until_at_ns = at_ns + int(request.for_s * NS)
            self._held[junction] = _Held(until_at_ns, request.operator)
            yield self._mode(junction, ControlMode.MANUAL, request.operator)
            yield SignalOverridden(
                junction=junction,
                action=request.action,
                until_at_ns=until_at_ns,
                operator=request.operator,
            )
            if request.action is SignalOverride.ADVANCE:
                following = (stages.index(self._stage[junction]) + 1) % len(stages)
                yield StageRequested(
                    junction=junction,
                    stage=stages[following],
                    by=f"operator:{request.operator}",
                    why="advanced by hand",
                )

    def _refused(self, request: SignalOverrideRequested, interlock: str) -> CommandRefused:
        why = {
            "unknown_asset": f"no junction {request.junction!r}",
            "for_s": f"{request.for_s:g} s; expected above 0 and at most {FOR_S_MAX:g}",
            "state_unknown": "the controller has not said which stage is green",
        }[interlock]
        by = f"operator:{request.operator}"
        return CommandRefused(target=request.junction, interlock=interlock, why=why, by=by)

    def _mode(self, junction: str, mode: ControlMode, operator: str) -> ControlModeChanged:
        return ControlModeChanged(asset=junction, mode=mode, operator=operator)

    def _end(self, junction: str, operator: str) -> SignalOverridden:
        del self._held[junction]
        return SignalOverridden(
            junction=junction, action=SignalOverride.RELEASE, until_at_ns=0, operator=operator
        )

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._held, self._stage))

    def restore(self, state: bytes) -> None:
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._held, self._stage = decoded.held, decoded.stage
