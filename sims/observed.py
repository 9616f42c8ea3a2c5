"""Reads every vehicle out of libsumo after a step, once for all who ask."""

from __future__ import annotations

from typing import NamedTuple

import libsumo
import numpy as np
from numpy.typing import NDArray

from sims.city import Network
from sims.vehicle_types import DRAWN, VEHICLE, Vehicles


class Seen(NamedTuple):
    """All vehicles after the last step, in one order."""

    names: list[str]
    edge: NDArray[np.int32]  # place in the network's edges; -1 within a junction
    to_stop_line_m: NDArray[np.float32]
    vehicles: Vehicles


class Observer:
    """Looks at a network's traffic."""

    def __init__(self, network: Network) -> None:
        self.edges = tuple(network.edges)
        self.place_of = {edge: i for i, edge in enumerate(self.edges)}
        self._lengths_m = np.array([e.length_m for e in network.edges.values()], np.float32)

    def look(self) -> Seen:
        """Read every vehicle once (1.7 us each; a subscription's dictionaries take longer)."""
        vehicle = libsumo.vehicle
        names: list[str] = list(vehicle.getIDList())
        get_position, get_angle, get_speed = vehicle.getPosition, vehicle.getAngle, vehicle.getSpeed
        get_road, get_along = vehicle.getRoadID, vehicle.getLanePosition
        rows = []
        for name in names:
            type_, _, number = name.partition("-")
            kind, length_m, width_m = DRAWN[type_]
            place = get_position(name)
            row = (int(number), kind, *place, get_angle(name), get_speed(name), length_m, width_m)
            rows.append(row)
        edge = np.array([self.place_of.get(get_road(n), -1) for n in names], np.int32)
        along_m = np.array([get_along(n) for n in names], np.float32)
        return Seen(names, edge, self._lengths_m[edge] - along_m, np.array(rows, VEHICLE))
