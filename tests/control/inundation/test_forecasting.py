"""The parent's side with the real child: SWMM in a process, fed from store and journal."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from causeway.children import Children
from causeway.clock import NS, ScaledClock
from causeway.events import InundationForecast, Quality, ReadingsObserved, Step
from causeway.site import load_site
from causeway.store.database import Trend
from control.inundation.forecasting import Forecasting
from control.inundation.gauged import points_of

CITY = Path(__file__).parents[3] / "sims" / "cities" / "saigon"
SITE = load_site(CITY)
NOW_NS = 1_762_424_400 * NS  # 2025-11-06 17:20 at Phú An
SPEED = 10.0
WAIT_S = 90.0


async def forecast(past, folder):
    """The first forecast of a centre that starts now, with one minute of what its gauges say."""
    clock = ScaledClock(NOW_NS, time.time_ns(), SPEED)
    children = Children(folder / "log")
    came: asyncio.Queue[InundationForecast] = asyncio.Queue()

    async def put(event):
        if isinstance(event, InundationForecast):
            came.put_nowait(event)

    forecasting = Forecasting(SITE, clock, put, children, CITY, past)
    running = asyncio.create_task(forecasting.run())
    try:
        async with asyncio.timeout(WAIT_S):
            for number in range(2):
                at_ns = clock.now_ns() + number * 60 * NS
                forecasting.show(number, Step("test", at_ns, (now(at_ns),)))
            return await came.get()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await children.stop_all(2.0)


def now(at_ns):
    return ReadingsObserved(
        source="test",
        points=("tg-phu-an/stage_m",),
        observed_at_ns=(at_ns,),
        values=(1.5,),
        qualities=(Quality.GOOD,),
    )


async def test_a_centre_that_starts_amid_a_storm_knows_from_the_store_what_fell(tmp_path):
    asked = set()

    async def past(point, since_ns, until_ns):
        assert since_ns < until_ns
        asked.add(point)
        at = [until_ns / NS - 60.0 * minute for minute in range(40, 0, -1)]
        if point.endswith("/rain_mm_h"):
            return Trend(at, [90.0 + i % 2 for i in range(40)], [0] * 40)
        return (
            Trend(at, [1.5] * 40, [0] * 40) if point == "tg-phu-an/stage_m" else Trend([], [], [])
        )

    found = await forecast(past, tmp_path)
    assert asked == points_of(SITE)
    assert found.inputs.startswith("rain 6 of 6 gauges")
    assert max(street.peak_cm for street in found.streets) > 20


async def test_a_store_that_does_not_answer_is_done_without(tmp_path, caplog):
    async def past(point, since_ns, until_ns):
        raise OSError("no database")

    clock = ScaledClock(NOW_NS, time.time_ns(), SPEED)
    forecasting = Forecasting(SITE, clock, put, Children(tmp_path / "log"), CITY, past)
    await forecasting._remember()
    assert "without what was before the start: OSError('no database')" in caplog.text
    assert not forecasting._kept


async def put(event):
    raise AssertionError(event)
