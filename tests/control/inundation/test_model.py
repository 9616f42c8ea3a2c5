from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from control.inundation.model import DrainageModel, ModelInvalid, Unknowns

CITY = Path(__file__).parents[3] / "sims" / "cities" / "saigon" / "drainage.inp"
SMALL = """[OPTIONS]
FLOW_UNITS CMS
[JUNCTIONS]
a -1.0 2.0
[OUTFALLS]
o -2.0 FIXED 0.5 NO
[CONDUITS]
c a o 100 0.013 -1.0 -2.0
[LOSSES]
c 0.3 0.5 0 YES 0
"""


def test_the_demo_city_is_read_whole():
    model = DrainageModel(CITY.read_text())
    assert set(model.outfalls) <= set(model.nodes)
    assert None not in model.gage_places
    assert len(model.gages) == len(set(model.gages)) > 100
    assert model.surfaces["n-nhc-4"].at_m2(1.3) > model.surfaces["n-nhc-4"].at_m2(0.0)


def test_a_member_has_its_own_roughness_and_begin():
    text = (
        DrainageModel(SMALL)
        .written(Unknowns(roughness=2.0))
        .text(datetime(2025, 11, 6, 17, 20, tzinfo=UTC))
    )
    assert "c a o 100 0.02600 -1.0 -2.0" in text
    assert "START_DATE 11/06/2025" in text
    assert "START_TIME 17:20:00" in text


def test_a_jammed_flap_lets_water_back():
    assert "c 0.3 0.5 0 NO 0" in DrainageModel(SMALL).with_jammed({"c"}).written().body
    assert "c 0.3 0.5 0 YES 0" in DrainageModel(SMALL).with_jammed({"d"}).written().body


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (SMALL.replace("CMS", "CFS"), 2, "FLOW_UNITS CFS, which makes its levels feet"),
        (SMALL.replace("CMS", "LPS"), 2, "FLOW_UNITS LPS; expected CMS"),
        (SMALL.replace("a -1.0", "a deep"), 4, "expected numbers in columns 2 to 2"),
        (SMALL.replace("[OUTFALLS]\no -2.0 FIXED 0.5 NO\n", ""), 1, "no [OUTFALLS]"),
        (SMALL.replace("o -2.0", "a -2.0"), 6, "a: stands in line 4 already"),
        ("a file of words", 1, "before the first [SECTION]"),
        ("", 1, "not a SWMM project"),
    ],
)
def test_a_project_that_cannot_be_used_is_refused_with_its_line(text, line, reason):
    with pytest.raises(ModelInvalid, match=r".") as refused:
        DrainageModel(text)
    assert refused.value.line == line
    assert reason in refused.value.reason
