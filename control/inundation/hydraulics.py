"""Runs SWMM for the forecast: one stretch of time, from a saved state to a saved state.

In come a member's project, the weather and the tide over the stretch, and how the plants run; out
come the water levels at the watched nodes and the state at the end. `forecaster.py` decides what
is run. The files of a run lie in a folder of this process's own.

Laws of this file:
1. SWMM has one simulation in a process: a run opens and closes it, and nothing else here uses it.
2. A stretch begins where the state it comes from was saved; nobody else knows the water before.
3. What SWMM says is wrong comes as `RunFailed`, and the process can go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from swmm.toolkit import shared_enum as kinds
from swmm.toolkit import solver

from causeway.site import Site
from control.inundation.model import DrainageModel, Member

NS = 1_000_000_000
STRIDE_S = 30  # how often the plants' rules look; a minute and more between levels that are kept
HEAD_M = 0.05  # `control/gates.py`'s dead band
NUDGE_S = 180.0  # in so long a level would be drawn to the observed one
NUDGE_M3S_MAX = 3.0

Levels = NDArray[np.float64]


class RunFailed(Exception):
    """SWMM could not run this project."""


class Weather(NamedTuple):
    """What falls and what stands outside, step by step: (steps,) and (steps, gages).

    `crest_m` is the highest that the outside is to reach after the last step.
    """

    step_s: int
    stage_m: Levels
    rain_mm_h: Levels
    crest_m: float = -np.inf

    @property
    def seconds(self) -> int:
        return self.step_s * len(self.stage_m)


class Plants(NamedTuple):
    """How pumps and gates stand, by id: 0 or 1, 0 to 1. Those of `held` stay as they are."""

    settings: Mapping[str, float]
    held: frozenset[str] = frozenset()


class Observed(NamedTuple):
    """Levels that gauges saw at nodes, (steps of the weather, nodes), NaN where they saw none."""

    nodes: tuple[str, ...]
    head_m: Levels


class Ran(NamedTuple):
    """The watched levels at the end of each step of the weather (steps, nodes), and the plants."""

    head_m: Levels
    settings: dict[str, float]
    continuity_error_ratio: float


class Hydraulics:
    """SWMM with one city's model."""

    def __init__(self, site: Site, model: DrainageModel, folder: Path) -> None:
        self._model = model
        self._folder = folder
        self._zone = ZoneInfo(site.timezone)  # dry-weather patterns go by the city's hours
        known_nodes, known_links = set(model.nodes), set(model.links)
        well_of = {s.id: s.node for s in site.stations}
        self.pumps = [p for p in site.pumps if p.id in known_links]
        self.gates = [g for g in site.gates if g.id in known_links and g.node in known_nodes]
        self._well = {p.id: str(well_of[p.station]) for p in self.pumps}
        folder.mkdir(parents=True, exist_ok=True)

    def run(
        self,
        member: Member,
        begins_ns: int,
        weather: Weather,
        plants: Plants,
        watched: Sequence[str],
        *,
        start: Path | None = None,
        end: Path | None = None,
        observed: Observed | None = None,
    ) -> Ran:
        """One stretch from the state in `start` (None: dry) on; the state at its end goes to `end`.

        With `observed` the water at those nodes is drawn to what was seen, by letting water in or
        out there. Raises RunFailed.
        """
        begins = datetime.fromtimestamp(begins_ns / NS, self._zone).replace(tzinfo=None)
        names = [str(self._folder / name) for name in ("run.inp", "run.rpt", "run.out")]
        Path(names[0]).write_text(member.text(begins))
        try:
            solver.swmm_open(*names)
            if start is not None:
                solver.swmm_hotstart(kinds.HotstartFile.USE, str(start))
            solver.swmm_start(0)
            ran = self._ran(weather, plants, watched, observed)
            if end is not None:
                solver.swmm_hotstart(kinds.HotstartFile.SAVE, str(end))
            return ran
        except Exception as error:
            if type(error) is not Exception:  # SWMM's own have no class of theirs
                raise
            raise RunFailed(f"SWMM: {str(error).strip()}") from None
        finally:
            with suppress(Exception):
                solver.swmm_end()
            with suppress(Exception):
                solver.swmm_close()

    def _ran(
        self, weather: Weather, plants: Plants, watched: Sequence[str], observed: Observed | None
    ) -> Ran:
        outfalls = [_node(n) for n in self._model.outfalls]
        gages = [solver.project_get_index(kinds.ObjectType.GAGE, g) for g in self._model.gages]
        looked = [_node(n) for n in watched]
        seen = [] if observed is None else [_node(n) for n in observed.nodes]
        machines = _Machines(self, plants)
        heads = np.empty((len(weather.stage_m), len(looked)))
        fell = np.full(len(gages), np.nan)
        crests = np.maximum.accumulate(weather.stage_m[::-1])[::-1]
        crests = np.maximum(crests, weather.crest_m)  # the highest still to come
        for step, (stage_m, crest_m) in enumerate(zip(weather.stage_m, crests, strict=True)):
            for outfall in outfalls:
                solver.outfall_set_stage(outfall, float(stage_m))
            rain = weather.rain_mm_h[step]
            for place in np.flatnonzero(rain != fell):
                solver.raingage_set_precipitation(gages[place], float(rain[place]))
            fell = rain
            for _ in range(weather.step_s // STRIDE_S):
                machines.decide(float(stage_m), float(crest_m))
                if observed is not None:
                    self._nudge(seen, observed.nodes, observed.head_m[step])
                solver.swmm_stride(STRIDE_S)
            heads[step] = [solver.node_get_result(n, kinds.NodeResult.HEAD) for n in looked]
        totals = solver.system_get_routing_totals()
        return Ran(heads, machines.settings, float(totals.pctError) / 100.0)

    def _nudge(self, numbers: list[int], nodes: tuple[str, ...], wanted_m: Levels) -> None:
        for number, node, head_m in zip(numbers, nodes, wanted_m, strict=True):
            inflow_m3s = 0.0
            if head_m == head_m:  # not NaN
                now_m = solver.node_get_result(number, kinds.NodeResult.HEAD)
                surface_m2 = self._model.surfaces[node].at_m2(max(now_m, head_m))
                inflow_m3s = (head_m - now_m) * surface_m2 / NUDGE_S
            inflow_m3s = min(max(inflow_m3s, -NUDGE_M3S_MAX), NUDGE_M3S_MAX)
            solver.node_set_total_inflow(number, inflow_m3s)


class _Machines:
    """Pumps and gates by the rules that their PLCs follow too (`control/pumps.py`, `gates.py`)."""

    def __init__(self, city: Hydraulics, plants: Plants) -> None:
        self.settings = dict(plants.settings)
        self._held = plants.held
        self._pumps = [(p, _link(p.id), _node(city._well[p.id])) for p in city.pumps]
        self._gates = [(g, _link(g.id), _node(str(g.node))) for g in city.gates]
        links = [(p.id, link) for p, link, _ in self._pumps]
        links += [(g.id, link) for g, link, _ in self._gates]
        for id_, link in links:
            solver.link_set_target_setting(link, self.settings.setdefault(id_, 0.0))

    def decide(self, outside_m: float, crest_m: float) -> None:
        for pump, link, well in self._pumps:
            if pump.id not in self._held:
                sump_m = solver.node_get_result(well, kinds.NodeResult.HEAD)
                if sump_m >= pump.start_m:
                    self._set(pump.id, link, 1.0)
                elif sump_m <= pump.stop_m:
                    self._set(pump.id, link, 0.0)
        for gate, link, inside in self._gates:
            if gate.id not in self._held:
                inside_m = solver.node_get_result(inside, kinds.NodeResult.HEAD)
                high = outside_m >= gate.closing_m
                high |= gate.closes_early and crest_m >= gate.closing_m
                if high and outside_m > inside_m + HEAD_M:
                    self._move(gate.id, link, -STRIDE_S / gate.travel_s)
                elif outside_m < inside_m - HEAD_M:
                    self._move(gate.id, link, STRIDE_S / gate.travel_s)

    def _move(self, id_: str, link: int, by: float) -> None:
        self._set(id_, link, min(max(self.settings[id_] + by, 0.0), 1.0))

    def _set(self, id_: str, link: int, setting: float) -> None:
        if self.settings[id_] != setting:
            self.settings[id_] = setting
            solver.link_set_target_setting(link, setting)


def _node(id_: str) -> int:
    return int(solver.project_get_index(kinds.ObjectType.NODE, id_))


def _link(id_: str) -> int:
    return int(solver.project_get_index(kinds.ObjectType.LINK, id_))
