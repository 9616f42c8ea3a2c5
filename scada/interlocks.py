"""Decides whether a pump or gate request may go to the field. Nothing else makes their commands.

In come `PumpRequested` and `GateRequested`, from an engine or an operator, the plant's readings
and what became of earlier commands; out go `PumpCommanded` and `GateCommanded` with sequence and
expiry, or `CommandRefused` with what was seen and what was wanted. `modbus.py` writes them to the
PLC, whose own trips stand behind these; `confirmations.py` watches whether the plant obeys.

Laws of this file:
1. Everything that can stop a pump or gate command is in this file, whoever asks.
2. It can only refuse: it never changes what was asked for, and keeps nothing that it refused for
   later. Whoever asked asks again.
3. What is not known, or not known lately, is unsafe. A stop is the exception: it needs no more than
   a PLC that answers.
4. Rest, starts and movement are counted from what was observed, and a time nobody watched counts as
   the worse one.

A PLC has one mailbox for all its targets. Its sequence rises over all of them, and a second command
would overwrite a first that the PLC has not yet seen; so the mailbox is busy from a command until
the PLC's answer, or until the command has expired.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from causeway.events import (
    AnyEvent,
    CommandAnswered,
    CommandConfirmed,
    CommandExpired,
    CommandRefused,
    CommandUnconfirmed,
    ControlMode,
    ControlModeChanged,
    EngineStarted,
    GateCommanded,
    GateRequested,
    Now,
    PumpCommanded,
    PumpRequested,
    Quality,
    ReadingsObserved,
    SourceLost,
    SourceReached,
    WatchdogObserved,
)
from causeway.site import GATE_QUANTITIES, PUMP_QUANTITIES, STATION_QUANTITIES, Gate, Pump, Site

NS = 1_000_000_000
COMMAND_EXPIRES_NS = 20 * NS
MAILBOX_MARGIN_NS = 2 * NS  # a write in flight, and a PLC clock of whole seconds
STATE_STALE_S = 15.0  # or the quantity's own, when that is shorter; never under three polls
PUMP_OBEYS_NS = 20 * NS
START_SETTLES_NS = 5 * NS  # until a started pump's draw shows in the station's power
HOUR_NS = 3_600 * NS
STILL_RATIO = 0.02  # two openings closer than this are the same
SEQUENCE_MAX = 65_535
OPERATOR = "operator:"
DEVICE_REFUSALS = ("late", "repeated", "interlock", "local", "fault", "malformed")
DEVICE_RESULTS = ("none", "accepted", *DEVICE_REFUSALS)  # an answer that the PLC itself gave

T = TypeVar("T")
Refusal = tuple[str, str]  # the interlock's name; what was seen and what was wanted


class _Reading(Struct):
    """A point as it was last read; `at_ns` is the earlier of its own time and the step's."""

    value: float
    usable: bool
    at_ns: int


class _Mailbox(Struct):
    """One PLC: whether it answers, the last sequence used, the one it has yet to answer (0: none).

    `heard`: its answer block was read since it was last lost; the sequence is known to be above it.
    `taken_over`: its watchdog has, and it refuses whatever it is told.
    """

    reached: bool = False
    heard: bool = False
    taken_over: bool = False
    sequence: int = 0
    busy_sequence: int = 0
    busy_until_ns: int = 0


class _Target(Struct):
    """A pump or gate: who decides, and the command that is not yet known to be obeyed (0: none)."""

    manual: bool = False
    pending_sequence: int = 0
    pending_until_ns: int = 0


class _PumpHistory(Struct):
    """What rest and starts are counted from. `running` is what was last known, however long ago."""

    running: bool | None = None
    known_at_ns: int = 0
    stopped_since_ns: int = 0  # watched without a gap since then
    commanded_start_ns: int = 0  # a start not yet observed, already among `starts_ns` (0: none)
    starts_ns: list[int] = field(default_factory=list)  # the newest, as many as an hour may have


class _StationStart(Struct):
    """The pump that is starting up in a station, and until when no other may."""

    pump: str = ""
    until_ns: int = 0


class _State(Struct):
    """All that the core knows; what `encode` gives."""

    readings: dict[str, _Reading]
    mailboxes: dict[str, _Mailbox]
    targets: dict[str, _Target]
    pumps: dict[str, _PumpHistory]
    starts: dict[str, _StationStart]


def next_sequence(sequence: int) -> int:
    """1 to 65,535, then 1 again."""
    return sequence % SEQUENCE_MAX + 1


def is_new(sequence: int, last: int) -> bool:
    """Whether a device whose last sequence was `last` takes this one (docs/INTERFACES.md)."""
    return 1 <= (sequence - last) % (SEQUENCE_MAX + 1) <= SEQUENCE_MAX // 2


class Interlocks:
    """Turns pump and gate requests into commands, or refuses them."""

    name = "interlocks"
    hears = frozenset(
        {
            PumpRequested,
            GateRequested,
            ReadingsObserved,
            ControlModeChanged,
            SourceReached,
            SourceLost,
            WatchdogObserved,
            CommandAnswered,
            CommandConfirmed,
            CommandUnconfirmed,
            CommandExpired,
            EngineStarted,
        }
    )

    def __init__(self, site: Site) -> None:
        self._stations = {s.id: s for s in site.stations}
        self._pumps = {p.id: p for p in site.pumps}
        self._gates = {g.id: g for g in site.gates}
        self._plcs = {p.id: p for p in site.plcs}
        self._plc_of = {
            **{p.id: self._stations[p.station].plc for p in site.pumps},
            **{g.id: g.plc for g in site.gates},
        }
        self._pump_of = {f"{p.id}/running_bool": p for p in site.pumps}
        self._stale_ns = {
            f"{asset.id}/{quantity}": self._stale_after_ns(site, f"{asset.id}/{quantity}")
            for assets, quantities in (
                (site.stations, STATION_QUANTITIES),
                (site.pumps, PUMP_QUANTITIES),
                (site.gates, GATE_QUANTITIES),
            )
            for asset in assets
            for quantity in quantities
        }
        self._state = _State(
            readings={},
            mailboxes={p.id: _Mailbox() for p in site.plcs},
            targets={target: _Target() for target in self._plc_of},
            pumps={p.id: _PumpHistory() for p in site.pumps},
            starts={s.id: _StationStart() for s in site.stations},
        )

    def _stale_after_ns(self, site: Site, point: str) -> int:
        known = site.points[point]
        poll_s = self._plcs[known.source].poll_s
        return int(max(min(known.stale_after_s, STATE_STALE_S), 3 * poll_s) * NS)

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case PumpRequested():
                yield self._answer_pump(event, now.at_ns)
            case GateRequested():
                yield self._answer_gate(event, now.at_ns)
            case ReadingsObserved():
                self._read(event, now.at_ns)
            case ControlModeChanged() if event.asset in self._state.targets:
                self._state.targets[event.asset].manual = event.mode is ControlMode.MANUAL
            case SourceReached() if event.source in self._state.mailboxes:
                self._state.mailboxes[event.source].reached = True
            case SourceLost() if event.source in self._state.mailboxes:
                self._lose(event.source)
            case WatchdogObserved() if event.plc in self._state.mailboxes:
                self._state.mailboxes[event.plc].taken_over = event.taken_over
            case CommandAnswered():
                self._hear_answer(event)
            case CommandConfirmed() | CommandUnconfirmed() | CommandExpired():
                self._settle(event)
            case EngineStarted():
                for plc in self._state.mailboxes:
                    self._lose(plc)
            case _:
                pass

    # --- what is seen ------------------------------------------------------------------------

    def _read(self, event: ReadingsObserved, at_ns: int) -> None:
        for point, observed_at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            if point not in self._stale_ns:
                continue
            usable = quality in (Quality.GOOD, Quality.UNCERTAIN)
            reading = _Reading(value, usable, min(observed_at_ns, at_ns))
            self._state.readings[point] = reading
            if usable and point in self._pump_of:
                self._watch(self._pump_of[point], reading, at_ns)

    def _watch(self, pump: Pump, reading: _Reading, at_ns: int) -> None:
        """Count a start, or the rest since a stop."""
        history = self._state.pumps[pump.id]
        running = reading.value != 0
        watched_ns = self._stale_ns[f"{pump.id}/running_bool"]
        unwatched = reading.at_ns - history.known_at_ns > watched_ns
        if running and history.running is not True:
            if history.commanded_start_ns == 0:
                self._count_start(pump, at_ns)
            history.commanded_start_ns = 0
            starting = self._state.starts[pump.station]
            if starting.pump == pump.id:
                starting.until_ns = at_ns + START_SETTLES_NS
        if not running and (history.running is not False or unwatched):
            history.stopped_since_ns = at_ns
        history.running = running
        history.known_at_ns = reading.at_ns

    def _count_start(self, pump: Pump, at_ns: int) -> None:
        starts = self._state.pumps[pump.id].starts_ns
        starts.append(at_ns)
        del starts[: -max(pump.starts_per_hour_max, 1)]

    def _lose(self, plc: str) -> None:
        """Forget what the PLC last said: it is read anew before it is told anything."""
        self._state.mailboxes[plc].reached = False
        self._state.mailboxes[plc].heard = False
        for target, of in self._plc_of.items():
            if of == plc:
                self._forget(target)
        for station in self._stations.values():
            if station.plc == plc:
                self._forget(station.id)

    def _forget(self, asset: str) -> None:
        for point in self._stale_ns:
            if point.startswith(f"{asset}/"):
                self._state.readings.pop(point, None)

    def _hear_answer(self, event: CommandAnswered) -> None:
        """Free the mailbox; go on from the PLC's sequence where it would not take our next."""
        plc = self._plc_of.get(event.target, event.target)
        mailbox = self._state.mailboxes.get(plc)
        if mailbox is None:
            return
        if event.sequence == mailbox.busy_sequence:
            mailbox.busy_sequence = 0
        if event.result in DEVICE_RESULTS:
            mailbox.heard = True
            if not is_new(next_sequence(mailbox.sequence), event.sequence):
                mailbox.sequence = event.sequence
        if event.result in DEVICE_REFUSALS:
            self._drop_start(event.target, event.sequence)

    def _settle(self, event: CommandConfirmed | CommandUnconfirmed | CommandExpired) -> None:
        target = self._state.targets.get(event.target)
        if target is None:
            return
        mailbox = self._state.mailboxes[self._plc_of[event.target]]
        if event.sequence == mailbox.busy_sequence:
            mailbox.busy_sequence = 0
        if isinstance(event, CommandExpired):
            self._drop_start(event.target, event.sequence)
        if event.sequence == target.pending_sequence:
            target.pending_sequence = 0

    def _drop_start(self, target: str, sequence: int) -> None:
        """A start that surely did not happen is no start. One that may have stays counted."""
        history = self._state.pumps.get(target)
        if history is None or self._state.targets[target].pending_sequence != sequence:
            return
        if history.commanded_start_ns in history.starts_ns:
            history.starts_ns.remove(history.commanded_start_ns)
            self._state.starts[self._pumps[target].station].until_ns = 0
        history.commanded_start_ns = 0

    # --- what is answered --------------------------------------------------------------------

    def _answer_pump(self, request: PumpRequested, at_ns: int) -> AnyEvent:
        pump = self._pumps.get(request.pump)
        if pump is None:
            unknown = "unknown_asset", f"no pump {request.pump!r}"
            return _refused(request.pump, unknown, request.by)
        refusal = next(self._against_pump(pump, request, at_ns), None)
        if refusal is not None:
            return _refused(pump.id, refusal, request.by)
        sequence = self._take_mailbox(pump.id, at_ns, PUMP_OBEYS_NS)
        history = self._state.pumps[pump.id]
        history.commanded_start_ns = 0
        if request.run:
            history.commanded_start_ns = at_ns
            self._count_start(pump, at_ns)
            starting = self._state.starts[pump.station]
            starting.pump = pump.id
            starting.until_ns = at_ns + COMMAND_EXPIRES_NS + PUMP_OBEYS_NS
        return PumpCommanded(
            pump=pump.id,
            run=request.run,
            sequence=sequence,
            issued_at_ns=at_ns,
            expires_at_ns=at_ns + COMMAND_EXPIRES_NS,
        )

    def _answer_gate(self, request: GateRequested, at_ns: int) -> AnyEvent:
        gate = self._gates.get(request.gate)
        if gate is None:
            unknown = "unknown_asset", f"no gate {request.gate!r}"
            return _refused(request.gate, unknown, request.by)
        refusal = next(self._against_gate(gate, request, at_ns), None)
        if refusal is not None:
            return _refused(gate.id, refusal, request.by)
        obeys_ns = int((gate.travel_s * 1.5 + 10) * NS)
        return GateCommanded(
            gate=gate.id,
            opening_ratio=request.opening_ratio,
            sequence=self._take_mailbox(gate.id, at_ns, obeys_ns),
            issued_at_ns=at_ns,
            expires_at_ns=at_ns + COMMAND_EXPIRES_NS,
        )

    def _take_mailbox(self, target: str, at_ns: int, obeys_ns: int) -> int:
        """The command's sequence; the mailbox is busy and the target pending from now on."""
        mailbox = self._state.mailboxes[self._plc_of[target]]
        mailbox.sequence = next_sequence(mailbox.sequence)
        mailbox.busy_sequence = mailbox.sequence
        mailbox.busy_until_ns = at_ns + COMMAND_EXPIRES_NS + MAILBOX_MARGIN_NS
        pending = self._state.targets[target]
        pending.pending_sequence = mailbox.sequence
        pending.pending_until_ns = at_ns + COMMAND_EXPIRES_NS + obeys_ns
        return mailbox.sequence

    # --- the interlocks: each generator gives what stands against a request, the gravest first

    def _against_pump(self, pump: Pump, request: PumpRequested, at_ns: int) -> Iterator[Refusal]:
        yield from self._against_any(pump.id, request.by, at_ns)
        if request.run:
            yield from self._against_start(pump, at_ns)
        else:
            yield from self._against_stop(pump, at_ns)
        yield from self._against_mailbox(pump.id, at_ns)

    def _against_gate(self, gate: Gate, request: GateRequested, at_ns: int) -> Iterator[Refusal]:
        if not 0.0 <= request.opening_ratio <= 1.0:
            yield "out_of_range", f"opening {request.opening_ratio}, wanted 0 to 1"
        yield from self._against_any(gate.id, request.by, at_ns)
        yield from self._against_move(gate, request.opening_ratio, at_ns)
        yield from self._against_mailbox(gate.id, at_ns)

    def _against_any(self, target: str, by: str, at_ns: int) -> Iterator[Refusal]:
        plc = self._plcs[self._plc_of[target]]
        if target not in plc.targets:
            yield "not_commandable", f"{plc.id} has no mailbox number for {target}"
        manual = self._state.targets[target].manual
        if manual != by.startswith(OPERATOR):
            held = "manual" if manual else "automatic"
            yield "control_mode", f"{target} is in {held} mode, the request is by {by}"
        mailbox = self._state.mailboxes[plc.id]
        if not (mailbox.reached and mailbox.heard):
            yield "plc_silent", f"{plc.id} does not answer, or was not yet read since it does"
        if mailbox.taken_over:
            yield "plc_watchdog", f"{plc.id} follows its own rules until it hears the centre again"

    def _against_mailbox(self, target: str, at_ns: int) -> Iterator[Refusal]:
        plc = self._plc_of[target]
        mailbox = self._state.mailboxes[plc]
        if mailbox.busy_sequence and at_ns < mailbox.busy_until_ns:
            yield "mailbox_busy", f"{plc} has yet to answer sequence {mailbox.busy_sequence}"

    def _against_stop(self, pump: Pump, at_ns: int) -> Iterator[Refusal]:
        """A stop may overtake a start that is not yet observed; little else holds it back."""
        history = self._state.pumps[pump.id]
        if self._value(f"{pump.station}/remote_bool", at_ns) == 0:
            yield "local_mode", f"{pump.station} is in local mode, wanted remote"
        if history.commanded_start_ns == 0:
            yield from self._against_pending(pump.id, at_ns)
            if self._value(f"{pump.id}/running_bool", at_ns) == 0:
                yield "no_change", f"{pump.id} does not run"

    def _against_start(self, pump: Pump, at_ns: int) -> Iterator[Refusal]:
        station = self._stations[pump.station]
        running, fault = f"{pump.id}/running_bool", f"{pump.id}/fault_bool"
        sump, remote = f"{station.id}/sump_m", f"{station.id}/remote_bool"
        yield from self._unknown((running, fault, sump, remote, f"{station.id}/power_kw"), at_ns)
        if not self._known(remote):
            yield "local_mode", f"{station.id} is in local mode, wanted remote"
        if self._known(fault):
            yield "fault", f"{pump.id} reports a fault"
        yield from self._against_pending(pump.id, at_ns)
        if self._known(running):
            yield "no_change", f"{pump.id} runs already"
        sump_m = self._known(sump)
        if sump_m < station.sump_min_m:
            yield "dry_run", f"sump {sump_m:.2f} m, wanted {station.sump_min_m:.2f} m or more"
        yield from self._against_wear(pump, at_ns)
        yield from self._against_load(pump, at_ns)

    def _against_wear(self, pump: Pump, at_ns: int) -> Iterator[Refusal]:
        history = self._state.pumps[pump.id]
        rest_s = (at_ns - history.stopped_since_ns) / NS
        if rest_s < pump.rest_s:
            yield "rest_time", f"seen at rest for {rest_s:.0f} s, wanted {pump.rest_s:.0f} s"
        starts = sum(at_ns - start_ns < HOUR_NS for start_ns in history.starts_ns)
        if starts >= pump.starts_per_hour_max:
            allowed = pump.starts_per_hour_max
            yield "starts_per_hour", f"{starts} starts in the last hour, allowed {allowed}"

    def _against_load(self, pump: Pump, at_ns: int) -> Iterator[Refusal]:
        """One start at a time; the new pump is taken to draw by its flow what those running do."""
        station = self._stations[pump.station]
        starting = self._state.starts[station.id]
        if at_ns < starting.until_ns:
            yield "one_start", f"{starting.pump} of {station.id} is starting up"
        running_m3s = 0.0
        for other in self._pumps.values():
            if other.station == station.id and self._state.pumps[other.id].running:
                running_m3s += other.flow_m3s
        power_kw = self._known(f"{station.id}/power_kw")
        expected_kw = power_kw + (power_kw / running_m3s * pump.flow_m3s if running_m3s > 0 else 0)
        if expected_kw > station.power_kw_max:
            limit = f"allowed {station.power_kw_max:.0f} kW"
            yield "power_limit", f"{power_kw:.0f} kW, {expected_kw:.0f} kW with {pump.id}; {limit}"

    def _against_move(self, gate: Gate, wanted: float, at_ns: int) -> Iterator[Refusal]:
        at, moving, fault, remote = (
            f"{gate.id}/{q}" for q in ("opening_ratio", "moving_bool", "fault_bool", "remote_bool")
        )
        yield from self._unknown((at, moving, fault, remote), at_ns)
        opening = self._known(at)
        if not self._known(remote):
            yield "local_mode", f"{gate.id} is in local mode, wanted remote"
        if self._known(fault):
            yield "fault", f"{gate.id} reports a fault"
        if self._known(moving):
            yield "moving", f"{gate.id} is moving, at {opening:.2f}"
        yield from self._against_pending(gate.id, at_ns)
        if opening == wanted or (wanted > 0 and abs(opening - wanted) < STILL_RATIO):
            yield "no_change", f"{gate.id} stands at {opening:.2f}"
        if wanted > 0:
            yield from self._against_tide(gate, at_ns)

    def _against_tide(self, gate: Gate, at_ns: int) -> Iterator[Refusal]:
        """To a tide that would come in the only way is shut, whoever asks.

        Not even a partial closing passes: the opening read may be older than a closing by the PLC.
        """
        outside, inside = f"{gate.id}/outside_m", f"{gate.id}/inside_m"
        yield from self._unknown((outside, inside), at_ns)
        outside_m, inside_m = self._known(outside), self._known(inside)
        if outside_m > inside_m and outside_m >= gate.closing_m:
            seen = f"outside {outside_m:.2f} m, inside {inside_m:.2f} m"
            yield "tide", f"{seen}; wanted outside below {gate.closing_m:.2f} m or below inside"

    def _against_pending(self, target: str, at_ns: int) -> Iterator[Refusal]:
        pending = self._state.targets[target]
        if pending.pending_sequence and at_ns < pending.pending_until_ns:
            yield "pending", f"sequence {pending.pending_sequence} is not yet seen to be obeyed"

    def _unknown(self, points: tuple[str, ...], at_ns: int) -> Iterator[Refusal]:
        for point in points:
            if self._value(point, at_ns) is None:
                stale_s = self._stale_ns[point] / NS
                yield "state_unknown", f"{point} was not read in the last {stale_s:.0f} s"

    def _value(self, point: str, at_ns: int) -> float | None:
        reading = self._state.readings.get(point)
        if reading is None or not reading.usable or at_ns - reading.at_ns > self._stale_ns[point]:
            return None
        return reading.value

    def _known(self, point: str) -> float:
        """The value of a point that `_unknown` has let pass."""
        return self._state.readings[point].value

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._state)

    def restore(self, state: bytes) -> None:
        was = msgspec.msgpack.decode(state, type=_State)
        now = self._state  # an asset that is new in the site keeps its fresh state
        self._state = _State(
            readings=was.readings,
            mailboxes=_kept(now.mailboxes, was.mailboxes),
            targets=_kept(now.targets, was.targets),
            pumps=_kept(now.pumps, was.pumps),
            starts=_kept(now.starts, was.starts),
        )


def _kept(fresh: dict[str, T], was: dict[str, T]) -> dict[str, T]:
    return {id_: was.get(id_, state) for id_, state in fresh.items()}


def _refused(target: str, refusal: Refusal, by: str) -> CommandRefused:
    interlock, why = refusal
    return CommandRefused(target=target, interlock=interlock, why=why, by=by)
