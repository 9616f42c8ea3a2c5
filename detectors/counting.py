"""Decides when a track has passed the line at which vehicles are counted.

In come tracks; out go the numbers. A track counts once, when it is confirmed and its way so far
has gone over the line in its direction, or in the reverse on a road that is driven both ways; who
comes against the others elsewhere is `wrong_way.py`'s.
"""

from __future__ import annotations

import math

from detectors.tracks import Track
from detectors.view import CountLine, View

MOVED_SIZES = 1.0  # what has not moved by its own size may only have trembled on the line
ALONG = 0.5  # cosine: within 60 degrees of the line's direction


class Counting:
    """Vehicles of one camera."""

    def __init__(self) -> None:
        self.total = 0
        self._counted: dict[int, None] = {}

    def see(self, tracks: list[Track], view: View) -> int:
        """How many more were counted."""
        line = view.line
        if line is None:
            return 0
        passed = [t for t in tracks if t.number not in self._counted and _passed(t, line)]
        for track in passed:
            self._counted[track.number] = None
        live = {t.number for t in tracks}
        self._counted = {n: None for n in self._counted if n in live}
        self.total += len(passed)
        return len(passed)


def _passed(track: Track, line: CountLine) -> bool:
    if not track.confirmed:
        return False
    first, last = track.places[0], track.places[-1]
    dx, dy = last.x - first.x, last.middle - first.middle
    moved = math.hypot(dx, dy)
    if moved < MOVED_SIZES * max(last.width, last.height):
        return False
    if line.side(first.x, first.middle) * line.side(last.x, last.middle) >= 0:
        return False
    along = (line.x * dx + line.y * dy) / moved
    return along >= ALONG or (line.both and along <= -ALONG)
