"""Decides what the wall says of signal timing: who decides, what is planned, how well it goes.

In come methods, plans, overrides, measures and the controllers' states; out go fields of the
`signals` table, the `measures` table, and for the junctions of arterials the `bands` table: which
stage was shown from when on, over the last minutes.
"""

from __future__ import annotations

from typing import ClassVar

from causeway import events as e
from causeway.events import AnyEvent, Now
from causeway.site import Site
from dashboard.chains import NS
from dashboard.tables import Tables, Value

BANDS_S = 330.0  # the time-space diagram shows five minutes
CHANGES_MAX = 300


class SignalTable:
    """The timing of every junction."""

    hears: ClassVar[tuple[type, ...]] = (
        e.StagesPlanned,
        e.StagePlanningLost,
        e.SignalMethodChanged,
        e.SignalOverridden,
        e.SignalsMeasured,
    )

    def __init__(self, site: Site, tables: Tables) -> None:
        self._tables = tables
        for junction in site.junctions:
            self._tables.put("signals", junction.id, **_NOTHING)
            self._tables.put("measures", junction.id, at=0, over_s=0, approaches={})
        for arterial in site.arterials:
            for name in arterial.junctions:
                self._tables.put("bands", name, changes=[])

    def take(self, event: AnyEvent, now: Now) -> None:
        """Fold one event in."""
        signals = self._tables.rows["signals"]
        match event:
            case e.StagesPlanned():
                for plan in event.plans:
                    if plan.junction in signals:
                        self._tables.put("signals", plan.junction, plan=_plan(plan))
            case e.StagePlanningLost():
                for name in event.junctions or signals:
                    if name in signals:
                        self._tables.put("signals", name, plan=None)
            case e.SignalMethodChanged() if event.junction in signals:
                method = event.method.value
                self._tables.put("signals", event.junction, method=method, method_why=event.why)
            case e.SignalOverridden() if event.junction in signals:
                self._tables.put(
                    "signals",
                    event.junction,
                    held=event.action.value if event.until_at_ns else "",
                    held_until=event.until_at_ns / NS,
                    held_by=event.operator if event.until_at_ns else "",
                )
            case e.SignalsMeasured():
                for measures in event.measures:
                    if measures.junction in signals:
                        self._measure(measures)
            case _:
                pass

    def shown(self, junction: str, stage: str, interval: str, at: float) -> None:
        """A controller shows another stage or interval from then on."""
        row = self._tables.rows["bands"].get(junction)
        if row is None:
            return
        changes = row["changes"]
        assert isinstance(changes, list)
        change: list[Value] = [at, stage, interval]
        kept: list[Value] = [*changes[-CHANGES_MAX:], change]
        while len(kept) > 1 and _begun(kept[1]) < at - BANDS_S:
            kept.pop(0)
        self._tables.put("bands", junction, changes=kept)

    def _measure(self, measures: e.SignalMeasures) -> None:
        approaches: dict[str, Value] = {
            approach.group: {
                "arrivals": approach.arrivals,
                "on_green": approach.arrivals_on_green_ratio if approach.arrivals else None,
                "greens": approach.greens,
                "split_failures": approach.split_failures,
                "queue_veh": approach.queue_veh,
                "queue_veh_max": approach.queue_veh_max,
                "delay_s": approach.delay_s if approach.crossed else None,
                "crossed": approach.crossed,
            }
            for approach in measures.approaches
        }
        at = round(measures.observed_at_ns / NS, 3)
        self._tables.put(
            "measures", measures.junction, at=at, over_s=measures.over_s, approaches=approaches
        )


_NOTHING: dict[str, Value] = {
    "method": "unknown",
    "method_why": "",
    "plan": None,
    "held": "",
    "held_until": 0,
    "held_by": "",
}


def _plan(plan: e.StagePlan) -> Value:
    return {
        "at": round(plan.observed_at_ns / NS, 1),
        "stage": plan.stage,
        "hold_s": plan.hold_s,
        "following": plan.following,
        "cost": round(plan.cost_veh_s),
        "other": plan.other,
        "other_cost": round(plan.other_cost_veh_s),
    }


def _begun(change: Value) -> float:
    assert isinstance(change, list) and isinstance(change[0], float)
    return change[0]
