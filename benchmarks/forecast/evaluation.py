"""Evaluates the flood forecast on storms in a simulated city: `causeway eval forecast`.

In come a city and seeds; each seed is a storm that is played in the city's truth, recorded as its
gauges would have told it, and forecast from that record alone, in a process of its own
(`benchmarks/pool.py`). It is played once more with the plants left to their PLCs: how much water
stood on streets then is what the centre's is held against. What comes out goes on to `report.py`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.forecast.report import Report, Told, plot, table
from benchmarks.forecast.scoring import (
    LEADS_MIN,
    Alerts,
    Kept,
    Points,
    kept_of,
    points_of,
    score_alerts,
    score_observed,
)
from benchmarks.forecast.storms import HOURS, draw
from benchmarks.forecast.truth import play
from benchmarks.forecast.watching import watch
from benchmarks.plots import write_all
from benchmarks.pool import STOP_TIMEOUT_S, Pool, answering, simulated_bar
from causeway.children import Child, Children
from causeway.cli import Unusable
from causeway.site import SiteInvalid, load_site
from control.inundation.forecaster import MEMBERS, Forecaster
from control.inundation.model import DrainageModel
from control.inundation.tide_outlook import tide_outlook
from sims.watershed import WatershedInvalid, load_watershed

PROGRESS_EVERY_S = 600  # of simulated time
TRUTH = "truth"

Say = Callable[[str], None]


class Options(Struct, frozen=True):
    """Which storms of which city; `open_loop` forecasts without assimilation as well."""

    city: Path
    seeds: tuple[int, ...]
    members: int = MEMBERS
    open_loop: bool = False
    jobs: int | None = None
    out: Path | None = None


class Asked(Struct):
    """To a storm's process; it writes its points to the file `points`."""

    work: str
    city: str
    seed: int
    members: int
    open_loop: bool
    points: str


class Done(Struct, omit_defaults=True):
    """From it: so many more seconds forecast, or the alerts' score, or why there is none."""

    seconds: int = 0
    kind: str = ""
    alerts: Alerts | None = None
    observed: Alerts | None = None
    flood_m3h: float = 0.0
    rules_flood_m3h: float = 0.0
    issues: int = 0
    cpu_s: float = 0.0
    error: str = ""


def evaluate(options: Options, say: Say) -> dict[str, object]:
    """Run all, say the table, write the plots; gives what `--json` prints."""
    _check(options.city)
    report = asyncio.run(_evaluate(options))
    text = table(report)
    say(text)
    found = report.found()
    draw = partial(plot, report, say=say)
    write_all(options.out, "forecast", text, found, draw, say)
    return found


def run_main() -> int:
    """A storm's process: one `Asked` in, `Done`s out; all that SWMM says goes to stderr."""
    answer = answering()
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Asked)
    seconds = 0

    def more(simulated_s: int) -> None:
        nonlocal seconds
        seconds += simulated_s
        if seconds >= PROGRESS_EVERY_S:
            answer(Done(seconds=seconds))
            seconds = 0

    answer(_storm(asked, more))
    return 0


def _storm(asked: Asked, progress: Callable[[int], object]) -> Done:
    began_s = time.process_time()
    city, work = Path(asked.city), Path(asked.work)
    site = load_site(city)
    storm = draw(asked.seed, site, load_watershed(city / TRUTH, site))
    by_rules = play(site, city / TRUTH, storm, work, centre=False)
    record = play(site, city / TRUTH, storm, work)
    text = (city / str(site.drainage_model)).read_text()
    model = DrainageModel(text).with_jammed(storm.condition.jammed_known)

    def forecaster(name: str, assimilates: bool) -> Forecaster:
        return Forecaster(
            site,
            model,
            tide_outlook(site),
            work / name,
            members=asked.members,
            assimilates=assimilates,
        )

    open_loop = forecaster("open-loop", assimilates=False) if asked.open_loop else None
    issued, alerts = watch(site, record, forecaster("forecast", True), open_loop, progress)
    columns = {
        f"{lead}-{name}": column
        for lead, points in zip(LEADS_MIN, points_of(record, issued), strict=True)
        for name, column in points._asdict().items()
    }
    columns |= {
        f"{lead}-kept-{name}": column
        for lead, kept in zip(LEADS_MIN, kept_of(record, issued), strict=True)
        for name, column in kept._asdict().items()
    }
    np.savez_compressed(asked.points, allow_pickle=False, **columns)
    return Done(
        kind=storm.kind,
        alerts=score_alerts(record, alerts),
        observed=score_observed(record),
        flood_m3h=round(record.flood_m3h, 1),
        rules_flood_m3h=round(by_rules.flood_m3h, 1),
        issues=len(issued),
        cpu_s=round(time.process_time() - began_s, 1),
    )


def _check(city: Path) -> None:
    """Whether there is a simulated city and a model to forecast it with; raises Unusable."""
    try:
        site = load_site(city)
        load_watershed(city / TRUTH, site)
    except (SiteInvalid, WatershedInvalid) as error:
        raise Unusable(str(error)) from error
    if site.drainage_model is None:
        raise Unusable(f"{city}: site.toml names no drainage_model to forecast with")


async def _evaluate(options: Options) -> Report:
    seeds = tuple(dict.fromkeys(options.seeds))
    with tempfile.TemporaryDirectory(prefix="causeway-eval-") as name:
        work = Path(name)
        children = Children(work / "log")
        pool = Pool(children, work, "eval-forecast-run", Done, _failed, options.jobs)
        files = [work / f"storm-{seed}.npz" for seed in seeds]
        asked = [
            Asked("", str(options.city), seed, options.members, options.open_loop, str(file))
            for seed, file in zip(seeds, files, strict=True)
        ]
        try:
            total_s = len(asked) * HOURS * 3_600
            with simulated_bar(total_s) as bar:
                done = await pool.all(asked, bar.update)
                bar.update(total_s - bar.n)
        finally:
            await children.stop_all(STOP_TIMEOUT_S)
        return Report(list(_told(seeds, done, files)), options.open_loop)


def _told(seeds: Sequence[int], done: Sequence[Done], files: Sequence[Path]) -> list[Told]:
    told = []
    for seed, one, file in zip(seeds, done, files, strict=True):
        with np.load(file) as columns:
            points = tuple(
                Points(*(columns[f"{lead}-{name}"] for name in Points._fields))
                for lead in LEADS_MIN
            )
            kept = tuple(
                Kept(*(columns[f"{lead}-kept-{name}"] for name in Kept._fields))
                for lead in LEADS_MIN
            )
        assert one.alerts is not None
        assert one.observed is not None
        floods = one.flood_m3h, one.rules_flood_m3h
        scores = one.alerts, one.observed
        told.append(Told(seed, one.kind, *scores, points, kept, *floods, one.issues, one.cpu_s))
    return told


def _failed(asked: Asked, child: Child, done: Done | None) -> Unusable:
    said = child.log_tail(1) or "no word"
    return Unusable(f"storm {asked.seed}: its process ended with code {child.exit_code}: {said}")
