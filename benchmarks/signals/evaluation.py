"""Evaluates signal control on SUMO scenarios: `causeway eval signals`.

In come folders, controllers and seeds; each run is a process of its own, as many at once as there
are cores, since SUMO keeps one simulation a process. A run's process reads one `Asked` on its
standard input, writes how far it is, and last a `Done`. What comes out goes on to `report.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import msgspec
from msgspec import Struct
from tqdm import tqdm

from benchmarks.signals.network import by_reason
from benchmarks.signals.report import Report, plot, table
from benchmarks.signals.scenario import Folder, Scenario, ScenarioUnusable, find, survey
from benchmarks.signals.simulation import CAUSEWAY, METHODS, UNASKED, Run, simulate
from benchmarks.signals.trips import Outcome
from causeway.children import CAUSEWAY as COMMAND
from causeway.children import Child, Children
from causeway.cli import Unusable

CONTROLLERS = tuple(METHODS)
PROGRESS_EVERY_S = 60  # of simulated time
STOP_TIMEOUT_S = 2.0  # a run has nothing to save
CHUNK_BYTES = 2**16

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
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "signals.txt").write_text(text + "\n")
        (options.out / "signals.json").write_bytes(
            msgspec.json.format(msgspec.json.encode(found), indent=2)
        )
        for file in plot(report, options.out, say):
            say(f"written: {file}")
    return found


def run_main() -> int:
    """A run's process: one `Asked` in, `Done`s out; all that SUMO says goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Asked)

    def answer(done: Done) -> None:
        answers.write(msgspec.json.encode(done) + b"\n")
        answers.flush()

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
        pool = _Pool(children, work, options.jobs or _cores())
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
            with tqdm(
                total=total_s,
                desc="simulated",
                unit="s",
                unit_scale=True,
                file=sys.stderr,
                mininterval=0.5 if sys.stderr.isatty() else 30.0,
            ) as bar:
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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Pool:
    """Runs what is asked in processes, so many at once; the first that fails ends them all."""

    def __init__(self, children: Children, work: Path, jobs: int) -> None:
        self._children = children
        self._work = work
        self._jobs = jobs
        self._numbers = count(1)

    async def all(
        self, asked: Sequence[Asked], progress: Callable[[int], object] = lambda seconds: None
    ) -> list[Done]:
        """An answer for each, in their order; raises ScenarioUnusable."""
        answers: dict[int, Done] = {}
        todo = iter(list(enumerate(asked)))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._jobs, len(asked))):
                    group.create_task(self._work_off(todo, answers, progress))
        except* ScenarioUnusable as failed:
            raise failed.exceptions[0] from None
        return [answers[number] for number in range(len(asked))]

    async def _work_off(
        self,
        todo: Iterator[tuple[int, Asked]],
        answers: dict[int, Done],
        progress: Callable[[int], object],
    ) -> None:
        for number, one in todo:
            answers[number] = await self._one(one, progress)

    async def _one(self, asked: Asked, progress: Callable[[int], object]) -> Done:
        name = f"run-{next(self._numbers)}"
        with tempfile.TemporaryDirectory(dir=self._work, ignore_cleanup_errors=True) as work:
            child = await self._children.start(name, [COMMAND, "eval-signals-run"], pipes=True)
            asked.work = work
            child.writer.write(msgspec.json.encode(asked) + b"\n")
            with contextlib.suppress(ConnectionError):
                await child.writer.drain()
            done = None
            async for line in whole_lines(child.reader):
                answer = msgspec.json.decode(line, type=Done)
                progress(answer.seconds)
                done = None if answer.seconds else answer
            await child.again(child.runs)
        if done is None or done.error:
            raise ScenarioUnusable(_named(asked), _why(child, done))
        return done


async def whole_lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines of any length: the survey of a great city is longer than `readline` takes."""
    parts: list[bytes] = []
    while chunk := await reader.read(CHUNK_BYTES):
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for other in others:
            yield b"".join(parts)
            parts = [other]


def _named(asked: Asked) -> str:
    if asked.run is not None:
        run = asked.run
        return f"{run.scenario.name}, {run.controller}, seed {run.seed}"
    return asked.folder.name if asked.folder is not None else ""


def _why(child: Child, done: Done | None) -> str:
    """SUMO says the cause on its standard error, and raises no more than that there is one."""
    said = child.log_tail(200).splitlines()
    causes = [line.removeprefix("Error: ") for line in said if line.startswith("Error: ")]
    if causes:
        return f"SUMO: {causes[0]}"
    if done is not None:
        return done.error
    return f"its process ended with code {child.exit_code}: {said[-1] if said else 'no word'}"
