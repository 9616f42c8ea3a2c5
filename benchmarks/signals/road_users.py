"""What a vehicle counts for: the people in it, and the road that it takes at a stop line.

Passenger car units of two wheels are those of TCXDVN 104:2007, table 2, at 30 to 50 km/h. Others
are taken as one, as is usual with the public benchmarks.
"""

from __future__ import annotations

from typing import NamedTuple

from causeway.road_users import PERSONS


class RoadUser(NamedTuple):
    """Of a SUMO vehicle class: persons in it, and passenger car units."""

    persons: float
    units: float


TWO_WHEELS = 0.25
CAR = RoadUser(PERSONS["car"], 1.0)
CLASSES = {
    "motorcycle": RoadUser(PERSONS["motorbike"], TWO_WHEELS),
    "moped": RoadUser(PERSONS["motorbike"], TWO_WHEELS),
    "bicycle": RoadUser(1.1, TWO_WHEELS),
    "scooter": RoadUser(1.0, TWO_WHEELS),
    "bus": RoadUser(PERSONS["bus"], 1.0),
    "coach": RoadUser(PERSONS["bus"], 1.0),
    "tram": RoadUser(60.0, 1.0),
    "truck": RoadUser(PERSONS["truck"], 1.0),
    "delivery": RoadUser(PERSONS["truck"], 1.0),
    "trailer": RoadUser(PERSONS["truck"], 1.0),
}


def road_user(vehicle_class: str) -> RoadUser:
    """Of a SUMO class; one that is not listed is a car."""
    return CLASSES.get(vehicle_class, CAR)
