"""The simulated field as processes, on a real broker and real Modbus TCP, six times too fast."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import msgspec
import numpy as np
import pytest
import pytest_asyncio
from aiomqtt import Client
from pymodbus.client import AsyncModbusTcpClient

from causeway.children import Child, Children
from causeway.clock import ScaledClock, clock_spec
from causeway.servers import start_nats
from causeway.site import Site, load_site
from sims.scenario import load_scenario

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).parents[2]
CITY = ROOT / "sims" / "cities" / "saigon"
SPEED = 6.0
WAIT_S = 120.0  # of a busy machine
NS = 1_000_000_000
# The tide rises through the open gates, and is not yet at their closing level.
SCENARIO = """
id = "rising_tide"
name = "Triều lên"
name_en = "Rising tide"
start = 2025-11-06T14:30:00+07:00
seed = 5

[traffic]
veh_h = 3000.0
motorbike_share = 0.78

[[fault]]
target = "sg-hn-4"
kind = "lying"
at = 2025-11-06T14:30:00+07:00
amount = 0.5
"""
MAIN = """
import sys
from pathlib import Path
from sims.field import traffic_main, water_main
part, site, scenario, url, clock, work, *plcs = sys.argv[1:]
start = (Path(site), Path(scenario), url, clock, Path(work))
if part == "water":
    ports = {id_: ("127.0.0.1", int(port)) for id_, port in (p.split("=") for p in plcs)}
    sys.exit(water_main(*start, ports))
sys.exit(traffic_main(*start))
"""


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Centre:
    """What a centre does on the wires, and what it has heard."""

    def __init__(self, client: Client, clock: ScaledClock) -> None:
        self.client = client
        self.clock = clock
        self.beating = asyncio.Event()
        self.beating.set()
        self._newest: dict[str, bytes] = {}
        self._heard = asyncio.Condition()
        self._sequence = itertools.count(1)

    async def listen(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            async with self._heard:
                self._newest[str(message.topic)] = message.payload
                self._heard.notify_all()

    async def beat(self) -> None:
        while True:
            await self.beating.wait()
            await self.client.publish("causeway/v1/centre/heartbeat", b"{}")
            await self.clock.sleep(1.0)

    async def heard(
        self, topic: str, wanted: Callable[[dict[str, object]], bool] = lambda _: True
    ) -> dict[str, object]:
        """The newest message of a topic that is as wanted, as soon as there is one."""
        seen: dict[str, object] = {}

        def is_there() -> bool:
            nonlocal seen
            payload = self._newest.get(topic)
            if payload is None:
                return False
            value = msgspec.json.decode(payload)
            seen = value if isinstance(value, dict) else {r["point"]: r for r in value}
            return wanted(seen)

        async with asyncio.timeout(WAIT_S), self._heard:
            await self._heard.wait_for(is_there)
        return seen

    async def frame(self) -> tuple[str, bytes]:
        """Any camera's newest picture: its topic and bytes."""

        def newest() -> list[str]:
            return [t for t in self._newest if t.startswith("causeway/v1/camera/")]

        async with self._heard:
            await self._heard.wait_for(lambda: bool(newest()))
            topic = newest()[-1]
            return topic, self._newest[topic]

    async def command(self, kind: str, target: str, valid_s: float = 30.0, **do: object) -> str:
        """Send a command and give the word of its answer."""
        sequence = int(str(do.pop("sequence", next(self._sequence))))
        issued_ns = self.clock.now_ns()
        order = {
            "sequence": sequence,
            "issued_at_ns": issued_ns,
            "expires_at_ns": issued_ns + int(valid_s * NS),
        }
        answer = f"causeway/v1/answer/{target}"
        self._newest.pop(answer, None)
        await self.client.publish(
            f"causeway/v1/{kind}/{target}/command", msgspec.json.encode({**order, **do}), qos=1
        )
        return str((await self.heard(answer, lambda a: a["sequence"] == sequence))["result"])


class Field:
    """The running field, and how to reach it."""

    def __init__(
        self, site: Site, centre: Centre, ports: dict[str, int], parts: dict[str, Child]
    ) -> None:
        self.site, self.centre, self.ports, self.parts = site, centre, ports, parts


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    tmp = tmp_path_factory.mktemp("field")
    (tmp / "rising_tide.toml").write_text(SCENARIO)
    site = load_site(CITY)
    scenario = load_scenario(tmp / "rising_tide.toml", site)
    clock = ScaledClock(scenario.start_ns, time.time_ns(), SPEED)
    ports = dict(zip((p.id for p in site.plcs), free_ports(len(site.plcs)), strict=True))
    children = Children(tmp / "logs")
    nats = await start_nats(children, tmp)
    start = (
        *(str(CITY), str(tmp / "rising_tide.toml"), nats.mqtt_url_field),
        *(clock_spec(clock), str(tmp / "field")),
    )
    parts = {
        part: await children.start(
            part,
            [sys.executable, "-c", MAIN, part, *start, *(f"{k}={v}" for k, v in ports.items())],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for part in ("water", "traffic")
    }
    url = urlsplit(nats.mqtt_url_centre)
    async with Client(
        url.hostname or "",
        url.port or 0,
        username=url.username,
        password=url.password,
        identifier="centre",
    ) as client:
        await client.subscribe("causeway/#", qos=0)
        centre = Centre(client, clock)
        tasks = [asyncio.create_task(centre.listen()), asyncio.create_task(centre.beat())]
        yield Field(site, centre, ports, parts)
        for task in tasks:
            task.cancel()
    await children.stop_all()


class Poller:
    """A Modbus client that keeps a PLC's watchdog content while it is used."""

    def __init__(self, field: Field, plc: str) -> None:
        self._client = AsyncModbusTcpClient("127.0.0.1", port=field.ports[plc], timeout=5)
        self._clock = field.centre.clock
        self._sequence = itertools.count(1)

    async def open(self) -> None:
        async with asyncio.timeout(WAIT_S):
            while not await self._client.connect():  # noqa: ASYNC110 - still starting
                await asyncio.sleep(0.2)

    def close(self) -> None:
        self._client.close()

    async def keep_alive(self) -> None:
        for count in itertools.count(1):
            await self._client.write_register(110, count % 65_536)
            await self._clock.sleep(1.0)

    async def input(self, address: int, count: int = 1) -> list[int]:
        answer = await self._client.read_input_registers(address, count=count)
        assert not answer.isError()
        return list(answer.registers)

    async def send(self, target: int, action: int, value: int) -> int:
        """Write the mailbox; the result's number."""
        now_s, sequence = self._clock.now_ns() // NS, next(self._sequence)
        words = [sequence, now_s >> 16, now_s & 0xFFFF, 30, target, action, value]
        assert not (await self._client.write_registers(100, words)).isError()
        seen = await self.until(lambda: self.input(100, 2), lambda w: w[0] == sequence)
        return seen[1]

    async def until(
        self, read: Callable[[], Awaitable[list[int]]], wanted: Callable[[list[int]], bool]
    ) -> list[int]:
        async with asyncio.timeout(WAIT_S):
            while not wanted(words := await read()):  # noqa: ASYNC110 - a PLC must be asked
                await asyncio.sleep(0.1)
        return words


def signed(word: int) -> int:
    return word - 65_536 if word >= 32_768 else word


async def test_a_mailbox_command_moves_a_gate_and_the_canal_follows(field: Field) -> None:
    poller = Poller(field, "plc-g-thi-nghe")
    await poller.open()
    alive = asyncio.create_task(poller.keep_alive())
    await poller.until(lambda: poller.input(102), lambda w: w[0] == 0)
    assert await poller.input(0) == [10_000]
    gate = next(g for g in field.site.gates if g.id == "g-thi-nghe")
    begun_ns = field.centre.clock.now_ns()
    assert await poller.send(1, 2, 0) == 1
    await poller.until(lambda: poller.input(0), lambda w: w[0] == 0)
    took_s = (field.centre.clock.now_ns() - begun_ns) / NS
    assert gate.travel_s - 5 <= took_s < gate.travel_s + 30

    async def held_back_mm() -> list[int]:
        levels = [await poller.input(1, 2) for _ in range(8)]
        return [sum(signed(outside) - signed(inside) for inside, outside in levels) // 8]

    at_first = await held_back_mm()
    await poller.until(held_back_mm, lambda now: now[0] >= at_first[0] + 20)  # the tide rises
    alive.cancel()
    poller.close()


async def test_every_kind_of_device_is_heard(field: Field) -> None:
    centre, site = field.centre, field.site
    tide = await centre.heard("causeway/v1/telemetry/tg-phu-an")
    assert 0.0 < float(tide["stage_m"]["value"]) < 0.9  # type: ignore[index] # a reading
    junction = site.junctions[0]
    detectors = await centre.heard(f"causeway/v1/telemetry/{junction.id}")
    assert set(detectors) == {
        f"{g.id}/{q}" for g in junction.groups for q in ("queue_veh", "flow_veh_h")
    }
    state = await centre.heard(f"causeway/v1/signal/{junction.id}/state")
    assert len(str(state["aspects"])) == len(junction.groups)
    assert (await centre.heard(f"causeway/v1/sign/{site.signs[0].id}/state"))["text"] == ""
    circuit = site.circuits[0].id
    assert (await centre.heard(f"causeway/v1/lighting/{circuit}/state"))["level_ratio"] == 0.0
    assert "power_kw" in await centre.heard(f"causeway/v1/telemetry/{circuit}")


async def test_cameras_send_pictures(field: Field) -> None:
    async with asyncio.timeout(WAIT_S):
        topic, jpeg = await field.centre.frame()
    camera, _, observed_at_ns = topic.split("/")[3:]
    assert camera in {c.id for c in field.site.cameras}
    assert abs(int(observed_at_ns) - field.centre.clock.now_ns()) < 60 * NS
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (360, 640, 3)
    assert picture.std() > 10


async def test_a_lying_gauge_lies(field: Field) -> None:
    lying = await field.centre.heard("causeway/v1/telemetry/sg-hn-4")
    assert float(lying["depth_m"]["value"]) > 0.4  # type: ignore[index] # a reading


async def test_a_signal_obeys_and_refuses_as_the_interfaces_say(field: Field) -> None:
    centre, junction = field.centre, field.site.junctions[0]
    topic = f"causeway/v1/signal/{junction.id}/state"
    stages = [s.id for s in junction.stages]
    state = await centre.heard(topic, lambda s: s["mode"] == "centre" and s["interval"] == "green")
    other = next(s for s in stages if s != state["stage"])
    assert await centre.command("signal", junction.id, stage=other, sequence=10) == "accepted"
    await centre.heard(topic, lambda s: s["stage"] == other and s["interval"] == "green")
    assert await centre.command("signal", junction.id, stage=other, sequence=10) == "repeated"
    assert await centre.command("signal", junction.id, stage=other, sequence=9) == "repeated"
    late = await centre.command("signal", junction.id, -1.0, stage=other, sequence=11)
    assert late == "malformed"  # it ends before it begins
    assert await centre.command("signal", junction.id, stage="no-such", sequence=12) == "malformed"
    first = str(state["stage"])
    assert await centre.command("signal", junction.id, 0.0001, stage=first, sequence=13) in (
        "late",
        "interlock",
    )


async def test_signals_go_local_without_a_heartbeat_and_come_back(field: Field) -> None:
    centre = field.centre
    topic = f"causeway/v1/signal/{field.site.junctions[1].id}/state"
    await centre.heard(topic, lambda s: s["mode"] == "centre")
    centre.beating.clear()
    await centre.heard(topic, lambda s: s["mode"] == "local")
    centre.beating.set()
    await centre.heard(topic, lambda s: s["mode"] == "centre")


async def test_signs_and_lights_obey(field: Field) -> None:
    centre, sign, circuit = field.centre, field.site.signs[0].id, field.site.circuits[0].id
    assert await centre.command("sign", sign, text="NGẬP 35 CM\nĐÓNG LÀN 1") == "accepted"
    shown = await centre.heard(f"causeway/v1/sign/{sign}/state", lambda s: s["text"] != "")
    assert shown["text"] == "NGẬP 35 CM\nĐÓNG LÀN 1"
    assert await centre.command("sign", sign, text="X" * 99) == "malformed"
    assert await centre.command("lighting", circuit, level_ratio=0.5) == "accepted"
    await centre.heard(f"causeway/v1/lighting/{circuit}/state", lambda s: s["level_ratio"] == 0.5)


async def test_mbpoll_reads_a_register_and_writes_one(field: Field) -> None:
    poller = Poller(field, "plc-g-thi-nghe")
    await poller.open()
    poller.close()
    port = str(field.ports["plc-g-thi-nghe"])
    reach = ["mbpoll", "-m", "tcp", "-p", port, "-0", "-1", "-a", "1"]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*reach, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=True
        )
        return done.stdout

    read = await asyncio.to_thread(run, "-t", "3", "-r", "0", "-c", "3", "127.0.0.1")
    outside = next(line for line in read.splitlines() if line.startswith("[2]"))
    assert 0 < int(outside.split()[1]) < 900
    await asyncio.to_thread(run, "-t", "4", "-r", "110", "127.0.0.1", "4711")
    assert "4711" in await asyncio.to_thread(run, "-t", "4", "-r", "110", "-c", "1", "127.0.0.1")


async def test_a_plc_without_a_centre_follows_its_own_rules(field: Field) -> None:
    poller = Poller(field, "plc-ps-nhc")
    await poller.open()
    alive = asyncio.create_task(poller.keep_alive())
    await poller.until(lambda: poller.input(102), lambda w: w[0] == 0)
    assert await poller.send(9, 1, 1) == 7
    alive.cancel()
    await poller.until(lambda: poller.input(102), lambda w: w[0] == 1)
    assert await poller.send(1, 1, 1) == 5
    poller.close()


async def test_the_processes_end_cleanly_on_sigterm(field: Field) -> None:
    for name, child in field.parts.items():
        await child.stop()
        assert child.exit_code == 0, child.log_tail()
        log = child.log_tail()
        assert '"what": "ended"' in log
        assert "Traceback" not in log, f"{name}: {log}"
