"""Cameras that the centre decodes itself: real films and real RTSP, in a child process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from causeway.children import Children
from causeway.clock import NS, Clock, ScaledClock, WallClock
from causeway.events import AnyEvent, CameraHealth, CameraHealthObserved
from causeway.frame import EncodedFrame
from causeway.site import Camera, load_site
from ingest.video import VideoSource

pytestmark = pytest.mark.system

SITE = Path(__file__).parents[1] / "ingest" / "site"
FILMS = Path(__file__).parents[3] / "shared" / "data" / "video"


def film(name: str) -> Path:
    """A real film; without the shared data these tests are skipped, and fail where CI is set."""
    path = FILMS / name
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is absent")
        pytest.skip(f"{path} is absent")
    return path


@pytest.fixture
def camera() -> Camera:
    return load_site(SITE).cameras[0]


@pytest.fixture
async def children(tmp_path: Path) -> AsyncIterator[Children]:
    children = Children(tmp_path / "logs")
    yield children
    await children.stop_all()


def pid_of_decoder() -> int:
    """The child of this process that decodes cam-1."""
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    decoders = [
        int(pid) for pid in own if b"decode\0cam-1" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(decoders) == 1
    return decoders[0]


async def poll(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait for what sends no event; fails loudly."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.02)


class Watched:
    """A video source at work, with what it gave."""

    def __init__(
        self, camera: Camera, source: object, fps: float, children: Children, clock: Clock
    ) -> None:
        self.frames: list[EncodedFrame] = []
        self.events: list[CameraHealthObserved] = []
        self.arrived_s: list[float] = []
        self._changed = asyncio.Event()
        camera = msgspec.structs.replace(camera, source=str(source), fps=fps)
        self.source = VideoSource(camera, children, clock, self._frame, self._put)

    def _frame(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)
        self.arrived_s.append(time.monotonic())
        self._changed.set()

    async def _put(self, event: AnyEvent) -> asyncio.Future[int]:
        assert isinstance(event, CameraHealthObserved)
        self.events.append(event)
        self._changed.set()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(len(self.events))
        return done

    async def until(self, condition: Callable[[], bool], seconds: float = 90.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def pictures(self) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
        decoded = []
        for frame in self.frames:
            pixels = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            decoded.append(np.asarray(pixels, np.uint8))
        return decoded


@asynccontextmanager
async def watching(
    camera: Camera,
    source: object,
    children: Children,
    fps: float = 5.0,
    clock: Clock | None = None,
) -> AsyncIterator[Watched]:
    watched = Watched(camera, source, fps, children, clock or WallClock())
    task = asyncio.create_task(watched.source.run())
    try:
        yield watched
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_film_becomes_pictures_at_the_asked_pace(
    camera: Camera, children: Children
) -> None:
    before = time.time_ns()
    async with watching(camera, film("tfl_625_201707211410.mp4"), children, fps=10) as watched:
        await watched.until(lambda: len(watched.frames) >= 21)
    assert {f.camera for f in watched.frames} == {"cam-1"}
    times = [f.observed_at_ns for f in watched.frames]
    assert before < times[0] and times == sorted(times)
    took_s = watched.arrived_s[20] - watched.arrived_s[0]
    assert 1.9 < took_s < 10.0
    assert {p.shape for p in watched.pictures()} == {(288, 352, 3)}
    assert watched.events == []


async def test_a_wide_film_is_scaled_down(camera: Camera, children: Children) -> None:
    async with watching(camera, film("vn_nguoc_chieu.mp4"), children) as watched:
        await watched.until(lambda: len(watched.frames) >= 2)
    assert watched.pictures()[0].shape == (635, 1280, 3)


async def test_a_film_begins_again_at_its_end_and_follows_a_scaled_clock(
    camera: Camera, children: Children
) -> None:
    """10.6 s of film, at 8 times its pace: over in 1.3 s, and then again."""
    now = time.time_ns()
    clock = ScaledClock(origin_ns=now, wall_origin_ns=now, speed=8.0)
    name = "tfl_625_201707211410.mp4"
    async with watching(camera, film(name), children, fps=2, clock=clock) as watched:
        await watched.until(lambda: len(watched.frames) >= 30)
    first, pictures = watched.pictures()[0], watched.pictures()
    apart = [float(np.abs(first.astype(int) - p.astype(int)).mean()) for p in pictures]
    assert min(apart[1:15]) > 1.0
    assert min(apart[20:24]) == 0.0  # the first picture again
    spread_s = (watched.frames[20].observed_at_ns - watched.frames[0].observed_at_ns) / NS
    assert 9.0 < spread_s < 60.0


async def test_a_film_that_aborts_the_decoder_costs_a_child_and_is_told_once(
    camera: Camera, children: Children
) -> None:
    async with watching(camera, film("bgs_demo.avi"), children, fps=15) as watched:
        await watched.until(lambda: bool(watched.events))
        await poll(lambda: watched.source.deaths >= 2)
    assert [(e.camera, e.health) for e in watched.events] == [("cam-1", CameraHealth.BROKEN)]
    assert watched.events[0].why.startswith("the decoder died of signal")


@pytest.mark.parametrize("content", [b"", b"no film at all" * 100, b"RIFF\xff\xff\xff\xffAVI LIST"])
async def test_what_is_no_film_is_a_broken_camera(
    camera: Camera, children: Children, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "film.avi"
    path.write_bytes(content)
    async with watching(camera, path, children) as watched:
        await watched.until(lambda: bool(watched.events))
    assert watched.events[0].health is CameraHealth.BROKEN
    assert watched.frames == []


async def test_a_film_cut_off_in_the_middle_shows_what_there_is(
    camera: Camera, children: Children, tmp_path: Path
) -> None:
    path = tmp_path / "cut.avi"
    path.write_bytes(film("bgs_video.avi").read_bytes()[:400_000])
    async with watching(camera, path, children, fps=25) as watched:
        await watched.until(lambda: len(watched.frames) >= 10)


async def test_a_decoder_that_is_killed_is_started_again(
    camera: Camera, children: Children
) -> None:
    async with watching(camera, film("tfl_625_201707211410.mp4"), children, fps=10) as watched:
        await watched.until(lambda: len(watched.frames) >= 3)
        os.kill(pid_of_decoder(), signal.SIGKILL)
        await watched.until(lambda: bool(watched.events))
        shown = len(watched.frames)
        await watched.until(lambda: len(watched.frames) > shown)
    assert [e.health for e in watched.events] == [CameraHealth.BROKEN]
    assert watched.events[0].why == "the decoder died of signal 9"


class RtspServer:
    """Just enough RTSP (RFC 2326) over TCP for one stream: it passes on an ffmpeg's RTP packets."""

    def __init__(self, sdp: Path) -> None:
        self.url = ""
        self._sdp = sdp
        self._players: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """The UDP port that the RTP packets are to be sent to."""
        loop = asyncio.get_running_loop()
        server = self

        class Packets(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: object) -> None:
                for player in server._players:
                    player.write(b"$\0" + len(data).to_bytes(2, "big") + data)

        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"rtsp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/cam"
        self._udp, _ = await loop.create_datagram_endpoint(Packets, ("127.0.0.1", 0))
        port: int = self._udp.get_extra_info("sockname")[1]
        return port

    def hang_up(self) -> None:
        for player in self._players:
            player.close()
        self._players.clear()

    async def close(self) -> None:
        self.hang_up()
        self._udp.close()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                start = await reader.readexactly(1)
                if start == b"$":  # RTCP of the player
                    await reader.readexactly(int.from_bytes((await reader.readexactly(3))[1:]))
                    continue
                request = (start + await reader.readuntil(b"\r\n\r\n")).decode()
                writer.write(self._answer(request).encode())
                if request.startswith("PLAY"):
                    self._players.append(writer)

    def _answer(self, request: str) -> str:
        sequence = next(x for x in request.split("\r\n") if x.lower().startswith("cseq"))
        head = f"RTSP/1.0 200 OK\r\n{sequence}\r\nSession: 1\r\n"
        match request.split(" ")[0]:
            case "DESCRIBE":
                body = self._sdp.read_text() + "a=control:track\r\n"
                kind = "Content-Type: application/sdp\r\n"
                return f"{head}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            case "SETUP":
                return f"{head}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
            case "OPTIONS":
                return f"{head}Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n"
            case _:
                return f"{head}\r\n"


@pytest.fixture
async def stream(children: Children, tmp_path: Path) -> AsyncIterator[RtspServer]:
    if shutil.which("ffmpeg") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ffmpeg is not installed")
        pytest.skip("ffmpeg is not installed")
    sdp = tmp_path / "cam.sdp"
    server = RtspServer(sdp)
    port = await server.listen()
    source = ["-re", "-stream_loop", "-1", "-i", str(film("tfl_625_201707211410.mp4"))]
    coding = ["-an", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "12"]
    sink = ["-f", "rtp", "-sdp_file", str(sdp), f"rtp://127.0.0.1:{port}"]
    await children.start("ffmpeg", ["ffmpeg", "-loglevel", "error", *source, *coding, *sink])
    await poll(lambda: sdp.exists() and sdp.read_text().endswith("\n"))
    yield server
    await server.close()


async def test_a_stream_is_shown_as_it_comes_and_found_again_after_its_loss(
    camera: Camera, children: Children, stream: RtspServer
) -> None:
    async with watching(camera, stream.url, children, fps=10) as watched:
        await watched.until(lambda: len(watched.frames) >= 15)
        assert {p.shape for p in watched.pictures()} == {(288, 352, 3)}
        assert watched.arrived_s[14] - watched.arrived_s[0] > 1.0
        assert watched.events == []
        stream.hang_up()
        await watched.until(lambda: len(watched.events) == 2)
    assert [(e.health, e.why) for e in watched.events] == [
        (CameraHealth.LOST, "the stream has ended"),
        (CameraHealth.OK, ""),
    ]


async def test_a_stream_that_cannot_be_reached_is_a_lost_camera(
    camera: Camera, children: Children
) -> None:
    async with watching(camera, "rtsp://127.0.0.1:9/none", children) as watched:
        await watched.until(lambda: bool(watched.events))
    assert [(e.health, e.why) for e in watched.events] == [
        (CameraHealth.LOST, "the source cannot be opened")
    ]
