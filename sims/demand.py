"""Decides who enters the district when: seeded arrivals from fringe to fringe, without end.

In come the network's entries and exits and a scenario's `TrafficLevel`; out go `Trip`s, step by
step. The same seed and the same steps give the same trips. `traffic.py` finds their routes and lets
them in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.city import Network
from sims.scenario import TrafficLevel

# Of what is not a motorbike: cars and taxis, buses, trucks and vans (heavy trucks are kept out of
# the centre of Ho Chi Minh City by day).
OTHER_KINDS = ("car", "bus", "truck")
OTHER_SHARES = (0.86, 0.06, 0.08)
UNDER_WAY_H = 0.13  # at most so many hours of arrivals are on the roads at the start,
UNDER_WAY_LANE_KM = 6.0  # and so many vehicles on a kilometre of lane
CALL_SHARES = (0.15, 0.25, 0.60)  # of the trips drive by so many streets before they leave
WATCHED_SHARE = 0.7  # of the calls are at a street with a camera: they stand where it is busy
WARY_SHARE = 0.7  # of the motorbikes: turn away from water that the others still try


class Trip(NamedTuple):
    """One vehicle that wants to enter at an edge and leave at another."""

    entry: str
    exit: str
    type: str  # a vehicle type of traffic.py
    calls: tuple[str, ...] = ()  # edges to drive by on the way


class Arrivals:
    """Poisson arrivals at the district's entries."""

    def __init__(
        self, network: Network, level: TrafficLevel, seed: int, watched: frozenset[str]
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._level = level
        self._network = network
        self._entry_shares = _shares(network, network.entries)
        self._exit_shares = _shares(network, network.exits)
        edges = tuple(network.edges)
        lengths_m = np.array(
            [network.edges[e].length_m * len(network.edges[e].lanes) for e in edges]
        )
        self._edges, self._edge_shares = edges, lengths_m / lengths_m.sum()
        under_way = (level.veh_h * UNDER_WAY_H, lengths_m.sum() / 1000.0 * UNDER_WAY_LANE_KM)
        self._under_way = int(min(under_way))
        busy = np.array([float(network.edges[e].segment in watched) for e in edges])
        share = WATCHED_SHARE if busy.any() else 0.0
        self._call_shares = (1 - share) * _shares(network, edges)
        self._call_shares += share * busy / max(busy.sum(), 1.0)

    def next(self, step_s: float, factor: float = 1.0) -> list[Trip]:
        """Who arrives within the next `step_s`, at `factor` of the usual demand."""
        if not self._network.entries or not self._network.exits:
            return []
        count = int(self._random.poisson(self._level.veh_h * factor * step_s / 3600.0))
        entries = self._random.choice(len(self._entry_shares), count, p=self._entry_shares)
        return [self._trip(self._network.entries[i]) for i in entries]

    def first(self) -> list[Trip]:
        """Who is already under way at the start; `entry` is where on the network they are."""
        if not self._network.exits:
            return []
        places = self._random.choice(len(self._edges), self._under_way, p=self._edge_shares)
        return [self._trip(self._edges[i]) for i in places]

    def exit_from(self, edge: str) -> str:
        """Somewhere to go to from an edge, other than back along its own segment."""
        segment = self._network.edges[edge].segment
        for _ in range(8):
            exit_ = self._network.exits[
                int(self._random.choice(len(self._exit_shares), p=self._exit_shares))
            ]
            if self._network.edges[exit_].segment != segment:
                return exit_
        return exit_

    def _trip(self, entry: str) -> Trip:
        count = int(self._random.choice(len(CALL_SHARES), p=CALL_SHARES))
        places = self._random.choice(len(self._edges), count, p=self._call_shares)
        calls = tuple(self._edges[i] for i in places)
        return Trip(entry, self.exit_from((entry, *calls)[-1]), self._type(), calls)

    def _type(self) -> str:
        if self._random.random() < self._level.motorbike_share:
            return "wary" if self._random.random() < WARY_SHARE else "bold"
        return OTHER_KINDS[int(self._random.choice(len(OTHER_KINDS), p=OTHER_SHARES))]


def _shares(network: Network, edges: tuple[str, ...]) -> NDArray[np.float64]:
    """Wide and fast roads carry more."""
    weights = np.array([len(network.edges[e].lanes) * network.edges[e].speed_m_s for e in edges])
    return weights / weights.sum() if len(edges) else weights
