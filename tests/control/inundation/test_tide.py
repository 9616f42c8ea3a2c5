from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import Quality, TideLevelChanged
from control.inundation.tide import TideWatch

NS = 1_000_000_000


@pytest.mark.parametrize(("stage_m", "level"), [(1.40, 1), (1.50, 2), (1.60, 3)])
def test_an_alarm_level_is_reached_at_its_threshold(site, bench, stage_m, level):
    assert bench(TideWatch(site)).read(tg_phu_an__stage_m=stage_m) == [
        TideLevelChanged(gauge="tg-phu-an", level=level, stage_m=stage_m, threshold_m=stage_m)
    ]


def test_a_level_is_left_two_centimetres_below_its_threshold(site, bench):
    step = bench(TideWatch(site))
    step.read(tg_phu_an__stage_m=1.51)
    assert step.read(1, tg_phu_an__stage_m=1.485) == []
    (fallen,) = step.read(1, tg_phu_an__stage_m=1.475)
    assert (fallen.level, fallen.threshold_m) == (1, 1.40)
    (normal,) = step.read(1, tg_phu_an__stage_m=1.30)
    assert (normal.level, normal.threshold_m) == (0, 1.40)


def test_overtaken_and_bad_readings_change_nothing(site, bench):
    step = bench(TideWatch(site))
    step.read(10, tg_phu_an__stage_m=1.30)
    assert step.read(1, late_s=5, tg_phu_an__stage_m=1.55) == []
    assert step.read(1, quality=Quality.STALE, tg_phu_an__stage_m=1.55) == []


def test_the_thresholds_in_force_are_those_of_the_day(site, bench):
    step = bench(TideWatch(site))
    step.at_ns = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * NS
    assert step.read(tg_phu_an__stage_m=1.44) == []
    (reached,) = step.read(1, tg_phu_an__stage_m=1.56)
    assert (reached.level, reached.threshold_m) == (2, 1.55)


def test_before_the_first_thresholds_nothing_is_said(site, bench):
    step = bench(TideWatch(site))
    step.at_ns = int(datetime(2019, 12, 31, tzinfo=UTC).timestamp()) * NS
    assert step.read(tg_phu_an__stage_m=1.7) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(stages=st.lists(st.floats(1.2, 1.8), min_size=1, max_size=60))
def test_the_level_follows_the_stage_within_the_dead_band(site, bench, stages):
    step = bench(TideWatch(site))
    level = 0
    for stage_m in stages:
        for change in step.read(1, tg_phu_an__stage_m=stage_m):
            assert change.level != level
            level = change.level
        reached = sum(stage_m >= m for m in (1.40, 1.50, 1.60))
        kept = sum(stage_m >= m - 0.02 for m in (1.40, 1.50, 1.60))
        assert reached <= level <= kept
