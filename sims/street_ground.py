"""The ground of a street as polygons: pavements, kerbs, asphalt, markings; places along an edge.

In come a network's edges; out go `Face`s in the order of drawing, for `painting.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sims.city import Edge, Network, Points
from sims.optics import Floats
from sims.painting import Colour, Face

PAVEMENT_M = 4.0
ASPHALT: Colour = (92, 90, 88)
PAVEMENT: Colour = (138, 146, 150)
KERB: Colour = (176, 182, 184)
WHITE: Colour = (214, 216, 216)
YELLOW: Colour = (70, 176, 212)


def ground(near: list[Edge], network: Network) -> Iterator[Face]:
    """Pavements, kerbs, asphalt and markings, in the order of drawing."""
    for edge in near:
        yield _strip(edge, -PAVEMENT_M, 0.0, PAVEMENT)
        yield from _tiles(edge)
    for edge in near:
        yield _strip(edge, -0.35, 0.0, KERB)
        yield _strip(edge, -0.04, 0.06, (120, 124, 126))
    yield from road_surface(near, network)
    for edge in near:
        yield _strip(edge, 0.0, 0.5, (84, 84, 84))  # the gutter
    for edge in near:
        yield from _markings(edge, network)


def road_surface(near: list[Edge], network: Network) -> Iterator[Face]:
    """The asphalt of edges and junctions."""
    for edge in near:
        yield _strip(edge, 0.0, edge.width_m, ASPHALT)
    for name in sorted({n for e in near for n in (e.start, e.end)}):
        if (area := network.junction_areas.get(name)) is not None:
            yield Face(_flat(area), ASPHALT)


def _tiles(edge: Edge) -> Iterator[Face]:
    for at_m in np.arange(1.0, edge.length_m, 2.0):
        yield Face(_across(edge, at_m, 0.07, -PAVEMENT_M, -0.35), (122, 130, 134))


def _markings(edge: Edge, network: Network) -> Iterator[Face]:
    yield _strip(edge, 0.35, 0.47, WHITE)
    if edge.id.removesuffix(".back") in network.edges and len(network.of_segment[edge.segment]) > 1:
        yield _strip(edge, edge.width_m - 0.28, edge.width_m - 0.14, YELLOW)
    border_m = 0.0
    for lane in edge.lanes[:-1]:
        border_m += lane.width_m
        for at_m in np.arange(2.0, edge.length_m - 6.0, 7.5):
            yield Face(_piece(edge, at_m, at_m + 3.0, border_m - 0.07, border_m + 0.07), WHITE)
    if edge.end in network.signals:
        yield Face(_across(edge, edge.length_m - 0.5, 0.45, 0.4, edge.width_m - 0.3), WHITE)
        for right_m in np.arange(0.5, edge.width_m - 0.5, 1.0):
            start_m = edge.length_m + 1.2
            yield Face(_piece(edge, start_m, start_m + 3.2, right_m, right_m + 0.5), WHITE)


def _strip(edge: Edge, from_m: float, to_m: float, colour: Colour) -> Face:
    """Along the whole edge, between two distances from its kerb towards the middle of the road."""
    right, left = _border(edge, from_m), _border(edge, to_m)
    return Face(_flat(np.vstack([right, left[::-1]])), colour)


def _border(edge: Edge, from_kerb_m: float) -> Points:
    """The edge's line moved to a distance from its kerb."""
    kerb = edge.lanes[0]
    return _beside(kerb.shape, kerb.width_m / 2 - from_kerb_m)


def _beside(line: Points, right_m: float) -> Points:
    """A line moved to the right of its direction."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    return line + np.column_stack([along[:, 1], -along[:, 0]]) * right_m


def point_on(line: Points, at_m: float) -> tuple[Points, Points]:
    """A place and the direction on a line; beyond its ends it goes straight on."""
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    i = 0
    while i < len(lengths) - 1 and at_m > lengths[i]:
        at_m -= float(lengths[i])
        i += 1
    along = (line[i + 1] - line[i]) / max(float(lengths[i]), 1e-6)
    return line[i] + along * at_m, along


def _piece(edge: Edge, start_m: float, end_m: float, from_m: float, to_m: float) -> Floats:
    """A rectangle on the road between two distances along it and two from the kerb."""
    kerb = edge.lanes[0]
    corners = []
    for at_m, across in ((start_m, (from_m, to_m)), (end_m, (to_m, from_m))):
        place, along = point_on(kerb.shape, at_m)
        right = np.array([along[1], -along[0]])
        corners += [place + right * (kerb.width_m / 2 - d) for d in across]
    return _flat(np.array(corners))


def _across(edge: Edge, at_m: float, width_m: float, from_m: float, to_m: float) -> Floats:
    return _piece(edge, at_m - width_m / 2, at_m + width_m / 2, from_m, to_m)


def _flat(points: Points, z_m: float = 0.0) -> Floats:
    return np.column_stack([points, np.full(len(points), z_m)]).astype(np.float32)


def samples(line: Points) -> Points:
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.arange(0, lengths[-1], 4.0)
    return np.column_stack([np.interp(at, lengths, line[:, i]) for i in (0, 1)])
