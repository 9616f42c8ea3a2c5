"""Decides how far the water will stand off the tide: forecasts of a gauge's residuals.

In come residuals (observed minus harmonic tide) up to now; out come mean, spread and quantiles
for any time to come, and random paths that are as likely. The forecast is the best linear one by
the autocovariance of the record's own residuals (a Wiener filter, or simple kriging in time:
Wackernagel 2003, ch. 3), from whatever observations there are: what is missing widens it by
itself. How wide is learnt: the record's own past forecast errors, over the spread that was
forecast, give the quantiles by lead. Nothing here knows a tide; `tide_forecast.py` adds it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import toeplitz
from scipy.special import ndtri

from causeway.site import SURGE_QUANTILES, SurgeModel

HOUR_NS = 3_600_000_000_000
HISTORY_H = 48  # observations further back change nothing in the sixth digit
LEAD_MAX_H = 48
LAGS_H = 2 * HISTORY_H + LEAD_MAX_H  # newest observation up to 48 h old, and 48 h ahead
LEADS_H = (1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48, 72, 96)
BRIDGED_H = 3  # gaps in a record up to here are bridged by a line
ERRORS_MIN = 300  # forecasts that quantiles of 5 % may be learnt from
NOISE_SHARE = 1e-6  # of the variance: keeps the equations solvable
MEDIAN_NS = HOUR_NS // 12  # readings within 5 min of the one that is used outvote its noise
SCORES = ndtri(np.array(SURGE_QUANTILES))  # of a standard normal distribution


class SurgeUnlearnt(Exception):
    """A record whose residuals are too few to learn from."""


# --- learning from a record --------------------------------------------------------------------


def fit_surge(at_ns: NDArray[np.int64], residual_m: NDArray[np.float64]) -> SurgeModel:
    """Autocovariance and error quantiles of a record's residuals (n,); raises SurgeUnlearnt."""
    hourly_m = hourly(at_ns, residual_m)
    windows = np.lib.stride_tricks.sliding_window_view(hourly_m, HISTORY_H + 1)
    ends = np.flatnonzero(np.isfinite(windows).all(axis=1))
    if ends.size < ERRORS_MIN:
        raise SurgeUnlearnt(
            f"{ends.size} hours have the {HISTORY_H} h before them without a gap over "
            f"{BRIDGED_H} h; expected {ERRORS_MIN} or more"
        )
    covariance = _autocovariance(hourly_m)
    history = windows[ends][:, ::-1]
    rows = []
    for lead in LEADS_H:
        target = np.full(ends.size, np.nan)
        inside = ends + HISTORY_H + lead < hourly_m.size
        target[inside] = hourly_m[(ends + HISTORY_H + lead)[inside]]
        weights, sd_m = _weights(covariance, lead)
        errors = (target - history @ weights) / sd_m
        rows.append(_quantiles(errors[np.isfinite(errors)]))
    known = hourly_m[np.isfinite(hourly_m)]
    return SurgeModel(
        autocovariance_m2=tuple(covariance.tolist()),
        leads_h=tuple(float(lead) for lead in LEADS_H),
        error_scores=tuple(rows),
        residual_scores=_quantiles(known / math.sqrt(covariance[0])),
    )


def hourly(at_ns: NDArray[np.int64], residual_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """A record's residuals at each whole hour it spans; NaN within gaps over BRIDGED_H."""
    first, last = -(-int(at_ns[0]) // HOUR_NS), int(at_ns[-1]) // HOUR_NS
    hours = np.arange(first, last + 1, dtype=np.int64) * HOUR_NS
    since_h, at_h = (hours - hours[0]) / HOUR_NS, (at_ns - hours[0]) / HOUR_NS
    value: NDArray[np.float64] = np.interp(since_h, at_h, residual_m)
    after = np.searchsorted(at_ns, hours)
    before = np.where(at_ns[after] == hours, after, after - 1)
    value[at_ns[after] - at_ns[before] > BRIDGED_H * HOUR_NS] = np.nan
    return value


def _autocovariance(hourly_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """At 0 to LAGS_H hours; tapered by 1 - lag/n, which keeps it positive definite."""
    known = np.isfinite(hourly_m)
    value = np.where(known, hourly_m - hourly_m[known].mean(), 0.0)
    covariance = np.zeros(LAGS_H + 1)
    for lag in range(min(LAGS_H + 1, hourly_m.size // 4)):
        ahead = slice(lag, None), slice(None, hourly_m.size - lag)
        pairs = int((known[ahead[0]] & known[ahead[1]]).sum())
        if pairs:
            mean = float((value[ahead[0]] * value[ahead[1]]).sum()) / pairs
            covariance[lag] = mean * (1 - lag / hourly_m.size)
    return covariance


def _weights(covariance: NDArray[np.float64], lead_h: int) -> tuple[NDArray[np.float64], float]:
    """Of the last HISTORY_H + 1 hourly residuals, newest first; and the error's spread."""
    n = HISTORY_H + 1
    among = toeplitz(covariance[:n]) + np.eye(n) * NOISE_SHARE * covariance[0]
    ahead = _at_lags(covariance, np.arange(n) + lead_h)
    weights = np.asarray(np.linalg.solve(among, ahead), float)
    return weights, _spread(covariance[0] - float(ahead @ weights), covariance[0])


def _quantiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(q) for q in np.quantile(values, SURGE_QUANTILES))


# --- forecasting -------------------------------------------------------------------------------


class ResidualForecast(NamedTuple):
    """What is known of the residuals at the times `knot_ns` (k,), hourly from the newest reading.

    `correlation` (k, k) is of the errors; `scores` (k, 7) are the quantiles of an error over
    `sd_m` (k,). `used` hours of the last `HISTORY_H` have a reading, the newest at `newest_ns`
    (None where there is none).
    """

    knot_ns: NDArray[np.int64]
    mean_m: NDArray[np.float64]
    sd_m: NDArray[np.float64]
    correlation: NDArray[np.float64]
    scores: NDArray[np.float64]
    newest_ns: int | None
    used: int


def forecast_residual(
    model: SurgeModel,
    observed_ns: NDArray[np.int64],
    residual_m: NDArray[np.float64],
    issued_ns: int,
    until_ns: int,
) -> ResidualForecast:
    """From the readings (n,) up to `issued_ns`; later ones, and what is no number, are not read."""
    at_ns, value_m = _history(observed_ns, residual_m, issued_ns)
    covariance = np.array(model.autocovariance_m2)
    newest_ns = int(at_ns[0]) if at_ns.size else None
    start_ns = issued_ns if newest_ns is None else newest_ns
    knots = 1 + max(1, -(-(until_ns - start_ns) // HOUR_NS))
    knot_ns = start_ns + np.arange(knots, dtype=np.int64) * HOUR_NS
    ahead = _between(covariance, knot_ns, knot_ns)
    mean_m = np.zeros(knots)
    if newest_ns is not None:
        among = _between(covariance, at_ns, at_ns)
        among[np.diag_indices_from(among)] += NOISE_SHARE * covariance[0]
        across = _between(covariance, at_ns, knot_ns)
        weights = np.linalg.solve(among, across)
        mean_m = value_m @ weights
        ahead = ahead - across.T @ weights
    sd_m = np.array([_spread(v, covariance[0]) for v in np.diag(ahead)])
    return ResidualForecast(
        knot_ns=knot_ns,
        mean_m=mean_m,
        sd_m=sd_m,
        correlation=_correlation(ahead, sd_m),
        scores=_scores(model, np.arange(knots), newest_ns is not None),
        newest_ns=newest_ns,
        used=int(at_ns.size),
    )


def residual_quantiles_m(
    forecast: ResidualForecast, at_ns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The residuals' quantiles (n, 7) of SURGE_QUANTILES."""
    mean_m, sd_m, scores = _at(forecast, at_ns)
    return np.asarray(mean_m[:, None] + sd_m[:, None] * scores)


def residual_paths_m(
    forecast: ResidualForecast, at_ns: NDArray[np.int64], members: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Equally likely residuals (members, n): correlated in time, each time's as its quantiles.

    A normal copula: normal numbers with the errors' correlation, each then moved to where the
    learnt quantiles put it, by lines between them and beyond the outer two.
    """
    mean_m, sd_m, scores = _at(forecast, at_ns)
    drawn = rng.standard_normal((members, forecast.knot_ns.size)) @ _root(forecast.correlation).T
    left, part = _place(forecast, at_ns)
    together = np.diagonal(forecast.correlation, 1)[left]
    size = np.sqrt((1 - part) ** 2 + part**2 + 2 * part * (1 - part) * together)
    normal = ((1 - part) * drawn[:, left] + part * drawn[:, left + 1]) / size
    return np.asarray(mean_m + sd_m * _moved(normal, scores))


def _history(
    observed_ns: NDArray[np.int64], residual_m: NDArray[np.float64], issued_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """At most one reading an hour back from the newest: the one nearest to the whole hour."""
    usable = np.isfinite(residual_m) & (observed_ns <= issued_ns)
    usable &= observed_ns >= issued_ns - HISTORY_H * HOUR_NS
    order = np.argsort(observed_ns[usable], kind="stable")
    at_ns, value_m = observed_ns[usable][order], residual_m[usable][order]
    if not at_ns.size:
        return at_ns, value_m
    back_ns = at_ns[-1] - at_ns
    hour = (back_ns + HOUR_NS // 2) // HOUR_NS
    off_ns = np.abs(back_ns - hour * HOUR_NS)
    chosen = [int(s[np.argmin(off_ns[s])]) for s in _groups(hour)]
    used_ns = at_ns[chosen]
    start = np.searchsorted(at_ns, used_ns - MEDIAN_NS, "left")
    stop = np.searchsorted(at_ns, used_ns + MEDIAN_NS, "right")
    medians = [float(np.median(value_m[a:b])) for a, b in zip(start, stop, strict=True)]
    return used_ns, np.array(medians)


def _groups(hour: NDArray[np.int64]) -> list[NDArray[np.int_]]:
    """The places of each hour back, newest hour first; `hour` falls along the record."""
    ends = np.flatnonzero(np.diff(hour)) + 1
    return list(np.split(np.arange(hour.size), ends))[::-1]


def _scores(model: SurgeModel, lead_h: NDArray[np.int_], observed: bool) -> NDArray[np.float64]:
    """By lead since the newest reading (k, 7); without one, of the residuals themselves."""
    if not observed:
        return np.tile(np.array(model.residual_scores), (lead_h.size, 1))
    table = np.array(model.error_scores)
    columns = [np.interp(lead_h, model.leads_h, table[:, q]) for q in range(table.shape[1])]
    return np.stack(columns, axis=1)


def _at(
    forecast: ResidualForecast, at_ns: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, spread and scores between the knots; variance rises along a line, as a walk's does."""
    left, part = _place(forecast, at_ns)

    def between(values: NDArray[np.float64]) -> NDArray[np.float64]:
        share = part if values.ndim == 1 else part[:, None]
        return np.asarray(values[left] * (1 - share) + values[left + 1] * share)

    return between(forecast.mean_m), np.sqrt(between(forecast.sd_m**2)), between(forecast.scores)


def _place(
    forecast: ResidualForecast, at_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The knot before each time, and how far it is to the next; times outside are at the ends."""
    hours = (np.asarray(at_ns, np.int64) - forecast.knot_ns[0]) / HOUR_NS
    hours = np.clip(hours, 0.0, forecast.knot_ns.size - 1.0)
    left = np.minimum(hours.astype(np.int64), forecast.knot_ns.size - 2)
    return left, hours - left


def _moved(normal: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal numbers (m, n) to where the quantiles (n, 7) of each time put them."""
    piece = np.clip(np.searchsorted(SCORES, normal) - 1, 0, SCORES.size - 2)
    time = np.arange(normal.shape[1])
    low, high = scores[time, piece], scores[time, piece + 1]
    return np.asarray(
        low + (normal - SCORES[piece]) / (SCORES[piece + 1] - SCORES[piece]) * (high - low)
    )


# --- covariances -------------------------------------------------------------------------------


def _at_lags(
    covariance: NDArray[np.float64], lag_h: NDArray[np.float64] | NDArray[np.int_]
) -> NDArray[np.float64]:
    """Lines between the hours, none beyond: which keeps it positive definite."""
    hours = np.arange(covariance.size)
    return np.asarray(np.interp(np.abs(lag_h), hours, covariance, right=0.0))


def _between(
    covariance: NDArray[np.float64], a_ns: NDArray[np.int64], b_ns: NDArray[np.int64]
) -> NDArray[np.float64]:
    return _at_lags(covariance, (a_ns[:, None] - b_ns[None, :]) / HOUR_NS)


def _spread(variance: float, whole: float) -> float:
    return math.sqrt(max(variance, NOISE_SHARE * whole))


def _correlation(covariance: NDArray[np.float64], sd_m: NDArray[np.float64]) -> NDArray[np.float64]:
    correlation = np.clip(covariance / np.outer(sd_m, sd_m), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _root(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """R with R R' the correlation; what rounding made negative counts as nothing."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    size = np.linalg.norm(root, axis=1, keepdims=True)
    return np.asarray(root / np.where(size > 0, size, 1.0))
