"""Every acknowledged reading, exactly once, through SIGKILLs of the centre, database and broker.

The devices of the whole city publish by QoS 1 as devices do: what was not acknowledged they send
again when the broker is back. One of the PLCs is there, too. The centre is a process of its own;
its servers are started beside it, so that each can be killed alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from mqttium import MQTTError
from mqttium.api import AsyncClient

from causeway.children import CAUSEWAY, Child, Children
from causeway.events import ReadingsObserved
from causeway.journal import JournalReader
from causeway.servers import Nats, Postgres, check_mqtt, start_nats, start_postgres
from causeway.servers.faults import Unreachable
from causeway.site import Plc, Site, load_site
from causeway.store.database import position
from ingest.mqtt import broker_of
from ingest.payloads import ROOT
from sims.plant import Machines
from sims.plc import Line, PlcServer
from sims.plc_program import Levels, PlcProgram

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

CITY = Path(__file__).parents[2] / "sims" / "cities" / "saigon"
KILLS = 5
PERIOD_S = 0.4  # of a device
WAIT_S = 180.0  # of a busy machine
PLC = "plc-ps-nhc"

Identity = tuple[str, int]  # point, microseconds since the Unix epoch


class Devices:
    """All gauges and junctions, on one connection; each keeps its message until its PUBACK."""

    def __init__(self, site: Site, url: str, seed: int) -> None:
        self.acknowledged: list[Identity] = []
        self._broker = broker_of(url)
        self._points: dict[str, list[str]] = {}
        for point in site.points.values():
            if not point.source.startswith("plc-"):
                self._points.setdefault(point.source, []).append(point.id)
        self._site = site
        self._random = random.Random(seed)
        self._client: AsyncClient | None = None
        self._connected = asyncio.Event()
        self._leaving = False

    async def run(self) -> None:
        """Until `leave`, and then until all is acknowledged."""
        holding = asyncio.create_task(self._hold())
        async with asyncio.TaskGroup() as devices:
            for device in self._points:
                devices.create_task(self._publish(device))
        holding.cancel()
        with suppress(asyncio.CancelledError):
            await holding

    def leave(self) -> None:
        self._leaving = True

    async def _hold(self) -> None:
        """The connection, made again for ever."""
        b = self._broker
        while True:
            lost = asyncio.Event()
            client = AsyncClient(
                "devices",
                username=b.username,
                password=b.password,
                message_delivery="callback",
                max_outbound_inflight=256,
            )
            client.on_disconnect = lambda _, lost=lost: lost.set()
            try:
                with suppress(MQTTError, OSError):
                    await client.connect(b.host, b.port, timeout=5)
                    self._client = client
                    self._connected.set()
                    await lost.wait()
            finally:
                self._client = None
                self._connected.clear()
                with suppress(MQTTError, OSError):
                    await client.disconnect()
            await asyncio.sleep(0.05)

    async def _publish(self, device: str) -> None:
        topic = f"{ROOT}telemetry/{device}"
        await asyncio.sleep(self._random.uniform(0, PERIOD_S))
        while not self._leaving:
            at_us = time.time_ns() // 1_000
            readings = [
                {"point": point, "at_ns": at_us * 1_000, "value": self._value(point)}
                for point in self._points[device]
            ]
            payload = json.dumps(readings).encode()
            while not await self._acknowledge(topic, payload):
                await asyncio.sleep(0.1)
                await self._connected.wait()
            self.acknowledged += [(point, at_us) for point in self._points[device]]
            await asyncio.sleep(PERIOD_S)

    async def _acknowledge(self, topic: str, payload: bytes) -> bool:
        client = self._client
        if client is None:
            return False
        try:
            receipt = await client.publish(topic, payload, qos=1)
            await receipt.wait()
        except (MQTTError, OSError):
            return False
        return True

    def _value(self, point: str) -> float:
        about = self._site.points[point]
        span = about.max - about.min
        return round(about.min + span * (0.3 + self._random.uniform(0, 0.001)), 4)


class World:
    """The servers, the centre and the field of one test."""

    def __init__(self, children: Children, data: Path, nats: Nats, postgres: Postgres) -> None:
        self.children = children
        self.data = data
        self.nats = nats
        self.postgres = postgres
        self.site = load_site(CITY)
        self.port = free_port()
        self.plc_port = free_port()
        self.centre: Child

    async def start_centre(self) -> None:
        self.centre = await self.children.start(
            "centre",
            [
                *(CAUSEWAY, "up", "--site", str(CITY), "--data", str(self.data), "--no-forecast"),
                *("--mqtt", self.nats.mqtt_url_centre, "--nats", self.nats.nats_url),
                *("--database", self.postgres.dsn, "--port", str(self.port)),
                *(f"--plc={plc.id}=127.0.0.1:{self._port_of(plc)}" for plc in self.site.plcs),
            ],
            restarts_max=2 * KILLS,
        )

        async def has_its_session() -> bool:
            return "The wall: " in self.centre.log_tail()

        await until(has_its_session)

    def _port_of(self, plc: Plc) -> int:
        return self.plc_port if plc.id == PLC else 9  # where nobody answers

    async def centre_answers(self) -> None:
        async def attempt() -> bool:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return True
            return False

        await until(attempt)

    async def broker_answers(self) -> None:
        async def attempt() -> bool:
            with suppress(Unreachable):
                await check_mqtt(self.nats.mqtt_url_field)
                return True
            return False

        await until(attempt)

    async def centre_stores(self) -> None:
        """It writes into the database again."""
        before = -1

        async def attempt() -> bool:
            nonlocal before
            with suppress(psycopg.OperationalError):
                async with await psycopg.AsyncConnection.connect(self.postgres.dsn) as connection:
                    now = (await position(connection)).step
                    before = now if before < 0 else before
                    return now > before
            return False

        await until(attempt)

    async def centre_stores_all(self, sent: set[Identity]) -> None:
        """It holds what was sent, or has had the time to."""

        async def attempt() -> bool:
            return sent <= set(await self.stored())

        with suppress(TimeoutError):
            await until(attempt)

    async def stored(self) -> list[Identity]:
        """Every reading in the store, as often as it is there."""
        async with await psycopg.AsyncConnection.connect(self.postgres.dsn) as connection:
            rows = await connection.execute(
                "select name, (extract(epoch from at) * 1000000)::bigint"
                " from causeway.reading join causeway.point on id = point"
            )
            return await rows.fetchall()

    async def journalled(self) -> list[Identity]:
        """Every observed reading in the journal, as often as it is there."""
        reader = await JournalReader.connect(self.nats.nats_url)
        found: list[Identity] = []
        try:
            async for _, step in reader.read(1):
                for event in step.events:
                    if isinstance(event, ReadingsObserved):
                        times_us = [at_ns // 1_000 for at_ns in event.observed_at_ns]
                        found += zip(event.points, times_us, strict=True)
        finally:
            await reader.close()
        return found


@asynccontextmanager
async def plc(site: Site, port: int) -> AsyncIterator[None]:
    """A pumping station's PLC, whose sump is dry."""
    about = next(p for p in site.plcs if p.id == PLC)
    stations = [s.id for s in site.stations if s.plc == PLC]
    pumps = [p.id for p in site.pumps if p.station in stations]
    levels = Levels(dict.fromkeys(stations, -2.5), {}, {}, dict.fromkeys(pumps, 0.0))
    program = PlcProgram(site, about, Machines(site, about), time.time_ns())
    server = PlcServer(program.image, about.unit, "127.0.0.1", port)

    async def scan() -> None:
        while True:
            program.scan(time.time_ns(), levels)
            await asyncio.sleep(0.2)

    scanning = asyncio.create_task(scan())
    await server.set_line(Line.ANSWERS)
    try:
        yield
    finally:
        scanning.cancel()
        await server.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def until(attempt: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await attempt():  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One that every user can get to."""
    with tempfile.TemporaryDirectory(prefix="causeway-kills-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(folder: Path) -> AsyncIterator[World]:
    data = folder / "data"
    children = Children(data / "log")
    try:
        servers = (start_nats(children, data), start_postgres(children, data))
        world = World(children, data, *await asyncio.gather(*servers))
        async with plc(world.site, world.plc_port):
            await world.start_centre()
            yield world
    finally:
        await children.stop_all()


async def kill(child: Child, answers: Callable[[], Awaitable[None]], seed: int) -> None:
    """At random moments: also while it is still on its way up again."""
    moments = random.Random(seed)
    for count in range(KILLS):
        if count % 2 == 0:
            await answers()
        await asyncio.sleep(moments.uniform(0.2, 1.5))
        if not child.alive:
            await child.again(child.runs)
        runs = child.runs
        child.kill()
        assert await child.again(runs), f"{child.name} was not started again"
    await answers()
    await asyncio.sleep(moments.uniform(0.2, 1.5))


@pytest.mark.parametrize(
    ("victim", "seed"), [("centre", 1), ("database", 2), ("broker and journal", 3)]
)
async def test_what_was_acknowledged_is_stored_once(world: World, victim: str, seed: int) -> None:
    child, answers = {
        "centre": (world.centre, world.centre_answers),
        "database": (world.postgres.child, world.centre_stores),
        "broker and journal": (world.nats.child, world.broker_answers),
    }[victim]
    devices = Devices(world.site, world.nats.mqtt_url_field, seed)
    publishing = asyncio.create_task(devices.run())
    await kill(child, answers, seed)
    devices.leave()
    async with asyncio.timeout(WAIT_S):
        await publishing
    await world.centre_stores_all(set(devices.acknowledged))
    stored = Counter(await world.stored())
    assert set(devices.acknowledged) <= set(stored)
    assert [identity for identity, times in stored.items() if times > 1] == []


async def test_after_all_the_kills_journal_and_store_agree_and_a_replay_is_identical(
    world: World,
) -> None:
    await world.centre.stop(WAIT_S)
    stored = Counter(await world.stored())
    assert stored == Counter(await world.journalled())
    assert PLC in {world.site.points[point].source for point, _ in stored}
    await world.nats.child.stop()
    replay = await asyncio.create_subprocess_exec(
        *(CAUSEWAY, "replay", str(world.data), "--check", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    printed, _ = await replay.communicate()
    found = json.loads(printed)
    steps = found["last_step"] - found["first_step"] + 1
    assert (replay.returncode, found["identical"], found["compared"]) == (0, True, steps)
