"""Takes commands from the journal to the field, each at most once and never late.

In come acknowledged steps; for each command of the types that an edge serves, first `CommandSent`
goes into the journal, and only after its acknowledgement does the command leave by `write`. A
command whose time is over is answered by `CommandExpired` and never leaves.
`scada/confirmations.py` follows.

Laws of this file:
1. Nothing leaves before the journal holds that it is leaving: a crash in between makes the state
   unknown, which the confirmations say, and never repeats a command.
2. An edge starts empty: what was commanded before a restart is not in its queue, and is never sent.
3. The queue has a bound; a command that does not fit expires loudly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast, get_args

from causeway.cancellation import heed_cancellation
from causeway.clock import Clock
from causeway.events import (
    Address,
    AnyCommand,
    AnyEvent,
    CommandAnswered,
    CommandExpired,
    CommandSent,
    Step,
    target_of,
)
from causeway.streams import STREAMS

COMMAND_TYPES: tuple[type, ...] = get_args(AnyCommand)
AHEAD_NS_MAX = 1_000_000_000
QUEUE_MAX = STREAMS[COMMAND_TYPES[0]].bound

Put = Callable[[AnyEvent], Awaitable[asyncio.Future[int]]]
Write = Callable[[AnyCommand, Address], Awaitable[None]]

log = logging.getLogger(__name__)


class NotSent(Exception):
    """A command could not be handed to the field; the text says what was seen."""


class _Waiting(NamedTuple):
    command: AnyCommand
    address: Address


class CommandEdge:
    """One road to the field. `show` is the engine's edge; `run` sends, in order."""

    def __init__(
        self,
        serves: Callable[[AnyCommand], bool],
        write: Write,
        put: Put,
        clock: Clock,
    ) -> None:
        self._serves = serves
        self._write = write
        self._put = put
        self._clock = clock
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_MAX)
        self._overflowed: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_MAX)
        self.dropped = 0

    def show(self, number: int, step: Step) -> None:
        """Queue the step's commands that this edge serves; returns at once."""
        for index, event in enumerate(step.events):
            if not isinstance(event, COMMAND_TYPES):
                continue
            command = cast(AnyCommand, event)
            if not self._serves(command):
                continue
            waiting = _Waiting(command, Address(number, index))
            try:
                self._queue.put_nowait(waiting)
            except asyncio.QueueFull:
                self._overflow(waiting)

    def _overflow(self, waiting: _Waiting) -> None:
        try:
            self._overflowed.put_nowait(waiting)
        except asyncio.QueueFull:
            self.dropped += 1
            log.error("command %s to %s dropped", waiting.address, target_of(waiting.command))

    async def run(self) -> None:
        """Send what is queued, and expire what did not fit."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_all())
            tasks.create_task(self._expire_all())

    async def _send_all(self) -> None:
        while True:
            waiting = await self._queue.get()
            if self._late(waiting.command):
                await self._expire(waiting, "its time was over before it could be sent")
                continue
            await (await self._put(_sent(waiting)))
            if self._late(waiting.command):
                log.warning("command %s: too late after journalling", waiting.address)
                continue  # the device would refuse it; the confirmations call it unconfirmed
            try:
                await self._write(waiting.command, waiting.address)
            except NotSent as error:
                await self._put(self._unsent(waiting, str(error)))
            heed_cancellation()

    async def _expire_all(self) -> None:
        while True:
            await self._expire(await self._overflowed.get(), f"over {QUEUE_MAX} commands wait")

    def _unsent(self, waiting: _Waiting, why: str) -> CommandAnswered:
        """What the confirmations are to know of a command that found no road."""
        return CommandAnswered(
            target=target_of(waiting.command),
            sequence=waiting.command.sequence,
            accepted=False,
            result=f"not sent: {why}",
            observed_at_ns=self._clock.now_ns(),
            because=waiting.address,
        )

    def _late(self, command: AnyCommand) -> bool:
        """Also one of a later time: the clock has been set back, and it would live for too long."""
        now_ns = self._clock.now_ns()
        return now_ns >= command.expires_at_ns or command.issued_at_ns > now_ns + AHEAD_NS_MAX

    async def _expire(self, waiting: _Waiting, why: str) -> None:
        expired = CommandExpired(
            command=waiting.address,
            target=target_of(waiting.command),
            sequence=waiting.command.sequence,
            why=why,
            because=waiting.address,
        )
        await self._put(expired)


def _sent(waiting: _Waiting) -> CommandSent:
    return CommandSent(
        command=waiting.address,
        target=target_of(waiting.command),
        sequence=waiting.command.sequence,
        because=waiting.address,
    )
