"""One run of SWMM on a network under one controller; and the survey that says what can be set.

In comes a `Trial`, out goes an `Outcome`. SWMM keeps one simulation a process: runs of one process
follow each other. A scored run has a fresh process and every routing step; a planner's runs share
processes and stride.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from swmm.toolkit import shared_enum as kinds
from swmm.toolkit import solver

from benchmarks.drainage.case import (
    DECIDES_EVERY_S,
    Case,
    CaseUnusable,
    Controlled,
    Found,
    project_text,
    pump_levels,
    said_wrong,
)
from benchmarks.drainage.measure import action_space, measure_of, release_limit
from control.inundation.release import (
    START_RATIO,
    STOP_RATIO,
    Array,
    Asset,
    Drives,
    EqualFilling,
    FeedbackRelease,
    LevelRules,
    Release,
    View,
)

FOOT_M = 0.3048
UNIT_M3S = {  # of SWMM's units of flow
    kinds.FlowUnits.CFS: FOOT_M**3,
    kinds.FlowUnits.GPM: 6.30902e-5,
    kinds.FlowUnits.MGD: 0.0438126,
    kinds.FlowUnits.CMS: 1.0,
    kinds.FlowUnits.LPS: 1e-3,
    kinds.FlowUnits.MLD: 1e3 / 86_400,
}
DAY_S = 86_400.0
CONTROLLERS = ("causeway", "uncontrolled", "rules", "equal_filling")
WALK_MAX = 20  # conduits between a storage and the structure that empties it


class Fault(Struct, frozen=True):
    """What is not as the model says: rain times a ratio, a level that nobody reads, a stuck gate.

    `dead` is the place of an asset whose drained node has no reading, `stuck` that of an asset that
    stays as it stood.
    """

    rain_ratio: float = 1.0
    dead: int | None = None
    stuck: int | None = None


class Trial(Struct, frozen=True):
    """A run that is asked for; stride 0: every step. `ours`: what causeway has chosen."""

    case: Case
    controller: str
    parameters: tuple[float, ...] = ()
    fault: Fault = Fault()
    stride_s: int = 0
    ours: bool = False


class Outcome(Struct):
    """What a run cost; lists have one number an asset. A peak is the greatest flow."""

    score: float
    score_time_weighted: float
    mean_settings: list[float]
    peak_m3s: list[float]
    pump_starts: int
    continuity_error_ratio: float
    steps: int


def survey(found: Found, work: Path) -> Case:
    """Let SWMM read the project, and list what can be set; raises CaseUnusable."""
    begin = kinds.TimeProperty.START_DATE
    end = kinds.TimeProperty.END_DATE
    with _opened(found.name, project_text(found), work):
        unit = kinds.FlowUnits(solver.simulation_get_unit(kinds.UnitProperty.FLOW_UNIT))
        si = solver.simulation_get_unit(kinds.UnitProperty.SYSTEM_UNIT) == kinds.UnitSystem.SI
        case = Case(
            found=found,
            assets=tuple(_assets(found)),
            nodes=solver.project_get_count(kinds.ObjectType.NODE),
            begin=tuple(solver.simulation_get_datetime(begin)),
            seconds=(_moment(end) - _moment(begin)).total_seconds(),
            routing_step_s=solver.simulation_get_parameter(kinds.SimSetting.ROUTE_STEP),
            length_m=1.0 if si else FOOT_M,
            flow_m3s=UNIT_M3S[unit],
            release_m3s=_release_limit_m3s(found, UNIT_M3S[unit]),
        )
    if not case.assets:
        raise CaseUnusable(found.name, "nothing to control: no pump, orifice, weir or outlet")
    return case


def with_peaks(case: Case, uncontrolled: Outcome) -> Case:
    """The case with what its structures let through when nothing held them."""
    peaks = zip(case.assets, uncontrolled.peak_m3s, strict=True)
    return replace(case, assets=tuple(replace(a, peak_m3s=m3s) for a, m3s in peaks))


def simulate(
    trial: Trial, work: Path, progress: Callable[[float], object] = lambda seconds: None
) -> Outcome:
    """Run the trial; raises CaseUnusable. `progress` is told simulated seconds."""
    case = trial.case
    text = project_text(
        case.found, trial.fault.rain_ratio, keep_rules=trial.controller == "uncontrolled"
    )
    with _opened(case.name, text, work):
        measure = measure_of(case)
        plant = _Plant(trial)
        solver.swmm_start(0)
        at_s, next_s, steps, done = 0.0, 0.0, 0, False
        while not done:
            if at_s >= next_s:
                plant.decide(at_s)
                next_s += DECIDES_EVERY_S
            days = solver.swmm_stride(trial.stride_s) if trial.stride_s else solver.swmm_step()
            done = days <= 0.0
            now_s = case.seconds if done else days * DAY_S
            measure.step(now_s, now_s - at_s, done)
            progress(now_s - at_s)
            at_s = now_s
            steps += 1
        totals = solver.system_get_routing_totals()
        return Outcome(
            measure.score,
            measure.score_time_weighted,
            plant.mean_settings(),
            plant.peak_m3s.tolist(),
            plant.pump_starts,
            float(totals.pctError) / 100.0,
            steps,
        )


class _Plant:
    """The assets of a run: reads their levels, lets the controller decide, sets them."""

    def __init__(self, trial: Trial) -> None:
        self._case, self._fault = trial.case, trial.fault
        self._assets = trial.case.assets
        known = [
            Asset(a.id, a.kind == "PUMP", a.start_ratio, a.stop_ratio, a.peak_m3s)
            for a in self._assets
        ]
        self._release = _release(trial, known)
        self._drives = Drives(known)
        self._full = np.array([a.drained_full for a in self._assets])
        self._filled_full = np.array([a.filled_full for a in self._assets])
        dead = trial.fault.dead
        self._dead = None if dead is None else self._assets[dead].drained
        self._pumps = np.array([a.kind == "PUMP" for a in self._assets])
        self._last = np.ones(len(self._assets))
        self._sums = np.zeros(len(self._assets))
        self._decisions = 0
        self.peak_m3s = np.zeros(len(self._assets))
        self.pump_starts = 0

    def mean_settings(self) -> list[float]:
        return [round(float(s), 4) for s in self._sums / max(1, self._decisions)]

    def decide(self, at_s: float) -> None:
        view = self._view(at_s)
        started = self._pumps & (self._last == 0) & (view.settings > 0)
        self.pump_starts += int(started.sum())
        self._last = view.settings
        self._sums += view.settings
        self._decisions += 1
        self.peak_m3s = np.maximum(self.peak_m3s, view.flow_m3s)
        if self._release is None:
            return
        wanted = self._drives.limited(self._release.settings(view), view)
        for place, asset in enumerate(self._assets):
            if place != self._fault.stuck:
                solver.link_set_target_setting(asset.number, float(wanted[place]))

    def _view(self, at_s: float) -> View:
        case = self._case
        drained = [a.drained for a in self._assets]
        filled = [a.filled for a in self._assets]
        links = [a.number for a in self._assets]
        filling = _nodes(drained, kinds.NodeResult.DEPTH) / self._full
        head_m = _nodes([a.above for a in self._assets], kinds.NodeResult.HEAD) * case.length_m
        head_below_m = _nodes([a.below for a in self._assets], kinds.NodeResult.HEAD)
        filling_below = _nodes(filled, kinds.NodeResult.DEPTH) / self._filled_full
        for levels, nodes in ((filling, drained), (filling_below, filled), (head_m, drained)):
            levels[[node == self._dead for node in nodes]] = np.nan
        return View(
            at_s=at_s,
            filling=filling,
            filling_below=filling_below,
            head_m=head_m,
            head_below_m=head_below_m * case.length_m,
            flow_m3s=_links(links, kinds.LinkResult.FLOW) * case.flow_m3s,
            settings=_links(links, kinds.LinkResult.SETTING),
        )


def _release(trial: Trial, assets: Sequence[Asset]) -> Release | None:
    match trial.controller:
        case "uncontrolled":
            return None
        case "rules":
            return LevelRules(assets)
        case "equal_filling":
            return EqualFilling(assets, trial.case.release_m3s)
        case _:
            return FeedbackRelease(assets, trial.parameters)


def _nodes(numbers: Sequence[int], result: kinds.NodeResult) -> Array:
    return np.array([solver.node_get_result(number, result) for number in numbers])


def _links(numbers: Sequence[int], result: kinds.LinkResult) -> Array:
    return np.array([solver.link_get_result(number, result) for number in numbers])


@contextmanager
def _opened(name: str, text: str, work: Path) -> Iterator[None]:
    """SWMM with the project open; what it says is wrong comes as CaseUnusable."""
    project, report = work / "project.inp", work / "project.rpt"
    project.write_text(text, encoding="utf-8")
    try:
        solver.swmm_open(str(project), str(report), str(work / "project.out"))
    except Exception as error:
        solver.swmm_close()  # so that the report is whole
        why = said_wrong(report.read_text(errors="replace")) if report.exists() else ""
        raise CaseUnusable(name, f"SWMM: {why or error}") from None
    try:
        yield
    except CaseUnusable:
        raise
    except Exception as error:
        if type(error) is not Exception:  # SWMM's own have no class of theirs
            raise
        raise CaseUnusable(name, f"SWMM: {error}") from None
    finally:
        solver.swmm_end()
        solver.swmm_close()


# --- what can be set -----------------------------------------------------------------------------


def _assets(found: Found) -> Iterator[Controlled]:
    """pystorms' action space in its order, or every pump, orifice, weir and outlet."""
    link = kinds.ObjectType.LINK
    if found.pystorms:
        numbers = [solver.project_get_index(link, id_) for id_ in action_space(found.name)]
    else:
        numbers = list(range(solver.project_get_count(link)))
    levels_of = pump_levels(found)
    higher, lower = _conduits()
    for number in numbers:
        kind = kinds.LinkType(solver.link_get_type(number))
        if kind is kinds.LinkType.CONDUIT:
            continue
        id_ = solver.project_get_id(link, number)
        above, below = solver.link_get_connections(number)
        drained, filled = _storage_from(above, higher), _storage_from(below, lower)
        full = _full_depth(drained)
        start, stop = levels_of.get(id_, (0.0, 0.0))
        yield Controlled(
            id=id_,
            kind=kind.name,
            number=number,
            above=above,
            below=below,
            drained=drained,
            filled=filled,
            drained_full=full,
            filled_full=_full_depth(filled),
            start_ratio=start / full if start > 0 else START_RATIO,
            stop_ratio=stop / full if start > 0 else STOP_RATIO,
        )


def _conduits() -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """The nodes above each node, and those below it, by conduits only."""
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for link in range(solver.project_get_count(kinds.ObjectType.LINK)):
        if solver.link_get_type(link) == kinds.LinkType.CONDUIT:
            start, end = solver.link_get_connections(link)
            above.setdefault(end, []).append(start)
            below.setdefault(start, []).append(end)
    return above, below


def _storage_from(node: int, ways: dict[int, list[int]]) -> int:
    """The storage that is reached from a node by the only way, or by the one to a storage."""
    at = node
    for _ in range(WALK_MAX):
        if _is_storage(at):
            return at
        further = ways.get(at, [])
        storages = [n for n in further if _is_storage(n)]
        if len(storages) != 1 and len(further) != 1:
            return node
        at = storages[0] if len(storages) == 1 else further[0]
    return node


def _is_storage(node: int) -> bool:
    return bool(solver.node_get_type(node) == kinds.NodeType.STORAGE)


def _full_depth(node: int) -> float:
    return max(1e-3, float(solver.node_get_parameter(node, kinds.NodeProperty.FULL_DEPTH)))


def _moment(which: kinds.TimeProperty) -> datetime:
    year, month, day, hour, minute, second = solver.simulation_get_datetime(which)
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the project's own


def _release_limit_m3s(found: Found, unit_m3s: float) -> float | None:
    limit = release_limit(found.name) if found.pystorms else None
    return None if limit is None else limit * unit_m3s
