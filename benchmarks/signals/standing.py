"""How long each vehicle stands before a signal in SUMO: counted each second, alike for all methods.

A vehicle's wait is all the time that it stands on the road that ends at the signal's stop line,
until it has left that road; several stops in one queue count together.
"""

from __future__ import annotations

import libsumo

from benchmarks.signals.eyes import STILL_M_S
from benchmarks.signals.network import Network


class Standing:
    """Before all signals that are controlled; `look` each second."""

    def __init__(self, network: Network) -> None:
        lanes = (lane.id for layout in network.layouts.values() for lane in layout.lanes)
        self._roads = sorted({lane.rpartition("_")[0] for lane in lanes})
        self._stood_s: dict[tuple[str, str], int] = {}  # by road and vehicle
        self.wait_max_s = 0

    def look(self) -> None:
        """Take in one second."""
        stood_s: dict[tuple[str, str], int] = {}
        for road in self._roads:
            for vehicle in libsumo.edge.getLastStepVehicleIDs(road):
                before_s = self._stood_s.get((road, vehicle), 0)
                stands = libsumo.vehicle.getSpeed(vehicle) < STILL_M_S
                if stands and not libsumo.vehicle.isStopped(vehicle):
                    before_s += 1
                    self.wait_max_s = max(self.wait_max_s, before_s)
                if before_s:
                    stood_s[road, vehicle] = before_s
        self._stood_s = stood_s
