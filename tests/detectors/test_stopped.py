from causeway.events import IncidentDetected, IncidentEnded, IncidentKind
from detectors.motion import LEARN_SAMPLES
from detectors.stopped import COLD_S, WAITING_STILL_S

RED = (40, 40, 210)
LEARNT = int(2 * (LEARN_SAMPLES + COLD_S)) + 10  # frames


def run(watch, road, count, vehicles, start=0):
    """Frames whose vehicles are a function of the frame's number; what was said of incidents."""
    said = []
    for i in range(start, start + count):
        said += watch.see(road.frame(*vehicles(i)))
    return [e for e in said if isinstance(e, IncidentDetected | IncidentEnded)]


def free(road):
    return lambda i: road.traffic(i, spacing_px=210)


def test_a_vehicle_that_stands_while_others_pass_is_an_incident_with_its_place(watch, street):
    road = street()
    run(watch, road, LEARNT, free(road))
    others = lambda i: [*road.traffic(i, lanes=(0, 2), spacing_px=210), (150, 1, RED)]  # noqa: E731
    began_ns = road.at_ns
    (found,) = run(watch, road, 80, others, LEARNT)
    assert (found.kind, found.camera) == (IncidentKind.STOPPED_VEHICLE, "cam-1")
    assert found.incident == f"cam-1-stopped_vehicle-{found.first_seen_at_ns}"
    assert 0 <= found.first_seen_at_ns - began_ns < 6_000_000_000
    middle = (found.box.left + found.box.width / 2, found.box.top + found.box.height / 2)
    assert abs(middle[0] - 172 / 320) < 0.03
    assert abs(middle[1] - 105 / 180) < 0.04


def test_an_incident_ends_when_the_vehicle_has_gone(watch, street):
    road = street()
    run(watch, road, LEARNT, free(road))
    standing = [(150, 1, RED)]
    others = lambda i: [*road.traffic(i, lanes=(0, 2)), *standing]  # noqa: E731
    (found,) = run(watch, road, 80, others, LEARNT)
    (ended,) = run(watch, road, 80, lambda i: road.traffic(i, lanes=(0, 2)), LEARNT + 80)
    assert isinstance(ended, IncidentEnded)
    assert ended.incident == found.incident


def test_an_incident_lasts_as_long_as_the_vehicle_stands(watch, street):
    road = street()
    run(watch, road, LEARNT, free(road))
    others = lambda i: [*road.traffic(i, lanes=(0, 2)), (150, 1, RED)]  # noqa: E731
    assert len(run(watch, road, 300, others, LEARNT)) == 1


def test_free_traffic_is_no_incident(watch, street):
    road = street()
    assert run(watch, road, 300, free(road)) == []


def test_a_queue_at_a_red_signal_is_no_incident(watch, street):
    road = street()
    run(watch, road, LEARNT, free(road))
    queue = [
        (250 - 55 * k, lane, (40 + 60 * k, 50, 200 - 40 * lane))
        for k in range(5)
        for lane in range(3)
    ]
    for cycle in range(2):
        start = LEARNT + 160 * cycle
        filling = lambda i, s=start: queue[: max(0, (i - s) // 4)]  # noqa: E731
        assert run(watch, road, 80, filling, start) == []
        assert run(watch, road, 80, free(road), start + 80) == []


def test_a_vehicle_that_stands_alone_is_no_incident(watch, street):
    road = street()
    run(watch, road, LEARNT, free(road))
    assert run(watch, road, 120, lambda i: [(150, 1, RED)], LEARNT) == []


def test_a_vehicle_that_waits_a_moment_is_no_incident(watch, street):
    road = street()
    run(watch, road, LEARNT, free(road))
    others = lambda i: [*road.traffic(i, lanes=(0, 2)), (150, 1, RED)]  # noqa: E731
    assert run(watch, road, 30, others, LEARNT) == []
    assert run(watch, road, 60, free(road), LEARNT + 30) == []


def test_a_parked_vehicle_that_drives_away_is_no_incident(watch, street):
    road = street()
    run(watch, road, 60, lambda i: [*road.traffic(i, lanes=(0, 2)), (150, 1, RED)])
    assert run(watch, road, 200, lambda i: road.traffic(i, lanes=(0, 2)), 60) == []


def test_a_sudden_change_of_light_is_no_incident(watch, street):
    road = street()
    run(watch, road, LEARNT, free(road))
    road.light = 0.5
    assert run(watch, road, 150, free(road), LEARNT) == []


def test_where_vehicles_are_wont_to_wait_one_must_stand_longer(watch, street):
    road = street()
    others = lambda i: [*road.traffic(i, lanes=(0, 2)), (150, 1, RED)]  # noqa: E731
    run(watch, road, LEARNT, free(road))
    run(watch, road, 30, others, LEARNT)
    run(watch, road, 30, free(road), LEARNT + 30)
    assert run(watch, road, int(2 * WAITING_STILL_S) - 30, others, LEARNT + 60) == []
    assert len(run(watch, road, 60, others, LEARNT + 230)) == 1


def test_before_a_signals_cycle_has_been_seen_a_vehicle_must_stand_longer(watch, street):
    road = street()
    run(watch, road, 160, free(road))
    others = lambda i: [*road.traffic(i, lanes=(0, 2)), (150, 1, RED)]  # noqa: E731
    assert run(watch, road, 45, others, 160) == []
