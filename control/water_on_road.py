"""Decides whether a camera sees water on its road, by what else is known of that street.

In come the cameras' `RoadWaterMeasured`, the readings of street gauges and rain gauges and the
cameras' health; out go `IncidentDetected` and `IncidentEnded` of kind water on the road. Each
source speaks in log-odds, which are added (Bayes' rule with independent signs): what the picture
shows, the nearest street gauge, the rain of the last hour; a source that is away or old says
nothing. Begun and ended is only what has lasted. A camera on which the kind is counted or ignored
tells nothing.

A gauge that is dry outweighs a camera that sees sheen only, and not one whose markings are gone in
the rain: gauges stand at a street's lowest point, and fail.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    CameraHealth,
    CameraHealthObserved,
    EngineStarted,
    IncidentDetected,
    IncidentEnded,
    IncidentKind,
    Now,
    Quality,
    ReadingsObserved,
    RoadWaterMeasured,
)
from causeway.site import Camera, Gauge, LonLat, Site, apart_m

NS = 1_000_000_000
# Natural logarithms. A priori 1 of 20 measurements that look at all like it is water.
PRIOR = -3.0
# Sheen was on 5 of 6 flooded roads of NC 12, 1 of 6 others, and 4 of 9 simulated wet ones: 5 to 2.
SHEEN, SHEEN_RATIO_MIN = 0.9, 0.004
# Simulated: hidden on every road under 15 cm, by day and night, and 0.14 at most on dry and wet.
HIDDEN, HIDDEN_RATIO_MIN = 4.0, 0.3
GAUGE_WET, WET_M = 4.0, 0.05  # at least so deep: a gauge's own error is 1 to 2 cm
GAUGE_DRY, DRY_M = -2.5, 0.02
GAUGE_STALE_S = 300.0
GAUGE_REACH_M = (
    300.0  # of a gauge on another street; the camera's own street counts at any distance
)
RAIN, RAINED_MM = 1.5, 5.0  # in the last hour
NO_RAIN, DRIZZLE_MM = -1.0, 0.5  # no more: a tide brings water without rain
RAIN_TAU_S = 3_600.0
RAIN_REACH_M = 5_000.0  # a cloudburst's cell
BEGINS, BEGINS_S = 0.0, 30.0  # as likely as not, for so long
ENDS, ENDS_S = -1.0, 120.0
CONFIDENCE_MAX = 0.95


class _Rain(Struct):
    """A rain gauge's sum over about the last hour."""

    mm: float = 0.0
    observed_at_ns: int = 0


class _Depth(Struct):
    depth_m: float
    observed_at_ns: int


class _Watched(Struct):
    """A camera's road: since when it seems otherwise than told, and the incident."""

    since_ns: int = 0
    incident: str = ""


class _State(Struct):
    cameras: dict[str, _Watched] = {}
    depths: dict[str, _Depth] = {}  # by point
    rain: dict[str, _Rain] = {}


class _Sources(NamedTuple):
    """The points that speak for a camera's road."""

    street: tuple[str, ...]
    rain: str | None


class WaterOnRoad:
    """Water on the roads that cameras watch."""

    name = "water_on_road"
    hears = frozenset({EngineStarted, RoadWaterMeasured, ReadingsObserved, CameraHealthObserved})

    def __init__(self, site: Site) -> None:
        self._sources = {c.id: _sources(c, site) for c in site.cameras if _alarms(c)}
        self._streets = {point for s in self._sources.values() for point in s.street}
        self._rains = {s.rain for s in self._sources.values() if s.rain is not None}
        self._state = _State()

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case EngineStarted():
                yield from self._lose_all(now.at_ns)
            case ReadingsObserved():
                self._read(event)
            case RoadWaterMeasured() if event.camera in self._sources:
                yield from self._judge(event)
            case CameraHealthObserved() if event.health is not CameraHealth.OK:
                why = f"the camera is {event.health}"
                yield from self._lose(event.camera, event.observed_at_ns, why)
            case _:
                pass

    def _read(self, event: ReadingsObserved) -> None:
        for point, at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            if quality not in (Quality.GOOD, Quality.UNCERTAIN):
                continue
            if point in self._streets:
                known = self._state.depths.get(point)
                if known is None or at_ns > known.observed_at_ns:
                    self._state.depths[point] = _Depth(value, at_ns)
            elif point in self._rains:
                _rained(self._state.rain.setdefault(point, _Rain()), value, at_ns)

    def _judge(self, seen: RoadWaterMeasured) -> Iterator[AnyEvent]:
        odds, why = self._weigh(seen)
        watched = self._state.cameras.setdefault(seen.camera, _Watched())
        at_ns = seen.observed_at_ns
        seems_so = odds >= BEGINS if not watched.incident else odds > ENDS
        if seems_so == bool(watched.incident) or at_ns < watched.since_ns:
            watched.since_ns = 0
        elif not watched.since_ns:
            watched.since_ns = at_ns
        lasted_s = (at_ns - watched.since_ns) / NS if watched.since_ns else 0.0
        if watched.incident and lasted_s >= ENDS_S:
            yield from self._lose(seen.camera, at_ns, "the road looks dry again")
        elif not watched.incident and lasted_s >= BEGINS_S:
            kind = IncidentKind.WATER_ON_ROAD
            watched.incident = f"{seen.camera}-{kind}-{watched.since_ns}"
            yield IncidentDetected(
                incident=watched.incident,
                kind=kind,
                camera=seen.camera,
                first_seen_at_ns=watched.since_ns,
                confidence=round(min(CONFIDENCE_MAX, 1 / (1 + math.exp(-odds))), 2),
                why=why,
            )
            watched.since_ns = 0

    def _weigh(self, seen: RoadWaterMeasured) -> tuple[float, str]:
        """The log-odds of water, and what they are made of; water that no picture shows is none."""
        odds, why = PRIOR, []
        if seen.hidden_ratio >= HIDDEN_RATIO_MIN:
            odds += HIDDEN
            why.append(f"{seen.hidden_ratio * 100:.0f} % of the road's markings hidden")
        if seen.sheen_ratio >= SHEEN_RATIO_MIN:
            odds += SHEEN
            why.append(f"{seen.sheen_ratio * 100:.1f} % of the road mirrors the sky")
        if not why:
            return -math.inf, ""
        sources = self._sources[seen.camera]
        depth = self._depth(sources.street, seen.observed_at_ns)
        if depth is not None:
            point, depth_m = depth
            odds += GAUGE_WET if depth_m >= WET_M else GAUGE_DRY if depth_m <= DRY_M else 0.0
            why.append(f"{point} at {depth_m * 100:.0f} cm")
        rain = self._state.rain.get(sources.rain or "")
        if rain is not None and seen.observed_at_ns - rain.observed_at_ns <= GAUGE_STALE_S * NS:
            odds += RAIN if rain.mm >= RAINED_MM else NO_RAIN if rain.mm <= DRIZZLE_MM else 0.0
            why.append(f"{rain.mm:.0f} mm of rain in an hour")
        return odds, ", ".join(why)

    def _depth(self, points: tuple[str, ...], at_ns: int) -> tuple[str, float] | None:
        """The first of the gauges that speaks now."""
        for point in points:
            known = self._state.depths.get(point)
            if known is not None and at_ns - known.observed_at_ns <= GAUGE_STALE_S * NS:
                return point, known.depth_m
        return None

    def _lose_all(self, at_ns: int) -> Iterator[AnyEvent]:
        for camera in list(self._state.cameras):
            yield from self._lose(camera, at_ns, "the centre has started anew")

    def _lose(self, camera: str, at_ns: int, why: str) -> Iterator[AnyEvent]:
        watched = self._state.cameras.pop(camera, None)
        if watched is not None and watched.incident:
            yield IncidentEnded(incident=watched.incident, observed_at_ns=at_ns, why=why)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._state)

    def restore(self, state: bytes) -> None:
        self._state = msgspec.msgpack.decode(state, type=_State)


def _rained(rain: _Rain, rain_mm_h: float, at_ns: int) -> None:
    """Let it fade over an hour, and add what has fallen since the last reading."""
    since_s = (at_ns - rain.observed_at_ns) / NS if rain.observed_at_ns else 0.0
    if since_s < 0:
        return
    fell_mm = rain_mm_h * min(since_s, GAUGE_STALE_S) / 3_600.0
    rain.mm = rain.mm * math.exp(-since_s / RAIN_TAU_S) + fell_mm
    rain.observed_at_ns = at_ns


def _alarms(camera: Camera) -> bool:
    kind = IncidentKind.WATER_ON_ROAD
    return kind not in camera.ignored and kind not in camera.counted


def _sources(camera: Camera, site: Site) -> _Sources:
    """The street gauges that speak for a camera's road, the surest first, and the rain gauge."""
    own = [g for g in site.gauges if g.kind == "street" and g.segment == camera.segment]
    near = _within(camera.at, [g for g in site.gauges if g.kind == "street"], GAUGE_REACH_M)
    street = dict.fromkeys(f"{g.id}/depth_m" for g in (*own, *near))
    rain = [g for g in site.gauges if "rain_mm_h" in g.quantities]
    raining = [f"{g.id}/rain_mm_h" for g in _within(camera.at, rain, RAIN_REACH_M)]
    return _Sources(tuple(street), raining[0] if raining else None)


def _within(place: LonLat, gauges: list[Gauge], reach_m: float) -> list[Gauge]:
    """Those in reach, the nearest first."""
    near = sorted(gauges, key=lambda g: apart_m(place, g.at))
    return [g for g in near if apart_m(place, g.at) <= reach_m]
