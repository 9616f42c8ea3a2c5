"""The program in a simulated PLC: mailbox, watchdog, own rules and trips of pumps and gates.

In come the time, the true water levels and what a Modbus client has written to the register
image; out go what the machines of `plant.py` are switched to and the measured values in the
image. `plc.py` puts the image on a wire, `field.py` couples the machines to the drainage model.
docs/INTERFACES.md is the other side's only knowledge of this program.

Laws of this file:
1. Trips and start limits hold whoever asks: the centre, the own rules, nobody.
2. While the centre's count stands still for 15 s the own rules decide, from the state as it is;
   when it moves again the state stays until a command changes it.
3. In local the program switches nothing on and moves nothing, and its trips still switch off.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import NamedTuple

from causeway.site import Gate, Plc, Pump, PumpStation, Site
from sims.gauges import Instrument
from sims.image import MAILBOX_WORDS, RegisterImage
from sims.orders import NS, is_new
from sims.plant import GateDrive, Machines, PumpMotor, power_kw

WATCHDOG_S = 15.0  # docs/INTERFACES.md
VALID_S_MAX = 60
PUMP_RUN, GATE_MOVE = 1, 2
PERMILLE = 1_000
DRY_RUN_S = 2.0  # sump below its minimum, before the pump is stopped
UNDERCURRENT_RATIO = 0.5
OVERCURRENT_RATIO = 1.25
OVERCURRENT_S = 3.0
NO_START_S = 10.0
TEMPERATURE_TRIP_C = 120.0
TEMPERATURE_RESET_C = 80.0
HEAD_M = 0.05  # dead band of the gate's closing rule
TRAVEL_RATIO_MAX = 1.3  # of travel_s, before a moving gate is a fault
TRAVEL_SLACK_S = 5.0
POSITION_BAND = 0.002
AUXILIARY_KW = 1.5
HOUR_NS = 3_600 * NS


class Result(IntEnum):
    """The answer block's second word."""

    NONE = 0
    ACCEPTED = 1
    LATE = 2
    REPEATED = 3
    INTERLOCK = 4
    LOCAL = 5
    FAULT = 6
    MALFORMED = 7


class Levels(NamedTuple):
    """The true water at a PLC's assets: by station, by gate, by pump."""

    sump_m: dict[str, float]
    inside_m: dict[str, float]
    outside_m: dict[str, float]
    flow_m3s: dict[str, float]


class PumpControl:
    """One pump's part of the program: contactor, start limits, trips."""

    def __init__(self, pump: Pump, station: PumpStation, motor: PumpMotor) -> None:
        self.pump, self.station, self.motor = pump, station, motor
        self.contactor = False
        self.fault = ""
        self._switched_ns = -HOUR_NS
        self._starts_ns: deque[int] = deque(maxlen=64)
        self._bad_s: dict[str, float] = {}

    def found_running(self) -> None:
        """The pump runs already when the program begins."""
        self.contactor, self.motor.speed_ratio = True, 1.0

    def start(self, now_ns: int, sump_m: float) -> Result:
        """Switch on, if nothing speaks against it."""
        if self.fault:
            return Result.FAULT
        if self.contactor:
            return Result.ACCEPTED
        while self._starts_ns and now_ns - self._starts_ns[0] >= HOUR_NS:
            self._starts_ns.popleft()
        rested = now_ns - self._switched_ns >= self.pump.rest_s * NS
        many = len(self._starts_ns) >= self.pump.starts_per_hour_max
        if sump_m <= self.station.sump_min_m or not rested or many:
            return Result.INTERLOCK
        self._starts_ns.append(now_ns)
        self.contactor, self._switched_ns = True, now_ns
        return Result.ACCEPTED

    def stop(self, now_ns: int) -> Result:
        if self.contactor:
            self.contactor, self._switched_ns = False, now_ns
        return Result.ACCEPTED

    def protect(self, seconds: float, now_ns: int, sump_m: float) -> None:
        """Switch off what must not run; a trip stays until it is reset, a dry sump only stops."""
        motor = self.motor
        share = motor.current_a / motor.nominal_a if motor.nominal_a else 0.0
        full = self.contactor and motor.speed_ratio >= 1.0
        if self._lasts("dry", self.contactor and sump_m < self.station.sump_min_m, seconds) >= (
            DRY_RUN_S
        ):
            self.stop(now_ns)
        undercurrent = full and share < UNDERCURRENT_RATIO
        if self._lasts("undercurrent", undercurrent, seconds) >= OVERCURRENT_S:
            self._trip("undercurrent", now_ns)
        if self._lasts("overcurrent", full and share > OVERCURRENT_RATIO, seconds) >= OVERCURRENT_S:
            self._trip("overcurrent", now_ns)
        stands = self.contactor and motor.speed_ratio == 0.0
        if self._lasts("no start", stands, seconds) >= NO_START_S:
            self._trip("no start", now_ns)
        if motor.temperature_c > TEMPERATURE_TRIP_C:
            self._trip("temperature", now_ns)
        elif self.fault == "temperature" and motor.temperature_c < TEMPERATURE_RESET_C:
            self.fault = ""

    def _lasts(self, what: str, seen: bool, seconds: float) -> float:
        """For how long it has been so without a break."""
        self._bad_s[what] = self._bad_s.get(what, 0.0) + seconds if seen else 0.0
        return self._bad_s[what]

    def _trip(self, why: str, now_ns: int) -> None:
        self.fault = self.fault or why
        self.stop(now_ns)


class GateControl:
    """One gate's part of the program: position, travel time, interlock against the tide."""

    def __init__(self, gate: Gate, drive: GateDrive) -> None:
        self.gate, self.drive = gate, drive
        self.target = drive.opening_ratio
        self.fault = ""
        self.direction = 0
        self._moving_s = 0.0

    def against_tide(self, inside_m: float, outside_m: float) -> bool:
        """Whether the gate's closing rule wants it closed."""
        return outside_m >= self.gate.closing_m and outside_m > inside_m + HEAD_M

    def move_to(self, opening_ratio: float, inside_m: float, outside_m: float) -> Result:
        """Set the target; opening against the tide is refused."""
        if self.fault:
            return Result.FAULT
        opens = opening_ratio > self.drive.opening_ratio + POSITION_BAND
        if opens and self.against_tide(inside_m, outside_m):
            return Result.INTERLOCK
        self._moving_s = 0.0
        self.target = opening_ratio
        return Result.ACCEPTED

    def own_rule(self, inside_m: float, outside_m: float) -> None:
        """Close against the tide, open to drain, else stay."""
        if self.fault:
            return
        wanted = self.target
        if self.against_tide(inside_m, outside_m):
            wanted = 0.0
        elif outside_m < inside_m - HEAD_M:
            wanted = 1.0
        if wanted != self.target:
            self.target, self._moving_s = wanted, 0.0

    def hold(self) -> None:
        """Stay where it is."""
        self.target = self.drive.opening_ratio

    def drive_on(self, seconds: float) -> None:
        """Drive towards the target; a gate that takes too long is a fault and stops."""
        away = self.target - self.drive.opening_ratio
        # The end positions are left to the limit switches.
        arrived = away == 0.0 or (abs(away) < POSITION_BAND and 0.0 < self.target < 1.0)
        self.direction = 0 if arrived or self.fault else (1 if away > 0 else -1)
        if self.direction == 0:
            self._moving_s = 0.0
            return
        self.drive.step(seconds, self.direction, self.target)
        self._moving_s += seconds
        if self._moving_s > self.gate.travel_s * TRAVEL_RATIO_MAX + TRAVEL_SLACK_S:
            self.fault, self.direction = "travel time", 0
            self.hold()


class PlcProgram:
    """One PLC's cycle: measure, obey, watch, protect, switch, tell."""

    def __init__(self, site: Site, plc: Plc, machines: Machines, now_ns: int) -> None:
        stations = {s.id: s for s in site.stations if s.plc == plc.id}
        self.plc = plc
        self.image = RegisterImage(plc)
        self.pumps = {
            p.id: PumpControl(p, stations[p.station], machines.pumps[p.id])
            for p in site.pumps
            if p.station in stations
        }
        self.gates = {
            g.id: GateControl(g, machines.gates[g.id]) for g in site.gates if g.plc == plc.id
        }
        self.stations = stations
        self.remote = {asset: True for asset in (*stations, *self.gates)}
        self.clock_skew_s = 0.0
        quantities = {p: p.rpartition("/")[2] for p in self.image.points}
        self.instruments = {
            p: Instrument(p, q)
            for p, q in quantities.items()
            if q in ("sump_m", "inside_m", "outside_m")
        }
        self._measured: dict[str, float] = {}
        self._seen_sequence = self._taken_sequence = 0
        self._result = Result.NONE
        self._count = self.image.holding(plc.watchdog)
        self._count_ns = now_ns
        self.taken_over = True  # until the centre's count moves
        self._scanned_ns = now_ns

    # --- one cycle ---------------------------------------------------------------------------

    def scan(self, now_ns: int, levels: Levels) -> None:
        """One cycle; the time since the last one is the machines' step."""
        seconds = max(0, now_ns - self._scanned_ns) / NS
        self._scanned_ns = now_ns
        self._measure(now_ns, levels)
        self._watch(now_ns)
        self._obey(now_ns)
        if self.taken_over:
            self._own_rules(now_ns)
        for pump in self.pumps.values():
            sump_m = levels.sump_m[pump.station.id]
            pump.motor.step(seconds, pump.contactor, sump_m)
            pump.protect(seconds, now_ns, self._measured[f"{pump.station.id}/sump_m"])
        for gate in self.gates.values():
            if not self.remote[gate.gate.id]:
                gate.hold()
            gate.drive_on(seconds)
        self._tell(now_ns, levels)

    def _measure(self, now_ns: int, levels: Levels) -> None:
        for quantity, values in (
            ("sump_m", levels.sump_m),
            ("inside_m", levels.inside_m),
            ("outside_m", levels.outside_m),
        ):
            for asset, truth in values.items():
                point = f"{asset}/{quantity}"
                instrument = self.instruments.get(point)
                seen = truth if instrument is None else instrument.read(now_ns, truth)
                if seen is not None:  # a dead transmitter leaves its last value
                    self._measured[point] = seen
                self._measured.setdefault(point, 0.0)

    def _watch(self, now_ns: int) -> None:
        count = self.image.holding(self.plc.watchdog)
        if count != self._count:
            self._count, self._count_ns, self.taken_over = count, now_ns, False
        elif now_ns - self._count_ns >= WATCHDOG_S * NS:
            self.taken_over = True

    def _obey(self, now_ns: int) -> None:
        """Read the mailbox; act when its sequence has changed."""
        mailbox = [self.image.holding(self.plc.mailbox + i) for i in range(MAILBOX_WORDS)]
        sequence = mailbox[0]
        if sequence in (0, self._seen_sequence):
            return
        self._seen_sequence = sequence
        self._result = self._judge(mailbox, now_ns)
        if self._result is Result.ACCEPTED:
            self._taken_sequence = sequence

    def _judge(self, mailbox: list[int], now_ns: int) -> Result:
        sequence, issued_high, issued_low, valid_s, number, action, value = mailbox
        issued_s = issued_high << 16 | issued_low
        if not is_new(sequence, self._taken_sequence):
            return Result.REPEATED
        if not 1 <= valid_s <= VALID_S_MAX or not 1 <= number <= len(self.plc.targets):
            return Result.MALFORMED
        if self._clock_s(now_ns) > issued_s + valid_s:
            return Result.LATE
        target = self.plc.targets[number - 1]
        if target in self.pumps and action == PUMP_RUN and value in (0, 1):
            return self._order_pump(self.pumps[target], value == 1, now_ns)
        if target in self.gates and action == GATE_MOVE and value <= PERMILLE:
            return self._order_gate(self.gates[target], value / PERMILLE)
        return Result.MALFORMED

    def _order_pump(self, pump: PumpControl, run: bool, now_ns: int) -> Result:
        station = pump.station.id
        if not self.remote[station] or self.taken_over:
            return Result.LOCAL
        if run:
            return pump.start(now_ns, self._measured[f"{station}/sump_m"])
        return pump.stop(now_ns)

    def _order_gate(self, gate: GateControl, opening_ratio: float) -> Result:
        id_ = gate.gate.id
        if not self.remote[id_] or self.taken_over:
            return Result.LOCAL
        inside_m, outside_m = self._measured[f"{id_}/inside_m"], self._measured[f"{id_}/outside_m"]
        return gate.move_to(opening_ratio, inside_m, outside_m)

    def _own_rules(self, now_ns: int) -> None:
        """Pump hysteresis and gate closing rule, from the machines' state as it is."""
        for pump in self.pumps.values():
            sump_m = self._measured[f"{pump.station.id}/sump_m"]
            if not self.remote[pump.station.id]:
                continue
            if not pump.contactor and sump_m >= pump.pump.start_m:
                pump.start(now_ns, sump_m)
            elif pump.contactor and sump_m <= pump.pump.stop_m:
                pump.stop(now_ns)
        for id_, gate in self.gates.items():
            if self.remote[id_]:
                gate.own_rule(self._measured[f"{id_}/inside_m"], self._measured[f"{id_}/outside_m"])

    # --- the image ---------------------------------------------------------------------------

    def _tell(self, now_ns: int, levels: Levels) -> None:
        for point, value in self._measured.items():
            self.image.set_point(point, value)
        for id_, pump in self.pumps.items():
            flow_m3s = levels.flow_m3s.get(id_, 0.0) if pump.motor.pumping else 0.0
            self.image.set_point(f"{id_}/running_bool", pump.motor.speed_ratio > 0.0)
            self.image.set_point(f"{id_}/flow_m3s", flow_m3s * pump.motor.speed_ratio)
            self.image.set_point(f"{id_}/current_a", pump.motor.current_a)
            self.image.set_point(f"{id_}/fault_bool", bool(pump.fault))
        for id_ in self.stations:
            used_kw = AUXILIARY_KW + sum(
                power_kw(p.motor.current_a) for p in self.pumps.values() if p.station.id == id_
            )
            self.image.set_point(f"{id_}/power_kw", used_kw)
            self.image.set_point(f"{id_}/remote_bool", self.remote[id_])
        for id_, gate in self.gates.items():
            self.image.set_point(f"{id_}/opening_ratio", gate.drive.opening_ratio)
            self.image.set_point(f"{id_}/moving_bool", gate.direction != 0)
            self.image.set_point(f"{id_}/fault_bool", bool(gate.fault))
            self.image.set_point(f"{id_}/remote_bool", self.remote[id_])
        clock_s = self._clock_s(now_ns)
        self.image.write(
            "input",
            self.plc.answer,
            (
                self._seen_sequence,
                self._result,
                int(self.taken_over),
                clock_s >> 16 & 0xFFFF,
                clock_s & 0xFFFF,
            ),
        )

    def _clock_s(self, now_ns: int) -> int:
        return max(0, int(now_ns / NS + self.clock_skew_s))

    # --- people ------------------------------------------------------------------------------

    def reset(self, asset: str) -> None:
        """A crew has repaired a pump or gate and resets its trip."""
        if asset in self.pumps:
            self.pumps[asset].fault = ""
        elif asset in self.gates:
            self.gates[asset].fault = ""
            self.gates[asset].hold()
