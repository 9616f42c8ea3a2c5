"""Decides which way a driver takes: the quickest open one, by now's travel times.

In come trips of `demand.py` and vehicles that must or may find another way; out go routes, from
libsumo's own router. A driver whose goal is cut off goes to another exit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import libsumo

from sims.demand import Arrivals, Trip

ANOTHER_GOAL_TRIES = 4
AGGREGATED = 1  # libsumo's routing mode by smoothed travel times


class Routes:
    """Finds ways through the network as it is now."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.turns_left: dict[str, set[str]] = {}  # from edges of which a lane is closed

    def of_trip(self, trip: Trip) -> tuple[str, ...]:
        """A trip's route by its calls, as many as lie on a way without a circle."""
        route: tuple[str, ...] = (trip.entry,)
        for call in trip.calls:
            route = self._longer(trip.type, route, call) or route
        for exit_ in (trip.exit, *self._exits_from(route[-1])):
            if whole := self._longer(trip.type, route, exit_):
                return whole
        return self._way(trip.type, trip.entry, trip.exit)

    def _longer(self, type_: str, route: tuple[str, ...], goal: str) -> tuple[str, ...]:
        """A route and on to a goal; empty when that is no way or drives on an edge twice."""
        if goal in route:
            return ()
        onward = self._find(type_, route[-1], goal)
        return (*route, *onward[1:]) if onward and not set(route) & set(onward[1:]) else ()

    def redirect(self, name: str, ahead: list[str]) -> bool:
        """Give a vehicle the quickest open route, to its goal or else to another exit.

        The type is read from the name: setLateralAlignment gave the vehicle a type of its own, and
        libsumo 1.28 frees that type under it when findRoute is asked with it.
        """
        type_, here, goal = name.partition("-")[0], ahead[0], ahead[-1]
        edges = self._way(type_, here, goal)
        if not edges:  # it stands on a closed street itself, and first drives out of it
            edges = self._way(type_, ahead[1], goal)
            edges = (here, *edges) if edges and not self.is_cut((here, *edges)) else ()
        try:
            if edges:
                libsumo.vehicle.setRoute(name, edges)
        except libsumo.TraCIException:
            return False  # it is past the last place where it could have turned
        return bool(edges)

    def is_cut(self, way: Sequence[str]) -> bool:
        """Whether a way has a turn that cannot be made from the lanes that are open."""
        turns = itertools.pairwise(way)
        return any(b not in self.turns_left.get(a, (b,)) for a, b in turns)

    def _way(self, type_: str, here: str, goal: str) -> tuple[str, ...]:
        """The quickest open route to a goal or, when there is none, to another exit."""
        for exit_ in (goal, *self._exits_from(here)):
            if found := self._find(type_, here, exit_):
                return found
        return ()

    def _exits_from(self, edge: str) -> Iterator[str]:
        return (self._arrivals.exit_from(edge) for _ in range(ANOTHER_GOAL_TRIES))

    def _find(self, type_: str, here: str, goal: str) -> tuple[str, ...]:
        """The quickest open route; empty when there is none, or when `here` itself is closed.

        SUMO's router asks whether an edge has an open lane, not whether that lane leads on.
        """
        found, _ = self._quickest(type_, here, goal)
        if not self.is_cut(found):
            return found
        cut = next(i for i in range(len(found)) if self.is_cut(found[: i + 1])) - 1
        way = found[: cut + 1]
        others = [self._quickest(type_, turn, goal) for turn in sorted(self.turns_left[way[-1]])]
        open_ = [o for o in others if o[0] and not self.is_cut(o[0]) and not set(way) & set(o[0])]
        return (*way, *min(open_, key=lambda o: o[1])[0]) if open_ else ()

    def _quickest(self, type_: str, here: str, goal: str) -> tuple[tuple[str, ...], float]:
        """SUMO's route and its seconds."""
        try:
            found = libsumo.simulation.findRoute(here, goal, type_, -1.0, AGGREGATED)
        except libsumo.TraCIException:
            return (), 0.0
        return tuple(found.edges), float(found.travelTime)
