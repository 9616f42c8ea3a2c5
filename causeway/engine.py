"""The one loop: an input, the cores' answers to it, one journal message, then the edges.

Inputs enter one bounded queue. Each is stepped through every core in a fixed order; answers are
offered to the cores in turn until none has more to say or the cascade limit is reached. The input
and its answers are one step; what acts on the outside world sees a step only after the journal has
acknowledged it.

Laws of this file:
1. `advance` and `replay` do no I/O and read no clock: same inputs, same steps, byte for byte.
2. `at_ns` never goes back.
3. A step that is not journalled has not happened: nobody outside sees it.
4. No input stops the engine: a core that fails at an event has answered it with `CoreFailed`, an
   edge that fails at a step has missed it. Only the journal can stop it; then nobody waits on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec

from causeway.clock import Clock
from causeway.events import Address, AnyEvent, CascadeCut, CoreFailed, EngineStarted, Now, Step
from causeway.wire import encode_step

CASCADE_EVENTS_MAX = 4_096  # answers to one input; far above what a whole city's alarms need
INPUTS_MAX = 1_024
WINDOW_STEPS_MAX = 100  # journal messages in flight

log = logging.getLogger(__name__)


class Core(Protocol):
    """What decides: pure, with a state that can be encoded and restored."""

    @property
    def name(self) -> str: ...

    @property
    def hears(self) -> frozenset[type]:
        """The event types it wants to see."""
        ...

    def step(self, event: AnyEvent, now: Now) -> Iterable[AnyEvent]:
        """Take an event in, give the answers; one without `because` gets the event's address."""
        ...

    def encode(self) -> bytes:
        """The whole state."""
        ...

    def restore(self, state: bytes) -> None:
        """Take up a state that `encode` gave; raises msgspec.DecodeError where it cannot."""
        ...


def advance(
    cores: Sequence[Core],
    event: AnyEvent,
    number: int,
    at_ns: int,
    on_failure: Callable[[Core, Exception], None] | None = None,
) -> tuple[AnyEvent, ...]:
    """The input and all that the cores answer to it, breadth first, in the cores' order.

    `number` is the step's sequence in the journal, from which every answer gets its address.
    `on_failure` is told what a core failed of; the step holds only that it did.
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
            try:
                for answer in core.step(current, now):
                    if answer.because is None:
                        answer = msgspec.structs.replace(answer, because=now.address)
                    events.append(answer)
            except Exception as error:
                failed = CoreFailed(core=core.name, error=type(error).__name__, because=now.address)
                events.append(failed)
                if on_failure is not None:
                    on_failure(core, error)
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


class Replay:
    """Feeds recorded inputs to fresh cores and compares every step, byte for byte.

    With `version`, only steps that this version wrote are compared; the others are still fed.
    `running` is the version that wrote the first ones, where they begin in the middle of a run.
    """

    def __init__(
        self, cores: Sequence[Core], version: str | None = None, running: str = ""
    ) -> None:
        self._cores = cores
        self._version = version
        self._running = running
        self._steps = 0
        self._first_difference: Difference | None = None
        self._changes: list[tuple[int, str]] = []

    def feed(self, number: int, recorded: Step) -> Difference | None:
        """Replay one more step; gives the first difference, at which to stop."""
        first = recorded.events[0]
        if isinstance(first, EngineStarted) and first.version != self._running:
            self._running = first.version
            self._changes.append((number, first.version))
        events = advance(self._cores, first, number, recorded.at_ns)
        replayed = Step(recorded.writer, recorded.at_ns, events)
        self._steps += 1
        comparable = self._version is None or self._running == self._version
        if comparable and encode_step(replayed) != encode_step(recorded):
            self._first_difference = Difference(number, recorded, replayed)
        return self._first_difference

    def found(self) -> Replayed:
        """What came of it so far."""
        return Replayed(self._steps, self._first_difference, tuple(self._changes))


def replay(
    cores: Sequence[Core], steps: Iterable[tuple[int, Step]], version: str | None = None
) -> Replayed:
    """Replay all steps, up to the first difference; see `Replay`."""
    replaying = Replay(cores, version)
    for number, recorded in steps:
        if replaying.feed(number, recorded) is not None:
            break
    return replaying.found()


class Journal(Protocol):
    """What the engine needs of the journal: an append that ends when the step is safe."""

    @property
    def last_step(self) -> int: ...

    @property
    def last_at_ns(self) -> int: ...

    async def append(self, step: Step) -> asyncio.Future[int]:
        """Wait for room, hand the step over in order; the future ends with its number."""
        ...


class _Input(NamedTuple):
    event: AnyEvent
    done: asyncio.Future[int]


class _Flying(NamedTuple):
    """A step that the journal has not acknowledged yet."""

    stored: asyncio.Future[int]
    step: Step
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
        self.core_failures = 0
        self.edge_failures = 0
        self._journal = journal
        self._clock = clock
        self._number = journal.last_step
        self._at_ns = journal.last_at_ns
        self._inputs: asyncio.Queue[_Input | None] = asyncio.Queue(INPUTS_MAX)
        self._flight: asyncio.Queue[_Flying | None] = asyncio.Queue(WINDOW_STEPS_MAX)
        self._edges: list[Callable[[int, Step], None]] = []
        self._closing = False
        self._ended = False
        self._acknowledged = asyncio.Event()

    def show(self, edge: Callable[[int, Step], None]) -> None:
        """From now on, show every acknowledged step to `edge`."""
        self._edges.append(edge)

    async def put(self, event: AnyEvent) -> asyncio.Future[int]:
        """Wait for room in the queue; the future ends with the number of the journalled step.

        It is cancelled where the engine ends first, or takes no more: then the input is not known
        to be journalled.
        """
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._closing or self._ended:
            done.cancel()
            return done
        await self._inputs.put(_Input(event, done))
        if self._ended:
            self._cancel_inputs()
        return done

    async def run(self, on_step: Callable[[int, int], Awaitable[None]] | None = None) -> None:
        """Until `close`. `on_step(number, at_ns)` is called between steps, the cores at rest.

        Raises what the journal fails of. The cores may then be ahead of it: an engine runs once.
        """
        taking = asyncio.create_task(self._take(on_step), name="engine: take")
        acknowledging = asyncio.create_task(self._acknowledge(), name="engine: acknowledge")
        try:
            await _both(taking, acknowledging)
        finally:
            taking.cancel()
            acknowledging.cancel()
            await asyncio.gather(taking, acknowledging, return_exceptions=True)
            self._end()

    async def settled(self) -> int:
        """Wait until the journal has every step taken so far, and the edges have seen it.

        Gives the last such step, which is an earlier one when the engine ends first.
        """
        number = self._number
        while self.acknowledged_step < number and not self._ended:
            self._acknowledged.clear()
            await self._acknowledged.wait()
        return self.acknowledged_step

    async def close(self) -> None:
        """Take no more inputs; `run` ends when those already in are journalled."""
        self._closing = True
        with suppress(asyncio.QueueFull):  # then `_take` is awake anyway
            self._inputs.put_nowait(None)

    async def _take(self, on_step: Callable[[int, int], Awaitable[None]] | None) -> None:
        while not (self._closing and self._inputs.empty()):
            item = await self._inputs.get()
            if item is None or item.done.cancelled():
                continue  # who gave up waiting for it was told that it did not happen
            try:
                await self._step(item)
            except BaseException:
                item.done.cancel()
                raise
            if on_step is not None:
                await on_step(self._number, self._at_ns)
        await self._flight.put(None)

    async def _step(self, item: _Input) -> None:
        self._at_ns = max(self._at_ns, self._clock.now_ns())
        number = self._number + 1
        events = advance(self.cores, item.event, number, self._at_ns, self._core_failed)
        step = Step(self.writer, self._at_ns, events)
        stored = await self._journal.append(step)
        self._number = number
        await self._flight.put(_Flying(stored, step, item.done))

    async def _acknowledge(self) -> None:
        while (flying := await self._flight.get()) is not None:
            try:
                number = await flying.stored
            except BaseException:
                flying.done.cancel()
                raise
            if not flying.done.done():
                flying.done.set_result(number)
            self._show(number, flying.step)
            self.acknowledged_step = number
            self._acknowledged.set()

    def _show(self, number: int, step: Step) -> None:
        for edge in self._edges:
            try:
                edge(number, step)
            except Exception:
                self.edge_failures += 1
                log.exception("an edge has missed step %d: %r", number, edge)

    def _core_failed(self, core: Core, error: Exception) -> None:
        self.core_failures += 1
        log.error("core %s failed at step %d", core.name, self._number + 1, exc_info=error)

    def _end(self) -> None:
        self._ended = True
        self._cancel_inputs()
        while not self._flight.empty():
            if (flying := self._flight.get_nowait()) is not None:
                flying.done.cancel()
        self._acknowledged.set()

    def _cancel_inputs(self) -> None:
        """Also makes room for those who still wait in `put`, and they come here in their turn."""
        while not self._inputs.empty():
            if (item := self._inputs.get_nowait()) is not None:
                item.done.cancel()


async def _both(taking: asyncio.Task[None], acknowledging: asyncio.Task[None]) -> None:
    """Wait for both, or for the first that fails; raises what it failed of."""
    pending = {taking, acknowledging}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.cancelled():
                raise RuntimeError("the journal has dropped a step")  # cancelled its future
            task.result()


def encode_cores(cores: Sequence[Core]) -> dict[str, bytes]:
    """Every core's state by its name, for a snapshot."""
    return {core.name: core.encode() for core in cores}


def restore_cores(cores: Sequence[Core], states: dict[str, bytes]) -> None:
    """Take up a snapshot; raises KeyError or msgspec.DecodeError where it does not fit."""
    for core in cores:
        core.restore(states[core.name])
