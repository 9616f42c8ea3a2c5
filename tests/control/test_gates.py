import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import (
    ControlMode,
    ControlModeChanged,
    ForecastIssued,
    GateRequested,
    Quality,
    Tick,
)
from control.gates import ASK_AGAIN_S, FORECAST_STALE_S, HEAD_M, READING_STALE_S, TideGates

NS = 1_000_000_000


def levels(step, outside_m, inside_m, opening_ratio, after_s=0.0, **more):
    return step.read(
        after_s,
        g_1__outside_m=outside_m,
        g_1__inside_m=inside_m,
        g_1__opening_ratio=opening_ratio,
        **more,
    )


def test_a_gate_closes_when_the_tide_stands_above_its_level_and_above_the_inside(site, bench):
    step = bench(TideGates(site))
    levels(step, 1.25, 1.0, 1.0)
    (request,) = step(Tick())
    assert (request.gate, request.opening_ratio) == ("g-1", 0.0)
    assert request.why == "outside 1.25 m, inside 1.00 m: the tide stands above 1.20 m"


def test_a_gate_stays_open_while_the_tide_is_below_its_level(site, bench):
    step = bench(TideGates(site))
    levels(step, 1.15, 1.0, 1.0)
    assert step(Tick()) == []


def test_a_gate_stays_open_while_the_inside_is_as_high_as_the_tide(site, bench):
    step = bench(TideGates(site))
    levels(step, 1.30, 1.26, 1.0)
    assert step(Tick()) == []


def test_a_closed_gate_opens_when_the_city_can_drain(site, bench):
    step = bench(TideGates(site))
    levels(step, 0.9, 1.0, 0.0)
    (request,) = step(Tick())
    assert request.opening_ratio == 1.0


def test_a_gate_gets_the_time_to_travel_before_it_is_asked_again(site, bench):
    step = bench(TideGates(site))
    levels(step, 1.25, 1.0, 1.0)
    assert len(step(Tick())) == 1
    levels(step, 1.25, 1.0, 0.4, after_s=60)
    assert step(Tick()) == []
    levels(step, 1.25, 1.0, 0.4, after_s=30 + ASK_AGAIN_S)
    assert len(step(Tick())) == 1


def test_a_gate_that_travels_is_turned_round_at_once_when_the_levels_do(site, bench):
    step = bench(TideGates(site))
    levels(step, 1.25, 1.0, 1.0)
    step(Tick())
    levels(step, 1.0, 1.2, 0.6, after_s=1)
    (request,) = step(Tick())
    assert request.opening_ratio == 1.0


def test_one_old_reading_is_enough_to_leave_the_gate_as_it_is(site, bench):
    step = bench(TideGates(site))
    levels(step, 1.25, 1.0, 1.0)
    step.read(READING_STALE_S + 1, g_1__outside_m=1.25, g_1__opening_ratio=1.0)
    assert step(Tick()) == []


def test_bad_and_overtaken_readings_are_not_taken(site, bench):
    step = bench(TideGates(site))
    levels(step, 1.25, 1.0, 1.0, after_s=10, quality=Quality.BAD)
    assert step(Tick()) == []
    levels(step, 1.0, 1.0, 1.0)
    levels(step, 1.4, 1.0, 1.0, after_s=1, late_s=5)
    assert step(Tick()) == []


def test_a_gate_in_manual_mode_is_not_asked(site, bench):
    step = bench(TideGates(site))
    step(ControlModeChanged(asset="g-1", mode=ControlMode.MANUAL, operator="an"))
    levels(step, 1.25, 1.0, 1.0)
    assert step(Tick()) == []


def test_a_gate_given_back_by_a_person_is_asked_at_once(site, bench):
    step = bench(TideGates(site))
    levels(step, 1.25, 1.0, 1.0)
    step(Tick())
    step(ControlModeChanged(asset="g-1", mode=ControlMode.MANUAL, operator="an"))
    step(ControlModeChanged(asset="g-1", mode=ControlMode.AUTOMATIC, operator="an"))
    assert len(step(Tick(), after_s=1)) == 1


METRES = st.floats(0.0, 2.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(seen=st.lists(st.tuples(METRES, METRES, st.floats(0, 1)), min_size=1, max_size=40))
def test_a_gate_is_closed_and_opened_by_its_rules_only(site, bench, seen):
    step = bench(TideGates(site))
    gate = site.gates[0]
    for outside_m, inside_m, opening in seen:
        levels(step, outside_m, inside_m, opening, after_s=5)
        for request in step(Tick()):
            assert isinstance(request, GateRequested)
            if request.opening_ratio == 0.0:
                assert outside_m >= gate.closing_m
                assert outside_m > inside_m + HEAD_M
            else:
                assert outside_m < inside_m - HEAD_M


# --- closed early ---------------------------------------------------------------------------------


def tide(step, minutes, stage_m, ago_s=0.0, point="tg-phu-an/stage_m"):
    """A forecast with its crest in so many minutes, made a while ago."""
    return ForecastIssued(
        point=point,
        model="test",
        issued_at_ns=step.at_ns - int(ago_s * NS),
        lead_s=(0, minutes * 60, minutes * 120),
        values=(0.2, stage_m, 0.3),
    )


@pytest.fixture
def early(site, bench):
    (gate,) = site.gates
    closes_early = msgspec.structs.replace(gate, closes_early=True)
    return bench(TideGates(msgspec.structs.replace(site, gates=(closes_early,))))


def test_a_gate_closes_early_on_the_way_up_to_a_tide_over_its_level(early):
    early(tide(early, 150, 1.4))
    levels(early, 0.5, 0.4, 1.0)
    (request,) = early(Tick())
    assert request.opening_ratio == 0.0
    assert request.why == "outside 0.50 m, inside 0.40 m: 1.40 m expected in 150 min, closed early"


def test_it_stays_open_as_long_as_the_canal_can_drain_and_opens_when_it_can_again(early):
    early(tide(early, 150, 1.4))
    levels(early, 0.4, 0.38, 1.0)
    assert early(Tick()) == []
    levels(early, 0.4, 0.5, 0.0, after_s=1)
    assert [r.opening_ratio for r in early(Tick())] == [1.0]


def test_no_gate_closes_early_for_a_low_tide_an_old_forecast_or_another_gauge(early):
    levels(early, 0.5, 0.4, 1.0)
    early(tide(early, 150, 1.1))
    early(tide(early, 150, 1.4, point="sg-1/depth_m"))
    assert early(Tick()) == []
    early(tide(early, 150, 1.4, ago_s=FORECAST_STALE_S + 1))
    assert early(Tick()) == []
    early(tide(early, 150, 1.4))
    assert len(early(Tick())) == 1


def test_a_gate_that_may_not_close_early_does_not(site, bench):
    step = bench(TideGates(site))
    step(tide(step, 150, 1.4))
    levels(step, 0.5, 0.4, 1.0)
    assert step(Tick()) == []


def test_an_early_closing_comes_back_with_the_state(early, site, bench):
    early(tide(early, 150, 1.4))
    levels(early, 0.5, 0.4, 1.0)
    (gate,) = site.gates
    sites = msgspec.structs.replace(site, gates=(msgspec.structs.replace(gate, closes_early=True),))
    other = bench(TideGates(sites))
    other.core.restore(early.core.encode())
    assert other.core.encode() == early.core.encode()
    assert len(other(Tick())) == 1
