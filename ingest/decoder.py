"""Talks to one video source for one camera: the process that `ingest/video.py` starts and watches.

In goes a file or an rtsp:// address; framed `EncodedFrame` messages go to standard output, at most
1,280 pixels wide, as JPEG, paced by the clock that the centre told us. The exit code says why there
are no more. A file that aborts the decoder ends this process and no other.
"""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.clock import Clock, clock_of
from causeway.frame import EncodedFrame
from causeway.wire import encode_frame, pack
from ingest.video import CANNOT_OPEN, NO_PICTURE, STREAM_ENDED, is_live

WIDTH_PX_MAX = 1_280
JPEG_QUALITY = 80
FRAMES_PER_WALL_S_MAX = 25.0  # of a scaled clock's haste, what a detector could still follow
FPS_WITHOUT_ONE = 25.0  # for files that do not say theirs
OPEN_TIMEOUT_MS = 10_000
READ_TIMEOUT_MS = 10_000
DECODER_BYTES_MAX = 4 * 2**30  # address space: a forged picture size cannot take the machine


def decode_main(camera: str, source: str, fps: float, clock_spec: str) -> int:
    """Write the source's pictures to standard output, framed; gives the exit code.

    A file is looped; a live stream is read as fast as it comes, and shown `fps` times a second.
    """
    resource.setrlimit(resource.RLIMIT_AS, (DECODER_BYTES_MAX, DECODER_BYTES_MAX))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the decoder's libraries print must not end up among the messages
    cv2.setNumThreads(1)
    clock = clock_of(clock_spec)
    pictures = _live(source, fps, clock) if is_live(source) else _looped(source, fps, clock)
    try:
        for pixels in pictures:
            _write(out, camera, clock.now_ns(), pixels)
    except BrokenPipeError:
        return 0
    except _Ended as ended:
        print(f"{camera}: {ended}", file=sys.stderr)
        return ended.code
    return 0


class _Ended(Exception):
    """Why there are no more pictures, with the child's exit code."""

    def __init__(self, code: int, why: str) -> None:
        self.code = code
        super().__init__(why)


def _open(source: str) -> cv2.VideoCapture:
    settings = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        OPEN_TIMEOUT_MS,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        READ_TIMEOUT_MS,
        cv2.CAP_PROP_N_THREADS,
        1,
    ]
    capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, settings)
    if not capture.isOpened():
        raise _Ended(CANNOT_OPEN, "cannot be opened")
    return capture


def _looped(source: str, fps: float, clock: Clock) -> Iterator[NDArray[np.uint8]]:
    """A file's pictures, over and over, each `1 / fps` seconds of the film after the last."""
    period_s = max(1 / fps, clock.speed / FRAMES_PER_WALL_S_MAX)
    next_s = time.monotonic()
    while True:
        capture = _open(source)
        film_fps = capture.get(cv2.CAP_PROP_FPS)
        if not (math.isfinite(film_fps) and 0 < film_fps <= 1_000):
            film_fps = FPS_WITHOUT_ONE
        shown = 0
        position = 0
        while capture.grab():
            position += 1
            if position <= shown * film_fps / fps:
                continue
            seen, pixels = capture.retrieve()
            if not seen:
                continue
            shown += 1
            time.sleep(max(0.0, next_s - time.monotonic()))
            next_s = max(next_s + period_s / clock.speed, time.monotonic())
            yield np.asarray(pixels, dtype=np.uint8)
        if shown == 0:
            raise _Ended(NO_PICTURE, "holds no picture")
        capture.release()


def _live(source: str, fps: float, clock: Clock) -> Iterator[NDArray[np.uint8]]:
    """A stream's newest picture, `fps` times a second; the stream itself is never kept waiting."""
    capture = _open(source)
    period_s = max(1 / fps, clock.speed / FRAMES_PER_WALL_S_MAX) / clock.speed
    next_s = time.monotonic()
    while capture.grab():
        if time.monotonic() < next_s:
            continue
        seen, pixels = capture.retrieve()
        if seen:
            next_s = max(next_s + period_s, time.monotonic())
            yield np.asarray(pixels, dtype=np.uint8)
    raise _Ended(STREAM_ENDED, "the stream has ended")


def _write(out: BinaryIO, camera: str, at_ns: int, pixels: NDArray[np.uint8]) -> None:
    height, width = pixels.shape[:2]
    if width > WIDTH_PX_MAX:
        size = (WIDTH_PX_MAX, max(1, round(height * WIDTH_PX_MAX / width)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    encoded, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if encoded:
        out.write(pack(encode_frame(EncodedFrame(camera, at_ns, jpeg.tobytes()))))
        out.flush()
