from pathlib import Path

import msgspec
import pytest

from causeway.clock import NS, ManualClock
from causeway.events import (
    Interval,
    SignalMode,
    SignalsMeasured,
    SignalsObserved,
    SignalState,
    StageCommanded,
    StagePlanningLost,
    StagesPlanned,
)
from causeway.site import load_site
from causeway.tracks import TrackedVehicle, Tracks
from causeway.wire import encode_tracks
from control.signals.worker import Worker

SITE = load_site(Path(__file__).parents[3] / "sims" / "cities" / "saigon")
JUNCTION = "j-me-linh"
AT_NS = 1_763_980_800 * NS


class Talk:
    """A worker, and what its parent tells it each second."""

    def __init__(self):
        self.clock = ManualClock(AT_NS)
        self.worker = Worker(SITE, self.clock)

    def second(self, *vehicles, speaks=True):
        self.clock.advance(1)
        now_ns = self.clock.now_ns()
        state = SignalState(JUNCTION, now_ns, "n-s", Interval.GREEN, "GGr", SignalMode.CENTRE)
        self.worker.take(encode_tracks(SignalsObserved(states=(state,))))
        if speaks:
            self.worker.take(encode_tracks(Tracks(JUNCTION, now_ns, vehicles, (), ())))
        return self.worker.due()


@pytest.fixture(scope="module")
def talk():
    return Talk()


def test_a_tracker_that_speaks_gives_a_plan_each_second(talk):
    waiting = TrackedVehicle("1", "rd-hbt-6", 1, 3.0, 0.0, "car")
    plans = [event for _ in range(14) for event in talk.second(waiting)]
    planned = [p for e in plans if isinstance(e, StagesPlanned) for p in e.plans]
    assert len(planned) == 14 and {p.junction for p in planned} == {JUNCTION}
    assert planned[0].stage == "n-s"
    assert len([e for e in plans if isinstance(e, SignalsMeasured)]) == 1
    later = [e for _ in range(46) for e in talk.second(waiting) if isinstance(e, StagesPlanned)]
    assert later[-1].plans[0].stage == "nw", "lanes that show nobody from the start count less"


def test_trackers_that_are_silent_are_named_once(talk):
    said = [event for _ in range(8) for event in talk.second(speaks=False)]
    lost = [e for e in said if isinstance(e, StagePlanningLost)]
    assert [e.junctions for e in lost if JUNCTION in e.junctions] == [(JUNCTION,)]
    assert lost[-1].why == "the tracker has been silent for 5 s"
    assert any(isinstance(e, StagesPlanned) for e in talk.second())


def test_the_centres_own_command_is_taken(talk):
    command = StageCommanded(
        junction=JUNCTION, stage="nw", sequence=1, issued_at_ns=0, expires_at_ns=1
    )
    talk.worker.take(encode_tracks(command))


def test_what_the_parent_did_not_mean_to_say_is_an_error(talk):
    with pytest.raises(msgspec.DecodeError):
        talk.worker.take(b"\xc1")


def test_a_junction_that_cannot_be_planned_costs_the_others_nothing(talk):
    watch = talk.worker._watching._watches[JUNCTION]
    lanes, watch._of_segment = watch._of_segment, None
    car = TrackedVehicle("1", "rd-hbt-6", 1, 3.0, 0.0, "car")
    said = [e for _ in range(3) for e in talk.second(car)]
    (lost,) = [e for e in said if isinstance(e, StagePlanningLost) and e.junctions == (JUNCTION,)]
    assert lost.why == "planning fails: AttributeError"
    watch._of_segment = lanes
    assert any(isinstance(e, StagesPlanned) for e in talk.second(car))
