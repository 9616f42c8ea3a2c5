"""The journal projected into PostgreSQL or TimescaleDB, for questions about the past.

`Projector.show` takes acknowledged steps from the engine; `run` writes them in batches, the
readings by binary COPY, and commits the journal position in the same transaction. So a crash
anywhere loses nothing and stores nothing twice: whatever the queue lacked, or the database missed
while it was away, is read from the journal again. `Store` asks: trends, counts, history.

Laws of this file:
1. The position moves only in the transaction that holds the rows up to it.
2. The store is never ahead of its journal: a position that the journal has not reached is refused.
3. SQL stands in `schema/` and `statements.sql`; it is never put together from values.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import date, timedelta
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import psycopg

from causeway.clock import NS, Clock
from causeway.events import Step
from causeway.projection import Rows, at
from causeway.site import Site

STEPS_MAX = 4_096  # waiting for the database in memory; more is read from the journal again
BATCH_STEPS_MAX = 1_000
GATHER_S = 0.2
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
ROLL_UP_EVERY_S = 20.0
LATE_S = 900.0  # how old a reading may be and still change a rollup
TREND_ROWS_MAX = 2_000
RAW_KEPT = timedelta(days=90)
MINUTES_KEPT = timedelta(days=5 * 366)
LATENCIES_MAX = 65_536

log = logging.getLogger(__name__)


def _statements() -> dict[str, bytes]:
    """`statements.sql` by name."""
    parts = files("causeway").joinpath("statements.sql").read_text().split("-- name: ")[1:]
    return {name: sql.strip().encode() for name, _, sql in (part.partition("\n") for part in parts)}


SQL = _statements()


class StoreAhead(Exception):
    """The store holds steps that this journal has not: it belongs to another journal."""

    def __init__(self, stored: int, journalled: int) -> None:
        self.stored = stored
        self.journalled = journalled
        super().__init__(
            f"the store is at step {stored}, the journal at {journalled}: two that do not match"
        )


class Trend(NamedTuple):
    """A point's past: seconds since the Unix epoch, values, qualities; of one length."""

    at: list[float]
    v: list[float]
    q: list[int]


class Counts(NamedTuple):
    """What the store holds. `repeated` are the (point, time) that stand in it more than once."""

    readings: int
    repeated: int
    incidents: int
    alarms: int
    commands: int


class Store:
    """One database. Every call opens its own short connection or uses the projector's."""

    def __init__(self, dsn: str, site: Site) -> None:
        self.dsn = dsn
        self.point_ids: dict[str, int] = {}
        self._site = site

    async def prepare(self) -> int:
        """Bring the schema and the points up to date; gives the position (the last step stored)."""
        async with await self.connect() as connection:
            await migrate(connection)
            await connection.cursor().executemany(
                SQL["point"],
                [(p.id, p.asset, p.quantity, p.unit, p.datum) for p in self._site.points.values()],
            )
            rows = await connection.execute(SQL["point_ids"])
            self.point_ids = dict(await rows.fetchall())
            return await position(connection)

    async def connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(self.dsn, connect_timeout=5)

    async def trend(self, point: str, since_ns: int, until_ns: int) -> Trend:
        """The readings of a point in (since, until], thinned evenly to at most 2,000."""
        async with await self.connect() as connection:
            rows = await connection.execute(
                SQL["trend"],
                {
                    "point": point,
                    "since": at(since_ns),
                    "until": at(until_ns),
                    "rows_max": TREND_ROWS_MAX,
                },
            )
            found = await rows.fetchall()
        return Trend(
            [r[0].timestamp() for r in found], [r[1] for r in found], [r[2] for r in found]
        )

    async def counts(self) -> Counts:
        """Counts everything: for reports and tests, not for a dashboard."""
        async with await self.connect() as connection:
            row = await (await connection.execute(SQL["counts"])).fetchone()
        assert row is not None
        return Counts(*row)


async def position(connection: psycopg.AsyncConnection) -> int:
    """The last step that the store holds."""
    row = await (await connection.execute(SQL["position"])).fetchone()
    return int(row[0]) if row is not None else 0


async def migrate(connection: psycopg.AsyncConnection) -> list[str]:
    """Apply the schema files that this database lacks, each in one transaction; gives their names.

    A file `NNNN_timescale.sql` is applied where the server has the extension, `NNNN_partitions.sql`
    where it has not; any other file everywhere.
    """
    await connection.execute(SQL["prepare_migrations"])
    await connection.commit()
    rows = await connection.execute(SQL["migrations"])
    numbers = {name.split("_")[0] for (name,) in await rows.fetchall()}
    found = await connection.execute(SQL["timescale_available"])
    timescale = await found.fetchone() is not None
    unwanted = "partitions" if timescale else "timescale"
    applied = []
    for file in sorted(files("causeway").joinpath("schema").iterdir(), key=lambda f: f.name):
        number, _, kind = file.name.removesuffix(".sql").partition("_")
        if number in numbers or kind == unwanted or not file.name.endswith(".sql"):
            continue
        await connection.execute(file.read_bytes())
        await connection.execute(SQL["migrated"], (file.name.removesuffix(".sql"),))
        await connection.commit()
        applied.append(file.name)
    return applied


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
        self.lag_s = 0.0
        self.up = False
        self._store = store
        self._read = read
        self._last_step = last_step
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[int, Step]] = asyncio.Queue(STEPS_MAX)
        self._latencies_ms = np.zeros(LATENCIES_MAX)
        self._latencies = 0
        self._days: set[date] = set()
        self._rolled_at_ns = 0
        self._advanced = asyncio.Event()

    def show(self, number: int, step: Step) -> None:
        """Queue a step; when the queue is full, what is left out is read from the journal later."""
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait((number, step))

    async def run(self) -> None:
        """Until cancelled. Raises StoreAhead; waits for a database that is away."""
        failures = 0
        while True:
            try:
                self.position = await self._store.prepare()
                if self.position > self._last_step():
                    raise StoreAhead(self.position, self._last_step())
                async with await self._store.connect() as connection:
                    self.up = True
                    failures = 0
                    await self._project(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
                self.up = False
                log.warning("the database is away: %s", str(error).strip().splitlines()[:1])
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

    async def _project(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            batch = await self._next_batch()
            if not batch:
                await self._maintain(connection)
                continue
            await self._write(connection, batch)
            self.lag_s = max(0.0, (self._clock.now_ns() - batch[-1][1].at_ns) / NS)
            await self._maintain(connection)

    async def _next_batch(self) -> list[tuple[int, Step]]:
        """The steps after the position, without a gap: from the queue, else from the journal."""
        batch: list[tuple[int, Step]] = []
        deadline = asyncio.get_running_loop().time() + GATHER_S
        while len(batch) < BATCH_STEPS_MAX:
            expected = (batch[-1][0] if batch else self.position) + 1
            left_s = deadline - asyncio.get_running_loop().time()
            try:
                number, step = await asyncio.wait_for(self._waiting.get(), max(left_s, 0.001))
            except TimeoutError:
                if not batch and self.position < self._last_step():
                    return await self._read_batch(expected)
                break
            if number < expected:
                continue
            if number > expected:
                return batch or await self._read_batch(expected)
            batch.append((number, step))
        return batch

    async def _read_batch(self, first: int) -> list[tuple[int, Step]]:
        batch: list[tuple[int, Step]] = []
        async for number, step in self._read(first):
            batch.append((number, step))
            if len(batch) >= BATCH_STEPS_MAX:
                break
        return batch

    async def _write(
        self, connection: psycopg.AsyncConnection, batch: list[tuple[int, Step]]
    ) -> None:
        rows = Rows(self._store.point_ids)
        for number, step in batch:
            rows.take(number, step)
        async with connection.transaction():
            for day in sorted(rows.days - self._days):
                await connection.execute(SQL["make_partitions"], (day,))
            await _insert(connection, rows)
            await connection.execute(SQL["advance"], (batch[-1][0], rows.site_hash))
        self._days |= rows.days
        self.position = batch[-1][0]
        self.readings += len(rows.observed_at_ns)
        self._count_latency(rows.observed_at_ns)
        self._advanced.set()

    def _count_latency(self, observed_at_ns: list[int]) -> None:
        ages_ms = (self._clock.now_ns() - np.asarray(observed_at_ns, dtype=np.int64)) / 1e6
        for start in range(0, len(ages_ms), LATENCIES_MAX):
            part = ages_ms[start : start + LATENCIES_MAX]
            where = (self._latencies + np.arange(len(part))) % LATENCIES_MAX
            self._latencies_ms[where] = part
            self._latencies += len(part)

    async def _maintain(self, connection: psycopg.AsyncConnection) -> None:
        """Rollups and retention, now and then; cheap where the server does them itself."""
        now_ns = self._clock.now_ns()
        if now_ns - self._rolled_at_ns < ROLL_UP_EVERY_S * NS:
            return
        now = at(now_ns)
        since = at(max(0, (self._rolled_at_ns or now_ns) - int(LATE_S * NS)))
        async with connection.transaction():
            await connection.execute(SQL["roll_up"], (since,))
            await connection.execute(SQL["make_partitions"], (now.date(),))
            tomorrow = now.date() + timedelta(days=1)
            await connection.execute(SQL["make_partitions"], (tomorrow,))
            await connection.execute(SQL["drop_older"], (now - RAW_KEPT, now - MINUTES_KEPT))
        self._rolled_at_ns = now_ns


async def _insert(connection: psycopg.AsyncConnection, rows: Rows) -> None:
    """In the caller's transaction."""
    cursor = connection.cursor()
    if rows.observed_at_ns:
        async with cursor.copy(SQL["readings"]) as copy:
            await copy.write(rows.readings_copy())
    if rows.signal_states:
        async with cursor.copy(SQL["signal_states"]) as copy:
            for row in rows.signal_states:
                await copy.write_row(row)
    for name, values in rows.statements:
        await cursor.execute(SQL[name], values)
