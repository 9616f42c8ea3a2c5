from pathlib import Path

import msgspec
import pytest

from causeway.site import Junction, LonLat, RoadSegment, SignalGroup, Stage, load_site
from control.signals.layout import GREEN, PERMISSIVE, checked, conflicts
from control.signals.site_layout import lay_out

SAIGON = Path(__file__).parents[3] / "sims" / "cities" / "saigon"
AT, FAR = LonLat(106.7, 10.77), 0.002  # about 220 m
ENDS = {
    "n": LonLat(AT.lon, AT.lat + FAR),
    "e": LonLat(AT.lon + FAR, AT.lat),
    "s": LonLat(AT.lon, AT.lat - FAR),
    "w": LonLat(AT.lon - FAR, AT.lat),
}


def road(arm, lanes=2, **more):
    line = (ENDS[arm], AT)
    return RoadSegment(
        id=f"rd-{arm}",
        name=arm,
        line=line,
        lanes=lanes,
        speed_limit_km_h=36.0,
        low_point=AT,
        low_point_m=1.0,
        **more,
    )


def city(site, arms="nesw", groups=None, **lanes):
    groups = groups or tuple(SignalGroup(id=a, segment=f"rd-{a}") for a in arms)
    names = [g.id for g in groups]
    stages = tuple(
        Stage(id=pair, green=green)
        for pair in ("ns", "ew")
        if (green := tuple(n for n in names if n in pair))
    )
    conflict = tuple((a, b) for a in names for b in names if a in "ns" and b in "ew")
    junction = Junction(id="j", name="j", at=AT, groups=groups, stages=stages, conflicts=conflict)
    segments = tuple(road(a, lanes.get(a, 2)) for a in arms)
    return msgspec.structs.replace(site, junctions=(junction,), segments=segments)


def ways(layout):
    return {
        (layout.lanes[m.lane].id, layout.exits[m.exit].id): number
        for number, m in enumerate(layout.movements)
    }


def test_through_leads_from_every_lane_right_from_the_kerb_and_left_from_within(site):
    layout = lay_out(city(site, n=3)).layouts["j"]
    from_north = sorted(way for way in ways(layout) if way[0].startswith("rd-n"))
    assert from_north == [
        ("rd-n/1", "rd-s"), ("rd-n/1", "rd-w"), ("rd-n/2", "rd-s"),
        ("rd-n/3", "rd-e"), ("rd-n/3", "rd-s"),
    ]  # fmt: skip


def test_where_there_is_no_through_the_lanes_between_serve_both_turns(site):
    layout = lay_out(city(site, arms="esw", s=3)).layouts["j"]
    from_south = sorted(way for way in ways(layout) if way[0].startswith("rd-s"))
    assert from_south == [
        ("rd-s/1", "rd-e"), ("rd-s/2", "rd-e"), ("rd-s/2", "rd-w"), ("rd-s/3", "rd-w"),
    ]  # fmt: skip


def test_a_left_turn_lets_oncoming_traffic_pass_and_nobody_else_waits(site):
    layout = lay_out(city(site)).layouts["j"]
    named = ways(layout)
    ns = layout.stages[0]
    assert ns[named["rd-n/2", "rd-e"]] == PERMISSIVE
    assert ns[named["rd-n/1", "rd-s"]] == ns[named["rd-n/1", "rd-w"]] == GREEN
    left = layout.movements[named["rd-n/2", "rd-e"]]
    assert {named["rd-s/1", "rd-n"], named["rd-s/2", "rd-n"]} <= set(left.yields_to)
    assert named["rd-s/2", "rd-w"] not in left.crosses  # lefts pass before each other
    assert not {m for (lane, _), m in named.items() if lane.startswith("rd-n")} & set(left.crosses)


def test_a_left_turn_alone_in_its_stage_has_the_right_of_way(site):
    layout = lay_out(city(site, arms="esw")).layouts["j"]
    alone = layout.stages[0]
    assert alone[ways(layout)["rd-s/2", "rd-w"]] == GREEN


def test_times_and_lengths_are_those_of_the_site(site):
    layout = lay_out(city(site)).layouts["j"]
    assert (layout.yellow_s, layout.min_green_s, layout.max_green_s) == (5.0, 10.0, 90.0)
    assert all(abs(lane.length_m - 221) < 3 and lane.speed_m_s == 10 for lane in layout.lanes)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        (SignalGroup(id="w"), "group w stands at no segment"),
        (SignalGroup(id="w", segment="rd-far"), "segment rd-far of group w does not lead to it"),
    ],
)
def test_a_junction_that_cannot_be_laid_out_is_named_with_the_reason(site, group, why):
    groups = (SignalGroup(id="n", segment="rd-n"), group)
    there = city(site, groups=groups)
    far = msgspec.structs.replace(road("w"), id="rd-far", line=(ENDS["n"], ENDS["e"]))
    laid = lay_out(msgspec.structs.replace(there, segments=(*there.segments, far)))
    assert laid.layouts == {} and laid.unusable == {"j": why}


def test_every_junction_of_the_demo_city_has_a_layout_without_conflict():
    laid = lay_out(load_site(SAIGON))
    assert not laid.unusable
    assert len(laid.layouts) == 36
    for layout in laid.layouts.values():
        assert checked(layout) is layout
        assert not any(list(conflicts(layout, stage)) for stage in layout.stages)
        assert {m.lane for m in layout.movements} == set(range(len(layout.lanes)))


def test_who_comes_from_the_next_junction_is_told_of_by_its_movements():
    laid = lay_out(load_site(SAIGON))
    ways_there = laid.upstream["j-nhc-nguyen-binh-khiem"]
    assert {way.junction for way in ways_there} == {
        "j-tdt-nguyen-huu-canh", "j-nhc-nguyen-ngoc-phuong",
    }  # fmt: skip
    for way in ways_there:
        other = laid.layouts[way.junction]
        exit_ = other.exits[other.movements[way.movement].exit].id
        mine = laid.layouts["j-nhc-nguyen-binh-khiem"]
        assert all(mine.lanes[lane].id.startswith(f"{exit_}/") for lane in way.lanes)
