"""Decides what of the water on a street is a flooded point (điểm ngập), and what only gathers there
and runs off again (tụ nước).

In come readings of street depth and of rain; out go `StandingWaterChanged` events: from the rule's
depth on water gathers; when it is still there the rule's time after the rain has ended, the street
is a flooded point until the water has fallen below the depth, less the hysteresis. Water that the
tide brings without rain must have stood for that time itself. The rain of a street is that of the
nearest rain gauge that has spoken lately. The rules are dated rows of the site (`[[standing]]`):
the one in force is the newest not after the step's day.

Laws of this file:
1. An episode is one or the other, never both: what has gathered may become a flooded point, and
   nothing goes back but by running off.
2. A gauge that is silent or not believed ends nothing; without any rain gauge it has not rained.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    Now,
    Quality,
    ReadingsObserved,
    Standing,
    StandingWaterChanged,
)
from causeway.site import Site, StandingRule, apart_m
from control.inundation.levels import in_force

NS = 1_000_000_000
RAINS_MM_H = 0.5  # less is drizzle that no street gathers, or a gauge's noise
SILENT_S = 600


class _Depth(Struct, array_like=True):
    """The newest reading of a street gauge."""

    observed_at_ns: int
    depth_m: float


class _Street(Struct):
    """What stands on a street: since when, how deep at most, and what its gauges say."""

    standing: Standing = Standing.NONE
    since_ns: int = 0
    peak_m: float = 0.0
    gauges: dict[str, _Depth] = {}


class _Rain(Struct):
    """A rain gauge: when it last spoke, and when it last saw rain."""

    observed_at_ns: int = 0
    rained_at_ns: int = 0


class StandingWater:
    """Observed street depth and rain to gathered water and flooded points."""

    name = "standing_water"
    hears = frozenset({ReadingsObserved})

    def __init__(self, site: Site) -> None:
        self._rules = site.standing_rules
        self._street_of = {
            f"{g.id}/depth_m": g.segment
            for g in site.gauges
            if g.kind == "street" and g.segment is not None
        }
        rain = [g for g in site.gauges if "rain_mm_h" in g.quantities]
        self._nearest = {
            f"{g.id}/depth_m": tuple(
                f"{r.id}/rain_mm_h" for r in sorted(rain, key=lambda r: apart_m(r.at, g.at))
            )
            for g in site.gauges
        }
        self._rains = {f"{g.id}/rain_mm_h": _Rain() for g in rain}
        self._streets = {segment: _Street() for segment in self._street_of.values()}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if not isinstance(event, ReadingsObserved):
            return
        rule = in_force(self._rules, now.at_ns)
        for point, at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            if quality not in (Quality.GOOD, Quality.UNCERTAIN):
                continue
            if point in self._rains:
                self._rain(self._rains[point], at_ns, value)
            elif point in self._street_of and rule is not None:
                yield from self._depth(point, at_ns, value, rule)

    def _rain(self, rain: _Rain, at_ns: int, mm_h: float) -> None:
        rain.observed_at_ns = max(rain.observed_at_ns, at_ns)
        if mm_h >= RAINS_MM_H:
            rain.rained_at_ns = max(rain.rained_at_ns, at_ns)

    def _depth(
        self, point: str, at_ns: int, depth_m: float, rule: StandingRule
    ) -> Iterator[AnyEvent]:
        street = self._streets[self._street_of[point]]
        known = street.gauges.get(point)
        if known is not None and at_ns <= known.observed_at_ns:
            return
        street.gauges[point] = _Depth(at_ns, depth_m)
        deepest_m = max(
            gauge.depth_m
            for gauge in street.gauges.values()
            if at_ns - gauge.observed_at_ns <= SILENT_S * NS
        )
        before, rained_at_ns = street.standing, self._rained_at_ns(point, at_ns)
        if before is Standing.NONE and deepest_m >= rule.depth_m:
            street.standing, street.since_ns, street.peak_m = Standing.GATHERED, at_ns, 0.0
        elif before is not Standing.NONE and deepest_m < rule.depth_m - rule.hysteresis_m:
            street.standing = Standing.NONE
        street.peak_m = max(street.peak_m, deepest_m)
        dry_s = (at_ns - max(street.since_ns, rained_at_ns)) / NS
        deep = deepest_m >= rule.depth_m
        if street.standing is Standing.GATHERED and deep and dry_s >= rule.after_rain_s:
            street.standing = Standing.FLOODED
        if street.standing is not before:
            yield StandingWaterChanged(
                segment=self._street_of[point],
                standing=street.standing,
                was=before,
                point=point,
                depth_m=deepest_m,
                peak_m=street.peak_m,
                since_at_ns=street.since_ns,
                rain_ended_at_ns=rained_at_ns or None,
            )

    def _rained_at_ns(self, point: str, at_ns: int) -> int:
        """When it last rained near a street; 0: not as far as known."""
        for rain in (self._rains[p] for p in self._nearest[point]):
            if at_ns - rain.observed_at_ns <= SILENT_S * NS:
                return rain.rained_at_ns
        return 0

    def encode(self) -> bytes:
        return msgspec.msgpack.encode((self._streets, self._rains))

    def restore(self, state: bytes) -> None:
        streets, rains = msgspec.msgpack.decode(
            state, type=tuple[dict[str, _Street], dict[str, _Rain]]
        )
        self._streets |= {p: streets[p] for p in self._streets if p in streets}
        self._rains |= {p: rains[p] for p in self._rains if p in rains}
