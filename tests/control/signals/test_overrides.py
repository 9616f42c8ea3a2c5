import pytest

from causeway.engine import advance
from causeway.events import (
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    ControlModeRequested,
    SignalOverridden,
    SignalOverride,
    SignalOverrideRequested,
    StageCommanded,
    StageRequested,
    Tick,
)
from control.modes import ControlModes
from control.signals.overrides import FOR_S_MAX, SignalOverrides
from control.signals.safety import SignalSafety

NS = 1_000_000_000
AT_NS = 1_763_980_800 * NS


def wish(action, for_s=60.0, junction="j-01"):
    return SignalOverrideRequested(junction=junction, action=action, for_s=for_s, operator="an")


@pytest.fixture
def hand(site, bench):
    return bench(SignalOverrides(site))


def test_a_hold_takes_the_junction_in_hand_and_gives_it_back_by_itself(hand):
    mode, overridden = hand(wish(SignalOverride.HOLD))
    assert (mode.asset, mode.mode, mode.operator) == ("j-01", ControlMode.MANUAL, "an")
    assert overridden.until_at_ns == hand.at_ns + 60 * NS
    assert hand(Tick(), after_s=59) == []
    (back,) = hand(Tick(), after_s=1)
    assert (back.mode, back.operator) == (ControlMode.AUTOMATIC, "an")
    (ended,) = hand(back)
    assert isinstance(ended, SignalOverridden) and ended.until_at_ns == 0
    assert hand(Tick(), after_s=60) == []


def test_a_second_hold_makes_it_longer(hand):
    hand(wish(SignalOverride.HOLD))
    hand(wish(SignalOverride.HOLD), after_s=50)
    assert hand(Tick(), after_s=50) == []
    assert [type(a) for a in hand(Tick(), after_s=10)] == [ControlModeChanged]


def test_a_release_ends_it_early(hand):
    hand(wish(SignalOverride.HOLD))
    (back,) = hand(wish(SignalOverride.RELEASE))
    assert back.mode is ControlMode.AUTOMATIC
    hand(back)
    assert hand(Tick(), after_s=100) == []


def test_the_plain_way_back_to_automatic_ends_it_too(hand):
    hand(wish(SignalOverride.HOLD))
    plain = ControlModeChanged(asset="j-01", mode=ControlMode.AUTOMATIC, operator="binh")
    (ended,) = hand(plain)
    assert (ended.action, ended.operator) == (SignalOverride.RELEASE, "binh")


def test_an_advance_asks_for_the_next_stage_in_the_operators_name(hand, shows):
    hand(shows("ew"))
    _, _, asked = hand(wish(SignalOverride.ADVANCE))
    assert (asked.stage, asked.by) == ("ns", "operator:an")


def test_an_advance_of_a_junction_that_shows_nothing_is_refused(hand):
    (refused,) = hand(wish(SignalOverride.ADVANCE))
    assert (refused.interlock, refused.by) == ("state_unknown", "operator:an")
    assert hand(Tick(), after_s=100) == []


@pytest.mark.parametrize("bad", [wish(SignalOverride.HOLD, 0.0),
                                 wish(SignalOverride.HOLD, FOR_S_MAX + 1),
                                 wish(SignalOverride.HOLD, float("nan")),
                                 wish(SignalOverride.HOLD, junction="j-99")])  # fmt: skip
def test_what_cannot_be_meant_is_refused(hand, bad):
    (refused,) = hand(bad)
    assert isinstance(refused, CommandRefused)


def test_an_advance_passes_the_safety_layer_as_any_other_request(site, shows):
    cores = (ControlModes(site), SignalOverrides(site), SignalSafety(site))
    at_ns = AT_NS
    for number in range(1, 13):
        at_ns += NS
        state = shows("ns", at_ns=at_ns)
        advance(cores, state, number, at_ns)
    events = advance(cores, wish(SignalOverride.ADVANCE), 13, at_ns)
    kinds = [type(e) for e in events]
    assert kinds[1:4] == [ControlModeChanged, SignalOverridden, StageRequested]
    assert [e.stage for e in events if isinstance(e, StageCommanded)] == ["ew"]
    given_back = ControlModeRequested(asset="j-01", mode=ControlMode.AUTOMATIC, operator="an")
    ended = advance(cores, given_back, 14, at_ns)
    assert [type(e) for e in ended[1:]] == [ControlModeChanged, SignalOverridden]
