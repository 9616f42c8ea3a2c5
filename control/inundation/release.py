"""Decides how far pumps run and gates and weirs stand open, from the levels at their two ends.

In comes a `View` of one network at one instant; out go settings, 0 shut or stopped to 1 open or at
full speed, one an asset. `LevelRules` and `EqualFilling` are what a PLC or a textbook would do;
`FeedbackRelease` is a law with free parameters, which `search.py` finds on a model of the network.
All of them work in shares of full depth, so that one law serves any network.

Laws of this file:
1. A level that cannot be read (NaN) is taken as the mean of those that can, never as empty.
2. A pump is on or off, and rests `REST_S` between a stop and the next start; nothing overrules it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HALF_OPEN = 0.5
START_RATIO, STOP_RATIO = 0.5, 0.2  # of full depth, where the model names no pump levels
OPEN_RATIO, THROTTLE_RATIO = 0.75, 0.5  # of full depth
HEAD_M = 0.05  # dead band of a gate, as in `gates.py`
GAIN_MAX = 4.0  # change of setting over the full depth
FLOW_LEAST_M3S = 1e-3
SETTING_LEAST = 0.01  # of a setting that goes by the flow it gives
PUMP_ON = 0.5
REST_S = 300.0  # 12 starts an hour at most


@dataclass(frozen=True)
class Asset:
    """A structure that can be set; depths as shares of the full depth of the node it drains."""

    id: str
    pump: bool = False
    start_ratio: float = START_RATIO
    stop_ratio: float = STOP_RATIO


@dataclass(frozen=True)
class View:
    """A network at one instant; arrays (assets,), NaN what no sensor shows.

    `filling` and `filling_below` are depths as shares of full depth, of the storage that the asset
    drains (or the node above it) and of the node below; heads in m above one datum.
    """

    at_s: float
    filling: Array
    filling_below: Array
    head_m: Array
    head_below_m: Array
    flow_m3s: Array
    settings: Array


class Release(Protocol):
    """Anything that sets the assets of a network."""

    def settings(self, view: View) -> Array:
        """One setting 0..1 an asset."""
        ...


class LevelRules:
    """What a PLC does with the levels beside it.

    A pump starts at one level and stops at a lower one. A gate or weir stands half open, opens
    whole at a high level and throttles again at a lower one; it shuts while the water outside
    stands higher than inside, as tide gates do.
    """

    def __init__(self, assets: Sequence[Asset]) -> None:
        self._pump = np.array([a.pump for a in assets])
        self._start = np.array([a.start_ratio for a in assets])
        self._stop = np.array([a.stop_ratio for a in assets])

    def settings(self, view: View) -> Array:
        filling = seen(view.filling)
        running = view.settings > PUMP_ON
        pumps = np.where(running, filling > self._stop, filling >= self._start).astype(float)
        gates = np.where(
            filling >= OPEN_RATIO,
            1.0,
            np.where((view.settings > HALF_OPEN) & (filling > THROTTLE_RATIO), 1.0, HALF_OPEN),
        )
        gates = np.where(view.head_below_m > view.head_m + HEAD_M, 0.0, gates)
        return np.asarray(np.where(self._pump, pumps, gates))


class EqualFilling:
    """Storages release in proportion to their filling relative to the mean (Schütze et al. 2018).

    Without a target the fullest open whole and the others throttle by their share of the mean.
    With one, `total_m3s` is shared out by filling, and each setting is corrected by the flow that
    the last one gave.
    """

    def __init__(self, assets: Sequence[Asset], total_m3s: float | None = None) -> None:
        self._n = len(assets)
        self._total_m3s = total_m3s

    def settings(self, view: View) -> Array:
        filling = seen(view.filling)
        mean = max(float(filling.mean()), 1e-6)
        if self._total_m3s is None:
            return np.clip(filling / mean, 0.0, 1.0)
        wanted_m3s = self._total_m3s * filling / max(float(filling.sum()), 1e-6)
        flowing = np.abs(view.flow_m3s) > FLOW_LEAST_M3S
        ratio = np.divide(wanted_m3s, view.flow_m3s, where=flowing, out=np.ones(self._n))
        return np.clip(view.settings * np.abs(ratio), SETTING_LEAST, 1.0)


class FeedbackRelease:
    """setting = base + own * filling + relative * (filling - mean) + below * filling below.

    `parameters` are in 0..1, shape (4 * assets,): bases, then own, relative and below gains, which
    map to -GAIN_MAX..GAIN_MAX. At 0.5 a gain is none.
    """

    def __init__(self, assets: Sequence[Asset], parameters: Sequence[float] | Array) -> None:
        base, *gains = np.asarray(parameters, float).reshape(4, len(assets))
        self._base = base
        self._own, self._relative, self._below = ((g - 0.5) * 2 * GAIN_MAX for g in gains)

    def settings(self, view: View) -> Array:
        filling, below = seen(view.filling), seen(view.filling_below)
        wanted: Array = (
            self._base
            + self._own * filling
            + self._relative * (filling - filling.mean())
            + self._below * below
        )
        return wanted.clip(0.0, 1.0)


class Drives:
    """What the plant lets through of what a law wants: pumps on or off, and rested."""

    def __init__(self, assets: Sequence[Asset]) -> None:
        self._pump = np.array([a.pump for a in assets], bool)
        self._stopped_s = np.full(len(assets), -REST_S)

    def limited(self, wanted: Array, view: View) -> Array:
        """The settings to command; call it once a decision, in order of time."""
        on, was_on = wanted > PUMP_ON, view.settings > 0
        self._stopped_s = np.where(self._pump & was_on & ~on, view.at_s, self._stopped_s)
        rested = was_on | (view.at_s - self._stopped_s >= REST_S)
        return np.asarray(np.where(self._pump, (on & rested).astype(float), wanted))


def seen(levels: Array) -> Array:
    """The levels with every NaN replaced by the mean of the others, or 0.5 where none is seen."""
    dead = np.isnan(levels)
    if not dead.any():
        return levels
    instead = 0.5 if dead.all() else float(levels[~dead].mean())
    return np.where(dead, instead, levels)


def starting_parameters(assets: int) -> list[Array]:
    """Laws worth trying first: all open, half open, equal filling, open with the own level."""
    n = assets
    none = np.full(n, 0.5)
    return [
        np.concatenate([np.ones(n), none, none, none]),
        np.concatenate([np.full(n, HALF_OPEN), none, none, none]),
        np.concatenate([np.full(n, HALF_OPEN), none, np.ones(n), none]),
        np.concatenate([np.full(n, 0.1), np.ones(n), none, none]),
        np.concatenate([np.ones(n), none, none, np.zeros(n)]),
    ]
