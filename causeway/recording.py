"""Opens a recording for a replay: a sealed segment, a folder of them, or a centre's data folder.

Of a data folder come the segments and then what is still in JetStream, for which the embedded
server is started on it; a centre that runs on the folder is not disturbed, the opening is refused.
Out go the steps by number, and the snapshot that the first of them follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from causeway.children import Children
from causeway.engine import Core, Replay, Replayed, restore_cores
from causeway.events import Step
from causeway.journal import (
    JournalReader,
    RecordingUnusable,
    Segment,
    Snapshot,
    StepsGone,
    history,
    read_segment,
    segments,
    snapshots,
)
from causeway.servers import start_nats

EMBEDDED_PATIENCE_S = 5.0  # the server has just been seen to be ready


class Recording(NamedTuple):
    """Steps `first` to `last`, and the state before `first` (None: the beginning, fresh cores)."""

    first: int
    last: int
    starting: Snapshot | None
    read: Callable[[], AsyncIterator[tuple[int, Step]]]


@asynccontextmanager
async def open_recording(path: Path) -> AsyncIterator[Recording]:
    """Raises RecordingUnusable, another JournalError, or a ServerUnusable."""
    if _is_data(path):
        async with _open_data(path) as recording:
            yield recording
    else:
        yield _of_segments(path, _segments_at(_segments_of(path)))


async def replay_recording(
    cores: Sequence[Core], recording: Recording, version: str | None = None
) -> Replayed:
    """Replay it on fresh cores, up to the first difference; see `causeway.engine.replay`."""
    running = ""
    if recording.starting is not None:
        restore_cores(cores, recording.starting.states)
        running = recording.starting.version
    replay = Replay(cores, version, running)
    async for number, step in recording.read():
        if replay.feed(number, step) is not None:
            break
    return replay.found()


def _is_data(path: Path) -> bool:
    return (path / "nats").is_dir()


def _segments_of(path: Path) -> Path:
    """A centre on other servers has its segments in its data folder, and no server's."""
    return path / "segments" if (path / "segments").is_dir() else path


def _segments_at(path: Path) -> list[Segment]:
    if path.is_file():
        return [read_segment(path)]
    if not path.is_dir():
        raise RecordingUnusable(path, "nothing")
    if not (found := segments(path)):
        raise RecordingUnusable(path, "a folder without segments")
    return found


def _of_segments(path: Path, found: list[Segment]) -> Recording:
    head = found[0].head
    if head.starting is None and head.first > 1:
        raise RecordingUnusable(path, f"step {head.first} as the first, and no snapshot before it")

    async def read() -> AsyncIterator[tuple[int, Step]]:
        number = head.first
        for segment in found:
            if segment.head.first != number:
                raise StepsGone(number, segment.head.first)
            for number, step in read_segment(segment.path).steps():
                yield number, step
            number += 1

    return Recording(head.first, found[-1].head.last, head.starting, read)


@asynccontextmanager
async def _open_data(data: Path) -> AsyncIterator[Recording]:
    children = Children(data / "logs")
    try:
        server = await start_nats(children, data)
        journal = await JournalReader.connect(server.nats_url, patience_s=EMBEDDED_PATIENCE_S)
        try:
            yield await _of_data(data, journal)
        finally:
            await journal.close()
    finally:
        await children.stop_all()


async def _of_data(data: Path, journal: JournalReader) -> Recording:
    ends = await journal.ends()
    sealed = data / "segments"
    first = min([ends.first, *(segment.head.first for segment in segments(sealed)[:1])])
    starting: Snapshot | None = None
    if first > 1:
        known = [segment.head.starting for segment in segments(sealed)]
        for snapshot in sorted(
            [*snapshots(data / "snapshots").snapshots, *(s for s in known if s is not None)],
            key=lambda snapshot: snapshot.step,
        ):
            if snapshot.step >= first - 1:
                starting, first = snapshot, snapshot.step + 1
                break
        else:
            raise RecordingUnusable(data, f"step {first} as the first, and no snapshot before it")
    last = ends.last
    return Recording(first, last, starting, lambda: history(journal, sealed, first, last))
