"""A drainage network to be controlled: where its SWMM project is, and what of it can be set.

In comes a name of pystorms or a file; out come the text of its project, changed only as far as a
run needs (`project_text`), and, once SWMM has read it, a `Case`. Nothing is written beside the
file. What is wrong with a project is said as SWMM says it: reason, line, the line itself.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from causeway.cli import Unusable

PYSTORMS = ("theta", "alpha", "beta", "gamma", "delta", "epsilon", "zeta")
DECIDES_EVERY_S = 60


class CaseUnusable(Unusable):
    """A network that cannot be evaluated, and why, in a line."""

    def __init__(self, where: object, why: str) -> None:
        self.where = where
        self.why = " ".join(why.split())
        super().__init__(f"{where}: {self.why}")


class Found(Struct, frozen=True):
    """A network as it was asked for, before SWMM has read it."""

    name: str
    file: str
    pystorms: bool = False


class Controlled(Struct, frozen=True):
    """An asset, by SWMM's numbers; depths in the project's unit of length.

    `above` and `below` are its ends, `drained` and `filled` the storages beyond them, if any.
    """

    id: str
    kind: str
    number: int
    above: int
    below: int
    drained: int
    filled: int
    drained_full: float
    filled_full: float
    start_ratio: float
    stop_ratio: float
    peak_m3s: float = 0.0


class Case(Struct, frozen=True):
    """A network that can be run; lengths in m, flows in m3/s after multiplication by the units."""

    found: Found
    assets: tuple[Controlled, ...]
    nodes: int
    begin: tuple[int, int, int, int, int, int]
    seconds: float
    routing_step_s: float
    length_m: float
    flow_m3s: float
    release_m3s: float | None = None  # what the scenario would have flow out at most, in all

    @property
    def name(self) -> str:
        return self.found.name


def find(name: str) -> Found:
    """A scenario of pystorms by its name, or a project by its path; raises CaseUnusable."""
    if name in PYSTORMS:
        if find_spec("pystorms") is None:
            raise CaseUnusable(name, "pystorms is not installed (pip install 'causeway[drainage]')")
        networks = import_module("pystorms.networks")
        return Found(name, str(networks.load_network(name)), pystorms=True)
    path = Path(name)
    if path.suffix.lower() != ".inp":
        known = ", ".join(PYSTORMS)
        raise CaseUnusable(name, f"expected a SWMM project (.inp), or one of {known}")
    if not path.is_file():
        raise CaseUnusable(name, "there is no such file")
    return Found(path.stem, str(path.resolve()))


def project_text(found: Found, rain_ratio: float = 1.0, keep_rules: bool = True) -> str:
    """The project as a run needs it.

    One thread (SWMM's own are slower than one on small networks), no output files, other files by
    whole paths, rain times `rain_ratio` by monthly adjustments, without its control rules where
    something else controls, and a Green-Ampt deficit over 1, which SWMM 5.2 refuses, as 1.
    """
    text = Path(found.file).read_text(encoding="utf-8", errors="replace")
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            section = line.strip().strip("[]").upper()
        lines.append(_line(found, section, line, keep_rules))
    if rain_ratio != 1.0:
        lines += ["", "[ADJUSTMENTS]", "RAINFALL " + " ".join([f"{rain_ratio:g}"] * 12)]
    return "\n".join(lines) + "\n"


def _line(found: Found, section: str, line: str, keep_rules: bool) -> str:
    words = line.split()
    if not words or words[0].startswith((";", "[")):
        return line
    match section:
        case "OPTIONS" if words[0].upper() == "THREADS":
            return "THREADS 1"
        case "FILES" if words[0].upper() == "SAVE":
            return ""
        case "CONTROLS" if not keep_rules:
            return ""
        case "INFILTRATION" if len(words) == 4 and _over_one(words[3]) and _green_ampt(found):
            return " ".join([*words[:3], "1"])
        case "RAINGAGES" | "TIMESERIES" | "FILES" | "TEMPERATURE":
            return _with_whole_path(found, line)
        case _:
            return line


def _with_whole_path(found: Found, line: str) -> str:
    quoted = re.search(r'"([^"]+)"', line)
    if quoted is None or not (beside := Path(found.file).parent / quoted[1]).is_file():
        return line
    return line.replace(quoted[0], f'"{beside}"')


def _over_one(word: str) -> bool:
    try:
        return float(word) > 1
    except ValueError:
        return False


def _green_ampt(found: Found) -> bool:
    """pystorms' delta has deficits of 4, which SWMM 5.1 took for 1."""
    return found.pystorms


def pump_levels(found: Found) -> dict[str, tuple[float, float]]:
    """Start and stop depths of the pumps of a project that SWMM took; 0: none."""
    levels = {}
    section = ""
    for line in Path(found.file).read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.partition(";")[0].split()
        if line.lstrip().startswith("["):
            section = line.strip().strip("[]").upper()
        elif section == "PUMPS" and len(words) >= 7:
            levels[words[0]] = float(words[5]), float(words[6])
    return levels


def said_wrong(report: str) -> str:
    """What SWMM's report says is wrong: reasons with their lines, at most three."""
    lines = [line.strip() for line in report.splitlines()]
    wrong = []
    for number, line in enumerate(lines):
        if line.startswith("ERROR"):
            reason = line.partition(":")[2].strip() or line
            after = lines[number + 1] if number + 1 < len(lines) else ""
            shown = f" ({' '.join(after.split())})" if reason.endswith(":") and after else ""
            wrong.append(reason.rstrip(":") + shown)
    more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return "; ".join(wrong[:3]) + more
