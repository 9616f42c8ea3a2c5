import cv2
import numpy as np

from detectors.visibility import Visibility, clearness

NS = 1_000_000_000


def street(seed=4):
    """A road with vehicles before houses, from far (above) to near."""
    random = np.random.default_rng(seed)
    picture = np.full((180, 320, 3), 120, np.uint8)
    picture[:50] = (225, 215, 205)
    for _ in range(60):
        x, y = int(random.integers(0, 300)), int(random.integers(30, 165))
        size = 4 + y // 8
        shade = [int(v) for v in random.integers(10, 250, 3)]
        cv2.rectangle(picture, (x, y), (x + size, y + size), shade, -1)
    return picture


def fogged(picture, range_px):
    """In air that leaves exp(-3) of the contrast so many rows above the nearest."""
    rows = np.arange(180)[::-1, None, None]
    left = np.exp(-3.0 * rows / range_px) * 0.25
    return (picture * left + 190 * (1 - left)).astype(np.uint8)


def test_fog_is_told_when_it_lasts_and_forgotten_when_it_has_gone():
    visibility, clear = Visibility(), street()
    for s in range(10):
        assert visibility.see(clear, (100 + s) * NS) == frozenset()
    for s in range(10):
        visibility.see(fogged(clear, 60), (110 + s) * NS)
    assert visibility.states == {"fog"}
    for s in range(15):
        visibility.see(clear, (120 + s) * NS)
    assert visibility.states == frozenset()


def test_the_thicker_the_air_the_less_clear():
    clear = street()
    seen = [clearness(fogged(clear, range_px)) for range_px in (20, 60, 200, 1000)]
    assert seen == sorted(seen)
    assert seen[-1] < clearness(clear)


def test_the_noise_of_a_grey_picture_is_night():
    noise = np.random.default_rng(5).normal(0, 12, (180, 320, 1))
    dark = np.clip(street().mean(axis=2, keepdims=True) * 0.4 + noise, 0, 255)
    visibility = Visibility()
    for s in range(6):
        visibility.see(dark.repeat(3, axis=2).astype(np.uint8), (100 + s) * NS)
    assert "night" in visibility.states
