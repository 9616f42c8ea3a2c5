"""Decides whether a text may go to a message sign. Nothing else makes a `SignCommanded`.

In come `SignRequested` events, from an engine or an operator, what the signs show, and mode
changes; out go `SignCommanded` with sequence and expiry, or `CommandRefused` with what was seen
and expected. A person's text and an engine's never fight over a sign: a person's is taken in
manual mode only, an engine's in automatic mode only.

Laws of this file:
1. Everything that can hold back a sign's text is in this file, whoever asks.
2. It can only refuse: a text is never cut or reworded, save for Unicode's composed form (NFC).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    AnyEvent,
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    Now,
    SignCommanded,
    SignObserved,
    SignRequested,
)
from causeway.site import Sign, Site
from control.sequences import following, newest

NS = 1_000_000_000
COMMAND_EXPIRES_NS = 30 * NS  # a sign may take a while to answer; at most 60 s
OPERATOR = "operator:"


class _Seen(Struct):
    """The last sequence given to a sign, and who holds it."""

    sequence: int = 0
    manual: bool = False


class Signs:
    """Turns sign requests into commands, or refuses them."""

    name = "signs"
    hears = frozenset({SignRequested, SignObserved, ControlModeChanged})

    def __init__(self, site: Site) -> None:
        self._signs = {s.id: s for s in site.signs}
        self._seen = {s.id: _Seen() for s in site.signs}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case SignObserved() if event.sign in self._seen:
                seen = self._seen[event.sign]
                seen.sequence = newest(seen.sequence, event.sequence)
            case ControlModeChanged() if event.asset in self._seen:
                self._seen[event.asset].manual = event.mode is ControlMode.MANUAL
            case SignRequested():
                yield self._answer(event, now)
            case _:
                pass

    def _answer(self, request: SignRequested, now: Now) -> AnyEvent:
        text = unicodedata.normalize("NFC", request.text)
        refusal = self._refusal(request, text)
        if refusal is not None:
            interlock, why = refusal
            return CommandRefused(target=request.sign, interlock=interlock, why=why, by=request.by)
        seen = self._seen[request.sign]
        seen.sequence = following(seen.sequence)
        return SignCommanded(
            sign=request.sign,
            text=text,
            sequence=seen.sequence,
            issued_at_ns=now.at_ns,
            expires_at_ns=now.at_ns + COMMAND_EXPIRES_NS,
        )

    def _refusal(self, request: SignRequested, text: str) -> tuple[str, str] | None:
        """The interlock that stands against it and why, or None."""
        sign = self._signs.get(request.sign)
        if sign is None:
            return "unknown_asset", f"no sign {request.sign!r}"
        manual = self._seen[sign.id].manual
        if manual != request.by.startswith(OPERATOR):
            held = "manual" if manual else "automatic"
            return "control_mode", f"the sign is in {held} mode, the request is by {request.by}"
        return _misfit(sign, text)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._seen)

    def restore(self, state: bytes) -> None:
        self._seen = msgspec.msgpack.decode(state, type=dict[str, _Seen])


def _misfit(sign: Sign, text: str) -> tuple[str, str] | None:
    """Why the sign cannot show the text, or None. A letter with its marks is one column (NFC)."""
    lines = text.split("\n")
    if len(lines) > sign.rows:
        return "text_too_long", f"{len(lines)} lines, the sign has {sign.rows}"
    for line in lines:
        if len(line) > sign.columns:
            return "text_too_long", f"{line!r} has {len(line)} letters of {sign.columns}"
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn") for letter in line):
            return "text_unprintable", f"{line!r} has letters that no sign can show"
    return None
