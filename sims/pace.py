"""Keeps a simulated process in step with its Clock, and says on stderr when it cannot.

In come the Clock, a period in its seconds and how far the model has come; out go the moments at
which to go on. A scaled clock is followed with at most so many turns in a second of the wall's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from causeway.clock import Clock

NS = 1_000_000_000
TURN_WALL_S_MIN = 0.05
BEHIND_S_MAX = 3.0  # wall seconds
REPORT_EVERY_S = 10.0  # wall seconds
WIRES_SHARE = 0.25  # of the time that a turn took
WIRES_S_MIN = 0.005


class Pace:
    """The turns of one process."""

    def __init__(self, part: str, clock: Clock, period_s: float, stop: asyncio.Event) -> None:
        self._part = part
        self._clock = clock
        self._wall_s = max(period_s / clock.speed, TURN_WALL_S_MIN)
        self._stop = stop
        self._next_s = self._went_on_s = time.monotonic()
        self._report_s = self._next_s + REPORT_EVERY_S
        self._cpu_s = time.process_time()

    async def turn(self, reached_ns: int) -> bool:
        """Wait for the next turn; False at the end. `reached_ns` is how far the model has come."""
        now_s = time.monotonic()
        if now_s >= self._report_s:
            self._report(now_s, reached_ns)
        # A process that cannot keep up still hears and answers: the wires get a share of its time.
        for_wires_s = max(WIRES_SHARE * (now_s - self._went_on_s), WIRES_S_MIN)
        self._next_s = max(self._next_s + self._wall_s, now_s + for_wires_s)
        try:
            await asyncio.wait_for(self._stop.wait(), self._next_s - now_s)
        except TimeoutError:
            self._went_on_s = time.monotonic()
            return True
        return False

    def _report(self, now_s: float, reached_ns: int) -> None:
        """One JSON line when the model has fallen behind the clock."""
        cpu_s = time.process_time()
        share = (cpu_s - self._cpu_s) / (now_s - self._report_s + REPORT_EVERY_S)
        behind_s = (self._clock.now_ns() - reached_ns) / NS
        self._cpu_s, self._report_s = cpu_s, now_s + REPORT_EVERY_S
        if behind_s > BEHIND_S_MAX * self._clock.speed:
            say(self._part, "behind", behind_s=round(behind_s, 1), cpu_ratio=round(share, 2))


def say(part: str, what: str, **values: float | str) -> None:
    """One JSON line on stderr."""
    print(json.dumps({"part": part, "what": what, **values}), file=sys.stderr, flush=True)
