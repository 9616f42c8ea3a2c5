"""Decides which alarm level the tide has reached at each tide gauge that has levels.

In come readings of `stage_m`; out go `TideLevelChanged` events: 0 below the first level, then I, II,
III. A level is reached at its threshold and left 2 cm below it. The row of thresholds in force is the
newest one not after the step's day, and its datum is the gauge's (the site is refused otherwise).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from causeway.events import AnyEvent, Now, Quality, ReadingsObserved, TideLevelChanged
from causeway.site import Site, TideLevels
from control.inundation.levels import day_of

HYSTERESIS_M = 0.02  # waves and the gauge's own noise


class TideWatch:
    """Observed stage to alarm level, gauge by gauge."""

    name = "tide"
    hears = frozenset({ReadingsObserved})

    def __init__(self, site: Site) -> None:
        self._rows = site.tide_levels
        self._gauge_of = {f"{row.gauge}/stage_m": row.gauge for row in site.tide_levels}
        self._levels: dict[str, int] = {}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if not isinstance(event, ReadingsObserved):
            return
        for point, stage_m, quality in zip(
            event.points, event.values, event.qualities, strict=True
        ):
            gauge = self._gauge_of.get(point)
            if gauge is None or quality not in (Quality.GOOD, Quality.UNCERTAIN):
                continue
            row = self._row(gauge, now)
            if row is None:
                continue
            before = self._levels.get(gauge, 0)
            reached = sum(stage_m >= m for m in row.levels_m)
            kept = sum(stage_m >= m - HYSTERESIS_M for m in row.levels_m)
            level = max(reached, min(before, kept))
            if level != before:
                self._levels[gauge] = level
                yield TideLevelChanged(
                    gauge=gauge,
                    level=level,
                    stage_m=stage_m,
                    threshold_m=row.levels_m[max(level, 1) - 1],
                )

    def _row(self, gauge: str, now: Now) -> TideLevels | None:
        day = day_of(now.at_ns)
        valid = [r for r in self._rows if r.gauge == gauge and r.valid_from <= day]
        return max(valid, key=lambda r: r.valid_from, default=None)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._levels)

    def restore(self, state: bytes) -> None:
        self._levels = msgspec.msgpack.decode(state, type=dict[str, int])
