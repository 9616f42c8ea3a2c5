"""The append-only record of truth: JetStream, and sealed segment files of what has left it.

`writer.py` is the engine's side, `reader.py` everyone's; `snapshots.py` and `segments.py` are files
beside it, and `recovery.py` brings cores to its end.
"""

from causeway.journal.faults import (
    FileUnreadable,
    JournalError,
    JournalFull,
    JournalLost,
    JournalUnreachable,
    RecordingUnusable,
    SecondWriter,
    StepsGone,
    StepTooLong,
    StepUnreadable,
)
from causeway.journal.reader import JournalReader
from causeway.journal.recovery import Recovered, history, recover
from causeway.journal.segments import (
    Segment,
    SegmentHead,
    purge_sealed,
    read_segment,
    seal,
    segments,
)
from causeway.journal.snapshots import Found, Snapshot, snapshots, write_snapshot
from causeway.journal.writer import JetStreamJournal

__all__ = [
    "FileUnreadable",
    "Found",
    "JetStreamJournal",
    "JournalError",
    "JournalFull",
    "JournalLost",
    "JournalReader",
    "JournalUnreachable",
    "RecordingUnusable",
    "Recovered",
    "SecondWriter",
    "Segment",
    "SegmentHead",
    "Snapshot",
    "StepTooLong",
    "StepUnreadable",
    "StepsGone",
    "history",
    "purge_sealed",
    "read_segment",
    "recover",
    "seal",
    "segments",
    "snapshots",
    "write_snapshot",
]
