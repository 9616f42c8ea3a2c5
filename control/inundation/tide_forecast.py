"""Decides how high the water will stand at a tide gauge: the tide, and what wind adds to it.

In come a gauge's `TideModel`, the levels that have arrived, and the times asked for; out come the
harmonic tide, the quantiles of the level by lead time (up to 48 h), members for an ensemble, and
high and low waters. A model comes from `fit_tide`. The forecast says what it rests on: with
readings old or missing it goes on, wider, and its `why` names them.

Laws of this file:
1. Nothing observed after `issued_ns` is read.
2. Without any reading there is still a forecast: the tide, and how far the record strayed from it.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from causeway.site import SURGE_QUANTILES, TideModel
from control.inundation.harmonics import (
    HOUR_NS,
    RecordUnfit,
    fit_harmonics,
    predict_m,
)
from control.inundation.surge import (
    HISTORY_H,
    ResidualForecast,
    SurgeUnlearnt,
    fit_surge,
    forecast_residual,
    residual_paths_m,
    residual_quantiles_m,
)

FRESH_NS = HOUR_NS // 2  # the newest reading is then as good as now
TURN_MIN_M = 0.02  # a rise or fall less than this is no high or low water

__all__ = [
    "RecordUnfit",
    "TideForecast",
    "WaterTurn",
    "fit_tide",
    "forecast_tide",
    "high_and_low_waters",
    "member_levels_m",
    "predict_m",
]


class TideForecast(NamedTuple):
    """The level at a gauge, metres above the model's datum, at the times `at_ns` (n,).

    `quantiles_m` (n, 7) are those of `SURGE_QUANTILES`; the forecast itself is the 50 %.
    `newest_ns` is the newest reading used, `why` empty or what the forecast lacks.
    """

    issued_ns: int
    at_ns: NDArray[np.int64]
    harmonic_m: NDArray[np.float64]
    quantiles_m: NDArray[np.float64]
    residual: ResidualForecast
    why: str

    @property
    def median_m(self) -> NDArray[np.float64]:
        """The 50 % (n,)."""
        return self.quantiles_m[:, SURGE_QUANTILES.index(0.5)]

    @property
    def newest_ns(self) -> int | None:
        return self.residual.newest_ns


class WaterTurn(NamedTuple):
    """A high or low water: when, and the level there."""

    high: bool
    at_ns: int
    level_m: float


def fit_tide(
    at_ns: NDArray[np.int64],
    level_m: NDArray[np.float64],
    lat_deg: float,
    gauge: str = "",
    datum: str = "hon_dau",
    trend: bool = False,
) -> TideModel:
    """The tide and surge of a record: times (n,), levels (n,) above `datum`; raises RecordUnfit.

    The record needs 60 days; NaN, repeated times and single spikes are left out and counted.
    """
    harmonic, left = fit_harmonics(at_ns, level_m, lat_deg, gauge, datum, trend)
    try:
        surge = fit_surge(left.at_ns, left.residual_m)
    except SurgeUnlearnt as error:
        raise RecordUnfit(str(error)) from error
    return msgspec.structs.replace(harmonic, surge=surge)


def forecast_tide(
    model: TideModel,
    observed_ns: NDArray[np.int64],
    observed_m: NDArray[np.float64],
    issued_ns: int,
    at_ns: NDArray[np.int64],
) -> TideForecast:
    """From what was observed up to `issued_ns`, for times `at_ns` after it.

    `observed_ns`, `observed_m` (n,), in any order, may be empty or hold NaN; any sampling will do.
    """
    if model.surge is None:
        raise ValueError(f"the tide model of {model.gauge!r} has no surge; expected fit_tide's")
    observed_ns, observed_m = np.asarray(observed_ns, np.int64), np.asarray(observed_m, float)
    recent = (observed_ns <= issued_ns) & (observed_ns >= issued_ns - HISTORY_H * HOUR_NS)
    observed_ns, observed_m = observed_ns[recent], observed_m[recent]
    at_ns = np.asarray(at_ns, np.int64)
    residual_m = observed_m - predict_m(model, observed_ns)
    until_ns = int(at_ns.max(initial=issued_ns))
    residual = forecast_residual(model.surge, observed_ns, residual_m, issued_ns, until_ns)
    harmonic_m = predict_m(model, at_ns)
    return TideForecast(
        issued_ns=issued_ns,
        at_ns=at_ns,
        harmonic_m=harmonic_m,
        quantiles_m=harmonic_m[:, None] + residual_quantiles_m(residual, at_ns),
        residual=residual,
        why=_why(residual, issued_ns),
    )


def member_levels_m(
    forecast: TideForecast, members: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Equally likely courses of the level (members, n) at the forecast's own times."""
    paths = residual_paths_m(forecast.residual, forecast.at_ns, members, rng)
    return np.asarray(forecast.harmonic_m + paths)


def high_and_low_waters(at_ns: NDArray[np.int64], level_m: NDArray[np.float64]) -> list[WaterTurn]:
    """The turns of a course of levels, a parabola through each; ends of the course are none.

    Give it steps of 30 min or less; it is then right to a minute or two.
    """
    turns: list[WaterTurn] = []
    for i in range(1, level_m.size - 1):
        before, here, after = (float(v) for v in level_m[i - 1 : i + 2])
        high = here >= before and here > after
        if not (high or (here <= before and here < after)):
            continue
        turn = _peak(at_ns, i, before, here, after, high)
        if turns and turns[-1].high == turn.high:
            if (turn.level_m > turns[-1].level_m) == high:
                turns[-1] = turn
        elif turns and abs(turn.level_m - turns[-1].level_m) < TURN_MIN_M:
            turns.pop()
        else:
            turns.append(turn)
    return turns


def _peak(
    at_ns: NDArray[np.int64], i: int, before: float, here: float, after: float, high: bool
) -> WaterTurn:
    bend = before - 2 * here + after
    shift = (before - after) / (2 * bend)  # in steps, -0.5 to 0.5
    step_ns = int(at_ns[i + 1] - at_ns[i])
    level_m = here - (before - after) * shift / 4
    return WaterTurn(high, int(at_ns[i]) + round(shift * step_ns), level_m)


def _why(residual: ResidualForecast, issued_ns: int) -> str:
    if residual.newest_ns is None:
        return f"no level of the last {HISTORY_H} h: the tide alone, as far as it was ever off"
    lacks = []
    age_ns = issued_ns - residual.newest_ns
    if age_ns > FRESH_NS:
        lacks.append(f"the newest level is {age_ns / HOUR_NS:.1f} h old")
    if residual.used < HISTORY_H:
        lacks.append(f"{residual.used} of the last {HISTORY_H} hours have a level")
    return "; ".join(lacks)
