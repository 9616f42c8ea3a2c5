"""The network, on the real model and real pictures; without the shared data these are skipped."""

import os
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from causeway.frame import Frame
from detectors.network import ModelUnusable, Network
from detectors.view import View

SHARED = Path(__file__).parents[3] / "shared" / "data"
VEHICLES = {"bicycle", "car", "motorbike", "bus", "truck"}


def shared(name):
    path = SHARED / name
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is absent")
        pytest.skip(f"{path} is absent")
    return path


@pytest.fixture(scope="module")
def model():
    return shared("models/yolox_nano.onnx").read_bytes()


@pytest.fixture(scope="module")
def network(model):
    return Network(model)


def picture(name, number):
    """A film's frame by its number."""
    film = cv2.VideoCapture(str(shared(f"video/{name}")))
    film.set(cv2.CAP_PROP_POS_FRAMES, number)
    ok, pixels = film.read()
    film.release()
    assert ok
    return pixels


def seen(network, pixels, scale=1.0, view=None):
    return network.sightings(Frame("camera", 0, np.asarray(pixels, np.uint8)), scale, view)


def overlap(a, b):
    """Intersection over union."""
    across = min(a.x + a.width / 2, b.x + b.width / 2) - max(a.x - a.width / 2, b.x - b.width / 2)
    down = min(a.foot, b.foot) - max(a.foot - a.height, b.foot - b.height)
    common = max(0.0, across) * max(0.0, down)
    return common / (a.width * a.height + b.width * b.height - common)


def test_a_car_is_seen_where_it_stands(network):
    found = seen(network, picture("vik_traffic.mp4", 240))
    there = [s for s in found if abs(s.x - 535) < 30 and s.foot - s.height < 310 < s.foot]
    assert [s.kind for s in there if s.score >= 0.5] == ["car"]
    assert there[0].foot == pytest.approx(370, abs=15)  # the far end's look cuts it at 312


def test_a_bare_picture_shows_nothing(network):
    assert seen(network, np.full((360, 640, 3), 90, np.uint8)) == []


def test_places_are_in_reduced_pixels_whatever_the_frame_s_size(network):
    pixels = picture("vik_traffic.mp4", 240)
    large = cv2.resize(pixels, None, fx=2, fy=2)
    best = max(seen(network, pixels, 0.5), key=lambda s: s.width * s.height * (s.score > 0.9))
    same = max(seen(network, large, 0.25), key=lambda s: overlap(s, best))
    assert overlap(same, best) > 0.9


def test_the_far_end_is_looked_at_without_telling_a_vehicle_twice(network):
    found = [s for s in seen(network, picture("vik_traffic.mp4", 0)) if s.kind in VEHICLES]
    assert len(found) >= 6
    assert all(overlap(a, b) <= 0.5 for a, b in combinations(found, 2))


def test_a_rider_and_the_bike_are_one(network):
    found = seen(network, picture("vn_nguoc_chieu.mp4", 90))
    bikes = [s for s in found if s.kind == "motorbike"]
    people = [s for s in found if s.kind == "person"]
    assert bikes
    assert all(overlap(bike, person) < 0.3 for bike in bikes for person in people)


def test_a_road_without_small_vehicles_is_looked_at_once(network, model):
    runs = []

    class Counted(Network):
        def _run(self, picture):
            runs.append(1)
            return super()._run(picture)

    counted = Counted(model)
    runs.clear()
    seen(counted, picture("vik_traffic.mp4", 0), 0.5, View(180, 320))
    assert len(runs) == 1
    seen(counted, picture("vik_traffic.mp4", 0), 0.5)
    assert len(runs) == 3


@pytest.mark.parametrize("content", [b"", b"no network", bytes(4096)])
def test_a_file_that_is_no_network_is_refused_with_the_reason(content):
    with pytest.raises(ModelUnusable, match="no YOLOX network"):
        Network(content)


def test_a_cut_model_is_refused(model):
    with pytest.raises(ModelUnusable):
        Network(model[: len(model) // 2])
