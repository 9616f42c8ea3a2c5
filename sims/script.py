"""Decides what of a scenario happens now: faults that begin and end, vehicles that stall.

In come a scenario and the time; out go `Begun`, `Ended` and `Stalled`, each once. A process that
starts in the middle of a scenario gets what is still going on at its first look, and nothing that
is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sims.scenario import NS, FieldFault, Scenario, StalledVehicle, ns_of


class Begun(NamedTuple):
    """A fault is there from now on."""

    fault: FieldFault


class Ended(NamedTuple):
    """A fault has been repaired."""

    fault: FieldFault


class Stalled(NamedTuple):
    """A vehicle stops for so long."""

    vehicle: StalledVehicle
    for_s: float


class Script:
    """The events of a scenario in the order of their times."""

    def __init__(self, scenario: Scenario, now_ns: int) -> None:
        events: list[tuple[int, Begun | Ended | Stalled]] = []
        for fault in scenario.faults:
            begins_ns = ns_of(fault.at)
            ends_ns = begins_ns + int(fault.for_s * NS)
            if fault.for_s and ends_ns <= now_ns:
                continue
            events.append((begins_ns, Begun(fault)))
            if fault.for_s:
                events.append((ends_ns, Ended(fault)))
        for vehicle in scenario.stalled:
            begins_ns = ns_of(vehicle.at)
            left_s = vehicle.for_s - max(0, now_ns - begins_ns) / NS
            if left_s > 0:
                events.append((begins_ns, Stalled(vehicle, left_s)))
        self._events = sorted(events, key=lambda e: e[0])
        self._next = 0

    def due(self, now_ns: int) -> Iterator[Begun | Ended | Stalled]:
        """What has become due since the last look."""
        while self._next < len(self._events) and self._events[self._next][0] <= now_ns:
            self._next += 1
            yield self._events[self._next - 1][1]
