"""A SWMM project's network: what it becomes in the site, its own project, and what is refused."""

import pytest

from causeway.site import LonLat
from control.inundation.model import DrainageModel
from control.inundation.network import FEET, NetworkInvalid, read_network
from control.inundation.project import site_project

PROJECT = """\
[OPTIONS]
FLOW_UNITS           CMS
LINK_OFFSETS         ELEVATION
[RAINGAGES]
G1 INTENSITY 0:05 1.0 TIMESERIES rain
[SUBCATCHMENTS]
;; comment
S1 G1 J.1 2.5 60 100 0.5 0
S2 G1 S1 1.5 60 100 0.5 0
[SUBAREAS]
S1 0.01 0.1 0.05 0.05 25 OUTLET
[JUNCTIONS]
J.1 1.00 2.00 0 0 0
J2  0.50 0    0 0 0
[OUTFALLS]
Out -1.00 FIXED 0.25 NO
[STORAGE]
Pond 0.00 3.00 0 FUNCTIONAL 1000 0 0
[CONDUITS]
C1 J.1 J2   100 0.013 1.00 0.50 0
C2 J2  Pond 100 0.025 *    *    0
[PUMPS]
P1 Pond Out PC ON 1.0 0.5
[ORIFICES]
O1 Pond Out SIDE 0.10 0.65 NO 0
[XSECTIONS]
C1 CIRCULAR    0.8 0 0 0
C2 TRAPEZOIDAL 1.2 3 1 1
O1 CIRCULAR    0.5 0 0 0
[CURVES]
PC PUMP4 0 0.1
PC       1 0.4
[CONTROLS]
RULE one
IF NODE Pond DEPTH > 1.5
THEN PUMP P1 STATUS = ON
[TIMESERIES]
rain 0:00 0
[COORDINATES]
J.1  0   0
J2   100 0.0
Pond 200 50
Out  300 50
[VERTICES]
C2 150 0
[POLYGONS]
S1 0 0
S1 10 0
S1 0 10
[SYMBOLS]
G1 50 50
"""


def where(x, y):
    return LonLat(106.0 + x / 1e4, 10.0 + y / 1e4)


def things(found):
    return {thing.id: thing for thing in (*found.nodes, *found.conduits, *found.catchments)}


def test_all_kinds_of_assets_come_with_their_places_and_levels():
    found = things(read_network(PROJECT, where))
    assert found["n-j-1"].at == LonLat(106.0, 10.0)
    assert (found["n-j-1"].invert_m, found["n-j-1"].ground_m) == (1.0, 3.0)
    assert (found["n-out"].kind, found["n-pond"].kind) == ("outfall", "storage")
    kinds = {id_: thing.kind for id_, thing in found.items() if id_.startswith("l-")}
    assert kinds == {"l-c1": "sewer", "l-c2": "canal", "l-p1": "pump", "l-o1": "orifice"}
    assert found["l-c2"].bends == (LonLat(106.015, 10.0),)
    assert found["l-p1"].flow_m3s == 0.4
    assert (found["s-s1"].node, found["s-s1"].area_ha, len(found["s-s1"].outline)) == (
        "n-j-1",
        2.5,
        3,
    )
    assert (found["s-s2"].node, found["s-s2"].outline) == (None, ())


def test_a_node_without_a_depth_is_as_deep_as_its_highest_conduit():
    assert things(read_network(PROJECT, where))["n-j2"].ground_m == pytest.approx(0.5 + 1.2)


def test_feet_and_cubic_feet_become_metres_and_levels_are_raised_to_the_datum():
    found = things(read_network(PROJECT.replace("CMS", "CFS"), where, offset_m=2.0))
    assert found["n-j-1"].invert_m == pytest.approx(FEET + 2.0, abs=1e-3)
    assert found["n-j-1"].ground_m == pytest.approx(3 * FEET + 2.0, abs=1e-3)
    assert found["l-p1"].flow_m3s == pytest.approx(0.4 * FEET**3, abs=1e-4)
    assert found["s-s1"].area_ha == pytest.approx(2.5 * 0.4047, abs=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("J2   100 0.0\n", "", 14, "J2: no row in [COORDINATES]"),
        ("C1 J.1 J2", "C1 J.1 J3", 20, "C1: no node 'J3'"),
        ("C1 J.1 J2", "C1 J.1 Out", None, None),
        ("J2  0.50", "J2  0,50", 14, "expected numbers in columns 2 to 2"),
        ("P1 Pond Out PC", "P1 Pond Out QC", 23, "P1: no curve 'QC'"),
        ("S1 G1 J.1", "S1 G1 J9", 8, "S1: no node or catchment 'J9'"),
        ("J2  0.50", "j.1 0.50", 14, "j.1: line 13 has that name, or one like it"),
        ("CMS", "CFM", 2, "FLOW_UNITS CFM; expected one of CFS"),
        ("C2 150 0", "C2 15o 0", 45, "expected numbers in columns 2 to 3"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line_and_reason(old, new, line, said):
    assert old in PROJECT
    text = PROJECT.replace(old, new, 1)
    if said is None:
        assert read_network(text, where)
        return
    with pytest.raises(NetworkInvalid) as refused:
        read_network(text, where)
    told = [(fault.line, fault.reason) for fault in refused.value.faults]
    assert any(at == line and said in reason for at, reason in told), told


def test_every_fault_is_told_at_once():
    text = PROJECT.replace("J2   100 0.0\n", "").replace("PC ON", "QC ON")
    text = text.replace("S1 G1 J.1", "S1 G1 X")
    with pytest.raises(NetworkInvalid) as refused:
        read_network(text, where)
    assert [fault.line for fault in refused.value.faults] == [8, 14, 23]


def test_an_empty_project_is_no_network():
    for text in ("", "hello\n", "[TITLE]\nnothing\n"):
        with pytest.raises(NetworkInvalid):
            read_network(text, where)


def test_the_sites_own_project_has_the_sites_names_everywhere():
    text = site_project(PROJECT, where)
    model = DrainageModel(text)
    assert model.nodes == ("n-j-1", "n-j2", "n-pond", "n-out")
    assert set(model.links) == {"l-c1", "l-c2", "l-p1", "l-o1"}
    assert model.gage_places == (LonLat(106.005, 10.005),)
    assert "s-s1 G1 n-j-1 " in text and "s-s2 G1 s-s1 " in text
    assert "IF NODE n-pond DEPTH > 1.5\nTHEN PUMP l-p1 STATUS = ON" in text
    assert "PC PUMP4 0 0.1" in text


def test_levels_of_the_project_are_raised_with_those_of_the_map():
    text = site_project(PROJECT, where, offset_m=2.0)
    for row in (
        "n-j-1 3.0000 2.00",
        "n-out 1.0000 FIXED 2.2500 NO",
        "n-pond 2.0000 3.00",
        "l-c1 n-j-1 n-j2 100 0.013 3.0000 2.5000 0",
        "l-c2 n-j2 n-pond 100 0.025 * * 0",
        "l-o1 n-pond n-out SIDE 2.1000",
    ):
        assert row in text
    depths = PROJECT.replace("ELEVATION", "DEPTH")
    assert "l-c1 n-j-1 n-j2 100 0.013 1.00 0.50 0" in site_project(depths, where, offset_m=2.0)
