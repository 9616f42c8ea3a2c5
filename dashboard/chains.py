"""Decides what led to an event: follows `because` back and puts each address into words.

In come whole steps; out comes, for an address, the chain of {address, kind, text, at} from the
event itself back to the input that began it. Only the recent past is kept: a chain that reaches
further ends where the memory does, and the addresses in it let anybody read the rest from the
journal.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from causeway import events as e
from causeway.events import Address, AnyEvent, Step
from dashboard.tables import Value

ALERT_WORDS = {0: "over", 1: "watch", 2: "warning", 3: "emergency"}
NOTES_MAX = 4_096  # some minutes of a stormy city's decisions
LINKS_MAX = 12
NS = 1_000_000_000
# Too many and too alike to be remembered: their text is made while their step is at hand.
_PASSING = (
    e.Tick,
    e.ReadingsReceived,
    e.ReadingsObserved,
    e.SignalsObserved,
    e.SignObserved,
    e.LightingObserved,
    e.TrafficMeasured,
    e.RoadWaterMeasured,
    e.ForecastIssued,
    e.StagesPlanned,
    e.SignalsMeasured,
)


class Note(Struct, frozen=True, array_like=True):
    """What is remembered of an event."""

    step: int
    index: int
    kind: str
    text: str
    at_ns: int
    by: str
    because: Address | None


class Chains:
    """The recent events in words, by address."""

    def __init__(self) -> None:
        self._notes: dict[Address, Note] = {}
        self._number = 0
        self._step: Step | None = None

    def take(self, number: int, step: Step) -> None:
        """Remember a step's events."""
        self._number, self._step = number, step
        for index, event in enumerate(step.events):
            if not isinstance(event, _PASSING):
                address = Address(number, index)
                self._notes[address] = _note(address, event, step.at_ns)
        while len(self._notes) > NOTES_MAX:
            del self._notes[next(iter(self._notes))]

    def asker(self, address: Address | None) -> Note | None:
        """The request that a command or a refusal answers."""
        return None if address is None else self._notes.get(address)

    def back_from(self, address: Address) -> list[Value]:
        """The chain of an event, itself first."""
        links: list[Value] = []
        at: Address | None = address
        points: tuple[str, ...] = ()
        while at is not None and len(links) < LINKS_MAX:
            event = self._at_hand(at)
            note = self._notes.get(at)
            if event is not None and self._step is not None:
                note = _note(at, event, self._step.at_ns, points)
                points = (*points, *_points_of(event))
            if note is None:
                break
            links.append(
                {
                    "address": f"{at.step}-{at.index}",
                    "kind": note.kind,
                    "text": note.text,
                    "at": note.at_ns / NS,
                }
            )
            at = note.because
        return links

    def _at_hand(self, address: Address) -> AnyEvent | None:
        if self._step is None or address.step != self._number:
            return None
        return self._step.events[address.index] if address.index < len(self._step.events) else None

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(list(self._notes.values()))

    def restore(self, state: bytes) -> None:
        notes = msgspec.msgpack.decode(state, type=list[Note])
        self._notes = {Address(n.step, n.index): n for n in notes}
        self._step = None


def _points_of(event: AnyEvent) -> tuple[str, ...]:
    match event:
        case e.InundationChanged():
            return (event.point,)
        case e.TideLevelChanged():
            return (f"{event.gauge}/stage_m",)
        case _:
            return ()


def _note(address: Address, event: AnyEvent, at_ns: int, points: tuple[str, ...] = ()) -> Note:
    by = ""
    match event:
        case (
            e.PumpRequested()
            | e.GateRequested()
            | e.StageRequested()
            | e.SignRequested()
            | e.LightingRequested()
        ):
            by = event.by
        case _:
            pass
    text = _text(event, points)
    return Note(address.step, address.index, type(event).__name__, text, at_ns, by, event.because)


def _text(event: AnyEvent, points: tuple[str, ...]) -> str:
    """An event in a few words that need no translation: ids, values and units."""
    match event:
        case e.ReadingsReceived() | e.ReadingsObserved():
            told = dict(zip(event.points, event.values, strict=True))
            shown = [f"{p} {told[p]:.2f}" for p in points if p in told]
            return " · ".join(shown) or f"{event.source}: {len(event.points)}"
        case e.InundationChanged():
            return f"{event.segment} {event.depth_m * 100:.0f} cm → {event.level}"
        case e.TideLevelChanged():
            return f"{event.gauge} {event.stage_m:.2f} m ≥ {event.threshold_m:.2f} m"
        case e.InundationForecast():
            return f"{len(event.streets)} streets, {event.members} members; {event.inputs}"
        case e.FloodAlertChanged():
            return f"{event.segment} {ALERT_WORDS[event.level]}: {event.why}"
        case e.BasinAlertChanged():
            return f"{event.name} {ALERT_WORDS[event.level]}: {event.why}"
        case e.StandingWaterChanged():
            return f"{event.segment} {event.standing.value} {event.depth_m * 100:.0f} cm"
        case e.FloodAlertScored():
            lead = "" if event.lead_s is None else f", {event.lead_s // 60} min"
            return f"{event.segment} {event.outcome.value}{lead}"
        case e.OutlookScored():
            return f"{event.lead_s // 60} min: {event.mae_m * 100:.1f} cm, {event.streets} streets"
        case e.ClosureProposed():
            return f"{event.segment} {event.depth_m * 100:.0f} cm: {', '.join(event.classes)}"
        case e.ClosureDecided():
            return f"{event.segment} {'✓' if event.approved else '✗'} {event.operator}"
        case e.ClosureWithdrawn():
            return f"{event.segment} {event.depth_m * 100:.0f} cm"
        case e.SignalOverrideRequested():
            return f"{event.junction} {event.action} {event.for_s:.0f} s {event.operator}"
        case e.StagesPlanned():
            return f"{len(event.plans)}"
        case _:
            return _request_text(event)


def _request_text(event: AnyEvent) -> str:
    match event:
        case e.PumpRequested():
            return f"{event.pump} {what(event)}: {event.why}"
        case e.GateRequested():
            return f"{event.gate} {what(event)}: {event.why}"
        case e.StageRequested():
            return f"{event.junction} {what(event)}: {event.why}"
        case e.SignRequested():
            return f"{event.sign} “{what(event)}”: {event.why}"
        case e.LightingRequested():
            return f"{event.circuit} {what(event)}: {event.why}"
        case e.CommandRefused():
            return f"{event.target} {event.interlock}: {event.why}"
        case e.AlarmRaised():
            return f"{event.alarm} {event.text_vi}"
        case e.IncidentDetected():
            return f"{event.camera} {event.kind}: {event.why}"
        case _:
            return ""


def what(event: AnyEvent) -> str:
    """What a request or command is for; empty for any other event."""
    match event:
        case e.PumpRequested() | e.PumpCommanded():
            return "run" if event.run else "stop"
        case e.GateRequested() | e.GateCommanded():
            return f"{event.opening_ratio * 100:.0f} %"
        case e.StageRequested() | e.StageCommanded():
            return event.stage
        case e.SignRequested() | e.SignCommanded():
            return event.text
        case e.LightingRequested() | e.LightingCommanded():
            return f"{event.level_ratio * 100:.0f} %"
        case _:
            return ""
