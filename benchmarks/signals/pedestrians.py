"""Who waits at the crossings in SUMO: counted each second, the same under every controller.

A pedestrian waits who stands at an end of a crossing that is next on his way: he has pressed its
button. How long is counted from the first second, over all of the time that he stands there.
"""

from __future__ import annotations

import libsumo

from benchmarks.signals.eyes import STILL_M_S
from benchmarks.signals.network import Network
from control.signals.observed import Call


class Pedestrians:
    """All crossings of a network; `look` each second."""

    def __init__(self, network: Network) -> None:
        self._places = {
            crossing.id: (id_, number)
            for id_, layout in network.layouts.items()
            for number, crossing in enumerate(layout.crossings)
        }
        self._kerbs = sorted({kerb for ends in network.kerbs.values() for kerb in ends})
        self._since_s: dict[tuple[str, str], int] = {}  # by person and crossing
        self._seconds = 0
        self.waited_s = 0  # by all together
        self.wait_max_s = 0

    def look(self) -> dict[str, tuple[Call, ...]]:
        """The calls at each junction that has any."""
        since_s: dict[tuple[str, str], int] = {}
        for kerb in self._kerbs:
            for person in libsumo.edge.getLastStepPersonIDs(kerb):
                crossing = libsumo.person.getNextEdge(person)
                stands = libsumo.person.getSpeed(person) < STILL_M_S
                before_s = self._since_s.get((person, crossing))
                if crossing in self._places and (stands or before_s is not None):
                    since_s[person, crossing] = self._seconds if before_s is None else before_s
        self._since_s = since_s
        waits: dict[str, list[int]] = {}
        for (_, crossing), from_s in since_s.items():
            waits.setdefault(crossing, []).append(self._seconds - from_s)
        self._seconds += 1
        self.waited_s += len(since_s)
        self.wait_max_s = max(self.wait_max_s, *map(max, waits.values()), 0)
        calls: dict[str, list[Call]] = {}
        for crossing, times_s in waits.items():
            id_, number = self._places[crossing]
            calls.setdefault(id_, []).append(Call(number, len(times_s), max(times_s)))
        return {id_: tuple(sorted(found)) for id_, found in calls.items()}
