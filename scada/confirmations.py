"""Decides whether a command was obeyed, for all kinds: signals, signs, lights, pumps and gates.

In come the commands, what became of them on their way, the field's answers and what the field is
observed to do; out go `CommandConfirmed`, when it was seen to do what was commanded, and
`CommandUnconfirmed`, when it refused or was not seen to in the time it should take. The interlocks
free a target by these, and the alarms tell the operators.

Laws of this file:
1. Only what the field is observed to do confirms. An answer can only refuse.
2. Every command ends once: confirmed, unconfirmed or expired. A newer one for its target ends it.
3. After a restart nothing that was under way is known: it ends, and is never sent again.
4. By a clock that runs faster than the wall's the way to the field and back takes so much longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from causeway.events import (
    Address,
    AnyCommand,
    AnyEvent,
    CommandAnswered,
    CommandConfirmed,
    CommandExpired,
    CommandSent,
    CommandUnconfirmed,
    EngineStarted,
    GateCommanded,
    Interval,
    LightingCommanded,
    LightingObserved,
    Now,
    PumpCommanded,
    Quality,
    ReadingsObserved,
    SignalsObserved,
    SignCommanded,
    SignObserved,
    StageCommanded,
    Tick,
    target_of,
)
from causeway.site import Site

NS = 1_000_000_000
STAGE_MARGIN_S = 6.0  # over yellow and all-red: the way there, the way back, one report a second
SIGN_OBEYS_S = 15.0  # a report at a change, another each 10 s
LIGHT_OBEYS_S = 15.0
PUMP_OBEYS_S = 20.0  # contactor, soft start, a poll
GATE_TRAVELS = 1.5  # times its nominal travel
GATE_MARGIN_S = 10.0
OPENING_RATIO = 0.02
LEVEL_RATIO = 0.01
UNSENT_GRACE_NS = 10 * NS  # after its expiry, for the writer's own word to come in
OPEN_MAX = 4  # commands of one target under way
RESTARTED = "the centre restarted; the field's state is read before anything else is sent"


class _Open(Struct):
    """A command under way. `wanted` is a stage, a text or a number; `due_ns` 0 until sent."""

    address: Address
    sequence: int
    issued_at_ns: int
    expires_at_ns: int
    wanted: str | float
    due_ns: int = 0
    accepted: bool = False
    seen: str = "nothing"


class _State(Struct):
    """All that the core knows: the commands under way, by target."""

    stretch: float
    under_way: dict[str, list[_Open]]


class _Shown(NamedTuple):
    """What the field was observed to do: the target, in words, and whether that is `wanted`."""

    target: str
    words: str
    value: str | float
    tolerance: float


class Confirmations:
    """Watches every command to its end."""

    name = "confirmations"
    hears = frozenset(
        {
            PumpCommanded,
            GateCommanded,
            StageCommanded,
            SignCommanded,
            LightingCommanded,
            CommandSent,
            CommandExpired,
            CommandAnswered,
            SignalsObserved,
            SignObserved,
            LightingObserved,
            ReadingsObserved,
            Tick,
            EngineStarted,
        }
    )

    def __init__(self, site: Site) -> None:
        self._takes_s = {  # of itself, and on the way there and back
            **{j.id: (j.yellow_s + j.all_red_s, STAGE_MARGIN_S) for j in site.junctions},
            **{s.id: (0.0, SIGN_OBEYS_S) for s in site.signs},
            **{c.id: (0.0, LIGHT_OBEYS_S) for c in site.circuits},
            **{p.id: (0.0, PUMP_OBEYS_S) for p in site.pumps},
            **{g.id: (g.travel_s * GATE_TRAVELS, GATE_MARGIN_S) for g in site.gates},
        }
        self._pump_of = {f"{p.id}/running_bool": p.id for p in site.pumps}
        self._gate_of = {f"{g.id}/opening_ratio": g.id for g in site.gates}
        self._targets_of = {p.id: p.targets for p in site.plcs}
        self._open: dict[str, list[_Open]] = {}
        self._stretch = 1.0

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case (
                PumpCommanded()
                | GateCommanded()
                | StageCommanded()
                | SignCommanded()
                | LightingCommanded()
            ):
                yield from self._take(event, now)
            case CommandSent():
                yield from self._mark_sent(event, now.at_ns)
            case CommandExpired():
                self._close(event.target, event.sequence)
            case CommandAnswered():
                yield from self._hear_answer(event)
            case Tick():
                yield from self._look_at_time(now.at_ns)
            case EngineStarted():
                self._stretch = event.stretch
                yield from self._give_up_all()
            case _:
                for shown in self._shown(event):
                    yield from self._observe(shown, now.at_ns)

    def _obeys_s(self, target: str) -> float:
        """How long after its sending a command has to be seen obeyed."""
        itself_s, way_s = self._takes_s[target]
        return itself_s + way_s * self._stretch

    # --- the way of a command ----------------------------------------------------------------

    def _take(self, command: AnyCommand, now: Now) -> Iterator[AnyEvent]:
        target = target_of(command)
        if target not in self._takes_s:
            return
        under_way = self._open.setdefault(target, [])
        for older in [o for o in under_way if o.due_ns]:
            yield self._superseded(target, older, command.sequence)
        for older in under_way[: max(0, len(under_way) - OPEN_MAX + 1)]:
            yield self._superseded(target, older, command.sequence)
        self._open.setdefault(target, []).append(
            _Open(
                address=now.address,
                sequence=command.sequence,
                issued_at_ns=command.issued_at_ns,
                expires_at_ns=command.expires_at_ns,
                wanted=_wanted(command),
            )
        )

    def _mark_sent(self, event: CommandSent, at_ns: int) -> Iterator[AnyEvent]:
        """Its time to be obeyed begins; one that was overtaken before it left ends here."""
        sent = self._find(event.target, event.sequence)
        if sent is None:
            return
        sent.due_ns = at_ns + int(self._obeys_s(event.target) * NS)
        newest = self._open[event.target][-1]
        if newest is not sent:
            yield self._superseded(event.target, sent, newest.sequence)

    def _hear_answer(self, event: CommandAnswered) -> Iterator[AnyEvent]:
        """A refusal ends it. A second delivery of an accepted one is `repeated`: no refusal."""
        for target in self._targets_of.get(event.target, (event.target,)):
            command = self._find(target, event.sequence)
            if command is None:
                continue
            if event.accepted:
                command.accepted = True
            elif not (command.accepted and event.result == "repeated"):
                yield self._unconfirmed(target, command, event.result)

    def _look_at_time(self, at_ns: int) -> Iterator[AnyEvent]:
        for target, command in self._all():
            if command.due_ns and at_ns >= command.due_ns:
                wanted = _in_words(command.wanted)
                within = f"within {self._obeys_s(target):.0f} s"
                why = f"seen {command.seen}, wanted {wanted} {within}"
                yield self._unconfirmed(target, command, why)
            elif not command.due_ns and at_ns >= self._missed_at_ns(command):
                yield self._expired(target, command, "it was never reported as sent")

    def _missed_at_ns(self, command: _Open) -> int:
        """When one that was never reported as sent is given up."""
        return command.expires_at_ns + int(UNSENT_GRACE_NS * self._stretch)

    def _give_up_all(self) -> Iterator[AnyEvent]:
        for target, command in self._all():
            if command.due_ns:
                yield self._unconfirmed(target, command, RESTARTED)
            else:
                yield self._expired(target, command, "the centre restarted before it was sent")

    # --- what the field does -----------------------------------------------------------------

    def _shown(self, event: AnyEvent) -> Iterator[_Shown]:
        match event:
            case SignalsObserved():
                for state in event.states:
                    words = f"{state.stage!r} {state.interval}"
                    stage = state.stage if state.interval is Interval.GREEN else ""
                    yield _Shown(state.junction, words, stage, 0.0)
            case SignObserved():
                yield _Shown(event.sign, _in_words(event.text), event.text, 0.0)
            case LightingObserved():
                level = event.level_ratio
                yield _Shown(event.circuit, _in_words(level), level, LEVEL_RATIO)
            case ReadingsObserved():
                yield from self._read(event)
            case _:  # nothing else shows what the field does
                return

    def _read(self, event: ReadingsObserved) -> Iterator[_Shown]:
        for point, value, quality in zip(event.points, event.values, event.qualities, strict=True):
            if quality not in (Quality.GOOD, Quality.UNCERTAIN):
                continue
            if (pump := self._pump_of.get(point)) is not None:
                yield _Shown(pump, _in_words(value), value, 0.0)
            elif (gate := self._gate_of.get(point)) is not None:
                yield _Shown(gate, _in_words(value), value, OPENING_RATIO)

    def _observe(self, shown: _Shown, at_ns: int) -> Iterator[AnyEvent]:
        for command in tuple(self._open.get(shown.target, ())):
            if not command.due_ns:
                continue
            command.seen = shown.words
            if _same(command.wanted, shown):
                self._close(shown.target, command.sequence)
                yield CommandConfirmed(
                    command=command.address,
                    target=shown.target,
                    sequence=command.sequence,
                    took_ns=at_ns - command.issued_at_ns,
                )

    # --- the open commands -------------------------------------------------------------------

    def _all(self) -> Iterable[tuple[str, _Open]]:
        return [
            (target, command) for target, under_way in self._open.items() for command in under_way
        ]

    def _find(self, target: str, sequence: int) -> _Open | None:
        return next((c for c in self._open.get(target, ()) if c.sequence == sequence), None)

    def _close(self, target: str, sequence: int) -> None:
        left = [c for c in self._open.get(target, ()) if c.sequence != sequence]
        if left:
            self._open[target] = left
        else:
            self._open.pop(target, None)

    def _unconfirmed(
        self, target: str, command: _Open, why: str, superseded_by: int = 0
    ) -> CommandUnconfirmed:
        self._close(target, command.sequence)
        return CommandUnconfirmed(
            command=command.address,
            target=target,
            sequence=command.sequence,
            why=why,
            superseded_by=superseded_by,
        )

    def _superseded(self, target: str, command: _Open, by: int) -> CommandUnconfirmed:
        return self._unconfirmed(target, command, f"superseded by sequence {by}", by)

    def _expired(self, target: str, command: _Open, why: str) -> CommandExpired:
        self._close(target, command.sequence)
        return CommandExpired(
            command=command.address, target=target, sequence=command.sequence, why=why
        )

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._stretch, self._open))

    def restore(self, state: bytes) -> None:
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._stretch, self._open = decoded.stretch, decoded.under_way


def _wanted(command: AnyCommand) -> str | float:
    match command:
        case PumpCommanded():
            return float(command.run)
        case GateCommanded():
            return command.opening_ratio
        case StageCommanded():
            return command.stage
        case SignCommanded():
            return command.text
        case LightingCommanded():
            return command.level_ratio


def _same(wanted: str | float, shown: _Shown) -> bool:
    if isinstance(wanted, str) or isinstance(shown.value, str):
        return wanted == shown.value
    return abs(wanted - shown.value) <= shown.tolerance + 1e-9


def _in_words(value: str | float) -> str:
    return repr(value) if isinstance(value, str) else f"{value:g}"
