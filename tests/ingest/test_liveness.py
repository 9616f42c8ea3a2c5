from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.engine import advance
from causeway.events import (
    Address,
    AnyEvent,
    CommandAnswered,
    EngineStarted,
    Interval,
    LightingObserved,
    Now,
    Quality,
    ReadingsReceived,
    SignalMode,
    SignalsObserved,
    SignalState,
    SignObserved,
    SourceLost,
    SourceReached,
    Tick,
)
from causeway.site import Site
from ingest.liveness import NS, Liveness, stale_times_s

START = 1_763_980_800 * NS
DEVICES = ["tg-phu-an", "sg-1", "rg-1", "j-01", "vms-01", "lc-01"]


@pytest.fixture
def core(site: Site) -> Liveness:
    return Liveness(site)


def at(core: Liveness, seconds: float, event: AnyEvent) -> list[tuple[str, str]]:
    """What the core answers, as (reached or lost, source)."""
    now = Now(START + int(seconds * NS), Address(1, 0))
    answers: list[tuple[str, str]] = []
    for answer in core.step(event, now):
        assert isinstance(answer, SourceReached | SourceLost)
        word = "reached" if isinstance(answer, SourceReached) else "lost"
        answers.append((word, answer.source))
    return answers


def readings(*points: str, source: str = "mqtt") -> ReadingsReceived:
    count = len(points)
    return ReadingsReceived(
        source=source,
        points=points,
        observed_at_ns=(START,) * count,
        values=(0.5,) * count,
        qualities=(Quality.GOOD,) * count,
    )


def signal(junction: str = "j-01") -> SignalsObserved:
    state = SignalState(junction, START, "ns", Interval.GREEN, "Gr", SignalMode.CENTRE)
    return SignalsObserved(states=(state,))


def test_a_gauge_has_the_shortest_stale_time_of_its_quantities(site: Site) -> None:
    assert stale_times_s(site) == {
        "tg-phu-an": 30.0,
        "sg-1": 30.0,
        "rg-1": 120.0,
        "j-01": 10.0,
        "vms-01": 60.0,
        "lc-01": 60.0,
    }


@pytest.mark.parametrize(
    ("event", "source"),
    [
        (readings("tg-phu-an/stage_m"), "tg-phu-an"),
        (readings("j-01/n/queue_veh"), "j-01"),
        (readings("lc-01/power_kw"), "lc-01"),
        (signal(), "j-01"),
        (SignObserved(sign="vms-01", observed_at_ns=START, text=""), "vms-01"),
        (LightingObserved(circuit="lc-01", observed_at_ns=START, level_ratio=1.0), "lc-01"),
        (
            CommandAnswered(
                target="vms-01",
                sequence=1,
                accepted=True,
                result="accepted",
                observed_at_ns=START,
            ),
            "vms-01",
        ),
    ],
)
def test_a_device_is_reached_at_its_first_word_and_not_again_at_its_second(
    core: Liveness, event: AnyEvent, source: str
) -> None:
    assert at(core, 0, event) == [("reached", source)]
    assert at(core, 1, event) == []


def test_one_batch_reaches_every_device_in_it_once(core: Liveness) -> None:
    batch = readings("sg-1/depth_m", "tg-phu-an/stage_m", "sg-1/depth_m", "tg-phu-an/battery_v")
    assert at(core, 0, batch) == [("reached", "sg-1"), ("reached", "tg-phu-an")]


def test_a_plc_and_strangers_are_not_this_cores_to_judge(core: Liveness) -> None:
    assert at(core, 0, readings("ps-1/sump_m", source="plc-1")) == []
    assert at(core, 0, readings("nowhere/depth_m")) == []
    assert at(core, 0, signal("j-99")) == []


def test_a_device_that_falls_silent_is_lost_once_and_reached_again(core: Liveness) -> None:
    at(core, 0, signal())
    assert at(core, 10, Tick()) == []
    assert at(core, 10.5, Tick()) == [("lost", "j-01")]
    assert at(core, 11, Tick()) == []
    assert at(core, 12, signal()) == [("reached", "j-01")]
    assert at(core, 22.5, Tick()) == [("lost", "j-01")]


def test_what_was_expected_of_a_lost_device_is_said(core: Liveness) -> None:
    at(core, 0, signal())
    now = Now(START + 12 * NS, Address(1, 0))
    assert list(core.step(Tick(), now)) == [
        SourceLost(source="j-01", why="silent for 12 s; expected within 10 s")
    ]


def test_a_device_never_heard_is_lost_after_its_stale_time(core: Liveness) -> None:
    at(core, 0, EngineStarted(version="1", site_hash="x"))
    lost = {s: [source for _, source in at(core, s, Tick())] for s in (10, 11, 31, 61, 121, 500)}
    assert lost == {
        10: [],
        11: ["j-01"],
        31: ["tg-phu-an", "sg-1"],
        61: ["vms-01", "lc-01"],
        121: ["rg-1"],
        500: [],
    }


def test_the_centres_own_absence_is_nobodys_silence(core: Liveness, site: Site) -> None:
    at(core, 0, EngineStarted(version="1", site_hash="x"))
    at(core, 1, signal())
    restarted = Liveness(site)
    restarted.restore(core.encode())
    hour = 3_600
    at(restarted, hour, EngineStarted(version="1", site_hash="x", restored_step=2))
    assert at(restarted, hour + 1, Tick()) == []
    assert at(restarted, hour + 2, signal()) == []  # it was reached, and is
    assert at(restarted, hour + 13, Tick()) == [("lost", "j-01")]


def test_a_device_that_was_lost_before_a_start_is_lost_anew_after_it(core: Liveness) -> None:
    at(core, 0, signal())
    assert ("lost", "j-01") in at(core, 100, Tick())
    assert at(core, 200, EngineStarted(version="", site_hash="")) == []
    assert ("lost", "j-01") not in at(core, 209, Tick())
    assert ("lost", "j-01") in at(core, 211, Tick())
    assert ("lost", "j-01") not in at(core, 212, Tick())


def test_by_a_fast_clock_a_device_is_given_longer(core: Liveness) -> None:
    at(core, 0, EngineStarted(version="1", site_hash="x", speed=10.0))
    at(core, 0, signal())
    assert ("lost", "j-01") not in at(core, 99, Tick())
    assert ("lost", "j-01") in at(core, 101, Tick())


def test_what_the_centre_says_of_a_command_is_no_word_of_the_device(core: Liveness) -> None:
    unsent = CommandAnswered(
        target="vms-01",
        sequence=1,
        accepted=False,
        result="not sent: no connection",
        observed_at_ns=START,
        because=Address(3, 1),
    )
    assert at(core, 0, unsent) == []


_events = st.sampled_from(
    [
        Tick(),
        Tick(),
        readings("sg-1/depth_m"),
        readings("tg-phu-an/battery_v", "rg-1/rain_mm_h"),
        signal(),
        SignObserved(sign="vms-01", observed_at_ns=START, text=""),
        EngineStarted(version="1", site_hash="x"),
    ]
)


@given(history=st.lists(st.tuples(st.integers(0, 90), _events), min_size=1), cut=st.integers(0, 50))
def test_restored_from_a_snapshot_it_goes_on_as_if_never_stopped(
    site: Site, history: list[tuple[int, AnyEvent]], cut: int
) -> None:
    running, restored = Liveness(site), Liveness(site)
    at_ns = START
    for number, (wait_s, event) in enumerate(history, 1):
        if number == cut % len(history) + 1:
            restored.restore(running.encode())
        at_ns += wait_s * NS
        answers = advance([running], event, number, at_ns)
        if number > cut % len(history):
            assert advance([restored], event, number, at_ns) == answers
    assert restored.encode() == running.encode()


@given(history=st.lists(st.tuples(st.integers(0, 90), _events)))
def test_reached_and_lost_take_turns(site: Site, history: list[tuple[int, AnyEvent]]) -> None:
    core = Liveness(site)
    last: dict[str, str] = {}
    seconds = 0
    for wait_s, event in history:
        seconds += wait_s
        for word, source in at(core, seconds, event):
            assert last.get(source) != word
            last[source] = word
        if isinstance(event, EngineStarted):  # who was lost is lost anew
            last = {source: word for source, word in last.items() if word == "reached"}
