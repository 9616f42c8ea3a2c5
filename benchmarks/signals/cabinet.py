"""A signal controller as it stands at the kerb: it keeps minimum green and clearance, whoever asks.

Every method that is under our control goes through it, so none can gain by a shorter yellow, or by
letting pedestrians wait. A crossing is green on call only, in a stage that has it: it walks for
`WALK_S`, then clears, and until that is over no change of stage begins. What is asked meanwhile is
kept and done then. A call that has waited for `CALL_FORCED_S` gets the next stage that has its
crossing, whatever the method wants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import libsumo

from control.signals.layout import GREEN, RED, WALK_S, Layout, changing, clearing
from control.signals.observed import Call

HELD_RED_MAX_S = 6  # so far a method may put off the next green, while somebody is on the junction
CALL_FORCED_S = 100  # and nobody waits for 150 s, even where two crossings come one after the other


class Cabinet:
    """Shows one junction's stages in SUMO; `order`ed at most, `tick`ed each second."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.stage = 0
        self.wanted = 0  # the stage that it is on its way to
        self.green_s = 0  # how long the stage has been green
        self.yellow_left_s = 0  # and of red for all, until the next green
        self._held_s = 0  # that the next green has been put off
        self._kept: int | None = None  # asked for while pedestrians walk
        self._left_s = [0] * len(layout.crossings)  # until each is walked over and cleared
        self._offered = False  # a change was possible a second ago
        self._state = layout.stages[0]
        self._show()

    @property
    def walks_left_s(self) -> int:
        """Until all who have been given green are across."""
        return max(self._left_s, default=0)

    def order(self, stage: int) -> None:
        """Change to a stage; nothing happens while it may not."""
        self._kept = None
        if self.yellow_left_s or stage == self.stage or self.green_s < self.layout.min_green_s:
            return
        if self.walks_left_s:
            self._kept = stage
        else:
            self._change(stage)

    def hold_red(self) -> None:
        """Put off by a second the green that would begin in the next."""
        if self.yellow_left_s == 1 and self._held_s < HELD_RED_MAX_S:
            self._held_s += 1
            self.yellow_left_s = 2

    def tick(self, calls: Sequence[Call] = ()) -> None:
        """A second has passed; these pedestrians wait."""
        self._left_s = [max(0, left_s - 1) for left_s in self._left_s]
        if not self.yellow_left_s:
            self.green_s += 1
        elif self.yellow_left_s > 1:
            self.yellow_left_s -= 1
            if self._held_s or self.yellow_left_s <= math.ceil(self.layout.all_red_s):
                self._state = clearing(self._state)
        else:
            self.yellow_left_s = 0
            self.stage, self.green_s = self.wanted, 0
            self._state = self.layout.stages[self.stage]
        if calls and not self.yellow_left_s:
            self._answer(calls)
        if self._kept is not None and not self.walks_left_s:
            self._change(self._kept)
        self._offered = not self.walks_left_s
        self._show()

    def _answer(self, calls: Sequence[Call]) -> None:
        """Let walk who may, or make sure that they will; who asks for a change goes before them.

        All walk together, and between two walks the method has a second in which to change.
        """
        here = self.layout.stages[self.stage]
        overdue = max(calls, key=lambda call: call.waited_s)
        if overdue.waited_s >= CALL_FORCED_S:
            at = self.layout.crossings[overdue.crossing].signal
            if here[at] != GREEN and self.green_s >= self.layout.min_green_s:
                self._kept = next(i for i, s in enumerate(self.layout.stages) if s[at] == GREEN)
        if self._kept is not None or self.walks_left_s or not (self._offered or not self.green_s):
            return
        for call in calls:
            crossing = self.layout.crossings[call.crossing]
            if here[crossing.signal] == GREEN:
                self._left_s[call.crossing] = WALK_S + crossing.clearance_s

    def _change(self, stage: int) -> None:
        self._kept = None
        self.wanted = stage
        self._held_s = 0
        self.yellow_left_s = self.layout.change_s
        self._state = changing(
            self.layout, self.layout.stages[self.stage], self.layout.stages[stage]
        )
        self._show()

    def _show(self) -> None:
        """Said each second: a scenario's timetable of programs (WAUT) may have put its own back."""
        shown = list(self._state)
        for crossing, left_s in zip(self.layout.crossings, self._left_s, strict=True):
            shown[crossing.signal] = GREEN if left_s > crossing.clearance_s else RED
        libsumo.trafficlight.setRedYellowGreenState(self.layout.id, "".join(shown))
