"""Decides whether a camera's pictures can be believed.

In come the camera's frames, or word that one could not be decoded or that none came; out goes a
`CameraHealthObserved` at each change. A picture is dark when nothing in it has light, broken when
it has no content or cannot be decoded, frozen when it repeats itself to the last grey level,
which the noise of a living sensor never does. What the camera showed while it was well says the
rest: a picture is blurred when its edges have lost half of their sharpness, blocked when half of
what had texture has none, moved when its edges are elsewhere. Each must last before it is said, and
end for a while before the camera is believed again; a view that stays another one is learnt anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.events import AnyEvent, CameraHealth, CameraHealthObserved
from causeway.frame import Frame

NS = 1_000_000_000
SIZE_PX = (160, 90)
LOOK_S = 0.4  # pictures that come faster are left out: nothing here is told within a second
DARK_MEAN, DARK_BRIGHTEST = 16.0, 48.0  # grey levels; the brightest is the 99th percentile
FLAT_LEVELS = 1.5  # standard deviation of a picture without content
SAME_LEVELS = 0.02  # mean difference of two pictures that are the same one
SHARP_RATIO = 0.5  # of the usual: a blur of 3 pixels in 640 leaves 0.12 to 0.35, traffic 0.85
BLOCKS = (9, 16)  # parts of the picture, rows and columns
TEXTURED_LEVELS = 6.0  # standard deviation of a part that has texture
TEXTURED_RATIO = 0.2  # of all parts: with fewer nothing is told of them
HIDDEN_RATIO, HIDDEN_LEVELS = 0.4, 10.0  # texture that is left, and the change of its mean
LOST_RATIO = 0.7  # of the parts with texture that are left, wherever they are
BLOCKED_RATIO = 0.5  # of the parts that had texture
ALIKE_MIN = 0.25  # correlation of the edges: 0.0 +- 0.1 of other views, 0.45 to 0.95 of the same
USUAL_TAU_S = 60.0  # what is usual follows so slowly: dawn takes longer, a knock does not
USUAL_AFTER_S = 3.0  # so long it must have been seen
RELEARN_S = 60.0  # a view that has stayed another one for so long is the camera's
AFTER_S = {
    CameraHealth.BLURRED: 5.0,
    CameraHealth.BLOCKED: 5.0,
    CameraHealth.MOVED: 5.0,
    CameraHealth.DARK: 5.0,
    CameraHealth.BROKEN: 2.0,
    CameraHealth.FROZEN: 15.0,
    CameraHealth.LOST: 0.0,
    CameraHealth.OK: 2.0,
}
FRAMES_MIN = 3  # and at least so many of them in a row


@dataclass(frozen=True, slots=True)
class _Look:
    """How pictures look: their mean, its edges, how sharp they are, and its parts' texture.

    The texture is the mean picture's: what passes has none in it.
    """

    grey: NDArray[np.float32]
    edges: NDArray[np.float32]
    sharpness: float

    @staticmethod
    def of(grey: NDArray[np.uint8]) -> _Look:
        smooth = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.float32)
        across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        edges = cv2.GaussianBlur(np.abs(across) + np.abs(down), (5, 5), 0)
        laplacian = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
        return _Look(
            grey.astype(np.float32),
            np.asarray(edges, np.float32),
            float(laplacian.mean()) / (float(grey.std()) + 1.0),
        )

    def parts(self) -> NDArray[np.float32]:
        """(rows, height, columns, width) of the parts."""
        rows, columns = BLOCKS
        return self.grey.reshape(rows, self.grey.shape[0] // rows, columns, -1)

    def mixed(self, other: _Look, weight: float) -> _Look:
        def mix(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(a + np.float32(weight) * (b - a), np.float32)

        return _Look(
            mix(self.grey, other.grey),
            mix(self.edges, other.edges),
            self.sharpness + weight * (other.sharpness - self.sharpness),
        )


@dataclass(slots=True)
class _Usual:
    """What a camera shows while it is well."""

    look: _Look
    since_ns: int
    at_ns: int


class HealthOfCamera:
    """One camera's health."""

    def __init__(self, camera: str) -> None:
        self.health = CameraHealth.UNKNOWN
        self._camera = camera
        self._before: NDArray[np.uint8] | None = None
        self._looked_ns = 0
        self._seems = CameraHealth.UNKNOWN
        self._since_ns = 0
        self._frames = 0
        self._usual: _Usual | None = None

    def see(self, frame: Frame) -> list[AnyEvent]:
        if 0 <= frame.observed_at_ns - self._looked_ns < LOOK_S * NS:
            return []
        self._looked_ns = frame.observed_at_ns
        small = cv2.resize(frame.pixels, SIZE_PX, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        before, self._before = self._before, grey
        at_ns = frame.observed_at_ns
        seems, why = _judged(grey, before)
        if seems is CameraHealth.OK:
            seems, why = self._compare(grey, at_ns)
        return self._take(seems, why, at_ns)

    def _compare(self, grey: NDArray[np.uint8], at_ns: int) -> tuple[CameraHealth, str]:
        """With what is usual, which learns while all is well."""
        now = _Look.of(grey)
        usual = self._usual
        moved_s = (at_ns - self._since_ns) / NS if self._seems is CameraHealth.MOVED else 0.0
        if usual is None or moved_s >= RELEARN_S:
            self._usual = _Usual(now, at_ns, at_ns)
            return CameraHealth.OK, ""
        seems, why = CameraHealth.OK, ""
        if at_ns - usual.since_ns >= USUAL_AFTER_S * NS:
            seems, why = _unusual(now, usual.look)
        if seems is CameraHealth.OK:
            weight = 1.0 - math.exp(-max(0, at_ns - usual.at_ns) / NS / USUAL_TAU_S)
            age_s = (at_ns - usual.since_ns) / NS
            usual.look = usual.look.mixed(now, max(weight, 0.2 if age_s < USUAL_AFTER_S else 0.0))
        usual.at_ns = at_ns
        return seems, why

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
        self._usual = None

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


def _unusual(now: _Look, usual: _Look) -> tuple[CameraHealth, str]:
    """What a picture seems to say against the usual one."""
    gain = (float(np.median(usual.grey)) + 1.0) / (float(np.median(now.grey)) + 1.0)
    texture, before = now.parts().std(axis=(1, 3)) * gain, usual.parts().std(axis=(1, 3))
    change = np.abs(now.parts().mean(axis=(1, 3)) * gain - usual.parts().mean(axis=(1, 3)))
    textured = before > TEXTURED_LEVELS
    hidden = (texture < HIDDEN_RATIO * before) & (change > HIDDEN_LEVELS)
    # Another view has its texture elsewhere; what hides a view has none.
    lost = float((texture > TEXTURED_LEVELS).mean()) < LOST_RATIO * float(textured.mean())
    enough = lost and float(textured.mean()) >= TEXTURED_RATIO
    share = float(hidden[textured].mean()) if enough else 0.0
    if share > BLOCKED_RATIO:
        return CameraHealth.BLOCKED, f"{share * 100:.0f} % of the view hidden"
    if now.sharpness < SHARP_RATIO * usual.sharpness:
        left = now.sharpness / usual.sharpness * 100
        return CameraHealth.BLURRED, f"edges {left:.0f} % as sharp as usual"
    a, b = now.edges - now.edges.mean(), usual.edges - usual.edges.mean()
    alike = float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6))
    if alike < ALIKE_MIN:
        return CameraHealth.MOVED, f"another view: edges correlate by {alike:.2f}"
    return CameraHealth.OK, ""


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
