"""Decides how fast each kind of vehicle gets through water and rain, and who does not get through.

In come a depth over a segment's low point and a rain intensity; out go speeds and the vehicle
classes that stay out. `traffic.py` applies them. The limits are physical ones of vehicles, and so
not the site's alarm levels.
"""

from __future__ import annotations

from causeway.tracks import VehicleClass

KINDS: tuple[VehicleClass, ...] = ("motorbike", "car", "bus", "truck", "emergency", "works")
CLASS_OF = {  # SUMO's vehicle classes; two for motorbikes, the wary and the bold
    "motorbike": ("motorcycle", "moped"),
    "car": ("passenger",),
    "bus": ("bus",),
    "truck": ("truck",),
    "emergency": ("emergency",),
    "works": (),
}
EVERY_CLASS = tuple(c for kind in KINDS for c in CLASS_OF[kind])
# From this depth on a class stays out. The exhausts and air filters of underbone motorbikes stand
# 0.25 to 0.35 m above the road. Cars: 0.3 m is where driving ends (Pregnolato et al. 2017) and the
# limit of stability of small cars in still water (Shand et al. 2011).
AVOIDS_FROM_M = {
    "motorcycle": 0.25,
    "moped": 0.40,
    "passenger": 0.30,
    "bus": 0.50,
    "truck": 0.50,
    "emergency": 0.60,
}
CLOSED_FROM_M = 0.50
STALLS_FROM_M = 0.25
STALLS_PER_S_M = (
    0.02 / 0.1
)  # a bold rider's chance to stall: 2 % a second for each 0.1 m above 0.25 m
CRAWL_M_S = 1.4  # what still moves in deep water moves at walking pace
RAIN_SPEED_LOST = 0.06  # in heavy rain; what the Highway Capacity Manual takes off on freeways
HEAVY_RAIN_MM_H = 6.4  # 0.25 in/h, the same manual's "heavy"


def wading_speed_m_s(depth_m: float) -> float:
    """The greatest safe speed in standing water (Pregnolato et al. 2017: 0 to 300 mm)."""
    if depth_m <= 0:
        return float("inf")
    w_mm = min(depth_m * 1000.0, 300.0)
    speed_km_h = 0.0009 * w_mm**2 - 0.5529 * w_mm + 86.9448
    return max(speed_km_h / 3.6, CRAWL_M_S)


def rain_speed_ratio(rain_mm_h: float) -> float:
    """How much of the dry speed is driven in rain, 0.94 to 1."""
    return 1.0 - RAIN_SPEED_LOST * min(max(rain_mm_h, 0.0) / HEAVY_RAIN_MM_H, 1.0)


def classes_kept_out(depth_m: float) -> tuple[str, ...]:
    """SUMO's classes that do not enter water of that depth."""
    return tuple(c for c in EVERY_CLASS if depth_m >= AVOIDS_FROM_M[c])


def stall_chance_per_s(depth_m: float) -> float:
    """How likely a motorbike that is in the water stalls within a second."""
    return max(depth_m - STALLS_FROM_M, 0.0) * STALLS_PER_S_M if depth_m >= STALLS_FROM_M else 0.0
