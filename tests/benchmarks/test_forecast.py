"""What `causeway eval forecast` says of forecasts, and one short storm of the real chain."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.forecast.report import Report, Told, score, table
from benchmarks.forecast.scoring import (
    LEADS_MIN,
    Alerts,
    Kept,
    Points,
    crps,
    kept_of,
    persistence_crps,
    points_of,
    reliability,
    score_alerts,
    score_observed,
    spans,
    standing,
)
from benchmarks.forecast.storms import KINDS, Condition, Storm, altered, draw
from benchmarks.forecast.truth import Record, play
from benchmarks.forecast.watching import Issued, watch
from causeway.events import FloodAlertChanged, FloodCause
from causeway.site import load_site
from control.inundation.forecaster import Forecaster
from control.inundation.model import DrainageModel
from control.inundation.tide_outlook import tide_outlook
from sims.scenario import RainCell
from sims.watershed import load_watershed

CITY = Path(__file__).parents[2] / "sims" / "cities" / "saigon"


def record(*streets):
    """Of streets' depths in metres, minute by minute; no gauge says anything."""
    depth_m = np.array(streets, float).T
    minutes = len(depth_m)
    names = tuple(f"s{i}" for i in range(len(streets)))
    at_ns = np.arange(minutes, dtype=np.int64) * 60 * 10**9
    return Record(at_ns, (), np.zeros((minutes, 0)), names, depth_m, np.zeros(minutes))


def flooded(minutes, first, last, depth_m=0.3):
    """A street with water from one minute to another, the first minute being 1."""
    return [depth_m if first <= minute <= last else 0.0 for minute in range(1, minutes + 1)]


def warned(*told):
    """Changes of the level of the first street, each (minute, level)."""
    return [
        (
            minute,
            FloodAlertChanged(
                segment="s0",
                level=level,
                probability=0.6,
                peak_m=0.3,
                onset_at_ns=None,
                cause=FloodCause.RAIN,
                why="test",
            ),
        )
        for minute, level in told
    ]


def judged(depths, *told):
    found = score_alerts(record(depths), warned(*told))
    return found.leads_min, found.missed, found.false


def test_an_alert_that_stands_at_the_onset_is_a_hit_with_its_lead():
    assert judged(flooded(200, 100, 150), (70, 2), (160, 0)) == ([30], 0, 0)


def test_a_watch_is_no_alert_and_an_emergency_is_the_same_one():
    assert judged(flooded(200, 100, 150), (70, 1), (80, 2), (90, 3), (160, 0)) == ([20], 0, 0)


def test_an_alert_that_comes_with_the_water_or_after_it_has_missed_it():
    assert judged(flooded(200, 100, 150), (100, 2)) == ([], 1, 0)
    assert judged(flooded(200, 100, 150)) == ([], 1, 0)


def test_an_alert_that_is_taken_back_before_the_water_is_false_and_a_miss():
    assert judged(flooded(200, 100, 150), (40, 2), (80, 0)) == ([], 1, 1)


def test_an_alert_without_water_is_false_unless_it_could_still_come_true():
    assert judged([0.1] * 200, (40, 2), (80, 0)) == ([], 0, 1)
    assert judged([0.1] * 200, (190, 2)) == ([], 0, 0)
    assert judged([0.1] * 200, (100, 2)) == ([], 0, 1)


def test_an_alert_that_stays_warns_of_the_next_flood_from_the_end_of_the_last():
    depths = np.maximum(flooded(400, 100, 120), flooded(400, 300, 320))
    assert judged(depths, (70, 2)) == ([30, 180], 0, 0)


def test_water_that_is_gone_for_less_than_an_hour_has_not_been_gone():
    wet = np.array(flooded(300, 10, 20)) + flooded(300, 50, 60) + flooded(300, 200, 210) > 0
    assert spans(wet) == [(10, 60), (200, 210)]
    assert standing([(5, 1), (7, 2), (9, 3), (11, 1), (20, 2)], 30) == [(7, 11), (20, 30)]


def test_an_alarm_on_seen_water_leads_by_the_time_the_water_takes_to_rise():
    rising = [0.01 * minute for minute in range(60)]
    found = score_observed(record(rising, [0.15] * 60))
    assert (found.leads_min, found.missed, found.false) == ([10], 0, 1)


def test_scores_are_those_of_their_definitions_and_none_without_events():
    found = score([Alerts([10, 20, 60], 1, 1), Alerts([30], 0, 0)])
    assert found["pod"] == pytest.approx(4 / 5)
    assert found["far"] == pytest.approx(1 / 5)
    assert found["csi"] == pytest.approx(4 / 6, abs=1e-4)
    assert found["lead_min_median"] == 25.0
    assert score([Alerts()])["pod"] is None


def test_crps_is_the_integral_of_the_squared_difference_of_the_distributions():
    rng = np.random.default_rng(3)
    members, truth = rng.exponential(1.0, (30, 4)), np.array([0.0, 0.3, 1.0, 5.0])
    x = np.linspace(-1.0, 30.0, 310_001)
    for place, value in enumerate(truth):
        below = np.searchsorted(np.sort(members[:, place]), x, side="right") / 30
        whole = ((below - (x >= value)) ** 2).sum() * (x[1] - x[0])
        assert crps(members, truth)[place] == pytest.approx(whole, abs=1e-3)


def made(truth, now):
    truth, now = np.array(truth, float), np.array(now, float)
    nothing = np.full(len(truth), np.nan)
    return Points(truth, now, np.abs(truth - 0.1), (truth > 0.2) * 1.0, nothing)


def test_persistence_is_dressed_with_what_it_missed_by_in_other_storms():
    own = made([0.5, 0.0], [0.1, 0.0])
    right = Kept(np.array([0.1] * 9 + [0.0] * 9), np.array([0.5] * 9 + [0.0] * 9))
    wet, dry = persistence_crps(own, [right])
    assert wet == pytest.approx(0.0, abs=1e-9)
    assert dry == 0.0
    still = Kept(np.array([0.1] * 9), np.array([0.1] * 9))
    assert persistence_crps(own, [still])[0] == pytest.approx(0.4)


def test_what_persistence_is_dressed_with_is_every_street_wet_or_dry():
    rising = [0.01 * minute for minute in range(60)]
    issued = [Issued(minute, None) for minute in (10, 20, 50)]
    kept = kept_of(record(rising, [0.0] * 60), issued)[LEADS_MIN.index(15)]
    assert kept.now_m.tolist() == pytest.approx([0.09, 0.0, 0.19, 0.0])
    assert kept.truth_m.tolist() == pytest.approx([0.24, 0.0, 0.34, 0.0])


def test_reliability_counts_each_point_in_one_bin():
    found = reliability(made([0.3, 0.1, 0.25, 0.0], [0.0] * 4))
    assert (found.count, found.forecast, found.observed) == ([2, 2], [0.0, 1.0], [0.0, 1.0])


def told(seed, alerts):
    points = tuple(made([0.3, 0.1], [0.0, 0.1]) for _ in LEADS_MIN)
    kept = tuple(Kept(np.array([0.0, 0.1]), np.array([0.3, 0.1])) for _ in LEADS_MIN)
    return Told(seed, KINDS[seed % 3], alerts, Alerts(), points, kept, 80.0, 100.0, 3, 1.0)


def test_a_report_has_what_is_asked_of_it_for_all_and_by_kind():
    report = Report([told(1, Alerts([30], 0, 0)), told(2, Alerts([], 1, 1))], open_loop=False)
    found = report.found()
    assert found["storms"] == 2
    assert found["leads_min"] == list(LEADS_MIN)
    assert set(found["crps"]) == set(found["persistence_crps"]) == {str(m) for m in LEADS_MIN}
    assert {"pod", "far", "csi", "lead_min_median"} <= set(found["alerts"])
    assert found["alerts"]["pod"] == 0.5
    assert set(found["kinds"]) == {"rain", "compound"}
    assert found["kinds"]["rain"]["alerts"]["pod"] == 1.0
    low, high = found["alerts"]["interval_90"]["pod"]
    assert (low, high) == (0.0, 1.0)
    assert found["flood_change"][0] == -0.2
    assert "compound" in table(report)


def test_a_seed_always_draws_the_same_storm_and_kinds_take_turns():
    site = load_site(CITY)
    truth = load_watershed(CITY / "truth", site)
    assert draw(4, site, truth) == draw(4, site, truth) != draw(7, site, truth)
    assert [draw(seed, site, truth).kind for seed in (3, 4, 5)] == list(KINDS)
    assert altered(truth, Condition(frozenset(), frozenset(), frozenset(), {})) == truth


def test_a_cloudburst_is_recorded_forecast_and_warned_of_before_its_water(tmp_path):
    site = load_site(CITY)
    drawn = draw(1, site, load_watershed(CITY / "truth", site))
    cell = RainCell(
        at=site.centre,
        begins=drawn.scenario.start + timedelta(minutes=5),
        lasts_s=3_600.0,
        peak_mm_h=150.0,
        radius_m=3_000.0,
        rise_s=900.0,
        fall_s=900.0,
    )
    scenario = msgspec.structs.replace(drawn.scenario, rain=(cell,))
    storm = Storm(1, "rain", scenario, drawn.condition, 1_800)
    found = play(site, CITY / "truth", storm, tmp_path)
    assert len(found.at_ns) == 30
    model = DrainageModel((CITY / "drainage.inp").read_text())
    forecaster = Forecaster(site, model, tide_outlook(site), tmp_path / "forecast", members=8)
    issued, alerts = watch(site, found, forecaster)
    assert [one.minute for one in issued] == [10, 15, 20, 25, 30]
    leads_min = score_alerts(found, alerts).leads_min
    assert len(leads_min) > 0
    assert min(leads_min) > 0
    by_lead = dict(zip(LEADS_MIN, points_of(found, issued), strict=True))
    assert len(by_lead[15].truth_m) > 0
    assert len(by_lead[180].truth_m) == 0  # the record ends
    assert (by_lead[15].crps_m >= 0).all()
