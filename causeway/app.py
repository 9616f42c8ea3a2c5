"""Puts programs together: the demo, a centre on configured servers, the simulated field alone.

In come checked options; out go running processes, ended by Ctrl-C, SIGTERM or a time limit, in an
order that leaves nothing behind. `centre.py` is the centre itself, `cli.py` reads the options.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import msgspec
from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from causeway.cancellation import heed_cancellation
from causeway.centre import (
    Centre,
    Options,
    PictureState,
    Servers,
    Summary,
    cores_of,
    program_version,
)
from causeway.children import CAUSEWAY, Child, Children
from causeway.clock import NS, Clock, ScaledClock, WallClock, clock_spec
from causeway.engine import Replayed
from causeway.events import EngineStarted, Step
from causeway.journal import JetStreamJournal, RecordingUnusable
from causeway.projection import at
from causeway.recording import Recording, open_recording, replay_recording
from causeway.servers import Nats, check_url, start_nats, start_postgres
from causeway.site import Site, load_site
from dashboard.picture import Picture
from dashboard.server import try_address
from sims.scenario import Scenario, load_scenario

MQTT_URL = "CAUSEWAY_MQTT_URL"  # a password stands in it: it goes by the environment
FIELD_RESTARTS_MAX = 5
# Below those that a system gives to outgoing connections: seconds go by before a PLC listens.
PLC_PORTS = range(20_000, 30_000)

Address = tuple[str, int]
T = TypeVar("T")


class OptionInvalid(Exception):
    """An option that names what the site does not have."""

    def __init__(self, kind: str, seen: str, known: Iterable[str]) -> None:
        super().__init__(f"no {kind} {seen!r}; expected one of {', '.join(known)}")


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What `causeway demo` is asked for."""

    site_folder: Path
    scenario_file: Path
    data: Path
    host: str
    port: int
    hosts: tuple[str, ...]
    headless: bool  # nobody looks: a reader of our own stands in for a page
    speed: float
    seconds: float | None  # of the wall; None: until told
    cameras: dict[str, str]  # a camera's id, and a video in place of the simulated street
    plans_signals: bool = True
    forecasts: bool = True


class UpOptions(Struct, frozen=True, kw_only=True):
    """What `causeway up` is asked for; a server without an address is embedded."""

    site_folder: Path
    data: Path
    host: str
    port: int
    hosts: tuple[str, ...]
    counts: bool  # hold the store against the journal for the summary
    mark: str
    clock: Clock
    seconds: float | None
    plcs: dict[str, Address]
    mqtt_url: str | None
    nats_url: str | None
    dsn: str | None
    plans_signals: bool = True
    forecasts: bool = True


class FieldOptions(Struct, frozen=True, kw_only=True):
    """What `causeway field` is asked for."""

    site_folder: Path
    scenario_file: Path
    data: Path
    clock: Clock
    mqtt_url: str
    plcs: dict[str, Address]
    cameras: bool
    elsewhere: tuple[str, ...] = ()  # cameras that another source stands in for


async def demo(options: DemoOptions, say: Callable[[str], None]) -> Summary:
    """The centre on embedded servers with the simulated city; gives what the run came to."""
    site = load_site(options.site_folder)
    scenario = load_scenario(options.scenario_file, site)
    try_address(options.host, options.port)  # before anything is started
    videos = {c.camera: c.source for c in scenario.cameras} | options.cameras
    filmed = with_videos(site, videos)
    async with _processes(options.data) as children, AsyncExitStack() as held:
        say(f"{site.name_en}: {scenario.name_en}; data in {options.data}")
        servers, nats = await _embedded(children, options.data)
        journal = await held.enter_async_context(_journal(servers.nats_url))
        clock = _demo_clock(scenario, options.speed, journal.last_at_ns)
        plcs = _plc_addresses(site, known=not options.headless)
        seen = with_plcs(filmed, plcs)
        field = FieldOptions(
            site_folder=options.site_folder,
            scenario_file=options.scenario_file,
            data=options.data / "field",
            clock=clock,
            mqtt_url=nats.mqtt_url_field,
            plcs=plcs,
            cameras=True,
            elsewhere=tuple(options.cameras),
        )
        running: list[Child] = []
        pages: list[asyncio.Task[None]] = []
        begun = asyncio.Event()

        async def ready(address: str) -> None:
            say(f"The wall: {address}")
            running.extend(await start_field(children, field))
            if options.headless:
                pages.append(asyncio.create_task(_read_as_a_page(address)))
            begun.set()

        async def leave() -> None:
            for child in reversed(running):
                await child.stop()
            for page in pages:
                page.cancel()

        centre = Centre(
            seen,
            options.site_folder,
            servers,
            journal,
            clock,
            children,
            Options(
                data=options.data,
                mark="DEMO",
                host=options.host,
                port=options.port,
                hosts=options.hosts,
                plans_signals=options.plans_signals,
                forecasts=options.forecasts,
                counts=True,
            ),
        )
        return await _until_told(
            leave, lambda stop: centre.run(stop, ready), begun, options.seconds
        )


async def up(options: UpOptions, say: Callable[[str], None]) -> Summary:
    """The centre on configured servers; what is not configured is embedded."""
    site = with_plcs(load_site(options.site_folder), options.plcs)
    try_address(options.host, options.port)
    async with _processes(options.data) as children, AsyncExitStack() as held:
        servers = await _configured(children, options)
        journal = await held.enter_async_context(_journal(servers.nats_url))
        centre = Centre(
            site,
            options.site_folder,
            servers,
            journal,
            options.clock,
            children,
            Options(
                data=options.data,
                mark=options.mark,
                host=options.host,
                port=options.port,
                hosts=options.hosts,
                plans_signals=options.plans_signals,
                forecasts=options.forecasts,
                counts=options.counts,
            ),
        )

        begun = asyncio.Event()

        async def ready(address: str) -> None:
            say(f"The wall: {address}")
            begun.set()

        return await _until_told(
            _nothing, lambda stop: centre.run(stop, ready), begun, options.seconds
        )


async def field(options: FieldOptions, say: Callable[[str], None]) -> None:
    """The simulated city alone, until told."""
    site = load_site(options.site_folder)
    load_scenario(options.scenario_file, site)
    _see_that_there_are("PLC", options.plcs, [plc.id for plc in site.plcs])
    _see_that_there_are("camera", options.elsewhere, [camera.id for camera in site.cameras])
    async with _processes(options.data) as children:
        await start_field(children, options)
        say(f"{site.name_en}: the simulated field is up")
        await _until_told(_nothing, _wait)


class RecordingFound(Struct, frozen=True, kw_only=True):
    """What a recording holds, and what a replay of it gave.

    `compared` counts the steps that this version wrote, for another one may answer otherwise;
    `identical` is None where nothing was compared. `difference` is the first step that was answered
    otherwise than recorded.
    """

    first_step: int
    last_step: int
    started_at: str
    ended_at: str
    events: dict[str, int]
    versions: tuple[str, ...]
    version: str
    compared: int
    identical: bool | None
    difference: int | None


async def replay(path: Path, site_folder: Path, check: bool) -> RecordingFound:
    """Read a recording whole; with `check` replay it on fresh cores, up to the first difference."""
    site = load_site(site_folder)
    async with open_recording(path) as recording:
        survey = _Survey(program_version(), recording)
        async for number, step in recording.read():
            survey.take(number, step)
        replayed = None
        if check:
            if survey.site_hash not in ("", site.hash):
                raise RecordingUnusable(path, f"a record of site {survey.site_hash}")
            cores = (*cores_of(site), PictureState(Picture(site)))
            replayed = await replay_recording(cores, recording, survey.version)
        return survey.found(recording, replayed)


class _Survey:
    """Counts what stands in a recording."""

    def __init__(self, version: str, recording: Recording) -> None:
        self.version = version
        self.site_hash = ""
        self._events: Counter[str] = Counter()
        self._versions: list[str] = []
        self._compared = 0
        if recording.starting is not None:
            self.site_hash = recording.starting.site_hash
            self._versions.append(recording.starting.version)
        self._first_at_ns = 0
        self._last_at_ns = 0

    def take(self, number: int, step: Step) -> None:
        """One step."""
        self._first_at_ns = self._first_at_ns or step.at_ns
        self._last_at_ns = step.at_ns
        for event in step.events:
            self._events[type(event).__name__] += 1
        first = step.events[0]
        if isinstance(first, EngineStarted):
            self.site_hash = first.site_hash
            self._versions.append(first.version)
        self._compared += self._versions[-1:] == [self.version]

    def found(self, recording: Recording, replayed: Replayed | None) -> RecordingFound:
        """The whole."""
        difference = replayed.first_difference if replayed else None
        return RecordingFound(
            first_step=recording.first,
            last_step=recording.last,
            started_at=at(self._first_at_ns).isoformat(),
            ended_at=at(self._last_at_ns).isoformat(),
            events=dict(sorted(self._events.items())),
            versions=tuple(dict.fromkeys(self._versions)),
            version=self.version,
            compared=self._compared if replayed else 0,
            identical=difference is None if self._compared and replayed else None,
            difference=difference.number if difference else None,
        )


async def start_field(children: Children, options: FieldOptions) -> list[Child]:
    """The two processes of the simulated city."""
    shared = [
        "--site",
        str(options.site_folder),
        "--scenario",
        str(options.scenario_file),
        "--clock",
        clock_spec(options.clock),
        "--work",
        str(options.data),
    ]
    plcs = [f"--plc={plc}={host}:{port}" for plc, (host, port) in options.plcs.items()]
    pictures = [f"--elsewhere={camera}" for camera in options.elsewhere]
    pictures += [] if options.cameras else ["--no-cameras"]
    environment = {**os.environ, MQTT_URL: options.mqtt_url}
    return [
        await children.start(
            name,
            [CAUSEWAY, name, *shared, *more],
            env=environment,
            restarts_max=FIELD_RESTARTS_MAX,
        )
        for name, more in (("field-water", plcs), ("field-traffic", pictures))
    ]


def with_plcs(site: Site, addresses: Mapping[str, Address]) -> Site:
    """The site with other addresses for some of its PLCs; raises OptionInvalid."""
    _see_that_there_are("PLC", addresses, [plc.id for plc in site.plcs])
    plcs = tuple(
        msgspec.structs.replace(p, host=addresses[p.id][0], port=addresses[p.id][1])
        if p.id in addresses
        else p
        for p in site.plcs
    )
    return msgspec.structs.replace(site, plcs=plcs)


def with_videos(site: Site, sources: Mapping[str, str]) -> Site:
    """The site with other sources for some of its cameras; raises OptionInvalid."""
    _see_that_there_are("camera", sources, [camera.id for camera in site.cameras])
    cameras = tuple(
        msgspec.structs.replace(c, source=sources.get(c.id, c.source)) for c in site.cameras
    )
    return msgspec.structs.replace(site, cameras=cameras)


def _see_that_there_are(kind: str, seen: Iterable[str], known: list[str]) -> None:
    for name in seen:
        if name not in known:
            raise OptionInvalid(kind, name, known)


@asynccontextmanager
async def _processes(data: Path) -> AsyncIterator[Children]:
    children = Children(data / "log")  # makes the folder, too
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what runs is stopped first
        loop.add_signal_handler(number, signal.raise_signal, signal.SIGINT)
    try:
        yield children
    finally:
        await children.stop_all()


async def _embedded(children: Children, data: Path) -> tuple[Servers, Nats]:
    async with asyncio.TaskGroup() as both:  # where one cannot be had, the other is not left alone
        starting_nats = both.create_task(start_nats(children, data))
        starting_postgres = both.create_task(start_postgres(children, data))
    heed_cancellation()
    nats, postgres = starting_nats.result(), starting_postgres.result()
    return Servers(nats.nats_url, nats.mqtt_url_centre, postgres.dsn), nats


async def _configured(children: Children, options: UpOptions) -> Servers:
    for url in (options.mqtt_url, options.nats_url, options.dsn):
        if url is not None:
            await check_url(url)
    mqtt_url, nats_url, dsn = options.mqtt_url, options.nats_url, options.dsn
    if mqtt_url is None or nats_url is None:
        nats = await start_nats(children, options.data)
        mqtt_url, nats_url = mqtt_url or nats.mqtt_url_centre, nats_url or nats.nats_url
    if dsn is None:
        dsn = (await start_postgres(children, options.data)).dsn
    heed_cancellation()
    return Servers(nats_url, mqtt_url, dsn)


def _demo_clock(scenario: Scenario, speed: float, last_at_ns: int) -> ScaledClock:
    """At the scenario's start, or where the journal of an earlier run in this folder ends."""
    origin_ns = max(scenario.start_ns, last_at_ns + NS)
    return ScaledClock(origin_ns, WallClock().now_ns(), speed)


@asynccontextmanager
async def _journal(nats_url: str) -> AsyncIterator[JetStreamJournal]:
    journal = await JetStreamJournal.open(nats_url, uuid4().hex[:8])
    try:
        heed_cancellation()
        yield journal
    finally:
        await journal.close()


def _plc_addresses(site: Site, known: bool) -> dict[str, Address]:
    """Each PLC's own address where it is free, else another port of this machine.

    Without `known` always another one: two demos that start at once would take the same.
    """
    first = PLC_PORTS[os.getpid() * 16 % len(PLC_PORTS)]
    others = itertools.chain(range(first, PLC_PORTS.stop), range(PLC_PORTS.start, first))
    addresses = {}
    for plc in site.plcs:
        ports = itertools.chain([plc.port] if known else [], others)
        addresses[plc.id] = plc.host, next(p for p in ports if _is_free(plc.host, p))
    return addresses


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


async def _until_told(
    leave: Callable[[], Awaitable[None]],
    run: Callable[[asyncio.Event], Awaitable[T]],
    begun: asyncio.Event | None = None,
    seconds: float | None = None,
) -> T:
    """Run until Ctrl-C, SIGTERM, or `seconds` after it has `begun`.

    `leave` goes before `run` is told to stop.
    """
    told, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, told.set)

    async def count_down() -> None:
        if begun is not None and seconds is not None:
            await begun.wait()
            await asyncio.sleep(seconds)
            told.set()

    async def tell() -> None:
        await told.wait()
        try:
            await leave()
        finally:
            stop.set()

    telling, counting = asyncio.create_task(tell()), asyncio.create_task(count_down())
    try:
        return await run(stop)
    finally:
        telling.cancel()
        counting.cancel()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _read_as_a_page(address: str) -> None:
    """Read the feed as a page does, so that its latency is measured with somebody there."""
    url = address.replace("http://", "ws://") + "/feed"
    async for connection in connect(url, compression=None, max_size=None):
        with suppress(ConnectionClosed):
            async for _ in connection:
                pass


async def _nothing() -> None:
    """Nothing stands before the end."""


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()
