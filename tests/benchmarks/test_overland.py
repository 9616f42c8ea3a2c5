"""The Environment Agency's 2D tests, and the bench: set up as published, near what others had."""

import json

import numpy as np
import pytest

from benchmarks.inundation import cases, evaluation
from benchmarks.overland import overland_bench
from causeway.cli import main


def test_the_ground_of_test_2_is_the_published_raster():
    published = {(0, 1756): 9.8375, (40, 1756): 9.7866, (0, 1954): 10.0842, (0, 1004): 9.461}
    for (x, y), ground_m in published.items():
        assert cases.egg_box_m(np.array(x), np.array(y)) == pytest.approx(ground_m, abs=2e-4)
    ground_m = cases.depressions().ground_m
    assert ground_m.shape == (100, 100)
    assert ground_m[0, 0] - ground_m[-1, -1] == pytest.approx(7 / 3, abs=0.05)  # along the diagonal


def test_in_test_2_the_hollows_fill_to_their_sills_and_the_east_stays_dry():
    said = []
    found = evaluation.run(cases.depressions(), said.append)
    assert found["mass_error_ratio"] < 1e-12
    ours = found["references"][0]["ours"]
    theirs = np.array(found["references"][0]["low"])
    filled = theirs == 0.33
    assert np.array(ours)[filled] == pytest.approx(theirs[filled], abs=0.006)
    assert np.abs(ours - theirs).max() < 0.11  # which hollow a thin spill goes to differs
    assert max(ours[12:]) < 1e-3
    assert "97,200 m³" in said[0]


def test_in_test_4_the_flood_spreads_as_in_the_full_equations():
    found = evaluation.run(cases.floodplain()._replace(minutes=120.0), lambda text: None)
    spread, depth, speed = found["references"]
    for ours, low, high in zip(spread["ours"], spread["low"], spread["high"], strict=True):
        assert low - 0.02 <= ours <= high + 0.02
    assert depth["ours"] == pytest.approx(depth["low"], abs=0.003)
    assert speed["ours"] == pytest.approx(speed["low"], abs=0.01)
    arrived = [point["wet_min"] for point in found["points"]]
    assert arrived == pytest.approx([9.9, 16.0, 29.8, 44.7, 60.5, 64.4], abs=2.0)


def glasgow(folder, without=""):
    """A valley in the form of test 8A's files, with a street along it."""
    west, south, east, north = cases.GLASGOW
    columns, rows = int(east - west) // 2, int(north - south) // 2
    head = f"ncols {columns}\nnrows {rows}\nxllcorner {west}\nyllcorner {south}\ncellsize 2\n"
    head += "NODATA_value -9999\n"
    up = np.abs(np.arange(rows) - rows // 2)[:, None] * 0.05 + np.zeros(columns)
    street = np.where(up < 0.3, 1.0, -9999.0)
    for name, values in (("Test8DEM.asc", up), ("Test8RoadPavement.asc", street)):
        text = "\n".join(" ".join(f"{v:.2f}" for v in row) for row in values)
        (folder / name).write_text(head + text)
    middle = f"{west + 481},{south + 199}"
    (folder / "Test8A-inflow-location.csv").write_text(f"X,Y\n{middle}\n")
    (folder / "Test8Output.csv").write_text(f"ID,X,Y\n1,{middle}\n2,{west + 301},{south + 199}\n")
    stages = "Output, depths:\nTime; stages 1 to 2\n 60.0 0.01 0.0\n 3000.0 0.31 0.2\n"
    (folder / "ours.stage").write_text("Stage output, depth (m).\n" + stages)
    (folder / without).unlink() if without else None
    return folder


def test_test_8a_is_read_from_the_data_sets_files(tmp_path):
    case = cases.read_glasgow(glasgow(tmp_path))
    assert case.ground_m.shape == (200, 482)
    assert {*np.unique(case.manning)} == {0.02, 0.05}
    assert case.manning[100, 0] == 0.02 and case.inflow_cells == ((100, 240),)
    found = evaluation.run(case._replace(minutes=24.0), lambda text: None)
    area_m2 = 200 * 482 * 4
    poured_m3 = 60 * np.interp(np.arange(24) + 0.5, *np.array(case.inflow).T).sum()
    assert found["came_m3"] == pytest.approx(0.02 * area_m2 + poured_m3)
    assert found["mass_error_ratio"] < 1e-12
    assert found["references"][0]["low"] == (0.31, 0.2)


def test_what_is_missing_is_said(tmp_path, capsys):
    assert main(["eval", "overland", "8A"]) == 2
    assert "expected --data FOLDER" in capsys.readouterr().err
    glasgow(tmp_path, without="Test8DEM.asc")
    assert main(["eval", "overland", "8A", "--data", str(tmp_path)]) == 2
    assert "Test8DEM.asc" in capsys.readouterr().err
    assert main(["eval", "overland", "9"]) == 2
    assert "no test '9'; expected some of 2, 4, 8A" in capsys.readouterr().err


def test_the_bench_and_its_baseline_move_the_same_water():
    measured = overland_bench(runs=1, cell_steps=1e6)["200x200"]
    assert measured["apart_from_baseline_m"] < 1e-8
    assert measured["mass_error_ratio"] < 1e-12
    assert measured["million_cell_steps_per_s"] > measured["baseline_numpy"]
    json.dumps(measured)
