"""Plays one storm in the simulated city and writes down what its gauges said and what was so.

In come a city and a storm; out comes a `Record`: readings as the devices would have sent them, one
a minute, and the true depth of every street. The plants follow the site's own levels, as PLCs do
that nobody commands, or the centre's own law for the tide gates as well, told of the tide by its
own forecast. SWMM has one simulation in a process: this runs in one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecast.storms import Storm, altered
from causeway.events import (
    Address,
    AnyEvent,
    ForecastIssued,
    GateRequested,
    Now,
    Quality,
    ReadingsObserved,
    Tick,
)
from causeway.site import Gate, Site
from control.gates import HEAD_M, TideGates
from control.inundation.forecaster import MEMBERS, STEP_S, TIDE_AHEAD_S
from control.inundation.tide_outlook import tide_outlook
from sims.drainage import RULES_EVERY_S, Drainage
from sims.gauges import Instrument
from sims.scenario import NS
from sims.watershed import Watershed, load_watershed

SAMPLE_S = 10  # a tipping bucket is looked at so often
MINUTE_S = 60
FORECAST_EVERY_S = 300
TRAVEL_RATIO_MAX = 1.5  # of its travel time: a gate that is not closed by then has a fault


class Record(NamedTuple):
    """A storm as it was: readings (minutes, points) and true depths (minutes, streets).

    `flood_m3` is all the water that stood on streets, (minutes,).
    """

    at_ns: NDArray[np.int64]
    points: tuple[str, ...]
    values: NDArray[np.float64]
    streets: tuple[str, ...]
    depth_m: NDArray[np.float64]
    flood_m3: NDArray[np.float64]

    @property
    def flood_m3h(self) -> float:
        """The water on streets, over the time that it stood there."""
        return float(self.flood_m3.sum()) * MINUTE_S / 3_600

    def readings(self, minute: int) -> ReadingsObserved:
        """What arrived in a minute; a gauge that said nothing is not in it."""
        said = np.flatnonzero(~np.isnan(self.values[minute]))
        values = {self.points[i]: float(self.values[minute, i]) for i in said}
        return _observed(int(self.at_ns[minute]), values)


class _Faults:
    """What the PLCs of stuck gates know of it: nothing until a gate has not closed in its time."""

    def __init__(self, site: Site, water: Drainage, stuck: frozenset[str]) -> None:
        self._stuck = [g for g in site.gates if g.id in stuck]
        self._water = water
        self._asked_ns: dict[str, int] = {}

    def look(self, now_ns: int, asked: frozenset[str]) -> None:
        for gate in self._stuck:
            outside_m, inside_m = self._water.outside_m(gate.id), self._water.inside_m(gate.id)
            by_plc = outside_m >= gate.closing_m and outside_m > inside_m + HEAD_M
            if by_plc or gate.id in asked:
                self._asked_ns.setdefault(gate.id, now_ns)

    def known(self, gate: Gate, now_ns: int) -> bool:
        asked_ns = self._asked_ns.get(gate.id)
        return asked_ns is not None and now_ns - asked_ns >= TRAVEL_RATIO_MAX * gate.travel_s * NS


class Centre:
    """The centre's law for the tide gates, on a simulated city."""

    def __init__(self, site: Site, water: Drainage, stuck: frozenset[str]) -> None:
        self._site = site
        self._water = water
        self._stuck = stuck
        self._gates = TideGates(site)
        self._tide = tide_outlook(site)
        self._gauge = next(g.id for g in site.gauges if g.kind == "tide")
        self._seen: list[tuple[int, float]] = []
        self.asked_closed: frozenset[str] = frozenset()

    def step(self, now_ns: int, stage_m: float | None) -> None:
        """Let it decide once, from what it can measure; carry out what it asks for."""
        if stage_m is not None:
            self._seen.append((now_ns, stage_m))
        now = Now(now_ns, Address(now_ns // NS, 0))
        events: list[AnyEvent] = [self._levels(now_ns)]
        if (now_ns // NS) % FORECAST_EVERY_S == 0 and self._seen:
            events.append(self._forecast(now_ns))
        for event in (*events, Tick()):
            for asked in self._gates.step(event, now):
                if not isinstance(asked, GateRequested):
                    continue
                if asked.opening_ratio == 0.0:
                    self.asked_closed |= {asked.gate}
                if asked.gate not in self._stuck:
                    self._water.set_gate(asked.gate, asked.opening_ratio)

    def _levels(self, now_ns: int) -> ReadingsObserved:
        water = self._water
        said: dict[str, float] = {}
        for gate in self._site.gates:
            said[f"{gate.id}/inside_m"] = water.inside_m(gate.id)
            said[f"{gate.id}/outside_m"] = water.outside_m(gate.id)
            said[f"{gate.id}/opening_ratio"] = water.opening_ratio(gate.id)
        return _observed(now_ns, said)

    def _forecast(self, now_ns: int) -> ForecastIssued:
        times_ns = now_ns + np.arange(0, TIDE_AHEAD_S, STEP_S, dtype=np.int64) * NS
        seen = np.array([at for at, _ in self._seen]), np.array([m for _, m in self._seen])
        rng = np.random.default_rng(now_ns // NS)
        paths_m = self._tide.paths_m(times_ns, *seen, MEMBERS, rng)
        return ForecastIssued(
            point=f"{self._gauge}/stage_m",
            model="tide",
            issued_at_ns=now_ns,
            lead_s=tuple(range(0, TIDE_AHEAD_S, STEP_S)),
            values=tuple(float(m) for m in np.median(paths_m, axis=0)),
        )


def _observed(at_ns: int, said: dict[str, float]) -> ReadingsObserved:
    return ReadingsObserved(
        source="record",
        points=tuple(said),
        observed_at_ns=(at_ns,) * len(said),
        values=tuple(said.values()),
        qualities=(Quality.GOOD,) * len(said),
    )


def play(
    site: Site, truth_folder: Path, storm: Storm, folder: Path, *, centre: bool = True
) -> Record:
    """The whole storm; without the centre the plants follow their PLCs alone."""
    day = altered(load_watershed(truth_folder, site), storm.condition)
    water = Drainage(
        site, truth_folder, storm.scenario, folder, day, stuck=storm.condition.stuck_gates
    )
    try:
        steers = Centre(site, water, storm.condition.stuck_gates) if centre else None
        return _recorded(site, storm, water, day, steers)
    finally:
        water.close()


def _recorded(
    site: Site, storm: Storm, water: Drainage, day: Watershed, centre: Centre | None
) -> Record:
    points = [p for g in site.gauges for p in (f"{g.id}/{q}" for q in g.quantities)]
    points += [f"{g.id}/inside_m" for g in site.gates]
    instruments = {point: Instrument(point, point.rpartition("/")[2]) for point in points}
    machines = [f"{p.id}/running_bool" for p in site.pumps]
    machines += [f"{g.id}/{q}" for g in site.gates for q in ("opening_ratio", "fault_bool")]
    truths = _truths(site, water)
    streets = tuple(water.depths_m())
    volumes = _volumes(site, day, streets)
    stages = [f"{g.id}/stage_m" for g in site.gauges if g.kind == "tide"]
    faults = _Faults(site, water, storm.condition.stuck_gates)
    at, rows, depths = [], [], []
    start_ns = water.at_ns
    for second in range(SAMPLE_S, storm.seconds + 1, SAMPLE_S):
        now_ns = start_ns + second * NS
        water.step_to(now_ns)
        if second % RULES_EVERY_S == 0:
            water.follow_rules()
        said = [instruments[p].read(now_ns, truths[p]()) for p in points]
        if centre is not None and second % RULES_EVERY_S == 0:
            centre.step(now_ns, said[points.index(stages[0])] if stages else None)
        faults.look(now_ns, frozenset() if centre is None else centre.asked_closed)
        if second % MINUTE_S == 0:
            row = [np.nan if value is None else value for value in said]
            row += [float(water.pump_running(p.id)) for p in site.pumps]
            for gate in site.gates:
                row += [water.opening_ratio(gate.id), float(faults.known(gate, now_ns))]
            at.append(now_ns)
            rows.append(row)
            depths.append(list(water.depths_m().values()))
    depth_m = np.array(depths)
    flood_m3 = sum(
        (np.interp(depth_m[:, i], *volumes[i]) for i in range(len(streets))), np.zeros(len(at))
    )
    return Record(
        np.array(at, np.int64), (*points, *machines), np.array(rows), streets, depth_m, flood_m3
    )


def _volumes(
    site: Site, day: Watershed, streets: Sequence[str]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Depth in m and the water of it in m3 over each street's low point."""
    bowls = {street.node: np.array(street.bowl) for street in day.street}
    node_of = {s.id: str(s.node) for s in site.segments}
    found = []
    for street in streets:
        depth_m, surface_m2 = bowls[node_of[street]].T
        steps = np.diff(depth_m) * (surface_m2[1:] + surface_m2[:-1]) / 2
        found.append((depth_m, np.concatenate([[0.0], np.cumsum(steps)])))
    return found


def _truths(site: Site, water: Drainage) -> dict[str, Callable[[], float]]:
    """What there is to measure, by point."""
    truths: dict[str, Callable[[], float]] = {}
    for gauge in site.gauges:
        for quantity in gauge.quantities:
            point = f"{gauge.id}/{quantity}"
            match gauge.kind:
                case "rain":
                    truths[point] = partial(water.rain_mm_h, gauge.id)
                case "tide":
                    truths[point] = water.tide_m
                case "street":
                    truths[point] = partial(water.depth_m, str(gauge.segment))
                case _:
                    truths[point] = partial(water.level_m, str(gauge.node))
    for gate in site.gates:
        truths[f"{gate.id}/inside_m"] = partial(water.inside_m, gate.id)
    return truths
