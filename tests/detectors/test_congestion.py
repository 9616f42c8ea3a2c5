import pytest

from causeway.events import IncidentDetected, IncidentEnded, IncidentKind, TrafficMeasured
from detectors.congestion import HOLD_S


def run(watch, road, count, vehicles, start=0):
    said = []
    for i in range(start, start + count):
        said += watch.see(road.frame(*vehicles(i)))
    return said


def incidents(said):
    return [e for e in said if isinstance(e, IncidentDetected | IncidentEnded)]


def free(road):
    return lambda i: road.traffic(i)


def jam(i):
    """Bumper to bumper in every lane, creeping by a pixel now and then."""
    return [
        (k * 49 - 20 + (i // 8) % 45, lane, (30 + 50 * (k % 4), 200 - 60 * lane, 60 * (k % 3)))
        for k in range(8)
        for lane in range(3)
    ]


@pytest.fixture
def tall(street):
    """A street whose lanes fill the picture."""

    class Full(street):
        lanes = (38, 60, 98, 148)

    return Full


def test_traffic_is_measured_every_five_seconds(watch, street):
    road = street()
    said = [e for e in run(watch, road, 120, free(road)) if isinstance(e, TrafficMeasured)]
    assert 7 <= len(said) <= 9
    for measured in said:
        assert (measured.camera, measured.frames) == ("cam-1", 11)
        assert 0.04 < measured.occupancy_ratio < 0.2
        assert measured.moving_ratio > 0.8
        assert 2 <= len(measured.boxes) <= 12


def test_an_empty_road_is_measured_as_empty(watch, street):
    road = street()
    said = [e for e in run(watch, road, 80, lambda i: []) if isinstance(e, TrafficMeasured)]
    assert {m.occupancy_ratio for m in said} == {0.0}
    assert {m.boxes for m in said} == {()}


def test_a_full_road_that_hardly_moves_is_congestion_after_the_hold_time(watch, tall):
    road = tall()
    run(watch, road, 160, lambda i: road.traffic(i))
    full = lambda i: jam(i) + [(x, 3, c) for x, lane, c in jam(i) if lane == 0]  # noqa: E731
    began_ns = road.at_ns
    (found,) = incidents(run(watch, road, int(HOLD_S * 2) + 60, full, 160))
    assert (found.kind, found.incident) == (
        IncidentKind.CONGESTION,
        f"cam-1-congestion-{found.first_seen_at_ns}",
    )
    assert abs(found.first_seen_at_ns - began_ns) < 25_000_000_000
    (ended,) = incidents(run(watch, road, int(HOLD_S * 2) + 60, lambda i: road.traffic(i), 400))
    assert ended.incident == found.incident


def test_the_queue_of_a_red_signal_is_no_congestion(watch, tall):
    road = tall()
    run(watch, road, 160, lambda i: road.traffic(i))
    full = lambda i: jam(0) + [(x, 3, c) for x, lane, c in jam(0) if lane == 0]  # noqa: E731
    for cycle in range(2):
        start = 160 + 200 * cycle
        said = run(watch, road, 100, full, start)
        said += run(watch, road, 100, lambda i: road.traffic(i), start + 100)
        assert [i for i in incidents(said) if "congestion" in i.incident] == []
