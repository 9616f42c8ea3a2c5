"""Walks the signal safety layer at random, and counts what came of it: `causeway bench safety`.

Planner, greedy rule and operators ask for anything at any time; controllers are obedient, slow,
silent, deaf, broken, in other hands, restarted, off in their clocks; the centre restarts and its
clock jumps. Who judges is a field without any protection of its own, which knows nothing of
`control/signals/safety.py`: blind lamps that turn to whatever they are commanded, at once. Where
such lamps come to no harm, none was sent out by the centre. Same seed, same walk.

What the walk takes for granted, since no centre could know better:
1. A controller tells of its lamps as they are; when, is another matter.
2. It takes no command after its expiry by its own clock, and none while it is in other hands.
3. Who takes it in hand keeps it for 12 s at least: longer than a report and a command may be old.
4. Of two clocks, not both are set within half a minute.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from benchmarks.city import city
from causeway.events import (
    Address,
    AnyEvent,
    CommandConfirmed,
    CommandRefused,
    CommandUnconfirmed,
    ControlMode,
    ControlModeChanged,
    EngineStarted,
    Interval,
    Now,
    SignalMode,
    SignalsObserved,
    SignalState,
    StageCommanded,
    StageRequested,
    Tick,
)
from causeway.site import Junction, SignalGroup, Site, Stage
from control.signals.safety import SignalSafety

STEPS = 1_000_000
EPISODE_STEPS = 20_000  # then another field begins, and another seed
FAST_EVERY = 4  # one episode in so many has a clock that runs faster than the wall's
FAST = 4.0
AT = Address(1, 1)  # of every command: nobody looks
NS = 1_000_000_000
EAGER_NS = 3 * NS
START_NS = 1_763_980_800 * NS
STEP_S_MAX = 0.5
KNOWN_S_MAX = 10.0  # an older report is no knowledge, whatever its clock said
DOUBTED_S = 8.0  # so long what it tells may be in doubt, where a clock was set
CLOCK_AHEAD_S_MAX = 6.5  # such a controller calls every command late; a report may be 4 s old
IN_HAND_S = 12.0
CLOCKS_APART_S = 30.0
AWAITED_S = 12.0  # until a command has been obeyed, or is not going to be
BY = ("planner", "greedy", "operator:an", "operator:binh")
SIGNED_AHEAD_S = 1.0  # causeway/commands.py holds back what was made later than that, by the clock


class Found(Struct):
    """What the lamps went through. `unfit` are commands to a controller that should have none."""

    steps: int = 0
    commands: int = 0
    refused: int = 0
    conflicts: int = 0
    shortened: int = 0
    unfit: int = 0

    @property
    def wrong(self) -> int:
        """All that must not be."""
        return self.conflicts + self.shortened + self.unfit

    def add(self, other: Found) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Walked(Protocol):
    """What can be walked: the safety layer, or one that lacks a rule."""

    def step(self, event: AnyEvent, now: Now) -> Iterable[AnyEvent]: ...
    def encode(self) -> bytes: ...
    def restore(self, state: bytes) -> None: ...


def safety_bench(steps: int = STEPS) -> dict[str, object]:
    """All episodes, and the time they took."""
    started_s = time.process_time()
    found = walk(steps)
    cpu_s = time.process_time() - started_s
    return {
        **msgspec.structs.asdict(found),
        "cpu_s": round(cpu_s, 1),
        "us_per_step": round(cpu_s / found.steps * 1e6, 1),
    }


def walk(
    steps: int,
    seed: int = 1,
    make: Callable[[Site], Walked] = SignalSafety,
    until_wrong: bool = False,
) -> Found:
    """So many steps, in episodes; `until_wrong` ends it with the first harm."""
    site = crossroads()
    found = Found()
    for number in range(-(-steps // EPISODE_STEPS)):
        speed = FAST if number % FAST_EVERY == FAST_EVERY - 1 else 1.0
        world = World(site, make, seed * 1_000 + number, speed)
        for _ in range(min(EPISODE_STEPS, steps - found.steps)):
            world.step()
            if until_wrong and world.found.wrong:
                break
        found.add(world.found)
        if until_wrong and found.wrong:
            break
    return found


def crossroads() -> Site:
    """Three junctions: a plain one, one with many stages, and one whose stages are not to be."""
    sides = ("n", "s", "e", "w")
    across = (("n", "e"), ("n", "w"), ("s", "e"), ("s", "w"))
    whole = city()
    at = whole.centre
    ns, ew = Stage("ns", ("n", "s")), Stage("ew", ("e", "w"))
    plain = Junction(
        id="plain",
        name="",
        at=at,
        groups=tuple(SignalGroup(id=g, right_on_red=True) for g in sides),
        stages=(ns, ew),
        conflicts=across,
        min_green_s=12.0,
    )
    turns = (("nl", "s"), ("sl", "n"), *((t, g) for t in ("nl", "sl") for g in ("e", "w")))
    many = Junction(
        id="many",
        name="",
        at=at,
        groups=tuple(SignalGroup(id=g) for g in (*sides, "nl", "sl")),
        stages=(ns, Stage("left", ("nl", "sl")), Stage("north", ("n", "nl")), ew),
        conflicts=(*across, *turns),
        min_green_s=1.5,
        yellow_s=3.5,
        all_red_s=1.0,
    )
    wrong = msgspec.structs.replace(
        plain,
        id="wrong",
        stages=(ns, ew, Stage("all", sides), Stage("corner", ("n", "e"))),
        min_green_s=1.0,
    )
    return msgspec.structs.replace(whole, junctions=(plain, many, wrong))


class _Report(NamedTuple):
    """A report under way, and whether who sent it could be commanded."""

    arrives_ns: int
    sent_ns: int
    state: SignalState
    fit: bool


class Lamps:
    """A junction's lamps and the box that tells of them, without a monitor and without limits."""

    def __init__(self, junction: Junction, dice: random.Random, stretch: float, t_ns: int) -> None:
        self.junction = junction
        self.groups = tuple(g.id for g in junction.groups)
        self.greens = {s.id: frozenset(s.green) for s in junction.stages}
        self.sound = [s for s, green in self.greens.items() if not self._conflict(green)]
        self.stage = self.sound[0]
        self.to = ""
        self.interval = Interval.GREEN
        self.since_ns = t_ns
        self.mode = SignalMode.CENTRE
        self.fault = ""
        self.stuck: frozenset[str] = frozenset()
        self.garbled = False
        self.deaf = False
        self.heard_ratio = 1.0
        self.delay_s = 0.0
        self.odd_until_ns = 0  # what is wrong with it ends then
        self.clock_ns = 0  # its clock minus the truth
        self.clock_set_ns = -(10**18)
        self.sequence = 0
        self.reports: list[_Report] = []
        self.commands: list[tuple[int, StageCommanded]] = []
        self.told: _Report | None = None
        self.unfit_since_ns = 0  # since when it has told so; 0: it has not
        self._dice = dice
        self._stretch = stretch
        self._next_report_ns = t_ns

    def _conflict(self, shown: frozenset[str]) -> bool:
        return any(a in shown and b in shown for a, b in self.junction.conflicts)

    # --- what it shows and says ------------------------------------------------------------------

    def pass_time(self, t_ns: int) -> None:
        """Go on by itself; tell each second and at a change."""
        changed = self._go_on(t_ns)
        if self.odd_until_ns and t_ns >= self.odd_until_ns:
            self._recover(t_ns)
            changed = True
        if changed or t_ns >= self._next_report_ns:
            self._next_report_ns = t_ns + NS
            if self._dice.random() < self.heard_ratio:
                late_ns = int(self._dice.random() * self.delay_s * self._stretch * NS)
                self.reports.append(self._report(t_ns, late_ns))

    def _go_on(self, t_ns: int) -> bool:
        spent_s = (t_ns - self.since_ns) / NS
        junction = self.junction
        if self.interval is Interval.YELLOW and spent_s >= junction.yellow_s:
            self._enter(Interval.ALL_RED, t_ns)
        elif self.interval is Interval.ALL_RED and spent_s >= junction.all_red_s:
            self.stage = self.to
            self._enter(Interval.GREEN, t_ns)
        elif (
            self.interval is Interval.GREEN
            and self.mode in (SignalMode.LOCAL, SignalMode.MANUAL)
            and spent_s >= junction.min_green_s
            and self._dice.random() < 0.2
        ):
            self.to = self._dice.choice(self.sound)
            self._enter(Interval.YELLOW, t_ns)
        else:
            return False
        return True

    def _enter(self, interval: Interval, t_ns: int) -> None:
        self.interval, self.since_ns = interval, t_ns

    def _report(self, t_ns: int, late_ns: int) -> _Report:
        aspects = "".join(self._aspect(g) for g in self.groups)
        stage = self.stage
        if self.garbled:
            stage, aspects = self._dice.choice(
                [(stage, aspects[1:]), ("", aspects), (stage, "r" * len(aspects))]
            )
        stamp_ns = t_ns + self.clock_ns
        state = SignalState(
            self.junction.id,
            stamp_ns,
            stage,
            self.interval,
            aspects,
            self.mode,
            self.sequence,
            self.fault,
        )
        shown = frozenset(g for g, a in zip(self.groups, aspects, strict=False) if a in "Gy")
        fit = (
            self.mode is SignalMode.CENTRE
            and self.interval is Interval.GREEN
            and not (self.fault or self.garbled or self._conflict(shown))
        )
        return _Report(t_ns + late_ns, t_ns, state, fit)

    def _aspect(self, group: str) -> str:
        if self.interval in (Interval.FLASHING, Interval.DARK):
            return "o"
        if group in self.stuck:
            return "G"
        green = self.greens[self.stage]
        if group not in green:
            return "r"
        if self.interval is Interval.GREEN or group in self.greens.get(self.to, ()):
            return "G"
        return "y" if self.interval is Interval.YELLOW else "r"

    # --- what it is told -------------------------------------------------------------------------

    def obey(self, command: StageCommanded, t_ns: int, found: Found) -> None:
        """Turn to the stage at once, whatever is shown now."""
        own_ns = t_ns + self.clock_ns
        in_hand = self.mode is not SignalMode.CENTRE
        if in_hand or self.deaf or self.fault or own_ns >= command.expires_at_ns:
            return
        ahead = (command.sequence - self.sequence) % 65_536
        if not command.sequence or (self.sequence and not 1 <= ahead <= 32_767):
            found.unfit += 1  # it was made as if it had not taken the last one
            return
        self.sequence = command.sequence
        green = self.greens.get(command.stage)
        if green is None:
            return
        green_ns = t_ns - self.since_ns if self.interval is Interval.GREEN else 0
        if green_ns < self.junction.min_green_s * NS:  # 0: the change-over itself is cut
            found.shortened += 1
        if self._conflict(green):
            found.conflicts += 1
        self.to = command.stage
        self._enter(Interval.YELLOW, t_ns)

    # --- what becomes of it ----------------------------------------------------------------------

    def turn_odd(self, t_ns: int) -> None:
        """Something is wrong with it, or somebody has it in hand, for a time."""
        dice = self._dice
        self.odd_until_ns = t_ns + int((IN_HAND_S + dice.expovariate(1 / 15)) * self._stretch * NS)
        for trouble in dice.sample(range(10), dice.choice((1, 1, 2, 3))):
            self._suffer(trouble, t_ns)

    def _suffer(self, trouble: int, t_ns: int) -> None:
        dice = self._dice
        match trouble:
            case 0:
                self.delay_s = 4.0
            case 1:
                self.heard_ratio = 0.0
            case 2:
                self.heard_ratio = dice.choice((0.2, 0.5))
            case 3:
                self.deaf = True
            case 4:
                self.stuck = frozenset((dice.choice(self.groups),))
            case 5:
                self.garbled = True
            case 6:
                self.fault = "lamp"
            case 7:
                self.mode = SignalMode.FLASH
                self._enter(dice.choice((Interval.FLASHING, Interval.DARK)), t_ns)
            case 8:
                self.mode = dice.choice((SignalMode.LOCAL, SignalMode.MANUAL))
            case _:
                self._restart(t_ns)

    def _restart(self, t_ns: int) -> None:
        self.mode, self.sequence, self.to = SignalMode.LOCAL, 0, self._dice.choice(self.sound)
        self._enter(Interval.ALL_RED, t_ns)

    def _recover(self, t_ns: int) -> None:
        self.odd_until_ns = 0
        self.delay_s = self._dice.choice((0.0, 0.3, 4.0))
        self.heard_ratio, self.deaf, self.garbled = 1.0, False, False
        self.fault, self.stuck = "", frozenset()
        if self.mode is SignalMode.FLASH:
            self._restart(t_ns)
        self.mode = SignalMode.CENTRE

    def set_clock(self, t_ns: int) -> None:
        """Ahead, behind, or right again."""
        self.clock_ns = _off_ns(self._dice, -6, 3)
        self.clock_set_ns = t_ns


class World:
    """The lamps of a site, the centre and everybody who asks, step by step."""

    def __init__(self, site: Site, make: Callable[[Site], Walked], seed: int, speed: float) -> None:
        self.found = Found()
        self._site = site
        self._make = make
        self._speed = speed
        self._dice = random.Random(seed)
        self._t_ns = START_NS
        self._at_ns = 0
        self._clock_ns = 0  # the centre's clock minus the truth
        self._clock_set_ns = 0
        self._tick_ns = self._t_ns
        self._down_until_ns = 0
        self._kept = True  # by the broker, what is said while the centre is down
        self._quiet_until_ns = 0  # nobody asks
        self._eager_until_ns = 0  # everybody does
        self._number = 0
        self._lamps = [Lamps(j, self._dice, speed, self._t_ns) for j in site.junctions]
        self._by_id = {lamps.junction.id: lamps for lamps in self._lamps}
        self._in_hand = dict.fromkeys(self._by_id, False)
        self._awaited: deque[tuple[int, StageCommanded]] = deque()
        self._stages = {
            lamps.junction.id: (*lamps.greens, "nowhere", *lamps.greens) for lamps in self._lamps
        } | {"stranger": ("ns",)}
        self._places = (*self._by_id, *self._by_id, *self._by_id, "stranger")
        self._core = make(site)
        self._feed(EngineStarted(version="", site_hash="", speed=speed))

    def step(self) -> None:
        """A moment passes, and something happens."""
        self.found.steps += 1
        dice = self._dice
        self._t_ns += int(dice.random() * STEP_S_MAX * NS)
        t_ns = self._t_ns
        up = t_ns >= self._down_until_ns
        for lamps in self._lamps:
            lamps.pass_time(t_ns)
            if lamps.commands:
                self._deliver(lamps)
            if up and lamps.reports:
                self._hear(lamps)
            elif not self._kept:
                lamps.reports.clear()
        if up:
            if t_ns >= self._tick_ns:
                self._tick_ns = t_ns + NS
                self._feed(Tick())
            self._end_waiting()
            if self._quiet_until_ns <= t_ns < self._eager_until_ns:
                for lamps in self._lamps:
                    self._ask_somebody(lamps.junction.id)
        chance = dice.random()
        if chance < 0.96:
            if up and t_ns >= self._quiet_until_ns:
                self._ask_somebody(dice.choice(self._places))
        elif chance < 0.975:
            self._take_in_hand(dice.choice(self._lamps))
        elif chance < 0.982:
            lamps = dice.choice(self._lamps)
            if not lamps.odd_until_ns:
                lamps.turn_odd(t_ns)
                self._hold_breath()
        elif chance < 0.99:
            self._set_a_clock(dice.choice((None, *self._lamps)))
        elif chance < 0.994:
            self._restart()

    # --- the centre ------------------------------------------------------------------------------

    def _feed(self, event: AnyEvent) -> Iterable[AnyEvent]:
        """The core's answers; time stands still where the centre's clock went back."""
        self._at_ns = max(self._at_ns, self._t_ns + self._clock_ns)
        self._number += 1
        return list(self._core.step(event, Now(self._at_ns, Address(self._number, 0))))

    def _ask_somebody(self, place: str) -> None:
        self._ask(place, self._dice.choice(self._stages[place]), self._who(place))

    def _who(self, place: str) -> str:
        """Mostly one who may ask."""
        if self._dice.random() < 0.2:
            return self._dice.choice(BY)
        return BY[-1] if self._in_hand.get(place) else BY[0]

    def _ask(self, place: str, stage: str, by: str) -> None:
        for answer in self._feed(StageRequested(junction=place, stage=stage, by=by)):
            if isinstance(answer, CommandRefused):
                self.found.refused += 1
            elif isinstance(answer, StageCommanded):
                self._send(answer, by)

    def _send(self, command: StageCommanded, by: str) -> None:
        self.found.commands += 1
        lamps = self._by_id[command.junction]
        self._judge(lamps, command, by)
        now_ns = self._t_ns + self._clock_ns
        if command.issued_at_ns > now_ns + SIGNED_AHEAD_S * NS or now_ns >= command.expires_at_ns:
            return
        late_s = self._dice.choice((0.0, 0.3, 4.0)) * self._dice.random() * self._speed
        lamps.commands.append((self._t_ns + int(late_s * NS), command))
        self._awaited.append((self._t_ns + int(AWAITED_S * self._speed * NS), command))

    def _judge(self, lamps: Lamps, command: StageCommanded, by: str) -> None:
        """Whether it should have been made, by what the controller has told of itself."""
        told = lamps.told
        quiet_ns = self._t_ns - max(lamps.clock_set_ns, self._clock_set_ns)
        quiet = quiet_ns > CLOCKS_APART_S * NS  # else its reports may seem to be of another order
        grace_ns = 0 if quiet else int(DOUBTED_S * self._speed * NS)
        if (
            told is None
            or (lamps.unfit_since_ns and self._t_ns - lamps.unfit_since_ns > grace_ns)
            or (quiet and told.state.stage == command.stage)
            or self._t_ns - told.sent_ns > KNOWN_S_MAX * self._speed * NS
            or command.stage not in lamps.greens
            or self._in_hand[command.junction] != by.startswith("operator:")
        ):
            self.found.unfit += 1

    def _end_waiting(self) -> None:
        """Say of each command that it was obeyed, or that it has not been."""
        for item in tuple(self._awaited):
            until_ns, command = item
            target, sequence = command.junction, command.sequence
            lamps = self._by_id[target]
            obeyed = lamps.sequence == sequence and lamps.stage == command.stage
            if obeyed and lamps.interval is Interval.GREEN:
                self._feed(
                    CommandConfirmed(command=AT, target=target, sequence=sequence, took_ns=0)
                )
            elif self._t_ns >= until_ns:
                self._feed(CommandUnconfirmed(command=AT, target=target, sequence=sequence, why=""))
            else:
                continue
            self._awaited.remove(item)

    def _take_in_hand(self, lamps: Lamps) -> None:
        asset = lamps.junction.id
        self._in_hand[asset] = in_hand = self._dice.random() < 0.4
        mode = ControlMode.MANUAL if in_hand else ControlMode.AUTOMATIC
        self._feed(ControlModeChanged(asset=asset, mode=mode, operator="an"))

    def _restart(self) -> None:
        """From its state; or, rarely, with an empty data folder."""
        dice = self._dice
        state = self._core.encode()
        self._core = self._make(self._site)
        if dice.random() < 0.8:
            self._core.restore(state)
        else:
            self._at_ns = 0
            self._in_hand = dict.fromkeys(self._by_id, False)
        self._awaited.clear()
        self._hold_breath()
        down_ns = int(dice.choice((0.0, 2.0, 20.0)) * dice.random() * NS)
        self._down_until_ns = self._t_ns + down_ns
        self._kept = dice.random() < 0.5
        if dice.random() < 0.5 and self._may_set_the_centres():  # a machine without a battery
            self._clock_ns, self._clock_set_ns = self._clock_ns - down_ns, self._t_ns
        self._feed(EngineStarted(version="", site_hash="", speed=self._speed))

    def _hold_breath(self) -> None:
        """Nobody asks for a while, or for none, and then everybody does."""
        quiet_s = self._dice.choice((0.0, self._dice.uniform(0, 20))) * self._speed
        self._quiet_until_ns = self._t_ns + int(quiet_s * NS)
        self._eager_until_ns = self._quiet_until_ns + EAGER_NS

    # --- between them ----------------------------------------------------------------------------

    def _deliver(self, lamps: Lamps) -> None:
        due = [command for at_ns, command in lamps.commands if at_ns <= self._t_ns]
        lamps.commands = [c for c in lamps.commands if c[0] > self._t_ns]
        for command in due:
            lamps.obey(command, self._t_ns, self.found)

    def _hear(self, lamps: Lamps) -> None:
        for report in [r for r in lamps.reports if r.arrives_ns <= self._t_ns]:
            lamps.reports.remove(report)
            if lamps.told is None or report.sent_ns >= lamps.told.sent_ns:
                ahead_ns = report.state.observed_at_ns - self._t_ns - self._clock_ns
                fit = report.fit and ahead_ns <= CLOCK_AHEAD_S_MAX * self._speed * NS
                lamps.told = report
                lamps.unfit_since_ns = 0 if fit else lamps.unfit_since_ns or self._t_ns
            self._feed(SignalsObserved(states=(report.state,)))

    def _set_a_clock(self, lamps: Lamps | None) -> None:
        """The centre's, or a controller's: not both at a time."""
        self._hold_breath()
        if lamps is None:
            if self._may_set_the_centres():
                self._clock_ns, self._clock_set_ns = _off_ns(self._dice, -6, 6), self._t_ns
        elif self._t_ns - self._clock_set_ns > CLOCKS_APART_S * self._speed * NS:
            lamps.set_clock(self._t_ns)

    def _may_set_the_centres(self) -> bool:
        apart_ns = CLOCKS_APART_S * self._speed * NS
        return all(self._t_ns - lamps.clock_set_ns > apart_ns for lamps in self._lamps)


def _off_ns(dice: random.Random, low_s: float, high_s: float) -> int:
    """How far a clock is set from the truth: not at all, a little, or by much."""
    way = dice.choices(range(3), (10, 10, 1))[0]
    off_s = (0.0, dice.uniform(low_s, high_s), dice.uniform(-90, 90))[way]
    return int(off_s * NS)
