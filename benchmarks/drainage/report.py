"""Compares what the controllers made of each network: the numbers, a table, a plot.

`ratio` is causeway's score to uncontrolled's, less being better. Beside it stands the ratio to the
best of the other controllers. Of the storms that differ from the model each ratio is to the best of
the others on that storm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from msgspec import Struct

from benchmarks.drainage.case import Case
from benchmarks.drainage.planning import Plan
from benchmarks.drainage.simulation import Fault, Outcome
from benchmarks.plots import INK, MARK, OTHER, bare, save_panels

OURS, NOTHING = "causeway", "uncontrolled"
NOMINAL = Fault()
MEASURES = ("score", "score_time_weighted")


class Perturbed(Struct):
    """One storm that differs from the model."""

    fault: Fault
    outcomes: dict[str, Outcome] = {}


class Compared(Struct):
    """One network: an outcome a controller, and the plans that causeway went by."""

    case: Case
    outcomes: dict[str, Outcome] = {}
    perturbed: list[Perturbed] = []
    plan: Plan | None = None
    hedged: Plan | None = None

    def add(self, controller: str, fault: Fault, outcome: Outcome) -> None:
        if fault == NOMINAL:
            self.outcomes[controller] = outcome
            return
        for storm in self.perturbed:
            if storm.fault == fault:
                storm.outcomes[controller] = outcome
                return
        self.perturbed.append(Perturbed(fault, {controller: outcome}))

    def ratio(self, measure: str) -> float | None:
        """Causeway to uncontrolled; None where there is nothing to divide by."""
        return _ratio(self.outcomes, measure, NOTHING)

    def ratio_to_best(self, measure: str) -> float | None:
        return _ratio(self.outcomes, measure, best_other(self.outcomes, measure))

    def lost(self, measure: str) -> int:
        """Storms in which another cost nothing, and causeway something: they have no ratio."""
        ran = [storm for storm in self.perturbed if OURS in storm.outcomes]
        return len(ran) - len(self.ratios_perturbed(measure))

    def ratios_perturbed(self, measure: str) -> list[float]:
        found = (
            _ratio(storm.outcomes, measure, best_other(storm.outcomes, measure))
            for storm in self.perturbed
        )
        return [ratio for ratio in found if ratio is not None]


class Report(Struct):
    """All networks, in the order they were asked for."""

    controllers: tuple[str, ...]
    compared: list[Compared]

    def found(self) -> dict[str, object]:
        """What `--json` prints; a ratio is null where there is nothing to divide by."""
        return {"scenarios": {one.case.name: _found(one) for one in self.compared}}


def best_other(outcomes: dict[str, Outcome], measure: str) -> str | None:
    others = [name for name in outcomes if name != OURS]
    return min(others, key=lambda name: float(getattr(outcomes[name], measure)), default=None)


def _ratio(outcomes: dict[str, Outcome], measure: str, other: str | None) -> float | None:
    if OURS not in outcomes or other is None:
        return None
    ours, theirs = (float(getattr(outcomes[name], measure)) for name in (OURS, other))
    if theirs > 0:
        return ours / theirs
    return 1.0 if ours == theirs else None


def _found(one: Compared) -> dict[str, object]:
    found = _scores_of(one.outcomes) | {
        "ratio": _rounded(one.ratio("score")),
        "ratio_time_weighted": _rounded(one.ratio("score_time_weighted")),
        "best_baseline": best_other(one.outcomes, "score_time_weighted"),
        "ratio_to_best": _rounded(one.ratio_to_best("score")),
        "ratio_to_best_time_weighted": _rounded(one.ratio_to_best("score_time_weighted")),
        "assets": [asset.id for asset in one.case.assets],
        "mean_settings": {name: o.mean_settings for name, o in one.outcomes.items()},
        "pump_starts": {name: o.pump_starts for name, o in one.outcomes.items()},
        "continuity_error_ratio": {
            name: _rounded(o.continuity_error_ratio) for name, o in one.outcomes.items()
        },
        "plan": one.plan,
    }
    if one.perturbed:
        found["perturbed"] = _found_perturbed(one)
    return found


def _found_perturbed(one: Compared) -> dict[str, object]:
    found: dict[str, object] = {"plan": one.hedged}
    for measure in MEASURES:
        ratios = one.ratios_perturbed(measure)
        found[measure] = {
            "ratios": [_rounded(ratio) for ratio in ratios],
            "mean": _rounded(fmean(ratios)) if ratios else None,
            "worst": _rounded(max(ratios, default=None)),
            "lost": one.lost(measure),
        }
    found["storms"] = [
        {
            "rain_ratio": storm.fault.rain_ratio,
            "dead": _asset(one, storm.fault.dead),
            "stuck": _asset(one, storm.fault.stuck),
            **_scores_of(storm.outcomes),
        }
        for storm in one.perturbed
    ]
    return found


def _scores_of(outcomes: dict[str, Outcome]) -> dict[str, object]:
    return {
        measure: {name: _rounded(getattr(o, measure)) for name, o in outcomes.items()}
        for measure in MEASURES
    }


def _asset(one: Compared, place: int | None) -> str | None:
    return None if place is None else one.case.assets[place].id


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


# --- the table ---------------------------------------------------------------------------------


def table(report: Report) -> str:
    """Scores, ratios, and the storms that differ from the model."""
    parts = (
        _scores(report, "score", "score (flooded m3 of a project's own file)"),
        _scores(report, "score_time_weighted", "time-weighted score"),
        _ratios(report),
        _perturbed(report),
    )
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part)))


def _scores(report: Report, measure: str, title: str) -> Iterator[str]:
    wide = max(len(one.case.name) for one in report.compared)
    yield f"{title}; less is better"
    yield "  ".join([" " * wide, *(f"{name:>14}" for name in report.controllers)])
    for one in report.compared:
        values = (one.outcomes.get(name) for name in report.controllers)
        cells = (f"{getattr(o, measure):>14,.4g}" if o else f"{'-':>14}" for o in values)
        yield "  ".join([f"{one.case.name:<{wide}}", *cells])


def _ratios(report: Report) -> Iterator[str]:
    wide = max(len(one.case.name) for one in report.compared)
    yield f"{OURS} to uncontrolled, and to the best of the others: score, time-weighted"
    for one in report.compared:
        numbers = (
            f"{_text(one.ratio(measure))} (best {_text(one.ratio_to_best(measure))})"
            for measure in MEASURES
        )
        searched = "" if one.plan is None else f"{one.plan.controller}, {one.plan.runs} runs"
        yield f"{one.case.name:<{wide}}  {'  '.join(numbers)}  {searched}"


def _perturbed(report: Report) -> Iterator[str]:
    if not any(one.perturbed for one in report.compared):
        return
    wide = max(len(one.case.name) for one in report.compared)
    yield (
        f"{OURS} to the best of the others where the storm is not the model's (rain, a dead "
        "sensor, a stuck gate): mean, worst"
    )
    for one in report.compared:
        cells = []
        for measure in MEASURES:
            ratios = one.ratios_perturbed(measure)
            cell = f"{fmean(ratios):.3f}, {max(ratios):.3f}" if ratios else "-"
            lost = one.lost(measure)
            cells.append(f"{cell} (and {lost} where another costs nothing)" if lost else cell)
        yield f"{one.case.name:<{wide}}  score {cells[0]}  time-weighted {cells[1]}"


def _text(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3f}"


# --- the plot ----------------------------------------------------------------------------------


def plot(report: Report, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """drainage.png and drainage.svg: time-weighted scores as shares of uncontrolled's."""

    def size(columns: int, rows: int) -> tuple[float, float]:
        return 1.2 + 3.2 * columns, 0.9 + 1.6 * rows

    panels = [partial(_panel, one=one) for one in report.compared]
    label = "time-weighted score / uncontrolled (dots: other storms)"
    return save_panels(panels, size, label, folder / "drainage", say)


def _panel(axes: Any, one: Compared) -> None:
    names = list(one.outcomes)
    shares = [_share(one.outcomes, name) for name in names]
    colours = [MARK if name == OURS else OTHER for name in names]
    axes.barh(names, shares, color=colours, height=0.7)
    for row, name in enumerate(names):
        dots = [_share(s.outcomes, name) for s in one.perturbed if name in s.outcomes]
        axes.plot(dots, [row] * len(dots), ".", color=INK, markersize=3)
    bare(axes, one.case.name)


def _share(outcomes: dict[str, Outcome], name: str) -> float:
    nothing = outcomes[NOTHING].score_time_weighted
    value = outcomes[name].score_time_weighted
    return value / nothing if nothing > 0 else value
