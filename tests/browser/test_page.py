"""The wall's page in a real browser, on a real engine and server with a scripted field."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Page, WebSocketRoute, expect

from causeway import events as e

if TYPE_CHECKING:
    from conftest import Look

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]
Pixels = NDArray[np.uint8]
FLOOD = "FLOOD-rd-nhc-5"
CANNOT_PASS = re.compile(r"xe máy \d\d:\d\d–\d\d:\d\d P 0,7")
WATER = (198, 186, 169)  # BGR, as base.js has them
SEWER = (150, 127, 91)  # as palette.js has it
MAIN_ROAD = (248, 248, 247)
RED = (47, 18, 196)


async def pixels(page: Page, selector: str) -> Pixels:
    png = await page.locator(selector).screenshot()
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def colours(picture: Pixels) -> int:
    return len(np.unique(picture.reshape(-1, 3), axis=0))


def share_of(picture: Pixels, bgr: tuple[int, int, int]) -> float:
    near = np.abs(picture.astype(int) - np.array(bgr)).max(axis=2) <= 6
    return float(near.mean())


async def find(page: Page, words: str) -> None:
    await page.keyboard.press("/")
    await page.keyboard.type(words)
    await page.keyboard.press("Enter")


async def drawn(page: Page, selector: str, bgr: tuple[int, int, int], share: float) -> None:
    """Wait until so much of an element has a colour."""
    seen = 0.0
    for _ in range(40):
        seen = share_of(await pixels(page, selector), bgr)
        if seen > share:
            return
        await page.wait_for_timeout(200)
    raise AssertionError(f"{selector}: {seen:.4f} of it has the colour {bgr}; expected {share}")


# --- it loads -------------------------------------------------------------------------------------


async def test_it_loads_without_a_complaint_and_without_another_host(look: Look) -> None:
    page = await look.page()
    await expect(page.locator("[data-test=p2]")).to_have_class("count p2 on")
    await drawn(page, ".map", WATER, 0.03)
    assert look.complaints == []
    hosts = {url.split("/")[2] for url in look.requested if not url.startswith(("blob:", "data:"))}
    assert len(hosts) == 1


async def test_the_map_draws_water_roads_and_floods(look: Look) -> None:
    page = await look.page()
    assert await page.locator(".base").get_attribute("data-base") == "maplibre"
    await drawn(page, ".map", WATER, 0.03)
    await drawn(page, ".map", MAIN_ROAD, 0.003)
    assert colours(await pixels(page, ".map")) > 300


async def test_close_up_the_map_draws_the_drainage_network(look: Look) -> None:
    page = await look.page()
    assert share_of(await pixels(page, ".map"), SEWER) < 0.0002
    for _ in range(3):
        await page.get_by_text("+", exact=True).first.click()
    await drawn(page, ".map", SEWER, 0.0004)
    assert look.complaints == []


async def test_without_webgl_the_canvas_draws_the_same_city(look: Look) -> None:
    page = await look.blank()
    await page.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        "  return /webgl/.test(kind) ? null : real.call(this, kind, ...rest); };"
    )
    await look.open(page)
    assert await page.locator(".base").get_attribute("data-base") == "canvas"
    await drawn(page, ".map", WATER, 0.03)
    assert look.complaints == []


async def test_a_camera_picture_is_shown_with_its_age(look: Look) -> None:
    page = await look.page()
    tile = page.locator("[data-camera]").first
    await expect(tile.locator(".age")).to_be_visible()
    await drawn(page, "[data-camera] >> nth=1", (84, 86, 88), 0.01)  # its road


async def test_a_trend_is_drawn_from_the_store(look: Look, running: Any) -> None:
    page = await look.page()
    chart = page.locator(".chart").first
    assert (await chart.get_attribute("data-point")) == "sg-nhc-5/depth_m"
    await drawn(page, ".chart >> nth=0", (39, 35, 29), 0.001)  # the measured line's ink
    await drawn(page, ".chart >> nth=0", RED, 0.0005)  # the 30 cm limit


# --- alarms ---------------------------------------------------------------------------------------


async def test_an_alarm_appears_and_is_acknowledged_by_a_click(look: Look, running: Any) -> None:
    page = await look.page()
    await running.put(
        e.IncidentDetected(
            incident="cam-xvnt-2-congestion-1",
            kind=e.IncidentKind.CONGESTION,
            camera="cam-xvnt-2",
            first_seen_at_ns=running.clock.now_ns(),
            confidence=0.9,
            why="",
        )
    )
    row = page.locator("[data-alarm=INC-cam-xvnt-2-CONGESTION]")
    await expect(row.locator(".ack")).to_be_visible()
    await row.locator(".ack").click()
    await expect(row.locator(".state")).to_have_text("Đã XN")
    acknowledged = [s.events[0] for s in running.journal.steps]
    assert e.AlarmAcknowledgeRequested(alarm="INC-cam-xvnt-2-CONGESTION", operator="wall") in (
        acknowledged
    )


async def test_an_alarm_is_chosen_acknowledged_and_opened_by_keys(look: Look) -> None:
    page = await look.page()
    first = await page.locator("[data-alarm]").first.get_attribute("data-alarm")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("a")
    await expect(page.locator(f"[data-alarm='{first}'] .state")).to_have_text("Đã XN")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-test=faceplate]")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-test=faceplate]")).to_have_count(0)


async def test_an_alarm_is_shelved_and_taken_back_by_keys(look: Look) -> None:
    page = await look.page()
    await page.locator(f"[data-alarm={FLOOD}]").click()
    await page.keyboard.press("s")
    await page.locator("[data-test=shelving] input").fill("đã biết")
    await page.locator("[data-test=shelving] button").first.press("Enter")
    await expect(page.locator(f"[data-alarm={FLOOD}]")).to_have_count(0)
    await expect(page.locator("[data-test=shelf]")).to_contain_text("1")
    await page.locator("[data-test=shelf]").click()
    await page.locator(f"[data-alarm={FLOOD}]").click()
    await page.keyboard.press("s")
    await expect(page.locator("[data-test=shelf]")).to_contain_text("0")


# --- commands -------------------------------------------------------------------------------------


async def test_an_order_asks_first_and_its_outcome_is_followed(look: Look, running: Any) -> None:
    page = await look.page(1920, 1080)
    await find(page, "ps-nhc")
    pump = page.locator("[data-pump=p-nhc-1]")
    await expect(pump.locator(".orders")).to_have_count(0)
    await pump.locator("[data-test=mode-manual]").click()
    await pump.locator(".orders button:not([disabled])").click()
    asked = [s.events[0] for s in running.journal.steps]
    assert not any(isinstance(event, e.PumpRequested) for event in asked)
    await page.keyboard.press("Enter")
    outcome = pump.locator("[data-test=outcome]")
    await expect(outcome).to_contain_text("đã thực hiện")
    assert running.field.running["p-nhc-1"] is False


async def test_a_refused_order_says_why(look: Look) -> None:
    page = await look.page(1920, 1080)
    await find(page, "ps-bcd")
    pump = page.locator("[data-pump=p-bcd-2]")
    await pump.locator("[data-test=mode-manual]").click()
    await pump.locator(".orders button:not([disabled])").click()
    await pump.locator("[data-test=confirm] .do").click()
    outcome = pump.locator("[data-test=outcome]")
    await expect(outcome.locator(".bad")).to_have_text("BỊ TỪ CHỐI")
    await expect(outcome.locator(".why")).not_to_be_empty()


async def test_a_closure_is_read_to_its_cause_and_approved_by_keys(
    look: Look, running: Any
) -> None:
    page = await look.page()
    card = page.locator(".closures-waiting [data-closure]").first
    segment = await card.get_attribute("data-closure")
    await card.locator(".unfold").click()
    await expect(card.locator(".chain li")).to_have_count(4)
    await page.keyboard.press("y")
    await page.keyboard.press("Enter")
    await expect(page.locator(f".closures-waiting [data-closure={segment}]")).to_have_count(0)
    decided = [s.events[0] for s in running.journal.steps]
    assert e.ClosureDecided(segment=segment or "", approved=True, operator="wall") in decided


async def test_the_outlook_shows_streets_and_how_good_it_has_been(look: Look, running: Any) -> None:
    page = await look.page()
    await page.keyboard.press("f")
    street = e.StreetOutlook(
        segment="rd-nhc-4",
        low_cm=(0, 5),
        median_cm=(12, 31),
        high_cm=(20, 44),
        over=(0.9, 0.7, 0.5, 0.0),
        peak_cm=31,
        onset_s=1_200,
        end_s=3_600,
        cause=e.FloodCause.RAIN,
        closed=(
            e.PassageOutlook("motorbike", 0.7, 1_200, 3_600),
            e.PassageOutlook("car", 0.5, 1_500, None),
        ),
    )
    issued_at_ns = running.clock.now_ns()
    await running.put(
        e.InundationForecast(
            issued_at_ns=issued_at_ns,
            lead_s=(600, 1_200),
            members=30,
            streets=(street,),
            inputs="rain 5 of 6 gauges",
            faults=("rg-thi-nghe silent",),
        ),
        e.FloodAlertChanged(
            segment="rd-nhc-4",
            level=3,
            probability=0.7,
            peak_m=0.31,
            onset_at_ns=issued_at_ns + 1_200 * 10**9,
            cause=e.FloodCause.RAIN,
            why="",
        ),
        e.Tick(),
        e.FloodAlertScored(segment="rd-nhc-4", outcome=e.AlertOutcome.HIT, lead_s=1_500),
        e.OutlookScored(
            issued_at_ns=issued_at_ns,
            lead_s=3_600,
            streets=4,
            mae_m=0.05,
            persistence_mae_m=0.12,
            inside=3,
        ),
    )
    row = page.locator("[data-test=outlooks] tbody tr")
    await expect(row).to_contain_text("70 %")
    await expect(row).to_contain_text("31 cm")
    passages = row.locator(".passage")
    await expect(passages).to_have_text([CANNOT_PASS, re.compile(r"ô tô \d\d:\d\d–… P 0,5")])
    basin = page.locator("[data-test=basins] tbody tr")
    await expect(basin).to_contain_text(re.compile("Nguyễn Hữu Cảnh.*khẩn cấp.*70 %.*1 / 8.*mưa"))
    above = "document.querySelector('[data-test=basins]').compareDocumentPosition("
    assert await page.evaluate(above + "document.querySelector('[data-test=outlooks]')) & 4")
    await expect(page.locator("[data-alarm=BASIN-ba-nguyen-huu-canh]")).to_be_visible()
    await expect(page.locator("[data-test=standing]")).to_contain_text("tụ nước")
    await expect(page.locator(".refusal")).to_contain_text("rg-thi-nghe silent")
    skill = page.locator("[data-test=skill]")
    await expect(skill).to_contain_text("25")
    await expect(skill).to_contain_text("75 %")
    await page.keyboard.press("l")
    await expect(passages.first).to_contain_text("motorbikes")
    await expect(basin).to_contain_text("emergency")
    assert look.complaints == []


async def test_a_command_chain_is_read_from_the_journal(look: Look) -> None:
    page = await look.page(1920, 1080)
    await page.keyboard.press("y")
    await page.keyboard.press("Enter")
    await page.keyboard.press("k")
    row = page.locator(".commands tbody tr").first
    await row.click()
    await expect(page.locator(".chained .chain li").first).to_be_visible()


# --- when it is not well --------------------------------------------------------------------------


async def test_a_gap_in_the_feed_is_closed_by_a_new_snapshot(look: Look, running: Any) -> None:
    page = await look.blank()
    sent: list[str] = []
    dropped = asyncio.Event()

    def relay(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def from_page(message: str | bytes) -> None:
            sent.append(str(message))
            server.send(message)

        def from_server(message: str | bytes) -> None:
            told = json.loads(zlib.decompress(bytes(message))) if message else {}
            if told.get("kind") == "delta" and not dropped.is_set():
                dropped.set()
                return
            route.send(message)

        route.on_message(from_page)
        server.on_message(from_server)

    await page.route_web_socket("**/feed", relay)
    await look.open(page)
    await asyncio.wait_for(dropped.wait(), 5)
    await running.put(
        e.IncidentDetected(
            incident="cam-xvnt-2-congestion-2",
            kind=e.IncidentKind.CONGESTION,
            camera="cam-xvnt-2",
            first_seen_at_ns=running.clock.now_ns(),
            confidence=0.9,
            why="",
        )
    )
    await expect(page.locator("[data-alarm=INC-cam-xvnt-2-CONGESTION]")).to_be_visible()
    assert '{"do":"resync"}' in sent
    await expect(page.locator("[data-test=stale]")).to_have_count(0)


async def test_a_centre_that_stands_still_is_shown_unmistakably_and_forgiven(
    look: Look, running: Any
) -> None:
    page = await look.page()
    running.beating.clear()
    await expect(page.locator("[data-test=stale]")).to_be_visible(timeout=30_000)
    await expect(page.locator(".wall")).to_have_class("wall is-stale")
    await expect(page.locator("[data-test=approve]")).to_be_disabled()
    running.beating.set()
    await expect(page.locator("[data-test=stale]")).to_have_count(0)


async def test_a_lost_connection_is_shown_and_taken_up_again(look: Look, running: Any) -> None:
    page = await look.blank()
    routes: list[WebSocketRoute] = []

    def relay(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    await page.route_web_socket("**/feed", relay)
    await look.open(page)
    await routes[0].close(code=1012)
    await expect(page.locator("[data-test=mark]")).to_contain_text("MẤT KẾT NỐI")
    await expect(page.locator("[data-test=mark]")).to_contain_text("MÔ PHỎNG")
    assert len(routes) >= 2


# --- other screens, other hands -------------------------------------------------------------------


async def test_nothing_is_wider_than_the_screen(look: Look) -> None:
    page = await look.page(1920, 1080)
    for width, height in ((1920, 1080), (1366, 768), (1024, 768), (390, 844)):
        await page.set_viewport_size({"width": width, "height": height})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    order = await page.evaluate(
        "['.top', '.map', '.alarms', '.trends', '.cameras', '.bottom']"
        ".map((s) => document.querySelector(s).getBoundingClientRect().top)"
    )
    assert order == sorted(order)  # one column, in the order of what matters


async def test_a_finger_opens_an_asset_on_a_phone(look: Look) -> None:
    page = await look.page(390, 844, has_touch=True, is_mobile=True)
    await page.locator(f"[data-alarm={FLOOD}]").tap()
    await expect(page.locator("[data-test=faceplate]")).to_be_visible()
    await page.locator("[data-test=faceplate] .x").tap()
    await expect(page.locator("[data-test=faceplate]")).to_have_count(0)


async def test_the_keyboard_alone_reaches_everything(look: Look) -> None:
    page = await look.page()
    for key, shown in (("g", "drawer"), ("k", "drawer"), ("c", "drawer"), ("?", "help")):
        await page.keyboard.press(key)
        await expect(page.locator(f"[data-test={shown}]")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator(f"[data-test={shown}]")).to_have_count(0)
    before = await pixels(page, ".map")
    await page.keyboard.press("+")
    await page.wait_for_timeout(500)
    after = await pixels(page, ".map")
    assert float((before != after).any(axis=2).mean()) > 0.1
    await page.keyboard.press("l")
    await expect(page.locator(".alarms h2")).to_contain_text("Alarms")
    await page.keyboard.press("l")
    await expect(page.locator(".alarms h2")).to_contain_text("Cảnh báo")
    assert look.complaints == []


async def test_an_asset_on_the_map_is_chosen_by_a_click(look: Look) -> None:
    page = await look.page(1920, 1080)
    await find(page, "j-nhc-tan-cang")
    await page.keyboard.press("Escape")
    faceplate = page.locator("[data-test=faceplate]")
    await expect(faceplate).to_have_count(0)
    box = await page.locator(".map").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await expect(faceplate).to_have_attribute("data-asset", "j-nhc-tan-cang")


async def test_the_water_of_the_last_hour_is_replayed_and_no_order_leaves(look: Look) -> None:
    page = await look.page()
    bar = page.locator("[data-test=timebar] .track")
    box = await bar.bounding_box()
    assert box is not None
    live = await pixels(page, ".map")
    await page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
    await expect(page.locator("[data-test=replaying]")).to_be_visible()
    await expect(page.locator("[data-test=approve]")).to_be_disabled()
    await page.wait_for_timeout(600)
    then = await pixels(page, ".map")
    assert share_of(live, RED) > share_of(then, RED)  # an hour ago the streets were dry
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-test=replaying]")).to_have_count(0)
