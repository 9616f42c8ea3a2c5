"""Builds the SUMO road network of a site: `build_network(site, workdir)`.

In comes the checked Site; out go a `.net.xml` in `workdir` (made once for each site hash) and a
`Network`: the same roads as arrays in local metres, and for each signalised junction which of
SUMO's controlled links belongs to which of the site's signal groups. `traffic.py` drives on it,
`cameras.py` draws it.

Laws of this file:
1. Local metres are x east, y north of `site.centre`; SUMO's coordinates are the same ones.
2. Edge `SEG` runs along the segment's line, edge `SEG.back` against it. Lane 1 is at the kerb.
3. A site that cannot be driven on is refused whole, with every fault found.
"""

from __future__ import annotations

import itertools
import math
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from sumo import SUMO_HOME

from causeway.site import Junction, LonLat, RoadSegment, Site, Stage

LAYOUT = 3  # part of the cache's name: raise it when the same site would give another network
EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG
JOIN_M = 1.0  # ends closer than this are one place
LANE_WIDTH_M = 3.3  # TCVN 13592:2022 asks 3.25 to 3.5 m on urban main roads
SEGMENT_MIN_M = 5.0
PRIORITY = {"expressway": 4, "primary": 3, "secondary": 2, "tertiary": 1}
BACK = ".back"
CROSSES_ONCOMING = frozenset("lLt")  # SUMO's directions left, partly left, turn around
RIGHT, STRAIGHT = frozenset("rR"), "s"
NETCONVERT_TIMEOUT_S = 120
PAVEMENT_M = 2.0
CROSSING_M = 4.0  # wide
PAVED = (
    *("--sidewalks.guess", "true", "--default.sidewalk-width", str(PAVEMENT_M)),
    *("--sidewalks.guess.max-speed", "40", "--walkingareas", "true"),
)
GUESSED = ("--crossings.guess", "true")

Points = NDArray[np.float64]  # (n, 2) local metres


class CityUnusable(Exception):
    """A site that no traffic can drive on; `faults` says all that is wrong with it."""

    def __init__(self, site: str, faults: list[str]) -> None:
        self.site = site
        self.faults = faults
        super().__init__(f"site {site}: {len(faults)} fault(s)\n" + "\n".join(faults))


@dataclass(frozen=True)
class Projection:
    """Equirectangular around a centre: exact to a few centimetres over a district."""

    centre: LonLat

    def to_xy(self, place: LonLat) -> tuple[float, float]:
        """Degrees to local metres."""
        per_degree = math.radians(1.0) * EARTH_RADIUS_M
        east = (place.lon - self.centre.lon) * math.cos(math.radians(self.centre.lat))
        return east * per_degree, (place.lat - self.centre.lat) * per_degree

    def to_lonlat(self, x_m: float, y_m: float) -> LonLat:
        """Local metres to degrees."""
        per_degree = math.radians(1.0) * EARTH_RADIUS_M
        lon = x_m / per_degree / math.cos(math.radians(self.centre.lat))
        return LonLat(self.centre.lon + lon, self.centre.lat + y_m / per_degree)


class Lane(NamedTuple):
    """A lane; `shape` is its middle, from start to stop line."""

    id: str
    width_m: float
    length_m: float
    shape: Points


@dataclass(frozen=True)
class Edge:
    """One direction of a segment. `lanes[0]` is at the kerb."""

    id: str
    segment: str
    start: str
    end: str
    speed_m_s: float
    lanes: tuple[Lane, ...]

    @property
    def width_m(self) -> float:
        return sum(lane.width_m for lane in self.lanes)

    @property
    def length_m(self) -> float:
        return self.lanes[0].length_m


class Link(NamedTuple):
    """One controlled movement through a junction: what it shows is decided by `group`.

    A crossing has no group: pedestrians go where no vehicle goes straight on over it.
    """

    group: int | None  # its place in the junction's groups; None: no head, it gives way
    crosses_oncoming: bool
    unlit: str  # SUMO's letter when the signals are off: O goes first, o gives way
    on_red: bool = False  # a right turn with a supplementary lamp: it may go on red, and gives way
    turns: bool = True
    roads: frozenset[str] = frozenset()  # the edges from and to which it leads, or which it crosses
    walked: bool = False


@dataclass(frozen=True)
class Signals:
    """A junction's controlled links in SUMO's order."""

    groups: tuple[str, ...]
    approaches: tuple[str | None, ...]  # the edge that each group stands at
    links: tuple[Link, ...]

    def stage(self, stage: Stage) -> str:
        """SUMO's state while a stage is green."""
        return self.state("".join("G" if g in stage.green else "r" for g in self.groups))

    def state(self, aspects: str) -> str:
        """SUMO's state for one letter a group (G green, y yellow, r red, o off or flashing).

        A left turn gives way (g) as soon as another approach is green beside its own. A right turn
        with a lamp of its own goes on red (s), after a stop.
        """
        if len(aspects) != len(self.groups) or not set(aspects) <= set("Gyro"):
            raise ValueError(f"aspects {aspects!r}: expected {len(self.groups)} letters of G y r o")
        shared = aspects.count("G") > 1
        letters = []
        for link in self.links:
            aspect = "o" if link.group is None else aspects[link.group]
            if aspect == "o":
                aspect = link.unlit
            elif aspect == "G" and shared and link.crosses_oncoming:
                aspect = "g"
            elif aspect == "r" and link.on_red:
                aspect = "s"
            letters.append(aspect)
        if "o" not in aspects:
            self._let_walk(letters, set(aspects) <= set("Gr"))
        return "".join(letters)

    def _let_walk(self, letters: list[str], green_only: bool) -> None:
        """Green for the crossings that nobody drives straight over; who turns over them yields.

        None while anybody still has yellow.
        """
        green = [i for i, link in enumerate(self.links) if not link.walked and letters[i] == "G"]
        for i, link in enumerate(self.links):
            if not link.walked:
                continue
            over = [other for other in green if link.roads & self.links[other].roads]
            free = green_only and all(self.links[other].turns for other in over)
            letters[i] = "G" if free else "r"
            for other in over if free else ():
                letters[other] = "g"


@dataclass(frozen=True)
class Network:
    """A site's roads as SUMO has them."""

    file: Path
    projection: Projection
    edges: dict[str, Edge]
    signals: dict[str, Signals]
    junction_areas: dict[str, Points]
    entries: tuple[str, ...]  # edges on which traffic enters the district
    exits: tuple[str, ...]
    of_segment: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def edges_of(self, segment: str) -> tuple[str, ...]:
        """Both directions of a segment, or the one direction that `SEG.back` names."""
        return self.of_segment.get(segment) or ((segment,) if segment in self.edges else ())


def build_network(site: Site, workdir: Path, walked: bool = False) -> Network:
    """The network of a site, from `workdir` if it was built there before; raises CityUnusable.

    `walked`: with pavements along its roads, and crossings at its junctions.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    plan = _Plan(site)
    faults = [*plan.faults(), *_unreachable_groups(plan)]
    if faults:
        raise CityUnusable(site.id, faults)
    kind = "-walked" if walked else ""
    file = workdir / f"{site.id}-{site.hash}-{LAYOUT}{kind}.net.xml"
    if not file.exists():
        _convert(site.id, plan, file, walked)
    return _read(file, plan)


class _Plan:
    """The site's segments joined at their ends: nodes, and an edge for each direction."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.projection = Projection(site.centre)
        self.nodes: dict[str, tuple[float, float]] = {}
        self.junctions: dict[str, Junction] = {j.id: j for j in site.junctions}
        self._cells: dict[tuple[int, int], list[str]] = {}
        for junction in site.junctions:
            self._place(junction.at, junction.id)
        self.edges: dict[str, tuple[str, str, RoadSegment, list[tuple[float, float]]]] = {}
        for segment in site.segments:
            start, end = self._place(segment.line[0]), self._place(segment.line[-1])
            inner = [self.projection.to_xy(p) for p in segment.line[1:-1]]
            self.edges[segment.id] = (start, end, segment, inner)
            if not segment.one_way:
                self.edges[segment.id + BACK] = (end, start, segment, inner[::-1])

    def _place(self, at: LonLat, name: str | None = None) -> str:
        """The node at a place: one that is there, or a new one."""
        x, y = self.projection.to_xy(at)
        column, row = math.floor(x / JOIN_M), math.floor(y / JOIN_M)
        near = [
            node
            for i in (column - 1, column, column + 1)
            for j in (row - 1, row, row + 1)
            for node in self._cells.get((i, j), ())
            if math.dist(self.nodes[node], (x, y)) <= JOIN_M
        ]
        if near and name is None:
            return min(near, key=lambda node: math.dist(self.nodes[node], (x, y)))
        name = name or f"at-{len(self.nodes)}"
        self.nodes[name] = (x, y)
        self._cells.setdefault((column, row), []).append(name)
        return name

    def faults(self) -> Iterator[str]:
        """What SUMO could not drive on."""
        if not self.site.segments:
            yield "no [[segment]]: expected at least one road"
        for id_, (start, end, segment, inner) in self.edges.items():
            points = [self.nodes[start], *inner, self.nodes[end]]
            length_m = sum(math.dist(a, b) for a, b in itertools.pairwise(points))
            if start == end:
                yield f"{id_}: begins and ends at {start}; expected two places"
            elif length_m < SEGMENT_MIN_M:
                yield f"{id_}: {length_m:.1f} m long; expected at least {SEGMENT_MIN_M} m"
            if segment.lanes < 1 or segment.speed_limit_km_h <= 0:
                yield f"{id_}: {segment.lanes} lanes at {segment.speed_limit_km_h} km/h"

    def incoming(self, node: str) -> list[str]:
        return [id_ for id_, (_, end, _, _) in self.edges.items() if end == node]

    def fringe(self) -> set[str]:
        """Places where only one segment ends."""
        ends: dict[str, set[str]] = {}
        for start, end, segment, _ in self.edges.values():
            ends.setdefault(start, set()).add(segment.id)
            ends.setdefault(end, set()).add(segment.id)
        return {n for n, ids in ends.items() if len(ids) == 1 and n not in self.junctions}

    def approach(self, junction: Junction, segment: str | None) -> str | None:
        """The edge by which a segment leads to a junction."""
        for id_ in self.incoming(junction.id):
            if self.edges[id_][2].id == segment:
                return id_
        return None


def _unreachable_groups(plan: _Plan) -> Iterator[str]:
    for junction in plan.junctions.values():
        incoming = {plan.edges[e][2].id for e in plan.incoming(junction.id)}
        if not incoming:
            yield f"{junction.id}: no segment leads to it (ends within {JOIN_M} m of its place)"
            continue
        taken: dict[str, str] = {}
        for group in junction.groups:
            if group.segment is None:
                continue
            if group.segment not in incoming:
                expected = ", ".join(sorted(incoming))
                yield (
                    f"{junction.id}: group {group.id!r} stands at {group.segment!r}, which does "
                    f"not lead to it; expected one of {expected}"
                )
            elif group.segment in taken:
                yield (
                    f"{junction.id}: groups {taken[group.segment]!r} and {group.id!r} both stand "
                    f"at {group.segment!r}; expected one group for an approach"
                )
            taken[group.segment] = group.id


def _convert(site: str, plan: _Plan, file: Path, walked: bool) -> None:
    """Run netconvert on the plan; the file appears whole or not at all.

    Crossings are guessed, and those kept at which a stage lets somebody walk. Netconvert cannot
    take a guessed one out again (1.28): the others are listed, and the network is made anew.
    """
    stem = file.with_suffix("").with_suffix("")
    nodes, edges = stem.with_suffix(".nod.xml"), stem.with_suffix(".edg.xml")
    made = stem.with_suffix(".made.xml")
    _write(nodes, "nodes", "node", _node_rows(plan))
    _write(edges, "edges", "edge", _edge_rows(plan))
    files = ["--node-files", str(nodes), "--edge-files", str(edges), "--output-file", str(made)]
    _netconvert(site, [*files, *((*PAVED, *GUESSED) if walked else ())], made)
    if walked:
        crossings = stem.with_suffix(".con.xml")
        rows = _crossing_rows(plan, ElementTree.parse(made).getroot())
        _write(crossings, "connections", "crossing", rows)
        _netconvert(site, [*files, *PAVED, "--connection-files", str(crossings)], made)
    made.replace(file)


def _crossing_rows(plan: _Plan, tree: ElementTree.Element) -> Iterator[dict[str, str]]:
    """The crossings that have green in some stage, or no signal."""
    signal_of = {
        connection.attrib["to"]: (connection.attrib["tl"], int(connection.attrib["linkIndex"]))
        for connection in tree.iterfind("connection")
        if "tl" in connection.attrib
    }
    states = {id_: _states(junction, tree, plan) for id_, junction in plan.junctions.items()}
    for edge in tree.iterfind("edge"):
        if edge.get("function") != "crossing":
            continue
        id_ = edge.attrib["id"]
        junction, place = signal_of.get(id_, ("", 0))
        if not junction or any(state[place] == "G" for state in states[junction]):
            node = id_[1:].rpartition("_c")[0]
            yield {"node": node, "edges": edge.attrib["crossingEdges"], "width": str(CROSSING_M)}


def _states(junction: Junction, tree: ElementTree.Element, plan: _Plan) -> list[str]:
    signals = _signals(junction, tree, plan)
    return [signals.stage(stage) for stage in junction.stages]


def _netconvert(site: str, files: list[str], made: Path) -> None:
    command = [
        str(Path(SUMO_HOME) / "bin" / "netconvert"),
        *files,
        *("--offset.disable-normalization", "true", "--no-turnarounds", "true"),
        *("--tls.default-type", "static", "--default.lanewidth", str(LANE_WIDTH_M)),
        *("--junctions.corner-detail", "5", "--no-warnings", "true"),
        *("--default.junctions.radius", "6", "--xml-validation", "never"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=NETCONVERT_TIMEOUT_S, check=False
    )
    if done.returncode != 0 or not made.exists():
        raise CityUnusable(site, [f"netconvert: {done.stderr.strip() or done.returncode}"])


def _node_rows(plan: _Plan) -> Iterator[dict[str, str]]:
    for id_, (x, y) in plan.nodes.items():
        row = {"id": id_, "x": f"{x:.2f}", "y": f"{y:.2f}", "type": "priority"}
        if id_ in plan.junctions:
            row |= {"type": "traffic_light", "tl": id_}
        yield row


def _edge_rows(plan: _Plan) -> Iterator[dict[str, str]]:
    for id_, (start, end, segment, inner) in plan.edges.items():
        points = [plan.nodes[start], *inner, plan.nodes[end]]
        yield {
            "id": id_,
            "from": start,
            "to": end,
            "numLanes": str(segment.lanes),
            "speed": f"{segment.speed_limit_km_h / 3.6:.2f}",
            "priority": str(PRIORITY[segment.road_class]),
            "shape": " ".join(f"{x:.2f},{y:.2f}" for x, y in points),
            "spreadType": "center" if segment.one_way else "right",
        }


def _write(file: Path, root: str, row: str, rows: Iterable[Mapping[str, str]]) -> None:
    tree = ElementTree.Element(root)
    for attributes in rows:
        ElementTree.SubElement(tree, row, dict(attributes))
    ElementTree.ElementTree(tree).write(file, encoding="utf-8", xml_declaration=True)


def _read(file: Path, plan: _Plan) -> Network:
    tree = ElementTree.parse(file).getroot()
    edges = {
        id_: _edge(id_, element, plan)
        for element in tree.iterfind("edge")
        if (id_ := element.attrib["id"]) in plan.edges
    }
    fringe = plan.fringe()
    of_segment: dict[str, tuple[str, ...]] = {}
    for id_, edge in edges.items():
        of_segment[edge.segment] = (*of_segment.get(edge.segment, ()), id_)
    return Network(
        file=file,
        projection=plan.projection,
        edges=edges,
        signals={j.id: _signals(j, tree, plan) for j in plan.junctions.values()},
        junction_areas={
            e.attrib["id"]: _points(e.attrib["shape"])
            for e in tree.iterfind("junction")
            if e.attrib.get("type") != "internal" and e.attrib.get("shape")
        },
        entries=tuple(id_ for id_, e in edges.items() if e.start in fringe),
        exits=tuple(id_ for id_, e in edges.items() if e.end in fringe),
        of_segment=of_segment,
    )


def _edge(id_: str, element: ElementTree.Element, plan: _Plan) -> Edge:
    start, end, segment, _ = plan.edges[id_]
    lanes = tuple(
        Lane(
            lane.attrib["id"],
            float(lane.attrib.get("width", LANE_WIDTH_M)),
            float(lane.attrib["length"]),
            _points(lane.attrib["shape"]),
        )
        for lane in element.iterfind("lane")
        if lane.get("allow") != "pedestrian"
    )
    return Edge(id_, segment.id, start, end, segment.speed_limit_km_h / 3.6, lanes)


def _signals(junction: Junction, tree: ElementTree.Element, plan: _Plan) -> Signals:
    approaches = tuple(plan.approach(junction, g.segment) for g in junction.groups)
    group_of = {edge: i for i, edge in enumerate(approaches) if edge is not None}
    on_red = {edge for edge, g in zip(approaches, junction.groups, strict=True) if g.right_on_red}
    crossed = _crossed(tree)
    links: dict[int, Link] = {}
    for connection in tree.iterfind("connection"):
        if connection.get("tl") == junction.id:
            to = connection.attrib["to"]
            links[int(connection.attrib["linkIndex"])] = Link(
                group_of.get(connection.attrib["from"]),
                connection.attrib["dir"] in CROSSES_ONCOMING,
                "O" if connection.attrib["state"] in "MO" else "o",
                connection.attrib["dir"] in RIGHT and connection.attrib["from"] in on_red,
                connection.attrib["dir"] != STRAIGHT,
                crossed.get(to, frozenset((connection.attrib["from"], to))),
                to in crossed,
            )
    last = max(links, default=-1)
    unused = Link(None, False, "o")
    ordered = tuple(links.get(i, unused) for i in range(last + 1))
    return Signals(tuple(g.id for g in junction.groups), approaches, ordered)


def _crossed(tree: ElementTree.Element) -> dict[str, frozenset[str]]:
    """The edges that each crossing leads over."""
    return {
        edge.attrib["id"]: frozenset(edge.attrib["crossingEdges"].split())
        for edge in tree.iterfind("edge")
        if edge.get("function") == "crossing"
    }


def _points(shape: str) -> Points:
    """SUMO's `x,y x,y ...` (a z is dropped)."""
    return np.array([[float(v) for v in point.split(",")[:2]] for point in shape.split()])
