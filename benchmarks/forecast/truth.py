"""Plays one storm in the simulated city and writes down what its gauges said and what was so.

In come a city and a storm; out comes a `Record`: readings as the devices would have sent them, one
a minute, and the true depth of every street. The plants follow the site's own levels, as PLCs do
that nobody commands. SWMM has one simulation in a process: this runs in one of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecast.storms import Storm, altered
from causeway.events import Quality, ReadingsObserved
from causeway.site import Site
from sims.drainage import RULES_EVERY_S, Drainage
from sims.gauges import Instrument
from sims.scenario import NS
from sims.watershed import load_watershed

SAMPLE_S = 10  # a tipping bucket is looked at so often
MINUTE_S = 60


class Record(NamedTuple):
    """A storm as it was: readings (minutes, points) and true depths (minutes, streets)."""

    at_ns: NDArray[np.int64]
    points: tuple[str, ...]
    values: NDArray[np.float64]
    streets: tuple[str, ...]
    depth_m: NDArray[np.float64]

    def readings(self, minute: int) -> ReadingsObserved:
        """What arrived in a minute; a gauge that said nothing is not in it."""
        said = np.flatnonzero(~np.isnan(self.values[minute]))
        at_ns = int(self.at_ns[minute])
        return ReadingsObserved(
            source="record",
            points=tuple(self.points[i] for i in said),
            observed_at_ns=(at_ns,) * len(said),
            values=tuple(float(self.values[minute, i]) for i in said),
            qualities=(Quality.GOOD,) * len(said),
        )


def play(site: Site, truth_folder: Path, storm: Storm, folder: Path) -> Record:
    """The whole storm."""
    day = altered(load_watershed(truth_folder, site), storm.condition)
    water = Drainage(
        site, truth_folder, storm.scenario, folder, day, stuck=storm.condition.stuck_gates
    )
    try:
        return _recorded(site, storm, water)
    finally:
        water.close()


def _recorded(site: Site, storm: Storm, water: Drainage) -> Record:
    points = [p for g in site.gauges for p in (f"{g.id}/{q}" for q in g.quantities)]
    points += [f"{g.id}/inside_m" for g in site.gates]
    instruments = {point: Instrument(point, point.rpartition("/")[2]) for point in points}
    machines = [f"{p.id}/running_bool" for p in site.pumps]
    machines += [f"{g.id}/{q}" for g in site.gates for q in ("opening_ratio", "fault_bool")]
    truths = _truths(site, water)
    streets = tuple(water.depths_m())
    at, rows, depths = [], [], []
    start_ns = water.at_ns
    for second in range(SAMPLE_S, storm.seconds + 1, SAMPLE_S):
        now_ns = start_ns + second * NS
        water.step_to(now_ns)
        if second % RULES_EVERY_S == 0:
            water.follow_rules()
        said = [instruments[p].read(now_ns, truths[p]()) for p in points]
        if second % MINUTE_S == 0:
            row = [np.nan if value is None else value for value in said]
            row += [float(water.pump_running(p.id)) for p in site.pumps]
            for gate in site.gates:
                stuck = gate.id in storm.condition.stuck_gates
                row += [water.opening_ratio(gate.id), float(stuck)]
            at.append(now_ns)
            rows.append(row)
            depths.append(list(water.depths_m().values()))
    return Record(
        np.array(at, np.int64), (*points, *machines), np.array(rows), streets, np.array(depths)
    )


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
