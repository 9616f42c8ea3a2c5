"""A site becomes a scenario, and motorbikes side by side are seen for what they are."""

import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import libsumo
import pytest
import sumolib
from msgspec import structs

from benchmarks.signals.cabinet import Cabinet
from benchmarks.signals.eyes import Eyes, Faults
from benchmarks.signals.network import Network, read_network
from benchmarks.signals.scenario import Scenario, ScenarioUnusable, find, survey
from benchmarks.signals.simulation import Run, simulate
from causeway.cli import CITIES
from causeway.site import load_site
from control.signals.layout import GREEN, conflicts, walked_over
from control.signals.observed import Observed

SECONDS = 90


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    made = tmp_path_factory.mktemp("made")
    folder = structs.replace(find(Path("saigon"), SECONDS), made=str(made), seeds=(1, 2))
    return survey(folder, tmp_path_factory.mktemp("survey"))


@pytest.fixture(scope="module")
def network(scenario: Scenario) -> Network:
    return read_network(Path(scenario.net_file), scenario.states, scenario.times)


def test_a_site_keeps_its_own_stages_and_times(scenario: Scenario, network: Network) -> None:
    site = load_site(CITIES / "saigon")
    assert (scenario.name, scenario.end_s, scenario.steps_per_s) == ("saigon", SECONDS, 2)
    assert set(network.layouts) == {junction.id for junction in site.junctions}
    for junction in site.junctions:
        layout = network.layouts[junction.id]
        assert len(layout.stages) == len(junction.stages)
        assert layout.min_green_s == junction.min_green_s
        assert layout.change_s == junction.yellow_s + junction.all_red_s


def test_every_crossing_of_a_site_is_green_in_some_stage(network: Network) -> None:
    crossings = [c for layout in network.layouts.values() for c in layout.crossings]
    assert len(crossings) > 100
    for layout in network.layouts.values():
        for crossing in layout.crossings:
            assert any(stage[crossing.signal] == GREEN for stage in layout.stages)


def test_right_turns_go_on_red_where_the_site_has_a_lamp(network: Network) -> None:
    lamps = {
        junction.id
        for junction in load_site(CITIES / "saigon").junctions
        if any(group.right_on_red for group in junction.groups)
    }
    shown = {id_ for id_, la in network.layouts.items() if "s" in "".join(la.stages)}
    assert shown == lamps != set()


def test_seeds_draw_other_traffic_of_which_most_are_motorbikes(scenario: Scenario) -> None:
    trips = {seed: ET.parse(file).getroot() for seed, file in scenario.routes.items()}
    assert set(trips) == {1, 2}
    departures = [[trip.get("depart") for trip in root] for root in trips.values()]
    assert departures[0] != departures[1]
    for root in trips.values():
        kinds = Counter(vehicle.get("type") for vehicle in root.iter("vehicle"))
        assert (kinds["wary"] + kinds["bold"]) / kinds.total() > 0.7
        assert len(list(root.iter("person"))) > 50


def test_a_sites_signals_are_safe_under_a_controller(
    scenario: Scenario, network: Network, tmp_path: Path
) -> None:
    unsafe: list[object] = []

    def look(at_s: int) -> None:
        for id_, layout in network.layouts.items():
            state = libsumo.trafficlight.getRedYellowGreenState(id_)
            unsafe.extend([*conflicts(layout, state), *walked_over(layout, state)])

    found = simulate(Run(scenario, "causeway", 1), tmp_path, look)
    assert unsafe == []
    assert found.vehicles > 100
    assert found.pedestrians > 50
    assert found.person_delay_s > 0


def test_a_site_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScenarioUnusable, match="no such folder"):
        find(tmp_path / "atlantis")


def test_motorbikes_abreast_are_all_seen_each_as_a_quarter_of_a_car(tmp_path: Path) -> None:
    net = tmp_path / "a.net.xml"
    grid = ["--grid", "--grid.number", "1", "--grid.attach-length", "150"]
    command = [sumolib.checkBinary("netgenerate"), *grid, "-j", "traffic_light", "-o", str(net)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    trips = "".join(
        f'<trip id="{i}" type="honda" depart="0" from="left0A0" to="A0right0" departPos="100"'
        f' departPosLat="{side}"/>'
        for i, side in enumerate(("left", "center", "right"))
    )
    routes = tmp_path / "a.rou.xml"
    kind = '<vType id="honda" vClass="motorcycle" width="0.7" latAlignment="arbitrary"/>'
    routes.write_text(f"<routes>{kind}{trips}</routes>")
    network = read_network(net)
    (id_,) = network.layouts
    layout = network.layouts[id_]
    files = ["-n", str(net), "-r", str(routes), "--lateral-resolution", "0.8"]
    libsumo.start(["sumo", *files, "--no-step-log", "true"])
    try:
        cabinet, eyes = Cabinet(layout), Eyes(network, Faults(), by_persons=True)
        lane = layout.lanes.index(next(la for la in layout.lanes if la.id == "left0A0_0"))
        movements = [m for m in layout.movements if m.lane == lane]
        green = next(
            i for i, s in enumerate(layout.stages) if any(s[m.signal] == GREEN for m in movements)
        )
        red = next(i for i in range(len(layout.stages)) if i != green)
        looks: list[Observed] = []
        for second in range(60):
            libsumo.simulation.step()
            cabinet.tick()
            looks.append(eyes.look({id_: cabinet}, {})[id_])
            cabinet.order(green if second > 35 else red)
    finally:
        libsumo.close()
    waiting = max(
        looks, key=lambda seen: (len(seen.vehicles), -sum(v.speed_m_s for v in seen.vehicles))
    )
    assert len(waiting.vehicles) == 3
    places_m = [vehicle.distance_m for vehicle in waiting.vehicles]
    assert max(places_m) - min(places_m) < 2.0  # abreast, not one behind the other
    assert {(v.units, v.persons) for v in waiting.vehicles} == {(0.25, 1.3)}
    crossed = [c for seen in looks for c in seen.crossed]
    assert sorted(c.track for c in crossed) == ["0", "1", "2"]
    assert {c.units for c in crossed} == {0.25}
    exit_ = max((out for seen in looks for out in seen.outs), key=lambda out: out.vehicles)
    assert exit_.cars == pytest.approx(exit_.vehicles / 4)
