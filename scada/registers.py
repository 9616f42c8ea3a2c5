"""Decides which registers a PLC is asked for, what its answers mean, and a command's words.

In come a PLC's register map from the site and, from `modbus.py`, the raw words and bits of each
block; out go blocks to read, values in the point's unit, and the mailbox words of a command. Cells
that lie close together are read as one block, the registers between them for nothing; a block that
the device refuses is halved, so that one missing register costs its own value and no other.

Laws of this file:
1. A block never asks for more than one request may carry, and never splits a value.
2. What does not fit the map is a `Misfit` with its reason; it never becomes a number.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from causeway.events import AnyCommand, GateCommanded, PumpCommanded, target_of
from causeway.site import Plc, Register

NS = 1_000_000_000
Table = Literal["coil", "discrete", "holding", "input"]

TABLES: tuple[Table, ...] = ("coil", "discrete", "holding", "input")
BITS_MAX = 2_000  # a request; Modbus Application Protocol 1.1b3, 6.1
WORDS_MAX = 125  # a request; ibid., 6.3
ADDRESSES = 65_536
BITS_IN_A_WORD = 16  # a gap of bits costs as much as one of registers

MAILBOX_WORDS = 7
ANSWER_WORDS = 5
SEQUENCE_MAX = 65_535
VALID_S_MAX = 60
RUN_PUMP = 1
MOVE_GATE = 2
RESULTS = (
    "none",
    "accepted",
    "late",
    "repeated",
    "interlock",
    "local",
    "fault",
    "malformed",
)

_RAW = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f"}


class Misfit(Exception):
    """A value does not fit its register, whichever way it goes: for which point, what was seen."""

    def __init__(self, point: str, seen: str, expected: str) -> None:
        self.point = point
        self.seen = seen
        self.expected = expected
        super().__init__(f"{point}: seen {seen}, expected {expected}")


class Cell(NamedTuple):
    """What must be read together: one value of the map, or the answer block (no register)."""

    table: Table
    address: int
    width: int  # registers or bits
    register: Register | None

    @property
    def end(self) -> int:
        return self.address + self.width


class Block(NamedTuple):
    """One read request, and the cells that it is for, in the order of their addresses."""

    table: Table
    address: int
    width: int  # registers or bits
    cells: tuple[Cell, ...]


class Answer(NamedTuple):
    """The PLC's answer block. `clock_s` is its own clock, seconds since the Unix epoch."""

    sequence: int
    result: str
    watchdog: bool
    clock_s: int


class Mailbox(NamedTuple):
    """What stands in a PLC's command mailbox. `value` is 0 or 1 for a pump, permille for a gate."""

    sequence: int
    issued_s: int
    valid_s: int
    target: int
    action: int
    value: int


# --- which registers are asked for ----------------------------------------------------------


def width_of(register: Register) -> int:
    """Bits for a bool, 16-bit registers for a number."""
    return 2 if register.type in ("u32", "i32", "f32") else 1


def cells_of(plc: Plc) -> tuple[Cell, ...]:
    """Every value of the map and the answer block; raises Misfit for one past the address space."""
    cells = [Cell(r.table, r.address, width_of(r), r) for r in plc.registers]
    cells.append(Cell("input", plc.answer, ANSWER_WORDS, None))
    for cell in cells:
        if cell.address < 0 or cell.end > ADDRESSES:
            point = plc.id if cell.register is None else cell.register.point
            raise Misfit(point, f"address {cell.address}", f"0 to {ADDRESSES - cell.width}")
    return tuple(cells)


def blocks_of(cells: Iterable[Cell], gap_max: int) -> tuple[Block, ...]:
    """The fewest reads, table by table, that jump no gap of more than `gap_max` registers."""
    blocks: list[Block] = []
    for table in TABLES:
        ordered = sorted((c for c in cells if c.table == table), key=lambda c: (c.address, c.width))
        if table in ("coil", "discrete"):
            blocks.extend(_joined(ordered, gap_max * BITS_IN_A_WORD, BITS_MAX))
        else:
            blocks.extend(_joined(ordered, gap_max, WORDS_MAX))
    return tuple(blocks)


def _joined(ordered: list[Cell], gap_max: int, limit: int) -> Iterator[Block]:
    together: list[Cell] = []
    end = 0
    for cell in ordered:
        reaches = max(end, cell.end)
        if together and (cell.address > end + gap_max or reaches - together[0].address > limit):
            yield _block(together)
            together, reaches = [], cell.end
        together.append(cell)
        end = reaches
    if together:
        yield _block(together)


def halves_of(block: Block) -> tuple[Block, ...]:
    """A refused block parted at its widest gap; none when it is for one cell only."""
    if len(block.cells) < 2:
        return ()
    ends = [max(c.end for c in block.cells[: i + 1]) for i in range(len(block.cells) - 1)]
    gaps = [block.cells[i + 1].address - end for i, end in enumerate(ends)]
    middle = (len(block.cells) - 2) / 2
    at = max(range(len(gaps)), key=lambda i: (gaps[i], -abs(i - middle))) + 1
    return _block(block.cells[:at]), _block(block.cells[at:])


def _block(cells: Sequence[Cell]) -> Block:
    first = cells[0].address
    return Block(cells[0].table, first, max(c.end for c in cells) - first, tuple(cells))


def raw_of(block: Block, cell: Cell, answer: Sequence[int]) -> tuple[int, ...]:
    """The cell's part of a block's answer; raises Misfit where the answer is too short for it."""
    at = cell.address - block.address
    raw = tuple(answer[at : at + cell.width])
    if len(raw) < cell.width:
        point = "answer block" if cell.register is None else cell.register.point
        raise Misfit(point, f"{len(answer)} of {block.width} in {block.table}", "a whole answer")
    return raw


# --- what a raw answer means ----------------------------------------------------------------


def decode(register: Register, raw: Sequence[int]) -> float:
    """The value in the point's unit; raises Misfit where it is not a finite number."""
    if register.type == "bool":
        return float(bool(raw[0]))
    number: float = struct.unpack(_RAW[register.type], _ordered(register, raw))[0]
    value = number * register.scale + register.offset
    if not math.isfinite(value):
        raise Misfit(register.point, f"{register.type} {number}", "a finite number")
    return value


def encode(register: Register, value: float) -> tuple[int, ...]:
    """The words or the bit that `decode` gives back as `value`; raises Misfit out of range."""
    if register.type == "bool":
        return (int(value != 0),)
    try:
        scaled = (value - register.offset) / register.scale
        number = scaled if register.type == "f32" and math.isfinite(scaled) else round(scaled)
        packed = struct.pack(_RAW[register.type], number)
    except (struct.error, ArithmeticError, ValueError):
        raise Misfit(register.point, str(value), f"what {register.type} can hold") from None
    words = struct.unpack(f">{len(packed) // 2}H", packed)
    ordered = _ordered(register, words)
    return struct.unpack(f">{len(words)}H", ordered)


def _ordered(register: Register, words: Sequence[int]) -> bytes:
    """The bytes from the order of the wire to big-endian, or back: both swaps undo themselves."""
    placed = reversed(words) if register.word_order == "little" else words
    order: Literal["big", "little"] = register.byte_order
    return b"".join(word.to_bytes(2, order) for word in placed)


# --- commands and their answers -------------------------------------------------------------


def encode_mailbox(plc: Plc, command: AnyCommand) -> tuple[int, ...]:
    """The mailbox words of a pump's or gate's command; raises Misfit where there are none."""
    target = target_of(command)
    match command:
        case PumpCommanded():
            action, value = RUN_PUMP, int(command.run)
        case GateCommanded():
            action, value = MOVE_GATE, round(command.opening_ratio * 1000)
        case _:
            raise Misfit(target, type(command).__name__, "a command for a pump or a gate")
    if target not in plc.targets:
        raise Misfit(target, f"the targets of {plc.id}", "the target among them")
    valid_s = (command.expires_at_ns - command.issued_at_ns) // NS
    for name, seen, least, most in (
        ("sequence", command.sequence, 1, SEQUENCE_MAX),
        ("valid for, s", valid_s, 1, VALID_S_MAX),
        ("value", value, 0, 1000),
    ):
        if not least <= seen <= most:
            raise Misfit(target, f"{name} {seen}", f"{least} to {most}")
    issued_s = command.issued_at_ns // NS
    return (
        command.sequence,
        issued_s >> 16 & 0xFFFF,
        issued_s & 0xFFFF,
        valid_s,
        plc.targets.index(target) + 1,
        action,
        value,
    )


def decode_mailbox(words: Sequence[int]) -> Mailbox:
    """Raises Misfit for a short block."""
    if len(words) < MAILBOX_WORDS:
        raise Misfit("mailbox", f"{len(words)} registers", f"{MAILBOX_WORDS}")
    sequence, high, low, valid_s, target, action, value = words[:MAILBOX_WORDS]
    return Mailbox(sequence, high << 16 | low, valid_s, target, action, value)


def decode_answer(words: Sequence[int]) -> Answer:
    """`words` are the answer block's five registers."""
    sequence, result, watchdog, high, low = words
    word = RESULTS[result] if result < len(RESULTS) else f"unknown result {result}"
    return Answer(sequence, word, watchdog != 0, high << 16 | low)
