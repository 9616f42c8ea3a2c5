"""Runs the city's traffic in libsumo: mostly motorbikes, side by side in their lanes.

In come the time, signal aspects, water depths, rain, closed lanes and bans; out go queues and flows
as detectors would give them, and every vehicle's place as an array. `city.py` makes the network,
`demand.py` says who arrives, `passability.py` who gets through water; `cameras.py` draws them.

Laws of this file:
1. One simulation for a process: libsumo is global. The caller's process is a child of its own.
2. The same site, demand, seed and calls give the same traffic.
3. Nothing waits for ever: who cannot get in, find a way or move on is turned away and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

import libsumo
import numpy as np
from numpy.typing import NDArray

from causeway.site import Site
from sims.city import Edge, Network, build_network
from sims.demand import Arrivals, Trip
from sims.passability import (
    CLASS_OF,
    CLOSED_FROM_M,
    EVERY_CLASS,
    KINDS,
    classes_kept_out,
    rain_speed_ratio,
    stall_chance_per_s,
    wading_speed_m_s,
)
from sims.scenario import Scenario

NS = 1_000_000_000
STEP_S = 0.5
LATERAL_RESOLUTION_M = 0.8
TELEPORT_AFTER_S = 180  # a jam that has not moved for so long is dissolved
JUNCTION_BLOCKER_IGNORED_S = 10
DEPART_DELAY_MAX_S = 30  # who finds no room to enter for so long takes another way into the city
LOOKS_EVERY_S = 60  # so often does a driver think of a quicker way
LOOKS_SHARE = 0.5  # that many do
LOOKS_BEFORE_M = 60.0  # of the stop line; nearer to it nobody changes lanes for it
RUNNING_MAX = 2_500  # nobody else is let in
HALTED_M_S = 1.39  # 5 km/h
QUEUE_DETECTOR_M = 80.0
FLOW_OVER_S = 180.0
STALL_S = (40.0, 150.0)
STALLED_MAX = 4  # motorbikes that stand in the water of one edge
PUSHING_M_S = 1.2
BRAKING_M_S2 = 4.0
STALL_PLACE_M = 45.0  # before the stop line
DEPTH_STEP_M = 0.005  # a smaller change of the water changes nobody's driving
BUMPER_ROOM_M = 3.0
WORKS_S = 1e6  # until the lane is opened again
ANOTHER_GOAL_TRIES = 4
KEEPS_BESIDE_M = 1.2  # how far from the middle of its lane a motorbike likes to ride

VEHICLE = np.dtype(
    [
        ("id", np.uint32),
        ("kind", np.uint8),  # place in passability.KINDS
        ("x", np.float32),  # the middle of its front, local metres
        ("y", np.float32),
        ("angle", np.float32),  # degrees clockwise from north
        ("speed", np.float32),
        ("length", np.float32),
        ("width", np.float32),
    ]
)


WORKS = KINDS.index("works")
Vehicles = NDArray[np.void]  # of VEHICLE


class VehicleType(NamedTuple):
    """A SUMO vehicle type; motorbikes keep short gaps and ride side by side within a lane."""

    kind: str
    sumo_class: str
    length_m: float
    width_m: float
    attributes: str


MOTORBIKE = (
    'minGap="0.6" accel="2.5" decel="5" tau="0.7" sigma="0.5" maxSpeed="16" minGapLat="0.2"'
    ' speedFactor="normc(0.9,0.12,0.6,1.2)" latAlignment="arbitrary" maxSpeedLat="1.2"'
    ' lcSublane="2" lcAssertive="1.6" jmTimegapMinor="0.6" impatience="0.3"'
)
FOUR_WHEELS = 'latAlignment="center" minGapLat="0.4" jmTimegapMinor="0.9" impatience="0.3"'
TYPES = {
    "wary": VehicleType("motorbike", "motorcycle", 1.9, 0.75, MOTORBIKE),
    "bold": VehicleType("motorbike", "moped", 1.9, 0.75, MOTORBIKE),
    "car": VehicleType(
        "car", "passenger", 4.4, 1.75, f'minGap="1.5" tau="1.1" accel="2.4" {FOUR_WHEELS}'
    ),
    "bus": VehicleType("bus", "bus", 11.0, 2.5, f'minGap="2" tau="1.2" accel="1.2" {FOUR_WHEELS}'),
    "truck": VehicleType(
        "truck", "truck", 7.2, 2.3, f'minGap="2" tau="1.2" accel="1.3" {FOUR_WHEELS}'
    ),
    "works": VehicleType("works", "authority", 18.0, 2.7, 'minGap="1"'),
    "emergency": VehicleType("emergency", "emergency", 5.5, 2.0, f'minGap="1.5" {FOUR_WHEELS}'),
}


DRAWN = {name: (KINDS.index(t.kind), t.length_m, t.width_m) for name, t in TYPES.items()}


class _Seen(NamedTuple):
    """All vehicles after the last step, in one order."""

    names: list[str]
    edge: NDArray[np.int32]  # place in the network's edges; -1 within a junction
    to_stop_line_m: NDArray[np.float32]
    vehicles: Vehicles


class _Breakdown(NamedTuple):
    """A vehicle that is to stop in its lane; `placed` is a new one that waits for room."""

    segment: str
    kind: str
    until_s: float
    placed: str


class TrafficRunning(Exception):
    """A second simulation was asked of a process."""


class Traffic:
    """The simulated traffic of one site."""

    def __init__(
        self, site: Site, scenario: Scenario, workdir: Path, seed: int | None = None
    ) -> None:
        if libsumo.isLoaded():
            raise TrafficRunning("libsumo runs one simulation for a process")
        self.network: Network = build_network(site, workdir)
        self.turned_away = 0
        self.demand_factor = 1.0
        seed = scenario.seed if seed is None else seed
        self._arrivals = Arrivals(
            self.network, scenario.traffic, seed, frozenset(c.segment for c in site.cameras)
        )
        self._random = np.random.default_rng([seed, 1])
        self._start_ns = scenario.start_ns
        self._steps = 0
        self._count = 0
        self._edge_place = {e: i for i, e in enumerate(self.network.edges)}
        self._lengths_m = np.array([e.length_m for e in self.network.edges.values()], np.float32)
        self._approach_of = {
            (junction, group): approach
            for junction, signals in self.network.signals.items()
            for group, approach in zip(signals.groups, signals.approaches, strict=True)
        }
        self._crossed: dict[str, deque[float]] = {
            e: deque(maxlen=4_000) for e in self._approach_of.values() if e is not None
        }
        self._was_on: dict[str, str] = {}
        self._depths_m: dict[str, float] = {}
        self._banned: dict[str, tuple[str, ...]] = {}
        self._works: dict[tuple[str, int], str] = {}
        self._kept_out: dict[str, tuple[str, ...]] = {}
        self._calls_at: dict[str, str] = {}
        self._breakdowns: list[_Breakdown] = []
        self._pushing: dict[str, str] = {}
        self._rain_mm_h = 0.0
        self._aspects: dict[str, str] = {}
        self._routes: dict[tuple[str, ...], str] = {}
        _start(self.network.file, _types_file(workdir), seed)
        for junction, signals in self.network.signals.items():
            self.set_aspects(junction, "o" * len(signals.groups))
        for trip in self._arrivals.first():
            self._let_in(trip, under_way=True)
        self._seen = _look(self._edge_place, self._lengths_m)

    def close(self) -> None:
        """End the simulation; the process may then start another."""
        libsumo.close()

    @property
    def at_ns(self) -> int:
        """The time of the last step taken."""
        return self._start_ns + int(self._steps * STEP_S * NS)

    def step_to(self, at_ns: int, steps_max: int | None = None) -> int:
        """Go on until `at_ns`, at most `steps_max` steps; gives the number of steps taken."""
        due = int((at_ns - self.at_ns) / NS / STEP_S)
        taken = max(0, due if steps_max is None else min(due, steps_max))
        for _ in range(taken):
            self._step()
        return taken

    def _step(self) -> None:
        for trip in self._arrivals.next(STEP_S, self.demand_factor):
            self._let_in(trip)
        self._stall_in_water()
        self._break_down()
        self._look_for_quicker_ways()
        libsumo.simulationStep()
        self._steps += 1
        for name in libsumo.simulation.getArrivedIDList():
            self._was_on.pop(name, None)
            self._pushing.pop(name, None)
            self._calls_at.pop(name, None)
        self._seen = _look(self._edge_place, self._lengths_m)
        self._count_crossings()

    # -- signals and detectors

    def set_aspects(self, junction: str, aspects: str) -> None:
        """Show one letter a group (G y r o) at a junction, just as sent."""
        if self._aspects.get(junction) != aspects:
            state = self.network.signals[junction].state(aspects)
            if state:
                libsumo.trafficlight.setRedYellowGreenState(junction, state)
            self._aspects[junction] = aspects

    def aspects(self) -> dict[str, str]:
        """What each junction shows now."""
        return dict(self._aspects)

    def queue_veh(self, junction: str, group: str) -> int:
        """Vehicles that stand within 80 m of the stop line."""
        approach = self._approach_of[junction, group]
        if approach is None:
            return 0
        seen = self._seen
        standing = (
            (seen.edge == self._edge_place[approach])
            & (seen.vehicles["speed"] < HALTED_M_S)
            & (seen.vehicles["kind"] != WORKS)
            & (seen.to_stop_line_m < QUEUE_DETECTOR_M)
        )
        return int(np.count_nonzero(standing))

    def flow_veh_h(self, junction: str, group: str) -> float:
        """Vehicles over the stop line in the last three minutes, as an hourly rate."""
        approach = self._approach_of[junction, group]
        if approach is None:
            return 0.0
        now_s = self._steps * STEP_S
        crossed = self._crossed[approach]
        while crossed and crossed[0] <= now_s - FLOW_OVER_S:
            crossed.popleft()
        return len(crossed) * 3600.0 / max(min(FLOW_OVER_S, now_s), STEP_S)

    def vehicles(self) -> Vehicles:
        """Every vehicle on the roads: a structured array of VEHICLE; not to be written to."""
        return self._seen.vehicles

    def _count_crossings(self) -> None:
        names = list(self.network.edges)
        now_s = self._steps * STEP_S
        before = self._was_on
        on: dict[str, str] = {}
        for name, place in zip(self._seen.names, self._seen.edge.tolist(), strict=True):
            edge = names[place] if place >= 0 else ""
            on[name] = edge
            last = before.get(name, edge)
            if last != edge and last in self._crossed:
                self._crossed[last].append(now_s)
        self._was_on = on

    # -- water, rain, closures

    def set_depth(self, segment: str, depth_m: float) -> None:
        """Water over a segment: it slows, and from its depth on keeps classes out."""
        before_m = self._depths_m.get(segment, 0.0)
        if abs(depth_m - before_m) < DEPTH_STEP_M and (depth_m > 0) == (before_m > 0):
            return
        self._depths_m[segment] = depth_m
        for edge in self.network.edges_of(segment):
            self._set_speed(edge)
        self._set_permissions(segment)

    def set_rain(self, rain_mm_h: float) -> None:
        """Rain slows everybody a little."""
        if abs(rain_speed_ratio(rain_mm_h) - rain_speed_ratio(self._rain_mm_h)) > 0.002:
            self._rain_mm_h = rain_mm_h
            for edge in self.network.edges:
                self._set_speed(edge)

    def close_lane(self, segment: str, lane: int, closed: bool) -> None:
        """Close or open a lane, 1 at the kerb, in the segment's direction (or `SEG.back`)."""
        edge = self.network.edges[segment]
        if not 1 <= lane <= len(edge.lanes):
            raise ValueError(f"{segment} has no lane {lane}; expected 1 to {len(edge.lanes)}")
        works = self._works.pop((segment, lane), "")
        if works:
            libsumo.vehicle.remove(works)
        if closed:
            self._works[segment, lane] = self._put_works(edge, lane)

    def _put_works(self, edge: Edge, lane: int) -> str:
        """Barriers across the middle of a lane.

        An obstacle, because a lane that SUMO forbids over its whole length leaves those who must
        turn from it standing at the stop line for good.
        """
        self._count += 1
        name = f"works-{self._count}"
        at_m = (edge.length_m + TYPES["works"].length_m) / 2
        libsumo.vehicle.add(name, self._route((edge.id,)), typeID="works", departSpeed="0")
        libsumo.vehicle.moveTo(name, edge.lanes[lane - 1].id, at_m)
        libsumo.vehicle.setStop(name, edge.id, at_m, lane - 1, WORKS_S)
        return name

    def ban(self, segment: str, classes: Iterable[str]) -> None:
        """Keep classes (of passability.KINDS) out of a segment; with none, let all in again."""
        self._banned[segment] = tuple(sorted(classes))
        self._set_permissions(segment)

    def _set_speed(self, edge: str) -> None:
        road = self.network.edges[edge]
        dry_m_s = road.speed_m_s * rain_speed_ratio(self._rain_mm_h)
        libsumo.edge.setMaxSpeed(
            edge, min(dry_m_s, wading_speed_m_s(self._depths_m.get(road.segment, 0.0)))
        )

    def _set_permissions(self, segment: str) -> None:
        depth_m = self._depths_m.get(segment, 0.0)
        closed = EVERY_CLASS if depth_m >= CLOSED_FROM_M else classes_kept_out(depth_m)
        banned = {c for kind in self._banned.get(segment, ()) for c in CLASS_OF[kind]}
        out = tuple(c for c in EVERY_CLASS if c in banned or c in closed)
        changed = False
        for edge in self.network.edges_of(segment):
            if self._kept_out.get(edge, ()) != out:
                self._kept_out[edge] = out
                for lane in self.network.edges[edge].lanes:
                    libsumo.lane.setDisallowed(lane.id, out)
                changed = True
        if changed:
            self._reroute_around(set(self.network.edges_of(segment)))

    def _reroute_around(self, edges: set[str]) -> None:
        """Who meant to drive there finds another way, or another place to go to."""
        for name in (*self._seen.names, *libsumo.simulation.getPendingVehicles()):
            at = max(libsumo.vehicle.getRouteIndex(name), 0)
            ahead = libsumo.vehicle.getRoute(name)[at:]
            if not edges.isdisjoint(ahead[1:]) and not self._find_way(name, list(ahead)):
                self.turned_away += 1

    def _look_for_quicker_ways(self) -> None:
        """Some drivers take what is now the quickest way, once they have called where they must.

        Not by SUMO's rerouting device: it forgets the calls, ends the simulation with an error
        when one is closed, and crashed libsumo 1.28 when it was given to single vehicles.
        """
        seen = self._seen
        looks_steps = int(LOOKS_EVERY_S / STEP_S)
        for i in range(self._steps % looks_steps, len(seen.names), looks_steps):
            far = seen.edge[i] >= 0 and seen.to_stop_line_m[i] > LOOKS_BEFORE_M
            if not far or self._random.random() >= LOOKS_SHARE:
                continue
            name = seen.names[i]
            ahead = libsumo.vehicle.getRoute(name)[libsumo.vehicle.getRouteIndex(name) :]
            if len(ahead) > 2 and self._calls_at.get(name) not in ahead:
                self._find_way(name, list(ahead))

    def _find_way(self, name: str, ahead: list[str]) -> bool:
        """Give a vehicle the quickest open route, to its goal or else to another exit.

        The type is read from the name: setLateralAlignment gave the vehicle a type of its own, and
        libsumo 1.28 frees that type under it when findRoute is asked with it.
        """
        type_, here, goal = name.partition("-")[0], ahead[0], ahead[-1]
        edges = self._way(type_, here, goal)
        if not edges:  # it stands on a closed street itself, and first drives out of it
            edges = self._way(type_, ahead[1], goal)
            edges = (here, *edges) if edges else ()
        try:
            if edges:
                libsumo.vehicle.setRoute(name, edges)
        except libsumo.TraCIException:
            return False  # it is past the last place where it could have turned
        return bool(edges)

    def _way_of(self, trip: Trip) -> tuple[str, ...]:
        """A trip's route by way of its street, or straight through where there is none."""
        if trip.via and trip.via != trip.entry:
            there = self._find(trip.type, trip.entry, trip.via)
            for exit_ in (trip.exit, *self._exits_from(trip.via)) if there else ():
                back = self._find(trip.type, trip.via, exit_)
                if back and len(set(there) & set(back)) == 1:  # nobody drives in circles
                    return (*there, *back[1:])
        return self._way(trip.type, trip.entry, trip.exit)

    def _exits_from(self, edge: str) -> Iterator[str]:
        return (self._arrivals.exit_from(edge) for _ in range(ANOTHER_GOAL_TRIES))

    def _find(self, type_: str, here: str, goal: str) -> tuple[str, ...]:
        """The quickest open route; empty when there is none, or when `here` itself is closed."""
        try:
            found: tuple[str, ...] = libsumo.simulation.findRoute(here, goal, type_, -1.0, 1).edges
        except libsumo.TraCIException:
            return ()
        return found

    def _way(self, type_: str, here: str, goal: str) -> tuple[str, ...]:
        """The quickest open route to a goal or, when there is none, to another exit."""
        for exit_ in (goal, *self._exits_from(here)):
            if found := self._find(type_, here, exit_):
                return found
        return ()

    # -- vehicles that stop

    def stall_vehicle(self, segment: str, kind: str, for_s: float) -> None:
        """Let a vehicle of a kind break down in its lane: one that is there, or a new one."""
        self._breakdowns.append(_Breakdown(segment, kind, self._steps * STEP_S + for_s, ""))

    def _break_down(self) -> None:
        """Stop who is to break down; a new vehicle may have to wait for room on the road."""
        now_s = self._steps * STEP_S
        waiting = []
        for breakdown in self._breakdowns:
            over = breakdown.until_s <= now_s
            if over or breakdown.placed in self._was_on or self._stop_one(breakdown):
                continue
            placed = breakdown.placed
            if not placed or placed not in libsumo.simulation.getPendingVehicles():
                placed = self._place_stalled(breakdown)
            waiting.append(breakdown._replace(placed=placed))
        self._breakdowns = waiting

    def _stop_one(self, breakdown: _Breakdown) -> bool:
        """Stop the vehicle that is nearest to where a camera looks."""
        seen = self._seen
        edges = [self._edge_place[e] for e in self.network.edges_of(breakdown.segment)]
        there = np.isin(seen.edge, edges)
        there &= seen.vehicles["kind"] == KINDS.index(breakdown.kind)
        candidates = np.flatnonzero(there)
        away_m = np.abs(seen.to_stop_line_m[candidates] - STALL_PLACE_M)
        nearest = candidates[np.argsort(away_m, kind="stable")]
        return any(self._stop(seen.names[i], breakdown.until_s) for i in nearest)

    def _stop(self, name: str, until_s: float) -> bool:
        """Stop a vehicle where it is until a time of the simulation; False when it cannot."""
        edge, lane = libsumo.vehicle.getRoadID(name), libsumo.vehicle.getLaneIndex(name)
        if edge not in self._edge_place or libsumo.vehicle.isStopped(name):
            return False
        speed_m_s = libsumo.vehicle.getSpeed(name)
        at_m = libsumo.vehicle.getLanePosition(name) + speed_m_s**2 / 2 / BRAKING_M_S2
        at_m += speed_m_s * STEP_S + BUMPER_ROOM_M
        if at_m > self.network.edges[edge].length_m - 1.0:
            return False
        try:
            libsumo.vehicle.setStop(name, edge, at_m, lane, duration=0, until=until_s)
        except libsumo.TraCIException:
            return False
        return True

    def _place_stalled(self, breakdown: _Breakdown) -> str:
        """A new vehicle that stops on an edge as soon as there is room for it; gives its name."""
        edge = self.network.edges_of(breakdown.segment)[0]
        type_ = next(t for t, v in TYPES.items() if v.kind == breakdown.kind)
        length_m = self.network.edges[edge].length_m
        at_m = max(length_m - STALL_PLACE_M, length_m / 2)
        from_m = min(max(at_m - 15.0, TYPES[type_].length_m + 0.1), at_m)
        name = self._let_in(Trip(edge, self._arrivals.exit_from(edge), type_), from_m=from_m)
        if name:
            libsumo.vehicle.setStop(name, edge, at_m, 0, duration=0, until=breakdown.until_s)
        return name

    def _stall_in_water(self) -> None:
        for segment, depth_m in self._depths_m.items():
            chance = stall_chance_per_s(depth_m) * STEP_S
            if chance <= 0:
                continue
            for edge in self.network.edges_of(segment):
                self._stall_on(edge, chance)
        for name, edge in list(self._pushing.items()):
            if self._was_on.get(name) not in (edge, None):
                libsumo.vehicle.setMaxSpeed(name, libsumo.vehicletype.getMaxSpeed("bold"))
                del self._pushing[name]

    def _stall_on(self, edge: str, chance: float) -> None:
        """Some motorbikes in the water stand for a while, and are then pushed out of it."""
        standing = sum(e == edge for e in self._pushing.values())
        seen = self._seen
        wading = (seen.edge == self._edge_place[edge]) & (seen.vehicles["kind"] == 0)
        for i in np.flatnonzero(wading):
            if standing >= STALLED_MAX:
                return
            name = seen.names[i]
            if name in self._pushing or self._random.random() >= chance:
                continue
            until_s = self._steps * STEP_S + float(self._random.uniform(*STALL_S))
            if self._stop(name, until_s):
                libsumo.vehicle.setMaxSpeed(name, PUSHING_M_S)
                self._pushing[name] = edge
                standing += 1

    # -- who comes in

    def _let_in(self, trip: Trip, under_way: bool = False, from_m: float | None = None) -> str:
        """Add a vehicle with the quickest route it may use; gives its name, "" for no way in."""
        if len(self._was_on) >= RUNNING_MAX and from_m is None:
            self.turned_away += 1
            return ""
        edges = self._way_of(trip)
        if not edges:
            self.turned_away += 1
            return ""
        self._count += 1
        name = f"{trip.type}-{self._count}"
        libsumo.vehicle.add(
            name,
            self._route(edges),
            typeID=trip.type,
            departLane="0" if from_m is not None else "random" if under_way else "best",
            departPos="random_free" if under_way else "base" if from_m is None else str(from_m),
            departSpeed="0" if under_way or from_m is not None else "max",
        )
        if trip.via in edges[1:-1]:
            self._calls_at[name] = trip.via
        if TYPES[trip.type].kind == "motorbike":
            offset_m = self._random.uniform(-KEEPS_BESIDE_M, KEEPS_BESIDE_M)
            libsumo.vehicle.setLateralAlignment(name, f"{offset_m:.2f}")
        return name

    def _route(self, edges: tuple[str, ...]) -> str:
        route = self._routes.get(edges)
        if route is None:
            route = self._routes[edges] = f"route-{len(self._routes)}"
            libsumo.route.add(route, edges)
        return route


def _types_file(workdir: Path) -> Path:
    file = workdir / "vehicle-types.add.xml"
    rows = "".join(
        f"<vType id={quoteattr(name)} vClass={quoteattr(t.sumo_class)} length='{t.length_m}'"
        f" width='{t.width_m}' {t.attributes}/>\n"
        for name, t in TYPES.items()
    )
    file.write_text(f"<additional>\n{rows}</additional>\n")
    return file


def _start(network: Path, types: Path, seed: int) -> None:
    libsumo.start(
        [
            "sumo",
            *("--net-file", str(network), "--additional-files", str(types)),
            *("--seed", str(seed), "--step-length", str(STEP_S)),
            *("--lateral-resolution", str(LATERAL_RESOLUTION_M)),
            *("--time-to-teleport", str(TELEPORT_AFTER_S)),
            *("--ignore-junction-blocker", str(JUNCTION_BLOCKER_IGNORED_S)),
            *("--max-depart-delay", str(DEPART_DELAY_MAX_S)),
            *("--device.rerouting.adaptation-interval", "5"),
            *("--weights.random-factor", "1.3"),
            *("--ignore-route-errors", "--no-step-log", "--no-warnings"),
            *("--xml-validation", "never", "--collision.action", "none"),
        ]
    )


def _look(edge_place: dict[str, int], lengths_m: NDArray[np.float32]) -> _Seen:
    """Read every vehicle once (1.7 us each; a subscription's dictionaries take longer)."""
    vehicle = libsumo.vehicle
    names: list[str] = list(vehicle.getIDList())
    get_position, get_angle, get_speed = vehicle.getPosition, vehicle.getAngle, vehicle.getSpeed
    get_road, get_along = vehicle.getRoadID, vehicle.getLanePosition
    rows = []
    for name in names:
        type_, _, number = name.partition("-")
        kind, length_m, width_m = DRAWN[type_]
        place = get_position(name)
        row = (int(number), kind, *place, get_angle(name), get_speed(name), length_m, width_m)
        rows.append(row)
    edge = np.array([edge_place.get(get_road(n), -1) for n in names], np.int32)
    along_m = np.array([get_along(n) for n in names], np.float32)
    return _Seen(names, edge, lengths_m[edge] - along_m, np.array(rows, VEHICLE))
