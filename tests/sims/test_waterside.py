from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from causeway.site import Site, load_site
from sims.drainage import Drainage
from sims.plc import Line
from sims.scenario import FieldFault, Scenario, TrafficLevel
from sims.script import Begun, Ended, Script
from sims.street_water import StreetWaterReader, StreetWaterWriter
from sims.waterside import Waterside

CITY = Path(__file__).parents[2] / "sims" / "cities" / "saigon"
START = datetime.fromisoformat("2025-11-06T14:30:00+07:00")  # the tide rises
NS = 1_000_000_000


def fault(target: str, kind: str, after_s: float, for_s: float = 0.0) -> FieldFault:
    at = datetime.fromtimestamp(START.timestamp() + after_s, START.tzinfo)
    return FieldFault(target, kind, at, for_s, amount=0.3)


def scenario(*faults: FieldFault) -> Scenario:
    level = TrafficLevel(1_000.0, 0.8)
    return Scenario("test", "", "", START, 3, level, faults=faults)


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(CITY)


class Afternoon:
    """The city's water and its machines, from the start of the scenario on."""

    def __init__(self, site: Site, workdir: Path, *faults: FieldFault) -> None:
        played = scenario(*faults)
        self.water = Drainage(site, CITY / "truth", played, workdir)
        self.now_ns = played.start_ns
        self.waterside = Waterside(site, played, self.water, self.now_ns)
        self.said: dict[str, list[float]] = {}
        self.count = 0

    def run(self, seconds: float, watched: bool = True) -> None:
        for _ in range(round(seconds)):
            self.now_ns += NS
            self.count += watched
            for program in self.waterside.programs.values():
                program.image.write("holding", program.plc.watchdog, [self.count & 0xFFFF])
            self.water.step_to(self.now_ns)
            for message in self.waterside.tick(self.now_ns):
                device = message.topic.rpartition("/")[2]
                for reading in msgspec.json.decode(message.payload):
                    self.said.setdefault(device, []).append(reading["value"])


@pytest.fixture
def afternoon(site: Site, tmp_path: Path) -> Iterator[Afternoon]:
    one = Afternoon(
        site,
        tmp_path,
        fault("lg-cau-bong", "dead", 100.0, 100.0),
        fault("plc-ps-nhc", "hangs", 50.0, 100.0),
        fault("tg-phu-an", "lying", 300.0),
        fault("g-ben-nghe", "stuck", 0.0),
        fault("ps-nhc", "local", 0.0, 100.0),
    )
    yield one
    one.water.close()


def test_a_gate_that_is_closed_holds_the_tide_back(afternoon: Afternoon) -> None:
    program = afternoon.waterside.programs["plc-g-thi-nghe"]
    afternoon.run(5)
    now_s = afternoon.now_ns // NS
    program.image.write("holding", 100, [1, now_s >> 16, now_s & 0xFFFF, 30, 1, 2, 0])
    before_m = afternoon.water.outside_m("g-thi-nghe") - afternoon.water.inside_m("g-thi-nghe")
    afternoon.run(125)
    assert program.gates["g-thi-nghe"].drive.opening_ratio == 0.0
    afternoon.run(1_200)
    after_m = afternoon.water.outside_m("g-thi-nghe") - afternoon.water.inside_m("g-thi-nghe")
    assert after_m > before_m + 0.1


def test_a_scenario_plays_its_faults_and_ends_them(afternoon: Afternoon) -> None:
    lines = []
    for _ in range(50):
        afternoon.run(10)
        lines.append(afternoon.waterside.lines["plc-ps-nhc"])
    assert lines == [*[Line.ANSWERS] * 4, *[Line.HANGS] * 10, *[Line.ANSWERS] * 36]
    assert len(afternoon.said["lg-cau-bong"]) == len(afternoon.said["tg-phu-an"]) - 10
    tide = afternoon.said["tg-phu-an"]
    assert tide[35] > tide[25] + 0.25
    remote = afternoon.waterside.programs["plc-ps-nhc"].remote
    assert remote["ps-nhc"]


def test_a_stuck_gate_of_a_scenario_does_not_move(afternoon: Afternoon) -> None:
    program = afternoon.waterside.programs["plc-g-ben-nghe"]
    afternoon.run(5)
    now_s = afternoon.now_ns // NS
    program.image.write("holding", 100, [1, now_s >> 16, now_s & 0xFFFF, 30, 1, 2, 0])
    afternoon.run(200)
    assert program.gates["g-ben-nghe"].drive.opening_ratio == 1.0
    assert program.gates["g-ben-nghe"].fault == "travel time"


def test_every_gauge_speaks_near_the_truth(afternoon: Afternoon, site: Site) -> None:
    afternoon.run(30)
    assert set(afternoon.said) == {g.id for g in site.gauges}
    for gauge in site.gauges:
        last = afternoon.said[gauge.id][-1]
        if gauge.kind == "street" and gauge.segment is not None:
            assert last == pytest.approx(afternoon.water.depth_m(gauge.segment), abs=0.03)
        elif gauge.kind == "level" and gauge.node is not None:
            assert last == pytest.approx(afternoon.water.level_m(gauge.node), abs=0.03)


def test_the_streets_water_reaches_the_other_process(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "street-water"
    reader = StreetWaterReader(file, site)
    assert reader.read() is None
    depths = [i / 100 for i in range(len(site.segments))]
    StreetWaterWriter(file, site).write(7, 12.5, depths)
    seen = reader.read()
    assert seen is not None
    assert (seen.at_ns, seen.rain_mm_h, seen.depth_m.tolist()) == (7, 12.5, depths)
    StreetWaterWriter(file, site).write(8, 0.0, depths)  # the water process has begun anew
    again = reader.read()
    assert again is not None
    assert again.at_ns == 8
    other = msgspec.structs.replace(site, hash="another")
    assert StreetWaterReader(file, other).read() is None


def test_a_script_begins_in_the_middle_with_what_still_goes_on() -> None:
    over, going_on, coming = (
        fault("a", "dead", 0.0, 50.0),
        fault("b", "dead", 10.0),
        fault("c", "dead", 200.0, 10.0),
    )
    script = Script(scenario(over, going_on, coming), scenario().start_ns + 100 * NS)
    assert list(script.due(scenario().start_ns + 100 * NS)) == [Begun(going_on)]
    assert list(script.due(scenario().start_ns + 199 * NS)) == []
    assert list(script.due(scenario().start_ns + 300 * NS)) == [Begun(coming), Ended(coming)]
