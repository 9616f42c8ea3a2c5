"""Runs the city's traffic in libsumo: mostly motorbikes, side by side in their lanes.

In come the time, signal aspects, water depths, rain, closed lanes and bans; out go queues and flows
as detectors would give them, and every vehicle's place as an array. `city.py` makes the network,
`demand.py` says who arrives, `routes.py` by which way, `passability.py` who gets through water,
`standstill.py` who stops; `cameras.py` draws them.

Laws of this file:
1. One simulation for a process: libsumo is global. The caller's process is a child of its own.
2. The same site, demand, seed and calls give the same traffic.
3. Nothing waits for ever: who cannot get in, find a way or move on is turned away and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import libsumo
import numpy as np
from numpy.typing import NDArray

from causeway.road_users import PERSONS
from causeway.site import Site
from sims.city import Edge, Network, build_network
from sims.demand import Arrivals, Trip
from sims.observed import Observer, Seen
from sims.passability import (
    CLASS_OF,
    CLOSED_FROM_M,
    EVERY_CLASS,
    KINDS,
    classes_kept_out,
    rain_speed_ratio,
    wading_speed_m_s,
)
from sims.routes import Routes
from sims.scenario import Scenario
from sims.standstill import BRAKING_M_S2, Standstill
from sims.vehicle_types import TYPES, WORKS, Vehicles, types_file

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
DEPTH_STEP_M = 0.005  # a smaller change of the water changes nobody's driving
WORKS_S = 1e6  # until the lane is opened again
WORKS_AFTER_S = 8.0  # who turns into the lane as it is closed is by then out of the junction
WORKS_GAP_M = 1.5  # between barriers: nobody fits in
WORKS_CLEAR_M = 8.0  # of both ends of the street: who turns there needs the corner
ABOARD = np.array([PERSONS[kind] for kind in KINDS])
KEEPS_BESIDE_M = 1.2  # how far from the middle of its lane a motorbike likes to ride


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
        self.delay_veh_s = (
            0.0  # against driving at the dry road's limit, those who wait to enter too
        )
        self.delay_person_s = 0.0
        self.on_the_road_veh_s = 0.0
        self.demand_factor = 1.0
        seed = scenario.seed if seed is None else seed
        self._arrivals = Arrivals(
            self.network, scenario.traffic, seed, frozenset(c.segment for c in site.cameras)
        )
        self._routes = Routes(self._arrivals)
        self._standstill = Standstill(self.network, seed, STEP_S, self._place)
        self._observer = Observer(self.network)
        self._limits_m_s = np.array([e.speed_m_s for e in self.network.edges.values()], np.float32)
        self._random = np.random.default_rng([seed, 1])
        self._start_ns = scenario.start_ns
        self._steps = 0
        self._count = 0
        self._approach_of = {
            (junction, group): approach
            for junction, signals in self.network.signals.items()
            for group, approach in zip(signals.groups, signals.approaches, strict=True)
        }
        self._crossed: dict[str, deque[float]] = {
            e: deque(maxlen=4_000) for e in self._approach_of.values() if e is not None
        }
        self._was_on: dict[str, str] = {}
        self._sorted_of: Seen | None = None  # what `_order` and `_first` are of
        self._order = np.empty(0, np.int64)
        self._first = np.empty(0, np.int64)
        self._depths_m: dict[str, float] = {}
        self._banned: dict[str, tuple[str, ...]] = {}
        self._works: dict[tuple[str, int], list[str]] = {}  # the barriers that stand
        # From when on and where others are to stand.
        self._works_due: dict[tuple[str, int], tuple[float, deque[float]]] = {}
        self._kept_out: dict[str, tuple[str, ...]] = {}
        self._calls_at: dict[str, str] = {}
        self._rain_mm_h = 0.0
        self._aspects: dict[str, str] = {}
        _start(self.network.file, types_file(workdir), seed)
        for junction, signals in self.network.signals.items():
            self.set_aspects(junction, "o" * len(signals.groups))
        for trip in self._arrivals.first():
            self._let_in(trip, under_way=True)
        self._seen = self._observer.look()

    def close(self) -> None:
        """End the simulation; the process may then start another."""
        libsumo.close()

    @property
    def at_ns(self) -> int:
        """The time of the last step taken."""
        return self._start_ns + int(self._steps * STEP_S * NS)

    @property
    def steps(self) -> int:
        """How many of STEP_S have been taken."""
        return self._steps

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
        self._standstill.step(self._seen, self._was_on, self._depths_m, self._steps * STEP_S)
        self._look_for_quicker_ways()
        self._put_works()
        libsumo.simulationStep()
        self._steps += 1
        arrived = libsumo.simulation.getArrivedIDList()
        self._standstill.forget(arrived)
        for name in arrived:
            self._calls_at.pop(name, None)
        self._seen = self._observer.look()
        self._count_crossings()
        self._count_delay()

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
            (seen.edge == self._observer.place_of[approach])
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

    def seen(self) -> Seen:
        """Every vehicle and where it is, after the last step; not to be written to."""
        return self._seen

    def rows_on(self, edge: str) -> NDArray[np.int64]:
        """The rows of `seen()` that are on an edge."""
        place = self._observer.place_of[edge]
        if self._sorted_of is not self._seen:
            self._sorted_of = self._seen
            self._order = np.argsort(self._seen.edge, kind="stable")
            places = np.arange(len(self._observer.edges) + 1)
            self._first = np.searchsorted(self._seen.edge[self._order], places)
        return self._order[self._first[place] : self._first[place + 1]]

    def edge_of(self, name: str) -> str | None:
        """On which edge a vehicle is: "" within a junction, None where there is no such one."""
        return self._was_on.get(name)

    def lane_of(self, name: str) -> int:
        """A vehicle's lane, 0 at the kerb."""
        lane: int = libsumo.vehicle.getLaneIndex(name)
        return max(0, lane)

    def _count_delay(self) -> None:
        seen = self._seen
        on_edge = (seen.edge >= 0) & (seen.vehicles["kind"] != WORKS)
        speeds = seen.vehicles["speed"][on_edge]
        lost = np.clip(1.0 - speeds / self._limits_m_s[seen.edge[on_edge]], 0.0, 1.0) * STEP_S
        waiting = [n.partition("-")[0] for n in libsumo.simulation.getPendingVehicles()]
        kinds = [KINDS.index(TYPES[type_].kind) for type_ in waiting if type_ != "works"]
        self.delay_veh_s += float(lost.sum()) + len(kinds) * STEP_S
        self.delay_person_s += float((lost * ABOARD[seen.vehicles["kind"][on_edge]]).sum())
        self.delay_person_s += float(ABOARD[kinds].sum()) * STEP_S
        self.on_the_road_veh_s += len(speeds) * STEP_S

    def _count_crossings(self) -> None:
        names = self._observer.edges
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
        """Close or open a lane, 1 at the kerb, in the segment's direction (or `SEG.back`).

        Who drives in it gets over to the next one. A turn that only this lane leads to is closed
        with it: without another way its drivers would stand at the stop line for good.
        """
        edge = self.network.edges[segment]
        if not 1 <= lane <= len(edge.lanes):
            raise ValueError(f"{segment} has no lane {lane}; expected 1 to {len(edge.lanes)}")
        for works in self._works.pop((segment, lane), ()):
            libsumo.vehicle.remove(works)
        self._works_due.pop((segment, lane), None)
        if closed:
            self._works[segment, lane] = []
            from_s = self._steps * STEP_S + WORKS_AFTER_S
            self._works_due[segment, lane] = (from_s, deque(_works_places_m(edge.length_m)))
        self._set_lane(edge, lane)
        lanes = [n for n in range(1, len(edge.lanes) + 1) if (segment, n) not in self._works]
        links = [link for n in lanes for link in libsumo.lane.getLinks(edge.lanes[n - 1].id)]
        self._routes.turns_left[segment] = {libsumo.lane.getEdgeID(link[0]) for link in links}
        if len(lanes) == len(edge.lanes):
            del self._routes.turns_left[segment]
        if closed:
            self._reroute(self._routes.is_cut)

    def _put_works(self) -> None:
        """Set up each closed lane's barriers, each once its place is free of vehicles."""
        for (segment, lane), (from_s, places_m) in self._works_due.items():
            edge = self.network.edges[segment]
            if self._steps * STEP_S < from_s:
                continue
            while places_m and _is_free(edge.lanes[lane - 1].id, places_m[0]):
                at_m = places_m.popleft()
                self._count += 1
                name = f"works-{self._count}"
                _add(name, "works", (segment,), departSpeed="0")
                libsumo.vehicle.moveTo(name, edge.lanes[lane - 1].id, at_m)
                libsumo.vehicle.setStop(name, segment, at_m, lane - 1, WORKS_S)
                self._works[segment, lane].append(name)

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
                for lane in range(1, len(self.network.edges[edge].lanes) + 1):
                    self._set_lane(self.network.edges[edge], lane)
                changed = True
        if changed:
            edges = set(self.network.edges_of(segment))
            self._reroute(lambda way: not edges.isdisjoint(way[1:]))

    def _set_lane(self, edge: Edge, lane: int) -> None:
        """Keep out of a lane whom its edge keeps out, and everybody where it is closed."""
        closed = (edge.id, lane) in self._works
        kept_out = EVERY_CLASS if closed else self._kept_out.get(edge.id, ())
        libsumo.lane.setDisallowed(edge.lanes[lane - 1].id, kept_out)

    def _reroute(self, blocked: Callable[[tuple[str, ...]], bool]) -> None:
        """Whose way ahead is blocked finds another way, or another place to go to."""
        for name in (*self._seen.names, *libsumo.simulation.getPendingVehicles()):
            if name.startswith("works-"):  # it goes nowhere, and may just have been removed
                continue
            at = max(libsumo.vehicle.getRouteIndex(name), 0)
            ahead = libsumo.vehicle.getRoute(name)[at:]
            if blocked(ahead) and not self._routes.redirect(name, list(ahead)):
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
                self._routes.redirect(name, list(ahead))

    # -- vehicles that stop

    def stall_vehicle(self, segment: str, kind: str, for_s: float) -> None:
        """Let a vehicle of a kind break down in its lane: one that is there, or a new one."""
        if not self._standstill.order(segment, kind, self._steps * STEP_S + for_s):
            self.turned_away += 1

    # -- who comes in

    def _place(self, type_: str, edge: str, lane: int, from_m: float) -> str:
        """A new vehicle somewhere on a lane, as soon as there is room; gives its name or ""."""
        return self._let_in(Trip(edge, self._arrivals.exit_from(edge), type_), at=(lane, from_m))

    def _let_in(
        self, trip: Trip, under_way: bool = False, at: tuple[int, float] | None = None
    ) -> str:
        """Add a vehicle with the quickest route it may use; gives its name, "" for no way in."""
        if len(self._was_on) >= RUNNING_MAX and at is None:
            self.turned_away += 1
            return ""
        edges = self._routes.of_trip(trip)
        if not edges:
            self.turned_away += 1
            return ""
        self._count += 1
        name = f"{trip.type}-{self._count}"
        _add(
            name,
            trip.type,
            edges,
            departLane=str(at[0]) if at else "random" if under_way else "best",
            departPos=str(at[1]) if at else "random_free" if under_way else "base",
            departSpeed="0" if under_way or at else "max",
        )
        calls = [call for call in trip.calls if call in edges]
        if calls:
            self._calls_at[name] = calls[-1]
        if TYPES[trip.type].kind == "motorbike":
            offset_m = self._random.uniform(-KEEPS_BESIDE_M, KEEPS_BESIDE_M)
            libsumo.vehicle.setLateralAlignment(name, f"{offset_m:.2f}")
        return name


def _works_places_m(length_m: float) -> list[float]:
    """Where the fronts of barriers stand that close a lane; one, if need be, on a short street."""
    long_m = TYPES["works"].length_m
    last_m = max(length_m - WORKS_CLEAR_M, min((length_m + long_m) / 2, length_m))
    count = int((last_m - WORKS_CLEAR_M - long_m) // (long_m + WORKS_GAP_M)) + 1
    return [last_m - i * (long_m + WORKS_GAP_M) for i in reversed(range(max(count, 1)))]


def _is_free(lane: str, front_m: float) -> bool:
    """Whether a barrier can be put there: no vehicle is there or too fast to stop before it."""
    back_m = front_m - TYPES["works"].length_m
    for name in libsumo.lane.getLastStepVehicleIDs(lane):
        at_m = libsumo.vehicle.getLanePosition(name)
        speed_m_s = libsumo.vehicle.getSpeed(name)
        stops_m = at_m + speed_m_s * STEP_S + speed_m_s**2 / 2 / BRAKING_M_S2
        if back_m < stops_m + WORKS_GAP_M and at_m - libsumo.vehicle.getLength(name) < front_m:
            return False
    return True


def _add(name: str, type_: str, edges: tuple[str, ...], **departure: str) -> None:
    """Add a vehicle with a route of its own, which goes when the vehicle goes."""
    libsumo.route.add(name, edges)
    libsumo.vehicle.add(name, name, typeID=type_, **departure)
    libsumo.route.remove(name)


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
