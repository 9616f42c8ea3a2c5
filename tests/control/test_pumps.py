from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import (
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    PumpRequested,
    Quality,
    Tick,
)
from control.pumps import ASK_AGAIN_S, READING_STALE_S, PumpHysteresis


def wanted(answers):
    return [(a.pump, a.run) for a in answers if isinstance(a, PumpRequested)]


def test_a_rising_sump_brings_in_one_pump_after_the_other(site, bench):
    step = bench(PumpHysteresis(site))
    step.read(ps_1__sump_m=0.1, p_1__running_bool=0.0, p_2__running_bool=0.0)
    assert wanted(step(Tick())) == [("p-1", True)]
    step.read(1, ps_1__sump_m=0.3, p_1__running_bool=1.0)
    assert wanted(step(Tick())) == [("p-2", True)]


def test_between_its_levels_a_pump_stays_as_it_is(site, bench):
    step = bench(PumpHysteresis(site))
    step.read(ps_1__sump_m=-0.5, p_1__running_bool=1.0, p_2__running_bool=0.0)
    assert step(Tick()) == []


def test_a_pump_stops_at_its_stop_level_and_says_why(site, bench):
    step = bench(PumpHysteresis(site))
    step.read(ps_1__sump_m=-1.0, p_1__running_bool=1.0, p_2__running_bool=0.0)
    (request,) = step(Tick())
    assert (request.pump, request.run) == ("p-1", False)
    assert request.why == "sump -1.00 m <= stop -1.00 m"


def test_a_request_without_effect_is_repeated_after_a_pause(site, bench):
    step = bench(PumpHysteresis(site))
    high = {"ps_1__sump_m": 0.1, "p_1__running_bool": 0.0, "p_2__running_bool": 0.0}
    step.read(**high)
    assert len(step(Tick())) == 1
    step.read(ASK_AGAIN_S - 1, **high)
    assert step(Tick()) == []
    step.read(1, **high)
    assert len(step(Tick())) == 1


def asked_in(seconds, step, interlock, level_m=0.1):
    """How often p-1 is asked for, each time refused."""
    asked = 0
    for _ in range(seconds):
        step.read(1, ps_1__sump_m=level_m, p_1__running_bool=0.0, p_2__running_bool=0.0)
        for pump, _run in wanted(step(Tick())):
            asked += 1
            step(CommandRefused(target=pump, interlock=interlock, why="", by="pumps"))
    return asked


def test_what_is_refused_again_and_again_is_asked_for_ever_less(site, bench):
    step = bench(PumpHysteresis(site))
    assert asked_in(3_600, step, "power_limit") <= 16
    assert asked_in(10, step, "power_limit", level_m=-0.5) == 0  # it is not wanted any more
    assert asked_in(60, step, "power_limit") >= 2


def test_what_only_time_refuses_is_asked_for_as_often_as_ever(site, bench):
    step = bench(PumpHysteresis(site))
    assert asked_in(120, step, "rest_time") == 120 / ASK_AGAIN_S


def test_nothing_is_asked_on_old_bad_or_missing_readings(site, bench):
    step = bench(PumpHysteresis(site))
    step.read(ps_1__sump_m=0.1)
    assert step(Tick()) == []  # nobody knows whether the pump runs
    step.read(1, quality=Quality.BAD, p_1__running_bool=0.0)
    assert step(Tick()) == []
    step.read(1, p_1__running_bool=0.0)
    assert step(Tick(), after_s=READING_STALE_S + 1) == []


def test_a_reading_that_was_overtaken_changes_nothing(site, bench):
    step = bench(PumpHysteresis(site))
    step.read(10, ps_1__sump_m=-0.5, p_1__running_bool=0.0, p_2__running_bool=0.0)
    step.read(1, late_s=5, ps_1__sump_m=0.5)
    assert step(Tick()) == []


def test_a_pump_in_manual_mode_is_not_asked(site, bench):
    step = bench(PumpHysteresis(site))
    step(ControlModeChanged(asset="p-1", mode=ControlMode.MANUAL, operator="an"))
    step.read(ps_1__sump_m=0.1, p_1__running_bool=0.0, p_2__running_bool=0.0)
    assert step(Tick()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(levels=st.lists(st.floats(-1.5, 1.0), min_size=1, max_size=60))
def test_a_pump_starts_only_at_its_start_level_and_stops_only_at_its_stop_level(
    site, bench, levels
):
    step = bench(PumpHysteresis(site))
    running = {"p-1": False, "p-2": False}
    for level_m in levels:
        step.read(
            30,
            ps_1__sump_m=level_m,
            p_1__running_bool=float(running["p-1"]),
            p_2__running_bool=float(running["p-2"]),
        )
        for pump, run in wanted(step(Tick())):
            asset = next(p for p in site.pumps if p.id == pump)
            assert run is not running[pump]
            assert level_m >= asset.start_m if run else level_m <= asset.stop_m
            running[pump] = run
        for asset in site.pumps:
            if level_m >= asset.start_m:
                assert running[asset.id]
            if level_m <= asset.stop_m:
                assert not running[asset.id]
