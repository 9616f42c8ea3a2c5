"""Decides how badly a street is under water, from its street-depth gauge.

In come readings of `depth_m`; out go `InundationChanged` events: 0 dry, 1 watch, 2 closed to
motorbikes, 3 closed to cars, 4 closed to all. A level rises at once; it falls when the depth has been
below the level's threshold, less the hysteresis, for the hold time. Thresholds are dated rows of the
site: the row in force is the newest one not after the step's day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import msgspec
from msgspec import Struct

from causeway.events import AnyEvent, InundationChanged, Now, Quality, ReadingsObserved
from causeway.site import InundationLevels, Site

NS = 1_000_000_000


class _Street(Struct):
    """One segment's level, and since when the water has been low enough for a lower one."""

    level: int = 0
    observed_at_ns: int = 0
    falling_since_ns: int | None = None


def day_of(at_ns: int) -> date:
    """The UTC day of an instant: thresholds change at midnight UTC."""
    return datetime.fromtimestamp(at_ns / NS, UTC).date()


def levels_in_force(rows: tuple[InundationLevels, ...], day: date) -> InundationLevels | None:
    """The newest row that is valid on `day`."""
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
        self._streets: dict[str, _Street] = {}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if not isinstance(event, ReadingsObserved):
            return
        rows = levels_in_force(self._rows, day_of(now.at_ns))
        if rows is None:
            return
        for point, observed_at_ns, depth_m, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            segment = self._segment_of.get(point)
            if segment is not None and quality in (Quality.GOOD, Quality.UNCERTAIN):
                yield from self._take(rows, segment, point, depth_m, observed_at_ns)

    def _take(
        self,
        rows: InundationLevels,
        segment: str,
        point: str,
        depth_m: float,
        observed_at_ns: int,
    ) -> Iterator[AnyEvent]:
        street = self._streets.setdefault(segment, _Street())
        if observed_at_ns <= street.observed_at_ns:
            return  # a reading that was overtaken says nothing of now
        street.observed_at_ns = observed_at_ns
        reached = sum(depth_m >= d for d in rows.depths_m)
        kept = sum(depth_m >= d - rows.hysteresis_m for d in rows.depths_m)
        before = street.level
        if reached > street.level:
            street.level, street.falling_since_ns = reached, None
        elif kept >= street.level:
            street.falling_since_ns = None
        elif street.falling_since_ns is None:
            street.falling_since_ns = observed_at_ns
        elif observed_at_ns - street.falling_since_ns >= rows.hold_s * NS:
            street.level, street.falling_since_ns = kept, None
        if street.level != before:
            yield InundationChanged(
                segment=segment, level=street.level, depth_m=depth_m, point=point
            )

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._streets)

    def restore(self, state: bytes) -> None:
        self._streets = msgspec.msgpack.decode(state, type=dict[str, _Street])
