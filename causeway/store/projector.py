"""Writes the journal into the database: the engine's steps as they come, the journal's where not.

In come acknowledged steps; out go rows (`projection.py` says which) in batches, each with the
position in one transaction, and now and then rollups, partitions and what is too old. Steps that
find no room here, or no database, are read from the journal again.

Laws of this file:
1. The position moves only in the transaction that holds the rows up to it, and only on from where
   this projector knows it to be: two projectors, or one and its own broken-off past, cannot both
   write a step.
2. The store is never ahead of its journal, nor of another one: then nothing is written.
3. Nothing here stops the centre. A database that is away or refused is tried again for ever; rows
   that it will never take are left out one by one, counted in `refused` and named in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import date, timedelta

import numpy as np
import psycopg
from psycopg import errors

from causeway.clock import NS, Clock
from causeway.events import Address, Step
from causeway.projection import Rows, at, size_of
from causeway.store.database import SQL, Store, position
from causeway.store.faults import PositionTaken, StoreAhead, StoreDiverged, StoreRefused

STEPS_MAX = 4_096  # waiting for the database in memory; more is read from the journal again
ROWS_MAX = 200_000  # in the waiting steps
BATCH_STEPS_MAX = 1_000
BATCH_ROWS_MAX = 20_000  # some 2 MB and 50 ms; a larger one is not stored faster
GATHER_S = 0.2
RETRY_S = (0.2, 0.5, 1.0, 2.0)
MAINTAIN_EVERY_S = 20.0
RAW_KEPT = timedelta(days=90)
MINUTES_KEPT = timedelta(days=5 * 366)
LATENCIES_MAX = 65_536

# What the database says of a row that it will never take; of anything else it is tried again.
REFUSALS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    errors.ProgramLimitExceeded,  # too long for an index
    ValueError,
    OverflowError,
)

log = logging.getLogger(__name__)


class Projector:
    """Keeps a store up with the journal."""

    def __init__(
        self,
        store: Store,
        read: Callable[[int], AsyncIterator[tuple[int, Step]]],
        last_step: Callable[[], int],
        clock: Clock,
    ) -> None:
        """`read(first)` gives the journal from a step on, `last_step()` its acknowledged end."""
        self.position = 0
        self.readings = 0
        self.refused = 0  # rows that the database will never take
        self.up = False
        self.fault: Exception | None = None  # why it is not up
        self._store = store
        self._read = read
        self._last_step = last_step
        self._clock = clock
        self._waiting: deque[tuple[int, Step]] = deque()
        self._waiting_rows = 0
        self._arrived = asyncio.Event()
        self._latencies_ms = np.zeros(LATENCIES_MAX)
        self._latencies = 0
        self._days: set[date] = set()
        self._stored_at_ns = clock.now_ns()
        self._maintained_at_ns: int | None = None
        self._dropped_on: date | None = None
        self._advanced = asyncio.Event()

    @property
    def lag_s(self) -> float:
        """How far the store is behind, in seconds of this clock; 0 when it holds everything."""
        if self.position >= self._last_step():
            return 0.0
        return max(0.0, (self._clock.now_ns() - self._stored_at_ns) / NS)

    def show(self, number: int, step: Step) -> None:
        """Queue a step; what finds no room, or no database, is read from the journal later."""
        size = size_of(step)
        if not self.up or len(self._waiting) >= STEPS_MAX or self._waiting_rows + size > ROWS_MAX:
            return
        self._waiting.append((number, step))
        self._waiting_rows += size
        self._arrived.set()

    async def run(self) -> None:
        """Until cancelled, through every absence of the database."""
        failures = 0
        while True:
            before = self.position
            try:
                await self._converse()
            except Exception as error:  # see law 3
                self._lose(error)
            failures = 0 if self.position > before else failures
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    async def caught_up(self, step: int) -> None:
        """Wait until the store holds a step."""
        while self.position < step:
            self._advanced.clear()
            await self._advanced.wait()

    def latency_ms(self) -> tuple[float, float]:
        """Median and 95th percentile of device to store, in milliseconds of this clock; 0 without
        readings.
        """
        known = self._latencies_ms[: min(self._latencies, LATENCIES_MAX)]
        if not len(known):
            return 0.0, 0.0
        p50, p95 = np.percentile(known, [50, 95])
        return float(p50), float(p95)

    async def _converse(self) -> None:
        """One connection, from its start to its loss."""
        await self._store.prepare()
        async with await self._store.connect() as connection:
            await connection.execute(SQL["relax_commits"])
            await self._take_position(connection)
            self._days.clear()  # the last transactions before a crash may be gone, partitions too
            self.up, self.fault = True, None
            while True:
                batch = await self._next_batch()
                if batch:
                    await self._write(connection, batch)
                await self._maintain(connection)

    def _lose(self, error: Exception) -> None:
        self.up, self.fault = False, error
        self._waiting.clear()
        self._waiting_rows = 0
        text = str(error).strip().partition("\n")[0]
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | OSError):
            log.warning("the database is away: %s", text)
        elif isinstance(error, psycopg.Error | StoreRefused):
            log.error("the database cannot be used: %s: %s", type(error).__name__, text)
        else:
            log.error("the store cannot go on", exc_info=error)

    async def _take_position(self, connection: psycopg.AsyncConnection) -> None:
        """Go on where the store stands; raises a StoreRefused where that is not in the journal."""
        stored = await position(connection)
        if stored.step > self._last_step():
            raise StoreAhead(stored.step, self._last_step())
        if stored.step:
            async for number, step in self._read(stored.step):
                seen = (step.writer, step.at_ns)
                if number == stored.step and seen != (stored.writer, stored.at_ns):
                    raise StoreDiverged(number, stored.writer, step.writer)
                break
            self._stored_at_ns = stored.at_ns
        self.position = stored.step
        self._advanced.set()

    async def _next_batch(self) -> list[tuple[int, Step]]:
        """The steps after the position, without a gap: from the queue, else from the journal."""
        if not self._waiting and self.position >= self._last_step():
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._arrived.wait()
        self._leave_out_to(self.position)
        if not self._waiting or self._waiting[0][0] > self.position + 1:
            return await self._read_batch() if self.position < self._last_step() else []
        if len(self._waiting) < BATCH_STEPS_MAX and self._waiting_rows < BATCH_ROWS_MAX:
            await asyncio.sleep(GATHER_S)
        batch: list[tuple[int, Step]] = []
        rows = 0
        for number, step in self._waiting:
            if number != self.position + len(batch) + 1 or len(batch) >= BATCH_STEPS_MAX:
                break
            batch.append((number, step))
            rows += size_of(step)
            if rows >= BATCH_ROWS_MAX:
                break
        self._leave_out_to(batch[-1][0])
        return batch

    def _leave_out_to(self, number: int) -> None:
        while self._waiting and self._waiting[0][0] <= number:
            self._waiting_rows -= size_of(self._waiting.popleft()[1])

    async def _read_batch(self) -> list[tuple[int, Step]]:
        batch: list[tuple[int, Step]] = []
        rows = 0
        last = self._last_step()  # what the journal holds beyond is not acknowledged yet
        async for number, step in self._read(self.position + 1):
            if number > last:
                break
            batch.append((number, step))
            rows += size_of(step)
            if len(batch) >= BATCH_STEPS_MAX or rows >= BATCH_ROWS_MAX:
                break
        return batch

    async def _write(
        self, connection: psycopg.AsyncConnection, batch: Sequence[tuple[int, Step]]
    ) -> None:
        """In one transaction; where a row is refused, in as many as it takes to find it."""
        try:
            await self._store_whole(connection, batch)
        except REFUSALS:
            if len(batch) > 1:
                half = len(batch) // 2
                await self._write(connection, batch[:half])
                await self._write(connection, batch[half:])
            else:
                await self._store_singly(connection, *batch[0])

    async def _store_whole(
        self, connection: psycopg.AsyncConnection, batch: Sequence[tuple[int, Step]]
    ) -> None:
        rows = Rows(self._store.point_ids)
        for number, step in batch:
            rows.take(number, step)
        days = [day for day in rows.days() if day not in self._days]
        async with connection.transaction():
            await self._advance(connection, *batch[-1], rows.site_hash)
            for day in days:
                await connection.execute(SQL["make_partitions"], (day,))
            await _insert(connection, rows)
        self._days.update(days)
        self._take_note(*batch[-1], rows.observed_at_ns)

    async def _store_singly(
        self, connection: psycopg.AsyncConnection, number: int, step: Step
    ) -> None:
        """One step, without the rows that are refused."""
        observed_at_ns: list[int] = []
        refused: list[Exception] = []
        async with connection.transaction():
            await self._advance(connection, number, step, None)
            for index, event in enumerate(step.events):
                rows = Rows(self._store.point_ids)
                try:
                    rows.take_event(Address(number, index), step.at_ns, event)
                except REFUSALS as error:
                    refused.append(error)
                for row in rows.singly():
                    try:
                        async with connection.transaction():  # a savepoint
                            await _insert(connection, row)
                        observed_at_ns += row.observed_at_ns
                    except REFUSALS as error:
                        refused.append(error)
        self.refused += len(refused)
        if refused:
            log.error("step %d: %d rows refused, the first: %s", number, len(refused), refused[0])
        self._take_note(number, step, observed_at_ns)

    async def _advance(
        self, connection: psycopg.AsyncConnection, number: int, step: Step, site_hash: str | None
    ) -> None:
        """First of all in the transaction, since it locks out any other projector."""
        moved = await connection.execute(
            SQL["advance"], (number, step.at_ns, step.writer, site_hash, self.position)
        )
        if moved.rowcount != 1:
            raise PositionTaken(self.position)

    def _take_note(self, number: int, step: Step, observed_at_ns: list[int]) -> None:
        """Of what has been committed."""
        self.position = number
        self.readings += len(observed_at_ns)
        self._stored_at_ns = step.at_ns
        self._count_latency(observed_at_ns)
        self._advanced.set()

    def _count_latency(self, observed_at_ns: list[int]) -> None:
        newest = np.asarray(observed_at_ns[-LATENCIES_MAX:], dtype=np.float64)
        where = (self._latencies + np.arange(len(newest))) % LATENCIES_MAX
        self._latencies_ms[where] = (self._clock.now_ns() - newest) / 1e6
        self._latencies += len(newest)

    async def _maintain(self, connection: psycopg.AsyncConnection) -> None:
        """Rollups, tomorrow's partitions and retention, now and then; the writing goes on whatever
        comes of it.
        """
        now_ns = self._clock.now_ns()
        before_ns = self._maintained_at_ns
        if before_ns is not None and 0 <= now_ns - before_ns < MAINTAIN_EVERY_S * NS:
            return
        self._maintained_at_ns = now_ns
        now = at(now_ns)
        try:
            await connection.execute(SQL["roll_up"])
            if self._dropped_on == now.date():
                return
            for days in (0, 1):
                await connection.execute(
                    SQL["make_partitions"], (now.date() + timedelta(days=days),)
                )
            await connection.execute(SQL["drop_older"], (now - RAW_KEPT, now - MINUTES_KEPT))
            self._dropped_on = now.date()
        except psycopg.DatabaseError as error:
            if connection.closed:
                raise
            log.error("the store is not maintained: %s", str(error).strip().partition("\n")[0])


async def _insert(connection: psycopg.AsyncConnection, rows: Rows) -> None:
    """In the caller's transaction."""
    cursor = connection.cursor()
    if rows.observed_at_ns:
        async with cursor.copy(SQL["readings"]) as copy:
            await copy.write(rows.readings_copy())
        await cursor.execute(SQL["mark_unrolled"], (rows.minutes(),))
    for name, values in rows.copies.items():
        async with cursor.copy(SQL[name]) as copy:
            for row in values:
                await copy.write_row(row)
    if rows.statements:
        async with connection.pipeline():
            for name, parameters in rows.statements:
                await cursor.execute(SQL[name], parameters)
