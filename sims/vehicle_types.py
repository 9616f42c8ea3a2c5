"""The vehicles of the simulated traffic: what SUMO must know of each type, and their array.

`traffic.py` drives them; `vehicle_shapes.py` draws them. Nothing here runs a simulation.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from sims.passability import KINDS

VEHICLE = np.dtype(
    [
        ("id", np.uint32),
        ("kind", np.uint8),  # place in passability.KINDS
        ("x", np.float32),  # the middle of its front, local metres
        ("y", np.float32),
        ("angle", np.float32),  # degrees clockwise from north
        ("speed", np.float32),
        ("length", np.float32),
        ("width", np.float32),
    ]
)

Vehicles = NDArray[np.void]  # of VEHICLE
WORKS = KINDS.index("works")


class VehicleType(NamedTuple):
    """A SUMO vehicle type; motorbikes keep short gaps and ride side by side within a lane."""

    kind: str
    sumo_class: str
    length_m: float
    width_m: float
    attributes: str


MOTORBIKE = (
    'minGap="0.6" accel="2.5" decel="5" tau="0.7" sigma="0.5" maxSpeed="16" minGapLat="0.2"'
    ' speedFactor="normc(0.9,0.12,0.6,1.2)" latAlignment="arbitrary" maxSpeedLat="1.2"'
    ' lcSublane="2" lcAssertive="1.6" jmTimegapMinor="0.6" impatience="0.3"'
)
FOUR_WHEELS = 'latAlignment="center" minGapLat="0.4" jmTimegapMinor="0.9" impatience="0.3"'
TYPES = {
    "wary": VehicleType("motorbike", "motorcycle", 1.9, 0.75, MOTORBIKE),
    "bold": VehicleType("motorbike", "moped", 1.9, 0.75, MOTORBIKE),
    "car": VehicleType(
        "car", "passenger", 4.4, 1.75, f'minGap="1.5" tau="1.1" accel="2.4" {FOUR_WHEELS}'
    ),
    "bus": VehicleType("bus", "bus", 11.0, 2.5, f'minGap="2" tau="1.2" accel="1.2" {FOUR_WHEELS}'),
    "truck": VehicleType(
        "truck", "truck", 7.2, 2.3, f'minGap="2" tau="1.2" accel="1.3" {FOUR_WHEELS}'
    ),
    "works": VehicleType("works", "authority", 18.0, 2.7, 'minGap="1"'),
    "emergency": VehicleType("emergency", "emergency", 5.5, 2.0, f'minGap="1.5" {FOUR_WHEELS}'),
}


DRAWN = {name: (KINDS.index(t.kind), t.length_m, t.width_m) for name, t in TYPES.items()}


def types_file(workdir: Path) -> Path:
    """Write the types as SUMO reads them; gives the file."""
    file = workdir / "vehicle-types.add.xml"
    rows = "".join(
        f"<vType id={quoteattr(name)} vClass={quoteattr(t.sumo_class)} length='{t.length_m}'"
        f" width='{t.width_m}' {t.attributes}/>\n"
        for name, t in TYPES.items()
    )
    file.write_text(f"<additional>\n{rows}</additional>\n")
    return file
