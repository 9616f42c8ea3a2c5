import msgspec
import pytest

from causeway.events import (
    CameraHealth,
    CameraHealthObserved,
    EngineStarted,
    IncidentDetected,
    IncidentEnded,
    IncidentKind,
    Quality,
    ReadingsObserved,
    RoadWaterMeasured,
)
from causeway.site import Gauge
from control.water_on_road import BEGINS_S, ENDS_S, WaterOnRoad

NS = 1_000_000_000
START_NS = 1_763_980_800 * NS
WATER = IncidentKind.WATER_ON_ROAD


@pytest.fixture
def street(site, bench):
    """A step, and what a camera on the first street shows for some time."""
    camera = site.cameras[0]

    class Street:
        def __init__(self, **of_camera):
            rain = Gauge(
                id="rg-1", name="Mưa", kind="rain", at=camera.at, quantities=("rain_mm_h",)
            )
            cameras = (msgspec.structs.replace(camera, **of_camera),)
            with_rain = msgspec.structs.replace(site, cameras=cameras, gauges=(*site.gauges, rain))
            self.core = WaterOnRoad(with_rain)
            self.step = bench(self.core)
            self.at_s = 0
            own = [g.id for g in site.gauges if g.segment == camera.segment]
            self.gauge = f"{own[0]}/depth_m"

        def read(self, point, *values, every_s=10):
            for n, value in enumerate(values):
                at_ns = START_NS + (self.at_s - (len(values) - 1 - n) * every_s) * NS
                self.step(
                    ReadingsObserved(
                        source="x",
                        points=(point,),
                        observed_at_ns=(at_ns,),
                        values=(value,),
                        qualities=(Quality.GOOD,),
                    )
                )

        def shows(self, for_s, sheen=0.0, hidden=0.0):
            said = []
            for _ in range(0, for_s, 10):
                self.at_s += 10
                said += self.step(
                    RoadWaterMeasured(
                        camera=camera.id,
                        observed_at_ns=START_NS + self.at_s * NS,
                        sheen_ratio=sheen,
                        hidden_ratio=hidden,
                    )
                )
            return said

    return Street


def test_markings_that_stay_hidden_are_water(street):
    (found,) = street().shows(60, hidden=0.7)
    assert isinstance(found, IncidentDetected)
    assert found.kind is WATER
    assert found.first_seen_at_ns == START_NS + 10 * NS
    assert "70 % of the road's markings hidden" in found.why


def test_what_does_not_last_is_not_told(street):
    road = street()
    assert road.shows(int(BEGINS_S) - 10, hidden=0.7) + road.shows(60) == []


def test_sheen_alone_is_not_told(street):
    assert street().shows(300, sheen=0.05) == []


def test_sheen_is_told_where_the_gauge_of_the_street_is_wet(street):
    road = street()
    road.read(road.gauge, 0.12)
    (found,) = road.shows(60, sheen=0.05)
    assert f"{road.gauge} at 12 cm" in found.why


def test_a_dry_gauge_outweighs_hidden_markings_on_a_dry_day(street):
    road = street()
    road.read(road.gauge, 0.0)
    road.read("rg-1/rain_mm_h", *[0.0] * 6)
    assert road.shows(60, hidden=0.7) == []


def test_a_dry_gauge_does_not_outweigh_hidden_markings_in_a_cloudburst(street):
    road = street()
    road.read(road.gauge, 0.0)
    road.read("rg-1/rain_mm_h", *[80.0] * 60)
    (found,) = road.shows(60, hidden=0.7)
    assert "mm of rain in an hour" in found.why


def test_a_gauge_that_has_fallen_silent_says_nothing(street):
    road = street()
    road.read(road.gauge, 0.0)
    road.at_s += 3_600
    assert len(road.shows(60, hidden=0.7)) == 1


def test_a_wet_gauge_without_a_sign_in_the_picture_is_no_incident_of_the_camera(street):
    road = street()
    road.read(road.gauge, 0.3)
    assert road.shows(300) == []


def test_it_ends_when_the_road_has_looked_dry_for_long_enough(street):
    road = street()
    (found,) = road.shows(60, hidden=0.7)
    assert road.shows(int(ENDS_S)) == []
    (ended,) = road.shows(20)
    assert isinstance(ended, IncidentEnded)
    assert ended.incident == found.incident


def test_a_passing_lorry_does_not_end_it(street):
    road = street()
    road.shows(60, hidden=0.7)
    assert road.shows(30) + road.shows(300, hidden=0.7) == []


def test_a_camera_that_is_lost_ends_it(street):
    road = street()
    (found,) = road.shows(60, hidden=0.7)
    lost = CameraHealthObserved(
        camera=found.camera, health=CameraHealth.LOST, observed_at_ns=START_NS
    )
    (ended,) = road.step(lost)
    assert ended.incident == found.incident


def test_a_new_start_ends_it(street):
    road = street()
    (found,) = road.shows(60, hidden=0.7)
    (ended,) = road.step(EngineStarted(version="x", site_hash=""))
    assert ended.incident == found.incident


@pytest.mark.parametrize("what", ["counted", "ignored"])
def test_a_camera_on_which_it_is_no_alarm_tells_none(street, what):
    assert street(**{what: (WATER,)}).shows(300, hidden=0.9, sheen=0.1) == []


def test_its_state_survives_a_restart(street):
    road, again = street(), street()
    (found,) = road.shows(60, hidden=0.7)
    again.core.restore(road.core.encode())
    again.at_s = road.at_s
    (ended,) = again.shows(int(ENDS_S) + 20)
    assert ended.incident == found.incident
