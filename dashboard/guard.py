"""Stands before the wall's server: who may ask at all, and what a browser may do with the answer.

In come all requests; through go those that name one of the centre's own hosts, and every answer
leaves with the headers that bind the page to this server: no script, picture or connection of
another host, no frame around it. A name that merely leads here (DNS rebinding) is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Guard:
    """Refuses foreign hosts and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], import_map: str) -> None:
        """`hosts` are names besides loopback; `import_map` the hash of the page's inline script."""
        self._app = app
        self._hosts = tuple(hosts)
        self._any_host = False
        self._headers = [
            (name.encode(), value.encode())
            for name, value in {
                "content-security-policy": (
                    f"default-src 'none'; script-src 'self' '{import_map}'; style-src 'self'; "
                    "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; "
                    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
                ),
                "x-content-type-options": "nosniff",
                "x-frame-options": "DENY",
                "referrer-policy": "no-referrer",
                "cross-origin-opener-policy": "same-origin",
                "cross-origin-resource-policy": "same-origin",
                "permissions-policy": "camera=(), microphone=(), geolocation=()",
            }.items()
        ]

    def listens_on(self, host: str) -> None:
        """Beyond loopback, and with no names given, the page may be asked under any name."""
        self._any_host = not self._hosts and host not in LOOPBACK

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        guarded = send_guarded if scope["type"] == "http" else send
        if self._hosted(HTTPConnection(scope)):
            await self._app(scope, receive, guarded)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            why = msgspec.json.encode({"why": "this host name is not one of the centre's"})
            refusal = Response(why, status_code=421, media_type="application/json")
            await refusal(scope, receive, guarded)

    def _hosted(self, connection: HTTPConnection) -> bool:
        try:
            name = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
        except ValueError:
            return False
        return self._any_host or name in LOOPBACK or name in self._hosts


def same_origin(websocket: WebSocket) -> bool:
    """A browser always names the page's origin; a program that names none is no other's page."""
    origin = websocket.headers.get("origin")
    return origin is None or origin.partition("://")[2] == websocket.headers.get("host")
