"""What in a folder SUMO is started with, and what it then says of it: a `Scenario`.

In comes a folder with a .sumocfg, or with one net and its routes; out come SUMO's arguments, the
hour to be simulated, and the programs of the signals that can be controlled. Options of the
.sumocfg hold, but for its outputs, which go to a working folder, and the random seed.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import libsumo
from msgspec import Struct, structs
from sumolib.miscutils import parseTime

from benchmarks.signals.city import build
from benchmarks.signals.network import Times, read_network
from causeway.cli import CITIES, ROOT, Unusable
from causeway.site import SiteInvalid, load_site
from control.signals.layout import LayoutError
from sims.city import CityUnusable
from sims.scenario import load_scenario

TRAFFIC = ROOT / "sims" / "scenarios" / "evening_peak.toml"  # how much of it a site has
SECONDS = 3600  # simulated, where the scenario has no end
UP = "../" * 64  # from any folder to the root


class ScenarioUnusable(Unusable):
    """A folder that cannot be evaluated, and why, in a line."""

    def __init__(self, where: object, why: str) -> None:
        self.where = where
        self.why = " ".join(why.split())
        super().__init__(f"{where}: {self.why}")


class Folder(Struct, frozen=True):
    """A scenario as found: `arguments` are SUMO's, `seconds` overrules its end.

    Of a `site` the scenario is made first, into the folder `made`, with traffic for these `seeds`.
    """

    name: str
    arguments: tuple[str, ...]
    seconds: int | None = None
    site: str = ""
    made: str = ""
    seeds: tuple[int, ...] = ()


class Phase(Struct, frozen=True):
    """Of a signal's program in the scenario; the times as SUMO has them, in s."""

    state: str
    duration_s: float
    min_s: float
    max_s: float
    next: tuple[int, ...] = ()


class Scenario(Struct, frozen=True):
    """What is simulated; `programs` are of the signals that can be controlled, `unusable` why not.

    `additional` are the scenario's own additional files, as SUMO takes them.
    """

    name: str
    arguments: tuple[str, ...]
    net_file: str
    additional: str
    begin_s: int
    end_s: int
    steps_per_s: int
    programs: dict[str, list[Phase]]
    unusable: dict[str, str]
    notes: tuple[str, ...] = ()
    routes: dict[int, str] = {}  # by seed, where each has traffic of its own
    times: dict[str, Times] = {}  # of signals that have times of their own
    by_persons: bool = False  # their delay is compared, not that of vehicles

    @property
    def states(self) -> dict[str, list[str]]:
        """The states of each program's phases."""
        return {id_: [p.state for p in phases] for id_, phases in self.programs.items()}


def find(path: Path, seconds: int | None = None) -> Folder:
    """What is in a folder; raises ScenarioUnusable. A .sumocfg may be named itself.

    A site is a folder with a `site.toml`, or the name of one of `sims/cities`.
    """
    for place in (path, CITIES / path):
        if (place / "site.toml").is_file():
            return Folder(place.resolve().name, (), seconds, site=str(place.resolve()))
    if path.is_file() and path.suffix == ".sumocfg":
        return _configured(path.resolve(), path.stem, seconds)
    if not path.is_dir():
        raise ScenarioUnusable(path, "no such folder")
    folder = path.resolve()
    configs = sorted(folder.glob("*.sumocfg"))
    if len(configs) > 1:
        raise ScenarioUnusable(path, f"{_names(configs)}: name the one that is meant")
    if configs:
        return _configured(configs[0], folder.name, seconds)
    nets = _all(folder, "net")
    routes = _all(folder, "rou") or _all(folder, "trips")
    if len(nets) != 1:
        seen = _names(nets) or "no net"
        raise ScenarioUnusable(path, f"seen {seen}, expected a .sumocfg, or one .net.xml")
    if not routes:
        raise ScenarioUnusable(path, "no routes: expected a .sumocfg, or .rou.xml beside the net")
    arguments = ["--net-file", str(nets[0]), "--route-files", ",".join(map(str, routes))]
    if additional := _all(folder, "add"):
        arguments += ["--additional-files", ",".join(map(str, additional))]
    return Folder(folder.name, (*arguments, *_no_teleports(set())), seconds)


def quiet(work: Path, seed: int) -> list[str]:
    """Options for a run that leaves nothing in the scenario's folder.

    SUMO puts the prefix before the last part of an output's path: from there it leads to `work`.
    """
    return [
        *("--seed", str(seed), "--random", "false"),
        *("--no-step-log", "true", "--no-warnings", "true", "--duration-log.disable", "true"),
        *("--output-prefix", f"{UP}{str(work.resolve()).lstrip('/')}/"),
    ]


def survey(folder: Folder, work: Path) -> Scenario:
    """Start SUMO on it once and ask; raises ScenarioUnusable, or SUMO's own error."""
    if folder.site:
        return _of_site(folder, work)
    libsumo.start(["sumo", *folder.arguments, *quiet(work, 1)])
    try:
        return _surveyed(folder, {})
    finally:
        libsumo.close()


def _of_site(folder: Folder, work: Path) -> Scenario:
    seconds, made = folder.seconds or SECONDS, Path(folder.made)
    made.mkdir(parents=True, exist_ok=True)
    try:
        site = load_site(Path(folder.site))
        level = load_scenario(TRAFFIC, site).traffic
        city = build(site, level, made, folder.seeds, seconds)
    except (SiteInvalid, CityUnusable, LayoutError) as error:
        raise ScenarioUnusable(folder.name, str(error)) from error
    found = structs.replace(folder, arguments=city.arguments, seconds=seconds)
    libsumo.start(["sumo", *found.arguments, *quiet(work, 1)])
    try:
        scenario = _surveyed(found, city.times)
    finally:
        libsumo.close()
    return structs.replace(scenario, routes=city.routes, times=city.times, by_persons=True)


def _surveyed(folder: Folder, times: dict[str, Times]) -> Scenario:
    option = libsumo.simulation.getOption
    begin_s, step_s = int(_seconds(option("begin"))), _seconds(option("step-length"))
    steps_per_s = round(1 / step_s) if step_s > 0 else 0
    if steps_per_s < 1 or abs(steps_per_s * step_s - 1) > 1e-6:
        why = f"step length {step_s:g} s, expected 1 s or a whole part of it"
        raise ScenarioUnusable(folder.name, why)
    notes = []
    end_s = int(_seconds(option("end"))) if option("end") else -1
    if folder.seconds is not None:
        end_s = begin_s + folder.seconds
    elif end_s < 0:
        end_s = begin_s + SECONDS
        notes.append(f"no end: {SECONDS} s are simulated (--seconds says otherwise)")
    if end_s <= begin_s:
        raise ScenarioUnusable(folder.name, f"it ends at {end_s} s, before its begin {begin_s} s")
    programs = {id_: _program(id_) for id_ in libsumo.trafficlight.getIDList()}
    net_file = option("net-file")
    try:
        network = read_network(
            Path(net_file),
            {id_: [p.state for p in phases] for id_, phases in programs.items()},
            times,
        )
    except LayoutError as error:
        raise ScenarioUnusable(folder.name, error.why) from error
    return Scenario(
        name=folder.name,
        arguments=folder.arguments,
        net_file=net_file,
        additional=option("additional-files"),
        begin_s=begin_s,
        end_s=end_s,
        steps_per_s=steps_per_s,
        programs={id_: programs[id_] for id_ in network.layouts},
        unusable=network.unusable,
        notes=tuple(notes),
    )


def _program(id_: str) -> list[Phase]:
    """The phases of the program that runs; none where SUMO has it off."""
    running = libsumo.trafficlight.getProgram(id_)
    return [
        Phase(phase.state, phase.duration, phase.minDur, phase.maxDur, tuple(phase.next))
        for logic in libsumo.trafficlight.getAllProgramLogics(id_)
        if logic.programID == running
        for phase in logic.phases
    ]


def _configured(config: Path, name: str, seconds: int | None) -> Folder:
    try:
        options = {element.tag for element in ET.parse(config).getroot().iter()}
    except (ET.ParseError, OSError) as error:
        raise ScenarioUnusable(config, f"no SUMO configuration: {error}") from error
    arguments = ("--configuration-file", str(config), *_no_teleports(options))
    return Folder(name, arguments, seconds)


def _no_teleports(options: set[str]) -> tuple[str, ...]:
    """A vehicle that stands too long stays, unless the scenario says so: teleports hide jams."""
    return () if "time-to-teleport" in options else ("--time-to-teleport", "-1")


def _all(folder: Path, kind: str) -> list[Path]:
    return sorted([*folder.glob(f"*.{kind}.xml"), *folder.glob(f"*.{kind}.xml.gz")])


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _seconds(text: str) -> float:
    return float(parseTime(text))
