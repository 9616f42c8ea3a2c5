"""Decides which simulated camera takes a picture when, in what light, and what is wrong with it.

In come the time, the traffic, lamps, water and rain of the moment; out go frame messages at each
camera's rate, drawn by `cameras.py`. A camera that another source stands in for takes none. With
a scaled clock a camera keeps its rate in the wall's seconds: drawing costs the same however fast
the city lives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import cv2
import msgspec
import numpy as np

from causeway.site import Camera, Site
from sims.cabinets import ROOT, Due, Message
from sims.cameras import CameraRenderer, Light, daylight_at, encode_jpeg
from sims.painting import Pixels
from sims.scenario import Scenario
from sims.vehicle_types import Vehicles

MOVED_DEG = 35.0  # by a lorry that touched the mast
DARK_GAIN = 0.03
BLUR_PX = 9.0
COVER_BGR = (70, 92, 96)
FRAME_BYTES_MAX = 2 * 2**20  # docs/INTERFACES.md


class Moment(NamedTuple):
    """What there is to be seen."""

    vehicles: Vehicles
    aspects: Mapping[str, str]
    depths_m: Mapping[str, float]
    rain_mm_h: float
    lamps: Mapping[str, float]  # by circuit


class Shutters:
    """The cameras of a site that have no other source."""

    def __init__(
        self, site: Site, scenario: Scenario, renderer: CameraRenderer, now_ns: int, speed: float
    ) -> None:
        elsewhere = {c.camera for c in scenario.cameras}
        self._renderer = renderer
        self._cameras = tuple(
            c for c in site.cameras if c.source == "mqtt" and c.id not in elsewhere
        )
        self._due = {c.id: Due(speed / c.fps, c.id, now_ns, speed) for c in self._cameras}
        self._circuits = {
            c.id: tuple(k.id for k in site.circuits if k.segment == c.segment)
            or tuple(k.id for k in site.circuits)
            for c in self._cameras
        }
        moved = {f.target for f in scenario.faults if f.kind == "moved"}
        self._unprepared = deque(self._cameras)
        self._unprepared.extend(_moved(c) for c in self._cameras if c.id in moved)
        self._prepared: set[str] = set()
        self._last: dict[str, bytes] = {}
        self._taken_ns: dict[str, int] = {}
        self.missed = 0

    def prepare_next(self) -> bool:
        """Build the still part of one more camera's view, a second's work; False: all are built.

        May run in a thread beside `tick`, which leaves out a camera until it is prepared.
        """
        if not self._unprepared:
            return False
        camera = self._unprepared.popleft()
        self._renderer.road_polygon(camera)
        self._prepared.add(camera.id)
        return True

    def tick(
        self, now_ns: int, moment: Moment, faults: Mapping[str, str], pictures_max: int
    ) -> Iterator[Message]:
        """The pictures that are due, at most so many; what is more is missed and counted.

        The camera that has waited longest goes first.
        """
        due = [c for c in self._cameras if self._due[c.id].now(now_ns) and c.id in self._prepared]
        due.sort(key=lambda camera: self._taken_ns.get(camera.id, 0))
        self.missed += max(0, len(due) - pictures_max)
        for camera in due[:pictures_max]:
            self._taken_ns[camera.id] = now_ns
            jpeg = self._take(camera, now_ns, moment, faults.get(camera.id, ""))
            if jpeg and len(jpeg) <= FRAME_BYTES_MAX:
                yield Message(f"{ROOT}/camera/{camera.id}/frame/{now_ns}", jpeg, qos=0)

    def _take(self, camera: Camera, now_ns: int, moment: Moment, fault: str) -> bytes:
        if fault == "dead":
            return b""
        if fault == "frozen" and camera.id in self._last:
            return self._last[camera.id]
        if fault == "moved":
            camera = _moved(camera)
        circuits = self._circuits[camera.id]
        lamps = sum(moment.lamps[c] for c in circuits) / max(len(circuits), 1)
        picture = self._renderer.render(
            camera,
            moment.vehicles,
            moment.aspects,
            moment.depths_m,
            moment.rain_mm_h,
            Light(daylight_at(camera.at, now_ns), lamps),
            now_ns,
        )
        self._last[camera.id] = encode_jpeg(_through(picture, fault))
        return self._last[camera.id]


def _moved(camera: Camera) -> Camera:
    """The camera after its mast was touched."""
    return msgspec.structs.replace(camera, bearing_deg=(camera.bearing_deg + MOVED_DEG) % 360)


def _through(picture: Pixels, fault: str) -> Pixels:
    """The picture as an ailing camera gives it."""
    match fault:
        case "dark":
            return cv2.convertScaleAbs(picture, alpha=DARK_GAIN).astype(np.uint8)
        case "blurred":
            return cv2.GaussianBlur(picture, (0, 0), BLUR_PX).astype(np.uint8)
        case "covered":
            cover = np.full_like(picture, COVER_BGR)
            return cv2.addWeighted(picture, 0.04, cover, 0.96, 0).astype(np.uint8)
        case _:
            return picture
