from __future__ import annotations

from pathlib import Path

from causeway.site import load_site
from sims.survey import survey_model, surveyed
from sims.watershed import load_watershed

CITY = Path(__file__).parents[2] / "sims" / "cities" / "saigon"


def test_the_citys_model_is_what_the_survey_gives():
    site = load_site(CITY)
    model = survey_model(site, load_watershed(CITY / "truth", site))
    assert model == (CITY / "drainage.inp").read_text(), "causeway survey saigon > drainage.inp"


def test_what_was_surveyed_is_not_quite_what_is_so():
    truth = load_watershed(CITY / "truth", load_site(CITY))
    seen = surveyed(truth)
    assert seen.sewer == truth.sewer
    pairs = list(zip(seen.catchment, truth.catchment, strict=True))
    assert all(s.area_ha != t.area_ha for s, t in pairs)
    assert sum(s.area_ha for s, _ in pairs) > 0.9 * sum(t.area_ha for _, t in pairs)
