from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from causeway.site import Site, load_site
from sims.cabinets import Message
from sims.cameras import CameraRenderer
from sims.city import build_network
from sims.scenario import CameraSource, FieldFault, Scenario, TrafficLevel
from sims.shutters import Moment, Shutters
from sims.vehicle_types import VEHICLE

START = datetime.fromisoformat("2025-11-06T10:00:00+07:00")
NS = 1_000_000_000
RENDERERS: dict[str, CameraRenderer] = {}  # a view takes seconds to build; all tests see the same
MOMENT = Moment(np.zeros(0, VEHICLE), {}, {}, 0.0, {})


def scenario(*sources: CameraSource) -> Scenario:
    moved = FieldFault("cam-00", "moved", START)
    level = TrafficLevel(1_000.0, 0.8)
    return Scenario("test", "", "", START, 3, level, faults=(moved,), cameras=sources)


def with_cameras(site: Site, count: int) -> Site:
    """The grid's one camera, so many times over."""
    replace = msgspec.structs.replace
    cameras = tuple(replace(site.cameras[0], id=f"cam-{i:02}") for i in range(count))
    return replace(site, cameras=cameras)


class Watch:
    """The grid's camera and its time."""

    def __init__(
        self, folder: Path, workdir: Path, played: Scenario, speed: float = 1.0, cameras: int = 1
    ) -> None:
        site = with_cameras(load_site(folder), cameras)
        if site.hash not in RENDERERS:
            RENDERERS[site.hash] = CameraRenderer(site, build_network(site, workdir))
        renderer = RENDERERS[site.hash]
        self.now_ns = played.start_ns
        self.shutters = Shutters(site, played, renderer, self.now_ns, speed)
        while self.shutters.prepare_next():
            pass

    def run(self, seconds: float, fault: str = "", pictures_max: int = 9) -> list[Message]:
        faults = {"cam-00": fault} if fault else {}
        sent: list[Message] = []
        for _ in range(round(seconds * 10)):
            self.now_ns += NS // 10
            sent += self.shutters.tick(self.now_ns, MOMENT, faults, pictures_max)
        return sent


def picture_of(message: Message) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(message.payload, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return picture.astype(np.uint8)


@pytest.fixture
def watch(grid_folder: Path, tmp_path: Path) -> Watch:
    return Watch(grid_folder, tmp_path / "work", scenario())


def sharpness(picture: NDArray[np.uint8]) -> float:
    return float(cv2.Laplacian(picture, cv2.CV_64F).var())


def test_a_camera_sends_two_pictures_a_second_with_their_times(watch: Watch) -> None:
    sent = watch.run(5)
    assert len(sent) == 10
    times = [int(m.topic.rpartition("/")[2]) for m in sent]
    assert times == sorted(set(times))
    assert all(m.topic.startswith("causeway/v1/camera/cam-00/frame/") and not m.qos for m in sent)
    assert picture_of(sent[0]).shape == (360, 640)


def test_a_faster_clock_does_not_make_more_pictures(grid_folder: Path, tmp_path: Path) -> None:
    watch = Watch(grid_folder, tmp_path / "work", scenario(), speed=10.0)
    assert len(watch.run(50)) == 10


def test_an_ailing_camera_shows_what_ails_it(watch: Watch) -> None:
    well = picture_of(watch.run(1)[-1])
    assert watch.run(2, "dead") == []
    frozen = watch.run(2, "frozen")
    assert len({m.payload for m in frozen}) == 1
    assert len({m.topic for m in frozen}) == len(frozen)
    assert picture_of(watch.run(1, "dark")[-1]).mean() < 12
    assert picture_of(watch.run(1, "covered")[-1]).std() < well.std() / 5
    assert sharpness(picture_of(watch.run(1, "blurred")[-1])) < sharpness(well) / 5
    moved = picture_of(watch.run(1, "moved")[-1]).astype(float)
    again = picture_of(watch.run(1)[-1]).astype(float)
    assert np.abs(moved - well).mean() > 5 * np.abs(again - well).mean()


def test_pictures_give_way_when_there_is_no_time_and_are_counted(watch: Watch) -> None:
    assert watch.run(2, pictures_max=0) == []
    assert watch.shutters.missed == 4


def test_when_there_is_time_for_few_the_cameras_take_turns(
    grid_folder: Path, tmp_path: Path
) -> None:
    watch = Watch(grid_folder, tmp_path / "work", scenario(), cameras=2)
    sent: list[Message] = []
    for second in range(1, 9):  # at each of them both cameras are due
        now_ns = watch.now_ns + second * NS
        sent += watch.shutters.tick(now_ns, MOMENT, {}, pictures_max=1)
    count = Counter(message.topic.split("/")[3] for message in sent)
    assert count == {"cam-00": 4, "cam-01": 4}
    assert watch.shutters.missed == 8


def test_a_camera_that_a_video_stands_in_for_takes_no_pictures(
    grid_folder: Path, tmp_path: Path
) -> None:
    played = scenario(CameraSource("cam-00", "street.mp4"))
    assert Watch(grid_folder, tmp_path / "work", played).run(2) == []
