from __future__ import annotations

import numpy as np
import pytest

from control.signals.layout import Lane, Layout, Movement, checked
from control.signals.observed import Crossing, Observed, Out, Vehicle
from control.signals.planner import frame_of
from control.signals.unseen import SILENT_LEAST_S, Unseen

LIMIT_M_S = 14.0
NORTH, EAST = 0, 1
CLEAR = Out(0, 200.0, LIMIT_M_S, 0)


def layout() -> Layout:
    return checked(
        Layout(
            id="j",
            lanes=(Lane("in-0", 200.0, LIMIT_M_S), Lane("in-1", 200.0, LIMIT_M_S)),
            exits=(Lane("out-0", 200.0, LIMIT_M_S), Lane("out-1", 200.0, LIMIT_M_S)),
            movements=(Movement(NORTH, 0, 0, (), (1,)), Movement(EAST, 1, 1, (), (0,))),
            stages=("Gr", "rG"),
            yellow_s=3.0,
            min_green_s=7.0,
            max_green_s=60.0,
        )
    )


def unseen() -> Unseen:
    return Unseen(layout(), frame_of(layout())[0])


def vehicle(track: str, lane: int, distance_m: float, speed_m_s: float) -> Vehicle:
    return Vehicle(track, (lane,), distance_m, speed_m_s, LIMIT_M_S, f"in-{lane}")


def seen(
    stage: int,
    *vehicles: Vehicle,
    outs: tuple[Out, Out] = (CLEAR, CLEAR),
    crossed: tuple[Crossing, ...] = (),
    yellow_left_s: int = 0,
) -> Observed:
    return Observed(stage, stage, 10, yellow_left_s, vehicles, outs, crossed)


def test_a_lane_on_which_nobody_was_ever_seen_gets_a_queue_in_red_that_goes_in_green() -> None:
    there = unseen()
    for second in range(100):
        there.see(seen(NORTH, vehicle(f"n{second // 20}", NORTH, 30.0, 8.0)))
    waiting = there.queue_veh[EAST]
    assert there.unknown.tolist() == [False, True]
    assert waiting > 1 and there.queue_veh[NORTH] == 0
    for _ in range(30):
        there.see(seen(EAST))
    assert there.queue_veh[EAST] < 0.5
    there.see(seen(EAST, vehicle("e", EAST, 50.0, 9.0)))
    for _ in range(5):
        there.see(seen(EAST))
    assert not there.unknown[EAST] and there.queue_veh[EAST] == 0


def test_a_silence_is_doubted_once_the_lanes_own_traffic_makes_it_unlikely() -> None:
    there = unseen()
    for second in range(400):
        there.see(
            seen(
                NORTH,
                vehicle(f"n{second // 4}", NORTH, 30.0, 8.0),
                vehicle(f"e{second // 100}", EAST, 30.0, 8.0),
            )
        )
    for _ in range(SILENT_LEAST_S + 10):
        there.see(seen(NORTH))
    assert there.unknown.tolist() == [True, False]  # of so few none may come for that long
    there.see(seen(NORTH, crossed=(Crossing("n", NORTH),)))
    for _ in range(5):
        there.see(seen(NORTH))
    assert not there.unknown[NORTH]


def test_what_stands_through_green_enough_is_no_vehicle() -> None:
    there = unseen()
    ghost = vehicle("ghost", NORTH, 15.0, 0.0)
    believed = [there.see(seen(NORTH, ghost)) for _ in range(20)]
    assert all(believed)
    for _ in range(10):
        there.see(seen(NORTH, ghost))
    assert there.see(seen(NORTH, ghost)) == ()
    for _ in range(5):
        there.see(seen(NORTH, ghost))
    assert there.unknown[NORTH], "its detector is not believed to see the others either"


@pytest.mark.parametrize("blocked", ["red", "yellow", "exit"])
def test_what_could_not_go_stays_a_vehicle(blocked: str) -> None:
    there = unseen()
    standing = vehicle("one", NORTH, 15.0, 0.0)
    full = Out(26, 3.0, 0.0, 26)
    now = {
        "red": seen(EAST, standing),
        "yellow": seen(NORTH, standing, yellow_left_s=2),
        "exit": seen(NORTH, standing, outs=(full, CLEAR)),
    }[blocked]
    assert all(there.see(now) == (standing,) for _ in range(120))


def test_what_has_moved_is_a_vehicle_however_long_it_stands() -> None:
    there = unseen()
    there.see(seen(NORTH, vehicle("one", NORTH, 20.0, 5.0)))
    standing = vehicle("one", NORTH, 15.0, 0.0)
    assert all(there.see(seen(NORTH, standing)) == (standing,) for _ in range(120))


def test_who_comes_out_unseen_raises_the_flow_and_nobody_lowers_it() -> None:
    many, nobody = unseen(), unseen()
    for second in range(300):
        came = Out(1, 5.0, 8.0, 0, entered=int(second % 5 == 0))
        many.see(seen(EAST, outs=(CLEAR, came)))
        nobody.see(seen(EAST))
    assert many.flow_veh_s[EAST] > 0.1 > nobody.flow_veh_s[NORTH] > nobody.flow_veh_s[EAST] - 1e-9
    assert np.all(nobody.flow_veh_s < 0.03)
    explained = unseen()
    for second in range(300):
        came = Out(1, 5.0, 8.0, 0, entered=int(second % 5 == 0))
        crossed = (Crossing(f"e{second}", EAST),) if second % 5 == 0 else ()
        explained.see(seen(EAST, outs=(CLEAR, came), crossed=crossed))
    assert not explained.unknown[EAST]
