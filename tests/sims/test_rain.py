"""Rain: a cell's shape in space and time, its movement, and the cloudburst of the king tide."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from math import exp
from pathlib import Path

import msgspec
import numpy as np
import pytest

from causeway.site import LonLat, load_site
from sims.rain import METRES_PER_DEGREE, Rain, lonlats
from sims.scenario import NS, RainCell, Scenario, TrafficLevel, load_scenario, ns_of

SIMS = Path(__file__).parents[2] / "sims"
SAIGON = timezone(timedelta(hours=7))
BEGINS = datetime(2025, 11, 6, 17, 0, tzinfo=SAIGON)
MIDDLE = LonLat(106.70, 10.78)


@dataclass(frozen=True)
class Shower:
    """One cell in a scenario of its own."""

    cell: RainCell
    seed: int = 1

    def at(self, seconds: float, place: LonLat = MIDDLE) -> float:
        scenario = Scenario(
            id="shower",
            name="",
            name_en="",
            start=BEGINS,
            seed=self.seed,
            traffic=TrafficLevel(veh_h=0.0, motorbike_share=0.8),
            rain=(self.cell,),
        )
        return Rain(scenario).rain_mm_h(ns_of(BEGINS) + int(seconds * NS), place)


def cell(**changes: float) -> RainCell:
    plain = RainCell(
        at=MIDDLE,
        begins=BEGINS,
        lasts_s=1_800.0,
        peak_mm_h=80.0,
        radius_m=1_000.0,
        rise_s=300.0,
        fall_s=600.0,
        gusts=0.0,
    )
    return msgspec.structs.replace(plain, **changes)


def north(metres: float) -> LonLat:
    return LonLat(MIDDLE.lon, MIDDLE.lat + metres / METRES_PER_DEGREE)


@pytest.mark.parametrize(
    ("seconds", "mm_h"),
    [(-1, 0), (150, 40), (300, 80), (900, 80), (1_200, 80), (1_500, 40), (1_801, 0)],
)
def test_a_cell_rises_holds_and_fades(seconds: float, mm_h: float) -> None:
    assert Shower(cell()).at(seconds) == pytest.approx(mm_h)


def test_a_cell_is_a_bell_around_its_middle() -> None:
    shower = Shower(cell())
    assert shower.at(600, north(1_000)) == pytest.approx(80 * exp(-0.5), rel=1e-3)
    assert shower.at(600, north(5_000)) == 0.0


def test_a_cell_moves_along_its_heading() -> None:
    shower = Shower(cell(speed_m_s=2.0, heading_deg=180.0))
    assert shower.at(600, north(-1_200)) == pytest.approx(80.0, rel=1e-3)
    assert shower.at(600) < 40.0


def test_gusts_depend_on_the_seed_alone() -> None:
    gusty = cell(gusts=0.2)
    assert Shower(gusty, 7).at(700) == Shower(gusty, 7).at(700)
    assert Shower(gusty, 7).at(700) != Shower(gusty, 8).at(700)


def test_cells_add_up() -> None:
    alone = Shower(cell()).at(600)
    scenario = load_scenario(SIMS / "scenarios" / "evening_peak.toml")
    both = msgspec.structs.replace(scenario, start=BEGINS, rain=(cell(), cell()))
    assert Rain(both).rain_mm_h(ns_of(BEGINS) + 600 * NS, MIDDLE) == pytest.approx(2 * alone)


def test_a_dry_scenario_has_no_rain() -> None:
    scenario = load_scenario(SIMS / "scenarios" / "evening_peak.toml")
    places = lonlats([MIDDLE, north(500)])
    assert np.all(Rain(scenario).at(scenario.start_ns, places) == 0.0)


def test_the_cloudburst_pours_80_to_100_mm_an_hour_at_its_heart_for_half_an_hour() -> None:
    scenario = load_scenario(SIMS / "scenarios" / "king_tide_cloudburst.toml")
    rain = Rain(scenario)
    site = load_site(SIMS / "cities" / "saigon")
    gauges = lonlats([g.at for g in site.gauges if g.kind == "rain"])
    half_past_five_ns = ns_of(datetime(2025, 11, 6, 17, 30, tzinfo=SAIGON))
    heaviest = [rain.at(half_past_five_ns + m * 60 * NS, gauges).max() for m in range(30)]
    assert 75.0 < np.mean(heaviest) < 105.0
    assert min(heaviest) > 60.0
