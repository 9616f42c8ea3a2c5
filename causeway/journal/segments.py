"""Sealed segments: stretches of the journal as files that outlive the stream's room.

A segment ends at a snapshot, which it carries; the next one begins there. So each can be replayed
alone, whatever has become of the stream and of the snapshots' folder. What is sealed and older than
is to be kept at hand may be purged from the stream; the steps keep their numbers.

The form: a line of magic, four bytes of length, a `SegmentHead` in MessagePack, the steps (each
with four bytes of length before it) as one zlib stream, and the SHA-256 of all that.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from causeway.events import EngineStarted, Step
from causeway.journal.faults import FileUnreadable, StepUnreadable
from causeway.journal.reader import JournalReader
from causeway.journal.snapshots import Snapshot, put_in_place
from causeway.journal.writer import JetStreamJournal
from causeway.wire import decode_step, encode_step

MAGIC = b"causeway segment 1\n"
SUFFIX = ".segment"
DIGEST_BYTES = 32
CHUNK_BYTES = 2**20
_LENGTH = struct.Struct(">I")


class SegmentHead(Struct, frozen=True):
    """Steps `first` to `last`. Version and site are those in force at `first`.

    `starting` is the state before `first`: None at the journal's beginning (fresh cores) and where
    there is no segment before this one (then it can be read, and not be replayed).
    """

    first: int
    last: int
    version: str
    site_hash: str
    starting: Snapshot | None
    ending: Snapshot


class Segment:
    """A sealed segment whose checksum holds."""

    def __init__(self, path: Path, head: SegmentHead, steps_from: int, steps_to: int) -> None:
        self.path = path
        self.head = head
        self._from = steps_from
        self._to = steps_to

    def steps(self, first: int = 0) -> Iterator[tuple[int, Step]]:
        """Its steps by number, from `first` on."""
        number = self.head.first
        for body in self._bodies():
            if number >= first:
                try:
                    yield number, decode_step(body)
                except msgspec.DecodeError as error:
                    raise StepUnreadable(number, str(error)) from error
            number += 1
        if number != self.head.last + 1:
            raise FileUnreadable(self.path, f"ends before step {number}; expected {self.head.last}")

    def _bodies(self) -> Iterator[bytes]:
        unpack = zlib.decompressobj()
        data = b""
        with self.path.open("rb") as file:
            file.seek(self._from)
            while file.tell() < self._to:
                chunk = file.read(min(CHUNK_BYTES, self._to - file.tell()))
                data += unpack.decompress(chunk)
                at = 0
                while len(data) - at >= _LENGTH.size:
                    end = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
                    if end > len(data):
                        break
                    yield data[at + _LENGTH.size : end]
                    at = end
                data = data[at:]


async def seal(journal: JournalReader, folder: Path, ending: Snapshot) -> Segment | None:
    """Write what follows the newest segment, up to a snapshot; None when that is nothing."""
    before = segments(folder)
    if before:
        first = before[-1].head.last + 1
        starting: Snapshot | None = before[-1].head.ending
    else:
        first = max(1, (await journal.ends()).first)
        starting = None
    if ending.step < first:
        return None
    path = folder / f"{first:012d}-{ending.step:012d}{SUFFIX}"
    await _write(path, journal.read(first, ending.step), first, starting, ending)
    return read_segment(path)


async def purge_sealed(
    journal: JetStreamJournal, folder: Path, older_than_ns: int, needed_from: int
) -> int:
    """Purge sealed steps that ended before a time from the stream; gives the first that is left.

    `needed_from` is the first step that somebody still has to read from the stream.
    """
    before = 0
    for segment in segments(folder):
        if segment.head.ending.at_ns < older_than_ns:
            before = segment.head.last + 1
    before = min(before, needed_from)
    if before > journal.first_step:
        await journal.purge(before)
    return journal.first_step


def read_segment(path: Path) -> Segment:
    """Open a segment and hold its checksum against its bytes; raises FileUnreadable."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            steps_to = file.seek(0, os.SEEK_END) - DIGEST_BYTES
            head, steps_from = _read_head(path)
            file.seek(0)
            while (left := steps_to - file.tell()) > 0:
                digest.update(file.read(min(CHUNK_BYTES, left)))
            if file.read() != digest.digest():
                raise FileUnreadable(path, "its checksum does not hold")
    except OSError as error:
        raise FileUnreadable(path, str(error)) from error
    return Segment(path, head, steps_from, steps_to)


def segments(folder: Path) -> list[Segment]:
    """A folder's segments in the order of their steps; the checksums are `read_segment`'s."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        head, steps_from = _read_head(path)
        found.append(Segment(path, head, steps_from, path.stat().st_size - DIGEST_BYTES))
    return found


async def _write(
    path: Path,
    steps: AsyncIterator[tuple[int, Step]],
    first: int,
    starting: Snapshot | None,
    ending: Snapshot,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    digest = hashlib.sha256()
    pack = zlib.compressobj()
    with new.open("wb") as file:

        def put(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        async for number, step in steps:
            if number == first:
                put(_head(step, first, starting, ending))
            body = encode_step(step)
            put(pack.compress(_LENGTH.pack(len(body)) + body))
        put(pack.flush())
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())
    put_in_place(new, path)


def _head(step: Step, first: int, starting: Snapshot | None, ending: Snapshot) -> bytes:
    started = step.events[0]
    if isinstance(started, EngineStarted):
        version, site_hash = started.version, started.site_hash
    elif starting is not None:
        version, site_hash = starting.version, starting.site_hash
    else:
        version = site_hash = ""
    head = msgspec.msgpack.encode(
        SegmentHead(first, ending.step, version, site_hash, starting, ending)
    )
    return MAGIC + _LENGTH.pack(len(head)) + head


def _read_head(path: Path) -> tuple[SegmentHead, int]:
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            raise FileUnreadable(path, f"begins with {magic!r}; expected {MAGIC!r}")
        try:
            length = _LENGTH.unpack(file.read(_LENGTH.size))[0]
            head = msgspec.msgpack.decode(file.read(length), type=SegmentHead)
        except (struct.error, msgspec.DecodeError) as error:
            raise FileUnreadable(path, f"its head cannot be read: {error}") from error
        return head, file.tell()
