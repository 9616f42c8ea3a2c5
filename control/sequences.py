"""Decides the sequence number of the next command to a device.

Numbers run from 1 to 65,535 and wrap to 1 (docs/INTERFACES.md). A device that reports a newer
number than the centre remembers has taken commands that this journal does not hold: the centre
goes on from there, else the device would refuse all that follows as repeated.
"""

from __future__ import annotations

SEQUENCE_MAX = 65_535
_NEWER_MAX = 32_767  # half of the numbers: farther ahead counts as behind


def following(sequence: int) -> int:
    """The number after `sequence` (0: none was given yet)."""
    return sequence % SEQUENCE_MAX + 1


def newest(remembered: int, reported: int) -> int:
    """The later one of the centre's last number and the device's."""
    ahead = (reported - remembered) % (SEQUENCE_MAX + 1)
    return reported if 1 <= ahead <= _NEWER_MAX and reported > 0 else remembered
