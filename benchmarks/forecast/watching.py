"""Forecasts a recorded storm as the centre would have, from what had arrived by then.

In come a record and a forecaster; out come, for each time of issue, the ensemble, and at the end
every alert that the centre's own core raised from them; what it raises on seeing water is left out,
for that is no forecast. Forecasts are issued
every five minutes while it rains and for a while after, else every fifteen: the ones between, which
the centre issues too, would say nearly the same. A second forecaster that draws no levels to what
was observed may be asked at the same instants, to compare (open loop); it warns of nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.forecast.truth import MINUTE_S, Record
from causeway.events import Address, AnyEvent, FloodAlertChanged, Now
from causeway.site import Site
from control.inundation.alerts import FloodAlerts
from control.inundation.forecaster import Ensemble, Forecaster

FIRST_MIN = 30
BUSY_MIN, QUIET_MIN = 5, 15
LATELY_MIN = 20


class Issued(NamedTuple):
    """One forecast: how many minutes into the record, and what its members say."""

    minute: int
    ensemble: Ensemble
    open_loop: Ensemble | None = None


def watch(
    site: Site,
    record: Record,
    forecaster: Forecaster,
    open_loop: Forecaster | None = None,
    progress: Callable[[int], object] = lambda seconds: None,
) -> tuple[list[Issued], list[tuple[int, FloodAlertChanged]]]:
    """All forecasts of a storm, and the alerts with the minute that each was raised in."""
    alert_core = FloodAlerts(site)
    issued: list[Issued] = []
    alerts: list[tuple[int, FloodAlertChanged]] = []
    due = FIRST_MIN
    for row, at_ns in enumerate(record.at_ns):
        minute, now = row + 1, Now(int(at_ns), Address(row + 1, 0))
        readings = record.readings(row)
        for one in (forecaster, open_loop):
            if one is not None:
                one.take(readings)
        if minute >= due:
            ensemble = forecaster.run(int(at_ns))
            forecast, of_gauges = forecaster.told(int(at_ns), ensemble)
            other = open_loop.run(int(at_ns)) if open_loop is not None else None
            issued.append(Issued(minute, ensemble, other))
            told: list[AnyEvent] = [*of_gauges, forecast]
            for event in told:
                alerts += _raised(alert_core.step(event, now), minute)
            due = minute + QUIET_MIN - minute % BUSY_MIN
        if _rained(record, row):
            due = min(due, -(-(minute + 1) // BUSY_MIN) * BUSY_MIN)
        progress(MINUTE_S)
    return issued, alerts


def _raised(events: Iterator[object], minute: int) -> Iterator[tuple[int, FloodAlertChanged]]:
    return ((minute, e) for e in events if isinstance(e, FloodAlertChanged))


def _rained(record: Record, row: int) -> bool:
    """Whether a gauge has seen rain lately."""
    rain = [i for i, point in enumerate(record.points) if point.endswith("/rain_mm_h")]
    lately = record.values[max(0, row - LATELY_MIN) : row + 1, rain]
    return bool(np.nan_to_num(lately).max() > 0.0)
