"""Decides how congested the wall shows each road: 0 free, 1 dense, 2 slow, 3 jammed.

In come queue lengths of the junctions' detectors, what cameras measure, and congestion incidents;
out goes the `congestion` field of the `segments` table, the gravest of what is known. Queues rise
and fall with each cycle, so their share of the road is averaged over about two cycles; a level is
left only some way below its threshold, so that no road flickers.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
from msgspec import Struct, field

from causeway.site import RoadSegment, Site
from dashboard.tables import Tables

VEHICLE_M = 5.0  # road taken by a queued vehicle in mixed motorbike traffic, lane by lane
STORAGE_M_MAX = 250.0  # a stop-line detector sees no further back
SHARES = (0.30, 0.50, 0.75)  # of the storage that is filled, averaged
SHARE_HYSTERESIS = 0.06
AVERAGE_WEIGHT = 0.02  # of one reading a second: about 50 s
OCCUPANCIES = (0.30, 0.45, 0.60)  # of the road surface in a picture
STANDING_RATIO = 0.5  # below it most of what is seen does not move


class _Load(Struct):
    """What is known of one road."""

    shares: dict[str, float] = field(default_factory=dict)  # by detector point
    cameras: dict[str, int] = field(default_factory=dict)  # level by camera
    jams: dict[str, bool] = field(default_factory=dict)  # congestion incident by camera
    queue_level: int = 0


class Congestion:
    """Queues, pictures and incidents to one level a road."""

    def __init__(self, site: Site, tables: Tables) -> None:
        self._tables = tables
        segments = {s.id: s for s in site.segments}
        self._road_of = {
            f"{j.id}/{g.id}/queue_veh": segments[g.segment]
            for j in site.junctions
            for g in j.groups
            if g.segment in segments
        }
        self._segment_of = {c.id: c.segment for c in site.cameras}
        self._loads: dict[str, _Load] = {s.id: _Load() for s in site.segments}

    def queue(self, point: str, queue_veh: float | None) -> None:
        """A detector's queue in vehicles; None where it cannot be believed."""
        road = self._road_of.get(point)
        if road is None:
            return
        load = self._loads[road.id]
        if queue_veh is None:
            load.shares.pop(point, None)
        else:
            share = queue_veh / storage_veh(road)
            before = load.shares.get(point, share)
            load.shares[point] = before + AVERAGE_WEIGHT * (share - before)
        share = max(load.shares.values(), default=0.0)
        reached = sum(share >= s for s in SHARES)
        kept = sum(share >= s - SHARE_HYSTERESIS for s in SHARES)
        load.queue_level = max(reached, min(load.queue_level, kept))
        self._show(road.id)

    def seen(self, camera: str, occupancy: float | None, moving: float | None) -> None:
        """A camera's measure: a full road that moves is dense, one that stands is jammed."""
        segment = self._segment_of[camera]
        level = 0
        if occupancy is not None and moving is not None:
            level = sum(occupancy >= o for o in OCCUPANCIES)
            if moving >= STANDING_RATIO:
                level = min(level, 1)
        self._loads[segment].cameras[camera] = level
        self._show(segment)

    def jammed(self, camera: str, jammed: bool) -> None:
        """A congestion incident stands or has ended."""
        segment = self._segment_of[camera]
        self._loads[segment].jams[camera] = jammed
        self._show(segment)

    def _show(self, segment: str) -> None:
        load = self._loads[segment]
        level = max(load.queue_level, *load.cameras.values(), 0)
        self._tables.put("segments", segment, congestion=3 if any(load.jams.values()) else level)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._loads)

    def restore(self, state: bytes) -> None:
        loads = msgspec.msgpack.decode(state, type=dict[str, _Load])
        self._loads = {segment: loads.get(segment, _Load()) for segment in self._loads}


def storage_veh(road: RoadSegment) -> float:
    """How many vehicles can queue on a road before its stop line; at least one."""
    length_m = sum(
        math.hypot(
            (b.lon - a.lon) * 111_320 * math.cos(math.radians(a.lat)), (b.lat - a.lat) * 110_574
        )
        for a, b in pairwise(road.line)
    )
    return max(1.0, min(length_m, STORAGE_M_MAX) * road.lanes / VEHICLE_M)
