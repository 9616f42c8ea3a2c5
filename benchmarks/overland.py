"""Measures how fast water spreads: `causeway bench overland`.

A pond sloshes over rough ground, all cells wet, on a grid that a core's cache holds and on one that
it does not. Beside it, as the baseline, the same equations in plain NumPy, whole arrays at a time,
from the same water; it has no limit to what a cell gives, which wet ground does not need. One
thread each; medians, by the process's CPU time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from control.inundation.overland import COURANT, GRAVITY, KINEMATIC, STILL_M, THETA, Overland

Floats = NDArray[np.float64]
W = TypeVar("W")

SIZES = (200, 1000)  # cells along a side
CELL_M, MANNING = 5.0, 0.03
DEPTH_M, HILLS_M = 1.0, 0.1
CELL_STEPS = 2e7  # of a run
BASELINE_SHARE = 0.1  # of those
RUNS = 5
SEED = 4


def overland_bench(runs: int = RUNS, cell_steps: float = CELL_STEPS) -> dict[str, object]:
    """Millions of wet cells that a core takes a step on in a second."""
    return {f"{size}x{size}": _measured(size, runs, cell_steps) for size in SIZES}


def _measured(size: int, runs: int, cell_steps: float) -> dict[str, float]:
    rng = np.random.default_rng(SEED)
    ground_m = rng.normal(0.0, HILLS_M, (size, size))
    depth_m = DEPTH_M + rng.normal(0.0, HILLS_M / 2, (size, size))
    seconds = cell_steps / size**2 * COURANT * CELL_M / np.sqrt(GRAVITY * depth_m.max())
    _spread(ground_m, depth_m, 1.0)  # compiles
    ours, baseline = [], []
    for _ in range(runs):
        water, cpu_s = _timed(_spread, ground_m, depth_m, seconds)
        assert water.depth_m.min() > STILL_M, "all cells are wet"
        ours.append(water.steps * size**2 / cpu_s / 1e6)
        plain, cpu_s = _timed(_spread_plainly, ground_m, depth_m, seconds * BASELINE_SHARE)
        baseline.append(plain.steps * size**2 / cpu_s / 1e6)
    mega, plain_mega = statistics.median(ours), statistics.median(baseline)
    before_m3 = depth_m.sum() * CELL_M**2
    same = _spread(ground_m, depth_m, seconds * BASELINE_SHARE)
    return {
        "million_cell_steps_per_s": round(mega, 1),
        "slowest_run": round(min(ours), 1),
        "baseline_numpy": round(plain_mega, 2),
        "times_the_baseline": round(mega / plain_mega, 1),
        "steps": water.steps,
        "mass_error_ratio": abs(water.volume_m3 / before_m3 - 1.0),
        "apart_from_baseline_m": float(np.abs(same.depth_m - plain.depth_m).max()),
    }


def _timed(
    work: Callable[[Floats, Floats, float], W], ground_m: Floats, depth_m: Floats, seconds: float
) -> tuple[W, float]:
    began_s = time.process_time()
    done = work(ground_m, depth_m, seconds)
    return done, time.process_time() - began_s


def _spread(ground_m: Floats, depth_m: Floats, seconds: float) -> Overland:
    water = Overland(ground_m, CELL_M, MANNING)
    water.depth_m[:] = depth_m
    water.advance(seconds)
    return water


def _spread_plainly(ground_m: Floats, depth_m: Floats, seconds: float) -> _Plain:
    water = _Plain(ground_m, depth_m)
    water.advance(seconds)
    return water


class _Plain:
    """The kernel's equations as one writes them in NumPy, on wet ground between walls."""

    def __init__(self, ground_m: Floats, depth_m: Floats) -> None:
        rows, columns = ground_m.shape
        self.depth_m = depth_m.copy()
        self.steps = 0
        self._ground_m = ground_m
        self._east, self._south = np.zeros((rows, columns + 1)), np.zeros((rows + 1, columns))

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        h, z, done_s, fastest_m_s = self.depth_m, self._ground_m, 0.0, 0.0
        while done_s < seconds:
            wave_m_s = max(np.sqrt(GRAVITY * h.max()), KINEMATIC * fastest_m_s)
            step_s = min(COURANT * CELL_M / wave_m_s, seconds - done_s)
            east, fast = _pushed(h, z, self._east, self._south, step_s)
            south, faster = _pushed(h.T, z.T, self._south.T, self._east.T, step_s)
            self._east, self._south, fastest_m_s = east, south.T, max(fast, faster)
            gained = east[:, :-1] - east[:, 1:] + self._south[:-1] - self._south[1:]
            h += step_s / CELL_M * gained
            done_s += step_s
            self.steps += 1


def _pushed(
    h: Floats, z: Floats, along: Floats, across: Floats, step_s: float
) -> tuple[Floats, float]:
    """The flows along the rows after a step, and the fastest."""
    level = z + h
    flowing = np.maximum(level[:, :-1], level[:, 1:]) - np.maximum(z[:, :-1], z[:, 1:])
    mean = (h[:, :-1] + h[:, 1:]) / 2
    force = GRAVITY * np.minimum(mean, flowing) * (level[:, :-1] - level[:, 1:])
    friction = GRAVITY * MANNING**2 / flowing ** (7 / 3)
    own, beside = along[:, 1:-1], along[:, :-2] + along[:, 2:]
    side = across[:-1, :-1] + across[:-1, 1:] + across[1:, :-1] + across[1:, 1:]
    side = side / 4
    side *= 1 + step_s * friction * np.hypot(own, side)
    pushed = THETA * own + (1 - THETA) / 2 * beside + step_s / CELL_M * force
    rubbed = step_s * friction * np.hypot(pushed, side)
    moved = np.zeros_like(along)
    moved[:, 1:-1] = 2 * pushed / (1 + np.sqrt(1 + 4 * rubbed))
    return moved, float((np.abs(moved[:, 1:-1]) / flowing).max())
