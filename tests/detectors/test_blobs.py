"""Sightings of a network beside those of movement."""

from types import SimpleNamespace

import numpy as np

from detectors.blobs import fused
from detectors.tracks import Sighting, Tracks
from detectors.view import View

NS = 1_000_000_000
EVERYWHERE = np.ones((180, 320), np.bool_)
MOVING = SimpleNamespace(foreground=EVERYWHERE, moving=EVERYWHERE)


def view_of(width, height):
    """A view of a road on which vehicles of one size drive."""
    view = View(180, 320)
    for number in range(4):
        tracks = Tracks()
        for n in range(40):
            place = Sighting(10 + 6 * n, 90, width, height)
            tracks.see([place], NS * (1 + 60 * number) + n * NS // 10)
        for track in tracks.live:
            view.learn(track)
    return view


def test_what_a_network_sees_is_not_seen_again_by_its_movement():
    seen = [Sighting(100, 90, 40, 30, 0.9, "car")]
    blobs = [Sighting(102, 92, 44, 34), Sighting(200, 90, 40, 30)]
    assert fused(blobs, seen, MOVING, view_of(40, 30)) == [seen[0], blobs[1]]


def test_a_rider_and_the_wheel_below_are_one_where_one_thing_moves():
    rider, wheel = (
        Sighting(100, 80, 18, 28, 0.8, "car"),
        Sighting(101, 90, 14, 16, 0.9, "motorbike"),
    )
    blob = Sighting(100, 91, 18, 40)
    assert fused([blob], [rider, wheel], MOVING, view_of(18, 38)) == [
        blob._replace(score=0.9, kind="motorbike")
    ]


def test_two_riders_one_behind_the_other_stay_two():
    ahead, behind = (Sighting(100, foot, 16, 30, 0.9, "motorbike") for foot in (70, 92))
    blob = Sighting(100, 92, 18, 52)
    assert fused([blob], [ahead, behind], MOVING, view_of(18, 32)) == [ahead, behind]


def test_two_riders_side_by_side_stay_two():
    left, right = (Sighting(x, 90, 16, 30, 0.9, "motorbike") for x in (92, 110))
    blob = Sighting(101, 90, 34, 30)
    assert fused([blob], [left, right], MOVING, view_of(34, 30)) == [left, right]
