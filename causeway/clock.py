"""What time it is: the wall's clock, a scaled one for simulations, a manual one for tests.

Only edges and `app` hold a Clock; what decides learns the time from its step. A scaled clock is two
origins and a speed, so that every process of a simulation, told the same three numbers (`spec`),
reads the same time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

NS = 1_000_000_000


class Clock(Protocol):
    """The time in nanoseconds since the Unix epoch, and a sleep in this clock's seconds."""

    @property
    def speed(self) -> float:
        """Seconds of this clock in a second of the wall's."""
        ...

    def now_ns(self) -> int: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class WallClock:
    """The machine's clock."""

    speed: float = 1.0

    def now_ns(self) -> int:
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class ScaledClock:
    """`origin_ns` at the wall's `wall_origin_ns`, and `speed` times as fast since then."""

    origin_ns: int
    wall_origin_ns: int
    speed: float

    def now_ns(self) -> int:
        return self.origin_ns + int((time.time_ns() - self.wall_origin_ns) * self.speed)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


class ManualClock:
    """Stands still until it is told to go on."""

    speed = 1.0

    def __init__(self, at_ns: int = 0) -> None:
        self._at_ns = at_ns
        self._moved = asyncio.Event()

    def now_ns(self) -> int:
        return self._at_ns

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass; wakes whoever sleeps."""
        self._at_ns += int(seconds * NS)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep(self, seconds: float) -> None:
        until_ns = self._at_ns + int(seconds * NS)
        while self._at_ns < until_ns:
            await self._moved.wait()


def clock_spec(clock: Clock) -> str:
    """A clock as one command-line argument: `wall`, or `ORIGIN_NS:WALL_ORIGIN_NS:SPEED`."""
    if isinstance(clock, ScaledClock):
        return f"{clock.origin_ns}:{clock.wall_origin_ns}:{clock.speed}"
    return "wall"


def clock_of(spec: str) -> Clock:
    """The clock that a `clock_spec` names."""
    if spec == "wall":
        return WallClock()
    origin_ns, wall_origin_ns, speed = spec.split(":")
    return ScaledClock(int(origin_ns), int(wall_origin_ns), float(speed))
