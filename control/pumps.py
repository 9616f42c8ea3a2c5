"""Decides which pumps should run, from the level in each station's sump.

In come the PLC's readings (`sump_m`, `running_bool`) and mode changes; out go `PumpRequested`
events, which `scada/interlocks.py` refuses or turns into commands. Each pump starts at its own
level and stops at its own lower one, so a rising sump brings in one pump after the other. Start
limits, rest and dry running are the interlocks' to hold; a request that was refused is repeated
after a pause, which grows with each refusal that time alone does not mend.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    Now,
    PumpRequested,
    Quality,
    ReadingsObserved,
    Tick,
)
from causeway.site import Pump, Site

NS = 1_000_000_000
ASK_AGAIN_S = 20.0
PAUSE_DOUBLES_MAX = 4  # to 320 s
PASSING = ("rest_time", "one_start", "mailbox_busy", "pending")  # interlocks that soon let go
READING_STALE_S = 30.0


class _Sump(Struct):
    """A station's level as it was last read."""

    level_m: float
    observed_at_ns: int


class _Watched(Struct):
    """A pump as it was last read, and when it was last asked."""

    running: bool | None = None
    observed_at_ns: int = 0
    manual: bool = False
    asked_at_ns: int = 0
    refused: int = 0  # how often in a row, by what does not pass by itself


class PumpHysteresis:
    """Start above `start_m`, stop below `stop_m`, pump by pump."""

    name = "pumps"
    hears = frozenset({ReadingsObserved, ControlModeChanged, CommandRefused, Tick})

    def __init__(self, site: Site) -> None:
        self._pumps = site.pumps
        self._sump_of = {f"{s.id}/sump_m": s.id for s in site.stations}
        self._running_of = {f"{p.id}/running_bool": p.id for p in site.pumps}
        self._sumps: dict[str, _Sump] = {}
        self._watched = {p.id: _Watched() for p in site.pumps}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case ReadingsObserved():
                self._read(event)
            case ControlModeChanged() if event.asset in self._watched:
                seen = self._watched[event.asset]
                seen.manual, seen.refused = event.mode is ControlMode.MANUAL, 0
            case CommandRefused() if event.target in self._watched and event.by == self.name:
                if event.interlock not in PASSING:
                    self._watched[event.target].refused += 1
            case Tick():
                for pump in self._pumps:
                    yield from self._decide(pump, now.at_ns)
            case _:
                pass

    def _read(self, event: ReadingsObserved) -> None:
        for point, at_ns, value, quality in zip(
            event.points, event.observed_at_ns, event.values, event.qualities, strict=True
        ):
            if quality not in (Quality.GOOD, Quality.UNCERTAIN):
                continue
            if (station := self._sump_of.get(point)) is not None:
                before = self._sumps.get(station)
                if before is None or at_ns > before.observed_at_ns:
                    self._sumps[station] = _Sump(value, at_ns)
            elif (pump := self._running_of.get(point)) is not None:
                seen = self._watched[pump]
                if at_ns > seen.observed_at_ns:
                    running = value != 0
                    if running is not seen.running:
                        seen.refused = 0
                    seen.running, seen.observed_at_ns = running, at_ns

    def _decide(self, pump: Pump, at_ns: int) -> Iterator[AnyEvent]:
        sump = self._sumps.get(pump.station)
        seen = self._watched[pump.id]
        if (
            sump is None
            or at_ns - sump.observed_at_ns > READING_STALE_S * NS
            or seen.running is None
            or at_ns - seen.observed_at_ns > READING_STALE_S * NS
            or seen.manual
        ):
            return
        if not seen.running and sump.level_m >= pump.start_m:
            run, limit = True, f">= start {pump.start_m:.2f} m"
        elif seen.running and sump.level_m <= pump.stop_m:
            run, limit = False, f"<= stop {pump.stop_m:.2f} m"
        else:
            seen.refused = 0
            return
        if at_ns - seen.asked_at_ns < _pause_s(seen) * NS:
            return
        seen.asked_at_ns = at_ns
        why = f"sump {sump.level_m:.2f} m {limit}"
        yield PumpRequested(pump=pump.id, run=run, by=self.name, why=why)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode((self._sumps, self._watched))

    def restore(self, state: bytes) -> None:
        self._sumps, self._watched = msgspec.msgpack.decode(
            state, type=tuple[dict[str, _Sump], dict[str, _Watched]]
        )


def _pause_s(seen: _Watched) -> float:
    """How long after a request the next one may follow."""
    return ASK_AGAIN_S * 2.0 ** min(seen.refused, PAUSE_DOUBLES_MAX)
