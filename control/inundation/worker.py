"""Talks to the parent process by its standard input and output: readings in, forecasts out.

In come framed `ReadingsObserved`; out go framed events, and an empty message each second as a sign
of life. `forecaster.py` decides what the readings mean; this file keeps the time: a forecast on
every five minutes of the centre's clock, the first a minute after the first readings. SWMM keeps
some memory of each run, so that the process ends by itself after `ISSUES_MAX` forecasts and is
started anew.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from causeway.clock import NS, Clock, clock_of
from causeway.events import AnyEvent, InundationForecast, ReadingsObserved
from causeway.priority import give_way
from causeway.site import load_site
from causeway.streams import STREAMS
from causeway.wire import decode_event, encode_event, pack, read_message
from control.inundation.forecaster import Forecaster, ForecastFailed
from control.inundation.hydraulics import RunFailed
from control.inundation.model import DrainageModel, ModelInvalid
from control.inundation.tide_outlook import tide_outlook

PERIOD_S = STREAMS[InundationForecast].period_s or 300.0
FIRST_AFTER_S = 60.0
BUDGET_SHARE = 0.7  # of a period, on the wall
ISSUES_MAX = 100
BEAT_S = 1.0  # of the wall
SETTLED_S = 0.05  # of silence, and nothing more waits
NICE = 10  # what steers comes first
log = logging.getLogger(__name__)


class Worker:
    """The forecaster between two pipes."""

    def __init__(self, forecaster: Forecaster, clock: Clock) -> None:
        self._forecaster = forecaster
        self._clock = clock
        self._due_ns: int | None = None
        self._issued = 0

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Until the parent closes the pipe, or until it is time for a new process."""
        reading = asyncio.create_task(read_message(reader))
        wait_s = BEAT_S
        while self._issued < ISSUES_MAX:
            await asyncio.wait({reading}, timeout=wait_s)
            if reading.done():
                body = reading.result()
                if body is None:
                    return
                self._take(body)
                reading = asyncio.create_task(read_message(reader))
                wait_s = SETTLED_S
            else:  # all that waited has been taken
                self._say(self._due())
                wait_s = BEAT_S
        reading.cancel()

    def _take(self, body: bytes) -> None:
        """One message of the parent's; raises msgspec.DecodeError where it is none."""
        event = decode_event(body)
        if isinstance(event, ReadingsObserved):
            self._forecaster.take(event)
            if self._due_ns is None:
                self._due_ns = self._clock.now_ns() + int(FIRST_AFTER_S * NS)

    def _due(self) -> list[AnyEvent]:
        """The forecast, when its time has come."""
        now_ns = self._clock.now_ns()
        if self._due_ns is None or now_ns < self._due_ns:
            return []
        period_ns = int(PERIOD_S * NS)
        self._due_ns = (now_ns // period_ns + 1) * period_ns
        self._issued += 1
        began_s = time.monotonic()
        ends_s = began_s + BUDGET_SHARE * PERIOD_S / self._clock.speed
        try:
            forecast, points = self._forecaster.issue(now_ns, lambda: time.monotonic() < ends_s)
        except (ForecastFailed, RunFailed) as error:
            log.error("no forecast: %s", error)
            return []
        took_s = round(time.monotonic() - began_s, 2)
        # The river first: what the streets' outlook means depends on it.
        return [*points, msgspec.structs.replace(forecast, took_s=took_s)]

    def _say(self, events: list[AnyEvent]) -> None:
        for event in events:
            sys.stdout.buffer.write(pack(encode_event(event)))
        sys.stdout.buffer.write(pack(b""))
        sys.stdout.buffer.flush()


def worker_main(site_folder: Path, clock_spec: str) -> None:
    """What `causeway forecast` runs; ends when its standard input does."""
    give_way(NICE)
    site = load_site(site_folder)
    file = site_folder / str(site.drainage_model)
    try:
        model = DrainageModel(file.read_text()).with_jammed(site.jammed_flaps)
    except ModelInvalid as error:
        sys.exit(f"{file.name}: {error}")
    unknown = sorted(set(site.jammed_flaps) - set(model.conduits))
    if unknown:
        sys.exit(f"site.toml: jammed_flaps: no conduit {unknown[0]!r} in {file.name}")
    with tempfile.TemporaryDirectory(prefix="causeway-forecast-") as folder:
        forecaster = Forecaster(site, model, tide_outlook(site), Path(folder))
        try:
            asyncio.run(_on_stdin(Worker(forecaster, clock_of(clock_spec))))
        except msgspec.DecodeError as error:
            sys.exit(f"the parent does not speak the protocol: {error}")


async def _on_stdin(worker: Worker) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    await worker.run(reader)
