from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from causeway.site import Gate, LonLat, Plc, Pump, PumpStation, Register, Site
from sims.gauges import Ailment, Instrument
from sims.image import RegisterImage, words_of
from sims.plant import Machines
from sims.plc import Line, PlcServer
from sims.plc_program import Levels, PlcProgram, Result

S = 1_000_000_000
START = 1_763_960_400 * S
AT = LonLat(106.70, 10.78)
ALL_POINTS = [
    ("ps-1/sump_m", "input", 0, "i16", 0.001),
    ("ps-1/remote_bool", "discrete", 0, "bool", 1.0),
    ("ps-1/power_kw", "input", 1, "u16", 0.1),
    ("p-1/running_bool", "discrete", 1, "bool", 1.0),
    ("p-1/flow_m3s", "input", 2, "f32", 1.0),
    ("p-1/current_a", "input", 4, "u16", 0.1),
    ("p-1/fault_bool", "discrete", 2, "bool", 1.0),
    ("g-1/opening_ratio", "input", 10, "u16", 0.001),
    ("g-1/inside_m", "input", 11, "i16", 0.001),
    ("g-1/outside_m", "input", 12, "i16", 0.001),
    ("g-1/moving_bool", "discrete", 3, "bool", 1.0),
    ("g-1/fault_bool", "discrete", 4, "bool", 1.0),
    ("g-1/remote_bool", "discrete", 5, "bool", 1.0),
]


def small_site() -> Site:
    """One PLC with a station of one pump, and a gate."""
    plc = Plc(
        id="plc-1",
        name="",
        host="127.0.0.1",
        port=0,
        registers=tuple(Register(p, t, a, k, scale=s) for p, t, a, k, s in ALL_POINTS),  # type: ignore[arg-type] # literals of the table above
        targets=("p-1", "g-1"),
    )
    tables = (
        *("quantities", "gauges", "junctions", "segments", "cameras", "signs", "circuits"),
        *("nodes", "conduits", "waters", "places", "tide_levels", "inundation_levels"),
    )
    return Site(
        id="small",
        name="",
        name_en="",
        timezone="Asia/Ho_Chi_Minh",
        datum="hon_dau",
        centre=AT,
        credit="",
        hash="",
        points={},
        plcs=(plc,),
        stations=(PumpStation("ps-1", "", AT, "plc-1", -2.0, "hon_dau", 90.0),),
        pumps=(Pump("p-1", "ps-1", 1.5, start_m=0.0, stop_m=-1.0),),
        gates=(Gate("g-1", "", AT, "plc-1", closing_m=1.2, travel_s=60.0, datum="hon_dau"),),
        **dict.fromkeys(tables, ()),
    )


class Works:
    """A PLC with its machines and its water, scanned five times a second."""

    def __init__(self, watched: bool = True) -> None:
        self.site = small_site()
        self.now = START
        self.machines = Machines(self.site, self.site.plcs[0])
        self.program = PlcProgram(self.site, self.site.plcs[0], self.machines, self.now)
        self.sump_m, self.inside_m, self.outside_m = -0.5, 0.5, 0.6
        self.watched = watched
        self.sequence = 0
        self.run(0.4)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 5)):
            self.now += S // 5
            if self.watched:
                count = self.now // S & 0xFFFF
                self.program.image.write("holding", 110, [count])
            levels = Levels(
                {"ps-1": self.sump_m},
                {"g-1": self.inside_m},
                {"g-1": self.outside_m},
                {"p-1": 1.5},
            )
            self.program.scan(self.now, levels)

    def send(self, target: int, action: int, value: int, **other: int) -> Result:
        self.sequence = other.get("sequence", self.sequence + 1)
        issued_s = other.get("issued_s", self.now // S)
        words = [
            self.sequence,
            issued_s >> 16,
            issued_s & 0xFFFF,
            other.get("valid_s", 10),
            target,
            action,
            value,
        ]
        self.program.image.write("holding", 100, words)
        self.run(0.2)
        answer = self.program.image.read("input", 100, 5)
        assert answer is not None
        assert answer[0] == self.sequence
        return Result(answer[1])

    def point(self, table: str, address: int) -> int:
        words = self.program.image.read(table, address, 1)  # type: ignore[arg-type] # a literal
        assert words is not None
        return words[0]

    @property
    def running(self) -> bool:
        return self.point("discrete", 1) == 1

    @property
    def opening(self) -> float:
        return self.machines.gates["g-1"].opening_ratio


# --- coding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "byte_order", "word_order", "value", "words"),
    [
        ("u16", "big", "big", 4660, (0x1234,)),
        ("u16", "little", "big", 4660, (0x3412,)),
        ("i16", "big", "big", -2, (0xFFFE,)),
        ("u32", "big", "big", 0x12345678, (0x1234, 0x5678)),
        ("u32", "big", "little", 0x12345678, (0x5678, 0x1234)),
        ("u32", "little", "big", 0x12345678, (0x3412, 0x7856)),
        ("u32", "little", "little", 0x12345678, (0x7856, 0x3412)),
        ("i32", "big", "big", -1, (0xFFFF, 0xFFFF)),
        ("f32", "big", "big", 1.5, (0x3FC0, 0)),
        ("f32", "big", "little", 1.5, (0, 0x3FC0)),
        ("u16", "big", "big", 70_000, (0xFFFF,)),
        ("u16", "big", "big", -1, (0,)),
        ("i16", "big", "big", 40_000, (0x7FFF,)),
    ],
)
def test_a_value_stands_in_its_registers_as_the_map_says(
    kind: str, byte_order: str, word_order: str, value: float, words: tuple[int, ...]
) -> None:
    register = Register("x/y_m", "input", 0, kind, byte_order, word_order)  # type: ignore[arg-type] # literals above
    assert words_of(register, value) == words


def test_scale_and_offset_turn_a_value_into_its_raw_number() -> None:
    assert words_of(Register("x/y_m", "input", 0, "i16", scale=0.01, offset=-5.0), 1.23) == (623,)
    (high, low) = words_of(Register("x/y_m", "input", 0, "f32", scale=0.5), 1.23)
    assert struct.unpack(">f", struct.pack(">HH", high, low))[0] == pytest.approx(2.46)


def test_an_address_that_the_map_does_not_name_does_not_exist() -> None:
    image = RegisterImage(small_site().plcs[0])
    assert image.read("input", 0, 5) == [0] * 5
    assert image.read("input", 0, 6) is None
    assert not image.write("holding", 99, [1, 2])
    assert image.read("holding", 100, 1) == [0]


# --- the program -----------------------------------------------------------------------------


def test_a_gate_moves_over_its_travel_time_and_stops_at_its_limit() -> None:
    works = Works()
    assert works.send(2, 2, 0) is Result.ACCEPTED
    works.run(30)
    assert works.opening == pytest.approx(0.5, abs=0.02)
    assert works.point("discrete", 3) == 1
    works.run(31)
    assert works.opening == 0.0
    assert works.point("discrete", 3) == 0
    assert works.point("discrete", 4) == 0


def test_a_gate_stops_at_a_commanded_opening() -> None:
    works = Works()
    works.send(2, 2, 400)
    works.run(60)
    assert works.opening == pytest.approx(0.4, abs=0.003)
    assert works.point("discrete", 3) == 0


def test_a_gate_is_not_opened_against_the_tide() -> None:
    works = Works()
    works.send(2, 2, 0)
    works.run(70)
    works.outside_m = 1.4
    works.run(1)
    assert works.send(2, 2, 1000) is Result.INTERLOCK
    works.outside_m = 0.3
    works.run(1)
    assert works.send(2, 2, 1000) is Result.ACCEPTED


def test_a_stuck_gate_becomes_a_fault_and_refuses_until_it_is_reset() -> None:
    works = Works()
    works.machines.gates["g-1"].broken.add("stuck")
    works.send(2, 2, 0)
    works.run(84)
    assert works.point("discrete", 4) == 1
    assert works.send(2, 2, 500) is Result.FAULT
    works.machines.gates["g-1"].broken.clear()
    works.program.reset("g-1")
    assert works.send(2, 2, 0) is Result.ACCEPTED
    works.run(62)
    assert works.opening == 0.0


def test_a_pump_starts_over_its_ramp_and_stops() -> None:
    works = Works()
    assert works.send(1, 1, 1) is Result.ACCEPTED
    works.run(1)
    assert works.running
    assert works.machines.pumps["p-1"].current_a > works.machines.pumps["p-1"].nominal_a
    works.run(5)
    assert works.point("input", 4) == pytest.approx(
        works.machines.pumps["p-1"].nominal_a * 10, abs=1
    )
    words = works.program.image.read("input", 2, 2)
    assert words is not None
    assert struct.unpack(">f", struct.pack(">HH", *words))[0] == pytest.approx(1.5)
    assert works.send(1, 1, 0) is Result.ACCEPTED
    works.run(7)
    assert not works.running


def test_a_pump_keeps_its_rest_and_its_starts_an_hour() -> None:
    works = Works()
    for _ in range(6):
        assert works.send(1, 1, 1) is Result.ACCEPTED
        works.run(120)
        works.send(1, 1, 0)
        works.run(60)
        assert works.send(1, 1, 1) is Result.INTERLOCK
        works.run(60)
    assert works.send(1, 1, 1) is Result.INTERLOCK
    works.run(2_400)
    assert works.send(1, 1, 1) is Result.ACCEPTED


def test_a_dry_sump_stops_a_pump_and_keeps_it_off() -> None:
    works = Works()
    works.send(1, 1, 1)
    works.run(10)
    works.sump_m = -2.1
    works.run(9)
    assert not works.running
    assert works.point("discrete", 2) == 0
    works.run(200)
    assert works.send(1, 1, 1) is Result.INTERLOCK


def test_a_pump_that_runs_dry_behind_a_lying_gauge_is_tripped_by_its_current() -> None:
    works = Works()
    works.program.instruments["ps-1/sump_m"].ail(Ailment("lying", START, 1.0))
    works.sump_m = -2.1
    works.send(1, 1, 1)
    works.run(20)
    assert works.program.pumps["p-1"].fault == "undercurrent"
    assert not works.running


@pytest.mark.parametrize(
    ("broken", "fault", "within_s"),
    [
        ("blocked", "overcurrent", 10),
        ("no_start", "no start", 12),
        ("no_cooling", "temperature", 900),
    ],
)
def test_a_broken_pump_is_tripped(broken: str, fault: str, within_s: float) -> None:
    works = Works()
    works.machines.pumps["p-1"].broken.add(broken)
    works.send(1, 1, 1)
    works.run(within_s)
    assert works.program.pumps["p-1"].fault == fault
    assert works.point("discrete", 2) == 1
    assert works.send(1, 1, 1) is Result.FAULT


@pytest.mark.parametrize(
    ("target", "action", "value", "other", "result"),
    [
        (0, 1, 1, {}, Result.MALFORMED),
        (3, 1, 1, {}, Result.MALFORMED),
        (1, 2, 1, {}, Result.MALFORMED),
        (1, 1, 2, {}, Result.MALFORMED),
        (2, 2, 1001, {}, Result.MALFORMED),
        (2, 1, 1, {}, Result.MALFORMED),
        (1, 9, 1, {}, Result.MALFORMED),
        (1, 1, 1, {"valid_s": 0}, Result.MALFORMED),
        (1, 1, 1, {"valid_s": 61}, Result.MALFORMED),
        (1, 1, 1, {"issued_s": START // S - 30}, Result.LATE),
    ],
)
def test_the_mailbox_refuses(
    target: int, action: int, value: int, other: dict[str, int], result: Result
) -> None:
    works = Works()
    assert works.send(target, action, value, **other) is result
    works.run(5)
    assert not works.running
    assert works.opening == 1.0


def test_an_older_sequence_is_repeated_and_the_numbers_wrap() -> None:
    works = Works()
    assert works.send(2, 2, 900, sequence=65_535) is Result.ACCEPTED
    assert works.send(2, 2, 800, sequence=65_534) is Result.REPEATED
    assert works.send(2, 2, 800, sequence=1) is Result.ACCEPTED
    assert works.send(2, 2, 700, sequence=65_535) is Result.REPEATED
    works.run(30)
    assert works.opening == pytest.approx(0.8, abs=0.003)


def test_local_at_the_cabinet_refuses_the_centre() -> None:
    works = Works()
    works.program.remote["ps-1"] = works.program.remote["g-1"] = False
    assert works.send(1, 1, 1) is Result.LOCAL
    assert works.send(2, 2, 0) is Result.LOCAL
    assert works.point("discrete", 0) == 0


def test_fifteen_silent_seconds_bring_the_own_rules_without_a_bump() -> None:
    works = Works()
    works.send(1, 1, 1)
    works.run(10)
    works.watched = False
    works.run(14)
    assert works.point("input", 102) == 0
    works.run(2)
    assert works.point("input", 102) == 1
    assert works.running  # between stop and start level it goes on
    works.sump_m = -1.1
    works.run(8)
    assert not works.running
    works.sump_m = 0.1
    works.run(130)
    assert works.running
    works.outside_m = 1.4
    works.run(62)
    assert works.opening == 0.0
    works.watched = True
    works.run(2)
    assert works.point("input", 102) == 0
    assert works.running
    assert works.opening == 0.0


def test_a_plc_that_never_heard_the_centre_follows_its_own_rules_and_refuses_commands() -> None:
    works = Works(watched=False)
    works.sump_m = 0.2
    works.run(2)
    assert works.running
    assert works.send(2, 2, 0) is Result.LOCAL


def test_the_answer_block_tells_the_clock_of_the_plc() -> None:
    works = Works()
    works.program.clock_skew_s = 7.0
    works.run(0.2)
    high, low = works.point("input", 103), works.point("input", 104)
    assert high << 16 | low == works.now // S + 7


# --- instruments -------------------------------------------------------------------------------


def test_a_gauge_has_its_resolution_and_its_noise() -> None:
    gauge = Instrument("tg-1/stage_m", "stage_m")
    values = [gauge.read(START + i * S, 1.234) for i in range(200)]
    assert all(v is not None and v == round(v, 2) for v in values)
    assert {1.22, 1.23, 1.24} <= set(values)
    assert all(v is not None and abs(v - 1.234) < 0.03 for v in values)


def test_a_tipping_bucket_counts_tips_of_a_fifth_of_a_millimetre() -> None:
    gauge = Instrument("rg-1/rain_mm_h", "rain_mm_h")
    seen = [gauge.read(START + i * 10 * S, 60.0) for i in range(61)]
    assert seen[0] == seen[-1] == pytest.approx(60.0, abs=2.4)
    assert all(v is not None and (v + 0.01) % 2.4 < 0.02 for v in seen)


def test_a_bucket_that_has_stood_dry_fills_its_window() -> None:
    gauge = Instrument("rg-1/rain_mm_h", "rain_mm_h")
    dry = gauge.read(START, 0.0)
    seen = [gauge.read(START + i * 10 * S, 60.0) for i in range(1, 61)]
    assert dry == 0.0
    assert seen[14] == pytest.approx(30.0, abs=2.4)
    assert seen[-1] == pytest.approx(60.0, abs=2.4)


def test_an_ailing_gauge_is_dead_frozen_drifting_lying_or_skewed() -> None:
    gauge = Instrument("sg-1/depth_m", "depth_m")
    first = gauge.read(START, 0.30)
    gauge.ail(Ailment("frozen", START))
    assert gauge.read(START + S, 0.60) == first
    gauge.heal("frozen")
    gauge.ail(Ailment("drifting", START, 0.36))
    assert gauge.read(START + 3_600 * S, 0.30) == pytest.approx(0.66, abs=0.02)
    gauge.heal("drifting")
    gauge.ail(Ailment("lying", START, -0.5))
    assert gauge.read(START, 0.30) == 0.0
    gauge.ail(Ailment("dead", START))
    assert gauge.read(START, 0.30) is None
    gauge.ail(Ailment("skewed", START, 3.0))
    assert gauge.clock_skew_ns == 3 * S


# --- the port ------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest_asyncio.fixture
async def wired() -> AsyncIterator[tuple[Works, PlcServer, AsyncModbusTcpClient]]:
    works, port = Works(), free_port()
    server = PlcServer(works.program.image, 1, "127.0.0.1", port)
    await server.set_line(Line.ANSWERS)
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=0.3, retries=0)
    assert await client.connect()
    yield works, server, client
    client.close()
    await server.close()


async def test_a_client_reads_every_table_and_writes_registers(
    wired: tuple[Works, PlcServer, AsyncModbusTcpClient],
) -> None:
    works, _, client = wired
    assert (await client.read_input_registers(10, count=1)).registers == [1000]
    assert (await client.read_discrete_inputs(0, count=6)).bits[:6] == [True, *[False] * 4, True]
    assert not (await client.write_register(110, 77)).isError()
    now_s = works.now // S
    words = [5, now_s >> 16, now_s & 0xFFFF, 10, 2, 2, 500]
    assert not (await client.write_registers(100, words)).isError()
    assert (await client.read_holding_registers(100, count=7)).registers == words
    works.run(31)
    assert (await client.read_input_registers(100, count=3)).registers == [5, 1, 0]
    assert works.opening == pytest.approx(0.5, abs=0.003)


async def test_an_address_outside_the_map_gets_exception_two(
    wired: tuple[Works, PlcServer, AsyncModbusTcpClient],
) -> None:
    _, _, client = wired
    for answer in (
        await client.read_input_registers(0, count=7),
        await client.read_discrete_inputs(0, count=7),
        await client.read_coils(0, count=1),
        await client.read_holding_registers(99, count=1),
        await client.write_register(0, 1),
        await client.write_registers(106, [1, 2]),
        await client.write_coil(0, True),
    ):
        assert answer.exception_code == 2


async def test_another_unit_gets_an_exception(
    wired: tuple[Works, PlcServer, AsyncModbusTcpClient],
) -> None:
    _, _, client = wired
    answer = await client.read_input_registers(0, count=1, device_id=9)
    assert answer.isError()


async def test_a_hanging_plc_takes_requests_and_says_nothing(
    wired: tuple[Works, PlcServer, AsyncModbusTcpClient],
) -> None:
    _, server, client = wired
    await server.set_line(Line.HANGS)
    with pytest.raises((ModbusIOException, asyncio.TimeoutError)):
        await client.read_input_registers(0, count=1)
    await server.set_line(Line.ANSWERS)
    assert client.connected or await client.connect()
    assert not (await client.read_input_registers(0, count=1)).isError()


async def test_a_closed_plc_refuses_connections_and_comes_back(
    wired: tuple[Works, PlcServer, AsyncModbusTcpClient],
) -> None:
    _, server, client = wired
    await server.set_line(Line.CLOSED)
    other = AsyncModbusTcpClient("127.0.0.1", port=client.comm_params.port, timeout=0.3, retries=0)
    assert not await other.connect()
    await server.set_line(Line.ANSWERS)
    assert await other.connect()
    assert not (await other.read_input_registers(0, count=1)).isError()
    other.close()
