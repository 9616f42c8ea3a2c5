"""Builds what one camera sees without vehicles: road, houses, trees, lamps, heads, and water's bed.

In come a `Network` and the camera's `Optics`; out goes a `Scene`: pictures of the same view by day,
of what shines at night, of what lamps light, and of all that mirrored in the road, with the height
of the ground below the water. Made once for a camera, seeded by its id; `cameras.py` mixes them.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from causeway.site import Camera, RoadSegment, Site
from sims.city import Edge, Network, Points
from sims.optics import Floats, Optics
from sims.painting import Face, Layers, covered, lit_by, paint, paint_mirrored
from sims.street_ground import PAVEMENT_M, ground, point_on, road_surface, samples
from sims.street_walls import SEEN_M, buildings, lamp_places, street_furniture

KERB_M = 0.15  # high
# The bed of the road about its low point: it rises along the road and from the kerbs to the crown.
RISE_ALONG = 0.004
RISE_ACROSS = 0.014
LEVEL_M = 4.0


class Bed(NamedTuple):
    """How high the ground lies above a segment's low point, by pixel; inf off this road."""

    segment: str
    height_m: Floats


class Head(NamedTuple):
    """A signal head that faces the camera."""

    junction: str
    group: int
    x_m: float
    y_m: float


@dataclass(frozen=True)
class Scene:
    """One camera's view without vehicles."""

    direct: Layers
    mirrored: Layers
    road: Floats  # (H, W) share of road surface
    watched: Floats  # (H, W) share of the road that the camera is for
    open: Floats  # (H, W) share of ground that nothing stands before
    walls: Floats  # (H, W) share of houses
    beds: tuple[Bed, ...]
    heads: tuple[Head, ...]
    lamps: Points


def build_scene(site: Site, network: Network, camera: Camera, optics: Optics) -> Scene:
    """Everything that stands still before a camera."""
    random = np.random.default_rng(zlib.crc32(camera.id.encode()))
    near = [e for e in network.edges.values() if _distance_m(e, optics) < SEEN_M]
    watched = [network.edges[e] for e in network.edges_of(camera.segment)]
    lamps = lamp_places(near, optics)
    ground_faces = list(ground(near, network))
    houses = list(buildings(near, network, optics, random))
    tall = sorted(
        (*houses, *street_furniture(near, optics, random)),
        key=lambda faces: -_face_distance_m(faces[0], optics),
    )
    standing = [lit_by(face, lamps) for faces in tall for face in faces]
    return Scene(
        direct=paint(ground_faces, standing, lamps, optics, random),
        mirrored=paint_mirrored(standing, optics),
        road=covered(list(road_surface(near, network)), optics),
        watched=covered(list(road_surface(watched, network)), optics),
        open=1.0 - covered(standing, optics),
        walls=covered([face for house in houses for face in house], optics),
        beds=tuple(_beds(site.segments, network, optics, random)),
        heads=tuple(_heads(near, network, optics)),
        lamps=lamps,
    )


def _heads(near: list[Edge], network: Network, optics: Optics) -> Iterator[Head]:
    """Heads at the kerb of each approach whose drivers look the camera's way."""
    bearing = math.radians(optics.bearing_deg)
    looking = np.array([math.sin(bearing), math.cos(bearing)])
    by_id = {e.id: e for e in near}
    for junction, signals in network.signals.items():
        for group, approach in enumerate(signals.approaches):
            edge = by_id.get(approach or "")
            if edge is None:
                continue
            place, along = point_on(edge.lanes[0].shape, edge.length_m)
            if along @ looking < 0.35 or (place - (optics.x_m, optics.y_m)) @ looking < 8.0:
                continue
            foot = place + np.array([along[1], -along[0]]) * (edge.lanes[0].width_m / 2 + 0.6)
            yield Head(junction, group, float(foot[0]), float(foot[1]))
            across = place - np.array([along[1], -along[0]]) * (edge.width_m - 1.0)
            yield Head(junction, group, float(across[0]), float(across[1]))


def _beds(
    segments: tuple[RoadSegment, ...],
    network: Network,
    optics: Optics,
    random: np.random.Generator,
) -> Iterator[Bed]:
    """The ground's height about each low point that the camera can see from."""
    x, y, reach = optics.ground
    near = reach < 220.0
    for segment in segments:
        line = np.array([network.projection.to_xy(p) for p in segment.line])
        if np.hypot(*(samples(line) - (optics.x_m, optics.y_m)).T).min() > 200.0:
            continue
        height_m = np.full(reach.shape, np.inf, np.float32)
        along_m, beside_m = _along_and_beside(line, x[near], y[near])
        low = np.array(network.projection.to_xy(segment.low_point))
        low_m, _ = _along_and_beside(line, low[:1], low[1:])
        half_m = sum(network.edges[e].width_m for e in network.edges_of(segment.id)) / 2
        ripple = _ripple(x[near], y[near], random)
        rise = RISE_ALONG * np.maximum(np.abs(along_m - low_m[0]) - LEVEL_M, 0)
        rise += RISE_ACROSS * np.maximum(half_m - beside_m, 0)
        rise += np.where(beside_m > half_m, KERB_M + 0.02 * (beside_m - half_m), 0)
        rise[beside_m > half_m + PAVEMENT_M + 2.0] = np.inf
        height_m[near] = np.maximum(rise + ripple, 0)
        yield Bed(segment.id, height_m)


def _along_and_beside(line: Points, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """For each point the distance along a line and the distance from it; it goes on at its ends."""
    best = np.full(x.shape, np.inf, np.float32)
    along_m = np.zeros(x.shape, np.float32)
    start_m = 0.0
    for i, (a, b) in enumerate(itertools.pairwise(line)):
        length_m = float(np.hypot(*(b - a)))
        way = (b - a) / max(length_m, 1e-6)
        at_m = (x - a[0]) * way[0] + (y - a[1]) * way[1]
        low = -30.0 if i == 0 else 0.0
        high = length_m + (30.0 if i == len(line) - 2 else 0.0)
        over_m = np.maximum(np.maximum(low - at_m, at_m - high), 0)
        away_m = np.hypot((x - a[0]) * way[1] - (y - a[1]) * way[0], over_m).astype(np.float32)
        nearer = away_m < best
        best = np.where(nearer, away_m, best)
        along_m = np.where(nearer, start_m + at_m, along_m).astype(np.float32)
        start_m += length_m
    return along_m, best


def _ripple(x: Floats, y: Floats, random: np.random.Generator) -> Floats:
    """Unevenness of a few centimetres, so that puddles have natural shores."""
    height = np.zeros(x.shape, np.float32)
    for metres, rise_m in ((17.0, 0.018), (6.0, 0.012), (2.3, 0.006)):
        turn_x, turn_y = random.uniform(0, 2 * np.pi, 2)
        height += rise_m * np.sin(x / metres + turn_x + 0.7 * np.sin(y / metres / 1.3 + turn_y))
    return height


def _distance_m(edge: Edge, optics: Optics) -> float:
    shape = samples(edge.lanes[0].shape)
    shape = shape if len(shape) else edge.lanes[0].shape
    return float(np.hypot(*(shape - (optics.x_m, optics.y_m)).T).min())


def _face_distance_m(face: Face, optics: Optics) -> float:
    x, y, _ = face.points.mean(axis=0)
    return math.hypot(x - optics.x_m, y - optics.y_m)
