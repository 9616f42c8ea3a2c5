"""Reads a drainage network from a SWMM project: what stands where, for the site and the map.

In comes the text of an .inp file (SWMM 5.2 User's Manual, appendix D) in any of its units, and how
its coordinates become degrees; out come nodes, conduits, pumps, gates and catchments in SI, with
their levels above the site's datum. `project.py` makes the project that a forecast runs from it.

Laws of this file:
1. A network is taken whole or refused with every fault found, each with its line and reason.
2. SWMM tells names apart neither by case nor between nodes, links and catchments; a site by
   both. So ids are written small and begin with n-, l- or s-.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from causeway.site import (
    Catchment,
    Conduit,
    ConduitKind,
    DrainageNode,
    LonLat,
    NodeKind,
    RoadSegment,
    StreetDrain,
    apart_m,
)
from control.inundation.model import LINKS, NODES, ModelInvalid, Row, numbers, sections_of

FEET = 0.3048
ACRE_HA = 0.40468564
FLOW_M3S = {
    "CFS": FEET**3, "GPM": 6.309020e-5, "MGD": 4.381264e-2,
    "CMS": 1.0, "LPS": 1e-3, "MLD": 1e3 / 86_400,
}  # fmt: skip
METRIC = ("CMS", "LPS", "MLD")
NODE, LINK, CATCHMENT = "n", "l", "s"
OPEN = ("RECT_OPEN", "TRAPEZOIDAL", "TRIANGULAR", "PARABOLIC", "POWER", "IRREGULAR")
NODE_KINDS: dict[str, NodeKind] = {"STORAGE": "storage", "OUTFALLS": "outfall"}
LINK_KINDS: dict[str, ConduitKind] = {
    "PUMPS": "pump",
    "ORIFICES": "orifice",
    "WEIRS": "weir",
    "OUTLETS": "outlet",
}
UNSAID = "*"  # an ideal pump's curve, a catchment's missing gage
CORNERS_MIN = 3
DRAINS_M = 50.0  # inlets stand 25 to 50 m apart: a farther manhole takes another street's water
LANE_M = 3.5

Where = Callable[[float, float], LonLat]


class NetworkInvalid(Exception):
    """A network that cannot be taken; `faults` says all that is wrong with it."""

    def __init__(self, faults: list[ModelInvalid]) -> None:
        self.faults = sorted(faults, key=lambda fault: fault.line)
        super().__init__("\n".join(map(str, self.faults)))


class Network(NamedTuple):
    """What stands where. `units` are the project's FLOW_UNITS."""

    units: str
    nodes: tuple[DrainageNode, ...]
    conduits: tuple[Conduit, ...]
    catchments: tuple[Catchment, ...]


def street_drains(
    nodes: Iterable[DrainageNode], segments: Iterable[RoadSegment]
) -> tuple[tuple[StreetDrain, ...], dict[str, float]]:
    """The manhole next to each segment's low point, and the road surface that drains to each."""
    manholes = [node for node in nodes if node.kind == "manhole"]
    drains = []
    surfaces_m2: dict[str, float] = {}
    for segment in segments:
        if not manholes:
            break
        near = min(manholes, key=lambda node: apart_m(node.at, segment.low_point))
        if apart_m(near.at, segment.low_point) <= DRAINS_M:
            length_m = sum(apart_m(a, b) for a, b in pairwise(segment.line))
            surface_m2 = length_m * segment.lanes * LANE_M
            surfaces_m2[near.id] = surfaces_m2.get(near.id, 0.0) + surface_m2
            drains.append(StreetDrain(segment.id, near.id))
    return tuple(drains), surfaces_m2


def site_id(kind: str, name: str) -> str:
    """The site's id of a SWMM object: a letter that is none of a site's becomes a dash."""
    return f"{kind}-" + re.sub(r"[^a-z0-9_-]", "-", name.lower())


def read_network(text: str, where: Where, offset_m: float = 0.0) -> Network:
    """The network of a project; `offset_m` is added to its levels. Raises NetworkInvalid."""
    try:
        reader = _Reader(dict(sections_of(text)), where, offset_m)
    except ModelInvalid as fault:
        raise NetworkInvalid([fault]) from None
    network = Network(
        reader.units, tuple(reader.nodes()), tuple(reader.conduits()), tuple(reader.catchments())
    )
    if not network.nodes and not reader.faults:
        reader.faults.append(ModelInvalid(1, f"no nodes; expected some in {', '.join(NODES)}"))
    if reader.faults:
        raise NetworkInvalid(reader.faults)
    return network


class _Reader:
    def __init__(self, sections: dict[str, list[Row]], where: Where, offset_m: float) -> None:
        self.faults: list[ModelInvalid] = []
        self._sections = sections
        self._where = where
        self._offset_m = offset_m
        self.units = self._units()
        self._length_m = 1.0 if self.units in METRIC else FEET
        self._places = dict(self._pairs("COORDINATES"))
        self._seen: dict[str, int] = {}
        self._known: set[str] = set()

    def rows(self, *sections: str) -> Iterator[Row]:
        for section in sections:
            yield from self._sections.get(section, [])

    def _units(self) -> str:
        for row in self.rows("OPTIONS"):
            if row.words[0].upper() == "FLOW_UNITS":
                units = row.words[-1].upper()
                if units not in FLOW_M3S:
                    expected = ", ".join(FLOW_M3S)
                    raise ModelInvalid(row.line, f"FLOW_UNITS {units}; expected one of {expected}")
                return units
        return "CFS"  # SWMM's default

    def nodes(self) -> Iterator[DrainageNode]:
        crowns = self._crowns()
        for section in NODES:
            for row in self.rows(section):
                with_ground = section in ("JUNCTIONS", "STORAGE", "DIVIDERS")
                try:
                    yield self._node(row, section, crowns if with_ground else {})
                except ModelInvalid as fault:
                    self.faults.append(fault)

    def _node(self, row: Row, section: str, crowns: dict[str, float]) -> DrainageNode:
        id_ = self._new(NODE, row)
        self._known.add(id_)
        (invert,) = numbers(row, 1, 2)
        depth = 0.0
        if section in ("JUNCTIONS", "STORAGE") and len(row.words) > 2:
            (depth,) = numbers(row, 2, 3)
        at = self._places.get(row.words[0].upper())
        if at is None:
            raise ModelInvalid(row.line, f"{row.words[0]}: no row in [COORDINATES]")
        invert_m = invert * self._length_m + self._offset_m
        height_m = depth * self._length_m or crowns.get(row.words[0].upper(), 0.0)
        return DrainageNode(
            id=id_,
            at=at[0],
            invert_m=round(invert_m, 3),
            ground_m=round(invert_m + height_m, 3),
            kind=NODE_KINDS.get(section, "manhole"),
        )

    def _crowns(self) -> dict[str, float]:
        """The highest conduit at each node, in m: its depth where the project has none."""
        heights: dict[str, float] = {}
        for row in self.rows("XSECTIONS"):
            try:
                heights[row.words[0].upper()] = numbers(row, 2, 3)[0] * self._length_m
            except ModelInvalid:  # a transect's name
                continue
        crowns: dict[str, float] = {}
        for row in self.rows("CONDUITS"):
            for end in row.words[1:3]:
                height_m = heights.get(row.words[0].upper(), 0.0)
                crowns[end.upper()] = max(crowns.get(end.upper(), 0.0), height_m)
        return crowns

    def conduits(self) -> Iterator[Conduit]:
        bends: dict[str, list[LonLat]] = {}
        for name, at in self._pairs("VERTICES"):
            bends.setdefault(name, []).extend(at)
        shapes = {r.words[0].upper(): r.words[1].upper() for r in self.rows("XSECTIONS")}
        flows = self._pump_flows()
        for section in LINKS:
            for row in self.rows(section):
                try:
                    yield self._conduit(row, section, shapes, bends, flows)
                except ModelInvalid as fault:
                    self.faults.append(fault)

    def _conduit(
        self,
        row: Row,
        section: str,
        shapes: dict[str, str],
        bends: dict[str, list[LonLat]],
        flows: dict[str, float],
    ) -> Conduit:
        id_ = self._new(LINK, row)
        if len(row.words) < 3:
            raise ModelInvalid(row.line, f"{' '.join(row.words)}: expected a node at each end")
        ends = [site_id(NODE, name) for name in row.words[1:3]]
        for name, end in zip(row.words[1:3], ends, strict=True):
            if end not in self._known:
                raise ModelInvalid(row.line, f"{row.words[0]}: no node {name!r}")
        shape = shapes.get(row.words[0].upper(), "")
        kind = LINK_KINDS.get(section) or ("canal" if shape in OPEN else "sewer")
        flow_m3s = None
        if section == "PUMPS" and len(row.words) > 3 and row.words[3] != UNSAID:
            flow_m3s = flows.get(row.words[3].upper())
            if flow_m3s is None:
                raise ModelInvalid(row.line, f"{row.words[0]}: no curve {row.words[3]!r}")
        line = tuple(bends.get(row.words[0].upper(), ()))
        return Conduit(id_, ends[0], ends[1], kind, line, flow_m3s)

    def _pump_flows(self) -> dict[str, float]:
        """The greatest flow of each curve, in m³/s; a curve's rows after its first have no type."""
        flows: dict[str, float] = {}
        for row in self.rows("CURVES"):
            first = 2 if len(row.words) > 1 and row.words[1][0].isalpha() else 1
            try:
                values = numbers(row, first, len(row.words))
            except ModelInvalid as fault:
                self.faults.append(fault)
                continue
            name = row.words[0].upper()
            flow_m3s = max(values[1::2], default=0.0) * FLOW_M3S[self.units]
            flows[name] = round(max(flows.get(name, 0.0), flow_m3s), 4)
        return flows

    def catchments(self) -> Iterator[Catchment]:
        outlines: dict[str, list[LonLat]] = {}
        for name, at in self._pairs("POLYGONS"):
            outlines.setdefault(name, []).extend(at)
        hectare = 1.0 if self.units in METRIC else ACRE_HA
        names = {row.words[0].upper() for row in self.rows("SUBCATCHMENTS")}
        for row in self.rows("SUBCATCHMENTS"):
            try:
                (area,) = numbers(row, 3, 4)
                node: str | None = site_id(NODE, row.words[2])
                if node not in self._known:
                    if row.words[2].upper() not in names:
                        why = f"{row.words[0]}: no node or catchment {row.words[2]!r}"
                        raise ModelInvalid(row.line, why)
                    node = None
                outline = outlines.get(row.words[0].upper(), [])
                shown = tuple(outline) if len(outline) >= CORNERS_MIN else ()
                id_ = self._new(CATCHMENT, row)
                yield Catchment(id_, node, round(area * hectare, 3), shown)
            except ModelInvalid as fault:
                self.faults.append(fault)

    def _new(self, kind: str, row: Row) -> str:
        id_ = site_id(kind, row.words[0])
        if id_ in self._seen:
            raise ModelInvalid(
                row.line, f"{row.words[0]}: line {self._seen[id_]} has that name, or one like it"
            )
        self._seen[id_] = row.line
        return id_

    def _pairs(self, section: str) -> Iterator[tuple[str, list[LonLat]]]:
        for row in self.rows(section):
            try:
                x, y = numbers(row, 1, 3)
                yield row.words[0].upper(), [self._where(x, y)]
            except ModelInvalid as fault:
                self.faults.append(fault)
            except ValueError as error:
                self.faults.append(ModelInvalid(row.line, f"{row.words[0]}: {error}"))
