"""Talks to a video file: gives its frames at a rate, in the video's own time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from causeway.frame import Frame

NS = 1_000_000_000
START_NS = 1_000 * NS  # a video begins at some time that is not nought
FPS_MAX = 240.0
FPS_UNKNOWN = 25.0
PIXELS_MAX = 1280 * 720  # a larger picture is reduced


class ClipUnusable(Exception):
    """A file in which no picture can be read."""


class Clip:
    """A video file; `fps` is its own rate."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._wanted_fps = fps
        video = self._opened()
        self.fps = video.get(cv2.CAP_PROP_FPS)
        if not 0.1 <= self.fps <= FPS_MAX:
            self.fps = FPS_UNKNOWN
        self.frames = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.step_s = 1.0 / min(fps, self.fps)
        self.duration_s = self.frames / self.fps
        video.release()

    def seconds(self, at_ns: int) -> float:
        return (at_ns - START_NS) / NS

    def pictures(self) -> Iterator[Frame]:
        """Its frames, at most so many a second as were wanted; each (H, W, 3) uint8 BGR."""
        video = self._opened()
        number, next_s = 0, 0.0
        while video.grab():
            at_s = number / self.fps
            number += 1
            if at_s + 1e-6 < next_s:
                continue
            next_s += 1.0 / self._wanted_fps if self._wanted_fps < self.fps else 0.0
            ok, pixels = video.retrieve()
            if ok:
                yield Frame(self._path.name, START_NS + round(at_s * NS), _bounded(pixels))
        video.release()
        if not number:
            raise ClipUnusable(f"{self._path.name}: no picture in it")

    def _opened(self) -> cv2.VideoCapture:
        video = cv2.VideoCapture(str(self._path))
        if not video.isOpened():
            raise ClipUnusable(f"{self._path.name}: it cannot be opened as a video")
        return video


def _bounded(pixels: cv2.typing.MatLike) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    height, width = pixels.shape[:2]
    scale = (PIXELS_MAX / (height * width)) ** 0.5
    if scale < 1.0:
        size = (round(width * scale), round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(pixels, np.uint8)
