"""Finds a law for a network by running SWMM: what is done before a storm, on its forecast.

In come a case and the members of the forecast (rain and faults); out comes a `Plan`: what cost
least on them. `uncontrolled`, `rules` and `equal_filling` are always among the candidates. The
search itself is `control/inundation/search.py`; here its points become runs. It strides over
routing steps; the last few candidates are compared at every step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from benchmarks.drainage.case import Case
from benchmarks.drainage.simulation import Fault, Outcome, Trial
from benchmarks.drainage.workers import Asked, Workers
from control.inundation.release import starting_parameters
from control.inundation.search import Array, CrossEntropy

BASELINES = ("uncontrolled", "rules", "equal_filling")
LAW = "feedback"
POINTS, POINTS_FEW = 24, 8  # a round; where there are not ROUNDS_LEAST rounds of so many
ROUNDS_LEAST = 6
STRIDES = 600  # of a planner's run, about
STRIDE_MIN_S, STRIDE_MAX_S = 60, 300
NODE_STEPS_MAX = 1.2e9  # in all of a search: about half an hour of one core
FINALISTS = 3
SEED = 1
REGRET_MAX = 1.05  # on one member: what a law may lose to the best baseline there
GRACE = 0.02  # of uncontrolled's cost: what nobody regrets where a baseline costs nothing
CONTINUITY_MAX = 0.02  # share of the routed water that a run may lose or make
CONTINUITY_PRICE = 10.0


class Plan(Struct, frozen=True):
    """What was decided before the storm; `expected_ratio` is its cost to uncontrolled's."""

    controller: str
    parameters: tuple[float, ...]
    expected_ratio: float
    runs: int


async def plan(
    case: Case,
    members: Sequence[Fault],
    runs_max: int,
    node_steps: float,
    workers: Workers,
    progress: Callable[[int], object],
    before: Plan | None = None,
) -> Plan:
    """Search with at most `runs_max` runs, of which each has about `node_steps` steps of nodes.

    A law of a plan made `before` is among the first that are tried.
    """
    stride_s = int(min(STRIDE_MAX_S, max(STRIDE_MIN_S, case.seconds / STRIDES // 60 * 60)))
    costs = _Costs(case, members, workers, progress)
    await costs.reckon(stride_s)
    points_max = min(runs_max, NODE_STEPS_MAX / node_steps) / len(members)
    size = POINTS if points_max >= ROUNDS_LEAST * POINTS else POINTS_FEW
    starts = starting_parameters(len(case.assets))
    if before is not None and before.parameters:
        starts.append(np.array(before.parameters))
    rounds = 1 + int((points_max - len(starts)) / size)
    search = CrossEntropy(starts, size, SEED)
    tried: list[tuple[float, tuple[float, ...]]] = []
    for _ in range(max(2, rounds)):
        points = [tuple(map(float, point)) for point in search.ask()]
        found = await costs.of([(LAW, point) for point in points], stride_s)
        search.tell(found)
        best = int(np.argmin(found))
        tried.append((found[best], points[best]))
    return await _the_best(costs, tried)


async def _the_best(costs: _Costs, tried: list[tuple[float, tuple[float, ...]]]) -> Plan:
    """The finalists and the baselines at every step, by the worse of both scores.

    On no member may the choice be much worse than the best baseline there, unless all are.
    """
    await costs.reckon(0)
    laws = [(LAW, parameters) for _, parameters in sorted(tried)[:FINALISTS]]
    candidates = [*((name, ()) for name in BASELINES), *laws]
    ratios = np.concatenate([costs.baselines, await costs.by_member(laws, 0)])
    regrets = costs.regrets(ratios)
    worst = regrets.max(axis=1)
    kept = worst <= max(REGRET_MAX, worst[: len(BASELINES)].min())
    best = int(np.argmin(np.where(kept, regrets.mean(axis=1), np.inf)))
    name, parameters = candidates[best]
    return Plan(name, parameters, round(float(ratios[best].mean()), 4), costs.runs)


class _Costs:
    """Runs candidates on every member.

    A run's ratio is its cost to uncontrolled's on the same member, its regret that to the best
    baseline's there: a storm in which a baseline loses nothing is not to be spoilt.
    """

    def __init__(
        self,
        case: Case,
        members: Sequence[Fault],
        workers: Workers,
        progress: Callable[[int], object],
    ) -> None:
        self._case, self._members = case, members
        self._workers, self._progress = workers, progress
        self._uncontrolled: list[Outcome] = []
        self.baselines: Array = np.zeros((0, len(members)))
        self.runs = 0

    async def reckon(self, stride_s: int) -> None:
        """Learn what the baselines cost at this stride."""
        outcomes = await self._outcomes([(name, ()) for name in BASELINES], stride_s)
        self._uncontrolled = outcomes[: len(self._members)]
        self.baselines = self._ratios(outcomes, stride_s)

    async def of(
        self, candidates: Sequence[tuple[str, tuple[float, ...]]], stride_s: int
    ) -> list[float]:
        """The mean regret over the members, of each candidate."""
        ratios = await self.by_member(candidates, stride_s)
        return [float(mean) for mean in self.regrets(ratios).mean(axis=1)]

    async def by_member(
        self, candidates: Sequence[tuple[str, tuple[float, ...]]], stride_s: int
    ) -> Array:
        """Ratios (candidates, members)."""
        return self._ratios(await self._outcomes(candidates, stride_s), stride_s)

    def regrets(self, ratios: Array) -> Array:
        """Of ratios (candidates, members)."""
        return np.asarray((ratios + GRACE) / (self.baselines.min(axis=0) + GRACE))

    def _ratios(self, outcomes: Sequence[Outcome], stride_s: int) -> Array:
        size = len(self._members)
        ratios = [
            _ratio(ours, self._uncontrolled[place % size], both=stride_s == 0)
            for place, ours in enumerate(outcomes)
        ]
        return np.array(ratios).reshape(-1, size)

    async def _outcomes(
        self, candidates: Sequence[tuple[str, tuple[float, ...]]], stride_s: int
    ) -> list[Outcome]:
        trials = [
            Trial(self._case, name, parameters, member, stride_s)
            for name, parameters in candidates
            for member in self._members
        ]
        self.runs += len(trials)
        return await asyncio.gather(*(self._outcome(trial) for trial in trials))

    async def _outcome(self, trial: Trial) -> Outcome:
        outcome = (await self._workers.ask(Asked(trial=trial))).outcome
        assert outcome is not None
        self._progress(1)
        return outcome


def _ratio(ours: Outcome, theirs: Outcome, both: bool) -> float:
    """With `both` the worse of the official and the time-weighted ratio.

    Water that SWMM's routing lost would look like water that was kept away: it is paid for.
    """
    allowed = max(CONTINUITY_MAX, abs(theirs.continuity_error_ratio))
    lost = max(0.0, abs(ours.continuity_error_ratio) - allowed) * CONTINUITY_PRICE
    weighted = _share(ours.score_time_weighted, theirs.score_time_weighted)
    return lost + (max(weighted, _share(ours.score, theirs.score)) if both else weighted)


def _share(ours: float, theirs: float) -> float:
    """Where uncontrolled costs nothing the least sum is still the best."""
    return ours / theirs if theirs > 0 else 1.0 + ours
