"""Reads junction layouts, and the lanes that lead to them, from a SUMO net.

In comes a net file, and for each signal the states of the program that runs there; out come the
layouts that can be controlled, each checked, and for the others the reason why not. What leads to
the stop lines follows in `approaches.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sumolib

from benchmarks.signals.approaches import Feeder, approaches
from control.signals.layout import (
    GREEN,
    PERMISSIVE,
    RED,
    Lane,
    Layout,
    LayoutError,
    Movement,
    PedestrianCrossing,
    Upstream,
    checked,
    conflicts,
    walked_over,
)

YELLOW_S, ALL_RED_S, MIN_GREEN_S, MAX_GREEN_S = 3.0, 0.0, 7.0, 120.0

CROSSING = "crossing"  # a function of edges in SUMO

NAMED_MAX = 4  # signals, where many are the same


class Network(NamedTuple):
    """All that is controlled, by junction; `unusable` gives the reason for the other signals.

    `kerbs` are the edges from which a crossing is walked, by the crossing's own.
    """

    layouts: dict[str, Layout]
    feeders: dict[str, tuple[Feeder, ...]]
    upstream: dict[str, tuple[Upstream, ...]]
    unusable: dict[str, str]
    kerbs: dict[str, tuple[str, ...]]


class Times(NamedTuple):
    """Of a junction's signals."""

    yellow_s: float = YELLOW_S
    all_red_s: float = ALL_RED_S
    min_green_s: float = MIN_GREEN_S
    max_green_s: float = MAX_GREEN_S


class _Walk(NamedTuple):
    """A crossing under a signal, the same way."""

    edge: Any
    signal: int
    connection: Any
    node: Any
    place: int


class _Link(NamedTuple):
    """One connection under a signal, with its node's own count of it (-1: none)."""

    lane: int
    exit: int
    signal: int
    connection: Any
    node: Any
    place: int


def read_network(
    net_file: Path,
    programs: Mapping[str, Sequence[str]] | None = None,
    times: Mapping[str, Times] | None = None,
) -> Network:
    """`programs`: the states of each signal's phases; without it the net's last program counts.

    `times` are those of single junctions; all others have the same. Raises LayoutError where no
    junction can be used.
    """
    net = sumolib.net.readNet(
        str(net_file), withPrograms=True, withInternal=True, withPedestrianConnections=True
    )
    layouts: dict[str, Layout] = {}
    unusable: dict[str, str] = {}
    for light in sorted(net.getTrafficLights(), key=lambda light: str(light.getID())):
        states = _states(light) if programs is None else programs.get(light.getID(), ())
        try:
            layouts[light.getID()] = _layout(
                net, light, states, (times or {}).get(light.getID(), Times())
            )
        except LayoutError as error:
            unusable[error.junction] = error.why
    if not layouts:
        reasons = "; ".join(by_reason(unusable)) or "there is none"
        raise LayoutError(net_file.name, f"no traffic light that can be used ({reasons})")
    controlled = {
        (layout.lanes[m.lane].id, layout.exits[m.exit].id): (id_, i)
        for id_, layout in layouts.items()
        for i, m in enumerate(layout.movements)
    }
    found = {id_: approaches(net, layout, controlled) for id_, layout in layouts.items()}
    return Network(
        layouts,
        {id_: feeders for id_, (feeders, _) in found.items()},
        {id_: upstream for id_, (_, upstream) in found.items()},
        unusable,
        {c.id: _kerbs(net.getEdge(c.id)) for layout in layouts.values() for c in layout.crossings},
    )


def _kerbs(crossing: Any) -> tuple[str, ...]:
    """Both its ends."""
    ends = {edge.getID() for edge in (*crossing.getIncoming(), *crossing.getOutgoing())}
    return tuple(sorted(ends))


def by_reason(unusable: Mapping[str, str]) -> list[str]:
    """Each reason once, with the signals that it holds for."""
    found: dict[str, list[str]] = {}
    for id_, why in unusable.items():
        found.setdefault(why, []).append(id_)
    return [f"{_some(ids)}: {why}" for why, ids in found.items()]


def _some(ids: Sequence[str]) -> str:
    more = len(ids) - NAMED_MAX
    return ", ".join(ids[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _states(light: Any) -> list[str]:
    programs = list(light.getPrograms().values())
    return [phase.state for phase in programs[-1].getPhases()] if programs else []


def _layout(net: Any, light: Any, states: Sequence[str], times: Times) -> Layout:
    if not states:
        raise LayoutError(light.getID(), "no program")
    lanes: dict[str, int] = {}
    exits: dict[str, int] = {}
    connections = light.getConnections()
    links = [
        _link(light.getID(), incoming, outgoing, signal, lanes, exits)
        for incoming, outgoing, signal in connections
        if CROSSING not in _functions(incoming, outgoing)
    ]
    walks = [
        _walk(light.getID(), incoming, outgoing, signal)
        for incoming, outgoing, signal in connections
        if CROSSING in _functions(incoming, outgoing)
    ]

    def lane_of(id_: str) -> Lane:
        lane = net.getLane(id_)
        return Lane(id_, lane.getLength(), lane.getSpeed())

    layout = Layout(
        id=light.getID(),
        lanes=tuple(lane_of(id_) for id_ in lanes),
        exits=tuple(lane_of(id_) for id_ in exits),
        movements=tuple(_movement(number, links) for number in range(len(links))),
        stages=tuple(dict.fromkeys(stage for state in states if (stage := _stage(state)))),
        yellow_s=times.yellow_s,
        min_green_s=times.min_green_s,
        max_green_s=times.max_green_s,
        all_red_s=times.all_red_s,
        crossings=tuple(_crossing(walk, links) for walk in walks),
    )
    return checked(_without_clearances(_mended(layout)))


def _stage(state: str) -> str:
    """The state of a phase that may stand as long as wanted, else nothing.

    A signal that is off ("o", "O") leaves its links to the rule of the road: they go and yield.
    """
    if "y" in state or "Y" in state or "u" in state or not {"G", "g"} & set(state):
        return ""
    return state.replace("o", PERMISSIVE).replace("O", PERMISSIVE).replace("R", RED)


def _link(
    id_: str,
    incoming: Any,
    outgoing: Any,
    signal: int,
    lanes: dict[str, int],
    exits: dict[str, int],
) -> _Link:
    connection = next(
        (c for c in incoming.getOutgoing() if c.getToLane().getID() == outgoing.getID()), None
    )
    if connection is None:
        raise LayoutError(id_, f"no connection from {incoming.getID()} to {outgoing.getID()}")
    node = connection.getFrom().getToNode()
    if node.getType().startswith("rail"):
        raise LayoutError(id_, f"a {node.getType().replace('_', ' ')}")
    return _Link(
        lanes.setdefault(incoming.getID(), len(lanes)),
        exits.setdefault(outgoing.getID(), len(exits)),
        signal,
        connection,
        node,
        node.getLinkIndex(connection),
    )


def _functions(incoming: Any, outgoing: Any) -> tuple[str, str]:
    return incoming.getEdge().getFunction(), outgoing.getEdge().getFunction()


def _walk(id_: str, incoming: Any, outgoing: Any, signal: int) -> _Walk:
    if _functions(incoming, outgoing) != ("walkingarea", CROSSING):
        raise LayoutError(id_, "a crossing with a signal for each direction")
    edge = outgoing.getEdge()
    connection = next(c for c in incoming.getOutgoing() if c.getToLane() is outgoing)
    node = edge.getToNode()
    return _Walk(edge, signal, connection, node, node.getLinkIndex(connection))


def _crossing(walk: _Walk, links: Sequence[_Link]) -> PedestrianCrossing:
    crosses = tuple(
        number
        for number, link in enumerate(links)
        if link.node is walk.node
        and min(link.place, walk.place) >= 0
        and walk.node.areFoes(link.place, walk.place)
    )
    return PedestrianCrossing(walk.edge.getID(), walk.signal, walk.edge.getLength(), crosses)


def _movement(number: int, links: Sequence[_Link]) -> Movement:
    """With whom it shares road: only links of one node can, a joined junction has several."""
    mine = links[number]
    crosses = [
        other
        for other, theirs in enumerate(links)
        if other != number
        and theirs.node is mine.node
        and min(mine.place, theirs.place) >= 0
        and mine.node.areFoes(mine.place, theirs.place)
    ]
    yields = [o for o in crosses if mine.node.forbids(links[o].connection, mine.connection)]
    return Movement(mine.lane, mine.exit, mine.signal, tuple(yields), tuple(crosses))


def _mended(layout: Layout) -> Layout:
    """Where a stage gives the way to two that cross, the one that would yield by rule yields.

    Vehicles yield to pedestrians.
    """
    stages = []
    signals = [m.signal for m in layout.movements] + [c.signal for c in layout.crossings]
    needed = max(signals, default=0) + 1
    for stage in layout.stages:
        if len(stage) < needed:
            return layout  # too short: `checked` says so
        aspects = list(stage)
        for one, other in conflicts(layout, stage):
            if other in layout.movements[one].yields_to:
                aspects[layout.movements[one].signal] = PERMISSIVE
        for _, movement in walked_over(layout, stage):
            aspects[layout.movements[movement].signal] = PERMISSIVE
        mended = "".join(aspects)
        stages.append(mended if GREEN in mended or PERMISSIVE in mended else stage)
    return layout._replace(stages=tuple(dict.fromkeys(stages)))


def _without_clearances(layout: Layout) -> Layout:
    """Without stages that only give a crossing red: clearing is the cabinet's business.

    So is red for all vehicles while a crossing stays green that another stage has too.
    """
    if not layout.crossings:
        return layout
    walks = {crossing.signal for crossing in layout.crossings}

    def driven(stage: str) -> str:
        return "".join(aspect for place, aspect in enumerate(stage) if place not in walks)

    def goes(stage: str) -> bool:
        return bool({GREEN, PERMISSIVE} & set(driven(stage)))

    def walked(stage: str) -> set[int]:
        return {place for place in walks if stage[place] == GREEN}

    stages = tuple(
        stage
        for stage in layout.stages
        if not any(
            (driven(stage) == driven(other) and walked(stage) < walked(other))
            or (stage != other and not goes(stage) and walked(stage) <= walked(other))
            for other in layout.stages
        )
    )
    return layout._replace(stages=stages)
