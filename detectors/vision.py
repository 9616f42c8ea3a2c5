"""Talks to the vision worker, a child process: hands it the newest picture of each camera.

In come encoded frames; out go the worker's events into the engine. A camera whose picture waits
is given the newer one, and the older is dropped and counted. When the worker dies or says nothing
any more it is started again (`causeway/children.py`); until it has spoken of a camera, that
camera's health is unknown and its incidents are over, since nobody sees them.
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
    CameraHealth,
    CameraHealthObserved,
    IncidentDetected,
    IncidentEnded,
    Reason,
    Rejected,
)
from causeway.frame import EncodedFrame
from causeway.site import Site
from causeway.wire import MessageTooLong, decode_event, encode_frame, pack, read_message

RESTARTS_MAX = 20  # an hour
SILENT_S = 30.0  # of the wall: the worker gives a sign of life each second
JPEG_BYTES_MAX = 2 * 2**20  # docs/INTERFACES.md

log = logging.getLogger(__name__)
Put = Callable[[AnyEvent], Awaitable[asyncio.Future[int]]]


class Vision:
    """The parent's side of the vision worker."""

    def __init__(
        self, site: Site, clock: Clock, put: Put, children: Children, site_folder: Path
    ) -> None:
        self.dropped: Counter[str] = Counter()  # by camera
        self._site = site
        self._clock = clock
        self._put = put
        self._children = children
        self._site_folder = site_folder
        self._newest: dict[str, EncodedFrame] = {}  # by camera; at most one for each of the site's
        self._offered = asyncio.Event()
        self._cameras = frozenset(c.id for c in site.cameras)
        self._incidents: dict[str, None] = {}

    @property
    def waiting(self) -> int:
        """How many pictures have not been handed over yet."""
        return len(self._newest)

    def offer(self, frame: EncodedFrame) -> None:
        """Take a picture; returns at once."""
        if frame.camera not in self._cameras:
            self.dropped["unknown"] += 1
            return
        if frame.camera in self._newest:
            self.dropped[frame.camera] += 1
        self._newest[frame.camera] = frame
        self._offered.set()

    async def run(self) -> None:
        """Until cancelled, or until the worker has died too often."""
        argv = [CAUSEWAY, "vision"]
        argv += ["--site", str(self._site_folder), "--clock", clock_spec(self._clock)]
        child = await self._children.start("vision", argv, pipes=True, restarts_max=RESTARTS_MAX)
        while True:
            runs, reader, writer = child.runs, child.reader, child.writer
            feeding = asyncio.create_task(self._feed(writer))
            try:
                await self._listen(child, reader)
            finally:
                feeding.cancel()
            await self._lose()
            if not await child.again(runs):
                log.error("the vision worker has died too often: cameras stay unknown")
                return

    async def _feed(self, writer: asyncio.StreamWriter) -> None:
        """Hand over what waits, the camera that has waited longest first."""
        while True:
            await self._offered.wait()
            while self._newest:
                frame = self._newest.pop(next(iter(self._newest)))
                if len(frame.jpeg) > JPEG_BYTES_MAX:
                    await self._put(Rejected(source=frame.camera, reason=Reason.OVERSIZED, count=1))
                    continue
                try:
                    writer.write(pack(encode_frame(frame)))
                    await writer.drain()
                except OSError:  # it has died: `_listen` sees the end
                    return
            self._offered.clear()

    async def _listen(self, child: Child, reader: asyncio.StreamReader) -> None:
        """Put its events in until its output ends; one that hangs or babbles is killed."""
        try:
            while (body := await _next_message(reader)) is not None:
                if body:
                    event = decode_event(body)
                    self._note(event)
                    await self._put(event)
        except TimeoutError:
            log.error("the vision worker has said nothing for %.0f s", SILENT_S)
            child.kill()
        except (MessageTooLong, msgspec.DecodeError) as error:
            log.error("the vision worker does not speak the protocol: %s", error)
            child.kill()

    def _note(self, event: AnyEvent) -> None:
        match event:
            case IncidentDetected():
                self._incidents[event.incident] = None
            case IncidentEnded():
                self._incidents.pop(event.incident, None)
            case _:
                pass

    async def _lose(self) -> None:
        """Nobody looks at the pictures now."""
        why, now_ns = "the vision worker has ended", self._clock.now_ns()
        incidents, self._incidents = self._incidents, {}
        for incident in incidents:
            await self._put(IncidentEnded(incident=incident, observed_at_ns=now_ns, why=why))
        for camera in self._site.cameras:
            await self._put(
                CameraHealthObserved(
                    camera=camera.id, health=CameraHealth.UNKNOWN, observed_at_ns=now_ns, why=why
                )
            )


async def _next_message(reader: asyncio.StreamReader) -> bytes | None:
    """What the worker says next; raises TimeoutError where it is silent."""
    async with asyncio.timeout(SILENT_S):
        return await read_message(reader)
