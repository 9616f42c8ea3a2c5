from __future__ import annotations

from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.events import Interval, SignalMode
from causeway.site import Junction, LightingCircuit, LonLat, Sign, SignalGroup, Stage
from sims.controllers import (
    LightingCabinet,
    MessageSign,
    SignalController,
    SignalFault,
    sun_elevation_deg,
)
from sims.obedience import Restriction, obeyed

S = 1_000_000_000
NOON = 1_763_960_400 * S  # 2025-11-24 12:00 in Ho Chi Minh City
SAIGON = LonLat(106.70, 10.78)
JUNCTION = Junction(
    id="j-01",
    name="",
    at=SAIGON,
    groups=tuple(SignalGroup(g) for g in ("n", "s", "e", "w")),
    stages=(Stage("ns", ("n", "s")), Stage("ew", ("e", "w")), Stage("n-only", ("n",))),
    conflicts=tuple((a, b) for a in ("n", "s") for b in ("e", "w")),
)
SIGN = Sign("vms-01", "", SAIGON, ("rd-1",))
CIRCUIT = LightingCircuit("lc-01", SAIGON, "rd-1", 10.0)


def order(sequence: int, at_ns: int, valid_s: float = 2.0, **do: object) -> bytes:
    times = {"issued_at_ns": at_ns, "expires_at_ns": at_ns + int(valid_s * S)}
    return msgspec.json.encode({"sequence": sequence, **times, **do})


class Street:
    """A controller and its time, in steps of a fifth of a second."""

    def __init__(self, junction: Junction = JUNCTION) -> None:
        self.now = NOON
        self.controller = SignalController(junction, self.now)
        self.alive = True
        self.sequence = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 5)):
            self.now += S // 5
            if self.alive:
                self.controller.heartbeat(self.now)
            self.controller.tick(self.now)

    def until(self, stage: str, interval: Interval = Interval.GREEN) -> None:
        for _ in range(2_000):
            state = self.controller.report(self.now)
            if (state.stage, state.interval) == (stage, interval):
                return
            self.run(0.2)
        raise AssertionError(f"never {stage} {interval}: {self.controller.report(self.now)}")

    def ask(self, stage: str, valid_s: float = 2.0) -> str:
        self.sequence += 1
        payload = order(self.sequence, self.now, valid_s, stage=stage)
        return self.controller.command(payload, self.now).result

    @property
    def aspects(self) -> str:
        return self.controller.aspects


def test_a_controller_starts_all_red_and_then_gives_its_first_stage() -> None:
    street = Street()
    assert street.aspects == "rrrr"
    street.run(4.8)
    assert street.aspects == "rrrr"
    street.run(0.4)
    assert street.aspects == "GGrr"
    assert street.controller.report(street.now).sequence == 0


def test_a_command_is_a_change_over_through_yellow_and_all_red() -> None:
    street = Street()
    street.until("ns")
    street.run(12)
    assert street.ask("ew") == "accepted"
    seen: list[str] = []
    for _ in range(40):
        street.run(0.2)
        if not seen or seen[-1] != street.aspects:
            seen.append(street.aspects)
    assert seen == ["yyrr", "rrrr", "rrGG"]
    report = street.controller.report(street.now)
    assert (report.stage, report.mode, report.sequence) == ("ew", SignalMode.CENTRE, 1)


def test_a_group_that_is_green_in_both_stages_stays_green() -> None:
    street = Street()
    street.until("ns")
    street.run(12)
    assert street.ask("n-only") == "accepted"
    street.run(1)
    assert street.aspects == "Gyrr"
    street.run(3)
    assert street.aspects == "Grrr"


def test_a_stage_is_refused_while_its_minimum_green_outlasts_the_command() -> None:
    street = Street()
    street.until("ns")
    assert street.ask("ew") == "interlock"
    street.run(8.6)
    assert street.ask("ew") == "accepted"
    assert street.aspects == "GGrr"
    street.run(1.6)
    assert street.aspects == "yyrr"


def test_a_command_during_a_change_over_is_refused_unless_it_is_the_same() -> None:
    street = Street()
    street.until("ns")
    street.run(12)
    street.ask("ew")
    street.run(1)
    assert street.ask("ns") == "interlock"
    assert street.ask("ew") == "accepted"


@pytest.mark.parametrize(
    ("payload", "result"),
    [
        (b"", "malformed"),
        (b"\xff\x00", "malformed"),
        (b"{}", "malformed"),
        (b"[1]", "malformed"),
        (b"{" * 5_000, "malformed"),
        (order(0, NOON, stage="ew"), "malformed"),
        (order(65_536, NOON, stage="ew"), "malformed"),
        (order(7, NOON, stage="up"), "malformed"),
        (order(7, NOON, text="ew"), "malformed"),
        (order(7, NOON, valid_s=-1, stage="ew"), "malformed"),
        (order(7, NOON - 10 * S, stage="ew"), "late"),
        (order(7, NOON - 2 * S, stage="ew"), "late"),
    ],
)
def test_a_bad_command_is_refused_and_changes_nothing(payload: bytes, result: str) -> None:
    controller = SignalController(JUNCTION, NOON)
    before = controller.report(NOON)
    answer = controller.command(payload, NOON)
    assert (answer.accepted, answer.result) == (False, result)
    assert controller.report(NOON) == before


def test_an_unusable_command_is_answered_under_its_own_sequence() -> None:
    controller = SignalController(JUNCTION, NOON)
    assert controller.command(order(7, NOON, stage="up"), NOON).sequence == 7
    assert controller.command(b"?", NOON).sequence == 0


def test_a_repeated_or_older_sequence_is_refused_and_the_numbers_wrap() -> None:
    sign = MessageSign(SIGN, NOON)

    def show(sequence: int) -> str:
        return sign.command(order(sequence, NOON, text=str(sequence)), NOON).result

    assert show(65_000) == "accepted"  # the first after a start may be any
    assert show(65_000) == "repeated"
    assert show(64_999) == "repeated"
    assert show(65_535) == "accepted"
    assert show(1) == "accepted"
    assert show(65_535) == "repeated"
    assert sign.text == "1"


def test_a_repeated_command_is_repeated_even_when_it_is_late() -> None:
    sign = MessageSign(SIGN, NOON)
    payload = order(1, NOON, text="A")
    sign.command(payload, NOON)
    assert sign.command(payload, NOON + 60 * S).result == "repeated"


def test_messagepack_commands_are_understood() -> None:
    sign = MessageSign(SIGN, NOON)
    payload = msgspec.msgpack.encode(msgspec.json.decode(order(1, NOON, text="A")))
    assert sign.command(payload, NOON).accepted


def test_ten_silent_seconds_bring_the_local_plan_without_a_bump() -> None:
    street = Street()
    street.until("ns")
    street.run(20)
    street.alive = False
    street.run(9.8)
    assert street.controller.report(street.now).mode is SignalMode.CENTRE
    assert street.aspects == "GGrr"
    street.run(0.4)
    assert street.controller.report(street.now).mode is SignalMode.LOCAL
    assert street.aspects in ("GGrr", "yyrr")  # the plan's split is over: by yellow, not by a jump
    street.until("ew")
    street.until("n-only")
    street.until("ns")


def test_the_local_plan_keeps_its_split() -> None:
    street = Street()
    street.alive = False
    street.until("ns")
    street.run(24.8)
    assert street.aspects == "GGrr"
    street.run(0.4)
    assert street.aspects == "yyrr"


def test_the_centre_takes_back_a_junction_where_it_stands() -> None:
    street = Street()
    street.alive = False
    street.until("ew")
    street.run(3)
    street.alive = True
    street.run(1)
    report = street.controller.report(street.now)
    assert (report.mode, report.aspects) == (SignalMode.CENTRE, "rrGG")
    street.run(40)
    assert street.aspects == "rrGG"


def test_a_living_centre_that_forgets_a_junction_does_not_hold_the_others_for_ever() -> None:
    street = Street()
    street.until("ns")
    street.run(JUNCTION.max_green_s - 1)
    assert street.aspects == "GGrr"
    street.run(1.4)
    assert street.aspects == "yyrr"


def test_a_green_lamp_that_stays_on_brings_flashing_amber_by_the_conflict_monitor() -> None:
    street = Street()
    street.until("ns")
    street.run(12)
    street.controller.break_down(SignalFault("conflict", "n"))
    street.run(1)
    assert street.aspects == "GGrr"
    street.ask("ew")
    while street.controller.report(street.now).fault == "":
        street.run(0.2)
        moving = [g for g, a in zip("nsew", street.aspects, strict=True) if a in "Gy"]
        assert not ("n" in moving and ("e" in moving or "w" in moving))
    report = street.controller.report(street.now)
    assert (report.interval, report.aspects, report.mode) == (
        Interval.FLASHING,
        "oooo",
        SignalMode.FLASH,
    )
    assert report.fault == "conflict n e"
    assert street.ask("ns") == "fault"
    street.run(60)
    assert street.aspects == "oooo"
    street.controller.repair("conflict", street.now)
    assert street.aspects == "rrrr"
    street.until("ns")


def test_a_lamp_failure_is_flashing_amber_and_a_power_cut_is_dark() -> None:
    street = Street()
    street.until("ns")
    street.controller.break_down(SignalFault("lamp", "e"))
    street.run(0.2)
    assert street.controller.report(street.now).fault == "lamp e"
    other = Street()
    other.controller.break_down(SignalFault("dark"))
    other.run(0.2)
    assert other.controller.report(other.now).interval is Interval.DARK


def test_an_officer_at_the_cabinet_decides_and_the_centre_is_refused() -> None:
    street = Street()
    street.until("ns")
    street.controller.officer("")
    street.run(60)
    assert street.controller.report(street.now).mode is SignalMode.MANUAL
    assert street.aspects == "GGrr"
    assert street.ask("ew") == "local"
    street.controller.officer("ew")
    street.run(6)
    assert street.aspects == "rrGG"
    street.controller.officer(None)
    street.run(0.2)
    assert street.controller.report(street.now).mode is SignalMode.CENTRE


@given(
    st.lists(
        st.tuples(
            st.floats(0.1, 15.0),
            st.sampled_from(["ns", "ew", "n-only", "beat", "officer", "gone", "stuck", "whole"]),
        ),
        max_size=40,
    )
)
def test_no_sequence_of_events_shows_a_conflict_or_a_short_interval(
    events: list[tuple[float, str]],
) -> None:
    now, sequence = NOON, 0
    controller = SignalController(JUNCTION, now)
    last, since = controller.report(now), now
    shortest = {Interval.GREEN: 10.0, Interval.YELLOW: 3.0, Interval.ALL_RED: 2.0}
    for seconds, event in events:
        match event:
            case "beat":
                controller.heartbeat(now)
            case "officer":
                controller.officer("ew")
            case "gone":
                controller.officer(None)
            case "stuck":
                controller.break_down(SignalFault("lamp", "s"))
            case "whole":
                controller.repair("lamp", now)
            case stage:
                sequence += 1
                controller.command(order(sequence, now, stage=stage), now)
        for _ in range(max(1, round(seconds / 0.5))):
            now += S // 2
            controller.tick(now)
            report = controller.report(now)
            moving = {g for g, a in zip("nsew", report.aspects, strict=True) if a in "Gy"}
            for a, b in combinations("nsew", 2):
                assert not ({a, b} <= moving and (a, b) in JUNCTION.conflicts)
            if (report.stage, report.interval) != (last.stage, last.interval):
                if report.interval is not Interval.FLASHING and last.interval in shortest:
                    assert (now - since) / S >= shortest[last.interval]
                last, since = report, now


def test_a_sign_goes_blank_after_five_silent_minutes() -> None:
    sign = MessageSign(SIGN, NOON)
    sign.command(order(1, NOON, 30, text="NGẬP 35 CM\nCẤM XE MÁY"), NOON)
    assert not sign.tick(NOON + 299 * S)
    assert sign.tick(NOON + 300 * S)
    assert sign.report(NOON + 300 * S).text == ""


def test_a_sign_that_hears_the_centre_keeps_its_text() -> None:
    sign = MessageSign(SIGN, NOON)
    sign.command(order(1, NOON, text="A"), NOON)
    sign.heartbeat(NOON + 200 * S)
    sign.tick(NOON + 400 * S)
    assert sign.text == "A"


@pytest.mark.parametrize("text", ["A" * 21, "A\nB\nC\nD", "A\x07"])
def test_a_text_that_the_matrix_cannot_show_is_malformed(text: str) -> None:
    sign = MessageSign(SIGN, NOON)
    assert sign.command(order(1, NOON, text=text), NOON).result == "malformed"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Restriction()),
        ("NGẬP 35 CM\nXE MÁY ĐI VÒNG", Restriction()),
        ("NGUYỄN HỮU CẢNH\nNGẬP 35 CM\nCẤM XE MÁY", Restriction(("motorbike",))),
        ("CẤM XE MÁY, Ô TÔ", Restriction(("motorbike", "car"))),
        ("CẤM MỌI XE", Restriction(("motorbike", "car", "bus", "truck"))),
        ("ĐÓNG LÀN 1", Restriction((), 1)),
        ("cấm xe tải\nđóng làn 2", Restriction(("truck",), 2)),
    ],
)
def test_drivers_obey_bans_and_closed_lanes(text: str, wanted: Restriction) -> None:
    assert obeyed(text) == wanted


def test_a_circuit_follows_its_photocell_until_it_is_commanded_and_again_when_silent() -> None:
    circuit = LightingCabinet(CIRCUIT, NOON)
    assert circuit.level_ratio == 0.0
    night = NOON + 8 * 3_600 * S
    assert circuit.tick(night)
    assert circuit.level_ratio == 1.0
    assert circuit.command(order(1, night, 30, level_ratio=0.5), night).accepted
    circuit.tick(night + 299 * S)
    assert circuit.level_ratio == 0.5
    assert circuit.power_kw == pytest.approx(5.1)
    circuit.tick(NOON + 24 * 3_600 * S)
    assert circuit.level_ratio == 0.0


@pytest.mark.parametrize("level", [-0.1, 1.1, "1", None])
def test_a_level_outside_its_range_is_malformed(level: object) -> None:
    circuit = LightingCabinet(CIRCUIT, NOON)
    assert circuit.command(order(1, NOON, level_ratio=level), NOON).result == "malformed"


def test_a_broken_sign_or_circuit_refuses_by_fault() -> None:
    sign, circuit = MessageSign(SIGN, NOON), LightingCabinet(CIRCUIT, NOON)
    sign.broken = circuit.broken = True
    assert sign.command(order(1, NOON, text="A"), NOON).result == "fault"
    assert circuit.command(order(1, NOON, level_ratio=1.0), NOON).result == "fault"


def test_the_sun_stands_where_the_almanac_has_it() -> None:
    # Ho Chi Minh City, 24 November 2025: sunset 17:27, solar noon 11:40 at 58.7 degrees.
    assert sun_elevation_deg(SAIGON, NOON - 20 * 60 * S) == pytest.approx(58.7, abs=0.7)
    assert sun_elevation_deg(SAIGON, NOON + (5 * 60 + 27) * 60 * S) == pytest.approx(-0.8, abs=0.7)
