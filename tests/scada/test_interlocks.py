from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from causeway.engine import advance
from causeway.events import (
    Address,
    AnyEvent,
    CommandAnswered,
    CommandConfirmed,
    CommandExpired,
    CommandRefused,
    CommandUnconfirmed,
    ControlMode,
    ControlModeChanged,
    EngineStarted,
    GateCommanded,
    GateRequested,
    Now,
    PumpCommanded,
    PumpRequested,
    Quality,
    ReadingsObserved,
    SourceLost,
    SourceReached,
    Tick,
    WatchdogObserved,
)
from causeway.site import Site
from scada.interlocks import Interlocks, is_new, next_sequence

NS = 1_000_000_000
MORNING_NS = 1_763_980_800 * NS

AT_REST = {
    "ps-1/sump_m": 1.0,
    "ps-1/remote_bool": 1.0,
    "ps-1/power_kw": 0.0,
    "p-1/running_bool": 0.0,
    "p-1/fault_bool": 0.0,
    "p-2/running_bool": 0.0,
    "p-2/fault_bool": 0.0,
    "g-1/opening_ratio": 0.5,
    "g-1/inside_m": 0.6,
    "g-1/outside_m": 0.4,
    "g-1/moving_bool": 0.0,
    "g-1/fault_bool": 0.0,
    "g-1/remote_bool": 1.0,
}


class Room:
    """The interlocks, the time, and a plant that is read once a second."""

    def __init__(self, site: Site) -> None:
        self.core = Interlocks(site)
        self.at_ns = MORNING_NS
        self.step = 0
        self.plant = dict(AT_REST)

    def hear(self, event: AnyEvent) -> tuple[AnyEvent, ...]:
        self.step += 1
        return advance([self.core], event, self.step, self.at_ns)[1:]

    def read(self, quality: Quality) -> None:
        self.hear(readings(self.plant, self.at_ns, quality))

    def set(self, point: str, value: float) -> None:
        self.plant[point] = value
        self.hear(readings(self.plant, self.at_ns))

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.at_ns += NS
            self.hear(readings(self.plant, self.at_ns))

    def reach(self, sequence: int = 0) -> None:
        self.hear(SourceReached(source="plc-1"))
        self.hear(answered("plc-1", sequence, "none" if sequence == 0 else "accepted"))
        self.hear(readings(self.plant, self.at_ns))

    def ask(self, event: PumpRequested | GateRequested) -> AnyEvent:
        (answer,) = self.hear(event)
        return answer

    def pump(self, pump: str = "p-1", *, run: bool = True, by: str = "pumps") -> AnyEvent:
        return self.ask(PumpRequested(pump=pump, run=run, by=by))

    def gate(self, opening_ratio: float, gate: str = "g-1", by: str = "gates") -> AnyEvent:
        return self.ask(GateRequested(gate=gate, opening_ratio=opening_ratio, by=by))

    def obey(self, command: AnyEvent) -> int:
        """The PLC answers, the plant does it, and the confirmations see it; gives the sequence."""
        assert isinstance(command, PumpCommanded | GateCommanded)
        target = command.pump if isinstance(command, PumpCommanded) else command.gate
        self.hear(answered(target, command.sequence, "accepted"))
        if isinstance(command, PumpCommanded):
            self.set(f"{target}/running_bool", float(command.run))
        else:
            self.set(f"{target}/opening_ratio", command.opening_ratio)
        self.hear(confirmed(target, command.sequence))
        return command.sequence


def readings(
    plant: dict[str, float], at_ns: int, quality: Quality = Quality.GOOD
) -> ReadingsObserved:
    return ReadingsObserved(
        source="plc-1",
        points=tuple(plant),
        observed_at_ns=(at_ns,) * len(plant),
        values=tuple(plant.values()),
        qualities=(quality,) * len(plant),
    )


def answered(target: str, sequence: int, result: str) -> CommandAnswered:
    return CommandAnswered(
        target=target,
        sequence=sequence,
        accepted=result == "accepted",
        result=result,
        observed_at_ns=MORNING_NS,
    )


def confirmed(target: str, sequence: int) -> CommandConfirmed:
    return CommandConfirmed(command=Address(1, 1), target=target, sequence=sequence, took_ns=1)


def unconfirmed(target: str, sequence: int) -> CommandUnconfirmed:
    return CommandUnconfirmed(command=Address(1, 1), target=target, sequence=sequence, why="")


def expired(target: str, sequence: int) -> CommandExpired:
    return CommandExpired(command=Address(1, 1), target=target, sequence=sequence, why="")


@pytest.fixture
def room(site: Site) -> Room:
    """A plant that has been watched at rest for two minutes."""
    room = Room(site)
    room.reach()
    room.wait(120)
    return room


def refused(answer: AnyEvent, interlock: str) -> str:
    """Why it was refused; fails when it was not, or by another interlock."""
    assert isinstance(answer, CommandRefused), answer
    assert answer.interlock == interlock, answer
    return answer.why


# --- commands ------------------------------------------------------------------------------------


def test_a_pump_at_rest_starts(room: Room) -> None:
    command = room.pump()
    assert isinstance(command, PumpCommanded)
    assert (command.pump, command.run, command.sequence) == ("p-1", True, 1)
    assert command.issued_at_ns == room.at_ns
    assert 0 < command.expires_at_ns - command.issued_at_ns <= 60 * NS
    assert command.because == Address(room.step, 0)


def test_a_gate_moves(room: Room) -> None:
    command = room.gate(1.0)
    assert isinstance(command, GateCommanded)
    assert (command.gate, command.opening_ratio, command.sequence) == ("g-1", 1.0, 1)
    assert 0 < command.expires_at_ns - command.issued_at_ns <= 60 * NS


def test_sequences_rise_over_all_targets_of_a_plc(room: Room) -> None:
    first = room.obey(room.pump("p-1"))
    room.wait(6)
    second = room.obey(room.gate(1.0))
    third = room.obey(room.pump("p-1", run=False))
    assert (first, second, third) == (1, 2, 3)


def test_a_sequence_goes_on_from_where_the_plc_has_come_to(site: Site) -> None:
    room = Room(site)
    room.reach(sequence=500)
    room.wait(120)
    command = room.gate(1.0)
    assert isinstance(command, GateCommanded) and command.sequence == 501


def test_a_sequence_wraps_to_one(site: Site) -> None:
    room = Room(site)
    room.reach(sequence=65_535)
    command = room.gate(1.0)
    assert isinstance(command, GateCommanded) and command.sequence == 1


def test_a_sequence_starts_anew_when_a_restarted_plc_would_take_ours_for_old(site: Site) -> None:
    room = Room(site)
    room.reach(sequence=40_000)
    room.hear(answered("plc-1", 0, "none"))
    command = room.gate(1.0)
    assert isinstance(command, GateCommanded) and command.sequence == 1


def test_a_new_sequence_is_ahead_by_less_than_half_the_circle() -> None:
    assert is_new(1, 0) and is_new(32_767, 0) and not is_new(32_768, 0)
    assert is_new(1, 65_535) and not is_new(5, 5) and not is_new(4, 5)
    assert next_sequence(65_535) == 1 and next_sequence(0) == 1


# --- what holds back any command -----------------------------------------------------------------


def test_an_unknown_asset_is_refused(room: Room) -> None:
    assert "p-9" in refused(room.pump("p-9"), "unknown_asset")
    assert "g-9" in refused(room.gate(1.0, gate="g-9"), "unknown_asset")


def test_a_pump_without_a_mailbox_number_is_refused(room: Room) -> None:
    assert "plc-2 has no mailbox number" in refused(room.pump("p-4"), "not_commandable")


def test_an_operator_commands_only_in_manual_and_an_engine_only_in_automatic(room: Room) -> None:
    assert "automatic" in refused(room.pump(by="operator:an"), "control_mode")
    room.hear(ControlModeChanged(asset="p-1", mode=ControlMode.MANUAL, operator="an"))
    assert "manual" in refused(room.pump(), "control_mode")
    assert isinstance(room.pump(by="operator:an"), PumpCommanded)
    room.hear(ControlModeChanged(asset="p-1", mode=ControlMode.AUTOMATIC, operator="an"))
    refused(room.pump(by="operator:an"), "control_mode")


def test_the_mode_of_another_asset_changes_nothing(room: Room) -> None:
    room.hear(ControlModeChanged(asset="j-1", mode=ControlMode.MANUAL, operator="an"))
    assert isinstance(room.pump(), PumpCommanded)


def test_nothing_is_commanded_before_the_plc_is_reached_and_its_answer_block_read(
    site: Site,
) -> None:
    room = Room(site)
    room.wait(120)
    refused(room.pump(run=False), "plc_silent")
    room.hear(SourceReached(source="plc-1"))
    refused(room.pump(run=False), "plc_silent")
    room.hear(answered("p-1", 7, "not sent: no road"))
    refused(room.pump(run=False), "plc_silent")
    room.hear(answered("plc-1", 0, "none"))
    assert isinstance(room.pump(), PumpCommanded)


def test_what_a_lost_plc_last_said_is_forgotten(room: Room) -> None:
    room.hear(SourceLost(source="cam-1", why="no frame"))
    assert isinstance(room.gate(1.0), GateCommanded)
    room.hear(SourceLost(source="plc-1", why="no answer"))
    refused(room.pump(), "plc_silent")
    room.hear(SourceReached(source="cam-1"))
    room.hear(SourceReached(source="plc-1"))
    room.hear(answered("plc-1", 1, "accepted"))
    refused(room.pump(), "state_unknown")
    refused(room.gate(0.0), "state_unknown")


def test_a_plc_that_follows_its_own_rules_is_told_nothing_until_it_hears_the_centre(
    room: Room,
) -> None:
    room.hear(WatchdogObserved(plc="plc-2", taken_over=True, observed_at_ns=room.at_ns))
    room.obey(room.gate(1.0))
    room.hear(WatchdogObserved(plc="plc-1", taken_over=True, observed_at_ns=room.at_ns))
    assert "plc-1" in refused(room.pump(), "plc_watchdog")
    refused(room.pump(run=False), "plc_watchdog")
    refused(room.gate(0.0), "plc_watchdog")
    room.hear(WatchdogObserved(plc="plc-1", taken_over=False, observed_at_ns=room.at_ns))
    assert isinstance(room.pump(), PumpCommanded)


def test_after_a_restart_the_plant_is_read_before_anything_is_commanded(room: Room) -> None:
    room.hear(EngineStarted(version="1", site_hash="x"))
    refused(room.pump(), "plc_silent")
    refused(room.gate(0.0), "plc_silent")


def test_a_second_command_waits_for_the_answer_to_the_first(room: Room) -> None:
    command = room.pump()
    assert isinstance(command, PumpCommanded)
    assert "sequence 1" in refused(room.gate(0.0), "mailbox_busy")
    room.hear(answered("p-1", 0, "none"))
    refused(room.gate(0.0), "mailbox_busy")
    room.hear(answered("p-1", 1, "accepted"))
    assert isinstance(room.gate(0.0), GateCommanded)


@pytest.mark.parametrize("end", [confirmed, unconfirmed, expired])
def test_the_mailbox_is_free_when_a_command_has_ended(room: Room, end: object) -> None:
    room.pump()
    assert callable(end)
    room.hear(end("j-1", 1))
    room.hear(end("p-1", 9))
    refused(room.gate(0.0), "mailbox_busy")
    room.hear(end("p-1", 1))
    assert isinstance(room.gate(0.0), GateCommanded)


def test_the_mailbox_is_free_when_a_command_has_expired_unanswered(room: Room) -> None:
    room.pump()
    room.wait(21)
    refused(room.gate(0.0), "mailbox_busy")
    room.wait(1)
    assert isinstance(room.gate(0.0), GateCommanded)


def test_an_answer_of_something_else_frees_no_mailbox(room: Room) -> None:
    room.pump()
    room.hear(answered("j-1", 1, "accepted"))
    refused(room.gate(0.0), "mailbox_busy")


@pytest.mark.parametrize("point", ["running_bool", "fault_bool"])
def test_a_pump_whose_state_is_not_known_does_not_start(room: Room, point: str) -> None:
    del room.plant[f"p-1/{point}"]
    room.wait(15)
    assert isinstance(room.pump(), PumpCommanded)
    room.hear(expired("p-1", 1))
    room.wait(1)
    assert f"p-1/{point}" in refused(room.pump(), "state_unknown")


@pytest.mark.parametrize("point", ["sump_m", "remote_bool", "power_kw"])
def test_a_pump_whose_station_is_not_known_does_not_start(room: Room, point: str) -> None:
    del room.plant[f"ps-1/{point}"]
    room.wait(16)
    assert f"ps-1/{point}" in refused(room.pump(), "state_unknown")


def test_a_bad_reading_is_no_reading_and_an_uncertain_one_is(room: Room) -> None:
    room.read(Quality.UNCERTAIN)
    assert isinstance(room.pump(), PumpCommanded)
    room.hear(expired("p-1", 1))
    room.read(Quality.BAD)
    refused(room.pump(), "state_unknown")


def test_a_reading_of_another_thing_is_not_kept(room: Room) -> None:
    before = room.core.encode()
    room.hear(readings({"tg-1/stage_m": 1.0}, room.at_ns))
    assert room.core.encode() == before


def test_a_reading_dated_ahead_grows_old_like_any_other(room: Room) -> None:
    room.hear(readings(room.plant, room.at_ns + 3_600 * NS))
    room.at_ns += 16 * NS
    refused(room.pump(), "state_unknown")


# --- pumps ---------------------------------------------------------------------------------------


def test_a_pump_in_local_mode_is_left_alone(room: Room) -> None:
    room.set("ps-1/remote_bool", 0.0)
    refused(room.pump(), "local_mode")
    room.set("p-1/running_bool", 1.0)
    refused(room.pump(run=False), "local_mode")


def test_a_pump_with_a_fault_does_not_start_but_stops(room: Room) -> None:
    room.set("p-1/fault_bool", 1.0)
    refused(room.pump(), "fault")
    room.set("p-1/running_bool", 1.0)
    assert isinstance(room.pump(run=False), PumpCommanded)


def test_a_pump_that_runs_is_not_started_and_one_at_rest_not_stopped(room: Room) -> None:
    refused(room.pump(run=False), "no_change")
    room.set("p-1/running_bool", 1.0)
    refused(room.pump(), "no_change")


def test_a_pump_does_not_run_dry(room: Room) -> None:
    room.set("ps-1/sump_m", -2.01)
    assert "sump -2.01 m, wanted -2.00 m" in refused(room.pump(), "dry_run")
    room.set("ps-1/sump_m", -2.0)
    assert isinstance(room.pump(), PumpCommanded)


def test_a_pump_does_not_restart_within_its_rest_time(room: Room) -> None:
    room.obey(room.pump())
    room.wait(10)
    room.obey(room.pump(run=False))
    room.wait(59)
    assert "seen at rest for 59 s, wanted 60 s" in refused(room.pump(), "rest_time")
    room.wait(1)
    assert isinstance(room.pump(), PumpCommanded)


def test_rest_that_nobody_watched_does_not_count(room: Room) -> None:
    room.at_ns += 16 * NS
    room.wait(1)
    refused(room.pump(), "rest_time")
    room.wait(60)
    assert isinstance(room.pump(), PumpCommanded)


def test_a_pump_starts_no_more_than_its_starts_an_hour(room: Room) -> None:
    first_ns = room.at_ns
    for _ in range(3):
        room.obey(room.pump())
        room.wait(10)
        room.obey(room.pump(run=False))
        room.wait(60)
    assert "3 starts in the last hour, allowed 3" in refused(room.pump(), "starts_per_hour")
    room.wait((first_ns + 3_600 * NS - room.at_ns) // NS)
    assert isinstance(room.pump(), PumpCommanded)


def test_starts_by_hand_count(room: Room) -> None:
    for _ in range(3):
        room.set("p-1/running_bool", 1.0)
        room.wait(1)
        room.set("p-1/running_bool", 0.0)
        room.wait(60)
    refused(room.pump(), "starts_per_hour")


@pytest.mark.parametrize("result", ["late", "interlock", "local", "fault", "malformed"])
def test_a_start_that_the_plc_refused_is_no_start(room: Room, result: str) -> None:
    for sequence in (1, 2, 3, 4):
        assert isinstance(room.pump(), PumpCommanded)
        room.hear(answered("p-1", sequence, result))
        room.hear(unconfirmed("p-1", sequence))


def test_a_start_that_was_never_sent_is_no_start(room: Room) -> None:
    for sequence in (1, 2, 3, 4):
        assert isinstance(room.pump(), PumpCommanded)
        room.hear(expired("p-1", sequence))


def test_a_start_that_may_have_been_counts(room: Room) -> None:
    for sequence in (1, 2, 3):
        assert isinstance(room.pump(), PumpCommanded)
        room.hear(answered("p-1", sequence, "not sent: whether the PLC took it is unknown"))
        room.hear(unconfirmed("p-1", sequence))
        room.wait(41)
    refused(room.pump(), "starts_per_hour")


def test_a_refusal_of_a_start_that_was_seen_to_happen_takes_nothing_back(room: Room) -> None:
    room.pump()
    room.set("p-1/running_bool", 1.0)
    room.hear(answered("p-1", 1, "local"))
    room.hear(unconfirmed("p-1", 1))
    for _ in range(2):
        room.set("p-1/running_bool", 0.0)
        room.wait(1)
        room.set("p-1/running_bool", 1.0)
    room.set("p-1/running_bool", 0.0)
    room.wait(60)
    refused(room.pump(), "starts_per_hour")


def test_one_pump_of_a_station_starts_at_a_time(room: Room) -> None:
    command = room.pump("p-1")
    assert isinstance(command, PumpCommanded)
    room.hear(answered("p-1", 1, "accepted"))
    assert "p-1 of ps-1 is starting up" in refused(room.pump("p-2"), "one_start")
    room.set("p-1/running_bool", 1.0)
    room.wait(4)
    refused(room.pump("p-2"), "one_start")
    room.wait(1)
    assert isinstance(room.pump("p-2"), PumpCommanded)


def test_a_station_does_not_draw_more_than_its_supply_allows(room: Room) -> None:
    room.obey(room.pump("p-1"))
    room.set("ps-1/power_kw", 67.0)
    room.wait(120)
    why = refused(room.pump("p-2"), "power_limit")
    assert "67 kW, 100 kW with p-2; allowed 100 kW" in why
    room.set("ps-1/power_kw", 66.0)
    assert isinstance(room.pump("p-2"), PumpCommanded)


def test_a_supply_that_is_used_up_without_a_pump_starts_none(room: Room) -> None:
    room.set("ps-1/power_kw", 100.1)
    refused(room.pump("p-1"), "power_limit")


def test_a_pending_start_is_not_repeated_but_can_be_stopped(room: Room) -> None:
    room.pump()
    room.hear(answered("p-1", 1, "accepted"))
    room.wait(5)
    refused(room.pump(), "pending")
    stop = room.pump(run=False)
    assert isinstance(stop, PumpCommanded) and stop.sequence == 2
    room.hear(answered("p-1", 2, "accepted"))
    refused(room.pump(run=False), "pending")
    room.hear(answered("p-1", 1, "late"))
    room.hear(confirmed("p-1", 2))
    refused(room.pump(), "one_start")


def test_a_pump_that_is_not_known_can_be_stopped(room: Room) -> None:
    for point in tuple(room.plant):
        if point.startswith("p"):
            del room.plant[point]
    room.wait(20)
    refused(room.pump(), "state_unknown")
    assert isinstance(room.pump(run=False), PumpCommanded)


def test_a_stop_waits_for_the_mailbox_too(room: Room) -> None:
    room.set("p-1/running_bool", 1.0)
    room.gate(1.0)
    refused(room.pump(run=False), "mailbox_busy")


# --- gates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", [-0.1, 1.1, float("nan")])
def test_a_gate_moves_only_between_shut_and_open(room: Room, opening: float) -> None:
    refused(room.gate(opening), "out_of_range")


@pytest.mark.parametrize("point", ["opening_ratio", "moving_bool", "fault_bool", "remote_bool"])
def test_a_gate_whose_state_is_not_known_does_not_move(room: Room, point: str) -> None:
    del room.plant[f"g-1/{point}"]
    room.wait(16)
    refused(room.gate(0.0), "state_unknown")


def test_a_gate_shuts_with_its_levels_unknown_and_does_not_open(room: Room) -> None:
    for point in ("inside_m", "outside_m"):
        del room.plant[f"g-1/{point}"]
    room.wait(16)
    assert "g-1/outside_m" in refused(room.gate(1.0), "state_unknown")
    assert isinstance(room.gate(0.0), GateCommanded)


@pytest.mark.parametrize(
    ("point", "value", "interlock"),
    [
        ("remote_bool", 0.0, "local_mode"),
        ("fault_bool", 1.0, "fault"),
        ("moving_bool", 1.0, "moving"),
    ],
)
def test_a_gate_in_local_mode_with_a_fault_or_moving_is_left_alone(
    room: Room, point: str, value: float, interlock: str
) -> None:
    room.set(f"g-1/{point}", value)
    refused(room.gate(0.0), interlock)


def test_a_gate_is_not_opened_to_the_tide_whoever_asks(room: Room) -> None:
    room.set("g-1/outside_m", 1.3)
    assert "outside 1.30 m, inside 0.60 m" in refused(room.gate(1.0), "tide")
    refused(room.gate(0.3), "tide")
    room.hear(ControlModeChanged(asset="g-1", mode=ControlMode.MANUAL, operator="an"))
    refused(room.gate(1.0, by="operator:an"), "tide")
    assert isinstance(room.gate(0.0, by="operator:an"), GateCommanded)


@pytest.mark.parametrize(("outside_m", "inside_m"), [(1.29, 0.6), (1.4, 1.4), (1.4, 1.5)])
def test_a_gate_opens_below_its_closing_level_or_to_drain(
    room: Room, outside_m: float, inside_m: float
) -> None:
    room.plant["g-1/inside_m"] = inside_m
    room.set("g-1/outside_m", outside_m)
    assert isinstance(room.gate(1.0), GateCommanded)


def test_a_gate_where_it_is_wanted_stays(room: Room) -> None:
    refused(room.gate(0.51), "no_change")
    room.set("g-1/opening_ratio", 0.0)
    refused(room.gate(0.0), "no_change")


def test_the_last_gap_of_a_gate_can_be_shut(room: Room) -> None:
    room.set("g-1/opening_ratio", 0.01)
    assert isinstance(room.gate(0.0), GateCommanded)


def test_a_gate_under_way_is_not_moved_again_until_its_travel_is_over(room: Room) -> None:
    room.gate(1.0)
    room.hear(answered("g-1", 1, "accepted"))
    refused(room.gate(0.0), "pending")
    room.wait(119)
    refused(room.gate(0.0), "pending")
    room.wait(1)
    assert isinstance(room.gate(0.0), GateCommanded)


def test_a_refused_gate_command_leaves_the_pumps_as_they_are(room: Room) -> None:
    room.gate(1.0)
    room.hear(answered("g-1", 1, "interlock"))
    room.hear(unconfirmed("g-1", 1))
    assert isinstance(room.gate(1.0), GateCommanded)


# --- state ---------------------------------------------------------------------------------------


def test_a_restored_core_answers_as_the_one_that_was_encoded(room: Room, site: Site) -> None:
    room.obey(room.pump())
    restored = Interlocks(site)
    restored.restore(room.core.encode())
    assert restored.encode() == room.core.encode()
    request = PumpRequested(pump="p-2", run=True, by="pumps")
    now = Now(room.at_ns, Address(9, 0))
    assert list(restored.step(request, now)) == list(room.core.step(request, now))


def test_an_asset_that_a_snapshot_does_not_know_starts_fresh(room: Room, site: Site) -> None:
    state = msgspec.msgpack.decode(room.core.encode())
    for table in ("mailboxes", "targets", "pumps", "starts"):
        state[table].clear()
    restored = Interlocks(site)
    restored.restore(msgspec.msgpack.encode(state))
    request = PumpRequested(pump="p-1", run=True, by="pumps")
    (answer,) = restored.step(request, Now(room.at_ns, Address(9, 0)))
    refused(answer, "plc_silent")


def test_a_snapshot_that_is_no_state_raises(site: Site) -> None:
    with pytest.raises(msgspec.DecodeError):
        Interlocks(site).restore(b"\x00")


def test_what_it_does_not_hear_changes_nothing(room: Room) -> None:
    before = room.core.encode()
    assert list(room.core.step(Tick(), Now(room.at_ns, Address(1, 0)))) == []
    assert room.core.encode() == before


# --- every sequence of events --------------------------------------------------------------------

OUTCOMES = ["obeyed"] * 4 + [
    "disobeyed",
    "silence",
    "expired",
    "local",
    "late",
    "not sent: no road",
]


class AnySequence(RuleBasedStateMachine):
    """A plant that does what it is told or not, is read or not, and is asked for anything.

    What must never be commanded is judged by what the plant truly was, kept apart from the core.
    """

    site: Site

    @initialize()
    def begin(self) -> None:
        self.room = Room(self.site)
        self.room.reach()
        self.room.wait(60)
        self.stopped_ns = {"p-1": MORNING_NS, "p-2": MORNING_NS}
        self.starts_ns: dict[str, list[int]] = {"p-1": [], "p-2": []}
        self.sent: PumpCommanded | GateCommanded | None = None
        self.last_sequence = 0
        self.unanswered_until_ns = 0
        self.unanswered = 0

    @property
    def plant(self) -> dict[str, float]:
        return self.room.plant

    @rule(seconds=st.sampled_from([1, 5, 20, 61, 125]))
    def time_passes(self, seconds: int) -> None:
        self.room.wait(seconds)

    @rule(
        seconds=st.sampled_from([16, 40, 4_000]),
        pump=st.sampled_from(["p-1", "p-2"]),
        ran=st.booleans(),
    )
    def nobody_watches(self, seconds: int, pump: str, ran: bool) -> None:
        """A pump may have run meanwhile: its start was not seen, its rest must not be trusted."""
        self.room.at_ns += seconds * NS
        if ran:
            self.plant[f"{pump}/running_bool"] = 0.0
            self.stopped_ns[pump] = self.room.at_ns
        self.room.wait(1)

    @rule(sump_m=st.sampled_from([-3.0, -2.0, 1.0]), power_kw=st.sampled_from([0.0, 60.0, 101.0]))
    def the_station_changes(self, sump_m: float, power_kw: float) -> None:
        self.plant["ps-1/power_kw"] = power_kw
        self.room.set("ps-1/sump_m", sump_m)

    @rule(outside_m=st.sampled_from([0.2, 1.3, 1.6]), inside_m=st.sampled_from([0.2, 1.3, 1.7]))
    def the_tide_changes(self, outside_m: float, inside_m: float) -> None:
        self.plant["g-1/inside_m"] = inside_m
        self.room.set("g-1/outside_m", outside_m)

    @rule(pump=st.sampled_from(["p-1", "p-2"]), run=st.booleans())
    def somebody_at_the_pump_switches_it(self, pump: str, run: bool) -> None:
        self.switch(pump, run)
        self.room.wait(1)

    @rule(quality=st.sampled_from([Quality.BAD, Quality.STALE, Quality.UNCERTAIN]))
    def a_doubtful_reading(self, quality: Quality) -> None:
        self.room.read(quality)

    @rule()
    def the_plc_is_lost_and_found(self) -> None:
        self.room.hear(SourceLost(source="plc-1", why="no answer"))
        self.find_the_plc()

    @rule()
    def the_centre_restarts(self) -> None:
        core = Interlocks(self.site)
        core.restore(self.room.core.encode())
        self.room.core = core
        self.room.hear(EngineStarted(version="1", site_hash="x"))
        self.find_the_plc()

    @rule(
        pump=st.sampled_from(["p-1", "p-2"]), run=st.booleans(), outcome=st.sampled_from(OUTCOMES)
    )
    def a_pump_is_asked_for(self, pump: str, run: bool, outcome: str) -> None:
        self.ask_pump(pump, run, outcome)

    @rule(pump=st.sampled_from(["p-1", "p-2"]), rest_s=st.sampled_from([20, 59, 61, 125]))
    def a_pump_is_asked_for_and_stopped_again(self, pump: str, rest_s: int) -> None:
        self.ask_pump(pump, True, "obeyed")
        self.room.wait(6)
        self.ask_pump(pump, False, "obeyed")
        self.room.wait(rest_s)

    def ask_pump(self, pump: str, run: bool, outcome: str) -> None:
        answer = self.room.pump(pump, run=run)
        if not isinstance(answer, PumpCommanded):
            return
        self.check_mailbox(answer)
        at_ns = self.room.at_ns
        if run:
            limits = next(p for p in self.site.pumps if p.id == pump)
            assert self.plant["ps-1/sump_m"] >= -2.0
            assert self.plant["ps-1/power_kw"] <= 100.0
            assert not self.plant[f"{pump}/running_bool"]
            assert at_ns - self.stopped_ns[pump] >= limits.rest_s * NS
            lately = [t for t in self.starts_ns[pump] if at_ns - t < 3_600 * NS]
            assert len(lately) < limits.starts_per_hour_max
        self.end(answer, outcome)

    @rule(opening=st.sampled_from([0.0, 0.3, 1.0]), outcome=st.sampled_from(OUTCOMES))
    def the_gate_is_asked_for(self, opening: float, outcome: str) -> None:
        answer = self.room.gate(opening)
        if not isinstance(answer, GateCommanded):
            return
        self.check_mailbox(answer)
        outside_m, inside_m = self.plant["g-1/outside_m"], self.plant["g-1/inside_m"]
        against_the_tide = outside_m >= 1.3 and outside_m > inside_m
        assert not (against_the_tide and opening > 0)
        self.end(answer, outcome)

    @precondition(lambda self: self.sent is not None)
    @rule(outcome=st.sampled_from(OUTCOMES))
    def the_plc_answers_late(self, outcome: str) -> None:
        assert self.sent is not None
        self.end(self.sent, outcome)

    def end(self, command: PumpCommanded | GateCommanded, outcome: str) -> None:
        """What becomes of a command."""
        self.sent = command
        if outcome == "silence":
            return
        self.sent = None
        self.unanswered = 0
        target = command.pump if isinstance(command, PumpCommanded) else command.gate
        if outcome == "expired":
            self.room.hear(expired(target, command.sequence))
        elif outcome in ("obeyed", "disobeyed"):
            self.room.hear(answered(target, command.sequence, "accepted"))
            if outcome == "obeyed":
                self.move(command)
                self.room.wait(1)
                self.room.hear(confirmed(target, command.sequence))
        else:
            self.room.hear(answered(target, command.sequence, outcome))
            self.room.hear(unconfirmed(target, command.sequence))

    def move(self, command: PumpCommanded | GateCommanded) -> None:
        if isinstance(command, PumpCommanded):
            self.switch(command.pump, command.run)
        else:
            self.plant[f"{command.gate}/opening_ratio"] = command.opening_ratio

    def find_the_plc(self) -> None:
        """It is read anew, and its answer block has the last command."""
        self.room.reach(self.last_sequence)
        self.unanswered = 0

    def switch(self, pump: str, run: bool) -> None:
        """What truly happens at the pump."""
        point = f"{pump}/running_bool"
        if run and not self.plant[point]:
            self.starts_ns[pump].append(self.room.at_ns)
        if not run and self.plant[point]:
            self.stopped_ns[pump] = self.room.at_ns
        self.plant[point] = float(run)

    def check_mailbox(self, command: PumpCommanded | GateCommanded) -> None:
        """Sequences rise; no command overtakes one that is neither answered nor expired."""
        assert is_new(command.sequence, self.last_sequence)
        assert not (self.unanswered and self.room.at_ns < self.unanswered_until_ns)
        assert 0 < command.expires_at_ns - command.issued_at_ns <= 60 * NS
        self.last_sequence = command.sequence
        self.unanswered = command.sequence
        self.unanswered_until_ns = command.expires_at_ns

    @invariant()
    def the_core_keeps_no_more_than_it_needs(self) -> None:
        if hasattr(self, "room"):
            assert len(self.room.core.encode()) < 4_000


def test_no_sequence_of_events_breaks_an_interlock(site: Site) -> None:
    machine = type("AnySequenceHere", (AnySequence,), {"site": site})
    case = machine.TestCase
    case.settings = settings(
        max_examples=100, stateful_step_count=40, deadline=None, derandomize=True
    )
    case("runTest").runTest()
