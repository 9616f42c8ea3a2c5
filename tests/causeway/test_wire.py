"""Events to bytes and back, and messages through pipes."""

from __future__ import annotations

import asyncio
import io
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.events import Address, AnyEvent, Step, Tick
from causeway.frame import EncodedFrame
from causeway.streams import EVENT_TYPES
from causeway.wire import (
    MESSAGE_BYTES_MAX,
    MessageTooLong,
    decode_event,
    decode_frame,
    decode_step,
    encode_event,
    encode_frame,
    encode_step,
    pack,
    read_message,
    read_message_from,
)


def of_type(kind: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Values of a field's type, as `causeway.events` uses them."""
    if kind is float:
        return st.floats(allow_nan=False)
    if kind is int:
        return st.integers(-(2**63), 2**63 - 1)
    if typing.get_origin(kind) is tuple:
        return st.lists(of_type(typing.get_args(kind)[0]), max_size=3).map(tuple)
    if typing.get_args(kind):
        return st.one_of(*map(of_type, typing.get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return of_struct(kind)
    if hasattr(kind, "_fields"):
        return st.builds(kind, *[of_type(t) for t in typing.get_type_hints(kind).values()])
    return st.from_type(kind)


def of_struct(kind: type[msgspec.Struct]) -> st.SearchStrategy[typing.Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{f.name: of_type(hints[f.name]) for f in msgspec.structs.fields(kind)})


any_event: st.SearchStrategy[AnyEvent] = st.sampled_from(EVENT_TYPES).flatmap(of_struct)
any_step = st.builds(
    Step,
    st.text(max_size=8),
    st.integers(0, 2**63 - 1),
    st.lists(any_event, min_size=1, max_size=4).map(tuple),
)


@given(any_event)
def test_every_event_comes_back_as_it_went(event: AnyEvent) -> None:
    assert decode_event(encode_event(event)) == event


@given(any_step)
def test_a_step_comes_back_as_it_went_with_the_same_bytes(step: Step) -> None:
    data = encode_step(step)
    assert decode_step(data) == step
    assert encode_step(decode_step(data)) == data


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_an_event_carries_its_type(kind: type) -> None:
    example = msgspec.convert({"type": kind.__name__, **_least(kind)}, AnyEvent)
    assert type(decode_event(encode_event(example))) is kind


def _least(kind: typing.Any) -> dict[str, object]:
    """The smallest values of an event's required fields."""
    least: dict[type, object] = {str: "", int: 0, float: 0.0, bool: False, Address: [0, 0]}
    hints = typing.get_type_hints(kind)
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        if not field.required:
            continue
        if typing.get_origin(hint) is tuple:
            values[field.name] = []
        else:
            values[field.name] = least[hint] if hint in least else next(iter(hint)).value
    return values


def test_bytes_that_are_no_step_are_refused() -> None:
    for data in (b"", b"\xc1", msgspec.msgpack.encode({"writer": "w"}), encode_event(Tick())):
        with pytest.raises(msgspec.DecodeError):
            decode_step(data)


def test_a_step_of_an_unknown_event_is_refused() -> None:
    data = msgspec.msgpack.encode({"writer": "w", "at_ns": 1, "events": [{"type": "Unheard"}]})
    with pytest.raises(msgspec.ValidationError, match="Unheard"):
        decode_step(data)


def test_a_field_at_its_default_takes_no_room() -> None:
    assert msgspec.msgpack.decode(encode_event(Tick())) == {"type": "Tick"}


def test_a_picture_comes_back_as_it_went() -> None:
    frame = EncodedFrame("cam-one", 7, b"\xff\xd8jpeg")
    assert decode_frame(encode_frame(frame)) == frame


async def test_messages_come_out_of_a_stream_one_by_one() -> None:
    reader = asyncio.StreamReader()
    data = pack(b"one") + pack(b"") + pack(b"three")
    for i in range(len(data)):
        reader.feed_data(data[i : i + 1])
    reader.feed_eof()
    assert [await read_message(reader) for _ in range(4)] == [b"one", b"", b"three", None]


def test_messages_come_out_of_a_blocking_stream_one_by_one() -> None:
    stream = io.BytesIO(pack(b"one") + pack(b"") + pack(b"three"))
    assert [read_message_from(stream) for _ in range(4)] == [b"one", b"", b"three", None]


async def test_a_message_that_breaks_off_is_the_streams_end() -> None:
    cut = pack(b"whole") + pack(b"broken off")[:-1]
    reader = asyncio.StreamReader()
    reader.feed_data(cut)
    reader.feed_eof()
    assert [await read_message(reader) for _ in range(2)] == [b"whole", None]
    stream = io.BytesIO(cut)
    assert [read_message_from(stream) for _ in range(2)] == [b"whole", None]


async def test_a_message_over_the_limit_is_refused_before_it_is_read() -> None:
    head = (MESSAGE_BYTES_MAX + 1).to_bytes(4, "big")
    reader = asyncio.StreamReader()
    reader.feed_data(head)
    with pytest.raises(MessageTooLong) as refused:
        await read_message(reader)
    assert refused.value.length == MESSAGE_BYTES_MAX + 1
    with pytest.raises(MessageTooLong):
        read_message_from(io.BytesIO(head))
    with pytest.raises(MessageTooLong):
        pack(bytes(MESSAGE_BYTES_MAX + 1))
