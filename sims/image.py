"""The four register tables of a simulated PLC, coded as the site's register map says.

In come engineering values by point and writes by a Modbus client; out go the words of a read. An
address that the map and the three common blocks do not name does not exist.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Literal

from causeway.site import Plc, Register

Table = Literal["coil", "discrete", "holding", "input"]
MAILBOX_WORDS = 7  # docs/INTERFACES.md
ANSWER_WORDS = 5
WIDTH = {"bool": 1, "u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2}
RANGE = {
    "u16": (0, 0xFFFF),
    "i16": (-0x8000, 0x7FFF),
    "u32": (0, 0xFFFF_FFFF),
    "i32": (-0x8000_0000, 0x7FFF_FFFF),
}
PACKING = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f"}


def words_of(register: Register, value: float) -> tuple[int, ...]:
    """A value as it stands in the PLC, in the order of its addresses.

    A number that the type cannot hold stands at the type's end, as a PLC's own conversion gives it.
    """
    if register.type == "bool":
        return (int(value != 0),)
    raw = (value - register.offset) / register.scale
    if register.type == "f32":
        data = struct.pack(">f", raw)
    else:
        low, high = RANGE[register.type]
        number = low if math.isnan(raw) else min(max(raw, low), high)
        data = struct.pack(PACKING[register.type], round(number))
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if register.byte_order == "little":
        words = [w[::-1] for w in words]
    if register.word_order == "little":
        words.reverse()
    return tuple(int.from_bytes(w, "big") for w in words)


class RegisterImage:
    """What a Modbus client of this PLC can read and write."""

    def __init__(self, plc: Plc) -> None:
        self._of_point: dict[str, list[Register]] = {}
        self._tables: dict[Table, dict[int, int]] = {
            "coil": {},
            "discrete": {},
            "holding": {},
            "input": {},
        }
        for register in plc.registers:
            self._of_point.setdefault(register.point, []).append(register)
            for i in range(WIDTH[register.type]):
                self._tables[register.table][register.address + i] = 0
        for i in range(MAILBOX_WORDS):
            self._tables["holding"][plc.mailbox + i] = 0
        self._tables["holding"][plc.watchdog] = 0
        for i in range(ANSWER_WORDS):
            self._tables["input"][plc.answer + i] = 0

    @property
    def points(self) -> tuple[str, ...]:
        """The points that the map names."""
        return tuple(self._of_point)

    def set_point(self, point: str, value: float) -> None:
        """Put a measured value where the map has it; nothing where it has none."""
        for register in self._of_point.get(point, ()):
            words = words_of(register, value)
            for i, word in enumerate(words):
                self._tables[register.table][register.address + i] = word

    def read(self, table: Table, address: int, count: int) -> list[int] | None:
        """The words from an address on; None when one of them does not exist."""
        words = self._tables[table]
        wanted = range(address, address + count)
        return [words[a] for a in wanted] if all(a in words for a in wanted) else None

    def holding(self, address: int) -> int:
        """One holding register of the common blocks, which every image has."""
        return self._tables["holding"][address]

    def write(self, table: Table, address: int, values: Sequence[int]) -> bool:
        """Put words from an address on; False, and nothing written, when one does not exist."""
        words = self._tables[table]
        if any(address + i not in words for i in range(len(values))):
            return False
        for i, value in enumerate(values):
            words[address + i] = value
        return True
