"""Decides which sightings of successive pictures are the same thing: multi-object tracking.

In come the sightings of each picture, whatever saw them; out go tracks with place, size and speed.
Each track is a Kalman filter of constant velocity, whose noise is in the thing's own heights, so
that near and far are treated alike; sightings go to tracks by least overlap cost (the Hungarian
method), the sure ones first and the doubtful ones to what is left (ByteTrack: Zhang et al. 2022),
with boxes widened by a share of their size, since at a few pictures a second a vehicle may clear
its own length (C-BIoU: Yang et al. 2023). Coordinates are pixels of the steadied reduced picture.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

NS = 1_000_000_000
SURE = 0.5  # of a sighting's score; what is less may carry a track on, never begin one
WIDENED = (0.3, 0.6)  # of its size to each side: first try, and second
WIDENED_NEW = 1.0  # of a track that was seen once, so that its speed is not known
# Heights a second squared. A vehicle at 15 m/s, 15 m before a mast of 8 m, seems to speed up by
# 2 (v/Z)^2 H/h = 11 of its heights of 1.5 m; braking at 4.5 m/s2 is 3.
ACCELERATION_H_S2 = 10.0
MEASURED_H = 0.08  # heights: one standard deviation of a box's place
SPEED_H_S = 8.0  # heights a second: of a new track, 12 m/s
CONFIRMED_HITS = 3
LOST_S = 1.0  # a track that was not seen for so long is over; a new one, for a third of it
LOST_STANDING_S = 4.0  # one that stands is where it was when what hides it has passed
STANDS_H_S = 0.3  # heights a second
SIZE_TAU_S = 0.2
HISTORY_MAX = 600
TRACKS_MAX = 200


class Sighting(NamedTuple):
    """Something seen in one picture: its middle, its foot, its size, how sure, and what."""

    x: float
    foot: float
    width: float
    height: float
    score: float = 1.0
    kind: str = ""  # motorbike, car, bus, truck, bicycle, person; empty: not known


class Place(NamedTuple):
    """Where a track was seen."""

    at_ns: int
    x: float
    foot: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.foot - self.height / 2


@dataclass(slots=True)
class Track:
    """A thing that moves or stands. Speeds are pixels a second; `hits` are its sightings."""

    number: int
    at_ns: int
    x: float
    foot: float
    width: float
    height: float
    vx: float = 0.0
    vy: float = 0.0
    hits: int = 1
    missed_s: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    places: deque[Place] = field(default_factory=lambda: deque(maxlen=HISTORY_MAX))
    variance: tuple[float, float, float] = (1.0, 0.0, 1.0)  # place, both, speed

    @property
    def confirmed(self) -> bool:
        return self.hits >= CONFIRMED_HITS

    @property
    def middle(self) -> float:
        """The height of its middle in the picture."""
        return self.foot - self.height / 2

    @property
    def kind(self) -> str:
        return self.kinds.most_common(1)[0][0] if self.kinds else ""

    @property
    def seen_s(self) -> float:
        return (self.at_ns - self.places[0].at_ns) / NS

    def since(self, seconds: float) -> Place:
        """Where it was so many seconds ago, or when it was first seen."""
        wanted_ns = self.at_ns - round(seconds * NS)
        for place in reversed(self.places):
            if place.at_ns <= wanted_ns:
                return place
        return self.places[0]


Expected = Callable[[float, float], tuple[float, float]]  # a velocity, by what drives there


def _no_idea(x: float, y: float) -> tuple[float, float]:
    return 0.0, 0.0


class Tracks:
    """All tracks of one camera. `ended` are those that the last picture ended."""

    def __init__(self, expected: Expected = _no_idea) -> None:
        self.live: list[Track] = []
        self.ended: list[Track] = []
        self.expected = expected
        self._number = 0
        self._at_ns = 0

    def see(self, sightings: Sequence[Sighting], at_ns: int) -> list[Track]:
        """The tracks after one more picture."""
        dt_s = (at_ns - self._at_ns) / NS if self._at_ns else 0.0
        self._at_ns = at_ns
        for track in self.live:
            _predict(track, dt_s)
        sure = [s for s in sightings if s.score >= SURE]
        doubtful = [s for s in sightings if s.score < SURE]
        free, tracks = self._assign(sure, list(self.live), at_ns, dt_s, WIDENED[0])
        free, tracks = self._assign(free, tracks, at_ns, dt_s, WIDENED[1])
        _, tracks = self._assign(doubtful, tracks, at_ns, dt_s, WIDENED[0])
        for track in tracks:
            track.missed_s += dt_s
        self.ended = [t for t in self.live if t.missed_s > _lost_s(t)]
        self.live = [t for t in self.live if t.missed_s <= _lost_s(t)]
        for sighting in free[: TRACKS_MAX - len(self.live)]:
            self._begin(sighting, at_ns)
        return self.live

    def _assign(
        self,
        sightings: list[Sighting],
        tracks: list[Track],
        at_ns: int,
        dt_s: float,
        widened: float,
    ) -> tuple[list[Sighting], list[Track]]:
        """Give sightings to tracks; what is left of both."""
        if not sightings or not tracks:
            return sightings, tracks
        overlap = _overlap(tracks, sightings, widened)
        rows, columns = linear_sum_assignment(-overlap)
        taken_tracks, taken = set(), set()
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if overlap[row, column] > 0.0:
                _update(tracks[row], sightings[column], at_ns, dt_s)
                taken_tracks.add(row)
                taken.add(column)
        return (
            [s for n, s in enumerate(sightings) if n not in taken],
            [t for n, t in enumerate(tracks) if n not in taken_tracks],
        )

    def _begin(self, s: Sighting, at_ns: int) -> None:
        self._number += 1
        vx, vy = self.expected(s.x, s.foot - s.height / 2)
        unit = max(s.height, 2.0)
        track = Track(self._number, at_ns, s.x, s.foot, s.width, s.height, vx, vy)
        track.variance = ((MEASURED_H * unit) ** 2, 0.0, (SPEED_H_S * unit) ** 2)
        track.places.append(Place(at_ns, s.x, s.foot, s.width, s.height))
        if s.kind:
            track.kinds[s.kind] += 1
        self.live.append(track)


def _lost_s(track: Track) -> float:
    if not track.confirmed:
        return LOST_S / 3
    stands = math.hypot(track.vx, track.vy) < STANDS_H_S * track.height
    return LOST_STANDING_S if stands else LOST_S


def _predict(track: Track, dt_s: float) -> None:
    track.x += track.vx * dt_s
    track.foot += track.vy * dt_s
    place, both, speed = track.variance
    noise = (ACCELERATION_H_S2 * max(track.height, 2.0)) ** 2
    track.variance = (
        place + 2 * dt_s * both + dt_s**2 * speed + noise * dt_s**4 / 4,
        both + dt_s * speed + noise * dt_s**3 / 2,
        speed + noise * dt_s**2,
    )


def _update(track: Track, s: Sighting, at_ns: int, dt_s: float) -> None:
    place, both, speed = track.variance
    total = place + (MEASURED_H * max(s.height, 2.0)) ** 2
    gain, gain_speed = place / total, both / total
    off_x, off_foot = s.x - track.x, s.foot - track.foot
    track.x += gain * off_x
    track.foot += gain * off_foot
    track.vx += gain_speed * off_x
    track.vy += gain_speed * off_foot
    track.variance = (place * (1 - gain), both * (1 - gain), speed - gain_speed * both)
    weight = 1.0 - math.exp(-max(dt_s, 0.02) / SIZE_TAU_S)
    track.width += weight * (s.width - track.width)
    track.height += weight * (s.height - track.height)
    track.hits += 1
    track.missed_s = 0.0
    track.at_ns = at_ns
    track.places.append(Place(at_ns, s.x, s.foot, s.width, s.height))
    if s.kind:
        track.kinds[s.kind] += 1


def _overlap(tracks: list[Track], sightings: list[Sighting], widened: float) -> NDArray[np.float64]:
    """Intersection over union of the widened boxes, (tracks, sightings)."""
    rims = [max(widened, WIDENED_NEW if t.hits == 1 else 0.0) for t in tracks]
    a = np.array([[t.x, t.middle, t.width, t.height] for t in tracks])
    b = np.array([[s.x, s.foot - s.height / 2, s.width, s.height] for s in sightings])
    spread = 1.0 + 2.0 * np.array(rims)[:, None]
    half_w = (a[:, None, 2] + b[None, :, 2]) / 2
    half_h = (a[:, None, 3] + b[None, :, 3]) / 2
    across = np.abs(a[:, None, 0] - b[None, :, 0])
    down = np.abs(a[:, None, 1] - b[None, :, 1])
    wide_a, wide_b = a[:, None, 2] * spread, b[None, :, 2] * spread
    high_a, high_b = a[:, None, 3] * spread, b[None, :, 3] * spread
    common_w = np.clip(np.minimum(half_w * spread - across, np.minimum(wide_a, wide_b)), 0, None)
    common_h = np.clip(np.minimum(half_h * spread - down, np.minimum(high_a, high_b)), 0, None)
    common = common_w * common_h
    whole = wide_a * high_a + wide_b * high_b - common
    result: NDArray[np.float64] = common / whole
    return result
