"""Measures the road in: `causeway bench ingest`.

A publisher in another process sends readings at QoS 1 to the embedded broker; `Telemetry` receives,
the engine steps them through the product's own cores, JetStream journals, the broker gets its
PUBACK. As fast as that goes says the throughput; at a city's pace the time from a device's clock to
the journal's acknowledgement. Beside it, as the baseline, a bare subscriber acknowledges each
message as it comes and does nothing with it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from mqttium.api import AsyncClient, PublishMessage

from benchmarks.city import city
from causeway.centre import cores_of
from causeway.children import Children
from causeway.clock import WallClock
from causeway.engine import Engine
from causeway.events import ReadingsObserved, Step
from causeway.journal import JetStreamJournal
from causeway.servers import Nats, start_nats
from causeway.site import Site
from ingest.mqtt import FILTERS, WINDOW_MAX, Telemetry, broker_of
from ingest.payloads import ROOT

MESSAGES = {1: 12_000, 50: 2_500}  # by the readings in each
PACED_MESSAGES = {1: 2_500, 50: 500}
PACED_PER_S = {1: 500, 50: 100}
URL = "CAUSEWAY_BENCH_MQTT_URL"
PEER = "import asyncio; from benchmarks.ingest import publish; asyncio.run(publish())"
DONE_S_MAX = 60.0


def ingest_bench() -> dict[str, object]:
    """Each shape of message as fast as it goes, at a city's pace, and to the bare subscriber."""
    return asyncio.run(_bench())


async def _bench() -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as name:
        folder = Path(name)
        children = Children(folder / "log")
        try:
            nats = await start_nats(children, folder)
            trial = _Trial(children, nats, city())
            return {
                f"{readings}_readings_a_message": await trial.measure(readings)
                for readings in MESSAGES
            }
        finally:
            await children.stop_all()


# --- receiving ---------------------------------------------------------------------------------


class _Flow(NamedTuple):
    """So many messages, from the first one's arrival to the last one's acknowledgement."""

    messages: int
    wall_s: float
    cpu_s: float


class _Trial:
    """One broker, on which each measure has a session of its own."""

    def __init__(self, children: Children, nats: Nats, site: Site) -> None:
        self._children = children
        self._nats = nats
        self._site = site
        self._broker = broker_of(nats.mqtt_url_centre)
        self._sessions = 0

    async def measure(self, readings: int) -> dict[str, object]:
        async with self._centre() as centre:
            fast = await self._flow(centre.seen, MESSAGES[readings], readings)
            gathered, taken = centre.messages_per_step(), len(centre.ages_ms)
        async with self._centre() as centre:
            await self._flow(centre.seen, PACED_MESSAGES[readings], readings, PACED_PER_S[readings])
            p50_ms, p95_ms = np.percentile(centre.ages_ms, [50, 95])
        async with self._bare() as seen:
            bare = await self._flow(seen, MESSAGES[readings], readings)
        return {
            "messages_per_s": round(fast.messages / fast.wall_s),
            "readings_per_s": round(fast.messages * readings / fast.wall_s),
            "cpu_us_per_message": round(fast.cpu_s / fast.messages * 1e6),
            "messages_per_step": gathered,
            "readings_taken": round(taken / (MESSAGES[readings] * readings), 4),
            "paced_messages_per_s": PACED_PER_S[readings],
            "acknowledged_ms_p50": round(float(p50_ms), 1),
            "acknowledged_ms_p95": round(float(p95_ms), 1),
            "baseline": "a subscriber that acknowledges and does nothing",
            "baseline_messages_per_s": round(bare.messages / bare.wall_s),
            "baseline_cpu_us_per_message": round(bare.cpu_s / bare.messages * 1e6),
        }

    async def _flow(
        self, seen: Callable[[], int], messages: int, readings: int, per_s: int = 0
    ) -> _Flow:
        """Let the publisher send, and wait until all is acknowledged."""
        arguments = [str(messages), str(readings), str(per_s)]
        publisher = await self._children.start(
            "publisher",
            [sys.executable, "-c", PEER, *arguments],
            pipes=True,
            env={**os.environ, URL: self._nats.mqtt_url_field},
        )
        try:
            async with asyncio.timeout(DONE_S_MAX):
                await publisher.reader.readline()  # connected, and about to begin
                started_s, before_s = time.perf_counter(), _cpu_s()
                await _until(lambda: seen() >= messages)
            return _Flow(messages, time.perf_counter() - started_s, _cpu_s() - before_s)
        finally:
            await publisher.stop()

    @asynccontextmanager
    async def _centre(self) -> AsyncIterator[_Centre]:
        """What the product has between the broker and the journal."""
        self._sessions += 1
        name = f"bench-{self._sessions}"
        journal = await JetStreamJournal.open(self._nats.nats_url, name)
        clock = WallClock()
        engine = Engine(cores_of(self._site), journal, clock, name)
        telemetry = Telemetry(
            self._nats.mqtt_url_centre,
            self._site,
            clock,
            engine.put,
            lambda _: None,
            client_id=name,
        )
        centre = _Centre(telemetry, engine, clock)
        async with _running(engine.run), _running(telemetry.run):
            await telemetry.ready.wait()
            yield centre
            await engine.close()
        await journal.close()
        await self._forget(name)

    @asynccontextmanager
    async def _bare(self) -> AsyncIterator[Callable[[], int]]:
        """The same library, the same session, no Causeway."""
        client = self._client("bench-bare", clean_start=False)
        seen = 0

        async def acknowledge() -> None:
            nonlocal seen
            async for message in client.messages():
                await client.ack(message)
                seen += 1

        await client.connect(self._broker.host, self._broker.port)
        await client.subscribe(FILTERS, qos=1)
        async with _running(acknowledge):
            yield lambda: seen
        await client.disconnect()
        await self._forget("bench-bare")

    def _client(self, name: str, clean_start: bool) -> AsyncClient:
        """As `Telemetry` has it."""
        return AsyncClient(
            name,
            clean_start=clean_start,
            manual_ack=True,
            max_iterator_messages=WINDOW_MAX,
            username=self._broker.username,
            password=self._broker.password,
        )

    async def _forget(self, name: str) -> None:
        """End a session at the broker, which would go on storing messages for it."""
        client = self._client(name, clean_start=True)
        await client.connect(self._broker.host, self._broker.port)
        await client.disconnect()


class _Centre:
    """Counts what the journal has acknowledged, and how old it was by then."""

    def __init__(self, telemetry: Telemetry, engine: Engine, clock: WallClock) -> None:
        self.ages_ms: list[float] = []
        self._telemetry = telemetry
        self._clock = clock
        engine.show(self._show)

    def seen(self) -> int:
        """Messages that the broker has its PUBACK of."""
        return self._telemetry.statistics.acknowledged

    def messages_per_step(self) -> float:
        counts = self._telemetry.statistics
        return round(counts.messages / counts.inputs, 1)

    def _show(self, number: int, step: Step) -> None:
        del number
        now_ns = self._clock.now_ns()
        for event in step.events:
            if isinstance(event, ReadingsObserved):
                self.ages_ms += [(now_ns - at_ns) / 1e6 for at_ns in event.observed_at_ns]


@asynccontextmanager
async def _running(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - a count that nobody waits on in the product
        await asyncio.sleep(0.002)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# --- publishing --------------------------------------------------------------------------------


async def publish() -> None:
    """In the other process: messages, readings in each, messages a second (0: all at once)."""
    messages, readings, per_s = map(int, sys.argv[1:])
    broker = broker_of(os.environ[URL])
    client = AsyncClient("bench-device", username=broker.username, password=broker.password)
    await client.connect(broker.host, broker.port)
    waiting = _messages(city(), messages, readings)
    print("begin", flush=True)
    started_s = time.perf_counter()
    sent = 0
    while sent < messages:
        due = int((time.perf_counter() - started_s) * per_s) + 1 if per_s else messages
        batch = [next(waiting) for _ in range(min(due, messages) - sent)] if per_s else waiting
        await client.publish_many(batch)
        sent = min(due, messages)
        await asyncio.sleep(0.5 / per_s if per_s else 0)
    await asyncio.sleep(DONE_S_MAX)  # the centre ends us when all is acknowledged


def _messages(site: Site, count: int, readings: int) -> Iterator[PublishMessage]:
    """Of each device in turn; a point's value stays, its times are a microsecond apart."""
    devices: dict[str, list[str]] = {}
    plcs = {plc.id for plc in site.plcs}
    for point in site.points.values():
        if point.source not in plcs:
            name = point.id.removeprefix(f"{point.source}/")
            devices.setdefault(point.source, []).append(name)
    names = list(devices)
    for n in range(count):
        device = names[n % len(names)]
        points = devices[device]
        now_ns = time.time_ns()
        sent = [
            {"point": points[i % len(points)], "at_ns": now_ns - (readings - i) * 1_000, "value": 0}
            for i in range(readings)
        ]
        body = msgspec.json.encode(sent if readings > 1 else sent[0])
        yield PublishMessage(f"{ROOT}telemetry/{device}", body, qos=1)
