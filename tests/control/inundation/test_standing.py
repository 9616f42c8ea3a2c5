from datetime import date

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import Quality, Standing
from causeway.site import Gauge, LonLat, StandingRule
from control.inundation.standing import StandingWater

MINUTE_S = 60
RULES = (
    StandingRule(date(2020, 1, 1), 0.10, 1_800, "old"),
    StandingRule(date(2025, 12, 1), 0.20, 600, "new"),  # after the clock of these tests begins
)


def _rain_gauge(id_, lon):
    return Gauge(id=id_, name=id_, kind="rain", at=LonLat(lon, 10.77), quantities=("rain_mm_h",))


@pytest.fixture
def city(site):
    """Two streets, a rain gauge that stands by them and one far away."""
    rain = (_rain_gauge("rg-near", 106.701), _rain_gauge("rg-far", 106.8))
    return msgspec.structs.replace(site, gauges=(*site.gauges, *rain), standing_rules=RULES)


def told(answers):
    return [(a.was, a.standing) for a in answers]


GATHERED = (Standing.NONE, Standing.GATHERED)
FLOODED = (Standing.GATHERED, Standing.FLOODED)


def minutes(step, count, depth_m, rain_mm_h):
    answers = []
    for _ in range(count):
        said = {"sg_1__depth_m": depth_m, "rg_near__rain_mm_h": rain_mm_h}
        answers += step.read(MINUTE_S, **said)
    return answers


def test_water_that_runs_off_within_the_time_has_only_gathered(city, bench):
    step = bench(StandingWater(city))
    assert told(minutes(step, 20, 0.15, 40.0)) == [GATHERED]
    assert minutes(step, 29, 0.12, 0.0) == []
    (over,) = minutes(step, 1, 0.05, 0.0)
    assert (over.was, over.standing, over.peak_m) == (Standing.GATHERED, Standing.NONE, 0.15)


def test_water_that_is_still_there_half_an_hour_after_the_rain_is_a_flooded_point(city, bench):
    step = bench(StandingWater(city))
    minutes(step, 20, 0.15, 40.0)
    rained_at_ns = step.at_ns
    assert minutes(step, 29, 0.12, 0.0) == []
    (flooded,) = minutes(step, 1, 0.11, 0.0)
    assert told([flooded]) == [FLOODED]
    assert flooded.rain_ended_at_ns == rained_at_ns
    assert told(minutes(step, 60, 0.02, 0.0)) == [(Standing.FLOODED, Standing.NONE)]


def test_new_rain_starts_the_time_again(city, bench):
    step = bench(StandingWater(city))
    minutes(step, 20, 0.15, 40.0)
    minutes(step, 20, 0.15, 0.0)
    minutes(step, 1, 0.15, 10.0)
    assert minutes(step, 29, 0.15, 0.0) == []
    assert told(minutes(step, 1, 0.15, 0.0)) == [FLOODED]


def test_the_tides_water_must_have_stood_for_the_time_itself(city, bench):
    step = bench(StandingWater(city))
    assert told(minutes(step, 30, 0.2, 0.0)) == [GATHERED]
    assert told(minutes(step, 1, 0.2, 0.0)) == [FLOODED]


def test_a_silent_gauge_leaves_the_rain_to_the_next_one(city, bench):
    step = bench(StandingWater(city))
    for _ in range(45):
        assert FLOODED not in told(step.read(MINUTE_S, sg_1__depth_m=0.2, rg_far__rain_mm_h=30.0))


def test_what_is_not_believed_ends_nothing(city, bench):
    step = bench(StandingWater(city))
    minutes(step, 1, 0.2, 0.0)
    assert step.read(MINUTE_S, quality=Quality.BAD, sg_1__depth_m=0.0) == []


def test_a_street_with_two_gauges_has_the_deeper_water(city, bench):
    step = bench(StandingWater(city))
    assert told(step.read(MINUTE_S, sg_2__depth_m=0.2)) == [GATHERED]
    assert step.read(MINUTE_S, sg_2b__depth_m=0.0, sg_2__depth_m=0.2) == []


def test_the_rule_in_force_is_the_days(city, bench):
    step = bench(StandingWater(city))
    step.at_ns += 30 * 86_400 * 10**9
    assert minutes(step, 5, 0.15, 0.0) == []
    assert told(minutes(step, 11, 0.2, 0.0)) == [GATHERED, FLOODED]


def test_without_a_rule_nothing_is_told(city, bench):
    bare = msgspec.structs.replace(city, standing_rules=())
    assert minutes(bench(StandingWater(bare)), 60, 0.5, 0.0) == []


MINUTES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.08, 0.12, 0.3]), st.sampled_from([0.0, 0.0, 0.2, 30.0])),
    max_size=120,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(said=MINUTES, cut=st.integers(0, 120))
def test_a_flooded_point_has_gathered_half_an_hour_before_and_a_restart_changes_nothing(
    city, bench, said, cut
):
    step, restored = bench(StandingWater(city)), bench(StandingWater(city))
    standing = Standing.NONE
    for place, (depth_m, rain_mm_h) in enumerate(said):
        if place == cut:
            restored.core = StandingWater(city)
            restored.core.restore(step.core.encode())
        answers = minutes(step, 1, depth_m, rain_mm_h)
        assert minutes(restored, 1, depth_m, rain_mm_h) == answers
        for answer in answers:
            assert answer.was is standing
            standing = answer.standing
            if standing is Standing.FLOODED:
                assert answer.was is Standing.GATHERED
                since_s = (step.at_ns - answer.since_at_ns) / 1e9
                assert since_s >= 1_800
                assert all(rain < 0.5 for _, rain in said[max(0, place - 29) : place + 1])
        assert standing is Standing.NONE or depth_m >= 0.07
        assert standing is not Standing.NONE or depth_m < 0.10
