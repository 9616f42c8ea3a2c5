"""Snapshots: all cores' states after a step, as files beside the journal.

A file is whole or not there: it is written under another name, synced and renamed. One that is
damaged, or of a form that this version does not know, is skipped for an older one, and it is said.
`recovery.py` restores them; a segment carries the ones at its two ends.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from causeway.journal.faults import FileUnreadable

MAGIC = b"causeway snapshot 1\n"
SUFFIX = ".snapshot"
SNAPSHOTS_KEPT = 6  # at one in 5 minutes: half an hour


class Snapshot(Struct, frozen=True):
    """The cores' states after `step`, and who wrote it: program version and site."""

    step: int
    at_ns: int
    version: str
    site_hash: str
    states: dict[str, bytes]


class Found(NamedTuple):
    """The snapshots of a folder, the newest first, and the files that are none."""

    snapshots: tuple[Snapshot, ...]
    skipped: tuple[FileUnreadable, ...]


_decoder = msgspec.msgpack.Decoder(Snapshot)


def write_snapshot(
    folder: Path,
    step: int,
    at_ns: int,
    version: str,
    site_hash: str,
    states: dict[str, bytes],
    kept: int = SNAPSHOTS_KEPT,
) -> Snapshot:
    """Keep the states after `step`, which the journal must have acknowledged; the oldest go."""
    snapshot = Snapshot(step, at_ns, version, site_hash, states)
    folder.mkdir(parents=True, exist_ok=True)
    packed = zlib.compress(msgspec.msgpack.encode(snapshot))
    write_whole(folder / f"{step:012d}{SUFFIX}", MAGIC + hashlib.sha256(packed).digest() + packed)
    for path in _files(folder)[kept:]:
        with suppress(FileNotFoundError):
            path.unlink()
    return snapshot


def snapshots(folder: Path) -> Found:
    """What stands in a folder; none when there is no folder."""
    found: list[Snapshot] = []
    skipped: list[FileUnreadable] = []
    for path in _files(folder):
        try:
            found.append(_read(path))
        except FileUnreadable as fault:
            skipped.append(fault)
    return Found(tuple(found), tuple(skipped))


def write_whole(path: Path, data: bytes) -> None:
    """All of a file or nothing, also in a power cut."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    put_in_place(new, path)


def put_in_place(new: Path, path: Path) -> None:
    """Rename a synced file, and sync its folder."""
    new.replace(path)
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"), reverse=True)


def _read(path: Path) -> Snapshot:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileUnreadable(path, str(error)) from error
    if not data.startswith(MAGIC):
        raise FileUnreadable(path, f"begins with {data[: len(MAGIC)]!r}; expected {MAGIC!r}")
    digest, packed = data[len(MAGIC) : len(MAGIC) + 32], data[len(MAGIC) + 32 :]
    if hashlib.sha256(packed).digest() != digest:
        raise FileUnreadable(path, "its checksum does not hold")
    try:
        return _decoder.decode(zlib.decompress(packed))
    except (msgspec.DecodeError, zlib.error) as error:
        raise FileUnreadable(path, str(error)) from error
