import asyncio

import cv2
import msgspec
import pytest

from causeway.clock import ManualClock
from causeway.events import CameraHealth, CameraHealthObserved, Reason, Rejected
from causeway.frame import EncodedFrame
from causeway.wire import decode_event, encode_frame, pack
from detectors.worker import Worker


@pytest.fixture
def clock():
    return ManualClock(1_763_980_800_000_000_000)


@pytest.fixture
def worker(site_of_one, clock):
    return Worker(site_of_one, clock)


@pytest.fixture
def sent(street):
    """The bytes of a frame, as the parent sends them."""
    road = street()

    def encode(camera="cam-1", at_ns=None, jpeg=None):
        frame = road.frame()
        data = cv2.imencode(".jpg", frame.pixels)[1].tobytes() if jpeg is None else jpeg
        return encode_frame(EncodedFrame(camera, at_ns or frame.observed_at_ns, data))

    return encode


def test_a_good_frame_makes_its_camera_ok(worker, sent):
    (event,) = worker.take(sent())
    assert isinstance(event, CameraHealthObserved)
    assert event.health is CameraHealth.OK


def test_bad_frames_are_rejected_with_their_reason(worker, sent):
    worker.take(sent(at_ns=10**18))
    assert worker.take(sent("cam-9"))[0] == Rejected(
        source="cam-9", reason=Reason.UNKNOWN_ASSET, count=1
    )
    assert worker.take(sent(at_ns=10**18))[0].reason is Reason.LATE
    assert worker.take(sent(at_ns=10**18 + 1, jpeg=b"GIF89a"))[0] == Rejected(
        source="cam-1", reason=Reason.UNDECODABLE_FRAME, count=1
    )
    assert worker.take(b"\xc1")[0].reason is Reason.MALFORMED


def test_rejections_that_repeat_are_counted_and_said_together(worker, sent):
    said = [e for i in range(10) for e in worker.take(sent("cam-9"))]
    assert [e.count for e in said] == [1]
    said = [e for _ in range(5) for e in worker.beat()]
    assert [(e.source, e.count) for e in said] == [("cam-9", 9)]
    assert [e.count for e in worker.take(sent("cam-9"))] == [1]


def test_a_frame_from_before_the_camera_set_its_clock_is_not_late_for_ever(worker, sent):
    worker.take(sent(at_ns=10**18))
    assert worker.take(sent(at_ns=10**18 - 3_600 * 10**9)) == []


def test_a_camera_is_lost_after_ten_seconds_without_a_frame(worker, sent, clock):
    worker.take(sent())
    clock.advance(10)
    assert worker.beat() == []
    clock.advance(1)
    (lost,) = worker.beat()
    assert (lost.camera, lost.health) == ("cam-1", CameraHealth.LOST)
    assert worker.beat() == []


def test_a_camera_that_never_spoke_is_lost_too(worker, clock):
    clock.advance(11)
    assert [e.health for e in worker.beat()] == [CameraHealth.LOST]


def test_by_a_fast_clock_a_camera_is_given_longer(site_of_one, clock):
    clock.speed = 5.0
    worker = Worker(site_of_one, clock)
    clock.advance(50)
    assert worker.beat() == []
    clock.advance(1)
    assert [e.health for e in worker.beat()] == [CameraHealth.LOST]


async def test_it_answers_on_its_output_and_ends_with_its_input(worker, sent, capfdbinary):
    reader = asyncio.StreamReader()
    reader.feed_data(pack(sent()) + pack(sent("cam-9")))
    reader.feed_eof()
    await worker.run(reader)
    out, events = capfdbinary.readouterr().out, []
    while out:
        length = int.from_bytes(out[:4], "big")
        if length:
            events.append(decode_event(out[4 : 4 + length]))
        out = out[4 + length :]
    assert [type(e) for e in events] == [CameraHealthObserved, Rejected]
    with pytest.raises(msgspec.DecodeError):
        decode_event(b"")
