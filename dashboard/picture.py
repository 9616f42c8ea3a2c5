"""Decides what the wall shows: folds every journalled step into the tables of docs/INTERFACES.md.

In come (number, step) in the journal's order, nothing else; out go whole snapshots and the fields
that changed since the last delta. `server.py` sends them. What a camera looks like travels apart
(`frame_at` says only that there is a picture), and the `status` row is the server's own
knowledge.

Laws of this file:
1. The same steps give the same tables; time is the steps' `at_ns`.
2. A value that is stale, bad or unknown is shown as such, never as the last good one.
3. Every table has a bound: the site's assets, or a number below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import msgspec
from msgspec import Struct

from causeway import events as e
from causeway.events import AnyEvent, Now, Quality, Step
from causeway.site import Site
from causeway.streams import STREAMS
from dashboard.alarm_table import AlarmTable
from dashboard.camera_table import CameraTable
from dashboard.chains import NS, Chains
from dashboard.closure_table import ClosureTable
from dashboard.command_log import CommandLog
from dashboard.congestion import Congestion
from dashboard.outlook_table import OutlookTable
from dashboard.signal_table import SignalTable
from dashboard.tables import Delta, Row, Rows, Tables, Value
from dashboard.weather import Rain, Tide

TABLES = (
    "points",
    "signals",
    "measures",
    "bands",
    "segments",
    "cameras",
    "pumps",
    "gates",
    "stations",
    "signs",
    "circuits",
    "alarms",
    "incidents",
    "commands",
    "sources",
    "closures",
    "tide",
    "rain",
    "forecasts",
    "outlooks",
    "outlook_runs",
    "outlook_skill",
    "basins",
    "standing",
    "status",
)
SHOWN_QUANTITIES = {
    "running_bool": "running",
    "flow_m3s": "flow_m3s",
    "current_a": "current_a",
    "fault_bool": "fault",
    "opening_ratio": "opening",
    "inside_m": "inside_m",
    "outside_m": "outside_m",
    "moving_bool": "moving",
    "sump_m": "sump_m",
    "remote_bool": "remote",
    "power_kw": "power_kw",
}
# Tables whose keys are not all of the site's.
FREE_TABLES = frozenset(
    (
        "alarms",
        "incidents",
        "commands",
        "closures",
        "sources",
        "forecasts",
        "outlooks",
        "outlook_runs",
        "outlook_skill",
        "basins",
        "standing",
    )
)
SOURCES_MAX = 5_000  # what is unknown to the site may speak too, and is rejected under its name
COUNTS_SHOWN_EVERY_S = 5.0  # message counts change with each message: told now and then
SIGNAL_STALE_S = STREAMS[e.SignalsObserved].stale_s or 10.0
STALE = 3
SAMPLE_CHARS = 200
OPERATORS_ROW = "centre"


class _State(Struct):
    """All that a picture knows, for a snapshot."""

    at_ns: int
    number: int
    tables: dict[str, dict[str, dict[str, object]]]
    counts: dict[str, int]
    counts_shown_at_ns: int
    chains: bytes
    commands: bytes
    congestion: bytes
    rain: bytes
    tide: bytes


class Picture:
    """The tables of the wall."""

    def __init__(self, site: Site) -> None:
        self.at_ns = 0
        self.number = 0
        self._site = site
        self._tables = Tables(TABLES)
        self._chains = Chains()
        self._commands = CommandLog(self._tables, self._chains)
        self._congestion = Congestion(site, self._tables)
        self._rain = Rain(site, self._tables)
        self._tide = Tide(site, self._tables)
        self._cameras = CameraTable(site, self._tables, self._congestion)
        self._alarms = AlarmTable(self._tables)
        self._closures = ClosureTable(self._tables, self._chains)
        self._signals = SignalTable(site, self._tables)
        self._outlooks = OutlookTable(site, self._tables, self._chains)
        self._counts: dict[str, int] = {}
        self._counts_shown_at_ns = 0
        self._street_of = {
            f"{g.id}/depth_m": g.segment
            for g in site.gauges
            if g.kind == "street" and g.segment is not None
        }
        self._place_of = _places(site)
        self._folds = self._fold_of_type()
        self._empty_rows()

    def apply(self, number: int, step: Step) -> None:
        """Fold one step in. A number at or below the last one is known already."""
        if number <= self.number:
            return
        self.number, self.at_ns = number, step.at_ns
        self._chains.take(number, step)
        for index, event in enumerate(step.events):
            fold = self._folds.get(type(event))
            if fold is not None:
                fold(event, Now(step.at_ns, e.Address(number, index)))

    def snapshot(self) -> dict[str, Rows]:
        """Every table, whole. Not to be kept: it is the picture itself."""
        return self._tables.rows

    def take_delta(self) -> Delta | None:
        """What has changed since the last call, or None."""
        return self._tables.take_delta()

    def frame_seen(self, camera: str, observed_at_ns: int) -> None:
        """A picture of this camera can be had; it is of that time."""
        if camera in self._tables.rows["cameras"]:
            at = _seconds(observed_at_ns)
            self._tables.put("cameras", camera, frame_at=at, at=at)

    def status(self, **fields: Value) -> None:
        """The server's own row."""
        self._tables.put("status", OPERATORS_ROW, **fields)

    def encode(self) -> bytes:
        """The whole state, for a snapshot."""
        tables = {name: rows for name, rows in self._tables.rows.items() if name != "status"}
        return msgspec.msgpack.encode(
            _State(
                self.at_ns,
                self.number,
                tables,  # type: ignore[arg-type]  # dict is invariant; its values are plain values
                self._counts,
                self._counts_shown_at_ns,
                self._chains.encode(),
                self._commands.encode(),
                self._congestion.encode(),
                self._rain.encode(),
                self._tide.encode(),
            )
        )

    def restore(self, state: bytes) -> None:
        """Take up a state; assets that the site has no more are left out of it."""
        old = msgspec.msgpack.decode(state, type=_State)
        self.at_ns, self.number = old.at_ns, old.number
        self._counts, self._counts_shown_at_ns = old.counts, old.counts_shown_at_ns
        for table, rows in old.tables.items():
            known = self._tables.rows.get(table)
            if known is None:
                continue
            free = table in FREE_TABLES
            for key, row in rows.items():
                if free or key in known or key in self._site.points:
                    self._tables.put(table, key, **cast(Row, row))
        for camera in self._tables.rows["cameras"]:
            self._tables.put("cameras", camera, frame_at=0)
        self._chains.restore(old.chains)
        self._commands.restore(old.commands)
        self._congestion.restore(old.congestion)
        self._rain.restore(old.rain)
        self._tide.restore(old.tide)

    def _empty_rows(self) -> None:
        """A row for each asset, before anything is known of it."""
        put, site = self._tables.put, self._site
        for j in site.junctions:
            put("signals", j.id, **_UNKNOWN_SIGNAL, control="automatic", wanted="", at=0, since=0)
        for s in site.segments:
            put("segments", s.id, depth_m=None, level=0, congestion=0, closure="", at=0)
        for p in site.pumps:
            put("pumps", p.id, running=None, fault=None, flow_m3s=None, current_a=None)
            put("pumps", p.id, mode="automatic", wanted=None)
        for g in site.gates:
            put("gates", g.id, opening=None, inside_m=None, outside_m=None, moving=None)
            put("gates", g.id, fault=None, remote=None, mode="automatic", wanted=None)
        for st in site.stations:
            put("stations", st.id, sump_m=None, remote=None, power_kw=None)
        for sign in site.signs:
            put("signs", sign.id, text=None, at=0, control="automatic", wanted=None)
        for lc in site.circuits:
            put("circuits", lc.id, level_ratio=None, at=0, control="automatic", wanted=None)
        for source in _sources(site):
            put("sources", source, state="unknown", why="", at=0, n=0, rejected={}, sample="")
        for plc in site.plcs:
            put("sources", plc.id, local=None)

    def _fold_of_type(self) -> dict[type, Callable[[AnyEvent, Now], None]]:
        folds: dict[Callable[[AnyEvent, Now], None], tuple[type, ...]] = {
            self._time: (e.Tick,),
            self._readings: (e.ReadingsReceived, e.ReadingsObserved),
            self._field: (e.SignalsObserved, e.SignObserved, e.LightingObserved),
            self._source: (e.SourceReached, e.SourceLost, e.Rejected),
            self._watchdog: (e.WatchdogObserved,),
            self._started: (e.EngineStarted,),
            self._camera: CameraTable.hears,
            self._alarms.take: AlarmTable.hears,
            self._signals.take: SignalTable.hears,
            self._closures.take: ClosureTable.hears,
            self._water: (
                e.TideLevelChanged,
                e.InundationChanged,
                e.ForecastIssued,
            ),
            self._mode: (e.ControlModeChanged,),
            self._outlooks.take: OutlookTable.hears,
            self._commands.take: CommandLog.hears,
        }
        return {kind: fold for fold, kinds in folds.items() for kind in kinds}

    # --- time ------------------------------------------------------------------------------------

    def _time(self, event: AnyEvent, now: Now) -> None:
        at = _seconds(now.at_ns)
        for point, row in self._tables.rows["points"].items():
            if row["q"] == STALE:
                continue
            seen = row["at"]
            assert isinstance(seen, float)
            if at - seen > self._site.points[point].stale_after_s:
                self._tables.put("points", point, q=STALE)
                self._show(point, None, seen)
        for junction, row in self._tables.rows["signals"].items():
            seen = row["at"]
            if not isinstance(seen, float) or at - seen <= SIGNAL_STALE_S:
                continue
            if row["interval"] != "unknown":
                self._tables.put("signals", junction, **_UNKNOWN_SIGNAL, since=seen)
                self._signals.shown(junction, "", "unknown", seen)
        self._cameras.forget_ended(at)
        if now.at_ns - self._counts_shown_at_ns >= COUNTS_SHOWN_EVERY_S * NS:
            self._counts_shown_at_ns = now.at_ns
            for source, n in self._counts.items():
                self._tables.put("sources", source, n=n)

    # --- the field -------------------------------------------------------------------------------

    def _readings(self, event: AnyEvent, now: Now) -> None:
        if isinstance(event, e.ReadingsReceived):
            spoken = dict.fromkeys(
                self._site.points[p].source for p in event.points if p in self._site.points
            )
            for source in spoken:
                self._heard(source, now)
            return
        assert isinstance(event, e.ReadingsObserved)
        points = self._tables.rows["points"]
        for point, observed_at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            at = _seconds(observed_at_ns)
            row = points.get(point)
            if point not in self._site.points or (row is not None and _later(row["at"], at)):
                continue
            shown = round(value, 4)
            self._tables.put("points", point, v=shown, q=int(quality), at=at)
            usable = quality in (Quality.GOOD, Quality.UNCERTAIN)
            self._show(point, shown if usable else None, at)

    def _show(self, point: str, value: float | None, at: float) -> None:
        """Put a point's value where the wall shows it; None where it cannot be believed."""
        segment = self._street_of.get(point)
        if segment is not None and segment in self._tables.rows["segments"]:
            self._tables.put("segments", segment, depth_m=value, at=at)
        place = self._place_of.get(point)
        if place is not None:
            table, key, name = place
            told = value if not point.endswith("_bool") or value is None else value != 0
            self._tables.put(table, key, **{name: told})
            self._commands.observed(table, key, name, told)
        self._congestion.queue(point, value)
        self._rain.read(point, value, at)
        self._tide.read(point, value, at)

    def _field(self, event: AnyEvent, now: Now) -> None:
        match event:
            case e.SignalsObserved():
                for state in event.states:
                    self._signal(state, now)
            case e.SignObserved() if event.sign in self._tables.rows["signs"]:
                at = _seconds(event.observed_at_ns)
                self._tables.put("signs", event.sign, text=event.text, at=at)
                self._commands.observed("signs", event.sign, "text", event.text)
                self._heard(event.sign, now)
            case e.LightingObserved() if event.circuit in self._tables.rows["circuits"]:
                at = _seconds(event.observed_at_ns)
                level = round(event.level_ratio, 3)
                self._tables.put("circuits", event.circuit, level_ratio=level, at=at)
                self._commands.observed("circuits", event.circuit, "level_ratio", level)
                self._heard(event.circuit, now)
            case _:
                pass

    def _signal(self, state: e.SignalState, now: Now) -> None:
        row = self._tables.rows["signals"].get(state.junction)
        if row is None:
            return
        at = _seconds(state.observed_at_ns)
        if _later(row["at"], at):
            return
        same = row["stage"] == state.stage and row["interval"] == state.interval.value
        self._tables.put(
            "signals",
            state.junction,
            stage=state.stage,
            interval=state.interval.value,
            aspects=state.aspects,
            mode=state.mode.value,
            fault=state.fault,
            since=row["since"] if same else at,
            at=at,
        )
        if not same:
            self._signals.shown(state.junction, state.stage, state.interval.value, at)
        if state.interval is e.Interval.GREEN:
            self._commands.observed("signals", state.junction, "stage", state.stage)
        self._heard(state.junction, now)

    def _camera(self, event: AnyEvent, now: Now) -> None:
        self._cameras.take(event, now)
        if isinstance(event, e.TrafficMeasured):
            self._heard(event.camera, now)

    def _heard(self, source: str, now: Now) -> None:
        row = self._tables.rows["sources"].get(source)
        if row is None:
            return
        self._counts[source] = self._counts.get(source, 0) + 1
        if row["state"] == "unknown":
            self._tables.put("sources", source, state="up", at=_seconds(now.at_ns))

    def _source(self, event: AnyEvent, now: Now) -> None:
        assert isinstance(event, e.SourceReached | e.SourceLost | e.Rejected)
        sources = self._tables.rows["sources"]
        at = _seconds(now.at_ns)
        if event.source not in sources:
            if len(sources) >= SOURCES_MAX:
                return
            self._tables.put("sources", event.source, state="unknown", why="", at=0, n=0)
            self._tables.put("sources", event.source, rejected={}, sample="")
        match event:
            case e.SourceReached():
                self._tables.put("sources", event.source, state="up", why="", at=at)
            case e.SourceLost():
                self._tables.put("sources", event.source, state="silent", why=event.why, at=at)
            case e.Rejected():
                counted = sources[event.source]["rejected"]
                assert isinstance(counted, dict)
                reason = event.reason.value
                before = counted.get(reason, 0)
                assert isinstance(before, int)
                rejected: dict[str, Value] = {**counted, reason: before + event.count}
                sample = f"{reason}: {event.sample[:SAMPLE_CHARS]}"
                self._tables.put("sources", event.source, rejected=rejected, sample=sample)

    def _started(self, _event: AnyEvent, _now: Now) -> None:
        """What a run before this one heard of its sources says nothing of them now."""
        for source in self._tables.rows["sources"]:
            self._tables.put("sources", source, state="unknown", why="")
        for plc in self._site.plcs:
            self._tables.put("sources", plc.id, local=None)

    def _watchdog(self, event: AnyEvent, _now: Now) -> None:
        assert isinstance(event, e.WatchdogObserved)
        if event.plc in self._tables.rows["sources"]:
            self._tables.put("sources", event.plc, local=event.taken_over)

    # --- water -----------------------------------------------------------------------------------

    def _water(self, event: AnyEvent, now: Now) -> None:
        segments = self._tables.rows["segments"]
        match event:
            case e.TideLevelChanged():
                self._tide.level(event)
            case e.InundationChanged() if event.segment in segments:
                self._tables.put("segments", event.segment, level=event.level)
            case e.ForecastIssued() if event.point in self._site.points:
                self._tables.put(
                    "forecasts",
                    event.point,
                    model=event.model,
                    issued=_seconds(event.issued_at_ns),
                    lead_s=list(event.lead_s),
                    v=[round(value, 3) for value in event.values],
                )
            case _:
                pass

    def _mode(self, event: AnyEvent, now: Now) -> None:
        assert isinstance(event, e.ControlModeChanged)
        for table, name in (
            ("pumps", "mode"),
            ("gates", "mode"),
            ("signals", "control"),
            ("signs", "control"),
            ("circuits", "control"),
        ):
            if event.asset in self._tables.rows[table]:
                self._tables.put(table, event.asset, **{name: event.mode.value})


_UNKNOWN_SIGNAL: dict[str, Value] = {
    "stage": "",
    "interval": "unknown",
    "aspects": "",
    "mode": "unknown",
    "fault": "",
}


def _seconds(at_ns: int) -> float:
    return round(at_ns / NS, 3)


def _later(seen: Value, at: float) -> bool:
    """Whether a row's time is past `at`: then what comes in was overtaken on its way."""
    return isinstance(seen, float) and seen > at


def _places(site: Site) -> dict[str, tuple[str, str, str]]:
    """Where each point of a pump, gate, station stands: table, row, field."""
    table_of = {p.id: "pumps" for p in site.pumps}
    table_of |= {g.id: "gates" for g in site.gates}
    table_of |= {s.id: "stations" for s in site.stations}
    return {
        point.id: (table_of[point.asset], point.asset, SHOWN_QUANTITIES[point.quantity])
        for point in site.points.values()
        if point.asset in table_of and point.quantity in SHOWN_QUANTITIES
    }


def _sources(site: Site) -> list[str]:
    """Every device, PLC and camera that is to be heard."""
    return [
        *(g.id for g in site.gauges),
        *(j.id for j in site.junctions),
        *(s.id for s in site.signs),
        *(lc.id for lc in site.circuits),
        *(p.id for p in site.plcs),
        *(c.id for c in site.cameras),
    ]
