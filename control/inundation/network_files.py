"""Brings a SWMM project into a site folder: `causeway import swmm`.

Reads the .inp, has SWMM itself read it too, turns its coordinates into degrees by PROJ and writes
`drainage.toml`, and `drainage.inp` where the forecast can run it; `network.py` and `project.py` say
what is in them. The folder is left as it was where the site would not be whole.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from swmm.toolkit import solver

from causeway.site import (
    ID,
    LonLat,
    RoadSegment,
    SiteInvalid,
    StreetDrain,
    apart_m,
    load_site,
)
from control.inundation.model import DrainageModel, ModelInvalid, sections_of
from control.inundation.network import (
    FEET,
    Network,
    NetworkInvalid,
    Where,
    read_network,
    street_drains,
)
from control.inundation.project import site_project

ASSETS, PROJECT, SITE = "drainage.toml", "drainage.inp", "site.toml"
BROUGHT = "brought in by `causeway import swmm`"
SHOWN_FAULTS = 20
WIDE_M, NARROW_M = 500_000.0, 10.0  # what is wider or narrower was read by another grid

Say = Callable[[str], None]


class ImportRefused(Exception):
    """A file that cannot be brought in: it, and each line that is wrong with the reason."""

    def __init__(self, file: Path, faults: list[str]) -> None:
        self.file = file
        self.faults = faults
        shown = [f"{file}:{fault}" for fault in faults[:SHOWN_FAULTS]]
        more = len(faults) - len(shown)
        super().__init__("\n".join(shown + [f"and {more} more"] * (more > 0)))


class ImportOptions(Struct, frozen=True):
    """`crs` is what PROJ knows (EPSG:9210); without one the network's middle comes to `at`."""

    file: Path
    site: Path
    crs: str | None
    at: LonLat | None
    offset_m: float
    timezone: str


def import_network(asked: ImportOptions, say: Say) -> Network:
    """Bring it in; says what came and what the forecast lacks. Raises ImportRefused."""
    text = asked.file.read_text(encoding="utf-8-sig", errors="replace")
    where = _where(asked, text)
    for name in (ASSETS, PROJECT):
        _only_ours(asked.site / name)
    faults = _by_swmm(asked.file)
    try:
        network = read_network(text, where, asked.offset_m)
    except NetworkInvalid as invalid:
        known = {line for line, _ in faults}
        faults += [(f.line, f.reason) for f in invalid.faults if f.line not in known]
    if faults:
        raise ImportRefused(asked.file, [f"{line}: {why}" for line, why in sorted(faults)])
    _sized(asked.file, network)
    segments = _undrained(asked.site)
    drains, streets_m2 = street_drains(network.nodes, segments)
    files = {ASSETS: _assets(network, drains, asked.file.name)}
    lacking = "its flows are not in CMS: the forecast needs a project in metres and m³/s"
    if network.units == "CMS":
        project = site_project(text, where, asked.offset_m, streets_m2)
        files[PROJECT] = f";; {asked.file.name}, {BROUGHT}\n{project}"
        lacking = _lacking(files[PROJECT])
        if lacking:
            del files[PROJECT]
    files[SITE] = _site_toml(asked, network, PROJECT in files)
    _write(asked.site, files)
    counts = (network.nodes, network.conduits, network.catchments)
    nodes, conduits, catchments = map(len, counts)
    say(f"{asked.site / ASSETS}: {nodes} nodes, {conduits} conduits, {catchments} catchments")
    if segments:
        say(f"{len(drains)} of {len(segments)} road segments drain to a manhole within reach")
    if PROJECT in files:
        say(f"{asked.site / PROJECT}: the forecast's model")
    else:
        say(f"no forecast: {lacking}")
    return network


def _only_ours(path: Path) -> None:
    """Refuses to write over what was not brought in."""
    if path.exists() and BROUGHT not in path.read_text(errors="replace").partition("\n")[0]:
        raise ImportRefused(
            path, ["1: another network stands here; expected none, or one to renew"]
        )


def _undrained(folder: Path) -> tuple[RoadSegment, ...]:
    """Road segments that name no node of their own; none where there is no site yet."""
    if not (folder / SITE).exists():
        return ()
    site = load_site(folder)
    given = {drain.segment for drain in site.street_drains}
    return tuple(s for s in site.segments if s.node is None or s.id in given)


def _where(asked: ImportOptions, text: str) -> Where:
    if asked.crs is not None:
        return _by_grid(asked)
    assert asked.at is not None
    rows = [row.words for row in dict(sections_of(text)).get("COORDINATES", [])]
    xs, ys = [], []
    for words in rows:
        with suppress(ValueError, IndexError):  # the network's reader says which
            x, y = float(words[1]), float(words[2])
            xs.append(x)
            ys.append(y)
    if not xs:
        raise ImportRefused(asked.file, ["1: no [COORDINATES] to place"])
    middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    feet = re.search(r"^\s*UNITS\s+FEET", text, re.IGNORECASE | re.MULTILINE)
    return _around(asked.at, middle, FEET if feet else 1.0)


def _by_grid(asked: ImportOptions) -> Where:
    name = f"EPSG:{asked.crs}" if str(asked.crs).isdigit() else str(asked.crs)
    try:
        grid = Transformer.from_crs(CRS.from_user_input(name), "EPSG:4326", always_xy=True)
    except CRSError as error:
        raise ImportRefused(asked.file, [f"1: --crs {asked.crs}: {error}"]) from None

    def where(x: float, y: float) -> LonLat:
        lon, lat = grid.transform(x, y)
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            raise ValueError(f"{x:g}, {y:g} is no place in {name}")
        return LonLat(round(lon, 6), round(lat, 6))

    return where


def _around(at: LonLat, middle: tuple[float, float], unit_m: float) -> Where:
    east_m = apart_m(at, LonLat(at.lon + 1e-3, at.lat)) * 1e3
    north_m = apart_m(at, LonLat(at.lon, at.lat + 1e-3)) * 1e3

    def where(x: float, y: float) -> LonLat:
        lon = at.lon + (x - middle[0]) * unit_m / east_m
        lat = at.lat + (y - middle[1]) * unit_m / north_m
        return LonLat(round(lon, 6), round(lat, 6))

    return where


def _sized(file: Path, network: Network) -> None:
    """Refuses a network that is larger than any region, or a point: its grid is another one."""
    lons = [node.at.lon for node in network.nodes]
    lats = [node.at.lat for node in network.nodes]
    wide_m = apart_m(LonLat(min(lons), min(lats)), LonLat(max(lons), max(lats)))
    if wide_m > WIDE_M or (wide_m < NARROW_M and len(lons) > 1):
        seen = f"{wide_m / 1e3:,.0f} km" if wide_m > WIDE_M else f"{wide_m:.2g} m"
        raise ImportRefused(file, [f"1: by that grid it is {seen} wide; expected another --crs"])


def _by_swmm(file: Path) -> list[tuple[int, str]]:
    """What SWMM itself says is wrong with the project, by line."""
    with tempfile.TemporaryDirectory() as folder:
        report, out = Path(folder) / "run.rpt", Path(folder) / "run.out"
        refused = ""
        try:
            solver.swmm_open(str(file), str(report), str(out))
        except Exception as error:
            if type(error) is not Exception:  # SWMM's own have no class of theirs
                raise
            refused = " ".join(str(error).split())
        with suppress(Exception):
            solver.swmm_close()  # before it the report is not whole
        return (_said(report) or [(1, f"SWMM: {refused}")]) if refused else []


def _said(report: Path) -> list[tuple[int, str]]:
    """Line and reason of each error in SWMM's report, with the line itself, which follows there."""
    lines = report.read_text(errors="replace").splitlines() if report.exists() else []
    said = []
    for line, shown in zip(lines, [*lines[1:], ""], strict=True):
        found = re.match(r"\s*ERROR \d+: (.+?)(?: at line (\d+) of .*)?$", line)
        if found and found[2]:
            said.append((int(found[2]), f"{found[1]} ({' '.join(shown.split())})"))
        elif found:
            said.append((1, found[1]))
    return said


def _lacking(project: str) -> str:
    try:
        DrainageModel(project)
    except ModelInvalid as error:
        return error.reason
    return ""


def _assets(network: Network, drains: tuple[StreetDrain, ...], source: str) -> str:
    tables = [f"# {source}, {BROUGHT}\n"]
    for key, things in (
        ("node", network.nodes),
        ("conduit", network.conduits),
        ("catchment", network.catchments),
        ("street_drain", drains),
    ):
        for thing in things:
            rows = msgspec.to_builtins(thing).items()
            told = [
                f"{name} = {_toml(value)}" for name, value in rows if value not in (None, [], ())
            ]
            tables.append(f"[[{key}]]\n" + "\n".join(told) + "\n")
    return "\n".join(tables)


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()  # strings, numbers and lists are the same in both


def _site_toml(asked: ImportOptions, network: Network, forecasts: bool) -> str:
    """The site's head with the new files named; one of its own where there is none yet."""
    path = asked.site / SITE
    if path.exists():
        text = path.read_text()
    else:
        id_ = re.sub(r"[^a-z0-9_-]", "-", asked.site.resolve().name.lower())
        assert ID.fullmatch(id_)
        lons = sorted(node.at.lon for node in network.nodes)
        lats = sorted(node.at.lat for node in network.nodes)
        name = _toml(asked.site.resolve().name)
        text = (
            f'[site]\nid = "{id_}"\nname = {name}\nname_en = {name}\n'
            f'timezone = "{asked.timezone}"\ndatum = "hon_dau"\n'
            f"centre = [{lons[len(lons) // 2]}, {lats[len(lats) // 2]}]\n"
            f"credit = {_toml(asked.file.name)}\ninclude = []\n"
        )
    if f'"{ASSETS}"' not in text:
        text = re.sub(r"(?m)^include\s*=\s*\[", f'include = [\n    "{ASSETS}",\n', text, count=1)
    if f'"{ASSETS}"' not in text:
        text = re.sub(r"(?m)^\[site\].*$", f'[site]\ninclude = ["{ASSETS}"]', text, count=1)
    if forecasts:
        text = re.sub(r"(?m)^drainage_model\s*=.*\n", "", text)
        text = re.sub(r"(?m)^\[site\].*$", f'[site]\ndrainage_model = "{PROJECT}"', text, count=1)
    return text


def _write(folder: Path, files: dict[str, str]) -> None:
    """All files, or none where the site would not be whole."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in (ASSETS, PROJECT, SITE)]
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        for name, text in files.items():
            (folder / name).write_text(text)
        load_site(folder)
    except (SiteInvalid, OSError):
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise
