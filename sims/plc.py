"""Talks Modbus TCP for the simulated PLCs: one server a PLC, its words from the program's register
image.

In come a client's reads (FC 1 to 4) and writes (FC 5, 6, 15, 16); out go the words, or exception
2 for an address that the PLC does not have. A PLC can be put out of order for a scenario: it
closes its port, or takes requests and never answers.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simcore import SimCore

from sims.image import RegisterImage, Table

TABLE_OF: dict[int, Table] = {
    1: "coil",
    5: "coil",
    15: "coil",
    2: "discrete",
    3: "holding",
    6: "holding",
    16: "holding",
    22: "holding",
    23: "holding",
    4: "input",
}


class Line(StrEnum):
    """How the PLC's network card behaves."""

    ANSWERS = "answers"
    HANGS = "hangs"  # takes requests and says nothing
    CLOSED = "closed"  # refuses connections


class _ImageCore(SimCore):
    """Answers pymodbus from a register image.

    pymodbus' own store keeps coils in words of 16, so that addresses beside a coil exist too; a
    client that reads past the map must get exception 2 here.
    """

    def __init__(self, image: RegisterImage, unit: int) -> None:
        super().__init__(
            SimDevice(unit, simdata=[SimData(0, values=0, datatype=DataType.REGISTERS)])
        )
        self._image = image
        self._unit = unit

    async def async_getValues(  # noqa: N802 - pymodbus' name
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        words = self._image.read(self._table(device_id, func_code), address, count)
        if words is None:
            return ExcCodes.ILLEGAL_ADDRESS
        return [w != 0 for w in words] if func_code in (1, 2, 5, 15) else words

    async def async_setValues(  # noqa: N802 - pymodbus' name
        self, device_id: int, func_code: int, address: int, values: list[int] | list[bool]
    ) -> ExcCodes | None:
        table = self._table(device_id, func_code)
        written = self._image.write(table, address, [int(v) for v in values])
        return None if written else ExcCodes.ILLEGAL_ADDRESS

    def _table(self, device_id: int, func_code: int) -> Table:
        if device_id != self._unit:
            raise NoSuchIdException(f"unit {device_id}; this PLC is unit {self._unit}")
        return TABLE_OF[func_code]


class _Connection(ServerRequestHandler):
    """One client's connection; deaf while the PLC hangs."""

    def __init__(self, server: _Server) -> None:
        super().__init__(server, None, None, None)  # type: ignore[no-untyped-call] # pymodbus

    def callback_data(self, data: bytes, addr: tuple[object, ...] | None = None) -> int:
        if self.server.line is Line.HANGS:
            return len(data)
        return super().callback_data(data, addr)


class _Server(ModbusTcpServer):
    """pymodbus' server over a register image."""

    def __init__(self, image: RegisterImage, unit: int, address: tuple[str, int]) -> None:
        core = _ImageCore(image, unit)
        super().__init__(
            SimDevice(unit, simdata=[SimData(0, values=0, datatype=DataType.REGISTERS)]),
            address=address,
        )
        self.context = core
        self.line = Line.ANSWERS

    def callback_new_connection(self) -> ServerRequestHandler:
        return _Connection(self)


class PlcServer:
    """A PLC's Modbus port: opened, put out of order, closed."""

    def __init__(self, image: RegisterImage, unit: int, host: str, port: int) -> None:
        self._image, self._unit = image, unit
        self._address = (host, port)
        self._server: _Server | None = None
        self.line = Line.CLOSED

    async def set_line(self, line: Line) -> None:
        """Open, silence or close the port. Raises RuntimeError where it cannot be had."""
        if line is Line.CLOSED:
            await self.close()
        elif self._server is None:
            server = _Server(self._image, self._unit, self._address)
            await server.serve_forever(background=True)
            self._server = server
        if self._server is not None:
            self._server.line = line
        self.line = line

    async def close(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call] # pymodbus
            self._server = None
            await asyncio.sleep(0)
