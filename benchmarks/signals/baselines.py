"""The greedy methods to beat, as RESCO defines them: MaxWave and MaxPressure.

Each junction by itself takes the stage with the greatest gain, every 10 s as in RESCO, or every
second. They see the lanes at the stop lines, up to 200 m (RESCO, Pi-Star-Lab @ fc65e91f:
agents/maxwave.py, agents/maxpressure.py, states.py, traffic_signal.py); of equal gains the first
stage's counts. RESCO names by hand which lanes a stage serves; here they are those that have a
protected green in it, and where a lane has none in any stage, those with a permissive one.

Where the stop-line lane is a piece of a metre RESCO's hand may name the lane before it (gneJ143). A
lane shorter than one vehicle is seen through: who is on a lane directly before it that leads on to
no other lane, or on the way between the two, counts as on it; the lane before that does not count.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping

from benchmarks.signals.approaches import Feeder
from benchmarks.signals.eyes import STILL_M_S
from benchmarks.signals.network import Network
from control.signals.layout import GREEN, PERMISSIVE, Layout
from control.signals.observed import VEHICLE_M, Observed, Vehicle

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
        self._zones = {
            id_: _zones(layout, network.feeders[id_]) for id_, layout in network.layouts.items()
        }

    def decide(self, at_s: int, seen: Mapping[str, Observed]) -> dict[str, int]:
        """Junction -> stage wanted; nothing between two decisions."""
        if self._begin_s is None:
            self._begin_s = at_s
        if (at_s - self._begin_s) % self._period_s:
            return {}
        return {id_: gains.index(max(gains)) for id_, gains in self.gains(seen).items()}

    def at_stop_lines(self, id_: str, observed: Observed) -> Iterator[tuple[int, Vehicle]]:
        """The vehicles that count as on the lanes at a junction's stop lines."""
        for vehicle in observed.vehicles:
            lane = self._zones[id_].get(vehicle.zone)
            if lane is not None and vehicle.distance_m <= SEEN_M:
                yield lane, vehicle

    @abstractmethod
    def gains(self, seen: Mapping[str, Observed]) -> dict[str, list[int]]:
        """For each junction what each of its stages would gain."""


class MaxWave(Greedy):
    """All vehicles on the lanes that a stage serves."""

    def gains(self, seen: Mapping[str, Observed]) -> dict[str, list[int]]:
        found = {}
        for id_, observed in seen.items():
            count = [0] * len(self._layouts[id_].lanes)
            for lane, _ in self.at_stop_lines(id_, observed):
                count[lane] += 1
            found[id_] = [sum(count[lane] for lane in lanes) for lanes in self._served[id_]]
        return found


class MaxPressure(Greedy):
    """The queues on the lanes that a stage serves, less those on the lanes that it leads to.

    A vehicle is in the queue from where it first stood until it has left. What an exit leads to
    is itself where it ends at a signal, else those stop-line lanes of the next signal that can be
    reached from it; queues on lanes that lead to no signal within view are not known.
    """

    def __init__(self, network: Network, period_s: int) -> None:
        super().__init__(network, period_s)
        self._waited: dict[str, set[str]] = {id_: set() for id_ in network.layouts}
        stop_lines = {
            lane.id: (id_, number)
            for id_, layout in network.layouts.items()
            for number, lane in enumerate(layout.lanes)
        }
        self._ahead: dict[str, list[set[tuple[str, int]]]] = {
            id_: [{stop_lines[exit_.id]} if exit_.id in stop_lines else set() for exit_ in la.exits]
            for id_, la in network.layouts.items()
        }
        for id_, ways in network.upstream.items():
            for way in ways:
                before = network.layouts[way.junction]
                exit_ = before.movements[way.movement].exit
                if before.exits[exit_].id not in stop_lines:
                    self._ahead[way.junction][exit_] |= {(id_, lane) for lane in way.lanes}

    def gains(self, seen: Mapping[str, Observed]) -> dict[str, list[int]]:
        queues = {id_: self._queues(id_, observed) for id_, observed in seen.items()}
        found = {}
        for id_ in seen:
            layout = self._layouts[id_]
            found[id_] = [
                sum(queues[id_][lane] for lane in lanes)
                - sum(queues[next_][lane] for next_, lane in self._beyond(id_, stage, lanes))
                for stage, lanes in zip(layout.stages, self._served[id_], strict=True)
            ]
        return found

    def _beyond(self, id_: str, stage: str, lanes: frozenset[int]) -> set[tuple[str, int]]:
        """The stop-line lanes to which a stage leads, each once."""
        exits = _exits(self._layouts[id_], stage, lanes)
        return set[tuple[str, int]]().union(*(self._ahead[id_][exit_] for exit_ in exits))

    def _queues(self, id_: str, observed: Observed) -> list[int]:
        queue = [0] * len(self._layouts[id_].lanes)
        still = set()
        for lane, vehicle in self.at_stop_lines(id_, observed):
            if vehicle.speed_m_s < STILL_M_S or vehicle.track in self._waited[id_]:
                still.add(vehicle.track)
                queue[lane] += 1
        self._waited[id_] = still
        return queue


def _zones(layout: Layout, feeders: Iterable[Feeder]) -> dict[str, int]:
    """Lane of the net -> the stop-line lane that who is there counts for."""
    zones = {lane.id: number for number, lane in enumerate(layout.lanes)}
    for feeder in feeders:
        if feeder.ahead is not None and layout.lanes[feeder.ahead].length_m < VEHICLE_M:
            zones.setdefault(feeder.lane, feeder.ahead)
    return zones


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
