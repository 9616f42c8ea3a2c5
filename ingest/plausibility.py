"""Decides which readings are taken, and how far each can be trusted.

In come `ReadingsReceived`; out go `ReadingsObserved` and, by source and reason, counted `Rejected`
events with a sample. Everything that decides or stores a reading hears this file's answer only.

| seen | answer |
|---|---|
| no such point, not this source's point, not finite, out of the point's range | rejected |
| the same point and time again | rejected: DUPLICATE, or CONFLICT where the value differs |
| over an hour old, or 10 minutes older than the point's newest | rejected: LATE |
| over a minute ahead of the centre's time | rejected: FUTURE |
| ahead of the centre's time by 2 s to a minute | UNCERTAIN, counted as CLOCK_SKEW |
| from a device that was 10 s behind in every reading of a period | UNCERTAIN, CLOCK_SKEW |
| faster than the quantity can change since the last credible value | UNCERTAIN, RATE_OF_CHANGE |
| older than the point's newest, or than its stale time | STALE: history, nothing to decide on |

Laws of this file:
1. A (point, observed_at_ns) is observed at most once, whatever is sent again; the first value wins.
2. State is bounded: the times of a point that are remembered lie within the late window and are at
   most `REMEMBERED_MAX`; what is older than the forgotten is LATE, never taken twice.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    Now,
    Quality,
    ReadingsObserved,
    ReadingsReceived,
    Reason,
    Rejected,
)
from causeway.site import Point, Site

NS = 1_000_000_000
LATE_NS = 3_600 * NS  # a broker holds an hour of readings for a centre that was down
WINDOW_NS = 600 * NS  # out of order by more than this is no redelivery
FUTURE_NS = 60 * NS
AHEAD_NS = 2 * NS  # beyond network delay and NTP error
BEHIND_NS = 10 * NS  # beyond any delivery delay of a device that is reached at all
SKEW_PERIOD_NS = 60 * NS
SKEW_READINGS_MIN = 3
REMEMBERED_MAX = 1_024  # readings of a point; at one a second more than the window holds
TRIM_EVERY = 256
RATE_OVER_S_MIN = 1.0  # a rate over less is the instrument's noise
RATE_MARGIN = 1e-9  # of float arithmetic
N = TypeVar("N", int, float)


class _Skew(Struct):
    """How far a source's clock is off: the least lag of the running period, and its judgement."""

    since_ns: int = 0
    lag_min_ns: int = LATE_NS
    readings: int = 0
    behind: bool = False
    told_at_ns: int = -LATE_NS
    uncertain: int = 0


class _Kept(Struct):
    """What of a point's track is encoded; the arrays as little-endian bytes."""

    times: bytes
    values: bytes
    newest_ns: int
    forgotten_ns: int
    credible_at_ns: int
    credible: float


class _State(Struct):
    """The core's whole state."""

    points: dict[str, _Kept]
    skews: dict[str, _Skew]


class _Track:
    """A point's limits and what is remembered of its readings, in the order of their times."""

    __slots__ = (
        "credible",
        "credible_at_ns",
        "forgotten_ns",
        "high",
        "low",
        "newest_ns",
        "rate_max_per_s",
        "skew",
        "source",
        "stale_ns",
        "times",
        "values",
    )

    def __init__(self, point: Point, skew: _Skew) -> None:
        self.low = point.min
        self.high = point.max
        self.rate_max_per_s = point.rate_max_per_s
        self.stale_ns = int(point.stale_after_s * NS)
        self.source = point.source
        self.skew = skew
        self.times: array[int] = array("q")
        self.values: array[float] = array("d")
        self.newest_ns = -1
        self.forgotten_ns = -1  # all times up to this one count as seen
        self.credible_at_ns = -1
        self.credible = 0.0

    def seen_before(self, at_ns: int, value: float) -> Reason | None:
        """Why a reading that is not newer than the newest cannot be taken; None where it can."""
        if at_ns <= self.forgotten_ns or at_ns < self.newest_ns - WINDOW_NS:
            return Reason.LATE
        i = bisect_left(self.times, at_ns)
        if i < len(self.times) and self.times[i] == at_ns:
            return Reason.DUPLICATE if self.values[i] == value else Reason.CONFLICT
        return None

    def remember(self, at_ns: int, value: float) -> None:
        if at_ns > self.newest_ns:
            self.times.append(at_ns)
            self.values.append(value)
            self.newest_ns = at_ns
        else:
            i = bisect_left(self.times, at_ns)
            self.times.insert(i, at_ns)
            self.values.insert(i, value)
        if len(self.times) % TRIM_EVERY == 0:
            self._trim()

    def _trim(self) -> None:
        outside = bisect_left(self.times, self.newest_ns - WINDOW_NS)
        forget = max(outside, len(self.times) - REMEMBERED_MAX)
        if forget > 0:
            self.forgotten_ns = self.times[forget - 1]
            del self.times[:forget]
            del self.values[:forget]

    def too_fast(self, at_ns: int, value: float) -> bool:
        """Whether the value is further from the last credible one than the time between allows.

        The credible value stays until another is within reach of it, so that one spike is not
        followed by a second judgement when the value comes back, and a real step is believed
        once it has lasted long enough.
        """
        limit = self.rate_max_per_s
        if limit is None:
            return False
        if self.credible_at_ns >= 0:
            elapsed_s = max((at_ns - self.credible_at_ns) / NS, RATE_OVER_S_MIN)
            if abs(value - self.credible) > limit * elapsed_s + RATE_MARGIN:
                return True
        self.credible_at_ns = at_ns
        self.credible = value
        return False

    def keep(self) -> _Kept:
        return _Kept(
            _little_endian(self.times),
            _little_endian(self.values),
            self.newest_ns,
            self.forgotten_ns,
            self.credible_at_ns,
            self.credible,
        )

    def take_up(self, kept: _Kept) -> None:
        self.times = _fill(array("q"), kept.times)
        self.values = _fill(array("d"), kept.values)
        self.newest_ns = kept.newest_ns
        self.forgotten_ns = kept.forgotten_ns
        self.credible_at_ns = kept.credible_at_ns
        self.credible = kept.credible


class _Rejections:
    """The rejections of one batch by source and reason, in the order of their first."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Reason], int] = {}
        self._samples: dict[tuple[str, Reason], str] = {}

    def add(self, source: str, reason: Reason, sample: str, count: int = 1) -> None:
        key = (source, reason)
        self._counts[key] = self._counts.get(key, 0) + count
        self._samples.setdefault(key, sample)

    def events(self) -> Iterator[Rejected]:
        for (source, reason), count in self._counts.items():
            sample = self._samples[source, reason]
            yield Rejected(source=source, reason=reason, count=count, sample=sample)


class Plausibility:
    """From readings as they came to readings as they can be used."""

    name = "plausibility"
    hears = frozenset({ReadingsReceived})

    def __init__(self, site: Site) -> None:
        self._points = tuple(site.points.values())
        self._skews: dict[str, _Skew] = {}
        self._tracks: dict[str, _Track] = {}
        self._begin({})

    def _begin(self, skews: dict[str, _Skew]) -> None:
        """Tracks without a past, for all points of the site."""
        self._skews = {point.source: _Skew() for point in self._points}
        self._skews.update((source, s) for source, s in skews.items() if source in self._skews)
        self._tracks = {p.id: _Track(p, self._skews[p.source]) for p in self._points}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if not isinstance(event, ReadingsReceived):
            return
        rejections = _Rejections()
        taken: list[int] = []
        given: list[Quality] = []
        tracks = self._tracks
        at_ns = now.at_ns
        for i, (point, observed_at_ns, value, quality) in enumerate(
            zip(event.points, event.observed_at_ns, event.values, event.qualities, strict=True)
        ):
            track = tracks.get(point)
            if track is None:
                rejections.add(event.source, Reason.UNKNOWN_POINT, point)
                continue
            lag_ns = at_ns - observed_at_ns
            reason: Reason | None = None
            if not track.low <= value <= track.high or not -FUTURE_NS <= lag_ns <= LATE_NS:
                reason = _impossible(track, value, lag_ns)
            elif track.source != event.source != "mqtt":
                reason = Reason.WRONG_SOURCE
            elif observed_at_ns <= track.newest_ns:
                reason = track.seen_before(observed_at_ns, value)
            if reason is not None:
                rejections.add(track.source, reason, _sample(point, observed_at_ns, value, lag_ns))
                continue
            taken.append(i)
            given.append(_judged(track, observed_at_ns, value, quality, lag_ns, rejections, point))
            track.remember(observed_at_ns, value)
            _weigh(track, at_ns, lag_ns, rejections)
        if taken:
            yield _observed(event, taken, tuple(given))
        yield from rejections.events()

    def encode(self) -> bytes:
        points = {id_: track.keep() for id_, track in self._tracks.items() if track.times}
        return msgspec.msgpack.encode(_State(points, self._skews))

    def restore(self, state: bytes) -> None:
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._begin(decoded.skews)
        for id_, kept in decoded.points.items():
            if id_ in self._tracks:
                self._tracks[id_].take_up(kept)


def _impossible(track: _Track, value: float, lag_ns: int) -> Reason:
    if not math.isfinite(value):
        return Reason.NOT_A_NUMBER
    if not track.low <= value <= track.high:
        return Reason.OUT_OF_RANGE
    return Reason.FUTURE if lag_ns < 0 else Reason.LATE


def _judged(
    track: _Track,
    observed_at_ns: int,
    value: float,
    quality: Quality,
    lag_ns: int,
    rejections: _Rejections,
    point: str,
) -> Quality:
    """The worse of the device's own quality and what is seen here."""
    if observed_at_ns < track.newest_ns or lag_ns > track.stale_ns:
        return Quality.STALE
    if quality >= Quality.BAD:
        return quality
    if track.too_fast(observed_at_ns, value):
        sample = f"{point}: {value:g} after {track.credible:g}"
        rejections.add(track.source, Reason.RATE_OF_CHANGE, sample)
        return Quality.UNCERTAIN
    if lag_ns < -AHEAD_NS or track.skew.behind:
        return Quality.UNCERTAIN
    return quality


def _weigh(track: _Track, at_ns: int, lag_ns: int, rejections: _Rejections) -> None:
    """Learn of the source's clock; tell of its skew once a period."""
    skew = track.skew
    if skew.readings == 0:
        skew.since_ns = at_ns
    skew.readings += 1
    if lag_ns < skew.lag_min_ns:
        skew.lag_min_ns = lag_ns
    if skew.behind or lag_ns < -AHEAD_NS:
        skew.uncertain += 1
        if at_ns - skew.told_at_ns >= SKEW_PERIOD_NS:
            side = "behind" if lag_ns > 0 else "ahead"
            sample = f"{track.source}: {abs(lag_ns) / NS:.1f} s {side}"
            rejections.add(track.source, Reason.CLOCK_SKEW, sample, skew.uncertain)
            skew.told_at_ns = at_ns
            skew.uncertain = 0
    if at_ns - skew.since_ns >= SKEW_PERIOD_NS and skew.readings >= SKEW_READINGS_MIN:
        skew.behind = skew.lag_min_ns > BEHIND_NS
        skew.lag_min_ns = LATE_NS
        skew.readings = 0


def _observed(
    event: ReadingsReceived, taken: list[int], qualities: tuple[Quality, ...]
) -> ReadingsObserved:
    if len(taken) == len(event.points):
        return ReadingsObserved(
            source=event.source,
            points=event.points,
            observed_at_ns=event.observed_at_ns,
            values=event.values,
            qualities=qualities,
        )
    return ReadingsObserved(
        source=event.source,
        points=tuple(event.points[i] for i in taken),
        observed_at_ns=tuple(event.observed_at_ns[i] for i in taken),
        values=tuple(event.values[i] for i in taken),
        qualities=qualities,
    )


def _sample(point: str, observed_at_ns: int, value: float, lag_ns: int) -> str:
    side = "old" if lag_ns >= 0 else "ahead"
    return f"{point} = {value:g} at {observed_at_ns}, {abs(lag_ns) / NS:.1f} s {side}"


def _little_endian(numbers: array[N]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _fill(empty: array[N], data: bytes) -> array[N]:
    """`empty` with what `_little_endian` gave; raises ValueError where the length is impossible."""
    empty.frombytes(data)
    if sys.byteorder == "big":
        empty.byteswap()
    return empty
