"""The one loop: an input, the cores' answers to it, one journal message, then the edges.

Inputs enter one bounded queue. Each is stepped through every core in a fixed order; answers are
offered to the cores in turn until none has more to say or the cascade limit is reached. The input and
its answers are one step; what acts on the outside world sees a step only after the journal has
acknowledged it.

Laws of this file:
1. `advance` and `replay` do no I/O and read no clock: same inputs, same steps, byte for byte.
2. `at_ns` never goes back.
3. A step that is not journalled has not happened: nobody outside sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from causeway.clock import Clock
from causeway.events import Address, AnyEvent, CascadeCut, EngineStarted, Now, Step
from causeway.wire import encode_step

CASCADE_EVENTS_MAX = 4_096  # answers to one input; far above what a whole city's alarms need
INPUTS_MAX = 1_024
WINDOW_STEPS_MAX = 100  # journal messages in flight


class Core(Protocol):
    """What decides: pure, with a state that can be encoded and restored."""

    @property
    def name(self) -> str: ...

    @property
    def hears(self) -> frozenset[type]:
        """The event types it wants to see."""
        ...

    def step(self, event: AnyEvent, now: Now) -> Iterable[AnyEvent]:
        """Take one event in, give the answers. Answers without `because` get the event's address."""
        ...

    def encode(self) -> bytes:
        """The whole state."""
        ...

    def restore(self, state: bytes) -> None:
        """Take up a state that `encode` gave; raises msgspec.DecodeError where it cannot be read."""
        ...


def advance(cores: Sequence[Core], event: AnyEvent, number: int, at_ns: int) -> tuple[AnyEvent, ...]:
    """The input and all that the cores answer to it, breadth first, in the cores' order.

    `number` is the step's sequence in the journal, from which every answer gets its address.
    """
    events: list[AnyEvent] = [event]
    heard = 0
    while heard < len(events):
        if len(events) > CASCADE_EVENTS_MAX:
            because = Address(number, heard)
            events.append(CascadeCut(unanswered=len(events) - heard, because=because))
            break
        current = events[heard]
        now = Now(at_ns, Address(number, heard))
        for core in cores:
            if type(current) not in core.hears:
                continue
            for answer in core.step(current, now):
                if answer.because is None:
                    answer = msgspec.structs.replace(answer, because=now.address)
                events.append(answer)
        heard += 1
    return tuple(events)


class Difference(NamedTuple):
    """Where a replay gave other bytes than the journal holds."""

    number: int
    recorded: Step
    replayed: Step


class Replayed(NamedTuple):
    """What a replay found. `version_changes` are the steps at which another program wrote on."""

    steps: int
    first_difference: Difference | None
    version_changes: tuple[tuple[int, str], ...]


def replay(
    cores: Sequence[Core], steps: Iterable[tuple[int, Step]], version: str | None = None
) -> Replayed:
    """Feed the recorded inputs to fresh cores and compare every step, byte for byte.

    With `version`, only steps that this version wrote are compared; the others are still fed.
    Stops at the first difference.
    """
    count = 0
    running = ""
    changes: list[tuple[int, str]] = []
    for number, recorded in steps:
        first = recorded.events[0]
        if isinstance(first, EngineStarted) and first.version != running:
            running = first.version
            changes.append((number, running))
        replayed = Step(
            recorded.writer, recorded.at_ns, advance(cores, first, number, recorded.at_ns)
        )
        count += 1
        comparable = version is None or running == version
        if comparable and encode_step(replayed) != encode_step(recorded):
            return Replayed(count, Difference(number, recorded, replayed), tuple(changes))
    return Replayed(count, None, tuple(changes))


class Journal(Protocol):
    """What the engine needs of the journal: an append that ends when the step is safe."""

    @property
    def last_step(self) -> int: ...

    @property
    def last_at_ns(self) -> int: ...

    async def append(self, step: Step) -> asyncio.Future[int]:
        """Wait for room in the window, hand the step over in order; the future ends with its number."""
        ...


class _Input(NamedTuple):
    event: AnyEvent
    done: asyncio.Future[int]


class Engine:
    """Takes inputs in, steps the cores, journals, and shows the edges what has been journalled.

    An edge is a function of (number, step), called in order, that must return at once: what it does
    outside waits in a bounded queue of its own, so that a slow edge never holds the engine.
    """

    def __init__(
        self,
        cores: Sequence[Core],
        journal: Journal,
        clock: Clock,
        writer: str,
    ) -> None:
        self.cores = cores
        self.writer = writer
        self.acknowledged_step = journal.last_step
        self._journal = journal
        self._clock = clock
        self._number = journal.last_step
        self._at_ns = journal.last_at_ns
        self._inputs: asyncio.Queue[_Input | None] = asyncio.Queue(INPUTS_MAX)
        self._flight: asyncio.Queue[tuple[asyncio.Future[int], Step, _Input] | None] = asyncio.Queue(
            WINDOW_STEPS_MAX
        )
        self._edges: list[Callable[[int, Step], None]] = []
        self._closing = False

    def show(self, edge: Callable[[int, Step], None]) -> None:
        """From now on, show every acknowledged step to `edge`."""
        self._edges.append(edge)

    async def put(self, event: AnyEvent) -> asyncio.Future[int]:
        """Wait for room in the queue; the future ends with the number of the journalled step."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._closing:
            done.cancel()
            return done
        await self._inputs.put(_Input(event, done))
        return done

    async def run(self, on_step: Callable[[int, int], Awaitable[None]] | None = None) -> None:
        """Until `close`. `on_step(number, at_ns)` is called between steps, the cores at rest."""
        acknowledging = asyncio.create_task(self._acknowledge())
        try:
            while (item := await self._next(acknowledging)) is not None:
                self._at_ns = max(self._at_ns, self._clock.now_ns())
                events = advance(self.cores, item.event, self._number + 1, self._at_ns)
                step = Step(self.writer, self._at_ns, events)
                future = await self._journal.append(step)
                self._number += 1
                await self._flight.put((future, step, item))
                if on_step is not None:
                    await on_step(self._number, self._at_ns)
            await self._flight.put(None)
            await acknowledging
        finally:
            acknowledging.cancel()
            for waiting in self._drain():
                waiting.done.cancel()

    async def settled(self) -> int:
        """Wait until the journal has every step taken so far; its number."""
        while self.acknowledged_step < self._number:
            await asyncio.sleep(0.002)
        return self.acknowledged_step

    async def close(self) -> None:
        """Take no more inputs; `run` ends when those already in are journalled."""
        self._closing = True
        await self._inputs.put(None)

    async def _next(self, acknowledging: asyncio.Task[None]) -> _Input | None:
        """The next input; raises what the acknowledging task died of."""
        getting = asyncio.ensure_future(self._inputs.get())
        await asyncio.wait({getting, acknowledging}, return_when=asyncio.FIRST_COMPLETED)
        if acknowledging.done():
            getting.cancel()
            acknowledging.result()
        return await getting

    async def _acknowledge(self) -> None:
        while (flying := await self._flight.get()) is not None:
            future, step, item = flying
            number = await future
            self.acknowledged_step = number
            if not item.done.done():
                item.done.set_result(number)
            for edge in self._edges:
                edge(number, step)

    def _drain(self) -> Iterator[_Input]:
        while not self._flight.empty():
            if (flying := self._flight.get_nowait()) is not None:
                yield flying[2]
        while not self._inputs.empty():
            if (item := self._inputs.get_nowait()) is not None:
                yield item


def encode_cores(cores: Sequence[Core]) -> dict[str, bytes]:
    """Every core's state by its name, for a snapshot."""
    return {core.name: core.encode() for core in cores}


def restore_cores(cores: Sequence[Core], states: dict[str, bytes]) -> None:
    """Take up a snapshot; raises KeyError or msgspec.DecodeError where it does not fit."""
    for core in cores:
        core.restore(states[core.name])
