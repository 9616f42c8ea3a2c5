"""Reads the junctions of a site as layouts: lanes, movements, stages, and who sends them traffic.

A site knows segments with their lanes and signal groups that stand at segments, no lane marking.
So the usual rule of the road counts: through from every lane, right from the kerb lane, left from
the inner lane; where there is no through, the lanes between serve both turns. A left turn lets
oncoming traffic pass where both are green. Each layout is checked whole; of a junction that cannot
be laid out the reason is kept.

What is between two junctions is one segment here: where roads part or join between them without a
signal, nothing is known of who comes that way until the tracker sees them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from causeway.site import Junction, LonLat, RoadSegment, Site, apart_m, near
from control.signals.layout import (
    GREEN,
    PERMISSIVE,
    RED,
    Lane,
    Layout,
    LayoutError,
    Movement,
    Upstream,
    checked,
)
from control.signals.observed import VIEW_M

THROUGH_DEG = 45.0  # a turn of more than this is none
THROUGH, RIGHT, LEFT = 0, 1, 2  # in the order of who goes first
SIDE_DEG = 0.5  # of an arm, between who comes and who leaves: only their order counts


class Laid(NamedTuple):
    """All junctions of a site; `unusable` gives the reason for those without a layout."""

    layouts: dict[str, Layout]
    upstream: dict[str, tuple[Upstream, ...]]
    unusable: dict[str, str]


class _Approach(NamedTuple):
    """A segment towards a junction. Headings in degrees counter-clockwise from east."""

    segment: RoadSegment
    heading_deg: float
    group: str


class _Way(NamedTuple):
    """From one lane of an approach into an exit segment."""

    approach: _Approach
    lane: int  # from 0 at the kerb
    exit: str
    kind: int
    turn_deg: float  # left is above 0
    exit_deg: float


def lay_out(site: Site) -> Laid:
    """Every junction of a site."""
    layouts: dict[str, Layout] = {}
    unusable: dict[str, str] = {}
    for junction in site.junctions:
        try:
            layouts[junction.id] = checked(_layout(junction, site))
        except LayoutError as error:
            unusable[junction.id] = error.why
    upstream = {id_: tuple(_upstream(layout, layouts, site)) for id_, layout in layouts.items()}
    return Laid(layouts, upstream, unusable)


def lane_id(segment: str, lane: int) -> str:
    """The name of a stop-line lane in a layout; lanes count from 1 at the kerb."""
    return f"{segment}/{lane}"


def _layout(junction: Junction, site: Site) -> Layout:
    exits = dict(_exits(junction, site))
    approaches = [_approach(junction, site, group.id) for group in junction.groups]
    ways = [way for approach in approaches for way in _ways(approach, exits)]
    lanes = [(a, n) for a in approaches for n in range(a.segment.lanes)]
    lane_of = {(a.segment.id, n): i for i, (a, n) in enumerate(lanes)}
    segments = {s.id: s for s in site.segments}
    exit_of = {id_: i for i, id_ in enumerate(exits)}
    crosses = [[o for o, other in enumerate(ways) if _cross(way, other)] for way in ways]
    first = [(way.kind, abs(way.turn_deg), number) for number, way in enumerate(ways)]
    yields = [[o for o in crosses[m] if first[o] < first[m]] for m in range(len(ways))]
    green = [frozenset(stage.green) for stage in junction.stages]
    return Layout(
        id=junction.id,
        lanes=tuple(
            Lane(lane_id(a.segment.id, n + 1), length_m(a.segment), speed_m_s(a.segment))
            for a, n in lanes
        ),
        exits=tuple(_exit_lane(segments[id_]) for id_ in exits),
        movements=tuple(
            Movement(
                lane_of[way.approach.segment.id, way.lane],
                exit_of[way.exit],
                number,
                tuple(yields[number]),
                tuple(crosses[number]),
            )
            for number, way in enumerate(ways)
        ),
        stages=tuple(_stage(groups, ways, yields) for groups in green),
        yellow_s=junction.yellow_s + junction.all_red_s,
        min_green_s=junction.min_green_s,
        max_green_s=junction.max_green_s,
    )


def _stage(green: frozenset[str], ways: list[_Way], yields: list[list[int]]) -> str:
    """One aspect for each way: who is green, and lets others that are green pass, yields."""
    shown = [way.approach.group in green for way in ways]
    return "".join(
        RED if not shown[m] else PERMISSIVE if any(shown[o] for o in yields[m]) else GREEN
        for m in range(len(ways))
    )


def length_m(segment: RoadSegment) -> float:
    """Along its line."""
    return sum(apart_m(a, b) for a, b in zip(segment.line, segment.line[1:], strict=False))


def speed_m_s(segment: RoadSegment) -> float:
    """Its limit."""
    return segment.speed_limit_km_h / 3.6


def _exit_lane(segment: RoadSegment) -> Lane:
    """All lanes of a road that leads away, as far as it is seen, as one: it is as long as they."""
    return Lane(segment.id, min(VIEW_M, length_m(segment)) * segment.lanes, speed_m_s(segment))


def _approach(junction: Junction, site: Site, group: str) -> _Approach:
    name = next(g.segment for g in junction.groups if g.id == group)
    if name is None:
        raise LayoutError(junction.id, f"group {group} stands at no segment")
    segment = next(s for s in site.segments if s.id == name)
    line = segment.line
    if near(line[-1], junction.at):
        return _Approach(segment, _heading_deg(line[-2], line[-1]), group)
    if near(line[0], junction.at) and not segment.one_way:
        return _Approach(segment, _heading_deg(line[1], line[0]), group)
    raise LayoutError(junction.id, f"segment {name} of group {group} does not lead to it")


def _exits(junction: Junction, site: Site) -> Iterator[tuple[str, float]]:
    """Segments by which one can leave, with their headings."""
    for segment in site.segments:
        line = segment.line
        if near(line[0], junction.at):
            yield segment.id, _heading_deg(line[0], line[1])
        elif near(line[-1], junction.at) and not segment.one_way:
            yield segment.id, _heading_deg(line[-1], line[-2])


def _heading_deg(a: LonLat, b: LonLat) -> float:
    east = (b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.degrees(math.atan2(b.lat - a.lat, east))


def _ways(approach: _Approach, exits: dict[str, float]) -> Iterator[_Way]:
    turns = {
        id_: (heading - approach.heading_deg + 180.0) % 360.0 - 180.0
        for id_, heading in exits.items()
        if id_ != approach.segment.id
    }
    straight = min((abs(turn) for turn in turns.values()), default=180.0)
    ahead = next((t for t in turns.values() if abs(t) == straight <= THROUGH_DEG), None)
    kinds = {
        id_: THROUGH if turn == ahead else LEFT if turn > (ahead or 0.0) else RIGHT
        for id_, turn in turns.items()
    }
    for lane, (id_, kind) in product(range(approach.segment.lanes), kinds.items()):
        if _serves(lane, approach.segment.lanes, kind, frozenset(kinds.values())):
            yield _Way(approach, lane, id_, kind, turns[id_], exits[id_])


def _serves(lane: int, lanes: int, kind: int, kinds: frozenset[int]) -> bool:
    """Whether a lane leads that way."""
    if kind == THROUGH or len(kinds) == 1:
        return True
    at_its_side = lane == (0 if kind == RIGHT else lanes - 1)
    between = THROUGH not in kinds and 0 < lane < lanes - 1
    return at_its_side or between


def _cross(one: _Way, other: _Way) -> bool:
    """Whether two ways share a piece of road, as chords of a circle around the junction.

    Traffic keeps right: who comes in is on the counter-clockwise side of an arm, as seen from the
    middle, who leaves on the other side.
    """
    if one.approach.group == other.approach.group:
        return False
    if one.exit == other.exit:
        return True
    start, end = _ends_deg(one)
    between = [0.0 < (p - start) % 360.0 < (end - start) % 360.0 for p in _ends_deg(other)]
    return between[0] != between[1]


def _ends_deg(way: _Way) -> tuple[float, float]:
    return way.approach.heading_deg + 180.0 + SIDE_DEG, way.exit_deg - SIDE_DEG


def _upstream(layout: Layout, layouts: dict[str, Layout], site: Site) -> Iterator[Upstream]:
    segments = {s.id: s for s in site.segments}
    approaches: dict[str, list[int]] = {}
    for number, lane in enumerate(layout.lanes):
        approaches.setdefault(lane.id.rpartition("/")[0], []).append(number)
    for name, lanes in approaches.items():
        for other in layouts.values():
            for number, movement in enumerate(other.movements):
                if other.id != layout.id and other.exits[movement.exit].id == name:
                    segment = segments[name]
                    yield Upstream(
                        other.id, number, length_m(segment), speed_m_s(segment), tuple(lanes)
                    )
