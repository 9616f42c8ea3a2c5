"""Every core of control: restored equals continued, whatever happened."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.engine import advance, encode_cores, restore_cores
from causeway.events import (
    Address,
    AlarmAcknowledgeRequested,
    AlarmShelveRequested,
    AlarmUnshelveRequested,
    CameraHealth,
    CameraHealthObserved,
    ClosureDecided,
    CommandConfirmed,
    CommandUnconfirmed,
    ControlMode,
    ControlModeRequested,
    EngineStarted,
    IncidentDetected,
    IncidentEnded,
    IncidentKind,
    Interval,
    LightingObserved,
    LightingRequested,
    Quality,
    ReadingsObserved,
    SignalMode,
    SignalOverride,
    SignalOverrideRequested,
    SignalsObserved,
    SignalState,
    SignObserved,
    SignRequested,
    SourceLost,
    SourceReached,
    StagePlan,
    StagePlanningLost,
    StageRequested,
    StagesPlanned,
    Tick,
    WatchdogObserved,
)
from control.alarms import Alarms
from control.closures import Closures
from control.gates import TideGates
from control.inundation.basin_alerts import BasinAlerts
from control.inundation.levels import StreetInundation
from control.inundation.standing import StandingWater
from control.inundation.tide import TideWatch
from control.lighting import LightingCommands, StreetLighting
from control.modes import ControlModes
from control.pumps import PumpHysteresis
from control.signals.adaptive import AdaptiveSignals
from control.signals.greedy import GreedySignals
from control.signals.overrides import SignalOverrides
from control.signals.safety import SignalSafety
from control.signs import Signs

CORES = (
    ControlModes,
    TideWatch,
    StreetInundation,
    StandingWater,
    BasinAlerts,
    Closures,
    PumpHysteresis,
    TideGates,
    GreedySignals,
    SignalOverrides,
    AdaptiveSignals,
    SignalSafety,
    StreetLighting,
    LightingCommands,
    Signs,
    Alarms,
)
START_NS = 1_763_980_800_000_000_000
ASSETS = ["j-01", "p-1", "p-2", "g-1", "vms-1", "vms-2", "lc-1", "plc-1", "tg-phu-an", "nobody"]
TAGS = ["FLOOD-rd-1", "FLOOD-rd-2", "TIDE-tg-phu-an", "PUMP-p-1", "SRC-plc-1", "CMD-p-1", "x"]
POINTS = {
    "tg-phu-an/stage_m": (1.2, 1.8),
    "sg-1/depth_m": (0.0, 0.8),
    "sg-2/depth_m": (0.0, 0.8),
    "ps-1/sump_m": (-1.5, 1.0),
    "p-1/running_bool": (0, 1),
    "p-1/fault_bool": (0, 1),
    "g-1/inside_m": (0.5, 1.8),
    "g-1/outside_m": (0.5, 1.8),
    "g-1/opening_ratio": (0.0, 1.0),
    "j-01/n/queue_veh": (0, 20),
    "j-01/e/queue_veh": (0, 20),
    "nobody/stage_m": (0, 1),
}


@st.composite
def readings(draw):
    points = draw(st.lists(st.sampled_from(list(POINTS)), min_size=1, max_size=8, unique=True))
    count = len(points)
    times = st.integers(START_NS - 10**9, START_NS + 600 * 10**9)
    values = []
    for point in points:
        low, high = POINTS[point]
        span = st.integers(low, high) if isinstance(low, int) else st.floats(low, high)
        values.append(float(draw(span)))
    return ReadingsObserved(
        source="mqtt",
        points=tuple(points),
        observed_at_ns=tuple(draw(st.lists(times, min_size=count, max_size=count))),
        values=tuple(values),
        qualities=tuple(draw(st.lists(st.sampled_from(Quality), min_size=count, max_size=count))),
    )


ASSET = st.sampled_from(ASSETS)
TAG = st.sampled_from(TAGS)
BY = st.sampled_from(["operator:an", "signals", "closures", "lighting"])
TEXT = st.sampled_from(["", "NGẬP 35 CM", "X" * 30])
SIGN = st.sampled_from(["vms-1", "vms-2", "vms-9"])
SEQUENCE = st.integers(0, 65_535)
INPUTS = st.one_of(
    st.just(Tick()),
    readings(),
    st.just(EngineStarted(version="1", site_hash="")),
    st.builds(
        lambda state: SignalsObserved(states=(state,)),
        st.builds(
            SignalState,
            junction=st.sampled_from(["j-01", "j-09"]),
            observed_at_ns=st.just(1),
            stage=st.sampled_from(["ns", "ew", ""]),
            interval=st.sampled_from(Interval),
            aspects=st.sampled_from(["GGrr", "rrGG", "GGGG", ""]),
            mode=st.sampled_from(SignalMode),
            sequence=SEQUENCE,
            fault=st.sampled_from(["", "lamp"]),
        ),
    ),
    st.builds(ControlModeRequested, asset=ASSET, mode=st.sampled_from(ControlMode), operator=TEXT),
    st.builds(
        ClosureDecided,
        segment=st.sampled_from(["rd-1", "rd-2", "rd-9"]),
        approved=st.booleans(),
        operator=st.just("an"),
    ),
    st.builds(SignObserved, sign=SIGN, observed_at_ns=st.just(1), text=TEXT, sequence=SEQUENCE),
    st.builds(SignRequested, sign=SIGN, text=TEXT, by=BY),
    st.builds(
        LightingObserved,
        circuit=st.sampled_from(["lc-1", "lc-9"]),
        observed_at_ns=st.just(1),
        level_ratio=st.floats(0, 1),
        sequence=SEQUENCE,
    ),
    st.builds(LightingRequested, circuit=st.just("lc-1"), level_ratio=st.floats(-1, 2), by=BY),
    st.builds(StageRequested, junction=st.just("j-01"), stage=st.sampled_from(["ns", "ew"]), by=BY),
    st.builds(
        StagesPlanned,
        plans=st.lists(
            st.builds(
                StagePlan,
                junction=st.sampled_from(["j-01", "j-09"]),
                observed_at_ns=st.integers(START_NS, START_NS + 600 * 10**9),
                stage=st.sampled_from(["ns", "ew", ""]),
                hold_s=st.integers(0, 9),
                following=st.sampled_from(["ns", "ew", ""]),
                cost_veh_s=st.just(3.0),
                other=st.just(""),
                other_cost_veh_s=st.just(0.0),
            ),
            max_size=2,
        ).map(tuple),
    ),
    st.builds(StagePlanningLost, junctions=st.sampled_from([(), ("j-01",)]), why=TEXT),
    st.builds(
        SignalOverrideRequested,
        junction=st.sampled_from(["j-01", "j-09"]),
        action=st.sampled_from(SignalOverride),
        for_s=st.floats(-1, 100),
        operator=st.just("an"),
    ),
    st.builds(SourceLost, source=ASSET, why=st.just("")),
    st.builds(SourceReached, source=ASSET),
    st.builds(WatchdogObserved, plc=ASSET, taken_over=st.booleans(), observed_at_ns=st.just(1)),
    st.builds(
        CommandUnconfirmed,
        command=st.just(Address(1, 1)),
        target=ASSET,
        sequence=st.just(1),
        why=st.just(""),
    ),
    st.builds(
        CommandConfirmed,
        command=st.just(Address(1, 1)),
        target=ASSET,
        sequence=st.just(1),
        took_ns=st.just(1),
    ),
    st.builds(
        CameraHealthObserved,
        camera=st.just("cam-1"),
        health=st.sampled_from(CameraHealth),
        observed_at_ns=st.just(1),
    ),
    st.builds(
        IncidentDetected,
        incident=st.sampled_from("abc"),
        kind=st.sampled_from(IncidentKind),
        camera=st.just("cam-1"),
        first_seen_at_ns=st.just(1),
        confidence=st.just(0.5),
        why=st.just(""),
    ),
    st.builds(IncidentEnded, incident=st.sampled_from("abc"), observed_at_ns=st.just(1)),
    st.builds(AlarmAcknowledgeRequested, alarm=TAG, operator=st.just("an")),
    st.builds(AlarmShelveRequested, alarm=TAG, operator=st.just("an"), for_s=st.floats(0, 30_000)),
    st.builds(AlarmUnshelveRequested, alarm=TAG, operator=st.just("an")),
)
HAPPENINGS = st.lists(st.tuples(st.floats(0, 90), INPUTS), min_size=1, max_size=60)


def run(cores, happenings, number=0, at_ns=START_NS):
    """The steps of a small engine without journal and clock."""
    steps = []
    for after_s, event in happenings:
        number += 1
        at_ns += int(after_s * 1e9)
        steps.append(advance(cores, event, number, at_ns))
    return steps, number, at_ns


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
    deadline=None,
)
@given(before=HAPPENINGS, after=HAPPENINGS)
def test_cores_that_were_restored_go_on_as_those_that_never_stopped(site, before, after):
    continued = [core(site) for core in CORES]
    _, number, at_ns = run(continued, before)
    states = encode_cores(continued)
    restored = [core(site) for core in CORES]
    restore_cores(restored, states)
    assert encode_cores(restored) == states
    assert run(restored, after, number, at_ns) == run(continued, after, number, at_ns)
    assert encode_cores(restored) == encode_cores(continued)


@pytest.mark.parametrize("core", CORES)
def test_a_core_is_named_and_hears_something(site, core):
    assert core(site).name
    assert core(site).hears


def test_no_two_cores_share_a_name(site):
    assert len({core(site).name for core in CORES}) == len(CORES)


@pytest.mark.parametrize("core", CORES)
def test_an_unreadable_state_is_refused(site, core):
    with pytest.raises(msgspec.DecodeError):
        core(site).restore(b"\xc1not a state")
