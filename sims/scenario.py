"""A scenario as typed data: when it begins, its tide, rain and traffic, and what goes wrong in it.

In comes one TOML file of `sims/scenarios/`; out comes a `Scenario`, or `ScenarioInvalid` with
every fault found. A scenario is made for any site, so what it names is held against one with
`wrong_for`; `load_scenario(file, site)` does both. Nothing of it is known to the centre.

Laws of this file:
1. Every time is an instant with an offset, so that a scenario means the same on every machine.
2. The same file gives the same rain, tide, traffic and faults: all that is random has its
   `seed`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from causeway.site import LonLat, Site

NS = 1_000_000_000
MOTORBIKE_SHARE_MIN = 0.70  # of Ho Chi Minh City's traffic; below it is not this city

# What can go wrong with what. The words are the simulated devices' own.
FAULTS: dict[str, tuple[str, ...]] = {
    "gauge": ("dead", "frozen", "drifting", "lying", "skewed"),
    "plc": ("hangs", "closed"),
    "pump": ("blocked", "no_cooling", "no_start"),
    "gate": ("stuck", "slow"),
    "junction": ("lamp", "conflict", "dark"),
    "sign": ("broken",),
    "circuit": ("broken",),
    "camera": ("dead", "frozen", "dark", "blurred", "covered", "moved"),
}
MEASURING = ("drifting", "lying", "skewed")  # these need an amount


class Tide(Struct, frozen=True, forbid_unknown_fields=True):
    """What is added to the astronomical tide: wind, the river's own water, a higher sea."""

    surge_m: float = 0.0


class RainCell(Struct, frozen=True, forbid_unknown_fields=True):
    """A cloudburst that grows, holds, fades, and moves: a bell in space, a trapezium in time.

    `at` is its middle at `begins`. The peak is reached after `rise_s` and held until `fall_s`
    before the end. At `radius_m` from the middle it rains 0.61 of the peak (one deviation).
    """

    at: LonLat
    begins: datetime
    lasts_s: float
    peak_mm_h: float
    radius_m: float
    rise_s: float = 300.0
    fall_s: float = 600.0
    speed_m_s: float = 0.0
    heading_deg: float = 0.0  # where it goes, clockwise from north
    gusts: float = 0.1  # how much the intensity swings about its course, as a share


class TrafficLevel(Struct, frozen=True, forbid_unknown_fields=True):
    """How much traffic enters the district, and of what kind."""

    veh_h: float
    motorbike_share: float


class FieldFault(Struct, frozen=True, forbid_unknown_fields=True):
    """Something of the field that breaks. `for_s` 0: it stays broken."""

    target: str
    kind: str
    at: datetime
    for_s: float = 0.0
    amount: float = 0.0  # drifting: a unit an hour; lying: beside the truth; skewed: s


class StalledVehicle(Struct, frozen=True, forbid_unknown_fields=True):
    """A vehicle that stops in its lane and stands."""

    segment: str
    vehicle: Literal["motorbike", "car", "bus", "truck"]
    at: datetime
    for_s: float


class CameraSource(Struct, frozen=True, forbid_unknown_fields=True):
    """A camera that shows a video file or an rtsp:// address in place of the simulated street."""

    camera: str
    source: str


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """An evening in the simulated city."""

    id: str
    name: str
    name_en: str
    start: datetime
    seed: int
    traffic: TrafficLevel
    tide: Tide = Tide()
    rain: tuple[RainCell, ...] = ()
    faults: tuple[FieldFault, ...] = field(name="fault", default=())
    stalled: tuple[StalledVehicle, ...] = ()
    cameras: tuple[CameraSource, ...] = field(name="camera", default=())

    @property
    def start_ns(self) -> int:
        return ns_of(self.start)


class ScenarioInvalid(Exception):
    """A scenario that cannot be played; `faults` says all that is wrong with it."""

    def __init__(self, file: Path, faults: list[str]) -> None:
        self.file = file
        self.faults = faults
        super().__init__("\n".join(f"{file.name}: {fault}" for fault in faults))


def ns_of(instant: datetime) -> int:
    """Nanoseconds since the Unix epoch of an instant with an offset."""
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS + since.microseconds * 1_000


def load_scenario(file: Path, site: Site | None = None) -> Scenario:
    """Read and check a scenario, against a site too when one is given; raises ScenarioInvalid."""
    try:
        parsed = tomllib.loads(file.read_bytes().decode())
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioInvalid(file, [f"cannot be read: {error}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioInvalid(file, [f"not TOML: {error}"]) from None
    try:
        scenario = msgspec.convert(parsed, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioInvalid(file, [str(error)]) from None
    faults = list(_wrong(scenario))
    if site is not None:
        faults += wrong_for(scenario, site)
    if faults:
        raise ScenarioInvalid(file, faults)
    return scenario


def _wrong(scenario: Scenario) -> Iterator[str]:
    instants = (
        ("start", scenario.start),
        *((f"rain[{i}].begins", cell.begins) for i, cell in enumerate(scenario.rain)),
        *((f"fault[{i}].at", fault.at) for i, fault in enumerate(scenario.faults)),
        *((f"stalled[{i}].at", vehicle.at) for i, vehicle in enumerate(scenario.stalled)),
    )
    for name, instant in instants:
        if instant.tzinfo is None:
            yield f"{name}: {instant} has no offset; expected one such as +07:00"
    for i, cell in enumerate(scenario.rain):
        if min(cell.lasts_s, cell.peak_mm_h, cell.radius_m) <= 0:
            yield f"rain[{i}]: lasts_s, peak_mm_h and radius_m must be above 0"
        if cell.rise_s + cell.fall_s > cell.lasts_s:
            yield f"rain[{i}]: rise_s and fall_s are longer than lasts_s {cell.lasts_s}"
        if not 0 <= cell.gusts < 1:
            yield f"rain[{i}]: gusts {cell.gusts}; expected 0 to below 1"
    if scenario.traffic.veh_h < 0:
        yield f"traffic.veh_h: {scenario.traffic.veh_h} is below 0"
    if not MOTORBIKE_SHARE_MIN <= scenario.traffic.motorbike_share <= 1:
        yield (
            f"traffic.motorbike_share: seen {scenario.traffic.motorbike_share}, "
            f"expected {MOTORBIKE_SHARE_MIN} to 1"
        )
    for i, fault in enumerate(scenario.faults):
        if fault.kind in MEASURING and fault.amount == 0:
            yield f"fault[{i}]: {fault.kind} needs an amount"
        if fault.for_s < 0:
            yield f"fault[{i}].for_s: {fault.for_s} is below 0"
    for i, vehicle in enumerate(scenario.stalled):
        if vehicle.for_s <= 0:
            yield f"stalled[{i}].for_s: {vehicle.for_s}; expected above 0"


def wrong_for(scenario: Scenario, site: Site) -> list[str]:
    """What of a scenario does not fit a site."""
    faults: list[str] = []
    kinds = _kinds_by_target(site)
    for i, fault in enumerate(scenario.faults):
        expected = kinds.get(fault.target)
        if expected is None:
            faults.append(f"fault[{i}].target {fault.target!r}: nothing of that id in {site.id}")
        elif fault.kind not in expected:
            known = ", ".join(expected)
            faults.append(f"fault[{i}].kind: seen {fault.kind!r}, expected one of {known}")
    segments = {s.id for s in site.segments}
    faults += [
        f"stalled[{i}].segment {vehicle.segment!r}: no such road in {site.id}"
        for i, vehicle in enumerate(scenario.stalled)
        if vehicle.segment not in segments
    ]
    cameras = {c.id for c in site.cameras}
    faults += [
        f"camera[{i}].camera {source.camera!r}: no such camera in {site.id}"
        for i, source in enumerate(scenario.cameras)
        if source.camera not in cameras
    ]
    return faults


def _kinds_by_target(site: Site) -> dict[str, tuple[str, ...]]:
    things = (
        ("gauge", site.gauges),
        ("plc", site.plcs),
        ("pump", site.pumps),
        ("gate", site.gates),
        ("junction", site.junctions),
        ("sign", site.signs),
        ("circuit", site.circuits),
        ("camera", site.cameras),
    )
    return {thing.id: FAULTS[kind] for kind, all_ in things for thing in all_}
