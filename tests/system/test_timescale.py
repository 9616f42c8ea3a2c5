"""What only TimescaleDB does for the store: columnstore, continuous aggregates, dropped chunks.

On the server that `CAUSEWAY_TEST_DATABASE_URL` names, where it has the extension (see
`test_store.py`). No package registry has TimescaleDB, so CI may be without.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from causeway.clock import ManualClock
from causeway.events import Quality, ReadingsObserved, Step
from causeway.site import Point, Site
from causeway.store import SQL, Projector, Store

pytestmark = pytest.mark.system

NS = 1_000_000_000
MINUTE_S = 60
DAY_S = 86_400
POINT = "tg-phu-an/stage_m"
NAMED = "CAUSEWAY_TEST_DATABASE_URL"


@pytest.fixture
async def connection() -> AsyncIterator[psycopg.AsyncConnection]:
    """A database of its own on a TimescaleDB."""
    if NAMED not in os.environ:
        pytest.skip(f"{NAMED} names no server")
    server = os.environ[NAMED]
    name = f"causeway_{uuid4().hex}"
    admin = await psycopg.AsyncConnection.connect(server, autocommit=True)
    async with admin:
        if not await (await admin.execute(SQL["timescale_usable"])).fetchone():
            pytest.skip("that server has no TimescaleDB")
        await admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        dsn = psycopg.conninfo.make_conninfo(server, dbname=name)
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as inside:
            await inside.execute("create extension timescaledb")
            # or a policy that the server runs by itself gets into the way of ours
            await inside.execute("select _timescaledb_functions.stop_background_workers()")
            yield inside
        drop = sql.SQL("drop database {} with (force)")
        await admin.execute(drop.format(sql.Identifier(name)))


class Trial:
    """A store on that database whose journal grows by readings; time is counted from now back."""

    def __init__(self, connection: psycopg.AsyncConnection, now_ns: int) -> None:
        point = Point(POINT, "tg-phu-an", "stage_m", "m", -5, 5, None, 30, "hon_dau", "tg-phu-an")
        names = ("id", "name", "name_en", "timezone", "datum", "centre", "credit", "hash")
        nothing = {name: () for name in Site.__struct_fields__ if name not in names}
        site = Site(
            **{**nothing, "points": {POINT: point}},
            id="s",
            name="",
            name_en="",
            timezone="UTC",
            datum="hon_dau",
            centre=(0, 0),
            credit="",
            hash="h",
        )
        self.now_ns = now_ns
        self.connection = connection
        self.store = Store(connection.info.dsn, site)
        self._steps: list[Step] = []

    async def read(self, first: int) -> AsyncIterator[tuple[int, Step]]:
        for number in range(first, len(self._steps) + 1):
            yield number, self._steps[number - 1]

    async def observe(self, *readings: tuple[float, float]) -> None:
        """Store readings of (seconds ago, value)."""
        for ago_s, value in readings:
            at_ns = self.now_ns - int(ago_s * NS)
            event = ReadingsObserved(
                source="tg-phu-an",
                points=(POINT,),
                observed_at_ns=(at_ns,),
                values=(value,),
                qualities=(Quality.GOOD,),
            )
            self._steps.append(Step("w", at_ns, (event,)))
        last = len(self._steps)
        projector = Projector(self.store, self.read, lambda: last, ManualClock(self.now_ns))
        running = asyncio.create_task(projector.run())
        await asyncio.wait_for(projector.caught_up(last), 60)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    async def run_jobs(self, kind: str) -> None:
        """Let the server's policies do now what they do in time."""
        jobs = await self.rows(f"select job_id from timescaledb_information.jobs where {kind}")
        assert jobs
        for (job,) in jobs:
            await self.connection.execute(f"call run_job({job})".encode())

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        return await (await self.connection.execute(query.encode())).fetchall()

    async def trend_values(self) -> list[float]:
        return (await self.store.trend(POINT, 0, self.now_ns)).v


@pytest.fixture
async def trial(connection: psycopg.AsyncConnection) -> Trial:
    """The policies go by the server's clock, so this does, too: at the start of a minute."""
    query = b"select extract(epoch from date_trunc('minute', now()))::bigint"
    row = await (await connection.execute(query)).fetchone()
    assert row is not None
    trial = Trial(connection, int(row[0]) * NS)
    await trial.observe()
    return trial


async def test_old_chunks_become_columns_and_take_late_readings_still(trial: Trial) -> None:
    await trial.observe(*((4 * DAY_S - n, float(n)) for n in range(100)), (10, 7.0))
    await trial.run_jobs("proc_name = 'policy_compression'")
    chunks = "select is_compressed, count(*) from timescaledb_information.chunks "
    chunks += "where hypertable_name = 'reading' group by 1 order by 1"
    assert await trial.rows(chunks) == [(False, 1), (True, 1)]
    await trial.observe((4 * DAY_S - 200, 200.0))
    assert await trial.trend_values() == [*map(float, range(100)), 200.0, 7.0]


async def test_the_aggregates_are_kept_by_policies_and_mended_by_late_readings(
    trial: Trial,
) -> None:
    start_s = 20 * DAY_S
    await trial.observe(*((start_s - n, float(n)) for n in range(120)))
    await trial.run_jobs("proc_name = 'policy_refresh_continuous_aggregate'")
    await trial.observe((start_s - 0.5, 100.0))
    await trial.run_jobs("proc_name = 'policy_refresh_continuous_aggregate'")
    minutes = "select count, min, max, round(mean) from causeway.reading_minute order by bucket"
    hours = "select sum(count) from causeway.reading_hour"
    for only in ("true", "false"):  # as it was materialised, and with what is newer
        for view in ("reading_minute", "reading_hour"):
            change = f"alter materialized view causeway.{view} set "
            change += f"(timescaledb.materialized_only = {only})"
            await trial.connection.execute(change.encode())
        assert await trial.rows(minutes) == [(61, 0, 100, 31), (60, 60, 119, 90)]
        assert await trial.rows(hours) == [(121,)]


async def test_what_is_older_goes_by_whole_chunks_and_its_rollups_stay(trial: Trial) -> None:
    await trial.observe((50 * DAY_S, 1.0), (2 * DAY_S, 2.0), (MINUTE_S, 3.0))
    for view in ("reading_minute", "reading_hour"):
        refresh = f"call refresh_continuous_aggregate('causeway.{view}', null, null)"
        await trial.connection.execute(refresh.encode())
    await trial.connection.execute(
        "select causeway.drop_older(now() - interval '40 days', now() - interval '100 days')"
    )
    assert await trial.trend_values() == [2.0, 3.0]
    await trial.run_jobs("proc_name = 'policy_refresh_continuous_aggregate'")
    for view in ("reading_minute", "reading_hour"):
        assert await trial.rows(f"select sum(count) from causeway.{view}") == [(3,)]
    await trial.connection.execute(
        "select causeway.drop_older(now() - interval '40 days', now() - interval '40 days')"
    )
    assert await trial.rows("select sum(count) from causeway.reading_minute") == [(2,)]
    assert await trial.rows("select sum(count) from causeway.reading_hour") == [(3,)]


async def test_the_store_lasts_a_simulated_evening_of_a_year_ago(trial: Trial) -> None:
    await trial.observe(*((400 * DAY_S - n, float(n)) for n in range(60)))
    await trial.run_jobs("hypertable_name is not null")
    assert await trial.trend_values() == [*map(float, range(60))]
