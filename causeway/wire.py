"""Events to bytes and back: the journal's encoding, and the framing between our processes.

A step is MessagePack, its structs as maps with a `type` field, in the order of their definition, so
that the same step always gives the same bytes. A message between processes is four bytes of length
(big-endian) and a body.
"""

from __future__ import annotations

import asyncio
import struct
from typing import BinaryIO

import msgspec

from causeway.events import AnyEvent, SignalsObserved, StageCommanded, Step
from causeway.frame import EncodedFrame
from causeway.tracks import Tracks

MESSAGE_BYTES_MAX = 8 * 2**20
_LENGTH = struct.Struct(">I")

_encoder = msgspec.msgpack.Encoder()
_steps = msgspec.msgpack.Decoder(Step)
_events: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)
_frames = msgspec.msgpack.Decoder(EncodedFrame)
_tracks: msgspec.msgpack.Decoder[Tracks | SignalsObserved | StageCommanded] = (
    msgspec.msgpack.Decoder(Tracks | SignalsObserved | StageCommanded)
)


class MessageTooLong(Exception):
    """A process announced a message over the limit."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(f"a message of {length} bytes; at most {MESSAGE_BYTES_MAX} are expected")


def encode_step(step: Step) -> bytes:
    """The journal's bytes of a step."""
    return _encoder.encode(step)


def decode_step(data: bytes) -> Step:
    """Raises msgspec.DecodeError where `data` is not a step of this program's form."""
    return _steps.decode(data)


def encode_event(event: AnyEvent) -> bytes:
    """One event, for a pipe."""
    return _encoder.encode(event)


def decode_event(data: bytes) -> AnyEvent:
    """Raises msgspec.DecodeError where `data` is not an event."""
    return _events.decode(data)


def encode_frame(frame: EncodedFrame) -> bytes:
    """One camera picture, for a pipe."""
    return _encoder.encode(frame)


def decode_frame(data: bytes) -> EncodedFrame:
    """Raises msgspec.DecodeError where `data` is not a camera picture."""
    return _frames.decode(data)


def encode_tracks(tracks: Tracks | SignalsObserved | StageCommanded) -> bytes:
    """What the signal planner is told, for a pipe."""
    return _encoder.encode(tracks)


def decode_tracks(data: bytes) -> Tracks | SignalsObserved | StageCommanded:
    """Raises msgspec.DecodeError where `data` is none of these."""
    return _tracks.decode(data)


def pack(body: bytes) -> bytes:
    """A message with its length before it."""
    if len(body) > MESSAGE_BYTES_MAX:
        raise MessageTooLong(len(body))
    return _LENGTH.pack(len(body)) + body


async def read_message(reader: asyncio.StreamReader) -> bytes | None:
    """The next message's body, or None at the stream's end."""
    try:
        length = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0]
        if length > MESSAGE_BYTES_MAX:
            raise MessageTooLong(length)
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        return None


def read_message_from(stream: BinaryIO) -> bytes | None:
    """The same for a blocking stream, such as a child's standard input."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length = _LENGTH.unpack(head)[0]
    if length > MESSAGE_BYTES_MAX:
        raise MessageTooLong(length)
    body = stream.read(length)
    return body if len(body) == length else None
