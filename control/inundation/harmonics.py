"""Decides what the tide alone would be: the harmonic analysis of a gauge's record, and its sums.

In comes a record of levels; out goes a `TideModel` (mean, constituents, on demand a trend), and
from it the astronomical level at any time. Analysis and sums are UTide's (Codiga 2011), with
nodal corrections at exact times and Greenwich phase lags. What is not level is found first:
missing values, repeated times and single spikes are left out and counted; a lasting jump, gauge
or plane moved, is refused, for no constituent is right on both sides of it. `surge.py` forecasts
what the tide leaves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import utide
from numpy.typing import NDArray
from utide._ut_constants import ut_constants

from causeway.site import TidalConstituent, TideModel

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
YEAR_DAYS = 365.25
DAYS_MIN = 60.0  # two spring-neap cycles; and some hundred forecasts to learn errors from
COVERED_MIN = 0.5  # share of the record's hours
GAP_MAX_NS = 3 * HOUR_NS  # a longer one is a gap: half a semi-diurnal flood passes unseen
SPIKE_MIN_M = 0.3  # less is within what wind does between two samples
SEASONS = ("SA", "SSA")
SEASONS_MIN_H = 362 * 24  # a year of records is often some hours short
JUMP_MIN_M = 0.3
UNLIKELY = 10.0  # robust standard deviations; Vlissingen's own reach 6
MAD_TO_SD = 1.4826  # of a normal distribution
JUMP_LASTS = 0.5  # the share of it still there; slow constituents were fitted to the rest
JUMP_SAMPLES_MIN = 48
JUMP_SIDE_NS = 10 * DAY_NS  # a jump lasts; no surge keeps its height for so long
CHUNK = 20_000  # instants summed at once: UTide makes some 160 complex numbers of each

_KNOWN = {str(name).strip(): i for i, name in enumerate(ut_constants.const.name)}
_CYCLES_PER_HOUR = ut_constants.const.freq


class RecordUnfit(Exception):
    """A record that no tide can be fitted to: what was seen, and what was expected."""


class Residuals(NamedTuple):
    """What the tide leaves of the samples it was fitted to (n,), in time order."""

    at_ns: NDArray[np.int64]
    residual_m: NDArray[np.float64]


class _Cleaned(NamedTuple):
    """The samples that can be used, in time order, and how many cannot."""

    at_ns: NDArray[np.int64]
    level_m: NDArray[np.float64]
    missing: int
    repeated: int


def fit_harmonics(
    at_ns: NDArray[np.int64],
    level_m: NDArray[np.float64],
    lat_deg: float,
    gauge: str,
    datum: str,
    trend: bool = False,
) -> tuple[TideModel, Residuals]:
    """The tide of a record (n,), without its surge, and what it leaves; raises RecordUnfit.

    A `trend` is only told from the yearly constituent where the record has several years.
    """
    if not -90 <= lat_deg <= 90:
        raise RecordUnfit(f"latitude {lat_deg}; expected -90 to 90 degrees")
    record = _cleaned(at_ns, level_m)
    _refuse_short(record.at_ns)
    at, level = record.at_ns, record.level_m
    first = _solved(at, level, lat_deg, trend)
    spiky = _spikes(at, level - _summed(first, at, lat_deg))
    at, level = at[~spiky], level[~spiky]
    solved = _solved(at, level, lat_deg, trend) if spiky.any() else first
    residual_m = level - _summed(solved, at, lat_deg)
    _refuse_jumps(at, residual_m)
    slope = float(solved["slope"]) * YEAR_DAYS if trend else 0.0
    model = TideModel(
        gauge=gauge,
        datum=datum,
        lat_deg=lat_deg,
        mean_m=float(solved["mean"]),
        trend_m_year=slope,
        constituents=tuple(
            TidalConstituent(str(name), float(a), float(g))
            for name, a, g in zip(solved["name"], solved["A"], solved["g"], strict=True)
        ),
        from_ns=int(at[0]),
        to_ns=int(at[-1]),
        counts={
            "samples": int(at.size),
            "missing": record.missing,
            "repeated": record.repeated,
            "spikes": int(spiky.sum()),
        },
    )
    return model, Residuals(at, residual_m)


def predict_m(model: TideModel, at_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """The astronomical level (n,), metres above the model's datum; any times, in any order."""
    unknown = [c.name for c in model.constituents if c.name not in _KNOWN]
    if unknown:
        raise RecordUnfit(f"constituent {unknown[0]!r}: UTide has none of that name")
    places = np.array([_KNOWN[c.name] for c in model.constituents], dtype=int)
    middle_days = float(_days(np.array([(model.from_ns + model.to_ns) // 2]))[0])
    coefficients = utide.utilities.Bunch(
        name=[c.name for c in model.constituents],
        A=np.array([c.amplitude_m for c in model.constituents]),
        g=np.array([c.lag_deg for c in model.constituents]),
        mean=model.mean_m,
        slope=model.trend_m_year / YEAR_DAYS,
        aux=_how(places, model.lat_deg, middle_days),
    )
    return _summed(coefficients, np.asarray(at_ns, np.int64), model.lat_deg)


def _cleaned(at_ns: NDArray[np.int64], level_m: NDArray[np.float64]) -> _Cleaned:
    """Samples in time order, without what is no number; of a repeated time the first counts."""
    at, level = np.asarray(at_ns, np.int64), np.asarray(level_m, float)
    if at.ndim != 1 or at.shape != level.shape:
        raise RecordUnfit(f"times {at.shape}, levels {level.shape}; expected two equal rows")
    good = np.isfinite(level)
    kept_at, first = np.unique(at[good], return_index=True)
    repeated = int(good.sum()) - kept_at.size
    return _Cleaned(kept_at, level[good][first], int((~good).sum()), repeated)


def _how(places: NDArray[np.int_], lat_deg: float, middle_days: float) -> object:
    """What UTide's sums want to know beside the coefficients: exact nodal terms and phases."""
    flags = ("twodim", "nodsatlint", "nodsatnone", "gwchlint", "gwchnone", "notrend")
    options = utide.utilities.Bunch({name: False for name in flags}, nodiagn=True, prefilt=[])
    return utide.utilities.Bunch(
        opt=options, reftime=middle_days, frq=_CYCLES_PER_HOUR[places], lind=places, lat=lat_deg
    )


def _solved(
    at_ns: NDArray[np.int64], level_m: NDArray[np.float64], lat_deg: float, trend: bool
) -> dict[str, Any]:
    solved: dict[str, Any] = utide.solve(
        _days(at_ns),
        level_m,
        lat=lat_deg,
        epoch="python",
        constit=_separable(int(at_ns[-1] - at_ns[0])),
        trend=trend,
        conf_int="none",
        verbose=False,
    )
    return solved


def _separable(span_ns: int) -> list[str]:
    """Constituents that a record so long tells from their neighbours (Rayleigh criterion 1).

    UTide's own choice, but the seasons (SA and SSA) need a whole year and come with it: UTide
    asks a day more for the yearly one, without which each of five years of Vlissingen forecast
    the next worse, and took a half-yearly one from eight months of Honolulu that put the next
    four 0.1 m off.
    """
    hours = span_ns / HOUR_NS
    apart = ut_constants.const.df >= 1 / hours
    chosen = [name for name, place in _KNOWN.items() if apart[place] and name not in SEASONS]
    return chosen + list(SEASONS if hours >= SEASONS_MIN_H else ())


def _summed(
    coefficients: dict[str, Any], at_ns: NDArray[np.int64], lat_deg: float
) -> NDArray[np.float64]:
    level_m = np.empty(at_ns.shape)
    for i in range(0, at_ns.size, CHUNK):
        days = _days(at_ns[i : i + CHUNK])
        some = utide.reconstruct(days, coefficients, epoch="python", verbose=False, min_SNR=0)
        level_m[i : i + CHUNK] = some.h
    return level_m


def _days(at_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Days since 0000-12-31, as UTide counts; right to 10 microseconds."""
    whole, rest = np.divmod(np.asarray(at_ns, np.int64), DAY_NS)
    return np.asarray(whole + 719_163 + rest / DAY_NS, float)


def _refuse_short(at_ns: NDArray[np.int64]) -> None:
    if at_ns.size < 2:
        raise RecordUnfit(f"{at_ns.size} levels; expected a record of {DAYS_MIN:.0f} days")
    days = (at_ns[-1] - at_ns[0]) / DAY_NS
    if days < DAYS_MIN:
        raise RecordUnfit(f"a record of {days:.1f} days; expected {DAYS_MIN:.0f} or more")
    steps = np.diff(at_ns)
    covered = float(steps[steps <= GAP_MAX_NS].sum() / (at_ns[-1] - at_ns[0]))
    if covered < COVERED_MIN:
        raise RecordUnfit(
            f"{covered:.0%} of the record's time has samples 3 h or less apart; expected "
            f"{COVERED_MIN:.0%} or more"
        )


def _spikes(at_ns: NDArray[np.int64], residual_m: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Single samples that stand apart from both their neighbours."""
    spiky = np.zeros(at_ns.size, bool)
    apart = residual_m[1:-1] - (residual_m[:-2] + residual_m[2:]) / 2
    near = (at_ns[2:] - at_ns[:-2]) <= 2 * GAP_MAX_NS
    limit_m = max(SPIKE_MIN_M, UNLIKELY * _robust_sd(apart))
    found = near & (np.abs(apart) > limit_m)
    # The neighbours of a spike stand apart too, half as far and to the other side.
    highest = np.abs(apart) >= np.maximum(np.r_[0, np.abs(apart[:-1])], np.r_[np.abs(apart[1:]), 0])
    back = np.abs(residual_m[2:] - residual_m[:-2]) < np.abs(apart)  # a jump does not come back
    spiky[1:-1] = found & highest & back
    return spiky


def _refuse_jumps(at_ns: NDArray[np.int64], residual_m: NDArray[np.float64]) -> None:
    steps_m = np.diff(residual_m)
    limit_m = max(JUMP_MIN_M, UNLIKELY * _robust_sd(steps_m))
    for i in np.flatnonzero(np.abs(steps_m) > limit_m):
        before = residual_m[(at_ns <= at_ns[i]) & (at_ns > at_ns[i] - JUMP_SIDE_NS)]
        after = residual_m[(at_ns > at_ns[i]) & (at_ns < at_ns[i + 1] + JUMP_SIDE_NS)]
        rise_m = float(np.median(after) - np.median(before))
        lasts = rise_m / steps_m[i] > JUMP_LASTS
        if lasts and min(before.size, after.size) >= JUMP_SAMPLES_MIN:
            when = np.datetime64(int(at_ns[i + 1]), "ns").astype("datetime64[m]")
            raise RecordUnfit(
                f"the level jumps by {steps_m[i]:+.2f} m at {when} and stays; expected one gauge "
                "zero (give the parts their own records, or one of them the offset)"
            )


def _robust_sd(values: NDArray[np.float64]) -> float:
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))
