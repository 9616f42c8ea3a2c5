"""The city as typed data: what the centre knows of its field, read from a folder, checked whole.

A site folder holds `site.toml` and the TOML files that it includes. `load_site(folder)` gives a
`Site` or raises `SiteInvalid` with every fault found (file, line, what was seen, what was
expected), never half a site. Nothing here is the truth of a simulator: `sims/` keeps its own
files.

Laws of this file:
1. Ids are `[a-z0-9_-]+` (they become MQTT topic levels and client ids) and unique over all
   assets.
2. A point is `asset/quantity` or `asset/channel/quantity`; the quantity ends in its unit.
3. Every point that is a level above a plane names its datum, from a closed list.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Struct, field

from causeway.events import IncidentKind

ID = re.compile(r"[a-z0-9_-]+")
T = TypeVar("T", bound=Struct)

# Hòn Dấu 1992, the national datum; `road` is a depth above the segment's own low point.
Datum = Literal["hon_dau", "road"]


class LonLat(NamedTuple):
    """WGS 84 degrees."""

    lon: float
    lat: float


JOIN_M = 1.0  # ends of roads that are closer to each other than this are one place
_METRES_PER_DEGREE = math.radians(1.0) * 6_371_008.8  # mean radius, IUGG


def apart_m(a: LonLat, b: LonLat) -> float:
    """How far two places are apart: flat around their middle, right to a centimetre in a city."""
    east = (a.lon - b.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.hypot(east, a.lat - b.lat) * _METRES_PER_DEGREE


def near(a: LonLat, b: LonLat) -> bool:
    """Whether two ends of roads are one place."""
    return apart_m(a, b) <= JOIN_M


class Quantity(Struct, frozen=True, forbid_unknown_fields=True):
    """The plausibility of every point of a quantity, unless the asset says otherwise."""

    id: str  # `stage_m`
    unit: str
    min: float
    max: float
    rate_max_per_s: float | None = None
    stale_after_s: float = 30.0
    name_vi: str = ""
    name_en: str = ""


class Point(Struct, frozen=True):
    """One measured thing: made by the loader from an asset and a quantity."""

    id: str
    asset: str
    quantity: str
    unit: str
    min: float
    max: float
    rate_max_per_s: float | None
    stale_after_s: float
    datum: Datum | None
    source: str  # the MQTT device or PLC that may speak for it


class Gauge(Struct, frozen=True, forbid_unknown_fields=True):
    """A level, street-depth, rain or tide gauge; an MQTT device of its own."""

    id: str
    name: str
    kind: Literal["tide", "level", "street", "rain", "sewer"]
    at: LonLat
    quantities: tuple[str, ...]
    datum: Datum | None = None
    segment: str | None = None  # street gauges: the road segment whose low point it measures
    node: str | None = None  # the drainage node it stands at


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    """A set of signal groups that are green together."""

    id: str
    green: tuple[str, ...]


class SignalGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """One approach's signal heads; `segment` is the road that leads to it.

    `right_on_red`: a supplementary lamp lets right turns go on red (QCVN 41:2024/BGTVT).
    """

    id: str
    segment: str | None = None
    name: str = ""
    right_on_red: bool = False


class Junction(Struct, frozen=True, forbid_unknown_fields=True):
    """A signalised junction; its controller is an MQTT device of the same id.

    `conflicts` are the pairs of groups that must never be green or yellow together. Its detectors
    give `ID/GROUP/queue_veh` and `ID/GROUP/flow_veh_h`.
    """

    id: str
    name: str
    at: LonLat
    groups: tuple[SignalGroup, ...] = field(name="group")
    stages: tuple[Stage, ...] = field(name="stage")
    conflicts: tuple[tuple[str, str], ...]
    min_green_s: float = 10.0
    max_green_s: float = 90.0
    yellow_s: float = 3.0
    all_red_s: float = 2.0


class RoadSegment(Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of road between two places, with its low point."""

    id: str
    name: str
    line: tuple[LonLat, ...]
    lanes: int
    speed_limit_km_h: float
    low_point: LonLat
    low_point_m: float  # elevation above `datum` of the site
    node: str | None = None  # the drainage node that takes its water
    one_way: bool = False
    road_class: Literal["expressway", "primary", "secondary", "tertiary"] = "secondary"


class Arterial(Struct, frozen=True, forbid_unknown_fields=True):
    """A road whose signals are looked at together, in their order along it."""

    id: str
    name: str
    junctions: tuple[str, ...]


# On an ordinary street these are everyday; a tunnel's or a bridge's camera makes them alarms.
EVERYDAY = (IncidentKind.WRONG_WAY, IncidentKind.PEDESTRIAN)


class Camera(Struct, frozen=True, forbid_unknown_fields=True):
    """A camera. `source` is `mqtt`, or a file or rtsp:// address that the centre decodes itself.

    `road` is the road surface in the picture, a polygon in shares of width and height.
    Incidents are alarms there, but for the kinds that are `counted` or `ignored`.
    """

    id: str
    name: str
    at: LonLat
    segment: str
    bearing_deg: float
    road: tuple[tuple[float, float], ...]
    source: str = "mqtt"
    fps: float = 2.0
    counted: tuple[IncidentKind, ...] = EVERYDAY
    ignored: tuple[IncidentKind, ...] = ()


class Register(Struct, frozen=True, forbid_unknown_fields=True):
    """One value in a PLC: where it stands, how it is coded, and which point it is.

    The value is `raw * scale + offset`. Of a 32-bit value the high word comes first where
    `word_order` is big.
    """

    point: str
    table: Literal["coil", "discrete", "holding", "input"]
    address: int
    type: Literal["bool", "u16", "i16", "u32", "i32", "f32"]
    byte_order: Literal["big", "little"] = "big"
    word_order: Literal["big", "little"] = "big"
    scale: float = 1.0
    offset: float = 0.0


class Plc(Struct, frozen=True, forbid_unknown_fields=True):
    """A Modbus TCP server in the field; docs/INTERFACES.md has its mailbox and watchdog."""

    id: str
    name: str
    host: str
    port: int
    registers: tuple[Register, ...] = field(name="register")
    targets: tuple[str, ...]  # pumps and gates in the order of the mailbox's target numbers
    unit: int = 1
    poll_s: float = 1.0
    timeout_s: float = 1.0
    gap_max: int = 8  # registers read for nothing to join two blocks
    mailbox: int = 100  # holding: the command block's first register
    watchdog: int = 110  # holding: a count that the centre must keep changing
    answer: int = 100  # input: the answer block's first register


class Pump(Struct, frozen=True, forbid_unknown_fields=True):
    """A pump in a station. Points: running_bool, flow_m3s, current_a, fault_bool."""

    id: str
    station: str
    flow_m3s: float
    start_m: float  # sump level at which it starts
    stop_m: float
    starts_per_hour_max: int = 6
    rest_s: float = 120.0


class PumpStation(Struct, frozen=True, forbid_unknown_fields=True):
    """A pumping station. Points of its own: sump_m, remote_bool, power_kw."""

    id: str
    name: str
    at: LonLat
    plc: str
    sump_min_m: float  # below it a pump runs dry
    datum: Datum
    power_kw_max: float
    node: str | None = None


class Gate(Struct, frozen=True, forbid_unknown_fields=True):
    """A tide gate. Points: those of GATE_QUANTITIES.

    One that `closes_early` closes on the way up to a tide that is expected to pass its closing
    level, as soon as the outside is higher: the canal keeps its room for rain. Boats wait longer.
    """

    id: str
    name: str
    at: LonLat
    plc: str
    closing_m: float  # outside level from which it is to be closed
    travel_s: float
    datum: Datum
    node: str | None = None
    closes_early: bool = False


class Sign(Struct, frozen=True, forbid_unknown_fields=True):
    """A variable message sign; an MQTT device. `segments` are the roads that it can speak of."""

    id: str
    name: str
    at: LonLat
    segments: tuple[str, ...]
    columns: int = 20
    rows: int = 3


class LightingCircuit(Struct, frozen=True, forbid_unknown_fields=True):
    """A street-light circuit; an MQTT device. Point: power_kw."""

    id: str
    at: LonLat
    segment: str
    power_kw: float


NodeKind = Literal["manhole", "storage", "outfall"]
ConduitKind = Literal["sewer", "canal", "pump", "orifice", "weir", "outlet"]


class DrainageNode(Struct, frozen=True, forbid_unknown_fields=True):
    """A manhole, junction chamber, storage or outfall of the drainage network."""

    id: str
    at: LonLat
    invert_m: float
    ground_m: float
    kind: NodeKind = "manhole"


class Conduit(Struct, frozen=True, forbid_unknown_fields=True):
    """A reach between two nodes, or what of a model lets water pass there.

    `flow_m3s` is a pump's greatest. A pump or gate that can be commanded is a `Pump` or `Gate`.
    """

    id: str
    from_node: str
    to_node: str
    kind: ConduitKind = "sewer"
    bends: tuple[LonLat, ...] = ()
    flow_m3s: float | None = None


class StreetDrain(Struct, frozen=True, forbid_unknown_fields=True):
    """The node that takes a road segment's water, where the segment itself names none."""

    segment: str
    node: str


class Catchment(Struct, frozen=True, forbid_unknown_fields=True):
    """Ground that drains to a node, or by others to it."""

    id: str
    node: str | None
    area_ha: float
    outline: tuple[LonLat, ...] = ()


class Basin(Struct, frozen=True, forbid_unknown_fields=True):
    """A name for the streets that drain to some outlets: stations, gates, outfalls, other nodes."""

    id: str
    name: str
    outlets: tuple[str, ...]


class Water(Struct, frozen=True, forbid_unknown_fields=True):
    """A river or canal to draw: a line with a width, or an area when `width_m` is 0."""

    id: str
    name: str
    line: tuple[LonLat, ...]
    width_m: float


class TideLevels(Struct, frozen=True, forbid_unknown_fields=True):
    """Alarm levels I, II, III of a tide gauge, from a day on."""

    gauge: str
    valid_from: date
    levels_m: tuple[float, float, float]
    datum: Datum
    source: str


class TidalConstituent(NamedTuple):
    """One line of the tide: its name in UTide's list, amplitude and Greenwich phase lag."""

    name: str
    amplitude_m: float
    lag_deg: float


class SurgeModel(Struct, frozen=True, forbid_unknown_fields=True):
    """What a gauge's own record says of its residuals, observed minus harmonic tide.

    `error_scores` has a row a lead of `leads_h`: the quantiles of `SURGE_QUANTILES` of the past
    forecasts' errors, over the standard deviation that was forecast; `residual_scores` the same
    of the residuals themselves, for a forecast without observations.
    """

    autocovariance_m2: tuple[float, ...]  # at lags of 0, 1, 2 ... hours
    leads_h: tuple[float, ...]
    error_scores: tuple[tuple[float, ...], ...]
    residual_scores: tuple[float, ...]


SURGE_QUANTILES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)


class TideModel(Struct, frozen=True, forbid_unknown_fields=True):
    """The tide of a gauge, fitted to its record; `control/inundation/harmonics.py` predicts by it.

    `counts` says what the record held: `samples` used, `missing`, `repeated` and `spikes` not.
    """

    gauge: str
    datum: str  # checked against the gauge's: a model of another plane is refused
    lat_deg: float
    mean_m: float
    constituents: tuple[TidalConstituent, ...]
    from_ns: int  # the record's first and last sample
    to_ns: int
    trend_m_year: float = 0.0  # of 365.25 days, zero in the middle of the record
    counts: dict[str, int] = {}
    surge: SurgeModel | None = None


EMERGENCY_M = 0.60  # head at which emergency vehicles stop: Kramer, Terheiden, Wieprecht 2016


class InundationLevels(Struct, frozen=True, forbid_unknown_fields=True):
    """Street depths of the levels watch, motorbikes, cars, buses and trucks, from a day on.

    From these depths on each class stays out; emergency vehicles do from `emergency_m`.
    """

    valid_from: date
    depths_m: tuple[float, float, float, float]
    hysteresis_m: float
    hold_s: float  # how long it must be lower before the level falls
    source: str
    emergency_m: float = EMERGENCY_M


class StandingRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What a flooded point is (điểm ngập), from a day on; less is gathered water (tụ nước)."""

    valid_from: date
    depth_m: float
    after_rain_s: float  # how long after the rain it must still be there
    source: str
    hysteresis_m: float = 0.03


class Place(Struct, frozen=True, forbid_unknown_fields=True):
    """A name to write on the map."""

    name: str
    at: LonLat
    rank: int = 2


class Site(Struct, frozen=True, kw_only=True):
    """A whole, checked city. `hash` is of its files' bytes; the journal names it.

    `drainage_model` is the file in the site's folder that holds its SWMM project; without one
    nothing is forecast. `jammed_flaps` are its conduits whose flap valves the sewer crews found
    stuck open.
    """

    id: str
    name: str
    name_en: str
    timezone: str
    datum: Datum
    centre: LonLat
    credit: str
    hash: str
    points: dict[str, Point]
    quantities: tuple[Quantity, ...]
    gauges: tuple[Gauge, ...]
    junctions: tuple[Junction, ...]
    segments: tuple[RoadSegment, ...]
    cameras: tuple[Camera, ...]
    plcs: tuple[Plc, ...]
    stations: tuple[PumpStation, ...]
    pumps: tuple[Pump, ...]
    gates: tuple[Gate, ...]
    signs: tuple[Sign, ...]
    circuits: tuple[LightingCircuit, ...]
    nodes: tuple[DrainageNode, ...]
    conduits: tuple[Conduit, ...]
    waters: tuple[Water, ...]
    places: tuple[Place, ...]
    tide_levels: tuple[TideLevels, ...]
    inundation_levels: tuple[InundationLevels, ...]
    standing_rules: tuple[StandingRule, ...] = ()
    basins: tuple[Basin, ...] = ()
    catchments: tuple[Catchment, ...] = ()
    street_drains: tuple[StreetDrain, ...] = ()
    arterials: tuple[Arterial, ...] = ()
    tides: tuple[TideModel, ...] = ()
    drainage_model: str | None = None
    jammed_flaps: tuple[str, ...] = ()


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    """The `[site]` table."""

    id: str
    name: str
    name_en: str
    timezone: str
    datum: Datum
    centre: LonLat
    credit: str
    include: tuple[str, ...] = ()
    drainage_model: str | None = None
    jammed_flaps: tuple[str, ...] = ()


# A table of a site file: the key in TOML, the field of Site, the type of one entry.
TABLES: tuple[tuple[str, str, type[Struct]], ...] = (
    ("quantity", "quantities", Quantity),
    ("gauge", "gauges", Gauge),
    ("junction", "junctions", Junction),
    ("segment", "segments", RoadSegment),
    ("arterial", "arterials", Arterial),
    ("camera", "cameras", Camera),
    ("plc", "plcs", Plc),
    ("station", "stations", PumpStation),
    ("pump", "pumps", Pump),
    ("gate", "gates", Gate),
    ("sign", "signs", Sign),
    ("circuit", "circuits", LightingCircuit),
    ("node", "nodes", DrainageNode),
    ("conduit", "conduits", Conduit),
    ("catchment", "catchments", Catchment),
    ("street_drain", "street_drains", StreetDrain),
    ("water", "waters", Water),
    ("place", "places", Place),
    ("tide_levels", "tide_levels", TideLevels),
    ("inundation_levels", "inundation_levels", InundationLevels),
    ("standing", "standing_rules", StandingRule),
    ("basin", "basins", Basin),
    ("tide", "tides", TideModel),
)

STATION_QUANTITIES = ("sump_m", "remote_bool", "power_kw")
PUMP_QUANTITIES = ("running_bool", "flow_m3s", "current_a", "fault_bool")
GATE_QUANTITIES = (
    "opening_ratio",
    "inside_m",
    "outside_m",
    "moving_bool",
    "fault_bool",
    "remote_bool",
)
DETECTOR_QUANTITIES = ("queue_veh", "flow_veh_h")
LEVELS_ABOVE_A_DATUM = ("stage_m", "sump_m", "inside_m", "outside_m")


class Fault(NamedTuple):
    """One thing wrong with a site, and where."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        """`roads.toml:12: ...`, as an editor can follow it."""
        return f"{self.file}:{self.line}: {self.text}"


class SiteInvalid(Exception):
    """A site that cannot be used; `faults` says all that is wrong with it."""

    def __init__(self, folder: Path, faults: list[Fault]) -> None:
        self.folder = folder
        self.faults = faults
        super().__init__(f"{folder}: {len(faults)} fault(s)\n" + "\n".join(map(str, faults)))


class _Entry(NamedTuple):
    """One table entry as it was read, and where."""

    value: Struct
    file: str
    line: int


def load_site(folder: Path) -> Site:
    """Read `folder/site.toml` and what it includes; raises SiteInvalid with every fault found."""
    faults: list[Fault] = []
    tables: dict[str, list[_Entry]] = {key: [] for key, _, _ in TABLES}
    digest = hashlib.sha256()
    head = _read_file(folder, "site.toml", tables, faults, digest)
    if head is not None:
        for name in head.include:
            _read_file(folder, name, tables, faults, digest)
        if head.drainage_model is not None:
            _read_whole(folder, head.drainage_model, faults, digest)
    if head is None or faults:
        raise SiteInvalid(folder, faults)
    tables["segment"] = list(_drained(tables["segment"], tables["street_drain"]))
    site = Site(
        id=head.id,
        name=head.name,
        name_en=head.name_en,
        timezone=head.timezone,
        datum=head.datum,
        centre=head.centre,
        credit=head.credit,
        drainage_model=head.drainage_model,
        jammed_flaps=head.jammed_flaps,
        hash=digest.hexdigest()[:16],
        points={},
        **{name: tuple(e.value for e in tables[key]) for key, name, _ in TABLES},  # type: ignore[arg-type]
    )
    where = {id(e.value): e for entries in tables.values() for e in entries}
    faults = [
        Fault(where[id(thing)].file, where[id(thing)].line, text)
        for thing, text in (*_points_into(site), *_wrong(site))
    ]
    if faults:
        raise SiteInvalid(folder, faults)
    return site


def _drained(segments: list[_Entry], drains: list[_Entry]) -> Iterator[_Entry]:
    """Road segments, each without a node with the one that a [[street_drain]] gives it."""
    nodes = {d.value.segment: d.value.node for d in drains if isinstance(d.value, StreetDrain)}
    for entry in segments:
        segment = entry.value
        assert isinstance(segment, RoadSegment)
        if segment.node is None and segment.id in nodes:
            segment = msgspec.structs.replace(segment, node=nodes[segment.id])
        yield entry._replace(value=segment)


def _read_file(
    folder: Path,
    name: str,
    tables: dict[str, list[_Entry]],
    faults: list[Fault],
    digest: hashlib._Hash,
) -> _Head | None:
    try:
        raw = (folder / name).read_bytes()
        text = raw.decode()
        parsed = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(name, 1, f"cannot be read: {error}"))
        return None
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        faults.append(Fault(name, int(at[1]) if at else 1, f"not TOML: {error}"))
        return None
    digest.update(name.encode() + b"\0" + raw)
    head = None
    known = {key: kind for key, _, kind in TABLES}
    for key, value in parsed.items():
        if key == "site" and name == "site.toml":
            head = _convert(value, _Head, name, _line_of(text, "[site]", 0), faults)
        elif key in known and isinstance(value, list):
            for i, item in enumerate(value):
                line = _line_of(text, f"[[{key}]]", i)
                thing = _convert(item, known[key], name, line, faults)
                if thing is not None:
                    tables[key].append(_Entry(thing, name, line))
        else:
            expected = ", ".join(f"[[{k}]]" for k in known)
            faults.append(
                Fault(name, _line_of_key(text, key), f"{key}: unknown table; expected {expected}")
            )
    if name == "site.toml" and head is None and not faults:
        faults.append(Fault(name, 1, "no [site] table"))
    return head


def _read_whole(folder: Path, name: str, faults: list[Fault], digest: hashlib._Hash) -> None:
    """A file that others read: here it only has to be there, and counts in the hash."""
    try:
        digest.update(name.encode() + b"\0" + (folder / name).read_bytes())
    except OSError as error:
        faults.append(Fault(name, 1, f"cannot be read: {error}"))


def _convert(value: object, kind: type[T], file: str, line: int, faults: list[Fault]) -> T | None:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        faults.append(Fault(file, line, f"{kind.__name__}: {error}; seen {_short(value)}"))
        return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _line_of(text: str, header: str, nth: int) -> int:
    """The line of the nth (from 0) line that starts with `header`; 1 where there is none."""
    lines = [i for i, line in enumerate(text.splitlines(), 1) if line.strip().startswith(header)]
    return lines[nth] if nth < len(lines) else 1


def _line_of_key(text: str, key: str) -> int:
    """The line of the first table or value of that name; 1 where there is none."""
    named = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}\b")
    lines = (i for i, line in enumerate(text.splitlines(), 1) if named.match(line))
    return next(lines, 1)


def _points_into(site: Site) -> Iterator[tuple[Struct, str]]:
    """Fill `site.points` from the assets; yield what is wrong on the way."""
    quantities = {q.id: q for q in site.quantities}

    def add(
        asset: Struct, id_: str, names: Iterable[str], datum: Datum | None, source: str
    ) -> Iterator[tuple[Struct, str]]:
        for name in names:
            point_id = f"{id_}/{name}"
            quantity = quantities.get(name.rpartition("/")[2])
            if quantity is None:
                yield asset, f"{point_id}: no [[quantity]] of that id"
                continue
            levelled = quantity.id in LEVELS_ABOVE_A_DATUM
            if levelled and datum is None:
                yield asset, f"{point_id}: a level needs a datum; expected one of hon_dau, road"
            if point_id in site.points:
                yield asset, f"{point_id}: named twice"
            site.points[point_id] = Point(
                id=point_id,
                asset=id_,
                quantity=quantity.id,
                unit=quantity.unit,
                min=quantity.min,
                max=quantity.max,
                rate_max_per_s=quantity.rate_max_per_s,
                stale_after_s=quantity.stale_after_s,
                datum=datum if levelled else None,
                source=source,
            )

    for gauge in site.gauges:
        yield from add(gauge, gauge.id, gauge.quantities, gauge.datum, gauge.id)
    for junction in site.junctions:
        names = [f"{g.id}/{q}" for g in junction.groups for q in DETECTOR_QUANTITIES]
        yield from add(junction, junction.id, names, None, junction.id)
    plc_of = {s.id: s.plc for s in site.stations}
    for station in site.stations:
        yield from add(station, station.id, STATION_QUANTITIES, station.datum, station.plc)
    for pump in site.pumps:
        yield from add(pump, pump.id, PUMP_QUANTITIES, None, plc_of.get(pump.station, ""))
    for gate in site.gates:
        yield from add(gate, gate.id, GATE_QUANTITIES, gate.datum, gate.plc)
    for circuit in site.circuits:
        yield from add(circuit, circuit.id, ("power_kw",), None, circuit.id)


def _wrong(site: Site) -> Iterator[tuple[Struct, str]]:
    """Everything that does not fit together, each with the entry it stands in."""
    yield from _wrong_ids(site)
    yield from _wrong_references(site)
    yield from _wrong_values(site)
    for junction in site.junctions:
        for text in _wrong_junction(junction):
            yield junction, f"{junction.id}: {text}"
    for plc in site.plcs:
        for text in _wrong_plc(plc, site):
            yield plc, f"{plc.id}: {text}"


def _named(site: Site) -> Iterator[tuple[str, Struct]]:
    for things in (
        site.gauges,
        site.junctions,
        site.segments,
        site.arterials,
        site.cameras,
        site.plcs,
        site.stations,
        site.pumps,
        site.gates,
        site.signs,
        site.circuits,
        site.nodes,
        site.conduits,
        site.catchments,
        site.basins,
        site.waters,
    ):
        for thing in things:
            yield thing.id, thing


def _wrong_ids(site: Site) -> Iterator[tuple[Struct, str]]:
    quantities: set[str] = set()
    for quantity in site.quantities:
        if quantity.id in quantities:
            yield quantity, f"quantity {quantity.id!r}: used twice"
        quantities.add(quantity.id)
    seen: set[str] = set()
    for id_, thing in _named(site):
        if not ID.fullmatch(id_):
            yield thing, f"id {id_!r}: expected [a-z0-9_-]+"
        if id_ in seen:
            yield thing, f"id {id_!r}: used twice"
        seen.add(id_)


def _wrong_references(site: Site) -> Iterator[tuple[Struct, str]]:
    segments = {s.id for s in site.segments}
    junctions = {j.id for j in site.junctions}
    nodes = {n.id for n in site.nodes}
    plcs = {p.id for p in site.plcs}
    stations = {s.id for s in site.stations}
    gauges = {g.id for g in site.gauges}
    outlets = nodes | stations | {g.id for g in site.gates}
    for thing, field_name, value, known in (
        *((g, "segment", g.segment, segments) for g in site.gauges),
        *((g, "node", g.node, nodes) for g in site.gauges),
        *((s, "node", s.node, nodes) for s in site.segments),
        *((c, "segment", c.segment, segments) for c in site.cameras),
        *((c, "segment", c.segment, segments) for c in site.circuits),
        *((g, "plc", g.plc, plcs) for g in site.gates),
        *((g, "node", g.node, nodes) for g in site.gates),
        *((s, "plc", s.plc, plcs) for s in site.stations),
        *((s, "node", s.node, nodes) for s in site.stations),
        *((p, "station", p.station, stations) for p in site.pumps),
        *((c, "from_node", c.from_node, nodes) for c in site.conduits),
        *((c, "to_node", c.to_node, nodes) for c in site.conduits),
        *((c, "node", c.node, nodes) for c in site.catchments),
        *((b, "outlets", x, outlets) for b in site.basins for x in b.outlets),
        *((d, "segment", d.segment, segments) for d in site.street_drains),
        *((t, "gauge", t.gauge, gauges) for t in site.tide_levels),
        *((t, "gauge", t.gauge, gauges) for t in site.tides),
        *((s, "segments", x, segments) for s in site.signs for x in s.segments),
        *((a, "junctions", x, junctions) for a in site.arterials for x in a.junctions),
        *((j, "group.segment", g.segment, segments) for j in site.junctions for g in j.groups),
    ):
        if value is not None and value not in known:
            yield thing, f"{field_name} {value!r}: no such asset in this site"


def _wrong_values(site: Site) -> Iterator[tuple[Struct, str]]:
    for quantity in site.quantities:
        if quantity.min >= quantity.max:
            yield quantity, f"min {quantity.min} is not below max {quantity.max}"
    for thing, name, value in (
        *((s, "lanes", s.lanes) for s in site.segments),
        *((s, "speed_limit_km_h", s.speed_limit_km_h) for s in site.segments),
        *((c, "fps", c.fps) for c in site.cameras),
        *((p, "port", p.port) for p in site.plcs),
        *((p, "poll_s", p.poll_s) for p in site.plcs),
        *((p, "timeout_s", p.timeout_s) for p in site.plcs),
        *((p, "flow_m3s", p.flow_m3s) for p in site.pumps),
        *((g, "travel_s", g.travel_s) for g in site.gates),
    ):
        if not value > 0:
            yield thing, f"{name} {value}: expected above 0"
    for arterial in site.arterials:
        if len(arterial.junctions) < 2:
            yield (
                arterial,
                f"{arterial.id}: {len(arterial.junctions)} junctions; expected 2 or more",
            )
    for segment in site.segments:
        if len(segment.line) < 2:
            yield segment, f"{segment.id}: a line needs two points; seen {len(segment.line)}"
    for pump in site.pumps:
        if pump.stop_m >= pump.start_m:
            yield pump, f"{pump.id}: stop_m {pump.stop_m} is not below start_m {pump.start_m}"
    datums = {gauge.id: gauge.datum for gauge in site.gauges}
    for levels in site.tide_levels:
        datum = datums.get(levels.gauge, levels.datum)
        if datum != levels.datum:
            yield levels, f"datum {levels.datum}: gauge {levels.gauge} measures above {datum}"
        if sorted(levels.levels_m) != list(levels.levels_m):
            yield levels, f"levels_m {levels.levels_m}: expected rising values"
    seen: set[str] = set()
    for tide in site.tides:
        if tide.gauge in seen:
            yield tide, f"gauge {tide.gauge!r}: a second tide model; expected one a gauge"
        seen.add(tide.gauge)
        for text in _wrong_tide(tide, datums.get(tide.gauge)):
            yield tide, f"tide of {tide.gauge}: {text}"
    for depths in site.inundation_levels:
        if sorted(depths.depths_m) != list(depths.depths_m):
            yield depths, f"depths_m {depths.depths_m}: expected rising values"
        elif depths.emergency_m < depths.depths_m[-1]:
            yield (
                depths,
                f"emergency_m {depths.emergency_m}: expected {depths.depths_m[-1]} or more, "
                "the depth at which buses and trucks stay out",
            )
    basin_of: dict[str, str] = {}
    for basin in site.basins:
        for outlet in basin.outlets:
            if outlet in basin_of:
                yield basin, f"{basin.id}: outlet {outlet!r} is {basin_of[outlet]}'s already"
            basin_of[outlet] = basin.id
    for camera in site.cameras:
        if len(camera.road) < 3:
            yield camera, f"{camera.id}: a road polygon needs three points"


def _wrong_tide(tide: TideModel, datum: Datum | None) -> Iterator[str]:
    if tide.datum == "mui_nai":
        yield (
            "datum 'mui_nai' is the legacy plane, off by more than an alarm step; expected "
            "hon_dau (`causeway fit tide --datum mui_nai --offset-m X` converts a record)"
        )
    elif datum is None or tide.datum != datum:
        yield f"datum {tide.datum!r}; expected {datum}, which the gauge measures above"
    if not -90 <= tide.lat_deg <= 90:
        yield f"lat_deg {tide.lat_deg}: expected -90 to 90"
    if not tide.constituents:
        yield "no constituents"
    for name, amplitude_m, lag_deg in tide.constituents:
        if not (amplitude_m >= 0 and math.isfinite(amplitude_m) and math.isfinite(lag_deg)):
            yield f"{name}: amplitude {amplitude_m} m, lag {lag_deg}; expected numbers, m above 0"
    if tide.surge is None:
        yield "no [tide.surge]; expected what `causeway fit tide` writes"
    else:
        yield from _wrong_surge(tide.surge)


def _wrong_surge(surge: SurgeModel) -> Iterator[str]:
    leads, levels = len(surge.leads_h), len(SURGE_QUANTILES)
    covariances = surge.autocovariance_m2
    if len(covariances) < 2 or not covariances[0] > 0 or max(covariances) > covariances[0]:
        yield "autocovariance_m2: expected a variance above 0 first, and no greater value"
    if not leads or sorted(surge.leads_h) != list(surge.leads_h) or surge.leads_h[0] <= 0:
        yield f"leads_h {surge.leads_h}: expected rising hours above 0"
    rows = (*surge.error_scores, surge.residual_scores)
    if len(surge.error_scores) != leads or any(len(row) != levels for row in rows):
        yield f"scores: expected {leads} rows of {levels} quantiles each"
    elif any(sorted(row) != list(row) for row in rows):
        yield "scores: expected rising quantiles"


def _wrong_junction(junction: Junction) -> Iterator[str]:
    groups = [g.id for g in junction.groups]
    conflicts = {frozenset(pair) for pair in junction.conflicts}
    if len(junction.stages) < 2:
        yield f"needs two stages; seen {len(junction.stages)}"
    for pair in junction.conflicts:
        for group in pair:
            if group not in groups:
                yield f"conflict names group {group!r}; expected one of {groups}"
    for stage in junction.stages:
        for group in stage.green:
            if group not in groups:
                yield f"stage {stage.id!r} names group {group!r}; expected one of {groups}"
        for i, a in enumerate(stage.green):
            for b in stage.green[i + 1 :]:
                if frozenset((a, b)) in conflicts:
                    yield f"stage {stage.id!r} gives green to {a!r} and {b!r}, which conflict"
    served = {g for stage in junction.stages for g in stage.green}
    for group in groups:
        if group not in served:
            yield f"group {group!r} is never green"
    if not 0 < junction.min_green_s < junction.max_green_s:
        yield f"min_green_s {junction.min_green_s} and max_green_s {junction.max_green_s}"


def _wrong_plc(plc: Plc, site: Site) -> Iterator[str]:
    targets = {p.id for p in site.pumps} | {g.id for g in site.gates}
    for target in plc.targets:
        if target not in targets:
            yield f"target {target!r}: no such pump or gate"
    for register in plc.registers:
        point = site.points.get(register.point)
        if point is None:
            yield f"register {register.address}: no point {register.point!r}"
        elif point.source != plc.id:
            yield f"register {register.address}: {register.point!r} belongs to {point.source!r}"
        if (register.type == "bool") != (register.table in ("coil", "discrete")):
            yield (
                f"register {register.address}: type {register.type} in table {register.table}; "
                "expected bool in coil or discrete, a number in holding or input"
            )
