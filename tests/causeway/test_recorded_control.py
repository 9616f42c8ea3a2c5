"""The city's own water cores in any weather: replayed and restored to the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.clock import NS
from causeway.engine import Core, advance, encode_cores, replay, restore_cores
from causeway.events import (
    AnyEvent,
    ControlMode,
    ControlModeChanged,
    Quality,
    ReadingsObserved,
    Step,
    Tick,
)
from causeway.site import Site, load_site
from causeway.wire import decode_step, encode_step
from control.gates import TideGates
from control.inundation.levels import StreetInundation
from control.inundation.tide import TideWatch
from control.pumps import PumpHysteresis

START_NS = 1_764_000_000 * NS
ROOT = Path(__file__).parents[2]


@cache
def city() -> Site:
    return load_site(ROOT / "sims" / "cities" / "saigon")


def fresh() -> list[Core]:
    site = city()
    return [StreetInundation(site), TideWatch(site), PumpHysteresis(site), TideGates(site)]


POINTS = sorted(
    point.id
    for point in city().points.values()
    if point.quantity in ("stage_m", "depth_m", "sump_m", "running_bool", "inside_m", "outside_m")
)
assets = st.sampled_from([pump.id for pump in city().pumps] + [gate.id for gate in city().gates])
one_reading = st.tuples(
    st.sampled_from(POINTS),
    st.integers(-40, 5),
    st.one_of(st.floats(-3, 4), st.sampled_from([0.0, 1.0])),
    st.sampled_from(Quality),
)
inputs = st.one_of(
    st.just("tick"),
    st.lists(one_reading, min_size=1, max_size=6),
    st.builds(
        lambda asset, mode: ControlModeChanged(asset=asset, mode=mode, operator="thu"),
        assets,
        st.sampled_from(ControlMode),
    ),
)
runs = st.lists(st.tuples(inputs, st.integers(0, 40)), min_size=1, max_size=40)
Run = list[tuple[str | AnyEvent | list[tuple[str, int, float, Quality]], int]]


def events_of(run: Run) -> list[tuple[AnyEvent, int]]:
    """The run's inputs and times; a reading's own time is relative to its step's."""
    at_ns = START_NS
    timed: list[tuple[AnyEvent, int]] = []
    for what, seconds in run:
        at_ns += seconds * NS
        if isinstance(what, str):
            timed.append((Tick(), at_ns))
        elif isinstance(what, list):
            points, ages_s, values, qualities = zip(*what, strict=True)
            observed = tuple(at_ns + age_s * NS for age_s in ages_s)
            timed.append(
                (
                    ReadingsObserved(
                        source="mqtt",
                        points=points,
                        observed_at_ns=observed,
                        values=values,
                        qualities=qualities,
                    ),
                    at_ns,
                )
            )
        else:
            timed.append((what, at_ns))
    return timed


def recorded(cores: Sequence[Core], run: Run) -> list[tuple[int, Step]]:
    steps = []
    for number, (event, at_ns) in enumerate(events_of(run), 1):
        step = Step("w", at_ns, advance(cores, event, number, at_ns))
        steps.append((number, decode_step(encode_step(step))))
    return steps


@settings(max_examples=60, deadline=None)
@given(runs)
def test_control_replays_to_the_same_bytes(run: Run) -> None:
    journal = recorded(fresh(), run)
    assert replay(fresh(), journal).first_difference is None


@settings(max_examples=60, deadline=None)
@given(runs, st.data())
def test_control_goes_on_from_any_snapshot_as_if_nothing_had_been(
    run: Run, data: st.DataObject
) -> None:
    cores = fresh()
    journal = recorded(cores, run)
    at = data.draw(st.integers(0, len(journal)))
    before = fresh()
    replay(before, journal[:at])
    restored = fresh()
    restore_cores(restored, encode_cores(before))
    assert replay(restored, journal[at:]).first_difference is None
    assert encode_cores(restored) == encode_cores(cores)


def test_the_runs_make_control_act() -> None:
    """Or the tests above would show nothing."""
    pump = city().pumps[0]
    point = f"{pump.station}/sump_m"
    flood: Run = [
        ([(point, 0, pump.start_m + 0.5, Quality.GOOD)], 1),
        ([(f"{pump.id}/running_bool", 0, 0.0, Quality.GOOD)], 1),
        ([("tg-phu-an/stage_m", 0, 1.62, Quality.GOOD)], 1),
        ("tick", 1),
    ]
    kinds = {type(e).__name__ for _, step in recorded(fresh(), flood) for e in step.events}
    assert {"PumpRequested", "TideLevelChanged"} <= kinds
