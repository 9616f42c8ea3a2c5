import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import (
    Address,
    CommandConfirmed,
    CommandExpired,
    CommandRefused,
    CommandUnconfirmed,
    ControlMode,
    ControlModeChanged,
    EngineStarted,
    Interval,
    SignalMode,
    SignalsObserved,
    SignalState,
    SourceLost,
    StageCommanded,
    StageRequested,
    Tick,
)
from causeway.site import Stage
from control.signals.safety import (
    COMMAND_EXPIRES_NS,
    STATE_STALE_NS,
    SignalSafety,
    conflicting,
)

NS = 1_000_000_000


def to(stage, by="signals", junction="j-01"):
    return StageRequested(junction=junction, stage=stage, by=by)


def mode(value):
    return ControlModeChanged(asset="j-01", mode=value, operator="an")


@pytest.fixture
def step(site, bench):
    return bench(SignalSafety(site))


@pytest.fixture
def ready(step, shows):
    """Safety that has seen the stage ns green for 12 s."""
    for _ in range(13):
        step(shows("ns"), after_s=1)
    return step


def refusal(answers):
    (answer,) = answers
    assert isinstance(answer, CommandRefused), answer
    return answer.interlock


def test_a_request_after_the_minimum_green_becomes_a_command_of_two_seconds(ready):
    assert ready(to("ew")) == [
        StageCommanded(
            junction="j-01",
            stage="ew",
            sequence=1,
            issued_at_ns=ready.at_ns,
            expires_at_ns=ready.at_ns + 2 * NS,
        )
    ]


def test_an_unknown_junction_or_stage_is_refused(ready):
    assert refusal(ready(to("ew", junction="j-99"))) == "unknown_asset"
    assert refusal(ready(to("diagonal"))) == "unknown_stage"


def test_a_stage_that_gives_green_to_conflicting_groups_is_refused(site, bench, shows):
    junction = msgspec.structs.replace(
        site.junctions[0],
        stages=(*site.junctions[0].stages, Stage(id="all", green=("n", "s", "e", "w"))),
    )
    step = bench(SignalSafety(msgspec.structs.replace(site, junctions=(junction,))))
    for _ in range(13):
        step(shows("ns"), after_s=1)
    assert refusal(step(to("all"))) == "conflict"


def test_a_controller_that_shows_conflicting_green_is_not_commanded(ready, shows):
    ready(shows("ns", aspects="GGGr"), after_s=1)
    assert refusal(ready(to("ew"))) == "conflict"


def test_a_report_with_an_aspect_too_few_is_an_unknown_state(ready, shows):
    ready(shows("ns", aspects="GGr"), after_s=1)
    assert refusal(ready(to("ew"))) == "state_unknown"


def test_before_the_first_report_nothing_is_commanded(step):
    assert refusal(step(to("ew"))) == "state_unknown"


def test_a_controller_that_fell_silent_is_not_commanded(ready):
    assert refusal(ready(to("ew"), after_s=STATE_STALE_NS / NS + 0.1)) == "state_unknown"


def test_by_a_fast_clock_a_command_lives_and_a_report_counts_for_longer(step, shows):
    step(EngineStarted(version="1", site_hash="", speed=10.0))
    for _ in range(26):
        step(shows("ns"), after_s=1)
    (command,) = step(to("ew"), after_s=49)
    assert command.expires_at_ns - command.issued_at_ns == 20 * NS


def test_by_a_slow_clock_no_limit_is_shorter(step, shows):
    step(EngineStarted(version="1", site_hash="", speed=0.1))
    for _ in range(13):
        step(shows("ns"), after_s=1)
    (command,) = step(to("ew"), after_s=4)
    assert command.expires_at_ns - command.issued_at_ns == 2 * NS


def test_a_fault_holds_everything_back(ready, shows):
    ready(shows("ns", fault="lamp"), after_s=1)
    assert refusal(ready(to("ew"))) == "fault"


@pytest.mark.parametrize(
    "other", [SignalMode.LOCAL, SignalMode.FLASH, SignalMode.MANUAL, SignalMode.UNKNOWN]
)
def test_a_controller_that_is_not_under_the_centre_is_not_commanded(ready, shows, other):
    ready(shows("ns", mode=other), after_s=1)
    assert refusal(ready(to("ew"))) == "not_remote"


@pytest.mark.parametrize("interval", [i for i in Interval if i is not Interval.GREEN])
def test_nothing_is_commanded_during_a_change_over(ready, shows, interval):
    ready(shows("ns", interval=interval), after_s=1)
    assert refusal(ready(to("ew"))) == "change_over"


def test_the_stage_that_is_green_is_not_commanded_again(ready):
    assert refusal(ready(to("ns"))) == "no_change"


def test_a_second_request_waits_until_the_first_is_shown_or_its_time_is_over(ready, shows):
    ready(to("ew"))
    ready(shows("ns"), after_s=1)
    assert refusal(ready(to("ew"))) == "pending"
    for _ in range(15):
        ready(shows("ns"), after_s=1)
    assert refusal(ready(to("ew"))) == "pending"
    ready(shows("ns"), after_s=1)
    (again,) = ready(to("ew"))
    assert again.sequence == 2


def test_the_minimum_green_is_counted_from_the_first_green_report(step, shows):
    step(shows("ns", interval=Interval.ALL_RED))
    for _ in range(10):
        step(shows("ns"), after_s=1)
        assert refusal(step(to("ew"))) == "minimum_green"
    step(shows("ns"), after_s=1)
    assert isinstance(step(to("ew"))[0], StageCommanded)


def test_a_gap_in_the_reports_starts_the_minimum_green_again(ready, shows):
    ready(shows("ns"), after_s=STATE_STALE_NS / NS + 1)
    assert refusal(ready(to("ew"))) == "minimum_green"


def test_reports_between_which_a_change_over_fits_are_not_of_one_green(step, shows):
    step(EngineStarted(version="1", site_hash="", speed=10.0))
    for _ in range(5):
        step(shows("ns"), after_s=5)
    step(shows("ns"), after_s=5.1)
    assert refusal(step(to("ew"))) == "minimum_green"


def test_a_new_stage_starts_the_minimum_green_again_even_if_its_change_over_was_missed(
    ready, shows
):
    ready(shows("ew"), after_s=1)
    assert refusal(ready(to("ns"))) == "minimum_green"


def test_an_operator_has_the_junction_only_in_manual_mode_and_the_rule_only_in_automatic(ready):
    assert refusal(ready(to("ew", by="operator:an"))) == "control_mode"
    ready(mode(ControlMode.MANUAL))
    assert refusal(ready(to("ew"))) == "control_mode"
    assert isinstance(ready(to("ew", by="operator:an"))[0], StageCommanded)


def test_the_interlocks_hold_for_operators_too(ready, shows):
    ready(mode(ControlMode.MANUAL))
    ready(shows("ew"), after_s=1)
    assert refusal(ready(to("ns", by="operator:an"))) == "minimum_green"


def test_sequences_go_on_from_what_the_controller_has_taken(ready, shows):
    ready(shows("ns", sequence=41), after_s=1)
    assert ready(to("ew"))[0].sequence == 42


def test_reports_of_unknown_junctions_and_other_events_change_nothing(ready, shows):
    before = ready.core.encode()
    ready(shows("ns", junction="j-99"))
    ready(ControlModeChanged(asset="p-1", mode=ControlMode.MANUAL, operator="an"))
    assert list(ready.core.step(SourceLost(source="j-01", why=""), None)) == []
    assert ready.core.encode() == before


def test_a_report_that_comes_late_is_not_of_now(step, shows):
    for _ in range(20):
        step(shows("ns", at_ns=step.at_ns - 10 * NS), after_s=1)
    assert refusal(step(to("ew"))) == "state_unknown"


def test_a_report_that_was_overtaken_is_not_believed(ready, shows):
    ready(shows("ew", at_ns=ready.at_ns - NS))
    assert type(ready(to("ew"))[0]) is StageCommanded


def test_a_controller_whose_clock_is_ahead_is_heard_when_it_has_been_set_right(step, shows):
    step(shows("ns", at_ns=step.at_ns + 3_600 * NS))
    for _ in range(13):
        step(shows("ns"), after_s=1)
    assert type(step(to("ew"))[0]) is StageCommanded


def test_a_controller_whose_clock_is_ahead_by_a_commands_life_is_not_commanded(step, shows):
    for _ in range(20):
        step(shows("ns", at_ns=step.at_ns + 4 * NS), after_s=1)
    assert refusal(step(to("ew"))) == "clock"


def test_the_minimum_green_is_not_shortened_by_a_leap_of_the_centres_clock(step, shows):
    shown_at_ns = step.at_ns
    for _ in range(8):
        step(shows("ns", at_ns=shown_at_ns), after_s=1)
        shown_at_ns += NS
    step(shows("ns", at_ns=shown_at_ns), after_s=4)  # of which three did not pass
    assert refusal(step(to("ew"))) == "minimum_green"


def test_the_minimum_green_is_not_shortened_by_a_leap_of_the_controllers_clock(step, shows):
    step(shows("ns"))
    for _ in range(9):
        step(shows("ns", at_ns=step.at_ns + int(2.9 * NS)), after_s=1)  # 1.9 s ahead
    assert refusal(step(to("ew"))) == "minimum_green"


def test_when_the_centres_clock_stands_still_nothing_is_commanded_until_it_goes_on(ready, shows):
    ready(Tick(), Tick())
    assert refusal(ready(to("ns"))) == "no_change"
    ready(Tick())
    assert refusal(ready(to("ew"))) == "clock"
    ready(Tick(), after_s=1)
    assert refusal(ready(to("ew"))) == "state_unknown"
    for _ in range(13):
        ready(shows("ns"), after_s=1)
    assert type(ready(to("ew"))[0]) is StageCommanded


def test_after_a_start_a_state_from_before_is_not_known(ready):
    ready(EngineStarted(version="1", site_hash=""))
    assert refusal(ready(to("ew"))) == "state_unknown"


def test_after_a_start_a_command_of_the_run_before_may_still_be_under_way(site, bench, shows):
    junction = msgspec.structs.replace(site.junctions[0], min_green_s=2.0)
    step = bench(SignalSafety(msgspec.structs.replace(site, junctions=(junction,))))
    for _ in range(7):
        step(shows("ns"), after_s=1)
    assert refusal(step(to("ew"))) == "pending"
    step(shows("ns"), after_s=1)
    assert type(step(to("ew"))[0]) is StageCommanded


@pytest.mark.parametrize(
    ("stage", "aspects"), [("ns", "rrGG"), ("ns", "rrrr"), ("", "GGrr"), ("other", "GGrr")]
)
def test_lamps_that_are_not_those_of_the_reported_stage_are_an_unknown_state(
    ready, shows, stage, aspects
):
    for _ in range(13):
        ready(shows(stage, aspects=aspects), after_s=1)
    assert refusal(ready(to("ew"))) == "state_unknown"


def outcome(kind, sequence, target="j-01"):
    about = {"command": Address(1, 1), "target": target, "sequence": sequence}
    if kind is CommandConfirmed:
        return CommandConfirmed(took_ns=1, **about)
    return CommandUnconfirmed(why="", **about)


@pytest.fixture
def ask(ready, shows):
    """Asks for the other stage once nothing else stands against it; gives the answer."""

    def again(after_s=20):
        for _ in range(after_s):
            ready(shows("ns"), after_s=1)
        (answer,) = ready(to("ew"))
        return answer

    return again


def test_a_controller_that_twice_did_nothing_is_left_alone_for_a_minute(ready, ask):
    ready(outcome(CommandUnconfirmed, ask().sequence))
    ready(outcome(CommandUnconfirmed, ask().sequence))
    assert ask(39).interlock == "disobeyed"
    assert ask().interlock == "disobeyed"
    again = ask(1)
    assert type(again) is StageCommanded
    ready(outcome(CommandUnconfirmed, again.sequence))
    assert ask().interlock == "disobeyed"


def test_a_command_that_never_left_is_not_held_against_a_controller(ready, ask):
    for _ in range(3):
        command = ask(8)
        about = {"command": Address(1, 1), "target": "j-01", "sequence": command.sequence}
        ready(CommandExpired(why="", **about))
    assert type(ask(8)) is StageCommanded


def test_a_controller_that_has_obeyed_may_miss_a_command_again(ready, ask):
    ready(outcome(CommandUnconfirmed, ask().sequence))
    ready(outcome(CommandConfirmed, ask().sequence))
    ready(outcome(CommandUnconfirmed, ask().sequence))
    assert type(ask()) is StageCommanded


def test_what_became_of_other_commands_is_not_held_against_a_controller(ready, ask):
    command = ask()
    ready(outcome(CommandUnconfirmed, command.sequence - 1))
    ready(outcome(CommandUnconfirmed, command.sequence, target="p-1"))
    ready(outcome(CommandUnconfirmed, command.sequence))
    assert type(ask()) is StageCommanded


def test_a_restored_layer_knows_what_is_under_way_and_that_the_clock_stands(site, bench, ready):
    ready(to("ew"))
    ready(Tick(), Tick())
    restored = bench(SignalSafety(site))
    restored.core.restore(ready.core.encode())
    restored.at_ns = ready.at_ns
    assert refusal(restored(to("ew"))) == "pending"
    restored(Tick())
    assert refusal(restored(to("ew"))) == "clock"


def test_conflicting_groups_are_found_in_green_and_yellow(site):
    junction = site.junctions[0]
    assert conflicting(junction, "GGrr") is None
    assert conflicting(junction, "Gryr") == ("n", "e")
    assert conflicting(junction, "oooo") is None


REPORTS = st.builds(
    SignalState,
    junction=st.just("j-01"),
    observed_at_ns=st.just(1),
    stage=st.sampled_from(["ns", "ew", "other"]),
    interval=st.sampled_from(Interval),
    aspects=st.sampled_from(["GGrr", "rrGG", "yyrr", "rrrr", "GGGG", "G", ""]),
    mode=st.sampled_from([SignalMode.CENTRE] * 4 + list(SignalMode)),
    sequence=st.integers(0, 65_535),
    fault=st.sampled_from(["", "", "", "lamp"]),
)
STEADY = st.sampled_from(["ns", "ew"]).map(
    lambda stage: SignalState(
        "j-01", 1, stage, Interval.GREEN, {"ns": "GGrr", "ew": "rrGG"}[stage], SignalMode.CENTRE
    )
)
HAPPENINGS = st.one_of(
    REPORTS.map(lambda state: SignalsObserved(states=(state,))),
    STEADY.map(lambda state: SignalsObserved(states=(state,))),
    st.builds(
        to,
        st.sampled_from(["ns", "ew", "x"]),
        st.sampled_from(["signals", "operator:an"]),
    ),
    st.sampled_from(ControlMode).map(mode),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.tuples(st.floats(0, 6), HAPPENINGS), max_size=60))
def test_whatever_happens_a_command_is_safe(site, bench, happenings):
    step = bench(SignalSafety(site))
    junction = site.junctions[0]
    report, reported_at_ns, green_since_ns, commanded_at_ns = None, 0, None, None
    for after_s, event in happenings:
        answers = step(event, after_s=after_s)
        if isinstance(event, SignalsObserved):
            state = event.states[0]
            steady = (
                report is not None
                and state.interval is report.interval is Interval.GREEN
                and state.stage == report.stage
                and step.at_ns - reported_at_ns <= STATE_STALE_NS
            )
            if not steady:
                green_since_ns = step.at_ns
            if report is not None and state.stage != report.stage:
                commanded_at_ns = None
            report, reported_at_ns = state, step.at_ns
        if not isinstance(event, StageRequested):
            assert answers == []
            continue
        (answer,) = answers
        if isinstance(answer, CommandRefused):
            continue
        green = {s.id: s.green for s in junction.stages}[answer.stage]
        assert not any(a in green and b in green for a, b in junction.conflicts)
        assert report is not None
        assert report.interval is Interval.GREEN
        assert report.mode is SignalMode.CENTRE
        assert report.fault == ""
        assert report.stage != answer.stage
        assert step.at_ns - reported_at_ns <= STATE_STALE_NS
        assert step.at_ns - green_since_ns >= junction.min_green_s * NS
        assert answer.expires_at_ns - answer.issued_at_ns == COMMAND_EXPIRES_NS
        if commanded_at_ns is not None:  # never two commands on the way
            assert step.at_ns - commanded_at_ns >= COMMAND_EXPIRES_NS
        commanded_at_ns = step.at_ns
