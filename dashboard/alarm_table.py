"""Decides how the wall lists each alarm (ISA-18.2): waiting, acknowledged, returned, on the shelf.

In come what `control/alarms.py` announces; out go rows of the `alarms` table. An alarm that has
returned and been acknowledged, in either order, leaves the table.
"""

from __future__ import annotations

from typing import ClassVar

from causeway import events as e
from causeway.events import AnyEvent, Now
from dashboard.chains import NS
from dashboard.tables import Tables, Value

ALARMS_MAX = 2_000


class AlarmTable:
    """The alarms that are not normal."""

    hears: ClassVar[tuple[type, ...]] = (
        e.AlarmRaised,
        e.AlarmReturned,
        e.AlarmAcknowledged,
        e.AlarmShelved,
        e.AlarmUnshelved,
    )

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def take(self, event: AnyEvent, now: Now) -> None:
        """Fold one alarm event in."""
        alarms = self._tables.rows["alarms"]
        match event:
            case e.AlarmRaised():
                if event.alarm in alarms or len(alarms) < ALARMS_MAX:
                    self._raise(event, now)
            case e.AlarmReturned() if event.alarm in alarms:
                if alarms[event.alarm]["state"] == "ack":
                    self._tables.drop("alarms", event.alarm)
                else:
                    self._tables.put("alarms", event.alarm, state="rtn_unack")
            case e.AlarmAcknowledged() if event.alarm in alarms:
                if alarms[event.alarm]["state"] == "rtn_unack":
                    self._tables.drop("alarms", event.alarm)
                else:
                    self._tables.put("alarms", event.alarm, state="ack", by=event.operator)
            case e.AlarmShelved() if event.alarm in alarms:
                until = round(event.until_at_ns / NS, 3)
                self._tables.put("alarms", event.alarm, shelved_until=until, by=event.operator)
            case e.AlarmUnshelved() if event.alarm in alarms:
                self._tables.put("alarms", event.alarm, shelved_until=0)
            case _:
                pass

    def _raise(self, event: e.AlarmRaised, now: Now) -> None:
        """A new alarm, one that is back, or an active one that speaks anew: that keeps its time."""
        row = self._tables.rows["alarms"].get(event.alarm)
        told: dict[str, Value] = {
            "priority": event.priority,
            "asset": event.asset,
            "kind": event.kind,
            "vi": event.text_vi,
            "en": event.text_en,
            "state": "ack" if event.acknowledged else "unack",
        }
        if row is None:
            told |= {"shelved_until": 0, "by": ""}
        if row is None or row["state"] == "rtn_unack":
            told["since"] = round(now.at_ns / NS, 3)
        self._tables.put("alarms", event.alarm, **told)
