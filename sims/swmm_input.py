"""Writes a city's watershed as a SWMM 5.2 project.

In come the site (nodes with inverts and ground, which conduit joins what) and the `Watershed`
(sizes); out goes the text of an .inp file, which `drainage.py` runs.

Laws of this file:
1. Every street node is a storage: a shaft up to the ground, the street's bowl above it. Water in
   the bowl is the flood, so its depth is the water's level less the ground. SWMM's own ponding
   is off.
2. Rain, outfall stages, pump and gate settings come by the toolkit while it runs; the project
   has a rain gage for each catchment that says 0.
3. Levels are elevations, in links too (LINK_OFFSETS ELEVATION).
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from causeway.site import Site
from sims.watershed import Curve, Watershed

SHAFT_M2 = 12.0  # manhole, gully pots and house connections below the ground
STREET_ROOM_M = 2.5  # how far above its low point a street's bowl goes
CANAL_ROOM_M = 3.0
GUTTER_DEPTH_M = 1.5
IMPERVIOUS_N, PERVIOUS_N = 0.013, 0.15  # overland flow (SWMM manual, table A.6)
IMPERVIOUS_STORE_MM, PERVIOUS_STORE_MM = 1.0, 4.0
WET_CLAY = (20, 3, 4, 7, 0)  # Horton: mm/h at first and at last, 1/h, drying days, no maximum
ORIFICE_COEFFICIENT = 0.65
WEIR_COEFFICIENT = 1.7  # broad crest, m^0.5/s


class Roughness(NamedTuple):
    """Manning's n (Chow 1959, table 5-6)."""

    sewer: float = 0.015  # concrete with sediment
    canal: float = 0.028  # earth bed between walls
    street: float = 0.020  # asphalt with kerbs and what stands on it


AS_FOUND = Roughness()
OPTIONS = {
    "FLOW_UNITS": "CMS",
    "INFILTRATION": "HORTON",
    "FLOW_ROUTING": "DYNWAVE",
    "LINK_OFFSETS": "ELEVATION",
    "ALLOW_PONDING": "NO",
    "SKIP_STEADY_STATE": "NO",
    "REPORT_STEP": "01:00:00",
    "WET_STEP": "00:00:30",
    "DRY_STEP": "00:00:30",  # as the wet one: rain that comes by the toolkit is not foreseen
    "VARIABLE_STEP": "0",
    "INERTIAL_DAMPING": "PARTIAL",
    "NORMAL_FLOW_LIMITED": "BOTH",
    "SURCHARGE_METHOD": "EXTRAN",
    "MIN_SURFAREA": "1.2",
    "MAX_TRIALS": "8",
    "HEAD_TOLERANCE": "0.001",
    "THREADS": "1",
}


def swmm_input(
    site: Site,
    truth: Watershed,
    begins: datetime,
    first_m: float,
    step_s: float,
    rough: Roughness = AS_FOUND,
) -> str:
    """The project; `begins` is its first instant, `first_m` the water level everywhere then."""
    project = _Project()
    _options(project, begins, step_s)
    _catchments(project, truth)
    _storages(project, site, truth, first_m)
    _sewers(project, site, truth, rough)
    _canals(project, site, truth, rough)
    _plants(project, site, truth)
    return project.text()


def gage_of(node: str) -> str:
    """The rain gage over a node's catchment."""
    return f"rain.{node}"


class _Project:
    """Sections of lines, in the order of their first line."""

    def __init__(self) -> None:
        self._sections: dict[str, list[str]] = {}

    def add(self, section: str, *words: object) -> None:
        """One line."""
        self._sections.setdefault(section, []).append(" ".join(map(str, words)))

    def storage(
        self, id_: str, invert_m: float, room_m: float, first_m: float, area: Curve
    ) -> None:
        """A node with its water surface over depth."""
        first_depth_m = min(max(first_m - invert_m, 0.0), room_m)
        self.add(
            "STORAGE",
            *(
                id_,
                invert_m,
                f"{room_m:.3f}",
                f"{first_depth_m:.3f}",
                "TABULAR",
                f"area.{id_}",
                0,
                0,
            ),
        )
        for i, (depth_m, surface_m2) in enumerate(area):
            self.add("CURVES", f"area.{id_}", "" if i else "Storage", f"{depth_m:.3f}", surface_m2)

    def conduit(
        self,
        id_: str,
        ends: tuple[str, str],
        length_m: float,
        n: float,
        levels: tuple[float, float],
    ) -> None:
        """A link with two levels, at its ends; its section comes apart."""
        self.add("CONDUITS", id_, *ends, length_m, n, *levels, 0, 0)

    def section(self, id_: str, shape: str, height_m: float, width_m: float = 0.0) -> None:
        self.add("XSECTIONS", id_, shape, height_m, width_m, 0, 0, 1)

    def loss(self, id_: str, entry: float, exit_: float, flap: bool) -> None:
        self.add("LOSSES", id_, entry, exit_, 0, "YES" if flap else "NO", 0)

    def text(self) -> str:
        return "".join(
            f"[{name}]\n" + "\n".join(lines) + "\n\n" for name, lines in self._sections.items()
        )


def _options(project: _Project, begins: datetime, step_s: float) -> None:
    for name, value in OPTIONS.items():
        project.add("OPTIONS", name, value)
    for name in ("START", "REPORT_START"):
        project.add("OPTIONS", f"{name}_DATE", f"{begins:%m/%d/%Y}")
        project.add("OPTIONS", f"{name}_TIME", f"{begins:%H:%M:%S}")
    project.add("OPTIONS", "END_DATE", f"12/31/{begins.year + 1}")  # it ends when it is closed
    project.add("OPTIONS", "ROUTING_STEP", f"{step_s:g}")
    project.add("OPTIONS", "LENGTHENING_STEP", f"{step_s:g}")
    for what in ("INPUT NO", "CONTROLS NO", "SUBCATCHMENTS NONE", "NODES NONE", "LINKS NONE"):
        project.add("REPORT", what)


def _catchments(project: _Project, truth: Watershed) -> None:
    project.add("TIMESERIES", "none", "0:00", 0)
    project.add("TIMESERIES", "none", "1:00", 0)
    for c in truth.catchment:
        id_, gage = f"ground.{c.node}", gage_of(c.node)
        percent = f"{c.impervious_ratio * 100:g}"
        slope_percent = f"{c.slope_ratio * 100:g}"
        project.add("RAINGAGES", gage, "INTENSITY", "0:01", 1.0, "TIMESERIES", "none")
        project.add(
            "SUBCATCHMENTS", id_, gage, c.node, c.area_ha, percent, c.width_m, slope_percent, 0
        )
        stores_mm = (IMPERVIOUS_STORE_MM, PERVIOUS_STORE_MM)
        project.add("SUBAREAS", id_, IMPERVIOUS_N, PERVIOUS_N, *stores_mm, 50, "OUTLET")
        project.add("INFILTRATION", id_, *WET_CLAY)
        if c.dry_flow_m3s:
            project.add("DWF", c.node, "FLOW", c.dry_flow_m3s)


def _storages(project: _Project, site: Site, truth: Watershed, first_m: float) -> None:
    nodes = {n.id: n for n in site.nodes}
    for node in site.nodes:
        if node.kind == "outfall":
            project.add("OUTFALLS", node.id, node.invert_m, "FIXED", f"{first_m:.3f}", "NO")
    for street in truth.street:
        node = nodes[street.node]
        shaft_m = node.ground_m - node.invert_m
        bowl = ((shaft_m + depth_m, surface_m2) for depth_m, surface_m2 in street.bowl)
        area = ((0.0, SHAFT_M2), (shaft_m, SHAFT_M2), *bowl)
        project.storage(node.id, node.invert_m, shaft_m + STREET_ROOM_M, first_m, area)
    for basin in truth.basin:
        node = nodes[basin.node]
        room_m = node.ground_m - node.invert_m + CANAL_ROOM_M
        project.storage(node.id, node.invert_m, room_m, first_m, basin.surface)
    for chamber in truth.chamber:
        room_m = chamber.ground_m - chamber.invert_m
        area = ((0.0, chamber.surface_m2), (room_m, chamber.surface_m2))
        project.storage(chamber.id, chamber.invert_m, room_m, first_m, area)


def _sewers(project: _Project, site: Site, truth: Watershed, rough: Roughness) -> None:
    ends = {c.id: (c.from_node, c.to_node) for c in site.conduits}
    lifted_to = _lifted_to(site, truth)
    for sewer in truth.sewer:
        from_node, to_node = ends[sewer.id]
        if from_node in lifted_to:  # the outlet beside the pumps ends where they do
            to_node = lifted_to[from_node]
        levels = (sewer.from_m, sewer.to_m)
        project.conduit(sewer.id, (from_node, to_node), sewer.length_m, rough.sewer, levels)
        if sewer.diameter_m:
            project.section(sewer.id, "CIRCULAR", sewer.diameter_m)
        else:
            project.section(sewer.id, "RECT_CLOSED", sewer.height_m, sewer.width_m)
        project.loss(sewer.id, 0.3, 0.5, sewer.flap)
    for culvert in truth.culvert:
        levels = (culvert.from_m, culvert.to_m)
        between = (culvert.from_node, culvert.to_node)
        project.conduit(culvert.id, between, culvert.length_m, rough.sewer, levels)
        project.section(culvert.id, "RECT_CLOSED", culvert.height_m, culvert.width_m)
        project.loss(culvert.id, 0.3, 1.0, flap=True)
    for i, gutter in enumerate(truth.gutter):
        id_, levels = f"gutter.{i}", (gutter.from_m, gutter.to_m)
        between = (gutter.from_node, gutter.to_node)
        project.conduit(id_, between, gutter.length_m, rough.street, levels)
        project.section(id_, "RECT_OPEN", GUTTER_DEPTH_M, gutter.width_m)


def _lifted_to(site: Site, truth: Watershed) -> dict[str, str]:
    """Where each station's pumps lift the water of its well to."""
    well_of = {s.id: s.node for s in site.stations}
    station_of = {p.id: p.station for p in site.pumps}
    wells = ((well_of[station_of[lift.pump]], lift.to_node) for lift in truth.lift)
    return {well: to_node for well, to_node in wells if well is not None}


def _canals(project: _Project, site: Site, truth: Watershed, rough: Roughness) -> None:
    ends = {c.id: (c.from_node, c.to_node) for c in site.conduits}
    for reach in truth.reach:
        levels = (reach.from_m, reach.to_m)
        project.conduit(reach.id, ends[reach.id], reach.length_m, rough.canal, levels)
        project.section(reach.id, "RECT_OPEN", reach.depth_m, reach.width_m)
    for i, spill in enumerate(truth.spill):
        id_ = f"spill.{i}"
        between = (spill.canal_node, spill.street_node)
        crest = ("TRANSVERSE", spill.crest_m, WEIR_COEFFICIENT, "NO", 0, 0, "NO")
        project.add("WEIRS", id_, *between, *crest)
        project.section(id_, "RECT_OPEN", GUTTER_DEPTH_M, spill.length_m)


def _plants(project: _Project, site: Site, truth: Watershed) -> None:
    pumps = {p.id: p for p in site.pumps}
    well_of = {s.id: s.node for s in site.stations}
    for lift in truth.lift:
        pump = pumps[lift.pump]
        curve = f"lift.{pump.id}"
        project.add("PUMPS", pump.id, well_of[pump.station], lift.to_node, curve, "OFF", 0, 0)
        for i, (lift_m, share) in enumerate(lift.curve):
            flow_m3s = f"{share * pump.flow_m3s:.4f}"
            project.add("CURVES", curve, "" if i else "Pump3", lift_m, flow_m3s)
    inside_of = {g.id: g.node for g in site.gates}
    for leaf in truth.leaf:
        opening = ("SIDE", leaf.sill_m, ORIFICE_COEFFICIENT, "NO", 0)
        project.add("ORIFICES", leaf.gate, inside_of[leaf.gate], leaf.outside_node, *opening)
        project.section(leaf.gate, "RECT_CLOSED", leaf.height_m, leaf.width_m)
