"""A made-up evening of the demo's city, as inputs of the engine: what some benchmarks measure on.

Every second each detector, gauge, PLC and signal controller speaks, as it does in the field, and is
gathered as `ingest/mqtt.py` gathers; water rises and roads fill, slowly enough to be plausible and
far enough that alarms, closures, signs and pumps have work. Controllers and pumps do as commanded.
Same seed, same inputs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from causeway.engine import Core, advance
from causeway.events import (
    Address,
    AnyCommand,
    AnyEvent,
    CommandSent,
    EngineStarted,
    Interval,
    PumpCommanded,
    Quality,
    ReadingsReceived,
    SignalMode,
    SignalsObserved,
    SignalState,
    SignObserved,
    StageCommanded,
    Step,
    Tick,
    TrafficMeasured,
    target_of,
)
from causeway.site import Junction, Point, Site, load_site

NS = 1_000_000_000
START_NS = 1_763_980_800 * NS
GATHERED = 16  # readings in a step, as messages of one reading are gathered
SIGNALS_GATHERED = 8
SIGN_EVERY_S = 10
SITE = Path(__file__).parents[1] / "sims" / "cities" / "saigon"


def city() -> Site:
    """The demo's."""
    return load_site(SITE)


class Evening:
    """The city's inputs, second by second, and what it does when commanded."""

    def __init__(self, site: Site, seed: int = 1) -> None:
        self._site = site
        self._random = random.Random(seed)
        self._points = list(site.points.values())
        self._values = {p.id: _start(p) for p in self._points}
        self._stages = {j.id: (j.stages[0], 0) for j in site.junctions}
        self._sent: list[CommandSent] = []

    def second(self, n: int) -> Iterator[AnyEvent]:
        """What comes in during the n-th second, in the order in which it comes."""
        at_ns = START_NS + n * NS
        sent, self._sent = self._sent, []
        yield from sent
        for start in range(0, len(self._points), GATHERED):
            yield self._readings(self._points[start : start + GATHERED], at_ns)
        for start in range(0, len(self._site.junctions), SIGNALS_GATHERED):
            junctions = self._site.junctions[start : start + SIGNALS_GATHERED]
            yield SignalsObserved(states=tuple(self._signal(j, at_ns) for j in junctions))
        for camera in self._site.cameras:
            share = 0.5 + 0.4 * math.sin(n / 300 + len(camera.id))
            yield TrafficMeasured(
                camera=camera.id,
                observed_at_ns=at_ns,
                occupancy_ratio=share,
                moving_ratio=1 - share,
                speed_px_s=80 * (1 - share),
                frames=2,
            )
        if n % SIGN_EVERY_S == 0:
            for sign in self._site.signs:
                yield SignObserved(sign=sign.id, observed_at_ns=at_ns, text="")
        yield Tick()

    def hear(self, number: int, step: Step) -> None:
        """Send and obey what is commanded in a step."""
        for index, event in enumerate(step.events):
            if not isinstance(event, AnyCommand):
                continue
            target = target_of(event)
            address = Address(number, index)
            self._sent.append(CommandSent(command=address, target=target, sequence=event.sequence))
            if isinstance(event, StageCommanded):
                junction = next(j for j in self._site.junctions if j.id == target)
                stage = next(stage for stage in junction.stages if stage.id == event.stage)
                self._stages[target] = (stage, event.sequence)
            elif isinstance(event, PumpCommanded):
                self._values[f"{target}/running_bool"] = float(event.run)

    def _signal(self, junction: Junction, at_ns: int) -> SignalState:
        stage, sequence = self._stages[junction.id]
        aspects = "".join("G" if group.id in stage.green else "r" for group in junction.groups)
        mode, green = SignalMode.CENTRE, Interval.GREEN
        return SignalState(junction.id, at_ns, stage.id, green, aspects, mode, sequence)

    def _readings(self, points: Sequence[Point], at_ns: int) -> ReadingsReceived:
        return ReadingsReceived(
            source="mqtt",
            points=tuple(p.id for p in points),
            observed_at_ns=(at_ns,) * len(points),
            values=tuple(self._next(p) for p in points),
            qualities=(Quality.GOOD,) * len(points),
        )

    def _next(self, point: Point) -> float:
        """A slow walk within the point's limits, upwards on the whole; a switch stays as it is."""
        value = self._values[point.id]
        if point.quantity.endswith("_bool"):
            return value
        step = (point.max - point.min) / 2_000
        if point.rate_max_per_s is not None:
            step = min(step, point.rate_max_per_s / 4)
        value += step * self._random.uniform(-0.2, 1.0)
        self._values[point.id] = value = min(max(value, point.min), point.max)
        return round(value, 4)


def recorded(cores: Sequence[Core], site: Site, seconds: int) -> list[Step]:
    """The steps that an engine with these cores writes of the evening."""
    evening = Evening(site)
    steps: list[Step] = []

    def take(event: AnyEvent, at_ns: int) -> None:
        number = len(steps) + 1
        steps.append(Step("bench", at_ns, advance(cores, event, number, at_ns)))
        evening.hear(number, steps[-1])

    take(EngineStarted(version="bench", site_hash=site.hash), START_NS)
    for n in range(seconds):
        for event in evening.second(n):
            take(event, START_NS + n * NS)
    return steps


def _start(point: Point) -> float:
    if point.quantity.endswith("_bool"):
        return 1.0 if point.quantity == "remote_bool" else 0.0
    return point.min + 0.4 * (point.max - point.min) if point.min < 0 else 0.1 * point.max
