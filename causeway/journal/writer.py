"""Writes the journal into JetStream: one message a step, in order, by one engine.

In come the engine's steps, out go futures that end when the server has stored them; up to
`WINDOW_STEPS_MAX` are under way at once. Every message says which one it has to follow, by
sequence and by id, so that the server refuses whatever is out of order, twice, or after somebody
else's. What became of a message that was refused, or not answered in time, is read from the
stream's end: the same bytes there are ours and safe, other bytes are a second writer's, and what is
not there is sent again. A server that is killed and comes back is such a case too.

Laws of this file:
1. A future ends with a number only when these bytes stand in the stream at that number.
2. Futures end in the order of their steps. After a fault nothing more is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import NamedTuple, Self

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

from causeway.engine import WINDOW_STEPS_MAX
from causeway.events import Step
from causeway.journal.faults import (
    JournalError,
    JournalFull,
    JournalLost,
    JournalUnreachable,
    SecondWriter,
    StepTooLong,
)
from causeway.journal.reader import (
    ANSWER_S_MAX,
    FULL_CODES,
    PATIENCE_S,
    STREAM,
    TRY_EVERY_S,
    JournalReader,
)
from causeway.wire import MESSAGE_BYTES_MAX, decode_step, encode_step

SUBJECT = "causeway.journal"
WRITER_SUBJECT = "causeway.journal_writer"  # who writes answers here with its name
STREAM_BYTES_MAX = 16 * 2**30
STEP_BYTES_MAX = MESSAGE_BYTES_MAX - 4_096  # the server's limit counts the headers too
WINDOW_BYTES_MAX = 32 * 2**20
WRITER_ANSWER_S = 1.0
DUPLICATES_S = 0.1  # the server's shortest; our order does not rest on it
log = logging.getLogger(__name__)

ID_HEADER = "Nats-Msg-Id"

WRONG_LAST_ID = 10070


class _Refusal(Struct):
    code: int
    description: str = ""
    err_code: int = 0


class _Ack(Struct):
    seq: int = 0
    error: _Refusal | None = None


_acks = msgspec.json.Decoder(_Ack)


class _Flying(NamedTuple):
    """A step under way."""

    number: int
    body: bytes
    stored: asyncio.Future[int]
    since_s: float


class JetStreamJournal(JournalReader):
    """The journal, open for writing too: what the engine knows as `Journal`."""

    def __init__(self, url: str, patience_s: float, writer: str) -> None:
        super().__init__(url, patience_s)
        self.writer = writer
        self.first_step = 0
        self.last_step = 0  # acknowledged
        self.last_at_ns = 0
        self._number = 0  # given to a step
        self._taken_over_at = 0
        self._taken_over_id = ""
        self._unchained = 0  # the step that may go by its sequence alone
        self._flight: deque[_Flying] = deque()
        self._flight_bytes = 0
        self._moved = asyncio.Event()
        self._trouble = asyncio.Event()
        self._settling = False
        self._settled_s = 0.0
        self._fault: JournalError | None = None
        self._tending: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        writer: str,
        *,
        bytes_max: int = STREAM_BYTES_MAX,
        replicas: int = 1,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """Connect, make the stream when there is none, and go on at its end.

        Raises SecondWriter while another writer is at work.
        """
        journal = cls(url, patience_s, writer)
        await journal._connect()
        try:
            await journal._ask_for_other_writer()
            await journal._make_stream(bytes_max, replicas)
            await journal._take_over()
        except BaseException:
            await JournalReader.close(journal)
            raise
        journal._tending = asyncio.create_task(journal._tend(), name="tend the journal")
        return journal

    async def append(self, step: Step) -> asyncio.Future[int]:
        """Wait for room in the window and send the step; the future ends with its number.

        Raises a JournalError, and so do the futures, once the journal is lost to us.
        """
        while self._fault is None and self._is_full():
            self._moved.clear()
            await self._moved.wait()
        if self._fault is not None:
            raise self._fault
        body = encode_step(step)
        number = self._number + 1
        if len(body) > STEP_BYTES_MAX:
            raise StepTooLong(number, len(body), STEP_BYTES_MAX)
        loop = asyncio.get_running_loop()
        flying = _Flying(number, body, loop.create_future(), loop.time())
        self._number = number
        self._flight.append(flying)
        self._flight_bytes += len(body)
        self.last_at_ns = step.at_ns
        if not self._settling:
            await self._send(flying)
        return flying.stored

    async def filled_ratio(self) -> float:
        """How much of the stream's room is taken, 0 to 1."""
        manager = self._client.jsm(timeout=ANSWER_S_MAX)
        info = await self._patiently(lambda: manager.stream_info(STREAM))
        return info.state.bytes / (info.config.max_bytes or STREAM_BYTES_MAX)

    async def purge(self, before: int) -> None:
        """Give the room of the steps below `before` free; the last step always stays."""
        before = min(before, self.last_step)
        manager = self._client.jsm(timeout=PATIENCE_S)
        await self._patiently(lambda: manager.purge_stream(STREAM, seq=before))
        self.first_step = max(self.first_step, before)

    async def close(self) -> None:
        """Leave the server; what is still under way ends as unreachable."""
        self._fail(JournalUnreachable(self.where, "closed by ourselves"))
        if self._tending is not None:
            self._tending.cancel()
            with suppress(asyncio.CancelledError):
                await self._tending
        await super().close()

    # --- opening -------------------------------------------------------------------------------

    async def _ask_for_other_writer(self) -> None:
        try:
            answer = await self._client.request(WRITER_SUBJECT, timeout=WRITER_ANSWER_S)
        except nats.errors.NoRespondersError:
            pass
        except nats.errors.TimeoutError as error:
            raise SecondWriter(self.writer, "one that does not answer", 0) from error
        else:
            raise SecondWriter(self.writer, answer.data.decode(), 0)
        await self._client.subscribe(WRITER_SUBJECT, cb=self._on_writer_asked)

    async def _make_stream(self, bytes_max: int, replicas: int) -> None:
        config = StreamConfig(
            name=STREAM,
            subjects=[SUBJECT],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=bytes_max,
            max_msg_size=MESSAGE_BYTES_MAX,
            num_replicas=replicas,
            duplicate_window=DUPLICATES_S,
            allow_direct=True,
            deny_delete=True,
        )
        manager = self._client.jsm(timeout=ANSWER_S_MAX)
        try:
            await self._patiently(lambda: manager.add_stream(config))
        except BadRequestError:  # it is there otherwise: what somebody has given it stays
            there = (await self._patiently(lambda: manager.stream_info(STREAM))).config
            config.max_bytes = max(bytes_max, there.max_bytes or 0)
            config.num_replicas = max(replicas, there.num_replicas or 0)
            await self._patiently(lambda: manager.update_stream(config))

    async def _take_over(self) -> None:
        ends = await self.ends()
        self.first_step = max(1, ends.first)
        self.last_step = self._number = self._taken_over_at = ends.last
        if ends.last:
            stored = await self._stored(ends.last)
            self.last_at_ns = decode_step(stored.data or b"").at_ns
            self._taken_over_id = (stored.headers or {}).get(ID_HEADER, "")
        await self._client.subscribe(f"{self._inbox}.ack.*", cb=self._on_ack)

    async def _on_writer_asked(self, message: Msg) -> None:
        await message.respond(self.writer.encode())

    # --- under way -----------------------------------------------------------------------------

    def _is_full(self) -> bool:
        return len(self._flight) >= WINDOW_STEPS_MAX or self._flight_bytes > WINDOW_BYTES_MAX

    async def _send(self, flying: _Flying) -> None:
        if not self._client.is_connected:
            return  # when the connection is back, all is looked at and sent again
        headers = {
            ID_HEADER: self._id_of(flying.number),
            "Nats-Expected-Last-Sequence": str(flying.number - 1),
        }
        id_before = self._id_of(flying.number - 1)
        if id_before and flying.number != self._unchained:
            headers["Nats-Expected-Last-Msg-Id"] = id_before
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        try:
            reply = f"{self._inbox}.ack.{flying.number}"
            await self._client.publish(SUBJECT, flying.body, reply=reply, headers=headers)
        except (OSError, nats.errors.Error) as error:
            self._seen = str(error)
            self._trouble.set()
        if task and task.cancelling() > cancels:
            raise asyncio.CancelledError  # the client swallows it while it flushes

    def _id_of(self, number: int) -> str:
        if number > self._taken_over_at:
            return f"{self.writer}-{number}"
        return self._taken_over_id

    async def _on_ack(self, message: Msg) -> None:
        number = int(message.subject.rpartition(".")[2])
        if not self._flight or number < self._flight[0].number:
            return  # of a message that was sent twice
        try:
            ack = _acks.decode(message.data)
        except msgspec.DecodeError:  # no responders: a status without a body
            ack = _Ack(error=_Refusal(503, "JetStream does not answer"))
        if ack.error is None and number == self._flight[0].number:
            self._settle_oldest()
            return
        if ack.error is not None:
            self._seen = ack.error.description
            if ack.error.err_code in FULL_CODES:
                self._fail(JournalFull(ack.error.description))
                return
            if ack.error.err_code == WRONG_LAST_ID and number == self._flight[0].number:
                self._unchained = number  # a server that forgot the id; the end is looked at first
        self._trouble.set()

    def _settle_oldest(self) -> None:
        flying = self._flight.popleft()
        self._flight_bytes -= len(flying.body)
        self.last_step = flying.number
        if not flying.stored.done():
            flying.stored.set_result(flying.number)
        self._moved.set()

    def _fail(self, fault: JournalError) -> None:
        self._fault = self._fault or fault
        for flying in self._flight:
            if not flying.stored.done():
                flying.stored.set_exception(self._fault)
                flying.stored.exception()  # marks it as seen: not every one is waited for
        self._flight.clear()
        self._flight_bytes = 0
        self._moved.set()

    # --- trouble -------------------------------------------------------------------------------

    async def _on_change(self) -> None:
        self._trouble.set()

    async def _tend(self) -> None:
        """Wait for trouble; then find out what became of the steps under way."""
        while self._fault is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S_MAX / 4):
                    await self._trouble.wait()
            if not self._trouble.is_set() and not self._is_late():
                continue
            self._trouble.clear()
            self._settling = True
            try:
                await self._settle()
            except JournalError as fault:
                self._fail(fault)
            except Exception as error:  # whatever it was: no future may wait for ever
                log.exception("the journal cannot be tended")
                self._fail(JournalUnreachable(self.where, str(error)))
            self._settling = False
            self._settled_s = asyncio.get_running_loop().time()
            await asyncio.sleep(TRY_EVERY_S)

    def _is_late(self) -> bool:
        if not self._flight:
            return False
        asked_s = max(self._flight[0].since_s, self._settled_s)
        return asyncio.get_running_loop().time() - asked_s > ANSWER_S_MAX

    async def _settle(self) -> None:
        known = self.last_step  # more may be acknowledged while the answer is on its way
        ends = await self.ends()
        if ends.last < known:
            raise JournalLost(known, ends.last)
        while self.last_step < ends.last:
            number = self.last_step + 1
            stored = (await self._stored(number)).data or b""
            if self.last_step >= number:
                continue  # acknowledged while we looked
            if not self._flight or stored != self._flight[0].body:
                raise SecondWriter(self.writer, _writer_of(stored), number)
            self._settle_oldest()
        now_s = asyncio.get_running_loop().time()
        if self._flight and now_s - self._flight[0].since_s > self._patience_s:
            seen = f"it tells its end, and stores nothing more; its disk may be full ({self._seen})"
            raise JournalUnreachable(self.where, seen)
        sent = 0
        while (sent := max(sent, self.last_step)) < self._number and self._fault is None:
            for flying in [f for f in self._flight if f.number > sent]:
                await self._send(flying)
                sent = flying.number


def _writer_of(body: bytes) -> str:
    try:
        return decode_step(body).writer
    except msgspec.DecodeError:
        return "something that is no step"
