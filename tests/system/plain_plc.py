"""A PLC to test against: a real Modbus TCP server in a process of its own, by INTERFACES.md.

It shares no code with the centre. It prints its port, then obeys JSON lines on standard input and
answers each with one on standard output. `python plain_plc.py PORT ORIGIN_NS WALL_ORIGIN_NS SPEED`
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

MAILBOX, WATCHDOG, ANSWER = 100, 110, 100
ACCEPTED, LATE, REPEATED, MALFORMED = 1, 2, 3, 7
COILS, DISCRETES, HOLDING, INPUT = 5, 2, 16, 4  # the function codes that reach each table


def words(layout: str, value: float) -> list[int]:
    packed = struct.pack(layout, value)
    return list(struct.unpack(f">{len(packed) // 2}H", packed))


class PlainPlc:
    """Values in all four tables, a mailbox, an answer block and a watchdog."""

    def __init__(self, port: int, origin_ns: int, wall_origin_ns: int, speed: float) -> None:
        self.port = port
        self.clock = (origin_ns, wall_origin_ns, speed)
        self.offset_s = 0
        self.frozen_s: int | None = None
        self.fail = 0
        self.mute = False
        self.garble = False
        self.internal = False
        self.last = 0
        self.asked: list[tuple[int, int, int]] = []
        self.written: list[list[int]] = []

    def now_s(self) -> int:
        origin_ns, wall_origin_ns, speed = self.clock
        now_ns = origin_ns + (time.time_ns() - wall_origin_ns) * speed
        return int(now_ns / 1e9) + self.offset_s

    def device(self) -> SimDevice:
        def registers(address: int, values: list[int]) -> SimData:
            return SimData(address, values=values, datatype=DataType.REGISTERS)

        coils = [False] * 48
        coils[3] = True
        discretes = [False] * 2_400
        discretes[7] = discretes[2_100] = True
        swapped = [w >> 8 | (w & 0xFF) << 8 for w in words(">I", 0x01020304)]
        holding = [
            65_500,  # 0: u16
            *words(">h", -5),  # 1: i16
            *words(">I", 4_000_000_000),  # 2: u32, high word first
            *reversed(words(">i", -2_000_000_000)),  # 4: i32, low word first
            *words(">f", 1.25),  # 6: f32
            *reversed(words(">f", -0.5)),  # 8: f32, low word first
            *swapped,  # 10: u32, low byte first
        ]
        return SimDevice(
            id=1,
            simdata=(
                [SimData(0, values=coils, datatype=DataType.BITS)],
                [SimData(0, values=discretes, datatype=DataType.BITS)],
                [
                    registers(0, holding),
                    registers(16, [160, 170]),
                    registers(30, [300]),
                    registers(MAILBOX, [0] * 7),
                    registers(WATCHDOG, [0]),
                ],
                [registers(0, [1_234]), registers(ANSWER, [0] * 5), registers(300, [7] * 130)],
            ),
            action=self.asked_for,
        )

    async def asked_for(
        self,
        code: int,
        start: int,
        address: int,
        count: int,
        memory: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if self.internal:
            return None
        self.asked.append((code, address, count))
        del self.asked[:-500]
        if self.fail and not (code == INPUT and address == ANSWER):
            return ExcCodes(self.fail)
        if code == INPUT:
            now_s = self.frozen_s if self.frozen_s is not None else self.now_s()
            at = ANSWER - start
            memory[at + 3 : at + 5] = [now_s >> 16, now_s & 0xFFFF]
        if code == HOLDING and address == MAILBOX and values is not None:
            mailbox = [int(v) for v in values]
            self.written.append(mailbox)
            self.obeying = asyncio.create_task(self.obey(mailbox))
            if self.garble:
                values[-1] = 99
        return None

    async def obey(self, mailbox: list[int]) -> None:
        """Take a command; coil 16 + n is whether target n was last told to run."""
        sequence, high, low, valid_s, target, action, value = mailbox
        if self.last and not 1 <= (sequence - self.last) % 65_536 <= 32_767:
            result = REPEATED
        elif self.now_s() >= (high << 16 | low) + valid_s:
            result = LATE
        elif action not in (1, 2):
            result = MALFORMED
        else:
            result = ACCEPTED
            if action == 1:
                await self.set(COILS, 16 + target, [bool(value)])
        self.last = sequence
        await self.set(INPUT, ANSWER, [sequence, result])

    async def set(self, code: int, address: int, values: list[Any]) -> None:
        self.internal = True
        try:
            await self.server.async_setValues(1, code, address, values)
        finally:
            self.internal = False

    async def do(self, order: dict[str, Any]) -> Any:
        match order["do"]:
            case "set":
                codes = {"coil": COILS, "discrete": DISCRETES, "holding": HOLDING, "input": INPUT}
                await self.set(codes[order["table"]], order["address"], order["values"])
            case "get":
                self.internal = True
                read = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}[order["table"]]
                values = await self.server.async_getValues(
                    1, read, order["address"], order["count"]
                )
                self.internal = False
                return values
            case "fail" | "mute" | "garble" | "offset_s":
                setattr(self, order["do"], order["value"])
            case "freeze":
                self.frozen_s = self.now_s() if order["value"] else None
            case "asked":
                asked, self.asked = self.asked, []
                return asked
            case "written":
                return self.written
        return True

    def packet(self, sending: bool, data: bytes) -> bytes:
        return b"" if sending and self.mute else data

    async def run(self) -> None:
        self.server = ModbusTcpServer(
            self.device(), address=("127.0.0.1", self.port), trace_packet=self.packet
        )
        await self.server.serve_forever(background=True)
        listening: Any = self.server.transport
        print(json.dumps(listening.sockets[0].getsockname()[1]), flush=True)
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            print(json.dumps(await self.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    port, origin_ns, wall_origin_ns = map(int, sys.argv[1:4])
    asyncio.run(PlainPlc(port, origin_ns, wall_origin_ns, float(sys.argv[4])).run())
