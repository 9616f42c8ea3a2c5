"""Decides what the simulated cabinets do: signal controllers, message signs, street-light circuits.

In come the time (`tick`), the centre's heartbeat and the bytes of commands; out go answers,
states and what people in the street see: lamp aspects, sign texts, light. `devices.py` carries
all of it over MQTT and to the simulated traffic.

Laws of this file:
1. A signal controller never shows two conflicting groups green or yellow, whatever it is told: it
   makes every change-over itself, and a monitor on the lamps puts the junction to flashing amber.
2. No interval is shorter than the site says, whoever asks, and also when the watchdog takes over.
3. A device that has lost the centre goes on by its own rules, and hands back without a bump.
"""

from __future__ import annotations

import math
from itertools import combinations

from msgspec import Struct

from causeway.events import Interval, SignalMode
from causeway.site import Junction, LightingCircuit, LonLat, Sign
from sims.orders import NS, Answer, Result, answer, fault_in_time, read_order, sequence_of

SIGNAL_SILENCE_S = 10.0  # docs/INTERFACES.md
SIGN_SILENCE_S = 300.0
LIGHTING_SILENCE_S = 300.0
START_UP_S = 5.0  # all red before the first green
LOCAL_GREEN_S = 25.0  # of a stage in the local plan, where the cabinet has no split of its own
LAMP_ON_DEG = -3.0  # photocell: sun below it, lamps on
LAMP_OFF_DEG = -1.0
STANDBY_RATIO = 0.02  # drivers and contactors, as a share of the circuit's power


class SignalFault(Struct, frozen=True):
    """What is broken in a cabinet: `lamp` (a red one), `conflict` (a green stays on), `dark`."""

    kind: str
    group: str = ""


class SignalReport(Struct, frozen=True):
    """The payload of a signal state topic."""

    at_ns: int
    stage: str
    interval: Interval
    aspects: str
    mode: SignalMode
    sequence: int
    fault: str


class SignalController:
    """One junction's controller: interval timing, conflict monitor, local plan, watchdog."""

    def __init__(
        self, junction: Junction, now_ns: int, local_green_s: tuple[float, ...] | None = None
    ) -> None:
        self._junction = junction
        self._groups = tuple(g.id for g in junction.groups)
        self._stages = tuple(s.id for s in junction.stages)
        self._greens = tuple(frozenset(s.green) for s in junction.stages)
        plan_s = local_green_s or (LOCAL_GREEN_S,) * len(self._stages)
        self._plan_s = tuple(
            min(max(s, junction.min_green_s), junction.max_green_s) for s in plan_s
        )
        conflicts = {frozenset(pair) for pair in junction.conflicts}
        self._conflicts = tuple(
            (i, j)
            for (i, a), (j, b) in combinations(enumerate(self._groups), 2)
            if frozenset((a, b)) in conflicts
        )
        self._heard_ns: int | None = None
        self._sequence = 0
        self._broken: dict[str, SignalFault] = {}
        self._fault = ""
        self._officer: str | None = None
        self._mode = SignalMode.LOCAL
        self._start_up(now_ns)

    def _start_up(self, now_ns: int) -> None:
        self._stage = len(self._stages) - 1
        self._next: int | None = 0
        self._interval = Interval.ALL_RED
        self._since_ns = now_ns
        self._all_red_s = max(START_UP_S, self._junction.all_red_s)
        self._starting = True

    @property
    def first_group(self) -> str:
        """The group that a fault without a group falls upon."""
        return self._groups[0]

    # --- what the street and the centre see ----------------------------------------------------

    @property
    def aspects(self) -> str:
        """The lamps that burn, one letter a group."""
        driven = self._driven()
        for fault in self._broken.values():
            if fault.kind == "conflict" and self._interval not in (
                Interval.FLASHING,
                Interval.DARK,
            ):
                i = self._groups.index(fault.group)
                driven = driven[:i] + "G" + driven[i + 1 :]
        return driven

    def _driven(self) -> str:
        """What the controller switches on."""
        if self._interval in (Interval.FLASHING, Interval.DARK):
            return "o" * len(self._groups)
        green = self._greens[self._stage]
        if self._interval is Interval.GREEN:
            return "".join("G" if g in green else "r" for g in self._groups)
        if self._starting:
            return "r" * len(self._groups)
        kept = green & self._greens[self._stage if self._next is None else self._next]
        leaving = "y" if self._interval is Interval.YELLOW else "r"
        return "".join("G" if g in kept else leaving if g in green else "r" for g in self._groups)

    def report(self, now_ns: int) -> SignalReport:
        """The state as the controller's clock dates it."""
        return SignalReport(
            at_ns=now_ns,
            stage=self._stages[self._stage],
            interval=self._interval,
            aspects=self.aspects,
            mode=self._mode,
            sequence=self._sequence,
            fault=self._fault,
        )

    # --- time ------------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> bool:
        """Let time pass; True when the lamps or the mode have changed."""
        before = (self._interval, self._stage, self._mode, self._fault)
        self._since_ns = min(self._since_ns, now_ns)  # its clock was set back: begin again
        self._monitor(now_ns)
        if not self._fault:
            self._mode = self._who_decides(now_ns)
            self._go_on(now_ns)
            self._monitor(now_ns)
        return before != (self._interval, self._stage, self._mode, self._fault)

    def _who_decides(self, now_ns: int) -> SignalMode:
        if self._officer is not None:
            return SignalMode.MANUAL
        heard_ns = self._heard_ns
        if heard_ns is None or now_ns - heard_ns >= SIGNAL_SILENCE_S * NS:
            return SignalMode.LOCAL
        return SignalMode.CENTRE

    def _go_on(self, now_ns: int) -> None:
        spent_s = (now_ns - self._since_ns) / NS
        match self._interval:
            case Interval.GREEN:
                self._decide_green(spent_s)
                if self._next is not None and spent_s >= self._junction.min_green_s:
                    self._enter(Interval.YELLOW, now_ns)
            case Interval.YELLOW if spent_s >= self._junction.yellow_s:
                self._enter(Interval.ALL_RED, now_ns)
                self._all_red_s = self._junction.all_red_s
            case Interval.ALL_RED if spent_s >= self._all_red_s and self._next is not None:
                self._stage, self._next, self._starting = self._next, None, False
                self._enter(Interval.GREEN, now_ns)
            case _:
                pass

    def _decide_green(self, spent_s: float) -> None:
        """Set the next stage where it is this cabinet that has to find it."""
        following = (self._stage + 1) % len(self._stages)
        match self._mode:
            case SignalMode.LOCAL:
                over = spent_s >= self._plan_s[self._stage]
                self._next = following if over else None
            case SignalMode.CENTRE if spent_s >= self._junction.max_green_s:
                # A centre that lives and forgets a junction must not hold the others at red.
                self._next = following if self._next is None else self._next
            case SignalMode.MANUAL if self._officer:
                stage = self._stages.index(self._officer)
                self._next = stage if stage != self._stage else None
            case _:
                pass

    def _enter(self, interval: Interval, now_ns: int) -> None:
        self._interval, self._since_ns = interval, now_ns

    def _monitor(self, now_ns: int) -> None:
        """Compare the lamps that burn with what may burn; a fault stays until it is repaired."""
        fault = self._seen_fault()
        if fault and not self._fault:
            dark = fault == "dark"
            self._mode, self._fault, self._next = SignalMode.FLASH, fault, None
            self._enter(Interval.DARK if dark else Interval.FLASHING, now_ns)

    def _seen_fault(self) -> str:
        for fault in self._broken.values():
            if fault.kind == "dark":
                return "dark"
            if fault.kind == "lamp":
                return f"lamp {fault.group}"
        moving = [a in "Gy" for a in self.aspects]
        for i, j in self._conflicts:
            if moving[i] and moving[j]:
                return f"conflict {self._groups[i]} {self._groups[j]}"
        return ""

    # --- the centre ----------------------------------------------------------------------------

    def heartbeat(self, now_ns: int) -> None:
        """The centre lives."""
        self._heard_ns = now_ns

    def command(self, payload: bytes, now_ns: int) -> Answer:
        """Take or refuse a stage; a taken one begins as soon as the minimum green is served."""
        order = read_order(payload)
        if order is None or order.stage not in self._stages:
            return answer(now_ns, sequence_of(payload), "malformed")
        result = fault_in_time(order, self._sequence, now_ns)
        if result is None:
            self._heard_ns = now_ns
            result = self._take(self._stages.index(order.stage), order.expires_at_ns, now_ns)
        if result == "accepted":
            self._sequence = order.sequence
        return answer(now_ns, order.sequence, result)

    def _take(self, stage: int, expires_at_ns: int, now_ns: int) -> Result:
        if self._fault:
            return "fault"
        if self._officer is not None:
            return "local"
        if self._interval is not Interval.GREEN:
            return "accepted" if stage == self._next else "interlock"
        if stage == self._stage:
            self._next = None
            self._mode = SignalMode.CENTRE
            return "accepted"
        if self._since_ns + self._junction.min_green_s * NS > expires_at_ns:
            return "interlock"  # it could not begin before it is stale
        self._next = stage
        self._mode = SignalMode.CENTRE
        return "accepted"

    # --- people and faults ---------------------------------------------------------------------

    def officer(self, stage: str | None) -> None:
        """A police officer at the cabinet wants a stage (empty: as it is); None: has gone."""
        self._officer = stage

    def break_down(self, fault: SignalFault) -> None:
        """Something in the cabinet breaks."""
        self._broken[fault.kind] = fault

    def repair(self, kind: str, now_ns: int) -> None:
        """It is whole again; after the last fault the controller starts from all red."""
        if self._broken.pop(kind, None) is not None and not self._broken and self._fault:
            self._fault, self._mode = "", SignalMode.LOCAL
            self._start_up(now_ns)


class SignReport(Struct, frozen=True):
    """The payload of a sign state topic."""

    at_ns: int
    text: str
    sequence: int


class MessageSign:
    """Shows a text until another comes, or until the centre has been silent for 300 s."""

    def __init__(self, sign: Sign, now_ns: int) -> None:
        self._sign = sign
        self._heard_ns = now_ns
        self._sequence = 0
        self.text = ""
        self.broken = False  # the matrix: texts are refused, nothing is shown

    def tick(self, now_ns: int) -> bool:
        """Let time pass; True when the text has changed."""
        silent = now_ns - self._heard_ns >= SIGN_SILENCE_S * NS
        if self.text and (silent or self.broken):
            self.text = ""
            return True
        return False

    def heartbeat(self, now_ns: int) -> None:
        self._heard_ns = now_ns

    def command(self, payload: bytes, now_ns: int) -> Answer:
        """Take or refuse a text; one that does not fit the matrix is malformed."""
        order = read_order(payload)
        if order is None or order.text is None or not self._fits(order.text):
            return answer(now_ns, sequence_of(payload), "malformed")
        result = fault_in_time(order, self._sequence, now_ns)
        if result is None:
            self._heard_ns = now_ns
            result = "fault" if self.broken else "accepted"
        if result == "accepted":
            self._sequence, self.text = order.sequence, order.text
        return answer(now_ns, order.sequence, result)

    def _fits(self, text: str) -> bool:
        lines = text.split("\n")
        return len(lines) <= self._sign.rows and all(
            len(line) <= self._sign.columns and (line.isprintable() or not line) for line in lines
        )

    def report(self, now_ns: int) -> SignReport:
        return SignReport(now_ns, self.text, self._sequence)


class LightingReport(Struct, frozen=True):
    """The payload of a lighting state topic."""

    at_ns: int
    level_ratio: float
    sequence: int


class LightingCabinet:
    """A circuit's level by command, or by its own photocell when the centre is silent."""

    def __init__(self, circuit: LightingCircuit, now_ns: int) -> None:
        self._circuit = circuit
        self._heard_ns: int | None = None
        self._sequence = 0
        self._commanded = False
        self.level_ratio = 1.0 if sun_elevation_deg(circuit.at, now_ns) < LAMP_ON_DEG else 0.0
        self.broken = False  # the contactor: stays as it is

    def tick(self, now_ns: int) -> bool:
        """Let time pass; True when the level has changed."""
        heard_ns = self._heard_ns
        silent = heard_ns is None or now_ns - heard_ns >= LIGHTING_SILENCE_S * NS
        if self.broken or (self._commanded and not silent):
            return False
        self._commanded = False
        sun_deg = sun_elevation_deg(self._circuit.at, now_ns)
        before = self.level_ratio
        if sun_deg < LAMP_ON_DEG:
            self.level_ratio = self.level_ratio or 1.0
        elif sun_deg > LAMP_OFF_DEG:
            self.level_ratio = 0.0
        return self.level_ratio != before

    def heartbeat(self, now_ns: int) -> None:
        self._heard_ns = now_ns

    def command(self, payload: bytes, now_ns: int) -> Answer:
        """Take or refuse a level, 0 to 1."""
        order = read_order(payload)
        level = None if order is None else order.level_ratio
        if order is None or level is None or not 0.0 <= level <= 1.0:
            return answer(now_ns, sequence_of(payload), "malformed")
        result = fault_in_time(order, self._sequence, now_ns)
        if result is None:
            self._heard_ns = now_ns
            result = "fault" if self.broken else "accepted"
        if result == "accepted":
            self._sequence, self.level_ratio, self._commanded = order.sequence, level, True
        return answer(now_ns, order.sequence, result)

    @property
    def power_kw(self) -> float:
        """LED drivers: in proportion to the level, and what stands by."""
        return self._circuit.power_kw * (STANDBY_RATIO + (1 - STANDBY_RATIO) * self.level_ratio)

    def report(self, now_ns: int) -> LightingReport:
        return LightingReport(now_ns, self.level_ratio, self._sequence)


def sun_elevation_deg(at: LonLat, at_ns: int) -> float:
    """Height of the sun over the horizon by the day of the year and the hour, within a degree.

    Declination and equation of time as in Spencer 1971; enough for a photocell and for a picture.
    """
    days = at_ns / NS / 86_400
    year = 2 * math.pi * ((days - 10_957.0) % 365.2422) / 365.2422
    declination = (
        0.006918
        - 0.399912 * math.cos(year)
        + 0.070257 * math.sin(year)
        - 0.006758 * math.cos(2 * year)
        + 0.000907 * math.sin(2 * year)
    )
    equation_min = 229.18 * (
        0.000075
        + 0.001868 * math.cos(year)
        - 0.032077 * math.sin(year)
        - 0.014615 * math.cos(2 * year)
        - 0.040849 * math.sin(2 * year)
    )
    solar_min = (days % 1) * 1_440 + 4 * at.lon + equation_min
    hour = math.radians(solar_min / 4 - 180)
    latitude = math.radians(at.lat)
    return math.degrees(
        math.asin(
            math.sin(latitude) * math.sin(declination)
            + math.cos(latitude) * math.cos(declination) * math.cos(hour)
        )
    )
