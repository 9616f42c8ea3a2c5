"""Decides whether a tide gate should be open or closed, from the levels on its two sides.

In come the PLC's readings (`inside_m`, `outside_m`, `opening_ratio`), the forecasts of the nearest
tide gauge's stage, and mode changes; out go `GateRequested` events, which `scada/interlocks.py`
refuses or turns into commands. A gate closes when the outside is at or above its closing level and
more than 5 cm above the inside; it opens when the outside is more than 5 cm below the inside, so
that the city can drain. A gate that `closes_early` closes below its level, too, where a forecast
has the tide come over it: the canal keeps its room for rain. Between these it stays, and so it does
where one of the readings is missing or old. A gate that was asked gets the time to travel.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    ControlMode,
    ControlModeChanged,
    ForecastIssued,
    GateRequested,
    Now,
    Quality,
    ReadingsObserved,
    Tick,
)
from causeway.site import Gate, Site, apart_m

NS = 1_000_000_000
HEAD_M = 0.05  # dead band on the difference, above gauge noise and waves
CLOSED_RATIO = 0.02  # an opening below it is closed, above 1 - it open
ASK_AGAIN_S = 30.0  # after the time that the gate needs to travel
READING_STALE_S = 30.0
FORECAST_STALE_S = 1_200.0  # four forecasts missed
QUANTITIES = ("inside_m", "outside_m", "opening_ratio")


class _Reading(Struct):
    """A value and when it was measured."""

    value: float
    observed_at_ns: int


class _Crest(Struct):
    """The highest water of a forecast, when it is to come, and when the forecast was made."""

    stage_m: float
    at_ns: int
    issued_at_ns: int


class _Watched(Struct):
    """A gate as it was last read, and what it was last asked for."""

    readings: dict[str, _Reading] = {}
    manual: bool = False
    asked_ratio: float | None = None
    asked_at_ns: int = 0


class TideGates:
    """Close against the tide, open to drain."""

    name = "gates"
    hears = frozenset({ReadingsObserved, ForecastIssued, ControlModeChanged, Tick})

    def __init__(self, site: Site) -> None:
        self._gates = site.gates
        self._points = {
            f"{g.id}/{quantity}": (g.id, quantity) for g in site.gates for quantity in QUANTITIES
        }
        self._watched = {g.id: _Watched() for g in site.gates}
        self._crests: dict[str, _Crest] = {}  # by point
        tides = [g for g in site.gauges if g.kind == "tide"]
        self._tide_of = {
            gate.id: f"{min(tides, key=lambda t: apart_m(t.at, gate.at)).id}/stage_m"
            for gate in site.gates
            if tides and gate.closes_early
        }

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case ReadingsObserved():
                self._read(event)
            case ForecastIssued() if event.values and event.point in self._tide_of.values():
                place = max(range(len(event.values)), key=event.values.__getitem__)
                self._crests[event.point] = _Crest(
                    event.values[place],
                    event.issued_at_ns + event.lead_s[place] * NS,
                    event.issued_at_ns,
                )
            case ControlModeChanged() if event.asset in self._watched:
                seen = self._watched[event.asset]
                seen.manual, seen.asked_ratio = event.mode is ControlMode.MANUAL, None
            case Tick():
                for gate in self._gates:
                    yield from self._decide(gate, now.at_ns)
            case _:
                pass

    def _read(self, event: ReadingsObserved) -> None:
        for point, at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            place = self._points.get(point)
            if place is None or quality not in (Quality.GOOD, Quality.UNCERTAIN):
                continue
            gate, quantity = place
            before = self._watched[gate].readings.get(quantity)
            if before is None or at_ns > before.observed_at_ns:
                self._watched[gate].readings[quantity] = _Reading(value, at_ns)

    def _decide(self, gate: Gate, at_ns: int) -> Iterator[AnyEvent]:
        seen = self._watched[gate.id]
        inside_m, outside_m, opening = (_fresh(seen, q, at_ns) for q in QUANTITIES)
        if inside_m is None or outside_m is None or opening is None or seen.manual:
            return
        levels = f"outside {outside_m:.2f} m, inside {inside_m:.2f} m"
        if outside_m >= gate.closing_m and outside_m > inside_m + HEAD_M:
            wanted, why = 0.0, f"{levels}: the tide stands above {gate.closing_m:.2f} m"
        elif outside_m < inside_m - HEAD_M:
            wanted, why = 1.0, f"{levels}: the city can drain"
        elif outside_m > inside_m + HEAD_M and (crest := self._crest(gate, at_ns)) is not None:
            minutes = max(0, crest.at_ns - at_ns) // (60 * NS)
            wanted = 0.0
            why = f"{levels}: {crest.stage_m:.2f} m expected in {minutes} min, closed early"
        else:
            return
        pause_ns = (gate.travel_s + ASK_AGAIN_S) * NS
        travelling = wanted == seen.asked_ratio and at_ns - seen.asked_at_ns < pause_ns
        if abs(opening - wanted) > CLOSED_RATIO and not travelling:
            seen.asked_ratio, seen.asked_at_ns = wanted, at_ns
            yield GateRequested(gate=gate.id, opening_ratio=wanted, by=self.name, why=why)

    def _crest(self, gate: Gate, at_ns: int) -> _Crest | None:
        """The tide that this gate closes early against, where one is expected."""
        crest = self._crests.get(self._tide_of.get(gate.id, ""))
        if crest is None or at_ns - crest.issued_at_ns > FORECAST_STALE_S * NS:
            return None
        return crest if crest.stage_m >= gate.closing_m else None

    def encode(self) -> bytes:
        return msgspec.msgpack.encode((self._watched, self._crests))

    def restore(self, state: bytes) -> None:
        self._watched, self._crests = msgspec.msgpack.decode(
            state, type=tuple[dict[str, _Watched], dict[str, _Crest]]
        )


def _fresh(seen: _Watched, quantity: str, at_ns: int) -> float | None:
    """The last reading, or None where it is too old to move a gate by."""
    reading = seen.readings.get(quantity)
    if reading is None or at_ns - reading.observed_at_ns > READING_STALE_S * NS:
        return None
    return reading.value
