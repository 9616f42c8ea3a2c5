import cv2
import numpy as np
import pytest

from causeway.frame import Frame
from causeway.site import Camera, LonLat, Site
from detectors.watch import CameraWatch

NS = 1_000_000_000
START_NS = 1_763_980_800 * NS
WIDTH, HEIGHT = 320, 180
ROAD = ((0.0, 0.2), (1.0, 0.2), (1.0, 1.0), (0.0, 1.0))
CAR = (45, 20)  # pixels


class Street:
    """A grey road seen from the side, drawn anew each half second with a sensor's noise.

    Lanes are at heights; vehicles are rectangles with windows, given as (x, lane, colour).
    """

    lanes = (55, 95, 135)

    def __init__(self, seed=7, fps=2.0):
        self._random = np.random.default_rng(seed)
        self._noise = [
            self._random.normal(0, 2.0, (HEIGHT, WIDTH, 3)).astype(np.float32) for _ in range(7)
        ]
        self._fps = fps
        self._bare = np.full((HEIGHT, WIDTH, 3), 105.0, np.float32)
        self._bare[: int(HEIGHT * 0.2)] = (60, 120, 70)
        for y in (82, 122):
            for x in range(0, WIDTH, 40):
                cv2.rectangle(self._bare, (x, y), (x + 17, y + 2), (215, 215, 215), -1)
        self.at_ns = START_NS
        self.drawn = 0
        self.light = 1.0
        self.rain = 0

    def frame(self, *vehicles):
        """The next frame."""
        self.at_ns += int(NS / self._fps)
        self.drawn += 1
        picture = self._bare.copy()
        for x, lane, colour in vehicles:
            _draw(picture, int(x), self.lanes[lane], colour)
        for _ in range(self.rain):
            x, y = int(self._random.integers(0, WIDTH)), int(self._random.integers(0, HEIGHT - 7))
            cv2.line(picture, (x, y), (x + 1, y + 6), (170, 170, 170), 1)
        noisy = picture * self.light + self._noise[self.drawn % 7]
        return Frame("cam-1", self.at_ns, np.clip(noisy, 0, 255).astype(np.uint8))

    def traffic(self, frame_number, lanes=(0, 1, 2), spacing_px=210, speed_px=35):
        """Vehicles of a free flow: one each `spacing_px`, moving `speed_px` a frame."""
        colours = ((40, 40, 200), (200, 60, 30), (235, 235, 235), (20, 20, 20))
        vehicles = []
        for lane in lanes:
            length = WIDTH + 2 * spacing_px
            for i in range(length // spacing_px):
                x = (i * spacing_px + frame_number * speed_px + lane * 70) % length
                vehicles.append((x - spacing_px / 2, lane, colours[(i + lane) % 4]))
        return vehicles


def _draw(picture, x, y, colour):
    width, height = CAR
    cv2.rectangle(picture, (x, y), (x + width, y + height), colour, -1)
    cv2.rectangle(picture, (x + 10, y + 3), (x + 20, y + height - 3), (25, 25, 25), -1)
    cv2.rectangle(picture, (x + 27, y + 3), (x + 36, y + height - 3), (70, 60, 50), -1)


@pytest.fixture
def street():
    return Street


@pytest.fixture
def camera():
    return Camera(
        id="cam-1", name="Calmette", at=LonLat(0, 0), segment="rd-1", bearing_deg=0.0, road=ROAD
    )


@pytest.fixture
def watch(camera):
    return CameraWatch(camera)


@pytest.fixture
def site_of_one(camera):
    """A city with one camera and nothing else."""
    return Site(
        id="one",
        name="Một",
        name_en="One",
        timezone="Asia/Ho_Chi_Minh",
        datum="hon_dau",
        centre=LonLat(0, 0),
        credit="",
        hash="",
        points={},
        quantities=(),
        gauges=(),
        junctions=(),
        segments=(),
        cameras=(camera,),
        plcs=(),
        stations=(),
        pumps=(),
        gates=(),
        signs=(),
        circuits=(),
        nodes=(),
        conduits=(),
        waters=(),
        places=(),
        tide_levels=(),
        inundation_levels=(),
    )
