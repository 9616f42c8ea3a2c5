"""The simulated machines behind a PLC: pump motors and gate drives, as physics, not as a program.

In come seconds and what the PLC switches; out go speed, current, temperature, position. What can
break breaks here, and the program finds out by what it measures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from causeway.site import Gate, Plc, Pump, PumpStation, Site

RAMP_UP_S = 4.0  # soft starter
RAMP_DOWN_S = 6.0
INRUSH = 2.5  # times nominal current, falling to 1 over the ramp
DRY_LOAD = 0.35  # share of nominal current of a pump that moves air
BLOCKED_LOAD = 1.6
AMBIENT_C = 32.0
LOAD_HEAT_C = 55.0  # rise at nominal current
NO_COOLING_C = 90.0
HEAT_TIME_S = 600.0
SUPPLY_RATIO = 0.9  # of what a station may draw is drawn when all its pumps run
VOLTS = 400.0
POWER_FACTOR = 0.86
PUMPING_RATIO = 0.5  # of full speed, from which a pump lifts water
SLOW_GATE = 0.33


def nominal_current_a(power_kw: float) -> float:
    """Of a three-phase motor at 400 V."""
    return power_kw * 1_000 / (math.sqrt(3) * VOLTS * POWER_FACTOR)


def power_kw(current_a: float) -> float:
    """What a motor takes at a current."""
    return current_a * math.sqrt(3) * VOLTS * POWER_FACTOR / 1_000


class PumpMotor:
    """A pump with its soft starter. `broken` holds blocked, no_cooling or no_start."""

    def __init__(self, pump: Pump, station: PumpStation, pumps_in_station: int) -> None:
        self.pump = pump
        self.nominal_a = nominal_current_a(station.power_kw_max * SUPPLY_RATIO / pumps_in_station)
        self._sump_min_m = station.sump_min_m
        self.speed_ratio = 0.0
        self.current_a = 0.0
        self.temperature_c = AMBIENT_C
        self.broken: set[str] = set()

    def step(self, seconds: float, contactor: bool, sump_m: float) -> None:
        """Run so long with the contactor so."""
        if contactor and "no_start" not in self.broken:
            ramping = self.speed_ratio < 1.0
            self.speed_ratio = min(1.0, self.speed_ratio + seconds / RAMP_UP_S)
            load = self._load(sump_m)
            inrush = INRUSH + (1.0 - INRUSH) * self.speed_ratio
            self.current_a = self.nominal_a * (max(load, inrush) if ramping else load)
        else:
            self.speed_ratio = max(0.0, self.speed_ratio - seconds / RAMP_DOWN_S)
            self.current_a = 0.0
        share = min(self.current_a / self.nominal_a, BLOCKED_LOAD) if self.nominal_a else 0.0
        towards_c = AMBIENT_C + LOAD_HEAT_C * share**2
        if "no_cooling" in self.broken and self.current_a:
            towards_c += NO_COOLING_C
        kept = math.exp(-seconds / HEAT_TIME_S)
        self.temperature_c = towards_c + (self.temperature_c - towards_c) * kept

    def _load(self, sump_m: float) -> float:
        if "blocked" in self.broken:
            return BLOCKED_LOAD
        return DRY_LOAD if sump_m < self._sump_min_m else 1.0

    @property
    def pumping(self) -> bool:
        """Whether it lifts water."""
        return self.speed_ratio >= PUMPING_RATIO and "blocked" not in self.broken


class GateDrive:
    """A gate with its spindle drive. `broken` holds stuck or slow."""

    def __init__(self, gate: Gate, opening_ratio: float = 1.0) -> None:
        self.gate = gate
        self.opening_ratio = opening_ratio
        self.broken: set[str] = set()

    def step(self, seconds: float, direction: int, stop_at: float) -> None:
        """Drive up (1), down (-1) or not (0) for so long, at most to `stop_at`."""
        if direction == 0 or "stuck" in self.broken:
            return
        speed = (SLOW_GATE if "slow" in self.broken else 1.0) / self.gate.travel_s
        moved = self.opening_ratio + direction * seconds * speed
        bound = min(moved, stop_at) if direction > 0 else max(moved, stop_at)
        self.opening_ratio = min(max(bound, 0.0), 1.0)

    @property
    def limit_closed(self) -> bool:
        return self.opening_ratio <= 0.0

    @property
    def limit_open(self) -> bool:
        return self.opening_ratio >= 1.0


class Machines:
    """All machines behind one PLC; they outlive a restart of its program."""

    def __init__(self, site: Site, plc: Plc, openings: Mapping[str, float] | None = None) -> None:
        stations = {s.id: s for s in site.stations if s.plc == plc.id}
        count = {s: sum(p.station == s for p in site.pumps) for s in stations}
        self.pumps = {
            p.id: PumpMotor(p, stations[p.station], count[p.station])
            for p in site.pumps
            if p.station in stations
        }
        self.gates = {
            g.id: GateDrive(g, (openings or {}).get(g.id, 1.0))
            for g in site.gates
            if g.plc == plc.id
        }
