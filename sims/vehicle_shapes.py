"""Turns the traffic's vehicles into shaded polygons in a camera's picture.

In come `traffic.py`'s vehicles as an array and the camera's `Optics`; out come `Figure`s from far
to near: polygons in pixels with their colours, a rider's head, and where the lamps are. All of a
kind are projected at once; `cameras.py` paints them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.optics import Floats, Optics
from sims.passability import KINDS
from sims.vehicle_types import Vehicles

Ints = NDArray[np.int32]

SEEN_M = 190.0
NEAREST_M = 4.0
PLAIN_FROM_M = 60.0  # farther away a vehicle is drawn with fewer faces
SUBPIXEL_BITS = 3
FRONT, REAR = 0, 2  # of SIDES
SIDE_SHADE, END_SHADE, TOP_SHADE = 0.72, 0.86, 1.12

# Which of a vehicle's colours a part has.
BODY, SECOND, GLASS, BLACK, LIGHT, TAIL, SKIN, LEGS = range(8)
FIXED = {GLASS: (62, 54, 46), BLACK: (30, 30, 32), LIGHT: (210, 220, 225), TAIL: (40, 40, 190)}
FIXED |= {SKIN: (110, 140, 180)}

CAR_PAINTS = (
    ((226, 226, 226), 5),
    ((70, 68, 66), 3),
    ((150, 150, 148), 4),
    ((40, 40, 170), 1),
    ((120, 70, 40), 1),
    ((190, 186, 60), 2),  # a taxi's turquoise
    ((80, 150, 50), 1),  # a taxi's green
)
BIKE_PAINTS = (
    ((40, 36, 36), 5),
    ((36, 36, 170), 3),
    ((150, 70, 40), 2),
    ((215, 215, 215), 2),
    ((110, 108, 106), 2),
)
SHIRTS = (
    ((200, 198, 196), 4),
    ((70, 60, 54), 3),
    ((150, 110, 70), 3),
    ((90, 90, 170), 2),
    ((140, 170, 120), 2),
    ((120, 150, 200), 2),
    ((60, 140, 60), 2),  # a delivery rider's green
    ((30, 140, 230), 1),  # and another's orange
)
PONCHOS = (
    ((200, 150, 90), 3),
    ((150, 120, 220), 2),
    ((110, 200, 220), 2),
    ((140, 180, 110), 2),
    ((180, 110, 150), 2),
)
HELMETS = (
    ((60, 60, 190), 2),
    ((210, 210, 212), 3),
    ((46, 44, 44), 3),
    ((180, 110, 60), 2),
    ((80, 170, 90), 1),
)
BUS_PAINTS = (((96, 168, 60), 3), ((200, 130, 50), 1), ((190, 190, 60), 1))
TRUCK_PAINTS = (((190, 120, 50), 2), ((220, 220, 220), 2), ((60, 60, 180), 1))


class Box(NamedTuple):
    """A part: from `front` to `back` along the vehicle (shares of its length, 0 its front bumper),
    `wide` across (a share of its width), from `low` to `high` metres; the top may be smaller."""

    front: float
    back: float
    wide: float
    low: float
    high: float
    colour: int
    top_front: float | None = None
    top_back: float | None = None
    top_wide: float | None = None
    only: int | None = None  # the one of its SIDES that is drawn


CAR = (
    Box(0.05, 0.95, 0.96, 0.0, 0.35, BLACK),
    Box(0.0, 1.0, 1.0, 0.28, 0.86, BODY),
    Box(0.24, 0.93, 0.94, 0.86, 1.42, GLASS, 0.40, 0.83, 0.76),
    Box(0.39, 0.84, 0.78, 1.40, 1.47, BODY),
    Box(-0.01, 0.0, 0.9, 0.55, 0.72, LIGHT, only=FRONT),
    Box(1.0, 1.01, 0.9, 0.6, 0.78, TAIL, only=REAR),
)
CAR_PLAIN = (
    Box(0.0, 1.0, 1.0, 0.1, 0.86, BODY),
    Box(0.24, 0.93, 0.92, 0.86, 1.45, GLASS, 0.40, 0.83, 0.76),
)
BUS = (
    Box(0.01, 0.99, 0.96, 0.0, 0.4, BLACK),
    Box(0.0, 1.0, 1.0, 0.35, 1.25, BODY),
    Box(0.0, 1.0, 0.99, 1.25, 2.3, GLASS),
    Box(0.0, 1.0, 1.0, 2.3, 3.05, SECOND),
    Box(1.0, 1.004, 0.9, 0.7, 1.0, TAIL, only=REAR),
    Box(-0.004, 0.0, 0.9, 0.6, 0.85, LIGHT, only=FRONT),
)
TRUCK = (
    Box(0.02, 0.98, 0.9, 0.0, 0.6, BLACK),
    Box(0.0, 0.24, 0.94, 0.5, 1.2, BODY),
    Box(0.0, 0.24, 0.94, 1.2, 2.1, GLASS, 0.05, 0.24, 0.88),
    Box(0.03, 0.24, 0.9, 2.08, 2.2, BODY),
    Box(0.27, 1.0, 1.0, 0.7, 2.75, SECOND),
    Box(1.0, 1.006, 0.9, 0.5, 0.68, TAIL, only=REAR),
)
EMERGENCY = (
    Box(0.03, 0.97, 0.95, 0.0, 0.4, BLACK),
    Box(0.0, 1.0, 1.0, 0.35, 1.0, BODY),
    Box(0.1, 0.99, 0.98, 1.0, 1.75, GLASS, 0.2, 0.99, 0.94),
    Box(0.2, 0.99, 0.95, 1.75, 2.2, BODY),
    Box(0.25, 0.35, 0.7, 2.2, 2.38, TAIL),
)
WORKS = (
    Box(0.0, 0.03, 1.0, 0.0, 1.0, TAIL),
    Box(0.15, 0.18, 1.0, 0.0, 0.9, SECOND),
    Box(0.3, 0.75, 0.8, 0.0, 0.35, BODY),
    Box(0.8, 0.83, 1.0, 0.0, 0.9, SECOND),
    Box(0.97, 1.0, 1.0, 0.0, 1.1, TAIL),
)
BIKE = (
    Box(0.0, 0.30, 0.16, 0.0, 0.56, BLACK),
    Box(0.70, 1.0, 0.16, 0.0, 0.56, BLACK),
    Box(0.20, 0.95, 0.42, 0.34, 0.78, BODY),
    Box(0.97, 1.0, 0.28, 0.58, 0.72, TAIL, only=REAR),
    Box(0.12, 0.28, 0.55, 0.5, 1.02, BODY, 0.2, 0.3, 0.9),
    Box(0.34, 0.62, 0.8, 0.42, 0.84, LEGS),
    Box(0.26, 0.58, 0.95, 0.98, 1.12, SKIN, 0.34, 0.56, 0.7),
    Box(0.46, 0.70, 0.66, 0.80, 1.38, SECOND, 0.48, 0.66, 0.58),
)
BIKE_IN_PONCHO = (
    Box(0.0, 0.30, 0.16, 0.0, 0.56, BLACK),
    Box(0.70, 1.0, 0.16, 0.0, 0.56, BLACK),
    Box(0.20, 0.95, 0.42, 0.34, 0.66, BODY),
    Box(0.97, 1.0, 0.28, 0.58, 0.72, TAIL, only=REAR),
    Box(0.08, 0.92, 1.05, 0.52, 0.98, SECOND, 0.2, 0.84, 0.98),
    Box(0.2, 0.84, 0.98, 0.98, 1.40, SECOND, 0.46, 0.68, 0.55),
)
BIKE_PLAIN = (
    Box(0.0, 1.0, 0.3, 0.0, 0.7, BODY),
    Box(0.36, 0.70, 0.72, 0.45, 1.38, SECOND),
)
HEAD_AT, HEAD_M, HEAD_RADIUS_M = 0.56, 1.52, 0.16
BOXES = {"car": CAR, "bus": BUS, "truck": TRUCK, "emergency": EMERGENCY, "works": WORKS}
BOXES |= {"motorbike": BIKE}
PLAIN = BOXES | {"car": CAR_PLAIN, "motorbike": BIKE_PLAIN}

# Corners of a box: front left, front right, back right, back left; below, then above.
SIDES = ((1, 0, 4, 5), (2, 1, 5, 6), (3, 2, 6, 7), (0, 3, 7, 4), (4, 7, 6, 5))
SHADES = (END_SHADE, SIDE_SHADE, END_SHADE, SIDE_SHADE * 0.92, TOP_SHADE)


@dataclass(frozen=True)
class Figure:
    """One vehicle in the picture. Pixels are in 1/8 (SUBPIXEL_BITS), colours BGR 0 to 255."""

    row: int  # in the array of vehicles
    far_m: float
    shadow: Ints  # (4, 2)
    faces: tuple[tuple[Ints, tuple[float, float, float]], ...]
    head: tuple[float, float, float, tuple[float, float, float]] | None  # x, y, radius, helmet
    lamps: Floats  # (2, 2) pixels of its lamps that face the camera
    lamp_px: float  # how many pixels a metre is there
    towards: bool  # it comes towards the camera: headlamps, not tail lamps


class _View(NamedTuple):
    """The vehicles of one kind that can be seen: rows, camera distance, axes on the ground."""

    rows: NDArray[np.intp]
    far_m: Floats
    forward: Floats  # (n, 2)
    right: Floats


def figures(vehicles: Vehicles, optics: Optics, wet: bool, wade_m: Floats) -> list[Figure]:
    """The vehicles in view, far ones first. `wade_m` is the water's depth at each vehicle."""
    if not len(vehicles):
        return []
    place = np.column_stack([vehicles["x"], vehicles["y"], np.zeros(len(vehicles), np.float32)])
    seen = optics.to_camera(place.astype(np.float32))
    far = seen[:, 2]
    beside = np.abs(seen[:, 0]) < far * (optics.width / 2 / optics.focal_px) + 6.0
    visible = (far > NEAREST_M) & (far < SEEN_M) & beside
    made: list[Figure] = []
    for kind, name in enumerate(KINDS):
        of_kind = visible & (vehicles["kind"] == kind)
        for plain in (False, True):
            chosen = np.flatnonzero(of_kind & ((far > PLAIN_FROM_M) == plain))
            if len(chosen):
                view = _view(vehicles, chosen, far)
                boxes = PLAIN[name] if plain else BOXES[name]
                if name == "motorbike" and wet and not plain:
                    boxes = BIKE_IN_PONCHO
                made += _figures_of(name, vehicles, view, boxes, optics, wet, wade_m)
    return sorted(made, key=lambda f: -f.far_m)


def _view(vehicles: Vehicles, chosen: NDArray[np.intp], far: Floats) -> _View:
    angle = np.radians(vehicles["angle"][chosen])
    forward = np.column_stack([np.sin(angle), np.cos(angle)]).astype(np.float32)
    right = np.column_stack([forward[:, 1], -forward[:, 0]])
    return _View(chosen, far[chosen], forward, right)


def _figures_of(
    name: str,
    vehicles: Vehicles,
    view: _View,
    boxes: tuple[Box, ...],
    optics: Optics,
    wet: bool,
    wade_m: Floats,
) -> Iterator[Figure]:
    """Project all boxes of all vehicles of one kind at once, then hand them out one by one."""
    chosen = vehicles[view.rows]
    corners = np.array([_corners(box) for box in boxes], np.float32)  # (B, 8, 3)
    points = _placed(corners.reshape(-1, 3), chosen, view)
    sunk = np.maximum(points[..., 2], wade_m[view.rows][:, None])
    points[..., 2] = sunk
    seen = optics.to_camera(points)
    pixels = optics.to_pixels(seen).reshape(len(chosen), len(boxes), 8, 2)
    quads = np.ascontiguousarray(pixels[:, :, SIDES, :])  # (n, B, 5, 4, 2)
    ahead = (seen[..., 2].min(axis=1)) > 1.0
    drawn = np.array([[b.only in (None, side) for side in range(len(SIDES))] for b in boxes])
    facing = (_area(quads) > 0.15) & drawn
    colours = _colours(name, chosen, boxes, wet)
    fixed = np.round(quads * (1 << SUBPIXEL_BITS)).astype(np.int32)
    shadow = _fixed(optics.to_pixels(optics.to_camera(_placed(_footprint(name), chosen, view))))
    heads = optics.to_pixels(optics.to_camera(_placed(_head(name), chosen, view)))[:, 0]
    lamps = _lamps(name, chosen, view, optics)
    scale = optics.focal_px / view.far_m
    helmets = _pick(HELMETS, chosen["id"], 5)
    towards = _comes(view, optics)
    for i in np.flatnonzero(ahead):
        shown = np.argwhere(facing[i])
        paint = colours[i].tolist()
        faces = tuple((fixed[i, b, s], tuple(paint[b][s])) for b, s in shown.tolist())
        yield Figure(
            row=int(view.rows[i]),
            far_m=float(view.far_m[i]),
            shadow=shadow[i],
            faces=faces,
            head=_head_of(name, heads[i], float(scale[i]), helmets[i]),
            lamps=lamps[i],
            lamp_px=float(scale[i]),
            towards=bool(towards[i]),
        )


def _head_of(
    name: str, at: Floats, scale: float, helmet: Floats
) -> tuple[float, float, float, tuple[float, float, float]] | None:
    if name != "motorbike":
        return None
    colour = (float(helmet[0]), float(helmet[1]), float(helmet[2]))
    return float(at[0]), float(at[1]), HEAD_RADIUS_M * scale, colour


def _corners(box: Box) -> list[tuple[float, float, float]]:
    """Eight corners: share of length back from the front, share of width right, metres up."""
    front = box.front if box.top_front is None else box.top_front
    back = box.back if box.top_back is None else box.top_back
    low, high = box.wide / 2, (box.wide if box.top_wide is None else box.top_wide) / 2
    return [
        (box.front, -low, box.low),
        (box.front, low, box.low),
        (box.back, low, box.low),
        (box.back, -low, box.low),
        (front, -high, box.high),
        (front, high, box.high),
        (back, high, box.high),
        (back, -high, box.high),
    ]


def _placed(shape: Floats, chosen: Vehicles, view: _View) -> Floats:
    """A shape (k, 3) at every vehicle: (n, k, 3) local metres."""
    back = shape[None, :, 0] * chosen["length"][:, None]
    right = shape[None, :, 1] * chosen["width"][:, None]
    points = np.empty((len(chosen), shape.shape[0], 3), np.float32)
    for axis, name in ((0, "x"), (1, "y")):
        points[..., axis] = (
            chosen[name][:, None]
            - back * view.forward[:, axis, None]
            + right * view.right[:, axis, None]
        )
    points[..., 2] = shape[None, :, 2]
    return points


def _footprint(name: str) -> Floats:
    wide = 0.62 if name != "motorbike" else 0.5
    return np.array(
        [(-0.04, -wide, 0), (-0.04, wide, 0), (1.04, wide, 0), (1.04, -wide, 0)], np.float32
    )


def _head(name: str) -> Floats:
    return np.array([(HEAD_AT, 0.0, HEAD_M)], np.float32)


def _comes(view: _View, optics: Optics) -> NDArray[np.bool_]:
    looking = optics.axes[2, :2]
    comes: NDArray[np.bool_] = (view.forward @ looking) < 0
    return comes


def _lamps(name: str, chosen: Vehicles, view: _View, optics: Optics) -> Floats:
    """Where a vehicle's lamps are that face the camera; a motorbike has both in one place."""
    beside = 0.0 if name == "motorbike" else 0.38
    high = {"motorbike": 0.85, "bus": 0.8, "truck": 0.7}.get(name, 0.65)
    front = np.array([(0.0, -beside, high), (0.0, beside, high)], np.float32)
    back = np.array([(1.0, -beside, high), (1.0, beside, high)], np.float32)
    comes = _comes(view, optics)[:, None, None]
    points = np.where(comes, _placed(front, chosen, view), _placed(back, chosen, view))
    return optics.to_pixels(optics.to_camera(points))


def _area(quads: Floats) -> Floats:
    """Twice the signed area in pixels; positive when the face's outside is seen."""
    across, down = quads[..., 2, :] - quads[..., 0, :], quads[..., 3, :] - quads[..., 1, :]
    area: Floats = across[..., 1] * down[..., 0] - across[..., 0] * down[..., 1]
    return area


def _fixed(pixels: Floats) -> Ints:
    return np.round(pixels * (1 << SUBPIXEL_BITS)).astype(np.int32)


def _colours(name: str, chosen: Vehicles, boxes: tuple[Box, ...], wet: bool) -> Floats:
    """(n, B, 5, 3): every part's colour with the shade of its side."""
    ids = chosen["id"]
    table = np.zeros((len(chosen), 8, 3), np.float32)
    for part, colour in FIXED.items():
        table[:, part] = colour
    table[:, LEGS] = _pick((((70, 58, 48), 3), ((50, 46, 44), 3), ((120, 110, 90), 1)), ids, 3)
    match name:
        case "motorbike":
            table[:, BODY] = _pick(BIKE_PAINTS, ids, 1)
            table[:, SECOND] = _pick(PONCHOS if wet else SHIRTS, ids, 2)
        case "bus":
            table[:, BODY] = _pick(BUS_PAINTS, ids, 1)
            table[:, SECOND] = (222, 226, 224)
        case "truck":
            table[:, BODY] = _pick(TRUCK_PAINTS, ids, 1)
            table[:, SECOND] = _pick((((206, 208, 206), 3), ((90, 120, 60), 1)), ids, 2)
        case "works":
            table[:, BODY], table[:, SECOND] = (90, 110, 120), (40, 130, 240)
        case "emergency":
            table[:, BODY] = (226, 228, 228)
        case _:
            table[:, BODY] = _pick(CAR_PAINTS, ids, 1)
    parts = table[:, [box.colour for box in boxes], :]
    shaded: Floats = parts[:, :, None, :] * np.array(SHADES, np.float32)[None, None, :, None]
    return shaded


def _pick(
    palette: tuple[tuple[tuple[int, int, int], int], ...], ids: NDArray[np.uint32], salt: int
) -> Floats:
    """A colour for each vehicle, always the same one, by weights."""
    wheel = np.array([colour for colour, weight in palette for _ in range(weight)], np.float32)
    mixed = (ids.astype(np.uint64) + np.uint64(salt * 7919)) * np.uint64(2_654_435_761)
    return wheel[((mixed >> np.uint64(12)) % np.uint64(len(wheel))).astype(np.intp)]
