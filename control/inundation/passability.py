"""Decides which vehicles cannot pass through water on a street: by its depth, and by how fast it
flows where that is known.

In come a depth and, where somebody knows one, a velocity; out come the classes that stay out. The
forecaster asks it for each member, the gauges' levels and the closures for what is seen. The street
model's water stands in bowls and has no velocity, and neither has a street gauge: there the depth
alone decides, and water that runs down a slope is more dangerous than it says.

Where the limits are from:
- depth and depth times velocity of small cars (0.3 m, 0.3 m2/s) and of large four-wheel drives
  (0.5 m, 0.6 m2/s), none from 3 m/s on: Shand, Cox, Blacka, Smith 2011, Australian Rainfall and
  Runoff, project 10, P10/S2/020, table 3: interim criteria, of vehicles at rest. It has no buses or
  trucks: they are given those of large four-wheel drives, which is on the safe side.
- 0.3 m is also where driving ends on the depth-speed curve of Pregnolato et al. 2017
  (10.1016/j.trd.2017.06.020), and the head of cars in Kramer, Terheiden, Wieprecht 2016, "Safety
  criteria for the trafficability of inundated roads", whose head of emergency vehicles is 0.6 m.
- motorbikes: nobody has published any. Assumed: 0.2 m, below the exhausts and air filters of
  underbone motorbikes (0.25 to 0.35 m above the road) by the waves of other traffic, and the same
  share of a small car's flow. A site's own thresholds replace the depths.

Laws of this file:
1. What a class cannot pass at one depth it cannot pass at a greater one, nor in faster water.
2. A class that stands further on in `KINDS` passes wherever one before it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

from causeway.site import EMERGENCY_M, InundationLevels

Kind = Literal["motorbike", "car", "bus_truck", "emergency"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CLASSES: dict[Kind, tuple[str, ...]] = {  # as closures and signs name them
    "motorbike": ("motorbike",),
    "car": ("car",),
    "bus_truck": ("bus", "truck"),
    "emergency": ("emergency",),
}
DEPTHS_M = (0.20, 0.30, 0.50, EMERGENCY_M)
FLOWS_M2S = (0.20, 0.30, 0.60, 0.60)  # depth times velocity
VELOCITY_M_S = 3.0


class Limit(NamedTuple):
    """From what on a kind of vehicle stays out."""

    kind: Kind
    depth_m: float
    flow_m2s: float

    def is_passed(self, depth_m: float, velocity_m_s: float | None = None) -> bool:
        """Whether water is too deep, or too fast where its velocity is known."""
        if depth_m >= self.depth_m:
            return True
        if velocity_m_s is None or depth_m <= 0:
            return False
        return depth_m * velocity_m_s >= self.flow_m2s or velocity_m_s >= VELOCITY_M_S


def limits(levels: InundationLevels | None) -> tuple[Limit, ...]:
    """Every kind's limit, in the order of `KINDS`: a site's own depths where it has any."""
    depths_m = DEPTHS_M if levels is None else (*levels.depths_m[1:], levels.emergency_m)
    return tuple(Limit(*row) for row in zip(KINDS, depths_m, FLOWS_M2S, strict=True))


def kept_out(
    limits: Iterable[Limit], depth_m: float, velocity_m_s: float | None = None
) -> tuple[str, ...]:
    """The vehicle classes that cannot pass, as closures name them."""
    return classes(limit.kind for limit in limits if limit.is_passed(depth_m, velocity_m_s))


def classes(kinds: Iterable[Kind]) -> tuple[str, ...]:
    """The vehicle classes of some kinds."""
    return tuple(name for kind in kinds for name in CLASSES[kind])
