import pytest

from causeway.events import (
    ControlMode,
    ControlModeChanged,
    EngineStarted,
    Interval,
    SignalMode,
    StageRequested,
    Tick,
)
from control.signals.greedy import FIXED_GREEN_S, WAIT_MAX_S, GreedySignals


class Crossing:
    """Junction j-01, reporting each second, with so many vehicles before each group."""

    def __init__(self, step, shows):
        self.step, self.shows = step, shows

    def run(self, seconds, stage, speaks=True, report=True, **queues):
        asked = []
        counts = {f"j_01__{g}__queue_veh": float(queues.get(g, 0)) for g in "nsew"}
        for _ in range(seconds):
            self.step.at_ns += 1_000_000_000
            if report:
                self.step(self.shows(stage))
            if speaks:
                self.step.read(**counts)
            asked += [a for a in self.step(Tick()) if isinstance(a, StageRequested)]
        return asked


@pytest.fixture
def crossing(site, bench, shows):
    return Crossing(bench(GreedySignals(site)), shows)


def test_the_longest_queue_gets_the_next_green_after_the_minimum(crossing):
    assert crossing.run(10, "ns", n=1, e=9) == []
    (asked, *_) = crossing.run(1, "ns", n=1, e=9)
    assert (asked.stage, asked.by) == ("ew", "greedy")
    assert asked.why == "9 veh wait for ew, 1 for ns"


def test_a_queue_that_is_hardly_longer_does_not_pay_for_a_change_over(crossing):
    assert crossing.run(60, "ns", n=4, e=7) == []


def test_an_empty_approach_gives_way_to_a_single_vehicle(crossing):
    assert crossing.run(11, "ns", e=1)[0].stage == "ew"


def test_the_maximum_green_ends_a_stage_that_others_wait_behind(crossing):
    assert crossing.run(90, "ns", n=9, e=2) == []
    assert crossing.run(1, "ns", n=9, e=2)[0].stage == "ew"


def test_vehicles_that_have_waited_too_long_go_first(crossing):
    crossing.run(20, "ew", n=20, e=20)
    asked = crossing.run(int(WAIT_MAX_S) - 20, "ew", n=20, e=30)
    assert [a.why for a in asked if "has waited" in a.why] == []
    (asked, *_) = crossing.run(5, "ew", n=20, e=30)
    assert asked.why.startswith("ns has waited 1")


def test_an_empty_approach_has_not_been_waiting(crossing):
    crossing.run(int(WAIT_MAX_S) + 60, "ns", n=9)
    assert crossing.run(1, "ns", n=9, e=1)[-1].why == "1 veh wait for ew, 9 for ns"


def test_without_detectors_each_stage_gets_the_same_time(crossing):
    assert crossing.run(int(FIXED_GREEN_S), "ns", speaks=False) == []
    asked = crossing.run(1, "ns", speaks=False)
    assert (asked[0].stage, asked[0].why) == ("ew", "detectors silent: 30 s each")


def test_a_request_without_effect_is_repeated_after_four_seconds(crossing):
    assert len(crossing.run(19, "ns", e=9)) == 3


def test_a_silent_controller_is_not_asked(crossing):
    crossing.run(11, "ns", e=9)
    assert crossing.run(5, "ns", e=9, report=False) != []
    assert crossing.run(30, "ns", e=9, report=False) == []


def test_by_a_fast_clock_reports_are_believed_for_longer_and_requests_are_rarer(crossing):
    crossing.step(EngineStarted(version="1", site_hash="", speed=5.0))
    crossing.run(11, "ns", e=9)
    asked = crossing.run(35, "ns", speaks=False, report=False)
    assert [request.why for request in asked] == ["9 veh wait for ew, 0 for ns"]


@pytest.mark.parametrize("interval", [Interval.YELLOW, Interval.ALL_RED, Interval.FLASHING])
def test_a_controller_in_a_change_over_is_not_asked(crossing, shows, interval):
    crossing.run(12, "ns", n=9)
    crossing.step(shows("ns", interval=interval))
    crossing.step.read(1, j_01__e__queue_veh=30.0)
    assert crossing.step(Tick()) == []


def test_a_controller_with_its_own_plan_is_not_asked(crossing, shows):
    crossing.run(12, "ns", n=9)
    crossing.step(shows("ns", mode=SignalMode.LOCAL))
    crossing.step.read(1, j_01__e__queue_veh=30.0)
    assert crossing.step(Tick()) == []


def test_a_junction_in_manual_mode_is_not_asked(crossing):
    manual = ControlModeChanged(asset="j-01", mode=ControlMode.MANUAL, operator="an")
    crossing.step(manual)
    assert crossing.run(30, "ns", e=9) == []
