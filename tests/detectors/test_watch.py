import numpy as np
import pytest

from causeway.events import (
    CameraHealth,
    CameraHealthObserved,
    IncidentDetected,
    IncidentEnded,
    RoadWaterMeasured,
    TrafficMeasured,
)
from causeway.frame import Frame

RED = (40, 40, 210)


@pytest.fixture
def found(watch, street):
    """A watch that has found a stopped vehicle; its street and the incident."""
    road = street()
    for i in range(250):
        watch.see(road.frame(*road.traffic(i)))
    said = []
    for i in range(250, 330):
        said += watch.see(road.frame(*road.traffic(i, lanes=(0, 2)), (150, 1, RED)))
    (incident,) = [e for e in said if isinstance(e, IncidentDetected)]
    return watch, road, incident


def incidents_and_health(said):
    return [e for e in said if not isinstance(e, TrafficMeasured | RoadWaterMeasured)]


def test_an_incident_ends_when_its_camera_is_lost(found):
    watch, road, incident = found
    lost, ended = watch.silent(road.at_ns + 11_000_000_000, 11.0)
    assert isinstance(lost, CameraHealthObserved)
    assert lost.health is CameraHealth.LOST
    assert ended == IncidentEnded(
        incident=incident.incident,
        observed_at_ns=road.at_ns + 11_000_000_000,
        why="the camera is lost",
    )


def test_a_frozen_picture_ends_the_incident_and_finds_no_other(found):
    watch, road, incident = found
    still = road.frame(*road.traffic(1), (150, 1, RED)).pixels
    said = []
    for _ in range(80):
        said += watch.see(Frame("cam-1", road.frame().observed_at_ns, still))
    health, ended = incidents_and_health(said)
    assert health.health is CameraHealth.FROZEN
    assert ended.incident == incident.incident


def test_a_camera_that_comes_back_learns_its_road_anew(found):
    watch, road, _ = found
    watch.silent(road.at_ns + 11_000_000_000, 11.0)
    road.at_ns += 20_000_000_000
    said = []
    for i in range(50):
        said += watch.see(road.frame(*road.traffic(i)))
    assert said[0].health is CameraHealth.OK
    assert any(isinstance(e, TrafficMeasured) for e in said)
    assert not any(isinstance(e, IncidentDetected) for e in said)


def test_a_camera_whose_clock_was_set_back_goes_on_with_the_new_time(found):
    watch, road, incident = found
    road.at_ns -= 3_600_000_000_000
    said = []
    for i in range(60):
        said += watch.see(road.frame(*road.traffic(i)))
    assert said[0].incident == incident.incident
    assert said[0].why == "the camera's clock was set back"
    assert any(isinstance(e, TrafficMeasured) for e in said[1:])


def test_frames_that_cannot_be_decoded_end_the_incident(found):
    watch, road, incident = found
    said = []
    for i in range(1, 6):
        said += watch.undecodable(road.at_ns + i * 1_000_000_000)
    broken, ended = said
    assert broken.health is CameraHealth.BROKEN
    assert ended.incident == incident.incident


def test_a_black_picture_is_shown_to_no_detector(watch):
    said = []
    for i in range(120):
        black = np.zeros((180, 320, 3), np.uint8)
        said += watch.see(Frame("cam-1", (i + 1) * 500_000_000, black))
    assert [e.health for e in said] == [CameraHealth.DARK]
