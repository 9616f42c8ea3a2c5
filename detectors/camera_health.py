"""Decides whether a camera's pictures can be believed.

In come the camera's frames, or word that one could not be decoded or that none came; out goes a
`CameraHealthObserved` at each change. A picture is dark when nothing in it has light, broken when
it has no content or cannot be decoded, frozen when it repeats itself to the last grey level,
which the noise of a living sensor never does. Each must last before it is said, and end for a
while before the camera is believed again.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.events import AnyEvent, CameraHealth, CameraHealthObserved
from causeway.frame import Frame

NS = 1_000_000_000
SIZE_PX = (160, 90)
DARK_MEAN, DARK_BRIGHTEST = 16.0, 48.0  # grey levels; the brightest is the 99th percentile
FLAT_LEVELS = 1.5  # standard deviation of a picture without content
SAME_LEVELS = 0.02  # mean difference of two pictures that are the same one
AFTER_S = {
    CameraHealth.DARK: 5.0,
    CameraHealth.BROKEN: 2.0,
    CameraHealth.FROZEN: 15.0,
    CameraHealth.LOST: 0.0,
    CameraHealth.OK: 2.0,
}
FRAMES_MIN = 3  # and at least so many of them in a row


class HealthOfCamera:
    """One camera's health."""

    def __init__(self, camera: str) -> None:
        self.health = CameraHealth.UNKNOWN
        self._camera = camera
        self._before: NDArray[np.uint8] | None = None
        self._seems = CameraHealth.UNKNOWN
        self._since_ns = 0
        self._frames = 0

    def see(self, frame: Frame) -> list[AnyEvent]:
        small = cv2.resize(frame.pixels, SIZE_PX, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        before, self._before = self._before, grey
        return self._take(*_judged(grey, before), frame.observed_at_ns)

    def undecodable(self, at_ns: int) -> list[AnyEvent]:
        """A frame came that is no picture."""
        return self._take(CameraHealth.BROKEN, "frames cannot be decoded", at_ns)

    def silent(self, at_ns: int, for_s: float) -> list[AnyEvent]:
        """No frame has come for longer than it should take."""
        self._before = None
        return self._change(CameraHealth.LOST, f"no frame for {for_s:.0f} s", at_ns)

    def begin_anew(self) -> None:
        """The camera's time has changed: what seems to be so begins now."""
        self._before, self._seems, self._frames = None, CameraHealth.UNKNOWN, 0

    def _take(self, seems: CameraHealth, why: str, at_ns: int) -> list[AnyEvent]:
        if seems is not self._seems:
            self._seems, self._since_ns, self._frames = seems, at_ns, 0
        self._frames += 1
        lasted_s = (at_ns - self._since_ns) / NS
        first_ok = seems is CameraHealth.OK and self.health is CameraHealth.UNKNOWN
        lasting = lasted_s >= AFTER_S[seems] and self._frames >= FRAMES_MIN
        return self._change(seems, why, at_ns) if lasting or first_ok else []

    def _change(self, health: CameraHealth, why: str, at_ns: int) -> list[AnyEvent]:
        if health is self.health:
            return []
        self.health = self._seems = health
        return [
            CameraHealthObserved(camera=self._camera, health=health, observed_at_ns=at_ns, why=why)
        ]


def _judged(grey: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> tuple[CameraHealth, str]:
    """What one picture seems to say, and why."""
    mean, brightest = float(grey.mean()), float(np.percentile(grey, 99))
    if mean < DARK_MEAN and brightest < DARK_BRIGHTEST:
        return CameraHealth.DARK, f"brightness {mean:.0f} of 255"
    if float(grey.std()) < FLAT_LEVELS:
        return CameraHealth.BROKEN, "pictures without content"
    if before is not None and float(cv2.absdiff(grey, before).mean()) < SAME_LEVELS:
        return CameraHealth.FROZEN, "pictures do not change"
    return CameraHealth.OK, ""
