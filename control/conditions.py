"""Decides which conditions of the city deserve an alarm, how urgent each is and what it says.

In come facts: levels, incidents, health, silence, unconfirmed commands, faults. Out go `Change`s:
an alarm's condition holds (with priority and words in both languages), or it is normal again.
`alarms.py` makes the life cycle of alarms from them, `alarm_kinds.py` holds the table of
urgency, delays and words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    BasinAlertChanged,
    CameraHealth,
    CameraHealthObserved,
    CommandConfirmed,
    CommandUnconfirmed,
    EngineStarted,
    FloodAlertChanged,
    IncidentDetected,
    IncidentEnded,
    Interval,
    InundationChanged,
    Quality,
    ReadingsObserved,
    SignalMode,
    SignalsObserved,
    SignalState,
    SourceLost,
    SourceReached,
    Tick,
    TideLevelChanged,
    WatchdogObserved,
)
from causeway.site import Gate, Junction, Site
from control.alarm_kinds import (
    BASIN_PRIORITY,
    CAMERA_PRIORITY,
    CAMERA_WORDS,
    CENTRE_CLOCK_PRIORITY,
    CLOCK_PRIORITY,
    COMMAND_PRIORITY,
    EXPECTED_PRIORITY,
    FLOOD_PRIORITY,
    GATE_FAULT_PRIORITY,
    GATE_OPEN_PRIORITY,
    INCIDENT_PRIORITY,
    KINDS,
    PUMP_FAULT_PRIORITY,
    ROMAN,
    SIGNAL_LOCAL_PRIORITY,
    SIGNAL_PRIORITY,
    TAKEOVER_PRIORITY,
    TIDE_PRIORITY,
)
from control.clocks import Clocks
from control.inundation.alerts import EMERGENCY
from control.inundation.basins import basins_of
from control.signals.safety import conflicting

CENTRE = "centre"  # an asset that no site has: the control room itself
OPEN_RATIO = 0.02  # a gate that is less open is closed
OUTSIDE_BAND_M = 0.05  # the tide must fall so far below the closing level before a gate may be open
GRACE_NS = 45 * 1_000_000_000  # after a start: who has not spoken by then is silent
INCIDENTS_MAX = 64  # open ones of a kind at one camera; more change nothing


class Condition(Struct, frozen=True):
    """What an alarm says while its condition holds."""

    asset: str
    kind: str
    priority: int
    text_vi: str
    text_en: str
    on_s: float
    off_s: float


class Change(NamedTuple):
    """An alarm's condition holds now, or (None) is normal."""

    alarm: str
    condition: Condition | None


class _Reading(Struct):
    """A value and when it was measured."""

    value: float
    observed_at_ns: int


class _Expected(Struct):
    """A road's warning."""

    level: int
    peak_m: float
    onset_at_ns: int


class _State(Struct):
    """What must be remembered between facts."""

    readings: dict[str, _Reading] = {}  # of the points that are watched here
    incidents: dict[str, list[str]] = {}  # the open ones, by alarm
    gates_open: list[str] = []
    expected: dict[str, _Expected] = {}  # the roads with a warning
    expected_has_changed: bool = False
    grace_until_ns: int = 0
    clocks: Clocks = msgspec.field(default_factory=Clocks)


class Conditions:
    """From facts to the conditions that alarm."""

    hears = frozenset(
        {
            EngineStarted,
            InundationChanged,
            FloodAlertChanged,
            BasinAlertChanged,
            TideLevelChanged,
            IncidentDetected,
            IncidentEnded,
            CameraHealthObserved,
            SourceLost,
            SourceReached,
            WatchdogObserved,
            CommandUnconfirmed,
            CommandConfirmed,
            ReadingsObserved,
            SignalsObserved,
            Tick,
        }
    )

    def __init__(self, site: Site) -> None:
        self._names = _names(site)
        self._source_priority = _source_priorities(site)
        self._junctions = {j.id: j for j in site.junctions}
        self._fault_of = {f"{p.id}/fault_bool": ("pump", p.id) for p in site.pumps}
        self._fault_of |= {f"{g.id}/fault_bool": ("gate", g.id) for g in site.gates}
        self._gate_of = {
            f"{gate.id}/{quantity}": gate
            for gate in site.gates
            for quantity in ("opening_ratio", "outside_m")
        }
        self._state = _State()

    def changes(self, event: AnyEvent, at_ns: int) -> Iterator[Change]:
        """What a fact of this moment changes."""
        match event:
            case EngineStarted():
                self._state.grace_until_ns = at_ns + int(GRACE_NS * event.stretch)
                self._state.clocks.start(event.stretch)
                yield from self._no_incidents()
            case Tick():
                self._state.clocks.tick(at_ns)
                yield from self._clocks(at_ns)
                yield from self._expected(at_ns)
            case FloodAlertChanged():
                self._expect(event)
            case BasinAlertChanged():
                yield from self._basin(event, at_ns)
            case InundationChanged():
                yield from self._flood(event)
            case TideLevelChanged():
                yield from self._tide(event)
            case IncidentDetected():
                yield from self._incident(event)
            case IncidentEnded():
                yield from self._incident_ended(event)
            case CameraHealthObserved():
                yield from self._camera(event, self._grace_s(at_ns))
            case SourceLost():
                yield from self._source_lost(event, self._grace_s(at_ns))
            case SourceReached():
                yield self._normal("source", event.source)
            case WatchdogObserved():
                yield from self._watchdog(event, self._grace_s(at_ns))
            case CommandUnconfirmed() if event.superseded_by == 0:
                yield from self._holds("command", event.target, COMMAND_PRIORITY)
            case CommandConfirmed():
                yield self._normal("command", event.target)
            case ReadingsObserved():
                yield from self._readings(event)
            case SignalsObserved():
                self._state.clocks.hear(event.states, self._junctions, at_ns)
                yield from self._clocks(at_ns)
                for state in event.states:
                    yield from self._signal(state, self._grace_s(at_ns))
            case _:
                pass

    def _holds(
        self, kind: str, asset: str, priority: int, late_s: float = 0.0, **words: str
    ) -> Iterator[Change]:
        """The condition of an asset that the site knows; `late_s` adds to the on delay."""
        name = self._names.get(asset)
        if name is None:
            return
        row = KINDS[kind]
        yield Change(
            row.tag.format(asset),
            Condition(
                asset=asset,
                kind=kind,
                priority=priority,
                text_vi=row.text_vi.format(name=name.vi, **words),
                text_en=row.text_en.format(name=name.en, **words),
                on_s=float(row.on_s) + late_s,
                off_s=float(row.off_s),
            ),
        )

    def _normal(self, kind: str, asset: str) -> Change:
        return Change(KINDS[kind].tag.format(asset), None)

    def _grace_s(self, at_ns: int) -> float:
        """How long after a start silence is still no news."""
        return max(0, self._state.grace_until_ns - at_ns) / 1e9

    def _flood(self, event: InundationChanged) -> Iterator[Change]:
        if event.level == 0:
            yield self._normal("flood", event.segment)
        else:
            priority = FLOOD_PRIORITY[event.level]
            depth = f"{event.depth_m * 100:.0f}"
            yield from self._holds("flood", event.segment, priority, depth=depth)

    def _expect(self, event: FloodAlertChanged) -> None:
        """Note a road's warning; `_expected` makes one alarm of all of them, once a second."""
        expected = self._state.expected
        if event.level in EXPECTED_PRIORITY and event.onset_at_ns is not None:
            expected[event.segment] = _Expected(event.level, event.peak_m, event.onset_at_ns)
        elif expected.pop(event.segment, None) is None:
            return
        self._state.expected_has_changed = True

    def _expected(self, at_ns: int) -> Iterator[Change]:
        if not self._state.expected_has_changed:
            return
        self._state.expected_has_changed = False
        expected = self._state.expected
        if not expected:
            yield self._normal("flood_expected", CENTRE)
            return
        first = min(expected, key=lambda s: (expected[s].onset_at_ns, s))
        when_vi, when_en = _in(expected[first].onset_at_ns, at_ns)
        yield from self._holds(
            "flood_expected",
            CENTRE,
            EXPECTED_PRIORITY[max(e.level for e in expected.values())],
            count=str(len(expected)),
            street=self._names[first].vi if first in self._names else first,
            when_vi=when_vi,
            when_en=when_en,
            peak=f"{max(e.peak_m for e in expected.values()) * 100:.0f}",
        )

    def _basin(self, event: BasinAlertChanged, at_ns: int) -> Iterator[Change]:
        if event.level < EMERGENCY:
            yield self._normal("basin", event.basin)
            return
        when_vi, when_en = _in(event.onset_at_ns, at_ns)
        yield from self._holds(
            "basin",
            event.basin,
            BASIN_PRIORITY,
            count=str(len(event.streets)),
            of=str(event.of),
            when_vi=when_vi,
            when_en=when_en,
            peak=f"{event.peak_m * 100:.0f}",
        )

    def _tide(self, event: TideLevelChanged) -> Iterator[Change]:
        if event.level == 0:
            yield self._normal("tide", event.gauge)
        else:
            yield from self._holds(
                "tide",
                event.gauge,
                TIDE_PRIORITY[event.level],
                roman=ROMAN[event.level],
                threshold_vi=_vi(event.threshold_m),
                threshold_en=f"{event.threshold_m:.2f}",
            )

    def _incident(self, event: IncidentDetected) -> Iterator[Change]:
        kind = event.kind.value
        for change in self._holds(kind, event.camera, INCIDENT_PRIORITY[event.kind]):
            open_now = self._state.incidents.setdefault(change.alarm, [])
            if event.incident not in open_now and len(open_now) < INCIDENTS_MAX:
                open_now.append(event.incident)
            yield change

    def _incident_ended(self, event: IncidentEnded) -> Iterator[Change]:
        for alarm, open_now in list(self._state.incidents.items()):
            if event.incident in open_now:
                open_now.remove(event.incident)
                if not open_now:
                    del self._state.incidents[alarm]
                    yield Change(alarm, None)

    def _no_incidents(self) -> Iterator[Change]:
        """The detectors start afresh and will say again what they see."""
        alarms = list(self._state.incidents)
        self._state.incidents = {}
        for alarm in alarms:
            yield Change(alarm, None)

    def _camera(self, event: CameraHealthObserved, grace_s: float) -> Iterator[Change]:
        if event.health is CameraHealth.OK:
            yield self._normal("camera", event.camera)
        else:
            health_vi, health_en = CAMERA_WORDS[event.health]
            yield from self._holds(
                "camera",
                event.camera,
                CAMERA_PRIORITY[event.health],
                grace_s,
                health_vi=health_vi,
                health_en=health_en,
            )

    def _source_lost(self, event: SourceLost, grace_s: float) -> Iterator[Change]:
        priority = self._source_priority.get(event.source)
        if priority is not None:
            yield from self._holds("source", event.source, priority, grace_s)

    def _watchdog(self, event: WatchdogObserved, grace_s: float) -> Iterator[Change]:
        if event.taken_over:
            yield from self._holds("takeover", event.plc, TAKEOVER_PRIORITY, grace_s)
        else:
            yield self._normal("takeover", event.plc)

    def _readings(self, event: ReadingsObserved) -> Iterator[Change]:
        for point, at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            fault, gate = self._fault_of.get(point), self._gate_of.get(point)
            if fault is None and gate is None:
                continue
            before = self._state.readings.get(point)
            overtaken = before is not None and at_ns <= before.observed_at_ns
            if overtaken or quality not in (Quality.GOOD, Quality.UNCERTAIN):
                continue
            self._state.readings[point] = _Reading(value, at_ns)
            if fault is not None:
                yield from self._fault(*fault, value != 0)
            elif gate is not None:
                yield from self._gate_open(gate)

    def _fault(self, kind: str, asset: str, faulty: bool) -> Iterator[Change]:
        if faulty:
            priority = PUMP_FAULT_PRIORITY if kind == "pump" else GATE_FAULT_PRIORITY
            yield from self._holds(kind, asset, priority)
        else:
            yield self._normal(kind, asset)

    def _gate_open(self, gate: Gate) -> Iterator[Change]:
        opening = self._state.readings.get(f"{gate.id}/opening_ratio")
        outside = self._state.readings.get(f"{gate.id}/outside_m")
        if opening is None or outside is None:
            return
        known = gate.id in self._state.gates_open
        limit_m = gate.closing_m - (OUTSIDE_BAND_M if known else 0.0)
        wrong = opening.value > OPEN_RATIO and outside.value >= limit_m
        if wrong and not known:
            self._state.gates_open.append(gate.id)
            yield from self._holds(
                "gate_open",
                gate.id,
                GATE_OPEN_PRIORITY,
                gate.travel_s,
                open=f"{opening.value * 100:.0f}",
                outside_vi=_vi(outside.value),
                outside_en=f"{outside.value:.2f}",
                closing_vi=_vi(gate.closing_m),
                closing_en=f"{gate.closing_m:.2f}",
            )
        elif known and not wrong:
            self._state.gates_open.remove(gate.id)
            yield self._normal("gate_open", gate.id)

    def _clocks(self, at_ns: int) -> Iterator[Change]:
        """The centre's clock, or those of single controllers; not all of them for its fault."""
        clocks = self._state.clocks
        if clocks.centre_is_off:
            yield from self._holds("centre_clock", CENTRE, CENTRE_CLOCK_PRIORITY)
        else:
            yield self._normal("centre_clock", CENTRE)
        for junction, off_s in clocks.off_s.items():
            if off_s and not (clocks.is_outvoted or clocks.centre_is_off):
                grace_s = self._grace_s(at_ns)
                yield from self._holds("clock", junction, CLOCK_PRIORITY, grace_s)
            else:
                yield self._normal("clock", junction)

    def _signal(self, state: SignalState, grace_s: float) -> Iterator[Change]:
        junction = self._junctions.get(state.junction)
        if junction is None:
            return
        wrong = _wrong_signals(junction, state)
        if wrong is None:
            yield self._normal("signal", junction.id)
        else:
            what_vi, what_en = wrong
            yield from self._holds(
                "signal", junction.id, SIGNAL_PRIORITY, what_vi=what_vi, what_en=what_en
            )
        if wrong is None and state.mode is SignalMode.LOCAL:
            yield from self._holds("signal_local", junction.id, SIGNAL_LOCAL_PRIORITY, grace_s)
        else:
            yield self._normal("signal_local", junction.id)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._state)

    def restore(self, state: bytes) -> None:
        self._state = msgspec.msgpack.decode(state, type=_State)


def _wrong_signals(junction: Junction, state: SignalState) -> tuple[str, str] | None:
    """What is wrong with a junction's signals, in both languages, or None."""
    if (pair := conflicting(junction, state.aspects)) is not None:
        groups = f"{pair[0]}, {pair[1]}"
        return f"xanh xung đột ({groups})", f"conflicting green ({groups})"
    if state.fault:
        return f"lỗi {state.fault}", f"fault {state.fault}"
    if state.interval is Interval.DARK:
        return "tắt", "dark"
    if state.interval is Interval.FLASHING or state.mode is SignalMode.FLASH:
        return "nháy vàng", "flashing"
    return None


def _in(onset_at_ns: int | None, at_ns: int) -> tuple[str, str]:
    """How long until water is there, in both languages; empty where it is."""
    minutes = 0 if onset_at_ns is None else max(0, onset_at_ns - at_ns) // 60_000_000_000
    return (f" sau {minutes} phút", f" in {minutes} min") if minutes else ("", "")


def _vi(value: float) -> str:
    """Two decimals with a comma, as Vietnamese writes them."""
    return f"{value:.2f}".replace(".", ",")


class _Name(NamedTuple):
    """What an asset is called in the texts."""

    vi: str
    en: str


def _names(site: Site) -> dict[str, _Name]:
    streets = {s.id: s.name for s in site.segments}
    stations = {s.id: s.name for s in site.stations}
    plain = (site.segments, site.gauges, site.junctions, site.plcs, site.gates, site.signs)
    names = {asset.id: _Name(asset.name, asset.name) for assets in plain for asset in assets}
    names[CENTRE] = _Name("trung tâm", "the centre")
    names |= {basin.id: _Name(basin.name, basin.name) for basin in basins_of(site)}
    for camera in site.cameras:
        street = streets.get(camera.segment, camera.segment)
        name = camera.name if street in camera.name else f"{camera.name} ({street})"
        names[camera.id] = _Name(name, name)
    for pump in site.pumps:
        station = stations.get(pump.station, pump.station)
        names[pump.id] = _Name(f"Bơm {pump.id} ({station})", f"Pump {pump.id} ({station})")
    for circuit in site.circuits:
        street = streets.get(circuit.segment, circuit.segment)
        names[circuit.id] = _Name(f"Chiếu sáng {street}", f"Street lights {street}")
    return names


def _source_priorities(site: Site) -> dict[str, int]:
    """How urgent the silence of each source is. Cameras have their own alarm."""
    priorities = {g.id: 3 if g.kind in ("tide", "street") else 4 for g in site.gauges}
    priorities |= {j.id: 2 for j in site.junctions}
    priorities |= {p.id: 1 if p.targets else 2 for p in site.plcs}
    priorities |= {s.id: 3 for s in site.signs}
    priorities |= {c.id: 4 for c in site.circuits}
    return priorities
