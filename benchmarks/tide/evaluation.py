"""Evaluates the forecast of the level at tide gauges on their records: `causeway eval tide`.

In come records; of each the first year (of a shorter one two thirds) is fitted, and every hour of
the next year a forecast is issued from what had been observed by then. Beside it stand the tide
alone, and the tide with the newest residual kept (persistence). What comes out goes on to
`report.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.plots import write_all
from benchmarks.tide.records import Record, read_record
from benchmarks.tide.report import LEADS_H, Case, Skill, plot, table
from causeway.cli import Unusable
from causeway.site import SURGE_QUANTILES, TideModel
from control.inundation.harmonics import DAY_NS, HOUR_NS, RecordUnfit, predict_m
from control.inundation.surge import HISTORY_H, forecast_residual, residual_quantiles_m
from control.inundation.tide_forecast import fit_tide, forecast_tide

TRAIN_DAYS = 365
TEST_DAYS = 365
TRAIN_SHARE = 2 / 3  # of a record shorter than both
LAT_DEG = 45.0  # nodal corrections depend on it; within two years by under a millimetre

Say = Callable[[str], None]


class Options(Struct, frozen=True):
    """Which records; `lat_deg` is of all of them."""

    files: tuple[Path, ...]
    lat_deg: float = LAT_DEG
    out: Path | None = None


def evaluate(options: Options, say: Say) -> dict[str, object]:
    """Fit, forecast, say the table, write the plots; gives what `--json` prints."""
    cases = [_case(read_record(file), options.lat_deg) for file in options.files]
    names = [case.name for case in cases]
    doubles = [name for name in names if names.count(name) > 1]
    if doubles:
        raise Unusable(f"two records are named {doubles[0]!r}: results are by name")
    text = table(cases)
    say(text)
    found: dict[str, object] = {"records": {case.name: case.found() for case in cases}}
    draw = partial(plot, cases, say=say)
    write_all(options.out, "tide", text, found, draw, say)
    return found


def _case(record: Record, lat_deg: float) -> Case:
    order = np.argsort(record.at_ns, kind="stable")
    at_ns, level_m = record.at_ns[order], record.level_m[order]
    if not at_ns.size:
        raise Unusable(f"{record.name}: no levels")
    whole_days = (at_ns[-1] - at_ns[0]) / DAY_NS
    enough = whole_days >= TRAIN_DAYS + TEST_DAYS
    train_days = TRAIN_DAYS if enough else whole_days * TRAIN_SHARE
    ends_ns = at_ns[0] + int(train_days * DAY_NS)
    until_ns = min(int(at_ns[-1]), ends_ns + TEST_DAYS * DAY_NS)
    train = at_ns < ends_ns
    try:
        model = fit_tide(at_ns[train], level_m[train], lat_deg, record.name, "as recorded")
    except RecordUnfit as error:
        raise Unusable(f"{record.name}: {error}") from error
    used = (at_ns >= ends_ns - HISTORY_H * HOUR_NS) & (at_ns <= until_ns)
    skill = _skill(record.name, model, at_ns[used], level_m[used], ends_ns)
    days = round(train_days), round((until_ns - ends_ns) / DAY_NS)
    example = _example(model, at_ns[used], level_m[used], skill)
    return Case(record.name, days, len(model.constituents), model.counts, skill, example)


def _skill(
    name: str,
    model: TideModel,
    at_ns: NDArray[np.int64],
    level_m: NDArray[np.float64],
    first_ns: int,
) -> Skill:
    """Errors of forecasts issued at each observation from `first_ns` on, NaN without a truth.

    `forecast_tide` step by step: the tide is summed once for the whole record, which gives the
    same numbers in a fifth of the time.
    """
    assert model.surge is not None
    tide_m = predict_m(model, at_ns)
    residual_m = level_m - tide_m
    leads_ns = np.array(LEADS_H, np.int64) * HOUR_NS
    issues = np.flatnonzero((at_ns >= first_ns) & np.isfinite(level_m))
    issues = issues[np.searchsorted(at_ns[issues], np.unique(at_ns[issues] // HOUR_NS) * HOUR_NS)]
    shape = issues.size, len(LEADS_H)
    ours, tide, kept = (np.full(shape, np.nan) for _ in range(3))
    inside, wide = np.full(shape, np.nan), np.full(shape, np.nan)
    for row, i in enumerate(_bar(name, issues)):
        back = int(np.searchsorted(at_ns, at_ns[i] - HISTORY_H * HOUR_NS))
        seen = slice(back, i + 1)
        target_ns = at_ns[i] + leads_ns
        made = forecast_residual(
            model.surge, at_ns[seen], residual_m[seen], int(at_ns[i]), int(target_ns[-1])
        )
        place = np.searchsorted(at_ns, target_ns)
        known = place < at_ns.size
        known[known] = at_ns[place[known]] == target_ns[known]
        came = np.where(known, residual_m[np.minimum(place, at_ns.size - 1)], np.nan)
        quantiles = residual_quantiles_m(made, target_ns)
        ours[row] = quantiles[:, SURGE_QUANTILES.index(0.5)] - came
        tide[row] = -came
        kept[row] = residual_m[i] - came
        low, high = quantiles[:, 0], quantiles[:, -1]
        inside[row] = np.where(np.isfinite(came), (came >= low) & (came <= high), np.nan)
        wide[row] = high - low
    return Skill(at_ns[issues], ours, tide, kept, inside, wide)


def _bar(name: str, issues: NDArray[np.int_]) -> Iterator[int]:
    often_s = 0.5 if sys.stderr.isatty() else 30.0
    return iter(tqdm(issues, desc=name, unit="forecast", file=sys.stderr, mininterval=often_s))


def _example(
    model: TideModel, at_ns: NDArray[np.int64], level_m: NDArray[np.float64], skill: Skill
) -> dict[str, NDArray[np.float64]]:
    """The two days of the greatest surge of the test, forecast 24 h before it."""
    day = LEADS_H.index(24)
    worst = int(np.nanargmax(np.abs(skill.tide_off_m[:, day])))
    issued_ns = int(skill.issued_ns[worst])
    ahead = (at_ns > issued_ns - DAY_NS) & (at_ns <= issued_ns + 2 * DAY_NS)
    later = at_ns[ahead & (at_ns >= issued_ns)]
    made = forecast_tide(model, at_ns, level_m, issued_ns, later)
    return {
        "observed_h": (at_ns[ahead] - issued_ns) / HOUR_NS,
        "observed_m": level_m[ahead],
        "forecast_h": (later - issued_ns) / HOUR_NS,
        "tide_m": made.harmonic_m,
        "low_m": made.quantiles_m[:, 0],
        "median_m": made.median_m,
        "high_m": made.quantiles_m[:, -1],
    }
