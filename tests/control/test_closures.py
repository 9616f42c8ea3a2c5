from causeway.events import (
    Address,
    ClosureDecided,
    ClosureProposed,
    ClosureWithdrawn,
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    InundationChanged,
    SignObserved,
    SignRequested,
    Tick,
)
from control.closures import ASK_AGAIN_S, Closures


def water(level, depth_m=0.27, segment="rd-1"):
    return InundationChanged(segment=segment, level=level, depth_m=depth_m, point="sg-1/depth_m")


def decided(approved, segment="rd-1"):
    return ClosureDecided(segment=segment, approved=approved, operator="an")


def texts(answers):
    return {a.sign: a.text for a in answers if isinstance(a, SignRequested)}


def test_water_that_only_needs_watching_proposes_nothing(site, bench):
    assert bench(Closures(site))(water(1)) == []


def test_water_over_a_closing_level_proposes_and_shows_nothing_yet(site, bench):
    (proposed,) = bench(Closures(site))(water(2))
    assert proposed == ClosureProposed(
        segment="rd-1", classes=("motorbike",), depth_m=0.27, signs=("vms-1",)
    )


def test_an_approval_puts_the_closure_on_the_signs_of_the_street(site, bench):
    step = bench(Closures(site))
    step(water(3, segment="rd-2"))
    assert texts(step(decided(True, "rd-2"))) == {
        "vms-1": "NGUYỄN HỮU CẢNH\nNGẬP 27 CM\nCẤM XE MÁY, Ô TÔ",
        "vms-2": "NGẬP 27 CM\nCẤM XE MÁY, Ô TÔ",
        "vms-3": "CẤM XE MÁY, Ô TÔ",
    }


def test_a_declined_closure_shows_nothing(site, bench):
    step = bench(Closures(site))
    step(water(2))
    assert step(decided(False)) == []


def test_a_decision_about_no_proposal_is_refused(site, bench):
    (refused,) = bench(Closures(site))(decided(True))
    assert isinstance(refused, CommandRefused)
    assert (refused.interlock, refused.by) == ("no_proposal", "operator:an")


def test_an_approval_does_not_cover_classes_that_rising_water_adds(site, bench):
    step = bench(Closures(site))
    step(water(2), decided(True))
    answers = step(water(4, 0.55))
    assert answers[0].classes == ("motorbike", "car", "bus", "truck", "emergency")
    assert answers[0].in_force == ("motorbike",)
    assert texts(answers) == {"vms-1": "CALMETTE\nNGẬP 55 CM\nCẤM XE MÁY"}
    assert texts(step(decided(True))) == {"vms-1": "CALMETTE\nNGẬP 55 CM\nCẤM MỌI XE"}


def test_falling_water_opens_the_street_to_classes_without_a_new_approval(site, bench):
    step = bench(Closures(site))
    step(water(4, 0.55), decided(True))
    answers = step(water(2, 0.24))
    assert answers[0].in_force == answers[0].classes == ("motorbike",)
    assert texts(answers) == {"vms-1": "CALMETTE\nNGẬP 24 CM\nCẤM XE MÁY"}


def test_a_closure_is_withdrawn_and_its_signs_go_blank_when_the_water_has_gone(site, bench):
    step = bench(Closures(site))
    step(water(2), decided(True))
    answers = step(water(1, 0.12))
    assert answers[0] == ClosureWithdrawn(segment="rd-1", depth_m=0.12)
    assert texts(answers) == {"vms-1": ""}


def test_an_operator_ends_a_closure_and_the_signs_go_blank(site, bench):
    step = bench(Closures(site))
    step(water(2), decided(True))
    assert texts(step(decided(False))) == {"vms-1": ""}


def test_a_sign_before_two_closures_says_the_worse_one_and_then_the_one_that_is_left(site, bench):
    step = bench(Closures(site))
    step(water(2), decided(True))
    step(water(4, 0.6, "rd-2"))
    assert texts(step(decided(True, "rd-2")))["vms-1"] == "NGUYỄN HỮU CẢNH\nNGẬP 60 CM\nCẤM MỌI XE"
    assert texts(step(water(0, 0.0, "rd-2")))["vms-1"] == "CALMETTE\nNGẬP 27 CM\nCẤM XE MÁY"


def test_a_sign_that_shows_something_else_is_asked_again_for_the_same_reason(site, bench):
    step = bench(Closures(site))
    step(water(2), decided(True))
    step(SignObserved(sign="vms-1", observed_at_ns=1, text=""))
    assert step(Tick(), after_s=ASK_AGAIN_S - 1) == []
    (again,) = step(Tick(), after_s=1)
    assert again.text == "CALMETTE\nNGẬP 27 CM\nCẤM XE MÁY"
    assert again.because == Address(2, 0)  # the decision
    step(SignObserved(sign="vms-1", observed_at_ns=2, text=again.text))
    assert step(Tick(), after_s=ASK_AGAIN_S) == []


def test_a_sign_in_manual_mode_is_not_asked_again(site, bench):
    step = bench(Closures(site))
    step(ControlModeChanged(asset="vms-1", mode=ControlMode.MANUAL, operator="an"))
    step(SignObserved(sign="vms-1", observed_at_ns=1, text="CHÀO"))
    assert step(Tick(), after_s=ASK_AGAIN_S) == []
    step(ControlModeChanged(asset="vms-1", mode=ControlMode.AUTOMATIC, operator="an"))
    assert texts(step(Tick(), after_s=1)) == {"vms-1": ""}
