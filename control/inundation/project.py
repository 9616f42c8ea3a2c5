"""Writes a SWMM project as a site's own: its names the site's ids, its levels above the datum.

In comes the text of an .inp file that `network.py` took, in CMS; out goes the text that
`model.py` reads and the forecast runs. Where streets drain to a junction, the water that it spills
stands on them until it can drain (SWMM's ponding), so that the junction's head is the street's
water level; without such streets nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from causeway.site import LonLat
from control.inundation.model import NODES, Row, sections_of
from control.inundation.network import CATCHMENT, LINK, NODE, Where, site_id

# Which columns of a section name what.
NAMES: dict[str, dict[int, str]] = {
    "JUNCTIONS": {0: NODE}, "OUTFALLS": {0: NODE}, "STORAGE": {0: NODE},
    "DIVIDERS": {0: NODE, 2: LINK}, "COORDINATES": {0: NODE}, "INFLOWS": {0: NODE},
    "DWF": {0: NODE}, "RDII": {0: NODE}, "TREATMENT": {0: NODE},
    "CONDUITS": {0: LINK, 1: NODE, 2: NODE}, "PUMPS": {0: LINK, 1: NODE, 2: NODE},
    "ORIFICES": {0: LINK, 1: NODE, 2: NODE}, "WEIRS": {0: LINK, 1: NODE, 2: NODE},
    "OUTLETS": {0: LINK, 1: NODE, 2: NODE}, "XSECTIONS": {0: LINK}, "LOSSES": {0: LINK},
    "VERTICES": {0: LINK}, "SUBCATCHMENTS": {0: CATCHMENT}, "SUBAREAS": {0: CATCHMENT},
    "INFILTRATION": {0: CATCHMENT}, "LID_USAGE": {0: CATCHMENT}, "COVERAGES": {0: CATCHMENT},
    "LOADINGS": {0: CATCHMENT}, "POLYGONS": {0: CATCHMENT}, "GROUNDWATER": {0: CATCHMENT, 2: NODE},
    "GWF": {0: CATCHMENT}, "INLET_USAGE": {0: LINK, 2: NODE},
}  # fmt: skip
LEVELS: dict[str, tuple[int, ...]] = dict.fromkeys(NODES, (1,))
OFFSETS = {"CONDUITS": (5, 6), "ORIFICES": (4,), "WEIRS": (4,), "OUTLETS": (3,)}
RULE_NODES = ("NODE",)
RULE_LINKS = ("LINK", "CONDUIT", "PUMP", "ORIFICE", "WEIR", "OUTLET")
LEFT_OUT = ("REPORT", "BACKDROP", "MAP", "TAGS", "PROFILES", "LABELS")
NO_STREETS: Mapping[str, float] = {}
PONDED = 5  # the column of [JUNCTIONS] with the surface that water stands on, in m²
PLACES = ("COORDINATES", "VERTICES", "POLYGONS", "SYMBOLS")


def site_project(
    text: str, where: Where, offset_m: float = 0.0, streets_m2: Mapping[str, float] = NO_STREETS
) -> str:
    """The project, rewritten; `streets_m2` is the road surface that drains to each node."""
    sections = dict(sections_of(text))
    names = _Names(sections)
    shifted = dict(LEVELS)
    options = {r.words[0].upper(): r.words[-1].upper() for r in sections.get("OPTIONS", [])}
    if options.get("LINK_OFFSETS") == "ELEVATION":
        shifted |= OFFSETS
    ponds = options.get("ALLOW_PONDING") == "YES"
    parts = []
    for section, rows in sections.items():
        if section in LEFT_OUT:
            continue
        written = [
            " ".join(_placed(section, words, where))
            for words in names.renamed(section, rows)
            for words in [_raised(words, _levels(section, words, shifted), offset_m)]
        ]
        if streets_m2 and section == "JUNCTIONS":
            written = [_ponding(row.split(), streets_m2, ponds) for row in written]
        elif streets_m2 and section == "OPTIONS":
            written = [row for row in written if not row.upper().startswith("ALLOW_PONDING")]
            written.append("ALLOW_PONDING YES")
        parts.append(f"[{section}]\n" + "\n".join(written) + "\n\n")
    return "".join(parts)


class _Names:
    def __init__(self, sections: dict[str, list[Row]]) -> None:
        self._catchments = {row.words[0].upper() for row in sections.get("SUBCATCHMENTS", [])}
        self._nodes = {
            row.words[0].upper() for section in NODES for row in sections.get(section, [])
        }

    def renamed(self, section: str, rows: list[Row]) -> Iterator[list[str]]:
        """Each row with the site's ids in it."""
        for row in rows:
            words = list(row.words)
            if section == "CONTROLS":
                words = _rule(words)
            for column, kind in NAMES.get(section, {}).items():
                if column < len(words) and words[column] != "*":
                    words[column] = site_id(kind, words[column])
            if section == "SUBCATCHMENTS":
                words[2] = self._receiver(words[2])
            elif section == "OUTFALLS" and words[-1].upper() in self._catchments:
                words[-1] = site_id(CATCHMENT, words[-1])  # where it is routed to
            yield words

    def _receiver(self, name: str) -> str:
        return site_id(NODE if name.upper() in self._nodes else CATCHMENT, name)


def _rule(words: list[str]) -> list[str]:
    """A line of a control rule: the word after a kind of object is one's name."""
    renamed = words[:1]
    for before, word in pairwise(words):
        kind = before.upper()
        if kind in RULE_NODES:
            word = site_id(NODE, word)
        elif kind in RULE_LINKS:
            word = site_id(LINK, word)
        renamed.append(word)
    return renamed


def _ponding(words: list[str], streets_m2: Mapping[str, float], ponds: bool) -> str:
    """A junction that spills onto its streets; others keep spilling as the project has it."""
    words += ["0"] * (PONDED + 1 - len(words))
    if words[0] in streets_m2:
        words[PONDED] = f"{streets_m2[words[0]]:.0f}"
    elif not ponds:
        words[PONDED] = "0"
    return " ".join(words)


def _levels(section: str, words: list[str], shifted: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    fixed = section == "OUTFALLS" and len(words) > 3 and words[2].upper() == "FIXED"
    return (*shifted.get(section, ()), *((3,) if fixed else ()))


def _raised(words: list[str], columns: tuple[int, ...], offset_m: float) -> list[str]:
    if offset_m:
        for column in columns:
            if column < len(words) and words[column] != "*":
                words[column] = f"{float(words[column]) + offset_m:.4f}"
    return words


def _placed(section: str, words: list[str], where: Where) -> list[str]:
    """Coordinates in degrees: the forecast asks where its gages are."""
    if section not in PLACES:
        return words
    at: LonLat = where(float(words[1]), float(words[2]))
    return [words[0], f"{at.lon:.6f}", f"{at.lat:.6f}"]
