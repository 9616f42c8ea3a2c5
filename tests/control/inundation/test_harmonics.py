"""The harmonic analysis: against a sum of cosines of our own, and what it refuses."""

import msgspec
import numpy as np
import pytest

from control.inundation.harmonics import HOUR_NS, RecordUnfit, fit_harmonics, predict_m
from sims.tide import stages_m

LAT_DEG = 10.77
FIRST_NS = 1_725_148_800_000_000_000  # 2024-09-01
DAYS = 190  # K2 and P1 part from S2 and K1 in 183
AT_NS = FIRST_NS + np.arange(DAYS * 24, dtype=np.int64) * HOUR_NS
LEVEL_M = stages_m(AT_NS)


def fit(at_ns=AT_NS, level_m=LEVEL_M, **asked):
    return fit_harmonics(at_ns, level_m, LAT_DEG, "tg-one", "hon_dau", **asked)


@pytest.fixture(scope="module")
def model():
    return fit()[0]


def test_it_agrees_with_another_sum_of_the_same_tide_beyond_the_record(model):
    later_ns = AT_NS[-1] + np.arange(1, 30 * 24, dtype=np.int64) * HOUR_NS
    off_m = predict_m(model, later_ns) - stages_m(later_ns)
    assert np.sqrt(np.mean(off_m**2)) < 0.012  # of a tide of 0.67 m; its nodal terms are simpler
    assert model.counts == {"samples": AT_NS.size, "missing": 0, "repeated": 0, "spikes": 0}


def test_a_model_survives_being_written_down(model):
    again = msgspec.json.decode(msgspec.json.encode(model), type=type(model))
    assert np.array_equal(predict_m(again, AT_NS[:50]), predict_m(model, AT_NS[:50]))


def test_times_may_come_in_any_order_and_between_the_hours(model):
    at_ns = AT_NS[[9, 2, 5]] + HOUR_NS // 3
    assert np.allclose(predict_m(model, at_ns), predict_m(model, np.sort(at_ns))[[2, 0, 1]])
    assert predict_m(model, AT_NS[:0]).size == 0


def test_what_is_missing_repeated_or_a_spike_is_left_out_and_counted(model):
    level_m = LEVEL_M.copy()
    level_m[100:160] = np.nan
    level_m[[700, 1500]] += [2.5, -1.8]
    at_ns = np.append(AT_NS, AT_NS[5])
    spoilt, left = fit(at_ns, np.append(level_m, 9.9))
    assert spoilt.counts == {"samples": DAYS * 24 - 62, "missing": 60, "repeated": 1, "spikes": 2}
    assert np.abs(left.residual_m).max() < 0.05
    assert np.abs(predict_m(spoilt, AT_NS) - predict_m(model, AT_NS)).max() < 0.01


def test_a_trend_is_told_from_the_mean_in_the_middle_of_the_record(model):
    rising_m = 0.4 * (AT_NS - AT_NS[AT_NS.size // 2]) / (365.25 * 24 * HOUR_NS)
    rising, _ = fit(level_m=LEVEL_M + rising_m, trend=True)
    assert rising.trend_m_year == pytest.approx(0.4, abs=0.02)
    assert np.allclose(predict_m(rising, AT_NS) - predict_m(model, AT_NS), rising_m, atol=0.01)


def test_a_gauge_that_was_moved_is_refused_with_the_day():
    level_m = LEVEL_M + np.where(np.arange(AT_NS.size) < 1_000, 0.0, 0.8)
    with pytest.raises(RecordUnfit, match=r"jumps by \+0\.\d\d m at 2024-10-12T16:00 and stays"):
        fit(level_m=level_m)


@pytest.mark.parametrize(
    ("at_ns", "level_m", "said"),
    [
        (AT_NS[:100], LEVEL_M[:100], r"a record of 4\.1 days; expected 60"),
        (AT_NS[:1], LEVEL_M[:1], r"1 levels; expected a record of 60 days"),
        (AT_NS, LEVEL_M[1:], r"expected two equal rows"),
        (AT_NS, np.full(AT_NS.size, np.nan), r"0 levels"),
        (AT_NS[::12], LEVEL_M[::12], r"0% of the record's time"),
    ],
)
def test_a_record_that_cannot_do_is_refused_with_what_was_seen(at_ns, level_m, said):
    with pytest.raises(RecordUnfit, match=said):
        fit(at_ns, level_m)


def test_a_constituent_of_no_such_name_is_refused(model):
    odd = msgspec.structs.replace(model, constituents=(("X9", 0.1, 0.0), *model.constituents))
    odd = msgspec.convert(msgspec.to_builtins(odd), type(model))
    with pytest.raises(RecordUnfit, match="'X9'"):
        predict_m(odd, AT_NS[:2])
