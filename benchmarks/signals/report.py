"""Compares what the controllers made of each scenario: the numbers, a table, a plot.

A ratio is causeway's delay to that of the best other controller, which is the one of the least mean
delay over the seeds. The worst seed's ratio compares both on that seed. The same is said of the
delay of persons, whose best other controller may be another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, geometric_mean, median, stdev
from typing import Any

from msgspec import Struct

from benchmarks.plots import INK, MARK, OTHER, bare, save_panels
from benchmarks.signals.scenario import Scenario
from benchmarks.signals.trips import Outcome

OURS, OURS_UNASKED = "causeway", "causeway_unasked"
DELAY, PERSON_DELAY = "delay_s", "person_delay_s"
MEASURES = (
    "waiting_s",
    "wait_max_s",
    "stops",
    "queue_veh",
    "co2_kg",
    "vehicles",
    "completed",
    "never_inserted",
    "teleports",
    "collisions",
    "emergency_stops",
    "signal_wait_max_s",
    "pedestrian_wait_s",
    "pedestrian_wait_max_s",
    "pedestrians",
    "pedestrians_hit",
    "priority_vehicles",
    "priority_delay_s",
    "others_delay_s",
    "decision_ms_median",
    "decision_ms_p99",
    "decision_ms_max",
)


class Compared(Struct):
    """One scenario: the outcomes of each controller, one a seed."""

    scenario: Scenario
    outcomes: dict[str, list[Outcome]] = {}

    def delays_s(self, controller: str, delay: str = DELAY) -> list[float]:
        """One a seed; `delay` is DELAY, or any other measure of an Outcome."""
        return [float(getattr(outcome, delay)) for outcome in self.outcomes[controller]]

    @property
    def best_baseline(self) -> str | None:
        """The other controller of the least mean delay; none where there is no other."""
        return self.best_by(DELAY)

    @property
    def ratios(self) -> tuple[float, float] | None:
        """Of the means, and on the worst seed."""
        return self.ratios_by(DELAY)

    def best_by(self, delay: str) -> str | None:
        others = [name for name in self.outcomes if name not in (OURS, OURS_UNASKED)]
        return min(others, key=lambda name: fmean(self.delays_s(name, delay)), default=None)

    def ratios_by(self, delay: str) -> tuple[float, float] | None:
        best = self.best_by(delay)
        if best is None or OURS not in self.outcomes or min(self.delays_s(best, delay)) <= 0:
            return None
        ours, theirs = self.delays_s(OURS, delay), self.delays_s(best, delay)
        worst = max(our / their for our, their in zip(ours, theirs, strict=True))
        return fmean(ours) / fmean(theirs), worst

    @property
    def priority(self) -> tuple[float, float] | None:
        """Delays of who asks for priority, and of all others, to those where nobody asks."""
        if OURS not in self.outcomes or OURS_UNASKED not in self.outcomes:
            return None
        asking, others = (
            fmean(self.delays_s(OURS, delay)) / max(0.01, fmean(self.delays_s(OURS_UNASKED, delay)))
            for delay in ("priority_delay_s", "others_delay_s")
        )
        return asking, others

    def decisions_ms(self, measure: str) -> list[float]:
        """Of causeway's runs that decided anything; `measure` is one of Outcome's decision_ms."""
        found = (getattr(outcome, measure) for outcome in self.outcomes.get(OURS, []))
        return [value for value in found if value is not None]


class Report(Struct):
    """All scenarios by name."""

    controllers: tuple[str, ...]
    seeds: tuple[int, ...]
    compared: dict[str, Compared]

    def add(self, scenario: Scenario, controller: str, outcome: Outcome) -> None:
        """Outcomes come in the order of the seeds."""
        compared = self.compared.setdefault(scenario.name, Compared(scenario))
        compared.outcomes.setdefault(controller, []).append(outcome)

    @property
    def ratio_geomean(self) -> float | None:
        ratios = [c.ratios[0] for c in self.compared.values() if c.ratios]
        return geometric_mean(ratios) if ratios and min(ratios) > 0 else None

    @property
    def decision_ms_median(self) -> float | None:
        """Of causeway's runs, each by its own median."""
        medians = [m for c in self.compared.values() for m in c.decisions_ms("decision_ms_median")]
        return median(medians) if medians else None

    @property
    def decision_ms_max(self) -> float | None:
        return max(
            (m for c in self.compared.values() for m in c.decisions_ms("decision_ms_max")),
            default=None,
        )

    def found(self) -> dict[str, object]:
        """What `--json` prints; ratios are null where causeway or any other is not compared."""
        return {
            "scenarios": {name: _found(compared) for name, compared in self.compared.items()},
            "ratio_geomean": _rounded(self.ratio_geomean, 4),
            "decision_ms_median": self.decision_ms_median,
            "seeds": list(self.seeds),
        }


def _found(compared: Compared) -> dict[str, object]:
    ratio, worst = compared.ratios or (None, None)
    person_ratio, person_worst = compared.ratios_by(PERSON_DELAY) or (None, None)
    medians_ms = compared.decisions_ms("decision_ms_median")
    return {
        **{
            name: {c: [round(d, 3) for d in compared.delays_s(c, by)] for c in compared.outcomes}
            for name, by in (
                ("delay_s", DELAY),
                ("person_delay_s", PERSON_DELAY),
                ("wait_max_s", "signal_wait_max_s"),
                ("pedestrian_wait_max_s", "pedestrian_wait_max_s"),
            )
        },
        "person_best_baseline": compared.best_by(PERSON_DELAY),
        "person_ratio": _rounded(person_ratio, 4),
        "person_ratio_worst_seed": _rounded(person_worst, 4),
        "best_baseline": compared.best_baseline,
        "ratio": _rounded(ratio, 4),
        "ratio_worst_seed": _rounded(worst, 4),
        "priority_ratio": _rounded(compared.priority and compared.priority[0], 4),
        "others_ratio": _rounded(compared.priority and compared.priority[1], 4),
        "decision_ms_median": median(medians_ms) if medians_ms else None,
        "decision_ms_p99": max(compared.decisions_ms("decision_ms_p99"), default=None),
        "decision_ms_max": max(compared.decisions_ms("decision_ms_max"), default=None),
        "measures": {
            name: {m: [_rounded(getattr(o, m), 4) for o in outcomes] for m in MEASURES}
            for name, outcomes in compared.outcomes.items()
        },
        "junctions": len(compared.scenario.programs),
        "unusable": compared.scenario.unusable,
    }


def _rounded(value: float | None, places: int) -> float | None:
    return value if value is None or isinstance(value, int) else round(value, places)


# --- the table ---------------------------------------------------------------------------------


def table(report: Report) -> str:
    """Delays over the seeds, ratios, the other measures, and what makes a comparison doubtful."""
    parts = (
        _delays(report, DELAY),
        _delays(report, PERSON_DELAY),
        _ratios(report),
        _measures(report),
        _warnings(report),
    )
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part)))


def _delays(report: Report, delay: str) -> Iterator[str]:
    wide = max(map(len, report.compared), default=0)
    if delay == DELAY:
        seeds = ", ".join(map(str, report.seeds))
        yield f"delay in s, mean ± standard deviation over seeds {seeds}"
    else:
        yield "a person's delay in s, with the waiting of pedestrians at crossings"
    yield "  ".join([" " * wide, *(f"{name:>14}" for name in report.controllers)])
    for name, compared in report.compared.items():
        cells = (_spread(compared.delays_s(c, delay)) for c in report.controllers)
        yield "  ".join([f"{name:<{wide}}", *(f"{cell:>14}" for cell in cells)])


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{fmean(values):.1f}"
    return f"{fmean(values):.1f} ± {stdev(values):.1f}"


def _ratios(report: Report) -> Iterator[str]:
    wide = max(map(len, report.compared), default=0)
    for name, compared in report.compared.items():
        line = f"{name:<{wide}}  best of the others: {compared.best_baseline or 'none'}"
        if compared.ratios is not None:
            ratio, worst = compared.ratios
            line += f"; {OURS} to it: {ratio:.3f}, on the worst seed {worst:.3f}"
        yield line
        if (gain := compared.priority) is not None:
            line = f"{'':<{wide}}  delay of who asks for priority: {gain[0]:.3f} of that unasked"
            yield f"{line}; of all others {gain[1]:.3f}"
        if (by_persons := compared.ratios_by(PERSON_DELAY)) is not None:
            line = f"{'':<{wide}}  by persons: {compared.best_by(PERSON_DELAY)}; {OURS} to it:"
            yield f"{line} {by_persons[0]:.3f}, on the worst seed {by_persons[1]:.3f}"
    if report.ratio_geomean is not None:
        yield f"geometric mean of the ratios: {report.ratio_geomean:.3f}"
    if report.decision_ms_median is not None:
        longest = f", at most {report.decision_ms_max:.3f} ms" if report.decision_ms_max else ""
        yield f"a decision for one junction: {report.decision_ms_median:.3f} ms (median){longest}"


def _measures(report: Report) -> Iterator[str]:
    wide = max(map(len, [*report.controllers, *report.compared]))
    heads = ("stops", "queue", "CO2 kg", "done", "never in", "tele", "coll", "em.stop")
    yield (
        "means over the seeds; longest: the longest wait of one vehicle in any seed, on its trip,"
        " at one signal, and of a pedestrian's call; queue: vehicles standing in the net; never in:"
        " never inserted"
    )
    for name, compared in report.compared.items():
        waits = ("wait s", "longest", "signal", "call")
        yield "  ".join([f"{name:<{wide}}", *(f"{head:>8}" for head in waits + heads), "  ms"])
        for controller, outcomes in compared.outcomes.items():
            cells = (
                f"{_mean(outcomes, measure):>8.{places}f}"
                for measure, places in (
                    ("stops", 2),
                    ("queue_veh", 1),
                    ("co2_kg", 0),
                    ("completed", 0),
                    ("never_inserted", 1),
                    ("teleports", 1),
                    ("collisions", 1),
                    ("emergency_stops", 1),
                )
            )
            medians = [o.decision_ms_median for o in outcomes if o.decision_ms_median is not None]
            spent = f"{median(medians):6.3f}" if medians else "     -"
            longest = ("wait_max_s", "signal_wait_max_s", "pedestrian_wait_max_s")
            waited = (f"{max(getattr(o, m) for o in outcomes):>8.0f}" for m in longest)
            wait = f"{_mean(outcomes, 'waiting_s'):>8.1f}"
            yield "  ".join([f"{controller:<{wide}}", wait, *waited, *cells, spent])


def _warnings(report: Report) -> Iterator[str]:
    """Other vehicles, or vehicles that were taken out of a jam, make delays hard to compare."""
    for name, compared in report.compared.items():
        runs = compared.outcomes
        for seed, outcomes in zip(report.seeds, zip(*runs.values(), strict=True), strict=True):
            vehicles = dict(zip(runs, (o.vehicles for o in outcomes), strict=True))
            if len(set(vehicles.values())) > 1:
                yield f"warning: {name}, seed {seed}: not the same vehicles: {_listed(vehicles)}"
            teleports = dict(zip(runs, (o.teleports for o in outcomes), strict=True))
            if any(teleports.values()):
                some = {controller: n for controller, n in teleports.items() if n}
                yield f"warning: {name}, seed {seed}: teleports: {_listed(some)}"
            hit = {
                controller: o.pedestrians_hit for controller, o in zip(runs, outcomes, strict=True)
            }
            if any(hit.values()):
                yield f"warning: {name}, seed {seed}: pedestrians hit: {_listed(hit)}"


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{controller} {number}" for controller, number in numbers.items())


def _mean(outcomes: Sequence[Outcome], measure: str) -> float:
    return fmean(float(getattr(outcome, measure)) for outcome in outcomes)


# --- the plot ----------------------------------------------------------------------------------


def plot(report: Report, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """signals.png and signals.svg: the mean delays as bars, each seed as a dot."""

    def size(columns: int, rows: int) -> tuple[float, float]:
        return 1.2 + 3.6 * columns, 0.9 + rows * (0.8 + 0.27 * len(report.controllers))

    panels = [partial(_panel, name=name, compared=one) for name, one in report.compared.items()]
    label = "mean delay of a vehicle in s (bar: mean, dots: seeds)"
    return save_panels(panels, size, label, folder / "signals", say)


def _panel(axes: Any, name: str, compared: Compared) -> None:
    """Bars are cut at four times the least delay, where others would be too short to compare."""
    names = list(compared.outcomes)
    means = [fmean(compared.delays_s(controller)) for controller in names]
    limit = min(max(means), 4 * min(means)) * 1.2 or 1.0
    colours = [MARK if controller == OURS else OTHER for controller in names]
    axes.barh(names, means, color=colours, height=0.7)
    for row, controller in enumerate(names):
        delays = compared.delays_s(controller)
        axes.plot(delays, [row] * len(delays), ".", color=INK, markersize=3)
        if means[row] > limit:
            axes.text(limit, row, f"{means[row]:.0f} ", ha="right", va="center", fontsize=7)
    ratios = compared.ratios
    title = name if ratios is None else f"{name} ({ratios[0]:.2f} of {compared.best_baseline})"
    axes.set_xlim(0, limit)
    bare(axes, title)
