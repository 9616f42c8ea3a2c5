import cv2
import numpy as np
import pytest

from causeway.events import CameraHealth, CameraHealthObserved
from causeway.frame import Frame
from detectors.camera_health import HealthOfCamera

NS = 1_000_000_000


class Camera:
    """Shows pictures to a camera's health, two a second."""

    def __init__(self):
        self.health = HealthOfCamera("cam-1")
        self._random = np.random.default_rng(3)
        self.at_ns = 100 * NS
        self.still = self.living()

    def living(self):
        scene = np.linspace(40, 200, 320, dtype=np.float32)[None, :, None]
        noise = self._random.normal(0, 2.0, (180, 320, 3))
        return np.clip(scene + noise, 0, 255).astype(np.uint8)

    def show(self, pixels, seconds):
        said = []
        for _ in range(int(seconds * 2)):
            self.at_ns += NS // 2
            said += self.health.see(Frame("cam-1", self.at_ns, pixels()))
        return [event.health for event in said]


@pytest.fixture
def camera():
    return Camera()


def level(value):
    return lambda: np.full((180, 320, 3), value, np.uint8)


def test_a_camera_is_believed_from_its_first_good_picture(camera):
    assert camera.show(camera.living, 0.5) == [CameraHealth.OK]
    assert camera.show(camera.living, 60) == []


def test_pictures_that_repeat_themselves_for_fifteen_seconds_are_frozen(camera):
    camera.show(camera.living, 5)
    assert camera.show(lambda: camera.still, 15) == []
    assert camera.show(lambda: camera.still, 2) == [CameraHealth.FROZEN]


def test_a_dark_street_with_a_lamp_is_not_dark(camera):
    def night():
        picture = camera.living() // 40
        picture[40:60, 100:140] = 220
        return picture

    assert camera.show(night, 30) == [CameraHealth.OK]


def test_pictures_without_light_are_dark_after_five_seconds(camera):
    camera.show(camera.living, 5)
    assert camera.show(level(4), 5) == []
    assert camera.show(level(4), 1) == [CameraHealth.DARK]


def test_pictures_without_content_are_broken(camera):
    camera.show(camera.living, 5)
    assert camera.show(level(128), 4) == [CameraHealth.BROKEN]


def test_one_frame_that_cannot_be_decoded_is_no_broken_camera_and_many_are(camera):
    camera.show(camera.living, 5)
    assert camera.health.undecodable(camera.at_ns + NS) == []
    camera.show(camera.living, 2)
    said = [camera.health.undecodable(camera.at_ns + i * NS) for i in range(1, 5)]
    assert [e.health for events in said for e in events] == [CameraHealth.BROKEN]


def test_a_silent_camera_is_lost_once_and_comes_back_when_it_has_shown_enough(camera):
    camera.show(camera.living, 5)
    (lost,) = camera.health.silent(camera.at_ns + 11 * NS, 11.0)
    assert lost == CameraHealthObserved(
        camera="cam-1",
        health=CameraHealth.LOST,
        observed_at_ns=camera.at_ns + 11 * NS,
        why="no frame for 11 s",
    )
    assert camera.health.silent(camera.at_ns + 12 * NS, 12.0) == []
    camera.at_ns += 20 * NS
    assert camera.show(camera.living, 2) == []
    assert camera.show(camera.living, 1) == [CameraHealth.OK]


def test_a_camera_that_never_spoke_is_lost(camera):
    assert [e.health for e in camera.health.silent(1, 11.0)] == [CameraHealth.LOST]


def watched(camera_frames, fault, sound=40, frames=40):
    """The healths that are said, of a street whose picture goes through `fault` after a while."""
    health, said = HealthOfCamera("cam-1"), []
    for n in range(sound + frames):
        frame = camera_frames.frame(*camera_frames.traffic(n))
        pixels = frame.pixels if n < sound else fault(frame.pixels)
        events = health.see(Frame(frame.camera, frame.observed_at_ns, pixels))
        said += [e.health for e in events]
    return said


def test_a_picture_that_loses_its_sharp_edges_is_blurred(street):
    said = watched(street(), lambda p: cv2.GaussianBlur(p, (0, 0), 3.0))
    assert said == [CameraHealth.OK, CameraHealth.BLURRED]


def test_a_view_that_is_another_one_is_moved(street):
    random = np.random.default_rng(9).integers(0, 255, (18, 32, 3)).astype(np.uint8)
    other = cv2.resize(random, (320, 180), interpolation=cv2.INTER_CUBIC)
    assert watched(street(), lambda p: cv2.addWeighted(p, 0.3, other, 0.7, 0))[-1] in (
        CameraHealth.MOVED,
        CameraHealth.BLURRED,
    )


def test_traffic_and_a_cloud_are_no_fault(street):
    assert watched(street(), lambda p: (p * 0.7).astype(np.uint8)) == [CameraHealth.OK]
