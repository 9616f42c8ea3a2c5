"""Reads a city's SWMM project and writes it again for a run: another begin, another draw of what is
not known of it.

In comes the text of an .inp file (SWMM 5.2 User's Manual, appendix D); out come a `DrainageModel`
and the texts of its members. Nothing is run here: `hydraulics.py` does that.

Laws of this file:
1. A project that cannot be used raises `ModelInvalid` with the line and the reason.
2. Levels are elevations in metres above the site's datum, rain is in mm/h, flow in m³/s: a project
   in other units is refused, not converted.
3. Rain comes by its gages while it runs, whatever the project's own time series say. A gage's
   place is its row in [SYMBOLS], in degrees.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causeway.site import LonLat

METRIC = ("CMS", "LPS", "MLD")
MANHOLE_M2 = 1.167  # MIN_SURFAREA where the project does not say
PAVED, WIDTH, ROUGHNESS = 4, 5, 4  # columns of [SUBCATCHMENTS], and of [CONDUITS]
LEFT_OUT = ("REPORT", "FILES", "BACKDROP", "MAP", "TAGS", "PROFILES")
NODES = ("JUNCTIONS", "STORAGE", "OUTFALLS", "DIVIDERS")
LINKS = ("CONDUITS", "PUMPS", "ORIFICES", "WEIRS", "OUTLETS")


class ModelInvalid(Exception):
    """A project that nothing can be forecast with."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(f"line {line}: {reason}")


class Unknowns(NamedTuple):
    """What one member believes of the city, as factors on the project's own values.

    `silt` are further ones on the roughness of single conduits, in their order: a sewer that is
    silted up carries as little as a rougher one. None: all are clean.
    """

    paved: float = 1.0
    width: float = 1.0
    roughness: float = 1.0
    rain: float = 1.0  # not of the project: of what its gages are told
    silt: NDArray[np.float64] | None = None


class Row(NamedTuple):
    """One row of a section, and its line in the file."""

    line: int
    words: tuple[str, ...]


class Surface(NamedTuple):
    """The water surface of a node over its depth."""

    invert_m: float
    depths_m: NDArray[np.float64]
    surfaces_m2: NDArray[np.float64]

    def at_m2(self, head_m: float) -> float:
        """The surface at a water level, in m²."""
        return float(np.interp(head_m - self.invert_m, self.depths_m, self.surfaces_m2))


class DrainageModel:
    """A project as it was read: what forecasting has to know of it, and its text for a run."""

    def __init__(self, text: str) -> None:
        self._sections = dict(sections_of(text))
        options = {r.words[0].upper(): r.words[-1].upper() for r in self._rows("OPTIONS")}
        units = options.get("FLOW_UNITS", "CFS")
        if units != "CMS":
            other = "" if units in METRIC else ", which makes its levels feet"
            raise ModelInvalid(
                self._line("OPTIONS", "FLOW_UNITS"), f"FLOW_UNITS {units}{other}; expected CMS"
            )
        self._options = options
        self.nodes = self._ids(*NODES)
        self.links = self._ids(*LINKS)
        self.conduits = self._ids("CONDUITS")
        self.outfalls = self._ids("OUTFALLS")
        self.gages = self._ids("RAINGAGES")
        if not self.outfalls:
            raise ModelInvalid(1, "no [OUTFALLS]: nothing to set the tide at")
        self.gage_places = self._places()
        self.surfaces = dict(self._surfaces())

    def with_jammed(self, conduits: Collection[str]) -> DrainageModel:
        """The same network with the flaps of some conduits stuck open."""
        jammed = DrainageModel.__new__(DrainageModel)
        jammed.__dict__.update(self.__dict__)
        losses = [
            row._replace(words=(*row.words[:4], "NO", *row.words[5:]))
            if row.words[0] in conduits
            else row
            for row in self._rows("LOSSES")
        ]
        jammed._sections = self._sections | {"LOSSES": losses}
        return jammed

    def written(self, unknowns: Unknowns = Unknowns()) -> Member:  # noqa: B008 - immutable
        """The project for a run, with what a member believes."""
        parts = []
        for name, rows in self._sections.items():
            if name in LEFT_OUT or name == "OPTIONS":
                continue
            changed = (_believed(name, i, row.words, unknowns) for i, row in enumerate(rows))
            parts.append(f"[{name}]\n" + "\n".join(" ".join(words) for words in changed) + "\n\n")
        return Member(self._options, "".join(parts))

    def _rows(self, section: str) -> list[Row]:
        return self._sections.get(section, [])

    def _line(self, section: str, word: str) -> int:
        """Where a row stands that begins with `word`; 1 where there is none."""
        return next((r.line for r in self._rows(section) if r.words[0].upper() == word), 1)

    def _ids(self, *sections: str) -> tuple[str, ...]:
        """The ids in some sections; the same id twice is refused."""
        seen: dict[str, int] = {}
        for section in sections:
            for row in self._rows(section):
                id_ = row.words[0]
                if id_ in seen:
                    raise ModelInvalid(row.line, f"{id_}: stands in line {seen[id_]} already")
                seen[id_] = row.line
        return tuple(seen)

    def _places(self) -> tuple[LonLat | None, ...]:
        places: dict[str, LonLat] = {}
        for row in self._rows("SYMBOLS"):
            lon, lat = numbers(row, 1, 3)
            if abs(lon) > 180 or abs(lat) > 90:
                raise ModelInvalid(row.line, f"{lon:g}, {lat:g}: expected degrees, east and north")
            places[row.words[0]] = LonLat(lon, lat)
        return tuple(places.get(gage) for gage in self.gages)

    def _surfaces(self) -> Iterator[tuple[str, Surface]]:
        curves = self._curves()
        manhole_m2 = float(self._options.get("MIN_SURFAREA", MANHOLE_M2)) or MANHOLE_M2
        for row in self._rows("JUNCTIONS"):
            (invert_m,) = numbers(row, 1, 2)
            yield row.words[0], Surface(invert_m, np.zeros(1), np.array([manhole_m2]))
        for row in self._rows("STORAGE"):
            invert_m, depth_m = numbers(row, 1, 3)
            yield row.words[0], Surface(invert_m, *_surface(row, depth_m, curves, manhole_m2))

    def _curves(self) -> dict[str, list[tuple[float, float]]]:
        curves: dict[str, list[tuple[float, float]]] = {}
        for row in self._rows("CURVES"):
            words = [w for w in row.words[1:] if not w[0].isalpha()]
            curve = curves.setdefault(row.words[0], [])
            try:
                values = [float(word) for word in words]
            except ValueError:
                raise ModelInvalid(row.line, f"{' '.join(words)}: expected numbers") from None
            curve += zip(values[::2], values[1::2], strict=False)
        return curves


class Member(NamedTuple):
    """A project as one member of an ensemble runs it."""

    options: dict[str, str]
    body: str

    def text(self, begins: datetime) -> str:
        """The whole text of a run that begins then; it ends when it is closed."""
        dates = {
            "START_DATE": f"{begins:%m/%d/%Y}",
            "START_TIME": f"{begins:%H:%M:%S}",
            "REPORT_START_DATE": f"{begins:%m/%d/%Y}",
            "REPORT_START_TIME": f"{begins:%H:%M:%S}",
            "END_DATE": f"12/31/{begins.year + 1}",
            "END_TIME": "00:00:00",
            "THREADS": "1",
        }
        rows = "\n".join(f"{name} {value}" for name, value in (self.options | dates).items())
        report = "[REPORT]\nINPUT NO\nCONTROLS NO\nSUBCATCHMENTS NONE\nNODES NONE\nLINKS NONE\n\n"
        return f"[OPTIONS]\n{rows}\n\n{self.body}{report}"


def sections_of(text: str) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each section, named in capitals; comments and empty lines are left out."""
    found: dict[str, list[Row]] = {}
    section: list[Row] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = tuple(line.partition(";")[0].split())
        if not words:
            continue
        if words[0].startswith("["):
            section = found.setdefault(words[0].strip("[]").upper(), [])
        elif section is None:
            raise ModelInvalid(number, f"{words[0]}: before the first [SECTION]")
        else:
            section.append(Row(number, words))
    if not found:
        raise ModelInvalid(1, "no [SECTION]: not a SWMM project")
    yield from found.items()


def _believed(
    section: str, place: int, words: tuple[str, ...], unknowns: Unknowns
) -> tuple[str, ...]:
    changed = list(words)
    if section == "SUBCATCHMENTS":
        changed[PAVED] = f"{min(100.0, float(words[PAVED]) * unknowns.paved):.2f}"
        changed[WIDTH] = f"{float(words[WIDTH]) * unknowns.width:.2f}"
    elif section == "CONDUITS":
        silt = 1.0 if unknowns.silt is None else float(unknowns.silt[place])
        changed[ROUGHNESS] = f"{float(words[ROUGHNESS]) * unknowns.roughness * silt:.5f}"
    return tuple(changed)


def numbers(row: Row, first: int, end: int) -> list[float]:
    """Some columns of a row; raises ModelInvalid."""
    try:
        if len(row.words) < end:
            raise ValueError
        return [float(word) for word in row.words[first:end]]
    except ValueError:
        seen = " ".join(row.words)
        raise ModelInvalid(
            row.line, f"{seen}: expected numbers in columns {first + 1} to {end}"
        ) from None


def _surface(
    row: Row, depth_m: float, curves: dict[str, list[tuple[float, float]]], manhole_m2: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kind = row.words[4].upper() if len(row.words) > 5 else ""
    if kind == "TABULAR":
        curve = curves.get(row.words[5])
        if not curve:
            raise ModelInvalid(row.line, f"{row.words[0]}: no curve {row.words[5]!r}")
        depths, surfaces = np.array(curve).T
        return depths, np.maximum(surfaces, manhole_m2)
    if kind == "FUNCTIONAL":
        a, b, c = numbers(row, 5, 8)
        depths = np.linspace(0.0, max(depth_m, 1e-3), 20)
        return depths, np.maximum(a * depths**b + c, manhole_m2)
    return np.zeros(1), np.array([manhole_m2])
