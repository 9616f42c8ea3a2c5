"""A pinhole camera over a flat street: from local metres to pixels and back.

In comes a camera of the site and the picture's size; out go projections of points, clipped polygons
and the ground seen by each pixel. `streetscape.py` and `cameras.py` draw with it.

Axes: x east, y north, z up from the road, metres. In the camera: right, down, forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from causeway.site import Camera
from sims.city import Projection

HEIGHT_M = 7.5  # a mast arm
FIELD_OF_VIEW_DEG = 60.0  # horizontal
HORIZON_RATIO = 0.24  # where the horizon lies, of the picture's height
NEAR_M = 0.8

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Optics:
    """One camera's place, direction and picture."""

    x_m: float
    y_m: float
    bearing_deg: float
    width: int
    height: int

    @property
    def focal_px(self) -> float:
        return self.width / 2 / math.tan(math.radians(FIELD_OF_VIEW_DEG / 2))

    @property
    def pitch_rad(self) -> float:
        """Downwards, so that the horizon lies at HORIZON_RATIO."""
        return math.atan((0.5 - HORIZON_RATIO) * self.height / self.focal_px)

    @cached_property
    def axes(self) -> Floats:
        """Rows right, down, forward in x, y, z; (3, 3)."""
        bearing, pitch = math.radians(self.bearing_deg), self.pitch_rad
        sin, cos = math.sin(bearing), math.cos(bearing)
        forward = (sin * math.cos(pitch), cos * math.cos(pitch), -math.sin(pitch))
        down = (-sin * math.sin(pitch), -cos * math.sin(pitch), -math.cos(pitch))
        return np.array([(cos, -sin, 0.0), down, forward], np.float32)

    def to_camera(self, points: Floats) -> Floats:
        """(..., 3) local metres to (..., 3) right, down, forward."""
        place = np.array([self.x_m, self.y_m, HEIGHT_M], np.float32)
        moved: Floats = np.matmul(points - place, self.axes.T, dtype=np.float32)
        return moved

    def to_pixels(self, seen: Floats) -> Floats:
        """(..., 3) camera metres in front of it to (..., 2) pixels."""
        forward = np.maximum(seen[..., 2:], np.float32(NEAR_M))
        middle = np.array([self.width / 2, self.height / 2], np.float32)
        shares = np.divide(seen[..., :2], forward, dtype=np.float32)
        return np.add(shares * np.float32(self.focal_px), middle, dtype=np.float32)

    def polygon(self, points: Floats) -> Floats | None:
        """The pixels of a polygon (n, 3), cut off at the near plane; None when it is behind."""
        seen = self.to_camera(np.asarray(points, np.float32))
        inside = seen[:, 2] >= NEAR_M
        if not inside.any():
            return None
        if not inside.all():
            seen = _cut(seen)
        return self.to_pixels(seen)

    @cached_property
    def ground(self) -> tuple[Floats, Floats, Floats]:
        """x, y in local metres and the distance of the ground by pixel; inf above the horizon."""
        columns, rows = np.meshgrid(
            np.arange(self.width, dtype=np.float32), np.arange(self.height, dtype=np.float32)
        )
        rays = np.stack(
            [
                (columns + 0.5 - self.width / 2) / self.focal_px,
                (rows + 0.5 - self.height / 2) / self.focal_px,
                np.ones_like(columns),
            ],
            axis=-1,
        ).astype(np.float32)
        world = rays @ self.axes
        with np.errstate(divide="ignore"):
            reach = np.where(world[..., 2] < -1e-4, HEIGHT_M / -world[..., 2], np.inf)
        reach = reach.astype(np.float32)
        x = np.float32(self.x_m) + world[..., 0] * np.where(np.isinf(reach), 0, reach)
        y = np.float32(self.y_m) + world[..., 1] * np.where(np.isinf(reach), 0, reach)
        return x, y, reach


def optics_of(camera: Camera, projection: Projection, size: tuple[int, int]) -> Optics:
    """A site camera's optics; `size` is width and height in pixels."""
    x_m, y_m = projection.to_xy(camera.at)
    return Optics(x_m, y_m, camera.bearing_deg, *size)


def _cut(seen: Floats) -> Floats:
    """A polygon in camera metres cut at the near plane (Sutherland and Hodgman 1974)."""
    kept = []
    for a, b in zip(seen, np.roll(seen, -1, axis=0), strict=True):
        if a[2] >= NEAR_M:
            kept.append(a)
        if (a[2] >= NEAR_M) != (b[2] >= NEAR_M):
            kept.append(a + (b - a) * ((NEAR_M - a[2]) / (b[2] - a[2])))
    return np.array(kept, np.float32)
