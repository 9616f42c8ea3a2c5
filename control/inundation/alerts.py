"""Decides for which street people are warned of water, how urgently, and when that is over.

In come `InundationForecast` events, those of the river's stage, and the gauges'
`InundationChanged`; out go `FloodAlertChanged` events, one at each change of a street's level
(watch, warning, emergency) and of what it rests on. A watch looks at the share of the members that
have the street over 20 cm at some time ahead, a warning at a larger share, an emergency at the
share over 50 cm. While the river is expected to shut the tide gates the city is shut in, what falls
cannot leave, and more of what may come then does: a quarter of the members is enough for a warning.
Water that a gauge sees over 20 cm is a warning, over the depth that closes a street to all an
emergency, whatever the forecast says.

Laws of this file:
1. A street's level is the higher of what the forecasts and what the gauge make it. The forecasts'
   rises at once; it falls when they have stayed below its share, less the hysteresis, for the hold
   time, and to no less than any of that time allows. The gauge's follows `InundationChanged`.
2. A forecast that is late changes nothing: what it warned of stands until a newer one takes it
   back.
3. A forecast that was made before one already heard is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import msgspec
from msgspec import Struct

from causeway.events import (
    OUTLOOK_DEPTHS_M,
    AnyEvent,
    FloodAlertChanged,
    FloodCause,
    ForecastIssued,
    InundationChanged,
    InundationForecast,
    Now,
    StreetOutlook,
)
from causeway.site import Site

NS = 1_000_000_000
WATCH, WARNING, EMERGENCY = 1, 2, 3
# By level: which of OUTLOOK_DEPTHS_M the members must pass, and how many of them.
Over = dict[int, tuple[int, float]]
OVER: Over = {WATCH: (1, 0.30), WARNING: (1, 0.60), EMERGENCY: (3, 0.50)}
OVER_SHUT_IN: Over = {WATCH: (1, 0.10), WARNING: (1, 0.25), EMERGENCY: (3, 0.50)}
HYSTERESIS = 0.25  # of a share
SHUT_IN_S = 10_800  # how far ahead
HOLD_S = 2_400.0
BY_GAUGE = {2: WARNING, 3: WARNING, 4: EMERGENCY}  # from the level that a street gauge sees
SURE = 0.75  # a probability that passes it is told again
PEAK_CM, ONSET_S = 10, 900  # and so is a peak or an onset that has moved by more


class _Street(Struct):
    """A street's alert; since when the forecasts have allowed a lower one."""

    level: int = 0
    expected: int = 0  # level that the forecasts alone give
    probability: float = 0.0  # the newest forecast's
    seen: int = 0  # level that the gauge alone gives
    falling_since_ns: int | None = None
    falling_to: int = 0
    told: FloodAlertChanged | None = None


class FloodAlerts:
    """From forecasts and gauges to one alert a street."""

    name = "flood_alerts"
    hears = frozenset({InundationForecast, ForecastIssued, InundationChanged})

    def __init__(self, site: Site) -> None:
        self._streets = {s.id: _Street() for s in site.segments}
        self._closing_m = min((gate.closing_m for gate in site.gates), default=inf)
        self._rivers = {f"{g.id}/stage_m" for g in site.gauges if g.kind == "tide"}
        self._shut_in = False
        self._issued_at_ns = 0

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case InundationForecast() if event.issued_at_ns > self._issued_at_ns:
                self._issued_at_ns = event.issued_at_ns
                outlooks = {outlook.segment: outlook for outlook in event.streets}
                for id_, street in self._streets.items():
                    outlook = outlooks.get(id_)
                    if outlook is not None or street.level:
                        yield from self._forecast(id_, street, outlook, event.issued_at_ns)
            case ForecastIssued() if event.point in self._rivers:
                near = zip(event.lead_s, event.values, strict=True)
                highest_m = max((m for lead_s, m in near if lead_s <= SHUT_IN_S), default=-inf)
                self._shut_in = highest_m >= self._closing_m
            case InundationChanged() if event.segment in self._streets:
                yield from self._gauge(event)
            case _:
                pass

    def _forecast(
        self, id_: str, street: _Street, outlook: StreetOutlook | None, at_ns: int
    ) -> Iterator[AnyEvent]:
        over = outlook.over if outlook is not None else (0.0, 0.0, 0.0, 0.0)
        limits = OVER_SHUT_IN if self._shut_in else OVER
        reached = _level(over, limits, 1.0)
        kept = _level(over, limits, 1.0 - HYSTERESIS)
        if max(reached, kept) >= street.expected:
            street.expected, street.falling_since_ns = max(reached, street.expected), None
        elif street.falling_since_ns is None:
            street.falling_since_ns, street.falling_to = at_ns, kept
        else:
            street.falling_to = max(street.falling_to, kept)
            if at_ns - street.falling_since_ns >= HOLD_S * NS:
                street.expected, street.falling_since_ns = street.falling_to, None
        level = max(street.expected, street.seen)
        changed = level != street.level
        street.level = level
        street.probability, alert = _alert(id_, street, outlook, at_ns)
        if changed or (level >= WARNING and _is_news(alert, street.told)):
            street.told = alert
            yield alert

    def _gauge(self, event: InundationChanged) -> Iterator[AnyEvent]:
        """What is seen is at once at least so bad; when it has gone, what is expected stands."""
        street = self._streets[event.segment]
        street.seen = BY_GAUGE.get(event.level, 0)
        level = max(street.expected, street.seen)
        if level != street.level:
            told, street.level = street.told, level
            street.told = FloodAlertChanged(
                segment=event.segment,
                level=level,
                probability=1.0 if street.seen == level > 0 else street.probability,
                peak_m=event.depth_m,
                onset_at_ns=None,
                cause=told.cause if told else FloodCause.UNKNOWN,
                why=f"{event.point} sees {event.depth_m * 100:.0f} cm",
            )
            yield street.told

    def encode(self) -> bytes:
        return msgspec.msgpack.encode((self._issued_at_ns, self._shut_in, self._streets))

    def restore(self, state: bytes) -> None:
        self._issued_at_ns, self._shut_in, self._streets = msgspec.msgpack.decode(
            state, type=tuple[int, bool, dict[str, _Street]]
        )


def _level(over: tuple[float, ...], limits: Over, share: float) -> int:
    """The highest level of whose limit so large a share is reached."""
    return max((x for x, (depth, p) in limits.items() if over[depth] >= share * p), default=0)


def _alert(
    id_: str, street: _Street, outlook: StreetOutlook | None, at_ns: int
) -> tuple[float, FloodAlertChanged]:
    """The forecast's probability, and a street's alert as the newest forecast has it.

    Of a level that a gauge sees the alert is certain, whatever the forecast says.
    """
    depth, _ = OVER[max(street.level, WATCH)]
    probability = outlook.over[depth] if outlook is not None else 0.0
    onset_s = outlook.onset_s if outlook is not None and street.level else None
    there = street.seen > 0
    when = "" if onset_s is None else ", now" if there else f", in {onset_s // 60} min"
    return probability, FloodAlertChanged(
        segment=id_,
        level=street.level,
        probability=1.0 if street.seen == street.level > 0 else probability,
        peak_m=outlook.peak_cm / 100 if outlook is not None else 0.0,
        onset_at_ns=None if there or onset_s is None else at_ns + onset_s * NS,
        cause=outlook.cause if outlook is not None else FloodCause.UNKNOWN,
        why=f"{probability:.0%} of the members over {OUTLOOK_DEPTHS_M[depth] * 100:.0f} cm{when}",
    )


def _is_news(alert: FloodAlertChanged, told: FloodAlertChanged | None) -> bool:
    """Whether an alert of the same level says something else than the last one."""
    if told is None:
        return True
    if (alert.probability >= SURE) is not (told.probability >= SURE):
        return True
    return has_moved(alert.peak_m, told.peak_m, alert.onset_at_ns, told.onset_at_ns)


def has_moved(
    peak_m: float, told_peak_m: float, onset_at_ns: int | None, told_onset_at_ns: int | None
) -> bool:
    """Whether a peak or an onset is so far from the one that was told that it is told again."""
    if abs(peak_m - told_peak_m) * 100 >= PEAK_CM:
        return True
    if onset_at_ns is None or told_onset_at_ns is None:
        return onset_at_ns != told_onset_at_ns
    return abs(onset_at_ns - told_onset_at_ns) >= ONSET_S * NS
