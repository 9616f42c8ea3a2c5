"""Decides whether a tide gate should be open or closed, from the levels on its two sides.

In come the PLC's readings (`inside_m`, `outside_m`, `opening_ratio`) and mode changes; out go
`GateRequested` events, which `scada/interlocks.py` refuses or turns into commands. A gate closes
when the outside is at or above its closing level and more than 5 cm above the inside; it opens
when the outside is more than 5 cm below the inside, so that the city can drain. Between the two
it stays, and so it does where one of the readings is missing or old. A gate that was asked gets
the time to travel.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    ControlMode,
    ControlModeChanged,
    GateRequested,
    Now,
    Quality,
    ReadingsObserved,
    Tick,
)
from causeway.site import Gate, Site

NS = 1_000_000_000
HEAD_M = 0.05  # dead band on the difference, above gauge noise and waves
CLOSED_RATIO = 0.02  # an opening below it is closed, above 1 - it open
ASK_AGAIN_S = 30.0  # after the time that the gate needs to travel
READING_STALE_S = 30.0
QUANTITIES = ("inside_m", "outside_m", "opening_ratio")


class _Reading(Struct):
    """A value and when it was measured."""

    value: float
    observed_at_ns: int


class _Watched(Struct):
    """A gate as it was last read, and what it was last asked for."""

    readings: dict[str, _Reading] = {}
    manual: bool = False
    asked_ratio: float | None = None
    asked_at_ns: int = 0


class TideGates:
    """Close against the tide, open to drain."""

    name = "gates"
    hears = frozenset({ReadingsObserved, ControlModeChanged, Tick})

    def __init__(self, site: Site) -> None:
        self._gates = site.gates
        self._points = {
            f"{g.id}/{quantity}": (g.id, quantity) for g in site.gates for quantity in QUANTITIES
        }
        self._watched = {g.id: _Watched() for g in site.gates}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case ReadingsObserved():
                self._read(event)
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
        else:
            return
        pause_ns = (gate.travel_s + ASK_AGAIN_S) * NS
        travelling = wanted == seen.asked_ratio and at_ns - seen.asked_at_ns < pause_ns
        if abs(opening - wanted) > CLOSED_RATIO and not travelling:
            seen.asked_ratio, seen.asked_at_ns = wanted, at_ns
            yield GateRequested(gate=gate.id, opening_ratio=wanted, by=self.name, why=why)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._watched)

    def restore(self, state: bytes) -> None:
        self._watched = msgspec.msgpack.decode(state, type=dict[str, _Watched])


def _fresh(seen: _Watched, quantity: str, at_ns: int) -> float | None:
    """The last reading, or None where it is too old to move a gate by."""
    reading = seen.readings.get(quantity)
    if reading is None or at_ns - reading.observed_at_ns > READING_STALE_S * NS:
        return None
    return reading.value
