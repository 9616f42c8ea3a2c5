"""Decides how good the flood outlook has been, where a street gauge can tell.

In come `InundationForecast` and `FloodAlertChanged` events, readings, and the gauges'
`InundationChanged`; out go `OutlookScored`, one for each forecast and lead whose time has come,
and `FloodAlertScored`, one for each flood that was or was not warned of and each warning that was
for nothing. `benchmarks/forecast/` uses the same definitions, on every street of a simulated city.

Laws of this file:
1. Only gauged streets count: nobody knows of the others.
2. A depth is scored where the forecast, the gauge then or the gauge at issue is wet: a dry street
   that stays dry is no skill. A gauge that is silent when the time has come is left out.
3. A flood is water over 20 cm after an hour without. It is a hit when a warning stood before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AlertOutcome,
    AnyEvent,
    FloodAlertChanged,
    FloodAlertScored,
    InundationChanged,
    InundationForecast,
    Now,
    OutlookScored,
    Quality,
    ReadingsObserved,
    StreetOutlook,
)
from causeway.site import Site
from control.inundation.alerts import BY_GAUGE, WARNING

NS = 1_000_000_000
LEADS_S = (1_800, 3_600, 7_200)
WET_M = 0.03
ROUNDED_M = 0.005  # a forecast is told in whole centimetres
SILENT_S = 600
APART_S = 3_600  # water that was gone for less has not been gone
FLOODED = min(BY_GAUGE)  # the gauge's level that is a flood


class _Made(Struct, array_like=True):
    """What a forecast had of the gauged streets at one lead: low, median, high, depth at issue."""

    issued_at_ns: int
    streets: dict[str, tuple[float, float, float, float]]


class _Street(Struct):
    """A gauged street: its newest depth, since when it is warned of and flooded, and until when."""

    at_ns: int = 0
    depth_m: float = 0.0
    warned_since_ns: int | None = None
    flooded: bool = False
    dry_since_ns: int | None = None
    came_true: bool = False


class FloodSkill:
    """Scores forecasts and alerts against street gauges."""

    name = "flood_skill"
    hears = frozenset({InundationForecast, ReadingsObserved, InundationChanged, FloodAlertChanged})

    def __init__(self, site: Site) -> None:
        self._street_of = {
            f"{g.id}/depth_m": g.segment
            for g in site.gauges
            if g.kind == "street" and g.segment is not None
        }
        self._streets = {segment: _Street() for segment in self._street_of.values()}
        self._made: dict[int, list[_Made]] = {lead: [] for lead in LEADS_S}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case ReadingsObserved():
                self._take(event)
                yield from self._due(now.at_ns)
            case InundationForecast():
                self._keep(event, now.at_ns)
            case InundationChanged() if event.segment in self._streets:
                yield from self._flood(event, now.at_ns)
            case FloodAlertChanged() if event.segment in self._streets:
                yield from self._alert(event, now.at_ns)
            case _:
                pass

    # --- depths ----------------------------------------------------------------------------------

    def _take(self, event: ReadingsObserved) -> None:
        for point, at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            if point in self._street_of and quality in (Quality.GOOD, Quality.UNCERTAIN):
                street = self._streets[self._street_of[point]]
                if at_ns > street.at_ns:
                    street.at_ns, street.depth_m = at_ns, value

    def _keep(self, event: InundationForecast, at_ns: int) -> None:
        outlooks = {outlook.segment: outlook for outlook in event.streets}
        for lead_s in LEADS_S:
            if lead_s not in event.lead_s:
                continue
            place = event.lead_s.index(lead_s)
            streets = {}
            for segment, street in self._streets.items():
                if at_ns - street.at_ns <= SILENT_S * NS:
                    band = _band(outlooks.get(segment), place)
                    streets[segment] = *band, street.depth_m
            self._made[lead_s].append(_Made(event.issued_at_ns, streets))

    def _due(self, at_ns: int) -> Iterator[OutlookScored]:
        for lead_s, made in self._made.items():
            while made and at_ns >= made[0].issued_at_ns + lead_s * NS:
                late_ns = at_ns - made[0].issued_at_ns - lead_s * NS
                scored = made.pop(0)
                if late_ns <= SILENT_S * NS:
                    yield from self._scored(lead_s, scored, at_ns)

    def _scored(self, lead_s: int, made: _Made, at_ns: int) -> Iterator[OutlookScored]:
        off, kept_off, inside = [], [], []
        for segment, (low, median, high, before) in made.streets.items():
            street = self._streets[segment]
            if at_ns - street.at_ns > SILENT_S * NS:
                continue
            if max(high, before, street.depth_m) >= WET_M:
                off.append(abs(median - street.depth_m))
                kept_off.append(abs(before - street.depth_m))
                inside.append(low - ROUNDED_M <= street.depth_m <= high + ROUNDED_M)
        if off:
            yield OutlookScored(
                issued_at_ns=made.issued_at_ns,
                lead_s=lead_s,
                streets=len(off),
                mae_m=round(sum(off) / len(off), 4),
                persistence_mae_m=round(sum(kept_off) / len(off), 4),
                inside=sum(inside),
            )

    # --- alerts ----------------------------------------------------------------------------------

    def _flood(self, event: InundationChanged, at_ns: int) -> Iterator[FloodAlertScored]:
        street = self._streets[event.segment]
        flooded = event.level >= FLOODED
        if flooded and not street.flooded:
            since, street.came_true = street.warned_since_ns, True
            dry_since = street.dry_since_ns
            if dry_since is None or at_ns - dry_since >= APART_S * NS:
                yield _outcome(event.segment, since, dry_since, at_ns)
        elif street.flooded and not flooded:
            street.dry_since_ns = at_ns
        street.flooded = flooded

    def _alert(self, event: FloodAlertChanged, at_ns: int) -> Iterator[FloodAlertScored]:
        street = self._streets[event.segment]
        if event.level >= WARNING and street.warned_since_ns is None:
            street.warned_since_ns, street.came_true = at_ns, street.flooded
        elif event.level < WARNING and street.warned_since_ns is not None:
            if not street.came_true:
                yield FloodAlertScored(segment=event.segment, outcome=AlertOutcome.FALSE)
            street.warned_since_ns = None

    # --- the state -------------------------------------------------------------------------------

    def encode(self) -> bytes:
        return msgspec.msgpack.encode((self._streets, self._made))

    def restore(self, state: bytes) -> None:
        streets, self._made = msgspec.msgpack.decode(
            state, type=tuple[dict[str, _Street], dict[int, list[_Made]]]
        )
        self._streets |= {s: streets[s] for s in self._streets if s in streets}


def _outcome(
    segment: str, since_ns: int | None, dry_since_ns: int | None, at_ns: int
) -> FloodAlertScored:
    """What a warning was worth; one that has stood since the last flood warns from its end on."""
    if since_ns is None or since_ns >= at_ns:
        return FloodAlertScored(segment=segment, outcome=AlertOutcome.MISSED)
    lead_s = (at_ns - max(since_ns, dry_since_ns or 0)) // NS
    return FloodAlertScored(segment=segment, outcome=AlertOutcome.HIT, lead_s=lead_s)


def _band(outlook: StreetOutlook | None, place: int) -> tuple[float, float, float]:
    """Low, median and high in metres at a lead; a street that is left out stays dry."""
    if outlook is None:
        return 0.0, 0.0, 0.0
    low, median, high = outlook.low_cm, outlook.median_cm, outlook.high_cm
    return low[place] / 100, median[place] / 100, high[place] / 100
