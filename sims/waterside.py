"""Couples the simulated PLCs and gauges to the drainage model, and plays a scenario's faults on
them.

In come the time and the model's levels and flows; out go what the machines do to the model, the
gauges' messages, the PLCs' register images, and how each PLC's line behaves. `field.py` gives it
time and wires.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from causeway.site import Site
from sims.cabinets import Message, Network, gauges
from sims.gauges import Ailment, Instrument
from sims.plant import Machines
from sims.plc import Line
from sims.plc_program import Levels, PlcProgram
from sims.scenario import FieldFault, Scenario
from sims.script import Begun, Ended, Script

AILMENTS = ("dead", "frozen", "drifting", "lying", "skewed")
LINES = (Line.HANGS, Line.CLOSED)


class Water(Protocol):
    """What of the drainage model the machines and gauges touch; levels above Hòn Dấu."""

    def depth_m(self, segment: str) -> float: ...
    def level_m(self, node: str) -> float: ...
    def inside_m(self, gate: str) -> float: ...
    def outside_m(self, gate: str) -> float: ...
    def sump_m(self, station: str) -> float: ...
    def tide_m(self) -> float: ...
    def rain_mm_h(self, gauge: str) -> float: ...
    def pump_flow_m3s(self, pump: str) -> float: ...
    def opening_ratio(self, gate: str) -> float: ...
    def set_pump(self, pump: str, running: bool) -> None: ...
    def set_gate(self, gate: str, opening_ratio: float) -> None: ...


class Waterside:
    """Every PLC and gauge of a site."""

    def __init__(
        self, site: Site, scenario: Scenario, water: Water, now_ns: int, speed: float = 1.0
    ) -> None:
        self._site = site
        self._water = water
        self._script = Script(scenario, now_ns)
        self._network = Network()
        self._gauges = gauges(site, self._network, now_ns, speed)
        self._gauge_of = {g.id: g for g in site.gauges}
        openings = {g.id: water.opening_ratio(g.id) for g in site.gates}
        self._machines = {plc.id: Machines(site, plc, openings) for plc in site.plcs}
        self.programs = {
            plc.id: PlcProgram(site, plc, self._machines[plc.id], now_ns) for plc in site.plcs
        }
        for program in self.programs.values():
            for id_, pump in program.pumps.items():
                if water.pump_flow_m3s(id_) > 0:
                    pump.found_running()
        self.lines = {plc.id: Line.ANSWERS for plc in site.plcs}
        self._rain = tuple(g.id for g in site.gauges if g.kind == "rain")

    def tick(self, now_ns: int) -> Iterator[Message]:
        """Scan every PLC on the water as it stands; the gauges' messages that are due."""
        for event in self._script.due(now_ns):
            match event:
                case Begun():
                    self._begin(event.fault, now_ns)
                case Ended():
                    self._end(event.fault)
                case _:
                    pass
        for id_, program in self.programs.items():
            program.scan(now_ns, self._levels(program))
            for pump, motor in self._machines[id_].pumps.items():
                self._water.set_pump(pump, motor.pumping)
            for gate, drive in self._machines[id_].gates.items():
                self._water.set_gate(gate, drive.opening_ratio)
        yield from self._gauges.tick(now_ns, self._truth)

    def _levels(self, program: PlcProgram) -> Levels:
        water = self._water
        return Levels(
            sump_m={s: water.sump_m(s) for s in program.stations},
            inside_m={g: water.inside_m(g) for g in program.gates},
            outside_m={g: water.outside_m(g) for g in program.gates},
            flow_m3s={p: water.pump_flow_m3s(p) for p in program.pumps},
        )

    def _truth(self, device: str, point: str) -> float:
        gauge = self._gauge_of[device]
        match gauge.kind:
            case "tide":
                return self._water.tide_m()
            case "rain":
                return self._water.rain_mm_h(device)
            case "street" if gauge.segment is not None:
                return self._water.depth_m(gauge.segment)
            case _ if gauge.node is not None:
                return self._water.level_m(gauge.node)
            case _:
                return self._water.tide_m()

    @property
    def rain_mm_h(self) -> float:
        """Over the district: the mean of what falls at its rain gauges."""
        return sum(map(self._water.rain_mm_h, self._rain)) / max(len(self._rain), 1)

    def depths_m(self) -> list[float]:
        """Over every segment, in the site's order."""
        return [self._water.depth_m(s.id) for s in self._site.segments]

    # --- faults --------------------------------------------------------------------------------

    def _begin(self, fault: FieldFault, now_ns: int) -> None:
        target, kind = fault.target, fault.kind
        if kind in AILMENTS:
            for instrument in self._instruments(target):
                instrument.ail(Ailment(kind, now_ns, fault.amount))
        elif kind in LINES:
            self.lines[target] = Line(kind)
        elif kind == "local":
            self._switch(target, remote=False)
        else:
            for machines in self._machines.values():
                for machine in (machines.pumps.get(target), machines.gates.get(target)):
                    if machine is not None:
                        machine.broken.add(kind)

    def _end(self, fault: FieldFault) -> None:
        target, kind = fault.target, fault.kind
        if kind in AILMENTS:
            for instrument in self._instruments(target):
                instrument.heal(kind)
        elif kind in LINES:
            self.lines[target] = Line.ANSWERS
        elif kind == "local":
            self._switch(target, remote=True)
        else:
            for id_, machines in self._machines.items():
                for machine in (machines.pumps.get(target), machines.gates.get(target)):
                    if machine is not None:
                        machine.broken.discard(kind)
                        self.programs[id_].reset(target)

    def _switch(self, target: str, remote: bool) -> None:
        for program in self.programs.values():
            if target in program.remote:
                program.remote[target] = remote

    def _instruments(self, target: str) -> Iterator[Instrument]:
        """Those of a gauge, or of a station or gate at its PLC."""
        yield from self._gauges.instruments(target)
        for program in self.programs.values():
            for point, instrument in program.instruments.items():
                if point.rpartition("/")[0] == target:
                    yield instrument
