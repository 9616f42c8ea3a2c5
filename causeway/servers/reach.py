"""Tries a configured server before anything is built on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from causeway.servers.broker import check_mqtt, check_nats
from causeway.servers.database import check_postgres
from causeway.servers.faults import Unreachable

CHECKS: dict[str, Callable[[str], Awaitable[None]]] = {
    "nats": check_nats,
    "tls": check_nats,
    "mqtt": check_mqtt,
    "mqtts": check_mqtt,
    "postgres": check_postgres,
    "postgresql": check_postgres,
}


async def check_url(url: str) -> None:
    """Connect, log in and leave again; raises Unreachable. The scheme says what it is."""
    scheme = urlsplit(url).scheme
    if scheme not in CHECKS:
        expected = ", ".join(f"{known}://" for known in CHECKS)
        raise Unreachable("server", "its URL", f"{scheme}://", expected)
    await CHECKS[scheme](url)
