"""Measures what a poll costs: `causeway bench modbus`.

A whole `PlcLink`, from the socket to `ReadingsReceived`, polls a server in another process without
a pause; beside it, as the baseline, a C program on libmodbus reads the same blocks and decodes
nothing. The server is that C program too, compiled here (Debian: libmodbus-dev, gcc); where it
cannot be, a pymodbus server takes its place, and the result says that it is the bottleneck.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from causeway.children import Child, Children, ChildUnstartable
from causeway.clock import WallClock
from causeway.events import AnyEvent, Quality, ReadingsReceived
from causeway.site import Datum, LonLat, Plc, Point, Register, Site
from scada.modbus import PlcLink
from scada.registers import Block, blocks_of, cells_of

PEER = Path(__file__).with_name("modbus_peer.c")
PYMODBUS_PEER = f"from {__name__} import serve_pymodbus; serve_pymodbus()"
FLOATS = 1_000  # 32-bit values in input registers
BITS = 500  # coils
FIRST_FLOAT = 200
ANSWER = 100
READ_INPUT = 4  # the function code
START_S = 20.0  # at most, for the compiler and the server


class _Polled(NamedTuple):
    """What a client did: polls, seconds of the wall, seconds of its own CPU."""

    polls: int
    wall_s: float
    cpu_s: float


def modbus_bench(seconds: float = 5.0) -> dict[str, object]:
    """Poll for so long, then let the baseline; the result is plain."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_bench(Path(folder), seconds))


async def _bench(folder: Path, seconds: float) -> dict[str, object]:
    children = Children(folder)
    try:
        peer = await _compiled(children, folder)
        serve = [str(peer), "serve"] if peer else [sys.executable, "-c", PYMODBUS_PEER]
        server = await children.start("server", serve, pipes=True)
        port = int(await asyncio.wait_for(server.reader.readline(), START_S))
        plc = _plc(port)
        blocks = blocks_of(cells_of(plc), plc.gap_max)
        ours = await _poll(plc, seconds)
        if peer is None:
            base = None
        else:
            base = await _baseline(children, peer, port, seconds, blocks)
    finally:
        await children.stop_all()
    return _result(plc, blocks, ours, base)


async def _compiled(children: Children, folder: Path) -> Path | None:
    """The C program, or None where there is no compiler or no libmodbus."""
    program = folder / "modbus_peer"
    compile_it = ["cc", "-O2", "-o", str(program), str(PEER), "-lmodbus"]
    try:
        compiler = await children.start("cc", compile_it)
    except ChildUnstartable:
        return None
    await asyncio.wait_for(compiler.again(compiler.runs), START_S)
    return program if compiler.exit_code == 0 else None


async def _poll(plc: Plc, seconds: float) -> _Polled:
    """What a PlcLink does; the first poll, with the connection, is not counted."""
    polls = 0
    first = asyncio.Event()

    async def put(event: AnyEvent) -> asyncio.Future[int]:
        nonlocal polls
        if isinstance(event, ReadingsReceived):
            assert len(event.points) == FLOATS + BITS, event.points
            assert set(event.qualities) == {Quality.GOOD}
            polls += 1
            first.set()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(polls)
        return done

    link = asyncio.create_task(PlcLink(plc, _site(plc), WallClock(), put).run())
    try:
        await asyncio.wait_for(first.wait(), START_S)
        before, began_s, cpu_s = polls, time.perf_counter(), time.process_time()
        await asyncio.wait({link}, timeout=seconds)
        if link.done():
            link.result()
        return _Polled(polls - before, time.perf_counter() - began_s, time.process_time() - cpu_s)
    finally:
        link.cancel()
        with suppress(asyncio.CancelledError):
            await link


async def _baseline(
    children: Children, peer: Path, port: int, seconds: float, blocks: tuple[Block, ...]
) -> _Polled:
    asked = [f"{block.table[0]}:{block.address}:{block.width}" for block in blocks]
    argv = [str(peer), "poll", str(port), str(seconds), *asked]
    child: Child = await children.start("baseline", argv, pipes=True)
    said = json.loads(await asyncio.wait_for(child.reader.readline(), seconds + START_S))
    return _Polled(said["polls"], said["seconds"], said["cpu_s"])


def _result(
    plc: Plc, blocks: tuple[Block, ...], ours: _Polled, base: _Polled | None
) -> dict[str, object]:
    registers = sum(block.width for block in blocks if block.table in ("holding", "input"))
    result: dict[str, object] = {
        "server": "libmodbus, in C" if base else "pymodbus: the server is the bottleneck",
        "points": len(plc.registers),
        "registers_per_poll": registers,
        "bits_per_poll": sum(block.width for block in blocks) - registers,
        "requests_per_poll": len(blocks),
        **_costs(ours, registers),
        "plcs_a_core_at_1_hz": round(ours.polls / ours.cpu_s),
    }
    if base is not None:
        result["baseline"] = "libmodbus in C, nothing decoded"
        result |= {f"baseline_{name}": cost for name, cost in _costs(base, registers).items()}
    return result


def _costs(polled: _Polled, registers: int) -> dict[str, float]:
    return {
        "polls": polled.polls,
        "ms_per_poll": round(polled.wall_s / polled.polls * 1e3, 3),
        "registers_per_s": round(registers * polled.polls / polled.wall_s),
        "cpu_ms_per_poll": round(polled.cpu_s / polled.polls * 1e3, 3),
        "cpu_share": round(polled.cpu_s / polled.wall_s, 3),
    }


def _plc(port: int) -> Plc:
    floats = tuple(
        Register(point=f"p/{i}", table="input", address=FIRST_FLOAT + 2 * i, type="f32")
        for i in range(FLOATS)
    )
    bits = tuple(
        Register(point=f"b/{i}", table="coil", address=i, type="bool") for i in range(BITS)
    )
    return Plc(
        id="plc-bench",
        name="",
        host="127.0.0.1",
        port=port,
        registers=(*floats, *bits),
        targets=(),
        poll_s=0.0,
        timeout_s=5.0,
        answer=ANSWER,
    )


def _site(plc: Plc) -> Site:
    """A site of this PLC alone."""
    datum: Datum = "hon_dau"
    points = {
        r.point: Point(r.point, r.point, "", "", -1e9, 1e9, None, 30.0, None, plc.id)
        for r in plc.registers
    }
    return Site(
        id="bench",
        name="",
        name_en="",
        timezone="UTC",
        datum=datum,
        centre=LonLat(0, 0),
        credit="",
        hash="",
        points=points,
        quantities=(),
        gauges=(),
        junctions=(),
        segments=(),
        cameras=(),
        plcs=(plc,),
        stations=(),
        pumps=(),
        gates=(),
        signs=(),
        circuits=(),
        nodes=(),
        conduits=(),
        waters=(),
        places=(),
        tide_levels=(),
        inundation_levels=(),
    )


def serve_pymodbus() -> None:
    """The server where C cannot be had; prints its port, ends with its input."""
    asyncio.run(_serve_pymodbus())


async def _serve_pymodbus() -> None:
    async def show_clock(
        code: int,
        start: int,
        address: int,
        count: int,
        memory: list[int],
        written: list[int] | list[bool] | None,
    ) -> None:
        now_s = int(time.time())
        if code == READ_INPUT:
            memory[ANSWER + 3 : ANSWER + 5] = [now_s >> 16, now_s & 0xFFFF]

    registers = [SimData(0, count=4_000, values=[0, 0x4120], datatype=DataType.REGISTERS)]
    bits = [SimData(0, values=[False] * 4_096, datatype=DataType.BITS)]
    server = ModbusTcpServer(
        SimDevice(id=1, simdata=(bits, bits, registers, registers), action=show_clock),
        address=("127.0.0.1", 0),
    )
    await server.serve_forever(background=True)
    assert isinstance(server.transport, asyncio.Server)
    print(server.transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
