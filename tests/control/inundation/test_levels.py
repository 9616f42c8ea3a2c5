from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import InundationChanged, Quality
from control.inundation.levels import StreetInundation

NS = 1_000_000_000
DEPTHS_M = (0.10, 0.20, 0.30, 0.50)


def changes(answers):
    return [(a.segment, a.level) for a in answers]


@pytest.mark.parametrize(
    ("depth_m", "level", "kept_out"),
    [
        (0.10, 1, ()),
        (0.20, 2, ("motorbike",)),
        (0.30, 3, ("motorbike", "car")),
        (0.50, 4, ("motorbike", "car", "bus", "truck")),
        (0.60, 4, ("motorbike", "car", "bus", "truck", "emergency")),
    ],
)
def test_a_level_is_reached_at_its_depth_at_once(site, bench, depth_m, level, kept_out):
    step = bench(StreetInundation(site))
    assert step.read(sg_1__depth_m=depth_m) == [
        InundationChanged(
            segment="rd-1",
            level=level,
            depth_m=depth_m,
            point="sg-1/depth_m",
            kept_out=kept_out,
        )
    ]


def test_emergency_vehicles_stay_out_until_the_water_has_been_lower_for_the_hold_time(site, bench):
    step = bench(StreetInundation(site))
    step.read(sg_1__depth_m=0.52)
    (deeper,) = step.read(1, sg_1__depth_m=0.61)
    assert (deeper.level, deeper.kept_out[-1]) == (4, "emergency")
    assert step.read(1, sg_1__depth_m=0.55) == []
    (lower,) = step.read(60, sg_1__depth_m=0.55)
    assert (lower.level, lower.kept_out[-1]) == (4, "truck")


@pytest.mark.parametrize(("depth_m", "level"), [(0.099, 0), (0.199, 1), (0.299, 2), (0.499, 3)])
def test_a_level_is_not_reached_below_its_depth(site, bench, depth_m, level):
    answers = bench(StreetInundation(site)).read(sg_1__depth_m=depth_m)
    assert changes(answers) == ([("rd-1", level)] if level else [])


def test_a_level_falls_only_when_the_water_has_been_lower_for_the_hold_time(site, bench):
    step = bench(StreetInundation(site))
    step.read(sg_1__depth_m=0.32)
    assert step.read(1, sg_1__depth_m=0.26) == []
    assert step.read(59, sg_1__depth_m=0.25) == []
    assert changes(step.read(1, sg_1__depth_m=0.25)) == [("rd-1", 2)]


def test_water_within_the_hysteresis_keeps_the_level(site, bench):
    step = bench(StreetInundation(site))
    step.read(sg_1__depth_m=0.32)
    for _ in range(10):
        assert step.read(60, sg_1__depth_m=0.28) == []


def test_water_that_comes_back_starts_the_hold_time_again(site, bench):
    step = bench(StreetInundation(site))
    step.read(sg_1__depth_m=0.32)
    step.read(1, sg_1__depth_m=0.26)
    step.read(30, sg_1__depth_m=0.31)
    assert step.read(40, sg_1__depth_m=0.26) == []
    assert step.read(59, sg_1__depth_m=0.26) == []
    assert changes(step.read(1, sg_1__depth_m=0.26)) == [("rd-1", 2)]


def test_one_low_reading_does_not_open_a_street_that_was_deep_a_second_ago(site, bench):
    step = bench(StreetInundation(site))
    step.read(sg_1__depth_m=0.55)
    step.read(1, sg_1__depth_m=0.35)
    assert changes(step.read(60, sg_1__depth_m=0.0)) == [("rd-1", 3)]
    assert changes(step.read(60, sg_1__depth_m=0.0)) == [("rd-1", 0)]


def test_overtaken_and_bad_readings_change_nothing(site, bench):
    step = bench(StreetInundation(site))
    step.read(10, sg_1__depth_m=0.05)
    assert step.read(1, late_s=5, sg_1__depth_m=0.6) == []
    assert step.read(1, quality=Quality.BAD, sg_1__depth_m=0.6) == []


def test_a_segment_with_two_gauges_has_the_higher_level(site, bench):
    step = bench(StreetInundation(site))
    assert changes(step.read(sg_2__depth_m=0.35)) == [("rd-2", 3)]
    assert step.read(1, sg_2b__depth_m=0.12) == []
    step.read(1, sg_2__depth_m=0.0, sg_2b__depth_m=0.13)
    (fallen,) = step.read(60, sg_2b__depth_m=0.14, sg_2__depth_m=0.0)
    assert (fallen.level, fallen.point, fallen.depth_m) == (1, "sg-2b/depth_m", 0.14)


def test_the_thresholds_in_force_are_those_of_the_day(site, bench):
    step = bench(StreetInundation(site))
    step.at_ns = int(datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * NS
    assert step.read(sg_1__depth_m=0.16) == [
        InundationChanged(segment="rd-1", level=1, depth_m=0.16, point="sg-1/depth_m")
    ]
    assert changes(step.read(1, sg_1__depth_m=0.16)) == [("rd-1", 2)]


def test_before_the_first_thresholds_nothing_is_said(site, bench):
    step = bench(StreetInundation(site))
    step.at_ns = int(datetime(2019, 12, 31, tzinfo=UTC).timestamp()) * NS
    assert step.read(sg_1__depth_m=0.6) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(depths=st.lists(st.floats(0, 0.8), min_size=1, max_size=80))
def test_the_level_is_never_below_what_the_water_reaches_nor_above_its_highest(site, bench, depths):
    step = bench(StreetInundation(site))
    level = highest = 0
    kept_out: tuple[str, ...] = ()
    for depth_m in depths:
        for change in step.read(10, sg_1__depth_m=depth_m):
            assert (change.level, change.kept_out) != (level, kept_out)
            level, kept_out = change.level, change.kept_out
        reached = sum(depth_m >= d for d in DEPTHS_M)
        highest = max(highest, reached)
        assert reached <= level <= highest
