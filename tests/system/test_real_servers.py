"""The centre on the servers of a Linux distribution, and what other programs than ours do to it.

Mosquitto and PostgreSQL are Debian's, the journal's NATS server is the embedded one; the city is
`causeway field`, the centre `causeway up`, each a process. What comes in besides comes from
mosquitto_pub and mbpoll; what came of it is read from the wall's feed and from the database.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import pwd
import shutil
import socket
import struct
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

import cv2
import msgspec
import numpy as np
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from websockets.asyncio.client import ClientConnection, connect

from causeway.children import CAUSEWAY, Child, Children, RunAs
from causeway.clock import NS, ScaledClock, clock_spec
from causeway.servers import Unreachable, check_mqtt, start_nats
from causeway.site import Site, load_site
from ingest.payloads import ROOT
from sims.scenario import load_scenario

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

CITIES, SCENARIOS = (Path(__file__).parents[2] / "sims" / what for what in ("cities", "scenarios"))
CITY, SCENARIO = CITIES / "saigon", SCENARIOS / "king_tide_cloudburst.toml"
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
WAIT_S = 180.0  # of a busy machine
# Below those of outgoing connections, which might take one before its server listens.
PORTS = itertools.count(10_000 + os.getpid() % 500 * 20)
MISFIT = "plc-g-ben-nghe"  # in whose place another PLC stands
GAUGE, CAMERA = "sg-kc-1", "cam-nhc-4"
YEAR_2099_NS = 4_070_908_800 * NS
JPEG_START, JPEG_END = b"\xff\xd8\xff\xe0", b"\xff\xd9"


def program(name: str, path: str | None = None) -> str:
    """A program of the distribution; without it there is nothing to test, save where CI must."""
    found = shutil.which(name, path=path)
    if found is None:
        assert os.environ.get("CI") != "true", f"CI has to have {name}"
        pytest.skip(f"{name} is not installed")
    return found


async def run(*argv: str, run_as: RunAs | None = None, wait_s: float = WAIT_S) -> str:
    """A program to its good end; gives what it printed."""
    user, group = run_as or (None, None)
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        user=user,
        group=group,
        extra_groups=None if run_as is None else [],
    )
    out, err = await asyncio.wait_for(process.communicate(), wait_s)
    assert process.returncode == 0, (argv, out.decode(), err.decode())
    return out.decode()


async def until(holds: Callable[[], bool]) -> None:
    async def attempt() -> bool:
        return holds()

    await until_done(attempt)


async def until_done(attempt: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await attempt():  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Each given once."""
    return list(itertools.islice(filter(is_free, PORTS), count))


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# --- who looks on and who speaks -----------------------------------------------------------------


class Page:
    """A page of the wall: its tables, every value of a point that it was shown, and requests."""

    def __init__(self, connection: ClientConnection) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        self.shown: dict[str, list[float]] = {}
        self._connection = connection
        self._answers: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, port: int) -> Page:
        """As it stands after its first snapshot."""
        url = f"ws://127.0.0.1:{port}/feed"
        page = cls(await connect(url, compression=None, max_size=None))
        await until(lambda: bool(page.tables))
        return page

    async def close(self) -> None:
        self._reading.cancel()
        await self._connection.close()

    async def ask(self, do: str, **what: object) -> None:
        """Once it is journalled."""
        id_ = len(self._answers) + 1
        await self._connection.send(json.dumps({"do": do, "id": id_, **what}))
        await until(lambda: len(self._answers) >= id_)
        assert self._answers[-1]["ok"], self._answers[-1]

    def rejected(self) -> Counter[tuple[str, str]]:
        """By source and reason, as the table of sources has it."""
        rows = self.tables["sources"].items()
        return Counter({(s, why): n for s, row in rows for why, n in row["rejected"].items()})

    async def _read(self) -> None:
        async for message in self._connection:
            assert isinstance(message, bytes)
            said = json.loads(zlib.decompress(message))
            if said["kind"] == "answer":
                self._answers.append(said)
                continue
            tables = said.get("tables") or said["set"]
            if said["kind"] == "snapshot":
                self.tables = {name: {} for name in tables}
            for table, rows in tables.items():
                for key, row in rows.items():
                    self.tables[table].setdefault(key, {}).update(row)
                    if table == "points" and "v" in row:
                        self.shown.setdefault(key, []).append(row["v"])
            for table, keys in said.get("drop", {}).items():
                for key in keys:
                    self.tables[table].pop(key, None)


class Broker(NamedTuple):
    """Where devices publish, and as whom."""

    port: int
    user: str = ""
    password: str = ""

    async def publish(self, topic: str, payload: bytes, *more: str) -> None:
        """By mosquitto_pub, from a file: no command line holds every payload."""
        login = ["-u", self.user, "-P", self.password] if self.user else []
        with tempfile.NamedTemporaryFile() as file:
            file.write(payload)
            file.flush()
            what = ["-f", file.name] if payload else ["-n"]
            qos = "0" if "/frame/" in topic else "1"
            reach = ["-h", "127.0.0.1", "-p", str(self.port), "-q", qos]
            await run(program("mosquitto_pub"), *reach, *login, "-t", ROOT + topic, *what, *more)


class World(NamedTuple):
    """A running centre and what is around it."""

    site: Site
    clock: ScaledClock
    broker: Broker
    port: int  # of the wall
    page: Page
    dsn: str
    plcs: dict[str, int]

    def trend(self, point: str) -> list[float]:
        """What the store holds of a point, by the wall's own route; nothing while it is away."""
        url = f"http://127.0.0.1:{self.port}/api/trend?point={point}&minutes=60"
        try:
            with urlopen(url, timeout=10) as answer:
                values: list[float] = json.load(answer)["v"]
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return []
        return values


def reading(point: str, at_ns: int, value: object) -> bytes:
    return json.dumps({"point": point, "at_ns": at_ns, "value": value}).encode()


# --- the servers, the city, the centre -----------------------------------------------------------


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One that every user can get to."""
    with tempfile.TemporaryDirectory(prefix="causeway-real-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def processes(folder: Path) -> AsyncIterator[Children]:
    children = Children(folder)
    try:
        yield children
    finally:
        await children.stop_all()


async def start_mosquitto(children: Children, folder: Path) -> Broker:
    """As docs/OPERATING.md wants it."""
    (port,) = free_ports(1)
    settings = folder / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
        f"persistence_location {folder}/\nuser {pwd.getpwuid(os.geteuid()).pw_name}\n"
        "max_queued_messages 0\nmax_inflight_messages 1000\n"
    )
    mosquitto = program("mosquitto", f"{os.environ['PATH']}:/usr/sbin")
    await children.start("mosquitto", [mosquitto, "-c", str(settings)])

    async def attempt() -> bool:
        with suppress(Unreachable):
            await check_mqtt(f"mqtt://127.0.0.1:{port}")
            return True
        return False

    await until_done(attempt)
    return Broker(port)


def newest_postgres() -> str:
    """Where its programs are."""
    installed = DEBIAN_POSTGRES.glob("*/bin")
    return str(max(installed, key=lambda path: int(path.parts[-2]), default=DEBIAN_POSTGRES))


@asynccontextmanager
async def debian_postgres(folder: Path) -> AsyncIterator[str]:
    """A cluster of its own, of the distribution's newest; gives a database's address."""
    initdb, pg_ctl = program("initdb", newest_postgres()), program("pg_ctl", newest_postgres())
    nobody = pwd.getpwnam("nobody")
    run_as = (nobody.pw_uid, nobody.pw_gid) if os.geteuid() == 0 else None
    home = folder / "debian"
    home.mkdir()
    if run_as is not None:
        os.chown(home, *run_as)
    (port,) = free_ports(1)
    cluster = str(home / "pg")
    await run(initdb, "-N", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8",
              run_as=run_as)  # fmt: skip
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    manage = (pg_ctl, "-D", cluster, "-w")
    await run(*manage, "-o", options, "-l", str(home / "log"), "start", run_as=run_as)
    try:
        server = f"postgresql://postgres@127.0.0.1:{port}"
        async with await psycopg.AsyncConnection.connect(
            f"{server}/postgres", autocommit=True
        ) as admin:
            await admin.execute(sql.SQL("create database city"))
        yield f"{server}/city"
    finally:
        await run(*manage, "-m", "fast", "stop", run_as=run_as)


@asynccontextmanager
async def misfit_plc(port: int) -> AsyncIterator[None]:
    """A PLC that does not hold what the register map says, and whose clock stands in 1970.

    Where a gate's opening should be stands what is no number, and its levels are in no register.
    """
    not_a_number = list(struct.unpack(">2H", struct.pack("<f", float("nan"))))
    words = DataType.REGISTERS
    device = SimDevice(
        1,
        simdata=(
            [SimData(0, values=[True] * 16, datatype=DataType.BITS)],
            [SimData(0, values=[False] * 32, datatype=DataType.BITS)],
            [SimData(100, values=[0] * 11, datatype=words)],
            [
                SimData(0, values=not_a_number, datatype=words),
                SimData(100, values=[0] * 5, datatype=words),
            ],
        ),
    )
    server = ModbusTcpServer(device, address=("127.0.0.1", port))
    serving = asyncio.create_task(server.serve_forever())
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # of pymodbus
        serving.cancel()


async def answers(centre: Child) -> None:
    await until(lambda: "The wall: " in centre.log_tail() or not centre.alive)
    assert centre.alive, centre.log_tail()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(folder: Path) -> AsyncIterator[World]:
    """The city on Debian's servers, a retained reading waiting in the broker already."""
    site = load_site(CITY)
    clock = ScaledClock(load_scenario(SCENARIO, site).start_ns, time.time_ns(), 1.0)
    wall_port, misfit_port, *ports = free_ports(2 + len(site.plcs))
    plcs = dict(zip((plc.id for plc in site.plcs), ports, strict=True))
    async with (
        debian_postgres(folder) as dsn,
        misfit_plc(misfit_port),
        processes(folder / "log") as children,
    ):
        broker = await start_mosquitto(children, folder)
        early = reading("depth_m", clock.now_ns(), 0.0)
        await broker.publish(f"telemetry/{GAUGE}", early, "-r")
        nats = await start_nats(children, folder / "servers")
        shared = ("--clock", clock_spec(clock))
        seen = {**plcs, MISFIT: misfit_port}
        centre = await children.start(
            "centre",
            [
                *(CAUSEWAY, "up", "--site", str(CITY), "--port", str(wall_port), *shared),
                "--no-forecast",
                *("--data", str(folder / "centre"), "--nats", nats.nats_url),
                *("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--database", dsn),
                *(f"--plc={plc}=127.0.0.1:{port}" for plc, port in seen.items()),
            ],
        )
        await answers(centre)
        await children.start(
            "field",
            [
                *(CAUSEWAY, "field", "--scenario", str(SCENARIO), *shared),
                *("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--data", str(folder / "field")),
                *(f"--plc={plc}=127.0.0.1:{port}" for plc, port in plcs.items()),
            ],
        )
        page = await Page.open(wall_port)
        await until(lambda: page.tables["points"].get("tg-phu-an/stage_m") is not None)
        yield World(site, clock, broker, wall_port, page, dsn, plcs)
        await page.close()


# --- the city on Debian's servers ----------------------------------------------------------------


async def test_the_whole_city_is_heard_and_commanded(world: World) -> None:
    page, site = world.page, world.site
    devices = (site.gauges, site.junctions, site.signs, site.circuits)
    sources = [CAMERA, *(device.id for kind in devices for device in kind)]
    sources += [plc.id for plc in site.plcs if plc.id != MISFIT]
    await until(lambda: {page.tables["sources"][s]["state"] for s in sources} == {"up"})

    def confirmed() -> set[str]:
        rows = page.tables["commands"].values()
        return {row["target"] for row in rows if row["state"] == "confirmed"}

    await until(lambda: len(confirmed()) >= 5)
    assert confirmed() <= {junction.id for junction in site.junctions}


async def test_the_history_is_in_debians_database(world: World) -> None:
    async with await psycopg.AsyncConnection.connect(world.dsn) as connection:
        row = await (await connection.execute("show server_version")).fetchone()
        assert row is not None
        assert "Debian" in row[0]

        wanted = {p.id for p in world.site.points.values() if p.source != MISFIT}

        async def all_are_there() -> bool:
            rows = await connection.execute(
                "select distinct name from causeway.reading join causeway.point on id = point"
            )
            return wanted <= {name for (name,) in await rows.fetchall()}

        await until_done(all_are_there)


async def test_a_reading_of_mosquitto_pub_reaches_the_store_and_the_wall(world: World) -> None:
    await reaches_store_and_wall(world)


async def reaches_store_and_wall(world: World) -> None:
    at_ns = world.clock.now_ns()
    value = round(0.01 + at_ns // 1_000_000 % 100 / 10_000, 4)
    await world.broker.publish(f"telemetry/{GAUGE}", reading("depth_m", at_ns, value))
    point = f"{GAUGE}/depth_m"
    await until(lambda: value in world.page.shown.get(point, []))

    async def stored() -> bool:
        return value in await asyncio.to_thread(world.trend, point)

    await until_done(stored)


# --- another Modbus client beside the centre -----------------------------------------------------


async def mbpoll(port: int, *arguments: str) -> str:
    reach = ("-m", "tcp", "-p", str(port), "-0", "-1", "-a", "1")
    first = arguments[0::2].index("-r") * 2 + 2  # values stand behind the address
    return await run(program("mbpoll"), *reach, *arguments[:first], "127.0.0.1", *arguments[first:])


def registers(printed: str) -> list[int]:
    rows = [line.split() for line in printed.splitlines() if line.startswith("[")]
    return [int(row[1]) for row in rows]


async def test_mbpoll_reads_a_plc_and_commands_it_while_the_centre_does(world: World) -> None:
    page, port, pump = world.page, world.plcs["plc-ps-bcd"], "p-bcd-1"
    await until(lambda: page.tables["pumps"][pump]["running"] is False)
    shown = page.tables["stations"]["ps-bcd"]["power_kw"]
    watts = registers(await mbpoll(port, "-t", "4", "-c", "2", "-r", "2"))
    assert abs((watts[0] * 65_536 + watts[1]) / 1_000 - shown) < 1.0

    (sequence,) = registers(await mbpoll(port, "-t", "3", "-c", "1", "-r", "100"))
    now_s = world.clock.now_ns() // NS
    start = [sequence + 1, now_s >> 16, now_s & 0xFFFF, 30, 1, 1, 1]
    await mbpoll(port, "-t", "4", "-r", "100", *map(str, start))
    await until(lambda: page.tables["pumps"][pump]["running"] is True)
    answer = registers(await mbpoll(port, "-t", "3", "-c", "2", "-r", "100"))
    assert answer == [sequence + 1, 1]

    await page.ask("mode", asset=pump, mode="manual")  # the centre's next goes on from there
    await page.ask("pump", pump=pump, run=False)
    await until(lambda: page.tables["pumps"][pump]["running"] is False)
    await until(lambda: command_to(page, pump)["state"] == "confirmed")
    await page.ask("mode", asset=pump, mode="automatic")


def command_to(page: Page, target: str) -> dict[str, Any]:
    """The newest."""
    rows = page.tables["commands"].values()
    return max((r for r in rows if r["target"] == target), key=lambda r: float(r["at"]))


# --- bad input -----------------------------------------------------------------------------------


class Bad(NamedTuple):
    """What is published, and as whose and why it has to be counted (for no reason: it is good)."""

    topic: str
    payload: bytes
    source: str
    reason: str


def bad_readings(now_ns: int) -> Iterator[Bad]:
    """On gauges that go on speaking themselves."""

    def said(payload: bytes, reason: str, device: str = "sg-hn-4", source: str = "") -> Bad:
        return Bad(f"telemetry/{device}", payload, source or device, reason)

    def depth(value: object, reason: str, later_s: int = 0, device: str = "sg-hn-4") -> Bad:
        return said(reading("depth_m", now_ns + later_s * NS, value), reason, device)

    packed = msgspec.msgpack.encode({"point": "depth_m", "at_ns": now_ns, "value": 0.0})
    to_2099_s = (YEAR_2099_NS - now_ns) // NS
    yield said(b"depth_m = 0.1", "malformed")
    yield said(b"", "malformed")
    yield said(b"[]", "malformed")
    yield said(b'{"point": "depth_m", "at_ns": 1', "malformed")
    yield said(b'{"point": "\xff\xfe", "at_ns": 1, "value": 1}', "malformed")
    yield said(b"[" * 10_000, "malformed")
    yield said(packed[:-4], "malformed")
    yield said(b"x" * 3_000_000, "oversized")
    yield depth("deep", "malformed")
    yield depth(None, "malformed")
    yield depth(float("nan"), "not_a_number")
    yield said(reading("depth_m", now_ns, 7).replace(b": 7}", b": 1e999}"), "not_a_number")
    yield depth(99.0, "out_of_range")
    yield depth(0.0, "future", to_2099_s)
    yield depth(0.0, "late", -7_200)
    yield depth(0.0, "clock_skew", 5)
    yield depth(0.001, "", device="sg-hd-2")
    yield depth(0.001, "duplicate", device="sg-hd-2")
    yield depth(0.002, "conflict", device="sg-hd-2")
    yield depth(0.0, "", -10, "sg-bvd-2")  # on a slow machine its own last is older
    yield depth(1.9, "rate_of_change", device="sg-bvd-2")
    yield said(reading("salinity", now_ns, 1.0), "unknown_point")
    yield said(reading("sg-vvk-3/depth_m", now_ns, 0.0), "wrong_source")
    yield said(reading("depth_m", now_ns, 0.0), "unknown_asset", "sg-nowhere", "mqtt")
    yield said(reading("ps-bcd/sump_m", now_ns, 0.0), "wrong_source", "plc-ps-bcd", "mqtt")
    yield Bad("rumour/sg-hn-4", b"{}", "mqtt", "unknown_topic")


def bad_states(now_ns: int) -> Iterator[Bad]:
    def state(kind: str, device: str, reason: str, **fields: object) -> Bad:
        payload = json.dumps({"at_ns": now_ns, **fields}).encode()
        return Bad(f"{kind}/{device}/state", payload, device, reason)

    signal = {"stage": "n-s", "interval": "green", "aspects": "GGr", "mode": "centre"}
    yield state("signal", "j-me-linh", "malformed", **{**signal, "aspects": "G"})
    yield state("signal", "j-me-linh", "malformed", **{**signal, "stage": "n-s-e-w"})
    yield state("signal", "j-me-linh", "malformed", **{**signal, "mode": "mine"})
    yield state("sign", "vms-calmette", "malformed", text=7)
    yield state("lighting", "lc-nhc-1", "out_of_range", level_ratio=2.0)
    yield state("lighting", "lc-nhc-1", "not_a_number", level_ratio=float("nan"))
    said = json.dumps({"at_ns": now_ns, "sequence": 1, "accepted": True, "result": "late"})
    yield Bad("answer/j-me-linh", said.encode(), "j-me-linh", "malformed")
    yield Bad(f"sign/{CAMERA}/state", b"{}", "mqtt", "wrong_source")


def bad_frames(now_ns: int) -> Iterator[Bad]:
    def frame(at: object, payload: bytes, reason: str) -> Bad:
        return Bad(f"camera/{CAMERA}/frame/{at}", payload, CAMERA, reason)

    noise = np.random.default_rng(3).integers(0, 255, (360, 640, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    yield frame(now_ns, jpeg[:9_000], "truncated_frame")
    yield frame(now_ns, b"GIF89a" + bytes(900), "undecodable_frame")
    yield frame(now_ns + NS, JPEG_START + bytes(900) + JPEG_END, "undecodable_frame")
    yield frame(now_ns, JPEG_START + bytes(2**21) + JPEG_END, "oversized")
    yield frame(YEAR_2099_NS, jpeg, "future")
    yield frame(now_ns - 7_200 * NS, jpeg, "late")
    yield Bad(f"camera/{CAMERA}/frame/yesterday", jpeg, "mqtt", "malformed")
    yield Bad(f"camera/cam-nowhere/frame/{now_ns}", jpeg, "mqtt", "unknown_asset")


async def test_bad_input_of_every_kind_is_counted_on_the_wall_and_the_good_goes_on(
    world: World,
) -> None:
    page = world.page
    before = page.rejected()
    sent = []
    for kinds in (bad_readings, bad_states, bad_frames):
        for bad in kinds(world.clock.now_ns()):
            sent.append(bad)
            await world.broker.publish(bad.topic, bad.payload)
    expected = Counter((bad.source, bad.reason) for bad in sent if bad.reason)
    assert len(expected) >= 25
    try:
        await until(lambda: page.rejected() - before >= expected)
    except TimeoutError:
        raise AssertionError(f"never counted: {expected - (page.rejected() - before)}") from None
    others = set(page.rejected() - before) - set(expected)
    assert {source for source, _ in others} <= {MISFIT}
    for source in {bad.source for bad in sent}:
        reason, _, sample = page.tables["sources"][source]["sample"].partition(": ")
        assert (source, reason) in expected
        assert sample or source == CAMERA  # of what the vision worker refuses there is no text

    at = {point: row["at"] for point, row in page.tables["points"].items()}
    assert len(at) > 100
    await until(lambda: all(page.tables["points"][p]["at"] > before for p, before in at.items()))
    await until(lambda: page.tables["cameras"][CAMERA]["health"] == "ok")
    await reaches_store_and_wall(world)


async def test_what_was_retained_is_not_permitted(world: World) -> None:
    await until(lambda: world.page.rejected()[GAUGE, "not_permitted"] == 1)


async def test_a_plc_that_holds_something_else_is_told_and_believed_in_nothing(
    world: World,
) -> None:
    rejected = world.page.rejected
    await until(lambda: rejected()[MISFIT, "register_mismatch"] > 0)
    await until(lambda: rejected()[MISFIT, "clock_skew"] > 0)
    gate = world.page.tables["gates"]["g-ben-nghe"]
    assert gate["opening"] is None
    assert gate["inside_m"] is None


# --- the embedded broker -------------------------------------------------------------------------


async def test_mosquitto_pub_reaches_the_store_and_the_wall_by_the_embedded_broker(
    folder: Path,
) -> None:
    site, (port,), data = load_site(CITY), free_ports(1), folder / "embedded"
    async with processes(folder / "log") as children:
        start = [CAUSEWAY, "up", "--site", str(CITY), "--port", str(port), "--data", str(data)]
        await answers(await children.start("embedded", start))
        ports = json.loads((data / "ports.json").read_text())
        secrets = json.loads((data / "secrets.json").read_text())
        broker = Broker(int(ports["mqtt"]), "field", secrets["field"])
        page = await Page.open(port)
        clock = ScaledClock(time.time_ns(), time.time_ns(), 1.0)
        await reaches_store_and_wall(World(site, clock, broker, port, page, "", {}))
        await page.close()
