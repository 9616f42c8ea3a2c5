"""How many people a vehicle carries, where their delay is to count. Assumed, not counted.

Of the order that household surveys of Ho Chi Minh City gave (HOUTRANS, JICA and ALMEC 2004): 1.3 on
a motorbike, 1.5 in a car with its driver; a bus is half full.
"""

from __future__ import annotations

from causeway.tracks import VehicleClass

PERSONS: dict[VehicleClass, float] = {
    "motorbike": 1.3,
    "car": 1.5,
    "bus": 30.0,
    "truck": 1.2,
    "emergency": 2.0,
    "works": 0.0,
}
