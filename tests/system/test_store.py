"""The store against a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from causeway.children import Children
from causeway.clock import ManualClock
from causeway.events import (
    Address,
    AlarmAcknowledged,
    AlarmRaised,
    AlarmReturned,
    AnyEvent,
    CommandConfirmed,
    CommandSent,
    EngineStarted,
    PumpCommanded,
    Quality,
    ReadingsObserved,
    Step,
    Tick,
)
from causeway.servers import start_postgres
from causeway.site import Point, Site
from causeway.store import Projector, Store, StoreAhead

pytestmark = pytest.mark.system

NS = 1_000_000_000
START_NS = 1_763_980_800 * NS
POINT = "tg-phu-an/stage_m"


def site_with_a_tide_gauge() -> Site:
    point = Point(POINT, "tg-phu-an", "stage_m", "m", -5, 5, None, 30, "hon_dau", "tg-phu-an")
    nothing = {
        name: ()
        for name in Site.__struct_fields__
        if name not in ("id", "name", "name_en", "timezone", "datum", "centre", "credit", "hash")
    }
    return Site(
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


@pytest.fixture
async def dsn(tmp_path: Path) -> AsyncIterator[str]:
    children = Children(tmp_path / "log")
    (tmp_path / "data").mkdir()
    server = await start_postgres(children, tmp_path / "data")
    yield server.dsn
    await children.stop_all()


class Recorded:
    """A journal in memory: what the projector reads when its queue has a gap."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)

    async def read(self, first: int) -> AsyncIterator[tuple[int, Step]]:
        for number in range(first, len(self.steps) + 1):
            yield number, self.steps[number - 1]

    def last_step(self) -> int:
        return len(self.steps)


def step(second: int, *events: AnyEvent) -> Step:
    return Step("w", START_NS + second * NS, events)


def stage(second: int, value: float = 1.0) -> ReadingsObserved:
    return ReadingsObserved(
        source="tg-phu-an",
        points=(POINT,),
        observed_at_ns=(START_NS + second * NS,),
        values=(value,),
        qualities=(Quality.GOOD,),
    )


async def project(dsn: str, recorded: Recorded, shown: Iterator[int] | range) -> Projector:
    """Show some of the recorded steps, and wait until the store holds all."""
    clock = ManualClock(START_NS + 1_000 * NS)
    store = Store(dsn, site_with_a_tide_gauge())
    projector = Projector(store, recorded.read, recorded.last_step, clock)
    for number in shown:
        projector.show(number, recorded.steps[number - 1])
    running = asyncio.create_task(projector.run())
    caught_up = asyncio.create_task(projector.caught_up(recorded.last_step()))
    await asyncio.wait({running, caught_up}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    caught_up.cancel()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return projector


async def test_every_reading_is_stored_once_whatever_the_queue_lacked(dsn: str) -> None:
    recorded = Recorded(*(step(n, stage(n), Tick()) for n in range(50)))
    await project(dsn, recorded, range(10, 20))
    recorded.steps += [step(n, stage(n)) for n in range(50, 60)]
    await project(dsn, recorded, range(1, 61))
    store = Store(dsn, site_with_a_tide_gauge())
    await store.prepare()
    counts = await store.counts()
    assert (counts.readings, counts.repeated) == (60, 0)


async def test_a_trend_gives_values_in_order_and_thins_a_long_one(dsn: str) -> None:
    recorded = Recorded(*(step(n, stage(n, n / 10)) for n in range(5_000)))
    await project(dsn, recorded, range(0))
    store = Store(dsn, site_with_a_tide_gauge())
    short = await store.trend(POINT, START_NS - 1, START_NS + 9 * NS)
    assert short.v == [n / 10 for n in range(10)]
    assert short.at == sorted(short.at)
    whole = await store.trend(POINT, START_NS - 1, START_NS + 5_000 * NS)
    assert 1_000 < len(whole.v) <= 2_000


async def test_an_alarm_is_one_row_from_raising_to_acknowledged_return(dsn: str) -> None:
    def raised(priority: int) -> AlarmRaised:
        return AlarmRaised(
            alarm="FLOOD-rd",
            priority=priority,
            asset="rd",
            kind="flood",
            text_vi="x",
            text_en="x\0",
        )

    recorded = Recorded(
        step(0, raised(3)),
        step(1, raised(1)),
        step(2, AlarmReturned(alarm="FLOOD-rd")),
        step(3, AlarmAcknowledged(alarm="FLOOD-rd", operator="an")),
        step(4, raised(4)),
    )
    await project(dsn, recorded, range(1, 6))
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        rows = await (
            await connection.execute(
                "select raised_step, priority, returned_at is null, acknowledged_by "
                "from causeway.alarm order by raised_step"
            )
        ).fetchall()
    assert rows == [(1, 1, False, "an"), (5, 4, True, None)]


async def test_a_command_ends_in_the_state_that_the_field_showed(dsn: str) -> None:
    command = PumpCommanded(
        pump="p", run=True, sequence=1, issued_at_ns=START_NS, expires_at_ns=START_NS + NS
    )
    address = Address(1, 1)
    recorded = Recorded(
        step(0, Tick(), command),
        step(1, CommandSent(command=address, target="p", sequence=1)),
        step(2, CommandConfirmed(command=address, target="p", sequence=1, took_ns=2 * NS)),
    )
    await project(dsn, recorded, range(1, 4))
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        rows = await connection.execute("select target, state, took_ms from causeway.command")
        assert await rows.fetchall() == [("p", "confirmed", 2_000.0)]


async def test_readings_are_rolled_up_by_the_minute(dsn: str) -> None:
    recorded = Recorded(*(step(n, stage(n, float(n))) for n in range(120)))
    await project(dsn, recorded, range(1, 121))
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("select causeway.roll_up('2025-11-24 00:00Z')")
        rows = await connection.execute(
            "select count, min, max, mean from causeway.reading_minute order by bucket"
        )
        assert await rows.fetchall() == [(60, 0, 59, 29.5), (60, 60, 119, 89.5)]
        hours = await connection.execute("select sum(count) from causeway.reading_hour")
        assert await hours.fetchall() == [(120,)]


async def test_old_days_are_dropped(dsn: str) -> None:
    recorded = Recorded(step(0, stage(0)), step(1, stage(3 * 86_400)))
    await project(dsn, recorded, range(1, 3))
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("select causeway.drop_older('2025-11-26', '2025-11-26')")
        rows = await connection.execute("select count(*) from causeway.reading")
        assert await rows.fetchall() == [(1,)]


async def test_a_store_that_is_ahead_of_the_journal_is_refused(dsn: str) -> None:
    await project(dsn, Recorded(*(step(n, stage(n)) for n in range(5))), range(1, 6))
    store = Store(dsn, site_with_a_tide_gauge())
    younger = Recorded(step(0, EngineStarted(version="v", site_hash="h")))
    projector = Projector(store, younger.read, younger.last_step, ManualClock(START_NS))
    with pytest.raises(StoreAhead):
        await asyncio.wait_for(projector.run(), 20)
