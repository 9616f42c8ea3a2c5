"""A centre in one process for looking at the wall: real engine, cores and server, a scripted field.

The field's wire is faked (its readings, states and answers are put straight into the engine, and
the journal is a list in memory); all that decides and all that serves is the product's own. Run
it to look at it in a browser: `PYTHONPATH=. .venv/bin/python tests/dashboard/trial.py 8123`.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from causeway import events as e
from causeway.clock import NS, Clock, WallClock
from causeway.engine import Core, Engine
from causeway.events import Address, AnyEvent, Quality, Step
from causeway.frame import EncodedFrame
from causeway.site import Site, load_site
from control.alarms import Alarms
from control.closures import Closures
from control.gates import TideGates
from control.inundation.basin_alerts import BasinAlerts
from control.inundation.levels import StreetInundation
from control.inundation.standing import StandingWater
from control.inundation.tide import TideWatch
from control.modes import ControlModes
from control.pumps import PumpHysteresis
from control.signals.safety import SignalSafety
from control.signs import Signs
from dashboard.server import Wall
from ingest.liveness import Liveness
from ingest.plausibility import Plausibility
from scada.confirmations import Confirmations
from scada.interlocks import Interlocks

ROOT = Path(__file__).parents[2]
SITE = ROOT / "sims" / "cities" / "saigon"
WEB = ROOT / "dashboard" / "web"

PEAK_M = {"rd-nhc-5": 0.46, "rd-nhc-4": 0.33, "rd-xvnt-3": 0.27, "rd-cal-3": 0.24, "rd-bvd-2": 0.13}
LOCAL_PUMP = "p-bcd-2"  # its switch stands on local: the PLC refuses


class MemoryJournal:
    """An `engine.Journal` that keeps its steps in a list."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    @property
    def last_step(self) -> int:
        return len(self.steps)

    @property
    def last_at_ns(self) -> int:
        return self.steps[-1].at_ns if self.steps else 0

    async def append(self, step: Step) -> asyncio.Future[int]:
        self.steps.append(step)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_result(len(self.steps))
        return future

    async def read(self, number: int) -> Step | None:
        return self.steps[number - 1] if 0 < number <= len(self.steps) else None


class Past(NamedTuple):
    """What `Store.trend` would give."""

    at: list[float]
    v: list[float]
    q: list[int]


def cores_of(site: Site) -> tuple[Core, ...]:
    return (
        Plausibility(site),
        Liveness(site),
        ControlModes(site),
        StreetInundation(site),
        TideWatch(site),
        StandingWater(site),
        BasinAlerts(site),
        Closures(site),
        SignalSafety(site),
        PumpHysteresis(site),
        TideGates(site),
        Interlocks(site),
        Signs(site),
        Confirmations(site),
        Alarms(site),
    )


class Field:
    """Scripted devices: values as functions of time, and machines that do as they are told."""

    def __init__(self, site: Site, clock: Clock, seed: int = 7) -> None:
        self.site = site
        self.clock = clock
        self.silent: set[str] = set()
        self.running = {p.id: p.id.endswith("1") for p in site.pumps}
        self.opening = {g.id: 0.0 for g in site.gates}
        self.texts = {s.id: "" for s in site.signs}
        self.level = {c.id: 1.0 for c in site.circuits}
        self.stage = {j.id: j.stages[0].id for j in site.junctions}
        self.commands: asyncio.Queue[tuple[AnyEvent, Address]] = asyncio.Queue(256)
        self._started_s = clock.now_ns() / NS
        self._random = random.Random(seed)
        self._load = {
            f"{j.id}/{g.id}": self._random.choice((2, 4, 6, 9, 16, 30, 45))
            for j in site.junctions
            for g in j.groups
        }
        self._street = {f"{g.id}/depth_m": g.segment for g in site.gauges if g.kind == "street"}

    def value(self, point: str, at_s: float) -> float:
        """A point's true value at an instant."""
        asset, _, quantity = point.rpartition("/")
        since_s = at_s - self._started_s
        if point in self._street:
            peak_m = PEAK_M.get(self._street[point] or "", 0.0)
            return max(0.0, peak_m / (1 + math.exp(-(since_s + 1100) / 420)))
        known = self.site.points[point]
        match quantity:
            case "stage_m":
                top_m = 1.58 if asset == "tg-phu-an" else 1.1
                return top_m - 0.9 * (1 - math.cos((since_s - 3600) / 44700 * 2 * math.pi))
            case "rain_mm_h":
                return max(0.0, 62 * math.exp(-(((since_s + 900) / 1500) ** 2)))
            case "sump_m":
                return -1.35 + 0.25 * math.sin(since_s / 700)
            case "inside_m":
                return 0.62
            case "outside_m":
                return 1.02 + 0.3 * math.cos((since_s - 3600) / 44700 * 2 * math.pi)
            case "opening_ratio":
                return self.opening[asset]
            case "running_bool":
                return float(self.running[asset])
            case "flow_m3s":
                return 1.42 * self.running[asset]
            case "current_a":
                return 171.0 * self.running[asset]
            case "remote_bool":
                return 1.0
            case "queue_veh":
                swing = 0.75 + 0.25 * math.sin(since_s / 14 + len(asset))
                return round(self._load[asset] * swing)
            case "flow_veh_h":
                return 700.0 + 8 * self._load[asset]
            case "power_kw":
                return 0.4 * known.max if known.max < 1000 else 120.0
            case _:
                return 0.0

    def readings(self) -> list[AnyEvent]:
        """All devices' readings of now, one batch for MQTT and one for each PLC."""
        at_ns = self.clock.now_ns()
        batches: dict[str, list[str]] = {}
        plcs = {p.id for p in self.site.plcs}
        for point in self.site.points.values():
            if point.source not in self.silent and point.asset not in self.silent:
                source = point.source if point.source in plcs else "mqtt"
                batches.setdefault(source, []).append(point.id)
        return [
            e.ReadingsReceived(
                source=source,
                points=tuple(points),
                observed_at_ns=(at_ns,) * len(points),
                values=tuple(round(self.value(p, at_ns / NS), 3) for p in points),
                qualities=(Quality.GOOD,) * len(points),
            )
            for source, points in batches.items()
        ]

    def signals(self) -> AnyEvent:
        at_ns = self.clock.now_ns()
        states = []
        for i, junction in enumerate(self.site.junctions):
            if junction.id in self.silent:
                continue
            cycle_s = (at_ns / NS + 11 * i) % 70
            stage = next(s for s in junction.stages if s.id == self.stage[junction.id])
            interval = e.Interval.YELLOW if cycle_s > 67 else e.Interval.GREEN
            if cycle_s > 69:
                stages = [s.id for s in junction.stages]
                self.stage[junction.id] = stages[(stages.index(stage.id) + 1) % len(stages)]
            letter = "y" if interval is e.Interval.YELLOW else "G"
            aspects = "".join(letter if g.id in stage.green else "r" for g in junction.groups)
            states.append(
                e.SignalState(junction.id, at_ns, stage.id, interval, aspects, e.SignalMode.CENTRE)
            )
        return e.SignalsObserved(states=tuple(states))

    def roadside(self) -> list[AnyEvent]:
        at_ns = self.clock.now_ns()
        signs: list[AnyEvent] = [
            e.SignObserved(sign=s, observed_at_ns=at_ns, text=text)
            for s, text in self.texts.items()
        ]
        lights: list[AnyEvent] = [
            e.LightingObserved(circuit=c, observed_at_ns=at_ns, level_ratio=level)
            for c, level in self.level.items()
        ]
        return signs + lights

    def seen(self) -> list[AnyEvent]:
        """What the cameras measured, with boxes where `picture` draws vehicles."""
        at_ns = self.clock.now_ns()
        return [
            e.TrafficMeasured(
                camera=camera.id,
                observed_at_ns=at_ns,
                occupancy_ratio=0.12 + 0.05 * (i % 10),
                moving_ratio=0.9 - 0.08 * (i % 10),
                speed_px_s=40.0,
                frames=10,
                boxes=_vehicles(i, at_ns),
            )
            for i, camera in enumerate(self.site.cameras)
            if camera.id not in self.silent
        ]

    def frames(self) -> list[EncodedFrame]:
        at_ns = self.clock.now_ns()
        return [
            EncodedFrame(camera.id, at_ns, _picture(i, at_ns))
            for i, camera in enumerate(self.site.cameras)
            if camera.id not in self.silent
        ]

    def show(self, number: int, step: Step) -> None:
        """The road to the field: takes commands."""
        for index, event in enumerate(step.events):
            if isinstance(event, e.Commanded):
                self.commands.put_nowait((event, Address(number, index)))

    def obey(self, command: AnyEvent, address: Address) -> list[AnyEvent]:
        """What the field answers; its machines then stand as commanded."""
        assert isinstance(command, e.Commanded)
        target, accepted = "", True
        match command:
            case e.PumpCommanded():
                target, accepted = command.pump, command.pump != LOCAL_PUMP
                if accepted:
                    self.running[target] = command.run
            case e.GateCommanded():
                target = command.gate
                self.opening[target] = command.opening_ratio
            case e.StageCommanded():
                target = command.junction
                self.stage[target] = command.stage
            case e.SignCommanded():
                target = command.sign
                self.texts[target] = command.text
            case e.LightingCommanded():
                target = command.circuit
                self.level[target] = command.level_ratio
            case _:
                raise AssertionError(command)
        sent = e.CommandSent(command=address, target=target, sequence=command.sequence)
        answer = e.CommandAnswered(
            target=target,
            sequence=command.sequence,
            accepted=accepted,
            result="accepted" if accepted else "local",
            observed_at_ns=self.clock.now_ns(),
        )
        return [sent, answer]


def _vehicles(camera: int, at_ns: int) -> tuple[e.Box, ...]:
    boxes = []
    for n in range(5 + camera % 4):
        share = (n * 0.17 + camera * 0.31 + at_ns / NS * 0.03) % 1
        top = 0.4 + 0.5 * share
        width = 0.05 + 0.1 * share
        boxes.append(e.Box(0.3 + 0.35 * ((n * 0.37) % 1), top, width, width * 1.1))
    return tuple(boxes)


def _picture(camera: int, at_ns: int) -> bytes:
    """A street at dusk: (180, 320, 3) uint8 BGR as JPEG."""
    picture = np.full((180, 320, 3), (120, 116, 110), np.uint8)
    picture[:60] = (150, 140, 128)
    road = np.array([[20, 180], [135, 60], [185, 60], [300, 180]], np.int32)
    cv2.fillPoly(picture, [road], (88, 86, 84))
    for left, top, width, height in _vehicles(camera, at_ns):
        x, y = int(left * 320), int(top * 180)
        size = (x + int(width * 320), y + int(height * 180))
        cv2.rectangle(picture, (x, y), size, (60, 58, 120 if camera % 2 else 70), -1)
    return bytes(cv2.imencode(".jpg", picture)[1])


class Trial:
    """A running centre with its wall at `address`."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site = site
        self.clock = clock
        self.journal = MemoryJournal()
        self.field = Field(site, clock)
        self.engine = Engine(cores_of(site), self.journal, clock, "trial")
        self.healthy = True
        self.beating = asyncio.Event()
        self.wall = Wall(
            site,
            clock,
            self.engine.put,
            trend=self._trend,
            read_step=self.journal.read,
            health=lambda: {"ok": self.healthy, "journal_step": self.journal.last_step},
            status=lambda: {
                "writer": "trial",
                "version": "0",
                "journal_step": self.journal.last_step,
                "store_lag_s": 0.0,
            },
            mark="DEMO",
            web=WEB,
        )
        self.engine.show(self.wall.show)
        self.engine.show(self.field.show)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.wall.port}"

    async def put(self, *events: AnyEvent) -> int:
        """Put inputs in; the last one's step."""
        number = 0
        for event in events:
            number = await (await self.engine.put(event))
        return number

    async def begin(self) -> None:
        """Everything reached, and read once."""
        await self.put(e.EngineStarted(version="0", site_hash=self.site.hash))
        for plc in self.site.plcs:
            answer = e.CommandAnswered(
                target=plc.id,
                sequence=0,
                accepted=False,
                result="none",
                observed_at_ns=self.clock.now_ns(),
            )
            await self.put(e.SourceReached(source=plc.id), answer)
        for camera in self.site.cameras:
            await self.put(
                e.SourceReached(source=camera.id),
                e.CameraHealthObserved(
                    camera=camera.id,
                    health=e.CameraHealth.OK,
                    observed_at_ns=self.clock.now_ns(),
                ),
            )
        await self.beat(whole=True)

    async def beat(self, whole: bool = False) -> None:
        """One second of the field."""
        await self.put(e.Tick(), *self.field.readings(), self.field.signals())
        while not self.field.commands.empty():
            await self.put(*self.field.obey(*self.field.commands.get_nowait()))
        if whole:
            await self.put(*self.field.roadside(), *self.field.seen())
        for frame in self.field.frames():
            self.wall.show_frame(frame)

    async def keep_beating(self) -> None:
        """A beat a second as long as `beating` is set."""
        beats = 0
        while True:
            await self.beating.wait()
            beats += 1
            await self.beat(whole=beats % 3 == 0)
            await self.clock.sleep(1.0)

    async def _trend(self, point: str, since_ns: int, until_ns: int) -> Past:
        at = [since_ns / NS + i * (until_ns - since_ns) / NS / 400 for i in range(401)]
        return Past(at, [self.field.value(point, a) for a in at], [0] * len(at))


@asynccontextmanager
async def trial(clock: Clock | None = None, port: int = 0) -> AsyncIterator[Trial]:
    """A trial that serves and beats; stopped at the end."""
    running = Trial(load_site(SITE), clock or WallClock())
    parts = [
        asyncio.create_task(running.engine.run()),
        asyncio.create_task(running.wall.serve("127.0.0.1", port)),
    ]
    try:
        await running.wall.ready.wait()
        await running.begin()
        parts.append(asyncio.create_task(running.keep_beating()))
        running.beating.set()
        yield running
    finally:
        for part in parts[1:]:
            part.cancel()
        await running.engine.close()
        for part in parts:
            with suppress(asyncio.CancelledError):
                await part


async def trouble(running: Trial) -> None:
    """An eventful evening, for looking at."""
    await running.put(
        e.IncidentDetected(
            incident="cam-nhc-4-stopped-1",
            kind=e.IncidentKind.STOPPED_VEHICLE,
            camera="cam-nhc-4",
            first_seen_at_ns=running.clock.now_ns(),
            confidence=0.83,
            why="a box has stood for 42 s while others moved",
            box=e.Box(0.45, 0.5, 0.12, 0.16),
        ),
        e.CameraHealthObserved(
            camera="cam-nhc-1",
            health=e.CameraHealth.FROZEN,
            observed_at_ns=running.clock.now_ns(),
            why="61 s without a change",
        ),
        e.Rejected(
            source="sg-nth-3",
            reason=e.Reason.MALFORMED,
            count=14,
            sample='{"point": "depth_m", "at',
        ),
        e.Rejected(source="rg-ben-thanh", reason=e.Reason.OUT_OF_RANGE, count=3, sample="4200.0"),
    )
    running.field.silent |= {"j-nhc-tan-cang", "sg-hd-2"}
    at_ns = running.clock.now_ns()
    leads_s = tuple(range(300, 3900, 300))
    for gauge, peak_m in (("sg-nhc-5", 0.62), ("sg-xvnt-3", 0.36), ("sg-bvd-2", 0.16)):
        now_m = running.field.value(f"{gauge}/depth_m", at_ns / NS)
        await running.put(
            e.ForecastIssued(
                point=f"{gauge}/depth_m",
                model="trial",
                issued_at_ns=at_ns,
                lead_s=leads_s,
                values=tuple(
                    round(now_m + (peak_m - now_m) * (1 - math.exp(-s / 1500)), 3) for s in leads_s
                ),
            )
        )


async def _look(port: int) -> None:
    async with trial(port=port) as running:
        print(running.address, flush=True)
        await trouble(running)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_look(int(sys.argv[1])))
