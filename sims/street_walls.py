"""What stands along a street as polygons: shophouses, towers, trees, lamp posts, parked motorbikes.

In come a network's edges, the camera's `Optics` and a seeded generator; out go lists of `Face`s,
one list for each thing, for `painting.py`. Nothing is placed on a road or right before the camera.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sims.city import Edge, Network, Points
from sims.optics import Floats, Optics
from sims.painting import LAMP_HEIGHT_M, Colour, Face
from sims.street_ground import PAVEMENT_M, point_on, samples

SEEN_M = 260.0
DETAIL_M = 110.0  # shop windows are drawn up to here
LAMP_EVERY_M = 32.0
LAMPS_SEEN_M = 170.0
TREE_EVERY_M = 14.0
CLEAR_M = 22.0  # nothing tall stands so near to the camera
FLOOR_M = 3.4
FACADES: tuple[Colour, ...] = (
    (190, 214, 224),
    (160, 208, 226),
    (178, 206, 190),
    (196, 190, 220),
    (214, 204, 186),
    (222, 224, 226),
    (150, 180, 206),
    (200, 214, 206),
)
SIGNBOARDS: tuple[Colour, ...] = (
    (40, 40, 200),
    (160, 80, 30),
    (40, 170, 230),
    (60, 140, 50),
    (150, 60, 130),
    (30, 110, 220),
    (210, 210, 214),
)
LEAVES: tuple[Colour, ...] = ((52, 92, 62), (44, 80, 50), (62, 108, 78), (38, 70, 46))


def buildings(
    near: list[Edge], network: Network, optics: Optics, random: np.random.Generator
) -> Iterator[list[Face]]:
    """Rows of narrow shophouses along the pavements, a tower behind them here and there."""
    roads = np.vstack([samples(lane.shape) for e in network.edges.values() for lane in e.lanes])
    roads = roads[np.hypot(*(roads - (optics.x_m, optics.y_m)).T) < SEEN_M + 60]
    for edge, side in _sides(near, network):
        at_m = 2.0
        while at_m < edge.length_m:
            width_m = float(random.uniform(4.0, 8.5))
            tower = random.random() < 0.06
            width_m += 12.0 * tower
            floors = int(random.integers(9, 18) if tower else random.integers(2, 6))
            start, along = point_on(edge.lanes[0].shape, at_m)
            out = np.array([along[1], -along[0]]) * side
            front_m = _to_front_m(edge, side) + (14.0 if tower else float(random.uniform(0, 0.6)))
            corner = start + out * front_m
            gap = random.random() < 0.05
            at_m += width_m + (5.0 if gap else 0.0)
            box = np.array(
                [
                    corner,
                    corner + along * width_m,
                    corner + along * width_m + out * 14,
                    corner + out * 14,
                ]
            )
            far_m = np.hypot(*(box.mean(axis=0) - (optics.x_m, optics.y_m)))
            if far_m < CLEAR_M or not _in_view(box.mean(axis=0), optics):
                continue
            clear_m = np.hypot(*(roads[:, None] - box[None]).transpose(2, 0, 1)).min()
            if clear_m > PAVEMENT_M + 1.0:
                yield list(_house(box, floors, tower, optics, random))


def _sides(near: list[Edge], network: Network) -> Iterator[tuple[Edge, int]]:
    for edge in near:
        yield edge, 1
        if len(network.of_segment[edge.segment]) == 1:
            yield edge, -1


def _to_front_m(edge: Edge, side: int) -> float:
    """From the middle of the kerb lane to the houses' fronts."""
    half_m = edge.lanes[0].width_m / 2
    return half_m + PAVEMENT_M + (edge.width_m - 2 * half_m if side < 0 else 0.0)


def _house(
    box: Points, floors: int, tower: bool, optics: Optics, random: np.random.Generator
) -> Iterator[Face]:
    """The visible walls of a box; its first side is the front."""
    height_m = floors * FLOOR_M
    colour = np.array(FACADES[int(random.integers(len(FACADES)))]) * random.uniform(0.7, 0.95)
    if tower:
        colour = np.array((168, 158, 140)) * random.uniform(0.75, 1.0)
    middle = box.mean(axis=0)
    order = sorted(range(4), key=lambda i: -_side_distance(box, i, optics))
    for i in order:
        a, b = box[i], box[(i + 1) % 4]
        outward = (a + b) / 2 - middle
        if outward @ (np.array([optics.x_m, optics.y_m]) - (a + b) / 2) <= 0:
            continue
        shade = 1.0 if i == 0 else 0.72
        wall = tuple(colour * shade)
        yield Face(_wall(a, b, 0, 1, 0, height_m), (wall[0], wall[1], wall[2]))
        if i != 0:
            yield from _party_wall(a, b, floors, colour * 0.62, random)
        if i == 0 and tower:
            yield from _tower_front(a, b, floors, random)
        elif i == 0:
            far = _side_distance(box, 0, optics) > DETAIL_M
            yield from _front(a, b, floors, random, goods=0 if far else 4)


def _party_wall(
    a: Points, b: Points, floors: int, colour: Points, random: np.random.Generator
) -> Iterator[Face]:
    """Bare brick and plaster, stained by rain, with a small window here and there."""
    stain = (float(colour[0]), float(colour[1]), float(colour[2]))
    for floor in range(floors):
        base_m = floor * FLOOR_M
        yield Face(_wall(a, b, 0, 1, base_m - 0.06, base_m + 0.06), stain)
        for _ in range(2):
            left = float(random.uniform(0.05, 0.85))
            if random.random() < 0.4:
                yield Face(_wall(a, b, left, left + 0.07, base_m + 1.3, base_m + 2.3), (70, 68, 64))
            else:
                drip_m = base_m + FLOOR_M - float(random.uniform(0.6, 2.6))
                yield Face(_wall(a, b, left, left + 0.04, drip_m, base_m + FLOOR_M), stain)


def _side_distance(box: Points, i: int, optics: Optics) -> float:
    middle = (box[i] + box[(i + 1) % 4]) / 2
    return float(np.hypot(*(middle - (optics.x_m, optics.y_m))))


def _wall(a: Points, b: Points, from_: float, to: float, low_m: float, high_m: float) -> Floats:
    """A rectangle on the wall from a to b, in shares of its width and metres of height."""
    left, right = a + (b - a) * from_, a + (b - a) * to
    return np.array(
        [(*left, low_m), (*right, low_m), (*right, high_m), (*left, high_m)], np.float32
    )


def _front(
    a: Points, b: Points, floors: int, random: np.random.Generator, goods: int
) -> Iterator[Face]:
    """A shop or shutter, a signboard, and windows with balconies above."""
    open_ = random.random() < 0.6
    shop: Colour = (58, 62, 66) if open_ else (140, 138, 132)
    warm: Colour = (120, 190, 235) if open_ else (0, 0, 0)
    yield Face(_wall(a, b, 0.06, 0.94, 0.1, 2.9), shop, warm)
    if open_:
        for _ in range(goods):
            left, low = random.uniform(0.08, 0.75), random.uniform(0.1, 1.6)
            colour = SIGNBOARDS[int(random.integers(len(SIGNBOARDS)))]
            glow = (colour[0] * 0.6, colour[1] * 0.6, colour[2] * 0.6)
            yield Face(_wall(a, b, left, left + 0.15, low, low + 0.7), colour, glow)
    if random.random() < 0.75:
        sign = SIGNBOARDS[int(random.integers(len(SIGNBOARDS)))]
        lit = random.random() < 0.7
        yield Face(_wall(a, b, 0.02, 0.98, 3.0, 4.0), sign, sign if lit else (0, 0, 0))
        yield Face(_wall(a, b, 0.15, 0.8, 3.35, 3.7), (226, 228, 230), sign if lit else (0, 0, 0))
    for floor in range(1, floors):
        base_m = floor * FLOOR_M
        yield Face(_wall(a, b, 0, 1, base_m + 0.55, base_m + 0.72), (206, 208, 210))
        count = 1 + (random.random() < 0.6)
        for i in range(count):
            left = 0.12 + i * 0.78 / count
            glow = (110, 180, 230) if random.random() < 0.3 else (0, 0, 0)
            window = _wall(a, b, left, left + 0.62 / count, base_m + 0.9, base_m + 2.7)
            yield Face(window, (86, 80, 74), glow)
        if random.random() < 0.6:
            yield Face(_wall(a, b, 0.08, 0.92, base_m + 0.72, base_m + 1.25), (112, 112, 110))
    yield Face(_wall(a, b, 0, 1, floors * FLOOR_M - 0.25, floors * FLOOR_M), (120, 126, 130))


def _tower_front(a: Points, b: Points, floors: int, random: np.random.Generator) -> Iterator[Face]:
    for floor in range(floors):
        base_m = floor * FLOOR_M
        for i in range(5):
            left = 0.03 + i * 0.195
            glow = (150, 200, 220) if random.random() < 0.35 else (0, 0, 0)
            pane = _wall(a, b, left, left + 0.165, base_m + 0.6, base_m + 2.9)
            yield Face(pane, (128, 112, 92), glow)


def lamp_places(near: list[Edge], optics: Optics) -> Points:
    places = []
    for edge in near:
        for at_m in np.arange(12.0, edge.length_m, LAMP_EVERY_M):
            place, along = point_on(edge.lanes[0].shape, at_m)
            out_m = edge.lanes[0].width_m / 2 - 1.2  # the lamp hangs above the road
            places.append(place + np.array([along[1], -along[0]]) * out_m)
    found: Points = np.array(places).reshape(-1, 2)
    near_by: Points = found[np.hypot(*(found - (optics.x_m, optics.y_m)).T) < LAMPS_SEEN_M]
    return near_by


def street_furniture(
    near: list[Edge], optics: Optics, random: np.random.Generator
) -> Iterator[list[Face]]:
    for edge in near:
        for at_m in np.arange(6.0, edge.length_m, TREE_EVERY_M):
            kerb, along = point_on(edge.lanes[0].shape, at_m + float(random.uniform(-2, 2)))
            out = np.array([along[1], -along[0]])
            place = kerb + out * (edge.lanes[0].width_m / 2 + 1.6)
            far_m = float(np.hypot(*(place - (optics.x_m, optics.y_m))))
            if not _in_view(place, optics):
                continue
            stands = random.random() < 0.75
            if stands and CLEAR_M < far_m < 200 and not _before_the_road(place, optics):
                yield list(_tree(place, optics, random))
            if random.random() < 0.4 and 8 < far_m < 120:
                yield list(_parked_bikes(place + out * 1.1, along, random))
        for at_m in np.arange(12.0, edge.length_m, LAMP_EVERY_M):
            place, along = point_on(edge.lanes[0].shape, at_m)
            out = np.array([along[1], -along[0]])
            foot = place + out * (edge.lanes[0].width_m / 2 + 0.7)
            far_m = float(np.hypot(*(foot - (optics.x_m, optics.y_m))))
            if 12.0 < far_m < LAMPS_SEEN_M and _in_view(foot, optics):
                yield list(_lamp_post(foot, place + out * 0.45, optics))


def _billboard(foot: Points, optics: Optics) -> Points:
    """The unit vector to the right, as the camera sees a place."""
    towards = foot - (optics.x_m, optics.y_m)
    towards = towards / max(float(np.hypot(*towards)), 1e-6)
    return np.array([towards[1], -towards[0]])


def _post(foot: Points, width_m: float, low_m: float, high_m: float, optics: Optics) -> Floats:
    half = _billboard(foot, optics) * width_m / 2
    return _wall(foot - half, foot + half, 0, 1, low_m, high_m)


def _lamp_post(foot: Points, head: Points, optics: Optics) -> Iterator[Face]:
    yield Face(_post(foot, 0.18, 0, LAMP_HEIGHT_M, optics), (112, 116, 118))
    arm = np.array(
        [
            (*foot, LAMP_HEIGHT_M - 0.1),
            (*head, LAMP_HEIGHT_M + 0.1),
            (*head, LAMP_HEIGHT_M + 0.25),
            (*foot, LAMP_HEIGHT_M + 0.1),
        ],
        np.float32,
    )
    yield Face(arm, (112, 116, 118))
    yield Face(_round(head, LAMP_HEIGHT_M + 0.1, 0.28, optics), (200, 204, 206), (205, 240, 255))


def _tree(place: Points, optics: Optics, random: np.random.Generator) -> Iterator[Face]:
    height_m = float(random.uniform(7.0, 12.0))
    trunk: Colour = (78, 92, 104)
    yield Face(_post(place, 0.32, 0, height_m * 0.62, optics), trunk)
    near = np.hypot(*(place - (optics.x_m, optics.y_m))) < DETAIL_M
    blobs = 120 if near else 18
    for i in range(blobs):
        lift = i / blobs  # from the shaded inside to the leaves that see the sky
        spread = random.normal(0, 1, 2) * height_m * 0.13
        z_m = height_m * (0.55 + 0.42 * float(random.beta(2, 2)) + 0.06 * lift)
        leaf = np.array(LEAVES[int(random.integers(len(LEAVES)))])
        leaf = leaf * (0.5 + 0.45 * lift + 0.35 * (z_m / height_m - 0.55))
        size = float(random.uniform(0.10, 0.17)) * (1.0 - 0.72 * lift**0.5 if near else 1.0)
        blob = _round(place + spread, z_m, height_m * size, optics)
        yield Face(blob, (leaf[0], leaf[1], leaf[2]))


def _round(place: Points, z_m: float, radius_m: float, optics: Optics) -> Floats:
    turn = np.linspace(0, 2 * np.pi, 11)[:-1]
    right = _billboard(place, optics)
    flat = place + np.cos(turn)[:, None] * right * radius_m
    return np.column_stack([flat, z_m + np.sin(turn) * radius_m]).astype(np.float32)


def _parked_bikes(place: Points, along: Points, random: np.random.Generator) -> Iterator[Face]:
    """Motorbikes in a row on the pavement."""
    out = np.array([along[1], -along[0]])
    for i in range(int(random.integers(3, 7))):
        at = place + along * i * 0.75
        grey = float(random.uniform(25, 70))
        body = SIGNBOARDS[int(random.integers(len(SIGNBOARDS)))]
        yield Face(_wall(at - out * 0.9, at + out * 0.9, 0, 1, 0.15, 0.65), (grey, grey, grey))
        yield Face(
            _wall(at - out * 0.5, at + out * 0.6, 0, 1, 0.5, 0.95),
            (body[0] * 0.6, body[1] * 0.6, body[2] * 0.6),
        )


def _in_view(place: Points, optics: Optics) -> bool:
    """Whether something as large as a house at a place can be in the picture."""
    right, _, forward = optics.to_camera(np.array([*place, 0.0], np.float32))
    return bool(forward > -10.0 and abs(right) < 25.0 + 0.7 * max(forward, 0.0))


def _before_the_road(place: Points, optics: Optics) -> bool:
    """Whether a tree there would hide what the camera is for."""
    right, _, forward = optics.to_camera(np.array([*place, 0.0], np.float32))
    return bool(0 < forward < 95.0 and abs(right) < 3.5 + 0.13 * forward)
