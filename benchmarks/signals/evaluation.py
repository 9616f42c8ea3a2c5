"""Evaluates signal control on SUMO scenarios: `causeway eval signals`.

In come folders, controllers and seeds; each run is a process of its own, as many at once as there
are cores (`benchmarks/pool.py`). What comes out goes on to `report.py`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.plots import write_all
from benchmarks.pool import STOP_TIMEOUT_S, Pool, answering, simulated_bar
from benchmarks.signals.network import by_reason
from benchmarks.signals.report import Report, plot, table
from benchmarks.signals.scenario import Folder, Scenario, ScenarioUnusable, find, survey
from benchmarks.signals.simulation import CAUSEWAY, METHODS, UNASKED, Run, simulate
from benchmarks.signals.trips import Outcome
from causeway.children import Child, Children
from causeway.cli import Unusable

CONTROLLERS = tuple(METHODS)
PROGRESS_EVERY_S = 60  # of simulated time

Say = Callable[[str], None]


class Options(Struct, frozen=True):
    """What is evaluated; `dead` and `lying` are shares of lanes, `jobs` processes at once.

    `priority` is the share of vehicles that ask for it; then causeway runs deaf to them, too.
    """

    folders: tuple[Path, ...]
    seeds: tuple[int, ...] = (1, 2, 3)
    controllers: tuple[str, ...] = CONTROLLERS
    seconds: int | None = None
    dead: float = 0.0
    lying: float = 0.0
    priority: float = 0.0
    jobs: int | None = None
    out: Path | None = None


class Asked(Struct):
    """To a run's process: look at a folder, or simulate."""

    work: str
    folder: Folder | None = None
    run: Run | None = None


class Done(Struct, omit_defaults=True):
    """From it: so many more seconds simulated, or its answer, or why there is none."""

    seconds: int = 0
    scenario: Scenario | None = None
    outcome: Outcome | None = None
    error: str = ""


def evaluate(options: Options, say: Say) -> dict[str, object]:
    """Run all, say the table, write the plots; gives what `--json` prints."""
    _check(options)
    folders = [find(path, options.seconds) for path in options.folders]
    doubles = [f.name for f in folders if sum(f.name == other.name for other in folders) > 1]
    if doubles:
        raise Unusable(f"two folders are named {doubles[0]!r}: results are by name")
    report = asyncio.run(_evaluate(options, folders, say))
    text = table(report)
    say(text)
    found = report.found()
    draw = partial(plot, report, say=say)
    write_all(options.out, "signals", text, found, draw, say)
    return found


def run_main() -> int:
    """A run's process: one `Asked` in, `Done`s out; all that SUMO says goes to stderr."""
    answer = answering()
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Asked)

    def each_second(at_s: int) -> None:
        if at_s % PROGRESS_EVERY_S == 0:
            answer(Done(seconds=PROGRESS_EVERY_S))

    try:
        work = Path(asked.work)
        if asked.folder is not None:
            answer(Done(scenario=survey(asked.folder, work)))
        elif asked.run is not None:
            answer(Done(outcome=simulate(asked.run, work, each_second)))
    except ScenarioUnusable as unusable:
        answer(Done(error=unusable.why))
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "libsumo":
            raise
        answer(Done(error=f"SUMO: {error}"))
    return 0


def _check(options: Options) -> None:
    unknown = [name for name in options.controllers if name not in METHODS]
    if unknown:
        raise Unusable(f"no controller {unknown[0]!r}; expected some of {', '.join(METHODS)}")
    if not (options.dead >= 0 and options.lying >= 0 and options.dead + options.lying <= 1):
        raise Unusable(
            f"--dead {options.dead:g} --lying {options.lying:g}: expected shares up to 1"
        )
    if not 0 <= options.priority <= 1:
        raise Unusable(f"--priority {options.priority:g}: expected a share up to 1")


async def _evaluate(options: Options, folders: Sequence[Folder], say: Say) -> Report:
    controllers = options.controllers
    if options.priority and CAUSEWAY in controllers:
        controllers = (*controllers, UNASKED)
    with tempfile.TemporaryDirectory(prefix="causeway-eval-") as name:
        work = Path(name)
        children = Children(work / "log")
        pool = Pool(children, work, "eval-signals-run", Done, _failed, options.jobs)
        try:
            asked = [Asked("", folder=_to_make(folder, work, options)) for folder in folders]
            scenarios = await pool.all(asked)
            surveyed = [done.scenario for done in scenarios if done.scenario is not None]
            for scenario in surveyed:
                _warn(scenario, say)
            runs = [
                Run(scenario, controller, seed, options.dead, options.lying, options.priority)
                for scenario in surveyed
                for seed in options.seeds
                for controller in controllers
            ]
            total_s = sum(run.scenario.end_s - run.scenario.begin_s for run in runs)
            with simulated_bar(total_s) as bar:
                outcomes = await pool.all([Asked("", run=run) for run in runs], bar.update)
                bar.update(total_s - bar.n)
        finally:
            await children.stop_all(STOP_TIMEOUT_S)
    report = Report(controllers, options.seeds, {})
    for run, done in zip(runs, outcomes, strict=True):
        assert done.outcome is not None
        if not done.outcome.vehicles:
            raise ScenarioUnusable(run.scenario.name, "no vehicle was to depart in that time")
        report.add(run.scenario, run.controller, done.outcome)
    return report


def _to_make(folder: Folder, work: Path, options: Options) -> Folder:
    """Of a site, with where its scenario is made."""
    if not folder.site:
        return folder
    made = str(work / f"site-{folder.name}")
    return msgspec.structs.replace(folder, made=made, seeds=options.seeds)


def _warn(scenario: Scenario, say: Say) -> None:
    for note in scenario.notes:
        say(f"{scenario.name}: {note}")
    for reason in by_reason(scenario.unusable):
        say(f"{scenario.name}: signals that keep their own programs: {reason}")


def _named(asked: Asked) -> str:
    if asked.run is not None:
        run = asked.run
        return f"{run.scenario.name}, {run.controller}, seed {run.seed}"
    return asked.folder.name if asked.folder is not None else ""


def _failed(asked: Asked, child: Child, done: Done | None) -> ScenarioUnusable:
    return ScenarioUnusable(_named(asked), _why(child, done))


def _why(child: Child, done: Done | None) -> str:
    """SUMO says the cause on its standard error, and raises no more than that there is one."""
    said = child.log_tail(200).splitlines()
    causes = [line.removeprefix("Error: ") for line in said if line.startswith("Error: ")]
    if causes:
        return f"SUMO: {causes[0]}"
    if done is not None:
        return done.error
    return f"its process ended with code {child.exit_code}: {said[-1] if said else 'no word'}"
