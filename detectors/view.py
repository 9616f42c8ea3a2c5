"""Decides what a camera looks at, from what drives there: the road, its directions, the sizes.

In come tracks; out goes a `View`: cells of the picture with the direction and speed of what drives
in them, how many did and how well they agree; the size of vehicles by the height of their foot in
the picture; and the line at which they are counted. A camera's description may give the road; what
it does not say is learnt here. A cell's direction is a vote of tracks, one track one vote, so that
one that stands or turns for long has no more weight than one that passes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.tracks import Place, Track

CELL_PX = 10
MOVED_SIZES = 2.0  # a track that has not moved by twice its own size tells no direction
WAITED_S = 3.0
STOOD_SIZES = 0.25  # of its size: what has not moved further has stood
BOTH_SHARE = 0.1  # of those who pass the line its way: fewer the other way are riders against it
ALIKE_AREAS = 2.5
SAME_WAY = 0.5  # cosine of 60 degrees
DEPTH_RATIO = 0.3  # of a length on the road, seen 17 degrees from above
WAYS_MAX = 400  # are remembered one by one
STRAIGHT_RATIO = 0.7  # of its way's length: what wanders is no vehicle
LASTED_S = 0.6
STEP_SIZES = 0.5  # along its way: a vote is made of steps so long
KNOWN_TRACKS = 3  # so many must have passed a cell's surroundings
ROAD_TRACKS = 2
BEST_RATIO = 0.9  # of the best: places as good for counting

Cells = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Direction:
    """Unit vector, pixels a second, how many tracks, and their agreement, 0 to 1."""

    x: float
    y: float
    speed: float
    tracks: float
    agreement: float


UNKNOWN = Direction(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class CountLine:
    """The places p with p . (x, y) = at; (x, y) is the direction of travel, a unit vector.

    `both` says whether others come over it the other way.
    """

    x: float
    y: float
    at: float
    both: bool = False

    def side(self, x: float, y: float) -> float:
        """Pixels beyond the line."""
        return x * self.x + y * self.y - self.at


class View:
    """What a camera looks at; (rows, columns) of cells."""

    def __init__(self, height: int, width: int) -> None:
        self.shape = (height, width)
        rows, columns = -(-height // CELL_PX), -(-width // CELL_PX)
        self.learnt = 0  # tracks that have taught it
        self.tracks: Cells = np.zeros((rows, columns))
        self.sum_x: Cells = np.zeros((rows, columns))
        self.sum_y: Cells = np.zeros((rows, columns))
        self.sum_speed: Cells = np.zeros((rows, columns))
        self._steps: deque[NDArray[np.float64]] = deque(maxlen=WAYS_MAX)  # x, foot, unit vector
        self.waited: Cells = np.zeros((rows, columns))  # tracks that stood and drove on
        self._ways: deque[NDArray[np.float64]] = deque(
            maxlen=WAYS_MAX
        )  # (n, 3) places and sizes of each track
        self._sizes: deque[tuple[float, float, float]] = deque(
            maxlen=WAYS_MAX
        )  # foot, width, height
        self._all_steps: NDArray[np.float64] | None = None  # of all ways, with the way's number
        self._line: CountLine | None = None
        self._fit: tuple[float, float, float, float] | None = None

    def learn(self, track: Track) -> None:
        """A track that is over."""
        if not track.confirmed:
            return
        places = list(track.places)
        self._learn_waiting(places)
        size = float(np.median([max(p.width, p.height) for p in places]))
        middle = places[len(places) // 2]
        if _net(places) < MOVED_SIZES * size or track.seen_s < LASTED_S:
            return
        path = sum(_net([a, b]) for a, b in pairwise(places[::2]))
        if _net(places) < STRAIGHT_RATIO * path:
            return
        seen: dict[tuple[int, int], tuple[float, float, float]] = {}
        steps: list[tuple[float, float, float, float]] = []
        last = places[0]
        for place in places[1:]:
            dx, dy = place.x - last.x, place.middle - last.middle
            step, dt_s = math.hypot(dx, dy), (place.at_ns - last.at_ns) / 1e9
            if step < STEP_SIZES * min(place.width, place.height) or dt_s <= 0:
                continue
            for cell in self._between(last, place):
                seen[cell] = (dx / step, dy / step, step / dt_s)
            steps.append((place.x, place.foot, dx / step, dy / step))
            last = place
        self.learnt += 1
        if steps:
            self._steps.append(np.array(steps))
            self._all_steps = None
        for (row, column), (x, y, speed) in seen.items():
            self.tracks[row, column] += 1
            self.sum_x[row, column] += x
            self.sum_y[row, column] += y
            self.sum_speed[row, column] += speed
        whole = [p for p in places if self.whole(p)]
        if len(whole) >= 2:
            self._ways.append(np.array([[p.x, p.middle, max(p.width, p.height)] for p in whole]))
        self._sizes.append((middle.foot, middle.width, middle.height))
        self._line = self._fit = None

    def direction(self, x: float, y: float) -> Direction:
        """What drives there and around."""
        row, column = int(y // CELL_PX), int(x // CELL_PX)
        rows = slice(max(0, row - 1), max(0, row + 2))
        columns = slice(max(0, column - 1), max(0, column + 2))
        tracks = float(self.tracks[rows, columns].max(initial=0.0))
        total = float(self.tracks[rows, columns].sum())
        if not total:
            return UNKNOWN
        sum_x = float(self.sum_x[rows, columns].sum())
        sum_y = float(self.sum_y[rows, columns].sum())
        length = math.hypot(sum_x, sum_y)
        if not length:
            return UNKNOWN
        speed = float(self.sum_speed[rows, columns].sum()) / total
        return Direction(sum_x / length, sum_y / length, speed, tracks, length / total)

    def passed(
        self, path: Sequence[Place], way_x: float, way_y: float, reach: float
    ) -> tuple[int, int]:
        """How many tracks have passed within reach of a path in a direction, and in its reverse.

        Within 60 degrees of it; what crosses is neither.
        """
        if self._all_steps is None:
            owners = [np.full((len(w), 1), n) for n, w in enumerate(self._steps)]
            ways = [np.hstack([w, o]) for w, o in zip(self._steps, owners, strict=True)]
            self._all_steps = np.concatenate(ways) if ways else np.zeros((0, 5))
        places = np.array([[p.x, p.foot] for p in path])
        # Across a way that goes sideways in the picture lies depth, which the picture shortens.
        reach_x_y = np.array([reach, reach * (DEPTH_RATIO + (1.0 - DEPTH_RATIO) * abs(way_y))])
        low, high = places.min(axis=0) - reach_x_y, places.max(axis=0) + reach_x_y
        steps = self._all_steps
        steps = steps[((steps[:, :2] >= low) & (steps[:, :2] <= high)).all(axis=1)]
        apart = (steps[:, None, :2] - places[None]) / reach_x_y
        steps = steps[(np.square(apart).sum(axis=2) <= 1.0).any(axis=1)]
        owner = steps[:, 4].astype(np.int64)
        near = np.bincount(owner)
        along = np.bincount(owner, steps[:, 2] * way_x + steps[:, 3] * way_y) / np.maximum(near, 1)
        return int((along > SAME_WAY).sum()), int((along < -SAME_WAY).sum())

    def whole(self, place: Place) -> bool:
        """Whether the picture's edge does not cut it."""
        height, width = self.shape
        left, top = place.x - place.width / 2, place.foot - place.height
        return left > 1 and top > 1 and left + place.width < width - 1 and place.foot < height - 1

    def waits(self, x: float, y: float, times: int = 1) -> bool:
        """Whether vehicles have stood there for a while and driven on, so many times."""
        row, column = int(y // CELL_PX), int(x // CELL_PX)
        near = self.waited[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        return bool(near.max(initial=0.0) >= times)

    def _learn_waiting(self, places: Sequence[Place]) -> None:
        """Where it stood for `WAITED_S` before it moved on by its own size."""
        start = 0
        for n, place in enumerate(places):
            size = max(place.width, place.height)
            if _net([places[start], place]) <= STOOD_SIZES * size:
                continue
            stood_s = (places[n - 1].at_ns - places[start].at_ns) / 1e9
            drove = _net([places[start], places[-1]]) >= size
            if stood_s >= WAITED_S and drove and _alike(places[start], place):
                for row, column in self._between(places[start], places[start]):
                    self.waited[row, column] += 1
            start = n

    def expected(self, x: float, y: float) -> tuple[float, float]:
        """The velocity of what drives there, pixels a second; nought where it is not known."""
        found = self.direction(x, y)
        if found.tracks < KNOWN_TRACKS or found.agreement < 0.5:
            return 0.0, 0.0
        return found.x * found.speed, found.y * found.speed

    def road(self) -> NDArray[np.bool_]:
        """(h, w): where tracks have passed, without holes."""
        driven = (self.tracks >= ROAD_TRACKS).astype(np.uint8)
        grown = cv2.morphologyEx(driven, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        size = (driven.shape[1] * CELL_PX, driven.shape[0] * CELL_PX)
        full = cv2.resize(grown, size, interpolation=cv2.INTER_NEAREST)
        return np.asarray(full[: self.shape[0], : self.shape[1]], np.bool_)

    def on_road(self, x: float, y: float) -> bool:
        """Whether as many have passed there, or in a cell beside it, or left and right of it.

        What has been seen for a short while has driven on some lanes only.
        """
        row, column = int(y // CELL_PX), int(x // CELL_PX)
        near = self.tracks[max(0, row - 1) : row + 2].max(axis=0, initial=0.0) >= ROAD_TRACKS
        return bool(near[: column + 2].any() and near[max(0, column - 1) :].any())

    def driven(self, x: float, y: float) -> bool:
        """Whether as many have passed just there."""
        row, column = int(y // CELL_PX), int(x // CELL_PX)
        rows, columns = self.tracks.shape
        inside = 0 <= row < rows and 0 <= column < columns
        return inside and bool(self.tracks[row, column] >= ROAD_TRACKS)

    def small_road(self, height_px: float) -> tuple[float, float] | None:
        """The middle (x, y) of the road where vehicles are lower than that; None: nowhere."""
        rows, columns = np.nonzero(self.tracks >= ROAD_TRACKS)
        small = [
            (c, r)
            for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
            if (size := self.size((r + 1.0) * CELL_PX)) is not None and size[1] < height_px
        ]
        if not small:
            return None
        x, y = np.median(np.array(small), axis=0)
        return float((x + 0.5) * CELL_PX), float((y + 0.5) * CELL_PX)

    def size(self, foot: float) -> tuple[float, float] | None:
        """Width and height of what drives with its foot there: a line through medians."""
        if len(self._sizes) < KNOWN_TRACKS:
            return None
        if self._fit is None:
            feet, widths, heights = (np.array(v) for v in zip(*self._sizes, strict=True))
            self._fit = (*_line_of(feet, widths), *_line_of(feet, heights))
        a, b, c, d = self._fit
        return max(2.0, a + b * foot), max(2.0, c + d * foot)

    @property
    def line(self) -> CountLine | None:
        """Across the direction of travel, where many tracks pass and their vehicles are large.

        Large ones are well apart: the best place has the greatest sum of sizes.
        """
        if self._line is None and len(self._ways) >= KNOWN_TRACKS:
            self._line = self._best_line()
        return self._line

    def _best_line(self) -> CountLine:
        ends = np.array([way[-1, :2] - way[0, :2] for way in self._ways])
        ends /= np.maximum(np.hypot(ends[:, 0], ends[:, 1]), 1e-6)[:, None]
        main = ends[int(np.argmax((ends @ ends.T).sum(axis=1)))]  # whom most agree with
        main = ends[ends @ main > 0.5].mean(axis=0)
        # Of a camera without roll, level lines are at one distance and upright ones in one bearing.
        level = abs(main[1]) > abs(main[0])
        main = np.array([0.0, np.sign(main[1])] if level else [np.sign(main[0]), 0.0])
        alongs = [way[:, :2] @ main for way in self._ways]
        tried = np.linspace(min(a.min() for a in alongs), max(a.max() for a in alongs), 90)
        sizes = np.zeros(len(tried))
        for way, along in zip(self._ways, alongs, strict=True):
            over = (along.min() < tried) & (tried <= along.max())
            nearest = np.abs(along[:, None] - tried[None, :]).argmin(axis=0)
            sizes += over * way[nearest, 2]
        good = np.flatnonzero(sizes >= BEST_RATIO * sizes.max())
        runs = np.split(good, np.flatnonzero(np.diff(good) > 1) + 1)
        run = max(runs, key=lambda r: float(sizes[r].max()))
        at = float((tried[run[0]] + tried[run[-1]]) / 2)
        over = [int(a[-1] > at) - int(a[0] > at) for a in alongs]
        both = over.count(-1) >= max(KNOWN_TRACKS, BOTH_SHARE * over.count(1))
        return CountLine(float(main[0]), float(main[1]), at, both)

    def _between(self, a: Place, b: Place) -> set[tuple[int, int]]:
        """The cells that it has covered on its way."""
        rows, columns = self.tracks.shape
        steps = max(1, int(_net([a, b]) // CELL_PX) + 1)
        found = set()
        for n in range(steps + 1):
            share = n / steps
            x, foot = a.x + (b.x - a.x) * share, a.foot + (b.foot - a.foot) * share
            across = range(
                max(0, int((x - a.width / 2) // CELL_PX)),
                min(columns, int((x + a.width / 2) // CELL_PX) + 1),
            )
            down = range(
                max(0, int((foot - a.height) // CELL_PX)), min(rows, int(foot // CELL_PX) + 1)
            )
            found |= {(row, column) for row in down for column in across}
        return found


def _net(places: Sequence[Place]) -> float:
    first, last = places[0], places[-1]
    return math.hypot(last.x - first.x, last.middle - first.middle)


def _alike(a: Place, b: Place) -> bool:
    """Whether one thing may have both sizes: a driver who walks from a car has not its own."""
    return 1 / ALIKE_AREAS <= (a.width * a.height) / (b.width * b.height) <= ALIKE_AREAS


def _line_of(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Offset and slope through the medians of the halves; flat where the halves are close."""
    order = np.argsort(x)
    low, high = order[: len(order) // 2], order[len(order) // 2 :]
    x0, x1 = float(np.median(x[low])), float(np.median(x[high]))
    y0, y1 = float(np.median(y[low])), float(np.median(y[high]))
    if x1 - x0 < 2 * CELL_PX:
        return float(np.median(y)), 0.0
    slope = (y1 - y0) / (x1 - x0)
    return y0 - slope * x0, slope
