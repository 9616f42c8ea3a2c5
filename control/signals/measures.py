"""Measures of effectiveness of a junction, from what its tracker and its controller report.

In come `Tracks` and `SignalState`s; out go, for each approach over the last five minutes: arrivals
on green, split failures, the queue and the delay, as Automated Traffic Signal Performance Measures
have them (Day et al. 2014, Performance Measures for Traffic Signal Systems, Purdue). Pure.

An arrival is projected: a vehicle that comes within `ADVANCE_M` of the stop line would reach it
after that way at the limit; the group shows green then or not. A split failure is a green that
ends while a vehicle of the queue that stood at its begin is still there. Delay is the time from
a vehicle's first sight to the road behind, less the way at the limit.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from causeway.events import ApproachMeasures, SignalMeasures, SignalState
from causeway.site import Junction, Site
from causeway.tracks import TrackedVehicle, Tracks

NS = 1_000_000_000
OVER_S = 300
ADVANCE_M = 75.0
STANDS_M_S = 1.39  # 5 km/h
QUEUE_M = 150.0  # a queue is counted so far back
FORGOTTEN_S = 30.0  # who has not been seen for so long has not crossed
SILENT_S = 30.0
KEPT_MAX = 4_000  # of an approach: 5 minutes at 48,000 vehicles an hour


class _Seen(Struct):
    """A vehicle on the approach, and from when and where on."""

    first_at_s: float
    first_m: float
    last_at_s: float
    due_at_s: float | None = None  # at the stop line, were nothing in the way
    arrived: bool = False


class _Approach:
    """What was seen of one approach."""

    def __init__(self, group: str, limit_m_s: float) -> None:
        self.group = group
        self._limit_m_s = limit_m_s
        self._green = False
        self._vehicles: dict[str, _Seen] = {}
        self._queue_at_green: frozenset[str] = frozenset()
        self._there: dict[str, float] = {}  # those seen last, and their speeds
        self._queued: tuple[str, ...] = ()
        self._arrivals: deque[tuple[float, bool]] = deque(maxlen=KEPT_MAX)
        self._delays: deque[tuple[float, float]] = deque(maxlen=KEPT_MAX)
        self._greens: deque[tuple[float, bool]] = deque(maxlen=KEPT_MAX)
        self._queues: deque[tuple[float, int]] = deque(maxlen=KEPT_MAX)

    def signal(self, green: bool, at_s: float) -> None:
        """What its heads show from now on."""
        if green and not self._green:
            self._queue_at_green = frozenset(self._queued)
        elif self._green and not green:
            failed = any(track in self._there for track in self._queue_at_green)
            self._greens.append((at_s, failed))
        self._green = green

    def see(self, rows: list[TrackedVehicle], crossed: list[str], at_s: float) -> None:
        """One second of it."""
        self._there = {row.track: row.speed_m_s for row in rows}
        for row in rows:
            seen = self._vehicles.get(row.track)
            if seen is None:
                seen = self._vehicles[row.track] = _Seen(at_s, row.distance_m, at_s)
            seen.last_at_s = at_s
            if seen.due_at_s is None and row.distance_m <= ADVANCE_M:
                seen.due_at_s = at_s + row.distance_m / self._limit_m_s
        for seen in self._vehicles.values():
            if not seen.arrived and seen.due_at_s is not None and seen.due_at_s <= at_s:
                seen.arrived = True
                self._arrivals.append((at_s, self._green))
        for track in crossed:
            seen = self._vehicles.pop(track, None)
            if seen is not None:
                free_s = seen.first_m / self._limit_m_s
                self._delays.append((at_s, max(0.0, at_s - seen.first_at_s - free_s)))
        self._queued = tuple(
            row.track for row in rows if row.speed_m_s < STANDS_M_S and row.distance_m < QUEUE_M
        )
        self._queues.append((at_s, len(self._queued)))
        lost = [t for t, s in self._vehicles.items() if at_s - s.last_at_s > FORGOTTEN_S]
        for track in lost:
            del self._vehicles[track]

    def measured(self, at_s: float) -> ApproachMeasures:
        for kept in (self._arrivals, self._delays, self._greens, self._queues):
            while kept and kept[0][0] <= at_s - OVER_S:
                kept.popleft()
        on_green = sum(green for _, green in self._arrivals)
        delay_s = sum(delay for _, delay in self._delays) / max(1, len(self._delays))
        return ApproachMeasures(
            group=self.group,
            arrivals=len(self._arrivals),
            arrivals_on_green_ratio=round(on_green / max(1, len(self._arrivals)), 3),
            greens=len(self._greens),
            split_failures=sum(failed for _, failed in self._greens),
            queue_veh=len(self._queued),
            queue_veh_max=max((n for _, n in self._queues), default=0),
            delay_s=round(delay_s, 1),
            crossed=len(self._delays),
        )


class Measures:
    """Of one junction."""

    def __init__(self, junction: Junction, site: Site) -> None:
        limits = {s.id: s.speed_limit_km_h / 3.6 for s in site.segments}
        self._junction = junction
        self._approaches = {
            g.segment: _Approach(g.id, limits[g.segment])
            for g in junction.groups
            if g.segment is not None
        }
        self._began_at_ns = 0
        self._seen_at_ns = 0
        self._shown_at_ns = 0

    def signal(self, state: SignalState) -> None:
        """The controller's report."""
        if state.observed_at_ns < self._shown_at_ns:
            return
        self._shown_at_ns = state.observed_at_ns
        for group, aspect in zip(self._junction.groups, state.aspects, strict=False):
            if group.segment is not None:
                green = aspect == "G"
                self._approaches[group.segment].signal(green, state.observed_at_ns / NS)

    def see(self, tracks: Tracks, at_ns: int) -> None:
        """What the tracker saw."""
        self._began_at_ns = self._began_at_ns or at_ns
        self._seen_at_ns = at_ns
        rows: dict[str, list[TrackedVehicle]] = {segment: [] for segment in self._approaches}
        for row in tracks.vehicles:
            if row.segment in rows:
                rows[row.segment].append(row)
        crossed: dict[str, list[str]] = {segment: [] for segment in self._approaches}
        for crossing in tracks.crossings:
            if crossing.from_segment in crossed:
                crossed[crossing.from_segment].append(crossing.track)
        for segment, approach in self._approaches.items():
            approach.see(rows[segment], crossed[segment], at_ns / NS)

    def measured(self, at_ns: int) -> SignalMeasures | None:
        """None while the tracker is silent."""
        if not self._seen_at_ns or at_ns - self._seen_at_ns > SILENT_S * NS:
            return None
        over_s = min(OVER_S, int((at_ns - self._began_at_ns) / NS))
        approaches = tuple(a.measured(at_ns / NS) for a in self._approaches.values())
        return SignalMeasures(self._junction.id, at_ns, over_s, approaches)
