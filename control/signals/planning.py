"""Talks to the signal planner, a child process: hands it the newest of each tracker and controller.

In come tracks, and the journalled steps with the controllers' states and the centre's own stage
commands; out go the planner's events into the engine. A report that waits is given way to a newer
one of its junction. When the child dies or says nothing any more it is started again
(`causeway/children.py`); until it plans again the junctions are told that there is no plan, and
`adaptive.py` lets them go on by the simpler rule.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from causeway.children import CAUSEWAY, Child, Children
from causeway.clock import Clock, clock_spec
from causeway.events import (
    AnyEvent,
    SignalsObserved,
    SignalState,
    SourceLost,
    SourceReached,
    StageCommanded,
    StagePlanningLost,
    Step,
)
from causeway.tracks import Tracks
from causeway.wire import MessageTooLong, decode_event, encode_tracks, pack, read_message

NAME = "signal-planner"
RESTARTS_MAX = 20  # an hour
SILENT_S = 15.0  # of the wall: the worker gives a sign of life each second
COMPILES_S = 180.0  # until its first word: numba compiles at the very first start

log = logging.getLogger(__name__)
Put = Callable[[AnyEvent], Awaitable[asyncio.Future[int]]]


class Planning:
    """The parent's side of the signal planner."""

    def __init__(self, clock: Clock, put: Put, children: Children, site_folder: Path) -> None:
        self.dropped: Counter[str] = Counter()  # by junction
        self._clock = clock
        self._put = put
        self._children = children
        self._site_folder = site_folder
        # The newest of each junction; at most one for each of the site's.
        self._tracks: dict[str, Tracks] = {}
        self._states: dict[str, SignalState] = {}
        self._commands: dict[str, StageCommanded] = {}
        self._offered = asyncio.Event()

    def offer(self, tracks: Tracks) -> None:
        """Take what a tracker saw; returns at once."""
        if tracks.junction in self._tracks:
            self.dropped[tracks.junction] += 1
        self._tracks[tracks.junction] = tracks
        self._offered.set()

    def show(self, number: int, step: Step) -> None:
        """A step that the journal has."""
        for event in step.events:
            match event:
                case SignalsObserved():
                    self._states.update((s.junction, s) for s in event.states)
                case StageCommanded():
                    self._commands[event.junction] = event
                case _:
                    pass

    async def run(self) -> None:
        """Until cancelled, or until the worker has died too often."""
        argv = [CAUSEWAY, NAME]
        argv += ["--site", str(self._site_folder), "--clock", clock_spec(self._clock)]
        child = await self._children.start(NAME, argv, pipes=True, restarts_max=RESTARTS_MAX)
        await self._lose("the signal planner is starting")
        while True:
            runs, reader, writer = child.runs, child.reader, child.writer
            feeding = asyncio.create_task(self._feed(writer))
            try:
                await self._listen(child, reader)
            finally:
                feeding.cancel()
            why = "the signal planner has ended"
            await self._put(SourceLost(source=NAME, why=why))
            await self._lose(why)
            if not await child.again(runs):
                await self._lose(f"{why} too often")
                log.error("the signal planner has died too often: the greedy rule goes on")
                return

    async def _lose(self, why: str) -> None:
        """Nobody plans now."""
        await self._put(StagePlanningLost(junctions=(), why=why))

    async def _feed(self, writer: asyncio.StreamWriter) -> None:
        """Hand over what waits: first what the controllers show, then what the trackers saw."""
        while True:
            await self._offered.wait()
            while self._tracks:
                tracks = self._tracks.pop(next(iter(self._tracks)))
                bodies = []
                if self._states:
                    states = tuple(self._states.values())
                    self._states.clear()
                    bodies.append(encode_tracks(SignalsObserved(states=states)))
                bodies += [encode_tracks(command) for command in self._commands.values()]
                self._commands.clear()
                bodies.append(encode_tracks(tracks))
                try:
                    writer.writelines(map(pack, bodies))
                    await writer.drain()
                except OSError:  # it has died: `_listen` sees the end
                    return
            self._offered.clear()

    async def _listen(self, child: Child, reader: asyncio.StreamReader) -> None:
        """Put its events in until its output ends; one that hangs or babbles is killed."""
        patience_s = COMPILES_S
        try:
            while (body := await _next_message(reader, patience_s)) is not None:
                if patience_s == COMPILES_S:
                    patience_s = SILENT_S
                    await self._put(SourceReached(source=NAME))
                if body:
                    await self._put(decode_event(body))
        except TimeoutError:
            log.error("the signal planner has said nothing for %.0f s", patience_s)
            child.kill()
        except (MessageTooLong, msgspec.DecodeError) as error:
            log.error("the signal planner does not speak the protocol: %s", error)
            child.kill()


async def _next_message(reader: asyncio.StreamReader, within_s: float) -> bytes | None:
    """What the worker says next; raises TimeoutError where it is silent."""
    async with asyncio.timeout(within_s):
        return await read_message(reader)
