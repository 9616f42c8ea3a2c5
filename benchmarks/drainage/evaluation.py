"""Evaluates pump and gate control on SWMM networks: `causeway eval drainage`.

In come names of pystorms scenarios or SWMM projects; each is surveyed, causeway searches a law on
the model, and every controller is run on it. With `perturb` the storms that come differ from the
model: other rain, a dead level sensor, a stuck gate. What comes out goes on to `report.py`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
from msgspec import Struct
from tqdm import tqdm

from benchmarks.drainage.case import Case, Found, find
from benchmarks.drainage.planning import BASELINES, plan
from benchmarks.drainage.report import Compared, Report, plot, table
from benchmarks.drainage.simulation import Fault, Trial, with_peaks
from benchmarks.drainage.workers import Asked, Workers
from benchmarks.plots import write_all
from benchmarks.pool import STOP_TIMEOUT_S, cores
from causeway.children import Children
from causeway.cli import Unusable

OURS = "causeway"
CONTROLLERS = (OURS, *BASELINES)
RUNS = 400
NOMINAL = (Fault(),)
MEMBERS_RAIN_RATIO = (0.7, 0.85, 1.0, 1.15, 1.3)  # of a plan for a storm that may be another
RAIN_RATIOS = (0.7, 1.3)

Say = Callable[[str], None]


class Options(Struct, frozen=True):
    """What is evaluated; `perturb` is how many other storms, `runs` what a search may take."""

    names: tuple[str, ...]
    controllers: tuple[str, ...] = CONTROLLERS
    perturb: int = 0
    runs: int = RUNS
    seed: int = 1
    jobs: int | None = None
    out: Path | None = None


def evaluate(options: Options, say: Say) -> dict[str, object]:
    """Run all, say the table, write the plots; gives what `--json` prints."""
    unknown = [name for name in options.controllers if name not in CONTROLLERS]
    if unknown:
        raise Unusable(f"no controller {unknown[0]!r}; expected some of {', '.join(CONTROLLERS)}")
    found = [find(name) for name in options.names]
    names = [one.name for one in found]
    doubles = [name for name in names if names.count(name) > 1]
    if doubles:
        raise Unusable(f"two networks are named {doubles[0]!r}: results are by name")
    report = asyncio.run(_evaluate(options, found))
    text = table(report)
    say(text)
    numbers = report.found()
    draw = partial(plot, report, say=say)
    write_all(options.out, "drainage", text, numbers, draw, say)
    return numbers


async def _evaluate(options: Options, found: Sequence[Found]) -> Report:
    with tempfile.TemporaryDirectory(prefix="causeway-eval-") as name:
        children = Children(Path(name) / "log")
        workers = Workers(children, options.jobs or cores())
        try:
            cases = [await _survey(one, workers) for one in found]
            report = Report(options.controllers, [])
            for case in cases:
                report.compared.append(await _compare(case, options, workers))
            return report
        finally:
            await children.stop_all(STOP_TIMEOUT_S)


async def _survey(found: Found, workers: Workers) -> Case:
    case = (await workers.ask(Asked(found=found), fresh=True)).case
    assert case is not None
    return case


async def _compare(case: Case, options: Options, workers: Workers) -> Compared:
    compared = Compared(case)
    with _bar(case.name) as bar:

        async def run(trial: Trial) -> None:
            outcome = (await workers.ask(Asked(trial=trial), fresh=True)).outcome
            assert outcome is not None
            compared.add(_shown(trial), trial.fault, outcome)
            bar.update(1)

        await run(Trial(case, "uncontrolled"))
        uncontrolled = compared.outcomes["uncontrolled"]
        node_steps = case.nodes * uncontrolled.steps
        case = compared.case = with_peaks(case, uncontrolled)
        others = [name for name in options.controllers if name not in (OURS, "uncontrolled")]
        await asyncio.gather(*(run(Trial(case, name)) for name in others))
        faults = _faults(case, options)
        others.append("uncontrolled")
        await asyncio.gather(*(run(Trial(case, n, (), f)) for f in faults for n in others))
        if OURS not in options.controllers:
            return compared
        budget = options.runs, node_steps, workers, bar.update
        compared.plan = best = await plan(case, NOMINAL, *budget)
        await run(Trial(case, best.controller, best.parameters, ours=True))
        if faults:
            compared.hedged = best = await plan(case, _members(case, options), *budget, best)
            mine = (Trial(case, best.controller, best.parameters, f, ours=True) for f in faults)
            await asyncio.gather(*(run(trial) for trial in mine))
    return compared


def _shown(trial: Trial) -> str:
    return OURS if trial.ours else trial.controller


def _faults(case: Case, options: Options) -> list[Fault]:
    """The storms that come: rain, dead sensor and stuck gate drawn by the seed."""
    rng = np.random.default_rng(options.seed)
    ratios = [round(float(rng.uniform(*RAIN_RATIOS)), 3) for _ in range(options.perturb)]
    return [_faulty(ratio, case, rng) for ratio in ratios]


def _members(case: Case, options: Options) -> list[Fault]:
    """What a plan reckons with: the model as it is, and faults of its own drawing."""
    rng = np.random.default_rng([options.seed, 1])
    return [*NOMINAL, *(_faulty(ratio, case, rng) for ratio in MEMBERS_RAIN_RATIO)]


def _faulty(rain_ratio: float, case: Case, rng: np.random.Generator) -> Fault:
    dead, stuck = rng.integers(len(case.assets), size=2)
    return Fault(rain_ratio, int(dead), int(stuck))


def _bar(name: str) -> tqdm[NoReturn]:
    return tqdm(
        desc=name,
        unit="run",
        file=sys.stderr,
        mininterval=0.5 if sys.stderr.isatty() else 30.0,
    )
