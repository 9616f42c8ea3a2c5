"""Decides which of a site's points tell of its water: levels at nodes, rain, tide, plants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from causeway.site import Site


class GaugedLevel(NamedTuple):
    """A point that measures the water at a node: its value and `above_m` are the level."""

    point: str
    node: str
    above_m: float

    @property
    def is_depth(self) -> bool:
        """Whether it measures water over a street, and nothing of what is below it."""
        return self.point.endswith("/depth_m")


def levels_of(site: Site) -> Iterator[GaugedLevel]:
    """Street, sewer and canal gauges, and the levels behind the gates."""
    segments = {s.id: s for s in site.segments}
    nodes = {n.id: n for n in site.nodes}
    for gauge in site.gauges:
        segment = segments.get(gauge.segment or "")
        if gauge.kind == "street" and segment is not None and segment.node is not None:
            ground_m = nodes[segment.node].ground_m
            yield GaugedLevel(f"{gauge.id}/depth_m", segment.node, ground_m)
        elif gauge.kind in ("level", "sewer") and gauge.node is not None:
            yield GaugedLevel(f"{gauge.id}/stage_m", gauge.node, 0.0)
    for gate in site.gates:
        if gate.node is not None:
            yield GaugedLevel(f"{gate.id}/inside_m", gate.node, 0.0)


def points_of(site: Site) -> frozenset[str]:
    """All that a forecaster of a site wants to hear of."""
    points = [f"{p.id}/{q}" for p in site.pumps for q in ("running_bool", "fault_bool")]
    points += [f"{g.id}/{q}" for g in site.gates for q in ("opening_ratio", "fault_bool")]
    points += [f"{g.id}/rain_mm_h" for g in site.gauges if "rain_mm_h" in g.quantities]
    points += [f"{g.id}/stage_m" for g in site.gauges if g.kind == "tide"]
    return frozenset((*points, *(level.point for level in levels_of(site))))
