import unicodedata

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.events import (
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    SignCommanded,
    SignObserved,
    SignRequested,
)
from control.signs import Signs

MANUAL = ControlModeChanged(asset="vms-1", mode=ControlMode.MANUAL, operator="an")


def asked(text, sign="vms-1", by="closures"):
    return SignRequested(sign=sign, text=text, by=by)


def test_a_text_that_fits_is_commanded_with_a_sequence_and_an_expiry(site, bench):
    step = bench(Signs(site))
    (command,) = step(asked("NGẬP 35 CM"))
    assert command == SignCommanded(
        sign="vms-1",
        text="NGẬP 35 CM",
        sequence=1,
        issued_at_ns=step.at_ns,
        expires_at_ns=step.at_ns + 30_000_000_000,
    )
    (following,) = step(asked(""))
    assert following.sequence == 2


def test_an_unknown_sign_is_refused(site, bench):
    (refused,) = bench(Signs(site))(asked("", sign="vms-9"))
    assert refused.interlock == "unknown_asset"


def test_a_text_with_too_many_lines_or_too_long_a_line_is_refused(site, bench):
    step = bench(Signs(site))
    for text in ("A\nB\nC\nD", "X" * 21):
        (refused,) = step(asked(text))
        assert refused.interlock == "text_too_long"


def test_a_letter_with_its_marks_takes_one_column_however_it_is_coded(site, bench):
    text = unicodedata.normalize("NFD", "Ậ" * 20)
    (command,) = bench(Signs(site))(asked(text))
    assert command.text == "Ậ" * 20


def test_control_letters_are_refused(site, bench):
    (refused,) = bench(Signs(site))(asked("NGẬP\x07"))
    assert refused.interlock == "text_unprintable"


def test_an_operator_has_the_sign_only_in_manual_mode_and_an_engine_only_in_automatic(site, bench):
    step = bench(Signs(site))
    (refused,) = step(asked("A", by="operator:an"))
    assert refused.interlock == "control_mode"
    step(MANUAL)
    (command,) = step(asked("A", by="operator:an"))
    assert isinstance(command, SignCommanded)
    (refused,) = step(asked("B"))
    assert refused.interlock == "control_mode"
    step(ControlModeChanged(asset="vms-1", mode=ControlMode.AUTOMATIC, operator="an"))
    (command,) = step(asked("B"))
    assert isinstance(command, SignCommanded)


def test_sequences_go_on_from_what_the_sign_has_taken(site, bench):
    step = bench(Signs(site))
    step(SignObserved(sign="vms-1", observed_at_ns=1, text="", sequence=41))
    (command,) = step(asked("A"))
    assert command.sequence == 42


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(text=st.text(max_size=70), sign=st.sampled_from(["vms-1", "vms-2", "vms-9"]))
def test_whatever_is_commanded_fits_the_sign(site, bench, text, sign):
    (answer,) = bench(Signs(site))(asked(text, sign=sign))
    if isinstance(answer, CommandRefused):
        return
    columns, rows = {"vms-1": (20, 3), "vms-2": (16, 2)}[sign]
    lines = answer.text.split("\n")
    assert len(lines) <= rows
    assert all(len(line) <= columns for line in lines)
    assert answer.expires_at_ns - answer.issued_at_ns <= 60_000_000_000
