"""Processes that run SWMM: what is asked goes in as lines of JSON, outcomes come back.

A scored run has a fresh process. A planner's many runs share a few, which are replaced after
`RUNS_MAX` runs. `run_main` is the other end: the process itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.drainage.case import Case, CaseUnusable, Found
from benchmarks.drainage.simulation import Outcome, Trial, simulate, survey
from benchmarks.pool import answering
from causeway.children import CAUSEWAY as COMMAND
from causeway.children import Child, Children

RUNS_MAX = 200
PROGRESS_EVERY_S = 600.0  # of simulated time


class Asked(Struct):
    """To a process: read a project, or run it."""

    found: Found | None = None
    trial: Trial | None = None


class Done(Struct, omit_defaults=True):
    """From it: so many more seconds simulated, or its answer, or why there is none."""

    seconds: float = 0.0
    case: Case | None = None
    outcome: Outcome | None = None
    error: str = ""


def run_main() -> int:
    """The process: one `Asked` a line, until its input ends; SWMM's own words go to stderr."""
    answer = answering()
    with tempfile.TemporaryDirectory(prefix="causeway-swmm-") as name:
        for line in sys.stdin.buffer:
            asked = msgspec.json.decode(line, type=Asked)
            try:
                if asked.found is not None:
                    answer(Done(case=survey(asked.found, Path(name))))
                elif asked.trial is not None:
                    answer(Done(outcome=simulate(asked.trial, Path(name), _progress(answer))))
            except CaseUnusable as unusable:
                answer(Done(error=unusable.why))
    return 0


def _progress(answer: Callable[[object], None]) -> Callable[[float], None]:
    seconds = 0.0

    def more(simulated_s: float) -> None:
        nonlocal seconds
        seconds += simulated_s
        if seconds >= PROGRESS_EVERY_S:
            answer(Done(seconds=seconds))
            seconds = 0.0

    return more


class _Worker:
    """One process and how often it has run."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.runs = 0


class Workers:
    """At most `jobs` processes at once."""

    def __init__(self, children: Children, jobs: int) -> None:
        self._children = children
        self._free: asyncio.Queue[_Worker | None] = asyncio.Queue()
        self._numbers = count(1)
        for _ in range(jobs):
            self._free.put_nowait(None)

    async def ask(
        self,
        asked: Asked,
        fresh: bool = False,
        progress: Callable[[float], object] = lambda seconds: None,
    ) -> Done:
        """The answer; raises CaseUnusable. `fresh`: of a process that has run nothing else."""
        worker = await self._free.get()
        try:
            if worker is None or fresh or worker.runs >= RUNS_MAX:
                if worker is not None:
                    await worker.child.stop()
                worker = None
                name = f"run-{next(self._numbers)}"
                argv = [COMMAND, "eval-drainage-run"]
                worker = _Worker(await self._children.start(name, argv, pipes=True))
            worker.runs = RUNS_MAX if fresh else worker.runs + 1
            done = await _answer(worker.child, asked, progress)
        except BaseException:
            if worker is not None:
                worker.runs = RUNS_MAX
            raise
        finally:
            self._free.put_nowait(worker)
        return done


async def _answer(child: Child, asked: Asked, progress: Callable[[float], object]) -> Done:
    with contextlib.suppress(ConnectionError):
        child.writer.write(msgspec.json.encode(asked) + b"\n")
        await child.writer.drain()
    while line := await child.reader.readline():
        done = msgspec.json.decode(line, type=Done)
        if done.seconds:
            progress(done.seconds)
            continue
        if done.error:
            raise CaseUnusable(_named(asked), done.error)
        return done
    await child.again(child.runs)
    said = child.log_tail(1) or "no word"
    raise CaseUnusable(_named(asked), f"its process ended with code {child.exit_code}: {said}")


def _named(asked: Asked) -> str:
    if asked.trial is not None:
        return f"{asked.trial.case.name}, {asked.trial.controller}"
    return asked.found.name if asked.found is not None else ""
