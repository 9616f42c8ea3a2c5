"""What can be wrong with a journal.

JournalError
├── JournalUnreachable   the server does not answer
├── JournalFull          it takes no more: purge what is sealed, or give it room
├── SecondWriter         another engine writes, or has written, into this journal
├── JournalLost          the server came back without steps that it had acknowledged
├── StepTooLong          more than one message may hold
├── StepsGone            steps that have been purged
├── StepUnreadable       a step that this version cannot decode
├── FileUnreadable       a snapshot or a segment that is damaged or of another form
└── RecordingUnusable    a path that holds no recording
"""

from __future__ import annotations

from pathlib import Path


class JournalError(Exception):
    """Whatever keeps a journal from being written or read."""


class JournalUnreachable(JournalError):
    """`seen` is the last thing that was heard of it."""

    def __init__(self, where: str, seen: str) -> None:
        self.where = where
        self.seen = seen
        super().__init__(f"the journal at {where} does not answer: {seen}")


class JournalFull(JournalError):
    """`seen` is the server's word for it."""

    def __init__(self, seen: str) -> None:
        self.seen = seen
        super().__init__(f"the journal takes no more steps: {seen}")


class SecondWriter(JournalError):
    """`other` has written step `number` (0: it is at work, and has been asked)."""

    def __init__(self, writer: str, other: str, number: int) -> None:
        self.writer = writer
        self.other = other
        self.number = number
        what = f"step {number} is of" if number else "it is being written by"
        super().__init__(f"{what} {other!r}; {writer!r} must not write into the same journal")


class JournalLost(JournalError):
    """It ends before what it had acknowledged: a power cut, or another store in its place."""

    def __init__(self, acknowledged: int, last: int) -> None:
        self.acknowledged = acknowledged
        self.last = last
        super().__init__(f"the journal ends at step {last}; {acknowledged} had been acknowledged")


class StepTooLong(JournalError):
    """A step that does not fit into one message."""

    def __init__(self, number: int, length: int, length_max: int) -> None:
        self.number = number
        self.length = length
        super().__init__(f"step {number} has {length} bytes; at most {length_max} fit")


class StepsGone(JournalError):
    """Step `wanted` is not there; `first` is the first that is (0: none)."""

    def __init__(self, wanted: int, first: int) -> None:
        self.wanted = wanted
        self.first = first
        super().__init__(f"step {wanted} is not in the journal; the first there is {first}")


class StepUnreadable(JournalError):
    """Step `number` is not of a form that this version knows."""

    def __init__(self, number: int, why: str) -> None:
        self.number = number
        super().__init__(f"step {number} cannot be decoded: {why}")


class FileUnreadable(JournalError):
    """A snapshot or a segment that cannot be used."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(f"{path}: {why}")


class RecordingUnusable(JournalError):
    """A path that holds no recording."""

    def __init__(self, path: Path, seen: str) -> None:
        self.path = path
        expected = "a segment, a folder of segments, or the data folder of a centre"
        super().__init__(f"{path}: seen {seen}; expected {expected}")
