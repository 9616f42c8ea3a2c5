"""Says how good the flood forecasts were: the numbers, a table, a plot.

Intervals are of 90 %, from drawing whole storms again (a block bootstrap): what happens in one
storm is not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecast.scoring import (
    LEADS_MIN,
    Alerts,
    Kept,
    Points,
    joined,
    persistence_crps,
    reliability,
)
from benchmarks.forecast.storms import KINDS
from benchmarks.plots import INK, MARK, OTHER, framed, save_panels

DRAWS = 1_000
LOW, HIGH = 5.0, 95.0  # percentiles
RELIABILITY_MIN = 60
CENTIMETRES = 100.0

Array = NDArray[np.float64]
Skill = dict[str, object]


class Told(NamedTuple):
    """One storm: how its alerts and its forecasts did; `points` and `kept` are by lead.

    `flood_m3h` is the water on streets over time, `rules_flood_m3h` that under the PLCs alone.
    """

    seed: int
    kind: str
    alerts: Alerts
    observed: Alerts
    points: tuple[Points, ...]
    kept: tuple[Kept, ...]
    flood_m3h: float
    rules_flood_m3h: float
    issues: int
    cpu_s: float


class Report:
    """All storms of an evaluation."""

    def __init__(self, storms: Sequence[Told], open_loop: bool) -> None:
        self.storms = storms
        self.open_loop = open_loop

    @cached_property
    def persistence(self) -> list[list[Array]]:
        """CRPS of persistence at each storm's points, by lead; a lone storm is its own past."""
        found = []
        for storm in self.storms:
            others = [other for other in self.storms if other is not storm] or [storm]
            found.append(
                [
                    persistence_crps(points, [other.kept[lead] for other in others])
                    for lead, points in enumerate(storm.points)
                ]
            )
        return found

    def of_kind(self, kind: str) -> list[int]:
        return [i for i, storm in enumerate(self.storms) if storm.kind == kind]

    def crps_m(self, which: Sequence[int], lead: int, what: str) -> float:
        """Mean over the points of some storms; `what` is ensemble, open_loop or persistence."""
        match what:
            case "persistence":
                columns = [self.persistence[i][lead] for i in which]
            case "open_loop":
                columns = [self.storms[i].points[lead].open_crps_m for i in which]
            case _:
                columns = [self.storms[i].points[lead].crps_m for i in which]
        whole = np.concatenate(columns) if columns else np.zeros(0)
        return float(whole.mean()) if len(whole) else float("nan")

    def crps_ratio(self, which: Sequence[int], lead: int) -> float:
        """Of the ensemble to persistence; less is better."""
        return self.crps_m(which, lead, "ensemble") / self.crps_m(which, lead, "persistence")

    def flood_change(self, which: Sequence[int]) -> float:
        """By what share there was more water on streets than under the PLCs alone."""
        rules = sum(self.storms[i].rules_flood_m3h for i in which)
        return sum(self.storms[i].flood_m3h for i in which) / rules - 1 if rules else float("nan")

    def found(self) -> Skill:
        """What `--json` prints."""
        everyone = range(len(self.storms))
        found = self._skill(everyone)
        found |= {
            "storms": len(self.storms),
            "seeds": [storm.seed for storm in self.storms],
            "kinds": {
                kind: {"storms": len(self.of_kind(kind)), **self._skill(self.of_kind(kind))}
                for kind in KINDS
                if self.of_kind(kind)
            },
            "reliability": {
                str(lead): reliability(joined([s.points[i] for s in self.storms]))
                for i, lead in enumerate(LEADS_MIN)
            },
            "flood_m3h": {str(s.seed): [s.flood_m3h, s.rules_flood_m3h] for s in self.storms},
            "cpu_s_median": float(np.median([storm.cpu_s for storm in self.storms])),
        }
        return found

    def _skill(self, which: Sequence[int]) -> Skill:
        found: Skill = {"leads_min": list(LEADS_MIN)}
        names = {"ensemble": "crps", "persistence": "persistence_crps"}
        if self.open_loop:
            names["open_loop"] = "open_loop_crps"
        for what, name in names.items():
            found[name] = {
                str(lead): _rounded(self.crps_m(which, i, what), 5)
                for i, lead in enumerate(LEADS_MIN)
            }
        found["crps_ratio"] = {
            str(lead): self._with_interval(which, partial(self.crps_ratio, lead=i))
            for i, lead in enumerate(LEADS_MIN)
        }
        found["flood_change"] = self._with_interval(which, self.flood_change)
        for name in ("alerts", "observed"):
            scores: Skill = dict(score(self._alerts(which, name)))
            scores["interval_90"] = {
                key: self._interval(which, partial(self._score, key=key, name=name))
                for key in ("pod", "far", "csi", "lead_min_median")
            }
            found["alerts" if name == "alerts" else "observed_alarm"] = scores
        return found

    def _alerts(self, which: Sequence[int], name: str) -> list[Alerts]:
        return [getattr(self.storms[i], name) for i in which]

    def _score(self, which: Sequence[int], key: str, name: str) -> float:
        value = score(self._alerts(which, name))[key]
        return float("nan") if value is None else float(value)

    def _with_interval(
        self, which: Sequence[int], measure: Callable[[Sequence[int]], float]
    ) -> list[float | None]:
        return [_rounded(measure(which), 3), *self._interval(which, measure)]

    def _interval(
        self, which: Sequence[int], measure: Callable[[Sequence[int]], float]
    ) -> list[float | None]:
        """The 5th and the 95th percentile over storms drawn again."""
        rng = np.random.default_rng(1)
        drawn = [measure(rng.choice(list(which), len(which)).tolist()) for _ in range(DRAWS)]
        known = [value for value in drawn if value == value]
        if not known:
            return [None, None]
        return [_rounded(float(np.percentile(known, p)), 3) for p in (LOW, HIGH)]


def score(alerts: Sequence[Alerts]) -> dict[str, float | int | None]:
    """POD, FAR, CSI and the median lead over the alerts of storms; None where it has no meaning."""
    leads = [lead for one in alerts for lead in one.leads_min]
    missed, false = sum(one.missed for one in alerts), sum(one.false for one in alerts)
    hits = len(leads)
    return {
        "pod": _ratio(hits, hits + missed),
        "far": _ratio(false, hits + false),
        "csi": _ratio(hits, hits + missed + false),
        "lead_min_median": float(np.median(leads)) if leads else None,
        "hits": hits,
        "missed": missed,
        "false": false,
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) if value == value else None


# --- the table -----------------------------------------------------------------------------------


def table(report: Report) -> str:
    """Alerts by kind of storm, then depths by lead."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    whole = ("all", list(range(len(report.storms))))
    groups = [(k, report.of_kind(k)) for k in KINDS if report.of_kind(k)] + [whole]
    heads = "".join(f"{name:>6}" for name in ("POD", "FAR", "CSI"))
    yield f"{'alerts of > 20 cm':<22}{'storms':>7}{'events':>7}{heads}  lead, min"
    for kind, which in groups:
        for title, name in ((kind, "alerts"), ("  observed > 10 cm", "observed")):
            scores = score([getattr(report.storms[i], name) for i in which])
            events = int(scores["hits"] or 0) + int(scores["missed"] or 0)
            cells = "".join(f"{_shown(scores[k], 2):>6}" for k in ("pod", "far", "csi"))
            lead = _shown(scores["lead_min_median"], 0)
            yield f"{title:<22}{len(which):>7}{events:>7}{cells}  {lead:>5}"
    yield ""
    yield f"{'water on streets, m3 h':<22}{'PLCs alone':>12}{'centre':>12}{'change':>9}"
    for kind, which in groups:
        rules = sum(report.storms[i].rules_flood_m3h for i in which)
        ours = sum(report.storms[i].flood_m3h for i in which)
        yield f"{kind:<22}{rules:>12.0f}{ours:>12.0f}{report.flood_change(which):>+9.1%}"
    yield ""
    yield f"{'CRPS, cm':<34}" + "".join(f"{lead:>6} min" for lead in LEADS_MIN)
    for kind, which in groups:
        for what in ("ensemble", "persistence", *(("open_loop",) if report.open_loop else ())):
            values = [report.crps_m(which, i, what) * CENTIMETRES for i in range(len(LEADS_MIN))]
            yield f"{kind + ', ' + what:<34}" + "".join(f"{v:>10.2f}" for v in values)
        ratios = [report.crps_ratio(which, i) for i in range(len(LEADS_MIN))]
        yield f"{kind + ', ensemble / persistence':<34}" + "".join(f"{r:>10.2f}" for r in ratios)


def _shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


# --- the plot ------------------------------------------------------------------------------------


def plot(report: Report, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """forecast.png and .svg: CRPS by lead, reliability, each storm's alerts."""
    panels = [partial(_by_lead, report=report), partial(_reliable, report=report)]

    def size(columns: int, rows: int) -> tuple[float, float]:
        return 1.0 + 4.2 * columns, 0.8 + 3.4 * rows

    return save_panels(panels, size, "", folder / "forecast", say)


def _by_lead(axes: Any, report: Report) -> None:
    which = range(len(report.storms))
    lines = [("persistence", OTHER, "persistence, dressed"), ("ensemble", MARK, "forecast")]
    if report.open_loop:
        lines.append(("open_loop", INK, "without assimilation"))
    for what, colour, label in lines:
        values = [report.crps_m(which, i, what) * CENTIMETRES for i in range(len(LEADS_MIN))]
        axes.plot(LEADS_MIN, values, "o-", color=colour, label=label)
    axes.set_ylim(0)
    axes.set_xlabel("minutes ahead", fontsize=8)
    framed(axes, "CRPS of street depths, cm")


def _reliable(axes: Any, report: Report) -> None:
    lead = LEADS_MIN.index(RELIABILITY_MIN)
    found = reliability(joined([storm.points[lead] for storm in report.storms]))
    axes.plot([0, 1], [0, 1], "--", color=OTHER, label="perfect")
    axes.plot(
        found.forecast, found.observed, "o-", color=MARK, label=f"{RELIABILITY_MIN} min ahead"
    )
    axes.set_xlabel("P(> 20 cm) as forecast", fontsize=8)
    framed(axes, "how often it was so")
