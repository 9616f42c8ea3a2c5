"""The centre: built from a site and its servers, run, and stopped in order. Decides nothing.

In come a checked `Site`, the servers' addresses and a clock; out goes a running centre: the engine
with its cores, the roads in (MQTT, Modbus, cameras), the roads out (commands), the store and the
wall. It starts so that nothing is missed (the journal before anything, the telemetry session before
the devices) and stops so that nothing is left (inputs, engine, snapshot, store, wall, journal).
`app.py` adds the servers and the simulated city.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from msgspec import Struct

from causeway.children import Children
from causeway.clock import NS, Clock
from causeway.commands import CommandEdge
from causeway.engine import Core, Engine, encode_cores
from causeway.events import (
    AnyEvent,
    EngineStarted,
    Now,
    ReadingsObserved,
    StagePlanningLost,
    Step,
    Tick,
    target_of,
)
from causeway.frame import EncodedFrame
from causeway.journal import (
    JetStreamJournal,
    JournalError,
    Snapshot,
    StepsGone,
    history,
    purge_sealed,
    recover,
    seal,
    segments,
    write_snapshot,
)
from causeway.site import Site
from causeway.store import Counts, Projector, Store, Trend
from causeway.tally import Tally
from causeway.tracks import Tracks
from control.alarms import Alarms
from control.closures import Closures
from control.gates import TideGates
from control.inundation.alerts import FloodAlerts
from control.inundation.basin_alerts import BasinAlerts
from control.inundation.forecasting import Forecasting, Past
from control.inundation.levels import StreetInundation
from control.inundation.skill import FloodSkill
from control.inundation.standing import StandingWater
from control.inundation.tide import TideWatch
from control.lighting import LightingCommands, StreetLighting
from control.modes import ControlModes
from control.pumps import PumpHysteresis
from control.signals.adaptive import AdaptiveSignals
from control.signals.overrides import SignalOverrides
from control.signals.planning import Planning
from control.signals.safety import SignalSafety
from control.signs import Signs
from control.water_on_road import WaterOnRoad
from dashboard.picture import Picture
from dashboard.server import HistoryAway, Wall
from detectors.vision import Vision
from ingest.liveness import Liveness
from ingest.mqtt import MqttCommands, Telemetry
from ingest.plausibility import Plausibility
from ingest.video import VideoSource
from scada.confirmations import Confirmations
from scada.interlocks import Interlocks
from scada.modbus import PlcLink

SNAPSHOT_EVERY_S = 300.0
TICK_S = 1.0
CATCH_UP_S = 15.0  # for the store, at a clean stop
JOURNAL_SILENT_S = 5.0  # of the wall, at the usual speed: there is a step each second
STORE_BEHIND_S_MAX = 60.0  # also a database that hangs is away
HISTORY_S_MAX = 5.0
SEAL_EVERY_NS = 3_600 * NS
COUNTS_S_MAX = 10.0
STORE_AWAY = (psycopg.Error, OSError, TimeoutError, JournalError)
KEPT_WHOLE_NS = 2 * 86_400 * NS  # how long sealed steps stay in the stream too
WEB = Path(__file__).parent.parent / "dashboard" / "web"

T = TypeVar("T")
log = logging.getLogger(__name__)


class Servers(Struct, frozen=True):
    """Where the centre's servers are."""

    nats_url: str
    mqtt_url: str
    dsn: str


def cores_of(site: Site) -> tuple[Core, ...]:
    """All that decides, in the fixed order in which every event is offered."""
    return (
        Plausibility(site),
        Liveness(site),
        ControlModes(site),
        StreetInundation(site),
        TideWatch(site),
        WaterOnRoad(site),
        StandingWater(site),
        FloodAlerts(site),
        BasinAlerts(site),
        FloodSkill(site),
        Closures(site),
        SignalOverrides(site),
        AdaptiveSignals(site),
        SignalSafety(site),
        PumpHysteresis(site),
        TideGates(site),
        Interlocks(site),
        StreetLighting(site),
        LightingCommands(site),
        Signs(site),
        Confirmations(site),
        Alarms(site),
    )


def program_version() -> str:
    """The distribution's version and a digest of the sources that decide.

    Two programs with one version answer the same inputs with the same bytes.
    """
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for package in ("causeway", "ingest", "control", "scada"):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{distribution_version('causeway')}+{digest.hexdigest()[:12]}"


class Options(Struct, frozen=True, kw_only=True):
    """How a centre is run."""

    data: Path  # snapshots and sealed segments
    mark: str = "LIVE"
    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()  # names that the wall may be asked under, besides loopback
    plans_signals: bool = True  # by the adaptive planner, else by the greedy rule
    forecasts: bool = True  # floods, where the site has a drainage model
    counts: bool = False  # hold the store against the journal before and after


class Milliseconds(Struct, frozen=True):
    """Median and 95th percentile, in milliseconds of the centre's clock."""

    p50: float
    p95: float


class Summary(Struct, frozen=True, kw_only=True):
    """What a run of the centre came to.

    `lost` are readings that the journal has acknowledged and the store does not hold, or holds
    twice; -1 where the database was away and could not be asked.
    """

    readings_stored: int
    frames_seen: int
    incidents: int
    alarms: int
    commands_requested: int
    commands_confirmed: int
    commands_unconfirmed: int
    rejections: dict[str, int]
    device_to_store_ms: Milliseconds
    event_to_wall_ms: Milliseconds
    peak_memory_mb: dict[str, int]
    lost: int
    steps: int


class _Before(Struct, frozen=True):
    """What stood in store and journal when a run began."""

    counts: Counts
    unstored: int  # readings that the journal had and the store had not yet


class Centre:
    """One engine and everything around it. Build it, then `run` it once."""

    def __init__(
        self,
        site: Site,
        site_folder: Path,
        servers: Servers,
        journal: JetStreamJournal,
        clock: Clock,
        children: Children,
        options: Options,
    ) -> None:
        self.version = program_version()
        self._site = site
        self._site_folder = site_folder
        self._servers = servers
        self._journal = journal
        self._clock = clock
        self._children = children
        self._options = options
        self._tally = Tally()
        self._sealed = options.data / "segments"
        self._sealing = False
        self._snapshot_at_ns = 0
        self._stepped_s = 0.0

    async def run(self, stop: asyncio.Event, ready: Callable[[str], Awaitable[None]]) -> Summary:
        """Until `stop`; a part that fails for good is raised.

        `ready(address)` is awaited once the wall answers and devices may be let in.
        """
        journal, sealed = self._journal, self._sealed
        cores = cores_of(self._site)
        engine = Engine(cores, journal, self._clock, journal.writer)
        store = Store(self._servers.dsn, self._site)

        def recorded(first: int) -> AsyncIterator[tuple[int, Step]]:
            return history(journal, sealed, first, engine.acknowledged_step)

        projector = Projector(store, recorded, lambda: engine.acknowledged_step, self._clock)
        wall = self._wall(engine, journal, store, projector)
        restored, before = await _unless(stop, self._prepare(cores, journal, wall.picture, store))
        for edge in (self._note_time, self._tally.show, projector.show, wall.show):
            engine.show(edge)
        inputs = self._inputs(engine, wall, store)
        await engine.put(
            EngineStarted(
                version=self.version,
                site_hash=self._site.hash,
                restored_step=restored,
                speed=self._clock.speed,
            )
        )
        async with asyncio.TaskGroup() as parts:

            async def snapshot(number: int, at_ns: int) -> None:
                if at_ns - self._snapshot_at_ns >= SNAPSHOT_EVERY_S * NS:
                    written = await self._snapshot(engine, wall.picture, at_ns)
                    if written is not None and not self._sealing:
                        parts.create_task(self._seal(journal, written))

            projecting = parts.create_task(projector.run())
            serving = parts.create_task(wall.serve(self._options.host, self._options.port))
            stepping = parts.create_task(engine.run(snapshot))
            arriving = parts.create_task(inputs.run())
            await _either(stop, wall.ready, inputs.telemetry.ready)
            if not stop.is_set():
                await ready(f"http://{self._options.host}:{wall.port}")
            await stop.wait()
            await _cancelled(arriving)
            await engine.close()
            await stepping
            await self._snapshot(engine, wall.picture, journal.last_at_ns)
            with suppress(TimeoutError):
                async with asyncio.timeout(CATCH_UP_S):
                    await projector.caught_up(engine.acknowledged_step)
            summary = await self._summary(store, projector, wall, inputs, before)
            await _cancelled(serving)
            await _cancelled(projecting)
        return summary

    def _inputs(self, engine: Engine, wall: Wall, store: Store) -> Inputs:
        return Inputs(
            self._site,
            self._site_folder,
            self._servers,
            self._clock,
            self._children,
            engine,
            wall,
            self._journal_is_up,
            self._options.plans_signals,
            store.trend if self._options.forecasts else None,
        )

    def _wall(
        self, engine: Engine, journal: JetStreamJournal, store: Store, projector: Projector
    ) -> Wall:
        def health() -> dict[str, bool | int]:
            journal_up = self._journal_is_up()
            store_up = projector.up and projector.lag_s < STORE_BEHIND_S_MAX * self._clock.speed
            return {
                "ok": journal_up and store_up,
                "journal_up": journal_up,
                "store_up": store_up,
                "journal_step": engine.acknowledged_step,
                "store_step": projector.position,
                "at_ns": self._clock.now_ns(),
            }

        def status() -> dict[str, str | int | float]:
            return {
                "writer": journal.writer,
                "version": self.version,
                "journal_step": engine.acknowledged_step,
                "store_lag_s": round(projector.lag_s, 1),
                "store_fault": str(projector.fault or ""),
                "store_refused": projector.refused,
            }

        async def trend(point: str, since_ns: int, until_ns: int) -> Trend:
            try:
                async with asyncio.timeout(HISTORY_S_MAX):
                    return await store.trend(point, since_ns, until_ns)
            except TimeoutError as error:
                raise HistoryAway("the database does not answer") from error
            except (psycopg.Error, OSError) as error:
                raise HistoryAway(str(error)) from error

        async def read_step(number: int) -> Step | None:
            with suppress(StepsGone):
                async with asyncio.timeout(HISTORY_S_MAX):
                    async for _, step in history(journal, self._sealed, number, number):
                        return step
            return None

        return Wall(
            self._site,
            self._clock,
            engine.put,
            trend=trend,
            read_step=read_step,
            health=health,
            status=status,
            mark=self._options.mark,
            web=WEB,
            hosts=self._options.hosts,
        )

    def _note_time(self, number: int, step: Step) -> None:
        self._stepped_s = asyncio.get_running_loop().time()

    def _journal_is_up(self) -> bool:
        silent_s = asyncio.get_running_loop().time() - self._stepped_s
        return silent_s < JOURNAL_SILENT_S * max(1.0, 1 / self._clock.speed)

    async def _prepare(
        self, cores: tuple[Core, ...], journal: JetStreamJournal, picture: Picture, store: Store
    ) -> tuple[int, _Before | None]:
        """All that must be known before the first step of this run."""
        restored = await self._restore(cores, journal, picture)
        await purge_sealed(journal, self._sealed, journal.last_at_ns - KEPT_WHOLE_NS, restored + 1)
        before = None
        if self._options.counts:
            with suppress(*STORE_AWAY):
                async with asyncio.timeout(COUNTS_S_MAX):
                    before = await _before(store, journal, self._sealed)
        return restored, before

    async def _restore(
        self, cores: tuple[Core, ...], journal: JetStreamJournal, picture: Picture
    ) -> int:
        """Bring cores and picture to the journal's end; gives the snapshot's step (0: none)."""
        recovered = await recover(
            (*cores, PictureState(picture)),
            journal,
            self._options.data / "snapshots",
            self.version,
            self._site.hash,
            on_tail=picture.apply,
            sealed=self._sealed,
        )
        for skipped in recovered.skipped:
            log.warning("snapshot skipped: %s", skipped)
        if recovered.first_difference is not None:
            log.error("step %d replays otherwise than recorded", recovered.first_difference)
        self._snapshot_at_ns = journal.last_at_ns
        return recovered.snapshot_step

    async def _seal(self, journal: JetStreamJournal, snapshot: Snapshot) -> None:
        """Once an hour seal what has grown up to a snapshot; let go what is old, or all of it where
        the stream is half full. Who needs it still reads it from the segments.
        """
        self._sealing = True
        try:
            half_full = await journal.filled_ratio() > 0.5
            sealed = segments(self._sealed)
            fresh = sealed and snapshot.at_ns - sealed[-1].head.ending.at_ns < SEAL_EVERY_NS
            if fresh and not half_full:
                return
            await seal(journal, self._sealed, snapshot)
            older_than_ns = snapshot.at_ns + 1 if half_full else snapshot.at_ns - KEPT_WHOLE_NS
            await purge_sealed(journal, self._sealed, older_than_ns, snapshot.step + 1)
        except (OSError, JournalError) as error:
            log.error("the journal is not sealed: %s", error)
        finally:
            self._sealing = False

    async def _snapshot(self, engine: Engine, picture: Picture, at_ns: int) -> Snapshot | None:
        """Between steps: wait until all of them are safe, so that cores and picture agree.

        None where it cannot be written: an older one and a longer tail do as well.
        """
        self._snapshot_at_ns = at_ns
        number = await engine.settled()
        try:
            return write_snapshot(
                self._options.data / "snapshots",
                number,
                at_ns,
                self.version,
                self._site.hash,
                encode_cores((*engine.cores, PictureState(picture))),
            )
        except OSError as error:
            log.error("the snapshot at step %d is not written: %s", number, error)
            return None

    async def _summary(
        self,
        store: Store,
        projector: Projector,
        wall: Wall,
        inputs: Inputs,
        before: _Before | None,
    ) -> Summary:
        tally = self._tally
        lost = -1
        if before is not None and projector.up:
            with suppress(*STORE_AWAY):
                async with asyncio.timeout(COUNTS_S_MAX):
                    counts = await store.counts()
                arrived = counts.readings - before.counts.readings
                lost = tally.readings + before.unstored - arrived + counts.repeated
        centre_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        children_mb = {name: round(mb) for name, mb in self._children.memory_mb().items() if mb}
        return Summary(
            readings_stored=projector.readings,
            frames_seen=inputs.frames,
            incidents=tally.incidents,
            alarms=tally.alarms,
            commands_requested=tally.commands,
            commands_confirmed=tally.confirmed,
            commands_unconfirmed=tally.unconfirmed,
            rejections=dict(sorted(tally.rejections.items())),
            device_to_store_ms=Milliseconds(*projector.latency_ms()),
            event_to_wall_ms=Milliseconds(*wall.event_to_wall_ms()),
            peak_memory_mb={"centre": centre_mb, **children_mb},
            lost=lost,
            steps=tally.steps,
        )


async def _unless(stop: asyncio.Event, doing: Coroutine[Any, Any, T]) -> T:
    """What `doing` gives; where `stop` comes first, KeyboardInterrupt."""
    task = asyncio.create_task(doing)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise KeyboardInterrupt
        return task.result()
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.wait({task, stopping})


async def _before(store: Store, journal: JetStreamJournal, sealed: Path) -> _Before:
    position = await store.prepare()
    counts = await store.counts()
    unstored = 0
    async for _, step in history(journal, sealed, position + 1, journal.last_step):
        for event in step.events:
            unstored += len(event.points) if isinstance(event, ReadingsObserved) else 0
    return _Before(counts, unstored)


class Inputs:
    """The roads in and out of the field, and the clock's tick. `run` until cancelled.

    Without the store's `past` nothing is forecast.
    """

    def __init__(
        self,
        site: Site,
        site_folder: Path,
        servers: Servers,
        clock: Clock,
        children: Children,
        engine: Engine,
        wall: Wall,
        decides: Callable[[], bool],
        plans_signals: bool = True,
        past: Past | None = None,
    ) -> None:
        self.frames = 0
        self._engine = engine
        self._clock = clock
        self._wall = wall
        put = engine.put
        self._planning = Planning(clock, put, children, site_folder) if plans_signals else None
        self._forecasting = (
            Forecasting(site, clock, put, children, site_folder, past)
            if site.drainage_model is not None and past is not None
            else None
        )
        self.telemetry = Telemetry(
            servers.mqtt_url, site, clock, put, self._frame, on_tracks=self._tracks
        )
        self._mqtt = MqttCommands(
            servers.mqtt_url, site, clock, writer=engine.writer, decides=decides
        )
        self._plcs = [PlcLink(plc, site, clock, put) for plc in site.plcs]
        self._vision = Vision(site, clock, put, children, site_folder)
        self._videos = [
            VideoSource(camera, children, clock, self._frame, put)
            for camera in site.cameras
            if camera.source != "mqtt"
        ]
        devices = (site.junctions, site.signs, site.circuits)
        by_mqtt = {device.id for kind in devices for device in kind}
        self._roads = [
            CommandEdge(lambda c: target_of(c) in by_mqtt, self._mqtt.write, put, clock),
            *(CommandEdge(plc.serves, plc.write, put, clock) for plc in self._plcs),
        ]
        for road in self._roads:
            engine.show(road.show)
        if self._planning is not None:
            engine.show(self._planning.show)
        if self._forecasting is not None:
            engine.show(self._forecasting.show)

    async def run(self) -> None:
        """All of them at once."""
        several = (self._plcs, self._videos, self._roads)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.telemetry.run())
            tasks.create_task(self._mqtt.run())
            tasks.create_task(self._vision.run())
            if self._planning is not None:
                tasks.create_task(self._planning.run())
            else:
                why = "the centre was started without the planner"
                await self._engine.put(StagePlanningLost(junctions=(), why=why))
            if self._forecasting is not None:
                tasks.create_task(self._forecasting.run())
            tasks.create_task(self._tick())
            for parts in several:
                for part in parts:
                    tasks.create_task(part.run())

    def _frame(self, frame: EncodedFrame) -> None:
        self.frames += 1
        self._wall.show_frame(frame)
        self._vision.offer(frame)

    def _tracks(self, tracks: Tracks) -> None:
        if self._planning is not None:
            self._planning.offer(tracks)

    async def _tick(self) -> None:
        while True:
            await (await self._engine.put(Tick()))
            await self._clock.sleep(TICK_S)


class PictureState:
    """The wall's picture as a snapshot can hold it, beside the cores; decides nothing."""

    name = "picture"
    hears: frozenset[type] = frozenset()

    def __init__(self, picture: Picture) -> None:
        self.encode = picture.encode
        self.restore = picture.restore

    def step(self, event: AnyEvent, now: Now) -> tuple[AnyEvent, ...]:
        return ()


async def _either(stop: asyncio.Event, *ready: asyncio.Event) -> None:
    """Wait until all of `ready` are set, or `stop` is."""

    async def all_ready() -> None:
        for event in ready:
            await event.wait()

    waiting = {asyncio.create_task(all_ready()), asyncio.ensure_future(_set(stop))}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
