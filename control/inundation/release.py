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
FILLING_LEAST = 0.01  # below it there is nothing to release
FLOW_LEAST_M3S = 1e-3  # what is less teaches nothing, and neither does a smaller setting
SETTING_LEAST = 0.01
MARGIN = 0.9  # of a total release: between decisions the filling rises
RISE_PER_S = 0.1 / 60  # of an opening that goes by the flow it gives
CAP_DECADES = 2.0  # the least cap is this many below the peak flow
NO_CAP = 0.95  # from this parameter on a structure is not capped
PUMP_ON = 0.5
ONE_BY_ONE_MAX = 4  # assets
REST_S = 300.0  # 12 starts an hour at most


@dataclass(frozen=True)
class Asset:
    """A structure that can be set; depths as shares of the full depth of the node it drains.

    `peak_m3s` is what the model says it lets through at most; 0 where that is not known.
    """

    id: str
    pump: bool = False
    start_ratio: float = START_RATIO
    stop_ratio: float = STOP_RATIO
    peak_m3s: float = 0.0


@dataclass(frozen=True)
class View:
    """A network at one instant; arrays (assets,), NaN what no sensor shows.

    `filling` and `filling_below` are depths as shares of full depth, of the storage that the asset
    drains (or the node above it) and of the storage that it fills (or the node below it); heads in
    m above one datum.
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
    With one, `total_m3s` is shared out by filling, and each structure opens as far as its share
    needs.
    """

    def __init__(self, assets: Sequence[Asset], total_m3s: float | None = None) -> None:
        self._opening = Opening(assets)
        self._total_m3s = total_m3s

    def settings(self, view: View) -> Array:
        filling = seen(view.filling)
        mean = max(float(filling.mean()), 1e-6)
        if self._total_m3s is None:
            return np.clip(filling / mean, 0.0, 1.0)
        wanted_m3s = MARGIN * self._total_m3s * filling / max(float(filling.sum()), 1e-6)
        return self._opening.needed(wanted_m3s, filling, view)


class FeedbackRelease:
    """setting = base + own * filling + relative * (filling - mean) + below * filling below.

    `parameters` are in 0..1, shape (5 * assets,): bases, then own, relative and below gains, which
    map to -GAIN_MAX..GAIN_MAX (at 0.5 a gain is none), then caps on the flow that a structure lets
    through, from a hundredth of its peak flow on a logarithmic scale.
    """

    def __init__(self, assets: Sequence[Asset], parameters: Sequence[float] | Array) -> None:
        base, *gains, cap = np.asarray(parameters, float).reshape(5, len(assets))
        self._base = base
        self._opening = Opening(assets)
        peak_m3s = np.array([a.peak_m3s for a in assets])
        cap_m3s = peak_m3s * 10.0 ** (CAP_DECADES * (cap / NO_CAP - 1.0))
        self._cap_m3s = np.where((cap >= NO_CAP) | (peak_m3s <= 0), np.inf, cap_m3s)
        self._own, self._relative, self._below = ((g - 0.5) * 2 * GAIN_MAX for g in gains)

    def settings(self, view: View) -> Array:
        filling, below = seen(view.filling), seen(view.filling_below)
        wanted: Array = (
            self._base
            + self._own * filling
            + self._relative * (filling - filling.mean())
            + self._below * below
        )
        return wanted.clip(0.0, self._opening.needed(self._cap_m3s, filling, view))


class Opening:
    """How far a structure may open for a flow: at one setting, flow grows with the root of filling.

    What it lets through is learnt from its last setting. Shut while there is nothing to release, it
    then opens by `RISE_PER_S` only, so that the first water shows what an opening gives.
    """

    def __init__(self, assets: Sequence[Asset]) -> None:
        self._open_m3s = np.array([a.peak_m3s for a in assets])
        self._last_s: float | None = None

    def needed(self, flow_m3s: Array, filling: Array, view: View) -> Array:
        """Settings 0..1; 1 where the flow is not bounded. Call it once a decision."""
        root = np.sqrt(np.maximum(filling, 0.0))
        giving = (
            (view.flow_m3s > FLOW_LEAST_M3S)
            & (view.settings > SETTING_LEAST)
            & (filling > FILLING_LEAST)
        )
        learnt: Array = self._open_m3s.copy()
        np.divide(view.flow_m3s, view.settings * root, out=learnt, where=giving)
        self._open_m3s = learnt
        full_m3s = self._open_m3s * root
        wanted = np.ones(len(filling))
        np.divide(flow_m3s, full_m3s, out=wanted, where=full_m3s > FLOW_LEAST_M3S)
        elapsed_s = 0.0 if self._last_s is None else view.at_s - self._last_s
        self._last_s = view.at_s
        rising = np.minimum(wanted, view.settings + RISE_PER_S * elapsed_s)
        needed = np.where(filling < FILLING_LEAST, 0.0, rising)
        return np.asarray(np.where(np.isfinite(flow_m3s), needed, 1.0).clip(0.0, 1.0))


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
    """Laws worth trying first: all open, half open, equal filling, by the own level, capped.

    Of a few assets also one by one, the others open: throttled while its water is low, and shut
    until the water below is high, as a storage beside a sewer keeps its room for the peak.
    """
    none, whole = np.full(assets, 0.5), np.ones(assets)
    laws = [
        np.concatenate(blocks)
        for blocks in (
            (whole, none, none, none, whole),
            (none, none, none, none, whole),
            (none, none, whole, none, whole),
            (0.1 * whole, whole, none, none, whole),
            (whole, none, none, 0 * whole, whole),
            (whole, none, none, none, 0.75 * whole),
            (whole, none, none, none, none),
        )
    ]
    for asset in range(assets if assets <= ONE_BY_ONE_MAX else 0):
        for base, own, below in ((0.6, 0.6, 0.5), (0.0, 0.5, 1.0)):
            law = laws[0].reshape(-1, assets).copy()
            law[[0, 1, 3], asset] = base, own, below
            laws.append(law.ravel())
    return laws
