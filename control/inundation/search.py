"""Decides which parameters to try next, from what those before have cost: the cross-entropy method.

In come points of the unit cube to begin with and, round after round, the cost of each point that
was asked for; out go the next points and the best so far. What a cost is, and who computes it
(SWMM, in other processes), is not known here. The chance in it comes from a seed, so the same costs
give the same search. Rubinstein and Kroese 2004, ch. 5, with smoothed means and deviations.

Laws of this file:
1. The points that were given first are tried first, so the result is never worse than they are.
2. A cost that is not finite is the worst there is; the search goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ELITE_SHARE = 0.25
SMOOTHING = 0.7
SPREAD_FIRST, SPREAD_LEAST = 0.35, 0.02
FEW_SHARE = 0.3  # of the coordinates, in the points that change only some


class CrossEntropy:
    """Ask for points (points, dimensions) in 0..1, compute their costs, tell them; again."""

    def __init__(self, starts: Sequence[Array], size: int, seed: int) -> None:
        self._starts = np.clip(np.asarray(starts, float), 0.0, 1.0)
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._mean = self._starts[0]
        self._spread = np.full(self._mean.shape, SPREAD_FIRST)
        self._asked: Array | None = None
        self._begun = False
        self.best = self._starts[0]
        self.best_cost = np.inf

    def ask(self) -> Array:
        """The next points; first the given ones, then drawn ones."""
        if not self._begun:
            self._asked = self._starts
        else:
            self._asked = self._draw()
        return self._asked

    def tell(self, costs: Sequence[float]) -> None:
        """The costs of the points of the last `ask`, in their order."""
        assert self._asked is not None and len(costs) == len(self._asked), "tell follows ask"
        finite = np.where(np.isfinite(costs), costs, np.inf)
        order = np.argsort(finite, kind="stable")
        if finite[order[0]] < self.best_cost:
            self.best_cost = float(finite[order[0]])
            self.best = self._asked[order[0]].copy()
        if not self._begun:
            self._mean = self.best
            self._begun = True
            return
        elite = self._asked[order[: max(2, round(ELITE_SHARE * len(order)))]]
        self._mean = (1 - SMOOTHING) * self._mean + SMOOTHING * elite.mean(axis=0)
        spread = (1 - SMOOTHING) * self._spread + SMOOTHING * elite.std(axis=0)
        self._spread = np.maximum(spread, SPREAD_LEAST)

    def _draw(self) -> Array:
        """Half around the mean, half around the best in a few coordinates only."""
        noise = self._rng.standard_normal((self._size, len(self._mean))) * self._spread
        few = self._rng.random(noise.shape) < max(FEW_SHARE, 1 / len(self._mean))
        half = self._size // 2
        around_mean = self._mean + noise[half:]
        around_best = self.best + noise[:half] * few[:half]
        drawn: Array = np.concatenate([around_best, around_mean])
        return drawn.clip(0.0, 1.0)
