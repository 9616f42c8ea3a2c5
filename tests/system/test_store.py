"""The store against real servers: the embedded PostgreSQL, Debian's, and one that is named.

`CAUSEWAY_TEST_DATABASE_URL` names one more: a superuser's address, on which each test makes a
database of its own. So the same tests serve TimescaleDB (see also `test_timescale.py`).
"""

from __future__ import annotations

import asyncio
import math
import os
import pwd
import random
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from causeway.children import Children, RunAs
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
    ForecastIssued,
    Interval,
    PumpCommanded,
    Quality,
    ReadingsObserved,
    Reason,
    Rejected,
    SignalMode,
    SignalsObserved,
    SignalState,
    SourceLost,
    Step,
    Tick,
    TrafficMeasured,
)
from causeway.servers import start_postgres
from causeway.site import Point, Site
from causeway.store import Projector, Store, StoreAhead, StoreDiverged, migrate

pytestmark = pytest.mark.system

NS = 1_000_000_000
DAY_S = 86_400
START_NS = 1_763_980_800 * NS  # 2025-11-24 10:40 UTC
POINT = "tg-phu-an/stage_m"
WAIT_S = 180  # of a busy machine
DEBIAN = Path("/usr/lib/postgresql")
NAMED = "CAUSEWAY_TEST_DATABASE_URL"


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


# --- servers -----------------------------------------------------------------------------------


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """One that every user can get to; pytest's own belongs to root alone."""
    with tempfile.TemporaryDirectory(prefix="causeway-store-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def embedded() -> Iterator[str]:
    """The embedded PostgreSQL, for the whole module; its loop runs while it starts and ends."""
    with folder_for_all() as folder:
        loop = asyncio.new_event_loop()
        children = Children(folder / "log")
        try:
            yield loop.run_until_complete(start_postgres(children, folder / "data")).dsn
        finally:
            loop.run_until_complete(children.stop_all())
            loop.close()


@contextmanager
def debian() -> Iterator[str]:
    """The newest PostgreSQL of the distribution, by its own programs."""
    installed = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not installed:
        assert os.environ.get("CI") != "true", f"CI has to have a PostgreSQL in {DEBIAN}"
        pytest.skip(f"no PostgreSQL in {DEBIAN}")
    programs = installed[-1].parent
    user, group = ordinary_user()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with folder_for_all() as folder:
        os.chown(folder, user, group)
        cluster = f"{folder}/pg"

        def run(*argv: str) -> None:
            subprocess.run(
                argv, check=True, capture_output=True, user=user, group=group, extra_groups=[]
            )

        run(f"{programs}/initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        pg_ctl = (f"{programs}/pg_ctl", "-D", cluster, "-w")
        run(*pg_ctl, "-o", options, "-l", f"{folder}/log", "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            run(*pg_ctl, "-m", "immediate", "stop")


@contextmanager
def named() -> Iterator[str]:
    """The server that the environment names."""
    yield os.environ[NAMED]


def ordinary_user() -> RunAs:
    """Us, or one that PostgreSQL does not refuse as it does root."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    about = pwd.getpwnam("nobody")
    return about.pw_uid, about.pw_gid


SERVERS = [embedded, debian, *([named] if NAMED in os.environ else [])]


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A superuser's address of each kind of server in turn."""
    with request.param() as dsn:
        yield dsn


@pytest.fixture
async def dsn(server: str) -> AsyncIterator[str]:
    """A database of its own on that server."""
    name = f"causeway_{uuid4().hex}"
    admin = await psycopg.AsyncConnection.connect(server, autocommit=True)
    async with admin:
        await admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield psycopg.conninfo.make_conninfo(server, dbname=name)
        drop = sql.SQL("drop database {} with (force)")
        await admin.execute(drop.format(sql.Identifier(name)))


# --- a journal in memory -----------------------------------------------------------------------


class Recorded:
    """A journal in memory: what the projector reads when its queue has a gap."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)

    async def read(self, first: int) -> AsyncIterator[tuple[int, Step]]:
        for number in range(first, len(self.steps) + 1):
            yield number, self.steps[number - 1]

    def last_step(self) -> int:
        return len(self.steps)


def step(second: float, *events: AnyEvent, writer: str = "w") -> Step:
    return Step(writer, START_NS + int(second * NS), events)


def stage(second: float, value: float = 1.0) -> ReadingsObserved:
    return ReadingsObserved(
        source="tg-phu-an",
        points=(POINT,),
        observed_at_ns=(START_NS + int(second * NS),),
        values=(value,),
        qualities=(Quality.GOOD,),
    )


def projector_of(dsn: str, recorded: Recorded) -> Projector:
    clock = ManualClock(START_NS + 1_000 * NS)
    store = Store(dsn, site_with_a_tide_gauge())
    return Projector(store, recorded.read, recorded.last_step, clock)


@asynccontextmanager
async def running(projector: Projector) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(projector.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def project(dsn: str, recorded: Recorded, shown: Sequence[int] = ()) -> Projector:
    """Show some of the recorded steps, and wait until the store holds all."""
    projector = projector_of(dsn, recorded)
    async with running(projector):
        await until(lambda: projector.up)
        for number in shown:
            projector.show(number, recorded.steps[number - 1])
        await asyncio.wait_for(projector.caught_up(recorded.last_step()), WAIT_S)
    return projector


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - the projector tells nobody of these
            await asyncio.sleep(0.01)


async def rows_of(dsn: str, query: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def counts_of(dsn: str) -> tuple[int, int]:
    """Readings, and those that stand there more than once."""
    counts = await Store(dsn, site_with_a_tide_gauge()).counts()
    return counts.readings, counts.repeated


# --- what is stored ----------------------------------------------------------------------------


async def test_every_reading_is_stored_once_whatever_the_queue_lacked(dsn: str) -> None:
    recorded = Recorded(*(step(n, stage(n), Tick()) for n in range(50)))
    await project(dsn, recorded, range(10, 20))
    recorded.steps += [step(n, stage(n)) for n in range(50, 60)]
    await project(dsn, recorded, range(1, 61))
    assert await counts_of(dsn) == (60, 0)


async def test_what_the_journal_holds_unacknowledged_is_not_stored_yet(dsn: str) -> None:
    recorded = Recorded(*(step(n, stage(n)) for n in range(9)))
    store = Store(dsn, site_with_a_tide_gauge())
    acknowledged = 5
    clock = ManualClock(START_NS + 100 * NS)
    projector = Projector(store, recorded.read, lambda: acknowledged, clock)
    async with running(projector):
        await asyncio.wait_for(projector.caught_up(5), WAIT_S)
        assert (projector.position, projector.lag_s) == (5, 0)
        acknowledged = 9
        assert projector.lag_s == 96
        await asyncio.wait_for(projector.caught_up(9), WAIT_S)
    assert await counts_of(dsn) == (9, 0)


async def test_a_trend_gives_values_in_order_and_thins_a_long_one(dsn: str) -> None:
    recorded = Recorded(*(step(n, stage(n, n / 10)) for n in range(5_000)))
    await project(dsn, recorded)
    store = Store(dsn, site_with_a_tide_gauge())
    short = await store.trend(POINT, START_NS - 1, START_NS + 9 * NS)
    assert short.v == [n / 10 for n in range(10)]
    assert short.at == sorted(short.at)
    whole = await store.trend(POINT, START_NS - 1, START_NS + 5_000 * NS)
    assert 1_000 < len(whole.v) <= 2_000


async def test_an_alarm_is_one_row_from_raising_to_acknowledged_return(dsn: str) -> None:
    recorded = Recorded(
        step(0, raised(3)),
        step(1, raised(1)),
        step(2, AlarmReturned(alarm="FLOOD-rd")),
        step(3, AlarmAcknowledged(alarm="FLOOD-rd", operator="an")),
        step(4, raised(4)),
    )
    await project(dsn, recorded, range(1, 6))
    assert await rows_of(
        dsn,
        "select raised_step, priority, returned_at is null, acknowledged_by "
        "from causeway.alarm order by raised_step",
    ) == [(1, 1, False, "an"), (5, 4, True, None)]


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
    commands = await rows_of(dsn, "select target, state, took_ms from causeway.command")
    assert commands == [("p", "confirmed", 2_000.0)]
    events = await rows_of(dsn, "select step, kind, body->>'target' from causeway.event")
    assert sorted(events) == [
        (1, "PumpCommanded", None),
        (2, "CommandSent", "p"),
        (3, "CommandConfirmed", "p"),
    ]


async def test_readings_are_rolled_up_by_the_minute(dsn: str) -> None:
    recorded = Recorded(*(step(n, stage(n, float(n))) for n in range(120)))
    await project(dsn, recorded)
    assert await rolled_up(dsn) == [(60, 0, 59, 29.5), (60, 60, 119, 89.5)]


async def test_a_reading_that_came_late_changes_its_minute(dsn: str) -> None:
    recorded = Recorded(step(0, stage(0, 1.0)), step(3_000, stage(3_000, 5.0)))
    await project(dsn, recorded)
    await rolled_up(dsn)
    recorded.steps.append(step(3_001, stage(30, 3.0)))
    await project(dsn, recorded)
    assert await rolled_up(dsn) == [(2, 1, 3, 2), (1, 5, 5, 5)]
    hours = await rows_of(dsn, "select sum(count), max(max) from causeway.reading_hour")
    assert hours == [(3, 5)]


async def test_old_days_are_dropped(dsn: str) -> None:
    recorded = Recorded(step(0, stage(0)), step(3 * DAY_S, stage(3 * DAY_S)))
    await project(dsn, recorded)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("select causeway.drop_older('2025-11-26', '2025-11-26')")
    assert await counts_of(dsn) == (1, 0)


async def test_migrations_are_applied_once_even_by_several_at_a_time(dsn: str) -> None:
    async def migrated() -> list[str]:
        async with await Store(dsn, site_with_a_tide_gauge()).connect() as connection:
            return await migrate(connection)

    applied = await asyncio.gather(*(migrated() for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, 2]


def raised(priority: int, text: str = "x") -> AlarmRaised:
    return AlarmRaised(
        alarm="FLOOD-rd", priority=priority, asset="rd", kind="flood", text_vi=text, text_en=text
    )


async def rolled_up(dsn: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("select causeway.roll_up()")
    return await rows_of(
        dsn, "select count, min, max, mean from causeway.reading_minute order by bucket"
    )


async def has_timescale(dsn: str) -> bool:
    return bool(await rows_of(dsn, "select from pg_extension where extname = 'timescaledb'"))


# --- what is not as it should be ---------------------------------------------------------------


async def test_odd_values_are_stored_as_near_as_a_database_can(dsn: str) -> None:
    def shown(second: int, observed_at_ns: int, fault: str) -> SignalsObserved:
        state = SignalState(
            "j", observed_at_ns, "n", Interval.DARK, "oo", SignalMode.FLASH, fault=fault
        )
        return SignalsObserved(states=(state,))

    def measured(ratio: float) -> TrafficMeasured:
        return TrafficMeasured(
            camera="cam",
            observed_at_ns=START_NS,
            occupancy_ratio=ratio,
            moving_ratio=-ratio,
            speed_px_s=math.nan,
            frames=1,
        )

    recorded = Recorded(
        step(0, stage(0, math.inf), stage(1, -math.inf), stage(2, math.nan), stage(3, 5e-324)),
        step(1, stage(-1_763_980_800), stage(-1_100_000_000), stage(7_000_000_000)),
        step(2, shown(2, 2**64 - 1, "a\0b"), shown(2, 0, ""), shown(2, START_NS, "ổ khóa")),
        step(3, raised(1, "a\0\\u0000")),
        step(4, measured(math.inf), Rejected(source="\0", reason=Reason.LATE, count=2**40)),
        step(
            5,
            ForecastIssued(
                point=POINT, model="m", issued_at_ns=-1, lead_s=(1,), values=(math.nan,)
            ),
        ),
    )
    projector = await project(dsn, recorded)
    assert (projector.position, projector.refused) == (6, 0)
    assert await counts_of(dsn) == (7, 0)
    years = await rows_of(dsn, "select extract(year from at)::integer from causeway.reading")
    assert sorted(years) == [(1970,), (1991,), *[(2025,)] * 4, (2247,)]
    faults = "select fault, at = '2025-11-24 10:40:02Z' from causeway.signal_state order by fault"
    assert await rows_of(dsn, faults) == [("", True), ("a\ufffdb", True), ("ổ khóa", False)]


async def test_a_clock_gone_wild_does_not_make_a_table_for_every_day_it_names(dsn: str) -> None:
    await project(dsn, Recorded(*(step(n, stage(n * 10 * DAY_S)) for n in range(-300, 300))))
    if await has_timescale(dsn):
        pytest.skip("there each day of readings is a chunk: plausibility.py keeps them away")
    tables = "select relname from pg_class where relname ~ '^reading_[0-9]{8}$'"
    assert ("reading_20251124",) in (found := await rows_of(dsn, tables))
    assert len(found) <= 2  # tomorrow's may be made already
    assert await counts_of(dsn) == (600, 0)


async def test_a_row_that_is_never_taken_is_left_out_alone_and_counted(dsn: str) -> None:
    await project(dsn, Recorded())
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("alter table causeway.reading add check (value <> 13)")
        await connection.execute("alter table causeway.alarm add check (priority <> 4)")
    too_long = SourceLost(source=random.Random(1).randbytes(9_000).hex(), why="")
    several = ReadingsObserved(
        source="tg-phu-an",
        points=(POINT,) * 3,
        observed_at_ns=tuple(START_NS + ms * 1_000_000 for ms in (1, 2, 3)),
        values=(1.0, 13.0, 2.0),
        qualities=(Quality.GOOD,) * 3,
    )
    crooked = ReadingsObserved(
        source="x", points=(POINT,), observed_at_ns=(), values=(), qualities=()
    )
    beyond_64_bits = stage(2**63)
    recorded = Recorded(
        *(step(n, stage(n, 1.0), SourceLost(source="s", why="")) for n in range(99))
    )
    recorded.steps[20] = step(20, stage(20, 1.0), raised(4), raised(3))
    recorded.steps[50] = step(50, too_long, several, crooked, beyond_64_bits, raised(2))
    projector = await project(dsn, recorded)
    assert projector.position == 99
    assert projector.refused == 5
    assert await counts_of(dsn) == (98 + 2, 0)
    assert await rows_of(dsn, "select priority from causeway.alarm") == [(2,)]
    events = "select count(*) from causeway.event where kind = 'SourceLost'"
    assert await rows_of(dsn, events) == [(97,)]


async def test_a_database_that_refuses_us_altogether_is_tried_again(dsn: str) -> None:
    recorded = Recorded(step(0, stage(0)))
    await project(dsn, recorded)
    recorded.steps.append(step(1, stage(1)))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("alter table causeway.reading rename to hidden")
        projector = projector_of(dsn, recorded)
        async with running(projector):
            await until(lambda: isinstance(projector.fault, psycopg.errors.UndefinedTable))
            assert (projector.position, projector.up, projector.refused) == (1, False, 0)
            await connection.execute("alter table causeway.hidden rename to reading")
            await asyncio.wait_for(projector.caught_up(2), WAIT_S)
            assert projector.up
    assert await counts_of(dsn) == (2, 0)


async def test_a_store_that_is_ahead_of_the_journal_is_left_as_it_is(dsn: str) -> None:
    await project(dsn, Recorded(*(step(n, stage(n)) for n in range(5))))
    younger = Recorded(step(0, EngineStarted(version="v", site_hash="h")))
    projector = projector_of(dsn, younger)
    async with running(projector):
        await until(lambda: isinstance(projector.fault, StoreAhead))
    assert not projector.up
    assert await counts_of(dsn) == (5, 0)


async def test_a_store_of_another_journal_is_refused_until_it_is_emptied(dsn: str) -> None:
    await project(dsn, Recorded(*(step(n, stage(n)) for n in range(5))))
    other = Recorded(*(step(n, stage(n), writer="other") for n in range(9)))
    projector = projector_of(dsn, other)
    async with running(projector):
        await until(lambda: isinstance(projector.fault, StoreDiverged))
        assert await counts_of(dsn) == (5, 0)
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await connection.execute("drop schema causeway cascade")
        await asyncio.wait_for(projector.caught_up(9), WAIT_S)
    assert await counts_of(dsn) == (9, 0)


async def test_two_projectors_at_once_store_every_step_once(dsn: str) -> None:
    recorded = Recorded(*(step(n, stage(n)) for n in range(6_000)))
    projectors = [projector_of(dsn, recorded) for _ in range(3)]
    async with running(projectors[0]), running(projectors[1]), running(projectors[2]):
        for projector in projectors:
            await asyncio.wait_for(projector.caught_up(6_000), WAIT_S)
    assert await counts_of(dsn) == (6_000, 0)


# --- ends in the middle ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
async def test_a_projector_that_is_ended_anywhere_is_gone_on_from(dsn: str, seed: int) -> None:
    chance = random.Random(seed)
    recorded = Recorded()
    ended = 0
    while recorded.last_step() < 3_000:
        first = recorded.last_step()
        more = range(first, first + chance.randrange(1, 200))
        recorded.steps += [step(n, stage(n), raised(1 + n % 4), Tick()) for n in more]
        projector = projector_of(dsn, recorded)
        async with running(projector):
            if chance.random() < 0.5:
                await until(lambda: projector.up)  # noqa: B023 - called in this turn only
            for number in chance.sample(more, chance.randrange(len(more))):
                projector.show(number + 1, recorded.steps[number])
            for _ in range(chance.randrange(1, 400)):  # turns of the loop: any point of its work
                await asyncio.sleep(0)
            ended += projector.position < recorded.last_step()
    assert ended > 10
    await project(dsn, recorded)
    assert await counts_of(dsn) == (recorded.last_step(), 0)
    events = "select count(*), count(distinct step) from causeway.event"
    assert await rows_of(dsn, events) == [(recorded.last_step(),) * 2]


async def test_a_database_killed_again_and_again_has_every_step_once() -> None:
    recorded = Recorded()
    with folder_for_all() as folder:
        children = Children(folder / "log")
        try:
            postgres = await start_postgres(children, folder / "data")
            projector = projector_of(postgres.dsn, recorded)
            async with running(projector):
                for kill in range(3):
                    stored = projector.position
                    await _arrive(recorded, projector, lambda: projector.position > stored + 200)  # noqa: B023
                    postgres.child.kill()
                    await postgres.child.again(kill + 1)
                await _arrive(recorded, projector, lambda: projector.up)
                await asyncio.wait_for(projector.caught_up(recorded.last_step()), WAIT_S)
            assert await counts_of(postgres.dsn) == (recorded.last_step(), 0)
            events = "select count(*), count(distinct step) from causeway.event"
            assert await rows_of(postgres.dsn, events) == [(recorded.last_step(),) * 2]
        finally:
            await children.stop_all()


async def _arrive(recorded: Recorded, projector: Projector, enough: Callable[[], bool]) -> None:
    """Steps arrive, some hundred a second, until there has been enough."""
    async with asyncio.timeout(WAIT_S):
        while not enough():
            n = recorded.last_step()
            recorded.steps.append(step(n, stage(n), raised(1 + n % 4)))
            projector.show(n + 1, recorded.steps[-1])
            await asyncio.sleep(0.002)
