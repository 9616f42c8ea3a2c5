import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import (
    Address,
    AlarmAcknowledged,
    AlarmAcknowledgeRequested,
    AlarmRaised,
    AlarmReturned,
    AlarmShelved,
    AlarmShelveRequested,
    AlarmUnshelved,
    AlarmUnshelveRequested,
    CommandRefused,
    InundationChanged,
    Quality,
    Tick,
)
from control.alarms import SHELF_MAX_S, Alarms

FLOOD = "FLOOD-rd-1"
NS = 1_000_000_000


def water(level, depth_m=0.27):
    return InundationChanged(segment="rd-1", level=level, depth_m=depth_m, point="sg-1/depth_m")


def acknowledge(alarm=FLOOD):
    return AlarmAcknowledgeRequested(alarm=alarm, operator="an")


def shelve(for_s=900.0, alarm=FLOOD):
    return AlarmShelveRequested(alarm=alarm, operator="an", for_s=for_s)


def unshelve(alarm=FLOOD):
    return AlarmUnshelveRequested(alarm=alarm, operator="an")


@pytest.fixture
def step(site, bench):
    return bench(Alarms(site))


def kinds(answers):
    return [type(a) for a in answers]


def test_an_alarm_that_is_acknowledged_and_returns_is_gone(step):
    assert kinds(step(water(2))) == [AlarmRaised]
    assert step(acknowledge()) == [AlarmAcknowledged(alarm=FLOOD, operator="an")]
    assert kinds(step(water(0))) == [AlarmReturned]
    assert kinds(step(acknowledge())) == [CommandRefused]


def test_an_alarm_that_returns_unacknowledged_stays_until_it_is(step):
    step(water(2))
    assert kinds(step(water(0))) == [AlarmReturned]
    assert kinds(step(acknowledge(), after_s=3_600)) == [AlarmAcknowledged]
    assert kinds(step(acknowledge())) == [CommandRefused]


def test_an_alarm_that_comes_back_before_it_was_acknowledged_is_raised_again(step):
    step(water(2), water(0))
    (again,) = step(water(1))
    assert again.acknowledged is False


def test_a_higher_priority_needs_a_new_acknowledgement(step):
    step(water(2), acknowledge())
    (raised,) = step(water(4, 0.55))
    assert (raised.priority, raised.acknowledged) == (1, False)
    assert kinds(step(water(0))) == [AlarmReturned]
    assert kinds(step(acknowledge())) == [AlarmAcknowledged]


def test_a_lower_priority_leaves_the_acknowledgement_standing(step):
    step(water(4, 0.55), acknowledge())
    (raised,) = step(water(2, 0.24))
    assert (raised.priority, raised.acknowledged) == (3, True)
    assert raised.text_vi == "Ngập 24 cm Calmette"


def test_acknowledging_twice_is_no_fault(step):
    step(water(2))
    assert kinds(step(acknowledge(), acknowledge())) == [AlarmAcknowledged] * 2


def test_what_cannot_be_acknowledged_or_shelved_is_refused_with_the_reason(step):
    step(water(2))
    for request, interlock in (
        (acknowledge("FLOOD-rd-9"), "unknown_alarm"),
        (shelve(alarm="FLOOD-rd-9"), "unknown_alarm"),
        (shelve(0.0), "shelf_time"),
        (shelve(SHELF_MAX_S + 1), "shelf_time"),
        (shelve(float("nan")), "shelf_time"),
        (unshelve(), "not_shelved"),
    ):
        (refused,) = step(request)
        assert (refused.interlock, refused.by) == (interlock, "operator:an")


def test_a_shelved_alarm_comes_back_unacknowledged_when_its_time_is_over(step):
    step(water(2), acknowledge())
    (shelved,) = step(shelve(900))
    assert shelved == AlarmShelved(alarm=FLOOD, operator="an", until_at_ns=step.at_ns + 900 * NS)
    assert step(Tick(), after_s=899) == []
    back, raised = step(Tick(), after_s=1)
    assert back == AlarmUnshelved(alarm=FLOOD, operator="", because=Address(3, 0))
    assert (raised.alarm, raised.acknowledged) == (FLOOD, False)


def test_an_operator_takes_an_alarm_back_from_the_shelf(step):
    step(water(2), shelve())
    back, raised = step(unshelve())
    assert (back.operator, raised.acknowledged) == ("an", False)
    assert step(Tick(), after_s=1_000) == []


def test_a_shelved_alarm_that_returned_and_was_acknowledged_goes_when_it_leaves_the_shelf(step):
    step(water(2), acknowledge(), shelve(), water(0))
    assert kinds(step(Tick(), after_s=900)) == [AlarmUnshelved]
    assert kinds(step(unshelve())) == [CommandRefused]


def test_a_higher_priority_takes_the_alarm_off_the_shelf(step):
    step(water(2), shelve())
    unshelved, raised = step(water(3, 0.33))
    assert unshelved == AlarmUnshelved(alarm=FLOOD, operator="", because=Address(3, 0))
    assert raised.priority == 2


def test_an_alarm_that_flutters_on_the_shelf_stays_there(step):
    step(water(2), shelve())
    assert kinds(step(water(0), water(2))) == [AlarmReturned, AlarmRaised]
    assert kinds(step(Tick(), after_s=900)) == [AlarmUnshelved, AlarmRaised]


def test_a_fault_that_flutters_within_its_delays_is_raised_once(step):
    answers = []
    for _ in range(30):
        answers += step.read(1, p_1__fault_bool=1.0) + step(Tick())
        answers += step.read(2, p_1__fault_bool=1.0) + step(Tick())
        answers += step.read(1, p_1__fault_bool=0.0) + step(Tick())
    assert kinds(answers) == [AlarmRaised]


def test_a_fault_that_is_gone_before_its_on_delay_is_never_raised(step):
    step.read(1, p_1__fault_bool=1.0)
    step.read(1, p_1__fault_bool=0.0)
    assert step(Tick(), after_s=10) == []
    assert kinds(step(acknowledge("PUMP-p-1"))) == [CommandRefused]


def test_the_cause_of_a_delayed_alarm_is_the_reading_that_began_and_ended_it(step):
    step.read(1, p_1__fault_bool=1.0)
    (raised,) = step(Tick(), after_s=2)
    assert raised.because == Address(1, 0)
    step.read(1, p_1__fault_bool=0.0)
    (returned,) = step(Tick(), after_s=5)
    assert returned.because == Address(3, 0)


HAPPENINGS = st.one_of(
    st.builds(water, st.integers(0, 4)),
    st.builds(acknowledge, st.sampled_from([FLOOD, "PUMP-p-1"])),
    st.builds(shelve, st.floats(0, 100), st.sampled_from([FLOOD, "PUMP-p-1"])),
    st.builds(unshelve, st.sampled_from([FLOOD, "PUMP-p-1"])),
    st.just(Tick()),
    st.sampled_from([0.0, 1.0]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 20), HAPPENINGS), max_size=60))
def test_whatever_happens_the_answers_tell_the_whole_state(site, bench, happenings):
    """A reader of the answers alone knows each alarm's state, and it is never an impossible one."""
    step = bench(Alarms(site))
    active, unacknowledged, shelved = set(), set(), {}
    for after_s, event in happenings:
        if isinstance(event, float):
            answers = step.read(after_s, p_1__fault_bool=event)
        else:
            answers = step(event, after_s=after_s)
        for answer in answers:
            match answer:
                case AlarmRaised():
                    active.add(answer.alarm)
                    assert (answer.alarm in unacknowledged) <= (not answer.acknowledged)
                    if not answer.acknowledged:
                        unacknowledged.add(answer.alarm)
                case AlarmReturned():
                    assert answer.alarm in active
                    active.remove(answer.alarm)
                case AlarmAcknowledged():
                    assert answer.alarm in active | unacknowledged
                    unacknowledged.discard(answer.alarm)
                case AlarmShelved():
                    shelved[answer.alarm] = answer.until_at_ns
                case AlarmUnshelved():
                    del shelved[answer.alarm]
                case CommandRefused() if isinstance(event, AlarmAcknowledgeRequested):
                    assert event.alarm not in active | unacknowledged
        if isinstance(event, Tick):
            assert all(until_ns > step.at_ns for until_ns in shelved.values())


def test_bad_readings_of_a_fault_are_not_taken(step):
    step.read(1, quality=Quality.BAD, p_1__fault_bool=1.0)
    assert step(Tick(), after_s=10) == []
