"""Decides whether a stage request may go to the field. Nothing else makes a `StageCommanded`.

In come `StageRequested` events, from the rule or from an operator, and the controllers' states;
out go `StageCommanded` with sequence and expiry, or `CommandRefused` with what was seen and what
was wanted.

Laws of this file:
1. Everything that can hold back a signal command is in this file, whoever asks.
2. It can only refuse: it never picks another stage.
3. What is not known, or not known lately, is unsafe.
4. Minimum green, yellow and all-red are counted from what was observed, never from what was sent.
5. By a clock that runs faster than the wall's a command lives, and a state is believed, so much
   longer: the way to the field takes real time.
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
    EngineStarted,
    Interval,
    Now,
    SignalMode,
    SignalsObserved,
    SignalState,
    StageCommanded,
    StageRequested,
)
from causeway.site import Junction, Site
from control.sequences import following, newest

NS = 1_000_000_000
COMMAND_EXPIRES_NS = 2 * NS
STATE_STALE_NS = 5 * NS
OPERATOR = "operator:"


class _Seen(Struct):
    """One controller as it last reported, on the centre's clock."""

    state: SignalState | None = None
    seen_at_ns: int = 0
    green_since_ns: int = 0
    sequence: int = 0
    pending_until_ns: int = 0
    manual: bool = False


class _State(Struct):
    """All that the core knows."""

    stretch: float
    junctions: dict[str, _Seen]


def conflicting(junction: Junction, aspects: str) -> tuple[str, str] | None:
    """The first pair of groups that show green or yellow together against the conflict matrix."""
    shown = {
        group.id for group, aspect in zip(junction.groups, aspects, strict=False) if aspect in "Gy"
    }
    for a, b in junction.conflicts:
        if a in shown and b in shown:
            return a, b
    return None


class SignalSafety:
    """Turns stage requests into commands, or refuses them."""

    name = "signal_safety"
    hears = frozenset({EngineStarted, StageRequested, SignalsObserved, ControlModeChanged})

    def __init__(self, site: Site) -> None:
        self._junctions = {j.id: j for j in site.junctions}
        self._seen = {j.id: _Seen() for j in site.junctions}
        self._stretch = 1.0

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case SignalsObserved():
                for state in event.states:
                    if state.junction in self._seen:
                        self._see(state, now)
            case ControlModeChanged() if event.asset in self._seen:
                self._seen[event.asset].manual = event.mode is ControlMode.MANUAL
            case StageRequested():
                yield self._answer(event, now)
            case EngineStarted():
                self._stretch = event.stretch
            case _:
                pass

    def _is_stale(self, seen: _Seen, at_ns: int) -> bool:
        return at_ns - seen.seen_at_ns > STATE_STALE_NS * self._stretch

    def _see(self, state: SignalState, now: Now) -> None:
        """A report is as old as it says: one that comes late or overtaken is not of now."""
        seen = self._seen[state.junction]
        shown_at_ns = min(state.observed_at_ns, now.at_ns)
        if shown_at_ns < seen.seen_at_ns:
            return
        before = seen.state
        if state.interval is Interval.GREEN and (
            before is None
            or before.interval is not Interval.GREEN
            or before.stage != state.stage
            or self._is_stale(seen, now.at_ns)
        ):
            seen.green_since_ns = now.at_ns
        if before is not None and before.stage != state.stage:
            seen.pending_until_ns = 0
        seen.state = state
        seen.seen_at_ns = shown_at_ns
        seen.sequence = newest(seen.sequence, state.sequence)

    def _answer(self, request: StageRequested, now: Now) -> AnyEvent:
        refusal = self._refusal(request, now.at_ns)
        if refusal is not None:
            interlock, why = refusal
            return CommandRefused(
                target=request.junction, interlock=interlock, why=why, by=request.by
            )
        junction = self._junctions[request.junction]
        seen = self._seen[request.junction]
        seen.sequence = following(seen.sequence)
        expires_at_ns = now.at_ns + int(COMMAND_EXPIRES_NS * self._stretch)
        change_ns = int((junction.yellow_s + junction.all_red_s) * NS)
        seen.pending_until_ns = expires_at_ns + change_ns
        return StageCommanded(
            junction=request.junction,
            stage=request.stage,
            sequence=seen.sequence,
            issued_at_ns=now.at_ns,
            expires_at_ns=expires_at_ns,
        )

    def _refusal(self, request: StageRequested, at_ns: int) -> tuple[str, str] | None:
        """The interlock that stands against it and why, or None."""
        junction = self._junctions.get(request.junction)
        if junction is None:
            return "unknown_asset", f"no junction {request.junction!r}"
        stage = next((s for s in junction.stages if s.id == request.stage), None)
        if stage is None:
            known = ", ".join(s.id for s in junction.stages)
            return "unknown_stage", f"seen {request.stage!r}, expected one of {known}"
        aspects = "".join("G" if g.id in stage.green else "r" for g in junction.groups)
        if (pair := conflicting(junction, aspects)) is not None:
            return "conflict", f"stage {stage.id} gives green to {pair[0]} and {pair[1]}"
        seen = self._seen[request.junction]
        if seen.manual != request.by.startswith(OPERATOR):
            held = "manual" if seen.manual else "automatic"
            return "control_mode", f"the junction is in {held} mode, the request is by {request.by}"
        return self._field_refusal(request, junction, seen, at_ns)

    def _field_refusal(
        self, request: StageRequested, junction: Junction, seen: _Seen, at_ns: int
    ) -> tuple[str, str] | None:
        state = seen.state
        if state is None or self._is_stale(seen, at_ns):
            stale_s = STATE_STALE_NS / NS * self._stretch
            return "state_unknown", f"the controller has not reported in the last {stale_s:.0f} s"
        if state.fault:
            return "fault", f"the controller reports {state.fault}"
        if state.mode is not SignalMode.CENTRE:
            return "not_remote", f"the controller is in mode {state.mode}, expected centre"
        if len(state.aspects) != len(junction.groups):
            shown = f"{len(state.aspects)} aspects for {len(junction.groups)} groups"
            return "state_unknown", f"the controller reports {shown}"
        if (pair := conflicting(junction, state.aspects)) is not None:
            return "conflict", f"the controller shows green or yellow to {pair[0]} and {pair[1]}"
        if at_ns < seen.pending_until_ns:
            return "pending", "an earlier command is not yet shown"
        if state.interval is not Interval.GREEN:
            return "change_over", f"the controller shows {state.interval}, expected green"
        if state.stage == request.stage:
            return "no_change", f"stage {state.stage} is already green"
        green_s = (at_ns - seen.green_since_ns) / NS
        if green_s < junction.min_green_s:
            return "minimum_green", f"green for {green_s:.1f} s of {junction.min_green_s:.1f} s"
        return None

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._stretch, self._seen))

    def restore(self, state: bytes) -> None:
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._stretch, self._seen = decoded.stretch, decoded.junctions
