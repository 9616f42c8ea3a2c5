"""What a run costs: pystorms' own measure by its own code, or the flooded volume of any project.

pystorms' scenarios are driven without pyswmm: their class is given an `_Environment` over SWMM's
toolkit, so that one process can run many, strides are possible, and today's SWMM serves. Every run
has two scores. The official one sums what the scenario's class reckons at each routing step. Where
the class sums penalties a step, however long, that rewards longer steps; so the time-weighted score
counts each such penalty by the length of its step, in units of the project's own routing step.
Where it sums volumes, the official score has the times in whole seconds, as pyswmm tells them, and
the time-weighted one exact.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol

from swmm.toolkit import shared_enum as kinds
from swmm.toolkit import solver

from benchmarks.drainage.case import Case

BY_STEP = ("theta", "gamma", "delta", "epsilon")  # penalties a step; the others weigh by time
FLOOD_PENALTY = 1e6  # of alpha: a step's flood rate times this, among volumes


class Measure(Protocol):
    """Made before SWMM starts; `score` and `score_time_weighted` grow as it steps."""

    score: float
    score_time_weighted: float

    def step(self, at_s: float, dt_s: float, done: bool) -> None:
        """SWMM has stepped by `dt_s` to `at_s`."""
        ...


def measure_of(case: Case) -> Measure:
    return PystormsMeasure(case) if case.found.pystorms else FloodedVolume(case)


class FloodedVolume:
    """Water that left the nodes by flooding, m3."""

    def __init__(self, case: Case) -> None:
        self.score = 0.0
        self.score_time_weighted = 0.0
        self._flow_m3s = case.flow_m3s
        self._nodes = range(case.nodes)

    def step(self, at_s: float, dt_s: float, done: bool) -> None:
        flood = kinds.NodeResult.FLOOD
        rate = sum(solver.node_get_result(node, flood) for node in self._nodes)
        self.score += rate * self._flow_m3s * dt_s
        self.score_time_weighted = self.score


class PystormsMeasure:
    """The measure of a scenario's class, step by step."""

    def __init__(self, case: Case) -> None:
        self._name = case.name
        self._routing_step_s = case.routing_step_s
        self._official = scenario_of(case.name)
        self._exact = scenario_of(case.name)
        self._begin = datetime(*case.begin)  # noqa: DTZ001 - the project's own
        self.score = 0.0
        self.score_time_weighted = 0.0

    def step(self, at_s: float, dt_s: float, done: bool) -> None:
        steps = dt_s / self._routing_step_s
        penalty = _reckoned(self._exact, at_s, done)
        if self._name in BY_STEP:
            self.score += penalty  # it does not ask for the time
            # gamma's penalty for water left at the end comes with the last step, once
            self.score_time_weighted += penalty if done else penalty * steps
            return
        now = datetime(*solver.simulation_get_current_datetime())  # noqa: DTZ001 - the project's
        self.score += _reckoned(self._official, (now - self._begin).total_seconds(), done)
        if self._name == "alpha":
            flooded = self._exact.data_log["flooding"].values()
            penalty -= FLOOD_PENALTY * sum(rates[-1] for rates in flooded) * (1 - steps)
        self.score_time_weighted += penalty


def _reckoned(scenario: Any, at_s: float, done: bool) -> float:
    """What the class makes of the step that SWMM has taken."""
    scenario.env.at_s, scenario.env.done = at_s, done
    scenario.step()
    return float(scenario.data_log["performance_measure"][-1])


def scenario_of(name: str) -> Any:
    """An object of the scenario's class, over our environment."""
    import_module("pystorms")
    module: Any = sys.modules[f"pystorms.scenarios.{name}"]
    module.environment = _Environment
    return getattr(module, name)()


def action_space(name: str) -> list[str]:
    """The structures that a scenario lets be controlled."""
    return [str(id_) for id_ in scenario_of(name).config["action_space"]]


def release_limit(name: str) -> float | None:
    """The flow that a scenario allows at its one outlet, in its unit; None where it names none."""
    scenario = scenario_of(name)
    outlets = [id_ for id_, what in scenario.config["performance_targets"] if what == "flow"]
    limit = getattr(scenario, "threshold", None)
    return float(limit) if limit is not None and len(outlets) == 1 else None


class _Seconds(float):
    """A time as the classes use it: the difference of two has `total_seconds`."""

    def __sub__(self, other: float) -> _Seconds:
        return _Seconds(float(self) - float(other))

    def total_seconds(self) -> float:
        return float(self)


class _Environment:
    """In the place of pystorms' environment: SWMM has been stepped already, it only reads."""

    def __init__(self, config: Mapping[str, Any], ctrl: bool = True, binary: object = None) -> None:
        self.config = config
        self.at_s = 0.0
        self.done = False
        self._numbers: dict[tuple[kinds.ObjectType, str], int] = {}
        node, link = kinds.NodeResult, kinds.LinkResult
        self.methods: dict[str, Callable[..., object]] = {
            "depthN": self._node(node.DEPTH),
            "volumeN": self._node(node.VOLUME),
            "flooding": self._node(node.FLOOD),
            "inflow": self._node(node.TOTAL_INFLOW),
            "depthL": self._link(link.DEPTH),
            "volumeL": self._link(link.VOLUME),
            "flow": self._link(link.FLOW),
            "pollutantL": self._pollutant,
            "simulation_time": self._getCurrentSimulationDateTime,
        }

    def step(self, actions: object = None) -> bool:
        return self.done

    def terminate(self) -> None:
        """The run's own end closes SWMM."""

    def _getCurrentSimulationDateTime(self) -> _Seconds:  # noqa: N802 - pystorms' name
        return _Seconds(self.at_s)

    def _getInitialSimulationDateTime(self) -> _Seconds:  # noqa: N802 - pystorms' name
        return _Seconds(0.0)

    def _number(self, kind: kinds.ObjectType, id_: str) -> int:
        number = self._numbers.get((kind, id_))
        if number is None:
            number = self._numbers[kind, id_] = int(solver.project_get_index(kind, id_))
        return number

    def _node(self, result: kinds.NodeResult) -> Callable[[str], float]:
        get, kind = solver.node_get_result, kinds.ObjectType.NODE
        return lambda id_: get(self._number(kind, id_), result)

    def _link(self, result: kinds.LinkResult) -> Callable[[str], float]:
        get, kind = solver.link_get_result, kinds.ObjectType.LINK
        return lambda id_: get(self._number(kind, id_), result)

    def _pollutant(self, id_: str, name: str) -> float:
        link = self._number(kinds.ObjectType.LINK, id_)
        which = self._number(kinds.ObjectType.POLLUT, name)
        return float(solver.link_get_pollutant(link, kinds.LinkPollutant.QUALITY)[which])
