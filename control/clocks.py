"""Decides whose clock is wrong: a signal controller's, or the centre's own.

In come the controllers' reports, which bear their own time, and ticks; out go the controllers that
are off, by how much, and whether it is the centre. `conditions.py` makes alarms of it; `safety.py`
has refused commands to such a controller from its first wrong report on.

Laws of this file:
1. Where more than half of at least three controllers are off, it is the centre's clock that is
   wrong, and no controller's.
2. Ticks are counted, not timed: while a clock that was set back is waited for, time stands still.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from causeway.events import SignalState
from control.signals.safety import STANDSTILL_TICKS, clock_off_s

MAJORITY_OF_MIN = 3  # of one or two it cannot be told who is right
LASTS_TICKS = 5  # reports that were kept for an absent broker come late, and all at once


class Clocks(Struct):
    """What is known of all clocks."""

    stretch: float = 1.0
    off_s: dict[str, float] = {}  # by controller; 0: right
    tick_at_ns: int = 0
    standing: int = 0  # ticks in a row at one time
    outvoted: int = 0  # ticks in a row at which most controllers were off

    def start(self, stretch: float) -> None:
        """Begin anew: a controller that has not spoken since has no vote."""
        self.stretch, self.off_s, self.standing, self.outvoted = stretch, {}, 0, 0

    def hear(self, states: Iterable[SignalState], known: Iterable[str], at_ns: int) -> None:
        """What each controller's clock says now."""
        for state in states:
            if state.junction in known:
                self.off_s[state.junction] = clock_off_s(state, at_ns, self.stretch)

    def tick(self, at_ns: int) -> None:
        """A second has passed, whatever the clock says."""
        self.standing = self.standing + 1 if at_ns == self.tick_at_ns else 1
        self.tick_at_ns = at_ns
        self.outvoted = self.outvoted + 1 if self.is_outvoted else 0

    @property
    def is_outvoted(self) -> bool:
        """Whether most controllers are off."""
        off = sum(off_s != 0 for off_s in self.off_s.values())
        return len(self.off_s) >= MAJORITY_OF_MIN and 2 * off > len(self.off_s)

    @property
    def centre_is_off(self) -> bool:
        """Whether it is the centre's clock that is wrong."""
        return self.standing >= STANDSTILL_TICKS or self.outvoted >= LASTS_TICKS
