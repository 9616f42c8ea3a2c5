"""Pedestrians cross under every controller: in time, with their clearance, and nobody hits them."""

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import libsumo
import pytest
import sumolib

from benchmarks.signals.eyes import Faults
from benchmarks.signals.network import read_network
from benchmarks.signals.pedestrians import Pedestrians
from benchmarks.signals.programs import KINDS, STATIC, cleared, programs_of
from benchmarks.signals.scenario import Phase, Scenario, find, survey
from benchmarks.signals.simulation import METHODS, Run, simulate
from control.signals.layout import GREEN, Layout, conflicts, walked_over

SECONDS = 400
DRIVEN = (("left0A0", "B0right0"), ("right1B1", "A1left1"), ("bottom0A0", "A1top0"))
TURNING = (("top1B1", "B1right1"), ("left1A1", "A1A0"), ("bottom1B0", "B0right0"))
WALKED = (("left0A0", "B0right0"), ("bottom0A0", "A1top0"), ("top1B1", "A1left1"))


def generate(net: Path, *options: str) -> None:
    size = ["--grid.number", "2", "--grid.length", "150", "--grid.attach-length", "150"]
    walks = ["--sidewalks.guess", "--crossings.guess", "--default-junction-type", "traffic_light"]
    command = [sumolib.checkBinary("netgenerate"), "--grid", *size, *walks, *options]
    lanes = ["--default.lanenumber", "2", "--no-turnarounds"]
    subprocess.run([*command, *lanes, "-o", str(net)], check=True, capture_output=True, timeout=60)


def write_routes(file: Path) -> None:
    flows = "".join(
        f'<flow id="{a}-{b}" from="{a}" to="{b}" begin="0" end="3600" vehsPerHour="350"'
        ' departLane="best"/>'
        for a, b in DRIVEN + TURNING
    )
    persons = "".join(
        f'<personFlow id="{a}~{b}" begin="0" end="3600" perHour="150"><walk from="{a}" to="{b}"/>'
        "</personFlow>"
        for a, b in WALKED
    )
    file.write_text(f"<routes>{flows}{persons}</routes>")


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    folder = tmp_path_factory.mktemp("scenarios") / "walked"
    folder.mkdir()
    generate(folder / "walked.net.xml")
    write_routes(folder / "walked.rou.xml")
    (folder / "walked.sumocfg").write_text(
        '<configuration><input><net-file value="walked.net.xml"/>'
        '<route-files value="walked.rou.xml"/></input><processing>'
        '<collision.check-junctions value="true"/><collision.action value="warn"/></processing>'
        '<output><collision-output value="collisions.xml"/></output></configuration>'
    )
    return survey(find(folder, SECONDS), tmp_path_factory.mktemp("survey"))


@pytest.fixture(scope="module")
def layouts(scenario: Scenario) -> dict[str, Layout]:
    return read_network(Path(scenario.net_file), scenario.states).layouts


def test_crossings_are_read_with_their_length_and_who_drives_over_them(
    layouts: dict[str, Layout],
) -> None:
    assert set(layouts) == {"A0", "A1", "B0", "B1"}
    layout = layouts["A0"]
    assert [c.id for c in layout.crossings] == [":A0_c3", ":A0_c0", ":A0_c1", ":A0_c2"]
    for crossing in layout.crossings:
        assert crossing.length_m == pytest.approx(12.8)
        assert crossing.clearance_s == 11
        road = {"3": "left0A0", "0": "A1A0", "1": "B0A0", "2": "bottom0A0"}[crossing.id[-1]]
        over = {layout.lanes[layout.movements[m].lane].id[:-2] for m in crossing.crosses}
        from_it = [m for m in crossing.crosses if layout.lanes[layout.movements[m].lane].id[:-2]]
        assert road in over
        assert len(from_it) > 3  # and those that turn into it
    assert len(layout.stages) == 2  # none that only clears the crossings


@pytest.mark.parametrize("controller", METHODS)
def test_pedestrians_cross_in_time_and_nobody_drives_into_them(
    controller: str, scenario: Scenario, layouts: dict[str, Layout], tmp_path: Path
) -> None:
    shown: dict[str, list[str]] = {id_: [] for id_ in layouts}
    crossed: set[str] = set()

    def look(at_s: int) -> None:
        for id_, states in shown.items():
            states.append(libsumo.trafficlight.getRedYellowGreenState(id_))
        for layout in layouts.values():
            for crossing in layout.crossings:
                crossed.update(libsumo.edge.getLastStepPersonIDs(crossing.id))

    found = simulate(Run(scenario, controller, 1), tmp_path, look)
    for id_, states in shown.items():
        layout = layouts[id_]
        assert [pair for s in states for pair in conflicts(layout, s)] == []
        assert [pair for s in states for pair in walked_over(layout, s)] == []
        assert list(shortened(layout, states)) == []
    assert len(crossed) > 20
    assert 0 < found.pedestrian_wait_max_s < 150
    assert found.pedestrians_hit == 0
    collisions = ET.parse(tmp_path / "collisions.xml").getroot()
    assert [hit.attrib for hit in collisions if "~" in hit.attrib["victim"]] == []


def shortened(layout: Layout, states: list[str]) -> Iterator[str]:
    """Crossings over which somebody got protected green before they were clear."""
    for crossing in layout.crossings:
        signals = {layout.movements[m].signal for m in crossing.crosses}
        walked_at = -1000
        for at_s, state in enumerate(states):
            if state[crossing.signal] == GREEN:
                walked_at = at_s
            elif at_s - walked_at <= crossing.clearance_s and GREEN in {state[s] for s in signals}:
                yield f"{crossing.id} at {at_s} s"


def test_a_program_gets_the_clearance_that_it_lacks(layouts: dict[str, Layout]) -> None:
    layout = layouts["A0"]
    one, other = layout.stages
    yellow = "".join(
        "y" if a in "Gg" and b == "r" else "r" for a, b in zip(one, other, strict=True)
    )
    for crossing in layout.crossings:
        yellow = yellow[: crossing.signal] + "r" + yellow[crossing.signal + 1 :]
    phases = [Phase(one, 3, -1, -1), Phase(yellow, 3, -1, -1), Phase(other, 30, -1, -1)]
    found = cleared(layout, phases)
    assert [clears for _, clears in found] == [False, True, False, False, True]
    assert [phase.duration_s for phase, _ in found] == [7, 11, 3, 30, 11]


def test_a_wait_is_counted_from_its_first_second_to_the_crossing(
    scenario: Scenario, tmp_path: Path
) -> None:
    network = read_network(Path(scenario.net_file), scenario.states)
    libsumo.start(["sumo", "-n", scenario.net_file, "--no-step-log", "true"])
    try:
        for id_ in network.layouts:
            libsumo.trafficlight.setRedYellowGreenState(id_, "r" * network.layouts[id_].signals)
        libsumo.person.add("p", "left0A0", 130.0)
        libsumo.person.appendWalkingStage("p", ["left0A0", "A0B0"], 100.0)
        pedestrians, waits = Pedestrians(network), []
        for _ in range(60):
            libsumo.simulation.step()
            (waits.append(*calls) if (calls := pedestrians.look().get("A0")) else None)
    finally:
        libsumo.close()
    assert [call.waited_s for call in waits] == list(range(len(waits)))
    assert len(waits) > 30
    assert {call.persons for call in waits} == {1}
    assert pedestrians.waited_s == len(waits)
    assert pedestrians.wait_max_s == len(waits) - 1


@pytest.mark.parametrize("kind", [*KINDS, STATIC])
def test_a_crossing_that_stays_green_prolongs_no_transition(
    kind: str, layouts: dict[str, Layout]
) -> None:
    layout = layouts["A0"]
    one, other = layout.stages
    at = layout.crossings[0].signal
    states = [state[:at] + GREEN + state[at + 1 :] for state in (one, "y" * 24, "r" * 24, other)]
    durations_s = (30.0, 3.0, 2.0, 30.0)
    phases = [Phase(s, d, d, d) for s, d in zip(states, durations_s, strict=True)]
    root = ET.fromstring(programs_of(kind, {"A0": phases}, layouts, Faults()))
    shown = {phase.get("state"): phase.attrib for phase in root.iter("phase")}
    assert shown[states[1]]["duration"] == "3"
    assert shown[states[2]]["duration"] == "2"
    assert "minDur" not in shown[states[2]]
