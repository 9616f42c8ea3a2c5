from __future__ import annotations

import numpy as np
import pytest

from causeway.site import LonLat
from control.inundation.rainfall import Field, believed, nowcast

NAMES = ("rg-1", "rg-2", "rg-3")
RNG_SEED = 5
LEAD_S = (np.arange(36) + 0.5) * 300


def minutes(*mm_h):
    """Half an hour in which each gauge says what is given."""
    return np.tile(np.array(mm_h, float), (30, 1))


def test_gauges_that_agree_are_believed():
    wobble = np.arange(30)[:, None] % 3
    assert believed(NAMES, minutes(20, 25, 30) + wobble) == ((0, 1, 2), {})


def test_a_gauge_that_says_0_amid_a_cloudburst_is_blocked():
    rain = minutes(0, 40, 50)
    rain[::2, 1:] += 2.0
    used, faults = believed(NAMES, rain)
    assert used == (1, 2)
    assert faults == {"rg-1": "says 0 amid 46 mm/h: blocked"}


def test_a_gauge_that_repeats_one_number_is_stuck_and_a_silent_one_silent():
    rain = minutes(12, np.nan, 50)
    rain[::2, 2] += 2.0
    assert believed(NAMES, rain).faults == {
        "rg-1": "has said 12.0 mm/h for 20 min: stuck",
        "rg-2": "silent",
    }


def test_rain_between_gauges_lies_between_theirs_and_a_gauge_speaks_for_its_own_place():
    places = [LonLat(106.70, 10.78), LonLat(106.71, 10.78), LonLat(106.72, 10.78)]
    field = Field([places[0], places[2]], places)
    at, between, far = field.over(np.array([[10.0, 50.0]]), (0, 1))[0]
    assert at == pytest.approx(10.0, abs=1.0)
    assert between == pytest.approx(30.0, abs=0.5)
    assert far == pytest.approx(50.0, abs=1.0)
    assert field.over(np.array([[10.0, np.nan]]), (0, 1))[0] == pytest.approx([10.0] * 3)
    assert field.over(np.array([[10.0, 50.0]]), ())[0].tolist() == [0.0] * 3


def shower(*mm_h):
    """An hour that was dry until the last minutes; two gauges of which the second has more."""
    rain = np.concatenate([np.zeros(60 - len(mm_h)), np.array(mm_h, float)])
    return np.stack([rain, rain * 1.5], axis=1)


def ahead(recent):
    return nowcast(recent, (0, 1), LEAD_S, 400, np.random.default_rng(RNG_SEED))


def test_a_nowcast_begins_with_the_rain_there_is_and_ends():
    rain = ahead(shower(*np.linspace(2, 60, 15), *[60.0] * 30))
    assert rain.shape == (400, 36, 2)
    assert np.median(rain[:, 0, 0]) == pytest.approx(60.0, rel=0.2)
    assert np.median(rain[:, 0, 1]) == pytest.approx(90.0, rel=0.2)
    assert np.median(rain[:, -1]) == 0.0
    assert (rain >= 0.0).all()


def test_a_shower_in_its_first_minutes_is_expected_to_grow_and_an_old_one_to_end():
    young = np.linspace(3, 24, 8)
    old = [*np.linspace(5, 80, 15), *[80.0] * 25, *np.linspace(78, 24, 12)]
    grown, ended = (np.median(ahead(shower(*seen))[:, 1:4, 0]) for seen in (young, old))
    assert grown > 1.3 * 24
    assert ended < 0.7 * 24


def test_a_shower_goes_on_in_members_as_differently_as_showers_do():
    rain = ahead(shower(*np.linspace(3, 24, 8)))[:, :12, 0].sum(axis=1)
    low, high = np.quantile(rain, (0.1, 0.9))
    assert high > 3 * low > 0


def test_minutes_that_nobody_saw_were_not_dry():
    """A centre that starts amid a cloudburst does not take it for one that has just begun."""
    known = shower(*[60.0] * 3)
    unknown = np.where(np.arange(60)[:, None] < 57, np.nan, known)
    new, old = (np.median(ahead(seen)[:, 1:7, 0].sum(axis=1)) for seen in (known, unknown))
    assert new > 1.3 * old


def test_a_gauge_that_falls_silent_in_a_shower_is_not_dry():
    rain = shower(*np.linspace(5, 60, 30))
    rain[-7:] = np.nan
    assert np.median(ahead(rain)[:, 0, 0]) > 25.0


def test_without_rain_none_is_made_and_without_gauges_it_may_rain_anywhere():
    rng = np.random.default_rng(RNG_SEED)
    assert nowcast(minutes(0, 0), (0, 1), LEAD_S, 30, rng).max() == 0.0
    unknown = nowcast(minutes(np.nan, np.nan), (), LEAD_S, 400, rng)
    assert 0.2 < (unknown[:, 0, 0] > 0).mean() < 0.4
