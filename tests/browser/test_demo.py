"""The demo as its user sees it: the city on its own servers, the wall in a real browser."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, expect

from causeway.children import CAUSEWAY

if TYPE_CHECKING:
    from conftest import Look

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]
Pixels = NDArray[np.uint8]
TIDE = "[data-alarm=TIDE-tg-phu-an]"  # stands from the start
FLOOD = "[data-alarm=FLOOD-rd-nhc-5]"  # comes after some 80 s of the city's time
WAITING, ACKNOWLEDGED = "CHƯA XN", "Đã XN"
WATER = (198, 186, 169)  # BGR, as base.js has them
MAIN_ROAD = (248, 248, 247)
FLOODED = [(166, 226, 244), (153, 191, 239)]  # a main road under the 10 and 20 cm of palette.js
SPEED = "5"
WAIT_S = 180.0  # of a loaded machine
WAIT_MS = WAIT_S * 1e3
STOP_S = 120.0


class Demo:
    """A running `causeway demo` in a session of its own, as from a terminal."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.address = ""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the demo
        self.process = subprocess.Popen(
            [CAUSEWAY, "demo", "--headless", "--speed", SPEED, "--json", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, "HOME": str(data.parent)},
            start_new_session=True,
            text=True,
        )

    @property
    def said(self) -> str:
        """What stands in its standard error."""
        return os.pread(self._said.fileno(), 2**20, 0).decode()

    def answers(self) -> bool:
        """Whether it has told its wall's address."""
        assert self.process.poll() is None, self.said
        found = re.search(r"The wall: (http://\S+)", self.said)
        self.address = found[1] if found else ""
        return found is not None

    def processes(self) -> dict[int, str]:
        """By its id, each process that names the data folder or has something of it open."""
        found = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with suppress(OSError):  # it has ended meanwhile
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                links = [Path(f"/proc/{pid}/cwd"), *Path(f"/proc/{pid}/fd").iterdir()]
                if str(self.data) in line or any(self._holds(link) for link in links):
                    found[pid] = line
        return found

    def _holds(self, link: Path) -> bool:
        with suppress(OSError):
            return os.readlink(link).startswith(f"{self.data}/")
        return False

    def interrupt(self) -> int:
        """Ctrl-C: the terminal tells the whole foreground group. Gives the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.printed, _ = self.process.communicate(timeout=STOP_S)
        return self.process.returncode

    def end(self) -> None:
        """However it stands: nothing of it stays."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        until(self._none_is_left)
        self._said.close()

    def _none_is_left(self) -> bool:
        left = self.processes()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left


def until(attempt: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not attempt():
        assert time.monotonic() < deadline_s, "in vain"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def running(browser: Browser) -> Iterator[Demo]:
    """One demo for all of them; the browser is there before, for the evening does not wait."""
    with tempfile.TemporaryDirectory(prefix="causeway-wall-") as name:
        Path(name).chmod(0o755)  # the database runs as another user
        demo = Demo(Path(name) / "data")
        try:
            until(demo.answers)
            yield demo
        finally:
            demo.end()


async def opened(look: Look) -> Page:
    """A page whose map moves with its data only: no alarm blinks on it."""
    page = await look.blank(reduced_motion="reduce")
    page.set_default_timeout(WAIT_MS)
    return await look.open(page)


async def pixels(page: Page) -> Pixels:
    """The map, as it stands on the screen."""
    png = await page.locator(".map").screenshot()
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def share_of(picture: Pixels, *inks: tuple[int, int, int]) -> float:
    near = [np.abs(picture.astype(int) - np.array(ink)).max(axis=2) <= 6 for ink in inks]
    return float(np.any(near, axis=0).mean())


async def drawn(page: Page, share: Callable[[Pixels], float], least: float) -> Pixels:
    """The first picture of the map of which so large a share is as it should be."""
    deadline_s = time.monotonic() + WAIT_S
    while (seen := share(picture := await pixels(page))) < least:
        assert time.monotonic() < deadline_s, f"{seen:.5f} of the map; expected {least}"
        await page.wait_for_timeout(200)
    return picture


async def test_its_alarms_come_and_are_acknowledged_by_a_click_and_by_a_key(look: Look) -> None:
    page = await opened(look)
    tide, flood = page.locator(TIDE), page.locator(FLOOD)
    await expect(tide.locator(".state")).to_have_text(WAITING, timeout=WAIT_MS)
    await tide.locator(".ack").click()
    await expect(tide.locator(".state")).to_have_text(ACKNOWLEDGED, timeout=WAIT_MS)

    await expect(flood.locator(".state")).to_have_text(WAITING, timeout=WAIT_MS)
    assert await tide.locator(".time").inner_text() < await flood.locator(".time").inner_text()
    await flood.click()
    await expect(flood).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("a")
    await expect(flood.locator(".state")).to_have_text(ACKNOWLEDGED, timeout=WAIT_MS)

    another = await opened(look)
    for alarm in (TIDE, FLOOD):
        state = another.locator(alarm).locator(".state")
        await expect(state).to_have_text(ACKNOWLEDGED, timeout=WAIT_MS)
    assert look.complaints == []


async def test_its_map_is_drawn_and_changes_with_the_city(look: Look) -> None:
    page = await opened(look)
    await drawn(page, lambda map_: share_of(map_, WATER), 0.03)
    first = await drawn(page, lambda map_: share_of(map_, MAIN_ROAD), 0.003)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 300
    await drawn(page, lambda map_: share_of(map_, *FLOODED), 0.0001)  # none on a dry street
    await drawn(page, lambda map_: float((map_ != first).any(axis=2).mean()), 0.0003)
    assert look.complaints == []


async def test_ctrl_c_under_an_open_page_leaves_nothing_but_the_record(
    look: Look, running: Demo
) -> None:
    await opened(look)
    processes = " ".join(running.processes().values())
    for part in ("demo", "nats-server", "postgres", "vision", "field-water", "field-traffic"):
        assert part in processes
    assert running.interrupt() == 0, running.said
    assert running.processes() == {}
    assert "Traceback" not in running.said
    assert json.loads(running.printed)["lost"] == 0
    assert events_of(running.data).get("AlarmAcknowledgeRequested") == 2


def events_of(data: Path) -> dict[str, Any]:
    """How often each event stands in a journal."""
    replayed = subprocess.run(
        [CAUSEWAY, "replay", "--json", str(data)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    events: dict[str, Any] = json.loads(replayed.stdout)["events"]
    return events
