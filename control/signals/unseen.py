"""What is where a junction's detectors are silent or lie: an estimate, so that nobody is forgotten.

A vehicle that has stood through green enough for every way that it could go is none: its detector
lies. A lane on which none was ever seen, or none for far longer than its traffic makes likely, is
not taken to be empty: its queue is reckoned from a flow, red and green. The flow is at first its
own, or so small that the lane has its turn now and then. Vehicles that come onto the exits without
having been seen before, while it has green, raise it, and their absence lowers it, as far as the
exits' detectors are known to count.
"""

from __future__ import annotations

import numpy as np

from control.signals.layout import Layout
from control.signals.observed import VEHICLE_M, Observed, Vehicle
from control.signals.service import GOES, SATURATION_VEH_S, WAITS, Floats, Frame

STILL_M_S, STILL_M = 0.1, 1.0
GHOST_AFTER_S = 20.0  # of clear green, for one at the stop line
START_WAVE_S = 1.5  # and so much more for each vehicle that may stand before it
PERMISSIVE_GREEN = 0.15  # worth of a second in which one may only go through gaps
SILENT_VEH = 12.0  # so many should have come: e^-12 is the chance of a working detector's silence
SILENT_LEAST_S = 120
FLOW_VEH_S = 0.015  # at first, of a lane that has shown nobody: its turn comes now and then
PRIOR_VEH = 2.0  # by so many what is taken at first counts
EXIT_DEAD_VEH = 5  # so many went there, and its detector counted none of them
EXIT_SILENT = 0.25  # worth of an exit's evidence that never counted anybody: it may be dead too
UNITS_OVER_S = 60
QUEUE_MAX_VEH = 30.0
SWEEP_EVERY_S = 5


class Unseen:
    """Of one junction; rows are movements in the order of `Frame`, lanes as in the layout."""

    def __init__(self, layout: Layout, frame: Frame) -> None:
        lanes = len(layout.lanes)
        self._layout = layout
        self._frame = frame
        self._zones = {lane.id: number for number, lane in enumerate(layout.lanes)}
        self._clear_s = np.zeros(len(frame.exit))  # green that each movement has had, in all
        self._still: dict[str, tuple[float, Floats]] = {}
        self._moved: set[str] = set()  # of those in view: what has moved is a vehicle
        self.ghosts: set[str] = set()
        self._seconds = 0
        self._seen_veh = np.zeros(lanes)
        self._units_per_veh = 1.0
        self._last_s = np.full(lanes, -1)
        self._tracks: dict[str, int] = {}
        self._unexplained_veh = np.zeros(lanes)
        self._judged_s = np.zeros(lanes)  # time whose vehicles, if any, would have come out
        self._since_s = np.zeros(lanes)  # the last time that the reckoned queue was gone
        self._counted = np.zeros(len(layout.exits) + 1)  # by each exit's detector
        self._crossed = np.zeros(len(layout.exits) + 1)  # into it, as seen from the stop lines
        self.unknown = np.ones(lanes, np.bool_)
        self.queue_veh = np.zeros(lanes)
        self.flow_veh_s = np.zeros(lanes)

    def see(self, seen: Observed) -> tuple[Vehicle, ...]:
        """Take in one second; gives the vehicles that are believed."""
        self._seconds += 1
        green = self._green(seen)
        self._clear_s += green
        self._watch_standing(seen)
        vehicles = tuple(v for v in seen.vehicles if v.track not in self.ghosts)
        self._count(seen, vehicles)
        if self._seconds % SWEEP_EVERY_S == 0:
            self._doubt()
        self._reckon(seen, green)
        return vehicles

    def _green(self, seen: Observed) -> Floats:
        """(M) 1 where a movement may go and its exit has room, less where it must find gaps."""
        if seen.yellow_left_s:
            return np.zeros(len(self._frame.exit))
        aspect = self._frame.aspect[seen.stage]
        clear = [out.is_clear for out in seen.outs]
        worth = np.where(aspect == GOES, 1.0, np.where(aspect == WAITS, PERMISSIVE_GREEN, 0.0))
        green: Floats = worth * np.array([*clear, True])[self._frame.exit]  # a crossing's is last
        return green

    def _watch_standing(self, seen: Observed) -> None:
        still: dict[str, tuple[float, Floats]] = {}
        moved: set[str] = set()
        for vehicle in seen.vehicles:
            if vehicle.speed_m_s > STILL_M_S or vehicle.track in self._moved:
                moved.add(vehicle.track)
                self.ghosts.discard(vehicle.track)
                continue
            at_m, since = self._still.get(vehicle.track, (-1e9, self._clear_s))
            if abs(at_m - vehicle.distance_m) > STILL_M:
                self.ghosts.discard(vehicle.track)
                at_m, since = vehicle.distance_m, self._clear_s.copy()
            still[vehicle.track] = (at_m, since)
            if self._seconds % SWEEP_EVERY_S == 0 and vehicle.track not in self.ghosts:
                had_s = min(
                    float((self._clear_s - since)[self._rows(lane)].min()) for lane in vehicle.lanes
                )
                if had_s > GHOST_AFTER_S + START_WAVE_S * at_m / VEHICLE_M:
                    self.ghosts.add(vehicle.track)
                    if (lane_of := self._zones.get(vehicle.zone)) is not None:
                        self._seen_veh[lane_of], self._last_s[lane_of] = 0.0, -1
        self._still, self._moved = still, moved
        if len(self.ghosts) > len(still):
            self.ghosts &= still.keys()

    def _rows(self, lane: int) -> slice:
        return slice(int(self._frame.first[lane]), int(self._frame.first[lane + 1]))

    def _count(self, seen: Observed, vehicles: tuple[Vehicle, ...]) -> None:
        if vehicles:
            units = sum(vehicle.units for vehicle in vehicles) / len(vehicles)
            self._units_per_veh += (units - self._units_per_veh) / UNITS_OVER_S
        tracks: dict[str, int] = {}
        for vehicle in vehicles:
            lane = self._zones.get(vehicle.zone)
            if lane is not None:
                tracks[vehicle.track] = lane
                self._seen_veh[lane] += self._tracks.get(vehicle.track) != lane
                self._last_s[lane] = self._seconds
        for crossing in seen.crossed:
            self._last_s[self._layout.movements[crossing.movement].lane] = self._seconds
        self._tracks = tracks

    def _doubt(self) -> None:
        """Which lanes are not known now, and what flow they are taken to have."""
        rate = self._seen_veh / self._seconds
        silent_s = self._seconds - self._last_s
        self.unknown = (self._last_s < 0) | (
            (silent_s > SILENT_LEAST_S) & (silent_s * rate > SILENT_VEH)
        )
        prior = np.maximum(rate, FLOW_VEH_S)
        over_s = self._judged_s + np.where(self._unexplained_veh > 0, self._since_s, 0.0)
        flow = (PRIOR_VEH + self._unexplained_veh) / (PRIOR_VEH / prior + over_s)
        self.flow_veh_s = np.where(self.unknown, flow * self._units_per_veh, 0.0)

    def _reckon(self, seen: Observed, green: Floats) -> None:
        self.queue_veh = np.where(self.unknown, self.queue_veh + self.flow_veh_s, 0.0)
        np.minimum(self.queue_veh, QUEUE_MAX_VEH, out=self.queue_veh)
        entered = np.array([float(out.entered) for out in seen.outs])
        self._counted[:-1] += entered
        for crossing in seen.crossed:
            exit_ = self._layout.movements[crossing.movement].exit
            self._crossed[exit_] += 1
            entered[exit_] -= 1
        deaf = (self._counted == 0) & (self._crossed >= EXIT_DEAD_VEH)
        worth = np.where(self._counted > 0, 1.0, np.where(deaf, 0.0, EXIT_SILENT))
        for number in np.flatnonzero(self.unknown):
            lane, rows = int(number), self._rows(int(number))
            self._since_s[lane] += 1
            rate = float(green[rows].mean()) * SATURATION_VEH_S
            if rate <= 0.0:
                continue
            self.queue_veh[lane] = max(0.0, self.queue_veh[lane] - rate)
            if self.queue_veh[lane] <= 0.0:
                told = float(worth[self._frame.exit[rows]][green[rows] > 0].mean())
                self._judged_s[lane] += self._since_s[lane] * told
                self._since_s[lane] = 0.0
            for row in range(rows.start, rows.stop):
                exit_ = self._frame.exit[row]
                if green[row] > 0 and entered[exit_] > 0:
                    self._unexplained_veh[lane] += 1
                    entered[exit_] -= 1
