"""Forecasts of a level: what they may read, how wide they are, and members that agree."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from causeway.site import SURGE_QUANTILES
from control.inundation.harmonics import HOUR_NS, RecordUnfit, predict_m
from control.inundation.tide_forecast import (
    fit_tide,
    forecast_tide,
    high_and_low_waters,
    member_levels_m,
)
from sims.tide import astronomical_m
from sims.tide_record import hourly_record

FIRST_NS = 1_725_148_800_000_000_000  # 2024-09-01
HOURS, TESTED = 190 * 24, 60 * 24
AT_NS, LEVEL_M = hourly_record(FIRST_NS, HOURS + TESTED, seed=3)
NOW = HOURS + 500
LEADS_H = np.array([1, 3, 6, 12, 24, 48])
OUTER = (0, len(SURGE_QUANTILES) - 1)


@pytest.fixture(scope="module")
def model():
    return fit_tide(AT_NS[:HOURS], LEVEL_M[:HOURS], 10.77, "tg-one")


def forecast(model, now=NOW, back=slice(None), leads_h=LEADS_H, level_m=LEVEL_M):
    seen = slice(now - 100, now + 1)
    at_ns = AT_NS[now] + leads_h * HOUR_NS
    return forecast_tide(
        model, AT_NS[seen][back], level_m[seen][back], int(AT_NS[now]), at_ns.astype(np.int64)
    )


def width_m(made):
    return made.quantiles_m[:, OUTER[1]] - made.quantiles_m[:, OUTER[0]]


def test_it_beats_the_tide_alone_and_its_interval_covers(model):
    nows = range(HOURS + 60, HOURS + TESTED - 48, 5)
    made = [forecast(model, now) for now in nows]
    came = np.array([LEVEL_M[now + LEADS_H] for now in nows])
    off = np.array([f.median_m for f in made]) - came
    tide_off = np.array([f.harmonic_m for f in made]) - came
    ratio = np.sqrt((off**2).mean(axis=0) / (tide_off**2).mean(axis=0))
    assert ratio[0] < 0.35
    assert ratio[2] < 0.7
    low, high = (np.array([f.quantiles_m[:, q] for f in made]) for q in OUTER)
    covered = ((came >= low) & (came <= high)).mean()
    assert 0.8 < covered < 0.97


def test_what_comes_after_the_issue_time_changes_nothing(model):
    seen = slice(NOW - 100, NOW + 1)
    told = forecast(model)
    level_m = LEVEL_M.copy()
    level_m[NOW + 1 :] += 3.0
    at_ns = AT_NS[NOW] + LEADS_H * HOUR_NS
    longer = slice(seen.start, NOW + 200)
    again = forecast_tide(model, AT_NS[longer], level_m[longer], int(AT_NS[NOW]), at_ns)
    assert np.array_equal(told.quantiles_m, again.quantiles_m)


def test_old_readings_widen_it_and_it_says_so(model):
    whole, old, lone, none = (
        forecast(model, back=back)
        for back in (slice(None), slice(None, -6), slice(-1, None), slice(0, 0))
    )
    assert whole.why == ""
    assert "6.0 h old" in old.why
    assert "1 of the last 48 hours" in lone.why
    assert "the tide alone" in none.why
    assert none.newest_ns is None
    assert (width_m(old)[:4] > width_m(whole)[:4]).all()
    assert (width_m(lone) >= width_m(whole) - 1e-9).all()
    assert (width_m(none) > width_m(whole)).all()


def test_gaps_and_nan_among_the_readings_are_passed_over(model):
    level_m = LEVEL_M.copy()
    level_m[NOW - 30 : NOW - 10] = np.nan
    made = forecast(model, level_m=level_m)
    assert np.isfinite(made.quantiles_m).all()
    assert "of the last 48 hours have a level" in made.why


def test_readings_every_few_seconds_serve_as_hourly_ones_do(model):
    dense_ns = AT_NS[NOW] - np.arange(0, 49 * 360, dtype=np.int64) * 10_000_000_000
    dense_m = np.interp((dense_ns - AT_NS[0]).astype(float), AT_NS - AT_NS[0], LEVEL_M)
    dense_m += predict_m(model, dense_ns) - np.interp(
        (dense_ns - AT_NS[0]).astype(float), AT_NS - AT_NS[0], predict_m(model, AT_NS)
    )
    at_ns = AT_NS[NOW] + LEADS_H * HOUR_NS
    dense = forecast_tide(model, dense_ns, dense_m, int(AT_NS[NOW]), at_ns)
    assert dense.why == ""
    assert np.allclose(dense.quantiles_m, forecast(model).quantiles_m, atol=0.01)


def test_members_have_the_quantiles_of_the_forecast_and_its_memory(model):
    made = forecast(model, leads_h=np.arange(0, 24.1, 0.25))
    levels_m = member_levels_m(made, 4_000, np.random.default_rng(1))
    assert levels_m.shape == (4_000, made.at_ns.size)
    found = np.quantile(levels_m, SURGE_QUANTILES, axis=0).T
    assert np.abs(found - made.quantiles_m).max() < 0.02
    off = levels_m - levels_m.mean(axis=0)
    near, far = (np.corrcoef(off[:, 40], off[:, 40 + steps])[0, 1] for steps in (2, 56))
    assert near > 0.9 > far
    steps_m = np.abs(np.diff(levels_m, axis=1))
    assert steps_m.max() < 0.25  # a quarter of an hour of tide and wind: no jumps


def test_the_same_seed_draws_the_same_members(model):
    made = forecast(model)
    first, again = (member_levels_m(made, 30, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, again)


def test_high_and_low_waters_are_where_the_tide_turns():
    at_ns = FIRST_NS + np.arange(0, 3 * 24 * 6, dtype=np.int64) * (HOUR_NS // 6)
    level_m = np.array([astronomical_m(int(t)) for t in at_ns])
    turns = high_and_low_waters(at_ns, level_m)
    assert all(a.high != b.high for a, b in pairwise(turns))
    assert 9 <= len(turns) <= 13
    for turn in turns:
        around = [astronomical_m(turn.at_ns + m * 60_000_000_000) for m in range(-40, 41)]
        best = max(around) if turn.high else min(around)
        assert turn.level_m == pytest.approx(best, abs=0.001)
        assert abs(around.index(best) - 40) <= 3


def test_a_record_with_too_few_whole_days_is_refused():
    at_ns, level_m = AT_NS[: 70 * 24].copy(), LEVEL_M[: 70 * 24].copy()
    level_m[np.arange(level_m.size) % 40 < 6] = np.nan
    with pytest.raises(RecordUnfit, match="hours have the 48 h before them without a gap"):
        fit_tide(at_ns, level_m, 10.77)


def test_a_model_without_a_surge_makes_no_forecast(model):
    with pytest.raises(ValueError, match="has no surge"):
        forecast(msgspec.structs.replace(model, surge=None))
