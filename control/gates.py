"""Decides whether a tide gate should be open or closed, from the levels on its two sides.

In come the PLC's readings (`inside_m`, `outside_m`, `opening_ratio`) and mode changes; out go
`GateRequested` events, which `scada/interlocks.py` refuses or turns into commands. A gate closes when
the outside is at or above its closing level and more than 5 cm above the inside; it opens when the
outside is more than 5 cm below the inside, so that the city can drain. Between the two it stays.
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
ASK_AGAIN_S = 30.0
LEVEL_STALE_S = 30.0


class _Watched(Struct):
    """A gate as it was last read, and when it was last asked to move."""

    inside_m: float | None = None
    outside_m: float | None = None
    opening_ratio: float | None = None
    observed_at_ns: int = 0
    manual: bool = False
    asked_at_ns: int = 0


class TideGates:
    """Close against the tide, open to drain."""

    name = "gates"
    hears = frozenset({ReadingsObserved, ControlModeChanged, Tick})

    def __init__(self, site: Site) -> None:
        self._gates = site.gates
        self._points = {
            f"{g.id}/{quantity}": (g.id, quantity)
            for g in site.gates
            for quantity in ("inside_m", "outside_m", "opening_ratio")
        }
        self._watched = {g.id: _Watched() for g in site.gates}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case ReadingsObserved():
                self._read(event)
            case ControlModeChanged() if event.asset in self._watched:
                self._watched[event.asset].manual = event.mode is ControlMode.MANUAL
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
            seen = self._watched[place[0]]
            seen.observed_at_ns = at_ns
            match place[1]:
                case "inside_m":
                    seen.inside_m = value
                case "outside_m":
                    seen.outside_m = value
                case _:
                    seen.opening_ratio = value

    def _decide(self, gate: Gate, at_ns: int) -> Iterator[AnyEvent]:
        seen = self._watched[gate.id]
        inside_m, outside_m, opening = seen.inside_m, seen.outside_m, seen.opening_ratio
        if (
            inside_m is None
            or outside_m is None
            or opening is None
            or at_ns - seen.observed_at_ns > LEVEL_STALE_S * NS
            or seen.manual
            or at_ns - seen.asked_at_ns < ASK_AGAIN_S * NS
        ):
            return
        levels = f"outside {outside_m:.2f} m, inside {inside_m:.2f} m"
        if outside_m >= gate.closing_m and outside_m > inside_m + HEAD_M:
            wanted, why = 0.0, f"{levels}: the tide stands above {gate.closing_m:.2f} m"
        elif outside_m < inside_m - HEAD_M:
            wanted, why = 1.0, f"{levels}: the city can drain"
        else:
            return
        if abs(opening - wanted) > CLOSED_RATIO:
            seen.asked_at_ns = at_ns
            yield GateRequested(gate=gate.id, opening_ratio=wanted, by=self.name, why=why)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._watched)

    def restore(self, state: bytes) -> None:
        self._watched = msgspec.msgpack.decode(state, type=dict[str, _Watched])
