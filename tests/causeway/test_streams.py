"""The table of streams holds a decision for every type."""

from __future__ import annotations

import pytest

from causeway import events
from causeway.events import Event
from causeway.frame import EncodedFrame
from causeway.streams import EVENT_TYPES, STREAMS, Overflow
from causeway.tracks import Tracks


def test_every_event_type_has_a_row_and_every_row_a_type() -> None:
    assert set(STREAMS) == {*EVENT_TYPES, EncodedFrame, Tracks}


def test_the_union_holds_every_event_of_its_module() -> None:
    abstract = {"Event", "Commanded"}
    defined = {
        thing
        for name, thing in vars(events).items()
        if isinstance(thing, type) and issubclass(thing, Event) and name not in abstract
    }
    assert set(EVENT_TYPES) == defined


def test_every_event_is_journalled_and_no_picture_or_track_is() -> None:
    assert not STREAMS[EncodedFrame].journalled
    assert not STREAMS[Tracks].journalled
    assert all(STREAMS[kind].journalled for kind in EVENT_TYPES)


def test_every_queue_has_a_bound() -> None:
    assert all(stream.bound > 0 for stream in STREAMS.values())


def test_a_command_that_cannot_be_queued_fails_loudly() -> None:
    commands = [kind for kind in EVENT_TYPES if issubclass(kind, events.Commanded)]
    assert len(commands) == 5
    assert all(STREAMS[kind].overflow is Overflow.FAIL for kind in commands)


@pytest.mark.parametrize("kind", STREAMS)
def test_what_goes_stale_has_a_period_shorter_than_that(kind: type) -> None:
    stream = STREAMS[kind]
    assert (stream.period_s is None) == (stream.stale_s is None)
    if stream.period_s is not None and stream.stale_s is not None:
        assert stream.period_s < stream.stale_s
