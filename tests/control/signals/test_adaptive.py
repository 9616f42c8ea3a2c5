import pytest

from causeway.events import (
    ControlMode,
    ControlModeChanged,
    EngineStarted,
    Interval,
    SignalMethod,
    SignalMethodChanged,
    SignalMode,
    StagePlan,
    StagePlanningLost,
    StageRequested,
    StagesPlanned,
    Tick,
)
from control.signals.adaptive import PLAN_STALE_S, AdaptiveSignals
from control.signals.safety import SignalSafety

NS = 1_000_000_000


class Crossing:
    """Junction j-01 under the core: each second a report, a tick, and a plan where one is made."""

    def __init__(self, bench, core, shows):
        self.bench, self.core, self.shows = bench, core, shows

    def run(self, seconds, stage="ns", plan=None, counts=None, **shown):
        answers = []
        for _ in range(seconds):
            self.bench.at_ns += NS
            self.bench(self.shows(stage, **shown))
            if counts is not None:
                self.bench.read(**counts)
            if plan is not None:
                answers += self.bench(self.planned(plan))
            answers += self.bench(Tick())
        return answers

    def planned(self, stage, late_s=0, junction="j-01"):
        at_ns = self.bench.at_ns - late_s * NS
        plan = StagePlan(junction, at_ns, stage, 0, stage, 41.2, "ns", 52.6)
        return StagesPlanned(plans=(plan,))

    @property
    def method(self):
        return self.core._methods["j-01"].method


@pytest.fixture
def crossing(site, bench, shows):
    core = AdaptiveSignals(site)
    return Crossing(bench(core), core, shows)


QUEUES = {"j_01__n__queue_veh": 1.0, "j_01__s__queue_veh": 0.0,
          "j_01__e__queue_veh": 9.0, "j_01__w__queue_veh": 0.0}  # fmt: skip


def requests(answers):
    return [a for a in answers if isinstance(a, StageRequested)]


def changes(answers):
    return [(a.method, a.why) for a in answers if isinstance(a, SignalMethodChanged)]


def test_a_plan_becomes_a_request_after_the_minimum_green(crossing):
    assert requests(crossing.run(10, plan="ew")) == []
    (asked,) = requests(crossing.run(1, plan="ew"))
    assert (asked.junction, asked.stage, asked.by) == ("j-01", "ew", "planner")
    assert asked.why == "ew now costs 41 veh s, ns 53"


def test_a_plan_to_go_on_asks_nothing_whatever_the_queues(crossing):
    assert requests(crossing.run(30, plan="ns", counts=QUEUES)) == []


def test_a_request_without_effect_is_repeated_not_every_second(crossing):
    assert len(requests(crossing.run(20, plan="ew"))) == 3


@pytest.mark.parametrize(
    "shown",
    [{"mode": SignalMode.LOCAL}, {"mode": SignalMode.MANUAL}, {"interval": Interval.YELLOW}],
)
def test_nothing_is_asked_of_a_controller_that_is_not_green_under_the_centre(crossing, shown):
    assert requests(crossing.run(30, plan="ew", **shown)) == []


def test_nothing_is_asked_while_a_person_has_the_junction(crossing):
    held = ControlModeChanged(asset="j-01", mode=ControlMode.MANUAL, operator="an")
    crossing.bench(held)
    assert requests(crossing.run(30, plan="ew")) == []


def test_without_plans_the_greedy_rule_goes_on_and_says_why(crossing):
    answers = crossing.run(20, counts=QUEUES)
    assert {a.by for a in requests(answers)} == {"greedy"}
    assert (SignalMethod.GREEDY, "no plan yet") in changes(answers)


def test_without_detectors_too_every_stage_has_its_time(crossing):
    answers = crossing.run(40)
    assert changes(answers) == [(SignalMethod.FIXED, "no plan yet")]
    assert [a.stage for a in requests(answers)][:1] == ["ew"]


def test_plans_that_cease_fall_back_within_seconds_and_come_back_at_once(crossing):
    crossing.run(20, plan="ns", counts=QUEUES)
    assert crossing.method is SignalMethod.PLANNER
    away = crossing.run(int(PLAN_STALE_S) + 1, counts=QUEUES)
    assert changes(away) == [(SignalMethod.GREEDY, f"no plan from the last {PLAN_STALE_S:.0f} s")]
    assert changes(crossing.run(1, plan="ns", counts=QUEUES)) == [(SignalMethod.PLANNER, "")]


def test_a_planner_that_is_lost_falls_back_at_the_next_tick(crossing):
    crossing.run(20, plan="ns", counts=QUEUES)
    crossing.bench(StagePlanningLost(junctions=(), why="the signal planner has ended"))
    answers = crossing.run(1, counts=QUEUES)
    assert changes(answers) == [(SignalMethod.GREEDY, "the signal planner has ended")]
    assert [a.by for a in requests(answers)] == ["greedy"]


def test_a_plan_of_the_past_is_not_followed(crossing):
    crossing.run(20, plan="ns", counts=QUEUES)
    crossing.bench(crossing.planned("ew", late_s=1))
    old = crossing.planned("ew", late_s=int(PLAN_STALE_S) + 1)
    assert requests(crossing.bench(old)) == []
    assert crossing.core._methods["j-01"].plan.observed_at_ns > old.plans[0].observed_at_ns


def test_by_a_fast_clock_a_plan_is_believed_for_longer(crossing):
    crossing.bench(EngineStarted(version="", site_hash="", speed=5.0))
    crossing.run(20, plan="ns")
    assert changes(crossing.run(5 * int(PLAN_STALE_S))) == []
    assert changes(crossing.run(1)) != []


def test_plans_for_unknown_junctions_and_stages_ask_nothing(crossing):
    crossing.run(20, plan="ns")
    assert requests(crossing.run(9, plan="north")) == []
    assert crossing.bench(crossing.planned("ew", junction="j-99")) == []


def test_safety_refuses_a_plan_that_comes_in_a_change_over(crossing, site, bench, shows):
    (asked,) = requests(crossing.run(11, plan="ew"))
    safety = bench(SignalSafety(site))
    safety(shows("ns", interval=Interval.YELLOW))
    (refused,) = safety(asked)
    assert refused.interlock == "change_over"
