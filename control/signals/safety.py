"""Decides whether a stage request may go to the field. Nothing else makes a `StageCommanded`.

In come `StageRequested` events, from the planner, the greedy rule or an operator, the controllers'
states, what became of the commands, and ticks; out go `StageCommanded` with sequence and expiry, or
`CommandRefused` with what was seen and what was wanted.

Laws of this file:
1. Everything that can hold back a signal command is in this file, whoever asks.
2. It can only refuse: it never picks another stage.
3. What is not known, or not known lately, is unsafe. After a start, and when the centre's clock
   stands still (it was set back), nothing is known.
4. Minimum green, yellow and all-red are counted from what was observed, never from what was sent,
   and by the centre's clock as well as by the controller's: one of them may have been set.
5. By a clock that runs faster than the wall's a command lives, and a state is believed, so much
   longer: the way to the field takes real time.
6. A controller that twice did not do as commanded is left alone for a minute, then tried again.

A turn on red (`right_on_red`) is no green: its lamp is the cabinet's, who turns lets everybody
pass, and the conflict matrix does not speak of it. That is why aspects here are G and y only.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    CommandConfirmed,
    CommandExpired,
    CommandRefused,
    CommandUnconfirmed,
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
    Tick,
)
from causeway.site import Junction, Site
from control.sequences import following, newest

NS = 1_000_000_000
COMMAND_EXPIRES_NS = 2 * NS
STATE_STALE_NS = 5 * NS
STANDSTILL_TICKS = 3  # at one and the same time: there is one each second
DISOBEYED_MAX = 2  # one command may be lost, or meet a change of the controller's own
LEFT_ALONE_S = 60.0
OUTCOME_S = 10.0  # over its life and the change-over; scada/confirmations.py takes less
OPERATOR = "operator:"


class _Seen(Struct):
    """One controller as it last reported, on the centre's clock."""

    state: SignalState | None = None
    seen_at_ns: int = 0  # when it showed that by its own clock, but not later than it was heard
    green_since_ns: int = 0
    green_shown_ns: int = 0  # the same on the controller's clock
    sequence: int = 0
    pending_until_ns: int = 0  # by the clock of the controller: it is that which refuses late ones
    awaited_until_ns: int = 0  # what became of the last command is not known yet
    manual: bool = False
    disobeyed: int = 0
    alone_until_ns: int = 0


class _State(Struct):
    """All that the core knows."""

    stretch: float
    tick_at_ns: int
    ticks: int
    junctions: dict[str, _Seen]


def clock_off_s(state: SignalState, at_ns: int, stretch: float) -> float:
    """By how much a controller's clock is ahead (behind: below 0), as far as that matters; else 0.

    One that is ahead by a command's life takes none; what it showed when it was behind is stale.
    """
    off_ns = state.observed_at_ns - at_ns
    matters = not -STATE_STALE_NS * stretch <= off_ns <= COMMAND_EXPIRES_NS * stretch
    return off_ns / NS if matters else 0.0


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
    hears = frozenset(
        {
            EngineStarted,
            StageRequested,
            SignalsObserved,
            ControlModeChanged,
            CommandConfirmed,
            CommandExpired,
            CommandUnconfirmed,
            Tick,
        }
    )

    def __init__(self, site: Site) -> None:
        self._junctions = {j.id: j for j in site.junctions}
        self._seen = {j.id: _Seen() for j in site.junctions}
        self._stretch = 1.0
        self._tick_at_ns = 0
        self._ticks = 0  # that came at this time

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
            case CommandConfirmed() | CommandExpired() | CommandUnconfirmed() if (
                event.target in self._seen
            ):
                self._note_outcome(event, now)
            case Tick():
                self._ticks = self._ticks + 1 if now.at_ns == self._tick_at_ns else 1
                self._tick_at_ns = now.at_ns
                if self._ticks == STANDSTILL_TICKS:
                    self._forget()
            case EngineStarted():
                self._stretch = event.stretch
                self._forget()
            case _:
                pass

    def _forget(self) -> None:
        """Nothing that was seen counts any more; what is under way, and in whose hand, does."""
        for seen in self._seen.values():
            seen.state = None

    def _note_outcome(
        self, event: CommandConfirmed | CommandExpired | CommandUnconfirmed, now: Now
    ) -> None:
        seen = self._seen[event.target]
        if event.sequence != seen.sequence:
            return  # of an earlier command
        seen.awaited_until_ns = 0
        if isinstance(event, CommandConfirmed):
            seen.disobeyed = 0
        elif isinstance(event, CommandUnconfirmed):  # an expired one never reached it
            seen.disobeyed += 1
            if seen.disobeyed >= DISOBEYED_MAX:
                seen.alone_until_ns = now.at_ns + int(LEFT_ALONE_S * NS)

    def _is_stale(self, seen: _Seen, at_ns: int) -> bool:
        return at_ns - seen.seen_at_ns > STATE_STALE_NS * self._stretch

    def _see(self, state: SignalState, now: Now) -> None:
        """A report is as old as it says: one that comes late or overtaken is not of now."""
        seen = self._seen[state.junction]
        shown_at_ns = min(state.observed_at_ns, now.at_ns)
        if shown_at_ns < seen.seen_at_ns:
            return
        if seen.state is None:  # a command of another run may be under way
            seen.pending_until_ns = max(
                seen.pending_until_ns, self._over_at_ns(state.junction, now)
            )
        if not self._goes_on(seen, state, now.at_ns):
            seen.green_since_ns, seen.green_shown_ns = now.at_ns, state.observed_at_ns
        seen.state = state
        seen.seen_at_ns = shown_at_ns
        seen.sequence = newest(seen.sequence, state.sequence)

    def _goes_on(self, seen: _Seen, state: SignalState, at_ns: int) -> bool:
        """Whether a report tells of the green that the one before told of.

        Where a change-over fits between them there may have been another.
        """
        before = seen.state
        return (
            before is not None
            and before.interval is Interval.GREEN
            and before.stage == state.stage
            and 0 <= state.observed_at_ns - before.observed_at_ns <= self._change_ns(state.junction)
            and not self._is_stale(seen, at_ns)
            and not clock_off_s(state, at_ns, self._stretch)
        )

    def _over_at_ns(self, junction: str, now: Now) -> int:
        """When a command of this moment has been obeyed, or is not going to be."""
        expires_at_ns = now.at_ns + int(COMMAND_EXPIRES_NS * self._stretch)
        return expires_at_ns + self._change_ns(junction)

    def _change_ns(self, junction: str) -> int:
        known = self._junctions[junction]
        return int((known.yellow_s + known.all_red_s) * NS)

    def _answer(self, request: StageRequested, now: Now) -> AnyEvent:
        refusal = self._refusal(request, now.at_ns)
        if refusal is not None:
            interlock, why = refusal
            return CommandRefused(
                target=request.junction, interlock=interlock, why=why, by=request.by
            )
        seen = self._seen[request.junction]
        seen.sequence = following(seen.sequence)
        seen.pending_until_ns = self._over_at_ns(request.junction, now)
        outcome_ns = int(OUTCOME_S * self._stretch * NS)
        seen.awaited_until_ns = seen.pending_until_ns + outcome_ns
        return StageCommanded(
            junction=request.junction,
            stage=request.stage,
            sequence=seen.sequence,
            issued_at_ns=now.at_ns,
            expires_at_ns=now.at_ns + int(COMMAND_EXPIRES_NS * self._stretch),
        )

    def _refusal(self, request: StageRequested, at_ns: int) -> tuple[str, str] | None:
        """The interlock that stands against it and why, or None."""
        junction = self._junctions.get(request.junction)
        if junction is None:
            return "unknown_asset", f"no junction {request.junction!r}"
        aspects = _aspects(junction, request.stage)
        if aspects is None:
            known = ", ".join(s.id for s in junction.stages)
            return "unknown_stage", f"seen {request.stage!r}, expected one of {known}"
        if (pair := conflicting(junction, aspects)) is not None:
            return "conflict", f"stage {request.stage} gives green to {pair[0]} and {pair[1]}"
        seen = self._seen[request.junction]
        if seen.manual != request.by.startswith(OPERATOR):
            held = "manual" if seen.manual else "automatic"
            return "control_mode", f"the junction is in {held} mode, the request is by {request.by}"
        return self._field_refusal(request, junction, seen, at_ns)

    def _field_refusal(
        self, request: StageRequested, junction: Junction, seen: _Seen, at_ns: int
    ) -> tuple[str, str] | None:
        state = seen.state
        if self._ticks >= STANDSTILL_TICKS:
            return "clock", "the centre's clock stands still: it was set back"
        if state is None or self._is_stale(seen, at_ns):
            stale_s = STATE_STALE_NS / NS * self._stretch
            return "state_unknown", f"the controller has not reported in the last {stale_s:.0f} s"
        if state.fault:
            return "fault", f"the controller reports {state.fault}"
        if (ahead_s := clock_off_s(state, seen.seen_at_ns, self._stretch)) > 0:
            return "clock", f"the controller's clock is {ahead_s:.0f} s ahead of the centre's"
        if state.mode is not SignalMode.CENTRE:
            return "not_remote", f"the controller is in mode {state.mode}, expected centre"
        if (pair := conflicting(junction, state.aspects)) is not None:
            return "conflict", f"the controller shows green or yellow to {pair[0]} and {pair[1]}"
        if at_ns < seen.alone_until_ns:
            return "disobeyed", f"{seen.disobeyed} commands in a row had no effect"
        return self._timing_refusal(request, junction, seen, state, at_ns)

    def _timing_refusal(
        self,
        request: StageRequested,
        junction: Junction,
        seen: _Seen,
        state: SignalState,
        at_ns: int,
    ) -> tuple[str, str] | None:
        if state.interval is not Interval.GREEN:
            return "change_over", f"the controller shows {state.interval}, expected green"
        if state.aspects != _aspects(junction, state.stage):
            return "state_unknown", f"the controller shows {state.aspects} in {state.stage!r}"
        if state.stage == request.stage:
            return "no_change", f"stage {state.stage} is already green"
        shown_ns = state.observed_at_ns - seen.green_shown_ns
        green_s = min(at_ns - seen.green_since_ns, shown_ns) / NS
        if green_s < junction.min_green_s:
            return "minimum_green", f"green for {green_s:.1f} s of {junction.min_green_s:.1f} s"
        if seen.seen_at_ns < seen.pending_until_ns:
            return "pending", "an earlier command may not yet be shown"
        if at_ns < seen.awaited_until_ns:  # a new one would hide that it was not obeyed
            return "pending", "what became of the earlier command is not yet known"
        return None

    def encode(self) -> bytes:
        state = _State(self._stretch, self._tick_at_ns, self._ticks, self._seen)
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._stretch, self._seen = decoded.stretch, decoded.junctions
        self._tick_at_ns, self._ticks = decoded.tick_at_ns, decoded.ticks


def _aspects(junction: Junction, stage: str) -> str | None:
    """What is shown while a stage is green; None where there is no such stage."""
    green = next((s.green for s in junction.stages if s.id == stage), None)
    if green is None:
        return None
    return "".join("G" if group.id in green else "r" for group in junction.groups)
