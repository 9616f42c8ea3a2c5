"""Decides how badly a street is under water, from its street-depth gauge.

In come readings of `depth_m`; out go `InundationChanged` events: 0 dry, 1 watch, 2 closed to
motorbikes, 3 to cars, 4 to buses and trucks; one more is told where emergency vehicles stay out
too. A level rises at once; it falls when the depth has been below the level's threshold, less the
hysteresis, for the hold time, and to no less than the depths of that time allow. A segment with
several gauges has the highest of their levels. Thresholds are dated rows of the site: the row in
force is the newest one not after the step's day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from causeway.events import AnyEvent, InundationChanged, Now, Quality, ReadingsObserved
from causeway.site import InundationLevels, Site
from control.inundation.passability import kept_out, limits

NS = 1_000_000_000


class _Gauge(Struct):
    """One gauge's level, which counts on to where emergency vehicles stay out; since when the water
    has allowed a lower one, and the highest of those."""

    level: int = 0
    depth_m: float = 0.0
    observed_at_ns: int = 0
    falling_since_ns: int | None = None
    falling_to: int = 0


class _Dated(Protocol):
    """A row of numbers of the site that holds from a day on."""

    @property
    def valid_from(self) -> date: ...


Row = TypeVar("Row", bound=_Dated)


def in_force(rows: Iterable[Row], at_ns: int) -> Row | None:
    """The newest row that holds at an instant: rows change at midnight UTC."""
    day = datetime.fromtimestamp(at_ns / NS, UTC).date()
    valid = [row for row in rows if row.valid_from <= day]
    return max(valid, key=lambda row: row.valid_from, default=None)


class StreetInundation:
    """Observed street depth to inundation level, segment by segment."""

    name = "inundation"
    hears = frozenset({ReadingsObserved})

    def __init__(self, site: Site) -> None:
        self._rows = site.inundation_levels
        self._segment_of = {
            f"{g.id}/depth_m": g.segment
            for g in site.gauges
            if g.kind == "street" and g.segment is not None
        }
        self._gauges = {point: _Gauge() for point in self._segment_of}
        self._gauges_of: dict[str, list[str]] = {}
        for point, segment in self._segment_of.items():
            self._gauges_of.setdefault(segment, []).append(point)

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if not isinstance(event, ReadingsObserved):
            return
        rows = in_force(self._rows, now.at_ns)
        if rows is None:
            return
        for point, observed_at_ns, depth_m, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            if point in self._gauges and quality in (Quality.GOOD, Quality.UNCERTAIN):
                before = self._deepest(point)[1].level
                _take(self._gauges[point], rows, depth_m, observed_at_ns)
                deepest, gauge = self._deepest(point)
                if gauge.level != before:
                    reached_m = (0.0, *_steps(rows))[gauge.level]
                    yield InundationChanged(
                        segment=self._segment_of[point],
                        level=min(gauge.level, len(rows.depths_m)),
                        depth_m=gauge.depth_m,
                        point=deepest,
                        kept_out=kept_out(limits(rows), reached_m),
                    )

    def _deepest(self, point: str) -> tuple[str, _Gauge]:
        """The gauge that speaks for the segment that `point` lies on."""
        points = self._gauges_of[self._segment_of[point]]
        deepest = max(points, key=lambda p: (self._gauges[p].level, self._gauges[p].depth_m))
        return deepest, self._gauges[deepest]

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._gauges)

    def restore(self, state: bytes) -> None:
        self._gauges = msgspec.msgpack.decode(state, type=dict[str, _Gauge])


def _steps(rows: InundationLevels) -> tuple[float, ...]:
    """The depths at which something changes."""
    return *rows.depths_m, rows.emergency_m


def _take(gauge: _Gauge, rows: InundationLevels, depth_m: float, observed_at_ns: int) -> None:
    """Bring a gauge's level up to a new reading; one that was overtaken says nothing of now."""
    if observed_at_ns <= gauge.observed_at_ns:
        return
    gauge.observed_at_ns, gauge.depth_m = observed_at_ns, depth_m
    reached = sum(depth_m >= d for d in _steps(rows))
    kept = sum(depth_m >= d - rows.hysteresis_m for d in _steps(rows))
    if reached > gauge.level:
        gauge.level, gauge.falling_since_ns = reached, None
    elif kept >= gauge.level:
        gauge.falling_since_ns = None
    elif gauge.falling_since_ns is None:
        gauge.falling_since_ns, gauge.falling_to = observed_at_ns, kept
    else:
        gauge.falling_to = max(gauge.falling_to, kept)
        if observed_at_ns - gauge.falling_since_ns >= rows.hold_s * NS:
            gauge.level = gauge.falling_to
            lower = kept < gauge.level
            gauge.falling_since_ns, gauge.falling_to = (observed_at_ns if lower else None), kept
