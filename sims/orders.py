"""Decides whether a simulated field device takes a command: its form, its sequence and its time.

In come the bytes of a command topic and the device's own clock; out goes an `Order` and the word
of docs/INTERFACES.md for what was found. A device remembers the last sequence that it took; 0
means that it has taken none since its start, and then every sequence is new: what keeps an old
command out is its expiry.

Laws of this file:
1. A repeated command is called `repeated` even when it is late as well: it may have been obeyed.
2. Only an accepted command moves the sequence on.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

NS = 1_000_000_000
SEQUENCES = 65_536
SEQUENCE_AHEAD_MAX = 32_767  # further ahead is behind: the numbers wrap
PAYLOAD_BYTES_MAX = 4_096

Result = Literal["accepted", "late", "repeated", "interlock", "local", "fault", "malformed"]


class Order(Struct, frozen=True):
    """A command as a device reads it. Times are nanoseconds since the Unix epoch."""

    sequence: int
    issued_at_ns: int
    expires_at_ns: int
    stage: str | None = None
    text: str | None = None
    level_ratio: float | None = None


class Answer(Struct, frozen=True):
    """What the device sends back."""

    at_ns: int
    sequence: int
    accepted: bool
    result: Result


def answer(at_ns: int, sequence: int, result: Result) -> Answer:
    """An answer; only the word `accepted` accepts."""
    return Answer(at_ns, sequence, result == "accepted", result)


def read_order(payload: bytes) -> Order | None:
    """The order in a JSON or MessagePack payload; None where there is none."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return None
    decode = msgspec.json.decode if payload[:1] in (b"{", b" ", b"\n") else msgspec.msgpack.decode
    try:
        order = decode(payload, type=Order)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not 1 <= order.sequence < SEQUENCES or order.issued_at_ns >= order.expires_at_ns:
        return None
    return order


def sequence_of(payload: bytes) -> int:
    """The sequence of an otherwise unreadable payload, so that its sender knows it; else 0."""
    for decode in (msgspec.json.decode, msgspec.msgpack.decode):
        try:
            value = decode(payload[:PAYLOAD_BYTES_MAX])
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        sequence = value.get("sequence") if isinstance(value, dict) else None
        if isinstance(sequence, int) and 0 < sequence < SEQUENCES:
            return sequence
    return 0


def is_new(sequence: int, last: int) -> bool:
    """Whether a sequence comes after the last one taken."""
    return last == 0 or 1 <= (sequence - last) % SEQUENCES <= SEQUENCE_AHEAD_MAX


def fault_in_time(order: Order, last: int, now_ns: int) -> Result | None:
    """`repeated`, `late`, or None for an order that is new and in time."""
    if not is_new(order.sequence, last):
        return "repeated"
    if now_ns >= order.expires_at_ns:
        return "late"
    return None
