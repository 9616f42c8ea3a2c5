"""What is done in the simulated city is seen in it: in its streets, its canals and its pictures.

No centre is there. A gauge, a detector and a camera are read from the broker, signs and pumps are
commanded by MQTT and Modbus as docs/INTERFACES.md says. One field runs six times as fast as the
wall's clock: signs are set and pumps stopped in the middle of it. Beside it the water alone runs
through a rising tide with a gate that is stuck open. Before them the same traffic drives in two
equal streets, so full that they need both their lanes, and a sign closes a lane of the second.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import aiomqtt
import cv2
import msgspec
import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from pymodbus.client import AsyncModbusTcpClient

from causeway.children import CAUSEWAY, Children
from causeway.clock import NS, ScaledClock, clock_spec
from causeway.servers import start_nats
from causeway.site import Site, load_site
from sims.city import LANE_WIDTH_M, Projection
from sims.optics import optics_of
from sims.scenario import load_scenario

pytestmark = pytest.mark.system

CITY = Path(__file__).parents[2] / "sims" / "cities" / "saigon"
ROOT = "causeway/v1/"
WAIT_S = 240.0  # of a busy machine
MAILBOX, ANSWER, WATCHDOG = 100, 100, 110  # docs/INTERFACES.md
PUMP_RUN = 1
PUMPS_PLC, PUMPS = "plc-ps-nhc", 3
BANNED_BY, BAN = "vms-bach-dang", "CẤM MỌI XE"
BANNED = ("j-me-linh/nw", "j-hbt-le-thanh-ton/se", "j-tdt-ham-nghi/w")  # where its streets end
EMPTIED, FLOODED = ("cam-hbt-6", "cam-hn-4"), "cam-nhc-4"
STREET_DEPTH, QUAY_DEPTH, CANAL = "sg-nhc-4/depth_m", "sg-bvd-2/depth_m", "lg-thi-nghe-2/stage_m"
FRAMES = 14
# Below those of outgoing connections, which might take one before its PLC listens.
PORTS = itertools.count(10_000 + os.getpid() % 500 * 20)

# A tide above the quays, shut out by the gates, and rain where only pumps drain.
KING_TIDE_BY_DAY = """
id = "king_tide_by_day"
name = "Triều cường ban ngày"
name_en = "King tide by day"
start = 2025-11-06T14:40:00+07:00
seed = 5

[traffic]
veh_h = 5000.0
motorbike_share = 0.78

[tide]
surge_m = 1.7

[[rain]]
at = [106.7175, 10.7905]
begins = 2025-11-06T14:15:00+07:00
lasts_s = 7200.0
rise_s = 180.0
fall_s = 720.0
peak_mm_h = 80.0
radius_m = 500.0
"""
STUCK_GATE = """
id = "stuck_gate"
name = "Cống kẹt"
name_en = "Stuck gate"
start = 2025-11-06T14:20:00+07:00
seed = 5

[traffic]
veh_h = 100.0
motorbike_share = 0.78

[tide]
surge_m = 0.5

[[fault]]
target = "g-ben-nghe"
kind = "stuck"
at = 2025-11-06T14:20:00+07:00
"""
# A street with two lanes towards a signal, its sign and its camera at the kerb.
STREET = """
[site]
id = "street"
name = "Một con phố"
name_en = "One street"
timezone = "Asia/Ho_Chi_Minh"
datum = "hon_dau"
centre = [106.7000, 10.7800]
credit = "made for tests"

[[quantity]]
id = "queue_veh"
unit = "veh"
min = 0
max = 200

[[quantity]]
id = "flow_veh_h"
unit = "veh/h"
min = 0
max = 8000

[[sign]]
id = "vms"
name = "Bảng"
at = [106.6989, 10.77993]
segments = ["rd-street"]

[[camera]]
id = "cam"
name = "Một con phố"
at = [106.6990, 10.77993]
segment = "rd-street"
bearing_deg = 90
fps = 4.0
road = [[0.0, 1.0], [0.44, 0.3], [0.48, 0.3], [0.26, 1.0]]

[[junction]]
id = "j"
name = "Ngã tư"
at = [106.7014, 10.7800]
group = [
    { id = "w", segment = "rd-street" },
    { id = "s", segment = "rd-south" },
    { id = "n", segment = "rd-north" },
]
stage = [
    { id = "w", green = ["w"] },
    { id = "s-n", green = ["s", "n"] },
]
conflicts = [["w", "s"], ["w", "n"]]
"""
ROAD = """
[[segment]]
id = "{id}"
name = "{id}"
line = [{start}, {end}]
lanes = {lanes}
one_way = {one_way}
speed_limit_km_h = 50
low_point = {end}
low_point_m = 2.0
"""
STREET += "".join(
    ROAD.format(id=id_, start=start, end=end, lanes=lanes, one_way=str(lanes > 1).lower())
    for id_, start, end, lanes in (
        ("rd-in", [106.6965, 10.78], [106.6986, 10.78], 2),
        ("rd-street", [106.6986, 10.78], [106.7014, 10.78], 2),
        ("rd-out", [106.7014, 10.78], [106.7032, 10.78], 2),
        ("rd-north", [106.7014, 10.78], [106.7014, 10.7818], 1),
        ("rd-south", [106.7014, 10.7782], [106.7014, 10.78], 1),
    )
)
RUSH = """
id = "rush"
name = "Giờ cao điểm"
name_en = "Rush hour"
start = 2025-11-06T14:20:00+07:00
seed = 5

[traffic]
veh_h = 3500.0
motorbike_share = 0.78
"""
CLOSED = "ĐÓNG LÀN 1"  # at the kerb
QUEUE, FLOW = "j/w/queue_veh", "j/w/flow_veh_h"
READ_BEFORE, READ_SINCE, READ_AFTER = 20, 20, 40  # of a detector, each 6 s


class Played(NamedTuple):
    """A scenario, and how many times too fast it is played."""

    name: str
    text: str
    speed: float


STREETS = Played("king_tide_by_day", KING_TIDE_BY_DAY, 6.0)
TIDE = Played("stuck_gate", STUCK_GATE, 120.0)
LANES = Played("rush", RUSH, 12.0)
Pixels = NDArray[np.uint8]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.1)


def free_ports(site: Site) -> dict[str, int]:
    """One for each PLC, given once."""
    return dict(zip((plc.id for plc in site.plcs), filter(is_free, PORTS), strict=False))


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# --- who looks on and who commands ---------------------------------------------------------------


class Topics:
    """What devices publish, and commands to signs."""

    def __init__(self, url: str, clock: ScaledClock) -> None:
        self.readings: dict[str, list[float]] = defaultdict(list)
        self.frames: dict[str, list[bytes]] = defaultdict(list)
        self._clock = clock
        self._sequence = itertools.count(1)
        parts = urlsplit(url)
        self._client = aiomqtt.Client(
            parts.hostname or "",
            parts.port or 0,
            username=parts.username,
            password=parts.password,
            identifier="looker-on",
        )

    def newest(self, point: str) -> float:
        """A point's last reading; not a number before the first."""
        return self.readings[point][-1] if self.readings[point] else float("nan")

    async def watch(self) -> None:
        async with self._client:
            await self._client.subscribe(f"{ROOT}#", qos=0)
            async for message in self._client.messages:
                kind, device = str(message.topic).removeprefix(ROOT).split("/")[:2]
                assert isinstance(message.payload, bytes)
                if kind == "camera":
                    self.frames[device].append(message.payload)
                elif kind == "telemetry":
                    for reading in msgspec.json.decode(message.payload):
                        self.readings[f"{device}/{reading['point']}"].append(reading["value"])

    async def show(self, sign: str, text: str) -> None:
        """Again and again: a sign that hears of nobody for five minutes goes blank."""
        while True:
            now_ns = self._clock.now_ns()
            order = {"sequence": next(self._sequence), "issued_at_ns": now_ns, "text": text}
            order |= {"expires_at_ns": now_ns + 60 * NS}
            topic = f"{ROOT}sign/{sign}/command"
            await self._client.publish(topic, msgspec.json.encode(order), qos=1)
            await self._clock.sleep(100.0)


class Station:
    """A pumping station's PLC, by raw Modbus."""

    def __init__(self, port: int, clock: ScaledClock) -> None:
        self._client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5)
        self._clock = clock

    async def keep_alive(self) -> None:
        """Once it answers: its watchdog is content, and it does as it is told."""
        while not await self._client.connect():
            await self._clock.sleep(2.0)
        for count in itertools.count(1):
            await self._client.write_register(WATCHDOG, count % 65_536)
            await self._clock.sleep(2.0)

    async def running(self) -> list[bool]:
        """Each pump."""
        answer = await self._client.read_discrete_inputs(1, count=PUMPS)
        return list(answer.bits[:PUMPS])

    async def sump_m(self) -> float:
        (millimetres,) = (await self._client.read_input_registers(0, count=1)).registers
        return float(np.uint16(millimetres).astype(np.int16)) / 1_000

    async def stop(self, number: int) -> None:
        """Pump `number` of the station, by the mailbox."""
        (last,) = (await self._client.read_input_registers(ANSWER, count=1)).registers
        now_s = self._clock.now_ns() // NS
        words = [last + 1, now_s >> 16, now_s & 0xFFFF, 60, number, PUMP_RUN, 0]
        await self._client.write_registers(MAILBOX, words)
        for _ in range(200):
            answer = await self._client.read_input_registers(ANSWER, count=2)
            if answer.registers == [last + 1, 1]:
                return
            await asyncio.sleep(0.05)  # a PLC tells nothing unless it is asked
        raise AssertionError(f"not taken: {answer.registers}")


class Seen(NamedTuple):
    """The city before or after."""

    flow_veh_h: dict[str, float]  # by approach
    sump_m: float
    depth_m: float  # on the street that the station drains
    pumps: list[bool]
    pictures: dict[str, list[Pixels]]


class City(NamedTuple):
    """The streets before anything was done and a while after, and the rising water's readings."""

    site: Site
    before: Seen
    after: Seen
    tide: Topics


# --- the story -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="causeway-city-") as name:
        yield Path(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city(folder: Path) -> AsyncIterator[City]:
    site = load_site(CITY)
    watching: list[asyncio.Task[None]] = []
    fields = {command: Children(folder / command / "log") for command in ("field-water", "field")}
    try:
        cameras = [c.id for c in site.cameras if c.id not in (*EMPTIED, FLOODED)]
        drawn = (f"--elsewhere={camera}" for camera in cameras)
        water, whole = (Started(c, folder / c, CITY, fields[c]) for c in fields)
        tide, _, _ = await start(water, site, TIDE)
        streets, clock, ports = await start(whole, site, STREETS, *drawn)
        station = Station(ports[PUMPS_PLC], clock)
        told = (tide.watch(), streets.watch(), station.keep_alive())
        watching += map(asyncio.create_task, told)
        yield await tell(site, streets, station, tide, watching)
    finally:
        for task in watching:
            task.cancel()
        for children in fields.values():
            await children.stop_all()


class Started(NamedTuple):
    """A field to be started: its command, its data, its site and whose children it is."""

    command: str
    data: Path
    city: Path
    children: Children


async def start(
    field: Started, site: Site, played: Played, *more: str
) -> tuple[Topics, ScaledClock, dict[str, int]]:
    """A field with a broker of its own."""
    data, children = field.data, field.children
    scenario = data / f"{played.name}.toml"
    scenario.write_text(played.text)
    clock = ScaledClock(load_scenario(scenario, site).start_ns, time.time_ns(), played.speed)
    ports = free_ports(site)
    nats = await start_nats(children, data)
    parts = {"field": ("--data",)}.get(field.command, ("--site", str(field.city), "--work"))
    await children.start(
        field.command,
        [
            *(CAUSEWAY, field.command, "--scenario", str(scenario), *parts, str(data / "work")),
            *("--clock", clock_spec(clock), *more),
            *(f"--plc={plc}=127.0.0.1:{port}" for plc, port in ports.items()),
        ],
        env={**os.environ, "CAUSEWAY_MQTT_URL": nats.mqtt_url_field},
    )
    return Topics(nats.mqtt_url_centre, clock), clock, ports


async def tell(
    site: Site,
    streets: Topics,
    station: Station,
    tide: Topics,
    watching: list[asyncio.Task[None]],
) -> City:
    flows = [f"{approach}/flow_veh_h" for approach in BANNED]
    await until(lambda: all(streets.newest(flow) >= 300 for flow in flows))
    before = await look(site, streets, station)
    watching.append(asyncio.create_task(streets.show(BANNED_BY, BAN)))
    for number in range(1, PUMPS + 1):
        await station.stop(number)
    for happens in (
        lambda: all(streets.newest(flow) < 100 for flow in flows),
        lambda: streets.newest(STREET_DEPTH) > 0.2,
        lambda: max(tide.readings[QUAY_DEPTH]) > 0.1,
    ):
        with suppress(TimeoutError):  # the tests say what did not happen
            await until(happens)
    streets.frames.clear()
    return City(site, before, await look(site, streets, station), tide)


async def look(site: Site, streets: Topics, station: Station) -> Seen:
    """As it is now, and its newest pictures."""
    cameras = (*EMPTIED, FLOODED)
    await until(lambda: all(len(streets.frames[camera]) >= FRAMES for camera in cameras))
    return Seen(
        flow_veh_h={
            f"{j.id}/{g.id}": streets.newest(f"{j.id}/{g.id}/flow_veh_h")
            for j in site.junctions
            for g in j.groups
        },
        sump_m=await station.sump_m(),
        depth_m=streets.newest(STREET_DEPTH),
        pumps=await station.running(),
        pictures={
            camera: list(map(picture, streets.frames[camera][-FRAMES:])) for camera in cameras
        },
    )


def picture(jpeg: bytes) -> Pixels:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


# --- a closed lane -------------------------------------------------------------------------------


class Driven(NamedTuple):
    """What a street's devices said for a while."""

    queue_veh: float  # mean
    flow_veh_h: float
    pictures: list[Pixels]


class Street(NamedTuple):
    """Before its sign spoke, and a while after."""

    before: Driven
    after: Driven


class Streets(NamedTuple):
    """Two equal ones; a lane of the second is closed."""

    site: Site
    without: Street
    closed: Street


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two_streets(folder: Path) -> Streets:
    """The same traffic, with every lane open and with one closed by the sign."""
    city = folder / "street"
    city.mkdir()
    (city / "site.toml").write_text(STREET)
    site = load_site(city)
    data = [folder / "without", folder / "closed"]
    fields = [Children(one / "log") for one in data]
    watching: list[asyncio.Task[None]] = []
    try:
        streets = []
        for one, children in zip(data, fields, strict=True):
            street, _, _ = await start(Started("field-traffic", one, city, children), site, LANES)
            watching.append(asyncio.create_task(street.watch()))
            streets.append(street)
        before = await read(streets, READ_BEFORE)
        watching.append(asyncio.create_task(streets[1].show("vms", CLOSED)))
        await read(streets, READ_SINCE)
        after = await read(streets, READ_AFTER)
        return Streets(site, *itertools.starmap(Street, zip(before, after, strict=True)))
    finally:
        for task in watching:
            task.cancel()
        for children in fields:
            await children.stop_all()


async def read(streets: list[Topics], readings: int) -> list[Driven]:
    """So many readings of each detector, and the pictures taken meanwhile."""
    for street in streets:
        street.readings.clear()
        street.frames.clear()
    await until(lambda: all(len(s.readings[QUEUE]) >= readings for s in streets))
    return [
        Driven(
            float(np.mean(s.readings[QUEUE])), s.newest(FLOW), list(map(picture, s.frames["cam"]))
        )
        for s in streets
    ]


def test_a_lane_closed_by_a_sign_makes_the_queue_longer(two_streets: Streets) -> None:
    without, closed = two_streets.without.after, two_streets.closed.after
    assert closed.queue_veh > 1.5 * without.queue_veh > 0
    # Who meant to drive in the closed lane passes in the other one.
    assert closed.flow_veh_h > 0.4 * without.flow_veh_h


def test_the_camera_sees_nobody_drive_in_a_closed_lane(two_streets: Streets) -> None:
    site, without, closed = two_streets
    kerb, other = strip(site, 1), strip(site, 2)
    for driven in (*without, closed.before):
        assert moving(driven.pictures, kerb) > 0.005
    assert moving(closed.after.pictures, kerb) < 0.001
    road, works = still_of(closed.before.pictures), still_of(closed.after.pictures)
    assert apart(works, road, kerb) > 0.5  # barriers stand there
    assert np.mean([apart(one, road, other) for one in closed.after.pictures]) > 0.03


# --- traffic -------------------------------------------------------------------------------------


def test_a_ban_on_a_sign_empties_the_streets_that_it_speaks_of(city: City) -> None:
    before, after = city.before.flow_veh_h, city.after.flow_veh_h
    for approach in BANNED:
        assert after[approach] < before[approach] / 2, approach
    others = [a for a in before if before[a] > 200 and a not in BANNED]
    assert sum(after[a] for a in others) > 0.4 * sum(before[a] for a in others)


def test_the_cameras_of_a_banned_street_see_it_empty(city: City) -> None:
    for camera in EMPTIED:
        before, after = (vehicles(city, seen, camera) for seen in (city.before, city.after))
        assert before > 3 * after, camera


# --- water ---------------------------------------------------------------------------------------


def test_stopped_pumps_let_their_sump_and_the_street_fill(city: City) -> None:
    assert city.before.pumps == [True] * PUMPS
    assert city.after.pumps == [False] * PUMPS
    assert city.after.sump_m > city.before.sump_m + 0.2
    assert city.before.depth_m < 0.1
    assert city.after.depth_m > city.before.depth_m + 0.1


def test_the_camera_of_a_flooded_street_sees_the_water(city: City) -> None:
    still, flooded = (still_of(seen.pictures[FLOODED]) for seen in (city.before, city.after))
    road = road_of(city.site, FLOODED)
    light = np.median(flooded[~road], axis=0) / np.median(still[~road], axis=0)
    apart = np.abs(still * light - flooded).mean(axis=2)  # rain takes the light from all of it
    assert apart[road].mean() > 1.5 * apart[~road].mean()
    markings = [float((cv2.Canny(p, 150, 300)[road] > 0).mean()) for p in (still, flooded)]
    assert markings[1] < markings[0] / 3  # they lie under it


def test_a_gate_that_stays_open_lets_the_tide_into_the_streets(city: City) -> None:
    river, closed = city.tide.readings["tg-phu-an/stage_m"], city.tide.readings[CANAL]
    assert max(river) > 1.6
    assert max(closed) < 1.1  # behind the gate that could close
    assert max(city.tide.readings[QUAY_DEPTH]) > 0.1


# --- pictures ------------------------------------------------------------------------------------


def still_of(pictures: list[Pixels]) -> Pixels:
    """What does not move in them."""
    return np.asarray(np.median(np.stack(pictures), axis=0), np.uint8)


def road_of(site: Site, camera: str) -> NDArray[np.bool_]:
    """Where the camera sees its road."""
    about = next(c for c in site.cameras if c.id == camera)
    mask = np.zeros((360, 640), np.uint8)
    corners = np.array([(x * 640, y * 360) for x, y in about.road], np.int32)
    return np.asarray(cv2.fillPoly(mask, [corners], 1), np.bool_)


def vehicles(city: City, seen: Seen, camera: str) -> float:
    """The share of the camera's road under vehicles."""
    return moving(seen.pictures[camera], road_of(city.site, camera))


def moving(pictures: list[Pixels], where: NDArray[np.bool_]) -> float:
    """The share of a place under what was not there before and is not there for long."""
    still = still_of(pictures)
    return float(np.mean([apart(one, still, where) for one in pictures]))


def apart(one: Pixels, other: Pixels, where: NDArray[np.bool_]) -> float:
    """The share of a place that looks different in two pictures."""
    blurred = (cv2.blur(p, (7, 7)).astype(float) for p in (one, other))
    return float((np.abs(np.subtract(*blurred)).max(axis=2)[where] > 40).mean())


def strip(site: Site, lane: int) -> NDArray[np.bool_]:
    """A lane of the street in its camera's picture, 1 at the kerb, 12 to 60 m before it."""
    (camera,) = site.cameras
    optics = optics_of(camera, Projection(site.centre), (640, 360))
    middle_m = (lane - 1.5) * LANE_WIDTH_M  # north of the street's middle
    corners = [
        (optics.x_m + ahead_m, middle_m + beside_m, 0.0)
        for ahead_m, beside_m in ((12.0, -1.2), (60.0, -1.2), (60.0, 1.2), (12.0, 1.2))
    ]
    outline = optics.polygon(np.array(corners, np.float32))
    assert outline is not None
    mask = np.zeros((360, 640), np.uint8)
    return np.asarray(cv2.fillPoly(mask, [outline.astype(np.int32)], 1), np.bool_)
