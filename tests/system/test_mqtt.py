"""Telemetry and commands on real brokers: nats-server and Mosquitto."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from causeway.children import Child, Children
from causeway.clock import NS, ScaledClock, WallClock
from causeway.commands import NotSent
from causeway.engine import Engine
from causeway.events import (
    Address,
    AnyEvent,
    LightingCommanded,
    LightingObserved,
    PumpCommanded,
    Quality,
    ReadingsObserved,
    ReadingsReceived,
    Rejected,
    SignalsObserved,
    SignCommanded,
    SourceReached,
    StageCommanded,
    Step,
)
from causeway.frame import EncodedFrame
from causeway.servers import Unreachable, check_mqtt, start_nats
from causeway.site import Site, load_site
from causeway.wire import decode_step, read_message_from
from ingest.liveness import Liveness
from ingest.mqtt import BrokerUrlInvalid, MqttCommands, Telemetry, broker_of
from ingest.payloads import ROOT, STRANGER
from ingest.plausibility import Plausibility

pytestmark = pytest.mark.system

SITE = Path(__file__).parents[1] / "ingest" / "site"
ACK_WAIT_S = 3
JPEG = b"\xff\xd8\xff\xe0" + b"\x11" * 200 + b"\xff\xd9"
POINTS = (
    "tg-phu-an/battery_v",
    "sg-1/depth_m",
    "rg-1/rain_mm_h",
    "j-01/n/queue_veh",
    "j-01/n/flow_veh_h",
    "j-01/e/queue_veh",
    "j-01/e/flow_veh_h",
    "lc-01/power_kw",
)


@dataclass
class Running:
    """A broker, by the addresses of the centre and of a device, and how to take it down."""

    centre: str
    field: str
    child: Child

    def arguments(self, url: str, client_id: str) -> list[str]:
        """The connection options of mosquitto_pub and mosquitto_sub."""
        broker = broker_of(url)
        options = ["-h", broker.host, "-p", str(broker.port), "-i", client_id]
        if broker.username:
            options += ["-u", broker.username, "-P", broker.password or ""]
        return options


@pytest.fixture
def site() -> Site:
    return load_site(SITE)


@pytest.fixture
async def children(tmp_path: Path) -> AsyncIterator[Children]:
    children = Children(tmp_path / "logs")
    yield children
    await children.stop_all()


@pytest.fixture(params=["nats", "mosquitto"])
async def broker(request: pytest.FixtureRequest, children: Children, tmp_path: Path) -> Running:
    if request.param == "nats":
        return await start_impatient_nats(children, tmp_path / "data")
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed")
        pytest.skip("mosquitto is not installed")
    return await start_mosquitto(children, tmp_path, program)


async def start_impatient_nats(children: Children, folder: Path) -> Running:
    """The embedded server, but that it soon sends again what was not acknowledged."""
    server = await start_nats(children, folder)
    path = folder / "nats" / "nats.conf"
    settings = json.loads(path.read_text())
    settings["mqtt"]["ack_wait"] = f"{ACK_WAIT_S}s"
    path.write_text(json.dumps(settings))
    runs = server.child.runs
    server.child.kill()
    assert await server.child.again(runs)
    await until_accepting(server.mqtt_url_centre)
    return Running(server.mqtt_url_centre, server.mqtt_url_field, server.child)


async def until_accepting(url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(Unreachable):
                await check_mqtt(url)
                return
            await asyncio.sleep(0.05)


async def start_mosquitto(children: Children, folder: Path, program: str) -> Running:
    """With the window that it has by default, and without a limit of its queue, as it must be."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
        "message_size_limit 4194304\n"
    )
    child = await children.start("mosquitto", [program, "-c", str(settings)], restarts_max=20)

    url = f"mqtt://127.0.0.1:{port}"
    await until_accepting(url)
    return Running(url, url, child)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something outside this process or loop; fails loudly."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.01)


class MemoryJournal:
    """Keeps steps; acknowledges each as it is appended, or, while `held`, not yet."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.held = False
        self._waiting: list[tuple[asyncio.Future[int], int]] = []

    last_step = 0
    last_at_ns = 0

    async def append(self, step: Step) -> asyncio.Future[int]:
        self.steps.append(step)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, len(self.steps)))
        if not self.held:
            self.release()
        return future

    def release(self) -> None:
        self.held = False
        for future, number in self._waiting:
            future.set_result(number)
        self._waiting.clear()

    def events(self) -> Iterator[AnyEvent]:
        for step in self.steps:
            yield from step.events


class Centre:
    """A telemetry with a real engine behind it."""

    def __init__(self, url: str, site: Site) -> None:
        self.journal = MemoryJournal()
        self.frames: list[EncodedFrame] = []
        clock = WallClock()
        self.engine = Engine([Plausibility(site), Liveness(site)], self.journal, clock, "test")
        self.telemetry = Telemetry(url, site, clock, self.engine.put, self.frames.append)

    def observed(self) -> list[tuple[str, int, float, Quality]]:
        return [
            row
            for e in self.journal.events()
            if isinstance(e, ReadingsObserved)
            for row in zip(e.points, e.observed_at_ns, e.values, e.qualities, strict=True)
        ]

    def rejected(self) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        for event in self.journal.events():
            if isinstance(event, Rejected):
                counts[event.source, str(event.reason)] += event.count
        return counts


@asynccontextmanager
async def running(centre: Centre) -> AsyncIterator[asyncio.Task[None]]:
    engine = asyncio.create_task(centre.engine.run())
    telemetry = asyncio.create_task(centre.telemetry.run())
    try:
        await asyncio.wait_for(centre.telemetry.ready.wait(), 20)
        yield telemetry
    finally:
        for task in (telemetry, engine):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def client(url: str, identifier: str) -> aiomqtt.Client:
    broker = broker_of(url)
    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=broker.password,
        identifier=identifier,
        protocol=aiomqtt.ProtocolVersion.V311,
        max_inflight_messages=100,
    )


async def mosquitto(program: str, *arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, err.decode()
    return out


def reading(point: str, at_ns: int, value: float) -> bytes:
    return msgspec.json.encode({"point": point, "at_ns": at_ns, "value": value})


def topic_of(point: str) -> str:
    return f"{ROOT}telemetry/{point.partition('/')[0]}"


async def test_what_a_device_publishes_is_journalled_and_then_acknowledged(
    broker: Running, site: Site
) -> None:
    centre = Centre(broker.centre, site)
    async with running(centre):
        centre.journal.held = True
        now = time.time_ns()
        state = {
            "at_ns": now,
            "stage": "ns",
            "interval": "green",
            "aspects": "Gr",
            "mode": "centre",
        }
        for topic, body in (
            ("telemetry/sg-1", reading("depth_m", now, 0.35)),
            ("signal/j-01/state", msgspec.json.encode(state)),
            ("lighting/lc-01/state", msgspec.json.encode({"at_ns": now, "level_ratio": 0.5})),
        ):
            options = broker.arguments(broker.field, "device-1")
            await mosquitto(
                "mosquitto_pub", *options, "-q", "1", "-t", ROOT + topic, "-m", body.decode()
            )
        await until(lambda: len(centre.journal.steps) >= 3)
        assert centre.telemetry.statistics.acknowledged == 0
        centre.journal.release()
        await until(lambda: centre.telemetry.statistics.acknowledged >= 3)
    assert centre.observed() == [("sg-1/depth_m", now, 0.35, Quality.GOOD)]
    kinds = {type(e) for e in centre.journal.events()}
    assert kinds == {
        ReadingsReceived,
        ReadingsObserved,
        SignalsObserved,
        LightingObserved,
        SourceReached,
    }


async def test_what_was_not_journalled_comes_again(broker: Running, site: Site) -> None:
    now = time.time_ns()
    before = Centre(broker.centre, site)
    async with running(before):
        before.journal.held = True
        async with client(broker.field, "device-1") as device:
            await device.publish(topic_of("sg-1"), reading("depth_m", now, 0.2), qos=1)
        await until(lambda: len(before.observed()) == 1)
    after = Centre(broker.centre, site)
    async with running(after):
        await until(lambda: after.telemetry.statistics.acknowledged == 1)
    assert after.observed() == before.observed()


async def test_while_the_engine_takes_nothing_the_broker_waits_and_nothing_is_lost(
    broker: Running, site: Site
) -> None:
    centre = Centre(broker.centre, site)
    count = 4_000
    async with running(centre):
        centre.journal.held = True
        first = time.time_ns()
        async with client(broker.field, "device-1") as device:
            for i in range(0, count, 100):
                await asyncio.gather(
                    *(
                        device.publish(topic_of("sg-1"), reading("depth_m", first + j, 0.2), qos=1)
                        for j in range(i, i + 100)
                    )
                )
        assert centre.telemetry.statistics.acknowledged == 0
        centre.journal.release()
        await until(lambda: len(centre.observed()) == count)
        await until(lambda: centre.telemetry.statistics.acknowledged >= count)
    assert [row[1] for row in centre.observed()] == [first + i for i in range(count)]
    summary = centre.telemetry.statistics.summary()
    assert summary["messages"] >= count
    assert summary["inputs"] < count / 4


@pytest.mark.parametrize("broker", ["nats"], indirect=True)
async def test_a_message_that_the_broker_sent_twice_holds_up_no_acknowledgement(
    broker: Running, site: Site
) -> None:
    centre = Centre(broker.centre, site)
    async with running(centre), client(broker.field, "device-1") as device:
        centre.journal.held = True
        now = time.time_ns()
        for i in range(50):
            await device.publish(topic_of("sg-1"), reading("depth_m", now + i, 0.2), qos=1)
        await until(lambda: centre.telemetry.statistics.messages >= 100, ACK_WAIT_S + 20)
        centre.journal.release()
        for i in range(50, 100):
            await device.publish(topic_of("sg-1"), reading("depth_m", now + i, 0.2), qos=1)
        await until(lambda: centre.telemetry.statistics.acknowledged == 100)
        assert centre.telemetry.statistics.connections == 1
    assert [row[1] for row in centre.observed()] == [now + i for i in range(100)]
    assert centre.rejected()["sg-1", "duplicate"] >= 50


MALFORMED: list[tuple[str, bytes, str, str]] = [
    ("telemetry/sg-1", b"", "sg-1", "malformed"),
    ("telemetry/sg-1", b"0.35", "sg-1", "malformed"),
    ("telemetry/sg-1", b'{"point": "depth_m", "at', "sg-1", "malformed"),
    ("telemetry/sg-1", b"[]", "sg-1", "malformed"),
    ("telemetry/sg-1", b"\xdd\xff\xff\xff\xff", "sg-1", "malformed"),
    ("telemetry/sg-1", b"\x91" * 100_000, "sg-1", "malformed"),
    ("telemetry/sg-1", b"[" * 100_000, "sg-1", "malformed"),
    ("telemetry/sg-1", b'{"point": "depth_m\xff", "at_ns": 1, "value": 1}', "sg-1", "malformed"),
    ("telemetry/sg-1", b'{"point": "depth_m", "at_ns": -1, "value": 1}', "sg-1", "malformed"),
    ("telemetry/sg-1", b'{"point": "depth_m", "at_ns": 1, "value": true}', "sg-1", "malformed"),
    ("telemetry/sg-1", b'{"point": "depth_m", "at_ns": 1, "value": "x"}', "sg-1", "malformed"),
    (
        "telemetry/sg-1",
        b'{"point": "depth_m", "at_ns": ' + b"9" * 500 + b', "value": 1}',
        "sg-1",
        "malformed",
    ),
    ("telemetry/sg-1", b'{"point": "depth_m", "at_ns": 1, "value": NaN}', "sg-1", "not_a_number"),
    ("telemetry/sg-1", b'{"point": "depth_m", "at_ns": 1, "value": 1e999}', "sg-1", "not_a_number"),
    ("telemetry/sg-1", b"x" * 300_000, "sg-1", "oversized"),
    ("telemetry/sg-1", b'{"point": "salt", "at_ns": 1, "value": 1}', "sg-1", "unknown_point"),
    ("telemetry/sg-1", b'{"point": "ps-1/sump_m", "at_ns": 1, "value": 1}', "sg-1", "wrong_source"),
    ("telemetry/sg-99", b"{}", STRANGER, "unknown_asset"),
    ("telemetry/plc-1", b"{}", STRANGER, "wrong_source"),
    ("telemetri/sg-1", b"{}", STRANGER, "unknown_topic"),
    ("signal/j-01/state", b'{"at_ns": 1, "stage": "ns"}', "j-01", "malformed"),
    ("sign/vms-01/state", b'{"at_ns": 1, "text": "a\\u0000b"}', "vms-01", "malformed"),
    ("lighting/lc-01/state", b'{"at_ns": 1, "level_ratio": 7}', "lc-01", "out_of_range"),
    ("answer/j-99", b"{}", STRANGER, "unknown_asset"),
]


def implausible(now: int) -> list[tuple[str, bytes, str, str]]:
    return [
        ("telemetry/sg-1", reading("depth_m", now, 9.0), "sg-1", "out_of_range"),
        ("telemetry/sg-1", reading("depth_m", 0, 0.1), "sg-1", "late"),
        ("telemetry/sg-1", reading("depth_m", 4_070_908_800 * NS, 0.1), "sg-1", "future"),
        ("telemetry/sg-1", reading("depth_m", now, 0.1), "", ""),
        ("telemetry/sg-1", reading("depth_m", now, 0.1), "sg-1", "duplicate"),
        ("telemetry/sg-1", reading("depth_m", now, 0.2), "sg-1", "conflict"),
    ]


async def test_bad_input_is_counted_by_reason_and_stops_nothing(
    broker: Running, site: Site
) -> None:
    retained = (ROOT + "sign/vms-01/state", b'{"at_ns": 1, "text": ""}')
    async with client(broker.centre, "device-1") as device:
        await device.publish(*retained, qos=1, retain=True)
        centre = Centre(broker.centre, site)
        sent = MALFORMED + implausible(time.time_ns())
        async with running(centre) as telemetry:
            for topic, payload, _, _ in sent:
                await device.publish(ROOT + topic, payload, qos=1)
            last = time.time_ns()
            await device.publish(topic_of("rg-1"), reading("rain_mm_h", last, 3.0), qos=1)
            await until(lambda: ("rg-1/rain_mm_h", last, 3.0, Quality.GOOD) in centre.observed())
            await until(lambda: centre.telemetry.statistics.acknowledged == len(sent) + 2)
            assert not telemetry.done()
        await device.publish(retained[0], b"", qos=1, retain=True)
    expected = Counter((source, reason) for _, _, source, reason in sent if reason)
    expected["vms-01", "not_permitted"] = 1
    assert centre.rejected() == expected
    samples = [e.sample for e in centre.journal.events() if isinstance(e, Rejected)]
    assert all(samples)


async def test_pictures_come_by_their_own_road_and_bad_ones_are_counted(
    broker: Running, site: Site
) -> None:
    centre = Centre(broker.centre, site)
    now = time.time_ns()
    async with running(centre), client(broker.field, "camera-1") as camera:

        async def picture(at_ns: int, jpeg: bytes, name: str = "cam-1") -> None:
            await camera.publish(f"{ROOT}camera/{name}/frame/{at_ns}", jpeg, qos=0)

        async def until_seen() -> None:
            while not centre.frames:
                await picture(now, JPEG)
                await asyncio.sleep(0.05)

        await asyncio.wait_for(until_seen(), 20)
        await picture(now + 1, JPEG[:-2])
        await picture(now + 2, b"not a picture")
        await picture(now + 3, JPEG[:-2] + b"\x11" * 2**21 + JPEG[-2:])
        await picture(now + 4, JPEG, "cam-9")
        await until(lambda: centre.rejected().total() == 4)
    assert centre.frames[0] == EncodedFrame("cam-1", now, JPEG)
    assert centre.rejected() == {
        ("cam-1", "truncated_frame"): 1,
        ("cam-1", "undecodable_frame"): 1,
        ("cam-1", "oversized"): 1,
        (STRANGER, "unknown_asset"): 1,
    }


async def test_a_broker_that_was_away_is_found_again(broker: Running, site: Site) -> None:
    centre = Centre(broker.centre, site)
    async with running(centre) as telemetry:
        runs = broker.child.runs
        broker.child.kill()
        assert await broker.child.again(runs)
        await until(lambda: centre.telemetry.statistics.connections == 2)
        now = time.time_ns()
        async with client(broker.field, "device-1") as device:
            await device.publish(topic_of("sg-1"), reading("depth_m", now, 0.4), qos=1)
        await until(lambda: len(centre.observed()) == 1)
        assert not telemetry.done()


async def test_cancelled_at_any_moment_telemetry_and_commands_end(
    broker: Running, site: Site
) -> None:
    moments_s = [i * 0.0004 for i in range(60)]  # from before the connection to after the session
    for wait_s in moments_s:
        centre = Centre(broker.centre, site)
        commands = MqttCommands(broker.centre, site, WallClock())
        tasks = [asyncio.create_task(run()) for run in (centre.telemetry.run, commands.run)]
        await asyncio.sleep(wait_s)
        for task in tasks:
            task.cancel()
        _, hanging = await asyncio.wait(tasks, timeout=60)
        assert not hanging
        assert all(task.cancelled() for task in tasks)


CONSUMER = """
import asyncio, os, sys
from pathlib import Path
from causeway.clock import WallClock
from causeway.engine import Engine, advance
from causeway.site import load_site
from causeway.wire import decode_step, encode_step, pack, read_message_from
from causeway.wire import decode_step, read_message_from
from ingest.liveness import Liveness
from ingest.mqtt import Telemetry
from ingest.plausibility import Plausibility

url, folder, path = sys.argv[1:]
site = load_site(Path(folder))
cores = [Plausibility(site), Liveness(site)]


class FileJournal:
    def __init__(self):
        self.last_step, self.last_at_ns, end = 0, 0, 0
        with open(path, "ab+") as file:
            file.seek(0)
            while (body := read_message_from(file)) is not None:
                step = decode_step(body)
                self.last_step += 1
                self.last_at_ns = step.at_ns
                advance(cores, step.events[0], self.last_step, step.at_ns)
                end = file.tell()
            file.truncate(end)  # what a kill has torn
        self.file = open(path, "ab", buffering=0)

    async def append(self, step):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.file.write(pack(encode_step(step)))
        self.last_step += 1
        loop.call_later(0.005, future.set_result, self.last_step)
        return future


async def main():
    engine = Engine(cores, FileJournal(), WallClock(), str(os.getpid()))
    telemetry = Telemetry(url, site, WallClock(), engine.put, lambda frame: None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.run())
        tasks.create_task(telemetry.run())


asyncio.run(main())
"""


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def observed_in(path: Path) -> list[tuple[str, int]]:
    """Every identity in the observed readings of a journal, as often as it is there."""
    identities: list[tuple[str, int]] = []
    with path.open("rb") as file:
        while (body := read_message_from(file)) is not None:
            for event in decode_step(body).events:
                if isinstance(event, ReadingsObserved):
                    identities += zip(event.points, event.observed_at_ns, strict=True)
    return identities


async def test_a_consumer_killed_under_load_loses_and_doubles_nothing(
    broker: Running, children: Children, site: Site, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    first = Centre(broker.centre, site)
    async with running(first):
        pass  # the session exists before a device is let in
    argv = [sys.executable, "-c", CONSUMER, broker.centre, str(SITE), str(journal)]
    consumer = await children.start("consumer", argv, restarts_max=10)
    count, lot = 6_000, 100
    begin = time.time_ns()
    sent: list[tuple[str, int]] = []

    async def publish(device: aiomqtt.Client, i: int) -> None:
        point = POINTS[i % len(POINTS)]
        at_ns = begin + i
        await device.publish(topic_of(point), reading(point, at_ns, 1.0), qos=1)
        sent.append((point, at_ns))  # acknowledged to the device

    async with client(broker.field, "device-1") as device:
        kills = {count // 4, count // 2, count * 3 // 4}
        for i in range(0, count, lot):
            before = size_of(journal)
            await asyncio.gather(*(publish(device, j) for j in range(i, i + lot)))
            if i in kills:
                await until(lambda size=before: size_of(journal) > size)
                os.kill(consumer.pid, signal.SIGKILL)
    assert len(sent) == count
    await until(lambda: len(observed_in(journal)) >= count, 60)
    await consumer.stop()
    assert consumer.runs == 4
    assert Counter(observed_in(journal)) == Counter(sent)


async def test_commands_and_the_heartbeat_reach_the_field(broker: Running, site: Site) -> None:
    clock = WallClock()
    commands = MqttCommands(broker.centre, site, clock, writer="a1b2c3")
    now = time.time_ns()
    common = {"sequence": 42, "issued_at_ns": now, "expires_at_ns": now + 20 * NS}
    stage = StageCommanded(junction="j-01", stage="ew", **common)
    with pytest.raises(NotSent, match="no connection"):
        await commands.write(stage, Address(7, 1))
    task = asyncio.create_task(commands.run())
    options = broker.arguments(broker.field, "field-1")
    topics = ("centre/heartbeat", "signal/+/command", "sign/+/command", "lighting/+/command")
    filters = [argument for topic in topics for argument in ("-t", ROOT + topic)]
    listener = await asyncio.create_subprocess_exec(
        "mosquitto_sub",
        *options,
        "-q",
        "1",
        *filters,
        "-F",
        "%t %r %p",
        stdout=asyncio.subprocess.PIPE,
    )
    assert listener.stdout is not None

    async def heard() -> tuple[str, str, dict[str, object]]:
        assert listener.stdout is not None
        line = await asyncio.wait_for(listener.stdout.readline(), 20)
        topic, flag, body = line.decode().split(" ", 2)
        return topic.removeprefix(ROOT), flag, json.loads(body)

    try:
        beats = [await heard(), await heard()]
        sign = SignCommanded(sign="vms-01", text="NGẬP 35 CM", **common)
        light = LightingCommanded(circuit="lc-01", level_ratio=0.5, **common)
        for index, command in enumerate((stage, sign, light)):
            await commands.write(command, Address(7, index))
        found: dict[str, tuple[str, dict[str, object]]] = {}
        while len(found) < 3:
            topic, flag, body = await heard()
            if topic != "centre/heartbeat":
                found[topic] = (flag, body)
        for wrong in (
            PumpCommanded(pump="p-1", run=True, **common),
            StageCommanded(junction="j-99", stage="ew", **common),
            StageCommanded(
                junction="j-01", stage="ew", sequence=1, issued_at_ns=0, expires_at_ns=1
            ),
        ):
            with pytest.raises(NotSent):
                await commands.write(wrong, Address(7, 4))
    finally:
        listener.kill()
        await listener.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for topic, flag, beat in beats:
        assert (topic, flag, beat["writer"]) == ("centre/heartbeat", "0", "a1b2c3")
    seconds = [beat["at_ns"] for _, _, beat in beats]
    assert now <= seconds[0] < seconds[1] <= time.time_ns()
    assert found == {
        "signal/j-01/command": ("0", {**common, "stage": "ew"}),
        "sign/vms-01/command": ("0", {**common, "text": "NGẬP 35 CM"}),
        "lighting/lc-01/command": ("0", {**common, "level_ratio": 0.5}),
    }
    assert commands.published == 3


async def test_a_centre_that_cannot_decide_sends_no_heartbeat(broker: Running, site: Site) -> None:
    decides = False
    clock = ScaledClock(0, time.time_ns(), 50.0)
    commands = MqttCommands(broker.centre, site, clock, decides=lambda: decides)
    task = asyncio.create_task(commands.run())
    async with client(broker.field, "field-1") as device:
        await device.subscribe(ROOT + "centre/heartbeat", qos=0)
        await asyncio.wait_for(commands.ready.wait(), 20)
        silent_until_ns = clock.now_ns() + 10 * NS
        await clock.sleep(10.0)
        decides = True
        beat = await anext(aiter(device.messages))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert json.loads(beat.payload)["at_ns"] >= silent_until_ns


@pytest.mark.parametrize("url", ["http://host", "mqtt://", "mqtt://host:port", "host:1883", ""])
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(BrokerUrlInvalid, match="expected mqtt://"):
        broker_of(url)
