"""Decides what moves or stands on the road by its difference from the background: sightings.

In come scenes (`motion.py`); out go `Sighting`s for `tracks.py`, without their kind. A blob
that is wider than the vehicles that pass there is cut in two where it has a waist.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.motion import Scene
from detectors.tracks import SURE, Sighting
from detectors.view import View

AREA_SHARE_MIN = 12 / 57_600  # of the picture: a motorbike of 3 by 4 pixels
FILL_MIN = 0.25  # of its box: less is an outline or a shadow's rim
SPLIT_WIDTHS = 1.5  # of what passes there: from then on it may be two
VALLEY_RATIO = 0.6  # of the lower shoulder's height
SMALL_RATIO = 0.3  # of what passes there: a motorbike is 0.8 m wide, a lorry 2.5
MOVING_MIN = 0.3  # of a blob: an even side of a vehicle shows no movement
PARTS_SIZE = 1.3  # of the height of what passes there: two, one behind the other, are higher
COLUMN_SHARE = 0.6  # of the wider one's width
BLOBS_MAX = 80


def sightings(scene: Scene, view: View | None) -> list[Sighting]:
    """What stands out from the background."""
    mask = scene.foreground.astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    least = AREA_SHARE_MIN * mask.size
    found: list[Sighting] = []
    for label in range(1, count):
        left, top, width, height, area = (int(v) for v in stats[label])
        if area < least or area < FILL_MIN * width * height:
            continue
        foot = float(top + height)
        cuts = [0, width]
        if view is not None:
            if not view.on_road(left + width / 2, foot - height / 4):
                continue
            size = view.size(foot)
            if size is not None:
                if width < SMALL_RATIO * size[0] or height < SMALL_RATIO * size[1]:
                    continue
                if width > SPLIT_WIDTHS * size[0]:
                    part = labels[top : top + height, left : left + width] == label
                    cuts = _cuts(part.sum(axis=0))
        for start, end in pairwise(cuts):
            found.append(Sighting(left + (start + end) / 2, foot, end - start, float(height)))
    found.sort(key=lambda s: -s.width * s.height)
    return found[:BLOBS_MAX]


def _cuts(columns: NDArray[np.int64]) -> list[int]:
    """Where a blob is cut: its ends, and a valley between two shoulders, such as a shadow makes."""
    width = len(columns)
    third = slice(width // 4, width - width // 4)
    valley = width // 4 + int(columns[third].argmin())
    shoulders = min(int(columns[:valley].max(initial=0)), int(columns[valley:].max(initial=0)))
    if int(columns[valley]) > VALLEY_RATIO * shoulders:
        return [0, width]
    return [0, valley, width]


def fused(
    blobs: list[Sighting], seen: list[Sighting], scene: Scene, view: View | None
) -> list[Sighting]:
    """What a network has seen, and of what moves, what it has not: no vehicle is in both.

    What stands and is no thing to the network is a fault of the background's.
    """
    if view is not None:
        seen = _whole(blobs, seen, view)
    sure = [s for s in seen if s.score >= SURE]
    others = [blob for blob in blobs if not any(_within(blob, s) for s in sure)]
    others = [blob for blob in others if _moving_share(blob, scene) >= MOVING_MIN]
    doubtful = [s for s in seen if s.score < SURE and not any(_within(b, s) for b in others)]
    return sure + others + doubtful


def _whole(blobs: list[Sighting], seen: list[Sighting], view: View) -> list[Sighting]:
    """With one sighting for parts, one above the other, of what moves as one and is one in size.

    A rider in a cape is a car to a network, and the wheel below another motorbike.
    """
    for blob in blobs:
        size = view.size(blob.foot)
        if size is None or blob.height > PARTS_SIZE * size[1]:
            continue
        parts = [s for s in seen if s.score >= SURE and _in_column(s, blob)]
        if len(parts) > 1:
            lowest = max(parts, key=lambda s: (s.kind != "person", s.foot))
            score = max(s.score for s in parts)
            seen = [s for s in seen if s not in parts]
            seen.append(blob._replace(score=score, kind=lowest.kind))
    return seen


def _in_column(part: Sighting, blob: Sighting) -> bool:
    """Whether it is in the blob and takes most of its width."""
    left = max(part.x - part.width / 2, blob.x - blob.width / 2)
    right = min(part.x + part.width / 2, blob.x + blob.width / 2)
    inside = blob.foot - blob.height <= part.foot - part.height / 2 <= blob.foot
    return inside and right - left >= COLUMN_SHARE * max(part.width, blob.width)


def _moving_share(blob: Sighting, scene: Scene) -> float:
    rows = slice(max(0, int(blob.foot - blob.height)), int(blob.foot))
    columns = slice(max(0, int(blob.x - blob.width / 2)), int(blob.x + blob.width / 2) + 1)
    there = scene.foreground[rows, columns]
    return float((there & scene.moving[rows, columns]).sum()) / max(1, int(there.sum()))


def _within(blob: Sighting, seen: Sighting) -> bool:
    """Whether the middle of either is in the other one."""
    across = abs(blob.x - seen.x) < max(blob.width, seen.width) / 2
    down = abs(blob.foot - blob.height / 2 - seen.foot + seen.height / 2)
    return across and down < max(blob.height, seen.height) / 2
