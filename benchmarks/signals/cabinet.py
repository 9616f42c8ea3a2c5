"""A signal controller as it stands at the kerb: it keeps minimum green and clearance, whoever asks.

Every method that is under our control goes through it, so none can gain by a shorter yellow.
"""

from __future__ import annotations

import math

import libsumo

from control.signals.layout import Layout, changing


class Cabinet:
    """Shows one junction's stages in SUMO; `order`ed at most, `tick`ed each second."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.stage = 0
        self.wanted = 0  # the stage that it is on its way to
        self.green_s = 0  # how long the stage has been green
        self.yellow_left_s = 0
        self._state = layout.stages[0]
        self._show()

    def order(self, stage: int) -> None:
        """Change to a stage; nothing happens while it may not."""
        if self.yellow_left_s or stage == self.stage or self.green_s < self.layout.min_green_s:
            return
        self.wanted = stage
        self.yellow_left_s = math.ceil(self.layout.yellow_s)
        self._state = changing(
            self.layout, self.layout.stages[self.stage], self.layout.stages[stage]
        )
        self._show()

    def tick(self) -> None:
        """A second has passed."""
        if not self.yellow_left_s:
            self.green_s += 1
        elif self.yellow_left_s > 1:
            self.yellow_left_s -= 1
        else:
            self.yellow_left_s = 0
            self.stage, self.green_s = self.wanted, 0
            self._state = self.layout.stages[self.stage]
        self._show()

    def _show(self) -> None:
        """Said each second: a scenario's timetable of programs (WAUT) may have put its own back."""
        libsumo.trafficlight.setRedYellowGreenState(self.layout.id, self._state)
