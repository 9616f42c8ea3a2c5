"""What rows a journal step gives in the store. Decides; `store.py` writes them.

In come steps in their order; out come readings as PostgreSQL's binary COPY wants them, signal
states, and named statements (`statements.sql`) with their values, in the order in which they must
be run.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
from psycopg.types.json import Jsonb

from causeway import events as e
from causeway.events import Address, AnyEvent, Step

NS = 1_000_000_000
POSTGRES_EPOCH_NS = 946_684_800 * NS  # 2000-01-01, the origin of PostgreSQL's binary timestamps

# A row of a binary COPY: the count of fields, then each one with its length before it.
_READING = np.dtype(
    [
        ("fields", ">i2"),
        ("at_bytes", ">i4"),
        ("at_us", ">i8"),
        ("point_bytes", ">i4"),
        ("point", ">i4"),
        ("value_bytes", ">i4"),
        ("value", ">f8"),
        ("quality_bytes", ">i4"),
        ("quality", ">i2"),
    ]
)
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TAIL = b"\xff\xff"

# The `event` table holds all but the ticks, the telemetry and what has a whole row elsewhere.
_NOT_IN_EVENT = (
    e.Tick,
    e.ReadingsReceived,
    e.ReadingsObserved,
    e.SignalsObserved,
    e.SignObserved,
    e.LightingObserved,
    e.TrafficMeasured,
    e.Rejected,
    e.ForecastIssued,
)
# The field that names what an event is about: the first of these that it has.
_TARGETS = (
    "alarm",
    "incident",
    "target",
    "segment",
    "gauge",
    "pump",
    "gate",
    "junction",
    "sign",
    "circuit",
    "camera",
    "source",
    "asset",
)


class Rows:
    """The rows of some steps."""

    def __init__(self, point_ids: dict[str, int]) -> None:
        self.days: set[date] = set()  # whose partitions must exist
        self.site_hash: str | None = None
        self.observed_at_ns: list[int] = []  # of each reading
        self.signal_states: list[tuple[object, ...]] = []
        self.statements: list[tuple[str, tuple[object, ...]]] = []
        self._point_ids = point_ids
        self._points: list[int] = []
        self._values: list[float] = []
        self._qualities: list[int] = []

    def take(self, number: int, step: Step) -> None:
        """Add one step's rows."""
        for index, event in enumerate(step.events):
            address = Address(number, index)
            if not isinstance(event, _NOT_IN_EVENT):
                self._add("event", *_event_row(address, step.at_ns, event))
            self._take(address, step.at_ns, event)

    def readings_copy(self) -> bytes:
        """All readings as the data of one binary COPY into (at, point, value, quality)."""
        rows = np.zeros(len(self.observed_at_ns), _READING)
        at_ns = np.asarray(self.observed_at_ns, dtype=np.int64)
        rows["fields"] = 4
        rows["at_bytes"], rows["at_us"] = 8, (at_ns - POSTGRES_EPOCH_NS) // 1_000
        rows["point_bytes"], rows["point"] = 4, self._points
        rows["value_bytes"], rows["value"] = 8, self._values
        rows["quality_bytes"], rows["quality"] = 2, self._qualities
        return _COPY_HEAD + rows.tobytes() + _COPY_TAIL

    def _take(self, address: Address, at_ns: int, event: AnyEvent) -> None:
        match event:
            case e.ReadingsObserved():
                self._readings(event)
            case e.SignalsObserved():
                for s in event.states:
                    when = self._day(s.observed_at_ns)
                    self.signal_states.append(
                        (when, s.junction, s.stage, s.interval, s.aspects, s.mode, text(s.fault))
                    )
            case e.TrafficMeasured():
                when = self._day(event.observed_at_ns)
                shares = (event.occupancy_ratio, event.moving_ratio, event.speed_px_s)
                self._add("traffic", when, event.camera, *shares)
            case e.EngineStarted():
                self.site_hash = event.site_hash
            case e.Rejected():
                row = (event.source, event.reason, event.count, text(event.sample))
                self._add("rejection", address.step, at(at_ns), *row)
            case e.ForecastIssued():
                lead, values = list(event.lead_s), list(event.values)
                self._add(
                    "forecast", event.point, event.model, at(event.issued_at_ns), lead, values
                )
            case e.IncidentDetected() | e.IncidentEnded():
                self._incident(address, event)
            case e.AlarmRaised() | e.AlarmReturned() | e.AlarmAcknowledged():
                self._alarm(address, at_ns, event)
            case e.CommandSent() | e.CommandExpired():
                self._command_state(at_ns, event)
            case e.CommandConfirmed() | e.CommandUnconfirmed():
                self._command_state(at_ns, event)
            case (
                e.PumpCommanded()
                | e.GateCommanded()
                | e.StageCommanded()
                | e.SignCommanded()
                | e.LightingCommanded()
            ):
                self._command(address, at_ns, event)
            case _:
                pass

    def _add(self, statement: str, *values: object) -> None:
        self.statements.append((statement, values))

    def _day(self, observed_at_ns: int) -> datetime:
        when = at(observed_at_ns)
        self.days.add(when.date())
        return when

    def _readings(self, event: e.ReadingsObserved) -> None:
        for name, observed_at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            point = self._point_ids.get(name)
            if point is None:
                continue  # of an older site: its readings stay in the journal
            self.observed_at_ns.append(observed_at_ns)
            self._points.append(point)
            self._values.append(value)
            self._qualities.append(quality)
        for day in {observed_at_ns // (86_400 * NS) for observed_at_ns in event.observed_at_ns}:
            self._day(day * 86_400 * NS)

    def _incident(self, address: Address, event: e.IncidentDetected | e.IncidentEnded) -> None:
        if isinstance(event, e.IncidentEnded):
            self._add("incident_ended", at(event.observed_at_ns), event.incident)
            return
        self._add(
            "incident",
            event.incident,
            event.kind,
            event.camera,
            at(event.first_seen_at_ns),
            address.step,
            event.confidence,
            text(event.why),
        )

    def _alarm(
        self,
        address: Address,
        at_ns: int,
        event: e.AlarmRaised | e.AlarmReturned | e.AlarmAcknowledged,
    ) -> None:
        match event:
            case e.AlarmRaised():
                about = (event.priority, event.asset, event.kind)
                texts = (text(event.text_vi), text(event.text_en))
                self._add("alarm_raised", event.alarm, address.step, at(at_ns), *about, *texts)
            case e.AlarmReturned():
                self._add("alarm_returned", at(at_ns), event.alarm)
            case e.AlarmAcknowledged():
                self._add("alarm_acknowledged", at(at_ns), text(event.operator), event.alarm)

    def _command(self, address: Address, at_ns: int, event: e.AnyCommand) -> None:
        self._add(
            "command",
            *address,
            type(event).__name__,
            e.target_of(event),
            event.sequence,
            at(event.issued_at_ns),
            at(event.expires_at_ns),
            _body(event),
            at(at_ns),
        )

    def _command_state(
        self,
        at_ns: int,
        event: e.CommandSent | e.CommandExpired | e.CommandConfirmed | e.CommandUnconfirmed,
    ) -> None:
        state = type(event).__name__.removeprefix("Command").lower()
        why = "" if isinstance(event, e.CommandSent | e.CommandConfirmed) else event.why
        took_ms = event.took_ns / 1e6 if isinstance(event, e.CommandConfirmed) else None
        self._add("command_state", state, at(at_ns), text(why), took_ms, *event.command)


def at(at_ns: int) -> datetime:
    """An instant as PostgreSQL takes it, to the microsecond."""
    return datetime.fromtimestamp(at_ns // NS, UTC) + timedelta(microseconds=at_ns % NS // 1_000)


def text(value: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return value.replace("\0", "\ufffd")


def _body(event: AnyEvent) -> Jsonb:
    return Jsonb(event, dumps=_json)


def _json(event: AnyEvent) -> str:
    return msgspec.json.encode(event).decode().replace("\\u0000", "\\ufffd")


def _event_row(address: Address, at_ns: int, event: AnyEvent) -> tuple[object, ...]:
    target = next((getattr(event, name) for name in _TARGETS if hasattr(event, name)), "")
    because = event.because or (None, None)
    kind = type(event).__name__
    return (*address, at(at_ns), kind, text(str(target)), *because, _body(event))
