import pytest

from causeway.events import (
    Address,
    ClosureDecided,
    ClosureProposed,
    ClosureWithdrawn,
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    FloodAlertChanged,
    FloodCause,
    InundationChanged,
    InundationForecast,
    PassageOutlook,
    SignObserved,
    SignRequested,
    StreetOutlook,
    Tick,
)
from control.closures import ASK_AGAIN_S, Closures
from control.inundation.passability import kept_out, limits

NS = 1_000_000_000
KEPT_OUT = {2: 0.2, 3: 0.3, 4: 0.5}  # by level, from what depth on


def water(level, depth_m=0.27, segment="rd-1"):
    return InundationChanged(
        segment=segment,
        level=level,
        depth_m=depth_m,
        point="sg-1/depth_m",
        kept_out=kept_out(limits(None), KEPT_OUT.get(level, 0.0)),
    )


def forecast(at_ns, peak_cm=35, **kinds):
    """A forecast of one street; each kind with its probability and minutes until it stops."""
    street = StreetOutlook(
        segment="rd-1",
        low_cm=(0,),
        median_cm=(peak_cm,),
        high_cm=(peak_cm,),
        over=(1.0, 0.9, 0.5, 0.0),
        peak_cm=peak_cm,
        onset_s=1_800,
        end_s=None,
        cause=FloodCause.RAIN,
        closed=tuple(PassageOutlook(k, p, 60 * m, None) for k, (p, m) in kinds.items()),
    )
    return InundationForecast(
        issued_at_ns=at_ns, lead_s=(600,), members=30, streets=(street,), inputs=""
    )


def alert(at_ns, level=2, minutes=30):
    return FloodAlertChanged(
        segment="rd-1",
        level=level,
        probability=0.9,
        peak_m=0.35,
        onset_at_ns=at_ns + minutes * 60 * NS if level else None,
        cause=FloodCause.RAIN,
        why="",
    )


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
    assert answers[0].classes == ("motorbike", "car", "bus", "truck")
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


# --- water to come --------------------------------------------------------------------------------


def test_a_sure_and_near_forecast_proposes_each_class_that_it_concerns(site, bench):
    step = bench(Closures(site))
    kinds = {"motorbike": (0.9, 30), "car": (0.8, 40), "bus_truck": (0.4, 50)}
    (proposed,) = step(forecast(step.at_ns, **kinds), alert(step.at_ns))
    assert proposed.classes == ("motorbike", "car")
    assert (proposed.depth_m, proposed.expected_at_ns) == (0.35, step.at_ns + 1_800 * NS)


def test_a_street_that_is_not_warned_of_is_not_proposed(site, bench):
    step = bench(Closures(site))
    assert step(forecast(step.at_ns, motorbike=(0.9, 30)), alert(step.at_ns, 1)) == []


@pytest.mark.parametrize(("p", "minutes"), [(0.7, 30), (0.9, 61)])
def test_water_that_is_not_sure_or_not_near_proposes_nothing_yet(site, bench, p, minutes):
    step = bench(Closures(site))
    assert step(forecast(step.at_ns, motorbike=(p, minutes)), alert(step.at_ns)) == []


def test_a_warning_that_comes_near_is_proposed_by_the_forecast_alone(site, bench):
    step = bench(Closures(site))
    assert step(forecast(step.at_ns, motorbike=(0.9, 100)), alert(step.at_ns, 2, 100)) == []
    step(Tick(), after_s=2_700)
    (proposed,) = step(forecast(step.at_ns, motorbike=(0.9, 55)))
    assert proposed.classes == ("motorbike",)


def test_a_class_stays_proposed_while_it_is_likelier_than_not(site, bench):
    step = bench(Closures(site))
    step(forecast(step.at_ns, motorbike=(0.9, 30), car=(0.8, 30)), alert(step.at_ns))
    assert step(forecast(step.at_ns, motorbike=(0.9, 30), car=(0.5, 30))) == []
    (fewer,) = step(forecast(step.at_ns, motorbike=(0.9, 30), car=(0.4, 30)))
    assert fewer.classes == ("motorbike",)


def test_a_warning_that_is_over_takes_its_proposal_back(site, bench):
    step = bench(Closures(site))
    step(forecast(step.at_ns, motorbike=(0.9, 30)), alert(step.at_ns), decided(True))
    answers = step(alert(step.at_ns, 0))
    assert isinstance(answers[0], ClosureWithdrawn)
    assert texts(answers) == {"vms-1": ""}


def test_an_approved_closure_says_that_the_water_is_still_to_come(site, bench):
    step = bench(Closures(site))
    step(forecast(step.at_ns, motorbike=(0.9, 30)), alert(step.at_ns))
    assert texts(step(decided(True))) == {"vms-1": "CALMETTE\nSẮP NGẬP 35 CM\nCẤM XE MÁY"}


def test_what_a_gauge_has_seen_no_forecast_changes(site, bench):
    step = bench(Closures(site))
    step(forecast(step.at_ns, motorbike=(0.9, 30)), alert(step.at_ns), water(2))
    assert step(forecast(step.at_ns, motorbike=(0.9, 0), car=(0.9, 0)), alert(step.at_ns, 0)) == []


def test_the_state_comes_back_as_it_was(site, bench):
    first, second = Closures(site), Closures(site)
    step = bench(first)
    step(forecast(step.at_ns, motorbike=(0.9, 30)), alert(step.at_ns), decided(True))
    second.restore(first.encode())
    assert second.encode() == first.encode()
    assert bench(second)(forecast(step.at_ns, motorbike=(0.9, 30))) == []


def test_a_closure_that_is_not_likely_any_more_is_withdrawn(site, bench):
    step = bench(Closures(site))
    at_ns = step.at_ns
    proposed = step(forecast(at_ns, motorbike=(0.9, 30)), alert(at_ns))
    assert [a.classes for a in proposed if isinstance(a, ClosureProposed)] == [("motorbike",)]
    step(decided(True))
    answers = step(forecast(at_ns + NS, motorbike=(0.3, 30)))
    assert [a.segment for a in answers if isinstance(a, ClosureWithdrawn)] == ["rd-1"]
    assert set(texts(answers).values()) == {""}


def test_who_keeps_a_car_out_keeps_motorbikes_out(site, bench):
    step = bench(Closures(site))
    later = forecast(step.at_ns, motorbike=(0.9, 62), car=(0.8, 55))
    (proposed,) = step(later, alert(step.at_ns))
    assert proposed.classes == ("motorbike", "car")
