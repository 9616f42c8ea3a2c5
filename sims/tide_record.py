"""Decides what the gauge at Phú An would have written down in the years before the demo.

In come a first hour, a length and a seed; out goes an hourly record: the tide of `tide.py`, a
surge of its own, and the gauge's noise and last digit. `causeway simulate tide` writes it, and
the demo city's `tide.toml` is fitted to it, as a real city's is to a real record. The surge is
invented: two parts that forget with the times below, together 0.08 m about their mean.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sims.gauges import MAKES
from sims.tide import stages_m

HOUR_NS = 3_600_000_000_000
SURGE_PARTS = ((0.07, 96.0), (0.03, 10.0))  # standard deviation in m, memory in h: monsoon, squalls


def hourly_record(
    first_ns: int, hours: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times (n,) and stages (n,) in metres above Hòn Dấu, as the gauge tells them."""
    rng = np.random.default_rng(seed)
    at_ns = first_ns + np.arange(hours, dtype=np.int64) * HOUR_NS
    surge_m = sum(_forgetful_m(hours, sd_m, memory_h, rng) for sd_m, memory_h in SURGE_PARTS)
    make = MAKES["stage_m"]
    seen_m = stages_m(at_ns) + surge_m + make.noise * rng.standard_normal(hours)
    return at_ns, np.round(seen_m / make.resolution) * make.resolution


def _forgetful_m(
    hours: int, sd_m: float, memory_h: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A first-order autoregressive course (n,) of that standard deviation."""
    keep = math.exp(-1 / memory_h)
    push = rng.standard_normal(hours) * math.sqrt(1 - keep**2)
    course = np.empty(hours)
    value = float(rng.standard_normal())
    for hour in range(hours):
        value = keep * value + push[hour]
        course[hour] = value
    return sd_m * course
