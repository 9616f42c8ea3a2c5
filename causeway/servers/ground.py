"""What an embedded server stands on: a directory, a lock, ports, passwords, room; and its start.

Laws of this file:
1. The lock of a directory is held by the server process itself: it is free when the server has
   ended, not when the one who started it has.
2. Ports and passwords are written once and kept, so that devices find their broker after a restart.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from causeway.children import Child
from causeway.servers.faults import (
    AnotherInstance,
    DiskFull,
    NotReady,
    PortInUse,
    ServerUnusable,
    WrongOwner,
)

LOOPBACK = "127.0.0.1"
LOCK_WAIT_S = 20.0  # for a server that is still stopping
READY_WAIT_S = 60.0  # a broker reads its whole store first
TRY_EVERY_S = 0.05


def own_directory(server: str, path: Path, uid: int | None = None) -> None:
    """Make a 0700 directory, or see that the one there belongs to us (or to `uid`)."""
    uid = os.geteuid() if uid is None else uid
    path.mkdir(parents=True, exist_ok=True)
    owner = path.stat().st_uid
    if owner not in (uid, os.geteuid()):
        raise WrongOwner(server, f"owner of {path}", f"user id {owner}", f"user id {uid}")
    if owner != uid:
        os.chown(path, uid, -1)
    path.chmod(0o700)


def need_disk(server: str, path: Path, needed_mb: int) -> None:
    """Raises DiskFull where less is free."""
    free_mb = shutil.disk_usage(path).free // 10**6
    if free_mb < needed_mb:
        raise DiskFull(server, str(path), free_mb, needed_mb)


async def hold(server: str, folder: Path) -> int:
    """Lock a server's directory; the file descriptor is to be kept open by the server too."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = _now_s() + LOCK_WAIT_S
    while not _lock(fd):
        pid = int(os.pread(fd, 20, 0) or b"0")
        if (pid != os.getpid() and _is_alive(pid)) or _now_s() > deadline_s:
            os.close(fd)
            raise AnotherInstance(server, str(folder), pid)
        await asyncio.sleep(TRY_EVERY_S)
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def is_free(folder: Path) -> bool:
    """Whether no server holds a directory."""
    fd = os.open(folder / "lock", os.O_RDWR)
    try:
        return _lock(fd)
    finally:
        os.close(fd)


def choose_port(data: Path, server: str, name: str, wanted: int) -> int:
    """The configured port, the one of the last time, or a free one; raises PortInUse."""
    if wanted:
        if not _is_free(wanted):
            raise PortInUse(server, wanted)
        return wanted
    kept = _read(data / "ports.json")
    port = int(kept.get(name, "0"))
    if not port or not _is_free(port):
        with socket.socket() as listener:
            listener.bind((LOOPBACK, 0))
            port = int(listener.getsockname()[1])
    _write(data / "ports.json", {**kept, name: str(port)})
    return port


def password(data: Path, name: str) -> str:
    """A generated password, kept in a file that only we can read."""
    path = data / "secrets.json"
    kept = _read(path)
    if name not in kept:
        kept[name] = secrets.token_hex(16)
        _write(path, kept)
    return kept[name]


class Starting(NamedTuple):
    """A server that has just been started; what it says begins at `log_from` of its log."""

    server: str
    folder: Path
    needed_mb: int
    child: Child
    log_from: int


async def ready(starting: Starting, attempt: Callable[[], Awaitable[None]]) -> None:
    """Try until `attempt` succeeds. When the child ends or the time does, stop it and say why.

    `attempt` raises OSError for "not yet", ServerUnusable for "never".
    """
    child = starting.child
    deadline_s = _now_s() + READY_WAIT_S
    seen = ""
    while _now_s() < deadline_s and child.runs == 1 and child.alive:
        try:
            await attempt()
            return
        except OSError as error:
            seen = str(error)
            await asyncio.sleep(TRY_EVERY_S)
        except BaseException:
            await child.stop()
            raise
    if child.exit_code is not None:
        seen = f"an end with exit code {child.exit_code}"
    await child.stop()
    raise came_not_up(starting, seen)


def came_not_up(starting: Starting, seen: str) -> ServerUnusable:
    """What the log says of a server that did not come up."""
    log_file = starting.child.log_file
    with log_file.open("rb") as file:
        file.seek(starting.log_from)
        text = "\n".join(file.read().decode(errors="replace").splitlines()[-20:])
    if "no space left on device" in text.lower():
        free_mb = shutil.disk_usage(starting.folder).free // 10**6
        folder = str(starting.folder)
        return DiskFull(starting.server, folder, free_mb, max(free_mb + 1, starting.needed_mb))
    if "address already in use" in text.lower():
        port = re.search(r"(?:127\.0\.0\.1:|on port )(\d+)", text)
        return PortInUse(starting.server, int(port[1]) if port else 0)
    return NotReady(starting.server, seen, str(log_file), text)


def log_size(folder: Path, name: str) -> int:
    """Where a child's log will go on."""
    path = folder / f"{name}.log"
    return path.stat().st_size if path.exists() else 0


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _lock(fd: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _is_alive(pid: int) -> bool:
    """Whether a process is there, and not only left for its parent to reap."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state in "ZX":
            return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return pid > 0


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            listener.bind((LOOPBACK, port))
            return True
    return False


def _read(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _write(path: Path, values: dict[str, str]) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(values, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
