from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.signals.layout import Lane, Layout, Movement, PedestrianCrossing, Upstream, checked
from control.signals.observed import Call, Crossing, Inside, Observed, Out, Vehicle
from control.signals.planner import (
    LONGEST_CALL_S,
    LONGEST_WAIT_S,
    Planner,
    Planners,
    arrival_s,
    frame_of,
)
from control.signals.service import Moment, gap_rate, rates_of, search, served

LIMIT_M_S = 14.0
NORTH, SOUTH, EAST = 0, 1, 2  # the north lane also turns left, against the south


def layout(id_: str = "j") -> Layout:
    return checked(
        Layout(
            id=id_,
            lanes=tuple(Lane(f"{id_}-in-{i}", 200.0, LIMIT_M_S) for i in range(3)),
            exits=tuple(Lane(f"{id_}-out-{i}", 200.0, LIMIT_M_S) for i in range(3)),
            movements=(
                Movement(NORTH, 0, 0, (), (3,)),
                Movement(NORTH, 2, 1, (2,), (2, 3)),
                Movement(SOUTH, 1, 2, (), (1, 3)),
                Movement(EAST, 2, 3, (), (0, 1, 2)),
            ),
            stages=("GgGr", "rrrG"),
            yellow_s=3.0,
            min_green_s=7.0,
            max_green_s=60.0,
        )
    )


def queue(lane: int, vehicles: int, id_: str = "j", from_m: float = 1.0) -> tuple[Vehicle, ...]:
    return tuple(
        Vehicle(f"{lane}-{i}", (lane,), from_m + 7.5 * i, 0.0, LIMIT_M_S, f"{id_}-in-{lane}")
        for i in range(vehicles)
    )


def seen(
    stage: int,
    green_s: int,
    *vehicles: Vehicle,
    yellow_left_s: int = 0,
    outs: tuple[Out, ...] = (Out(0, 200.0, LIMIT_M_S, 0),) * 3,
    crossed: tuple[Crossing, ...] = (),
) -> Observed:
    wanted = 1 - stage if yellow_left_s else stage
    return Observed(stage, wanted, green_s, yellow_left_s, vehicles, outs, crossed)


def test_a_vehicle_arrives_sooner_the_faster_and_the_nearer_it_is() -> None:
    assert arrival_s(140.0, LIMIT_M_S, LIMIT_M_S) == pytest.approx(10.0)
    assert arrival_s(0.0, 0.0, LIMIT_M_S) == 0.0
    assert arrival_s(20.0, 0.0, LIMIT_M_S) == pytest.approx((2 * 20 / 2.6) ** 0.5)
    assert arrival_s(100.0, 0.0, LIMIT_M_S) > arrival_s(100.0, 7.0, LIMIT_M_S) > 100 / LIMIT_M_S


def test_the_more_one_must_let_pass_the_fewer_go() -> None:
    rates = [gap_rate(foes, 6.0, 2.2) for foes in (0.0, 0.05, 0.2, 0.5, 1.0)]
    assert rates[0] == pytest.approx(1 / 2.2)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.01


def test_rows_are_sorted_by_lane_and_keep_their_movement() -> None:
    turned = layout()._replace(movements=tuple(reversed(layout().movements)))
    frame, order = frame_of(turned)
    assert [turned.movements[m].lane for m in order] == sorted(m.lane for m in turned.movements)
    assert list(frame.first) == [0, 2, 3, 4]
    assert frame.aspect.tolist()[0] == [
        {"G": 2, "g": 1, "r": 0}[turned.stages[0][turned.movements[m].signal]] for m in order
    ]


def test_nobody_there_changes_nothing() -> None:
    assert Planner(layout(), ()).decide(0, seen(0, 30), {}) == 0


def test_green_goes_to_the_only_ones_who_wait() -> None:
    assert Planner(layout(), ()).decide(0, seen(0, 30, *queue(EAST, 5)), {}) == 1


def test_a_long_queue_keeps_its_green_against_a_single_vehicle() -> None:
    vehicles = (*queue(NORTH, 8), *queue(SOUTH, 8), *queue(EAST, 1))
    assert Planner(layout(), ()).decide(0, seen(0, 10, *vehicles), {}) == 0


@pytest.mark.parametrize(("green_s", "yellow_left_s"), [(3, 0), (30, 2)])
def test_it_asks_for_nothing_that_the_cabinet_would_not_do(
    green_s: int, yellow_left_s: int
) -> None:
    planner = Planner(layout(), ())
    there = seen(0, green_s, *queue(EAST, 9), yellow_left_s=yellow_left_s)
    assert planner.decide(0, there, {}) == there.wanted


def test_a_full_exit_is_no_reason_for_green() -> None:
    full = Out(26, 3.0, 0.0, 26)
    free = Out(0, 200.0, LIMIT_M_S, 0)
    coming = Vehicle("late", (SOUTH,), 120.0, LIMIT_M_S, LIMIT_M_S, "j-in-1")
    vehicles = (coming, *queue(EAST, 9))
    assert Planner(layout(), ()).decide(0, seen(0, 12, *vehicles, outs=(free,) * 3), {}) == 1
    planner = Planner(layout(), ())
    for at_s in range(300):  # in which nobody leaves it
        planner.decide(at_s, seen(0, 12, outs=(free, free, full)), {})
    assert planner.decide(300, seen(0, 12, *vehicles, outs=(free, free, full)), {}) == 0


def test_who_stands_before_a_clear_green_is_taken_to_turn() -> None:
    """After three seconds it is known that the first in the north lane goes left."""
    planner = Planner(layout(), ())
    for at_s in range(5):
        planner.decide(at_s, seen(0, 10 + at_s, *queue(NORTH, 3), *queue(SOUTH, 9)), {})
    moment = planner._moment(5, seen(0, 15, *queue(NORTH, 3), *queue(SOUTH, 9)), {})
    assert moment.head[:2].tolist() == [0.0, 1.0]
    assert moment.turn[:2].tolist() == [0.5, 0.5]


def test_turns_are_learnt_from_what_crosses() -> None:
    planner = Planner(layout(), ())
    for at_s in range(40):
        crossing = Crossing(f"v{at_s}", 1 if at_s % 4 == 0 else 0)
        planner.decide(at_s, seen(0, at_s, crossed=(crossing,)), {})
    moment = planner._moment(40, seen(0, 40), {})
    assert moment.turn[:2].tolist() == pytest.approx([31 / 42, 11 / 42], abs=0.01)


def test_it_learns_that_some_turn_off_before() -> None:
    """Of two in a zone that leads to the east lane one never comes."""
    planner = Planner(layout(), ())
    zone = "side street"
    for at_s in range(0, 400, 40):
        for in_s in range(40):
            there = [Vehicle(f"a{at_s}", (EAST,), 150.0, 9.0, 9.0, zone)] if in_s < 5 else []
            there += [Vehicle(f"b{at_s}", (EAST,), 150.0, 9.0, 9.0, zone)] if in_s < 5 else []
            crossed = (Crossing(f"a{at_s}", 3),) if in_s == 20 else ()
            planner.decide(at_s + in_s, seen(0, 9, *there, crossed=crossed), {})
    quiet = planner._moment(400, seen(0, 9), {}).arrive[EAST].sum()
    one = Vehicle("c", (EAST,), 150.0, 9.0, 9.0, zone)
    coming = planner._moment(400, seen(0, 9, one), {}).arrive[EAST].sum() - quiet
    assert coming == pytest.approx((10 + 2) / (20 + 2), abs=0.01)


def test_a_junction_hears_what_the_one_upstream_will_send() -> None:
    first, second = layout("a"), layout("b")
    way = Upstream("a", 3, 140.0, LIMIT_M_S, (SOUTH,))
    planners = Planners({"a": first, "b": second}, {"a": (), "b": (way,)})
    quiet = planners.planners["b"]._moment(0, seen(0, 9), planners.planners).arrive[SOUTH]
    planners.decide(0, {"a": seen(1, 8, *queue(EAST, 9, "a")), "b": seen(0, 9)})
    told = planners.planners["b"]._moment(0, seen(0, 9), planners.planners).arrive[SOUTH]
    assert (told - quiet).sum() > 1.0  # some two vehicles in five seconds
    assert np.flatnonzero(told > quiet).min() >= 10  # and ten on the way


def test_a_rare_turn_that_stands_first_gets_its_stage() -> None:
    """Left is green in a stage of its own only, and of two hundred nobody has turned left."""
    own = layout()._replace(stages=("GrGr", "rrrG", "rGrr"))
    planner = Planner(checked(own), ())
    for at_s in range(200):
        planner.decide(at_s, seen(0, 9, crossed=(Crossing(f"v{at_s}", 0),)), {})
    wanted = [planner.decide(at_s, seen(0, 9, *queue(NORTH, 1)), {}) for at_s in range(200, 230)]
    assert wanted[-1] == 2


LEFT, AHEAD = 1, 2  # movements of `layout`


@pytest.mark.parametrize(
    ("movement", "speed_m_s", "yellow_left_s", "full", "holds"),
    [
        (AHEAD, 0.0, 1, False, True),
        (LEFT, 0.0, 1, False, False),  # it leaves as soon as nobody comes towards it any more
        (AHEAD, 3.0, 1, False, False),
        (AHEAD, 0.0, 2, False, False),
        (AHEAD, 0.0, 1, True, False),  # waiting does not help it
    ],
)
def test_the_next_green_waits_for_who_had_the_way_but_could_not_get_out(
    movement: int, speed_m_s: float, yellow_left_s: int, full: bool, holds: bool
) -> None:
    planners = Planners({"j": layout()}, {"j": ()})
    inside = (Inside("a", movement, speed_m_s),)
    outs = (Out(9, 0.0, 0.0, 9) if full else Out(0, 200.0, LIMIT_M_S, 0),) * 3
    now = seen(0, 20, *queue(EAST, 4), yellow_left_s=yellow_left_s, outs=outs)
    planners.decide(0, {"j": now._replace(inside=inside)})
    assert planners.holds_red == (["j"] if holds else [])
    planners.decide(1, {"j": now})
    assert planners.holds_red == []


def test_nobody_waits_for_ever_beside_others_who_keep_coming() -> None:
    planner = Planner(layout(), ())
    wanted = [
        planner.decide(at_s, seen(0, 9, *queue(NORTH, 12), *queue(SOUTH, 12), *queue(EAST, 1)), {})
        for at_s in range(130)
    ]
    assert 1 in wanted[:112]


def test_turns_are_forgotten_when_traffic_changes() -> None:
    planner = Planner(layout(), ())
    hour_s = 3_600
    for at_s in range(0, 6 * hour_s, 6):
        movement = 0 if at_s < 4 * hour_s else 1
        planner._learnt.see(at_s, seen(0, 9, crossed=(Crossing(f"v{at_s}", movement),) * 2))
    assert planner._learnt.turn_ratios()[1] > 0.3  # 4,800 went ahead before, 2,400 turned since


COUNTS = st.lists(st.integers(0, 12), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(counts=COUNTS, stage=st.integers(0, 1), green_s=st.integers(0, 20))
def test_a_plan_loses_no_vehicle_and_costs_no_more_than_any_it_tried(
    counts: list[int], stage: int, green_s: int
) -> None:
    planner = Planner(layout(), ())
    vehicles = [v for lane, count in enumerate(counts) for v in queue(lane, count)]
    moment = planner._moment(0, seen(stage, green_s, *vehicles), {})
    frame, _ = frame_of(layout())
    record = np.zeros((4, moment.arrive.shape[1]))
    every = np.array([0, 1, 2, 3, 5, 8, 13, 20, 31], np.int64)
    hold, following, cost, other, other_cost = search(frame, moment, every, record)
    assert (record >= 0).all()
    assert record.sum() <= moment.arrive.sum() + 1e-6
    assert cost <= other_cost
    assert following != stage or following == -1
    assert other not in (stage, following) or other == -1
    for one in every:
        alone = search(frame, moment, np.array([one], np.int64), np.zeros_like(record))
        assert cost <= alone[2] + 1e-6
    again = search(frame, moment, every, np.zeros_like(record))
    assert again == (hold, following, cost, other, other_cost)


@settings(deadline=None)
@given(counts=COUNTS)
def test_a_stage_serves_no_more_than_there_are_and_than_it_can(counts: list[int]) -> None:
    planner = Planner(layout(), ())
    vehicles = [v for lane, count in enumerate(counts) for v in queue(lane, count)]
    moment: Moment = planner._moment(0, seen(0, 9, *vehicles), {})
    frame, _ = frame_of(layout())
    waiting = np.array(counts, float)
    empty = moment._replace(arrived=np.zeros_like(moment.arrived))
    rates = rates_of(frame, moment)
    assert served(rates, empty, 1, waiting, 0, 12) <= min(counts[EAST], 12 * 0.52) + 1e-9
    assert served(rates, empty, 0, waiting, 0, 12) <= counts[NORTH] + counts[SOUTH]


WALKED = layout()._replace(
    crossings=(PedestrianCrossing("over north", 4, 12.0, (0, 1)),), stages=("GgGrr", "rrrGG")
)


def test_pedestrians_who_call_are_let_walk_and_nobody_else_stops_for_long() -> None:
    planner = Planner(WALKED, ())
    calling = seen(0, 30)._replace(calls=(Call(0, 3, 5),))
    assert planner.decide(0, calling, {}) == 1
    assert Planner(WALKED, ()).decide(0, seen(0, 30), {}) == 0


def test_a_call_is_served_in_time_whatever_the_vehicles_cost() -> None:
    full = (*queue(NORTH, 20), *queue(SOUTH, 20))
    overdue = seen(0, 30, *full)._replace(calls=(Call(0, 1, LONGEST_CALL_S),))
    assert Planner(WALKED, ()).decide(0, overdue, {}) == 1


def test_no_plan_leaves_a_stage_before_its_pedestrians_are_across() -> None:
    planner = Planner(WALKED, ())
    walking = seen(1, 8, *queue(NORTH, 8))._replace(walks_left_s=9)
    planner.decide(0, walking, {})
    assert planner.plan.hold_s >= 9


def test_a_lane_of_motorbikes_is_as_long_as_its_cars_and_as_dear_as_its_riders() -> None:
    riders = tuple(v._replace(units=0.25, persons=1.3) for v in queue(EAST, 8))
    cars = tuple(v._replace(persons=1.5) for v in queue(EAST, 2))
    planners = [Planner(layout(), ()) for _ in range(2)]
    costs = []
    for planner, vehicles in zip(planners, (riders, cars), strict=True):
        for at_s in range(600):
            planner.decide(at_s, seen(0, 1, *vehicles), {})
        costs.append(planner.plan.cost)
    assert costs[0] > 2 * costs[1]


def test_a_first_rider_keeps_his_wait_when_others_ride_up_beside_him() -> None:
    planner = Planner(layout(), ())
    first = Vehicle("a", (EAST,), 1.0, 0.0, LIMIT_M_S, "j-in-2", 0.25)
    busy = queue(NORTH, 20)
    beside = first._replace(track="b", distance_m=0.2)
    for at_s in range(LONGEST_WAIT_S):
        planner.decide(at_s, seen(0, 1, first, *busy), {})
    assert planner.decide(LONGEST_WAIT_S, seen(0, 30, beside, first, *busy), {}) == 1


def seconds_until_east(asks: float) -> int:
    """How long those who come from the north one after the other keep one in the east waiting."""
    planner = Planner(layout(), ())
    (waits,) = queue(EAST, 1)
    for green_s in range(60):
        north = tuple(
            Vehicle(f"n{i}", (NORTH,), d, LIMIT_M_S, LIMIT_M_S, "j-in-0")
            for i in range(30)
            if 0.0 < (d := 12.0 + 28.0 * i - LIMIT_M_S * green_s) < 200.0
        )
        now = seen(0, green_s, waits._replace(asks=asks), *north)
        if planner.decide(green_s, now, {}) != 0:
            return green_s
    return 60


def test_who_asks_for_priority_is_served_sooner() -> None:
    assert seconds_until_east(30.0) < seconds_until_east(0.0)


def test_riders_leave_fewer_gaps_than_as_many_cars_lengths_and_fill_their_lane_less() -> None:
    """The permissive turn from the north against a stream from the south."""
    sent = []
    for units, from_m in ((1.0, 60.0), (0.25, 60.0)):
        stream = tuple(
            Vehicle(
                f"s{i}", (SOUTH,), from_m + 12 * i * units, LIMIT_M_S, LIMIT_M_S, "j-in-1", units
            )
            for i in range(round(12 / units))
        )
        turning = queue(NORTH, 4)
        planner = Planner(layout(), ())
        for at_s in range(400):
            planner.decide(at_s, seen(0, 1, *stream, *turning), {})
        sent.append(planner.sends(1, 399).sum())
    assert sent[1] < sent[0]


def test_a_mixed_lane_is_thought_to_discharge_more_slowly() -> None:
    rates = []
    for units in (1.0, 0.25):
        planner = Planner(layout(), ())
        waiting = tuple(
            Vehicle(str(i), (EAST,), 1.0 + i, 0.0, LIMIT_M_S, "j-in-2", units)
            for i in range(round(10 / units))
        )
        for at_s in range(400):
            planner.decide(at_s, seen(1, 3 + at_s, *waiting), {})
        rates.append(planner.sends(3, 399).sum())
    assert 0 < rates[1] < 0.85 * rates[0]


def test_a_full_bus_is_worth_more_than_the_cars_on_the_other_road() -> None:
    others = tuple(v._replace(persons=1.5) for v in (*queue(NORTH, 3), *queue(SOUTH, 3)))
    wanted = []
    for persons in (1.5, 60.0):
        bus = Vehicle("bus", (EAST,), 1.0, 0.0, LIMIT_M_S, "j-in-2", 1.0, persons)
        wanted.append(Planner(layout(), ()).decide(0, seen(0, 20, bus, *others), {}))
    assert wanted == [0, 1]
