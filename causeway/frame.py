"""One camera picture on its way from a camera to a detector and to the wall. Never journalled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray


class EncodedFrame(Struct, frozen=True):
    """A picture as it arrived: JPEG bytes, the camera, and the camera's own time."""

    camera: str
    observed_at_ns: int
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded picture: (H, W, 3) uint8 BGR."""

    camera: str
    observed_at_ns: int
    pixels: NDArray[np.uint8]
