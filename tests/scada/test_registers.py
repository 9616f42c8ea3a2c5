from __future__ import annotations

import itertools
import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.events import GateCommanded, PumpCommanded, SignCommanded
from causeway.site import Plc, Register
from scada.registers import (
    ADDRESSES,
    BITS_MAX,
    WORDS_MAX,
    Block,
    Cell,
    Misfit,
    blocks_of,
    cells_of,
    decode,
    decode_answer,
    decode_mailbox,
    encode,
    encode_mailbox,
    halves_of,
    raw_of,
    width_of,
)

NS = 1_000_000_000
LIMITS = {"u16": (0, 2**16 - 1), "i16": (-(2**15), 2**15 - 1), "u32": (0, 2**32 - 1)}
LIMITS["i32"] = (-(2**31), 2**31 - 1)


def register(type_: str = "u16", **fields: Any) -> Register:
    table = "coil" if type_ == "bool" else "holding"
    return msgspec.convert(
        {"point": "p-1/flow_m3s", "table": table, "address": 0, "type": type_, **fields}, Register
    )


def plc(registers: tuple[Register, ...] = (), **fields: Any) -> Plc:
    given_fields = {"targets": ("p-1", "p-2", "g-1"), **fields}
    return Plc(id="plc-1", name="", host="", port=0, registers=registers, **given_fields)


orders = st.fixed_dictionaries(
    {
        "byte_order": st.sampled_from(["big", "little"]),
        "word_order": st.sampled_from(["big", "little"]),
    }
)


@given(st.sampled_from(sorted(LIMITS)), orders, st.data())
def test_a_whole_number_comes_back_as_it_was_encoded(
    type_: str, order: dict[str, str], data: st.DataObject
) -> None:
    value = data.draw(st.integers(*LIMITS[type_]))
    coded = register(type_, **order)
    words = encode(coded, value)
    assert len(words) == width_of(coded)
    assert all(0 <= word <= 0xFFFF for word in words)
    assert decode(coded, words) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), orders)
def test_a_float_comes_back_as_it_was_encoded(value: float, order: dict[str, str]) -> None:
    coded = register("f32", **order)
    assert decode(coded, encode(coded, value)) == value


@given(
    st.integers(0, 2**16 - 1),
    st.sampled_from([0.001, 0.1, 0.5, 10.0, -0.01]),
    st.floats(-1000, 1000, allow_nan=False),
)
def test_scale_and_offset_come_back_within_half_a_step(
    raw: int, scale: float, offset: float
) -> None:
    coded = register("u16", scale=scale, offset=offset)
    value = decode(coded, (raw,))
    assert encode(coded, value) == (raw,)


@pytest.mark.parametrize("value", [True, False])
def test_a_bit_comes_back_as_it_was_encoded(value: bool) -> None:
    assert decode(register("bool"), encode(register("bool"), value)) == float(value)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (("big", "big"), (0x0102, 0x0304)),
        (("big", "little"), (0x0304, 0x0102)),
        (("little", "big"), (0x0201, 0x0403)),
        (("little", "little"), (0x0403, 0x0201)),
    ],
)
def test_the_four_orders_lay_the_bytes_of_a_number_where_devices_have_them(
    order: tuple[str, str], words: tuple[int, int]
) -> None:
    coded = register("u32", byte_order=order[0], word_order=order[1])
    assert encode(coded, 0x01020304) == words
    assert decode(coded, words) == 0x01020304


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_not_finite_is_a_misfit(number: float) -> None:
    words = struct.unpack(">2H", struct.pack(">f", number))
    with pytest.raises(Misfit, match=r"p-1/flow_m3s: seen f32 .+, expected a finite number"):
        decode(register("f32"), words)


@pytest.mark.parametrize(
    ("coded", "value"),
    [
        (register("u16"), -1),
        (register("u16"), 65_536),
        (register("i16"), 32_768),
        (register("u32"), math.nan),
        (register("i32"), math.inf),
        (register("f32"), 1e39),
        (register("f32"), math.nan),
        (register("u16", scale=0.0), 1),
    ],
)
def test_a_value_that_the_register_cannot_hold_is_a_misfit(coded: Register, value: float) -> None:
    with pytest.raises(Misfit, match=f"expected what {coded.type} can hold"):
        encode(coded, value)


# --- blocks -------------------------------------------------------------------------------------

maps = st.lists(
    st.tuples(
        st.sampled_from(["coil", "discrete", "holding", "input"]),
        st.one_of(st.integers(0, 400), st.integers(0, ADDRESSES - 2)),
        st.booleans(),
    ),
    max_size=80,
)


def cells(entries: list[tuple[str, int, bool]]) -> tuple[Cell, ...]:
    registers = []
    for table, address, wide in entries:
        type_ = "bool" if table in ("coil", "discrete") else "f32" if wide else "i16"
        registers.append(register(type_, table=table, address=address))
    return cells_of(plc(tuple(registers)))


def limit_of(block: Block) -> int:
    return BITS_MAX if block.table in ("coil", "discrete") else WORDS_MAX


@given(maps, st.integers(0, 300))
def test_every_cell_is_in_exactly_one_block_and_no_block_is_over_the_limit(
    entries: list[tuple[str, int, bool]], gap_max: int
) -> None:
    wanted = cells(entries)
    blocks = blocks_of(wanted, gap_max)
    assert sorted(map(repr, itertools.chain(*(b.cells for b in blocks)))) == sorted(
        map(repr, wanted)
    )
    for block in blocks:
        assert 1 <= block.width <= limit_of(block)
        for cell in block.cells:
            assert cell.table == block.table
            assert block.address <= cell.address
            assert cell.end <= block.address + block.width


@given(maps, st.integers(0, 300))
def test_no_block_reads_over_a_gap_that_is_too_wide(
    entries: list[tuple[str, int, bool]], gap_max: int
) -> None:
    for block in blocks_of(cells(entries), gap_max):
        needed = {a for cell in block.cells for a in range(cell.address, cell.end)}
        limit = gap_max * 16 if block.table in ("coil", "discrete") else gap_max
        gap = 0
        for address in range(block.address, block.address + block.width):
            gap = 0 if address in needed else gap + 1
            assert gap <= limit


@given(maps)
def test_what_is_read_is_what_stands_at_each_address(entries: list[tuple[str, int, bool]]) -> None:
    for block in blocks_of(cells(entries), 8):
        answer = [(block.address + i) % 0x10000 for i in range(block.width)]
        for cell in block.cells:
            assert raw_of(block, cell, answer) == tuple(range(cell.address, cell.end))


@given(maps)
def test_a_refused_block_parts_into_two_that_hold_the_same_cells(
    entries: list[tuple[str, int, bool]],
) -> None:
    for block in blocks_of(cells(entries), 8):
        halves = halves_of(block)
        assert len(halves) == (2 if len(block.cells) > 1 else 0)
        if halves:
            assert (*halves[0].cells, *halves[1].cells) == block.cells
            assert all(half.width <= block.width for half in halves)


def test_a_block_parts_at_its_widest_gap() -> None:
    whole = blocks_of([Cell("holding", a, 1, register(address=a)) for a in (0, 1, 2, 9, 10, 12)], 8)
    assert len(whole) == 1
    assert [(h.address, h.width) for h in halves_of(whole[0])] == [(0, 3), (9, 4)]


def test_cells_closer_than_the_gap_are_one_read_and_those_further_are_two() -> None:
    at = [Cell("input", a, 2, register("u32", table="input", address=a)) for a in (0, 10, 21)]
    assert [(b.address, b.width) for b in blocks_of(at, 8)] == [(0, 12), (21, 2)]


def test_a_short_answer_is_a_misfit_for_the_cells_past_its_end_only() -> None:
    first, second = (Cell("holding", a, 2, register("u32", address=a)) for a in (0, 2))
    (block,) = blocks_of([first, second], 0)
    assert raw_of(block, first, [7, 8, 9]) == (7, 8)
    with pytest.raises(Misfit, match="3 of 4 in holding"):
        raw_of(block, second, [7, 8, 9])
    answer = Cell("input", 100, 5, None)
    with pytest.raises(Misfit, match="answer block"):
        raw_of(Block("input", 100, 5, (answer,)), answer, [])


def test_a_register_past_the_address_space_is_refused() -> None:
    with pytest.raises(Misfit, match="address 65535, expected 0 to 65534"):
        cells_of(plc((register("f32", address=65_535),)))
    with pytest.raises(Misfit, match="plc-1: seen address 65533"):
        cells_of(plc(answer=65_533))


# --- the mailbox and the answer block ------------------------------------------------------------


def test_a_pump_start_is_written_as_the_interfaces_say() -> None:
    command = PumpCommanded(
        sequence=513,
        issued_at_ns=1_763_980_800 * NS + 999,
        expires_at_ns=1_763_980_820 * NS + 999,
        pump="p-2",
        run=True,
    )
    words = encode_mailbox(plc(), command)
    assert words == (513, 1_763_980_800 >> 16, 1_763_980_800 & 0xFFFF, 20, 2, 1, 1)
    assert decode_mailbox(words) == (513, 1_763_980_800, 20, 2, 1, 1)


def test_a_gate_is_moved_to_a_permille() -> None:
    command = GateCommanded(
        sequence=1, issued_at_ns=0, expires_at_ns=60 * NS, gate="g-1", opening_ratio=0.3333
    )
    assert decode_mailbox(encode_mailbox(plc(), command)) == (1, 0, 60, 3, 2, 333)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (PumpCommanded(sequence=0, issued_at_ns=0, expires_at_ns=NS, pump="p-1", run=True), "seq"),
        (
            PumpCommanded(sequence=1, issued_at_ns=0, expires_at_ns=61 * NS, pump="p-1", run=True),
            "valid for, s 61",
        ),
        (
            PumpCommanded(sequence=1, issued_at_ns=0, expires_at_ns=NS, pump="p-9", run=True),
            "p-9: seen the targets of plc-1",
        ),
        (
            GateCommanded(
                sequence=1, issued_at_ns=0, expires_at_ns=NS, gate="g-1", opening_ratio=1.1
            ),
            "value 1100",
        ),
        (
            SignCommanded(sequence=1, issued_at_ns=0, expires_at_ns=NS, sign="g-1", text=""),
            "SignCommanded",
        ),
    ],
)
def test_a_command_that_the_mailbox_cannot_hold_is_a_misfit(
    command: PumpCommanded | GateCommanded | SignCommanded, why: str
) -> None:
    with pytest.raises(Misfit, match=why):
        encode_mailbox(plc(), command)


def test_a_short_mailbox_is_a_misfit() -> None:
    with pytest.raises(Misfit, match="6 registers"):
        decode_mailbox([0] * 6)


def test_an_answer_block_reads_as_the_interfaces_say() -> None:
    high, low = 1_763_980_800 >> 16, 1_763_980_800 & 0xFFFF
    assert decode_answer([7, 4, 1, high, low]) == (7, "interlock", True, 1_763_980_800)
    assert decode_answer([0, 0, 0, 0, 0]) == (0, "none", False, 0)
    assert decode_answer([1, 9, 0, 0, 0]).result == "unknown result 9"
