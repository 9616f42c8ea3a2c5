"""Brings cores to where the journal ends: by the newest snapshot that fits, and the tail after it.

A snapshot is skipped, and the report says why, when it is damaged, of another site, ahead of the
journal, of another history, or cannot be decoded by these cores; then an older one is taken, and in
the end the journal from its start. Steps that have left the stream are read from sealed segments.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from causeway.engine import Core, advance, encode_cores, restore_cores
from causeway.events import EngineStarted, Step
from causeway.journal.faults import FileUnreadable, StepsGone
from causeway.journal.reader import JournalReader
from causeway.journal.segments import read_segment, segments
from causeway.journal.snapshots import Snapshot, snapshots
from causeway.wire import encode_step


class Recovered(NamedTuple):
    """From where the cores were brought up, and what was found on the way.

    `snapshot_step` is 0 without a snapshot. `first_difference` is the first tail step of this
    version whose recorded answers are not what the cores gave now; None as it should be.
    """

    snapshot_step: int
    last_step: int
    skipped: tuple[str, ...]
    first_difference: int | None


async def recover(
    cores: Sequence[Core],
    journal: JournalReader,
    folder: Path,
    version: str,
    site_hash: str,
    on_tail: Callable[[int, Step], None] | None = None,
    sealed: Path | None = None,
) -> Recovered:
    """Bring fresh cores up; `folder` holds the snapshots, `sealed` the segments.

    `on_tail` is shown every step after the snapshot, as recorded.
    """
    last = (await journal.ends()).last
    snapshot, skipped = await _restore(cores, journal, folder, site_hash, last, sealed)
    snapshot_step = snapshot.step if snapshot else 0
    running = snapshot.version if snapshot else ""
    difference = None
    async for number, step in history(journal, sealed, snapshot_step + 1, last):
        first = step.events[0]
        if isinstance(first, EngineStarted):
            running = first.version
        events = advance(cores, first, number, step.at_ns)
        if difference is None and running == version:
            answered = Step(step.writer, step.at_ns, events)
            if encode_step(answered) != encode_step(step):
                difference = number
        if on_tail is not None:
            on_tail(number, step)
    return Recovered(snapshot_step, last, skipped, difference)


async def history(
    journal: JournalReader, sealed: Path | None, first: int, last: int
) -> AsyncIterator[tuple[int, Step]]:
    """The steps from `first` to `last`: from the segments what the stream no longer has."""
    there_from = (await journal.ends()).first
    if sealed is not None and first < there_from:
        for segment in segments(sealed):
            if segment.head.last < first or first >= there_from:
                continue
            if segment.head.first > first:
                raise StepsGone(first, segment.head.first)
            for number, step in read_segment(segment.path).steps(first):
                if number <= last:
                    yield number, step
            first = segment.head.last + 1
    if first <= last:
        async for number, step in journal.read(first, last):
            yield number, step


async def _restore(
    cores: Sequence[Core],
    journal: JournalReader,
    folder: Path,
    site_hash: str,
    last: int,
    sealed: Path | None,
) -> tuple[Snapshot | None, tuple[str, ...]]:
    fresh = encode_cores(cores)
    found = snapshots(folder)
    skipped = [str(fault) for fault in found.skipped]
    for snapshot in found.snapshots:
        why = await _unfit(snapshot, journal, site_hash, last, sealed)
        if not why:
            try:
                restore_cores(cores, snapshot.states)
            except Exception as error:  # whatever it is, an older one may do
                why = f"these cores cannot read it: {error!r}"
        if not why:
            return snapshot, tuple(skipped)
        skipped.append(f"snapshot at step {snapshot.step}: {why}")
    restore_cores(cores, fresh)  # what a snapshot that did not fit has left
    return None, tuple(skipped)


async def _unfit(
    snapshot: Snapshot, journal: JournalReader, site_hash: str, last: int, sealed: Path | None
) -> str:
    """Why a snapshot is not to be used; empty when it is."""
    if snapshot.site_hash != site_hash:
        return f"of site {snapshot.site_hash}; this one is {site_hash}"
    if snapshot.step > last:
        return f"ahead of the journal, which ends at step {last}"
    try:
        async for _, step in history(journal, sealed, snapshot.step, snapshot.step):
            if step.at_ns != snapshot.at_ns:
                return "of another history: that step has another time in the journal"
    except (StepsGone, FileUnreadable):
        return ""  # purged: nothing to hold it against
    return ""
