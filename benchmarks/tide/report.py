"""Says how good the forecasts of a level were: the numbers, a table, a plot.

`ratio` is the corrected forecast's RMSE to that of the tide alone on the same hours, less being
better; `covered` the share of the truths within the 5 % to 95 % quantiles, 0.90 being right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.plots import INK, MARK, OTHER, framed, save_panels

LEADS_H = (1, 3, 6, 12, 24, 48)


class Skill(NamedTuple):
    """Of each issue time (n,) and lead (n, leads): errors, whether it was inside, how wide."""

    issued_ns: NDArray[np.int64]
    off_m: NDArray[np.float64]
    tide_off_m: NDArray[np.float64]
    kept_off_m: NDArray[np.float64]
    inside: NDArray[np.float64]
    wide_m: NDArray[np.float64]


class Case(NamedTuple):
    """One record: days of training and test, its model's size, the skill, a week to look at."""

    name: str
    days: tuple[int, int]
    constituents: int
    counts: dict[str, int]
    skill: Skill
    example: dict[str, NDArray[np.float64]]

    def rmse_m(self, which: str) -> list[float]:
        """By lead; `which` is a field of Skill."""
        off: NDArray[np.float64] = getattr(self.skill, which)
        return [float(v) for v in np.sqrt(np.nanmean(off**2, axis=0))]

    def ratios(self) -> list[float]:
        ours, tide = self.rmse_m("off_m"), self.rmse_m("tide_off_m")
        return [a / b for a, b in zip(ours, tide, strict=True)]

    def found(self) -> dict[str, object]:
        """What `--json` prints of it."""
        return {
            "train_days": self.days[0],
            "test_days": self.days[1],
            "constituents": self.constituents,
            "counts": self.counts,
            "forecasts": int(self.skill.issued_ns.size),
            "leads_h": list(LEADS_H),
            "rmse_m": _rounded(self.rmse_m("off_m")),
            "harmonic_rmse_m": _rounded(self.rmse_m("tide_off_m")),
            "persistence_rmse_m": _rounded(self.rmse_m("kept_off_m")),
            "ratio": _rounded(self.ratios()),
            "covered_90": _rounded(np.nanmean(self.skill.inside, axis=0)),
            "width_90_m": _rounded(self.skill.wide_m.mean(axis=0)),
        }


def _rounded(values: Sequence[float] | NDArray[np.float64]) -> list[float]:
    return [round(float(value), 4) for value in values]


def table(cases: Sequence[Case]) -> str:
    """One block a record, a column a lead."""
    return "\n\n".join("\n".join(_block(case)) for case in cases)


def _block(case: Case) -> Iterator[str]:
    train, test = case.days
    yield f"{case.name}: {train} days of training, {test} of test, {case.constituents} constituents"
    yield "  ".join([f"{'lead':<28}", *(f"{lead:>5} h" for lead in LEADS_H)])
    for title, values in (
        ("RMSE of the forecast, m", case.rmse_m("off_m")),
        ("RMSE of the tide alone, m", case.rmse_m("tide_off_m")),
        ("RMSE of persistence, m", case.rmse_m("kept_off_m")),
        ("forecast / tide alone", case.ratios()),
        ("within the 90 % interval", np.nanmean(case.skill.inside, axis=0)),
        ("width of the interval, m", case.skill.wide_m.mean(axis=0)),
    ):
        yield "  ".join([f"{title:<28}", *(f"{value:>7.3f}" for value in values)])


def plot(cases: Sequence[Case], folder: Path, say: Callable[[str], None]) -> list[Path]:
    """tide.png and tide.svg: a record's errors by lead, and its greatest surge as forecast."""
    panels = [
        p for case in cases for p in (partial(_errors, case=case), partial(_surge, case=case))
    ]

    def size(columns: int, rows: int) -> tuple[float, float]:
        return 1.0 + 4.2 * columns, 0.8 + 3.0 * rows

    return save_panels(panels, size, "hours ahead", folder / "tide", say, columns_max=2)


def _errors(axes: Any, case: Case) -> None:
    axes.plot(LEADS_H, case.rmse_m("tide_off_m"), color=OTHER, label="tide alone")
    axes.plot(LEADS_H, case.rmse_m("kept_off_m"), "--", color=INK, label="persistence")
    axes.plot(LEADS_H, case.rmse_m("off_m"), "o-", color=MARK, label="forecast")
    axes.set_ylim(0)
    axes.set_xticks(LEADS_H)
    framed(axes, f"{case.name}: RMSE, m")


def _surge(axes: Any, case: Case) -> None:
    week = case.example
    axes.fill_between(
        week["forecast_h"], week["low_m"], week["high_m"], color=MARK, alpha=0.2, lw=0, label="90 %"
    )
    axes.plot(week["forecast_h"], week["tide_m"], color=OTHER, label="tide alone")
    axes.plot(week["forecast_h"], week["median_m"], color=MARK, label="forecast")
    axes.plot(
        week["observed_h"], week["observed_m"], ".", color=INK, markersize=3, label="observed"
    )
    framed(axes, f"{case.name}: the test's greatest surge, m")
