"""The demo's city: what the centre knows of it fits together, and so does what it does not know."""

import math
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from causeway.site import Junction, LonLat, RoadSegment, Site, load_site
from sims.scenario import ScenarioInvalid, load_scenario, wrong_for
from sims.watershed import WatershedInvalid, load_watershed

SIMS = Path(__file__).parents[2] / "sims"
CITY = SIMS / "cities" / "saigon"
METRES_PER_DEGREE = 111_195.0


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(CITY)


def metres(a: LonLat, b: LonLat) -> float:
    east = (a.lon - b.lon) * math.cos(math.radians(a.lat))
    return math.hypot(east, a.lat - b.lat) * METRES_PER_DEGREE


def approaches(junction: Junction, segments: tuple[RoadSegment, ...]) -> list[str]:
    """The segments on which traffic can come to a junction."""
    into = [s.id for s in segments if s.line[-1] == junction.at]
    back = [s.id for s in segments if s.line[0] == junction.at and not s.one_way]
    return into + back


def off_line_m(point: LonLat, line: tuple[LonLat, ...]) -> float:
    def off(a: LonLat, b: LonLat) -> float:
        along = metres(a, b)
        t = (metres(a, point) ** 2 - metres(b, point) ** 2 + along**2) / (2 * along**2)
        t = min(max(t, 0.0), 1.0)
        foot = LonLat(a.lon + t * (b.lon - a.lon), a.lat + t * (b.lat - a.lat))
        return metres(point, foot)

    return min(off(a, b) for a, b in pairwise(line))


def cross(a: LonLat, b: LonLat, c: LonLat, d: LonLat) -> bool:
    def side(p: LonLat, q: LonLat, r: LonLat) -> float:
        return (q.lon - p.lon) * (r.lat - p.lat) - (q.lat - p.lat) * (r.lon - p.lon)

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def test_the_district_is_large_enough_to_be_run_as_a_city(site: Site) -> None:
    kinds = Counter(g.kind for g in site.gauges)
    assert len(site.junctions) >= 20
    assert len(site.segments) >= 70
    assert len(site.nodes) >= 90
    assert (len(site.gates), len(site.stations), len(site.pumps)) == (2, 2, 5)
    assert len(site.cameras) == 12
    assert (kinds["tide"], kinds["rain"]) == (1, 6)
    assert kinds["level"] + kinds["sewer"] + kinds["street"] >= 20
    assert kinds["street"] >= 14
    assert (len(site.signs), len(site.circuits)) == (6, 40)


def test_the_newest_tide_levels_are_in_force_from_2020_on(site: Site) -> None:
    rows = sorted(site.tide_levels, key=lambda row: row.valid_from)
    assert [row.levels_m for row in rows] == [(1.30, 1.40, 1.50), (1.40, 1.50, 1.60)]
    assert rows[-1].valid_from.year == 2020


def test_every_segment_end_is_a_junction_or_the_end_of_others_or_the_fringe(site: Site) -> None:
    ends = [end for s in site.segments for end in (s.line[0], s.line[-1])]
    for a, b in combinations(sorted(set(ends)), 2):
        assert metres(a, b) > 30, f"{a} and {b} are nearly one place"
    assert {j.at for j in site.junctions} <= set(ends)
    fringe = [end for end, count in Counter(ends).items() if count == 1]
    assert len(fringe) >= 15


def test_every_approach_of_a_junction_has_its_own_group(site: Site) -> None:
    for junction in site.junctions:
        served = sorted(str(g.segment) for g in junction.groups)
        assert served == sorted(approaches(junction, site.segments)), junction.id
        assert len({g.id for g in junction.groups}) == len(junction.groups)


def test_groups_that_are_never_green_together_conflict(site: Site) -> None:
    for junction in site.junctions:
        together = {
            frozenset(pair) for s in junction.stages for pair in combinations(sorted(s.green), 2)
        }
        conflicts = {frozenset(pair) for pair in junction.conflicts}
        pairs = {frozenset(p) for p in combinations(sorted(g.id for g in junction.groups), 2)}
        assert conflicts == pairs - together, junction.id


def test_no_two_roads_cross_without_a_crossing(site: Site) -> None:
    pieces = [(s.id, a, b) for s in site.segments for a, b in pairwise(s.line)]
    for (one, a, b), (other, c, d) in combinations(pieces, 2):
        if {a, b} & {c, d}:
            continue
        assert not cross(a, b, c, d), f"{one} crosses {other}"


def test_every_place_can_be_reached_from_somewhere_and_left(site: Site) -> None:
    onward: dict[LonLat, set[LonLat]] = {}
    for s in site.segments:
        onward.setdefault(s.line[0], set()).add(s.line[-1])
        if not s.one_way:
            onward.setdefault(s.line[-1], set()).add(s.line[0])
    entered = {place for places in onward.values() for place in places}
    ends = Counter(end for s in site.segments for end in (s.line[0], s.line[-1]))
    for place, count in ends.items():
        assert count == 1 or (place in onward and place in entered), place


def test_low_points_lie_on_their_road_and_drain_into_a_node_at_their_height(site: Site) -> None:
    nodes = {n.id: n for n in site.nodes}
    for s in site.segments:
        assert off_line_m(s.low_point, s.line) < 2.0, s.id
        assert 1.0 <= s.low_point_m <= 3.5, s.id
        assert s.node is not None
        assert nodes[s.node].ground_m == s.low_point_m


def test_nguyen_huu_canh_is_the_lowest_street(site: Site) -> None:
    lowest = min(site.segments, key=lambda s: s.low_point_m)
    assert lowest.name == "Nguyễn Hữu Cảnh"


def test_sewers_fall_towards_an_outfall(site: Site) -> None:
    nodes = {n.id: n for n in site.nodes}
    next_of = {c.from_node: c.to_node for c in site.conduits}
    for c in site.conduits:
        if c.kind == "sewer" and not c.from_node.startswith("n-ps-"):
            assert nodes[c.from_node].invert_m > nodes[c.to_node].invert_m, c.id
    for node in site.nodes:
        at = node.id
        for _ in site.nodes:
            at = next_of.get(at, at)
        assert nodes[at].kind == "outfall", f"{node.id} ends in {at}"


def test_every_point_of_a_plant_stands_in_one_register_of_its_plc(site: Site) -> None:
    plcs = {p.id for p in site.plcs}
    named = Counter(r.point for p in site.plcs for r in p.registers)
    assert set(named) == {p.id for p in site.points.values() if p.source in plcs}
    assert set(named.values()) == {1}


def test_registers_of_a_plc_do_not_overlap_each_other_or_the_command_blocks(site: Site) -> None:
    for plc in site.plcs:
        taken = Counter(
            (r.table, r.address + i)
            for r in plc.registers
            for i in range(2 if r.type in ("u32", "i32", "f32") else 1)
        )
        taken.update(("holding", plc.mailbox + i) for i in range(7))
        taken.update([("holding", plc.watchdog)])
        taken.update(("input", plc.answer + i) for i in range(5))
        assert set(taken.values()) == {1}, plc.id


def test_the_register_maps_use_every_number_format(site: Site) -> None:
    registers = [r for p in site.plcs for r in p.registers]
    assert {r.type for r in registers} == {"bool", "u16", "i16", "u32", "i32", "f32"}
    assert {r.table for r in registers} == {"coil", "discrete", "holding", "input"}
    assert {r.byte_order for r in registers} == {r.word_order for r in registers}


def test_every_street_with_a_gauge_has_a_sign_that_speaks_of_it(site: Site) -> None:
    spoken = {s for sign in site.signs for s in sign.segments}
    assert {g.segment for g in site.gauges if g.kind == "street"} <= spoken


def test_what_the_simulator_knows_describes_every_node_pipe_pump_and_gate(site: Site) -> None:
    truth = load_watershed(CITY / "truth", site)
    assert {s.node for s in truth.street} == {s.node for s in site.segments}
    assert sum(c.area_ha for c in truth.catchment) > 400


def test_a_truth_that_does_not_fit_the_site_is_refused_with_every_fault(
    site: Site, tmp_path: Path
) -> None:
    for file in (CITY / "truth").glob("*.toml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    plants = tmp_path / "plants.toml"
    text = plants.read_text().replace('pump = "p-nhc-1"', 'pump = "p-nhc-9"')
    plants.write_text(text.replace('to_node = "n-bn-3"', 'to_node = "n-nowhere"'))
    with pytest.raises(WatershedInvalid) as raised:
        load_watershed(tmp_path, site)
    said = "\n".join(raised.value.faults)
    assert "p-nhc-9: no such pump in the site" in said
    assert "pump p-nhc-1: described 0 times, expected once" in said
    assert "lift: no node 'n-nowhere'" in said


@pytest.mark.parametrize("file", sorted((SIMS / "scenarios").glob("*.toml")), ids=lambda f: f.stem)
def test_a_scenario_fits_the_city(file: Path, site: Site) -> None:
    scenario = load_scenario(file, site)
    assert scenario.id == file.stem
    assert scenario.traffic.motorbike_share >= 0.70


SCENARIO = """
id = "one"
name = "Một"
name_en = "One"
start = {start}
seed = 1

[traffic]
veh_h = 100.0
motorbike_share = {share}

[[fault]]
target = "{target}"
kind = "{kind}"
at = 2025-11-06T17:30:00+07:00
"""


def written(folder: Path, **changes: str) -> Path:
    values = {
        "start": "2025-11-06T17:20:00+07:00",
        "share": "0.8",
        "target": "tg-phu-an",
        "kind": "dead",
    }
    file = folder / "one.toml"
    file.write_text(SCENARIO.format(**(values | changes)))
    return file


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"share": "0.5"}, "traffic.motorbike_share: seen 0.5, expected 0.7 to 1"),
        ({"start": "2025-11-06T17:20:00"}, "has no offset; expected one such as +07:00"),
        ({"target": "tg-nowhere"}, "'tg-nowhere': nothing of that id in saigon"),
        ({"kind": "stuck"}, "seen 'stuck', expected one of dead, frozen, drifting"),
        ({"kind": "lying"}, "lying needs an amount"),
        ({"share": '"most"'}, "Expected `float`, got `str`"),
        ({"share": "="}, "not TOML"),
    ],
)
def test_a_scenario_that_cannot_be_played_says_what_is_wrong(
    changes: dict[str, str], said: str, site: Site, tmp_path: Path
) -> None:
    with pytest.raises(ScenarioInvalid, match=r"one\.toml") as raised:
        load_scenario(written(tmp_path, **changes), site)
    assert said in str(raised.value)


def test_a_scenario_for_any_site_is_held_against_one_later(site: Site, tmp_path: Path) -> None:
    scenario = load_scenario(written(tmp_path, target="tg-nowhere"))
    assert wrong_for(scenario, site) == [
        "fault[0].target 'tg-nowhere': nothing of that id in saigon"
    ]
