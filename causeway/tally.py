"""Counts what has gone through the centre since its start, for the summary that a run ends with."""

from __future__ import annotations

from collections import Counter

from causeway import events as e
from causeway.commands import COMMAND_TYPES
from causeway.events import Step


class Tally:
    """An edge of the engine: shown every acknowledged step, it only counts."""

    def __init__(self) -> None:
        self.steps = 0
        self.readings = 0  # taken by the plausibility core: what the store must hold
        self.incidents = 0
        self.commands = 0
        self.confirmed = 0
        self.unconfirmed = 0
        self.refused = 0
        self.rejections: Counter[str] = Counter()
        self._alarms: set[str] = set()
        self.alarms = 0

    def show(self, number: int, step: Step) -> None:
        """Count one step."""
        self.steps += 1
        for event in step.events:
            match event:
                case e.ReadingsObserved():
                    self.readings += len(event.points)
                case e.Rejected():
                    self.rejections[event.reason] += event.count
                case e.IncidentDetected():
                    self.incidents += 1
                case e.AlarmRaised() if event.alarm not in self._alarms:
                    self._alarms.add(event.alarm)
                    self.alarms += 1
                case e.AlarmReturned():
                    self._alarms.discard(event.alarm)
                case e.CommandConfirmed():
                    self.confirmed += 1
                case e.CommandUnconfirmed() | e.CommandExpired():
                    self.unconfirmed += 1
                case e.CommandRefused():
                    self.refused += 1
                case _ if isinstance(event, COMMAND_TYPES):
                    self.commands += 1
                case _:
                    pass
