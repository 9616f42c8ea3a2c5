"""What rows a journal step gives in the store. Decides; `store/` writes them.

In come steps in their order; out come readings as PostgreSQL's binary COPY wants them, rows for
other COPYs, and named statements (`statements.sql`) with their values, in the order in which they
must be run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import numpy.typing as npt
from psycopg.types.json import Jsonb

from causeway import events as e
from causeway.events import Address, AnyEvent, Step

NS = 1_000_000_000
MINUTE_NS = 60 * NS
DAY_NS = 86_400 * NS
AT_NS_MIN, AT_NS_MAX = 0, 2**63 - 1  # 1970 to 2262: what 64 bits of nanoseconds hold
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
    e.RoadWaterMeasured,
    e.Rejected,
    e.ForecastIssued,
)
# The field that names what an event is about: the first of these that it has.
_TARGETS = (
    "alarm",
    "incident",
    "target",
    "segment",
    "basin",
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
        self.site_hash: str | None = None
        self.observed_at_ns: list[int] = []  # of each reading
        self.copies: dict[str, list[tuple[object, ...]]] = {}  # by the name of their COPY
        self.statements: list[tuple[str, tuple[object, ...]]] = []
        self._point_ids = point_ids
        self._points: list[int] = []
        self._values: list[float] = []
        self._qualities: list[int] = []
        self._days: set[int] = set()  # of the steps, since the Unix epoch

    def take(self, number: int, step: Step) -> None:
        """Add one step's rows."""
        for index, event in enumerate(step.events):
            self.take_event(Address(number, index), step.at_ns, event)

    def take_event(self, address: Address, at_ns: int, event: AnyEvent) -> None:
        """Add one event's rows; raises ValueError where it is not of one piece."""
        self._days.add(at_ns // DAY_NS)
        if not isinstance(event, _NOT_IN_EVENT):
            self._copy("event", *_event_row(address, at_ns, event))
        self._take(address, at_ns, event)

    def readings_copy(self) -> bytes:
        """All readings as the data of one binary COPY into (at, point, value, quality)."""
        rows = np.zeros(len(self.observed_at_ns), _READING)
        rows["fields"] = 4
        rows["at_bytes"], rows["at_us"] = 8, (self._at_ns() - POSTGRES_EPOCH_NS) // 1_000
        rows["point_bytes"], rows["point"] = 4, self._points
        rows["value_bytes"], rows["value"] = 8, self._values
        rows["quality_bytes"], rows["quality"] = 2, self._qualities
        return _COPY_HEAD + rows.tobytes() + _COPY_TAIL

    def minutes(self) -> list[datetime]:
        """The minutes in which there are readings."""
        return [at(int(minute) * MINUTE_NS) for minute in np.unique(self._at_ns() // MINUTE_NS)]

    def days(self) -> list[date]:
        """The days whose partitions should exist: those near a step.

        A broken clock must not make a table for every day that it names.
        """
        named = {int(day) for day in np.unique(self._at_ns() // DAY_NS)} | self._days
        near = {day + off for day in self._days for off in (-1, 0, 1)}
        return [at(day * DAY_NS).date() for day in sorted(named & near)]

    def singly(self) -> Iterator[Rows]:
        """The same rows, one at a time."""
        readings = zip(
            self.observed_at_ns, self._points, self._values, self._qualities, strict=True
        )
        for observed_at_ns, point, value, quality in readings:
            one = Rows(self._point_ids)
            one.observed_at_ns, one._points = [observed_at_ns], [point]
            one._values, one._qualities = [value], [quality]
            yield one
        for name, rows in self.copies.items():
            for row in rows:
                one = Rows(self._point_ids)
                one.copies[name] = [row]
                yield one
        for statement in self.statements:
            one = Rows(self._point_ids)
            one.statements = [statement]
            yield one

    def _at_ns(self) -> npt.NDArray[np.int64]:
        """Raises OverflowError beyond 64 bits."""
        return np.asarray(self.observed_at_ns, dtype=np.int64).clip(AT_NS_MIN, AT_NS_MAX)

    def _take(self, address: Address, at_ns: int, event: AnyEvent) -> None:
        match event:
            case e.ReadingsObserved():
                self._readings(event)
            case e.SignalsObserved():
                for s in event.states:
                    when = _near(s.observed_at_ns, at_ns)
                    seen = (s.stage, s.interval, s.aspects, s.mode, s.fault)
                    self._copy("signal_states", when, s.junction, *seen)
            case e.TrafficMeasured():
                when = _near(event.observed_at_ns, at_ns)
                shares = (event.occupancy_ratio, event.moving_ratio, event.speed_px_s)
                self._copy("traffic", when, event.camera, *shares)
            case e.EngineStarted():
                self.site_hash = event.site_hash
            case e.Rejected():
                row = (event.source, event.reason, event.count, event.sample)
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
        self.statements.append((statement, _storable(values)))

    def _copy(self, name: str, *values: object) -> None:
        self.copies.setdefault(name, []).append(_storable(values))

    def _readings(self, event: e.ReadingsObserved) -> None:
        """A reading of an older site's point is left out: it stays in the journal."""
        columns = (event.points, event.observed_at_ns, event.values, event.qualities)
        if len({len(column) for column in columns}) != 1:
            raise ValueError(f"readings of {event.source}: columns of different lengths")
        points = [self._point_ids.get(name) for name in event.points]
        known = [n for n, point in enumerate(points) if point is not None]
        if len(known) < len(points):
            event = msgspec.structs.replace(
                event,
                observed_at_ns=tuple(event.observed_at_ns[n] for n in known),
                values=tuple(event.values[n] for n in known),
                qualities=tuple(event.qualities[n] for n in known),
            )
        self._points.extend(point for point in points if point is not None)
        self.observed_at_ns.extend(event.observed_at_ns)
        self._values.extend(event.values)
        self._qualities.extend(event.qualities)

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
            event.why,
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
                texts = (event.text_vi, event.text_en)
                self._add("alarm_raised", event.alarm, address.step, at(at_ns), *about, *texts)
            case e.AlarmReturned():
                self._add("alarm_returned", at(at_ns), event.alarm)
            case e.AlarmAcknowledged():
                self._add("alarm_acknowledged", at(at_ns), event.operator, event.alarm)

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
        self._add("command_state", state, at(at_ns), why, took_ms, *event.command)


def at(at_ns: int) -> datetime:
    """An instant as PostgreSQL takes it, to the microsecond; the nearest one that 64 bits hold."""
    at_ns = min(max(at_ns, AT_NS_MIN), AT_NS_MAX)
    return datetime.fromtimestamp(at_ns // NS, UTC) + timedelta(microseconds=at_ns % NS // 1_000)


def text(value: str) -> str:
    """PostgreSQL's text holds no NUL. (Nor half a surrogate pair, but the journal has none.)"""
    return value.replace("\0", "\ufffd")


def size_of(step: Step) -> int:
    """About how many rows a step gives: what a queue of steps is bounded by."""
    size = 0
    for event in step.events:
        size += len(event.points) if isinstance(event, e.ReadingsObserved) else 1
    return size


def _storable(values: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(text(value) if isinstance(value, str) else value for value in values)


def _near(observed_at_ns: int, at_ns: int) -> datetime:
    """A device's own time, or the step's where they are more than a day apart: a broken clock."""
    return at(observed_at_ns if abs(observed_at_ns - at_ns) < DAY_NS else at_ns)


def _body(event: AnyEvent) -> Jsonb:
    return Jsonb(event, dumps=_json)


def _json(event: AnyEvent) -> str:
    return msgspec.json.encode(event).decode().replace("\\u0000", "\\ufffd")


def _event_row(address: Address, at_ns: int, event: AnyEvent) -> tuple[object, ...]:
    target = next((getattr(event, name) for name in _TARGETS if hasattr(event, name)), "")
    because = event.because or (None, None)
    kind = type(event).__name__
    return (*address, at(at_ns), kind, str(target), *because, _body(event))
