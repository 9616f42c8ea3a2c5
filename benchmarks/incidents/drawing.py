"""Draws what was seen into a frame: tracks, the count line, incidents, states."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.events import IncidentDetected
from causeway.frame import Frame
from detectors.watch import CameraWatch

WIDTH_PX = 960
GREEN, GREY, RED, YELLOW = (90, 220, 60), (160, 160, 160), (60, 60, 255), (60, 220, 255)


def drawn(
    frame: Frame, watch: CameraWatch, incidents: Sequence[IncidentDetected]
) -> NDArray[np.uint8]:
    """The frame at a width of 960 with all of it, (H, W, 3) uint8 BGR."""
    height, width = frame.pixels.shape[:2]
    size = (WIDTH_PX, round(WIDTH_PX * height / width / 2) * 2)
    picture = np.asarray(cv2.resize(frame.pixels, size), np.uint8)
    view = watch.traffic.view
    learning = watch.traffic.learning
    if learning is not None:
        scale = WIDTH_PX / learning.shape[1]
        for track in watch.traffic.tracks.live:
            left, right = track.x - track.width / 2, track.x + track.width / 2
            corners = [
                (round(x * scale), round(y * scale))
                for x, y in ((left, track.foot - track.height), (right, track.foot))
            ]
            cv2.rectangle(picture, corners[0], corners[1], GREEN if track.confirmed else GREY, 1)
            cv2.putText(picture, f"{track.number} {track.kind}", corners[0], 0, 0.4, YELLOW, 1)
        if view is not None and view.line is not None:
            line = view.line
            across = np.array([-line.y, line.x]) * 2 * WIDTH_PX
            middle = np.array([line.x, line.y]) * line.at * scale
            ends = [tuple(int(v) for v in middle + sign * across) for sign in (-1, 1)]
            cv2.line(picture, ends[0], ends[1], YELLOW, 1)
    for incident in incidents:
        if incident.box is not None:
            box = incident.box
            start = (round(box.left * size[0]), round(box.top * size[1]))
            end = (start[0] + round(box.width * size[0]), start[1] + round(box.height * size[1]))
            cv2.rectangle(picture, start, end, RED, 2)
    words = [f"count {watch.traffic.counting.total}", *sorted(watch.visibility.states)]
    words += [incident.kind.value for incident in incidents]
    cv2.putText(picture, "  ".join(words), (10, size[1] - 12), 0, 0.6, RED, 2)
    return picture
