"""Paints a camera's still view from polygons in the street: by day, by night, mirrored.

In come `Face`s from `street_ground.py` and `street_walls.py`; out go `Layers`, pictures of the
camera's size, and masks of what covers what. All faces are projected at once, drawn at twice the
size and shrunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sims.city import Points
from sims.optics import NEAR_M, Floats, Optics

Pixels = NDArray[np.uint8]  # (H, W, 3) BGR
Colour = tuple[float, float, float]  # BGR, 0 to 255
Outline = list[NDArray[np.int32]]  # what cv2.fillPoly takes, in eighths of a drawn pixel

SUPERSAMPLING = 2
HAZE_M = 700.0
FAR_M = 20_000.0
MIRROR = np.array([1, 1, -1], np.float32)
LAMP_HEIGHT_M = 9.0
SKY_TOP: Colour = (196, 186, 178)
SKY_LOW: Colour = (214, 212, 208)
EARTH: Colour = (112, 122, 124)


class Face(NamedTuple):
    """A polygon (n, 3) with its colour by day, what it shines at night, and the lamplight on it."""

    points: Floats
    colour: Colour
    glow: Colour = (0.0, 0.0, 0.0)
    lit: float = 0.0


class Layers(NamedTuple):
    """The same view by day (uint8), what shines at night (uint8) and what lamps light (0 to 1)."""

    day: Pixels
    glow: Pixels
    lit: Floats


def paint(
    ground: list[Face],
    standing: list[Face],
    lamps: Points,
    optics: Optics,
    random: np.random.Generator,
) -> Layers:
    """The view itself: ground first, then what stands on it, far things first."""
    size = _drawn_size(optics)
    day = _sky(size, False, optics)
    for face, outline in outlines(ground, optics):
        cv2.fillPoly(day, outline, face.colour, cv2.LINE_8, 3)
    _texture(day, optics, random)
    lit = np.asarray(cv2.resize(_ground_light(lamps, optics), size[::-1]), np.uint8)
    return _stand(day, lit, standing, optics, mirrored=False)


def paint_mirrored(standing: list[Face], optics: Optics) -> Layers:
    """The view as a mirror in the road would show it."""
    size = _drawn_size(optics)
    return _stand(
        _sky(size, True, optics), np.zeros(size, np.uint8), standing, optics, mirrored=True
    )


def covered(faces: list[Face], optics: Optics) -> Floats:
    """(H, W) how much of each pixel lies behind the faces, 0 to 1."""
    mask = np.zeros(_drawn_size(optics), np.uint8)
    for _, outline in outlines(faces, optics):
        cv2.fillPoly(mask, outline, 255.0, cv2.LINE_8, 3)
    return _shares(mask, optics)


def outlines(
    faces: list[Face], optics: Optics, mirrored: bool = False
) -> Iterator[tuple[Face, Outline]]:
    """The faces that are in view, each with its pixels."""
    if not faces:
        return
    points = np.concatenate([face.points for face in faces])
    if mirrored:
        points = points * MIRROR
    seen = optics.to_camera(points)
    pixels = optics.to_pixels(seen)
    ends = np.cumsum([len(face.points) for face in faces])
    starts = np.concatenate([[0], ends[:-1]])
    crosses = np.minimum.reduceat(seen[:, 2], starts) < NEAR_M
    low, high = np.minimum.reduceat(pixels, starts), np.maximum.reduceat(pixels, starts)
    inside = (high >= 0).all(axis=1) & (low <= (optics.width, optics.height)).all(axis=1)
    fixed = _fixed(pixels)
    for i in np.flatnonzero(crosses | inside):
        if not crosses[i]:
            yield faces[i], [fixed[starts[i] : ends[i]]]
        elif (cut := optics.polygon(points[starts[i] : ends[i]])) is not None:
            yield faces[i], [_fixed(cut)]


def _fixed(pixels: Floats) -> NDArray[np.int32]:
    return (np.clip(pixels, -200_000, 200_000) * (8 * SUPERSAMPLING)).astype(np.int32)


def _drawn_size(optics: Optics) -> tuple[int, int]:
    return optics.height * SUPERSAMPLING, optics.width * SUPERSAMPLING


def _stand(
    day: Pixels, lit: Pixels, standing: list[Face], optics: Optics, mirrored: bool
) -> Layers:
    glow = np.zeros_like(day)
    for face, outline in outlines(standing, optics, mirrored):
        cv2.fillPoly(day, outline, face.colour, cv2.LINE_8, 3)
        cv2.fillPoly(glow, outline, face.glow, cv2.LINE_8, 3)
        cv2.fillPoly(lit, outline, face.lit * 255.0, cv2.LINE_8, 3)
    return Layers(_shrunk(day, optics), _shrunk(glow, optics), _shares(lit, optics))


def _shares(mask: Pixels, optics: Optics) -> Floats:
    shares: Floats = _shrunk(mask, optics).astype(np.float32) / np.float32(255)
    return shares


def _shrunk(image: Pixels, optics: Optics) -> Pixels:
    small = cv2.resize(image, (optics.width, optics.height), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)


def _sky(size: tuple[int, int], mirrored: bool, optics: Optics) -> Pixels:
    """An overcast sky above the horizon, earth below; mirrored, the sky from the horizon down."""
    rows = (np.arange(size[0]) / SUPERSAMPLING - _horizon_px(optics)) / optics.height
    up = np.clip(rows if mirrored else -rows, 0, 0.4)[:, None] / 0.4
    sky = np.array(SKY_LOW) * (1 - up) + np.array(SKY_TOP) * up
    if not mirrored:
        sky[rows > 0] = EARTH
    return np.repeat(sky[:, None, :], size[1], axis=1).astype(np.uint8)


def _horizon_px(optics: Optics) -> float:
    return optics.height / 2 - math.tan(optics.pitch_rad) * optics.focal_px


def _texture(day: Pixels, optics: Optics, random: np.random.Generator) -> None:
    """Grain, patches and tyre marks on the ground, and haze with the distance."""
    size = (day.shape[1], day.shape[0])
    x, y, reach = (np.asarray(cv2.resize(np.minimum(a, FAR_M), size)) for a in optics.ground)
    grain = np.ones(reach.shape, np.float32)
    for metres, strength in ((0.1, 0.05), (0.9, 0.02), (7.0, 0.05)):
        tile = random.normal(0, 1, (256, 256)).astype(np.float32)
        smooth = cv2.GaussianBlur(np.tile(tile, (3, 3)), (0, 0), 1.2)[256:512, 256:512]
        tile = (smooth / smooth.std()).astype(np.float32)
        u = np.mod(x / metres, 255).astype(np.float32)
        v = np.mod(y / metres, 255).astype(np.float32)
        fade = np.clip(metres * 220 / np.maximum(reach, 1), 0, 1)
        grain += (strength * fade * cv2.remap(tile, u, v, cv2.INTER_LINEAR)).astype(np.float32)
    below = (reach < FAR_M)[..., None]
    veil = below * (1 - np.exp(-reach / HAZE_M))[..., None]
    ground = np.where(below, day * np.clip(grain, 0.5, 1.4)[..., None], day)
    day[:] = np.clip(ground * (1 - veil) + np.array(SKY_LOW) * veil, 0, 255).astype(np.uint8)


def _ground_light(lamps: Points, optics: Optics) -> Pixels:
    x, y, reach = optics.ground
    light = np.zeros(reach.shape, np.float32)
    for lamp_x, lamp_y in lamps:
        light += falloff((x - lamp_x) ** 2 + (y - lamp_y) ** 2, 0.0)
    light[np.isinf(reach)] = 0
    return np.clip(light * 255, 0, 255).astype(np.uint8)


def falloff(square_m2: Floats, z_m: float) -> Floats:
    """The light of one lamp at a horizontal distance: cosine law, 1 right below it."""
    drop = max(LAMP_HEIGHT_M - z_m, 2.0)
    light: Floats = (drop**2 / (drop**2 + square_m2)) ** 1.5
    return light


def lit_by(face: Face, lamps: Points) -> Face:
    if not len(lamps) or max(face.glow) > 0:
        return face
    x, y, z = face.points.mean(axis=0)
    square = ((lamps - (x, y)) ** 2).sum(axis=1).astype(np.float32)
    above = 0.45 if z > LAMP_HEIGHT_M else 0.8
    return face._replace(lit=float(min(above * falloff(square, min(z, 3.0)).sum(), 1.0)))
