"""Reads the journal from JetStream: a stretch of it, or on and on as it grows.

Steps come in batches by direct get, which needs no consumer on the server and asks for one batch
at a time, so that a slow reader holds up nobody and fills no memory. A server that is away is
waited for. `writer.py` builds on this.

Laws of this file:
1. Steps come in the order of their numbers and without a gap; a `StepsGone` says which is missing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, BadRequestError

from causeway.events import Step
from causeway.journal.faults import JournalFull, JournalUnreachable, StepsGone, StepUnreadable
from causeway.wire import decode_step

STREAM = "CAUSEWAY_JOURNAL"
READ_STEPS_MAX = 256  # in one request
READ_BYTES_MAX = 4 * 2**20
ANSWER_S_MAX = 3.0  # for one request; then it is made again
PATIENCE_S = 30.0  # for a server that is away; the field's watchdogs have taken over long before
TRY_EVERY_S = 0.1
POLL_EVERY_S = 0.1  # at the journal's end

# github.com/nats-io/nats-server/blob/main/server/errors.json: insufficient resources, insufficient
# storage resources, maximum messages exceeded, maximum bytes exceeded
FULL_CODES = frozenset({10023, 10047, 10076, 10077})

T = TypeVar("T")


class Ends(NamedTuple):
    """The first and last number of the stream; the last is kept when all is purged."""

    first: int
    last: int


class JournalReader:
    """A connection to the journal's stream."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self.where = _without_password(url)
        self._url = url
        self._patience_s = patience_s
        self._client = Client()
        self._seen = "nothing else was heard"
        self._lost = asyncio.Event()  # of the connection that stands now
        self._inbox = ""
        self._requests = 0
        self._batches: dict[str, _Batch] = {}

    @classmethod
    async def connect(cls, url: str, *, patience_s: float = PATIENCE_S) -> Self:
        """For reading only; `url` may name several servers. Raises JournalUnreachable."""
        reader = cls(url, patience_s)
        await reader._connect()
        return reader

    async def close(self) -> None:
        """Leave the server."""
        with suppress(OSError, nats.errors.Error):  # it may have left us
            await self._client.close()

    async def read(self, first: int, last: int | None = None) -> AsyncIterator[tuple[int, Step]]:
        """The steps from `first` to `last`, or to the end as it is now; raises StepsGone."""
        ends = await self.ends()
        last = ends.last if last is None else min(last, ends.last)
        if first <= last and first < ends.first:
            raise StepsGone(first, ends.first)
        waited_s = 0.0
        while first <= last:
            batch = await self._batch(first, min(READ_STEPS_MAX, last - first + 1))
            for number, body in batch:
                if number != first:
                    raise StepsGone(first, number)
                yield number, _decoded(number, body)
                first += 1
            if not batch:  # from a replica that lags
                if waited_s > self._patience_s:
                    raise JournalUnreachable(self.where, f"no step {first}, though {last} is there")
                await asyncio.sleep(TRY_EVERY_S)
                waited_s += TRY_EVERY_S

    async def follow(self, after: int) -> AsyncIterator[tuple[int, Step]]:
        """All steps after `after`, and then each one that is stored, for ever."""
        while True:
            batch = await self._batch(after + 1, READ_STEPS_MAX)
            for number, body in batch:
                if number != after + 1:
                    raise StepsGone(after + 1, number)
                yield number, _decoded(number, body)
                after = number
            if not batch:
                await asyncio.sleep(POLL_EVERY_S)

    async def ends(self) -> Ends:
        """The stream's ends now, as its leader has them."""
        manager = self._client.jsm(timeout=ANSWER_S_MAX)
        state = (await self._patiently(lambda: manager.stream_info(STREAM))).state
        return Ends(state.first_seq, state.last_seq)

    async def _stored(self, number: int) -> RawStreamMsg:
        """One message from the leader; a replica might not have it yet."""
        manager = self._client.jsm(timeout=ANSWER_S_MAX)
        return await self._patiently(lambda: manager.get_msg(STREAM, number))

    async def _connect(self) -> None:
        connecting = self._client.connect(
            self._url.split(","),
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            closed_cb=self._on_change,
            reconnected_cb=self._on_change,
            max_reconnect_attempts=-1,
            reconnect_time_wait=TRY_EVERY_S,  # type: ignore[arg-type]  # declared int, taken by sleep
            ping_interval=5,
            flush_timeout=ANSWER_S_MAX,
        )
        try:
            async with asyncio.timeout(self._patience_s):
                await connecting
        except (TimeoutError, OSError, nats.errors.Error) as error:
            await self.close()
            raise JournalUnreachable(self.where, self._seen) from error
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.read.*", cb=self._on_batch)

    async def _patiently(self, request: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer; raises JournalUnreachable, JournalFull, BadRequestError."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._patience_s
        while True:
            try:
                if self._client.is_connected:
                    return await self._unless_lost(request())
            except BadRequestError:
                raise
            except APIError as error:
                self._seen = _said(error)
                if error.err_code in FULL_CODES:
                    raise JournalFull(self._seen) from error
            except (TimeoutError, OSError, nats.errors.Error) as error:
                self._seen = _said(error)
            if loop.time() > deadline_s or self._client.is_closed:
                raise JournalUnreachable(self.where, self._seen)
            await asyncio.sleep(TRY_EVERY_S)

    async def _unless_lost(self, request: Awaitable[T]) -> T:
        """Its answer; raises ConnectionError as soon as none can come."""
        asking = asyncio.ensure_future(request)
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({asking, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise ConnectionError("the connection was lost")
            return asking.result()
        finally:
            asking.cancel()
            lost.cancel()

    async def _batch(self, first: int, count: int) -> list[tuple[int, bytes]]:
        """Up to `count` messages from `first` on; none when there are none."""
        return await self._patiently(lambda: self._batch_once(first, count))

    async def _batch_once(self, first: int, count: int) -> list[tuple[int, bytes]]:
        self._requests += 1
        reply = f"{self._inbox}.read.{self._requests}"
        request = {"seq": first, "batch": count, "max_bytes": READ_BYTES_MAX}
        subject = f"$JS.API.DIRECT.GET.{STREAM}"
        batch = self._batches[reply] = _Batch()
        try:
            await self._client.publish(subject, json.dumps(request).encode(), reply=reply)
            async with asyncio.timeout(ANSWER_S_MAX):
                await batch.complete.wait()
        finally:
            del self._batches[reply]
        if batch.fault:
            raise nats.errors.Error(batch.fault)
        return batch.messages

    async def _on_batch(self, message: Msg) -> None:
        batch = self._batches.get(message.subject)
        if batch is None:
            return  # of a request that was given up
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            batch.messages.append((int(headers["Nats-Sequence"]), message.data))
            return
        if status not in ("204", "404"):  # the batch's end, or nothing there
            batch.fault = f"status {status} {headers.get('Description', '')}"
        batch.complete.set()

    async def _on_error(self, error: Exception) -> None:
        self._seen = _said(error)

    async def _on_lost(self) -> None:
        self._lost.set()
        self._lost = asyncio.Event()

    async def _on_change(self) -> None:
        """The connection is back, or closed for good."""


class _Batch:
    """What a request for messages has brought so far."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, bytes]] = []
        self.fault = ""
        self.complete = asyncio.Event()


def _decoded(number: int, body: bytes) -> Step:
    try:
        return decode_step(body)
    except msgspec.DecodeError as error:
        raise StepUnreadable(number, str(error)) from error


def _said(error: Exception) -> str:
    if isinstance(error, APIError) and error.description:
        return error.description
    return str(error) or type(error).__name__


def _without_password(url: str) -> str:
    parts = urlsplit(url.partition(",")[0])
    with suppress(ValueError):
        return f"{parts.hostname}:{parts.port or 4222}"
    return str(parts.hostname)
