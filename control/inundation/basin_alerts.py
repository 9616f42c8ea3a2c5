"""Decides for which drainage basin people are warned, how urgently, and when that is over.

In come the streets' `FloodAlertChanged`; out go `BasinAlertChanged`, one at each change of a
basin's level and of what it rests on. A basin is on watch or warned of as soon as one of its
streets is. It is an emergency when one of them is, or when the water spreads: a third of its
streets, and at least three, are surely warned of. `basins.py` says which streets those are.

Laws of this file:
1. A level rises within a second. It falls when the streets have allowed a lower one for the hold
   time, not before it has stood for its least time, and to no less than any of that time allows.
2. Many streets that change at once are one event.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    Address,
    AnyEvent,
    BasinAlertChanged,
    FloodAlertChanged,
    FloodCause,
    Now,
    Tick,
)
from causeway.site import Site
from control.inundation.alerts import EMERGENCY, SURE, WARNING, WATCH, has_moved
from control.inundation.basins import DrainageBasin, basins_of

NS = 1_000_000_000
SPREAD, SPREAD_KEPT = 1 / 3, 1 / 4  # of a basin's streets: to become an emergency, to stay one
SPREAD_MIN, SPREAD_KEPT_MIN = 3, 2
HOLD_S = 1_200
STANDS_S = 1_800


class _Street(Struct, array_like=True):
    """A street's alert as it was last told."""

    level: int
    probability: float
    peak_m: float
    onset_at_ns: int | None
    cause: FloodCause


class _Basin(Struct):
    """A basin's level and since when; since when its streets have allowed a lower one."""

    streets: dict[str, _Street] = {}  # those with an alert
    level: int = 0
    since_ns: int = 0
    falling_since_ns: int | None = None
    falling_to: int = 0
    because: Address | None = None  # the newest change of a street that was not looked at yet
    told: BasinAlertChanged | None = None


class BasinAlerts:
    """From the streets' alerts to one alert a basin."""

    name = "basin_alerts"
    hears = frozenset({FloodAlertChanged, Tick})

    def __init__(self, site: Site) -> None:
        self._known = {basin.id: basin for basin in basins_of(site)}
        self._basin_of = {s: basin.id for basin in self._known.values() for s in basin.streets}
        self._basins = {id_: _Basin() for id_ in self._known}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case FloodAlertChanged() if event.segment in self._basin_of:
                basin = self._basins[self._basin_of[event.segment]]
                basin.because = now.address
                basin.streets.pop(event.segment, None)
                if event.level:
                    basin.streets[event.segment] = _Street(
                        event.level,
                        event.probability,
                        event.peak_m,
                        event.onset_at_ns,
                        event.cause,
                    )
            case Tick():
                for id_, basin in self._basins.items():
                    if basin.because is not None or basin.falling_since_ns is not None:
                        yield from self._look(self._known[id_], basin, now.at_ns)
            case _:
                pass

    def _look(self, known: DrainageBasin, basin: _Basin, at_ns: int) -> Iterator[AnyEvent]:
        before, because = basin.level, basin.because
        basin.because = None
        _settle(basin, len(known.streets), at_ns)
        alert = _alert(known, basin, before, because)
        if basin.level != before or (basin.level >= WARNING and _is_news(alert, basin.told)):
            basin.told = alert if basin.level else None
            yield alert

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._basins)

    def restore(self, state: bytes) -> None:
        basins = msgspec.msgpack.decode(state, type=dict[str, _Basin])
        self._basins |= {id_: basins[id_] for id_ in self._basins if id_ in basins}


def _settle(basin: _Basin, count: int, at_ns: int) -> None:
    """Bring a basin's level up to its streets; the times of law 1."""
    reached = _level(basin, max(SPREAD_MIN, SPREAD * count))
    kept = reached
    if basin.level == EMERGENCY:
        kept = _level(basin, max(SPREAD_KEPT_MIN, SPREAD_KEPT * count))
    if reached > basin.level:
        basin.level, basin.since_ns, basin.falling_since_ns = reached, at_ns, None
    elif kept >= basin.level:
        basin.falling_since_ns = None
    elif basin.falling_since_ns is None:
        basin.falling_since_ns, basin.falling_to = at_ns, kept
    else:
        basin.falling_to = max(basin.falling_to, kept)
        held_s, stood_s = at_ns - basin.falling_since_ns, at_ns - basin.since_ns
        if held_s >= HOLD_S * NS and stood_s >= STANDS_S * NS:
            basin.level, basin.since_ns = basin.falling_to, at_ns
            lower = kept < basin.level
            basin.falling_since_ns, basin.falling_to = (at_ns if lower else None), kept


def _level(basin: _Basin, spread: float) -> int:
    """That of its worst street; an emergency where so many are surely warned of."""
    streets = basin.streets.values()
    surely = sum(s.level >= WARNING and s.probability >= SURE for s in streets)
    if surely >= spread:
        return EMERGENCY
    return max((street.level for street in streets), default=0)


def _alert(
    known: DrainageBasin, basin: _Basin, before: int, because: Address | None
) -> BasinAlertChanged:
    """A basin's alert; what it says is of the streets that are warned of, else of those watched."""
    least = WARNING if any(s.level >= WARNING for s in basin.streets.values()) else WATCH
    counted = {id_: s for id_, s in basin.streets.items() if s.level >= least}
    onsets_ns = [s.onset_at_ns for s in counted.values() if s.onset_at_ns is not None]
    there = any(s.onset_at_ns is None and s.probability == 1.0 for s in counted.values())
    return BasinAlertChanged(
        because=because,
        basin=known.id,
        name=known.name,
        level=basin.level,
        was=before,
        probability=max((s.probability for s in counted.values()), default=0.0),
        peak_m=max((s.peak_m for s in counted.values()), default=0.0),
        onset_at_ns=None if there else min(onsets_ns, default=None),
        cause=_cause([s.cause for s in counted.values()]),
        streets=tuple(sorted(counted)),
        of=len(known.streets),
        why=f"{len(counted)} of {len(known.streets)} streets"
        + (" warned of" if counted and least == WARNING else " on watch" if counted else ""),
    )


def _cause(causes: list[FloodCause]) -> FloodCause:
    """What a basin floods by: a failed pump or gate before all, rain and tide together as both."""
    found = set(causes) - {FloodCause.UNKNOWN}
    if FloodCause.PUMP_FAILURE in found:
        return FloodCause.PUMP_FAILURE
    if len(found) > 1:
        return FloodCause.BOTH
    return found.pop() if found else FloodCause.UNKNOWN


def _is_news(alert: BasinAlertChanged, told: BasinAlertChanged | None) -> bool:
    """Whether an alert of the same level says something else than the last one.

    One that only waits for its hold time to end, of no street any more, says nothing else.
    """
    if not alert.streets:
        return False
    if told is None or alert.streets != told.streets:
        return True
    return has_moved(alert.peak_m, told.peak_m, alert.onset_at_ns, told.onset_at_ns)
