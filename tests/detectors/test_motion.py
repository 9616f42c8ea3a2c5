import numpy as np
import pytest

from causeway.frame import Frame
from detectors.motion import LEARN_SAMPLES, Motion

GREEN = (30, 160, 40)


@pytest.fixture
def learnt(camera, street):
    """Motion that has seen free traffic for a while, and its street."""
    motion, road = Motion(camera), street()
    for i in range(160):
        motion.see(road.frame(*road.traffic(i)))
    return motion, road


def shares(scene):
    road = scene.road.sum()
    return scene.foreground.sum() / road, scene.moving.sum() / road


def test_nothing_is_said_until_the_background_is_learnt(camera, street):
    motion, road = Motion(camera), street()
    seen = [motion.see(road.frame()) for _ in range(2 * LEARN_SAMPLES + 2)]
    assert not any(s.learnt or s.foreground.any() for s in seen[1 : 2 * LEARN_SAMPLES - 1])
    assert seen[-1].learnt


def test_an_empty_road_has_neither_foreground_nor_movement(learnt):
    motion, road = learnt
    road.frame()
    motion.see(road.frame())
    scene = motion.see(road.frame())
    assert shares(scene) == (0.0, 0.0)


def test_traffic_does_not_become_background(learnt):
    motion, road = learnt
    for i in range(160, 280):
        scene = motion.see(road.frame(*road.traffic(i)))
    expected = 4 * 45 * 20 / (320 * 144)
    assert expected < shares(scene)[0] < 2.0 * expected


def test_a_vehicle_that_stands_stays_foreground_for_minutes(learnt):
    motion, road = learnt
    for _ in range(300):
        scene = motion.see(road.frame((150, 1, GREEN)))
    assert scene.still_s.max() > 145
    assert shares(scene)[0] > 0.8 * 45 * 20 / (320 * 144)


def test_what_stood_in_the_first_background_leaves_no_ghost_for_long(camera, street):
    motion, road = Motion(camera), street()
    for _ in range(40):
        motion.see(road.frame((150, 1, GREEN)))
    for _ in range(20):
        scene = motion.see(road.frame())
    assert shares(scene)[0] == 0.0


def test_a_cloud_over_the_sun_is_no_foreground(learnt):
    motion, road = learnt
    motion.see(road.frame())
    for light in np.linspace(1.0, 0.6, 20):
        road.light = float(light)
        scene = motion.see(road.frame())
        assert shares(scene)[0] < 0.01


def test_a_sudden_light_is_no_foreground_and_no_movement(learnt):
    motion, road = learnt
    motion.see(road.frame())
    road.light = 1.6
    scene = motion.see(road.frame())
    assert max(shares(scene)) < 0.02


def test_street_lamps_are_no_foreground_however_uneven_their_light(learnt):
    motion, road = learnt
    x, y = np.meshgrid(np.arange(320), np.arange(180))
    pools = sum(np.exp(-((x - at) ** 2 + (y - 110) ** 2) / 3_000.0) for at in (60, 190, 310))
    road.light = (1.15 + 0.8 * pools)[..., None]
    seen = [motion.see(road.frame(*road.traffic(i))) for i in range(160, 400)]
    occupied = [shares(scene)[0] for scene in seen if scene is not None]
    assert len(occupied) > 200
    assert max(occupied) < 0.2
    for i in range(400, 420):
        scene = motion.see(road.frame((150, 1, GREEN), *road.traffic(i, lanes=(0, 2))))
    assert scene.foreground[100:110, 160:180].mean() > 0.9  # and it sees as well as before


def test_another_view_is_learnt_anew(learnt):
    motion, road = learnt
    blocks = np.random.default_rng(5).integers(20, 200, (12, 16, 3)).astype(np.int16)
    view = blocks.repeat(15, axis=0).repeat(20, axis=1) - 105
    scenes = []
    for _ in range(80):
        frame = road.frame()
        turned = np.clip(frame.pixels + view, 0, 255).astype(np.uint8)
        scenes.append(motion.see(Frame(frame.camera, frame.observed_at_ns, turned)))
    assert not any(s.learnt for s in scenes[:20])
    assert shares(scenes[-1])[0] == 0.0


def test_rain_is_hardly_foreground(camera, street):
    motion, road = Motion(camera), street()
    road.rain = 150
    for _ in range(80):
        scene = motion.see(road.frame())
    assert shares(scene)[0] < 0.02


@pytest.mark.parametrize("fps", [2.0, 8.0])
def test_stillness_is_counted_in_the_frames_own_time(camera, street, fps):
    motion, road = Motion(camera), street(fps=fps)
    scene = None
    for _ in range(int(65 * fps)):
        motion.see(road.frame())
    for _ in range(int(30 * fps)):
        scene = motion.see(road.frame((150, 1, GREEN))) or scene
    assert scene.still_s.max() == pytest.approx(29.0, abs=1.6)
