"""Follows the lanes of a SUMO net upstream from a junction's stop lines.

Stop lines may lie on lanes of a metre, so an approach is followed across nodes until `VIEW_M` or
another signal. Turns back on the own road are not followed: they would lead away from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from control.signals.layout import Layout, Upstream
from control.signals.observed import VIEW_M

TURN_BACK = "t"
WALKED = {"pedestrian"}

Controlled = dict[tuple[str, str], tuple[str, int]]  # lane and exit -> junction and movement
Leads = dict[str, set[int]]  # lane -> lanes of the layout that it leads to


class Feeder(NamedTuple):
    """A lane from which vehicles come to a stop line, and how far its end is from that line."""

    lane: str
    to_stop_line_m: float
    length_m: float
    speed_m_s: float
    lanes: tuple[int, ...]  # of the layout: to which of them it leads
    ahead: int | None = None  # of the layout: the lane that follows it, and is its only way on


class _Road(NamedTuple):
    """An edge still to be followed; `distance_m` from its end to the stop line."""

    edge: Any
    distance_m: float
    leads: Leads


def approaches(
    net: Any, layout: Layout, controlled: Controlled
) -> tuple[tuple[Feeder, ...], tuple[Upstream, ...]]:
    """The lanes on the way to the stop lines, and the movements of other signals that feed them.

    Where every lane of a road is fed by a lane of its own a vehicle is taken to keep its lane;
    where a road gets wider it may come to any.
    """
    search = _Search(net, layout, controlled)
    return search.feeders(), search.upstream()


class _Search:
    """Breadth first over the roads upstream; each road is entered once, by its shortest way."""

    def __init__(self, net: Any, layout: Layout, controlled: Controlled) -> None:
        self._net = net
        self._controlled = controlled
        self._own = {lane.id for lane in layout.lanes}
        self._before = {
            before: number
            for number, lane in enumerate(layout.lanes)
            for before in self._directly_before(lane.id)
        }
        self._feeders: dict[str, Feeder] = {}
        self._ahead: dict[tuple[str, int], tuple[float, float, set[int]]] = {}
        roads: dict[str, _Road] = {}
        for number, lane in enumerate(layout.lanes):
            self._feed(lane.id, 0.0, lane.length_m, lane.speed_m_s, {number})
            edge = net.getLane(lane.id).getEdge()
            roads.setdefault(edge.getID(), _Road(edge, 0.0, {})).leads[lane.id] = {number}
        done: set[str] = set()
        todo = list(roads.values())
        while todo:
            road = todo.pop(0)
            if road.edge.getID() not in done:
                done.add(road.edge.getID())
                todo += self._follow(road)

    def feeders(self) -> tuple[Feeder, ...]:
        return tuple(self._feeders.values())

    def upstream(self) -> tuple[Upstream, ...]:
        return tuple(
            Upstream(id_, movement, distance_m, speed_m_s, tuple(sorted(to)))
            for (id_, movement), (distance_m, speed_m_s, to) in self._ahead.items()
        )

    def _directly_before(self, id_: str) -> Iterator[str]:
        """The lanes whose only way on is this lane, and those inside the node between."""
        for connection in self._net.getLane(id_).getIncomingConnections():
            source = connection.getFromLane()
            ways = {
                c.getToLane().getID() for c in source.getOutgoing() if c.getDirection() != TURN_BACK
            }
            if not source.getID().startswith(":") and ways == {id_}:
                yield source.getID()
                yield from (lane.getID() for lane in self._inside(connection))

    def _follow(self, road: _Road) -> list[_Road]:
        """Take the lanes of a road in, and give the roads that lead to it."""
        everywhere = set[int]().union(*road.leads.values())
        if road.distance_m > 0:
            for lane in _driven(road.edge):
                to = road.leads.get(lane.getID(), everywhere)
                self._feed(lane.getID(), road.distance_m, lane.getLength(), lane.getSpeed(), to)
        start_m = road.distance_m + road.edge.getLength()
        if start_m > VIEW_M:
            return []
        into = [
            (connection, road.leads.get(lane.getID(), everywhere))
            for lane in _driven(road.edge)
            for connection in lane.getIncomingConnections()
            if connection.getDirection() != TURN_BACK
            and not connection.getFromLane().getID().startswith(":")
        ]
        reached = set[int]().union(*(to for _, to in into))
        fed = {connection.getToLane().getID() for connection, _ in into}
        apart = reached == everywhere and len(fed) == len(_driven(road.edge))
        further: dict[str, _Road] = {}
        for connection, direct in into:
            self._enter(connection, start_m, direct if apart else everywhere, further)
        return list(further.values())

    def _enter(
        self, connection: Any, start_m: float, to: set[int], further: dict[str, _Road]
    ) -> None:
        source = connection.getFromLane()
        before_m = start_m
        for lane in self._inside(connection):
            self._feed(lane.getID(), before_m, lane.getLength(), lane.getSpeed(), to)
            before_m += lane.getLength()
        link = self._controlled.get((source.getID(), connection.getToLane().getID()))
        if link is not None:
            self._ahead.setdefault(link, (before_m, source.getSpeed(), set()))[2].update(to)
        elif source.getID() not in self._own:
            edge = source.getEdge()
            road = further.setdefault(edge.getID(), _Road(edge, before_m, {}))
            road.leads.setdefault(source.getID(), set()).update(to)

    def _inside(self, connection: Any) -> Iterator[Any]:
        """The lanes inside a node that a connection goes over, the last first."""
        via = connection.getViaLaneID()
        while via:
            lane = self._net.getLane(via)
            yield lane
            before = (c.getFromLane().getID() for c in lane.getIncomingConnections())
            via = next((id_ for id_ in before if id_.startswith(":")), "")

    def _feed(
        self, lane: str, distance_m: float, length_m: float, speed_m_s: float, to: set[int]
    ) -> None:
        to_lanes, ahead = tuple(sorted(to)), self._before.get(lane)
        feeder = Feeder(lane, distance_m, length_m, speed_m_s, to_lanes, ahead)
        self._feeders.setdefault(lane, feeder)


def _driven(edge: Any) -> list[Any]:
    """Its lanes but for the pavements."""
    lanes = [lane for lane in edge.getLanes() if set(lane.getPermissions()) != WALKED]
    return lanes or list(edge.getLanes())
