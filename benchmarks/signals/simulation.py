"""One SUMO simulation under one method of control.

SUMO runs inside the process that calls `simulate`, so one at a time; `evaluation.py` spreads them.
The methods decide once a second for all junctions, and act through the same `Cabinet`. All are
given the same `Observed` and use of it what they are made for: the planner the whole view of 250 m
across nodes without a signal, the greedy ones, as RESCO defines them, their stop-line lanes only.
Signals that none can use go on with the scenario's own programs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Protocol

import libsumo
import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.signals.baselines import MaxPressure, MaxWave
from benchmarks.signals.cabinet import Cabinet
from benchmarks.signals.eyes import Eyes, Faults, asking, faults_of
from benchmarks.signals.network import Network, read_network
from benchmarks.signals.pedestrians import Pedestrians
from benchmarks.signals.programs import KINDS, STATIC, programs_of
from benchmarks.signals.scenario import Scenario, quiet
from benchmarks.signals.standing import Standing
from benchmarks.signals.trips import Outcome, Watched, outcome, pedestrians_hit
from control.signals.observed import Call, Observed
from control.signals.planner import Planners

CAUSEWAY = "causeway"
UNASKED = "causeway_unasked"  # the same planner, which hears of no request for priority
COLLISIONS = "collisions.xml"


class Method(Protocol):
    """Decides for all junctions once a second: the stage that each should have next.

    One that need not search for every junction at every call says in an attribute `searches` for
    how many it did in the last; one that puts off the next green of junctions, in `holds_red` of
    which.
    """

    def decide(self, at_s: int, seen: Mapping[str, Observed]) -> dict[str, int]: ...


# None: SUMO itself runs the signals, by the scenario's programs or by its own adaptive ones.
METHODS: dict[str, Callable[[Network], Method] | None] = {
    CAUSEWAY: lambda network: Planners(network.layouts, network.upstream),
    "fixed": None,
    **dict.fromkeys(KINDS),
    "maxwave": lambda network: MaxWave(network, 10),
    "maxpressure": lambda network: MaxPressure(network, 10),
    "maxwave_1s": lambda network: MaxWave(network, 1),
    "maxpressure_1s": lambda network: MaxPressure(network, 1),
}


def method_of(controller: str) -> Callable[[Network], Method] | None:
    """How a method is made; none for SUMO's own."""
    return METHODS[CAUSEWAY if controller == UNASKED else controller]


class Run(Struct, frozen=True):
    """What to simulate: `dead` and `lying` are the shares of lanes with such detectors,
    `priority` that of the vehicles which ask for it.
    """

    scenario: Scenario
    controller: str
    seed: int
    dead: float = 0.0
    lying: float = 0.0
    priority: float = 0.0


def simulate(run: Run, work: Path, each_second: Callable[[int], None] | None = None) -> Outcome:
    """From the scenario's begin to its end; `work` is an empty folder of its own.

    `each_second` is called with the simulated time after every second's decisions.
    """
    started = time.perf_counter()
    scenario = run.scenario
    network = read_network(Path(scenario.net_file), scenario.states, scenario.times)
    faults = faults_of(network, run.dead, run.lying, run.seed)
    watch = _Watch(network)
    libsumo.start(["sumo", *_arguments(run, work, network, faults)])
    try:
        each_second = each_second or (lambda at_s: None)
        decisions_s = _drive(run, network, faults, watch, each_second)
        watched = watch.found()
    finally:
        libsumo.close()
    seconds = scenario.end_s - scenario.begin_s
    hit = pedestrians_hit(work / COLLISIONS)
    asks = asking(run.priority, run.seed)
    found = outcome(work / "trips.xml", work / "statistics.xml", seconds, watched, hit, asks)
    found = msgspec.structs.replace(found, wall_s=round(time.perf_counter() - started, 2))
    if not decisions_s:
        return found
    return msgspec.structs.replace(
        found,
        decision_ms_median=round(median(decisions_s) * 1e3, 4),
        decision_ms_p99=round(float(np.percentile(decisions_s, 99)) * 1e3, 4),
        decision_ms_max=round(max(decisions_s) * 1e3, 4),
        decisions=len(decisions_s),
    )


def _arguments(run: Run, work: Path, network: Network, faults: Faults) -> list[str]:
    scenario = run.scenario
    arguments = [
        *scenario.arguments,
        *quiet(work, run.seed),
        *("--end", str(scenario.end_s)),
        *("--tripinfo-output", str(work / "trips.xml")),
        *("--tripinfo-output.write-unfinished", "true"),
        *("--tripinfo-output.write-undeparted", "true"),
        *("--statistic-output", str(work / "statistics.xml")),
        *("--device.emissions.probability", "1"),  # no cost and no change to how they drive
    ]
    if run.seed in scenario.routes:
        arguments += ["--route-files", scenario.routes[run.seed]]
    walked = any(layout.crossings for layout in network.layouts.values())
    if walked:
        arguments += ["--collision.check-junctions", "true"]
        arguments += ["--collision-output", str(work / COLLISIONS)]
    if run.controller in KINDS or (walked and method_of(run.controller) is None):
        programs = work / "programs.add.xml"
        kind = run.controller if run.controller in KINDS else STATIC
        programs.write_bytes(programs_of(kind, scenario.programs, network.layouts, faults))
        files = [*scenario.additional.split(","), str(programs)]
        if "--additional-files" in arguments:  # SUMO takes an option once
            place = arguments.index("--additional-files")
            del arguments[place : place + 2]
        arguments += ["--additional-files", ",".join(filter(None, files))]
    return arguments


class _Watch:
    """All that is counted each second, whatever the method."""

    def __init__(self, network: Network) -> None:
        self._pedestrians = Pedestrians(network)
        self._standing = Standing(network)

    def look(self) -> dict[str, tuple[Call, ...]]:
        """The calls of pedestrians now."""
        self._standing.look()
        return self._pedestrians.look()

    def found(self) -> Watched:
        """While SUMO still runs."""
        types = libsumo.vehicletype
        return Watched(
            signal_wait_max_s=self._standing.wait_max_s,
            pedestrian_waits_s=self._pedestrians.waited_s,
            pedestrian_wait_max_s=self._pedestrians.wait_max_s,
            classes={type_: types.getVehicleClass(type_) for type_ in types.getIDList()},
        )


def _drive(
    run: Run,
    network: Network,
    faults: Faults,
    watch: _Watch,
    each_second: Callable[[int], None],
) -> list[float]:
    """Step to the end; gives the time of each single-junction decision in s.

    A call decides for many junctions: each has its mean.
    """
    scenario = run.scenario
    making = method_of(run.controller)
    if making is None:
        for at_s in range(scenario.begin_s, scenario.end_s):
            _step(scenario)
            watch.look()
            each_second(at_s)
        return []
    method = making(network)
    cabinets = {id_: Cabinet(layout) for id_, layout in network.layouts.items()}
    heard = 0.0 if run.controller == UNASKED else run.priority
    eyes = Eyes(network, faults, scenario.by_persons, asking(heard, run.seed))
    decisions_s: list[float] = []
    for at_s in range(scenario.begin_s, scenario.end_s):
        _step(scenario)
        calls = watch.look()
        for id_, cabinet in cabinets.items():
            cabinet.tick(calls.get(id_, ()))
        seen = eyes.look(cabinets, calls)
        before_s = time.perf_counter()
        wanted = method.decide(at_s, seen)
        spent_s = time.perf_counter() - before_s
        if (searches := int(getattr(method, "searches", len(wanted)))) > 0:
            decisions_s += [spent_s / searches] * searches
        for id_, stage in wanted.items():
            cabinets[id_].order(stage)
        for id_ in getattr(method, "holds_red", ()):
            cabinets[id_].hold_red()
        each_second(at_s)
    return decisions_s


def _step(scenario: Scenario) -> None:
    for _ in range(scenario.steps_per_s):
        libsumo.simulation.step()
