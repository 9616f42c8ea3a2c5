"""Talks to the parent process by its standard input and output: pictures in, events out.

In come framed `EncodedFrame` messages (`causeway/wire.py`); out go framed events, and an empty
message each second as a sign of life. Pictures come from outside and are decoded here, in a
process of their own that may die of one. `watch.py` decides what they mean; this file only keeps
the time: a camera that has sent nothing for the stream's staleness is lost.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import cv2
import msgspec

from causeway.clock import NS, Clock, clock_of
from causeway.events import AnyEvent, Reason, Rejected
from causeway.frame import EncodedFrame
from causeway.site import Site, load_site
from causeway.streams import STREAMS
from causeway.wire import decode_frame, encode_event, pack, read_message
from detectors.jpeg import decoded
from detectors.watch import CameraWatch

BEAT_S = 1.0  # of the wall
REJECTED_EVERY_BEATS = 5  # the first at once, the rest summed up
OVERTAKEN_S = 10.0  # a frame that is older still says that the camera's clock was set back


class Worker:
    """The detectors of all cameras, between two pipes."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self._clock = clock
        self._watches = {c.id: CameraWatch(c) for c in site.cameras}
        self._heard_at_ns = dict.fromkeys(self._watches, clock.now_ns())
        self._observed_at_ns = dict.fromkeys(self._watches, 0)
        self._rejected: Counter[tuple[str, Reason]] = Counter()
        self._beats = 0
        stale_s = STREAMS[EncodedFrame].stale_s or 0.0
        self._silent_s = stale_s * max(1.0, clock.speed)  # a camera needs real time

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Until the parent closes the pipe."""
        reading = asyncio.create_task(read_message(reader))
        beat_at_s = asyncio.get_running_loop().time() + BEAT_S
        while True:
            left_s = beat_at_s - asyncio.get_running_loop().time()
            await asyncio.wait({reading}, timeout=max(0.0, left_s))
            if reading.done():
                body = reading.result()
                if body is None:
                    return
                self._say(self.take(body))
                reading = asyncio.create_task(read_message(reader))
            if asyncio.get_running_loop().time() >= beat_at_s:
                beat_at_s = asyncio.get_running_loop().time() + BEAT_S
                self._say(self.beat())
                sys.stdout.buffer.write(pack(b""))
                sys.stdout.buffer.flush()

    def take(self, body: bytes) -> list[AnyEvent]:
        """One message of the parent's."""
        try:
            encoded = decode_frame(body)
        except msgspec.DecodeError:
            return self._reject("vision", Reason.MALFORMED)
        watch = self._watches.get(encoded.camera)
        if watch is None:
            return self._reject(encoded.camera, Reason.UNKNOWN_ASSET)
        self._heard_at_ns[encoded.camera] = self._clock.now_ns()
        ahead_s = (self._observed_at_ns[encoded.camera] - encoded.observed_at_ns) / NS
        if 0 <= ahead_s < OVERTAKEN_S:
            return self._reject(encoded.camera, Reason.LATE)
        self._observed_at_ns[encoded.camera] = encoded.observed_at_ns
        frame = decoded(encoded)
        if frame is None:
            rejected = self._reject(encoded.camera, Reason.UNDECODABLE_FRAME)
            return rejected + watch.undecodable(encoded.observed_at_ns)
        return watch.see(frame)

    def beat(self) -> list[AnyEvent]:
        """A second of the wall has passed."""
        self._beats += 1
        now_ns = self._clock.now_ns()
        events: list[AnyEvent] = []
        for camera, heard_at_ns in self._heard_at_ns.items():
            silent_s = (now_ns - heard_at_ns) / NS
            if silent_s > self._silent_s:
                events += self._watches[camera].silent(now_ns, silent_s)
        if self._beats % REJECTED_EVERY_BEATS == 0:
            events += [
                Rejected(source=source, reason=reason, count=count)
                for (source, reason), count in self._rejected.items()
                if count
            ]
            self._rejected.clear()
        return events

    def _reject(self, source: str, reason: Reason) -> list[AnyEvent]:
        """The first of a kind is said at once; those that follow are counted and said together."""
        if (source, reason) in self._rejected:
            self._rejected[source, reason] += 1
            return []
        self._rejected[source, reason] = 0
        return [Rejected(source=source, reason=reason, count=1)]

    def _say(self, events: list[AnyEvent]) -> None:
        for event in events:
            sys.stdout.buffer.write(pack(encode_event(event)))
        if events:
            sys.stdout.buffer.flush()


def worker_main(site_folder: Path, clock_spec: str) -> None:
    """What `causeway vision` runs; ends when its standard input does."""
    cv2.setNumThreads(1)
    worker = Worker(load_site(site_folder), clock_of(clock_spec))
    asyncio.run(_on_stdin(worker))


async def _on_stdin(worker: Worker) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    await worker.run(reader)
