"""Decides how much a camera's road looks like one under water.

In come a camera's background (`motion.py`: the street without its traffic) and the mask of its
road; out goes a `RoadWaterMeasured` every ten seconds with two signs. Sheen: standing water mirrors
the sky, so that a patch of it is brighter and bluer than the road nearer to the camera, and even.
Markings hidden: what is painted on a road is not seen through murky water, while the edges around
the road keep their strength, which fog, dusk and a wet lens do not leave them. Neither is certain:
`control/water_on_road.py` weighs them with the street's gauge and the rain before anything is told.

What is usual is learnt within minutes and forgotten over hours, so that markings that are painted
over, or worn, are not missed for long; water that stays for a day is then no longer seen here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from causeway.events import RoadWaterMeasured

NS = 1_000_000_000
EVERY_S = 10.0
WIDTH_PX = 320
MARGIN_SHARE = 0.06  # of the height, above and below: cameras write there
ROW_PX_MIN = 8  # of road, or nothing is told of a row
NEARER_SHARE = 0.3  # of the height: so far below a place is the road that it is compared with
# Levels of OpenCV's 8-bit CIE Lab. A patch of sky in a road stands out by 10 to 60 in lightness and
# by 3 to 12 towards blue; the haze over a dry road's far end by lightness alone. The two make one
# sum, in which 10 levels of light count as 3 of blue; each must have a share in it.
LIGHT_WEIGHT, BLUE_WEIGHT, SHEEN_MIN = 0.1, 0.33, 3.0
LIGHT_MIN, BLUE_MIN = 5.0, 1.5
EVEN_GRADIENT_MAX = 6.0  # levels a pixel, in the median: a vehicle's and a sign's parts have more
PATCH_SHARE_MIN = 0.004  # of the road: less is a marking, a cover, a far lamp
MARKING_GRADIENT_MIN = 0.08  # of the mean grey level, a pixel: a worn line's, blurred
MARKINGS_PX_MIN = 60  # on the road, and around it: with fewer nothing is told of hidden ones
CELL_PX = 10  # parts of the road of which each says whether its markings are there
HIDDEN_RATIO = 0.4  # of the usual pattern's strength, and of what is left around the road
AROUND_RATIO_MIN = 0.4  # with less of its surroundings left it is the light or the air
LEARN_S = 60.0
USUAL_TAU_S, HIDDEN_TAU_S = 2 * 3_600.0, 12 * 3_600.0  # the second where much of it is hidden
MUCH_HIDDEN = 0.3

Levels = NDArray[np.float32]
Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]


class _Gradient(NamedTuple):
    """Of the grey levels by their mean, right and down, (h, w) each."""

    x: Levels
    y: Levels

    def strength(self) -> Levels:
        return np.asarray(np.hypot(self.x, self.y), np.float32)


class WaterOnRoad:
    """Signs of water on one camera's road."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._measured_ns = 0
        self._since_ns = 0
        self._usual: _Gradient | None = None

    def due(self, at_ns: int) -> bool:
        """Whether it wants to see the background again."""
        return not 0 <= at_ns - self._measured_ns < EVERY_S * NS

    def see(self, background: Picture, road: Mask, at_ns: int) -> RoadWaterMeasured:
        """The signs in a background (h, w, 3) BGR."""
        dt_s = (at_ns - self._measured_ns) / NS if self._measured_ns else 0.0
        self._measured_ns = at_ns
        hidden = self._hidden(background, road, at_ns, dt_s)
        return RoadWaterMeasured(
            camera=self._camera,
            observed_at_ns=at_ns,
            sheen_ratio=round(sheen_ratio(background, road), 4),
            hidden_ratio=round(hidden, 3),
        )

    def _hidden(self, background: Picture, road: Mask, at_ns: int, dt_s: float) -> float:
        """The share of the road's markings that is gone, while its surroundings are as usual."""
        now, usual = _gradient(background), self._usual
        if usual is None or usual.x.shape != now.x.shape or dt_s < 0:
            self._usual, self._since_ns = now, at_ns
            return 0.0
        age_s = (at_ns - self._since_ns) / NS
        hidden = hidden_ratio(now, usual, road) if age_s >= LEARN_S else 0.0
        tau_s = LEARN_S if age_s < LEARN_S else USUAL_TAU_S
        tau_s = HIDDEN_TAU_S if hidden >= MUCH_HIDDEN else tau_s
        weight = np.float32(1.0 - math.exp(-min(dt_s, 2 * EVERY_S) / tau_s))
        self._usual = _Gradient(
            usual.x + weight * (now.x - usual.x), usual.y + weight * (now.y - usual.y)
        )
        return hidden


def hidden_ratio(now: _Gradient, usual: _Gradient, road: Mask) -> float:
    """How much of the usual edges' pattern is gone from the road and is left around it.

    The pattern, and not its strength: what water mirrors has edges of its own.
    """
    marked = usual.strength() >= MARKING_GRADIENT_MIN
    on, around = marked & road, marked & ~road
    if min(int(on.sum()), int(around.sum())) < MARKINGS_PX_MIN:
        return 0.0
    same = now.x * usual.x + now.y * usual.y
    whole = usual.x**2 + usual.y**2
    left_around = float(same[around].sum() / whole[around].sum())
    if left_around < AROUND_RATIO_MIN:
        return 0.0
    size = (-(-road.shape[1] // CELL_PX), -(-road.shape[0] // CELL_PX))
    kept, had = (
        cv2.resize(np.where(on, part, 0.0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for part in (same, whole)
    )
    marked_cells = had > 0.0
    gone = kept < HIDDEN_RATIO * min(1.0, left_around) * had
    return float(had[marked_cells & gone].sum() / had[marked_cells].sum())


def sheen_ratio(picture: Picture, road: Mask) -> float:
    """The share of a road (h, w) that mirrors the sky, in a picture (h, w, 3) BGR."""
    return float(_sheen(picture, road).sum()) / max(1, int(road.sum()))


def road_reduced(picture: Picture, road: Mask) -> tuple[Picture, Mask]:
    """A whole frame and its road at the size in which sheen is looked for."""
    size = (WIDTH_PX, round(picture.shape[0] * WIDTH_PX / picture.shape[1]))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(road.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, np.uint8), mask.astype(np.bool_)


def _sheen(picture: Picture, road: Mask) -> Mask:
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.2)
    light, _, yellow = (
        np.asarray(part, np.float32) for part in cv2.split(cv2.cvtColor(smooth, cv2.COLOR_BGR2Lab))
    )
    rim = round(len(road) * MARGIN_SHARE)
    road = road.copy()
    road[:rim], road[len(road) - rim :] = False, False
    brighter = light - _nearer(light, road)
    bluer = _nearer(yellow, road) - yellow
    with np.errstate(invalid="ignore"):
        seems = LIGHT_WEIGHT * brighter + BLUE_WEIGHT * bluer > SHEEN_MIN
        seems &= (brighter > LIGHT_MIN) & (bluer > BLUE_MIN) & road
    opened = cv2.morphologyEx(seems.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    across, down = (cv2.Sobel(light, cv2.CV_32F, x, y, scale=0.25) for x, y in ((1, 0), (0, 1)))
    gradient = np.hypot(across, down)
    kept = stats[:, cv2.CC_STAT_AREA] >= PATCH_SHARE_MIN * road.sum()
    kept[0] = False
    for label in np.flatnonzero(kept).tolist():
        kept[label] = np.median(gradient[labels == label]) < EVEN_GRADIENT_MAX
    patches: Mask = kept[labels]
    return patches


def _nearer(levels: Levels, road: Mask) -> Levels:
    """By row, (h, 1): the median of the road there and in the rows that are nearer; nan: none."""
    rows = _medians(np.where(road, levels, np.nan), ROW_PX_MIN)
    span = max(1, int(NEARER_SHARE * len(road)))
    below = np.concatenate([rows, np.full(span - 1, np.nan, np.float32)])
    found = _medians(sliding_window_view(below, span), 1)
    return np.where(np.isnan(rows), np.nan, found)[:, None].astype(np.float32)


def _medians(levels: NDArray[np.floating], least: int) -> Levels:
    """Of each row without its nans; nan where there are too few. Numpy's own is slow here."""
    ordered = np.sort(levels, axis=1)  # nans come last
    counts = np.count_nonzero(~np.isnan(ordered), axis=1)
    rows = np.arange(len(ordered))
    middle = (ordered[rows, (counts - 1) // 2] + ordered[rows, counts // 2 % levels.shape[1]]) / 2
    return np.where(counts >= least, middle, np.nan).astype(np.float32)


def _gradient(picture: Picture) -> _Gradient:
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.float32)
    grey /= float(grey.mean()) + 1.0
    across, down = (cv2.Sobel(grey, cv2.CV_32F, x, y, scale=0.25) for x, y in ((1, 0), (0, 1)))
    return _Gradient(np.asarray(across, np.float32), np.asarray(down, np.float32))
