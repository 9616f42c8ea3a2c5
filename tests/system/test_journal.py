"""The journal on a real server: nothing lost, nothing twice, one writer, a way back."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import nats
import pytest

from causeway.children import Children
from causeway.clock import NS, ManualClock
from causeway.engine import Core, Engine, encode_cores
from causeway.events import (
    AnyEvent,
    EngineStarted,
    Now,
    Quality,
    ReadingsReceived,
    Reason,
    Rejected,
    SourceLost,
    SourceReached,
    Step,
)
from causeway.journal import (
    FileUnreadable,
    JetStreamJournal,
    JournalFull,
    JournalLost,
    JournalReader,
    JournalUnreachable,
    RecordingUnusable,
    SecondWriter,
    StepsGone,
    StepTooLong,
    StepUnreadable,
    history,
    purge_sealed,
    read_segment,
    recover,
    seal,
    segments,
    snapshots,
    write_snapshot,
)
from causeway.journal import writer as writing
from causeway.journal.reader import STREAM, Ends
from causeway.recording import open_recording, replay_recording
from causeway.servers import AnotherInstance, Nats, ground, start_nats
from causeway.wire import encode_step

pytestmark = pytest.mark.system

START_NS = 1_764_000_000 * NS
BATCH = ReadingsReceived(
    source="mqtt",
    points=tuple(f"j-{i:02d}/n/queue_veh" for i in range(20)),
    observed_at_ns=(START_NS,) * 20,
    values=tuple(float(i) for i in range(20)),
    qualities=(Quality.GOOD,) * 20,
)


class Silences:
    """Counts who fell silent, and says every third time."""

    name = "silences"
    hears = frozenset({SourceLost})

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        assert isinstance(event, SourceLost)
        self._counts[event.source] = self._counts.get(event.source, 0) + 1
        if self._counts[event.source] % 3 == 0:
            yield SourceReached(source=event.source)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._counts)

    def restore(self, state: bytes) -> None:
        self._counts = msgspec.msgpack.decode(state, type=dict[str, int])


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="causeway-test-") as folder:
        yield Path(folder)


@pytest.fixture
async def children(data: Path) -> AsyncIterator[Children]:
    children = Children(data / "logs")
    yield children
    await children.stop_all()


@pytest.fixture
async def server(children: Children, data: Path) -> Nats:
    return await start_nats(children, data)


class Proxy:
    """A wire between a client and the server that can lose answers, and be cut."""

    def __init__(self, url: str) -> None:
        self.losing_answers = False
        self._to = urlsplit(url)
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._ends: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"nats://{self._to.username}:{self._to.password}@127.0.0.1:{self._port}"

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def cut(self, stay: bool = False) -> None:
        """Break what is joined; with `stay`, let nobody join until `open`."""
        if stay and self._listener is not None:
            self._listener.close()
        for end in self._ends:
            end.close()
        self._ends.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._ends += [writer, to_server]
        with suppress(ConnectionError):
            await asyncio.gather(
                self._pass(reader, to_server, answers=False),
                self._pass(from_server, writer, answers=True),
            )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool
    ) -> None:
        while data := await reader.read(2**16):
            if not (answers and self.losing_answers):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def proxy(server: Nats) -> AsyncIterator[Proxy]:
    proxy = Proxy(server.nats_url)
    await proxy.open()
    yield proxy
    await proxy.cut(stay=True)


def step(number: int, writer: str = "one", event: AnyEvent = BATCH) -> Step:
    return Step(writer, START_NS + number, (event,))


async def append_all(journal: JetStreamJournal, steps: Iterable[Step]) -> list[int]:
    futures = [await journal.append(one) for one in steps]
    return [await future for future in futures]


async def read_all(journal: JournalReader, first: int = 1) -> list[tuple[int, Step]]:
    return [numbered async for numbered in journal.read(first)]


# --- writing and reading -----------------------------------------------------------------------


async def test_steps_come_back_by_number_as_they_went(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    steps = [step(i) for i in range(1, 701)]
    assert await append_all(journal, steps) == list(range(1, 701))
    assert journal.last_step == 700
    assert await read_all(journal) == list(enumerate(steps, 1))
    assert [number async for number, _ in journal.read(300, 302)] == [300, 301, 302]
    assert [number async for number, _ in journal.read(699)] == [699, 700]
    assert [number async for number, _ in journal.read(701)] == []
    await journal.close()


async def test_a_step_of_megabytes_is_one_message(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    long = step(
        2, event=Rejected(source="x", reason=Reason.MALFORMED, count=1, sample="x" * 7_000_000)
    )
    assert await append_all(journal, [step(1), long, step(3)]) == [1, 2, 3]
    assert (await read_all(journal))[1] == (2, long)
    too_long = Rejected(source="x", reason=Reason.MALFORMED, count=1, sample="x" * 9_000_000)
    with pytest.raises(StepTooLong, match="step 4 has 9000"):
        await journal.append(step(4, event=too_long))
    assert await append_all(journal, [step(4)]) == [4]
    await journal.close()


async def test_a_new_run_goes_on_where_the_last_one_ended(server: Nats) -> None:
    first = await JetStreamJournal.open(server.nats_url, "one")
    assert (first.last_step, first.last_at_ns) == (0, 0)
    await append_all(first, [step(1), step(2)])
    await first.close()
    second = await JetStreamJournal.open(server.nats_url, "two")
    assert (second.first_step, second.last_step, second.last_at_ns) == (1, 2, START_NS + 2)
    assert await append_all(second, [step(3, "two")]) == [3]
    await second.close()


async def test_a_follower_gets_what_is_there_and_what_comes(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    reader = await JournalReader.connect(server.nats_url)
    await append_all(journal, [step(i) for i in range(1, 11)])
    followed: list[int] = []

    async def follow() -> None:
        async for number, _ in reader.follow(4):
            followed.append(number)
            if number == 20:
                return

    following = asyncio.create_task(follow())
    await append_all(journal, [step(i) for i in range(11, 21)])
    await asyncio.wait_for(following, 5)
    assert followed == list(range(5, 21))
    await reader.close()
    await journal.close()


async def test_purged_steps_are_gone_and_the_others_keep_their_numbers(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    await append_all(journal, [step(i) for i in range(1, 11)])
    await journal.purge(before=8)
    assert journal.first_step == 8
    with pytest.raises(StepsGone, match="step 3 is not in the journal; the first there is 8"):
        await read_all(journal, 3)
    assert [number for number, _ in await read_all(journal, 8)] == [8, 9, 10]
    await journal.purge(before=1_000)
    await journal.close()
    journal = await JetStreamJournal.open(server.nats_url, "two")
    assert (journal.first_step, journal.last_step) == (10, 10)
    assert await append_all(journal, [step(11, "two")]) == [11]
    await journal.close()


async def test_a_step_that_cannot_be_decoded_is_named(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    await append_all(journal, [step(1)])
    client = await nats.connect(server.nats_url)
    await client.jetstream().publish(writing.SUBJECT, b"not a step")
    with pytest.raises(StepUnreadable, match="step 2 cannot be decoded"):
        await read_all(journal)
    await client.close()
    await journal.close()


async def test_how_fast_it_is(server: Nats, capsys: pytest.CaptureFixture[str]) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    count = 5_000
    start_s = time.perf_counter()
    await append_all(journal, (step(i) for i in range(count)))
    written_s = time.perf_counter() - start_s
    start_s = time.perf_counter()
    assert len(await read_all(journal)) == count
    read_s = time.perf_counter() - start_s
    with capsys.disabled():
        print(f"\njournal: {count / written_s:,.0f} steps of 20 readings written a second", end="")
        print(f", {count / read_s:,.0f} read")
    await journal.close()


# --- one writer --------------------------------------------------------------------------------


async def test_a_second_writer_is_refused_while_one_is_at_work(server: Nats) -> None:
    first = await JetStreamJournal.open(server.nats_url, "one")
    await append_all(first, [step(1)])
    with pytest.raises(SecondWriter, match="it is being written by 'one'; 'two' must not"):
        await JetStreamJournal.open(server.nats_url, "two")
    assert await append_all(first, [step(2)]) == [2]
    await first.close()
    second = await JetStreamJournal.open(server.nats_url, "two")
    await second.close()


async def test_a_writer_that_was_overtaken_stops_and_nothing_of_it_follows(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    await append_all(journal, [step(1)])
    client = await nats.connect(server.nats_url)
    await client.jetstream().publish(writing.SUBJECT, encode_step(step(2, "two")))
    futures = [await journal.append(step(i)) for i in range(2, 12)]
    for future in futures:
        with pytest.raises(SecondWriter, match="step 2 is of 'two'; 'one' must not write"):
            await future
    with pytest.raises(SecondWriter):
        await journal.append(step(12))
    assert [one.writer for _, one in await read_all(journal)] == ["one", "two"]
    await client.close()
    await journal.close()


async def test_a_writer_that_was_cut_off_and_replaced_stops_when_it_is_back(
    server: Nats, proxy: Proxy
) -> None:
    first = await JetStreamJournal.open(proxy.url, "one")
    await append_all(first, [step(1)])
    await proxy.cut(stay=True)
    second = await JetStreamJournal.open(server.nats_url, "two")
    late = await first.append(step(2))
    assert await append_all(second, [step(2, "two")]) == [2]
    await proxy.open()
    with pytest.raises(SecondWriter, match="step 2 is of 'two'"):
        await asyncio.wait_for(late, 10)
    assert await append_all(second, [step(3, "two")]) == [3]
    assert [one.writer for _, one in await read_all(second)] == ["one", "two", "two"]
    await second.close()
    await first.close()


# --- trouble -----------------------------------------------------------------------------------


async def test_a_server_killed_with_steps_under_way_loses_and_repeats_none(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    count = 4_000
    kills = {700, 1_900, 3_999}
    futures = []
    for number in range(1, count + 1):
        futures.append(await journal.append(step(number)))
        if number in kills:
            runs = server.child.runs
            server.child.kill()
            assert await server.child.again(runs)
    assert [await future for future in futures] == list(range(1, count + 1))
    found = await read_all(journal)
    assert [one.at_ns - START_NS for _, one in found] == list(range(1, count + 1))
    await journal.close()


async def test_a_reader_gets_over_a_server_that_is_killed(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    await append_all(journal, [step(i) for i in range(1, 2_001)])
    numbers = []
    async for number, _ in journal.read(1):
        numbers.append(number)
        if number == 500:
            server.child.kill()
    assert numbers == list(range(1, 2_001))
    await journal.close()


@pytest.mark.parametrize("cut", [False, True])
async def test_an_answer_that_was_lost_is_found_in_the_stream(
    server: Nats, proxy: Proxy, cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "ANSWER_S_MAX", 0.3)
    journal = await JetStreamJournal.open(proxy.url, "one")
    reader = await JournalReader.connect(server.nats_url)
    await append_all(journal, [step(1)])
    proxy.losing_answers = True
    futures = [await journal.append(step(i)) for i in (2, 3)]
    async for number, _ in reader.follow(0):
        if number == 3:
            break
    assert not any(future.done() for future in futures)
    if cut:
        await proxy.cut()
    proxy.losing_answers = False
    assert [await asyncio.wait_for(future, 10) for future in futures] == [2, 3]
    assert await append_all(journal, [step(4)]) == [4]
    assert [one.at_ns - START_NS for _, one in await read_all(reader)] == [1, 2, 3, 4]
    await reader.close()
    await journal.close()


async def test_a_journal_whose_server_stays_away_says_so(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one", patience_s=0.5)
    await append_all(journal, [step(1)])
    await server.child.stop()
    future = await journal.append(step(2))
    with pytest.raises(JournalUnreachable, match=r"127\.0\.0\.1:\d+ does not answer"):
        await asyncio.wait_for(future, 10)
    with pytest.raises(JournalUnreachable):
        await journal.append(step(3))
    with pytest.raises(JournalUnreachable):
        await read_all(journal)
    await journal.close()


async def test_a_server_that_is_not_there_is_named(server: Nats) -> None:
    await server.child.stop()
    with pytest.raises(JournalUnreachable, match="Connect call failed") as refused:
        await JetStreamJournal.open(server.nats_url, "one", patience_s=0.5)
    assert "journal:" not in str(refused.value)


async def test_a_full_journal_says_so_and_has_room_again_after_a_purge(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one", bytes_max=200_000)
    numbers = []
    with pytest.raises(JournalFull, match="maximum bytes exceeded"):
        for number in range(1, 1_000):
            future = await journal.append(step(number))
            numbers.append(await future)
    assert 50 < len(numbers) < 400
    await journal.close()
    again = await JetStreamJournal.open(server.nats_url, "two", bytes_max=200_000)
    assert again.last_step == len(numbers)
    await again.purge(before=len(numbers))
    assert await append_all(again, [step(again.last_step + 1, "two")]) == [len(numbers) + 1]
    await again.close()


async def test_a_journal_can_be_given_more_room(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one", bytes_max=200_000)
    await append_all(journal, [step(i) for i in range(1, 50)])
    await journal.close()
    journal = await JetStreamJournal.open(server.nats_url, "two", bytes_max=10_000_000)
    assert len(await append_all(journal, [step(i, "two") for i in range(50, 1_000)])) == 950
    await journal.close()


async def test_the_room_that_somebody_gave_a_journal_stays(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one", bytes_max=10_000_000)
    await append_all(journal, [step(i) for i in range(1, 50)])
    roomy = await journal.filled_ratio()
    await journal.close()
    journal = await JetStreamJournal.open(server.nats_url, "two", bytes_max=200_000)
    assert 0 < await journal.filled_ratio() == roomy < 0.1
    await journal.close()


async def test_a_stream_that_came_back_shorter_is_no_journal_to_go_on_with(server: Nats) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one", patience_s=2)
    await append_all(journal, [step(1), step(2), step(3)])
    client = await nats.connect(server.nats_url)
    await client.jetstream().delete_stream(STREAM)
    await client.jetstream().add_stream(name=STREAM, subjects=[writing.SUBJECT], allow_direct=True)
    await client.close()
    future = await journal.append(step(4))
    with pytest.raises(JournalLost, match="ends at step 0; 3 had been acknowledged"):
        await asyncio.wait_for(future, 10)
    await journal.close()


async def test_what_is_acknowledged_while_the_end_is_asked_for_is_not_lost(
    server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await JetStreamJournal.open(server.nats_url, "one")
    await append_all(journal, [step(1)])
    ask = journal.ends

    async def ends_answered_late() -> Ends:
        ends = await ask()
        await append_all(journal, [step(2), step(3)])
        return ends

    monkeypatch.setattr(journal, "ends", ends_answered_late)
    await journal._settle()
    assert await append_all(journal, [step(4)]) == [4]
    await journal.close()


@contextmanager
def small_disk(at: Path, size_mb: int) -> Iterator[None]:
    at.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs", str(at)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no small file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


async def test_a_disk_that_fills_stops_the_journal_and_loses_nothing_of_it(
    children: Children, data: Path
) -> None:
    with small_disk(data / "nats", 160):
        server = await start_nats(children, data)
        journal = await JetStreamJournal.open(server.nats_url, "one", patience_s=3)
        filler = data / "nats" / "filler"
        await append_all(journal, [step(i) for i in range(1, 101)])
        with filler.open("wb") as file:
            free = shutil.disk_usage(data / "nats").free - 2**20
            file.write(bytes(free))
        stored = [100]
        with pytest.raises(JournalUnreachable, match="its disk may be full"):
            for number in range(101, 5_000):
                stored.append(await (await journal.append(step(number))))
        await journal.close()
        await server.child.stop()
        filler.unlink()
        server = await start_nats(children, data)
        journal = await JetStreamJournal.open(server.nats_url, "two")
        assert journal.last_step >= stored[-1]
        found = await read_all(journal)
        assert [one.at_ns - START_NS for _, one in found] == list(range(1, journal.last_step + 1))
        assert await append_all(journal, [step(journal.last_step + 1, "two")])
        await journal.close()
        await server.child.stop()


# --- an engine on it ---------------------------------------------------------------------------


async def run_engine(
    url: str, writer: str, inputs: Sequence[AnyEvent], data: Path, snapshot_at: int = 0
) -> None:
    """One engine run: recovers, takes the inputs, and keeps a snapshot after one of the steps."""
    journal = await JetStreamJournal.open(url, writer)
    cores: list[Core] = [Silences()]
    recovered = await recover(
        cores, journal, data / "snapshots", "1", "site", sealed=data / "segments"
    )
    assert recovered.first_difference is None
    clock = ManualClock(START_NS + journal.last_step * NS)
    engine = Engine(cores, journal, clock, writer)

    async def on_step(number: int, at_ns: int) -> None:
        clock.advance(1)
        if number == snapshot_at:
            await engine.settled()
            write_snapshot(
                data / "snapshots", number, at_ns, "1", "site", encode_cores(engine.cores)
            )

    running = asyncio.create_task(engine.run(on_step))
    start = EngineStarted(version="1", site_hash="site", restored_step=recovered.snapshot_step)
    for event in (start, *inputs):
        await engine.put(event)
    await engine.close()
    await running
    await journal.close()


def losses(count: int) -> list[AnyEvent]:
    return [SourceLost(source=f"g-{i % 5}", why="silent") for i in range(count)]


async def test_cores_come_back_by_snapshot_and_tail_as_by_the_whole_journal(
    server: Nats, data: Path
) -> None:
    await run_engine(server.nats_url, "one", losses(20), data, snapshot_at=13)
    await run_engine(server.nats_url, "two", losses(9), data)
    journal = await JournalReader.connect(server.nats_url)
    by_snapshot, by_all = Silences(), Silences()
    shown: list[int] = []
    found = await recover(
        [by_snapshot],
        journal,
        data / "snapshots",
        "1",
        "site",
        on_tail=lambda number, _: shown.append(number),
    )
    assert found == (13, 31, (), None)
    assert shown == list(range(14, 32))
    found = await recover([by_all], journal, data / "none", "1", "site")
    assert found == (0, 31, (), None)
    assert by_snapshot.encode() == by_all.encode()
    await journal.close()


async def test_a_snapshot_that_does_not_fit_is_skipped_for_an_older_one_and_named(
    server: Nats, data: Path
) -> None:
    await run_engine(server.nats_url, "one", losses(20), data, snapshot_at=13)
    folder = data / "snapshots"
    states = {"silences": b"\x80"}
    write_snapshot(folder, 99, START_NS, "1", "site", states)
    write_snapshot(folder, 18, 17, "1", "site", states)
    write_snapshot(folder, 17, START_NS + 16 * NS, "1", "site", {"silences": b"\xc1"})
    write_snapshot(folder, 16, START_NS + 15 * NS, "1", "other", states)
    (folder / f"{15:012d}.snapshot").write_bytes(b"half")
    journal = await JournalReader.connect(server.nats_url)
    core, whole = Silences(), Silences()
    found = await recover([core], journal, folder, "1", "site")
    assert found.snapshot_step == 13
    assert [text.partition(": ")[2][:20] for text in found.skipped] == [
        "begins with b'half';",
        "ahead of the journal",
        "of another history: ",
        "these cores cannot r",
        "of site other; this ",
    ]
    await recover([whole], journal, data / "none", "1", "site")
    assert core.encode() == whole.encode()
    await journal.close()


async def test_cores_that_now_answer_otherwise_are_noticed(server: Nats, data: Path) -> None:
    class Quiet(Silences):
        def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
            list(super().step(event, now))
            return iter(())

    await run_engine(server.nats_url, "one", losses(20), data)
    journal = await JournalReader.connect(server.nats_url)
    found = await recover([Quiet()], journal, data / "none", "1", "site")
    assert found.first_difference == 12  # the third silence of the first gauge
    found = await recover([Quiet()], journal, data / "none", "2", "site")
    assert found.first_difference is None  # another version may
    await journal.close()


# --- sealed segments and recordings ------------------------------------------------------------


async def sealed_run(url: str, data: Path) -> None:
    """Three runs of 12 steps, segments up to steps 10, 22 and 34, and two steps in none."""
    for writer, snapshot_at in (("one", 10), ("two", 22), ("three", 34)):
        await run_engine(url, writer, losses(11), data, snapshot_at)
        journal = await JournalReader.connect(url)
        newest = snapshots(data / "snapshots").snapshots[0]
        assert await seal(journal, data / "segments", newest) is not None
        assert await seal(journal, data / "segments", newest) is None  # nothing new
        await journal.close()


async def test_a_segment_holds_what_the_journal_held(server: Nats, data: Path) -> None:
    await sealed_run(server.nats_url, data)
    journal = await JournalReader.connect(server.nats_url)
    sealed = segments(data / "segments")
    assert [(one.head.first, one.head.last) for one in sealed] == [(1, 10), (11, 22), (23, 34)]
    assert sealed[0].head.starting is None
    assert sealed[1].head.starting == sealed[0].head.ending
    assert [one.head.version for one in sealed] == ["1", "1", "1"]
    kept = [numbered for one in sealed for numbered in read_segment(one.path).steps()]
    assert kept == (await read_all(journal))[:34]
    await journal.close()


async def test_what_is_sealed_and_old_is_purged_and_still_read(server: Nats, data: Path) -> None:
    await sealed_run(server.nats_url, data)
    journal = await JetStreamJournal.open(server.nats_url, "purger")
    whole = await read_all(journal)
    sealed = data / "segments"
    until_ns = segments(sealed)[1].head.ending.at_ns + 1
    assert await purge_sealed(journal, sealed, until_ns, needed_from=5) == 5
    assert await purge_sealed(journal, sealed, until_ns, needed_from=1_000) == 23
    assert await purge_sealed(journal, sealed, 2 * START_NS, needed_from=1_000) == 35
    with pytest.raises(StepsGone):
        await read_all(journal)
    assert [numbered async for numbered in history(journal, sealed, 1, 36)] == whole
    assert [number async for number, _ in history(journal, sealed, 9, 24)] == list(range(9, 25))
    by_segments, by_snapshot = Silences(), Silences()
    found = await recover([by_segments], journal, data / "none", "1", "site", sealed=sealed)
    assert found == (0, 36, (), None)
    await recover([by_snapshot], journal, data / "snapshots", "1", "site")
    assert by_segments.encode() == by_snapshot.encode()
    with pytest.raises(StepsGone):
        await recover([Silences()], journal, data / "none", "1", "site")
    await journal.close()


async def test_a_damaged_segment_is_refused(server: Nats, data: Path) -> None:
    await sealed_run(server.nats_url, data)
    path = segments(data / "segments")[0].path
    sound = path.read_bytes()
    for at in (0, 25, len(sound) - 100, len(sound) - 1):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        with pytest.raises(FileUnreadable):
            read_segment(path)
    for length in (0, 10, 40, len(sound) - 40):
        path.write_bytes(sound[:length])
        with pytest.raises(FileUnreadable):
            read_segment(path)


async def test_a_recording_replays_from_a_segment_a_folder_and_a_data_folder(
    server: Nats, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sealed_run(server.nats_url, data)
    monkeypatch.setattr(ground, "LOCK_WAIT_S", 0.1)
    with pytest.raises(AnotherInstance):
        async with open_recording(data):
            pass
    await server.child.stop()
    sealed = data / "segments"
    for path, first, last in (
        (segments(sealed)[0].path, 1, 10),
        (segments(sealed)[1].path, 11, 22),
        (sealed, 1, 34),
        (data, 1, 36),
    ):
        async with open_recording(path) as recording:
            assert (recording.first, recording.last) == (first, last)
            found = await replay_recording([Silences()], recording)
        assert found.first_difference is None
        assert found.steps == last - first + 1


async def test_a_data_folder_whose_stream_was_purged_replays_as_far_as_there_is_a_state(
    server: Nats, data: Path
) -> None:
    await sealed_run(server.nats_url, data)
    journal = await JetStreamJournal.open(server.nats_url, "purger")
    await journal.purge(before=20)
    await journal.close()
    await server.child.stop()
    async with open_recording(data) as recording:
        assert (recording.first, recording.last) == (1, 36)
        assert (await replay_recording([Silences()], recording)).steps == 36
    shutil.rmtree(data / "segments")
    async with open_recording(data) as recording:
        assert recording.first == 23  # after the snapshot at step 22
        found = await replay_recording([Silences()], recording)
        assert (found.first_difference, found.steps) == (None, 14)


async def test_a_replay_on_other_cores_names_the_step(server: Nats, data: Path) -> None:
    await sealed_run(server.nats_url, data)
    async with open_recording(data / "segments") as recording:
        found = await replay_recording([], recording)
    assert found.first_difference is not None
    assert found.first_difference.number == 12
    assert found.version_changes == ((1, "1"),)


@pytest.mark.parametrize("what", ["nothing", "folder"])
async def test_what_is_no_recording_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    with pytest.raises(RecordingUnusable, match="expected a segment, a folder of segments, or"):
        async with open_recording(path):
            pass
