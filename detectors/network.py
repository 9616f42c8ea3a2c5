"""Decides what a neural network sees in a frame: sightings with their kinds.

In comes a frame; out go `Sighting`s in the coordinates of the reduced picture, for `tracks.py`. The
network is a YOLOX (Ge et al. 2021) in ONNX form, whose bytes the caller has read: input raw BGR, 0
to 255, its output 85 numbers at each place of three grids, trained on COCO's classes. It looks at
the whole frame and once more at the far end of the road, where vehicles are small. OpenCV runs it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.frame import Frame
from detectors.tracks import Sighting
from detectors.view import View

INPUT = (256, 416)  # height, width: a camera's 16:9 fits, at two thirds of the square's cost
TRAINED_SIDE = 416
STRIDES = (8, 16, 32)
KINDS = {0: "person", 1: "bicycle", 2: "car", 3: "motorbike", 5: "bus", 7: "truck"}
SCORE_MIN = 0.10  # ByteTrack's floor: what is less is noise
SURE = 0.30  # a network of 0.9 million weights is seldom surer of what is small
OVERLAP_MAX = 0.5
INSIDE_MAX = 0.7  # of the smaller box: a part of the other thing
RIDER_SHARE = 0.3  # of a person's width above a motorbike: its rider
FAR_SHARE = 0.5  # of the frame's width and height
RIM_PX = 4.0  # so near to the edge of that part a box is cut by it
SMALL_PX = 24.0  # of the network's input: smaller vehicles are looked at again
PAD = 114


class ModelUnusable(Exception):
    """A file that is no network of the expected form."""

    def __init__(self, why: str) -> None:
        super().__init__(f"no YOLOX network of one input 1x3x416x416 or smaller: {why}")


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float
    score: float
    kind: str


class Network:
    """A network that looks at frames."""

    def __init__(self, model: bytes) -> None:
        try:
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(_resized(model), np.uint8))
            self._grid = _grid()
            self._run(np.full((*INPUT, 3), PAD, np.uint8))
        except (cv2.error, ValueError) as fault:
            raise ModelUnusable(str(fault).strip().splitlines()[-1]) from None

    def sightings(self, frame: Frame, scale: float, view: View | None) -> list[Sighting]:
        """What it sees; `scale` is reduced pixels in a pixel of the frame."""
        height, width = frame.pixels.shape[:2]
        found = [self._look(frame.pixels, (0, 0))]
        far = _far_end(view, height, width, scale)
        if far is not None:
            top, left = far
            bottom, right = top + round(height * FAR_SHARE), left + round(width * FAR_SHARE)
            near = self._look(frame.pixels[top:bottom, left:right], (left, top))
            found.append(near[~_cut(near, (left, top, right, bottom), (width, height))])
        boxes = np.concatenate(found)
        return _sightings(_one_each(boxes), scale)

    def _look(self, pixels: NDArray[np.uint8], at: tuple[int, int]) -> NDArray[np.float32]:
        """(n, 6): left, top, right, bottom in the frame, score, class."""
        height, width = pixels.shape[:2]
        ratio = min(INPUT[0] / height, INPUT[1] / width)
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        padded = np.full((*INPUT, 3), PAD, np.uint8)
        padded[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
        raw = self._run(padded)
        classes = raw[:, 5:][:, list(KINDS)]
        best = classes.argmax(axis=1)
        scores = raw[:, 4] * classes[np.arange(len(best)), best]
        kept = scores >= SCORE_MIN
        centre = (raw[kept, :2] + self._grid[kept, :2]) * self._grid[kept, 2:]
        half = np.exp(np.clip(raw[kept, 2:4], -9, 9)) * self._grid[kept, 2:] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1) / ratio
        boxes += np.array([*at, *at], np.float32)
        return np.column_stack([boxes, scores[kept], best[kept]]).astype(np.float32)

    def _run(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        blob = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
        self._net.setInput(blob)
        raw = np.asarray(self._net.forward(), np.float32)
        if raw.shape != (1, len(self._grid), 85):
            raise ValueError(f"its output is {raw.shape}")
        return np.asarray(raw[0], np.float32)


def _grid() -> NDArray[np.float32]:
    """(n, 3): column, row and stride of each place of the output."""
    parts = []
    for stride in STRIDES:
        rows, columns = INPUT[0] // stride, INPUT[1] // stride
        y, x = np.mgrid[0:rows, 0:columns]
        parts.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], axis=1))
    return np.concatenate(parts).astype(np.float32)


def _resized(model: bytes) -> bytes:
    """The model with our input's size in its declaration; a network of convolutions allows it.

    In ONNX's protobuf a dimension is field 1, a varint, in a message that is field 1 of the shape.
    416 and 256 have varints of two bytes, so that no length changes.
    """
    square = b"".join(b"\x0a\x03\x08" + _varint(side) for side in (TRAINED_SIDE, TRAINED_SIDE))
    ours = b"".join(b"\x0a\x03\x08" + _varint(side) for side in INPUT)
    if model.count(square) != 1:
        return model
    return model.replace(square, ours)


def _varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80, value >> 7])


def _far_end(view: View | None, height: int, width: int, scale: float) -> tuple[int, int] | None:
    """Top and left of the part of the frame that is looked at again; None: nothing is small."""
    ratio = min(INPUT[0] / height, INPUT[1] / width)
    if ratio >= 1.0:
        return None
    centre = (0.5, 0.4)
    if view is not None:
        small = view.small_road(SMALL_PX * scale / ratio)
        if small is None:
            return None
        centre = (small[0] / scale / width, small[1] / scale / height)
    top = round(height * min(max(centre[1] - FAR_SHARE / 2, 0.0), 1.0 - FAR_SHARE))
    left = round(width * min(max(centre[0] - FAR_SHARE / 2, 0.0), 1.0 - FAR_SHARE))
    return top, left


def _cut(
    boxes: NDArray[np.float32], part: tuple[int, int, int, int], whole: tuple[int, int]
) -> NDArray[np.bool_]:
    """Which boxes end where the part of the frame does, left, top, right, bottom, and it goes on.

    Half of a vehicle looks like a sure one; the look at the whole frame has all of it.
    """
    left, top, right, bottom = part
    cut = (left > 0) & (boxes[:, 0] < left + RIM_PX)
    cut |= (top > 0) & (boxes[:, 1] < top + RIM_PX)
    cut |= (right < whole[0]) & (boxes[:, 2] > right - RIM_PX)
    return np.asarray(cut | ((bottom < whole[1]) & (boxes[:, 3] > bottom - RIM_PX)), np.bool_)


def _one_each(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of boxes that overlap, whatever their classes, the surest; a rider stays beside the bike."""
    order = np.argsort(-boxes[:, 4])
    kept: list[int] = []
    for n in order.tolist():
        box = boxes[n]
        for other in (boxes[k] for k in kept):
            size = np.minimum(box[2:4], other[2:4]) - np.maximum(box[:2], other[:2])
            if size.min() <= 0:
                continue
            areas = [float(np.prod(b[2:4] - b[:2])) for b in (box, other)]
            common = float(size.prod())
            people = (box[5] == 0) != (other[5] == 0)
            if common > OVERLAP_MAX * (sum(areas) - common) or (
                not people and common > INSIDE_MAX * min(areas)
            ):
                break
        else:
            kept.append(n)
    return boxes[kept]


def _sightings(boxes: NDArray[np.float32], scale: float) -> list[Sighting]:
    names = list(KINDS.values())
    rows = [(*row[:5], names[int(row[5])]) for row in boxes.tolist()]
    found = [_Box(*row) for row in rows if row[5] != "person"]
    for person in (_Box(*row) for row in rows if row[5] == "person"):
        ridden = [n for n, box in enumerate(found) if _rides(person, box)]
        if ridden:
            found[ridden[0]] = _both(found[ridden[0]], person)
        else:
            found.append(person)
    return [
        Sighting(
            x=(box.left + box.right) / 2 * scale,
            foot=box.bottom * scale,
            width=max(1.0, (box.right - box.left) * scale),
            height=max(1.0, (box.bottom - box.top) * scale),
            score=min(1.0, box.score * 0.5 / SURE),
            kind=box.kind,
        )
        for box in found
    ]


def _rides(person: _Box, vehicle: _Box) -> bool:
    """Whether a person sits on it: above the same place, and not apart."""
    if vehicle.kind not in ("motorbike", "bicycle"):
        return False
    across = min(person.right, vehicle.right) - max(person.left, vehicle.left)
    height = vehicle.bottom - vehicle.top
    return across > RIDER_SHARE * (person.right - person.left) and (
        vehicle.top - RIDER_SHARE * height <= person.bottom <= vehicle.bottom + RIDER_SHARE * height
    )


def _both(vehicle: _Box, rider: _Box) -> _Box:
    return vehicle._replace(
        left=min(vehicle.left, rider.left),
        top=min(vehicle.top, rider.top),
        right=max(vehicle.right, rider.right),
        bottom=max(vehicle.bottom, rider.bottom),
        score=max(vehicle.score, rider.score),
    )
