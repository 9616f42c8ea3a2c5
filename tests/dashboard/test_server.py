"""The wall's server over real TCP, with a real engine behind it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from causeway import events as e
from causeway.clock import NS, ManualClock
from causeway.events import AnyEvent
from causeway.frame import EncodedFrame
from causeway.site import Site
from dashboard.feed import BACKLOG_BYTES_MAX
from dashboard.server import AddressUnusable, HistoryAway, Wall, try_address
from dashboard.web_files import LIBRARIES, LibrariesMissing, read_web_files

WEB = Path(__file__).parents[2] / "dashboard" / "web"
START_NS = 1_763_980_800 * NS
Message = dict[str, object]


class Held:
    """A wall on a journal that acknowledges only when it is told to."""

    def __init__(self, site: Site) -> None:
        self.clock = ManualClock(START_NS)
        self.events: list[AnyEvent] = []
        self.waiting: list[asyncio.Future[int]] = []
        self.acknowledges = True
        self.asked = asyncio.Event()
        self.ok = True
        self.history_away = False
        self.steps: list[e.Step] = []
        self.wall = Wall(
            site,
            self.clock,
            self._put,
            trend=self._trend,
            read_step=self._read,
            health=lambda: {"ok": self.ok},
            status=lambda: {"writer": "w", "version": "0", "journal_step": len(self.steps)},
            mark="DEMO",
            web=WEB,
        )

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.wall.port}"

    @property
    def feed(self) -> str:
        return f"ws://127.0.0.1:{self.wall.port}/feed"

    def show(self, *events: AnyEvent) -> None:
        """One acknowledged step."""
        step = e.Step("w", self.clock.now_ns(), events)
        self.steps.append(step)
        self.wall.show(len(self.steps), step)

    async def _put(self, event: AnyEvent) -> asyncio.Future[int]:
        self.events.append(event)
        self.asked.set()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.acknowledges:
            future.set_result(len(self.events))
        else:
            self.waiting.append(future)
        return future

    async def _trend(self, point: str, since_ns: int, until_ns: int) -> _Past:
        if self.history_away:
            raise HistoryAway("the store is away")
        return _Past([since_ns / NS, until_ns / NS], [1.5, 1.6], [0, 0])

    async def _read(self, number: int) -> e.Step | None:
        return self.steps[number - 1] if 0 < number <= len(self.steps) else None


class _Past(msgspec.Struct):
    at: list[float]
    v: list[float]
    q: list[int]


@asynccontextmanager
async def serving(held: Held) -> AsyncIterator[Held]:
    task = asyncio.create_task(held.wall.serve("127.0.0.1", 0))
    await asyncio.wait_for(held.wall.ready.wait(), 5)
    try:
        yield held
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)


@pytest.fixture
async def held(site: Site) -> AsyncIterator[Held]:
    async with serving(Held(site)) as running:
        yield running


async def hear(page: ClientConnection, kind: str = "") -> Message:
    """The next message, of that kind if one is named."""
    async with asyncio.timeout(30):
        while True:
            data = await page.recv()
            assert isinstance(data, bytes)
            message: Message = json.loads(zlib.decompress(data))
            if not kind or message["kind"] == kind:
                return message


async def ask(page: ClientConnection, text: str) -> Message:
    await page.send(text)
    return await hear(page, "answer")


async def get(held: Held, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=held.address) as client:
        return await client.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})


def reading(depth_m: float, at_ns: int) -> e.ReadingsObserved:
    return e.ReadingsObserved(
        source="sg-1",
        points=("sg-1/depth_m",),
        observed_at_ns=(at_ns,),
        values=(depth_m,),
        qualities=(e.Quality.GOOD,),
    )


# --- the feed -------------------------------------------------------------------------------------


async def test_a_page_gets_a_snapshot_and_then_deltas_without_a_gap(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        snapshot = await hear(page)
        assert snapshot["kind"] == "snapshot"
        seq = snapshot["seq"]
        assert isinstance(seq, int)
        for n in range(3):
            held.show(reading(0.1 * n, START_NS + n))
            delta = await hear(page)
            assert (delta["kind"], delta["seq"]) == ("delta", seq + 1 + n)
        assert delta["at_ns"] == START_NS
        changed = delta["set"]
        assert isinstance(changed, dict)
        assert changed["segments"]["rd-1"]["depth_m"] == 0.2


async def test_a_calm_feed_still_beats(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        first = await hear(page)
        beat = await hear(page)
        assert (beat["kind"], beat["seq"]) == ("delta", int(str(first["seq"])) + 1)


async def test_deltas_are_at_most_five_a_second(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        await hear(page, "snapshot")
        started = asyncio.get_running_loop().time()
        deltas = 0
        while asyncio.get_running_loop().time() - started < 1.0:
            held.show(reading(deltas * 0.001, START_NS + deltas))
            await hear(page, "delta")
            deltas += 1
        assert deltas <= 6


async def test_a_page_that_asks_for_it_gets_a_new_snapshot_that_goes_on_from_there(
    held: Held,
) -> None:
    async with connect(held.feed, compression=None) as page:
        await hear(page, "snapshot")
        await page.send('{"do": "resync"}')
        snapshot = await hear(page, "snapshot")
        held.show(reading(0.3, START_NS))
        delta = await hear(page, "delta")
        assert delta["seq"] == int(str(snapshot["seq"])) + 1


async def test_a_page_that_joins_late_sees_what_happened_before(held: Held) -> None:
    held.show(reading(0.42, START_NS))
    async with connect(held.feed, compression=None) as page:
        tables = (await hear(page))["tables"]
        assert isinstance(tables, dict)
        assert tables["segments"]["rd-1"]["depth_m"] == 0.42
        assert tables["status"] == {} or tables["status"]["centre"]["mark"] == "DEMO"


async def test_a_second_page_that_joins_when_the_first_has_gone_sees_what_happened_between(
    held: Held,
) -> None:
    async with connect(held.feed, compression=None) as page:
        await hear(page, "snapshot")
    held.show(reading(0.42, START_NS))
    await asyncio.sleep(0.5)  # a delta's time with nobody there to take it
    async with connect(held.feed, compression=None) as page:
        tables = (await hear(page))["tables"]
        assert isinstance(tables, dict)
        assert tables["segments"]["rd-1"]["depth_m"] == 0.42


async def test_the_feed_is_not_compressed_a_second_time(held: Held) -> None:
    async with connect(held.feed, compression="deflate") as page:
        assert page.protocol.extensions == []


async def test_times_are_counted_from_the_input_and_from_the_acknowledgement(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        await hear(page, "snapshot")
        held.show(reading(0.1, START_NS))
        held.clock.advance(0.05)
        await hear(page, "delta")
        numbers = held.wall.numbers()
        assert numbers["event_to_wall"] == {"p50_ms": 50.0, "p95_ms": 50.0}
        assert held.wall.event_to_wall_ms() == (50.0, 50.0)
        acknowledged = numbers["journal_to_wall"]
        assert isinstance(acknowledged, dict)
        assert 0 <= float(str(acknowledged["p95_ms"])) < 1_000


# --- who may --------------------------------------------------------------------------------------


async def test_a_page_of_another_host_cannot_open_the_feed(held: Held) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(held.feed, origin="http://evil.example")
    assert refused.value.response.status_code == 403


async def test_a_page_of_ours_can_open_the_feed(held: Held) -> None:
    async with connect(held.feed, origin=held.address, compression=None) as page:
        assert (await hear(page))["kind"] == "snapshot"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "[::", ""])
async def test_a_foreign_name_that_leads_here_is_refused(held: Held, host: str) -> None:
    answer = await get(held, "/", host=host)
    assert answer.status_code in (400, 421)


async def test_a_foreign_name_cannot_open_the_feed_even_as_its_own_origin(held: Held) -> None:
    with pytest.raises(InvalidStatus):
        await connect(
            held.feed,
            origin="http://evil.example",
            additional_headers={"Host": "evil.example"},
        )


async def test_every_answer_carries_the_security_headers(held: Held) -> None:
    for path in ("/", "/api/site", "/nothing", "/health", "/lib/preact.js"):
        headers = (await get(held, path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "*" not in policy


async def test_the_policy_allows_the_one_inline_script_by_its_hash(held: Held) -> None:
    answer = await get(held, "/")
    scripts = re.findall(r"<script(?![^>]*src=)[^>]*>(.*?)</script>", answer.text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]


# --- what a page asks -----------------------------------------------------------------------------


async def test_a_request_is_answered_only_when_the_journal_has_it(held: Held) -> None:
    held.acknowledges = False
    async with connect(held.feed, compression=None) as page:
        await hear(page, "snapshot")
        await page.send('{"do": "pump", "id": 5, "pump": "p-1", "run": true}')
        await held.asked.wait()
        assert held.events == [e.PumpRequested(pump="p-1", run=True, by="operator:wall")]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await hear(page, "answer")
        held.waiting[0].set_result(1)
        assert await hear(page, "answer") == {"kind": "answer", "id": 5, "ok": True}


async def test_what_cannot_be_meant_is_answered_and_counted(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        for n, text in enumerate(("{", '{"do": "pump", "id": 3, "pump": "p-9", "run": true}')):
            answer = await ask(page, text)
            assert answer["ok"] is False and answer["why"]
            assert held.wall.requests_refused == n + 1
        assert held.events == []


async def test_a_binary_message_is_refused_like_any_other_that_is_malformed(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        await page.send(b"\x00\x01")
        assert (await hear(page, "answer"))["ok"] is False


async def test_a_page_that_asks_too_fast_is_told_so(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        for _ in range(30):
            await page.send('{"do": "acknowledge", "id": 1, "alarm": "A"}')
        answers = [await hear(page, "answer") for _ in range(30)]
        refused = [a for a in answers if not a["ok"]]
        assert refused and all("too many" in str(a["why"]) for a in refused)
        assert len(held.events) == 30 - len(refused)


async def test_a_page_that_keeps_sending_nonsense_is_cut_off(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(30):
                while True:
                    await page.send("nonsense")
                    await hear(page, "answer")


async def test_a_message_over_the_limit_closes_the_connection(held: Held) -> None:
    async with connect(held.feed, compression=None) as page:
        await page.send("x" * 20_000)
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(30):
                while True:
                    await page.recv()
        assert page.close_code == 1009


# --- HTTP -----------------------------------------------------------------------------------------


async def test_the_site_is_told_without_addresses_and_passwords(held: Held) -> None:
    answer = await get(held, "/api/site")
    site = answer.json()
    assert site["gauges"][0]["at"] == [106.706, 10.776]
    assert site["plcs"] == [{"id": "plc-1", "name": "PLC thử", "targets": ["p-1", "g-1"]}]
    assert "secret" not in answer.text and "10.9.8.7" not in answer.text


async def test_the_newest_picture_of_a_camera_is_given_with_its_time(held: Held) -> None:
    assert (await get(held, "/api/camera/cam-1.jpg")).status_code == 404
    held.wall.show_frame(EncodedFrame("cam-1", START_NS + 2, b"newer"))
    held.wall.show_frame(EncodedFrame("cam-1", START_NS + 1, b"older"))
    held.wall.show_frame(EncodedFrame("stranger", START_NS + 1, b"nobody's"))
    answer = await get(held, "/api/camera/cam-1.jpg")
    assert answer.content == b"newer"
    assert answer.headers["x-observed-at-ns"] == str(START_NS + 2)
    assert answer.headers["content-type"] == "image/jpeg"
    assert (await get(held, "/api/camera/stranger.jpg")).status_code == 404


async def test_a_trend_is_of_the_last_minutes(held: Held) -> None:
    answer = (await get(held, "/api/trend?point=sg-1/depth_m&minutes=60")).json()
    assert answer["unit"] == "m"
    assert answer["at"] == [START_NS / NS - 3600, START_NS / NS]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("point=none&minutes=60", 404),
        ("point=sg-1/depth_m&minutes=0", 400),
        ("point=sg-1/depth_m&minutes=99999999", 400),
        ("point=sg-1/depth_m&minutes=-5", 400),
        ("point=sg-1/depth_m&minutes=x", 400),
        ("", 404),
    ],
)
async def test_a_trend_that_cannot_be_is_refused(held: Held, query: str, status: int) -> None:
    answer = await get(held, f"/api/trend?{query}")
    assert answer.status_code == status and answer.json()["why"]


async def test_a_store_that_is_away_is_said(held: Held) -> None:
    held.history_away = True
    answer = await get(held, "/api/trend?point=sg-1/depth_m&minutes=60")
    assert (answer.status_code, answer.json()["why"]) == (503, "the store is away")


async def test_a_step_of_the_journal_can_be_read(held: Held) -> None:
    held.show(e.Tick())
    answer = (await get(held, "/api/step/1")).json()
    assert (answer["at_ns"], answer["events"]) == (START_NS, [{"type": "Tick"}])
    assert (await get(held, "/api/step/2")).status_code == 404
    assert (await get(held, "/api/step/0")).status_code == 404


async def test_health_is_503_when_a_part_is_down(held: Held) -> None:
    assert (await get(held, "/health")).status_code == 200
    held.ok = False
    assert (await get(held, "/health")).status_code == 503


async def test_a_file_is_sent_once_and_then_known_by_its_tag(held: Held) -> None:
    first = await get(held, "/style.css")
    assert first.headers["content-encoding"] == "gzip"
    again = await get(held, "/style.css", if_none_match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/node_modules/preact/package.json",
        "/../server.py",
        "/%2e%2e/server.py",
        "/lib/../style.css/..%2f..%2fserver.py",
    ],
)
async def test_nothing_but_the_page_and_its_libraries_is_served(held: Held, path: str) -> None:
    assert (await get(held, path)).status_code == 404


async def test_the_page_imports_only_what_is_served(held: Held) -> None:
    index = (await get(held, "/")).text
    found = re.search(r'<script type="importmap">(.*?)</script>', index, re.DOTALL)
    assert found is not None
    imports = json.loads(found[1])["imports"]
    files = read_web_files(WEB)
    assert set(imports.values()) <= set(files)
    for path, file in files.items():
        if path.startswith("/lib/") or not path.endswith(".js"):
            continue
        for wanted in re.findall(r'from "([^"]+)"', file.body.decode()):
            target = imports.get(wanted) or f"/{wanted.removeprefix('./')}"
            assert target in files, f"{path} imports {wanted}"


def test_missing_libraries_are_named_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LibrariesMissing) as missing:
        read_web_files(tmp_path)
    assert missing.value.missing == list(LIBRARIES.values())
    assert "npm ci" in str(missing.value)


# --- clients that do not behave -------------------------------------------------------------------


async def test_a_client_that_never_reads_is_skipped_and_catches_up_with_a_snapshot(
    held: Held,
) -> None:
    loop = asyncio.get_running_loop()
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    await loop.sock_connect(slow, ("127.0.0.1", held.wall.port))
    async with connect(
        f"ws://127.0.0.1:{held.wall.port}/feed",
        sock=slow,
        compression=None,
        max_queue=1,
        close_timeout=0.2,
    ) as stuck:
        await hear(stuck, "snapshot")
        stuck.transport.pause_reading()
        client = next(iter(held.wall._feed.clients.values()))
        most = 0
        for n in range(400):
            held.show(*(_incompressible(n, i) for i in range(8)))
            held.wall._feed.flush()
            most = max(most, client.backlog_bytes)
            await asyncio.sleep(0)
        assert client.skipped > 0 and client.needs_snapshot
        assert most <= BACKLOG_BYTES_MAX
        stuck.transport.resume_reading()
        snapshot = await hear(stuck, "snapshot")
        held.show(reading(0.3, START_NS))
        assert (await hear(stuck, "delta"))["seq"] == int(str(snapshot["seq"])) + 1


def _incompressible(n: int, i: int) -> AnyEvent:
    """An alarm whose text zlib can do little with."""
    noise = base64.b85encode(hashlib.shake_256(f"{n} {i}".encode()).digest(800)).decode()
    return e.AlarmRaised(alarm=f"A-{i}", priority=3, asset="", kind="", text_vi=noise, text_en="")


async def test_one_slow_client_does_not_hold_another(held: Held) -> None:
    async with (
        connect(held.feed, compression=None, max_queue=1, close_timeout=0.2) as stuck,
        connect(held.feed, compression=None) as quick,
    ):
        await hear(stuck, "snapshot")
        stuck.transport.pause_reading()
        snapshot = await hear(quick, "snapshot")
        seq = int(str(snapshot["seq"]))
        for n in range(20):
            held.show(*(_incompressible(n, i) for i in range(8)))
            held.wall._feed.flush()
            message = await hear(quick)
            assert message["seq"] == seq + 1
            seq += 1
        stuck.transport.resume_reading()


async def test_it_stops_within_two_seconds_with_clients_connected(site: Site) -> None:
    held = Held(site)
    task = asyncio.create_task(held.wall.serve("127.0.0.1", 0))
    await held.wall.ready.wait()
    async with (
        connect(held.feed, compression=None) as page,
        connect(held.feed, close_timeout=0.2) as other,
    ):
        await hear(page, "snapshot")
        other.transport.pause_reading()
        started = asyncio.get_running_loop().time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.get_running_loop().time() - started < 2.5
    with pytest.raises(OSError):
        await connect(held.feed)


def test_a_port_that_cannot_be_is_refused_in_words() -> None:
    with pytest.raises(AddressUnusable, match="no such port"):
        try_address("127.0.0.1", 99999)


async def test_an_address_that_is_taken_is_an_error(held: Held, site: Site) -> None:
    with pytest.raises(AddressUnusable, match=f"the wall at 127.0.0.1:{held.wall.port}: seen"):
        await Held(site).wall.serve("127.0.0.1", held.wall.port)


# --- with the whole engine ------------------------------------------------------------------------


async def test_an_acknowledgement_goes_through_the_engine_and_comes_back_in_the_feed(
    trial_module: ModuleType,
) -> None:
    async with trial_module.trial() as running:
        feed = f"ws://127.0.0.1:{running.wall.port}/feed"
        page = await connect(feed, compression=None)
        async with page:
            tables = (await hear(page))["tables"]
            assert isinstance(tables, dict)
            tag = next(tag for tag, row in tables["alarms"].items() if row["state"] == "unack")
            answer = await ask(page, json.dumps({"do": "acknowledge", "id": 1, "alarm": tag}))
            assert answer == {"kind": "answer", "id": 1, "ok": True}
            while True:
                delta = await hear(page, "delta")
                changed = delta["set"]
                assert isinstance(changed, dict)
                row = changed.get("alarms", {}).get(tag, {})
                if row.get("state") == "ack":
                    break
            assert row["by"] == "wall"
