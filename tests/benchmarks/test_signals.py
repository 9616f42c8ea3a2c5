"""Signals are evaluated alike under every controller, and what cannot be used is said in a line."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

import libsumo
import msgspec
import pytest
import sumolib

from benchmarks.pool import whole_lines
from benchmarks.signals.baselines import MaxWave
from benchmarks.signals.cabinet import HELD_RED_MAX_S, Cabinet
from benchmarks.signals.eyes import Eyes, Faults, draw_faults
from benchmarks.signals.network import MIN_GREEN_S, YELLOW_S, read_network
from benchmarks.signals.programs import KINDS, programs_of
from benchmarks.signals.report import Report, table
from benchmarks.signals.scenario import Phase, Scenario, find, survey
from benchmarks.signals.simulation import METHODS, Run, simulate
from benchmarks.signals.trips import Outcome, Watched, outcome
from causeway.children import CAUSEWAY
from causeway.cli import main
from control.signals.layout import LayoutError, conflicts
from control.signals.observed import Observed, Vehicle

SECONDS = 200
FLOWS = (
    ("left0A0", "B0right0", 500),
    ("right1B1", "A1left1", 400),
    ("bottom0A0", "A1top0", 500),
    ("top1B1", "B0bottom1", 300),
    ("left1A1", "B0bottom1", 200),
    ("bottom1B0", "A0left0", 200),
)


def generate(net: Path, *options: str, junctions: str = "traffic_light") -> None:
    """A grid of four junctions."""
    size = ["--grid.number", "2", "--grid.length", "150", "--grid.attach-length", "150"]
    kind = ["--default.lanenumber", "2", "--default-junction-type", junctions]
    netgenerate = [sumolib.checkBinary("netgenerate"), "--grid", *size, *kind, *options]
    subprocess.run([*netgenerate, "-o", str(net)], check=True, capture_output=True, timeout=60)


def write_routes(file: Path) -> None:
    flows = "".join(
        f'<flow id="{start}-{end}" type="car" from="{start}" to="{end}" begin="0" end="3600"'
        f' vehsPerHour="{flow}" departLane="best"/>'
        for start, end, flow in FLOWS
    )
    file.write_text(f"<routes>{flows}</routes>")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario with half-second steps, an additional file, outputs of its own, and no end."""
    folder = tmp_path_factory.mktemp("scenarios") / "grid"
    folder.mkdir()
    generate(folder / "grid.net.xml", "--turn-lanes", "1")
    write_routes(folder / "grid.rou.xml")
    (folder / "cars.add.xml").write_text('<additional><vType id="car" sigma="0.4"/></additional>')
    (folder / "grid.sumocfg").write_text(
        '<configuration><input><net-file value="grid.net.xml"/>'
        '<route-files value="grid.rou.xml"/><additional-files value="cars.add.xml"/></input>'
        '<output><summary-output value="summary.xml"/></output>'
        '<time><begin value="10"/><step-length value="0.5"/></time></configuration>'
    )
    return folder


@pytest.fixture(scope="module")
def scenario(grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return survey(find(grid, SECONDS), tmp_path_factory.mktemp("survey"))


def test_a_scenario_is_read_with_its_own_options(grid: Path, tmp_path: Path) -> None:
    seen = survey(find(grid), tmp_path)
    assert (seen.name, seen.begin_s, seen.end_s, seen.steps_per_s) == ("grid", 10, 3610, 2)
    assert set(seen.programs) == {"A0", "A1", "B0", "B1"}
    assert len(seen.unusable) == 8  # netgenerate puts a signal of one stage at each dead end
    assert "stages with green: 1" in seen.unusable["left0"]
    assert ["no end" in note for note in seen.notes] == [True]


def test_a_net_with_routes_beside_it_is_enough(grid: Path, tmp_path: Path) -> None:
    for file in ("grid.net.xml", "grid.rou.xml", "cars.add.xml"):
        (tmp_path / file).symlink_to(grid / file)
    assert survey(find(tmp_path, 60), tmp_path).end_s == 60


@pytest.mark.parametrize("controller", METHODS)
def test_no_controller_shows_an_unsafe_signal(
    controller: str, scenario: Scenario, grid: Path, tmp_path: Path
) -> None:
    before = sorted(path.name for path in grid.iterdir())
    network = read_network(Path(scenario.net_file), scenario.states)
    shown: dict[str, list[str]] = {id_: [] for id_ in network.layouts}

    def look(at_s: int) -> None:
        for id_, states in shown.items():
            states.append(libsumo.trafficlight.getRedYellowGreenState(id_))

    found = simulate(Run(scenario, controller, 1), tmp_path, look)
    for id_, states in shown.items():
        assert len(states) == SECONDS
        assert [pair for s in states for pair in conflicts(network.layouts[id_], s)] == []
        for place in range(len(states[0])):
            check_signal([state[place] for state in states], own=controller == "fixed")
    assert any(len(set(states)) > 2 for states in shown.values())
    assert found.vehicles == pytest.approx(SECONDS * sum(f for *_, f in FLOWS) / 3600, rel=0.1)
    assert 0 < found.delay_s < 200
    assert found.co2_kg > 0
    assert (found.decisions > 0) == (METHODS[controller] is not None)
    assert sorted(path.name for path in grid.iterdir()) == before  # its outputs went elsewhere


def check_signal(aspects: list[str], own: bool) -> None:
    """Green lasts at least the minimum, and ends by so much yellow; the first and last may be cut.

    Of the scenario's own program only the yellow is looked at.
    """
    spans = [
        (kind, len(list(span)))
        for kind, span in groupby(aspects, lambda aspect: "G" if aspect in "Gg" else aspect)
    ]
    for (kind, lasted_s), (following, _) in zip(spans[1:], [*spans[2:], ("", 0)], strict=True):
        if kind == "G" and following:
            assert following == "y"
            assert own or lasted_s >= MIN_GREEN_S
        if kind == "y" and following:
            assert lasted_s >= YELLOW_S


def test_sumos_own_controllers_run_in_place_of_the_fixed_programs(
    scenario: Scenario, tmp_path: Path
) -> None:
    for kind in KINDS:
        kinds = set()

        def look(at_s: int, kinds: set[str] = kinds) -> None:
            kinds.add(libsumo.trafficlight.getProgram("A0"))

        work = tmp_path / kind
        work.mkdir()
        simulate(Run(scenario, kind, 1), work, look)
        assert kinds == {"causeway"}


def test_an_approach_is_followed_upstream_to_the_next_signal(scenario: Scenario) -> None:
    network = read_network(Path(scenario.net_file), scenario.states)
    assert {upstream.junction for upstream in network.upstream["A0"]} == {"A1", "B0"}
    assert all(120 < upstream.distance_m < 160 for upstream in network.upstream["A0"])
    layout = network.layouts["A0"]
    at_lines = {feeder.lane: feeder for feeder in network.feeders["A0"]}
    for number, lane in enumerate(layout.lanes):
        assert at_lines[lane.id].to_stop_line_m == 0
        assert at_lines[lane.id].lanes == (number,)
    for movement in layout.movements:
        assert set(movement.yields_to) <= set(movement.crosses)


def test_the_greedy_see_through_a_stop_line_lane_that_is_shorter_than_a_vehicle(
    tmp_path: Path,
) -> None:
    places = {"far": -400, "mid": -200, "near": 0, "signal": 20, "end": 200}
    nodes = "".join(f'<node id="{id_}" x="{x}" y="0"/>' for id_, x in places.items())
    nodes = nodes.replace('id="signal"', 'id="signal" type="traffic_light"')
    sides = '<node id="south" x="20" y="-200"/><node id="north" x="20" y="200"/>'
    roads = (
        ("beyond", "far", "mid", ""),
        ("before", "mid", "near", ""),
        ("line", "near", "signal", ' length="1"'),
        ("out", "signal", "end", ""),
        ("up", "south", "signal", ""),
        ("on", "signal", "north", ""),
    )
    edges = "".join(f'<edge id="{i}" from="{a}" to="{b}"{more}/>' for i, a, b, more in roads)
    files = [tmp_path / f"a.{kind}.xml" for kind in ("nod", "edg", "net")]
    files[0].write_text(f"<nodes>{nodes}{sides}</nodes>")
    files[1].write_text(f"<edges>{edges}</edges>")
    options = zip(("--node-files", "--edge-files", "-o"), map(str, files), strict=True)
    netconvert = [sumolib.checkBinary("netconvert"), *(word for pair in options for word in pair)]
    subprocess.run(netconvert, check=True, capture_output=True, timeout=60)
    network = read_network(files[2])
    (layout,) = network.layouts.values()
    method = MaxWave(network, 1)

    def count(zone: str, distance_m: float) -> int:
        seen = Vehicle("a", tuple(range(len(layout.lanes))), distance_m, 0.0, 13.9, zone)
        return sum(method.gains({layout.id: Observed(0, 0, 9, 0, (seen,), ())})[layout.id])

    assert count("line_0", 0.5) > 0
    assert count("before_0", 3.0) > 0
    assert count("before_0", 201.0) == 0
    assert count("beyond_0", 190.0) == 0


def test_who_drives_over_is_inside_then_counted_once_also_onto_a_road_that_leads_back(
    tmp_path: Path,
) -> None:
    places = {"signal": (0, 0), "south": (0, -150), "north": (0, 60), "east": (60, 60)}
    nodes = "".join(f'<node id="{id_}" x="{x}" y="{y}"/>' for id_, (x, y) in places.items())
    nodes = nodes.replace('id="signal"', 'id="signal" type="traffic_light"')
    roads = ("south signal", "signal north", "north east", "east signal", "signal south")
    edges = "".join(
        f'<edge id="{road.replace(" ", "-")}" from="{road.split()[0]}" to="{road.split()[1]}"/>'
        for road in roads
    )
    files = [tmp_path / f"a.{kind}.xml" for kind in ("nod", "edg", "net")]
    files[0].write_text(f"<nodes>{nodes}</nodes>")
    files[1].write_text(f"<edges>{edges}</edges>")
    options = zip(("--node-files", "--edge-files", "-o"), map(str, files), strict=True)
    netconvert = [sumolib.checkBinary("netconvert"), *(word for pair in options for word in pair)]
    subprocess.run(netconvert, check=True, capture_output=True, timeout=60)
    network = read_network(files[2])
    ((id_, layout),) = network.layouts.items()
    assert "signal-north_0" in {feeder.lane for feeder in network.feeders[id_]}
    crossed, inside = [], []
    libsumo.start(["sumo", "-n", str(files[2]), "--no-step-log", "true"])
    try:
        cabinet, eyes = Cabinet(layout), Eyes(network, Faults())
        libsumo.trafficlight.setRedYellowGreenState(id_, "G" * layout.signals)
        libsumo.route.add("loop", ["south-signal", "signal-north", "north-east"])
        libsumo.vehicle.add("a", "loop")
        for _ in range(40):
            libsumo.simulation.step()
            seen = eyes.look({id_: cabinet}, {})[id_]
            crossed += seen.crossed
            inside.append(len(seen.inside))
    finally:
        libsumo.close()
    (made,) = crossed
    movement = layout.movements[made.movement]
    ends = layout.lanes[movement.lane].id, layout.exits[movement.exit].id
    assert ends == ("south-signal_0", "signal-north_0")
    assert 0 < sum(inside) < 10 and inside[-1] == 0


def test_signals_that_none_can_use_are_named(scenario: Scenario) -> None:
    states = {**scenario.states, "A0": ["GG", "GG", "rr"], "A1": []}
    network = read_network(Path(scenario.net_file), states)
    assert set(network.layouts) == {"B0", "B1"}
    assert "stages with green: 1" in network.unusable["A0"]
    assert network.unusable["A1"] == "no program"
    with pytest.raises(LayoutError, match="A0, A1, B0, B1 and 8 more: no program"):
        read_network(Path(scenario.net_file), {})


def test_of_two_that_cross_with_green_one_yields(scenario: Scenario) -> None:
    states = scenario.states["A0"]
    generous = {**scenario.states, "A0": ["G" * len(states[0]), *states]}
    layout = read_network(Path(scenario.net_file), generous).layouts["A0"]
    assert set(layout.stages[0]) == {"G", "g"}
    assert list(conflicts(layout, layout.stages[0])) == []


def test_a_signal_that_is_off_leaves_its_link_to_the_rule_of_the_road(scenario: Scenario) -> None:
    states = {**scenario.states, "A0": [f"O{state[1:]}" for state in scenario.states["A0"]]}
    layout = read_network(Path(scenario.net_file), states).layouts["A0"]
    assert {stage[0] for stage in layout.stages} == {"g"}


def test_delay_counts_who_arrived_who_travels_and_who_never_left(tmp_path: Path) -> None:
    trips = tmp_path / "trips.xml"
    trips.write_text(
        '<tripinfos><tripinfo id="arrived" depart="5.00" departDelay="2.00" arrival="50.00"'
        ' timeLoss="10.00" waitingTime="6.00" waitingCount="1">'
        '<emissions CO2_abs="3000000"/></tripinfo>'
        '<tripinfo id="travels" depart="60.00" departDelay="0.00" arrival="-1.00"'
        ' timeLoss="30.00" waitingTime="14.00" waitingCount="2"/>'
        '<tripinfo id="never left" depart="-1" departDelay="48.00" arrival="-1.00"'
        ' timeLoss="0.00" waitingTime="0.00" waitingCount="0"/></tripinfos>'
    )
    statistics = tmp_path / "statistics.xml"
    statistics.write_text(
        '<statistics><teleports total="1"/><safety collisions="2" emergencyStops="3"/></statistics>'
    )
    assert outcome(trips, statistics, 100.0) == Outcome(
        delay_s=(2 + 10 + 30 + 48) / 3,
        waiting_s=20 / 3,
        wait_max_s=14.0,
        stops=1.0,
        queue_veh=0.2,
        co2_kg=3.0,
        vehicles=3,
        completed=1,
        never_inserted=1,
        teleports=1,
        collisions=2,
        emergency_stops=3,
        person_delay_s=30.0,
        others_delay_s=30.0,
    )


def test_a_persons_delay_is_that_of_the_vehicle_or_the_wait_at_a_crossing(tmp_path: Path) -> None:
    trips, statistics = tmp_path / "trips.xml", tmp_path / "statistics.xml"
    trips.write_text(
        '<tripinfos><tripinfo id="a" depart="0" arrival="9" timeLoss="10" vType="omnibus"/>'
        '<tripinfo id="b" depart="0" arrival="9" timeLoss="40" vType="honda"/>'
        '<personinfo id="c" depart="0"/></tripinfos>'
    )
    statistics.write_text("<statistics/>")
    watched = Watched(55, 20, 12, {"omnibus": "bus", "honda": "motorcycle"})
    found = outcome(trips, statistics, 100.0, watched, hit=1)
    assert found.person_delay_s == pytest.approx((30 * 10 + 1.3 * 40 + 20) / (30 + 1.3 + 1))
    assert (found.delay_s, found.pedestrians, found.pedestrian_wait_s) == (25, 1, 20)
    assert (found.signal_wait_max_s, found.pedestrian_wait_max_s) == (55, 12)
    assert found.pedestrians_hit == 1


def made(delay_s: float, **more: float) -> Outcome:
    same = Outcome(delay_s, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0)
    return msgspec.structs.replace(same, **more)


def test_other_vehicles_and_teleports_are_warned_of(scenario: Scenario) -> None:
    report = Report(("fixed", "maxwave"), (1, 2), {})
    for controller, second in (("fixed", {"vehicles": 3}), ("maxwave", {"teleports": 2})):
        for outcome_ in (made(9.0, wait_max_s=70), made(9.0, **second)):
            report.add(scenario, controller, outcome_)
    text = table(report)
    assert [line for line in text.splitlines() if line.startswith("warning: ")] == [
        "warning: grid, seed 2: not the same vehicles: fixed 3, maxwave 1",
        "warning: grid, seed 2: teleports: maxwave 2",
    ]
    assert text.count("      70  ") == 2


def test_a_decision_is_timed_by_the_junctions_that_were_searched(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lazy:
        searches = 0

        def decide(self, at_s: int, seen: Mapping[str, Observed]) -> dict[str, int]:
            self.searches = 2 if at_s % 10 == 0 else 0
            return dict.fromkeys(seen, 0)

    monkeypatch.setitem(METHODS, "lazy", lambda network: Lazy())
    found = simulate(Run(scenario, "lazy", 1), tmp_path)
    assert found.decisions == 2 * SECONDS / 10
    assert found.decision_ms_median is not None
    assert found.decision_ms_p99 is not None
    assert found.decision_ms_max is not None
    assert found.decision_ms_median <= found.decision_ms_p99 <= found.decision_ms_max


def test_the_next_green_is_put_off_while_a_method_asks_but_not_for_ever(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Holding:
        holds_red = ("A0",)

        def decide(self, at_s: int, seen: Mapping[str, Observed]) -> dict[str, int]:
            return dict.fromkeys(seen, at_s // 30 % 2)

    def changes(id_: str) -> list[str]:
        """What is shown between two stages, a second each: with yellow, or without."""
        stages = read_network(Path(scenario.net_file), scenario.states).layouts[id_].stages
        told = ("" if s in stages else "y" if "y" in s else "r" for s in shown[id_])
        return ["".join(kinds) for between, kinds in groupby(told, bool) if between]

    monkeypatch.setitem(METHODS, "holding", lambda network: Holding())
    shown: dict[str, list[str]] = {"A0": [], "B0": []}

    def look(at_s: int) -> None:
        for id_, states in shown.items():
            states.append(libsumo.trafficlight.getRedYellowGreenState(id_))

    simulate(Run(scenario, "holding", 1), tmp_path, look)
    yellow = "y" * int(YELLOW_S)
    assert changes("A0")[0] == yellow + "r" * HELD_RED_MAX_S
    assert changes("B0")[0] == yellow


@pytest.mark.parametrize("state", ["ryG", "rYG", "ruG"])
def test_a_transition_is_never_prolonged_like_a_green(state: str, scenario: Scenario) -> None:
    layouts = {"a": read_network(Path(scenario.net_file), scenario.states).layouts["A0"]}
    phases = [Phase("Grr", 30.0, 5.0, 50.0), Phase(state, 2.0, 2.0, 2.0)]
    text = programs_of("actuated", {"a": phases}, layouts, Faults()).decode()
    assert text.count("minDur") == text.count("maxDur") == 1


def test_an_answer_may_be_longer_than_a_reader_takes() -> None:
    async def read() -> list[bytes]:
        reader = asyncio.StreamReader(limit=8)
        reader.feed_data(b"short\n" + b"x" * 200_000 + b"\n\ncut")
        reader.feed_eof()
        return [line async for line in whole_lines(reader)]

    assert asyncio.run(read()) == [b"short", b"x" * 200_000, b""]


def test_a_ratio_is_to_the_best_other_by_its_mean_and_worst_by_seed(scenario: Scenario) -> None:
    report = Report(("causeway", "fixed", "maxwave"), (1, 2), {})
    for controller, delays in (("causeway", (8, 11)), ("fixed", (9, 40)), ("maxwave", (10, 10))):
        for delay_s in delays:
            report.add(scenario, controller, made(delay_s, decision_ms_median=0.5))
    compared = report.compared["grid"]
    assert compared.best_baseline == "maxwave"
    assert compared.ratios == pytest.approx((0.95, 1.1))
    assert report.ratio_geomean == pytest.approx(0.95)
    assert report.decision_ms_median == 0.5


def test_faults_are_shares_of_the_lanes_and_the_same_for_a_seed() -> None:
    lanes = [f"lane {i}" for i in range(50)]
    faults = draw_faults(lanes, 0.2, 0.1, 3)
    assert len(faults.dead) == 10
    assert len(faults.ghosts) + len(faults.half) == 5
    assert not faults.dead & (faults.half | set(faults.ghosts))
    assert faults == draw_faults(lanes, 0.2, 0.1, 3)
    assert faults != draw_faults(lanes, 0.2, 0.1, 4)


@pytest.mark.parametrize("controller", ["maxwave", "actuated"])
def test_faulty_detectors_change_what_a_method_does(
    controller: str, scenario: Scenario, tmp_path: Path
) -> None:
    delays = []
    for number, (dead, lying) in enumerate(((0.0, 0.0), (0.3, 0.3))):
        work = tmp_path / str(number)
        work.mkdir()
        delays.append(simulate(Run(scenario, controller, 1, dead, lying), work).delay_s)
    assert delays[0] != delays[1]


def test_the_command_prints_its_numbers_and_draws_them(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--seeds", "1,2", "--controllers", "fixed,maxwave", "--seconds", "60", "--json"]
    assert main(["eval", "signals", str(grid), *arguments, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out.splitlines()[-1])
    assert set(found) >= {"scenarios", "ratio_geomean", "decision_ms_median"}
    assert set(found["scenarios"]) == {"grid"}
    numbers = found["scenarios"]["grid"]
    assert {name: len(delays) for name, delays in numbers["delay_s"].items()} == {
        "fixed": 2,
        "maxwave": 2,
    }
    assert set(numbers) >= {"decision_ms_median", "decision_ms_p99", "decision_ms_max"}
    assert len(numbers["measures"]["maxwave"]["wait_max_s"]) == 2
    assert numbers["best_baseline"] in ("fixed", "maxwave")
    assert numbers["ratio"] is None
    assert numbers["ratio_worst_seed"] is None
    assert "mean ± standard deviation" in printed.err
    assert {path.name for path in tmp_path.iterdir()} >= {"signals.txt", "signals.json"}
    assert (tmp_path / "signals.svg").stat().st_size > (tmp_path / "signals.txt").stat().st_size


def test_ctrl_c_ends_all_runs_and_leaves_nothing(grid: Path, tmp_path: Path) -> None:
    running = subprocess.Popen(
        [CAUSEWAY, "eval", "signals", str(grid), "--controllers", "maxwave_1s", "--jobs", "1"],
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert running.stderr is not None
    said = b""
    while b"simulated" not in said and running.poll() is None:
        said += running.stderr.read(1)
    assert list(tmp_path.iterdir()) != []
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert running.returncode == 130
    assert list(tmp_path.iterdir()) == []


def two_configurations(folder: Path) -> None:
    for name in ("one.sumocfg", "other.sumocfg"):
        (folder / name).write_text("<configuration/>")


def a_net_alone(folder: Path) -> None:
    (folder / "lone.net.xml").write_text("<net/>")


def no_xml(folder: Path) -> None:
    (folder / "a.sumocfg").write_text("net-file = x")


def a_net_that_is_not_there(folder: Path) -> None:
    text = '<configuration><net-file value="away.net.xml"/></configuration>'
    (folder / "a.sumocfg").write_text(text)


def no_signals(folder: Path) -> None:
    generate(folder / "a.net.xml", junctions="priority")
    (folder / "a.rou.xml").write_text("<routes/>")


@pytest.mark.parametrize(
    ("making", "said"),
    [
        (lambda folder: None, "seen no net, expected a .sumocfg, or one .net.xml"),
        (lambda folder: folder.rmdir(), "no such folder"),
        (two_configurations, "one.sumocfg, other.sumocfg: name the one that is meant"),
        (a_net_alone, "no routes"),
        (no_xml, "no SUMO configuration"),
        (a_net_that_is_not_there, "away.net.xml' is not accessible"),
        (no_signals, "no traffic light that can be used"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_a_line(
    making: Callable[[Path], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    making(folder)
    assert main(["eval", "signals", str(folder), "--controllers", "fixed"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [said in line for line in lines if line.startswith("causeway: ")] == [True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--controllers", "magic"], "no controller 'magic'"),
        (["--controllers", "fixed", "--dead", "0.7", "--lying", "0.5"], "expected shares up to 1"),
    ],
)
def test_unusable_options_are_named(
    arguments: list[str], said: str, grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "signals", str(grid), *arguments]) == 2
    assert said in capsys.readouterr().err
