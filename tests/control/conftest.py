from collections.abc import Callable, Iterable
from datetime import date

import msgspec
import pytest

from causeway.engine import Core
from causeway.events import Address, AnyEvent, Now, Quality, ReadingsObserved, SignalsObserved
from causeway.site import (
    Camera,
    Gate,
    Gauge,
    InundationLevels,
    Junction,
    LightingCircuit,
    LonLat,
    Plc,
    Pump,
    PumpStation,
    RoadSegment,
    Sign,
    SignalGroup,
    Site,
    Stage,
    TideLevels,
)

NS = 1_000_000_000
NO_TIME_NS = 1
START_NS = 1_763_980_800 * NS  # 2025-11-24 10:40 UTC
PLACE = LonLat(106.7, 10.77)


def _segment(id_: str, name: str) -> RoadSegment:
    return RoadSegment(
        id=id_,
        name=name,
        line=(PLACE, LonLat(106.701, 10.77)),
        lanes=2,
        speed_limit_km_h=50.0,
        low_point=PLACE,
        low_point_m=1.3,
    )


def _street_gauge(id_: str, segment: str) -> Gauge:
    return Gauge(
        id=id_,
        name=id_,
        kind="street",
        at=PLACE,
        quantities=("depth_m",),
        datum="road",
        segment=segment,
    )


@pytest.fixture
def site() -> Site:
    """A crossroads, two streets that flood, a station with two pumps, a gate, three signs."""
    return Site(
        id="test",
        name="Thử",
        name_en="Test",
        timezone="Asia/Ho_Chi_Minh",
        datum="hon_dau",
        centre=PLACE,
        credit="",
        hash="",
        points={},
        quantities=(),
        gauges=(
            Gauge(
                id="tg-phu-an",
                name="Phú An",
                kind="tide",
                at=PLACE,
                quantities=("stage_m",),
                datum="hon_dau",
            ),
            _street_gauge("sg-1", "rd-1"),
            _street_gauge("sg-2", "rd-2"),
            _street_gauge("sg-2b", "rd-2"),
        ),
        junctions=(
            Junction(
                id="j-01",
                name="Calmette - Hàm Nghi",
                at=PLACE,
                groups=tuple(SignalGroup(id=g) for g in ("n", "s", "e", "w")),
                stages=(Stage(id="ns", green=("n", "s")), Stage(id="ew", green=("e", "w"))),
                conflicts=(("n", "e"), ("n", "w"), ("s", "e"), ("s", "w")),
            ),
        ),
        segments=(_segment("rd-1", "Calmette"), _segment("rd-2", "Nguyễn Hữu Cảnh")),
        cameras=(
            Camera(
                id="cam-1",
                name="Calmette",
                at=PLACE,
                segment="rd-1",
                bearing_deg=0.0,
                road=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
            ),
        ),
        plcs=(
            Plc(
                id="plc-1",
                name="PLC 1",
                host="127.0.0.1",
                port=502,
                registers=(),
                targets=("p-1", "p-2", "g-1"),
            ),
        ),
        stations=(
            PumpStation(
                id="ps-1",
                name="Nguyễn Hữu Cảnh",
                at=PLACE,
                plc="plc-1",
                sump_min_m=-2.0,
                datum="hon_dau",
                power_kw_max=500.0,
            ),
        ),
        pumps=(
            Pump(id="p-1", station="ps-1", flow_m3s=2.0, start_m=0.0, stop_m=-1.0),
            Pump(id="p-2", station="ps-1", flow_m3s=2.0, start_m=0.3, stop_m=-0.7),
        ),
        gates=(
            Gate(
                id="g-1",
                name="Cống Bến Nghé",
                at=PLACE,
                plc="plc-1",
                closing_m=1.2,
                travel_s=90.0,
                datum="hon_dau",
            ),
        ),
        signs=(
            Sign(id="vms-1", name="Bảng 1", at=PLACE, segments=("rd-1", "rd-2")),
            Sign(id="vms-2", name="Bảng 2", at=PLACE, segments=("rd-2",), columns=16, rows=2),
            Sign(id="vms-3", name="Bảng 3", at=PLACE, segments=("rd-2",), rows=1),
        ),
        circuits=(LightingCircuit(id="lc-1", at=PLACE, segment="rd-1", power_kw=10.0),),
        nodes=(),
        conduits=(),
        waters=(),
        places=(),
        tide_levels=(
            TideLevels("tg-phu-an", date(2020, 1, 1), (1.40, 1.50, 1.60), "hon_dau", "old"),
            TideLevels("tg-phu-an", date(2026, 1, 1), (1.45, 1.55, 1.65), "hon_dau", "new"),
        ),
        inundation_levels=(
            InundationLevels(date(2020, 1, 1), (0.10, 0.20, 0.30, 0.50), 0.03, 60.0, "old"),
            InundationLevels(date(2026, 1, 1), (0.05, 0.15, 0.25, 0.40), 0.03, 60.0, "new"),
        ),
    )


class Bench:
    """Steps one core along a clock that stands still until it is told to go on."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.at_ns = START_NS
        self.number = 0

    def __call__(self, *events: AnyEvent, after_s: float = 0.0) -> list[AnyEvent]:
        """The core's answers to the events, each of its own step."""
        self.at_ns += int(after_s * NS)
        answers: list[AnyEvent] = []
        for event in events:
            self.number += 1
            event = _reported(event, self.at_ns)
            if type(event) in self.core.hears:
                now = Now(self.at_ns, Address(self.number, 0))
                answers.extend(self.core.step(event, now))
        return answers

    def read(
        self,
        after_s: float = 0.0,
        quality: Quality = Quality.GOOD,
        late_s: float = 0.0,
        **values: float,
    ) -> list[AnyEvent]:
        """Readings by point id, with `__` for `/` and `_` for `-` before it."""
        self.at_ns += int(after_s * NS)
        return self(readings(_points(values), self.at_ns - int(late_s * NS), quality))


def _reported(event: AnyEvent, at_ns: int) -> AnyEvent:
    """Controllers' reports that name no time of their own are of this moment."""
    if not isinstance(event, SignalsObserved):
        return event
    states = tuple(
        msgspec.structs.replace(s, observed_at_ns=at_ns) if s.observed_at_ns == NO_TIME_NS else s
        for s in event.states
    )
    return SignalsObserved(states=states)


def _points(values: dict[str, float]) -> dict[str, float]:
    named = {}
    for name, value in values.items():
        asset, _, quantity = name.partition("__")
        named[f"{asset.replace('_', '-')}/{quantity.replace('__', '/')}"] = value
    return named


def readings(
    values: dict[str, float], at_ns: int, quality: Quality = Quality.GOOD
) -> ReadingsObserved:
    count = len(values)
    return ReadingsObserved(
        source="mqtt",
        points=tuple(values),
        observed_at_ns=(at_ns,) * count,
        values=tuple(values.values()),
        qualities=(quality,) * count,
    )


@pytest.fixture
def bench() -> Callable[[Core], Bench]:
    return Bench


@pytest.fixture
def only() -> Callable[[Iterable[AnyEvent], type], list[AnyEvent]]:
    """The events of one type."""
    return lambda events, kind: [e for e in events if isinstance(e, kind)]
