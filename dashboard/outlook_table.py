"""Decides how the wall tells of water to come: street by street, and what that rests on.

In come `InundationForecast` and `FloodAlertChanged`; out go rows of the `outlooks` table, one a
street that any member has under water or that is warned of, and the row `centre` of `outlook_runs`:
when the newest forecast was made, of what, with what missing. How old it is the page reckons.
How good the forecasts were, as `OutlookScored` and `FloodAlertScored` have it, is summed up in
`outlook_skill`: a row a lead, and the row `alerts`. `BasinAlertChanged` makes the rows of `basins`,
`StandingWaterChanged` those of `standing`: what stands on a gauged street, and how often it did.
"""

from __future__ import annotations

from typing import ClassVar

from causeway import events as e
from causeway.events import AnyEvent, Now
from causeway.site import Site
from dashboard.chains import NS, Chains
from dashboard.tables import Tables, Value

RUN = "centre"
ALERTS = "alerts"
LEADS_MAX = 100  # of the newest hits: their median is shown
NO_ALERT: dict[str, Value] = {"level": 0, "p": 0.0, "why": "", "told_at": None, "because": []}


class OutlookTable:
    """The streets that may be under water."""

    hears: ClassVar[tuple[type, ...]] = (
        e.InundationForecast,
        e.FloodAlertChanged,
        e.BasinAlertChanged,
        e.StandingWaterChanged,
        e.OutlookScored,
        e.FloodAlertScored,
    )

    def __init__(self, site: Site, tables: Tables, chains: Chains) -> None:
        self._streets = {s.id for s in site.segments}
        self._tables = tables
        self._chains = chains

    def take(self, event: AnyEvent, now: Now) -> None:
        """Fold one of the events in."""
        match event:
            case e.InundationForecast():
                self._forecast(event)
            case e.FloodAlertChanged() if event.segment in self._streets:
                self._alert(event, now)
            case e.BasinAlertChanged():
                self._basin(event, now)
            case e.StandingWaterChanged() if event.segment in self._streets:
                self._standing(event, now)
            case e.OutlookScored():
                self._depths_scored(event)
            case e.FloodAlertScored():
                self._alert_scored(event)
            case _:
                pass

    def _forecast(self, event: e.InundationForecast) -> None:
        rows = self._tables.rows["outlooks"]
        wet = {outlook.segment: outlook for outlook in event.streets}
        for segment in [s for s in rows if s not in wet]:
            if rows[segment]["level"]:
                self._tables.put("outlooks", segment, **_dry(event))
            else:
                self._tables.drop("outlooks", segment)
        for segment, outlook in wet.items():
            if segment in self._streets:
                alert = {} if segment in rows else NO_ALERT
                self._tables.put("outlooks", segment, **alert, **_ahead(event, outlook))
        self._tables.put(
            "outlook_runs",
            RUN,
            issued=round(event.issued_at_ns / NS),
            members=event.members,
            inputs=event.inputs,
            faults=list(event.faults),
            took_s=event.took_s,
            ahead_s=event.lead_s[-1] if event.lead_s else 0,
        )

    def _alert(self, event: e.FloodAlertChanged, now: Now) -> None:
        rows = self._tables.rows["outlooks"]
        if not event.level and (event.segment not in rows or not rows[event.segment].get("peak")):
            self._tables.drop("outlooks", event.segment)
            return
        unforeseen: dict[str, Value] = {} if event.segment in rows else _unforeseen(event)
        self._tables.put(
            "outlooks",
            event.segment,
            **unforeseen,
            level=event.level,
            p=event.probability,
            why=event.why,
            told_at=round(now.at_ns / NS, 3),
            because=self._chains.back_from(now.address),
        )

    def _basin(self, event: e.BasinAlertChanged, now: Now) -> None:
        if not event.level:
            self._tables.drop("basins", event.basin)
            return
        self._tables.put(
            "basins",
            event.basin,
            name=event.name,
            level=event.level,
            was=event.was,
            p=event.probability,
            peak=event.peak_m,
            onset=None if event.onset_at_ns is None else round(event.onset_at_ns / NS),
            cause=event.cause.value,
            streets=list(event.streets),
            of=event.of,
            why=event.why,
            told_at=round(now.at_ns / NS, 3),
            because=self._chains.back_from(now.address),
        )

    def _standing(self, event: e.StandingWaterChanged, now: Now) -> None:
        """An episode counts as what it came to: a flooded point at once, the rest at its end."""
        row = self._tables.rows["standing"].get(event.segment, {})
        counted = {name: int(_number(row.get(name))) for name in ("flooded", "gathered")}
        if event.standing is e.Standing.FLOODED:
            counted["flooded"] += 1
        elif event.was is e.Standing.GATHERED:
            counted["gathered"] += 1
        stands = event.standing is not e.Standing.NONE
        self._tables.put(
            "standing",
            event.segment,
            now=event.standing.value if stands else "",
            since=round(event.since_at_ns / NS),
            ended=None if stands else round(now.at_ns / NS),
            peak=event.peak_m,
            **counted,
        )

    def _depths_scored(self, event: e.OutlookScored) -> None:
        key = str(event.lead_s)
        row = self._tables.rows["outlook_skill"].get(key, {})
        more = {
            "n": event.streets,
            "off": event.mae_m * event.streets,
            "kept_off": event.persistence_mae_m * event.streets,
            "inside": event.inside,
        }
        whole = {name: round(_number(row.get(name)) + value, 3) for name, value in more.items()}
        self._tables.put("outlook_skill", key, **whole)

    def _alert_scored(self, event: e.FloodAlertScored) -> None:
        row = self._tables.rows["outlook_skill"].get(ALERTS, {})
        outcome, leads = event.outcome.value, row.get("leads_s")
        known = leads if isinstance(leads, list) else []
        if event.lead_s is not None:
            known = [*known, event.lead_s][-LEADS_MAX:]
        counted = {o.value: int(_number(row.get(o.value))) for o in e.AlertOutcome}
        counted[outcome] += 1
        self._tables.put("outlook_skill", ALERTS, leads_s=known, **counted)


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _ahead(event: e.InundationForecast, outlook: e.StreetOutlook) -> dict[str, Value]:
    """What the members have ahead of a street; depths in m, times in seconds since 1970."""
    issued = round(event.issued_at_ns / NS)
    return {
        "lead_s": list(event.lead_s),
        "low": [cm / 100 for cm in outlook.low_cm],
        "v": [cm / 100 for cm in outlook.median_cm],
        "high": [cm / 100 for cm in outlook.high_cm],
        "over": list(outlook.over),
        "peak": outlook.peak_cm / 100,
        "onset": None if outlook.onset_s is None else issued + outlook.onset_s,
        "end": None if outlook.end_s is None else issued + outlook.end_s,
        "cause": outlook.cause.value,
        "closed": [
            {
                "kind": passage.kind,
                "p": passage.probability,
                "from": issued + passage.from_s,
                "until": None if passage.until_s is None else issued + passage.until_s,
            }
            for passage in outlook.closed
        ],
    }


def _dry(event: e.InundationForecast) -> dict[str, Value]:
    """A street that is still warned of and that no member has under water any more."""
    none: list[Value] = [0.0 for _ in event.lead_s]
    return {
        "lead_s": list(event.lead_s),
        "low": none,
        "v": none,
        "high": none,
        "over": [0.0 for _ in e.OUTLOOK_DEPTHS_M],
        "peak": 0.0,
        "onset": None,
        "end": None,
        "closed": [],
    }


def _unforeseen(event: e.FloodAlertChanged) -> dict[str, Value]:
    """A street that a gauge sees under water before any forecast had it."""
    return {
        "lead_s": [],
        "low": [],
        "v": [],
        "high": [],
        "over": [],
        "peak": event.peak_m,
        "onset": None,
        "end": None,
        "closed": [],
        "cause": event.cause.value,
    }
