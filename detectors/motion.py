"""Decides which parts of a camera's road are not bare road, which move, and which stand still.

In comes a `Frame`; out goes a `Scene`: the picture at reduced size with masks of the foreground
(what differs from the learnt background) and of what has moved since the frame before.
`congestion.py` and `stopped.py` read scenes. The background is the median of the first seconds,
and after that a running median (Manzanera and Richefeu 2007, the sigma-delta filter), which
passing traffic does not bend. What stands still on road that was known bare, and has edges of its
own, is held out of it; where the edges are the background's, something has driven away and the
picture is right. OpenCV's MOG2 has no way to do either: it takes a stopped car in within half a
minute.

Laws of this file:
1. Times are the frames' own: constants are in seconds, so that 2 and 25 frames a second agree.
2. What light does to the whole picture is no foreground.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.frame import Frame
from causeway.site import Camera
from detectors.steady import Shift, Steady, steadied

NS = 1_000_000_000
AREA_PX = 320 * 180  # of the reduced picture
INTERVAL_S = 0.09  # frames that come faster are left out
GAP_S = 10.0  # after a longer pause nothing is said of movement
LEARN_RATE = 2.5  # grey levels a second by which the background may follow
LEARN_RATE_COVERED = 0.5  # under something that is not yet known to stand or to pass
LEARN_RATE_HELD = 0.02  # where something stands still: a parked car is background after an hour
LEARN_SAMPLES = 15  # of the first background, one a second
LEARN_EVERY_S = 1.0
NOISE_TAU_S = 20.0
DIFFERENT_SIGMAS = 4.0
DIFFERENT_MIN, DIFFERENT_MAX = 18.0, 60.0  # grey levels
NOISE_MAX = DIFFERENT_MAX / DIFFERENT_SIGMAS  # one that is larger is something, not noise
MOVED_LEVELS = 18.0
LIGHT_CHANGE_RATIO = 0.6  # of the whole picture at once
LAMPS_CHANGE_RATIO = 0.3  # or of the bare road, where nearly all of that became brighter, or darker
LAMPS_ONE_WAY_RATIO, LAMPS_LEVELS = 0.7, 12.0  # so much of it, by so many grey levels
# Sobel sums, a step of 25 grey levels giving 100 at its edge: the means within simulated vehicles
# are 195 to 330, within lamps' pools and wet reflections 45 to 75.
NEAR_EDGES, NEAR_PX = 100.0, 9
SOFT_S = 3.0  # a headlamp's cone has passed by then
SOFT_RATIO = 0.15  # of the road: a bus's even side near the camera is less
HIDDEN_RATE = 2.0  # seconds of stillness lost in a second behind something that moves
GONE_RATE = 10.0  # and in a second of bare road
RIM_PX = 1  # is held with them, or the background would eat its way inwards
STILL_S = 6.0  # what has not moved for so long is judged: an object, or the road that it left
OBJECT_EDGES = 0.8  # of an object, against the same edges in the background
PROVEN_S = 45.0  # the background must have been seen bare for so long, or nothing is held out of it
STANDS_OUT_RATIO = 0.06  # of the picture's height: so far a vehicle at the road's end is above it
BARE_PX_MIN = 100  # of a sixteenth of the picture, to tell the light by
BLOB_PX_MIN = 6  # of the reduced picture: less is noise

Mask = NDArray[np.bool_]
Levels = NDArray[np.float32]  # one value a pixel
Picture = NDArray[np.uint8]  # (h, w, 3) BGR, or (h, w) grey


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame as the detectors see it. Arrays are (h, w).

    `road` is the road's surface; the other masks reach as far above it as vehicles stand out.

    `learnt` says whether there is a background yet: without one there is no foreground.
    `still_s` is for how long the foreground has not moved, `dt_s` the time since the scene before,
    `scale` reduced pixels in a pixel of the frame.
    """

    at_ns: int
    dt_s: float
    scale: float
    grey: Picture
    grey_before: Picture
    road: Mask
    foreground: Mask
    moving: Mask
    still_s: Levels
    shift: Shift
    learnt: bool = True


class Motion:
    """Background, movement and stillness of one camera."""

    def __init__(self, camera: Camera, background: Picture | None = None) -> None:
        self._polygon = camera.road
        self._given = background  # learnt before, of the picture that begins
        self._steady = Steady()
        self._at_ns = 0
        self._before: Picture | None = None  # (h, w, 3), like the background
        self._samples: list[Picture] = []
        self._sampled_at_ns = 0
        self._background: Levels = np.zeros((0, 0, 3), np.float32)
        self._noise: Levels = np.zeros((0, 0), np.float32)
        self._still_s: Levels = np.zeros((0, 0), np.float32)
        self._proven_s: Levels = np.zeros((0, 0), np.float32)  # for how long it was seen bare
        self._bare: Mask = np.zeros((0, 0), np.bool_)  # what was no foreground in the last scene
        self._road: Mask = np.zeros((0, 0), np.bool_)
        self._near: Mask = np.zeros((0, 0), np.bool_)
        self._soft_s = 0.0

    @property
    def background(self) -> Picture | None:
        """The street without its traffic, (h, w, 3) BGR; None while there is none."""
        return _bytes(cv2.convertScaleAbs(self._background)) if self._background.size else None

    def see(self, frame: Frame) -> Scene | None:
        """The scene, or None where there is nothing to compare with."""
        dt_s = (frame.observed_at_ns - self._at_ns) / NS
        if self._before is not None and dt_s < INTERVAL_S:
            return None
        small, before = reduced(frame.pixels), self._before
        shift = self._steady.see(small)
        small = steadied(small, shift)
        self._at_ns, self._before = frame.observed_at_ns, small
        if before is None or before.shape != small.shape or dt_s > GAP_S:
            self._start(small)
            if self._given is not None and self._given.shape == small.shape:
                self._background = self._given.astype(np.float32)
            self._given = None
            return None
        moved = _difference(_lit_like(small, before, self._bare), before)
        if self._light_changed(small, before, moved):
            self._start(small)
        if not self._background.size:
            self._learn_first(small, frame.observed_at_ns)
            return self._unlearnt(frame, small, before, shift, dt_s)
        background = _bytes(cv2.convertScaleAbs(self._background))
        lit = _lit_like(small, background, self._bare)
        different = _difference(lit, background)
        limit = np.clip(DIFFERENT_SIGMAS * self._noise, DIFFERENT_MIN, DIFFERENT_MAX)
        foreground = _cleaned(different > limit)
        moving = _cleaned(moved > MOVED_LEVELS)
        soft = self._lit_anew(foreground & ~moving, lit, background)
        self._soft_s = self._soft_s + dt_s if soft else 0.0
        if self._soft_s >= SOFT_S:
            self._start(small)
            self._learn_first(small, frame.observed_at_ns)
            return self._unlearnt(frame, small, before, shift, dt_s)
        self._count_still(foreground, moving, dt_s)
        self._learn(small, background, different, foreground, dt_s)
        self._bare = ~foreground
        return Scene(
            at_ns=frame.observed_at_ns,
            dt_s=dt_s,
            scale=small.shape[1] / frame.pixels.shape[1],
            grey=_grey(small),
            grey_before=_grey(before),
            road=self._road,
            foreground=foreground & self._near,
            moving=moving & self._near,
            still_s=np.where(self._near, self._still_s, 0.0).astype(np.float32),
            shift=shift,
        )

    def _unlearnt(
        self, frame: Frame, small: Picture, before: Picture, shift: Shift, dt_s: float
    ) -> Scene:
        """A scene without foreground, while there is no background."""
        nothing = np.zeros(small.shape[:2], np.bool_)
        return Scene(
            at_ns=frame.observed_at_ns,
            dt_s=dt_s,
            scale=small.shape[1] / frame.pixels.shape[1],
            grey=_grey(small),
            grey_before=_grey(before),
            road=self._road,
            foreground=nothing,
            moving=nothing,
            still_s=np.zeros(small.shape[:2], np.float32),
            shift=shift,
            learnt=False,
        )

    def _light_changed(self, small: Picture, before: Picture, moved: Picture) -> bool:
        """Whether all at once another light is on the street: lightning, or its lamps.

        Lamps make pools on the road, which no gain for the whole picture evens out.
        """
        different = moved > MOVED_LEVELS
        if float(different.mean()) > LIGHT_CHANGE_RATIO:
            return True
        road = self._bare & self._road
        if int(road.sum()) < BARE_PX_MIN or float(different[road].mean()) < LAMPS_CHANGE_RATIO:
            return False
        change = _grey(small)[road].astype(np.float32) - _grey(before)[road]
        brighter, darker = (float((side > LAMPS_LEVELS).mean()) for side in (change, -change))
        return max(brighter, darker) > LAMPS_ONE_WAY_RATIO

    def _lit_anew(self, still: Mask, small: Picture, background: Picture) -> bool:
        """Whether much of the road differs without edges of its own: lamps that came on slowly.

        Vehicles have edges that the background has not; a lamp's pool is soft, and all of it is
        brighter, or darker when it goes.
        """
        road = still & self._road
        if float(road.sum()) < SOFT_RATIO * float(self._road.sum()):
            return False
        grey, learnt = _grey(small), _grey(background)
        near = cv2.blur(_own_edges(grey, learnt), (NEAR_PX, NEAR_PX))
        soft = road & (near < NEAR_EDGES) & (self._proven_s >= PROVEN_S)
        if float(soft.sum()) < SOFT_RATIO * float(self._road.sum()):
            return False
        change = grey[soft].astype(np.float32) - learnt[soft]
        return max(float((change > 0).mean()), float((change < 0).mean())) > LAMPS_ONE_WAY_RATIO

    def _start(self, small: Picture) -> None:
        """Learn the background anew: another view, or another light at once."""
        self._soft_s = 0.0
        height, width = small.shape[:2]
        self._background = np.zeros((0, 0, 3), np.float32)
        self._samples = []
        self._noise = np.full((height, width), DIFFERENT_MIN / DIFFERENT_SIGMAS, np.float32)
        self._still_s = np.zeros((height, width), np.float32)
        self._proven_s = np.zeros((height, width), np.float32)
        self._bare = np.ones((height, width), np.bool_)
        self._road = road_mask(self._polygon, height, width)
        self._near = self._road.copy()
        for _ in range(round(STANDS_OUT_RATIO * height)):
            self._near[:-1] |= self._near[1:]

    def _learn_first(self, small: Picture, at_ns: int) -> None:
        if self._samples and at_ns - self._sampled_at_ns < LEARN_EVERY_S * NS:
            return
        self._samples.append(small)
        self._sampled_at_ns = at_ns
        if len(self._samples) == LEARN_SAMPLES:
            self._background = np.median(np.stack(self._samples), axis=0).astype(np.float32)
            self._samples = []

    def _count_still(self, foreground: Mask, moving: Mask, dt_s: float) -> None:
        """A vehicle that passes before a still one must not begin its time anew."""
        change = np.array((-GONE_RATE, 1.0, -HIDDEN_RATE)) * dt_s
        kind = foreground.view(np.uint8) + (foreground & moving).view(np.uint8)
        self._still_s += change.astype(np.float32)[kind]
        np.maximum(self._still_s, 0.0, out=self._still_s)

    def _learn(
        self,
        small: Picture,
        background: Picture,
        different: Picture,
        foreground: Mask,
        dt_s: float,
    ) -> None:
        self._proven_s[~foreground] += dt_s
        held = self._still_s >= STILL_S
        if held.any():
            held = self._objects(held, small, background)
            held = grown(held, RIM_PX)
        covered = foreground & (self._proven_s >= PROVEN_S)
        kinds = np.array((LEARN_RATE, LEARN_RATE_COVERED, LEARN_RATE_HELD, LEARN_RATE_HELD)) * dt_s
        rate = kinds.astype(np.float32)[covered.view(np.uint8) + 2 * held.view(np.uint8)]
        rates = cv2.merge((rate, rate, rate))
        step = cv2.subtract(small, self._background, dtype=cv2.CV_32F)
        self._background += cv2.max(cv2.min(step, rates), -rates)
        weight = 1 - math.exp(-dt_s / NOISE_TAU_S)
        followed = cv2.addWeighted(
            self._noise, 1 - weight, different, weight, 0.0, dtype=cv2.CV_32F
        )
        something = foreground | (different > NOISE_MAX)
        np.copyto(self._noise, followed, where=~something)

    def _objects(self, still: Mask, small: Picture, background: Picture) -> Mask:
        """The still parts that are objects. One has left the others: the picture is right there."""
        now, learnt = _edges(_grey(small)), _edges(_grey(background))
        count, labels = cv2.connectedComponents(still.astype(np.uint8))
        size = np.bincount(labels.ravel(), minlength=count)
        mine = np.bincount(labels.ravel(), now.ravel(), count)
        theirs = np.bincount(labels.ravel(), learnt.ravel(), count)
        proven_s = np.bincount(labels.ravel(), self._proven_s.ravel(), count) / size
        kept = (mine > OBJECT_EDGES * theirs) & (size >= BLOB_PX_MIN) & (proven_s >= PROVEN_S)
        kept[0] = False
        objects: Mask = kept[labels]
        left = still & ~objects
        self._background[left] = small[left]
        self._still_s[left] = 0.0
        self._proven_s[left] = 0.0
        return objects


def road_mask(polygon: tuple[tuple[float, float], ...], height: int, width: int) -> Mask:
    """The road of a camera at a size of picture."""
    corners = np.array([[round(x * width), round(y * height)] for x, y in polygon], np.int32)
    filled = np.zeros((height, width), np.uint8)
    cv2.fillPoly(filled, [corners], (1,))
    return filled.astype(np.bool_)


def grown(mask: Mask, rim_px: int) -> Mask:
    """The mask with a rim around."""
    size = 2 * rim_px + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)).astype(np.bool_)


def reduced(pixels: NDArray[np.uint8]) -> Picture:
    height, width = pixels.shape[:2]
    scale = math.sqrt(AREA_PX / (height * width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return _bytes(cv2.GaussianBlur(small, (3, 3), 0))


def _lit_like(picture: Picture, other: Picture, bare: Mask) -> Picture:
    """The picture in the light of the other one: as bright in the median of what is bare in both.

    Traffic in it would else pass for a change of light.
    """
    sample = bare[::4, ::4]
    if int(sample.sum()) < BARE_PX_MIN:
        return picture
    level, wanted = _median(picture[::4, ::4][sample]), _median(other[::4, ::4][sample])
    gain = (wanted + 1.0) / (level + 1.0)
    return _bytes(cv2.convertScaleAbs(picture, alpha=min(max(gain, 0.5), 2.0)))


def _median(levels: Picture) -> int:
    """By counting: five times as fast as by sorting."""
    counts = np.bincount(levels.ravel(), minlength=256).cumsum()
    return int(counts.searchsorted((counts[-1] + 1) // 2))


def _difference(a: Picture, b: Picture) -> Picture:
    """(h, w): the largest difference of the three colours."""
    blue, green, red = cv2.split(cv2.absdiff(a, b))
    return _bytes(cv2.max(cv2.max(blue, green), red))


def _cleaned(mask: Mask) -> Mask:
    """Without specks, such as rain makes, and without small holes."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return closed.astype(np.bool_)


def _grey(picture: Picture) -> Picture:
    return _bytes(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def _edges(grey: Picture) -> Levels:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.abs(across) + np.abs(down)


def _own_edges(grey: Picture, other: Picture) -> Levels:
    """How much the gradient differs from the other picture's, |dx| + |dy|."""
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0) - cv2.Sobel(other, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1) - cv2.Sobel(other, cv2.CV_32F, 0, 1)
    return np.asarray(np.abs(across) + np.abs(down), np.float32)


def _bytes(array: NDArray[Any]) -> Picture:
    """OpenCV does not say which type it gives; no copy is made."""
    return np.asarray(array, np.uint8)
