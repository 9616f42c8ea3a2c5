"""The drainage of a city as it really is: truth that the simulator has and the centre has not.

`load_watershed(folder, site)` reads the TOML files of a city's `truth/` folder into a
`Watershed`, or raises `WatershedInvalid` with every fault found. Nodes with their inverts and
ground are the site's; catchments, pipe sizes, street bowls and machine curves are here.
`swmm_input.py` writes it for SWMM.

Laws of this file:
1. Each node of the site is one street, one basin or an outfall; each conduit, pump and gate of
   the site is described once.
2. Levels are metres above the site's datum.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from causeway.site import Site

Curve = tuple[tuple[float, float], ...]


class Catchment(Struct, frozen=True, forbid_unknown_fields=True):
    """The ground that drains to a node."""

    node: str
    area_ha: float
    impervious_ratio: float
    width_m: float
    slope_ratio: float
    dry_flow_m3s: float = 0.0


class Street(Struct, frozen=True, forbid_unknown_fields=True):
    """The bowl over a street's low point: [depth in m, water surface in m²]."""

    node: str
    bowl: Curve


class Sewer(Struct, frozen=True, forbid_unknown_fields=True):
    """A conduit as built: round with a diameter, or a box. A flap lets no water back."""

    id: str
    length_m: float
    from_m: float
    to_m: float
    diameter_m: float = 0.0
    width_m: float = 0.0
    height_m: float = 0.0
    flap: bool = False


class Reach(Struct, frozen=True, forbid_unknown_fields=True):
    """A canal reach of the site."""

    id: str
    length_m: float
    width_m: float
    depth_m: float
    from_m: float
    to_m: float


class Basin(Struct, frozen=True, forbid_unknown_fields=True):
    """The water surface that a canal node or a wet well stands for: [depth in m, m²]."""

    node: str
    surface: Curve


class Gutter(Struct, frozen=True, forbid_unknown_fields=True):
    """Where water runs over the ground from one street to another: down a slope or over a crest."""

    from_node: str
    to_node: str
    from_m: float
    to_m: float
    width_m: float
    length_m: float


class Spill(Struct, frozen=True, forbid_unknown_fields=True):
    """A low bank between a canal and a street."""

    canal_node: str
    street_node: str
    crest_m: float
    length_m: float


class Chamber(Struct, frozen=True, forbid_unknown_fields=True):
    """A node that the centre does not know of."""

    id: str
    invert_m: float
    ground_m: float
    surface_m2: float


class Culvert(Struct, frozen=True, forbid_unknown_fields=True):
    """A box from a chamber."""

    id: str
    from_node: str
    to_node: str
    length_m: float
    width_m: float
    height_m: float
    from_m: float
    to_m: float


class Lift(Struct, frozen=True, forbid_unknown_fields=True):
    """A pump as a machine: [lift in m, share of its nominal flow], falling."""

    pump: str
    to_node: str
    curve: Curve


class Leaf(Struct, frozen=True, forbid_unknown_fields=True):
    """A gate's opening when it is wholly open; it closes from above."""

    gate: str
    outside_node: str
    width_m: float
    height_m: float
    sill_m: float


class Watershed(Struct, frozen=True, forbid_unknown_fields=True):
    """All that only the simulator knows of a city's water."""

    catchment: tuple[Catchment, ...]
    street: tuple[Street, ...]
    sewer: tuple[Sewer, ...]
    reach: tuple[Reach, ...] = ()
    basin: tuple[Basin, ...] = ()
    gutter: tuple[Gutter, ...] = ()
    spill: tuple[Spill, ...] = ()
    chamber: tuple[Chamber, ...] = ()
    culvert: tuple[Culvert, ...] = ()
    lift: tuple[Lift, ...] = ()
    leaf: tuple[Leaf, ...] = ()


class WatershedInvalid(Exception):
    """A truth folder that no water can be simulated from; `faults` says all that is wrong."""

    def __init__(self, folder: Path, faults: list[str]) -> None:
        self.folder = folder
        self.faults = faults
        super().__init__(f"{folder}: {len(faults)} fault(s)\n" + "\n".join(faults))


def load_watershed(folder: Path, site: Site) -> Watershed:
    """Read all TOML files of a truth folder and hold them against the site."""
    tables: dict[str, list[object]] = {}
    faults: list[str] = []
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise WatershedInvalid(folder, ["no TOML file in it"])
    for file in files:
        try:
            parsed = tomllib.loads(file.read_bytes().decode())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            faults.append(f"{file.name}: {error}")
            continue
        for key, rows in parsed.items():
            tables.setdefault(key, []).extend(rows if isinstance(rows, list) else [rows])
    if faults:
        raise WatershedInvalid(folder, faults)
    try:
        watershed = msgspec.convert(tables, Watershed)
    except msgspec.ValidationError as error:
        raise WatershedInvalid(folder, [str(error)]) from None
    faults = list(_wrong(watershed, site))
    if faults:
        raise WatershedInvalid(folder, faults)
    return watershed


def _wrong(truth: Watershed, site: Site) -> Iterator[str]:
    nodes = {n.id for n in site.nodes} | {c.id for c in truth.chamber}
    for kind, named in _named_nodes(truth):
        if named not in nodes:
            yield f"{kind}: no node {named!r}"
    stored = Counter([s.node for s in truth.street] + [b.node for b in truth.basin])
    outfalls = {n.id for n in site.nodes if n.kind == "outfall"}
    for node in site.nodes:
        expected = 0 if node.id in outfalls else 1
        if stored[node.id] != expected:
            yield f"node {node.id}: in {stored[node.id]} streets and basins, expected {expected}"
    gates = {leaf.outside_node for leaf in truth.leaf}
    yield from _unmatched(
        "conduit",
        {c.id for c in site.conduits if c.to_node not in gates},
        [*(sewer.id for sewer in truth.sewer), *(reach.id for reach in truth.reach)],
    )
    yield from _unmatched("pump", {p.id for p in site.pumps}, [x.pump for x in truth.lift])
    yield from _unmatched("gate", {g.id for g in site.gates}, [x.gate for x in truth.leaf])
    plants = [*((s.id, s.node) for s in site.stations), *((g.id, g.node) for g in site.gates)]
    for id_, node_id in plants:
        if node_id is None:
            yield f"{id_}: a station or gate without a node has no water"
    for sewer in truth.sewer:
        if (sewer.diameter_m > 0) == (min(sewer.width_m, sewer.height_m) > 0):
            yield f"sewer {sewer.id}: expected either diameter_m, or width_m and height_m"
    yield from _wrong_curves(truth)


def _wrong_curves(truth: Watershed) -> Iterator[str]:
    curves = [
        *((f"street {s.node}", s.bowl) for s in truth.street),
        *((f"basin {b.node}", b.surface) for b in truth.basin),
        *((f"lift {x.pump}", x.curve) for x in truth.lift),
    ]
    for name, curve in curves:
        firsts = [row[0] for row in curve]
        if len(curve) < 2 or firsts != sorted(set(firsts)):
            yield f"{name}: expected two or more rows that rise; seen {firsts}"


def _named_nodes(truth: Watershed) -> Iterator[tuple[str, str]]:
    yield from (("catchment", c.node) for c in truth.catchment)
    yield from (("street", s.node) for s in truth.street)
    yield from (("basin", b.node) for b in truth.basin)
    yield from (("gutter", node) for g in truth.gutter for node in (g.from_node, g.to_node))
    yield from (("spill", node) for s in truth.spill for node in (s.canal_node, s.street_node))
    yield from (("culvert", node) for c in truth.culvert for node in (c.from_node, c.to_node))
    yield from (("lift", lift.to_node) for lift in truth.lift)
    yield from (("leaf", leaf.outside_node) for leaf in truth.leaf)


def _unmatched(kind: str, known: set[str], seen: Iterable[str]) -> Iterator[str]:
    counted = Counter(seen)
    for id_ in sorted(known | set(counted)):
        if id_ not in known:
            yield f"{id_}: no such {kind} in the site"
        elif counted[id_] != 1:
            yield f"{kind} {id_}: described {counted[id_]} times, expected once"
