"""Runs the city's water: SWMM 5.2 with rain on its catchments and the tide at its outfalls.

In come the time and what the PLCs do to pumps and gates; out come street depths, canal, sewer
and sump levels, pump flows, tide and rain. `devices.py` and `plc.py` measure them, `traffic.py`
drives through them. The project is written from the city's truth folder by `swmm_input.py`.

Laws of this file:
1. SWMM has one simulation for a process; a second `Drainage` is refused.
2. Until the scenario's start the plants follow the site's own levels, so that a run begins in
   the middle of an afternoon; from then on they do only what they are told.
3. The water stands at the last whole routing step; `at_ns` says which.
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from pathlib import Path

from swmm.toolkit import shared_enum as kinds
from swmm.toolkit import solver

from causeway.site import LonLat, Site
from sims import tide
from sims.rain import Rain, lonlats
from sims.scenario import NS, Scenario
from sims.swmm_input import gage_of, swmm_input
from sims.watershed import Watershed, load_watershed

STEP_S = 2
RAIN_EVERY_S = 20
RULES_EVERY_S = 20
WARM_UP_S = 4 * 3_600  # from the low water before
HEAD_M = 0.05  # the gates' rule of the warm-up: difference at which they move


class DrainageRunning(Exception):
    """A second simulation was asked of a process."""


class Drainage:
    """The simulated water of one site in one scenario."""

    _running = False

    def __init__(
        self,
        site: Site,
        truth_folder: Path,
        scenario: Scenario,
        workdir: Path,
        truth: Watershed | None = None,
        stuck: frozenset[str] = frozenset(),
    ) -> None:
        """`truth` may stand in for that of the folder; gates that are `stuck` stay open."""
        if Drainage._running:
            raise DrainageRunning("SWMM runs one simulation for a process")
        truth = truth or load_watershed(truth_folder, site)
        self._stuck = stuck
        self._site = site
        self._surge_m = scenario.tide.surge_m
        self._rain = Rain(scenario)
        self._begins_ns = scenario.start_ns - WARM_UP_S * NS
        self._steps = 0
        local = datetime.fromtimestamp(self._begins_ns / NS, UTC).astimezone(
            zoneinfo.ZoneInfo(site.timezone)
        )
        workdir.mkdir(parents=True, exist_ok=True)
        project = workdir / "drainage.inp"
        first_m = tide.stage_m(self._begins_ns, self._surge_m)
        project.write_text(swmm_input(site, truth, local, first_m, STEP_S))
        files = (str(project), str(workdir / "drainage.rpt"), str(workdir / "drainage.out"))
        solver.swmm_open(*files)
        Drainage._running = True
        solver.swmm_start(0)
        self._index(sorted({c.node for c in truth.catchment}))
        self._warm_up(scenario.start_ns)

    def _index(self, catchments: list[str]) -> None:
        """Look SWMM's numbers up once."""
        site, known = self._site, {n.id: n for n in self._site.nodes}
        self._nodes = {n.id: _number(kinds.ObjectType.NODE, n.id) for n in site.nodes}
        self._outfalls = [self._nodes[n.id] for n in site.nodes if n.kind == "outfall"]
        self._streets = {
            s.id: (self._nodes[s.node], known[s.node].ground_m)
            for s in site.segments
            if s.node is not None
        }
        self._pumps = {p.id: _number(kinds.ObjectType.LINK, p.id) for p in site.pumps}
        self._gates = {g.id: _number(kinds.ObjectType.LINK, g.id) for g in site.gates}
        self._inside_of = {g.id: self._nodes[g.node] for g in site.gates if g.node is not None}
        self._well_of = {s.id: self._nodes[s.node] for s in site.stations if s.node is not None}
        self._gages = [_number(kinds.ObjectType.GAGE, gage_of(n)) for n in catchments]
        self._gage_places = lonlats([known[n].at for n in catchments])
        self._gauge_places = {g.id: g.at for g in site.gauges}

    def close(self) -> None:
        """End the simulation; the process may then begin another."""
        if Drainage._running:
            solver.swmm_end()
            solver.swmm_close()
            Drainage._running = False

    @property
    def at_ns(self) -> int:
        """The instant that the water stands at."""
        return self._begins_ns + self._steps * STEP_S * NS

    def step_to(self, at_ns: int) -> int:
        """Let the water run until `at_ns`, less than one step short of it; gives the steps."""
        before = self._steps
        while self.at_ns + STEP_S * NS <= at_ns:
            self._step()
        return self._steps - before

    def _step(self) -> None:
        stage_m = self.tide_m()
        for outfall in self._outfalls:
            solver.outfall_set_stage(outfall, stage_m)
        if self._steps * STEP_S % RAIN_EVERY_S == 0:
            intensities = self._rain.at(self.at_ns, self._gage_places)
            for gage, rain_mm_h in zip(self._gages, intensities, strict=True):
                solver.raingage_set_precipitation(gage, float(rain_mm_h))
        solver.swmm_step()
        self._steps += 1

    def _warm_up(self, until_ns: int) -> None:
        for gate in self._site.gates:
            self.set_gate(gate.id, 1.0)
        while self.at_ns < until_ns:
            if self._steps * STEP_S % RULES_EVERY_S == 0:
                self.follow_rules()
            self._step()

    def follow_rules(self) -> None:
        """Let the plants follow the site's own levels once, as their PLCs do by themselves."""
        for gate in self._site.gates:
            if gate.id in self._stuck:
                continue
            outside_m, inside_m = self.outside_m(gate.id), self.inside_m(gate.id)
            if outside_m >= gate.closing_m and outside_m > inside_m + HEAD_M / 5:
                self.set_gate(gate.id, 0.0)
            elif outside_m < inside_m - HEAD_M:
                self.set_gate(gate.id, 1.0)
        for pump in self._site.pumps:
            sump_m = self.sump_m(pump.station)
            if sump_m >= pump.start_m:
                self.set_pump(pump.id, True)
            elif sump_m <= pump.stop_m:
                self.set_pump(pump.id, False)

    # -- what the PLCs do

    def set_pump(self, pump: str, running: bool) -> None:
        solver.link_set_target_setting(self._pumps[pump], 1.0 if running else 0.0)

    def set_gate(self, gate: str, opening_ratio: float) -> None:
        """How far a gate is open now; it is the drive, not the water, that takes its time."""
        solver.link_set_target_setting(self._gates[gate], min(max(opening_ratio, 0.0), 1.0))

    # -- what instruments can see

    def depth_m(self, segment: str) -> float:
        """Water over the segment's low point; 0 when dry or when no node takes its water."""
        street = self._streets.get(segment)
        return 0.0 if street is None else max(0.0, self._head_m(street[0]) - street[1])

    def depths_m(self) -> dict[str, float]:
        """Water over every segment's low point."""
        return {segment: self.depth_m(segment) for segment in self._streets}

    def level_m(self, node: str) -> float:
        """The water level at a drainage node, above Hòn Dấu."""
        return self._head_m(self._nodes[node])

    def inside_m(self, gate: str) -> float:
        """The canal behind a gate."""
        return self._head_m(self._inside_of[gate])

    def outside_m(self, gate: str) -> float:
        """The river before a gate."""
        return self.tide_m()

    def sump_m(self, station: str) -> float:
        """The level in a station's wet well."""
        return self._head_m(self._well_of[station])

    def pump_flow_m3s(self, pump: str) -> float:
        return float(solver.link_get_result(self._pumps[pump], kinds.LinkResult.FLOW))

    def pump_running(self, pump: str) -> bool:
        """Whether a pump is switched on."""
        return bool(solver.link_get_result(self._pumps[pump], kinds.LinkResult.SETTING) > 0.0)

    def opening_ratio(self, gate: str) -> float:
        return float(solver.link_get_result(self._gates[gate], kinds.LinkResult.SETTING))

    def tide_m(self) -> float:
        """The Saigon River at Phú An, above Hòn Dấu."""
        return tide.stage_m(self.at_ns, self._surge_m)

    def rain_mm_h(self, gauge: str) -> float:
        """The rain over a gauge, as it falls."""
        return self.rain_at(self._gauge_places[gauge])

    def rain_at(self, place: LonLat) -> float:
        """The rain over any place, as it falls; mm/h."""
        return self._rain.rain_mm_h(self.at_ns, place)

    def continuity_error_ratio(self) -> float:
        """How much of the routed water SWMM has lost or made so far, as a share of what came in."""
        totals = solver.system_get_routing_totals()
        return float(totals.pctError) / 100.0

    def _head_m(self, node: int) -> float:
        return float(solver.node_get_result(node, kinds.NodeResult.HEAD))


def _number(kind: kinds.ObjectType, id_: str) -> int:
    return int(solver.project_get_index(kind, id_))
