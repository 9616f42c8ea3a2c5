"""The ensemble on the real SWMM and the demo city's own model, in processes of its own kind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from causeway.events import Quality, ReadingsObserved
from causeway.site import load_site
from control.inundation.forecaster import NS, QUIET_MEMBERS, Forecaster
from control.inundation.model import DrainageModel
from control.inundation.tide_outlook import tide_outlook

CITY = Path(__file__).parents[3] / "sims" / "cities" / "saigon"
BEGINS_NS = 1_762_424_400 * NS  # 2025-11-06 17:20 at Phú An
MEMBERS = 3


@pytest.fixture
def forecaster(tmp_path):
    site = load_site(CITY)
    model = DrainageModel((CITY / "drainage.inp").read_text())
    return Forecaster(site, model, tide_outlook(site), tmp_path, members=MEMBERS)


def tell(forecaster, minutes, rain_mm_h, stage_m=0.4, without=()):
    """Minutes in which all rain gauges say the same, and the tide gauge its level."""
    site = forecaster._site
    said = {f"{g.id}/rain_mm_h": rain_mm_h for g in site.gauges if g.kind == "rain"}
    said |= {"tg-phu-an/stage_m": stage_m}
    said = {point: value for point, value in said.items() if point not in without}
    for minute in minutes:
        wobble = 0.5 * (minute % 2)
        forecaster.take(
            ReadingsObserved(
                source="test",
                points=tuple(said),
                observed_at_ns=(BEGINS_NS + minute * 60 * NS,) * len(said),
                values=tuple(v + wobble if v > 1 else v for v in said.values()),
                qualities=(Quality.GOOD,) * len(said),
            )
        )
    return BEGINS_NS + minutes[-1] * 60 * NS


def test_a_dry_evening_floods_nothing_and_is_not_run_by_all_members(tmp_path):
    site = load_site(CITY)
    model = DrainageModel((CITY / "drainage.inp").read_text())
    many = Forecaster(site, model, tide_outlook(site), tmp_path, members=QUIET_MEMBERS + 3)
    forecast, gauges = many.issue(tell(many, range(30), 0.0))
    assert (forecast.streets, forecast.faults) == ((), ())
    assert forecast.members == QUIET_MEMBERS
    assert forecast.inputs.startswith("rain 6 of 6 gauges, tide 1 of 1, levels 0 of")
    (river,) = gauges
    assert river.point == "tg-phu-an/stage_m"
    assert river.values[0] == pytest.approx(0.4, abs=0.1)
    assert river.lead_s[-1] > 5 * 3_600


def test_a_member_that_cannot_go_on_starts_again_from_another(forecaster, tmp_path):
    forecaster.issue(tell(forecaster, range(10), 0.0))
    (tmp_path / "member-1.hsf").write_bytes(b"no state")
    forecast, _ = forecaster.issue(tell(forecaster, range(10, 15), 60.0))
    assert forecast.members == MEMBERS
    assert (tmp_path / "member-1.hsf").stat().st_size > 1_000


def test_a_silent_gauge_is_made_up_for_by_the_others(tmp_path):
    """Not by rain that is 0 where it stands."""
    site = load_site(CITY)
    model = DrainageModel((CITY / "drainage.inp").read_text())
    wet = []
    for name, without in (("all", ()), ("one less", ("rg-thi-nghe/rain_mm_h",))):
        one = Forecaster(site, model, tide_outlook(site), tmp_path / name, members=MEMBERS)
        at_ns = tell(one, range(30), 80.0, stage_m=1.2, without=without)
        wet.append(float(one.run(at_ns).depth_m.max(axis=1).mean()))
    assert wet[1] == pytest.approx(wet[0], rel=0.1)


def test_a_cloudburst_on_a_high_tide_is_forecast_before_its_water_is_there(forecaster):
    at_ns = tell(forecaster, range(30), 0.0, stage_m=1.5)
    at_ns = tell(forecaster, range(30, 50), 110.0, stage_m=1.5)
    forecast, _ = forecaster.issue(at_ns)
    worst = max(forecast.streets, key=lambda street: street.peak_cm)
    assert worst.over[1] > 0.5
    assert worst.peak_cm > 20
    assert worst.onset_s is not None
    assert forecast.members == MEMBERS
    kinds = [passage.kind for passage in worst.closed]
    assert kinds == ["motorbike", "car", "bus_truck", "emergency"][: len(kinds)]
    sure = [passage.probability for passage in worst.closed]
    assert sure == sorted(sure, reverse=True)  # what a car cannot pass no motorbike can
    motorbike = worst.closed[0]
    assert motorbike.probability >= worst.over[1]  # from 20 cm on
    assert motorbike.from_s <= worst.onset_s
    assert motorbike.until_s is None or motorbike.until_s > motorbike.from_s


def test_what_arrives_after_the_issue_changes_nothing_of_it(tmp_path):
    site = load_site(CITY)
    model = DrainageModel((CITY / "drainage.inp").read_text())
    forecasts = []
    for name, later_mm_h in (("a", 0.0), ("b", 150.0)):
        one = Forecaster(site, model, tide_outlook(site), tmp_path / name, members=MEMBERS)
        at_ns = tell(one, range(20), 60.0)
        tell(one, range(20, 50), later_mm_h, stage_m=1.6)
        forecasts.append(one.issue(at_ns)[0])
    assert forecasts[0] == forecasts[1]


def test_without_tide_or_rain_gauges_the_forecast_goes_on_and_says_so(forecaster):
    rain = {f"{g.id}/rain_mm_h" for g in forecaster._site.gauges if g.kind == "rain"}
    at_ns = tell(forecaster, range(5), 0.0)
    at_ns = tell(forecaster, range(60, 61), 0.0, without=rain) + 3_600 * NS
    forecast, _ = forecaster.issue(at_ns)
    assert "no tide gauge: the tide is reckoned" in forecast.faults
    assert {"rg-thi-nghe silent"} <= set(forecast.faults)
    assert forecast.inputs.startswith("rain 0 of 6 gauges, tide 0 of 1")


def test_what_the_model_lacks_is_said(tmp_path):
    site = load_site(CITY)
    other = msgspec.structs.replace(site.pumps[0], id="p-new")
    far = msgspec.structs.replace(site.segments[0], id="rd-new", node="n-new")
    site = msgspec.structs.replace(site, pumps=(*site.pumps, other), segments=(*site.segments, far))
    model = DrainageModel((CITY / "drainage.inp").read_text())
    lacking = Forecaster(site, model, tide_outlook(site), tmp_path, members=MEMBERS)
    forecast, _ = lacking.issue(tell(lacking, range(10), 0.0))
    assert forecast.faults == ("not in the model: p-new, 1 streets",)


def test_the_demo_models_restart_is_the_unbroken_run(forecaster):
    assert forecaster._restarts_exactly(BEGINS_NS)


def test_members_believe_different_cities(forecaster):
    texts = {member.body for member, _ in forecaster._members}
    assert len(texts) == MEMBERS
    rains = np.array([unknowns.rain for _, unknowns in forecaster._members])
    assert rains[0] == 1.0
    assert np.ptp(rains) > 0.0
