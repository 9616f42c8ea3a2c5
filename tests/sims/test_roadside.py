from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import libsumo
import msgspec
import numpy as np
import pytest

from causeway.site import load_site
from sims.cabinets import HEARTBEAT, Message
from sims.roadside import Roadside
from sims.scenario import FieldFault, Scenario, StalledVehicle, TrafficLevel
from sims.street_water import StreetWater
from sims.traffic import Traffic

START = datetime.fromisoformat("2025-11-06T17:00:00+07:00")
NS = 1_000_000_000


def later(seconds: float) -> datetime:
    return datetime.fromtimestamp(START.timestamp() + seconds, START.tzinfo)


class Evening:
    """Traffic with its cabinets on the small grid, and a centre that lives."""

    def __init__(self, folder: Path, workdir: Path) -> None:
        site = load_site(folder)
        self.scenario = Scenario(
            "test",
            "",
            "",
            START,
            3,
            TrafficLevel(2_000.0, 0.8),
            faults=(
                FieldFault("j-10", "dark", later(20.0), 20.0),
                FieldFault("j-20", "officer", later(0.0)),
                FieldFault("j-01", "silent", later(0.0)),
            ),
            stalled=(StalledVehicle("rd-ns10", "bus", later(15.0), 60.0),),
        )
        self.traffic = Traffic(site, self.scenario, workdir)
        self.site = site
        self.now_ns = self.scenario.start_ns
        self.roadside = Roadside(site, self.scenario, self.traffic, self.now_ns)
        self.said: list[Message] = []
        self.water: StreetWater | None = None

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.now_ns += NS // 4
            self.said += self.roadside.hear(HEARTBEAT, b"{}", self.now_ns)
            self.said += self.roadside.tick(self.now_ns, self.water)

    def show(self, sequence: int, text: str) -> str:
        order = {
            "sequence": sequence,
            "issued_at_ns": self.now_ns,
            "expires_at_ns": self.now_ns + 10 * NS,
            "text": text,
        }
        topic = "causeway/v1/sign/vms-00/command"
        answers = list(self.roadside.hear(topic, msgspec.json.encode(order), self.now_ns))
        self.run(0.5)
        return str(msgspec.json.decode(answers[0].payload)["result"])

    def states(self, junction: str) -> list[dict[str, str]]:
        topic = f"causeway/v1/signal/{junction}/state"
        return [msgspec.json.decode(m.payload) for m in self.said if m.topic == topic]


@pytest.fixture
def evening(grid_folder: Path, tmp_path: Path) -> Iterator[Evening]:
    one = Evening(grid_folder, tmp_path / "work")
    yield one
    one.traffic.close()


def disallowed(lane: str) -> set[str]:
    return set(libsumo.lane.getDisallowed(lane))


def test_a_sign_closes_a_lane_and_opens_it_again(evening: Evening) -> None:
    def blocked() -> list[str]:
        vehicles = libsumo.vehicle
        return [vehicles.getLaneID(v) for v in vehicles.getIDList() if v.startswith("works")]

    assert evening.show(1, "THI CÔNG\nĐÓNG LÀN 1") == "accepted"
    evening.run(15)
    assert set(blocked()) == {"rd-ew01_0"}
    assert "motorcycle" in disallowed("rd-ew01_0") - disallowed("rd-ew01_1")
    assert evening.show(2, "") == "accepted"
    assert blocked() == []
    assert "motorcycle" not in disallowed("rd-ew01_0")


def test_a_sign_bans_a_class_from_its_segments(evening: Evening) -> None:
    evening.show(1, "NGẬP 30 CM\nCẤM XE MÁY")
    assert "motorcycle" in disallowed("rd-ew01_0")
    assert "passenger" not in disallowed("rd-ew01_0")
    assert evening.show(2, "ĐÓNG LÀN 9") == "accepted"  # there is no such lane: nobody cares
    assert "motorcycle" not in disallowed("rd-ew01_0")


def test_the_traffic_sees_the_lamps_of_the_cabinets(evening: Evening) -> None:
    evening.run(8)
    controller = evening.roadside.cabinets.signals["j-00"]
    assert controller.aspects == "GGrr"
    assert evening.traffic.aspects()["j-00"] == "GGrr"
    shown = libsumo.trafficlight.getRedYellowGreenState("j-00")
    assert set(shown) <= set("Ggr")


def test_a_dark_junction_comes_back_and_an_officer_stays(evening: Evening) -> None:
    evening.run(60)
    intervals = [s["interval"] for s in evening.states("j-10")]
    assert intervals.count("dark") >= 18
    assert intervals[-1] != "dark"
    assert {s["mode"] for s in evening.states("j-20")[2:]} == {"manual"}


def test_a_device_off_the_network_says_nothing_and_its_lamps_go_on(evening: Evening) -> None:
    evening.run(40)
    assert evening.states("j-01") == []
    assert not [m for m in evening.said if m.topic.endswith("/telemetry/j-01")]
    assert evening.roadside.cabinets.signals["j-01"].report(evening.now_ns).mode == "local"


def test_detectors_count_what_drives(evening: Evening) -> None:
    evening.run(60)
    topic = "causeway/v1/telemetry/j-00"
    arrays = [msgspec.json.decode(m.payload) for m in evening.said if m.topic == topic]
    assert 11 <= len(arrays) <= 13
    points = {r["point"] for r in arrays[-1]}
    assert points == {f"{g}/{q}" for g in "wesn" for q in ("queue_veh", "flow_veh_h")}
    assert sum(r["value"] for a in arrays for r in a if "flow" in r["point"]) > 0


def test_a_bus_of_the_scenario_stalls(evening: Evening) -> None:
    evening.run(60)
    vehicles = evening.traffic.vehicles()
    buses = vehicles[vehicles["kind"] == 2]
    assert np.any(buses["speed"] < 0.1)


def test_water_on_a_street_keeps_traffic_out(evening: Evening) -> None:
    evening.run(2)
    depths = np.array([0.6 if s.id == "rd-ew01" else 0.0 for s in evening.site.segments])
    evening.water = StreetWater(evening.now_ns, 40.0, depths)
    evening.run(1)
    assert {"passenger", "motorcycle", "bus"} <= disallowed("rd-ew01_0")


def test_a_tracker_sees_who_comes_who_crosses_and_how_full_the_roads_behind_are(
    evening: Evening,
) -> None:
    evening.run(40)
    topic = "causeway/v1/signal/j-11/tracks"
    said = [m for m in evening.said if m.topic == topic]
    reports = [msgspec.json.decode(m.payload) for m in said]
    assert len(reports) == 40 and not any(m.kept or m.qos for m in said)
    approaches = {"rd-ew11", "rd-ew12", "rd-ns11", "rd-ns12"}
    vehicles = [v for r in reports for v in r["vehicles"]]
    assert {v[1] for v in vehicles} <= approaches and len(vehicles) > 100
    assert all(
        v[2] in (1, 2) and 0 <= v[3] <= 250 and v[5] in ("motorbike", "car", "bus", "truck")
        for v in vehicles
    )
    followed = [[v for r in reports for v in r["vehicles"] if v[0] == t] for t in "123"]
    assert all(len(f) > 1 and f[0][3] >= f[-1][3] for f in followed)
    seen = {v[0]: v[1] for v in vehicles}
    crossings = [c for r in reports for c in r["crossings"]]
    assert crossings and all(seen[t] == a and b in approaches - {a} for t, a, b in crossings)
    assert len({c[0] for c in crossings}) == len(crossings)
    assert [e[0] for e in reports[0]["exits"]] == ["rd-ew11", "rd-ew12", "rd-ns11", "rd-ns12"]
    assert any(sum(e[1].values()) > 0 for r in reports for e in r["exits"])
    entered = sum(e[5] for r in reports for e in r["exits"])
    assert entered >= sum(len(r["crossings"]) for r in reports[1:]) - 1 > 0


def test_a_tracker_is_as_silent_as_its_cabinet(evening: Evening) -> None:
    evening.run(5)
    topics = {m.topic for m in evening.said}
    assert "causeway/v1/signal/j-00/tracks" in topics
    assert "causeway/v1/signal/j-01/tracks" not in topics


def test_delay_is_of_those_who_drive_slower_than_they_may(evening: Evening) -> None:
    evening.run(20)
    traffic = evening.traffic
    before_s = traffic.delay_veh_s
    assert 0 < before_s < traffic.on_the_road_veh_s
    assert traffic.delay_person_s > traffic.delay_veh_s
    evening.water = StreetWater(0, 0.0, np.full(len(evening.site.segments), 0.2))
    evening.run(20)
    assert traffic.delay_veh_s - before_s > before_s  # everybody wades
