import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.frame import EncodedFrame
from detectors.jpeg import decoded, size_of


def jpeg(width=64, height=48):
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3)).astype(np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def frame(data):
    return decoded(EncodedFrame("cam-1", 7, data))


def with_size(data, width, height):
    """The JPEG with another size in its frame header."""
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def test_a_jpeg_becomes_a_frame_of_its_camera_and_time():
    seen = frame(jpeg())
    assert (seen.camera, seen.observed_at_ns, seen.pixels.shape) == ("cam-1", 7, (48, 64, 3))


def test_the_size_is_read_from_the_head():
    assert size_of(jpeg(320, 180)) == (320, 180)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"not a picture",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        jpeg()[:150],
        b"\xff\xd8" + b"\xff\xe0\xff\xff" * 4,
    ],
)
def test_what_is_no_jpeg_is_no_frame(data):
    assert frame(data) is None


def test_a_picture_of_billions_of_pixels_is_not_decoded():
    assert frame(with_size(jpeg(), 60_000, 60_000)) is None


def test_a_picture_of_a_few_pixels_is_no_frame():
    assert frame(jpeg(8, 8)) is None


@given(st.binary(max_size=300))
def test_no_bytes_at_all_raise(data):
    frame(data)
    frame(b"\xff\xd8" + data)


@given(st.integers(0, 1_000), st.integers(0, 255))
def test_a_jpeg_with_a_wrong_byte_is_a_frame_or_none(place, value):
    data = bytearray(jpeg())
    data[place % len(data)] = value
    seen = frame(bytes(data))
    assert seen is None or seen.pixels.ndim == 3
