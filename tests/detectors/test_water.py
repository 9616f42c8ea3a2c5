import cv2
import numpy as np
import pytest

from detectors.motion import road_mask
from detectors.water import WaterOnRoad, road_reduced, sheen_ratio

NS = 1_000_000_000
ROAD = ((0.35, 0.25), (0.65, 0.25), (1.0, 1.0), (0.0, 1.0))
MASK = road_mask(ROAD, 180, 320)
SKY = (235, 205, 190)  # BGR


def street(light=1.0):
    """A warm grey road with lanes, between houses with windows."""
    picture = np.full((180, 320, 3), (95, 105, 112), np.uint8)
    picture[:45] = SKY
    for x in range(0, 320, 24):
        for y in range(30, 170, 22):
            if not MASK[y, min(319, x + 6)]:
                cv2.rectangle(picture, (x, y), (x + 11, y + 9), (40, 60, 150), -1)
    for left in (0.2, 0.4, 0.6, 0.8):
        for y in range(50, 175, 20):
            share = (y / 180 - 0.25) / 0.75
            x = round(320 * (0.35 * (1 - share) + left * (0.3 + 0.7 * share)))
            cv2.rectangle(picture, (x, y), (x + 3, y + 9), (225, 225, 225), -1)
    return np.clip(picture * light, 0, 255).astype(np.uint8)


def flooded(picture):
    """Murky to the brim, with the houses' image in it."""
    water = cv2.GaussianBlur(cv2.flip(picture, 0), (0, 0), 4)
    mixed = np.where(MASK[..., None], picture * 0.05 + water * 0.35 + 60, picture)
    return mixed.astype(np.uint8)


def watched(*pictures, each_s=600):
    """What is measured of each picture, after it has been seen for so long."""
    water, at_s, measured = WaterOnRoad("cam-1"), 1_000, []
    for picture in pictures:
        for _ in range(each_s // 10):
            at_s += 10
            last = water.see(picture, MASK, at_s * NS)
        measured.append(last)
    return measured


def test_a_dry_road_shows_neither_sign():
    (dry,) = watched(street())
    assert (dry.sheen_ratio, dry.hidden_ratio) == (0.0, 0.0)


def test_markings_that_water_hides_are_missed():
    _, wet = watched(street(), flooded(street()))
    assert wet.hidden_ratio > 0.8


def test_markings_come_back_with_the_dry_road():
    dry = watched(street(), flooded(street()), street())[-1]
    assert dry.hidden_ratio < 0.1


@pytest.mark.parametrize("light", [0.5, 0.2])
def test_dusk_hides_nothing(light):
    assert watched(street(), street(light))[-1].hidden_ratio < 0.1


def test_fog_over_all_hides_nothing():
    fog = (street() * 0.15 + 170).astype(np.uint8)
    assert watched(street(), fog)[-1].hidden_ratio == 0.0


def test_a_patch_of_sky_on_the_road_is_sheen():
    patch = np.zeros((180, 320, 1), np.float32)
    cv2.ellipse(patch, (160, 110), (45, 14), 0, 0, 360, (0.4,), -1)
    share = cv2.GaussianBlur(patch, (0, 0), 3)[..., None]
    picture = street() * (1 - share) + np.array(SKY) * share
    assert sheen_ratio(picture.astype(np.uint8), MASK) > 0.03


def test_haze_over_the_far_road_is_no_sheen():
    veil = np.clip((120 - np.arange(180)) / 120, 0, 1)[:, None, None] * 0.6
    hazy = street() * (1 - veil) + np.array((200, 205, 208)) * veil
    assert sheen_ratio(hazy.astype(np.uint8), MASK) == 0.0


def test_sky_beside_the_road_is_none_of_its_sheen():
    picture = street()
    picture[60:170, :30] = SKY
    narrow = road_mask(((0.4, 0.3), (0.6, 0.3), (0.8, 1), (0.3, 1)), 180, 320)
    assert sheen_ratio(picture, narrow) == 0.0


def test_a_frame_of_any_size_is_looked_at_in_one():
    frame = cv2.resize(street(), (1280, 720))
    picture, road = road_reduced(frame, road_mask(ROAD, 720, 1280))
    assert picture.shape == (180, 320, 3)
    assert road.shape == (180, 320)
    assert abs(int(road.sum()) - int(MASK.sum())) < 0.03 * MASK.sum()


def test_it_asks_for_a_background_every_ten_seconds():
    water = WaterOnRoad("cam-1")
    assert water.due(1_000 * NS)
    water.see(street(), MASK, 1_000 * NS)
    assert not water.due(1_009 * NS)
    assert water.due(1_010 * NS)
    assert water.due(500 * NS)  # the camera's clock was set back
