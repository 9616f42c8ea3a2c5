"""The simulated field's MQTT connection against a real broker that is killed under it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiomqtt import Client

from causeway.children import Children
from causeway.servers import start_nats
from sims.cabinets import Message
from sims.devices import KEPT_MAX, Uplink

pytestmark = pytest.mark.system

TOPIC = "causeway/v1/telemetry/tg-1"


async def until(wanted: Callable[[], bool]) -> None:
    for _ in range(400):
        if wanted():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within twenty seconds")


def listener(url: str) -> Client:
    """A centre whose session outlasts its connection, and the broker."""
    parts = urlsplit(url)
    return Client(
        parts.hostname or "",
        parts.port or 0,
        username=parts.username,
        password=parts.password,
        identifier="listener",
        clean_session=False,
    )


def nothing(topic: str, payload: bytes) -> None:
    raise AssertionError(f"{topic}: nothing was subscribed")


async def test_telemetry_outlasts_the_broker_and_states_do_not(tmp_path: Path) -> None:
    children = Children(tmp_path / "logs")
    nats = await start_nats(children, tmp_path, sync_interval="always")
    async with listener(nats.mqtt_url_centre) as client:
        await client.subscribe("causeway/v1/#", qos=1)
    uplink = Uplink(nats.mqtt_url_field, "field-test", (), nothing)
    running = asyncio.create_task(uplink.run())
    await until(lambda: uplink.connected)
    for i in range(20):
        uplink.put(Message(TOPIC, b"%d" % i, kept=True))
    await until(lambda: uplink.published == 20)
    nats.child.kill()
    await until(lambda: not uplink.connected)
    for i in range(20, 40):
        uplink.put(Message(TOPIC, b"%d" % i, kept=True))
        uplink.put(Message("causeway/v1/signal/j-1/state", b"old"))
    assert uplink.dropped == 20
    await until(lambda: uplink.published == 40)
    heard: list[bytes] = []
    async with asyncio.timeout(60), listener(nats.mqtt_url_centre) as client:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            heard.append(message.payload)
            if len(set(heard)) == 40:
                break
    assert heard == sorted(heard, key=int)
    running.cancel()
    await children.stop_all()


async def test_cancelled_while_its_broker_dies_it_ends(tmp_path: Path) -> None:
    children = Children(tmp_path / "logs")
    nats = await start_nats(children, tmp_path)
    for after_s in (0.0, 0.001, 0.002, 0.005):
        uplink = Uplink(nats.mqtt_url_field, "field-test", (), nothing)
        running = asyncio.create_task(uplink.run())
        await until(lambda uplink=uplink: uplink.connected)
        nats.child.kill()
        await asyncio.sleep(after_s)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=60)
        assert running in done
        assert running.cancelled()
    await children.stop_all()


async def test_what_waits_for_a_broker_is_bounded_and_the_oldest_goes() -> None:
    uplink = Uplink("mqtt://127.0.0.1:1", "field-test", (), nothing)
    for i in range(KEPT_MAX + 5):
        uplink.put(Message(TOPIC, b"%d" % i, kept=True))
    assert uplink.waiting == KEPT_MAX
    assert uplink.dropped == 5
    running = asyncio.create_task(uplink.run())
    await asyncio.sleep(0)
    assert not uplink.connected
    running.cancel()
