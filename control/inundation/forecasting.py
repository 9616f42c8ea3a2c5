"""Talks to the flood forecaster, a child process: hands it what gauges and plants say.

In come the journalled steps; out go the forecasts into the engine. A reading a minute and point is
enough for it, and six hours of them are kept: a child that is started again, because it died or
because its time was up, gets them all and goes on as if nothing had been. A centre that is started
again amid a storm has them from the store. Without the child the last forecast stands and ages on
the wall.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import psycopg

from causeway.children import CAUSEWAY, Child, Children
from causeway.clock import Clock, clock_spec
from causeway.events import (
    AnyEvent,
    InundationForecast,
    Quality,
    ReadingsObserved,
    SourceLost,
    SourceReached,
    Step,
)
from causeway.site import Site
from causeway.store.database import Trend
from causeway.streams import STREAMS
from causeway.wire import MessageTooLong, decode_event, encode_event, pack, read_message
from control.inundation.gauged import points_of

NAME = "forecast"
MINUTE_NS = 60 * 1_000_000_000
KEPT_MIN = 360
BELIEVED = (Quality.GOOD, Quality.UNCERTAIN)
PERIOD_S = STREAMS[InundationForecast].period_s or 300.0
RESTARTS_MAX = 20  # an hour
SILENT_S = 120.0  # of the wall, beside the time that a forecast may take

REMEMBER_S = 20.0  # of the wall: a store that does not answer by then is done without

log = logging.getLogger(__name__)
Put = Callable[[AnyEvent], Awaitable[asyncio.Future[int]]]
Past = Callable[[str, int, int], Awaitable[Trend]]  # a point's readings in (since, until]


def _readings(newest: dict[str, tuple[int, float]]) -> ReadingsObserved:
    """When and what each point said."""
    return ReadingsObserved(
        source=NAME,
        points=tuple(newest),
        observed_at_ns=tuple(at for at, _ in newest.values()),
        values=tuple(value for _, value in newest.values()),
        qualities=(Quality.GOOD,) * len(newest),
    )


class Minutes:
    """The newest reading of each point, minute by minute."""

    def __init__(self, points: frozenset[str]) -> None:
        self._points = points
        self._minute = 0
        self._newest: dict[str, tuple[int, float]] = {}

    def take(self, readings: ReadingsObserved, at_ns: int) -> ReadingsObserved | None:
        """Take readings of a step; the minute before, where a new one has begun."""
        whole = None
        if at_ns // MINUTE_NS != self._minute:
            if self._newest:
                whole = _readings(self._newest)
            self._minute, self._newest = at_ns // MINUTE_NS, {}
        for point, observed_at_ns, value, quality in zip(
            readings.points,
            readings.observed_at_ns,
            readings.values,
            readings.qualities,
            strict=True,
        ):
            if point in self._points and quality in BELIEVED:
                before = self._newest.get(point)
                if before is None or observed_at_ns > before[0]:
                    self._newest[point] = (observed_at_ns, value)
        return whole


class Forecasting:
    """The parent's side of the forecaster."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        put: Put,
        children: Children,
        site_folder: Path,
        past: Past,
    ) -> None:
        self._past = past
        self._points = points_of(site)
        self._clock = clock
        self._put = put
        self._children = children
        self._site_folder = site_folder
        self._minutes = Minutes(self._points)
        self._kept: deque[bytes] = deque(maxlen=KEPT_MIN)
        self._unsent: deque[bytes] = deque(maxlen=KEPT_MIN)
        self._offered = asyncio.Event()

    def show(self, number: int, step: Step) -> None:
        """A step that the journal has."""
        for event in step.events:
            if isinstance(event, ReadingsObserved):
                whole = self._minutes.take(event, step.at_ns)
                if whole is not None:
                    body = pack(encode_event(whole))
                    self._kept.append(body)
                    self._unsent.append(body)
                    self._offered.set()

    async def run(self) -> None:
        """Until cancelled, or until the worker has died too often."""
        await self._remember()
        argv = [CAUSEWAY, NAME, "--site", str(self._site_folder)]
        argv += ["--clock", clock_spec(self._clock)]
        child = await self._children.start(NAME, argv, pipes=True, restarts_max=RESTARTS_MAX)
        while True:
            runs, reader, writer = child.runs, child.reader, child.writer
            self._unsent = deque(self._kept, maxlen=KEPT_MIN)
            self._offered.set()
            feeding = asyncio.create_task(self._feed(writer))
            try:
                await self._listen(child, reader)
            finally:
                feeding.cancel()
            await self._put(SourceLost(source=NAME, why="the forecaster has ended"))
            if not await child.again(runs):
                log.error("the forecaster has ended too often: %s", child.log_tail(1))
                return

    async def _remember(self) -> None:
        """Put what the store has of the last hours before what has come since the start."""
        until_ns = self._clock.now_ns()
        since_ns = until_ns - KEPT_MIN * MINUTE_NS
        minutes: dict[int, dict[str, tuple[int, float]]] = {}
        try:
            async with asyncio.timeout(REMEMBER_S):
                for point in sorted(self._points):
                    trend = await self._past(point, since_ns, until_ns)
                    for at_s, value, quality in zip(trend.at, trend.v, trend.q, strict=True):
                        if quality in BELIEVED:
                            at_ns = round(at_s * 1e9)
                            minutes.setdefault(at_ns // MINUTE_NS, {})[point] = at_ns, value
        except (TimeoutError, OSError, psycopg.Error) as error:
            log.warning("forecast without what was before the start: %r", error)
        room = KEPT_MIN - len(self._kept)
        wholes = [pack(encode_event(_readings(minutes[n]))) for n in sorted(minutes)]
        self._kept.extendleft(reversed(wholes[-room:] if room else []))

    async def _feed(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._offered.wait()
            self._offered.clear()
            while self._unsent:
                try:
                    writer.write(self._unsent.popleft())
                    await writer.drain()
                except OSError:  # it has died: `_listen` sees the end
                    return

    async def _listen(self, child: Child, reader: asyncio.StreamReader) -> None:
        """Put its events in until its output ends; one that hangs or babbles is killed."""
        silent_s = SILENT_S + PERIOD_S / self._clock.speed
        reached = False
        try:
            while True:
                async with asyncio.timeout(silent_s):
                    body = await read_message(reader)
                if body is None:
                    return
                if not reached:
                    reached = True
                    await self._put(SourceReached(source=NAME))
                if body:
                    await self._put(decode_event(body))
        except TimeoutError:
            log.error("the forecaster has said nothing for %.0f s", silent_s)
            child.kill()
        except (MessageTooLong, msgspec.DecodeError) as error:
            log.error("the forecaster does not speak the protocol: %s", error)
            child.kill()
