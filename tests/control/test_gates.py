from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import ControlMode, ControlModeChanged, GateRequested, Quality, Tick
from control.gates import ASK_AGAIN_S, HEAD_M, READING_STALE_S, TideGates


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
