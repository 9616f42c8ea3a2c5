"""`causeway import swmm`: real networks into a site, in VN-2000, without a grid, and refused."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from causeway.cli import main
from causeway.events import Quality, ReadingsObserved
from causeway.site import load_site
from control.inundation.forecaster import NS, Forecaster
from control.inundation.model import DrainageModel
from control.inundation.tide_outlook import tide_outlook

ROOT = Path(__file__).parents[3]
NETWORKS = ROOT.parent / "shared" / "data" / "drainage"
CITY = ROOT / "sims" / "cities" / "saigon"
BEGINS_NS = 1_762_424_400 * NS
SMALL = """\
[OPTIONS]
FLOW_UNITS CMS
FLOW_ROUTING DYNWAVE
START_DATE 01/01/2025
END_DATE 01/02/2025
[JUNCTIONS]
A 1.0 2.0 0 0 0
B 0.5 2.0 0 0 0
[OUTFALLS]
C 0.0 FREE NO
[CONDUITS]
AB A B 100 0.013 0 0 0
BC B C 100 0.013 0 0 0
[XSECTIONS]
AB CIRCULAR 0.8 0 0 0
BC CIRCULAR 0.8 0 0 0
[COORDINATES]
A 603000 1191000
B 603100 1191000
C 603200 1191000
"""
HEADS = """
import json, sys
from swmm.toolkit import shared_enum as kinds, solver
solver.swmm_open(sys.argv[1], sys.argv[2] + ".rpt", sys.argv[2] + ".out")
solver.swmm_start(0)
nodes = range(solver.project_get_count(kinds.ObjectType.NODE))
heads = []
for _ in range(60):
    solver.swmm_stride(600)
    heads.append([solver.node_get_result(n, kinds.NodeResult.HEAD) for n in nodes])
solver.swmm_end(); solver.swmm_close()
print(json.dumps(heads))
"""


def network(name):
    path = NETWORKS / name
    if not path.exists():
        assert os.environ.get("CI") != "true", f"{path} is absent"
        pytest.skip(f"{path} is absent")
    return path


def city(folder):
    """The demo city without its own drainage model."""
    folder.mkdir()
    for path in CITY.glob("*.toml"):
        (folder / path.name).write_bytes(path.read_bytes())
    head = (folder / "site.toml").read_text()
    (folder / "site.toml").write_text(head.replace('drainage_model = "drainage.inp"\n', ""))
    return folder


def bring(file, folder, *more, datum="hon_dau"):
    return main(["import", "swmm", str(file), "--site", str(folder), "--datum", datum, *more])


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.inp"
    file.write_text(SMALL)
    return file


def test_a_project_in_vn_2000_lands_where_it_is(small, tmp_path):
    folder = tmp_path / "site"
    assert bring(small, folder, "--crs", "EPSG:9210") == 0
    site = load_site(folder)
    (node,) = (n for n in site.nodes if n.id == "n-a")
    # the parameters of Vietnam's survey department, 2007: EPSG's VN-2000 to WGS 84 (2)
    assert node.at == pytest.approx((106.693591, 10.768404), abs=2e-6)
    assert [c.id for c in site.conduits] == ["l-ab", "l-bc"]
    assert site.drainage_model == "drainage.inp"
    assert site.timezone == "Asia/Ho_Chi_Minh"


def test_bringing_it_in_again_changes_nothing(small, tmp_path):
    folder = tmp_path / "site"
    bring(small, folder, "--crs", "9210")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert bring(small, folder, "--crs", "9210") == 0
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_without_a_grid_the_middle_is_put_at_a_place(small, tmp_path):
    small.write_text(SMALL + "[MAP]\nUNITS Feet\n")
    folder = tmp_path / "site"
    assert bring(small, folder, "--at", "106.7,10.78") == 0
    at = {n.id: n.at for n in load_site(folder).nodes}
    assert at["n-b"] == pytest.approx((106.7, 10.78))
    assert (at["n-c"].lon - 106.7) * 109_233 == pytest.approx(30.48, abs=0.1)


def test_a_city_that_has_roads_keeps_all_it_has(small, tmp_path):
    folder = city(tmp_path / "site")
    assert bring(small, folder, "--crs", "9210") == 0
    before, after = load_site(CITY), load_site(folder)
    assert len(after.nodes) == len(before.nodes) + 3
    assert after.segments == before.segments and after.points == before.points
    assert after.drainage_model == "drainage.inp"


@pytest.mark.parametrize("name", ["drainage.inp", "drainage.toml"])
def test_a_network_that_was_not_brought_in_is_not_written_over(small, tmp_path, capsys, name):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / name).write_text("another's\n")
    assert bring(small, folder, "--crs", "9210") == 2
    assert f"{name}:1: another network stands here" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_site_that_would_not_be_whole_is_left_as_it_was(small, tmp_path, capsys):
    folder = tmp_path / "site"
    bring(small, folder, "--crs", "9210")
    (folder / "more.toml").write_text('[[node]]\nid = "n-new"\nat = [106.7, 10.8]\n')
    head = (folder / "site.toml").read_text()
    head = head.replace("include = [", 'include = ["more.toml",')
    (folder / "site.toml").write_text(head)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert bring(small, folder, "--crs", "9210") == 2
    assert "more.toml:1" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("B 603100 1191000\n", "", "small.inp:8: B: no row in [COORDINATES]"),
        ("AB CIRCULAR 0.8", "AB ROUND 0.8", "small.inp:15: invalid keyword ROUND (AB ROUND 0.8"),
        ("A 603000 1191000", "A 106.69 10.77", "wide; expected another --crs"),
    ],
)
def test_a_project_with_errors_is_refused_with_line_and_reason(
    small, tmp_path, capsys, old, new, said
):
    small.write_text(SMALL.replace(old, new))
    assert bring(small, tmp_path / "site", "--crs", "9210") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "expected --crs EPSG:CODE"),
        (["--crs", "EPSG:1"], "--crs EPSG:1: Invalid projection"),
        (["--crs", "9210", "--datum", "mui_nai"], "expected --offset-m X"),
    ],
)
def test_what_places_and_levels_are_in_has_to_be_said(small, tmp_path, capsys, more, said):
    assert bring(small, tmp_path / "site", *more) == 2
    assert said in capsys.readouterr().err


def test_levels_above_another_plane_are_raised(small, tmp_path):
    more = ["--crs", "9210", "--offset-m", "0.17"]
    assert bring(small, tmp_path / "site", *more, datum="mui_nai") == 0
    assert [n.invert_m for n in load_site(tmp_path / "site").nodes] == [1.17, 0.67, 0.17]


ROAD = """
[[segment]]
id = "rd-one"
name = ""
line = [[106.6935, 10.7684], [106.6955, 10.7684]]
lanes = 2
speed_limit_km_h = 50
low_point = [106.6936, 10.7685]
low_point_m = 3.0

[[segment]]
id = "rd-far"
name = ""
line = [[106.71, 10.77], [106.72, 10.77]]
lanes = 2
speed_limit_km_h = 50
low_point = [106.71, 10.77]
low_point_m = 3.0
"""
STORM = """
import sys
from swmm.toolkit import shared_enum as kinds, solver
solver.swmm_open(sys.argv[1], sys.argv[2] + ".rpt", sys.argv[2] + ".out")
solver.swmm_start(0)
node = solver.project_get_index(kinds.ObjectType.NODE, "n-a")
deep = 0.0
for minute in range(240):
    solver.node_set_total_inflow(node, 2.0 if minute < 60 else 0.0)
    solver.swmm_stride(60)
    deep = max(deep, solver.node_get_result(node, kinds.NodeResult.HEAD) - 3.0)
left = solver.node_get_result(node, kinds.NodeResult.HEAD) - 3.0
lost = solver.system_get_routing_totals()
solver.swmm_end(); solver.swmm_close()
print(deep, left, lost.flooding, lost.pctError)
"""


def test_what_a_plain_manhole_spills_stands_on_its_street_and_drains_again(small, tmp_path, capsys):
    folder = tmp_path / "site"
    small.write_text(SMALL.replace("B 0.5 2.0", "B 0.5 9.0"))  # spills nothing
    bring(small, folder, "--crs", "9210")
    (folder / "roads.toml").write_text(ROAD)
    head = (folder / "site.toml").read_text()
    (folder / "site.toml").write_text(head.replace("include = [", 'include = ["roads.toml",'))
    for _ in range(2):  # again: the same
        assert bring(small, folder, "--crs", "9210") == 0
        assert "1 of 2 road segments" in capsys.readouterr().err
    assert {s.id: s.node for s in load_site(folder).segments} == {"rd-one": "n-a", "rd-far": None}
    argv = [sys.executable, "-c", STORM, str(folder / "drainage.inp"), str(tmp_path / "run")]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    deep_m, left_m, flooding, off = map(float, done.stdout.split()[-4:])
    surface_m2 = 218.7 * 2 * 3.5
    assert 0.3 < deep_m < 2.0 * 3600 / surface_m2
    assert left_m < 0.01 and flooding < 1e-3 and abs(off) < 1.0


CATCHMENT = """
[RAINGAGES]
G1 INTENSITY 0:05 1.0 TIMESERIES none
[TIMESERIES]
none 0:00 0
[SUBCATCHMENTS]
S1 G1 A 20 80 500 0.5 0
[SUBAREAS]
S1 0.013 0.1 1 3 25 OUTLET
[INFILTRATION]
S1 75 5 4 7 0
[SYMBOLS]
G1 603000 1191000
"""


def test_the_forecast_runs_on_what_was_brought_in_and_floods_its_street(small, tmp_path):
    folder = city(tmp_path / "site")
    (folder / "roads.toml").write_text((CITY / "roads.toml").read_text() + ROAD)
    small.write_text(SMALL + CATCHMENT)
    assert bring(small, folder, "--crs", "9210") == 0
    site = load_site(folder)
    model = DrainageModel((folder / "drainage.inp").read_text())
    forecaster = Forecaster(site, model, tide_outlook(site), tmp_path / "runs", members=3)
    assert forecaster.streets == ("rd-one",)
    rain = tuple(f"{g.id}/rain_mm_h" for g in site.gauges if g.kind == "rain")
    for minute in range(40):
        at_ns = BEGINS_NS + minute * 60 * NS
        forecaster.take(
            ReadingsObserved(
                source="test",
                points=rain,
                observed_at_ns=(at_ns,) * len(rain),
                values=(90.0 + minute % 2,) * len(rain),
                qualities=(Quality.GOOD,) * len(rain),
            )
        )
    forecast, _ = forecaster.issue(at_ns)
    (street,) = forecast.streets
    assert street.segment == "rd-one" and street.peak_cm > 20


def heads(file, scratch):
    argv = [sys.executable, "-c", HEADS, str(file), str(scratch)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return np.array(json.loads(done.stdout.splitlines()[-1]))


def test_a_vietnamese_drain_comes_whole_and_runs_as_it_did(tmp_path):
    file = network("vn_tide.inp")
    assert bring(file, tmp_path / "site", "--crs", "EPSG:4326") == 0
    site = load_site(tmp_path / "site")
    assert (len(site.nodes), len(site.conduits), len(site.catchments)) == (103, 102, 22)
    ours = heads(tmp_path / "site" / "drainage.inp", tmp_path / "ours")
    assert np.array_equal(ours, heads(file, tmp_path / "theirs"))


@pytest.mark.parametrize(("name", "nodes"), [("user4.inp", 209), ("gate_control_2.inp", 115)])
def test_a_project_in_feet_is_shown_and_its_forecast_refused(tmp_path, capsys, name, nodes):
    assert bring(network(name), tmp_path / "site", "--at", "106.7,10.78") == 0
    site = load_site(tmp_path / "site")
    assert len(site.nodes) == nodes and site.drainage_model is None
    assert "no forecast: its flows are not in CMS" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("pystorms") is None, reason="pystorms is not installed")
@pytest.mark.parametrize(
    ("name", "nodes", "forecasts"),
    [("alpha", 28, False), ("beta", 210, False), ("theta", 6, True), ("zeta", 30, True)],
)
def test_the_networks_of_pystorms_come_in(tmp_path, name, nodes, forecasts):
    folder = Path(find_spec("pystorms").submodule_search_locations[0]) / "networks"
    assert bring(folder / f"{name}.inp", tmp_path / "site", "--at", "106.7,10.78") == 0
    site = load_site(tmp_path / "site")
    assert len(site.nodes) == nodes
    assert (site.drainage_model is not None) == forecasts
