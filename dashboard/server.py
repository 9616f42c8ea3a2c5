"""Talks to the pages: HTTP and the WebSocket feed of docs/INTERFACES.md, on one port.

In come steps (`show`), camera pictures (`show_frame`) and the pages' messages; out go the feed,
the page's files and the API's answers, and `put` of what an operator asks, answered once it is
journalled. `feed.py` shares one encoding among all clients, `requests.py` decides what a message
means.

Laws of this file:
1. No page of another host can command the centre: Host is one of ours, Origin is Host.
2. The page runs no script and loads nothing that does not come from here.
3. What a page sends has a bound in size, rate and number; what is refused is answered, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from causeway.clock import NS, Clock
from causeway.events import AnyEvent, Step
from causeway.frame import EncodedFrame
from causeway.site import Site
from dashboard.feed import Client, Feed, Latency
from dashboard.guard import Guard, same_origin
from dashboard.picture import Picture
from dashboard.requests import NotMeant, Resync, decode_request, event_of
from dashboard.tables import Value
from dashboard.web_files import import_map_hash, read_web_files

CLIENTS_MAX = 200
REQUEST_BYTES_MAX = 8 * 1024
REQUESTS_PER_S = 5.0
REQUESTS_BURST = 20.0
REFUSED_IN_A_ROW_MAX = 50
JOURNAL_TIMEOUT_S = 10.0
MINUTES_MAX = 7 * 24 * 60
STOP_S = 1.0
SEND_BUFFER_BYTES = 128 * 1024  # the kernel's share of a slow client's backlog


class Trend(Protocol):
    """A point's past: three arrays of one length."""

    @property
    def at(self) -> Sequence[float]: ...

    @property
    def v(self) -> Sequence[float]: ...

    @property
    def q(self) -> Sequence[int]: ...


class AddressUnusable(OSError):
    """The wall cannot listen where it is told to."""

    def __init__(self, host: str, port: int, seen: str) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"the wall at {host}:{port}: seen {seen!r}, "
            "expected an address of this machine and a free port"
        )


class HistoryAway(Exception):
    """The past cannot be had now: `trend` raises it where the store is down."""


Put = Callable[[AnyEvent], Awaitable["asyncio.Future[int]"]]


class Wall:
    """The wall's server. Build it, show it steps and pictures, and `serve`."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        put: Put,
        *,
        trend: Callable[[str, int, int], Awaitable[Trend]],
        read_step: Callable[[int], Awaitable[Step | None]],
        health: Callable[[], Mapping[str, Value]],
        status: Callable[[], Mapping[str, Value]],
        mark: str,
        web: Path,
        operator: str = "wall",
        hosts: Sequence[str] = (),
    ) -> None:
        """`trend(point, since_ns, until_ns)` and `read_step(number)` ask the past; `health` has
        `ok`; `status` gives the row of that name. `hosts` are the names that the page may be
        asked under besides this machine's loopback; any, where there are none and it listens
        beyond loopback.
        """
        self.picture = Picture(site)
        self.ready = asyncio.Event()
        self.port = 0
        self.requests_refused = 0
        self._site = site
        self._clock = clock
        self._put = put
        self._trend = trend
        self._read_step = read_step
        self._health = health
        self._status = status
        self._mark = mark
        self._operator = operator
        self._frames: dict[str, EncodedFrame] = {}
        self._cameras = frozenset(c.id for c in site.cameras)
        self._files = read_web_files(web)
        self._site_json = _public(site)
        self._feed = Feed(self.picture, clock, operator)
        self._guard = Guard(self._routes(), hosts, import_map_hash(self._files["/"]))

    # --- edges -----------------------------------------------------------------------------------

    def show(self, number: int, step: Step) -> None:
        """An acknowledged step; returns at once."""
        self._feed.show(number, step)

    def show_frame(self, frame: EncodedFrame) -> None:
        """A camera's picture: the newest is kept."""
        newest = self._frames.get(frame.camera)
        known = frame.camera in self._cameras
        if known and (newest is None or frame.observed_at_ns >= newest.observed_at_ns):
            self._frames[frame.camera] = frame
            self.picture.frame_seen(frame.camera, frame.observed_at_ns)

    def numbers(self) -> dict[str, Value]:
        """What has been sent and refused, and how long it took, for a report."""
        return {
            "clients": len(self._feed.clients),
            "deltas": self._feed.deltas,
            "delta_bytes": self._feed.delta_bytes,
            "requests_refused": self.requests_refused,
            "journal_to_wall": _plain(self._feed.acknowledged_to_sent()),
            "event_to_wall": _plain(self._feed.event_to_sent()),
        }

    def event_to_wall_ms(self) -> tuple[float, float]:
        """Median and 95th percentile from an input's step to its sending; 0 before any."""
        latency = self._feed.event_to_sent()
        return latency.p50_ms or 0.0, latency.p95_ms or 0.0

    async def serve(self, host: str, port: int) -> None:
        """Until cancelled; raises AddressUnusable. Port 0: a free one."""
        listener = _listener(host, port)
        self.port = listener.getsockname()[1]
        self._guard.listens_on(host)
        server = _Server(
            uvicorn.Config(
                self._guard,
                http="h11",
                ws="websockets-sansio",
                ws_per_message_deflate=False,  # the feed compresses once for all
                ws_max_size=REQUEST_BYTES_MAX,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            ),
            self.ready,
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        feeding = asyncio.create_task(self._feed.run(self._status_row))
        try:
            await asyncio.wait({serving, feeding}, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, feeding):
                if task.done():
                    task.result()
        finally:
            feeding.cancel()
            server.should_exit = True
            await asyncio.wait({serving}, timeout=2 * STOP_S)
            server.abort()
            self.ready.clear()

    def _status_row(self) -> dict[str, Value]:
        return {
            "city": self._site.name,
            "mark": self._mark,
            "speed": self._clock.speed,
            "requests_refused": self.requests_refused,
            **self._status(),
        }

    # --- HTTP ------------------------------------------------------------------------------------

    def _routes(self) -> Starlette:
        files = [Route(path, self._get_file, methods=["GET"]) for path in self._files]
        return Starlette(
            routes=[
                *files,
                Route("/health", self._get_health, methods=["GET"]),
                Route("/api/site", self._get_site, methods=["GET"]),
                Route("/api/camera/{camera}.jpg", self._get_camera, methods=["GET"]),
                Route("/api/trend", self._get_trend, methods=["GET"]),
                Route("/api/step/{number:int}", self._get_step, methods=["GET"]),
                WebSocketRoute("/feed", self._serve_feed),
            ]
        )

    async def _get_file(self, request: Request) -> Response:
        file = self._files[request.url.path]
        headers = {"etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        body = file.body
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = file.gzipped
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers, media_type=file.content_type)

    async def _get_health(self, request: Request) -> Response:
        health = self._health()
        return _json(health, 200 if health.get("ok") else 503)

    async def _get_site(self, request: Request) -> Response:
        return Response(self._site_json, media_type="application/json")

    async def _get_camera(self, request: Request) -> Response:
        frame = self._frames.get(request.path_params["camera"])
        if frame is None:
            return _json({"why": "no picture of this camera"}, 404)
        headers = {"x-observed-at-ns": str(frame.observed_at_ns), "cache-control": "no-store"}
        return Response(frame.jpeg, headers=headers, media_type="image/jpeg")

    async def _get_trend(self, request: Request) -> Response:
        point = self._site.points.get(request.query_params.get("point", ""))
        if point is None:
            return _json({"why": "point: no such point in this site"}, 404)
        minutes = request.query_params.get("minutes", "60")
        if not minutes.isdecimal() or not 1 <= int(minutes) <= MINUTES_MAX:
            return _json({"why": f"minutes: expected 1 to {MINUTES_MAX}"}, 400)
        until_ns = self._clock.now_ns()
        try:
            trend = await self._trend(point.id, until_ns - int(minutes) * 60 * NS, until_ns)
        except HistoryAway as away:
            return _json({"why": str(away)}, 503)
        return _json(
            {
                "point": point.id,
                "unit": point.unit,
                "at": list(trend.at),
                "v": list(trend.v),
                "q": [int(q) for q in trend.q],
            }
        )

    async def _get_step(self, request: Request) -> Response:
        step = await self._read_step(request.path_params["number"])
        if step is None:
            return _json({"why": "the journal has no such step"}, 404)
        return Response(msgspec.json.encode(step), media_type="application/json")

    # --- the feed --------------------------------------------------------------------------------

    async def _serve_feed(self, websocket: WebSocket) -> None:
        if not same_origin(websocket) or len(self._feed.clients) >= CLIENTS_MAX:
            self.requests_refused += 1
            await websocket.close(1008)
            return
        await websocket.accept()
        number, client = self._feed.join()
        writing = asyncio.create_task(client.write(websocket.send_bytes, self._feed.snapshot))
        try:
            await self._hear(websocket, client)
        except WebSocketDisconnect:
            pass
        finally:
            self._feed.leave(number)
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await writing

    async def _hear(self, websocket: WebSocket, client: Client) -> None:
        """Answer a page's messages until it goes, or has been refused too often."""
        loop = asyncio.get_running_loop()
        allowance, counted_at = REQUESTS_BURST, loop.time()
        refused = 0
        while refused < REFUSED_IN_A_ROW_MAX:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            now = loop.time()
            allowance = min(REQUESTS_BURST, allowance + (now - counted_at) * REQUESTS_PER_S)
            counted_at = now
            try:
                if allowance < 1:
                    raise NotMeant(0, f"too many messages; at most {REQUESTS_PER_S:.0f} a second")
                allowance -= 1
                await self._take(message.get("text") or "", client)
                refused = 0
            except NotMeant as error:
                refused += 1
                self.requests_refused += 1
                client.answer(self._feed.answer(error.id, error.why))
        await websocket.close(1008)

    async def _take(self, text: str, client: Client) -> None:
        """Put one request into the journal and answer it; raises NotMeant."""
        request = decode_request(text)
        event = event_of(request, self._operator, self._site)
        if event is None:
            assert isinstance(request, Resync)
            if not client.resync(asyncio.get_running_loop().time()):
                raise NotMeant(request.id, "a snapshot was sent a moment ago")
            return
        try:
            async with asyncio.timeout(JOURNAL_TIMEOUT_S):
                await (await self._put(event))
        except TimeoutError:
            raise NotMeant(request.id, "the journal has not acknowledged it in time") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise NotMeant(request.id, "the centre is stopping") from None
        client.answer(self._feed.answer(request.id, None))


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers (the program has its own), and with an end."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def abort(self) -> None:
        """Cut what is still connected: a client that does not read would never let go."""
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()


def try_address(host: str, port: int) -> None:
    """Raise AddressUnusable where a wall cannot listen."""
    _listener(host, port).close()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.bind((host, port))
        listener.listen(128)
    except OverflowError as error:
        listener.close()
        raise AddressUnusable(host, port, "no such port") from error
    except OSError as error:
        listener.close()
        raise AddressUnusable(host, port, error.strerror or str(error)) from error
    listener.setblocking(False)
    return listener


def _public(site: Site) -> bytes:
    """The site as the page may know it: without the addresses and passwords of PLCs and cameras."""
    told = msgspec.to_builtins(site)
    assert isinstance(told, dict)
    told["plcs"] = [{"id": p.id, "name": p.name, "targets": p.targets} for p in site.plcs]
    for camera in told["cameras"]:
        del camera["source"]
    return msgspec.json.encode(told)


def _json(body: Mapping[str, object], status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        headers={"cache-control": "no-store"},
        media_type="application/json",
    )


def _plain(latency: Latency) -> dict[str, Value]:
    return {"p50_ms": latency.p50_ms, "p95_ms": latency.p95_ms}
