"""Talks MQTT for the simulated devices of one process: one connection that is made again for ever.

In come messages to publish, from `cabinets.py` and the cameras; out go the messages of the topics
that were subscribed. While the broker is away kept messages wait, up to a bound, the oldest
dropped and counted; the others are dropped at once. What was not acknowledged is published again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit

from aiomqtt import Client, MqttError

from causeway.cancellation import heed_cancellation
from sims.cabinets import Message

KEPT_MAX = 4_096
IN_FLIGHT_MAX = 64
HEARD_MAX = 1_024
RECONNECT_S = (0.2, 0.5, 1.0, 2.0)  # wall seconds
TIMEOUT_S = 10.0
MQTT_PORT = 1883

log = logging.getLogger(__name__)


class Uplink:
    """The MQTT connection of a process of the simulated field."""

    def __init__(
        self, url: str, client_id: str, heard: Sequence[str], hear: Callable[[str, bytes], None]
    ) -> None:
        parts = urlsplit(url)
        self._hostname = parts.hostname or "127.0.0.1"
        self._port = parts.port or MQTT_PORT
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._client_id = client_id
        self._heard = heard
        self._hear = hear
        self._outbox: deque[Message] = deque()
        self._filled = asyncio.Event()
        self._window = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._in_flight: dict[int, Message] = {}
        self._count = 0
        self.connected = False
        self.published = 0
        self.dropped = 0

    def put(self, message: Message) -> None:
        """Publish soon."""
        if not self.connected and not message.kept:
            self.dropped += 1
            return
        if len(self._outbox) >= KEPT_MAX:
            self._outbox.popleft()
            self.dropped += 1
        self._outbox.append(message)
        self._filled.set()

    @property
    def waiting(self) -> int:
        """Messages that have not left; a camera looks here before it draws a picture."""
        return len(self._outbox)

    async def run(self) -> None:
        """Connect, and again when the broker was away; ends only when it is cancelled."""
        failures = 0
        while True:
            try:
                await self._whole_session()
            except* MqttError as group:
                log.info("no broker at %s:%d: %s", self._hostname, self._port, group.exceptions[0])
                failures = 1 if self.connected else failures + 1
            finally:
                self.connected = False
            self._outbox = deque(m for m in (*self._in_flight.values(), *self._outbox) if m.kept)
            self._in_flight.clear()
            await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S)) - 1])

    async def _whole_session(self) -> None:
        """In a task of its own: a client that cannot leave a dead broker hides our cancellation."""
        session = asyncio.create_task(self._session())
        try:
            await asyncio.wait({session})
        except asyncio.CancelledError:
            session.cancel()
            await asyncio.wait({session})
            raise
        session.result()

    async def _session(self) -> None:
        async with Client(
            self._hostname,
            self._port,
            username=self._username,
            password=self._password,
            identifier=self._client_id,
            timeout=TIMEOUT_S,
            max_queued_incoming_messages=HEARD_MAX,
            max_inflight_messages=IN_FLIGHT_MAX,
        ) as client:
            client.pending_calls_threshold = 2 * IN_FLIGHT_MAX
            for topic in self._heard:
                await client.subscribe(topic, qos=0 if topic.endswith("heartbeat") else 1)
            heed_cancellation()
            self.connected = True
            self._window = asyncio.Semaphore(IN_FLIGHT_MAX)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(client))
                tasks.create_task(self._send_all(client, tasks))

    async def _listen(self, client: Client) -> None:
        async for message in client.messages:
            if isinstance(message.payload, bytes):
                self._hear(str(message.topic), message.payload)

    async def _send_all(self, client: Client, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._filled.wait()
            while self._outbox:
                await self._window.acquire()
                self._count += 1
                self._in_flight[self._count] = self._outbox.popleft()
                tasks.create_task(self._send(client, self._count))
            self._filled.clear()

    async def _send(self, client: Client, number: int) -> None:
        message = self._in_flight[number]
        await client.publish(message.topic, message.payload, qos=message.qos)
        del self._in_flight[number]
        self.published += 1
        self._window.release()
