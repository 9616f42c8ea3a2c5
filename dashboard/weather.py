"""Decides what the wall says of tide and rain: levels, their trend, the sum of the last hour.

In come readings and tide levels; out go the rows of the `tide` and `rain` tables. The tide's rate
is taken over a quarter of an hour, above the waves; rain is summed from its intensity, reading by
reading, into minutes of which the last sixty count.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from causeway.events import TideLevelChanged
from causeway.site import Site
from dashboard.tables import Tables

SAMPLE_EVERY_S = 30.0
SAMPLES_MAX = 31  # a quarter of an hour
RATE_SPAN_S_MIN = 120.0
GAP_S_MAX = 60.0  # an intensity says nothing of what was longer ago
MINUTES = 60


class Tide:
    """Stage, alarm level and rate at each gauge that has alarm levels."""

    def __init__(self, site: Site, tables: Tables) -> None:
        self._tables = tables
        self._gauge_of = {f"{row.gauge}/stage_m": row.gauge for row in site.tide_levels}
        self._samples: dict[str, list[tuple[float, float]]] = {}
        for row in site.tide_levels:
            tables.put("tide", row.gauge, level=0, stage_m=None, rate_m_h=None)
            tables.put("tide", row.gauge, threshold_m=row.levels_m[0])

    def read(self, point: str, stage_m: float | None, at: float) -> None:
        gauge = self._gauge_of.get(point)
        if gauge is None:
            return
        if stage_m is None:
            self._samples.pop(gauge, None)
            self._tables.put("tide", gauge, stage_m=None, rate_m_h=None)
            return
        samples = self._samples.setdefault(gauge, [])
        if not samples or at - samples[-1][0] >= SAMPLE_EVERY_S:
            samples.append((at, stage_m))
            del samples[:-SAMPLES_MAX]
        rate_m_h = None
        first_at, first_m = samples[0]
        if at - first_at >= RATE_SPAN_S_MIN:
            rate_m_h = round((stage_m - first_m) / (at - first_at) * 3600, 3)
        self._tables.put("tide", gauge, stage_m=stage_m, rate_m_h=rate_m_h)

    def level(self, event: TideLevelChanged) -> None:
        if event.gauge in self._tables.rows["tide"]:
            threshold_m = event.threshold_m
            self._tables.put("tide", event.gauge, level=event.level, threshold_m=threshold_m)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._samples)

    def restore(self, state: bytes) -> None:
        self._samples = msgspec.msgpack.decode(state, type=dict[str, list[tuple[float, float]]])


class _Fallen(Struct):
    """The rain of one gauge: its last reading, and mm by minute of the epoch."""

    at: float = 0.0
    minutes: dict[int, float] = field(default_factory=dict)


class Rain:
    """Intensity to the sum of the last sixty minutes, gauge by gauge."""

    def __init__(self, site: Site, tables: Tables) -> None:
        self._tables = tables
        self._gauge_of = {
            point.id: point.asset for point in site.points.values() if point.quantity == "rain_mm_h"
        }
        self._fallen: dict[str, _Fallen] = {}
        for gauge in self._gauge_of.values():
            tables.put("rain", gauge, rain_mm_h=None, mm_60min=0.0)

    def read(self, point: str, rain_mm_h: float | None, at: float) -> None:
        gauge = self._gauge_of.get(point)
        if gauge is None:
            return
        fallen = self._fallen.setdefault(gauge, _Fallen())
        if rain_mm_h is not None:
            minute = int(at // 60)
            lasted_s = min(max(at - fallen.at, 0.0), GAP_S_MAX) if fallen.at else 0.0
            fallen.minutes[minute] = fallen.minutes.get(minute, 0.0) + rain_mm_h * lasted_s / 3600
            fallen.at = at
            for old in [m for m in fallen.minutes if m <= minute - MINUTES]:
                del fallen.minutes[old]
        mm_60min = round(sum(fallen.minutes.values()), 1)
        self._tables.put("rain", gauge, rain_mm_h=rain_mm_h, mm_60min=mm_60min)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._fallen)

    def restore(self, state: bytes) -> None:
        self._fallen = msgspec.msgpack.decode(state, type=dict[str, _Fallen])
