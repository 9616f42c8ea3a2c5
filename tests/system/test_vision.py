"""The vision worker as the process that it is, and its detectors on real videos."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import pytest

from causeway.children import Children
from causeway.clock import WallClock
from causeway.events import (
    CameraHealth,
    CameraHealthObserved,
    IncidentDetected,
    IncidentEnded,
    Reason,
    Rejected,
    RoadWaterMeasured,
    TrafficMeasured,
)
from causeway.frame import EncodedFrame, Frame
from causeway.site import Camera, LonLat, load_site
from control.water_on_road import HIDDEN_RATIO_MIN
from detectors import vision
from detectors.vision import Vision
from detectors.watch import CameraWatch

pytestmark = pytest.mark.system
VIDEOS = Path(__file__).parents[3] / "shared" / "data" / "video"
START_NS = 1_763_980_800_000_000_000
ROADS = {
    "vik_traffic.mp4": ((0.02, 1), (0.36, 0.1), (0.53, 0.1), (1, 1)),
    "canersu_highway.mp4": ((0.1, 1), (0.42, 0.35), (0.53, 0.3), (0.95, 1)),
    "oc4n_traffic.mp4": ((0, 0.1), (1, 0.1), (1, 1), (0, 1)),
    "tfl_625_201707211410.mp4": ((0, 1), (0.45, 0.3), (0.7, 0.3), (1, 0.6), (1, 1)),
    "tfl_625_201709042122.mp4": ((0, 1), (0.45, 0.3), (0.7, 0.3), (1, 0.6), (1, 1)),
}
SITE = """
[site]
id = "one"
name = "Một"
name_en = "One"
timezone = "Asia/Ho_Chi_Minh"
datum = "hon_dau"
centre = [106.7, 10.77]
credit = ""

[[segment]]
id = "rd-1"
name = "Calmette"
line = [[106.7, 10.77], [106.701, 10.77]]
lanes = 2
speed_limit_km_h = 50.0
low_point = [106.7, 10.77]
low_point_m = 1.3

[[camera]]
id = "cam-1"
name = "Calmette"
at = [106.7, 10.77]
segment = "rd-1"
bearing_deg = 0.0
road = [[0.02, 1.0], [0.36, 0.1], [0.53, 0.1], [1.0, 1.0]]
"""


def frames_of(name, seconds, fps=4.0):
    """A video again and again, at `fps`, for so many seconds of its own time."""
    if not (VIDEOS / name).is_file():
        assert os.environ.get("CI") != "true", f"{VIDEOS / name} is absent"
        pytest.skip(f"{VIDEOS / name} is absent")
    taken = 0
    while taken < seconds * fps:
        video = cv2.VideoCapture(str(VIDEOS / name))
        step = video.get(cv2.CAP_PROP_FPS) / fps
        wanted, number = 0.0, 0
        while video.grab() and taken < seconds * fps:
            if number >= wanted:
                _, pixels = video.retrieve()
                taken += 1
                yield Frame("cam-1", START_NS + int(taken / fps * 1e9), pixels)
                wanted += step
            number += 1


def arriving_car(seconds):
    """The stopped car of vik_traffic, its place covered with bare road for the first 130 s."""
    frames = list(frames_of("vik_traffic.mp4", 17.0))
    bare = cv2.resize(frames[-1].pixels[230:400, 330:450], (150, 170))
    for frame in frames_of("vik_traffic.mp4", seconds):
        if frame.observed_at_ns < START_NS + 130_000_000_000:
            frame.pixels[230:400, 470:620] = bare
        yield frame


def encoded(frame):
    return EncodedFrame(
        "cam-1", frame.observed_at_ns, cv2.imencode(".jpg", frame.pixels)[1].tobytes()
    )


class Running:
    """A vision worker under way, and what it has said."""

    def __init__(self, folder, logs):
        self.said = []
        self.children = Children(logs)
        self.vision = Vision(load_site(folder), WallClock(), self._put, self.children, folder)

    async def _put(self, event):
        self.said.append(event)
        done = asyncio.get_running_loop().create_future()
        done.set_result(len(self.said))
        return done

    async def show(self, frame):
        """Offer a frame when the one before has been handed over."""
        await until(lambda: self.vision.waiting == 0)
        self.vision.offer(frame)

    def of(self, kind):
        return [event for event in self.said if isinstance(event, kind)]

    def health(self):
        return [event.health for event in self.of(CameraHealthObserved)]

    def pid(self):
        tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
        pids = [int(p) for task in tasks for p in (task / "children").read_text().split()]
        return next(p for p in pids if b"vision" in Path(f"/proc/{p}/cmdline").read_bytes())


async def until(holds, seconds=120.0):
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - nothing wakes us for what another process does
            await asyncio.sleep(0.005)


@pytest.fixture
async def running(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site.toml").write_text(SITE)
    async with _started(Running(folder, tmp_path / "logs")) as started:
        yield started


@asynccontextmanager
async def _started(running):
    task = asyncio.create_task(running.vision.run())
    try:
        yield running
    finally:
        task.cancel()
        await running.children.stop_all()


async def test_a_car_that_stops_in_a_real_street_is_found_and_ends_with_the_worker(running):
    for frame in arriving_car(160.0):
        await running.show(encoded(frame))
    await until(lambda: running.of(IncidentDetected))
    (found,) = running.of(IncidentDetected)
    car = (539 / 768, 310 / 480)
    assert found.box.left < car[0] < found.box.left + found.box.width
    assert found.box.top < car[1] < found.box.top + found.box.height
    assert 128 < (found.first_seen_at_ns - START_NS) / 1e9 < 136
    os.kill(running.pid(), signal.SIGKILL)
    await until(lambda: CameraHealth.UNKNOWN in running.health())
    (ended,) = running.of(IncidentEnded)
    assert (ended.incident, ended.why) == (found.incident, "the vision worker has ended")


async def test_a_worker_that_died_is_started_again_and_says_anew_what_it_sees(running):
    frames = frames_of("oc4n_traffic.mp4", 20.0)
    await running.show(encoded(next(frames)))
    await until(lambda: running.health() == [CameraHealth.OK])
    os.kill(running.pid(), signal.SIGKILL)
    await until(lambda: running.health()[-1] is CameraHealth.UNKNOWN)
    for frame in frames:
        await running.show(encoded(frame))
    await until(lambda: running.health()[-1] is CameraHealth.OK)


async def test_a_worker_that_hangs_is_killed_and_started_again(running, monkeypatch):
    monkeypatch.setattr(vision, "SILENT_S", 3.0)
    frames = frames_of("oc4n_traffic.mp4", 1.0)
    await running.show(encoded(next(frames)))
    await until(lambda: running.health() == [CameraHealth.OK])
    os.kill(running.pid(), signal.SIGSTOP)
    await until(lambda: running.health()[-1] is CameraHealth.UNKNOWN)
    await running.show(encoded(next(frames)))
    await until(lambda: running.health()[-1] is CameraHealth.OK)


async def test_bytes_that_are_no_picture_are_rejected_and_the_worker_lives(running):
    (frame,) = frames_of("oc4n_traffic.mp4", 0.25)
    await running.show(EncodedFrame("cam-1", START_NS, b"\xff\xd8 broken"))
    await until(lambda: running.of(Rejected))
    assert running.of(Rejected)[0].reason is Reason.UNDECODABLE_FRAME
    await running.show(encoded(frame))
    await until(lambda: running.health() == [CameraHealth.OK])


async def test_a_picture_that_waits_gives_way_to_the_newer_one(running):
    for number in range(50):
        running.vision.offer(EncodedFrame("cam-1", START_NS + number, b""))
    running.vision.offer(EncodedFrame("cam-9", START_NS, b""))
    assert running.vision.waiting == 1
    assert running.vision.dropped == {"cam-1": 49, "unknown": 1}
    await until(lambda: running.of(Rejected))


@pytest.mark.parametrize("name", sorted(ROADS))
def test_free_traffic_of_a_real_street_is_no_incident(name):
    watch = CameraWatch(Camera("cam-1", "", LonLat(0, 0), "rd-1", 0.0, ROADS[name]))
    said = [event for frame in frames_of(name, 75.0) for event in watch.see(frame)]
    measured = [e for e in said if isinstance(e, TrafficMeasured)]
    others = [e for e in said if not isinstance(e, TrafficMeasured | RoadWaterMeasured)]
    assert [e.health for e in others] == [CameraHealth.OK]
    assert all(e.hidden_ratio < HIDDEN_RATIO_MIN for e in said if isinstance(e, RoadWaterMeasured))
    assert len(measured) >= 10
    assert all(0.02 < m.occupancy_ratio < 0.5 for m in measured)
