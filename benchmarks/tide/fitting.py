"""Fits the tide model of a site's gauge to a record: `causeway fit tide`.

In comes a record and what it was measured above; out comes the `[[tide]]` entry that a site's
`tide.toml` holds. `causeway simulate tide` writes the record of the demo city's gauge, so that
its `tide.toml` can be made again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks.tide.records import read_record, write_csv
from causeway.cli import Unusable
from causeway.site import TideModel
from control.inundation.harmonics import RecordUnfit
from control.inundation.tide_forecast import fit_tide
from sims.tide_record import hourly_record

DATUM = "hon_dau"
LEGACY = "mui_nai"
S_NS = 1_000_000_000
WIDE = 100

Say = Callable[[str], None]


class FitOptions(Struct, frozen=True):
    """A record, its gauge, and the plane it is above; `offset_m` is to be added to come to ours."""

    record: Path
    gauge: str
    lat_deg: float
    datum: str
    offset_m: float | None = None
    trend: bool = False
    out: Path | None = None


def fit(options: FitOptions, say: Say) -> TideModel:
    """Read, fit, write; raises Unusable."""
    offset_m = _offset_m(options)
    record = read_record(options.record)
    try:
        model = fit_tide(
            record.at_ns,
            record.level_m + offset_m,
            options.lat_deg,
            options.gauge,
            DATUM,
            options.trend,
        )
    except RecordUnfit as error:
        raise Unusable(f"{options.record}: {error}") from error
    text = toml_of(model)
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.write_text(text)
        say(f"written: {options.out}")
    counts = ", ".join(f"{n} {what}" for what, n in model.counts.items())
    spread_m = model.surge.autocovariance_m2[0] ** 0.5 if model.surge else 0.0
    say(f"{len(model.constituents)} constituents; {counts}; the tide is off by {spread_m:.3f} m")
    if offset_m:
        say(f"{options.datum} + {offset_m} m = {DATUM}")
    return model


def _offset_m(options: FitOptions) -> float:
    """What is to be added to come to Hòn Dấu; never guessed."""
    if options.datum == DATUM and options.offset_m is None:
        return 0.0
    if options.datum == LEGACY and options.offset_m is not None:
        return options.offset_m
    raise Unusable(
        f"datum {options.datum!r}, offset {options.offset_m}; expected --datum hon_dau, or "
        "--datum mui_nai with --offset-m: metres to add, from the gauge's own levelling"
    )


class SimulateOptions(Struct, frozen=True):
    """The demo city's record: its first day, its length and the seed of surge and noise."""

    out: Path
    first: str
    days: int
    seed: int


def simulate(options: SimulateOptions, say: Say) -> None:
    """Write the hourly record of the simulated gauge at Phú An."""
    try:
        first = datetime.strptime(options.first, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Unusable(f"--from {options.first!r}; expected a day as 2024-09-01") from None
    first_ns = int(first.timestamp()) * S_NS
    write_csv(options.out, *hourly_record(first_ns, options.days * 24, options.seed))
    say(f"written: {options.out}")


# --- TOML --------------------------------------------------------------------------------------


def toml_of(model: TideModel) -> str:
    """The model as an entry of a site file; it reads back as the same, rounded, model."""
    return "\n".join(_entry(model)) + "\n"


def _entry(model: TideModel) -> Iterator[str]:
    first, last = (
        np.datetime64(t, "ns").astype("datetime64[m]") for t in (model.from_ns, model.to_ns)
    )
    yield f"# The tide of {model.gauge}, fitted to its record from {first} to {last} UTC"
    yield "# by `causeway fit tide`. Amplitudes in metres, Greenwich phase lags in degrees."
    yield ""
    yield "[[tide]]"
    yield f'gauge = "{model.gauge}"'
    yield f'datum = "{model.datum}"'
    yield f"lat_deg = {model.lat_deg!r}"
    yield f"mean_m = {round(model.mean_m, 5)!r}"
    yield f"trend_m_year = {round(model.trend_m_year, 6)!r}"
    yield f"from_ns = {model.from_ns}"
    yield f"to_ns = {model.to_ns}"
    counts = ", ".join(f"{name} = {n}" for name, n in model.counts.items())
    yield f"counts = {{ {counts} }}"
    rows = [f'["{name}", {a:.5f}, {g:.3f}]' for name, a, g in model.constituents]
    yield from _wrapped("constituents", rows)
    if model.surge is None:
        return
    yield ""
    yield "[tide.surge]"
    covariances = [repr(float(f"{c:.9g}")) for c in model.surge.autocovariance_m2]
    yield from _wrapped("autocovariance_m2", covariances)
    yield f"leads_h = {list(model.surge.leads_h)}"
    yield "error_scores = ["
    yield from (f"    {_row(row)}," for row in model.surge.error_scores)
    yield "]"
    yield f"residual_scores = {_row(model.surge.residual_scores)}"


def _row(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.4f}" for value in values) + "]"


def _wrapped(name: str, items: Sequence[str]) -> Iterator[str]:
    yield f"{name} = ["
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > WIDE:
            yield line
            line = "   "
        line += f" {item},"
    yield line
    yield "]"
