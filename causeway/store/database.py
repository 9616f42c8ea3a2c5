"""Talks to the database for all but the projection: its schema, its points, what is asked of it.

In come a site and questions; out go an up-to-date schema (`schema/`), trends and counts. SQL stands
in `schema/` and `statements.sql`; it is never put together from values.
"""

from __future__ import annotations

import logging
from importlib.resources import files
from typing import NamedTuple

import psycopg
from psycopg import errors

from causeway.projection import at
from causeway.site import Site

TREND_ROWS_MAX = 2_000

log = logging.getLogger(__name__)


def _statements() -> dict[str, bytes]:
    """`statements.sql` by name."""
    parts = files("causeway").joinpath("statements.sql").read_text().split("-- name: ")[1:]
    return {name: sql.strip().encode() for name, _, sql in (part.partition("\n") for part in parts)}


SQL = _statements()


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


class Position(NamedTuple):
    """The last step that the store holds: its number, its time and who wrote it."""

    step: int
    at_ns: int
    writer: str


class Store:
    """One database. Every call opens its own short connection."""

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
            return (await position(connection)).step

    async def connect(self) -> psycopg.AsyncConnection:
        """Commits each statement by itself outside `transaction()`.

        A server whose machine has gone is found out within half a minute, not within the two hours
        of the system's own setting.
        """
        return await psycopg.AsyncConnection.connect(
            self.dsn,
            autocommit=True,
            application_name="causeway",
            connect_timeout=5,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=25_000,
        )

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


async def position(connection: psycopg.AsyncConnection) -> Position:
    """Where the store stands."""
    row = await (await connection.execute(SQL["position"])).fetchone()
    return Position(*row) if row is not None else Position(0, 0, "")


async def migrate(connection: psycopg.AsyncConnection) -> list[str]:
    """Apply the schema files that this database lacks, each in one transaction; gives their names.

    `NNNN_timescale.sql` is for a server with the extension, `NNNN_partitions.sql` for any other;
    the latter is taken, too, where TimescaleDB's licence there lacks what the store needs. A
    database keeps the storage that it began with.
    """
    await connection.execute(SQL["lock_migrations"])  # until the connection is closed
    await connection.execute(SQL["prepare_migrations"])
    rows = await connection.execute(SQL["migrations"])
    numbers = {name.split("_")[0] for (name,) in await rows.fetchall()}
    found = await connection.execute(SQL["timescale_usable"])
    unwanted = "partitions" if await found.fetchone() else "timescale"
    schema = {
        f.name.removesuffix(".sql"): f for f in files("causeway").joinpath("schema").iterdir()
    }
    applied = []
    for name in sorted(schema):
        number, _, kind = name.partition("_")
        if number in numbers or kind == unwanted:
            continue
        try:
            await _apply(connection, name, schema[name].read_bytes())
        except errors.FeatureNotSupported as error:
            if kind != "timescale":
                raise
            log.warning("TimescaleDB is not used: %s", str(error).strip())
            name = f"{number}_partitions"
            await _apply(connection, name, schema[name].read_bytes())
        applied.append(name)
        numbers.add(number)
    return applied


async def _apply(connection: psycopg.AsyncConnection, name: str, statements: bytes) -> None:
    async with connection.transaction():
        await connection.execute(statements)
        await connection.execute(SQL["migrated"], (name,))
