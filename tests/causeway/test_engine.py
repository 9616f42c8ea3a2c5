"""The engine: same inputs, same bytes, from any point; and nobody waits on one that has ended."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.clock import NS, ManualClock
from causeway.engine import (
    CASCADE_EVENTS_MAX,
    INPUTS_MAX,
    Core,
    Engine,
    advance,
    encode_cores,
    replay,
    restore_cores,
)
from causeway.events import (
    Address,
    AnyEvent,
    CascadeCut,
    CoreFailed,
    EngineStarted,
    Now,
    PumpRequested,
    Quality,
    ReadingsObserved,
    SourceLost,
    SourceReached,
    Step,
    Tick,
)
from causeway.wire import decode_step, encode_step

START_NS = 1_764_000_000 * NS


class Counter:
    """Counts the sources that are lost, and asks for a pump at every third."""

    name = "counter"
    hears = frozenset({SourceLost, SourceReached})

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        assert isinstance(event, SourceLost | SourceReached)
        if isinstance(event, SourceReached):
            self._lost.pop(event.source, None)
            return
        self._lost[event.source] = self._lost.get(event.source, 0) + 1
        if sum(self._lost.values()) % 3 == 0:
            for source, count in self._lost.items():
                yield PumpRequested(pump=source, run=count % 2 == 0, by=self.name)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._lost)

    def restore(self, state: bytes) -> None:
        self._lost = msgspec.msgpack.decode(state, type=dict[str, int])


class Echo:
    """Answers a pump's request with its source lost: the two make a cascade that dies out."""

    name = "echo"
    hears = frozenset({PumpRequested, Tick})

    def __init__(self) -> None:
        self._at_ns: list[int] = []

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if isinstance(event, Tick):
            self._at_ns = [*self._at_ns, now.at_ns][-3:]
        elif isinstance(event, PumpRequested) and event.run:
            yield SourceReached(source=event.pump)
            yield SourceLost(source=event.pump, why=str(self._at_ns))

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._at_ns)

    def restore(self, state: bytes) -> None:
        self._at_ns = msgspec.msgpack.decode(state, type=list[int])


class Talker:
    """Answers itself for ever."""

    name = "talker"
    hears = frozenset({Tick})

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        yield Tick()
        yield Tick()

    def encode(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        pass


class Brittle:
    """Fails at every loss, after one answer."""

    name = "brittle"
    hears = frozenset({SourceLost})

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        yield SourceReached(source="first")
        raise ZeroDivisionError("at 0x7f3a")

    def encode(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        pass


class ListJournal:
    """A journal in memory that acknowledges when it is told to, or at once."""

    def __init__(self, steps: Sequence[Step] = (), at_once: bool = True) -> None:
        self.steps = list(steps)
        self.at_once = at_once
        self.waiting: list[asyncio.Future[int]] = []

    @property
    def last_step(self) -> int:
        return len(self.steps)

    @property
    def last_at_ns(self) -> int:
        return self.steps[-1].at_ns if self.steps else 0

    async def append(self, step: Step) -> asyncio.Future[int]:
        self.steps.append(decode_step(encode_step(step)))
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.at_once:
            future.set_result(len(self.steps))
        else:
            self.waiting.append(future)
        return future


class BrokenJournal(ListJournal):
    """Takes so many steps and then no more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    async def append(self, step: Step) -> asyncio.Future[int]:
        if len(self.steps) == self.room:
            raise OSError("full")
        return await super().append(step)


def fresh() -> list[Core]:
    return [Counter(), Echo()]


sources = st.sampled_from(["a", "b", "c", "d"])
readings = st.builds(
    lambda points, value: ReadingsObserved(
        source="mqtt",
        points=tuple(points),
        observed_at_ns=(START_NS,) * len(points),
        values=(value,) * len(points),
        qualities=(Quality.GOOD,) * len(points),
    ),
    st.lists(sources, max_size=3),
    st.floats(-10, 10),
)
inputs = st.one_of(
    st.builds(Tick),
    st.builds(lambda s: SourceLost(source=s, why="silent"), sources),
    st.builds(lambda s: SourceReached(source=s), sources),
    readings,
)
runs = st.lists(st.tuples(inputs, st.integers(-3, 30)), max_size=25)


def recorded(
    cores: Sequence[Core], run: Sequence[tuple[AnyEvent, int]], journal: list[Step], writer: str
) -> None:
    """What an engine run on `cores` adds to `journal`, by a clock that may jump back."""
    now_ns = journal[-1].at_ns if journal else START_NS
    for event, seconds in run:
        now_ns += seconds * NS
        at_ns = max(journal[-1].at_ns if journal else 0, now_ns)
        events = advance(cores, event, len(journal) + 1, at_ns)
        journal.append(decode_step(encode_step(Step(writer, at_ns, events))))


def numbered(journal: Sequence[Step]) -> list[tuple[int, Step]]:
    return list(enumerate(journal, 1))


@given(runs)
def test_a_replay_gives_the_same_bytes(run: list[tuple[AnyEvent, int]]) -> None:
    journal: list[Step] = []
    recorded(fresh(), run, journal, "w")
    found = replay(fresh(), numbered(journal))
    assert found.first_difference is None
    assert found.steps == len(journal)


@given(runs, st.data())
def test_a_run_that_is_broken_off_anywhere_and_recovered_goes_on_the_same(
    run: list[tuple[AnyEvent, int]], data: st.DataObject
) -> None:
    whole: list[Step] = []
    recorded(fresh(), run, whole, "w")
    cut = data.draw(st.integers(0, len(whole)))
    journal = whole[:cut]
    cores = fresh()
    assert replay(cores, numbered(journal)).first_difference is None
    for step in whole[cut:]:
        events = advance(cores, step.events[0], len(journal) + 1, step.at_ns)
        journal.append(Step("w", step.at_ns, events))
    assert [encode_step(step) for step in journal] == [encode_step(step) for step in whole]


@given(runs, st.data())
def test_a_restart_from_any_snapshot_equals_a_replay_from_the_start(
    run: list[tuple[AnyEvent, int]], data: st.DataObject
) -> None:
    journal: list[Step] = []
    recorded(fresh(), run, journal, "w")
    at = data.draw(st.integers(0, len(journal)))
    before = fresh()
    replay(before, numbered(journal)[:at])
    restored = fresh()
    restore_cores(restored, encode_cores(before))
    assert replay(restored, numbered(journal)[at:]).first_difference is None
    from_start = fresh()
    replay(from_start, numbered(journal))
    assert encode_cores(restored) == encode_cores(from_start)


def test_a_replay_names_the_first_step_that_differs() -> None:
    journal: list[Step] = []
    recorded(fresh(), [(Tick(), 1), (SourceLost(source="a", why=""), 1), (Tick(), 1)], journal, "w")
    altered = Step("w", journal[1].at_ns, (*journal[1].events, Tick()))
    found = replay(fresh(), numbered([journal[0], altered, journal[2]]))
    assert found.first_difference is not None
    assert found.first_difference.number == 2
    assert found.steps == 2


def test_a_replay_of_one_version_compares_only_what_that_version_wrote() -> None:
    journal: list[Step] = []
    for version in ("1", "2"):
        start = EngineStarted(version=version, site_hash="s")
        recorded(fresh(), [(start, 1), (SourceLost(source="a", why=""), 1)], journal, "w")
    altered = Step("w", journal[1].at_ns, (*journal[1].events, Tick()))
    steps = numbered([journal[0], altered, *journal[2:]])
    assert replay(fresh(), steps).first_difference is not None
    found = replay(fresh(), steps, version="2")
    assert found.first_difference is None
    assert found.version_changes == ((1, "1"), (3, "2"))


def test_an_answer_names_the_event_it_follows_from() -> None:
    cores = fresh()
    for source in ("a", "b"):
        advance(cores, SourceLost(source=source, why=""), 1, START_NS)
    events = advance(cores, SourceLost(source="a", why=""), 7, START_NS)
    assert [type(event).__name__ for event in events[:4]] == [
        "SourceLost",
        "PumpRequested",
        "PumpRequested",
        "SourceReached",
    ]
    assert [event.because for event in events[:4]] == [
        None,
        Address(7, 0),
        Address(7, 0),
        Address(7, 1),
    ]


def test_cores_that_answer_each_other_for_ever_are_cut_off() -> None:
    events = advance([Talker()], Tick(), 1, START_NS)
    cut = events[-1]
    assert isinstance(cut, CascadeCut)
    assert CASCADE_EVENTS_MAX < len(events) <= CASCADE_EVENTS_MAX + 4
    assert cut.because is not None
    assert cut.unanswered == len(events) - 1 - cut.because.index


def test_a_core_that_fails_is_an_event_and_the_others_go_on() -> None:
    told: list[tuple[str, str]] = []
    cores: list[Core] = [Brittle(), Counter()]
    events = advance(
        cores,
        SourceLost(source="a", why=""),
        5,
        START_NS,
        lambda core, error: told.append((core.name, str(error))),
    )
    assert events[1:] == (
        SourceReached(source="first", because=Address(5, 0)),
        CoreFailed(core="brittle", error="ZeroDivisionError", because=Address(5, 0)),
    )
    assert told == [("brittle", "at 0x7f3a")]
    assert msgspec.msgpack.decode(cores[1].encode()) == {"a": 1}


HASHES = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from test_engine import NS, START_NS, fresh, recorded
from causeway.events import SourceLost, SourceReached, Tick
from causeway.wire import encode_step
inputs = [Tick(), SourceLost(source="a", why=""), SourceLost(source="b", why=""), Tick()]
inputs += [SourceLost(source=s, why="") for s in "cabdcab"] + [SourceReached(source="c")]
journal = []
recorded(fresh(), [(event, i) for i, event in enumerate(inputs * 5)], journal, "w")
assert sum(len(step.events) for step in journal) > 100
print(hashlib.sha256(b"".join(map(encode_step, journal))).hexdigest())
"""


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", HASHES, __file__.rpartition("/")[0]],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == len(hashlib.sha256().hexdigest())


# --- the engine at work ---------------------------------------------------------------------------


def engine_on(
    journal: ListJournal, cores: Sequence[Core] | None = None, clock: ManualClock | None = None
) -> Engine:
    return Engine(fresh() if cores is None else cores, journal, clock or ManualClock(START_NS), "w")


async def waits(awaitable: asyncio.Future[int] | asyncio.Task[object]) -> bool:
    """Whether it is still pending when all that can run has run."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not awaitable.done()


async def test_what_was_put_is_journalled_in_order_and_shown_after_it() -> None:
    journal = ListJournal()
    engine = engine_on(journal)
    shown: list[int] = []
    engine.show(lambda number, step: shown.append(number))
    running = asyncio.create_task(engine.run())
    futures = [await engine.put(Tick()) for _ in range(5)]
    assert await asyncio.gather(*futures) == [1, 2, 3, 4, 5]
    assert await engine.settled() == 5
    assert shown == [1, 2, 3, 4, 5]
    await engine.close()
    await running


async def test_no_edge_sees_a_step_before_the_journal_has_it() -> None:
    journal = ListJournal(at_once=False)
    engine = engine_on(journal)
    shown: list[int] = []
    engine.show(lambda number, step: shown.append(number))
    running = asyncio.create_task(engine.run())
    done = await engine.put(Tick())
    assert await waits(done)
    settling = asyncio.create_task(engine.settled())
    assert await waits(settling)
    assert len(journal.steps) == 1
    assert shown == []
    journal.waiting[0].set_result(1)
    assert await done == 1
    assert shown == [1]
    assert await settling == 1
    await engine.close()
    await running


async def test_time_does_not_go_back() -> None:
    journal = ListJournal([Step("earlier", START_NS + 50 * NS, (Tick(),))])
    clock = ManualClock(START_NS)
    engine = engine_on(journal, clock=clock)
    running = asyncio.create_task(engine.run())
    await (await engine.put(Tick()))
    clock.advance(60)
    await (await engine.put(Tick()))
    clock.advance(-30)
    await (await engine.put(Tick()))
    assert [(step.at_ns - START_NS) // NS for step in journal.steps] == [50, 50, 60, 60]
    await engine.close()
    await running


async def test_between_steps_the_cores_are_at_rest() -> None:
    journal = ListJournal()
    engine = engine_on(journal)
    states: list[dict[str, bytes]] = []

    async def on_step(number: int, at_ns: int) -> None:
        assert await engine.settled() == number
        states.append(encode_cores(engine.cores))

    running = asyncio.create_task(engine.run(on_step))
    for source in "ab":
        await engine.put(SourceLost(source=source, why=""))
    await engine.close()
    await running
    assert [msgspec.msgpack.decode(state["counter"]) for state in states] == [
        {"a": 1},
        {"a": 1, "b": 1},
    ]


async def test_an_edge_that_fails_does_not_keep_the_step_from_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = engine_on(ListJournal())
    shown: list[int] = []

    def fail(number: int, step: Step) -> None:
        raise KeyError(number)

    engine.show(fail)
    engine.show(lambda number, step: shown.append(number))
    running = asyncio.create_task(engine.run())
    assert await (await engine.put(Tick())) == 1
    assert await (await engine.put(Tick())) == 2
    assert shown == [1, 2]
    assert engine.edge_failures == 2
    assert "an edge has missed step 1" in caplog.text
    await engine.close()
    await running


async def test_a_core_that_fails_does_not_stop_the_engine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = ListJournal()
    engine = engine_on(journal, [Brittle()])
    running = asyncio.create_task(engine.run())
    with caplog.at_level(logging.ERROR):
        assert await (await engine.put(SourceLost(source="a", why=""))) == 1
    assert isinstance(journal.steps[0].events[-1], CoreFailed)
    assert engine.core_failures == 1
    assert "ZeroDivisionError: at 0x7f3a" in caplog.text
    await engine.close()
    await running


async def test_closing_lets_what_is_in_be_journalled_and_takes_no_more() -> None:
    journal = ListJournal()
    engine = engine_on(journal)
    futures = [await engine.put(Tick()) for _ in range(3)]
    await engine.close()
    late = await engine.put(Tick())
    await engine.run()
    assert [future.result() for future in futures] == [1, 2, 3]
    assert late.cancelled()
    assert len(journal.steps) == 3


async def test_an_engine_whose_queue_is_full_can_be_closed() -> None:
    journal = ListJournal()
    engine = engine_on(journal)
    futures = [await engine.put(Tick()) for _ in range(INPUTS_MAX)]
    waiting = asyncio.create_task(engine.put(Tick()))
    assert await waits(waiting)
    await engine.close()
    await engine.run()
    assert all(future.done() and not future.cancelled() for future in futures)
    assert (await waiting).result() == INPUTS_MAX + 1


async def test_a_full_queue_makes_a_put_wait_until_there_is_room() -> None:
    engine = engine_on(ListJournal())
    for _ in range(INPUTS_MAX):
        await engine.put(Tick())
    waiting = asyncio.create_task(engine.put(Tick()))
    assert await waits(waiting)
    running = asyncio.create_task(engine.run())
    assert await (await waiting) == INPUTS_MAX + 1
    await engine.close()
    await running


async def test_nobody_waits_on_an_engine_whose_journal_takes_no_more() -> None:
    engine = engine_on(BrokenJournal(room=1))
    putting = [asyncio.create_task(engine.put(Tick())) for _ in range(3 * INPUTS_MAX)]
    with pytest.raises(OSError, match="full"):
        await engine.run()
    futures = await asyncio.gather(*putting)
    assert futures[0].result() == 1
    assert all(future.cancelled() for future in futures[1:])
    assert (await engine.put(Tick())).cancelled()
    assert await engine.settled() == 1
    await engine.close()


async def test_nobody_waits_on_an_engine_whose_journal_loses_a_step() -> None:
    journal = ListJournal(at_once=False)
    engine = engine_on(journal)
    running = asyncio.create_task(engine.run())
    first = await engine.put(Tick())
    second = await engine.put(Tick())
    assert await waits(second)
    settling = asyncio.create_task(engine.settled())
    assert await waits(settling)
    journal.waiting[0].set_exception(ConnectionError("lost"))
    with pytest.raises(ConnectionError, match="lost"):
        await running
    assert first.cancelled() and second.cancelled()
    assert await settling == 0


async def test_a_journal_that_drops_a_step_ends_the_engine() -> None:
    journal = ListJournal(at_once=False)
    engine = engine_on(journal)
    running = asyncio.create_task(engine.run())
    done = await engine.put(Tick())
    assert await waits(done)
    journal.waiting[0].cancel()
    with pytest.raises(RuntimeError, match="dropped a step"):
        await running
    assert done.cancelled()


async def test_an_engine_that_is_cancelled_leaves_nobody_waiting() -> None:
    journal = ListJournal(at_once=False)
    engine = engine_on(journal)
    running = asyncio.create_task(engine.run())
    done = await engine.put(Tick())
    assert await waits(done)
    queued = await engine.put(Tick())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert done.cancelled() and queued.cancelled()
    assert (await engine.put(Tick())).cancelled()


async def test_what_nobody_waits_for_any_more_is_not_taken_later() -> None:
    journal = ListJournal()
    engine = engine_on(journal)
    first = await engine.put(Tick())
    given_up = await engine.put(SourceLost(source="a", why=""))
    last = await engine.put(Tick())
    given_up.cancel()
    running = asyncio.create_task(engine.run())
    assert await asyncio.gather(first, last) == [1, 2]
    await engine.close()
    await running
    assert [type(step.events[0]) for step in journal.steps] == [Tick, Tick]


async def test_one_who_gives_up_waiting_for_a_step_does_not_disturb_it() -> None:
    journal = ListJournal(at_once=False)
    engine = engine_on(journal)
    running = asyncio.create_task(engine.run())
    done = await engine.put(Tick())
    assert await waits(done)
    done.cancel()
    journal.waiting[0].set_result(1)
    await engine.close()
    await running
    assert engine.acknowledged_step == 1


@settings(max_examples=25, deadline=None)
@given(runs)
def test_what_an_engine_journals_replays_to_the_same_bytes(
    run: list[tuple[AnyEvent, int]],
) -> None:
    async def record() -> ListJournal:
        journal = ListJournal()
        clock = ManualClock(START_NS)
        engine = engine_on(journal, clock=clock)
        running = asyncio.create_task(engine.run())
        for event, seconds in run:
            clock.advance(seconds)
            await (await engine.put(event))
        await engine.close()
        await running
        return journal

    journal = asyncio.run(record())
    found = replay(fresh(), numbered(journal.steps))
    assert found.first_difference is None
    assert found.steps == len(run)
