"""The PLC link against real Modbus TCP servers: another process, another program, raw sockets."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.modbus import modbus_bench
from causeway.clock import NS, ScaledClock, clock_spec
from causeway.commands import CommandEdge, NotSent
from causeway.engine import Engine
from causeway.events import (
    Address,
    AnyEvent,
    CommandAnswered,
    CommandConfirmed,
    CommandSent,
    CommandUnconfirmed,
    EngineStarted,
    PumpCommanded,
    PumpRequested,
    Quality,
    ReadingsObserved,
    ReadingsReceived,
    Reason,
    Rejected,
    SourceLost,
    SourceReached,
    Step,
    WatchdogObserved,
)
from causeway.site import GATE_QUANTITIES, PUMP_QUANTITIES, STATION_QUANTITIES, Site, load_site
from scada import modbus
from scada.confirmations import Confirmations
from scada.interlocks import Interlocks
from scada.modbus import CommandNotWritten, PlcLink

pytestmark = pytest.mark.system

SPEED = 10.0  # the tests' seconds pass ten times as fast
WAIT_S = 30.0  # before a test gives up
WRITES = (5, 6, 15, 16)

PLANT = """
[site]
id = "plant"
name = "Trạm thử"
name_en = "Test plant"
timezone = "Asia/Ho_Chi_Minh"
datum = "hon_dau"
centre = [106.70, 10.77]
credit = "made up"
{quantities}
[[station]]
id = "ps-1"
name = "Nhiêu Lộc"
at = [106.70, 10.77]
plc = "plc-1"
sump_min_m = -2.0
datum = "hon_dau"
power_kw_max = 100.0
[[pump]]
id = "p-1"
station = "ps-1"
flow_m3s = 2.0
start_m = 0.5
stop_m = -0.5
rest_s = 2.0
[[pump]]
id = "p-2"
station = "ps-1"
flow_m3s = 2.0
start_m = 0.5
stop_m = -0.5
[[gate]]
id = "g-1"
name = "Cống Nhiêu Lộc"
at = [106.70, 10.77]
plc = "plc-1"
closing_m = 1.3
travel_s = 60.0
datum = "hon_dau"
[[plc]]
id = "plc-1"
name = "Nhiêu Lộc"
host = "127.0.0.1"
port = {port}
poll_s = 0.5
timeout_s = 0.5
targets = ["p-1", "p-2", "g-1"]
register = [
{registers}
]
"""
QUANTITIES = "".join(
    f'[[quantity]]\nid = "{id_}"\nunit = "1"\nmin = -1e10\nmax = 1e10\nstale_after_s = 20.0\n'
    for id_ in (*STATION_QUANTITIES, *PUMP_QUANTITIES, *GATE_QUANTITIES[:4])
)
# Every type and order, over gaps, in four tables: the register, and the value that stands there
ALL_KINDS: list[tuple[str, str, float]] = [
    ("p-1/running_bool", 'table = "coil", address = 17, type = "bool"', 0.0),
    ("p-2/running_bool", 'table = "coil", address = 3, type = "bool"', 1.0),
    ("p-1/fault_bool", 'table = "discrete", address = 7, type = "bool"', 1.0),
    ("p-2/fault_bool", 'table = "discrete", address = 2100, type = "bool"', 1.0),
    ("p-1/current_a", 'table = "holding", address = 0, type = "u16", scale = 0.01', 655.0),
    ("p-2/current_a", 'table = "holding", address = 1, type = "i16", offset = 10', 5.0),
    ("p-1/flow_m3s", 'table = "holding", address = 2, type = "u32"', 4e9),
    ("p-2/flow_m3s", 'table = "holding", address = 4, type = "i32", word_order = "little"', -2e9),
    ("ps-1/sump_m", 'table = "holding", address = 6, type = "f32"', 1.25),
    ("ps-1/power_kw", 'table = "holding", address = 8, type = "f32", word_order = "little"', -0.5),
    (
        "g-1/inside_m",
        'table = "holding", address = 10, type = "u32", byte_order = "little"',
        0x01020304,
    ),
    ("g-1/opening_ratio", 'table = "holding", address = 16, type = "u16", scale = 0.001', 0.16),
    ("g-1/outside_m", 'table = "holding", address = 30, type = "u16"', 300.0),
    ("ps-1/remote_bool", 'table = "input", address = 0, type = "u16"', 1_234.0),
    ("g-1/moving_bool", 'table = "input", address = 429, type = "u16"', 7.0),
]
TWO = [ALL_KINDS[8], ALL_KINDS[0]]


def site_of(
    folder: Path, port: int, kinds: list[tuple[str, str, float]], plc_lines: str = ""
) -> Site:
    registers = "".join(f'  {{ point = "{point}", {where} }},\n' for point, where, _ in kinds)
    text = PLANT.format(quantities=QUANTITIES, port=port, registers=registers) + plc_lines
    (folder / "site.toml").write_text(text)
    return load_site(folder)


class PlcProcess:
    """`plain_plc.py` as a child."""

    def __init__(self, clock: ScaledClock, port: int = 0) -> None:
        script = str(Path(__file__).with_name("plain_plc.py"))
        self.process = subprocess.Popen(
            [sys.executable, script, str(port), *clock_spec(clock).split(":")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port = self._answer()

    def do(self, order: str, value: Any = None, **fields: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": order, "value": value, **fields}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def set(self, table: str, address: int, *values: int | bool) -> None:
        self.do("set", table=table, address=address, values=values)

    def get(self, table: str, address: int, count: int = 1) -> list[int]:
        values: list[int] = self.do("get", table=table, address=address, count=count)
        return values

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


class Inbox:
    """Where a link's events go, acknowledged at once, or not while `journal_stands`."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.read = 0
        self.journal_stands = False
        self._came = asyncio.Event()

    async def put(self, event: AnyEvent) -> asyncio.Future[int]:
        self.events.append(event)
        self._came.set()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if not self.journal_stands:
            done.set_result(len(self.events))
        return done

    async def next(self, wanted: Callable[[Any], bool]) -> Any:
        """The next event, after the last one taken, of which `wanted` is true."""
        async with asyncio.timeout(WAIT_S):
            while True:
                while self.read < len(self.events):
                    event = self.events[self.read]
                    self.read += 1
                    if wanted(event):
                        return event
                self._came.clear()
                await self._came.wait()

    async def readings(self) -> dict[str, tuple[float, Quality]]:
        """What the next whole poll says."""
        return by_point(await self.next(lambda e: isinstance(e, ReadingsReceived)))

    async def fresh(self) -> dict[str, tuple[float, Quality]]:
        """What a poll says that began after this call."""
        self.read = len(self.events)
        await self.readings()
        return await self.readings()


def by_point(event: ReadingsReceived) -> dict[str, tuple[float, Quality]]:
    return dict(zip(event.points, zip(event.values, event.qualities, strict=True), strict=True))


@asynccontextmanager
async def running(*works: Awaitable[None]) -> AsyncIterator[None]:
    """Tasks that live for a `with` block; what one of them raises is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def clock() -> ScaledClock:
    return ScaledClock(1_763_980_800 * NS, time.time_ns(), SPEED)


@pytest.fixture
def device(clock: ScaledClock) -> Iterator[PlcProcess]:
    device = PlcProcess(clock)
    yield device
    device.kill()


def link_to(site: Site, clock: ScaledClock, inbox: Inbox) -> PlcLink:
    return PlcLink(site.plcs[0], site, clock, inbox.put)


def command(clock: ScaledClock, sequence: int = 1, *, run: bool = True) -> PumpCommanded:
    now_ns = clock.now_ns()
    return PumpCommanded(
        sequence=sequence, issued_at_ns=now_ns, expires_at_ns=now_ns + 20 * NS, pump="p-1", run=run
    )


# --- reading -------------------------------------------------------------------------------------


async def test_every_type_and_order_is_read_from_all_tables_in_one_event(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, ALL_KINDS)
    async with running(link_to(site, clock, inbox).run()):
        event = await inbox.next(lambda e: isinstance(e, ReadingsReceived))
    assert event.source == "plc-1"
    assert by_point(event) == {
        point: (pytest.approx(value), Quality.GOOD) for point, _, value in ALL_KINDS
    }
    assert abs(event.observed_at_ns[0] - clock.now_ns()) < 30 * NS
    assert [type(e) for e in inbox.events[:4]] == [
        SourceReached,
        WatchdogObserved,
        CommandAnswered,
        ReadingsReceived,
    ]


async def test_registers_are_read_in_few_requests(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, ALL_KINDS)
    async with running(link_to(site, clock, inbox).run()):
        await inbox.readings()
        device.do("asked")
        await inbox.fresh()
        asked = {tuple(a) for a in device.do("asked") if a[0] not in WRITES}
    assert asked == {
        (1, 3, 2),  # coils 3 to 17: the server tells them in words
        (2, 7, 1),
        (2, 2_100, 1),
        (3, 0, 12),  # 12 to 15 do not exist: with them the block was refused
        (3, 16, 1),
        (3, 30, 1),
        (4, 0, 1),
        (4, 100, 5),  # the answer block
        (4, 429, 1),
    }


async def test_another_master_reads_the_same_value(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    high, low = struct.unpack(">2H", struct.pack(">f", 3.75))
    device.set("holding", 6, high, low)
    site = site_of(tmp_path, device.port, TWO)
    async with running(link_to(site, clock, inbox).run()):
        ours = (await inbox.readings())["ps-1/sump_m"]
    options = f"-m tcp -a 1 -0 -1 -B -r 6 -t 4:float -p {device.port} 127.0.0.1"
    mbpoll = await asyncio.create_subprocess_exec(
        "/usr/bin/mbpoll", *options.split(), stdout=asyncio.subprocess.PIPE
    )
    theirs, _ = await mbpoll.communicate()
    assert b"[6]: \t3.75" in theirs
    assert ours == (3.75, Quality.GOOD)


async def test_a_register_that_the_plc_does_not_hold_costs_its_own_value_and_no_other(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    missing = ("p-1/flow_m3s", 'table = "holding", address = 13, type = "u16"', 0.0)
    site = site_of(tmp_path, device.port, [ALL_KINDS[8], missing, ALL_KINDS[11], ALL_KINDS[13]])
    async with running(link_to(site, clock, inbox).run()):
        first = await inbox.readings()
        rejected = await inbox.next(lambda e: isinstance(e, Rejected))
        again = await inbox.next(lambda e: isinstance(e, Rejected))
    assert sorted(first) == ["g-1/opening_ratio", "ps-1/remote_bool", "ps-1/sump_m"]
    assert {quality for _, quality in first.values()} == {Quality.GOOD}
    assert (rejected.source, rejected.reason, rejected.count) == (
        "plc-1",
        Reason.REGISTER_MISMATCH,
        1,
    )
    assert rejected.sample == "holding 13 to 13: exception 2 (illegal data address)"
    assert again.count > 1


async def test_a_float_that_is_no_number_is_bad_with_the_last_good_value_until_that_is_stale(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    async with running(link_to(site, clock, inbox).run()):
        assert (await inbox.readings())["ps-1/sump_m"] == (1.25, Quality.GOOD)
        device.set("holding", 6, *struct.unpack(">2H", struct.pack(">f", math.nan)))
        good_at_ns = clock.now_ns()
        assert (await inbox.fresh())["ps-1/sump_m"] == (1.25, Quality.BAD)
        gone = await inbox.next(
            lambda e: isinstance(e, ReadingsReceived) and "ps-1/sump_m" not in e.points
        )
        assert gone.observed_at_ns[0] - good_at_ns > 18 * NS
        assert gone.points == ("p-1/running_bool",)
    rejected = next(e for e in inbox.events if isinstance(e, Rejected))
    assert rejected.reason is Reason.REGISTER_MISMATCH
    assert "ps-1/sump_m: seen f32 nan" in rejected.sample


@pytest.mark.parametrize(("code", "quality"), [(4, Quality.BAD), (6, Quality.UNCERTAIN)])
async def test_a_plc_that_answers_with_an_exception_is_reached_and_its_values_doubtful(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess, code: int, quality: Quality
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    async with running(link_to(site, clock, inbox).run()):
        await inbox.readings()
        device.do("fail", code)
        assert await inbox.fresh() == {
            "ps-1/sump_m": (1.25, quality),
            "p-1/running_bool": (0.0, quality),
        }
        device.do("fail", 0)
        assert (await inbox.fresh())["ps-1/sump_m"] == (1.25, Quality.GOOD)
    assert not any(isinstance(e, SourceLost) for e in inbox.events)


async def test_a_gateway_that_does_not_reach_the_plc_is_a_silent_plc(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    async with running(link_to(site, clock, inbox).run()):
        await inbox.readings()
        device.do("fail", 11)
        lost = await inbox.next(lambda e: isinstance(e, SourceLost))
    assert lost.why == "gateway target does not respond"


async def test_a_plc_whose_clock_is_off_is_reported(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    device.do("offset_s", 3_600)
    site = site_of(tmp_path, device.port, TWO)
    async with running(link_to(site, clock, inbox).run()):
        rejected = await inbox.next(lambda e: isinstance(e, Rejected))
    assert rejected.reason is Reason.CLOCK_SKEW
    assert "off by 3" in rejected.sample


async def test_a_plc_whose_clock_stands_still_is_not_believed(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modbus, "CLOCK_STILL_S", 0.4)
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    async with running(link_to(site, clock, inbox).run()):
        assert (await inbox.readings())["ps-1/sump_m"] == (1.25, Quality.GOOD)
        device.do("freeze", True)
        doubted = await inbox.next(
            lambda e: isinstance(e, ReadingsReceived) and e.qualities[0] is Quality.BAD
        )
        assert set(doubted.qualities) == {Quality.BAD}
        rejected = await inbox.next(lambda e: isinstance(e, Rejected))
        assert rejected.reason is Reason.CLOCK_SKEW
        device.do("freeze", False)
        assert (await inbox.fresh())["ps-1/sump_m"] == (1.25, Quality.GOOD)


# --- connections ---------------------------------------------------------------------------------


async def test_a_plc_that_dies_is_lost_and_one_that_comes_back_is_read_before_it_is_written(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    link = link_to(site, clock, inbox)
    async with running(link.run()):
        await inbox.next(lambda e: isinstance(e, SourceReached))
        await inbox.readings()
        device.kill()
        lost = await inbox.next(lambda e: isinstance(e, SourceLost))
        assert lost.source == "plc-1"
        assert "no connection to 127.0.0.1" in lost.why
        with pytest.raises(CommandNotWritten, match="not connected") as error:
            await link.write(command(clock), Address(1, 1))
        assert error.value.certain
        again = PlcProcess(clock, device.port)
        try:
            await inbox.next(lambda e: isinstance(e, SourceReached))
            assert (await inbox.fresh())["ps-1/sump_m"] == (1.25, Quality.GOOD)
            codes = [code for code, _, _ in again.do("asked")]
            first_write = next(i for i, code in enumerate(codes) if code in WRITES)
            assert sorted(codes[:first_write]) == [1, 3, 3, 4]
            assert again.do("written") == []
        finally:
            again.kill()
    assert sum(isinstance(e, SourceLost) for e in inbox.events) == 1


async def answer_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1_000):
        pass
    writer.close()


async def answer_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1_000):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
    writer.close()


async def answer_short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Well-formed answers of one register, or of eight bits, whatever was asked for."""
    with suppress(asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(7)
            request = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
            body = bytes([request[0], 1, 0]) if request[0] < 3 else bytes([request[0], 2, 0, 1])
            writer.write(head[:4] + (len(body) + 1).to_bytes(2, "big") + head[6:7] + body)
    writer.close()


async def test_a_device_that_is_silent_after_it_accepts_is_lost_by_its_time_out(
    tmp_path: Path, clock: ScaledClock
) -> None:
    inbox = Inbox()
    async with await asyncio.start_server(answer_nothing, "127.0.0.1", 0) as server:
        site = site_of(tmp_path, server.sockets[0].getsockname()[1], TWO)
        link = link_to(site, clock, inbox)
        began_s = time.monotonic()
        async with running(link.run()):
            lost = await inbox.next(lambda e: isinstance(e, SourceLost))
            assert 2 * 0.5 <= time.monotonic() - began_s < 4
            with pytest.raises(NotSent, match="not connected, or not yet read"):
                await link.write(command(clock), Address(1, 1))
    assert "No response received" in lost.why
    assert [type(e) for e in inbox.events] == [SourceLost]


async def test_a_device_that_speaks_another_protocol_is_lost(
    tmp_path: Path, clock: ScaledClock
) -> None:
    inbox = Inbox()
    async with await asyncio.start_server(answer_garbage, "127.0.0.1", 0) as server:
        site = site_of(tmp_path, server.sockets[0].getsockname()[1], TWO)
        async with running(link_to(site, clock, inbox).run()):
            await inbox.next(lambda e: isinstance(e, SourceLost))
    assert [type(e) for e in inbox.events] == [SourceLost]


async def test_answers_that_are_too_short_are_register_mismatches_and_allow_no_command(
    tmp_path: Path, clock: ScaledClock
) -> None:
    inbox = Inbox()
    async with await asyncio.start_server(answer_short, "127.0.0.1", 0) as server:
        site = site_of(tmp_path, server.sockets[0].getsockname()[1], TWO)
        link = link_to(site, clock, inbox)
        async with running(link.run()):
            readings = await inbox.readings()
            rejected = await inbox.next(lambda e: isinstance(e, Rejected))
            with pytest.raises(NotSent, match="not yet read"):
                await link.write(command(clock), Address(1, 1))
    assert readings == {"p-1/running_bool": (0.0, Quality.GOOD)}
    assert (rejected.reason, rejected.count) == (Reason.REGISTER_MISMATCH, 2)
    assert "1 of " in rejected.sample


async def test_a_link_that_is_cancelled_just_as_an_answer_comes_ends(
    tmp_path: Path, device: PlcProcess
) -> None:
    clock = ScaledClock(1_763_980_800 * NS, time.time_ns(), 500.0)  # always in the midst of a poll
    site = site_of(tmp_path, device.port, TWO)
    for turns in range(60):
        inbox = Inbox()
        link = asyncio.ensure_future(link_to(site, clock, inbox).run())
        await inbox.readings()
        for _ in range(turns):
            await asyncio.sleep(0)
        stands_until_s = time.perf_counter() + 0.0015
        while time.perf_counter() < stands_until_s:
            pass  # the answer must come while the loop stands still
        asyncio.get_running_loop().call_soon(link.cancel)
        done, _ = await asyncio.wait({link}, timeout=2.0)
        assert done, f"still running after {turns} turns of the loop"


# --- commands and the watchdog -------------------------------------------------------------------


async def test_a_command_is_written_read_back_and_answered(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    link = link_to(site, clock, inbox)
    async with running(link.run()):
        first = await inbox.next(lambda e: isinstance(e, CommandAnswered))
        assert (first.target, first.sequence, first.result) == ("plc-1", 0, "none")
        await inbox.readings()
        start = command(clock)
        assert link.serves(start)
        await link.write(start, Address(1, 1))
        answer = await inbox.next(lambda e: isinstance(e, CommandAnswered))
        assert (await inbox.fresh())["p-1/running_bool"] == (1.0, Quality.GOOD)
    issued_s = start.issued_at_ns // NS
    assert device.get("holding", 100, 7) == [1, issued_s >> 16, issued_s & 0xFFFF, 20, 1, 1, 1]
    assert (answer.target, answer.sequence, answer.accepted, answer.result) == (
        "p-1",
        1,
        True,
        "accepted",
    )
    assert len([e for e in inbox.events if isinstance(e, CommandAnswered)]) == 2


async def test_a_refusal_by_the_plc_names_its_target_and_why(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    device.do("offset_s", 3_600)
    site = site_of(tmp_path, device.port, TWO)
    link = link_to(site, clock, inbox)
    async with running(link.run()):
        await inbox.readings()
        await link.write(command(clock), Address(1, 1))
        answer = await inbox.next(lambda e: isinstance(e, CommandAnswered) and e.sequence == 1)
    assert (answer.target, answer.accepted, answer.result) == ("p-1", False, "late")


async def test_a_new_link_learns_from_the_mailbox_whose_the_last_answer_was(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    site = site_of(tmp_path, device.port, TWO)
    before = Inbox()
    link = link_to(site, clock, before)
    async with running(link.run()):
        await before.readings()
        await link.write(command(clock, sequence=700), Address(1, 1))
        await before.next(lambda e: isinstance(e, CommandAnswered) and e.sequence == 700)
    inbox = Inbox()
    async with running(link_to(site, clock, inbox).run()):
        answer = await inbox.next(lambda e: isinstance(e, CommandAnswered))
    assert (answer.target, answer.sequence, answer.accepted) == ("p-1", 700, True)


async def test_a_mailbox_that_reads_back_otherwise_is_an_error_and_is_not_written_again(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    device.do("garble", True)
    site = site_of(tmp_path, device.port, TWO)
    link = link_to(site, clock, inbox)
    async with running(link.run()):
        await inbox.readings()
        with pytest.raises(CommandNotWritten, match=r"read back .+ 99") as error:
            await link.write(command(clock), Address(3, 2))
        await inbox.fresh()
    assert not error.value.certain
    assert (error.value.target, error.value.sequence, error.value.address) == ("p-1", 1, (3, 2))
    assert len(device.do("written")) == 1


async def test_a_mailbox_that_is_refused_is_an_error(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    link = link_to(site, clock, inbox)
    async with running(link.run()):
        await inbox.readings()
        device.do("fail", 6)
        with pytest.raises(CommandNotWritten, match=r"exception 6 \(device busy\)"):
            await link.write(command(clock), Address(1, 1))
    assert device.do("written") == []


async def test_a_write_without_an_answer_leaves_it_unknown_and_is_not_repeated(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    link = link_to(site, clock, inbox)
    async with running(link.run()):
        await inbox.readings()
        device.do("mute", True)
        with pytest.raises(CommandNotWritten, match="whether the PLC took it is unknown"):
            await link.write(command(clock), Address(1, 1))
        await inbox.next(lambda e: isinstance(e, SourceLost))
        device.do("mute", False)
        await inbox.next(lambda e: isinstance(e, SourceReached))
        await inbox.fresh()
    assert len(device.do("written")) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expires_at_ns": 1_763_980_800 * NS}, "valid for, s|its time is over"),
        ({"pump": "p-9"}, "expected the target among them"),
        ({"sequence": 70_000}, "sequence 70000, expected 1 to 65535"),
    ],
)
async def test_a_command_that_cannot_be_meant_is_not_written(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess, changes: dict[str, Any], why: str
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    link = link_to(site, clock, inbox)
    async with running(link.run()):
        await inbox.readings()
        given = {
            "sequence": 1,
            "issued_at_ns": 1_763_980_790 * NS,
            "expires_at_ns": clock.now_ns() + 20 * NS,
            "pump": "p-1",
            "run": True,
        }
        with pytest.raises(CommandNotWritten, match=why) as error:
            await link.write(PumpCommanded(**{**given, **changes}), Address(1, 1))
    assert error.value.certain
    assert device.do("written") == []


async def test_the_watchdog_counts_each_second(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    async with running(link_to(site, clock, inbox).run()):
        await inbox.fresh()
        before, began_ns = device.get("holding", 110)[0], clock.now_ns()
        await clock.sleep(10)
        after, passed_s = device.get("holding", 110)[0], (clock.now_ns() - began_ns) / NS
    assert passed_s * 0.6 <= after - before <= passed_s + 2


async def test_the_watchdog_starves_when_the_journal_takes_nothing_more(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modbus, "JOURNAL_SILENT_S", 0.3)
    inbox = Inbox()
    site = site_of(tmp_path, device.port, TWO)
    async with running(link_to(site, clock, inbox).run()):
        await inbox.fresh()
        inbox.journal_stands = True
        await clock.sleep(6)
        starved = device.get("holding", 110)
        await clock.sleep(5)
        assert device.get("holding", 110) == starved
        inbox.journal_stands = False
        await inbox.fresh()
        await clock.sleep(3)
        assert device.get("holding", 110) != starved


# --- the whole way -------------------------------------------------------------------------------


class ListJournal:
    """Takes every step at once."""

    last_step = 0
    last_at_ns = 0

    def __init__(self) -> None:
        self.steps: list[Step] = []

    async def append(self, step: Step) -> asyncio.Future[int]:
        self.steps.append(step)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(len(self.steps))
        return done


class TakesAll:
    """In the plausibility core's place: every reading is taken as it came."""

    name = "takes_all"
    hears = frozenset({ReadingsReceived})

    def step(self, event: AnyEvent, now: object) -> Iterator[AnyEvent]:
        assert isinstance(event, ReadingsReceived)
        yield ReadingsObserved(
            source=event.source,
            points=event.points,
            observed_at_ns=event.observed_at_ns,
            values=event.values,
            qualities=event.qualities,
        )

    def encode(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        del state


WHOLE = [
    TWO[0],
    TWO[1],
    ("p-1/fault_bool", 'table = "discrete", address = 0, type = "bool"', 0.0),
    ("ps-1/remote_bool", 'table = "discrete", address = 7, type = "bool"', 1.0),
    ("ps-1/power_kw", 'table = "holding", address = 30, type = "u16", scale = 0.1', 30.0),
]


async def test_a_request_becomes_a_running_pump_and_a_confirmed_command(
    tmp_path: Path, clock: ScaledClock, device: PlcProcess
) -> None:
    site = site_of(tmp_path, device.port, WHOLE)
    seen = Inbox()
    engine = Engine(
        [TakesAll(), Interlocks(site), Confirmations(site)], ListJournal(), clock, "test"
    )
    link = PlcLink(site.plcs[0], site, clock, engine.put)
    edge = CommandEdge(link.serves, link.write, engine.put, clock)

    def show(number: int, step: Step) -> None:
        seen.events.extend(step.events)
        seen._came.set()

    engine.show(show)
    engine.show(edge.show)
    async with running(engine.run(), edge.run(), link.run()):
        await engine.put(EngineStarted(version="1", site_hash=site.hash))
        await clock.sleep(4)
        await seen.fresh()
        await engine.put(PumpRequested(pump="p-1", run=True, by="pumps"))
        commanded = await seen.next(lambda e: isinstance(e, PumpCommanded))
        sent = await seen.next(lambda e: isinstance(e, CommandSent))
        ended = await seen.next(lambda e: isinstance(e, CommandConfirmed | CommandUnconfirmed))
    assert isinstance(ended, CommandConfirmed)
    assert ended.command == sent.command
    assert (ended.target, ended.sequence, commanded.sequence) == ("p-1", 1, 1)
    assert 0 < ended.took_ns < 20 * NS
    assert device.get("coil", 17) == [True]


def test_the_benchmark_polls_a_server_in_another_process() -> None:
    measured = modbus_bench(0.3)
    assert measured["points"] == 1_500
    assert measured["registers_per_poll"] == 2_005
    assert isinstance(measured["polls"], int) and measured["polls"] > 1
    assert isinstance(measured["cpu_ms_per_poll"], float) and measured["cpu_ms_per_poll"] > 0
    assert json.loads(json.dumps(measured)) == measured
