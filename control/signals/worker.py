"""Talks to the parent process by its standard input and output: reports in, plans out.

In come framed `Tracks`, `SignalsObserved` and `StageCommanded` (`causeway/wire.py`); out go framed
events, and an empty message each second as a sign of life. `watching.py` decides what they mean;
this file keeps the time, and says which trackers have fallen silent. What numba has to compile is
compiled before the first word, and kept on disk for the next start.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from causeway.clock import NS, Clock, clock_of
from causeway.events import (
    AnyEvent,
    SignalsMeasured,
    SignalsObserved,
    StageCommanded,
    StagePlan,
    StagePlanningLost,
    StagesPlanned,
)
from causeway.site import Site, load_site
from causeway.streams import STREAMS
from causeway.tracks import Tracks
from causeway.wire import decode_tracks, encode_event, pack, read_message
from control.signals.watching import Watching

GATHER_S = 0.2  # of the wall: so long a plan waits for others to share its step
BEAT_S = 1.0  # of the wall
log = logging.getLogger(__name__)
MEASURES_S = STREAMS[SignalsMeasured].period_s or 10.0


class Worker:
    """The planner of all junctions, between two pipes."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self._clock = clock
        stretch = max(1.0, clock.speed)  # trackers and controllers need real time
        self._watching = Watching(site, stretch)
        self._plans: dict[str, StagePlan] = {}
        self._heard_at_ns = dict.fromkeys(self._watching.junctions, clock.now_ns())
        self._silent: set[str] = set()
        self._failed: set[str] = set()
        self._lost: list[tuple[str, str]] = []  # junctions that ceased to be planned, and why
        self._measured_at_ns = clock.now_ns()
        self._silent_s = (STREAMS[Tracks].stale_s or 5.0) * stretch

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Until the parent closes the pipe."""
        self._watching.warm_up()
        self._say(self._unusable())
        loop = asyncio.get_running_loop()
        reading = asyncio.create_task(read_message(reader))
        due_at_s = beat_at_s = loop.time()
        while True:
            await asyncio.wait({reading}, timeout=max(0.0, due_at_s - loop.time()))
            if reading.done():
                body = reading.result()
                if body is None:
                    return
                self.take(body)
                reading = asyncio.create_task(read_message(reader))
            if loop.time() >= due_at_s:
                due_at_s = loop.time() + GATHER_S
                self._say(self.due())
            if loop.time() >= beat_at_s:
                beat_at_s = loop.time() + BEAT_S
                sys.stdout.buffer.write(pack(b""))
                sys.stdout.buffer.flush()

    def take(self, body: bytes) -> None:
        """One message of the parent's; raises msgspec.DecodeError where it is none."""
        now_ns = self._clock.now_ns()
        match decode_tracks(body):
            case Tracks() as tracks:
                self._heard_at_ns[tracks.junction] = now_ns
                self._silent.discard(tracks.junction)
                self._plan(tracks, now_ns)
            case SignalsObserved() as observed:
                for state in observed.states:
                    self._watching.signal(state, now_ns)
            case StageCommanded() as command:
                self._watching.commanded(command.junction, command.stage)

    def _plan(self, tracks: Tracks, now_ns: int) -> None:
        """One junction's error must not take the plans of all others with it."""
        try:
            plan = self._watching.tracks(tracks, now_ns)
        except Exception as error:
            if tracks.junction not in self._failed:
                self._failed.add(tracks.junction)
                log.exception("%s cannot be planned", tracks.junction)
                self._lost.append((tracks.junction, f"planning fails: {type(error).__name__}"))
            return
        self._failed.discard(tracks.junction)
        if plan is not None:
            self._plans[plan.junction] = plan

    def due(self) -> list[AnyEvent]:
        """What has come together since the last time."""
        now_ns = self._clock.now_ns()
        events: list[AnyEvent] = []
        if self._plans:
            events.append(StagesPlanned(plans=tuple(self._plans.values())))
            self._plans.clear()
        if now_ns - self._measured_at_ns >= MEASURES_S * NS:
            self._measured_at_ns = now_ns
            measures = self._watching.measured(now_ns)
            events += [SignalsMeasured(measures=measures)] if measures else []
        silent = [
            junction
            for junction in self._watching.junctions
            if now_ns - self._heard_at_ns[junction] > self._silent_s * NS
            and junction not in self._silent
        ]
        events += [StagePlanningLost(junctions=(id_,), why=why) for id_, why in self._lost]
        self._lost.clear()
        if silent:
            self._silent.update(silent)
            why = f"the tracker has been silent for {self._silent_s:.0f} s"
            events.append(StagePlanningLost(junctions=tuple(silent), why=why))
        return events

    def _unusable(self) -> list[AnyEvent]:
        return [
            StagePlanningLost(junctions=(junction,), why=f"no layout: {why}")
            for junction, why in self._watching.unusable.items()
        ]

    def _say(self, events: list[AnyEvent]) -> None:
        for event in events:
            sys.stdout.buffer.write(pack(encode_event(event)))
        if events:
            sys.stdout.buffer.flush()


def worker_main(site_folder: Path, clock_spec: str) -> None:
    """What `causeway signal-planner` runs; ends when its standard input does."""
    worker = Worker(load_site(site_folder), clock_of(clock_spec))
    try:
        asyncio.run(_on_stdin(worker))
    except msgspec.DecodeError as error:
        sys.exit(f"the parent does not speak the protocol: {error}")


async def _on_stdin(worker: Worker) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    await worker.run(reader)
