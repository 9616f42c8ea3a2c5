"""Decides which MQTT devices are reached and which have fallen silent.

In come readings, states and answers, and `Tick`; out go `SourceReached` at the first word of a
device and after each silence, and `SourceLost` when nothing was heard for longer than its stale
time: a gauge's is the shortest of its quantities', the others' stands in `causeway/streams.py`.
PLCs are the poller's to judge, and cameras the vision worker's.

Laws of this file:
1. A device that was never heard is unknown for its stale time after the start, then lost.
2. The centre's own absence is nobody's silence: after a start every device has its stale time
   again. By a clock that runs faster than the wall's the stale times are so much longer.
3. Only a device's own word counts: an answer with a `because` is the centre's, not the device's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    CommandAnswered,
    EngineStarted,
    LightingObserved,
    Now,
    ReadingsReceived,
    SignalsObserved,
    SignObserved,
    SourceLost,
    SourceReached,
    Tick,
)
from causeway.site import Site
from causeway.streams import STREAMS

NS = 1_000_000_000


class _Hearing(Struct):
    """What is known of a device. `reached` is None until its first word or its first silence."""

    heard_at_ns: int = -1
    reached: bool | None = None


class _State(Struct):
    """The core's whole state."""

    started_at_ns: int
    stretch: float
    devices: dict[str, _Hearing]


class Liveness:
    """From what was heard to who is reached."""

    name = "liveness"
    hears = frozenset(
        {
            EngineStarted,
            Tick,
            ReadingsReceived,
            SignalsObserved,
            SignObserved,
            LightingObserved,
            CommandAnswered,
        }
    )

    def __init__(self, site: Site) -> None:
        self._stale_ns = {id_: int(s * NS) for id_, s in stale_times_s(site).items()}
        self._device_of = {
            point.id: point.source
            for point in site.points.values()
            if point.source in self._stale_ns
        }
        self._devices = {id_: _Hearing() for id_ in self._stale_ns}
        self._started_at_ns = -1
        self._stretch = 1.0

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if self._started_at_ns < 0 or isinstance(event, EngineStarted):
            self._started_at_ns = now.at_ns
        match event:
            case EngineStarted():
                self._stretch = event.stretch
                for hearing in self._devices.values():
                    hearing.reached = hearing.reached or None  # a lost one may be lost anew
            case Tick():
                yield from self._silences(now.at_ns)
            case ReadingsReceived():
                device_of = self._device_of
                sources = dict.fromkeys(device_of[p] for p in event.points if p in device_of)
                yield from self._heard(sources, now.at_ns)
            case SignalsObserved():
                yield from self._heard([s.junction for s in event.states], now.at_ns)
            case SignObserved():
                yield from self._heard([event.sign], now.at_ns)
            case LightingObserved():
                yield from self._heard([event.circuit], now.at_ns)
            case CommandAnswered() if event.because is None:
                yield from self._heard([event.target], now.at_ns)
            case _:
                pass

    def _heard(self, sources: Iterable[str], at_ns: int) -> Iterator[AnyEvent]:
        for source in sources:
            hearing = self._devices.get(source)
            if hearing is None:
                continue
            hearing.heard_at_ns = at_ns
            if not hearing.reached:
                hearing.reached = True
                yield SourceReached(source=source)

    def _silences(self, at_ns: int) -> Iterator[AnyEvent]:
        for source, hearing in self._devices.items():
            stale_ns = int(self._stale_ns[source] * self._stretch)
            since_ns = max(hearing.heard_at_ns, self._started_at_ns)
            if hearing.reached is False or at_ns - since_ns <= stale_ns:
                continue
            hearing.reached = False
            never = hearing.heard_at_ns < 0
            why = (
                "never heard" if never else f"silent for {(at_ns - hearing.heard_at_ns) / NS:.0f} s"
            )
            yield SourceLost(source=source, why=f"{why}; expected within {stale_ns / NS:.0f} s")

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._started_at_ns, self._stretch, self._devices))

    def restore(self, state: bytes) -> None:
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._started_at_ns, self._stretch = decoded.started_at_ns, decoded.stretch
        self._devices = {id_: decoded.devices.get(id_, _Hearing()) for id_ in self._stale_ns}


def stale_times_s(site: Site) -> dict[str, float]:
    """Each MQTT device's stale time: after so long without a word it is lost."""
    times: dict[str, float] = {}
    for gauge in site.gauges:
        quantities = [site.points[f"{gauge.id}/{q}"].stale_after_s for q in gauge.quantities]
        times[gauge.id] = min(quantities, default=_stale_s(ReadingsReceived))
    times.update((j.id, _stale_s(SignalsObserved)) for j in site.junctions)
    times.update((s.id, _stale_s(SignObserved)) for s in site.signs)
    times.update((c.id, _stale_s(LightingObserved)) for c in site.circuits)
    return times


def _stale_s(event: type) -> float:
    stale_s = STREAMS[event].stale_s
    assert stale_s is not None, f"{event.__name__} has no stale time in streams.py"
    return stale_s
