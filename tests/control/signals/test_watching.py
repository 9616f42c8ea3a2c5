from pathlib import Path

import pytest

from causeway.events import Interval, SignalMode, SignalState
from causeway.site import load_site
from causeway.tracks import TrackedCrossing, TrackedExit, TrackedVehicle, Tracks
from control.signals.measures import OVER_S, Measures
from control.signals.observed import Out
from control.signals.site_layout import lay_out
from control.signals.watching import JunctionWatch, Watching

SITE = load_site(Path(__file__).parents[3] / "sims" / "cities" / "saigon")
JUNCTION = next(j for j in SITE.junctions if j.id == "j-nhc-nguyen-binh-khiem")
LAYOUT = lay_out(SITE).layouts[JUNCTION.id]
NS = 1_000_000_000
AT_NS = 1_763_980_800 * NS
ASPECTS = {"ne-sw": "GrGr", "se-nw": "rGrG"}


def state(stage="ne-sw", interval=Interval.GREEN, at_ns=AT_NS):
    aspects = ASPECTS[stage]
    if interval is not Interval.GREEN:
        aspects = aspects.replace("G", "y" if interval is Interval.YELLOW else "r")
    return SignalState(JUNCTION.id, at_ns, stage, interval, aspects, SignalMode.CENTRE)


def car(track="1", segment="rd-nhc-1", lane=2, distance_m=50.0, speed_m_s=10.0, kind="car"):
    return TrackedVehicle(track, segment, lane, distance_m, speed_m_s, kind)


def tracks(*vehicles, crossings=(), exits=(), at_ns=AT_NS):
    return Tracks(JUNCTION.id, at_ns, vehicles, tuple(crossings), tuple(exits))


@pytest.fixture
def watch():
    made = JunctionWatch(JUNCTION, LAYOUT)
    made.signal(state(), AT_NS)
    return made


def lane_named(name):
    return next(i for i, lane in enumerate(LAYOUT.lanes) if lane.id == name)


def test_a_vehicle_counts_with_its_passenger_car_units_in_its_lane(watch):
    kinds = ("motorbike", "car", "bus")
    rows = [car(str(i), kind=kind) for i, kind in enumerate(kinds)]
    seen = watch.observed(tracks(*rows), AT_NS + 3 * NS)
    assert [v.units for v in seen.vehicles] == [0.25, 1.0, 2.5]
    assert {v.lanes for v in seen.vehicles} == {(lane_named("rd-nhc-1/2"),)}
    assert (seen.stage, seen.wanted, seen.green_s, seen.yellow_left_s) == (0, 0, 3, 0)


def test_far_from_the_stop_line_it_may_still_come_to_any_lane(watch):
    (vehicle,) = watch.observed(tracks(car(distance_m=200.0)), AT_NS).vehicles
    assert len(vehicle.lanes) == 3 and vehicle.zone == "rd-nhc-1"


def test_a_crossing_is_the_movement_of_the_lane_in_which_it_was_seen(watch):
    watch.observed(tracks(car(lane=1, kind="motorbike")), AT_NS)
    gone = TrackedCrossing("1", "rd-nhc-1", "rd-nhc-2")
    (crossing,) = watch.observed(tracks(crossings=[gone]), AT_NS + NS).crossed
    movement = LAYOUT.movements[crossing.movement]
    assert LAYOUT.lanes[movement.lane].id == "rd-nhc-1/1"
    assert LAYOUT.exits[movement.exit].id == "rd-nhc-2"
    assert crossing.units == 0.25


def test_a_turn_that_its_lane_does_not_lead_to_counts_for_the_nearest_lane_that_does(watch):
    watch.observed(tracks(car(lane=1)), AT_NS)
    left = TrackedCrossing("1", "rd-nhc-1", "rd-nbk-4")
    (crossing,) = watch.observed(tracks(crossings=[left]), AT_NS + NS).crossed
    assert LAYOUT.lanes[LAYOUT.movements[crossing.movement].lane].id == "rd-nhc-1/3"


def test_an_exit_says_how_full_it_is(watch):
    there = TrackedExit("rd-nhc-2", {"motorbike": 4, "car": 2}, 30.0, 1.5, 3, 1)
    outs = watch.observed(tracks(exits=[there]), AT_NS).outs
    full = outs[[lane.id for lane in LAYOUT.exits].index("rd-nhc-2")]
    assert full == Out(6, 30.0, 1.5, 3, units=3.0, entered=1)
    assert all(out.vehicles == 0 and out.last_speed_m_s > 10 for out in outs if out is not full)


def test_a_change_over_goes_to_the_commanded_stage_and_counts_down(watch):
    watch.commanded("se-nw")
    watch.signal(state(interval=Interval.YELLOW, at_ns=AT_NS + NS), AT_NS + NS)
    watch.signal(state(interval=Interval.ALL_RED, at_ns=AT_NS + 4 * NS), AT_NS + 4 * NS)
    seen = watch.observed(tracks(), AT_NS + 4 * NS)
    assert (seen.stage, seen.wanted, seen.green_s, seen.yellow_left_s) == (0, 1, 0, 2)


@pytest.mark.parametrize("interval", [Interval.FLASHING, Interval.DARK, Interval.UNKNOWN])
def test_nothing_is_planned_for_a_controller_that_shows_no_stage(watch, interval):
    watch.signal(state(interval=interval, at_ns=AT_NS + NS), AT_NS + NS)
    assert watch.observed(tracks(), AT_NS + NS) is None


def test_nothing_is_planned_for_a_controller_that_is_silent(watch):
    assert watch.observed(tracks(), AT_NS + 5 * NS) is not None
    assert watch.observed(tracks(), AT_NS + 6 * NS) is None


def test_a_plan_names_stages_and_what_it_was_made_of():
    watching = Watching(SITE)
    assert len(watching.junctions) == len(SITE.junctions)
    watching.signal(state(), AT_NS)
    queue = [car(str(i), "rd-nbk-4", 1 + i % 2, 5.0 + 3 * i, 0.0) for i in range(12)]
    for second in range(14, 18):
        at_ns = AT_NS + second * NS
        watching.signal(state(at_ns=at_ns), at_ns)
        plan = watching.tracks(tracks(*queue, at_ns=at_ns), at_ns)
    assert (plan.junction, plan.observed_at_ns) == (JUNCTION.id, at_ns)
    assert (plan.stage, plan.following, plan.hold_s) == ("se-nw", "se-nw", 0)
    assert plan.cost_veh_s > 0
    assert watching.tracks(Tracks("j-99", AT_NS, (), (), ()), AT_NS) is None


# --- measures ------------------------------------------------------------------------------------


class Approach:
    """The measures of rd-nhc-1, second by second."""

    def __init__(self):
        self.measures = Measures(JUNCTION, SITE)
        self.at_ns = AT_NS

    def second(self, *vehicles, crossed=(), stage="ne-sw"):
        self.at_ns += NS
        self.measures.signal(state(stage, at_ns=self.at_ns))
        gone = [TrackedCrossing(t, "rd-nhc-1", "rd-nhc-2") for t in crossed]
        self.measures.see(tracks(*vehicles, crossings=gone, at_ns=self.at_ns), self.at_ns)

    def read(self):
        measured = self.measures.measured(self.at_ns)
        return next(a for a in measured.approaches if a.group == "sw")


@pytest.fixture
def approach():
    return Approach()


LIMIT_M_S = next(s for s in SITE.segments if s.id == "rd-nhc-1").speed_limit_km_h / 3.6


def test_an_arrival_is_on_green_when_the_group_is_green_as_it_would_reach_the_line(approach):
    ahead_m = LIMIT_M_S * 2
    approach.second(car("1", distance_m=ahead_m), stage="se-nw")
    approach.second(car("1", distance_m=LIMIT_M_S), stage="se-nw")
    approach.second(car("1", distance_m=1.0))
    approach.second(car("2", distance_m=ahead_m))
    approach.second(car("2", distance_m=LIMIT_M_S), stage="se-nw")
    approach.second(car("2", distance_m=1.0), stage="se-nw")
    approach.second(stage="se-nw")
    assert (approach.read().arrivals, approach.read().arrivals_on_green_ratio) == (2, 0.5)


def test_a_split_fails_when_some_of_the_first_queue_are_still_there_at_its_end(approach):
    queue = [car(str(i), distance_m=5.0 * i, speed_m_s=0.0) for i in range(3)]
    approach.second(*queue, stage="se-nw")
    approach.second(*queue)
    approach.second(queue[2], crossed=("0", "1"))
    approach.second(queue[2], stage="se-nw")
    assert (approach.read().greens, approach.read().split_failures) == (1, 1)
    approach.second(queue[2])
    approach.second(crossed=("2",))
    approach.second(car("9", distance_m=100.0), stage="se-nw")
    assert (approach.read().greens, approach.read().split_failures) == (2, 1)


def test_delay_is_what_it_took_longer_than_at_the_limit(approach):
    approach.second(car("1", distance_m=10 * LIMIT_M_S))
    for _ in range(29):
        approach.second(car("1", distance_m=0.0, speed_m_s=0.0))
    approach.second(crossed=("1",))
    assert approach.read().delay_s == pytest.approx(20.0, abs=0.2)
    assert (approach.read().queue_veh, approach.read().queue_veh_max) == (0, 1)


def test_what_is_older_than_the_window_does_not_count(approach):
    approach.second(car("1", distance_m=0.0))
    approach.second(crossed=("1",))
    assert approach.read().crossed == 1
    approach.at_ns += OVER_S * NS
    approach.second()
    assert (approach.read().crossed, approach.read().arrivals) == (0, 0)


def test_a_silent_tracker_measures_nothing(approach):
    approach.second()
    assert approach.measures.measured(approach.at_ns + 31 * NS) is None


def test_an_emergency_vehicle_asks_for_priority_and_a_full_bus_counts_for_its_passengers(watch):
    kinds = ("emergency", "bus", "car")
    rows = [car(str(i), kind=kind) for i, kind in enumerate(kinds)]
    emergency, bus, other = watch.observed(tracks(*rows), AT_NS + 3 * NS).vehicles
    assert emergency.asks > 0 == bus.asks == other.asks
    assert bus.persons > 10 * other.persons
