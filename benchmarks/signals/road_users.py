"""What a vehicle counts for: the people in it, and the road that it takes at a stop line.

Persons are of the order that household surveys of Ho Chi Minh City gave (HOUTRANS, JICA and ALMEC
2004): 1.3 on a motorcycle, 1.5 in a car with its driver; a bus is half full. Passenger car units of
two wheels are those of TCXDVN 104:2007, table 2, at 30 to 50 km/h. All others are taken as one, as
is usual with the public benchmarks.
"""

from __future__ import annotations

from typing import NamedTuple


class RoadUser(NamedTuple):
    """Of a SUMO vehicle class: persons in it, and passenger car units."""

    persons: float
    units: float


CAR = RoadUser(1.5, 1.0)
CLASSES = {
    "motorcycle": RoadUser(1.3, 0.25),
    "moped": RoadUser(1.3, 0.25),
    "bicycle": RoadUser(1.1, 0.25),
    "scooter": RoadUser(1.0, 0.25),
    "bus": RoadUser(30.0, 1.0),
    "coach": RoadUser(30.0, 1.0),
    "tram": RoadUser(60.0, 1.0),
    "truck": RoadUser(1.2, 1.0),
    "delivery": RoadUser(1.2, 1.0),
    "trailer": RoadUser(1.2, 1.0),
}


def road_user(vehicle_class: str) -> RoadUser:
    """Of a SUMO class; one that is not listed is a car."""
    return CLASSES.get(vehicle_class, CAR)
