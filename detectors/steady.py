"""Decides how far the picture has shifted against the one that a camera began with.

In come reduced pictures; out goes a `Shift` in their pixels, found by phase correlation (Kuglin and
Hines 1975), and the pictures moved back by it: a mast sways in the wind, a hand trembles. Vehicles
that move together give the correlation a peak of their own, so a shift is believed only where
moving the picture back by it makes it more like the first one than leaving it where it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.tracks import Sighting

Picture = NDArray[np.uint8]

WIDTH_PX = 160  # of the picture that is correlated
PEAK_MIN = 0.04  # of 1: pictures that share nothing have 0.01 to 0.04 at this size
EXPLAINED_RATIO = 0.85  # of the difference that is left: less is chance
ANCHOR_SHARE = 0.12  # of the width: further off less than 3/4 of the view is common
DIFFERENCE_MAX = 30.0  # grey levels: twice the contrast of asphalt and its markings' blur
JUMP_SHARE = 0.03  # of the width from one picture to the next: a mast's sway is less
EXPLAINED_MAX = DIFFERENCE_MAX / 2  # a true shift brings most edges together
POINTS, POINTS_MIN, POINTS_AGREE_MIN = 120, 20, 0.5  # corners of the street, followed
STILL_PX = 0.35  # of the reduced picture: less than a pixel's quantisation is no shift


@dataclass(frozen=True, slots=True)
class Shift:
    """Where the picture's content has gone, in pixels; `sure` is the correlation's peak, 0 to 1."""

    x: float
    y: float
    sure: float
    turn: tuple[float, float] = (1.0, 0.0)  # scale times cosine and sine of the rotation


class Steady:
    """One camera's shift."""

    def __init__(self) -> None:
        self._reference: NDArray[np.float32] | None = None
        self._window: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._anchor = (0.0, 0.0)  # where the reference itself stands
        self._last = Shift(0.0, 0.0, 1.0)
        self._first: Picture = np.zeros((0, 0), np.uint8)  # grey
        self._points: NDArray[np.float32] = np.zeros((0, 1, 2), np.float32)
        self._doubted: Shift | None = None  # a jump that the next picture must repeat

    def see(self, picture: Picture) -> Shift:
        """The shift of a reduced picture (h, w, 3) BGR against the first."""
        scale = picture.shape[1] / WIDTH_PX
        grey = _small_grey(picture, scale)
        if self._reference is None or self._reference.shape != grey.shape:
            self._reference = grey
            self._window = np.asarray(
                cv2.createHanningWindow((grey.shape[1], grey.shape[0]), cv2.CV_32F), np.float32
            )
            self._anchor = (0.0, 0.0)
            self._last = Shift(0.0, 0.0, 1.0)
            self._first = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
            points = cv2.goodFeaturesToTrack(self._first, POINTS, 0.01, 6)
            corners = np.asarray(() if points is None else points, np.float32)
            self._points = corners.reshape(-1, 1, 2)
            return self._last
        (x, y), peak = cv2.phaseCorrelate(self._reference, grey, self._window)
        if peak < PEAK_MIN:
            return Shift(self._last.x, self._last.y, peak)
        last = ((self._last.x - self._anchor[0]) / scale, (self._last.y - self._anchor[1]) / scale)
        rim = round(max(abs(x), abs(y), abs(last[0]), abs(last[1]))) + 1
        if 4 * rim > grey.shape[0]:
            return Shift(self._last.x, self._last.y, peak)
        left = self._difference(grey, (x, y), rim)
        most = min(EXPLAINED_MAX, EXPLAINED_RATIO * self._difference(grey, last, rim))
        if left > most:
            return Shift(self._last.x, self._last.y, peak)
        found = Shift(self._anchor[0] + x * scale, self._anchor[1] + y * scale, peak)
        before, self._doubted = self._doubted, None
        jumps = _apart(found, self._last) > JUMP_SHARE * picture.shape[1]
        if jumps and (before is None or _apart(found, before) > JUMP_SHARE * picture.shape[1]):
            self._doubted = found
            return Shift(self._last.x, self._last.y, peak)
        if math.hypot(x, y) > ANCHOR_SHARE * WIDTH_PX:
            self._reference, self._anchor = grey, (found.x, found.y)
        self._last = found
        return self._turned(picture, found)

    def _turned(self, picture: Picture, shift: Shift) -> Shift:
        """With rotation and scale, by points that are followed from the first picture (Lucas and
        Kanade 1981; Shi and Tomasi 1994), where enough of them agree."""
        if math.hypot(shift.x, shift.y) < STILL_PX or not len(self._points):
            return shift
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        guess = self._points + np.array([shift.x, shift.y], np.float32)
        now, seen, _ = cv2.calcOpticalFlowPyrLK(
            self._first, grey, self._points, guess.copy(), flags=cv2.OPTFLOW_USE_INITIAL_FLOW
        )
        kept = seen.ravel() == 1
        if int(kept.sum()) < POINTS_MIN:
            return shift
        matrix, agreeing = cv2.estimateAffinePartial2D(
            self._points[kept], now[kept], ransacReprojThreshold=1.0
        )
        if matrix is None or float(agreeing.mean()) < POINTS_AGREE_MIN:
            return shift
        (a, _, x), (b, _, y) = matrix.tolist()
        return Shift(x, y, shift.sure, (a, b))

    def _difference(self, grey: NDArray[np.float32], shift: tuple[float, float], rim: int) -> float:
        """Mean at the reference's edges, each bounded: traffic must not outweigh the street."""
        assert self._reference is not None
        height, width = grey.shape
        back = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]], np.float32)
        moved = cv2.warpAffine(grey, back, (width, height))
        inner = (slice(rim, height - rim), slice(rim, width - rim))
        kept = self._reference[inner]
        across, down = cv2.Sobel(kept, cv2.CV_32F, 1, 0), cv2.Sobel(kept, cv2.CV_32F, 0, 1)
        edges = np.abs(across) + np.abs(down)
        apart = np.minimum(cv2.absdiff(moved[inner], kept), DIFFERENCE_MAX)
        return float((edges * apart).sum() / edges.sum())


def _apart(a: Shift, b: Shift) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)


def steadied(picture: Picture, shift: Shift) -> Picture:
    """The picture moved back; what comes in at a rim repeats the rim."""
    if math.hypot(shift.x, shift.y) < STILL_PX:
        return picture
    a, b = shift.turn
    there = np.array([[a, -b, shift.x], [b, a, shift.y]], np.float32)
    size = (picture.shape[1], picture.shape[0])
    moved = cv2.warpAffine(
        picture,
        there,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.uint8)


def unshifted(sighting: Sighting, shift: Shift) -> Sighting:
    """Where it would be in the first picture."""
    if math.hypot(shift.x, shift.y) < STILL_PX:
        return sighting
    a, b = shift.turn
    x, foot = sighting.x - shift.x, sighting.foot - shift.y
    size = a * a + b * b
    return sighting._replace(x=(a * x + b * foot) / size, foot=(a * foot - b * x) / size)


def _small_grey(picture: Picture, scale: float) -> NDArray[np.float32]:
    size = (WIDTH_PX, round(picture.shape[0] / scale))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
