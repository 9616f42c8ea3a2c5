"""One Chromium for all tests of the page, and a running centre for each."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

WAIT_MS = 30_000  # of a busy machine
expect.set_options(timeout=WAIT_MS)
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
]


@pytest.fixture(scope="session")
def trial_module() -> Iterator[ModuleType]:
    file = Path(__file__).parents[1] / "dashboard" / "trial.py"
    spec = importlib.util.spec_from_file_location("trial", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["trial"] = module
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("trial", None)  # the page's tests may have had it too


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    if shutil.which(CHROMIUM) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is needed here: apt-get install chromium")
        pytest.skip(f"no {CHROMIUM} on this machine")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="module")
async def running(trial_module: ModuleType) -> AsyncIterator[Any]:
    async with trial_module.trial() as running:
        await trial_module.trouble(running)
        yield running


class Look:
    """Opens pages on a running centre, and keeps what they complain of."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self._browser = browser
        self._address = address
        self._pages: list[Page] = []

    async def page(self, width: int = 1366, height: int = 768, **options: Any) -> Page:
        """A page that has its first picture."""
        page = await self.blank(width, height, **options)
        return await self.open(page)

    async def blank(self, width: int = 1366, height: int = 768, **options: Any) -> Page:
        viewport = {"width": width, "height": height}
        page = await self._browser.new_page(viewport=viewport, **options)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._complain)
        page.on("request", lambda request: self.requested.append(request.url))
        self._pages.append(page)
        return page

    async def open(self, page: Page) -> Page:
        await page.goto(self._address)
        await page.wait_for_selector("[data-alarm]")
        return page

    def _complain(self, message: Any) -> None:
        # the driver's words on the software renderer's speed are not the page's
        if message.type == "error" or (
            message.type == "warning" and "GL Driver Message" not in message.text
        ):
            self.complaints.append(message.text)

    async def close(self) -> None:
        for page in self._pages:
            await page.close()


@pytest_asyncio.fixture(loop_scope="module")
async def look(browser: Browser, running: Any) -> AsyncIterator[Look]:
    look = Look(browser, running.address)
    yield look
    await look.close()
