"""Decides which alarm level the tide has reached at each tide gauge that has levels.

In come readings of `stage_m`; out go `TideLevelChanged` events: 0 below the first level, then I,
II, III. A level is reached at its threshold and left 2 cm below it. The row of thresholds in
force is the newest one not after the step's day, and its datum is the gauge's (the site is
refused otherwise). A reading that was overtaken says nothing of now.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import AnyEvent, Now, Quality, ReadingsObserved, TideLevelChanged
from causeway.site import Site, TideLevels
from control.inundation.levels import in_force

HYSTERESIS_M = 0.02  # waves and the gauge's own noise


class _Gauge(Struct):
    """The level that a gauge stands at, and the time of the reading that said so."""

    level: int = 0
    observed_at_ns: int = 0


class TideWatch:
    """Observed stage to alarm level, gauge by gauge."""

    name = "tide"
    hears = frozenset({ReadingsObserved})

    def __init__(self, site: Site) -> None:
        self._rows = site.tide_levels
        self._gauge_of = {f"{row.gauge}/stage_m": row.gauge for row in site.tide_levels}
        self._gauges = {row.gauge: _Gauge() for row in site.tide_levels}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if not isinstance(event, ReadingsObserved):
            return
        for point, observed_at_ns, stage_m, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            gauge = self._gauge_of.get(point)
            if gauge is not None and quality in (Quality.GOOD, Quality.UNCERTAIN):
                yield from self._take(gauge, stage_m, observed_at_ns, now)

    def _take(
        self, gauge: str, stage_m: float, observed_at_ns: int, now: Now
    ) -> Iterator[AnyEvent]:
        seen, row = self._gauges[gauge], self._row(gauge, now)
        if row is None or observed_at_ns <= seen.observed_at_ns:
            return
        seen.observed_at_ns = observed_at_ns
        reached = sum(stage_m >= m for m in row.levels_m)
        kept = sum(stage_m >= m - HYSTERESIS_M for m in row.levels_m)
        level = max(reached, min(seen.level, kept))
        if level != seen.level:
            seen.level = level
            yield TideLevelChanged(
                gauge=gauge,
                level=level,
                stage_m=stage_m,
                threshold_m=row.levels_m[max(level, 1) - 1],
            )

    def _row(self, gauge: str, now: Now) -> TideLevels | None:
        return in_force((r for r in self._rows if r.gauge == gauge), now.at_ns)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._gauges)

    def restore(self, state: bytes) -> None:
        self._gauges = msgspec.msgpack.decode(state, type=dict[str, _Gauge])
