import json

import cv2
import numpy as np
import pytest

from benchmarks.incidents.stills import Still, look, split, summary, table
from causeway.cli import Unusable

ROADS = '["sheet_water.png#1"]\ncamera = "a"\nroad = [[0, 0.3], [1, 0.3], [1, 1], [0, 1]]\n'


def pictured(path, size=(60, 80)):
    noise = np.random.default_rng(1).integers(60, 160, (*size, 3))
    cv2.imwrite(str(path), noise.astype(np.uint8))
    return path


@pytest.fixture
def sheet(tmp_path):
    """Two rows of two pictures on white paper."""
    paper = np.full((300, 400, 3), 255, np.uint8)
    for top in (20, 170):
        for left in (20, 220):
            paper[top : top + 110, left : left + 150] = 90
    path = tmp_path / "sheet_water.png"
    cv2.imwrite(str(path), paper)
    return path


def test_a_folder_is_its_pictures(tmp_path):
    picture = pictured(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    assert split([tmp_path, tmp_path / "film.mp4"]) == ([picture], [tmp_path / "film.mp4"])


def test_a_sheet_is_cut_into_its_pictures_from_the_top_left(sheet):
    stills = look([sheet], None, None)
    assert list(stills) == [f"sheet_water.png#{n}" for n in (1, 2, 3, 4)]
    assert all(still.true_water for still in stills.values())


def test_water_is_told_only_where_the_road_is_known(sheet, tmp_path):
    roads = tmp_path / "roads.toml"
    roads.write_text(ROADS)
    told = [still.water for still in look([sheet], None, roads).values()]
    assert told == [False, None, None, None]


def test_the_truth_may_stand_in_json_or_beside_the_pictures(tmp_path):
    picture = pictured(tmp_path / "a.png")
    (tmp_path / "visibility.csv").write_text('"","name","FS260"\n"1","a.png",450\n')
    truth = tmp_path / "t.json"
    truth.write_text(json.dumps({"a.png": {"water": True}}))
    assert look([picture], None, None)["a.png"].visibility_m == 450
    assert look([picture], truth, None)["a.png"].true_water is True


def test_a_truth_that_cannot_be_read_is_said(tmp_path):
    truth = tmp_path / "t.json"
    truth.write_text("[1]")
    with pytest.raises(Unusable, match="no truth"):
        look([pictured(tmp_path / "a.png")], truth, None)


def test_shares_are_told_with_their_intervals_and_with_each_camera_left_out():
    stills = {
        f"{camera}{n}": Still(0.2, [], camera, sheen, sheen > 0.01, wet)
        for camera in "ab"
        for n, (sheen, wet) in enumerate([(0.05, True), (0.03, True), (0.0, False)])
    }
    told = summary(stills)
    assert told["water"]["balanced_accuracy"] == 1.0
    assert told["water"]["found"] == "4 of 4"
    assert told["water"]["found_95"] == [0.4, 1.0]  # Clopper-Pearson: 0.025 ** (1 / 4)
    assert told["water_camera_left_out"]["rejected"] == "2 of 2"


def test_fog_is_told_apart_by_day_and_by_night():
    stills = {
        f"{light}{n}": Still(clear, [*states, *light], visibility_m=metres)
        for light in ((), ("night",))
        for n, (clear, states, metres) in enumerate(
            [(0.05, ["fog"], 90.0), (0.2, [], 9_000.0), (0.3, [], 40_000.0)]
        )
    }
    told = summary(stills)
    assert told["fog_day"]["auc"] == told["fog_night"]["auc"] == 1.0
    assert (told["fog_day"]["said"], told["fog_day"]["said_falsely"]) == (1, 0)
    assert "fog_night" in table(stills)
