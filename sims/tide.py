"""Decides how high the Saigon River stands at Phú An: tidal constituents and a surge.

In comes an instant, out comes the stage in metres above Hòn Dấu. The sum is the usual one, mean
+ sum of f A cos(V + u - g), with the astronomical arguments V of Doodson and the nodal factors f
and u of Schureman 1958. The amplitudes have the size and mix that the station shows
(semi-diurnal with a large daily inequality); amplitudes and lags are this simulator's own and no
analysis of its record, so the curve is like Phú An's and no forecast for it. `drainage.py` lets
it stand outside the city.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NS = 1_000_000_000
EPOCH_DAYS = 10_957.5  # from 1970-01-01T00:00Z to J2000.0, 2000-01-01T12:00Z
MEAN_M = 0.08  # mean river level above Hòn Dấu in the rainy season


class Constituent(NamedTuple):
    """One line of the tide. `doodson` counts lunar time, s, h and p; `lag_deg` is g."""

    name: str
    doodson: tuple[int, int, int, int]
    amplitude_m: float
    lag_deg: float


CONSTITUENTS = (
    Constituent("M2", (2, 0, 0, 0), 0.70, 324.0),
    Constituent("S2", (2, 2, -2, 0), 0.26, 344.0),
    Constituent("N2", (2, -1, 0, 1), 0.14, 322.0),
    Constituent("K2", (2, 2, 0, 0), 0.07, 80.0),
    Constituent("K1", (1, 1, 0, 0), 0.36, 325.0),
    Constituent("O1", (1, -1, 0, 0), 0.27, 212.0),
    Constituent("P1", (1, 1, -2, 0), 0.11, 231.0),
    Constituent("Q1", (1, -2, 0, 1), 0.05, 214.0),
    Constituent("M4", (4, 0, 0, 0), 0.03, 227.0),
)


class Arguments(NamedTuple):
    """Lunar time and the mean longitudes of moon, sun, lunar perigee and node; degrees."""

    lunar_time: float
    moon: float
    sun: float
    perigee: float
    node: float


def arguments(at_ns: int) -> Arguments:
    """The astronomical arguments of an instant (Meeus 1998, ch. 22 and 47, linear terms)."""
    days = at_ns / NS / 86_400 - EPOCH_DAYS
    moon = 218.3165 + 13.17639648 * days
    sun = 280.4665 + 0.98564736 * days
    hours = math.fmod(days + 0.5, 1.0) * 24.0
    return Arguments(
        lunar_time=15.0 * hours + sun - moon,
        moon=moon,
        sun=sun,
        perigee=83.3532 + 0.11140353 * days,
        node=125.0445 - 0.05295377 * days,
    )


def nodal(name: str, node_deg: float) -> tuple[float, float]:
    """Factor f and phase u in degrees of a constituent (Schureman 1958, first terms)."""
    node = math.radians(node_deg)
    match name:
        case "M2" | "N2":
            return 1.0 - 0.037 * math.cos(node), -2.1 * math.sin(node)
        case "M4":
            return (1.0 - 0.037 * math.cos(node)) ** 2, -4.2 * math.sin(node)
        case "K2":
            return 1.024 + 0.286 * math.cos(node), -17.7 * math.sin(node)
        case "K1":
            return 1.006 + 0.115 * math.cos(node), -8.9 * math.sin(node)
        case "O1" | "Q1":
            return 1.009 + 0.187 * math.cos(node), 10.8 * math.sin(node)
        case _:
            return 1.0, 0.0


def astronomical_m(at_ns: int) -> float:
    """The tide alone, above Hòn Dấu."""
    now = arguments(at_ns)
    stage_m = MEAN_M
    for constituent in CONSTITUENTS:
        factor, phase_deg = nodal(constituent.name, now.node)
        turns = zip(constituent.doodson, now[:4], strict=True)
        angle = sum(n * longitude for n, longitude in turns) + phase_deg - constituent.lag_deg
        stage_m += factor * constituent.amplitude_m * math.cos(math.radians(angle))
    return stage_m


def stage_m(at_ns: int, surge_m: float = 0.0) -> float:
    """The river at Phú An, above Hòn Dấu."""
    return astronomical_m(at_ns) + surge_m


def stages_m(at_ns: NDArray[np.int64], surge_m: float = 0.0) -> NDArray[np.float64]:
    """The same for many instants."""
    return np.array([stage_m(int(t), surge_m) for t in at_ns])
