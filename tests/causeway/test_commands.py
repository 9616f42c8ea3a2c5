from __future__ import annotations

import asyncio

from causeway.clock import ManualClock, WallClock
from causeway.commands import CommandEdge
from causeway.events import Address, AnyCommand, AnyEvent, CommandExpired, StageCommanded, Step

NS = 1_000_000_000


async def test_an_edge_ends_when_it_is_told_to_just_as_a_device_takes_a_command() -> None:
    clock, loop = WallClock(), asyncio.get_running_loop()

    async def put(_event: AnyEvent) -> asyncio.Future[int]:
        journalled = loop.create_future()
        journalled.set_result(1)
        return journalled

    async def write(_command: AnyCommand, _address: Address) -> None:
        taken = loop.create_future()

        def take_and_end() -> None:
            taken.set_result(None)
            running.cancel()

        loop.call_soon(take_and_end)
        async with asyncio.timeout(2):  # as the roads do, around a library that uses wait_for
            await asyncio.wait_for(taken, 3)

    edge = CommandEdge(lambda _: True, write, put, clock)
    command = StageCommanded(
        junction="j-1",
        stage="n-s",
        sequence=1,
        issued_at_ns=clock.now_ns(),
        expires_at_ns=clock.now_ns() + 10 * NS,
    )
    edge.show(1, Step(writer="w", at_ns=clock.now_ns(), events=(command,)))
    running = asyncio.create_task(edge.run())
    done, _ = await asyncio.wait({running}, timeout=30)
    running.cancel()
    assert done


async def test_a_command_made_before_the_clock_was_set_back_never_leaves() -> None:
    clock = ManualClock(100 * NS)
    said: asyncio.Queue[AnyEvent] = asyncio.Queue()

    async def put(event: AnyEvent) -> asyncio.Future[int]:
        said.put_nowait(event)
        journalled = asyncio.get_running_loop().create_future()
        journalled.set_result(1)
        return journalled

    async def write(_command: AnyCommand, _address: Address) -> None:
        raise AssertionError("it has left")

    edge = CommandEdge(lambda _: True, write, put, clock)
    command = StageCommanded(
        junction="j-1",
        stage="n-s",
        sequence=1,
        issued_at_ns=700 * NS,
        expires_at_ns=702 * NS,
    )
    edge.show(1, Step(writer="w", at_ns=700 * NS, events=(command,)))
    running = asyncio.create_task(edge.run())
    async with asyncio.timeout(30):
        assert type(await said.get()) is CommandExpired
    running.cancel()
