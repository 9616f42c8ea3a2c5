"""Decides what one camera's frames mean, by its health first and its detectors after.

In come frames, frames that cannot be decoded and silence; out go the events of
`camera_health.py`, `congestion.py` and `stopped.py`. Pictures that cannot be believed are shown
to no detector, and what the detectors had found ends with the belief.
"""

from __future__ import annotations

from causeway.events import AnyEvent, CameraHealth
from causeway.frame import Frame
from causeway.site import Camera
from detectors.camera_health import HealthOfCamera
from detectors.congestion import Congestion
from detectors.motion import Motion
from detectors.stopped import StoppedVehicles


class CameraWatch:
    """All that is decided from the pictures of one camera."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._at_ns = 0
        self._health = HealthOfCamera(camera.id)
        self._motion = Motion(camera)
        self._congestion = Congestion(camera)
        self._stopped = StoppedVehicles(camera)

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
        scene = self._motion.see(frame)
        if scene is None:
            return events
        return [*events, *self._congestion.see(scene), *self._stopped.see(scene)]

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
        self._motion = Motion(self._camera)
        return [*self._congestion.lose(at_ns, why), *self._stopped.lose(at_ns, why)]
