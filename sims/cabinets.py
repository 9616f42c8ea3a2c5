"""Decides what the simulated MQTT devices say when: cabinets, signs, circuits, detectors, gauges.

In come the time, truths and the messages of the command topics; out go the messages that the
devices publish, each on its own topics (docs/INTERFACES.md). `devices.py` carries them,
`field.py` tells the truths. A device that is off the network neither hears nor says anything and
goes on working.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from causeway.site import Site
from sims.controllers import LightingCabinet, MessageSign, SignalController
from sims.gauges import NS, Instrument
from sims.obedience import Restriction, obeyed
from sims.orders import Answer
from sims.tracker import Looks, Tracker

ROOT = "causeway/v1"
HEARTBEAT = f"{ROOT}/centre/heartbeat"
HEARD_BY_CABINETS = (
    HEARTBEAT,
    f"{ROOT}/signal/+/command",
    f"{ROOT}/sign/+/command",
    f"{ROOT}/lighting/+/command",
)
SIGNAL_STATE_S = 1.0  # docs/INTERFACES.md
SIGN_STATE_S = 10.0
DETECTOR_S = 5.0
TRACKS_S = 1.0
STATES_A_WALL_S_MAX = 4.0  # of one device: a scaled clock must not flood the broker

_encode = msgspec.json.encode


class Message(NamedTuple):
    """One MQTT message. A kept one waits while the broker is away; others are then dropped."""

    topic: str
    payload: bytes
    qos: int = 1
    kept: bool = False


class Reading(Struct, frozen=True):
    """One reading of a telemetry payload."""

    point: str
    at_ns: int
    value: float


class Device(Protocol):
    """What the three commanded devices have in common."""

    def heartbeat(self, now_ns: int) -> None: ...
    def command(self, payload: bytes, now_ns: int) -> Answer: ...
    def tick(self, now_ns: int) -> bool: ...
    def report(self, now_ns: int) -> Struct: ...


class Due:
    """When something that happens every so often is due next; devices do not all begin at once."""

    def __init__(self, period_s: float, of: str, now_ns: int, speed: float = 1.0) -> None:
        self._period_ns = int(max(period_s, speed / STATES_A_WALL_S_MAX) * NS)
        self._next_ns = now_ns + zlib.crc32(of.encode()) % self._period_ns

    def now(self, now_ns: int) -> bool:
        """True once a period."""
        if now_ns < self._next_ns:
            return False
        missed = (now_ns - self._next_ns) // self._period_ns
        self._next_ns += (missed + 1) * self._period_ns
        return True


class Network:
    """Which devices are off the network, and whose clock is wrong."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.skew_ns: dict[str, int] = {}

    def clock_ns(self, device: str, now_ns: int) -> int:
        """The device's own clock."""
        return now_ns + self.skew_ns.get(device, 0)


class Cabinets:
    """Every signal controller, message sign and lighting circuit of a site."""

    def __init__(self, site: Site, network: Network, now_ns: int, speed: float = 1.0) -> None:
        self.signals = {j.id: SignalController(j, now_ns) for j in site.junctions}
        self.signs = {s.id: MessageSign(s, now_ns) for s in site.signs}
        self.circuits = {c.id: LightingCabinet(c, now_ns) for c in site.circuits}
        self._network = network
        self._devices: dict[str, tuple[str, Device]] = {
            **{id_: ("signal", d) for id_, d in self.signals.items()},
            **{id_: ("sign", d) for id_, d in self.signs.items()},
            **{id_: ("lighting", d) for id_, d in self.circuits.items()},
        }
        self._due = {
            id_: Due(SIGNAL_STATE_S if kind == "signal" else SIGN_STATE_S, id_, now_ns, speed)
            for id_, (kind, _) in self._devices.items()
        }

    def hear(self, topic: str, payload: bytes, now_ns: int) -> Iterator[Message]:
        """A message from the centre; an answer where it was a command."""
        if topic == HEARTBEAT:
            for id_, (_, device) in self._devices.items():
                if id_ not in self._network.silent:
                    device.heartbeat(self._network.clock_ns(id_, now_ns))
            return
        kind, id_, last = ("", "", "", *topic.split("/"))[-3:]
        known = self._devices.get(id_)
        if known is None or known[0] != kind or last != "command" or id_ in self._network.silent:
            return
        clock_ns = self._network.clock_ns(id_, now_ns)
        answer = known[1].command(payload, clock_ns)
        yield Message(f"{ROOT}/answer/{id_}", _encode(answer))
        yield self._state(id_, now_ns)

    def tick(self, now_ns: int) -> Iterator[Message]:
        """Let time pass for all of them; their states, when due or changed."""
        for id_, (_, device) in self._devices.items():
            changed = device.tick(self._network.clock_ns(id_, now_ns))
            if (self._due[id_].now(now_ns) or changed) and id_ not in self._network.silent:
                yield self._state(id_, now_ns)

    def _state(self, id_: str, now_ns: int) -> Message:
        kind, device = self._devices[id_]
        report = device.report(self._network.clock_ns(id_, now_ns))
        return Message(f"{ROOT}/{kind}/{id_}/state", _encode(report))

    def restrictions(self) -> dict[str, Restriction]:
        """What drivers obey of each sign's text."""
        return {id_: obeyed(sign.text) for id_, sign in self.signs.items()}


class Channel(NamedTuple):
    """One point of a telemetry device: its place in the truth, its instrument."""

    point: str
    instrument: Instrument


class Telemetry:
    """Devices that measure: each publishes all its points at once, every so often."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._channels: dict[str, list[Channel]] = {}
        self._due: dict[str, Due] = {}

    def add(
        self, device: str, points: Iterable[str], period_s: float, now_ns: int, speed: float = 1.0
    ) -> None:
        """A device with its points, by the parts of their ids after its own."""
        self._channels[device] = [
            Channel(p, Instrument(f"{device}/{p}", p.rpartition("/")[2])) for p in points
        ]
        self._due[device] = Due(period_s, device, now_ns, speed)

    def instruments(self, device: str) -> Iterator[Instrument]:
        """Those of a device, for what is to be wrong with them."""
        yield from (c.instrument for c in self._channels.get(device, ()))

    def tick(self, now_ns: int, truth: Callable[[str, str], float]) -> Iterator[Message]:
        """The messages that are due; `truth(device, point)` is asked for those only."""
        for device, channels in self._channels.items():
            if not self._due[device].now(now_ns):
                continue
            readings = []
            for point, instrument in channels:
                value = instrument.read(now_ns, truth(device, point))
                at_ns = self._network.clock_ns(device, now_ns) + instrument.clock_skew_ns
                if value is not None:
                    readings.append(Reading(point, at_ns, value))
            if readings and device not in self._network.silent:
                topic = f"{ROOT}/telemetry/{device}"
                yield Message(topic, _encode(readings), kept=True)


def detectors(site: Site, network: Network, now_ns: int, speed: float) -> Telemetry:
    """The loop detectors of every junction, and the meters of every lighting circuit."""
    telemetry = Telemetry(network)
    for junction in site.junctions:
        points = [f"{g.id}/{q}" for g in junction.groups for q in ("queue_veh", "flow_veh_h")]
        telemetry.add(junction.id, points, DETECTOR_S, now_ns, speed)
    for circuit in site.circuits:
        telemetry.add(circuit.id, ["power_kw"], SIGN_STATE_S, now_ns, speed)
    return telemetry


class Trackers:
    """The roadside tracker of every junction; it hangs on the network of the junction's cabinet."""

    def __init__(
        self, site: Site, network: Network, looks: Looks, now_ns: int, speed: float
    ) -> None:
        self._network = network
        self._trackers = {j.id: Tracker(j.id, looks) for j in site.junctions}
        self._due = {id_: Due(TRACKS_S, f"{id_} tracks", now_ns, speed) for id_ in self._trackers}
        self.broken: set[str] = set()  # by junction

    def tick(self, now_ns: int) -> Iterator[Message]:
        """What those see that are due; the picture of a moment is of use at that moment only."""
        for id_, tracker in self._trackers.items():
            if not self._due[id_].now(now_ns):
                continue
            report = tracker.look(self._network.clock_ns(id_, now_ns))
            if id_ not in self._network.silent and id_ not in self.broken:
                yield Message(f"{ROOT}/signal/{id_}/tracks", _encode(report), qos=0)


def gauges(site: Site, network: Network, now_ns: int, speed: float) -> Telemetry:
    """Every gauge of the site."""
    telemetry = Telemetry(network)
    for gauge in site.gauges:
        period_s = min(Instrument(gauge.id, q).make.period_s for q in gauge.quantities)
        telemetry.add(gauge.id, gauge.quantities, period_s, now_ns, speed)
    return telemetry
