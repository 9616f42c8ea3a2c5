"""Decides how hard it rains where and when: the sum of a scenario's moving cells.

In come a scenario's cells and its seed, an instant and places; out come intensities in mm/h. A
cell is a bell around its middle, which moves; its intensity rises, holds and falls, and swings
about that course in gusts. The same scenario gives the same rain. `drainage.py` lets it fall on
its catchments; rain gauges read it at a place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causeway.site import LonLat
from sims.scenario import NS, RainCell, Scenario, ns_of

METRES_PER_DEGREE = 111_195.0  # of latitude, on the mean sphere
GUST_S = 120.0  # one gust to the next; between two the intensity goes straight
DRIZZLE_MM_H = 0.05  # less is none


class Rain:
    """The rain of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._cells = [_Cell(cell, scenario.seed, i) for i, cell in enumerate(scenario.rain)]

    def at(self, at_ns: int, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Intensities (n,) mm/h at places (n, 2) of longitude and latitude."""
        total = np.zeros(len(places))
        for cell in self._cells:
            total += cell.at(at_ns, places)
        total[total < DRIZZLE_MM_H] = 0.0
        return total

    def rain_mm_h(self, at_ns: int, place: LonLat) -> float:
        """The intensity at one place."""
        return float(self.at(at_ns, lonlats([place]))[0])


def lonlats(places: Sequence[LonLat]) -> NDArray[np.float64]:
    """Places as an array (n, 2)."""
    return np.array(places, dtype=np.float64).reshape(len(places), 2)


class _Cell:
    """One cell with its gusts drawn."""

    def __init__(self, cell: RainCell, seed: int, number: int) -> None:
        self._cell = cell
        self._begins_ns = ns_of(cell.begins)
        gusts = np.random.default_rng([seed, number]).normal(
            0.0, cell.gusts, int(cell.lasts_s / GUST_S) + 2
        )
        self._gusts = np.clip(1.0 + gusts, 0.0, 2.0)
        self._times_s = np.arange(len(self._gusts)) * GUST_S

    def at(self, at_ns: int, places: NDArray[np.float64]) -> NDArray[np.float64]:
        cell = self._cell
        since_s = (at_ns - self._begins_ns) / NS
        if not 0.0 <= since_s <= cell.lasts_s:
            return np.zeros(len(places))
        rising = since_s / cell.rise_s if cell.rise_s else 1.0
        falling = (cell.lasts_s - since_s) / cell.fall_s if cell.fall_s else 1.0
        gust = float(np.interp(since_s, self._times_s, self._gusts))
        middle_mm_h = cell.peak_mm_h * min(1.0, rising, falling) * gust
        heading = np.radians(cell.heading_deg)
        went_m = cell.speed_m_s * since_s * np.array([np.sin(heading), np.cos(heading)])
        scale = METRES_PER_DEGREE * np.array([np.cos(np.radians(cell.at.lat)), 1.0])
        away_m = (places - np.array(cell.at)) * scale - went_m
        bell = np.exp(-np.sum(away_m**2, axis=1) / (2.0 * cell.radius_m**2))
        return np.asarray(middle_mm_h * bell)
