"""A signalised junction lane by lane: who may go when, who waits for whom, and on what times.

A `Layout` is checked whole when it is made. It is what the planner and every other method of
control are given; where it came from (a SUMO net, a site file) they do not know.

Laws of this file:
1. No checked layout has a stage in which two movements that cross both have the right of way, or a
   movement and the pedestrians whose crossing it drives over.
2. `changing` shows green to nobody who did not have it before.
3. Who began to walk on green has the time to reach the other side before the stage changes:
   `clearance_s` of a crossing is shortened by nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

GREEN, PERMISSIVE, RED, TURN_ON_RED = "G", "g", "r", "s"
YELLOW = "y"
WALK_S = 7  # green for pedestrians, at least (MUTCD 2009, 4E.06)
WALKING_M_S = 1.2  # who began last still gets across (HCM6, ch. 19; QCVN 41:2024/BGTVT)
ASPECTS = frozenset((GREEN, PERMISSIVE, RED, TURN_ON_RED))
_GOES = frozenset((GREEN, PERMISSIVE))


class LayoutError(ValueError):
    """A junction that no method can control, and why."""

    def __init__(self, junction: str, why: str) -> None:
        self.junction = junction
        self.why = why
        super().__init__(f"junction {junction}: {why}")


class Lane(NamedTuple):
    """A lane to the stop line, or from the junction. `speed_m_s` is its limit."""

    id: str
    length_m: float
    speed_m_s: float


class Movement(NamedTuple):
    """One way over the junction, from one lane to one lane; `lane` and `exit` count in the layout.

    `yields_to` are the movements that go first where both have green; `crosses` those that share
    a piece of road with it.
    """

    lane: int
    exit: int
    signal: int  # the place of its aspect in a stage
    yields_to: tuple[int, ...] = ()
    crosses: tuple[int, ...] = ()


class PedestrianCrossing(NamedTuple):
    """A crossing with a signal of its own; `crosses` are the movements that drive over it.

    Where a stage shows it green (G), its pedestrians go before all of them.
    """

    id: str
    signal: int
    length_m: float
    crosses: tuple[int, ...]

    @property
    def clearance_s(self) -> int:
        """From the end of its green until nobody is on it."""
        return math.ceil(self.length_m / WALKING_M_S)


class Layout(NamedTuple):
    """A junction. A stage has one aspect for each signal: G, g (yields), r, or s (turn on red).

    After green comes yellow, then for `all_red_s` red for all but who keeps green.
    """

    id: str
    lanes: tuple[Lane, ...]
    exits: tuple[Lane, ...]
    movements: tuple[Movement, ...]
    stages: tuple[str, ...]
    yellow_s: float
    min_green_s: float
    max_green_s: float
    all_red_s: float = 0.0
    crossings: tuple[PedestrianCrossing, ...] = ()

    @property
    def change_s(self) -> int:
        """From the end of one stage's green to the beginning of the next one's."""
        return math.ceil(self.yellow_s) + math.ceil(self.all_red_s)

    @property
    def signals(self) -> int:
        """How many aspects a stage has."""
        return len(self.stages[0])


class Upstream(NamedTuple):
    """A movement of another controlled junction that sends vehicles here."""

    junction: str
    movement: int
    distance_m: float  # from its stop line to ours
    speed_m_s: float
    lanes: tuple[int, ...]  # of our layout: to which of them it leads


def checked(layout: Layout) -> Layout:
    """The layout; raises LayoutError for what would make its control unsafe or without sense."""
    for wrong in _faults(layout):
        raise LayoutError(layout.id, wrong)
    return layout


def conflicts(layout: Layout, stage: str) -> Iterator[tuple[int, int]]:
    """Pairs of movements that cross and would both have the right of way."""
    for number, movement in enumerate(layout.movements):
        for other in movement.crosses:
            if stage[movement.signal] == GREEN == stage[layout.movements[other].signal]:
                yield number, other


def walked_over(layout: Layout, stage: str) -> Iterator[tuple[int, int]]:
    """Crossings and movements over them that would both have the right of way."""
    for number, crossing in enumerate(layout.crossings):
        for movement in crossing.crosses:
            if stage[crossing.signal] == GREEN == stage[layout.movements[movement].signal]:
                yield number, movement


def stage_least_s(layout: Layout, stage: str, called: Iterable[int]) -> int:
    """The minimum green of a stage in which these crossings, as far as it has them, are walked."""
    walked = (layout.crossings[c] for c in called if stage[layout.crossings[c].signal] == GREEN)
    walks_s = (WALK_S + crossing.clearance_s for crossing in walked)
    return max((math.ceil(layout.min_green_s), *walks_s))


def changing(layout: Layout, before: str, after: str) -> str:
    """What is shown between two stages: yellow where green ends, red where it begins.

    A green that stays keeps its aspect, but one that must let pass from now on, as those that
    cross it get their green, is told so by yellow. Where no green ends only the new are awaited.
    Pedestrians have no yellow.
    """
    shown = [_between(a, b) for a, b in zip(before, after, strict=True)]
    for number, movement in enumerate(layout.movements):
        at = movement.signal
        if before[at] == GREEN and after[at] == PERMISSIVE:
            signals = {layout.movements[other].signal for other in movement.crosses}
            signals |= {c.signal for c in layout.crossings if number in c.crosses}
            if any(before[s] != GREEN and after[s] == GREEN for s in signals):
                shown[at] = YELLOW
    for crossing in layout.crossings:
        if shown[crossing.signal] == YELLOW:
            shown[crossing.signal] = RED
    return "".join(shown)


def clearing(shown: str) -> str:
    """What follows on yellow until the next green: red."""
    return shown.replace(YELLOW, RED)


def _between(before: str, after: str) -> str:
    if before in _GOES:
        return before if after in _GOES else YELLOW
    return RED if after in _GOES else after


def _faults(layout: Layout) -> Iterator[str]:
    if len(layout.stages) < 2:
        yield f"stages with green: {len(layout.stages)}, expected 2 or more"
        return
    yield from _faulty_stages(layout)
    yield from _faulty_movements(layout)
    yield from _faulty_crossings(layout)
    if layout.yellow_s <= 0:
        yield f"yellow of {layout.yellow_s:g} s, expected more than 0"
    if layout.all_red_s < 0:
        yield f"all-red of {layout.all_red_s:g} s, expected 0 or more"
    shortest_s, longest_s = layout.min_green_s, layout.max_green_s
    if not 0 < shortest_s <= longest_s:
        yield f"greens of {shortest_s:g} to {longest_s:g} s, expected 0 < min <= max"
    for number, stage in enumerate(layout.stages):
        for one, other in conflicts(layout, stage):
            yield f"stage {number} gives movements {one} and {other}, which cross, both the way"
        for crossing, movement in walked_over(layout, stage):
            yield f"stage {number} gives crossing {crossing} and movement {movement} both the way"


def _faulty_stages(layout: Layout) -> Iterator[str]:
    for number, stage in enumerate(layout.stages):
        if len(stage) != layout.signals:
            yield f"stage {number} has {len(stage)} aspects, stage 0 has {layout.signals}"
        if not set(stage) <= ASPECTS:
            yield f"stage {number} has an aspect that is none of G, g, r, s: {stage}"
        if not set(stage) & _GOES:
            yield f"stage {number} has no green: {stage}"
        if stage in layout.stages[:number]:
            yield f"stage {number} is the same as stage {layout.stages.index(stage)}"


def _faulty_movements(layout: Layout) -> Iterator[str]:
    if not layout.movements:
        yield "no movement"
    everyone = range(len(layout.movements))
    for number, movement in enumerate(layout.movements):
        if not 0 <= movement.lane < len(layout.lanes):
            yield f"movement {number} comes from lane {movement.lane} of {len(layout.lanes)}"
        if not 0 <= movement.exit < len(layout.exits):
            yield f"movement {number} goes to exit {movement.exit} of {len(layout.exits)}"
        if not 0 <= movement.signal < layout.signals:
            yield f"movement {number} has signal {movement.signal} of {layout.signals}"
        for other in (*movement.yields_to, *movement.crosses):
            if other not in everyone or other == number:
                yield f"movement {number} meets movement {other} of {len(layout.movements)}"


def _faulty_crossings(layout: Layout) -> Iterator[str]:
    driven = {movement.signal for movement in layout.movements}
    for number, crossing in enumerate(layout.crossings):
        if not 0 <= crossing.signal < layout.signals:
            yield f"crossing {number} has signal {crossing.signal} of {layout.signals}"
        elif crossing.signal in driven:
            yield f"crossing {number} has signal {crossing.signal}, which is a movement's"
        elif not any(stage[crossing.signal] == GREEN for stage in layout.stages):
            yield f"crossing {number} has green in no stage"
        elif any(stage[crossing.signal] == PERMISSIVE for stage in layout.stages):
            yield f"crossing {number} would have to let vehicles pass (g)"
        if crossing.length_m <= 0:
            yield f"crossing {number} is {crossing.length_m:g} m long, expected more than 0"
        for movement in crossing.crosses:
            if not 0 <= movement < len(layout.movements):
                yield f"crossing {number} meets movement {movement} of {len(layout.movements)}"
