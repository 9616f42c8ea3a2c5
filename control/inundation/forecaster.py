"""Forecasts which streets will be under water: an ensemble of SWMM runs from what was observed.

In come readings as they arrive; out comes, for an instant, an `InundationForecast`, and a
`ForecastIssued` for each gauge it has something to say of. Each member believes another city
(`model.Unknowns`), has a state of its own, which is brought up to the instant with the observed
rain, tide, plants and levels, and is then run ahead with its own nowcast and its own tide.
`hydraulics.py` runs SWMM, `worker.py` keeps the time.

Laws of this file:
1. A forecast uses only what has been taken before it is issued.
2. A model whose restart from a saved state is not the unbroken run is not restarted: each forecast
   then begins `WARM_UP_S` before the instant (`restarts`).
3. What is missing or not believed widens the forecast and is named in it; nothing ends it.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from causeway.events import (
    OUTLOOK_DEPTHS_M,
    FloodCause,
    ForecastIssued,
    InundationForecast,
    PassageOutlook,
    Quality,
    ReadingsObserved,
    StreetOutlook,
)
from causeway.site import Site
from control.inundation.gauged import levels_of, points_of
from control.inundation.hydraulics import Hydraulics, Observed, Plants, Ran, RunFailed, Weather
from control.inundation.levels import in_force
from control.inundation.model import DrainageModel, Member, Unknowns
from control.inundation.passability import Limit, limits
from control.inundation.rainfall import Field, believed, nowcast

NS = 1_000_000_000
MODEL, RIVER = "swmm_ensemble", "tide_outlook"
MEMBERS = 30
MEMBERS_MIN = 8  # with fewer no quantile means anything
AHEAD_S = 3 * 3_600
TIDE_AHEAD_S = 6 * 3_600  # where the river may then come over the lowest street
FREEBOARD_M = 0.1
STEP_S = 300  # of the forecast
MINUTE_S = 60  # of what is observed
WARM_UP_S = 4 * 3_600
CATCH_UP_S = 3_600  # a state that is older is not worth bringing up
KEPT_S = 6 * 3_600
SILENT_S = 600  # so long a last value stands for a gauge
LEAD_EVERY = 2  # of the steps is told
SHOWN_M = 0.03  # less is wet asphalt
RESTART_ERROR_M = 1e-3
PAVED_SD, WIDTH_SD, ROUGHNESS_SD, RAIN_SD = 0.08, 0.20, 0.12, 0.20  # of the logarithms
USED = 1.1  # a sewer in use is so much rougher than when it was built
SILTED, SILTED_TO = 0.25, 2.5  # share of conduits, and the most that silt adds to the roughness
QUIET_MEMBERS = 8  # where so many stay dry everywhere and it does not rain, all others would
QUIET_MM_H = 1.0
LOW, MEDIAN, HIGH = 0.1, 0.5, 0.9
UPPER = 0.75  # the member that causes are found with: wetter than so many
CAUSE_SHARE = 0.7  # what keeps so much of the peak away is a cause of it
DRY_STAGE_M = 0.0  # of a low tide: a river that lets all gates drain
ALERT_DEPTH = 1  # of OUTLOOK_DEPTHS_M: onsets are of its

Array = NDArray[np.float64]


class TideOutlook(Protocol):
    """How the river may go on."""

    def hindcast_m(self, at_ns: NDArray[np.int64]) -> Array:
        """What it was, where no gauge says."""

    def paths_m(
        self,
        times_ns: NDArray[np.int64],
        observed_ns: NDArray[np.int64],
        observed_m: Array,
        members: int,
        rng: np.random.Generator,
    ) -> Array:
        """Members' levels (members, times), from observations up to now."""


class ForecastFailed(Exception):
    """Too few members could be run."""


class _Series:
    """The newest readings of one point, one a minute."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, float]] = deque(maxlen=KEPT_S // MINUTE_S)

    def take(self, at_ns: int, value: float) -> None:
        minute = at_ns // (MINUTE_S * NS)
        if self._rows and self._rows[-1][0] // (MINUTE_S * NS) >= minute:
            if at_ns > self._rows[-1][0]:
                self._rows[-1] = (at_ns, value)
            return
        self._rows.append((at_ns, value))

    def at(self, times_ns: NDArray[np.int64], silent_s: float = SILENT_S) -> Array:
        """The last value at or before each time, NaN where it is older than `silent_s`."""
        if not self._rows:
            return np.full(len(times_ns), np.nan)
        known = np.array([row[0] for row in self._rows])
        values = np.array([row[1] for row in self._rows])
        place = np.searchsorted(known, times_ns, side="right") - 1
        age_ns = times_ns - known[np.maximum(place, 0)]
        return np.where((place >= 0) & (age_ns <= silent_s * NS), values[place], np.nan)

    @property
    def rows(self) -> tuple[NDArray[np.int64], Array]:
        return (
            np.array([row[0] for row in self._rows], np.int64),
            np.array([row[1] for row in self._rows], float),
        )


class Ensemble(NamedTuple):
    """Depths (members, steps, streets) ahead of an instant, and who is meant.

    The river's `stage_m` (members, all steps of TIDE_AHEAD_S) begins at the instant.
    """

    lead_s: Array
    depth_m: Array
    stage_m: Array
    streets: tuple[str, ...]
    causes: list[FloodCause]
    inputs: str
    faults: tuple[str, ...]


class Stretch(NamedTuple):
    """What one member is run ahead with."""

    weather: Weather
    plants: Plants


class Forecaster:
    """The ensemble of one city."""

    def __init__(
        self,
        site: Site,
        model: DrainageModel,
        tide: TideOutlook,
        folder: Path,
        *,
        members: int = MEMBERS,
        seed: int = 1,
        assimilates: bool = True,
    ) -> None:
        self._site = site
        self._tide = tide
        self._assimilates = assimilates
        self._folder = folder
        self._hydraulics = Hydraulics(site, model, folder)
        self._rng = np.random.default_rng(seed)
        self._members = [_member(model, self._rng, i) for i in range(members)]
        self._nodes = {n.id: n for n in site.nodes}
        self.streets = tuple(s.id for s in site.segments if s.node in model.surfaces)
        self._lacking = _lacking(site, model, self._hydraulics)
        self._street_nodes = tuple(str(s.node) for s in site.segments if s.id in set(self.streets))
        self._ground_m = np.array([self._nodes[n].ground_m for n in self._street_nodes])
        self._levels = tuple(x for x in levels_of(site) if x.node in model.surfaces)
        self._rain_gauges = [g for g in site.gauges if "rain_mm_h" in g.quantities]
        places = [place or site.centre for place in model.gage_places]
        self._field = Field([g.at for g in self._rain_gauges], places)
        fitted = {tide.gauge for tide in site.tides if tide.surge is not None}
        tides = [g.id for g in site.gauges if g.kind == "tide"]
        tides.sort(key=lambda gauge: gauge not in fitted)
        self._stage_points = [f"{gauge}/stage_m" for gauge in tides]
        self._series: dict[str, _Series] = {p: _Series() for p in points_of(site)}
        self._state_at_ns: int | None = None
        self._settings: list[dict[str, float]] = []
        self._restarts: bool | None = None

    def take(self, readings: ReadingsObserved) -> None:
        """Readings as they were journalled; those that are not believed are passed over."""
        for point, at_ns, value, quality in zip(
            readings.points,
            readings.observed_at_ns,
            readings.values,
            readings.qualities,
            strict=True,
        ):
            series = self._series.get(point)
            if series is not None and quality in (Quality.GOOD, Quality.UNCERTAIN):
                series.take(at_ns, value)

    # --- a forecast ------------------------------------------------------------------------------

    def issue(
        self, at_ns: int, goes_on: Callable[[], bool] = lambda: True
    ) -> tuple[InundationForecast, list[ForecastIssued]]:
        """The forecast of an instant; raises ForecastFailed.

        `goes_on` is asked before each member: when it says no, those that have run must do.
        """
        ensemble = self.run(at_ns, goes_on)
        return self.told(at_ns, ensemble)

    def told(
        self, at_ns: int, ensemble: Ensemble
    ) -> tuple[InundationForecast, list[ForecastIssued]]:
        """What an ensemble says, street by street and gauge by gauge."""
        depth_m, leads = ensemble.depth_m, ensemble.lead_s
        told = slice(LEAD_EVERY - 1, None, LEAD_EVERY)
        lead_s = tuple(int(lead) for lead in leads[told])
        stops = limits(in_force(self._site.inundation_levels, at_ns))
        outlooks = [
            _outlook(street, depth_m[:, :, place], leads, told, ensemble.causes[place], stops)
            for place, street in enumerate(ensemble.streets)
            if depth_m[:, :, place].max() >= SHOWN_M
        ]
        forecast = InundationForecast(
            issued_at_ns=at_ns,
            lead_s=lead_s,
            members=len(depth_m),
            streets=tuple(outlooks),
            inputs=ensemble.inputs,
            faults=ensemble.faults,
        )
        return forecast, list(self._of_gauges(at_ns, ensemble, lead_s, told))

    def run(self, at_ns: int, goes_on: Callable[[], bool] = lambda: True) -> Ensemble:
        """Bring all members up to an instant and run them ahead; raises ForecastFailed."""
        if self._restarts is None:
            self._restarts = self._restarts_exactly(at_ns)
        used, rain_faults = self._gauges_at(at_ns)
        count = len(self._members)
        self._catch_up(at_ns, used)
        times_ns = at_ns + np.arange(TIDE_AHEAD_S // STEP_S, dtype=np.int64) * STEP_S * NS
        river_m = self._stages(times_ns, count)
        steps = self._steps_ahead(river_m)
        recent = self._rain(at_ns, WARM_UP_S // 4)
        lead_s = np.asarray((np.arange(steps) + 0.5) * STEP_S, np.float64)
        rain = nowcast(recent, used, lead_s, count, self._rng)
        faulty = self._faulty(at_ns)
        stretches = [
            self._stretch(number, rain[number], river_m[number], faulty, used)
            for number in range(count)
        ]
        quiet = not recent.size or np.nan_to_num(recent).max() < QUIET_MM_H
        depths: list[Array] = []
        for number, stretch in enumerate(stretches):
            dry = len(depths) >= QUIET_MEMBERS and quiet and max(d.max() for d in depths) < SHOWN_M
            if dry or (depths and not goes_on()):
                break
            with suppress(RunFailed):
                depths.append(self._depths(number, at_ns, stretch, used))
        if len(depths) < min(MEMBERS_MIN, count):
            raise ForecastFailed(f"{len(depths)} of {count} members ran; {MEMBERS_MIN} are needed")
        depth_m = np.array(depths)
        causes = self._causes(depth_m, at_ns, stretches, used)
        inputs, faults = self._said(at_ns, used, rain_faults, faulty)
        if len(depths) < count and not (quiet and depth_m.max() < SHOWN_M):
            faults = (*faults, f"{len(depths)} of {count} members ran in the time there was")
        leads = (np.arange(steps) + 1.0) * STEP_S
        return Ensemble(
            np.asarray(leads, np.float64), depth_m, river_m, self.streets, causes, inputs, faults
        )

    def _steps_ahead(self, stages: Array) -> int:
        """How far to look: further where the river may come over the lowest street."""
        near = AHEAD_S // STEP_S
        lowest_m = self._ground_m.min(initial=np.inf) - FREEBOARD_M
        return stages.shape[1] if stages[:, near:].max(initial=-np.inf) >= lowest_m else near

    def _stretch(
        self,
        number: int,
        rain_mm_h: Array,
        stage_m: Array,
        faulty: frozenset[str],
        used: Sequence[int],
    ) -> Stretch:
        """What one member expects of the sky, the river and the plants, as far as its rain goes."""
        fell = self._field.over(
            rain_mm_h * self._members[number][1].rain, used or range(rain_mm_h.shape[1])
        )
        near_m, crest_m = stage_m[: len(fell)], float(stage_m.max())
        weather = Weather(STEP_S, near_m, fell, crest_m)
        return Stretch(weather, Plants(self._settings[number], faulty))

    def _depths(self, number: int, at_ns: int, stretch: Stretch, used: Sequence[int]) -> Array:
        """One member ahead: the streets' depths (steps, streets)."""
        ran = self._ahead(number, at_ns, stretch, used)
        return np.asarray(np.maximum(ran.head_m - self._ground_m, 0.0), np.float64)

    def _ahead(self, number: int, at_ns: int, stretch: Stretch, used: Sequence[int]) -> Ran:
        member, unknowns = self._members[number]
        weather, plants = stretch
        nodes = self._street_nodes
        if self._restarts:
            start = self._state(number)
            return self._hydraulics.run(member, at_ns, weather, plants, nodes, start=start)
        begins_ns = at_ns - WARM_UP_S * NS
        before = self._past(begins_ns, at_ns, used, unknowns, STEP_S)
        whole = Weather(
            STEP_S,
            np.concatenate([before.stage_m, weather.stage_m]),
            np.concatenate([before.rain_mm_h, weather.rain_mm_h]),
            weather.crest_m,
        )
        ran = self._hydraulics.run(member, begins_ns, whole, plants, nodes)
        return ran._replace(head_m=ran.head_m[len(before.stage_m) :])

    # --- the state -------------------------------------------------------------------------------

    def _catch_up(self, at_ns: int, used: Sequence[int]) -> None:
        """Bring each member's state to an instant, with what was observed in between."""
        begins_ns = self._state_at_ns
        if not self._restarts:
            self._settings = [self._observed_settings(at_ns) for _ in self._members]
            return
        if begins_ns is None or not 0 <= at_ns - begins_ns <= CATCH_UP_S * NS:
            begins_ns = self._warm_up(at_ns, used)
        if at_ns - begins_ns < MINUTE_S * NS:
            return
        seen = self._observed_settings(at_ns)
        ends_ns = begins_ns
        failed: list[int] = []
        for number, (member, unknowns) in enumerate(self._members):
            weather = self._past(begins_ns, at_ns, used, unknowns, MINUTE_S)
            ends_ns = begins_ns + weather.seconds * NS
            plants = Plants(self._settings[number] | seen, frozenset(seen))
            state = self._state(number)
            observed = self._observed(begins_ns, weather) if self._assimilates else None
            try:
                ran = self._hydraulics.run(
                    member,
                    begins_ns,
                    weather,
                    plants,
                    (),
                    start=state,
                    end=state,
                    observed=observed,
                )
            except RunFailed:
                failed.append(number)
            else:
                self._settings[number] = ran.settings
        self._state_at_ns = ends_ns
        self._start_again(failed)

    def _start_again(self, failed: Sequence[int]) -> None:
        """Give members that could not be run another's state; raises ForecastFailed without any."""
        sound = [n for n in range(len(self._members)) if n not in failed]
        if not sound:
            self._state_at_ns = None
            raise ForecastFailed("no member could be brought up to now")
        for place, number in enumerate(failed):
            other = sound[place % len(sound)]
            shutil.copyfile(self._state(other), self._state(number))
            self._settings[number] = dict(self._settings[other])

    def _warm_up(self, at_ns: int, used: Sequence[int]) -> int:
        """From a dry city to a state near an instant, once for all members; gives its time."""
        begins_ns = at_ns - WARM_UP_S * NS
        member, unknowns = self._members[0]
        weather = self._past(begins_ns, at_ns - STEP_S * NS, used, unknowns, MINUTE_S)
        opened = {g.id: 1.0 for g in self._hydraulics.gates}
        state = self._state(0)
        ran = self._hydraulics.run(member, begins_ns, weather, Plants(opened), (), end=state)
        for number in range(1, len(self._members)):
            shutil.copyfile(state, self._state(number))
        self._settings = [dict(ran.settings) for _ in self._members]
        return begins_ns + weather.seconds * NS

    def _restarts_exactly(self, at_ns: int) -> bool:
        """Whether this model, stopped amid a storm and restarted, runs as if it had not been."""
        member = self._members[0][0]
        steps = 12
        stage = np.linspace(0.0, 1.2, steps)
        rain = np.full((steps, len(self._field_places())), 40.0)
        plants = Plants({g.id: 1.0 for g in self._hydraulics.gates})
        state, half = self._folder / "gate.hsf", steps // 2
        nodes = self._street_nodes
        whole = self._hydraulics.run(member, at_ns, Weather(STEP_S, stage, rain), plants, nodes)
        first = Weather(STEP_S, stage[:half], rain[:half], crest_m=float(stage.max()))
        stopped = self._hydraulics.run(member, at_ns, first, plants, nodes, end=state)
        second = Weather(STEP_S, stage[half:], rain[half:])
        again = self._hydraulics.run(
            member,
            at_ns + first.seconds * NS,
            second,
            Plants(stopped.settings),
            nodes,
            start=state,
        )
        off_m = np.abs(whole.head_m[half:] - again.head_m).max(initial=0.0)
        return bool(off_m <= RESTART_ERROR_M)

    def _field_places(self) -> range:
        return range(len(self._field.over(np.zeros((1, len(self._rain_gauges))), [])[0]))

    def _state(self, number: int) -> Path:
        return self._folder / f"member-{number}.hsf"

    # --- what was observed -----------------------------------------------------------------------

    def _past(
        self, begins_ns: int, ends_ns: int, used: Sequence[int], unknowns: Unknowns, step_s: int
    ) -> Weather:
        """Rain and tide as observed, in whole steps; a tide that no gauge saw is reckoned."""
        steps = max(1, int((ends_ns - begins_ns) // (step_s * NS)))
        times_ns = begins_ns + np.arange(steps, dtype=np.int64) * step_s * NS
        gauges = self._rain_at(times_ns + step_s * NS)
        rain = self._field.over(gauges * unknowns.rain, used)
        return Weather(step_s, self._stage_at(times_ns), rain)

    def _rain(self, at_ns: int, seconds: int) -> Array:
        """The gauges' last minutes (minutes, gauges), NaN where they said nothing."""
        minutes = seconds // MINUTE_S
        return self._rain_at(at_ns - np.arange(minutes)[::-1] * MINUTE_S * NS)

    def _rain_at(self, times_ns: NDArray[np.int64]) -> Array:
        columns = [
            self._series[f"{g.id}/rain_mm_h"].at(times_ns, 3 * MINUTE_S) for g in self._rain_gauges
        ]
        return np.array(columns, float).reshape(len(columns), len(times_ns)).T

    def _stage_at(self, times_ns: NDArray[np.int64]) -> Array:
        seen = [self._series[p].at(times_ns, 2 * STEP_S) for p in self._stage_points]
        reckoned = self._tide.hindcast_m(times_ns)
        for column in seen:
            reckoned = np.where(np.isnan(column), reckoned, column)
        return reckoned

    def _stages(self, times_ns: NDArray[np.int64], members: int) -> Array:
        known, levels = (
            self._series[self._stage_points[0]].rows
            if self._stage_points
            else (np.zeros(0, np.int64), np.zeros(0))
        )
        fresh = known <= times_ns[0]
        return self._tide.paths_m(times_ns, known[fresh], levels[fresh], members, self._rng)

    def _observed(self, begins_ns: int, weather: Weather) -> Observed:
        times_ns = begins_ns + np.arange(1, len(weather.stage_m) + 1) * weather.step_s * NS
        columns = [self._series[x.point].at(times_ns) + x.above_m for x in self._levels]
        heads = np.array(columns, float).reshape(len(self._levels), len(times_ns)).T
        for place, level in enumerate(self._levels):
            if level.is_depth:  # of 0: the water is somewhere below the ground
                heads[:, place][heads[:, place] <= level.above_m + SHOWN_M] = np.nan
        return Observed(tuple(x.node for x in self._levels), heads)

    def _observed_settings(self, at_ns: int) -> dict[str, float]:
        now = np.array([at_ns])
        seen = {p.id: self._series[f"{p.id}/running_bool"].at(now)[0] for p in self._site.pumps}
        seen |= {g.id: self._series[f"{g.id}/opening_ratio"].at(now)[0] for g in self._site.gates}
        return {id_: float(value) for id_, value in seen.items() if value == value}

    def _faulty(self, at_ns: int) -> frozenset[str]:
        """Pumps and gates that say they have a fault: they are expected to stay as they are."""
        now = np.array([at_ns])
        ids = [*(p.id for p in self._site.pumps), *(g.id for g in self._site.gates)]
        return frozenset(i for i in ids if self._series[f"{i}/fault_bool"].at(now)[0] == 1.0)

    def _gauges_at(self, at_ns: int) -> tuple[tuple[int, ...], dict[str, str]]:
        names = [g.id for g in self._rain_gauges]
        return believed(names, self._rain(at_ns, 30 * MINUTE_S))

    # --- what is said ----------------------------------------------------------------------------

    def _causes(
        self, depth_m: Array, at_ns: int, stretches: Sequence[Stretch], used: Sequence[int]
    ) -> list[FloodCause]:
        """Without what each street would stay dry: the middle member again, without it."""
        peaks = depth_m.max(axis=1)
        alert_m = OUTLOOK_DEPTHS_M[ALERT_DEPTH]
        if (peaks > alert_m).mean(axis=0).max(initial=0.0) < LOW:
            return [FloodCause.UNKNOWN] * depth_m.shape[2]
        wetness = peaks.sum(axis=1)
        number = int(np.argsort(wetness)[int(len(wetness) * UPPER)])
        weather, plants = stretches[number]
        no_rain = weather._replace(rain_mm_h=np.zeros_like(weather.rain_mm_h))
        low_tide = weather._replace(
            stage_m=np.minimum(weather.stage_m, DRY_STAGE_M), crest_m=DRY_STAGE_M
        )
        sound = plants._replace(held=frozenset())
        try:
            tide_m, rain_m, sound_m = (
                self._depths(number, at_ns, Stretch(*other), used).max(axis=0)
                for other in ((no_rain, plants), (low_tide, plants), (weather, sound))
            )
        except RunFailed:
            return [FloodCause.UNKNOWN] * depth_m.shape[2]
        causes = []
        for place, peak_m in enumerate(peaks[number]):
            least_m = min(alert_m, CAUSE_SHARE * peak_m)
            by_tide, by_rain = tide_m[place] >= least_m, rain_m[place] >= least_m
            if peak_m < SHOWN_M:
                causes.append(FloodCause.UNKNOWN)
            elif plants.held and sound_m[place] < least_m:
                causes.append(FloodCause.PUMP_FAILURE)
            elif by_tide is not by_rain:
                causes.append(FloodCause.TIDE if by_tide else FloodCause.RAIN)
            elif by_tide and weather.stage_m.max() < self._ground_m[place]:
                causes.append(FloodCause.RAIN)  # it is there already, and no tide could bring it
            else:
                causes.append(FloodCause.BOTH)
        return causes

    def _of_gauges(
        self, at_ns: int, ensemble: Ensemble, lead_s: tuple[int, ...], told: slice
    ) -> Iterator[ForecastIssued]:
        river_m = np.median(ensemble.stage_m, axis=0)
        for point in self._stage_points[:1]:
            yield ForecastIssued(
                point=point,
                model=RIVER,
                issued_at_ns=at_ns,
                lead_s=tuple(range(0, STEP_S * len(river_m), STEP_S * LEAD_EVERY)),
                values=tuple(round(float(m), 3) for m in river_m[::LEAD_EVERY]),
            )
        place_of = {street: place for place, street in enumerate(ensemble.streets)}
        for gauge in self._site.gauges:
            if gauge.kind == "street" and gauge.segment in place_of:
                depths = ensemble.depth_m[:, told, place_of[gauge.segment]]
                if depths.max() >= SHOWN_M:
                    yield ForecastIssued(
                        point=f"{gauge.id}/depth_m",
                        model=MODEL,
                        issued_at_ns=at_ns,
                        lead_s=lead_s,
                        values=tuple(round(float(m), 3) for m in np.median(depths, axis=0)),
                    )

    def _said(
        self,
        at_ns: int,
        used: Sequence[int],
        rain_faults: dict[str, str],
        faulty: frozenset[str],
    ) -> tuple[str, tuple[str, ...]]:
        now = np.array([at_ns])
        stages = sum(not np.isnan(self._series[p].at(now)[0]) for p in self._stage_points)
        heard = sum(not np.isnan(self._series[x.point].at(now)[0]) for x in self._levels)
        inputs = (
            f"rain {len(used)} of {len(self._rain_gauges)} gauges, tide {stages} of "
            f"{len(self._stage_points)}, levels {heard} of {len(self._levels)}"
        )
        faults = [f"{gauge} {why}" for gauge, why in rain_faults.items()]
        faults += [f"{thing} has a fault: stays as it is" for thing in sorted(faulty)]
        if self._lacking:
            faults.append(f"not in the model: {', '.join(self._lacking)}")
        if not self._rain_gauges:
            faults.append("no rain gauge: no rain is expected")
        if stages == 0:
            faults.append("no tide gauge: the tide is reckoned")
        if not self._restarts:
            faults.append("the model cannot be restarted: each forecast begins 4 h before")
        return inputs, tuple(faults)


def _lacking(site: Site, model: DrainageModel, city: Hydraulics) -> list[str]:
    """What the site has and the model does not: it is forecast as if it were not there."""
    assets = [p.id for p in site.pumps if p not in city.pumps]
    assets += [g.id for g in site.gates if g not in city.gates]
    nodes = (s.node for s in site.segments if s.node is not None)
    streets = sum(node not in model.surfaces for node in nodes)
    return [*assets, *([f"{streets} streets"] if streets else [])]


def _member(model: DrainageModel, rng: np.random.Generator, number: int) -> tuple[Member, Unknowns]:
    """One believed city; the first believes the model."""
    paved, width, roughness, rain = map(
        float, np.exp(rng.normal(size=4) * (PAVED_SD, WIDTH_SD, ROUGHNESS_SD, RAIN_SD))
    )
    conduits = len(model.conduits)
    silt = 1.0 + (rng.random(conduits) < SILTED) * rng.uniform(0.0, SILTED_TO - 1.0, conduits)
    unknowns = Unknowns(paved, width, roughness * USED, rain, silt) if number else Unknowns()
    return model.written(unknowns), unknowns


def _outlook(
    street: str,
    depth_m: Array,
    leads: Array,
    told: slice,
    cause: FloodCause,
    stops: tuple[Limit, ...],
) -> StreetOutlook:
    """One street's part, from its members' depths (members, steps)."""
    low, median, high = (
        tuple(round(float(m) * 100) for m in row)
        for row in np.quantile(depth_m[:, told], (LOW, MEDIAN, HIGH), axis=0)
    )
    peaks = depth_m.max(axis=1)
    over = tuple(round(float((peaks > depth).mean()), 3) for depth in OUTLOOK_DEPTHS_M)
    _, onset_s, end_s = _spell(depth_m > OUTLOOK_DEPTHS_M[ALERT_DEPTH], leads)
    return StreetOutlook(
        segment=street,
        low_cm=low,
        median_cm=median,
        high_cm=high,
        over=over,
        peak_cm=round(float(np.median(peaks)) * 100),
        onset_s=onset_s,
        end_s=end_s,
        cause=cause,
        closed=tuple(_passages(depth_m, leads, stops)),
    )


def _passages(depth_m: Array, leads: Array, stops: tuple[Limit, ...]) -> Iterator[PassageOutlook]:
    """Who is expected not to pass, from when to when; the model's streets have no velocities."""
    for stop in stops:
        share, from_s, until_s = _spell(depth_m >= stop.depth_m, leads)
        if from_s is not None:
            ends = until_s if until_s is not None and until_s < leads[-1] else None
            yield PassageOutlook(stop.kind, round(share, 3), from_s, ends)


def _spell(having: NDArray[np.bool_], leads: Array) -> tuple[float, int | None, int | None]:
    """Of members (members, steps): the share that has it at all, and the median first and last
    lead of those; None where they are too few."""
    members = having.any(axis=1)
    share = float(members.mean())
    if share < LOW:
        return share, None, None
    first = having[members].argmax(axis=1)
    last = having.shape[1] - 1 - having[members][:, ::-1].argmax(axis=1)
    return share, int(np.median(leads[first])), int(np.median(leads[last]))
