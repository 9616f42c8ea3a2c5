"""The greedy methods to beat, as RESCO defines them: MaxWave and MaxPressure.

Each junction by itself takes the stage with the greatest gain, every 10 s as in RESCO, or every
second. They see the lanes at the stop lines, up to 200 m (RESCO, Pi-Star-Lab @ fc65e91f:
agents/maxwave.py, agents/maxpressure.py, states.py, traffic_signal.py); of equal gains the first
stage's counts. RESCO names by hand which lanes a stage serves; here they are those that have a
protected green in it, and where a lane has none in any stage, those with a permissive one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping

from benchmarks.signals.network import Network
from control.signals.layout import GREEN, PERMISSIVE, Layout
from control.signals.observed import Observed, Vehicle

STILL_M_S = 0.1
SEEN_M = 200.0


class Greedy:
    """`decide` gives the stage of the greatest gain for every junction, once a period."""

    def __init__(self, network: Network, period_s: int) -> None:
        self._layouts = network.layouts
        self._period_s = period_s
        self._begin_s: int | None = None
        self._served = {
            id_: [_served(layout, stage) for stage in layout.stages]
            for id_, layout in network.layouts.items()
        }

    def decide(self, at_s: int, seen: Mapping[str, Observed]) -> dict[str, int]:
        """Junction -> stage wanted; nothing between two decisions."""
        if self._begin_s is None:
            self._begin_s = at_s
        if (at_s - self._begin_s) % self._period_s:
            return {}
        return {id_: gains.index(max(gains)) for id_, gains in self.gains(seen).items()}

    @abstractmethod
    def gains(self, seen: Mapping[str, Observed]) -> dict[str, list[int]]:
        """For each junction what each of its stages would gain."""


class MaxWave(Greedy):
    """All vehicles on the lanes that a stage serves."""

    def gains(self, seen: Mapping[str, Observed]) -> dict[str, list[int]]:
        found = {}
        for id_, observed in seen.items():
            count = [0] * len(self._layouts[id_].lanes)
            for lane, _ in _at_stop_lines(self._layouts[id_], observed):
                count[lane] += 1
            found[id_] = [sum(count[lane] for lane in lanes) for lanes in self._served[id_]]
        return found


class MaxPressure(Greedy):
    """The queues on the lanes that a stage serves, less those on the lanes that it leads to.

    A vehicle is in the queue from where it first stood until it has left. Queues on lanes that
    lead to no signal are not known.
    """

    def __init__(self, network: Network, period_s: int) -> None:
        super().__init__(network, period_s)
        self._waited: dict[str, set[str]] = {id_: set() for id_ in network.layouts}
        stop_lines = {
            lane.id: (id_, number)
            for id_, layout in network.layouts.items()
            for number, lane in enumerate(layout.lanes)
        }
        self._next = {
            id_: [stop_lines.get(exit_.id) for exit_ in layout.exits]
            for id_, layout in network.layouts.items()
        }

    def gains(self, seen: Mapping[str, Observed]) -> dict[str, list[int]]:
        queues = {id_: self._queues(id_, observed) for id_, observed in seen.items()}
        found = {}
        for id_ in seen:
            layout = self._layouts[id_]
            behind = [
                queues[ahead[0]][ahead[1]] if ahead is not None else 0 for ahead in self._next[id_]
            ]
            found[id_] = [
                sum(queues[id_][lane] for lane in lanes)
                - sum(behind[exit_] for exit_ in _exits(layout, stage, lanes))
                for stage, lanes in zip(layout.stages, self._served[id_], strict=True)
            ]
        return found

    def _queues(self, id_: str, observed: Observed) -> list[int]:
        queue = [0] * len(self._layouts[id_].lanes)
        still = set()
        for lane, vehicle in _at_stop_lines(self._layouts[id_], observed):
            if vehicle.speed_m_s < STILL_M_S or vehicle.track in self._waited[id_]:
                still.add(vehicle.track)
                queue[lane] += 1
        self._waited[id_] = still
        return queue


def _at_stop_lines(layout: Layout, observed: Observed) -> Iterator[tuple[int, Vehicle]]:
    """The vehicles on the lanes at the stop lines, not further upstream."""
    for vehicle in observed.vehicles:
        lane = vehicle.lanes[0]
        if vehicle.distance_m <= min(SEEN_M, layout.lanes[lane].length_m):
            yield lane, vehicle


def _served(layout: Layout, stage: str) -> frozenset[int]:
    protected = {
        m.lane for m in layout.movements if any(s[m.signal] == GREEN for s in layout.stages)
    }
    return frozenset(
        m.lane
        for m in layout.movements
        if stage[m.signal] == GREEN or (stage[m.signal] == PERMISSIVE and m.lane not in protected)
    )


def _exits(layout: Layout, stage: str, lanes: frozenset[int]) -> frozenset[int]:
    return frozenset(
        m.exit
        for m in layout.movements
        if stage[m.signal] == GREEN or (stage[m.signal] == PERMISSIVE and m.lane in lanes)
    )
