"""Clocks: manual, scaled, and their one-line spec."""

from __future__ import annotations

import asyncio
import time

from hypothesis import given
from hypothesis import strategies as st

from causeway.clock import NS, ManualClock, ScaledClock, WallClock, clock_of, clock_spec


async def test_a_manual_clock_wakes_its_sleepers_in_their_time() -> None:
    clock = ManualClock(5 * NS)
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    sleepers = [asyncio.create_task(sleeper(seconds)) for seconds in (3.0, 1.0, 2.0)]
    await asyncio.sleep(0)
    for expected in ([1.0], [1.0, 2.0], [1.0, 2.0, 3.0]):
        clock.advance(1)
        for _ in range(5):
            await asyncio.sleep(0)
        assert woken == expected
    await asyncio.gather(*sleepers)
    assert clock.now_ns() == 8 * NS


def test_a_scaled_clock_runs_so_many_times_as_fast() -> None:
    wall_ns = time.time_ns()
    clock = ScaledClock(origin_ns=1_000 * NS, wall_origin_ns=wall_ns - 10 * NS, speed=60.0)
    assert 1_600 * NS <= clock.now_ns() < 1_660 * NS


async def test_a_scaled_clock_sleeps_in_its_own_seconds() -> None:
    clock = ScaledClock(origin_ns=0, wall_origin_ns=time.time_ns(), speed=1_000.0)
    before_ns = clock.now_ns()
    await clock.sleep(20)
    assert clock.now_ns() - before_ns >= 19 * NS


def test_processes_told_the_same_spec_read_the_same_time() -> None:
    clock = ScaledClock(1_763_980_800 * NS, 1_764_000_000_123_456_789, 7.5)
    assert clock_of(clock_spec(clock)) == clock


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.floats(0.001, 1_000))
def test_every_scaled_clock_has_a_spec(origin_ns: int, wall_origin_ns: int, speed: float) -> None:
    clock = ScaledClock(origin_ns, wall_origin_ns, speed)
    assert clock_of(clock_spec(clock)) == clock


def test_the_walls_clock_is_the_machines() -> None:
    clock = clock_of("wall")
    assert clock_spec(clock) == "wall"
    assert isinstance(clock, WallClock)
    assert abs(clock.now_ns() - time.time_ns()) < NS
