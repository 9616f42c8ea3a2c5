"""Decides what one camera's frames mean, by its health first and its detectors after.

In come frames, frames that cannot be decoded and silence; out go the events of
`camera_health.py`, `congestion.py`, `stopped.py`, `traffic.py` and `water.py`. Pictures that cannot
be believed are shown to no detector that tells incidents, and what the detectors had found ends
with the belief. Two detectors may see one thing: it is told once. What the camera's description
does not want as an alarm is counted in `counted`, or not even that.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from causeway.events import (
    AnyEvent,
    Box,
    CameraHealth,
    IncidentDetected,
    IncidentEnded,
    IncidentKind,
)
from causeway.frame import Frame
from causeway.site import Camera
from detectors.camera_health import HealthOfCamera
from detectors.congestion import Congestion
from detectors.motion import Motion, Scene
from detectors.network import Network
from detectors.stopped import StoppedVehicles
from detectors.traffic import Traffic
from detectors.view import View
from detectors.visibility import Visibility
from detectors.water import WaterOnRoad


class CameraWatch:
    """All that is decided from the pictures of one camera.

    `view` and `background` may have been learnt before; `network` sees objects besides movement.
    """

    def __init__(
        self,
        camera: Camera,
        view: View | None = None,
        background: NDArray[np.uint8] | None = None,
        network: Network | None = None,
    ) -> None:
        self.counted: Counter[str] = Counter()  # incidents that are no alarm here, by kind
        self.visibility = Visibility()
        self.traffic = Traffic(camera.id, view, network)
        self.motion = Motion(camera, background)
        self._camera = camera
        self._at_ns = 0
        self._health = HealthOfCamera(camera.id)
        self._congestion = Congestion(camera)
        self._stopped = StoppedVehicles(camera)
        self._water = WaterOnRoad(camera.id)
        self._open: dict[str, tuple[str, Box | None]] = {}  # told and not ended

    def see(self, frame: Frame) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        if frame.observed_at_ns < self._at_ns:
            self._health.begin_anew()
            events += self._forget(frame.observed_at_ns, "the camera's clock was set back")
        self._at_ns = frame.observed_at_ns
        changed = self._health.see(frame)
        events += changed
        if self._health.health is not CameraHealth.OK:
            return events + self._lose(changed, frame.observed_at_ns)
        self.visibility.see(frame.pixels, frame.observed_at_ns)
        scene = self.motion.see(frame)
        if scene is None:
            return events
        found = self.traffic.see(frame, scene)
        if scene.learnt:
            found += self._congestion.see(scene) + self._stopped.see(scene)
            found += self._see_water(scene)
        return events + self._told(found)

    def _see_water(self, scene: Scene) -> list[AnyEvent]:
        """What looks like water; nothing where nobody wants to know."""
        if IncidentKind.WATER_ON_ROAD in self._camera.ignored or not self._water.due(scene.at_ns):
            return []
        background = self.motion.background
        if background is None:
            return []
        view = self.traffic.view
        road = scene.road if view is None else scene.road & view.road()
        return [self._water.see(background, road, scene.at_ns)]

    def undecodable(self, at_ns: int) -> list[AnyEvent]:
        """A frame came that is no picture."""
        events = self._health.undecodable(at_ns)
        return events + self._lose(events, at_ns)

    def silent(self, at_ns: int, for_s: float) -> list[AnyEvent]:
        """No frame has come for longer than it should take."""
        events = self._health.silent(at_ns, for_s)
        return events + self._lose(events, at_ns)

    def _lose(self, changed: list[AnyEvent], at_ns: int) -> list[AnyEvent]:
        """At a change to a health that is not OK."""
        if not changed or self._health.health is CameraHealth.OK:
            return []
        return self._forget(at_ns, f"the camera is {self._health.health}")

    def _forget(self, at_ns: int, why: str) -> list[AnyEvent]:
        """End what is open, and learn the road anew."""
        self.motion = Motion(self._camera)
        ended = self._congestion.lose(at_ns, why) + self._stopped.lose(at_ns, why)
        return self._told(ended + self.traffic.lose(at_ns, why))

    def _told(self, found: list[AnyEvent]) -> list[AnyEvent]:
        """Without what is told already, and what is no alarm on this camera."""
        told: list[AnyEvent] = []
        for event in found:
            match event:
                case IncidentDetected():
                    if event.kind in self._camera.ignored:
                        continue
                    if event.kind in self._camera.counted:
                        self.counted[event.kind.value] += 1
                        continue
                    same = (event.kind.value, event.box)
                    if not any(_same(same, known) for known in self._open.values()):
                        self._open[event.incident] = same
                        told.append(event)
                case IncidentEnded():
                    if self._open.pop(event.incident, None) is not None:
                        told.append(event)
                case _:
                    told.append(event)
        return told


def _same(a: tuple[str, Box | None], b: tuple[str, Box | None]) -> bool:
    """Whether two are of one kind, and not at two places."""
    if a[0] != b[0] or a[1] is None or b[1] is None:
        return a[0] == b[0]
    left, top = max(a[1].left, b[1].left), max(a[1].top, b[1].top)
    right = min(a[1].left + a[1].width, b[1].left + b[1].width)
    return left < right and top < min(a[1].top + a[1].height, b[1].top + b[1].height)
