"""Decides when the street lights are on: from the height of the sun over the city.

In come ticks, what the circuits give and mode changes; out go `LightingRequested` events. A
circuit goes on when the sun is lower than the on angle and off when it is higher than the off
angle; one that did not do so is asked again after a pause. `LightingCommands` turns requests into
commands: nothing else makes a `LightingCommanded`, and everything that can hold one back is in
it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    LightingCommanded,
    LightingObserved,
    LightingRequested,
    Now,
    Tick,
)
from causeway.site import LonLat, Site
from control.sequences import following, newest

NS = 1_000_000_000
ON_BELOW_DEG = -1.0  # a little after sunset (CIE 115 leaves it to the operator)
OFF_ABOVE_DEG = -0.5
ASK_AGAIN_S = 60.0
LOOK_EVERY_S = 10.0
LEVEL_NEAR = 0.02  # dimmers report in steps of a percent
COMMAND_EXPIRES_NS = 30 * NS
OPERATOR = "operator:"


def sun_elevation_deg(at: LonLat, at_ns: int) -> float:
    """Height of the sun's centre over the horizon, without refraction.

    Low-precision formulas of the Astronomical Almanac (error below 0.1 degree until 2050).
    """
    days = at_ns / NS / 86_400 - 10_957.5  # since J2000.0
    anomaly = math.radians((357.528 + 0.9856003 * days) % 360)
    longitude = math.radians(
        (280.460 + 0.9856474 * days + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
        % 360
    )
    obliquity = math.radians(23.439 - 4e-7 * days)
    ascension = math.atan2(math.cos(obliquity) * math.sin(longitude), math.cos(longitude))
    declination = math.asin(math.sin(obliquity) * math.sin(longitude))
    sidereal = math.radians((280.46062 + 360.9856474 * days + at.lon) % 360)
    hour = sidereal - ascension
    latitude = math.radians(at.lat)
    return math.degrees(
        math.asin(
            math.sin(latitude) * math.sin(declination)
            + math.cos(latitude) * math.cos(declination) * math.cos(hour)
        )
    )


class _Circuit(Struct):
    """A circuit as it was last seen, and when it was last asked."""

    level_ratio: float | None = None
    manual: bool = False
    asked_at_ns: int = 0


class StreetLighting:
    """Lights on at dusk, off at dawn."""

    name = "lighting"
    hears = frozenset({LightingObserved, ControlModeChanged, Tick})

    def __init__(self, site: Site) -> None:
        self._at = site.centre
        self._circuits = {c.id: _Circuit() for c in site.circuits}
        self._on = False
        self._looked_at_ns = 0

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case LightingObserved() if event.circuit in self._circuits:
                self._circuits[event.circuit].level_ratio = event.level_ratio
            case ControlModeChanged() if event.asset in self._circuits:
                self._circuits[event.asset].manual = event.mode is ControlMode.MANUAL
            case Tick() if now.at_ns - self._looked_at_ns >= LOOK_EVERY_S * NS:
                self._looked_at_ns = now.at_ns
                yield from self._decide(now.at_ns)
            case _:
                pass

    def _decide(self, at_ns: int) -> Iterator[AnyEvent]:
        elevation_deg = round(sun_elevation_deg(self._at, at_ns), 3)
        if elevation_deg < ON_BELOW_DEG:
            self._on = True
        elif elevation_deg > OFF_ABOVE_DEG:
            self._on = False
        wanted = 1.0 if self._on else 0.0
        for id_, circuit in self._circuits.items():
            if (
                circuit.level_ratio is None
                or abs(circuit.level_ratio - wanted) <= LEVEL_NEAR
                or circuit.manual
                or at_ns - circuit.asked_at_ns < ASK_AGAIN_S * NS
            ):
                continue
            circuit.asked_at_ns = at_ns
            yield LightingRequested(
                circuit=id_,
                level_ratio=wanted,
                by=self.name,
                why=f"sun at {elevation_deg:.1f} degrees",
            )

    def encode(self) -> bytes:
        return msgspec.msgpack.encode((self._circuits, self._on, self._looked_at_ns))

    def restore(self, state: bytes) -> None:
        self._circuits, self._on, self._looked_at_ns = msgspec.msgpack.decode(
            state, type=tuple[dict[str, _Circuit], bool, int]
        )


class _Commanded(Struct):
    """The last sequence given to a circuit, and who holds it."""

    sequence: int = 0
    manual: bool = False


class LightingCommands:
    """Turns lighting requests into commands, or refuses them."""

    name = "lighting_commands"
    hears = frozenset({LightingRequested, LightingObserved, ControlModeChanged})

    def __init__(self, site: Site) -> None:
        self._circuits = {c.id: _Commanded() for c in site.circuits}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case LightingObserved() if event.circuit in self._circuits:
                circuit = self._circuits[event.circuit]
                circuit.sequence = newest(circuit.sequence, event.sequence)
            case ControlModeChanged() if event.asset in self._circuits:
                self._circuits[event.asset].manual = event.mode is ControlMode.MANUAL
            case LightingRequested():
                yield self._answer(event, now)
            case _:
                pass

    def _answer(self, request: LightingRequested, now: Now) -> AnyEvent:
        refusal = self._refusal(request)
        if refusal is not None:
            interlock, why = refusal
            return CommandRefused(
                target=request.circuit, interlock=interlock, why=why, by=request.by
            )
        circuit = self._circuits[request.circuit]
        circuit.sequence = following(circuit.sequence)
        return LightingCommanded(
            circuit=request.circuit,
            level_ratio=request.level_ratio,
            sequence=circuit.sequence,
            issued_at_ns=now.at_ns,
            expires_at_ns=now.at_ns + COMMAND_EXPIRES_NS,
        )

    def _refusal(self, request: LightingRequested) -> tuple[str, str] | None:
        """The interlock that stands against it and why, or None."""
        circuit = self._circuits.get(request.circuit)
        if circuit is None:
            return "unknown_asset", f"no lighting circuit {request.circuit!r}"
        if not 0.0 <= request.level_ratio <= 1.0:
            return "out_of_range", f"level {request.level_ratio}, expected 0 to 1"
        if circuit.manual != request.by.startswith(OPERATOR):
            held = "manual" if circuit.manual else "automatic"
            return "control_mode", f"the circuit is in {held} mode, the request is by {request.by}"
        return None

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._circuits)

    def restore(self, state: bytes) -> None:
        self._circuits = msgspec.msgpack.decode(state, type=dict[str, _Commanded])
