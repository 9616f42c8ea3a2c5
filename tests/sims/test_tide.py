"""The tide at Phú An: its periods, its size, and the peak that the king tide scenario promises."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from sims import tide
from sims.scenario import load_scenario, ns_of

NS = 1_000_000_000
SCENARIOS = Path(__file__).parents[2] / "sims" / "scenarios"
SAIGON = timezone(timedelta(hours=7))


def ns(month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return ns_of(datetime(2025, month, day, hour, minute, tzinfo=SAIGON))


def angle_deg(doodson: tuple[int, int, int, int], at_ns: int) -> float:
    now = tide.arguments(at_ns)
    return sum(n * longitude for n, longitude in zip(doodson, now[:4], strict=True))


@pytest.mark.parametrize(
    ("name", "degrees_per_hour"),
    [  # Schureman 1958, table 2
        ("M2", 28.9841042),
        ("S2", 30.0),
        ("N2", 28.4397295),
        ("K2", 30.0821373),
        ("K1", 15.0410686),
        ("O1", 13.9430356),
        ("P1", 14.9589314),
        ("Q1", 13.3986609),
        ("M4", 57.9682084),
    ],
)
def test_a_constituent_turns_at_its_astronomical_speed(name: str, degrees_per_hour: float) -> None:
    doodson = next(c.doodson for c in tide.CONSTITUENTS if c.name == name)
    begin = ns(1, 1)
    hours = 24 * 300
    turned = angle_deg(doodson, begin + hours * 3_600 * NS) - angle_deg(doodson, begin)
    expected = degrees_per_hour * hours
    assert (turned - expected + 180) % 360 - 180 == pytest.approx(0.0, abs=0.5)


def test_the_arguments_are_those_of_the_almanac() -> None:
    # Meeus 1998, example 47.a: 1992 April 12, 0h TD, mean longitude of the moon 134.290182 degrees.
    at_ns = int(datetime(1992, 4, 12, tzinfo=UTC).timestamp()) * NS
    assert tide.arguments(at_ns).moon % 360 == pytest.approx(134.290, abs=0.01)
    assert tide.arguments(at_ns).node % 360 == pytest.approx(274.4, abs=0.1)


def test_nodal_factors_are_one_on_average() -> None:
    for constituent in tide.CONSTITUENTS:
        factors = [tide.nodal(constituent.name, node)[0] for node in range(360)]
        assert np.mean(factors) == pytest.approx(1.0, abs=0.03)


def test_the_year_looks_like_the_saigon_river() -> None:
    times = ns(1, 1) + np.arange(365 * 24 * 4, dtype=np.int64) * 900 * NS
    stages_m = tide.stages_m(times)
    assert 1.4 < stages_m.max() < 1.7
    assert -2.4 < stages_m.min() < -1.6
    assert stages_m.mean() == pytest.approx(tide.MEAN_M, abs=0.02)
    highs = np.sum((stages_m[1:-1] > stages_m[:-2]) & (stages_m[1:-1] >= stages_m[2:]))
    assert highs / 365 == pytest.approx(1.93, abs=0.05)  # semi-diurnal


def test_a_surge_lifts_the_whole_tide() -> None:
    at_ns = ns(11, 6, 17, 45)
    assert tide.stage_m(at_ns, 0.2) == pytest.approx(tide.astronomical_m(at_ns) + 0.2)


def test_the_king_tide_peaks_between_1_70_and_1_80_at_a_quarter_to_six() -> None:
    scenario = load_scenario(SCENARIOS / "king_tide_cloudburst.toml")
    times = ns(11, 6, 12) + np.arange(10 * 60, dtype=np.int64) * 60 * NS
    stages_m = tide.stages_m(times, scenario.tide.surge_m)
    peak = int(stages_m.argmax())
    assert 1.70 <= stages_m[peak] <= 1.80
    assert abs(int(times[peak]) - ns(11, 6, 17, 45)) <= 15 * 60 * NS


def test_the_ordinary_evening_stays_below_the_first_alarm_level() -> None:
    scenario = load_scenario(SCENARIOS / "evening_peak.toml")
    times = scenario.start_ns + np.arange(6 * 60, dtype=np.int64) * 60 * NS
    assert tide.stages_m(times, scenario.tide.surge_m).max() < 1.40
