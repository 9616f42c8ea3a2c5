import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import Address, FloodAlertChanged, FloodCause, Tick
from causeway.site import Conduit, DrainageNode, LonLat
from control.inundation.alerts import EMERGENCY, WARNING, WATCH
from control.inundation.basin_alerts import HOLD_S, STANDS_S, BasinAlerts

NS = 1_000_000_000
PLACE = LonLat(106.7, 10.77)
STREETS = 9


@pytest.fixture
def city(site):
    """Nine streets that drain to one outfall."""
    nodes = [DrainageNode("out", PLACE, -1.0, 2.0, "outfall")]
    nodes += [DrainageNode(f"n{i}", PLACE, 0.0, 2.0) for i in range(STREETS)]
    return msgspec.structs.replace(
        site,
        segments=tuple(
            msgspec.structs.replace(site.segments[0], id=f"rd-{i}", node=f"n{i}")
            for i in range(STREETS)
        ),
        nodes=tuple(nodes),
        conduits=tuple(Conduit(f"c{i}", f"n{i}", "out") for i in range(STREETS)),
    )


def street(number, level, onset_at_ns=None, cause=FloodCause.RAIN, probability=0.8, peak_m=0.3):
    return FloodAlertChanged(
        segment=f"rd-{number}",
        level=level,
        probability=probability,
        peak_m=peak_m,
        onset_at_ns=onset_at_ns,
        cause=cause,
        why="",
    )


def levels(answers):
    return [(a.was, a.level) for a in answers]


@pytest.mark.parametrize("level", [WATCH, WARNING, EMERGENCY])
def test_a_basin_is_as_urgent_as_its_worst_street(city, bench, level):
    (alert,) = bench(BasinAlerts(city))(street(0, level), street(1, WATCH), Tick())
    assert (alert.basin, alert.level, alert.was) == ("out", level, 0)


def test_it_says_when_first_how_surely_how_deep_by_what_and_where(city, bench):
    step = bench(BasinAlerts(city))
    soon, late = step.at_ns + 1_500 * NS, step.at_ns + 3_000 * NS
    (alert,) = step(
        street(0, WARNING, late, FloodCause.TIDE, 0.8, 0.25),
        street(1, WARNING, soon, FloodCause.RAIN, 0.6, 0.40),
        street(2, WATCH, step.at_ns, FloodCause.RAIN, 0.9, 0.90),
        Tick(),
    )
    assert (alert.onset_at_ns, alert.probability, alert.peak_m) == (soon, 0.8, 0.40)
    assert (alert.cause, alert.streets, alert.of) == (FloodCause.BOTH, ("rd-0", "rd-1"), STREETS)
    assert alert.because == Address(3, 0)  # the newest change of a street


def test_a_failed_pump_is_named_before_rain_and_tide(city, bench):
    step = bench(BasinAlerts(city))
    (alert,) = step(street(0, WARNING), street(1, WARNING, cause=FloodCause.PUMP_FAILURE), Tick())
    assert alert.cause is FloodCause.PUMP_FAILURE


def test_water_that_a_gauge_sees_is_there_now(city, bench):
    step = bench(BasinAlerts(city))
    seen = street(1, WARNING, probability=1.0)
    (alert,) = step(street(0, WARNING, step.at_ns + 900 * NS), seen, Tick())
    assert alert.onset_at_ns is None


def test_warnings_that_spread_over_a_third_of_the_streets_are_an_emergency(city, bench):
    step = bench(BasinAlerts(city))
    assert levels(step(street(0, WARNING), street(1, WARNING), Tick())) == [(0, WARNING)]
    assert levels(step(street(2, WARNING), Tick())) == [(WARNING, EMERGENCY)]


def test_warnings_of_what_is_not_sure_do_not_spread(city, bench):
    step = bench(BasinAlerts(city))
    unsure = (street(i, WARNING, probability=0.1) for i in range(5))
    assert levels(step(*unsure, Tick())) == [(0, WARNING)]


def test_many_streets_that_change_at_once_are_one_event(city, bench):
    assert len(bench(BasinAlerts(city))(*(street(i, WARNING) for i in range(5)), Tick())) == 1


def test_an_alert_that_says_the_same_is_not_told_again(city, bench):
    step = bench(BasinAlerts(city))
    step(street(0, WARNING), Tick())
    assert step(street(0, WARNING, probability=0.65), Tick(), Tick()) == []


def test_an_alert_is_cancelled_after_the_hold_time_and_not_before_it_has_stood(city, bench):
    step = bench(BasinAlerts(city))
    step(street(0, WARNING), Tick())
    step(street(0, 0), after_s=60)
    assert levels(step(Tick())) == []  # of no street any more, and not told again
    assert step(Tick(), after_s=HOLD_S) == []
    (over,) = step(Tick(), after_s=STANDS_S - HOLD_S - 60)
    assert (over.was, over.level, over.streets) == (WARNING, 0, ())


def test_an_emergency_by_spread_stays_one_at_a_few_streets_less(city, bench):
    step = bench(BasinAlerts(city))
    step(*(street(i, WARNING) for i in range(5)), Tick())
    step(street(4, 0), street(3, 0), Tick())
    assert levels(step(Tick(), after_s=HOLD_S + STANDS_S)) == []
    step(street(2, 0), Tick())
    assert levels(step(Tick(), after_s=HOLD_S)) == [(EMERGENCY, WARNING)]


def test_one_low_moment_takes_a_level_down_no_further_than_the_hold_time_allows(city, bench):
    step = bench(BasinAlerts(city))
    step(street(0, EMERGENCY), Tick())
    step(street(0, WARNING), Tick(), after_s=STANDS_S)
    step(street(0, 0), after_s=HOLD_S - 1)
    assert levels(step(Tick(), after_s=1)) == [(EMERGENCY, WARNING)]


CHANGES = st.lists(
    st.tuples(st.integers(0, 3_000), st.integers(0, STREETS - 1), st.integers(0, 3)), max_size=40
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(changes=CHANGES, cut=st.integers(0, 40))
def test_no_level_is_below_its_worst_street_or_left_early_and_a_restart_changes_nothing(
    city, bench, changes, cut
):
    step, restored = bench(BasinAlerts(city)), bench(BasinAlerts(city))
    known, level, since_ns = {}, 0, 0
    for place, (after_s, number, new) in enumerate(changes):
        if place == cut:
            restored.core = BasinAlerts(city)
            restored.core.restore(step.core.encode())
        known[number] = new
        answers = step(street(number, new), Tick(), after_s=after_s)
        assert restored(street(number, new), Tick(), after_s=after_s) == answers
        for alert in answers:
            assert alert.was == level
            if alert.level < level:
                assert step.at_ns - since_ns >= STANDS_S * NS
            if alert.level != level:
                level, since_ns = alert.level, step.at_ns
        assert level >= max(known.values())
