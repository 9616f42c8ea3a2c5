"""Decides what a sign's text means to the drivers who read it.

In comes the text on a message sign; out goes what they obey: the vehicle classes that do not
enter, and the lane that is not used. All else on a sign informs and is not obeyed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

ORDINARY = ("motorbike", "car", "bus", "truck")  # no priority vehicles: QCVN 41, P.101
CLASS_WORDS = {
    "XE MÁY": ("motorbike",),
    "Ô TÔ": ("car",),
    "XE BUÝT": ("bus",),
    "XE TẢI": ("truck",),
    "MỌI XE": ORDINARY,
}
BAN = "CẤM "
CLOSED_LANE = re.compile(r"ĐÓNG LÀN (\d)")


class Restriction(NamedTuple):
    """Who must not enter, in the order of `ORDINARY`, and the closed lane (kerb lane is 1)."""

    banned: tuple[str, ...] = ()
    lane: int | None = None


def obeyed(text: str) -> Restriction:
    """What drivers obey of a sign's text, line by line."""
    banned: set[str] = set()
    lane = None
    for line in unicodedata.normalize("NFC", text).upper().splitlines():
        words = line.strip()
        if words.startswith(BAN):
            for name in words.removeprefix(BAN).split(","):
                banned.update(CLASS_WORDS.get(name.strip(), ()))
        elif closed := CLOSED_LANE.fullmatch(words):
            lane = int(closed[1])
    return Restriction(tuple(c for c in ORDINARY if c in banned), lane)
