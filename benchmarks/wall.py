"""Measures what the wall costs: `causeway bench wall`.

A whole `Wall` on real TCP serves many clients in another process while a city of readings goes
through it, one batch a second of its points; beside it, as the baseline, the websockets library
alone sends the same bytes to as many clients. CPU is the serving process's own.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from causeway.children import Child, Children
from causeway.clock import WallClock
from causeway.events import AnyEvent, Quality, ReadingsObserved, Step
from causeway.site import Site, load_site
from dashboard.feed import PERIOD_S
from dashboard.picture import Picture
from dashboard.server import Wall

ROOT = Path(__file__).parents[1]
SITE = ROOT / "sims" / "cities" / "saigon"
WEB = ROOT / "dashboard" / "web"
CLIENTS = 50
DELTAS = 40
PEER = "import asyncio; from benchmarks.wall import listen; asyncio.run(listen())"
START_S = 15.0


class _Cost(NamedTuple):
    """CPU seconds of the server for so many deliveries to clients."""

    cpu_s: float
    deliveries: int

    @property
    def us(self) -> float:
        return round(self.cpu_s / self.deliveries * 1e6, 1)


def wall_bench(clients: int = CLIENTS, deltas: int = DELTAS) -> dict[str, object]:
    """Costs of a delivery, a delta and a snapshot for so many clients."""
    return asyncio.run(_bench(clients, deltas))


async def _bench(clients: int, deltas: int) -> dict[str, object]:
    site = load_site(SITE)
    encoding = _encoding(site, deltas)
    idle, messages = await _wall(site, 0, deltas), _messages(site, deltas)
    ours = await _wall(site, clients, deltas)
    base = await _bare(clients, messages)
    delivering = _Cost(max(ours.cpu_s - idle.cpu_s, 0.0), ours.deliveries)
    return {
        "clients": clients,
        "points": len(site.points),
        "deltas": deltas,
        "us_per_delivery": delivering.us,
        "baseline": "the websockets library alone, the same bytes",
        "baseline_us_per_delivery": base.us,
        **encoding,
        "clients_a_core_at_5_hz": round(PERIOD_S / (delivering.us / 1e6)),
    }


# --- encoding -------------------------------------------------------------------------------------


def _steps(site: Site, count: int) -> list[Step]:
    """Every point of the city once a step, each time another value."""
    clock = WallClock()
    points = tuple(site.points)
    events: list[AnyEvent] = [
        ReadingsObserved(
            source="bench",
            points=points,
            observed_at_ns=(clock.now_ns() + n,) * len(points),
            values=tuple(0.2 + 0.001 * ((7 * i + 13 * n) % 997) for i in range(len(points))),
            qualities=(Quality.GOOD,) * len(points),
        )
        for n in range(count)
    ]
    return [Step("bench", clock.now_ns() + n, (event,)) for n, event in enumerate(events)]


def _messages(site: Site, deltas: int) -> list[bytes]:
    picture = Picture(site)
    messages = []
    for number, step in enumerate(_steps(site, deltas), 1):
        picture.apply(number, step)
        delta = picture.take_delta()
        assert delta is not None
        messages.append(zlib.compress(msgspec.json.encode({"set": delta.set}), 6))
    return messages


def _encoding(site: Site, deltas: int) -> dict[str, object]:
    picture = Picture(site)
    picture.take_delta()
    fold_s = encode_s = compress_s = 0.0
    plain = packed = 0
    for number, step in enumerate(_steps(site, deltas), 1):
        started = time.process_time()
        picture.apply(number, step)
        folded = time.process_time()
        delta = picture.take_delta()
        assert delta is not None
        body = msgspec.json.encode({"set": delta.set, "drop": delta.drop})
        encoded = time.process_time()
        message = zlib.compress(body, 6)
        compress_s += time.process_time() - encoded
        fold_s += folded - started
        encode_s += encoded - folded
        plain, packed = plain + len(body), packed + len(message)
    snapshot = msgspec.json.encode(picture.snapshot())
    return {
        "fold_ms": round(fold_s / deltas * 1e3, 2),
        "encode_ms": round(encode_s / deltas * 1e3, 2),
        "compress_ms": round(compress_s / deltas * 1e3, 2),
        "delta_bytes": round(packed / deltas),
        "delta_bytes_plain": round(plain / deltas),
        "snapshot_bytes": len(zlib.compress(snapshot, 4)),
        "snapshot_bytes_plain": len(snapshot),
    }


# --- delivering -----------------------------------------------------------------------------------


async def _wall(site: Site, clients: int, deltas: int) -> _Cost:
    """The product's server; the clients are in a child."""
    clock = WallClock()

    async def refused(*_: object) -> asyncio.Future[int]:
        raise NotImplementedError  # nobody asks anything here

    async def nothing(*_: object) -> None:
        return None

    wall = Wall(
        site,
        clock,
        refused,
        trend=refused,  # type: ignore[arg-type]  # never called
        read_step=nothing,
        health=lambda: {"ok": True},
        status=dict,
        mark="DEMO",
        web=WEB,
    )
    serving = asyncio.create_task(wall.serve("127.0.0.1", 0))
    await wall.ready.wait()
    try:
        async with _listeners(f"ws://127.0.0.1:{wall.port}/feed", clients):
            started = time.process_time()
            sent = wall.numbers()["deltas"]
            for number, step in enumerate(_steps(site, deltas), 1):
                wall.show(number, step)
                await asyncio.sleep(PERIOD_S)
            cpu_s = time.process_time() - started
            delivered = int(str(wall.numbers()["deltas"])) - int(str(sent))
            return _Cost(cpu_s, max(delivered, 1) * max(clients, 1))
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


async def _bare(clients: int, messages: list[bytes]) -> _Cost:
    """The library alone, in this process too."""
    connected: list[ServerConnection] = []

    async def hold(connection: ServerConnection) -> None:
        connected.append(connection)
        await connection.wait_closed()

    async with serve(hold, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with _listeners(f"ws://127.0.0.1:{port}/", clients):
            started = time.process_time()
            for message in messages:
                for connection in connected:
                    await connection.send(message)
                await asyncio.sleep(0.02)
            return _Cost(time.process_time() - started, len(messages) * max(clients, 1))


@asynccontextmanager
async def _listeners(address: str, clients: int) -> AsyncIterator[None]:
    """So many clients that read all they are sent, in a process of their own."""
    if not clients:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        children = Children(Path(folder))
        try:
            argv = [sys.executable, "-c", PEER, address, str(clients)]
            child: Child = await children.start("listeners", argv, pipes=True)
            await asyncio.wait_for(child.reader.readline(), START_S)
            yield
        finally:
            await children.stop_all()


async def listen() -> None:
    """The child: `ADDRESS CLIENTS` as arguments; says `ready` and reads until it is ended."""
    address, clients = sys.argv[1], int(sys.argv[2])
    async with asyncio.timeout(START_S):
        pages = [await connect(address, compression=None) for _ in range(clients)]
    print("ready", flush=True)
    await asyncio.gather(*(_read_all(page) for page in pages))


async def _read_all(page: ClientConnection) -> None:
    async for _ in page:
        pass
