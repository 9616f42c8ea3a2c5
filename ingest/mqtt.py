"""Talks MQTT with the field: takes telemetry in, sends commands and the heartbeat out.

`Telemetry` subscribes and turns messages into the engine's inputs by way of `payloads.py` and
`gathering.py`; `MqttCommands` publishes. This is the only file that knows which MQTT libraries
there are: mqttium receives, since it leaves the acknowledgement to us; aiomqtt, which acknowledges
before anybody has seen a message, only sends.

Laws of this file:
1. A message is acknowledged (PUBACK) after the journal's acknowledgement of every input that came
   of it, its refusals among them: what is acknowledged is never lost. What is not is sent again by
   the broker, whose session outlives us, and `plausibility.py` knows it.
2. Back-pressure is the broker's to bear: while the engine takes nothing, nothing is acknowledged,
   and the broker's window holds. For Mosquitto set `max_inflight_messages` to 1000 or more, and
   `max_queued_messages` to 0: beyond it drops what it has acknowledged to a device.
3. Pictures and tracks have a connection of their own, at QoS 0: they never stand before a reading.
4. A command is published now or not at all: never retained, never kept for a broker that is away.
5. The heartbeat is sent only while steps are journalled: a centre that can no longer decide must
   look silent to the field.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec
from mqttium import MQTTError
from mqttium.api import AsyncClient, Message

from causeway.cancellation import heed_cancellation
from causeway.clock import Clock
from causeway.commands import NotSent, Put
from causeway.events import (
    Address,
    AnyCommand,
    LightingCommanded,
    SignCommanded,
    StageCommanded,
    target_of,
)
from causeway.frame import EncodedFrame
from causeway.site import Site
from causeway.tracks import Tracks
from ingest.gathering import Gathering, Tally
from ingest.payloads import ROOT, TRACKS_TOPIC, Payloads, Refusal

HEARTBEAT = f"{ROOT}centre/heartbeat"
FILTERS = (
    f"{ROOT}+/+",
    f"{ROOT}+/+/state",
)  # all that a device says; strangers' topics are counted
LIVE_FILTERS = (f"{ROOT}camera/+/frame/+", f"{ROOT}signal/+/tracks")
GATHER_S = 0.05  # of the wall: how long a message waits for others to share its step
GATHER_CLOCK_S = 0.5  # and of a scaled clock
GATHER_SLICE_S = 0.005
GATHER_ENOUGH = 16  # messages; below the smallest usual window of a broker (Mosquitto: 20)
GATHER_MAX = 256
GATHER_BYTES_MAX = 2**20
WINDOW_MAX = 65_535  # messages under way: MQTT's own limit, so that its reader never has to stop
MESSAGES_MAX = 1_024  # read and not yet decoded
FLIGHTS_MAX = 64  # gatherings that the journal has not yet acknowledged
MESSAGE_BYTES_MAX = 2**28 + 2**16  # one MQTT packet: a larger bound would not let it be refused
KEEPALIVE_S = 15
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STABLE_S = 10.0  # a connection that held so long was a good one: the next back-off starts anew
HEARTBEAT_S = 1.0
REFUSED_FRAMES_S = 1.0
PUBLISH_S_MAX = 5.0
LATENCIES_MAX = 1_024

log = logging.getLogger(__name__)


class BrokerUrlInvalid(Exception):
    """An MQTT address that cannot be used."""

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        super().__init__(f"{why}; expected mqtt://[USER:PASSWORD@]HOST[:PORT] or mqtts://...")


class Broker(NamedTuple):
    """Where a broker is and who we are there."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


def broker_of(url: str) -> Broker:
    """The broker that a URL names; raises BrokerUrlInvalid."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BrokerUrlInvalid(url, str(error)) from None
    if parts.scheme not in ("mqtt", "mqtts"):
        raise BrokerUrlInvalid(url, f"scheme {parts.scheme!r}")
    if not parts.hostname:
        raise BrokerUrlInvalid(url, "no host")
    tls = ssl.create_default_context() if parts.scheme == "mqtts" else None
    return Broker(
        parts.hostname,
        port or (8883 if tls else 1883),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        tls,
    )


class TelemetryStatistics:
    """Counts since the start, and the newest times from a message's arrival to its PUBACK."""

    def __init__(self) -> None:
        self.messages = 0
        self.acknowledged = 0
        self.gatherings = 0
        self.inputs = 0
        self.refused = 0
        self.frames = 0
        self.frames_refused = 0
        self.tracks = 0
        self.tracks_refused = 0
        self.connections = 0
        self.latencies_s: deque[float] = deque(maxlen=LATENCIES_MAX)

    def summary(self) -> dict[str, int | float]:
        """One flat table; latencies in milliseconds of the wall, 0 where none was seen."""
        ordered = sorted(self.latencies_s) or [0.0]
        return {
            "messages": self.messages,
            "acknowledged": self.acknowledged,
            "gatherings": self.gatherings,
            "inputs": self.inputs,
            "refused": self.refused,
            "frames": self.frames,
            "frames_refused": self.frames_refused,
            "tracks": self.tracks,
            "tracks_refused": self.tracks_refused,
            "connections": self.connections,
            "acknowledge_ms_median": round(ordered[len(ordered) // 2] * 1e3, 2),
            "acknowledge_ms_p99": round(ordered[len(ordered) * 99 // 100] * 1e3, 2),
        }


class _Arrival(NamedTuple):
    """A message, and the event loop's time at which it was there."""

    message: Message
    at_s: float


class _Flight(NamedTuple):
    """A gathering on its way into the journal."""

    arrivals: list[_Arrival]
    steps: list[asyncio.Future[int]]


class Telemetry:
    """The subscriber. `ready` is set once its session exists: then devices may be let in.

    `on_frame` gets each picture, `on_tracks` what each roadside tracker sees; both return at once.
    `run` goes on until it is cancelled, through
    every absence of the broker.
    """

    def __init__(
        self,
        url: str,
        site: Site,
        clock: Clock,
        put: Put,
        on_frame: Callable[[EncodedFrame], None],
        client_id: str = "causeway-centre",
        on_tracks: Callable[[Tracks], None] = lambda tracks: None,
    ) -> None:
        self.ready = asyncio.Event()
        self.statistics = TelemetryStatistics()
        self._broker = broker_of(url)
        self._clock = clock
        self._put = put
        self._on_frame = on_frame
        self._on_tracks = on_tracks
        self._client_id = client_id
        self._payloads = Payloads(site)
        self._is_live = bool(site.junctions) or any(c.source == "mqtt" for c in site.cameras)
        self._gather_s = min(GATHER_S, GATHER_CLOCK_S / clock.speed)
        self._refused_live = Tally()

    async def run(self) -> None:
        """Receive for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_for_ever("telemetry", self._broker, self._receive))
            if self._is_live:
                tasks.create_task(_for_ever("pictures", self._broker, self._receive_live))

    async def _receive(self) -> None:
        """One connection, from its start to its loss.

        A client of its own each time: what the last one had not acknowledged comes again, and no
        packet identifier of the old connection can be mistaken for one of the new.
        """
        client = AsyncClient(
            self._client_id,
            clean_start=False,
            manual_ack=True,
            max_iterator_messages=WINDOW_MAX,
            max_iterator_bytes=MESSAGE_BYTES_MAX,
            username=self._broker.username,
            password=self._broker.password,
            keepalive=KEEPALIVE_S,
        )
        messages: asyncio.Queue[_Arrival | None] = asyncio.Queue(MESSAGES_MAX)
        flights: asyncio.Queue[_Flight | None] = asyncio.Queue(FLIGHTS_MAX)
        try:
            await client.connect(self._broker.host, self._broker.port, ssl=self._broker.tls)
            await client.subscribe(FILTERS, qos=1)
            heed_cancellation()
            self.statistics.connections += 1
            self.ready.set()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(client, messages))
                tasks.create_task(self._gather(messages, flights))
                tasks.create_task(self._acknowledge(client, flights))
        finally:
            await client.disconnect()

    async def _read(self, client: AsyncClient, messages: asyncio.Queue[_Arrival | None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            async for message in client.messages():
                await messages.put(_Arrival(message, loop.time()))
        except (MQTTError, OSError) as error:
            log.info("the stream of messages ended: %s", error)
        await messages.put(None)

    async def _gather(
        self,
        messages: asyncio.Queue[_Arrival | None],
        flights: asyncio.Queue[_Flight | None],
    ) -> None:
        """Let the messages of a short time share their inputs: a step costs as much as many."""
        ended = False
        while not ended and (first := await messages.get()) is not None:
            arrivals = [first]
            ended = await self._fill(arrivals, messages)
            gathering = Gathering()
            for message, _ in arrivals:
                if message.topic == HEARTBEAT:
                    continue
                decoded = self._payloads.decode(message.topic, message.payload, message.retain)
                self.statistics.refused += len(decoded.refusals)
                gathering.add(decoded)
            steps = [await self._put(event) for event in gathering.events()]
            self.statistics.messages += len(arrivals)
            self.statistics.gatherings += 1
            self.statistics.inputs += len(steps)
            await flights.put(_Flight(arrivals, steps))
        await flights.put(None)

    async def _fill(
        self, arrivals: list[_Arrival], messages: asyncio.Queue[_Arrival | None]
    ) -> bool:
        """Add what is there, and wait a little for enough; True at the stream's end."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._gather_s
        size = len(arrivals[0].message.payload)
        while True:
            while not messages.empty() and len(arrivals) < GATHER_MAX and size < GATHER_BYTES_MAX:
                arrival = messages.get_nowait()
                if arrival is None:
                    return True
                arrivals.append(arrival)
                size += len(arrival.message.payload)
            if len(arrivals) >= GATHER_ENOUGH or size >= GATHER_BYTES_MAX:
                return False
            if loop.time() >= until_s:
                return False
            await asyncio.sleep(GATHER_SLICE_S)

    async def _acknowledge(
        self, client: AsyncClient, flights: asyncio.Queue[_Flight | None]
    ) -> None:
        """PUBACK what is journalled, in order; after a loss all else comes again by itself."""
        loop = asyncio.get_running_loop()
        good = True
        while (flight := await flights.get()) is not None:
            if flight.steps:
                await asyncio.wait(flight.steps)
            good = good and not any(step.cancelled() for step in flight.steps)
            for step in flight.steps:
                if not step.cancelled():
                    step.result()  # raises what the journal died of
            for message, at_s in flight.arrivals if good else ():
                try:
                    await client.ack(message)
                except (MQTTError, OSError) as error:
                    good = client.is_connected  # else a message that the broker sent twice
                    log.info("not acknowledged: %s", error)
                    if not good:
                        break
                    continue
                self.statistics.acknowledged += 1
                self.statistics.latencies_s.append(loop.time() - at_s)

    async def _receive_live(self) -> None:
        """The connection of pictures and tracks, from its start to its loss."""
        lost = asyncio.Event()
        client = AsyncClient(
            f"{self._client_id}-pictures",
            message_delivery="callback",
            username=self._broker.username,
            password=self._broker.password,
            keepalive=KEEPALIVE_S,
        )
        client.on_message = self._live
        client.on_disconnect = lambda _: lost.set()
        try:
            await client.connect(self._broker.host, self._broker.port, ssl=self._broker.tls)
            await client.subscribe(LIVE_FILTERS, qos=0)
            while not lost.is_set():
                for rejected in self._refused_live.take():
                    await self._put(rejected)
                heed_cancellation()
                with suppress(TimeoutError):
                    async with asyncio.timeout(REFUSED_FRAMES_S):
                        await lost.wait()
        finally:
            await client.disconnect()

    def _live(self, message: Message) -> None:
        if TRACKS_TOPIC.fullmatch(message.topic) is None:
            self._frame(message)
            return
        seen = self._payloads.tracks(message.topic, message.payload, self._clock.now_ns())
        if isinstance(seen, Refusal):
            self.statistics.tracks_refused += 1
            self._refused_live.add(seen)
        else:
            self.statistics.tracks += 1
            self._on_tracks(seen)

    def _frame(self, message: Message) -> None:
        taken = self._payloads.frame(message.topic, message.payload, self._clock.now_ns())
        if isinstance(taken, Refusal):
            self.statistics.frames_refused += 1
            self._refused_live.add(taken)
        else:
            self.statistics.frames += 1
            self._on_frame(taken)


class MqttCommands:
    """The publisher: `write` for a CommandEdge, and the heartbeat that keeps devices under us.

    `decides` says whether the centre can still decide anything.
    """

    def __init__(
        self,
        url: str,
        site: Site,
        clock: Clock,
        writer: str = "",
        client_id: str = "causeway-centre-commands",
        decides: Callable[[], bool] = lambda: True,
    ) -> None:
        self.ready = asyncio.Event()
        self.published = 0
        self._broker = broker_of(url)
        self._clock = clock
        self._writer = writer
        self._client_id = client_id
        self._decides = decides
        self._targets = frozenset(
            x.id for things in (site.junctions, site.signs, site.circuits) for x in things
        )
        self._client: aiomqtt.Client | None = None

    async def run(self) -> None:
        """Stay connected for ever; a heartbeat each second of the clock."""
        await _for_ever("commands", self._broker, self._beat)

    async def write(self, command: AnyCommand, address: Address) -> None:
        """Publish a command, once; raises NotSent where that could not be done.

        Without the broker's acknowledgement in time it may still have left: that is no NotSent.
        """
        topic, body = _message_of(command)
        if target_of(command) not in self._targets:
            raise NotSent(f"{address}: no MQTT device {target_of(command)!r}")
        client = self._client
        if client is None:
            raise NotSent(f"{address}: no connection with {self._broker.name}")
        left_s = (command.expires_at_ns - self._clock.now_ns()) / 1e9 / self._clock.speed
        if left_s <= 0:
            raise NotSent(f"{address}: its time was over")
        try:
            async with asyncio.timeout(min(left_s, PUBLISH_S_MAX)):
                await client.publish(topic, body, qos=1, retain=False, timeout=PUBLISH_S_MAX + 1)
            self.published += 1
        except TimeoutError:
            log.warning("command %s: no PUBACK from %s in time", address, self._broker.name)
        except aiomqtt.MqttError as error:
            raise NotSent(f"{address}: {self._broker.name}: {error}") from None

    async def _beat(self) -> None:
        """One connection, from its start to its loss."""
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            tls_context=self._broker.tls,
            identifier=self._client_id,
            protocol=aiomqtt.ProtocolVersion.V311,
            keepalive=KEEPALIVE_S,
            timeout=PUBLISH_S_MAX,
        )
        try:
            async with _connected(client):
                self._client = client
                self.ready.set()
                while True:
                    if self._decides():
                        body = {"at_ns": self._clock.now_ns(), "writer": self._writer}
                        await client.publish(HEARTBEAT, msgspec.json.encode(body), qos=0)
                        heed_cancellation()
                    await self._clock.sleep(HEARTBEAT_S)
        finally:
            self._client = None


def _message_of(command: AnyCommand) -> tuple[str, bytes]:
    """Topic and payload, as docs/INTERFACES.md has them."""
    what: dict[str, str | float]
    match command:
        case StageCommanded():
            kind, what = "signal", {"stage": command.stage}
        case SignCommanded():
            kind, what = "sign", {"text": command.text}
        case LightingCommanded():
            kind, what = "lighting", {"level_ratio": command.level_ratio}
        case _:
            raise NotSent(f"{type(command).__name__} does not go by MQTT")
    body = {
        "sequence": command.sequence,
        "issued_at_ns": command.issued_at_ns,
        "expires_at_ns": command.expires_at_ns,
        **what,
    }
    return f"{ROOT}{kind}/{target_of(command)}/command", msgspec.json.encode(body)


@asynccontextmanager
async def _connected(client: aiomqtt.Client) -> AsyncIterator[None]:
    """The client's connection. Cancelled while it is made, it is made, and then left.

    aiomqtt would leave its socket open, and say so in the log when the broker ends.
    """
    connecting = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(connecting)
    except asyncio.CancelledError:
        with suppress(aiomqtt.MqttError):
            await connecting
            await client.__aexit__(None, None, None)
        raise
    async with AsyncExitStack() as leaving:
        leaving.push_async_exit(client)
        yield


async def _for_ever(name: str, broker: Broker, converse: Callable[[], Awaitable[None]]) -> None:
    """Converse, and after each loss of the connection wait a little and begin again."""
    loop = asyncio.get_running_loop()
    losses = 0
    while True:
        began_s = loop.time()
        why: object = "connection lost"
        try:
            await converse()
        except (MQTTError, aiomqtt.MqttError, OSError, TimeoutError) as error:
            why = error
        heed_cancellation()
        losses = 0 if loop.time() - began_s > STABLE_S else losses + 1
        pause_s = BACK_OFF_S[min(max(losses - 1, 0), len(BACK_OFF_S) - 1)]
        log.warning("%s from %s: %s; again in %s s", name, broker.name, why, pause_s)
        await asyncio.sleep(pause_s)
