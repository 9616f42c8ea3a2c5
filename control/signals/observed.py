"""What a junction's detectors, cameras and controller tell of one moment.

Positions and speeds, no intentions: nothing here knows a route, a destination or what comes after
the edge of the view. Missing detectors show as vehicles that are not there.
"""

from __future__ import annotations

from typing import NamedTuple

VIEW_M = 250.0  # how far from a stop line its approach is watched
CLEAR_M, CLEAR_M_S = 10.0, 3.0
VEHICLE_M = 7.5  # what a vehicle takes up in a queue: a car of 5 m and its gap


class Vehicle(NamedTuple):
    """One on the way to the stop line, as a tracker of one approach has it.

    `lanes` are those of the layout that it may come to. `track` names it while it is in view;
    `zone` is the piece of road on which it is.
    """

    track: str
    lanes: tuple[int, ...]
    distance_m: float
    speed_m_s: float
    limit_m_s: float
    zone: str = ""
    units: float = 1.0  # passenger cars that take as long at the stop line
    persons: float = 1.0  # who wait in it, as far as they are to count
    asks: float = 0.0  # for priority: as many persons more are taken to wait in it


class Call(NamedTuple):
    """Pedestrians who wait at a crossing of the layout: a push button, or a camera's count."""

    crossing: int
    persons: int
    waited_s: int  # the one who came first


class Out(NamedTuple):
    """An exit lane: vehicles on it, free metres at its start, speed of the last, how many stand.

    `units` are the vehicles in passenger cars; none: each is one. `entered` have come onto it
    within the last second.
    """

    vehicles: int
    free_m: float
    last_speed_m_s: float
    standing: int
    units: float | None = None
    entered: int = 0

    @property
    def is_clear(self) -> bool:
        """Whether one more can drive onto it now."""
        return self.free_m > CLEAR_M or self.last_speed_m_s > CLEAR_M_S

    @property
    def cars(self) -> float:
        """The vehicles in passenger car units."""
        return self.vehicles if self.units is None else self.units


class Crossing(NamedTuple):
    """A vehicle that has just made a movement of the layout, as a turning count has it."""

    track: str
    movement: int
    units: float = 1.0


class Inside(NamedTuple):
    """A vehicle that has crossed its stop line and is still on the junction."""

    track: str
    movement: int
    speed_m_s: float


class Observed(NamedTuple):
    """One junction at one moment.

    While `yellow_left_s` the stage gives way to `wanted`; otherwise they are the same. Pedestrians
    who have been given green are across in `walks_left_s`: no change of stage begins before.
    `inside` are known where a camera looks at the middle of the junction.
    """

    stage: int
    wanted: int
    green_s: int
    yellow_left_s: int
    vehicles: tuple[Vehicle, ...]
    outs: tuple[Out, ...]
    crossed: tuple[Crossing, ...] = ()
    calls: tuple[Call, ...] = ()
    walks_left_s: int = 0
    inside: tuple[Inside, ...] = ()
