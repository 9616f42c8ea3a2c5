"""Couples the simulated cabinets, signs and detectors to the traffic model, and plays a scenario on
them.

In come the time, the centre's messages and the water on the streets; out go lamps, bans, closed
lanes and stalled vehicles into the traffic model, and the devices' messages. `field.py` gives it
time and wires.
"""

from __future__ import annotations

from collections.abc import Iterator

from causeway.site import Site
from sims.cabinets import Cabinets, Message, Network, Trackers, detectors
from sims.controllers import SignalFault
from sims.obedience import ORDINARY, Restriction
from sims.scenario import NS, FieldFault, Scenario
from sims.script import Begun, Ended, Script, Stalled
from sims.street_water import StreetWater
from sims.traffic import Traffic

STEPS_A_TICK_MAX = 4  # of the traffic model; what is more waits, so that the lamps are not blind


class Roadside:
    """Every signal controller, sign, circuit and detector of a site."""

    def __init__(
        self, site: Site, scenario: Scenario, traffic: Traffic, now_ns: int, speed: float = 1.0
    ) -> None:
        self._site = site
        self._traffic = traffic
        self._script = Script(scenario, now_ns)
        self._network = Network()
        self.cabinets = Cabinets(site, self._network, now_ns, speed)
        self._detectors = detectors(site, self._network, now_ns, speed)
        self._trackers = Trackers(site, self._network, traffic, now_ns, speed)
        self._obeyed: dict[str, Restriction] = {}
        self._lanes = {s.id: s.lanes for s in site.segments}
        self.camera_faults: dict[str, str] = {}

    def hear(self, topic: str, payload: bytes, now_ns: int) -> Iterator[Message]:
        """A message from the centre."""
        return self.cabinets.hear(topic, payload, now_ns)

    def tick(self, now_ns: int, water: StreetWater | None) -> Iterator[Message]:
        """Let the devices and then the traffic go on until now."""
        for event in self._script.due(now_ns):
            match event:
                case Begun():
                    self._begin(event.fault)
                case Ended():
                    self._end(event.fault, now_ns)
                case Stalled():
                    vehicle = event.vehicle
                    self._traffic.stall_vehicle(vehicle.segment, vehicle.vehicle, event.for_s)
        yield from self.cabinets.tick(now_ns)
        for junction, controller in self.cabinets.signals.items():
            self._traffic.set_aspects(junction, controller.aspects)
        self._obey_signs()
        if water is not None:
            self._traffic.set_rain(water.rain_mm_h)
            for segment, depth_m in self.depths_m(water).items():
                self._traffic.set_depth(segment, depth_m)
        self._traffic.step_to(now_ns, STEPS_A_TICK_MAX)
        yield from self._detectors.tick(now_ns, self._truth)
        yield from self._trackers.tick(now_ns)

    def depths_m(self, water: StreetWater) -> dict[str, float]:
        """By segment."""
        segments = (s.id for s in self._site.segments)
        return dict(zip(segments, water.depth_m.tolist(), strict=True))

    def lamps(self) -> dict[str, float]:
        """The level of each street-light circuit."""
        return {id_: c.level_ratio for id_, c in self.cabinets.circuits.items()}

    def _truth(self, device: str, point: str) -> float:
        if device in self.cabinets.circuits:
            return self.cabinets.circuits[device].power_kw
        group, _, quantity = point.partition("/")
        if quantity == "queue_veh":
            return self._traffic.queue_veh(device, group)
        return self._traffic.flow_veh_h(device, group)

    def _obey_signs(self) -> None:
        """Bring what the signs say upon the traffic, where it has changed."""
        before, now = self._obeyed, self.cabinets.restrictions()
        if now == before:
            return
        self._obeyed = now
        banned_before, closed_before = self._effects(before)
        banned, closed = self._effects(now)
        for segment in dict.fromkeys((*banned_before, *banned)):
            if banned.get(segment, ()) != banned_before.get(segment, ()):
                self._traffic.ban(segment, banned.get(segment, ()))
        for segment, lane in dict.fromkeys((*closed_before, *closed)):
            if ((segment, lane) in closed) != ((segment, lane) in closed_before):
                self._traffic.close_lane(segment, lane, (segment, lane) in closed)

    def _effects(
        self, restrictions: dict[str, Restriction]
    ) -> tuple[dict[str, tuple[str, ...]], list[tuple[str, int]]]:
        """Banned classes by segment, and closed lanes that exist."""
        banned: dict[str, tuple[str, ...]] = {}
        closed: list[tuple[str, int]] = []
        for sign in self._site.signs:
            restriction = restrictions.get(sign.id, Restriction())
            for segment in sign.segments if restriction.banned else ():
                both = (*banned.get(segment, ()), *restriction.banned)
                banned[segment] = tuple(c for c in ORDINARY if c in both)
            lane = restriction.lane
            if lane and sign.segments and lane <= self._lanes[sign.segments[0]]:
                closed.append((sign.segments[0], lane))
        return banned, closed

    # --- faults --------------------------------------------------------------------------------

    def _begin(self, fault: FieldFault) -> None:
        target, kind = fault.target, fault.kind
        cabinets = self.cabinets
        if kind == "silent":
            self._network.silent.add(target)
        elif kind == "skewed":
            self._network.skew_ns[target] = int(fault.amount * NS)
        elif (controller := cabinets.signals.get(target)) is not None:
            if kind == "officer":
                controller.officer("")
            else:
                controller.break_down(SignalFault(kind, controller.first_group))
        elif (device := cabinets.signs.get(target) or cabinets.circuits.get(target)) is not None:
            device.broken = True
        else:
            self.camera_faults[target] = kind

    def _end(self, fault: FieldFault, now_ns: int) -> None:
        target, kind = fault.target, fault.kind
        cabinets = self.cabinets
        if kind == "silent":
            self._network.silent.discard(target)
        elif kind == "skewed":
            self._network.skew_ns.pop(target, None)
        elif (controller := cabinets.signals.get(target)) is not None:
            if kind == "officer":
                controller.officer(None)
            else:
                controller.repair(kind, now_ns)
        elif (device := cabinets.signs.get(target) or cabinets.circuits.get(target)) is not None:
            device.broken = False
        else:
            self.camera_faults.pop(target, None)
