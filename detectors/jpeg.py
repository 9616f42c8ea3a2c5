"""Decides whether bytes are a JPEG picture of a bearable size, and makes a `Frame` of them.

The size stands in the file's head and is read before anything is decoded: two megabytes can hold a
picture of billions of pixels. Nothing here raises; what cannot be decoded is None.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np

from causeway.frame import EncodedFrame, Frame

PIXELS_MAX = 4096 * 2304
SIDE_MIN = 16
_FRAME_MARKERS = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC)})
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})  # no length follows


def decoded(encoded: EncodedFrame) -> Frame | None:
    """The picture, (H, W, 3) uint8 BGR, or None."""
    size = size_of(encoded.jpeg)
    if size is None:
        return None
    width, height = size
    if min(size) < SIDE_MIN or width * height > PIXELS_MAX:
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded.jpeg, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    if pixels is None or pixels.size == 0:
        return None
    return Frame(encoded.camera, encoded.observed_at_ns, np.asarray(pixels, np.uint8))


def size_of(jpeg: bytes) -> tuple[int, int] | None:
    """Width and height by the frame header (ITU T.81, B.2.2), or None where there is none."""
    if jpeg[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF:
        marker = jpeg[place + 1]
        if marker == 0xFF:  # fill
            place += 1
        elif marker in _BARE_MARKERS:
            place += 2
        elif marker in _FRAME_MARKERS:
            if place + 9 > len(jpeg):
                return None
            height, width = struct.unpack_from(">HH", jpeg, place + 5)
            return width, height
        else:
            place += 2 + max(2, int.from_bytes(jpeg[place + 2 : place + 4], "big"))
    return None
