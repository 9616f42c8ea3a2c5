"""Traffic on a real libsumo; each simulation in a process of its own, since libsumo is global."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from causeway.site import LonLat, load_site
from sims.city import CityUnusable, build_network
from sims.passability import classes_kept_out, stall_chance_per_s, wading_speed_m_s

ROOT = Path(__file__).parents[2]

PRELUDE = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from causeway.site import load_site
from sims.scenario import Scenario, TrafficLevel
from sims.traffic import Traffic
import libsumo

NS = 1_000_000_000
site = load_site(Path(sys.argv[1]))

def traffic(veh_h=4000.0, seed=5):
    start = datetime(2025, 11, 6, 10, 0, tzinfo=UTC)
    scenario = Scenario("t", "t", "t", start, seed, TrafficLevel(veh_h, 0.78))
    return Traffic(site, scenario, Path(sys.argv[2]))

def drive(city, seconds, aspects=None):
    for _ in range(seconds):
        s = city.at_ns // NS
        for j in site.junctions:
            phase = s % 60
            plan = ("GGrr", "yyrr", "rrGG", "rryy")[(phase >= 27) + (phase >= 30) + (phase >= 57)]
            city.set_aspects(j.id, (aspects or {}).get(j.id, plan))
        city.step_to(city.at_ns + NS)

def on(city, edge):
    return set(libsumo.edge.getLastStepVehicleIDs(edge))

def tell(**found):
    print(json.dumps(found))
"""


@pytest.fixture
def simulated(grid_folder: Path, tmp_path: Path) -> Any:
    """Runs a piece of code in a process of its own; gives what it told."""

    def run(code: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + code, str(grid_folder), str(tmp_path / "work")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told

    return run


def test_every_link_of_a_junction_follows_the_group_of_its_approach(
    grid_folder: Path, tmp_path: Path
) -> None:
    network = build_network(load_site(grid_folder), tmp_path)
    signals = network.signals["j-00"]
    assert signals.groups == ("w", "e", "s", "n")
    assert signals.approaches == ("rd-ew00", "rd-ew01.back", "rd-ns00", "rd-ns01.back")
    state = signals.state("GyrG")
    for link, letter in zip(signals.links, state, strict=True):
        assert link.group is not None
        expected = "GyrG"[link.group]
        assert letter.upper() == expected.upper()
    assert "g" in state  # left turns give way to the other green approach
    assert "g" not in signals.state("Grrr")
    assert set(signals.state("oooo")) == {"o", "O"}
    with pytest.raises(ValueError, match="expected 4 letters"):
        signals.state("GG")


def test_a_walked_network_lets_pedestrians_go_where_nobody_drives_straight_on(
    grid_folder: Path, tmp_path: Path
) -> None:
    network = build_network(load_site(grid_folder), tmp_path, walked=True)
    assert all(len(edge.lanes) == 2 for edge in network.edges.values())  # no pavement is driven on
    signals = network.signals["j-00"]
    state = signals.state("GGrr")
    walks = [i for i, link in enumerate(signals.links) if link.walked]
    assert len(walks) == 4
    assert sorted(state[i] for i in walks) == ["G", "G", "r", "r"]
    for i in walks:
        over = [
            a
            for a, link in zip(state, signals.links, strict=True)
            if link.roads & signals.links[i].roads and not link.walked
        ]
        assert ("G" in over) == (state[i] == "r")
    assert {signals.state("yyrr")[i] for i in walks} == {"r"}


def test_a_right_turn_goes_on_red_where_it_has_a_lamp(grid_folder: Path, tmp_path: Path) -> None:
    site = load_site(grid_folder)
    junction = site.junctions[0]
    west = msgspec.structs.replace(junction.groups[0], right_on_red=True)
    lit = msgspec.structs.replace(junction, groups=(west, *junction.groups[1:]))
    junctions = tuple(lit if j.id == lit.id else j for j in site.junctions)
    signals = build_network(msgspec.structs.replace(site, junctions=junctions), tmp_path).signals[
        lit.id
    ]
    place = signals.groups.index(west.id)
    for aspects, shown in (("rrGG", "s"), ("GGrr", "G"), ("yyrr", "y")):
        state = signals.state(aspects)
        of_it = {a for a, k in zip(state, signals.links, strict=True) if k.group == place}
        assert shown in of_it
    assert signals.state("rrGG").count("s") == 1


def test_local_metres_and_degrees_are_each_others_inverse(
    grid_folder: Path, tmp_path: Path
) -> None:
    site = load_site(grid_folder)
    projection = build_network(site, tmp_path).projection
    x_m, y_m = projection.to_xy(site.junctions[0].at)
    assert (round(x_m), round(y_m)) == (-250, -125)
    back = projection.to_lonlat(x_m, y_m)
    assert back == pytest.approx(site.junctions[0].at, abs=1e-9)


def test_a_site_that_cannot_be_driven_on_is_refused_with_every_fault(
    grid_folder: Path, tmp_path: Path
) -> None:
    site = load_site(grid_folder)
    first, second = site.junctions[0].groups[:2]
    stray = msgspec.structs.replace(first, segment="rd-ns22")
    doubled = msgspec.structs.replace(second, segment="rd-ns00")
    groups = (stray, doubled, *site.junctions[0].groups[2:])
    junction = msgspec.structs.replace(site.junctions[0], groups=groups)
    a = site.segments[0].line[0]
    short = msgspec.structs.replace(
        site.segments[0], id="rd-short", line=(a, LonLat(a.lon, a.lat + 2e-5))
    )
    broken = msgspec.structs.replace(
        site, junctions=(junction, *site.junctions[1:]), segments=(*site.segments, short)
    )
    with pytest.raises(CityUnusable) as refused:
        build_network(broken, tmp_path)
    faults = "\n".join(refused.value.faults)
    assert "group 'w' stands at 'rd-ns22', which does not lead to it" in faults
    assert "groups 'e' and 's' both stand at 'rd-ns00'" in faults
    assert "rd-short: 2.2 m long; expected at least 5.0 m" in faults


def test_safe_speed_falls_with_depth_and_classes_stay_out_one_after_the_other() -> None:
    speeds = [wading_speed_m_s(d / 100) for d in range(1, 60)]
    assert speeds == sorted(speeds, reverse=True)
    assert wading_speed_m_s(0.1) == pytest.approx((9 - 55.29 + 86.9448) / 3.6)
    assert classes_kept_out(0.2) == ()
    assert classes_kept_out(0.26) == ("motorcycle",)
    assert "passenger" in classes_kept_out(0.35)
    assert "bus" not in classes_kept_out(0.45)
    assert stall_chance_per_s(0.2) == 0
    assert stall_chance_per_s(0.35) == pytest.approx(0.02)


def test_green_releases_a_queue(simulated: Any) -> None:
    told = simulated("""
city = traffic()
drive(city, 90, {"j-00": "rrrr"})
red = city.queue_veh("j-00", "w"), city.flow_veh_h("j-00", "w")
drive(city, 45, {"j-00": "GGrr"})
tell(red=red, green=(city.queue_veh("j-00", "w"), city.flow_veh_h("j-00", "w")))
""")
    (queue_red, flow_red), (queue_green, flow_green) = told["red"], told["green"]
    assert queue_red >= 3
    assert flow_red == 0
    assert queue_green < queue_red / 2
    assert flow_green > 60


def test_conflicting_aspects_are_shown_as_they_are_sent(simulated: Any) -> None:
    told = simulated("""
city = traffic()
city.set_aspects("j-00", "GrGr")
state = libsumo.trafficlight.getRedYellowGreenState("j-00")
tell(shown=city.aspects()["j-00"], state=state, sent=city.network.signals["j-00"].state("GrGr"))
""")
    assert told["shown"] == "GrGr"
    assert told["state"] == told["sent"]
    assert told["state"].upper().count("G") == 8


def test_most_vehicles_are_motorbikes_side_by_side(simulated: Any) -> None:
    told = simulated("""
city = traffic(6000.0)
drive(city, 120)
v = city.vehicles()
bikes = v[v["kind"] == 0]
tell(n=len(v), share=float((v["kind"] == 0).mean()), sizes=[float(bikes["width"].max()),
     float(v["length"].max())], finite=bool(all((abs(v[f]) < 1e4).all() for f in ("x", "y"))),
     lateral=len({round(libsumo.vehicle.getLateralLanePosition(n), 1) for n in
                  libsumo.vehicle.getIDList()}))
""")
    assert told["n"] > 100
    assert told["share"] == pytest.approx(0.78, abs=0.08)
    assert told["sizes"] == [0.75, 11.0]
    assert told["finite"]
    assert told["lateral"] > 12


def test_water_slows_then_closes_and_lets_in_again(simulated: Any) -> None:
    told = simulated("""
city = traffic(5000.0)
def speed():
    return libsumo.edge.getLastStepMeanSpeed("rd-ew01")
def entered(seconds):
    before = on(city, "rd-ew01"); new = set()
    for _ in range(seconds):
        drive(city, 1); now = on(city, "rd-ew01"); new |= now - before; before |= now
    return len(new)
drive(city, 60)
dry = entered(60)
city.set_depth("rd-ew01", 0.2)
slow = libsumo.lane.getMaxSpeed("rd-ew01_0")
city.set_depth("rd-ew01", 0.6)
drive(city, 20)
deep = entered(40)
city.set_depth("rd-ew01", 0.0)
tell(dry=dry, slow=slow, deep=deep, after=entered(90), limit=libsumo.lane.getMaxSpeed("rd-ew01_0"))
""")
    assert told["dry"] > 3
    assert told["slow"] == pytest.approx(wading_speed_m_s(0.2))
    assert told["deep"] == 0
    assert told["after"] > 3
    assert told["limit"] == pytest.approx(50 / 3.6, rel=0.01)


def test_motorbikes_stall_in_knee_deep_water(simulated: Any) -> None:
    told = simulated("""
city = traffic(8000.0)
drive(city, 40)
city.set_depth("rd-ew01", 0.38)
stalled = 0
for _ in range(90):
    drive(city, 1)
    there = on(city, "rd-ew01") | on(city, "rd-ew01.back")
    bold = [n for n in there if n.startswith("bold")]
    stalled += sum(libsumo.vehicle.isStopped(n) for n in bold)
tell(stalled=stalled)
""")
    assert told["stalled"] > 20  # seconds of standing motorbikes


def test_a_closed_lane_is_passed_by_and_lowers_the_flow(simulated: Any) -> None:
    told = simulated("""
def run(closed):
    city = traffic(0.0)
    libsumo.route.add("through", ("rd-ew00", "rd-ew01", "rd-ew02"))
    for i in range(120):
        name, lane = f"car-{90_000 + i}", str(i % 2)
        libsumo.vehicle.add(name, "through", "car", str(i * 0.8), lane, departSpeed="max")
    if closed:
        city.close_lane("rd-ew01", 1, True)
    green = {"j-00": "GGrr", "j-10": "GGrr"}
    drive(city, 60, green)
    works = sum(v.startswith("works") for v in on(city, "rd-ew01"))
    drive(city, 60, green)
    passed = city.flow_veh_h("j-10", "w")
    if closed:
        city.close_lane("rd-ew01", 1, False)
    left = sum(v.startswith("works") for v in on(city, "rd-ew01"))
    city.close()
    return passed, works, left
tell(open=run(False), closed=run(True))
""")
    (flow_open, works_open, _), (flow_closed, works_closed, left) = told["open"], told["closed"]
    assert works_open == left == 0
    assert works_closed > 8  # from one end to the other
    assert 300 < flow_closed < 0.8 * flow_open


def test_a_closed_lane_is_empty_and_turns_from_it_are_made_elsewhere(simulated: Any) -> None:
    told = simulated("""
def run(lane):
    city = traffic(5000.0)
    drive(city, 30)
    if lane:
        city.close_lane("rd-ew01", lane, True)
    drive(city, 30)
    seen, waited = [0, 0], 0.0
    for _ in range(135):
        drive(city, 1)
        for i in (0, 1):
            there = libsumo.lane.getLastStepVehicleIDs(f"rd-ew01_{i}")
            there = [v for v in there if not v.startswith("works")]
            seen[i] += len(there)
            waited = max([waited, *map(libsumo.vehicle.getWaitingTime, there)])
    city.close()
    return seen, waited
tell(kerb=run(1), other=run(2))
""")
    (in_kerb, beside), waited = told["kerb"]
    assert in_kerb == 0 < beside
    assert waited < 120  # two cycles: nobody stands for a turn that cannot be made
    (beside, in_other), waited = told["other"]
    assert in_other == 0 < beside
    assert waited < 120


def test_a_bus_breaks_down_beside_a_closed_kerb_lane(simulated: Any) -> None:
    told = simulated("""
city = traffic(0.0)
drive(city, 5)
city.close_lane("rd-ew01", 1, True)
city.stall_vehicle("rd-ew01", "bus", 60.0)
drive(city, 40)
stopped = [v for v in on(city, "rd-ew01") if v.startswith("bus") and libsumo.vehicle.isStopped(v)]
tell(lanes=[libsumo.vehicle.getLaneIndex(v) for v in stopped])
""")
    assert told["lanes"] == [1]


def test_a_ban_turns_its_classes_away_and_no_others(simulated: Any) -> None:
    told = simulated("""
city = traffic(4000.0)
drive(city, 60)
city.ban("rd-ew01", ("motorbike",))
drive(city, 40)
kinds = set(); before = on(city, "rd-ew01")
for _ in range(60):
    drive(city, 1)
    now = on(city, "rd-ew01"); kinds |= {n.split("-")[0] for n in now - before}; before |= now
city.ban("rd-ew01", ())
after = set()
for _ in range(60):
    drive(city, 1)
    after |= {n.split("-")[0] for n in on(city, "rd-ew01")}
tell(banned=sorted(kinds), after=sorted(after))
""")
    assert not {"wary", "bold"} & set(told["banned"])
    assert "car" in told["banned"]
    assert "wary" in told["after"]


def test_a_bus_that_breaks_down_stands_and_goes_on_after_its_time(simulated: Any) -> None:
    told = simulated("""
city = traffic(5000.0)
drive(city, 40)
city.stall_vehicle("rd-ew01", "bus", 60.0)
stood = []
for second in range(100):
    drive(city, 1)
    buses = [n for e in ("rd-ew01", "rd-ew01.back") for n in on(city, e) if n.startswith("bus")]
    stood += [second] * any(libsumo.vehicle.isStopped(n) for n in buses)
tell(first=min(stood), last=max(stood), seconds=len(stood))
""")
    assert told["first"] < 40
    assert 25 < told["seconds"] <= 62
    assert told["last"] <= 62


def test_the_same_seed_gives_the_same_traffic_and_another_does_not(simulated: Any) -> None:
    told = simulated("""
import hashlib
def run(seed):
    city = traffic(5000.0, seed)
    drive(city, 60)
    digest = hashlib.sha256(city.vehicles().tobytes()).hexdigest()
    city.close()
    return digest
tell(a=run(5), b=run(5), c=run(6))
""")
    assert told["a"] == told["b"] != told["c"]


def test_a_second_simulation_in_a_process_is_refused(simulated: Any) -> None:
    told = simulated("""
from sims.traffic import TrafficRunning
city = traffic()
try:
    traffic()
    refused = False
except TrafficRunning:
    refused = True
city.close()
tell(refused=refused, again=traffic().step_to(city.at_ns + 5 * NS, steps_max=4))
""")
    assert told == {"refused": True, "again": 4}
