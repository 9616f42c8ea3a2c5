from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.engine import advance
from causeway.events import (
    Address,
    AnyCommand,
    AnyEvent,
    CommandAnswered,
    CommandConfirmed,
    CommandExpired,
    CommandSent,
    CommandUnconfirmed,
    EngineStarted,
    GateCommanded,
    Interval,
    LightingCommanded,
    LightingObserved,
    Now,
    PumpCommanded,
    PumpRequested,
    Quality,
    ReadingsObserved,
    SignalMode,
    SignalsObserved,
    SignalState,
    SignCommanded,
    SignObserved,
    StageCommanded,
    Tick,
    target_of,
)
from causeway.site import Site
from scada.confirmations import OPEN_MAX, Confirmations

NS = 1_000_000_000
MORNING_NS = 1_763_980_800 * NS


class Watch:
    """The confirmations and the time."""

    def __init__(self, site: Site) -> None:
        self.core = Confirmations(site)
        self.at_ns = MORNING_NS
        self.step = 0

    def hear(self, event: AnyEvent) -> tuple[AnyEvent, ...]:
        self.step += 1
        return advance([self.core], event, self.step, self.at_ns)[1:]

    def command(self, command: AnyCommand) -> Address:
        """As the interlocks answer a request: the command stands in a step with its input."""
        assert self.hear(command) == ()
        return Address(self.step, 0)

    def send(self, command: AnyCommand) -> Address:
        address = self.command(command)
        assert self.hear(sent(command, address)) == ()
        return address

    def tick_after(self, seconds: float) -> tuple[AnyEvent, ...]:
        self.at_ns += int(seconds * NS)
        return self.hear(Tick())


@pytest.fixture
def watch(site: Site) -> Watch:
    return Watch(site)


def pump(sequence: int = 1, *, run: bool = True, pump: str = "p-1") -> PumpCommanded:
    return PumpCommanded(
        sequence=sequence,
        issued_at_ns=MORNING_NS,
        expires_at_ns=MORNING_NS + 20 * NS,
        pump=pump,
        run=run,
    )


def gate(opening_ratio: float = 1.0, sequence: int = 1) -> GateCommanded:
    return GateCommanded(
        sequence=sequence,
        issued_at_ns=MORNING_NS,
        expires_at_ns=MORNING_NS + 20 * NS,
        gate="g-1",
        opening_ratio=opening_ratio,
    )


def stage(stage: str = "ew") -> StageCommanded:
    return StageCommanded(
        sequence=1,
        issued_at_ns=MORNING_NS,
        expires_at_ns=MORNING_NS + 2 * NS,
        junction="j-1",
        stage=stage,
    )


def sign(text: str = "NGẬP 35 CM", sequence: int = 1) -> SignCommanded:
    return SignCommanded(
        sequence=sequence,
        issued_at_ns=MORNING_NS,
        expires_at_ns=MORNING_NS + 30 * NS,
        sign="vms-1",
        text=text,
    )


def light(level_ratio: float = 0.5) -> LightingCommanded:
    return LightingCommanded(
        sequence=1,
        issued_at_ns=MORNING_NS,
        expires_at_ns=MORNING_NS + 30 * NS,
        circuit="lc-1",
        level_ratio=level_ratio,
    )


def sent(command: AnyCommand, address: Address) -> CommandSent:
    return CommandSent(command=address, target=target_of(command), sequence=command.sequence)


def answered(command: AnyCommand, result: str, target: str = "") -> CommandAnswered:
    return CommandAnswered(
        target=target or target_of(command),
        sequence=command.sequence,
        accepted=result == "accepted",
        result=result,
        observed_at_ns=MORNING_NS,
    )


def reading(point: str, value: float, quality: Quality = Quality.GOOD) -> ReadingsObserved:
    return ReadingsObserved(
        source="plc-1",
        points=("tg-1/stage_m", point),
        observed_at_ns=(MORNING_NS, MORNING_NS),
        values=(1.0, value),
        qualities=(Quality.GOOD, quality),
    )


def shows(stage: str, interval: Interval = Interval.GREEN) -> SignalsObserved:
    state = SignalState("j-1", MORNING_NS, stage, interval, "rG", SignalMode.CENTRE)
    return SignalsObserved(states=(state,))


def sign_shows(text: str) -> SignObserved:
    return SignObserved(sign="vms-1", observed_at_ns=MORNING_NS, text=text)


def light_gives(level_ratio: float) -> LightingObserved:
    return LightingObserved(circuit="lc-1", observed_at_ns=MORNING_NS, level_ratio=level_ratio)


OBEYED = [
    (pump(), reading("p-1/running_bool", 1.0)),
    (pump(run=False), reading("p-1/running_bool", 0.0)),
    (pump(), reading("p-1/running_bool", 1.0, Quality.UNCERTAIN)),
    (gate(1.0), reading("g-1/opening_ratio", 0.98)),
    (gate(0.0), reading("g-1/opening_ratio", 0.02)),
    (stage(), shows("ew")),
    (sign(), sign_shows("NGẬP 35 CM")),
    (sign(""), sign_shows("")),
    (light(), light_gives(0.505)),
]
NOT_OBEYED = [
    (pump(), reading("p-1/running_bool", 0.0), "seen 0, wanted 1 within 20 s"),
    (pump(run=False), reading("p-1/running_bool", 1.0), "seen 1, wanted 0 within 20 s"),
    (pump(), reading("p-1/running_bool", 1.0, Quality.BAD), "seen nothing, wanted 1 within 20 s"),
    (pump(), reading("p-2/running_bool", 1.0), "seen nothing, wanted 1 within 20 s"),
    (gate(1.0), reading("g-1/opening_ratio", 0.97), "seen 0.97, wanted 1 within 100 s"),
    (stage(), shows("ns"), "seen 'ns' green, wanted 'ew' within 11 s"),
    (stage(), shows("ew", Interval.ALL_RED), "seen 'ew' all_red, wanted 'ew' within 11 s"),
    (sign(), sign_shows("NGẬP"), "seen 'NGẬP', wanted 'NGẬP 35 CM' within 15 s"),
    (light(), light_gives(0.52), "seen 0.52, wanted 0.5 within 15 s"),
]
OBEYS_S = {"p-1": 20.0, "g-1": 100.0, "j-1": 11.0, "vms-1": 15.0, "lc-1": 15.0}


@pytest.mark.parametrize(("command", "observed"), OBEYED)
def test_a_command_is_confirmed_when_the_field_is_seen_to_obey(
    watch: Watch, command: AnyCommand, observed: AnyEvent
) -> None:
    address = watch.send(command)
    watch.at_ns += 3 * NS
    (answer,) = watch.hear(observed)
    assert answer == CommandConfirmed(
        command=address,
        target=target_of(command),
        sequence=1,
        took_ns=3 * NS,
        because=Address(watch.step, 0),
    )
    assert watch.hear(observed) == ()
    assert watch.tick_after(1_000) == ()


@pytest.mark.parametrize(("command", "observed", "why"), NOT_OBEYED)
def test_a_command_that_is_not_obeyed_in_its_time_is_unconfirmed(
    watch: Watch, command: AnyCommand, observed: AnyEvent, why: str
) -> None:
    address = watch.send(command)
    assert watch.hear(observed) == ()
    obeys_s = OBEYS_S[target_of(command)]
    assert watch.tick_after(obeys_s - 1) == ()
    (answer,) = watch.tick_after(1)
    assert isinstance(answer, CommandUnconfirmed)
    assert (answer.command, answer.target, answer.sequence) == (address, target_of(command), 1)
    assert answer.why == why
    assert watch.tick_after(1_000) == ()


def test_what_was_seen_before_a_command_was_sent_confirms_nothing(watch: Watch) -> None:
    command = pump()
    address = watch.command(command)
    assert watch.hear(reading("p-1/running_bool", 1.0)) == ()
    watch.hear(sent(command, address))
    assert len(watch.hear(reading("p-1/running_bool", 1.0))) == 1


@pytest.mark.parametrize("result", ["late", "repeated", "interlock", "not sent: no connection"])
def test_a_refusal_ends_a_command_with_the_devices_own_word(watch: Watch, result: str) -> None:
    address = watch.send(pump())
    (answer,) = watch.hear(answered(pump(), result))
    assert isinstance(answer, CommandUnconfirmed)
    assert (answer.command, answer.why) == (address, result)
    assert watch.hear(reading("p-1/running_bool", 1.0)) == ()


def test_a_refusal_that_names_only_the_plc_finds_its_command(watch: Watch) -> None:
    watch.send(pump())
    (answer,) = watch.hear(answered(pump(), "local", target="plc-1"))
    assert isinstance(answer, CommandUnconfirmed) and answer.target == "p-1"


def test_an_acceptance_confirms_nothing(watch: Watch) -> None:
    watch.send(pump())
    assert watch.hear(answered(pump(), "accepted")) == ()
    (answer,) = watch.tick_after(20)
    assert isinstance(answer, CommandUnconfirmed)


def test_a_second_delivery_of_an_accepted_command_is_no_refusal(watch: Watch) -> None:
    watch.send(stage())
    watch.hear(answered(stage(), "accepted"))
    assert watch.hear(answered(stage(), "repeated")) == ()
    (answer,) = watch.hear(shows("ew"))
    assert isinstance(answer, CommandConfirmed)


def test_the_answer_to_another_command_changes_nothing(watch: Watch) -> None:
    watch.send(pump(sequence=2))
    assert watch.hear(answered(pump(sequence=1), "late")) == ()
    assert watch.hear(answered(sign(), "late")) == ()
    assert len(watch.hear(reading("p-1/running_bool", 1.0))) == 1


def test_a_command_that_expired_ends_without_more(watch: Watch) -> None:
    command = pump()
    address = watch.command(command)
    expired = CommandExpired(command=address, target="p-1", sequence=1, why="too late")
    assert watch.hear(expired) == ()
    assert watch.tick_after(1_000) == ()


def test_a_command_that_is_never_reported_sent_expires(watch: Watch) -> None:
    address = watch.command(pump())
    assert watch.tick_after(29) == ()
    (answer,) = watch.tick_after(1)
    assert isinstance(answer, CommandExpired)
    assert (answer.command, answer.target) == (address, "p-1")
    assert watch.tick_after(1_000) == ()


def test_a_newer_command_ends_an_older_one_that_is_not_confirmed(watch: Watch) -> None:
    older = watch.send(sign("A", sequence=1))
    (answer,) = watch.hear(sign("B", sequence=2))
    assert isinstance(answer, CommandUnconfirmed)
    assert (answer.command, answer.why) == (older, "superseded by sequence 2")
    watch.hear(sent(sign("B", sequence=2), Address(watch.step, 0)))
    assert watch.hear(sign_shows("A")) == ()
    (answer,) = watch.hear(sign_shows("B"))
    assert isinstance(answer, CommandConfirmed) and answer.sequence == 2


def test_a_command_overtaken_before_it_left_ends_when_it_leaves(watch: Watch) -> None:
    first, second = sign("A", sequence=1), sign("B", sequence=2)
    older = watch.command(first)
    newer = watch.command(second)
    (answer,) = watch.hear(sent(first, older))
    assert isinstance(answer, CommandUnconfirmed)
    assert (answer.command, answer.why) == (older, "superseded by sequence 2")
    assert answer.superseded_by == 2
    assert watch.hear(sent(second, newer)) == ()
    assert len(watch.hear(sign_shows("B"))) == 1


def test_only_so_many_commands_of_a_target_are_kept(watch: Watch) -> None:
    ended: list[AnyEvent] = []
    for sequence in range(1, 10):
        ended.extend(watch.hear(sign("A", sequence=sequence)))
    assert [e.sequence for e in ended if isinstance(e, CommandUnconfirmed)] == [1, 2, 3, 4, 5]
    _, under_way = msgspec.msgpack.decode(watch.core.encode()).values()
    assert len(under_way["vms-1"]) == OPEN_MAX


def test_by_a_fast_clock_the_way_to_the_field_takes_longer(watch: Watch) -> None:
    watch.hear(EngineStarted(version="1", site_hash="x", speed=10.0))
    watch.send(stage("ew"))
    assert watch.tick_after(5 + 60 - 1) == ()  # change-over, and ten times the usual margin
    (answer,) = watch.tick_after(1)
    assert isinstance(answer, CommandUnconfirmed)
    assert answer.why.endswith("within 65 s")


def test_a_restart_ends_what_was_under_way(watch: Watch) -> None:
    known = watch.send(pump())
    unsent = watch.command(sign())
    first, second = watch.hear(EngineStarted(version="1", site_hash="x"))
    assert isinstance(first, CommandUnconfirmed)
    assert first.command == known
    assert "the field's state is read before anything else is sent" in first.why
    assert isinstance(second, CommandExpired)
    assert (second.command, second.why) == (unsent, "the centre restarted before it was sent")
    assert watch.hear(EngineStarted(version="1", site_hash="x")) == ()


def test_a_command_for_what_the_site_does_not_have_is_not_watched(watch: Watch) -> None:
    command = pump(pump="p-9")
    address = watch.command(command)
    assert watch.hear(sent(command, address)) == ()
    assert watch.tick_after(1_000) == ()


def test_what_it_does_not_hear_changes_nothing(watch: Watch) -> None:
    watch.send(pump())
    before = watch.core.encode()
    request = PumpRequested(pump="p-1", run=True, by="pumps")
    assert watch.hear(request) == ()
    assert list(watch.core.step(request, Now(watch.at_ns, Address(9, 0)))) == []
    assert watch.core.encode() == before


def test_a_restored_core_answers_as_the_one_that_was_encoded(watch: Watch, site: Site) -> None:
    watch.send(pump())
    watch.command(sign())
    watch.send(gate())
    restored = Confirmations(site)
    restored.restore(watch.core.encode())
    assert restored.encode() == watch.core.encode()
    events = EngineStarted(version="1", site_hash="x")
    expected = watch.hear(events)
    assert advance([restored], events, watch.step, watch.at_ns)[1:] == expected


commands = st.sampled_from(
    [
        *(pump(sequence, run=run) for sequence in (1, 2, 3) for run in (True, False)),
        *(gate(opening, sequence) for sequence in (1, 2) for opening in (0.0, 1.0)),
        stage(),
        sign(),
        light(),
    ]
)
happenings = st.one_of(
    st.tuples(st.just("command"), commands),
    st.tuples(st.just("send"), commands),
    st.tuples(st.just("answer"), commands),
    st.tuples(st.just("observe"), st.sampled_from([o for _, o in OBEYED])),
    st.tuples(st.just("wait"), st.sampled_from([1, 10, 200])),
    st.tuples(st.just("restart"), st.none()),
)


@given(st.lists(happenings, max_size=60), st.sampled_from(["accepted", "late", "repeated"]))
@settings(deadline=None)
def test_every_command_ends_at_most_once_and_all_end_in_time(
    site: Site, story: list[tuple[str, object]], result: str
) -> None:
    watch = Watch(site)
    begun: list[Address] = []
    ended: list[Address] = []
    addresses: dict[tuple[str, int], Address] = {}

    def hear(event: AnyEvent) -> None:
        for answer in watch.hear(event):
            assert isinstance(answer, CommandConfirmed | CommandUnconfirmed | CommandExpired)
            ended.append(answer.command)

    def tell(what: str, thing: object) -> None:
        if isinstance(thing, PumpCommanded | GateCommanded | StageCommanded | SignCommanded):
            key = (target_of(thing), thing.sequence)
            if what == "command" and key not in addresses:
                addresses[key] = Address(watch.step + 1, 0)
                begun.append(addresses[key])
                hear(thing)
            elif what == "send" and key in addresses:
                hear(sent(thing, addresses[key]))
            elif what == "answer":
                hear(answered(thing, result))
        elif what == "observe":
            assert isinstance(
                thing, ReadingsObserved | SignalsObserved | SignObserved | LightingObserved
            )
            hear(thing)
        elif what == "wait":
            assert isinstance(thing, int)
            watch.at_ns += thing * NS
            hear(Tick())
        elif what == "restart":
            hear(EngineStarted(version="1", site_hash="x"))

    for what, thing in story:
        tell(what, thing)
    tell("wait", 200)
    assert sorted(ended) == sorted(begun)
    assert watch.core.encode() == Confirmations(site).encode()
