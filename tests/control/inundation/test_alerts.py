from __future__ import annotations

import pytest

from causeway.events import (
    FloodAlertChanged,
    FloodCause,
    ForecastIssued,
    InundationChanged,
    InundationForecast,
    StreetOutlook,
)
from control.inundation.alerts import EMERGENCY, HOLD_S, WARNING, WATCH, FloodAlerts

NS = 1_000_000_000
MINUTE_NS = 60 * NS


def forecast(minute, over20, over50=0.0, peak_cm=30, onset_s=1_800, segment="rd-1"):
    """A forecast of that minute with one street in it."""
    outlook = StreetOutlook(
        segment=segment,
        low_cm=(0,),
        median_cm=(peak_cm,),
        high_cm=(peak_cm,),
        over=(over20, over20, over20 / 2, over50),
        peak_cm=peak_cm,
        onset_s=onset_s,
        end_s=3_600,
        cause=FloodCause.RAIN,
    )
    return InundationForecast(
        issued_at_ns=minute * MINUTE_NS, lead_s=(600,), members=30, streets=(outlook,), inputs=""
    )


def water(level, depth_m=0.25):
    return InundationChanged(segment="rd-1", level=level, depth_m=depth_m, point="sg-1/depth_m")


def river(site, *stages_m):
    """A forecast of the stage at the site's tide gauge, an hour apart."""
    gauge = next(g for g in site.gauges if g.kind == "tide")
    leads_s = tuple(3_600 * n for n in range(len(stages_m)))
    return ForecastIssued(
        point=f"{gauge.id}/stage_m",
        model="tide_outlook",
        issued_at_ns=0,
        lead_s=leads_s,
        values=stages_m,
    )


@pytest.mark.parametrize(
    ("over20", "over50", "level"),
    [(0.2, 0.0, None), (0.3, 0.0, WATCH), (0.6, 0.0, WARNING), (0.9, 0.6, EMERGENCY)],
)
def test_a_level_follows_the_share_of_the_members(site, bench, over20, over50, level):
    answers = bench(FloodAlerts(site))(forecast(1, over20, over50))
    assert [a.level for a in answers] == ([] if level is None else [level])


def test_a_warning_says_when_how_deep_and_how_surely(site, bench):
    (alert,) = bench(FloodAlerts(site))(forecast(10, 0.6, peak_cm=34, onset_s=1_500))
    assert alert.onset_at_ns == 10 * MINUTE_NS + 1_500 * NS
    assert (alert.peak_m, alert.probability) == (0.34, 0.6)
    assert alert.why == "60% of the members over 20 cm, in 25 min"


@pytest.mark.parametrize(
    ("above_m", "level"),
    [((0.1, 0.0), WARNING), ((-0.5, -0.1), None), ((-0.5, -0.5, -0.5, -0.5, 0.2), None)],
)
def test_a_city_that_the_river_shuts_in_within_three_hours_is_warned_sooner(
    site, bench, above_m, level
):
    closing_m = min(gate.closing_m for gate in site.gates)
    step = bench(FloodAlerts(site))
    answers = step(river(site, *(closing_m + m for m in above_m)), forecast(1, 0.27))
    assert [a.level for a in answers] == ([] if level is None else [level])


def test_a_warning_is_taken_back_only_after_the_hold_time(site, bench):
    step = bench(FloodAlerts(site))
    step(forecast(1, 0.6))
    held = int(HOLD_S // 60)
    assert all(a.level for a in step(forecast(2, 0.05), forecast(held, 0.05)))
    (over,) = [a for a in step(forecast(held + 3, 0.05)) if isinstance(a, FloodAlertChanged)]
    assert over.level == 0


def test_what_a_gauge_sees_is_a_warning_whatever_the_forecast_says(site, bench):
    step = bench(FloodAlerts(site))
    step(forecast(1, 0.0))
    (alert,) = step(water(2))
    assert (alert.level, alert.onset_at_ns) == (WARNING, None)
    assert [a for a in step(forecast(2, 0.0), forecast(60, 0.0)) if a.level < WARNING] == []


def test_a_forecast_that_misses_the_water_does_not_make_it_less_certain(site, bench):
    step = bench(FloodAlerts(site))
    assert [a.probability for a in step(water(2))] == [1.0]
    assert step(forecast(2, 0.0)) == []
    (deeper,) = step(forecast(7, 0.65, peak_cm=60))
    assert deeper.probability == 1.0


def test_a_forecast_older_than_one_heard_changes_nothing(site, bench):
    step = bench(FloodAlerts(site))
    step(forecast(10, 0.1))
    assert step(forecast(5, 0.9)) == []


def test_an_alert_that_says_the_same_is_not_told_again(site, bench):
    step = bench(FloodAlerts(site))
    step(forecast(10, 0.6, onset_s=1_800))
    assert step(forecast(15, 0.62, onset_s=1_500)) == []
    (news,) = step(forecast(20, 0.62, peak_cm=45, onset_s=1_200))
    assert news.peak_m == 0.45


def test_a_gauges_warning_ends_with_its_water_where_nothing_is_expected(site, bench):
    step = bench(FloodAlerts(site))
    assert [a.level for a in step(water(2))] == [WARNING]
    assert [a.level for a in step(water(0, 0.0))] == [0]


def test_what_is_expected_outlasts_what_is_seen(site, bench):
    step = bench(FloodAlerts(site))
    step(forecast(1, 0.6))
    assert [a.level for a in step(water(4, 0.6))] == [EMERGENCY]
    assert [a.level for a in step(water(0, 0.0))] == [WARNING]


def test_one_low_forecast_among_others_takes_a_level_down_no_further_than_they(site, bench):
    step = bench(FloodAlerts(site))
    step(forecast(1, 0.9, 0.6))
    held = int(HOLD_S // 60)
    answers = step(*(forecast(m, 0.9, 0.1) for m in range(2, 2 + held)), forecast(2 + held, 0.05))
    assert answers[-1].level == WARNING


def test_the_state_comes_back_as_it_was(site, bench):
    first, second = FloodAlerts(site), FloodAlerts(site)
    bench(first)(forecast(10, 0.6))
    second.restore(first.encode())
    assert second.encode() == first.encode()
    assert bench(second)(forecast(11, 0.6)) == []
