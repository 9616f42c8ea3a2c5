"""The feed to the pages: each change is encoded and compressed once, and shared by every client.

In come steps, folded into the picture at once; out go, at most five times a second, the fields
that changed. Every client has a queue of its own with a bound in bytes: one that reads too slowly
misses deltas and gets a whole snapshot when it has caught up, so that it can neither hold the
others nor fill the memory. `server.py` owns the sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from causeway.clock import Clock
from causeway.events import Step
from dashboard.picture import Picture
from dashboard.tables import Value

PERIOD_S = 0.2
HEARTBEAT_S = 1.0  # a page that hears nothing cannot tell calm from broken
BACKLOG_BYTES_MAX = 256 * 1024
RESYNC_EVERY_S = 1.0
DELTA_LEVEL, SNAPSHOT_LEVEL = 6, 4  # zlib's: a delta is small and sent often
LATENCIES_MAX = 2_000
PENDING_MAX = 1_000


class Latency(NamedTuple):
    """Median and 95th percentile in real milliseconds; None before anything was sent."""

    p50_ms: float | None
    p95_ms: float | None


class Client:
    """One page: what is still to be sent to it."""

    def __init__(self) -> None:
        self.skipped = 0
        self.resyncs = 0
        self.backlog_bytes = 0
        self.needs_snapshot = True
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._wake.set()
        self._asked_at = -RESYNC_EVERY_S

    def offer(self, message: bytes) -> None:
        """A delta for this client; left out, and a snapshot owed, where it lags too far."""
        if self.needs_snapshot:
            self.skipped += 1
        elif self.backlog_bytes + len(message) > BACKLOG_BYTES_MAX:
            self.skipped += 1
            self.needs_snapshot = True
        else:
            self._append(message)

    def answer(self, message: bytes) -> None:
        """An answer to this client alone; lost where the client does not read."""
        if self.backlog_bytes + len(message) <= 2 * BACKLOG_BYTES_MAX:
            self._append(message)

    def resync(self, now_s: float) -> bool:
        """The page asks for a snapshot; False where it asks too often."""
        if now_s - self._asked_at < RESYNC_EVERY_S:
            return False
        self._asked_at = now_s
        self.needs_snapshot = True
        self.resyncs += 1
        self._wake.set()
        return True

    async def write(
        self, send: Callable[[bytes], Awaitable[None]], snapshot: Callable[[], bytes]
    ) -> None:
        """Send what is there, in order, until cancelled or the client is gone."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                message = self._outbox.popleft()
                await send(message)
                self.backlog_bytes -= len(message)
            if self.needs_snapshot:
                self.needs_snapshot = False
                await send(snapshot())

    def _append(self, message: bytes) -> None:
        self._outbox.append(message)
        self.backlog_bytes += len(message)
        self._wake.set()


class Feed:
    """The picture, its clients, and the numbers of what was sent."""

    def __init__(self, picture: Picture, clock: Clock, operator: str) -> None:
        self.clients: dict[int, Client] = {}
        self.deltas = 0
        self.delta_bytes = 0
        self._picture = picture
        self._clock = clock
        self._operator = operator
        self._seq = 0
        self._joined = 0
        self._changed = asyncio.Event()
        self._snapshot: tuple[int, bytes] | None = None
        self._pending: list[tuple[float, int]] = []
        self._acknowledged_ms: deque[float] = deque(maxlen=LATENCIES_MAX)
        self._observed_ms: deque[float] = deque(maxlen=LATENCIES_MAX)

    def show(self, number: int, step: Step) -> None:
        """Fold a step in; what it changed leaves with the next delta."""
        self._picture.apply(number, step)
        if len(self._pending) < PENDING_MAX:
            self._pending.append((time.perf_counter(), step.at_ns))
        self._changed.set()

    def join(self) -> tuple[int, Client]:
        """A new client; its first message is a snapshot."""
        self._joined += 1
        client = Client()
        self.clients[self._joined] = client
        return self._joined, client

    def leave(self, number: int) -> None:
        self.clients.pop(number, None)

    async def run(self, status: Callable[[], dict[str, Value]]) -> None:
        """Send deltas until cancelled. `status` gives the server's own row, once a second."""
        told_at = -HEARTBEAT_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._changed.wait()
            self._changed.clear()
            now = time.monotonic()
            beat = now - told_at >= HEARTBEAT_S
            if beat:
                told_at = now
                self._picture.status(**status(), clients=len(self.clients))
            self.flush(beat)
            await asyncio.sleep(PERIOD_S)

    def flush(self, beat: bool = False) -> int:
        """Send what has changed; with `beat`, an empty delta where nothing has. Gives its bytes."""
        delta = self._picture.take_delta()
        if not self.clients or (delta is None and not beat):
            self._pending.clear()
            self._snapshot = None
            return 0
        self._seq += 1
        message = self._encode(
            {
                "kind": "delta",
                "seq": self._seq,
                "at_ns": self._picture.at_ns,
                "sent_ns": self._clock.now_ns(),
                "set": {} if delta is None else delta.set,
                "drop": {} if delta is None else delta.drop,
            },
            DELTA_LEVEL,
        )
        for client in self.clients.values():
            client.offer(message)
        self.deltas += 1
        self.delta_bytes += len(message)
        self._count_latency()
        return len(message)

    def snapshot(self) -> bytes:
        """The whole picture as a message; made once for all who need it at the same moment."""
        if self._snapshot is None or self._snapshot[0] != self._seq:
            message = self._encode(
                {
                    "kind": "snapshot",
                    "seq": self._seq,
                    "at_ns": self._picture.at_ns,
                    "sent_ns": self._clock.now_ns(),
                    "operator": self._operator,
                    "tables": self._picture.snapshot(),
                },
                SNAPSHOT_LEVEL,
            )
            self._snapshot = self._seq, message
        return self._snapshot[1]

    def answer(self, id_: int, why: str | None) -> bytes:
        """An answer to one request: taken, or why not."""
        ok: dict[str, object] = {"kind": "answer", "id": id_, "ok": why is None}
        return self._encode(ok if why is None else {**ok, "why": why}, DELTA_LEVEL)

    def acknowledged_to_sent(self) -> Latency:
        """From the journal's acknowledgement of a step to its sending."""
        return _latency(self._acknowledged_ms)

    def event_to_sent(self) -> Latency:
        """From the moment that the engine took the input to its sending."""
        return _latency(self._observed_ms)

    def _encode(self, message: dict[str, object], level: int) -> bytes:
        return zlib.compress(msgspec.json.encode(message), level)

    def _count_latency(self) -> None:
        now_s, now_ns = time.perf_counter(), self._clock.now_ns()
        for acknowledged_s, at_ns in self._pending:
            self._acknowledged_ms.append((now_s - acknowledged_s) * 1e3)
            self._observed_ms.append((now_ns - at_ns) / 1e6 / self._clock.speed)
        self._pending.clear()


def _latency(known: deque[float]) -> Latency:
    if not known:
        return Latency(None, None)
    ordered = sorted(known)
    return Latency(
        round(ordered[len(ordered) // 2], 1), round(ordered[int(len(ordered) * 0.95)], 1)
    )
