"""Makes a SUMO scenario of a site: the same streets, signals, vehicles and drivers as in the demo.

In comes a site folder, out go files in a working folder: the network with pavements and crossings,
the programs of the site's own stages, and for each seed who drives and walks where and when, each
driver by the quickest way on empty streets. Motorbikes ride side by side, as in the demo.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

import libsumo
import numpy as np
from msgspec import Struct

from benchmarks.signals.network import Times, read_network
from causeway.site import Site
from control.signals.layout import Layout, changing, clearing
from sims.city import Network, build_network
from sims.controllers import LOCAL_GREEN_S
from sims.demand import Arrivals
from sims.routes import Routes
from sims.scenario import TrafficLevel
from sims.traffic import (
    JUNCTION_BLOCKER_IGNORED_S,
    LATERAL_RESOLUTION_M,
    STEP_S,
    TELEPORT_AFTER_S,
)
from sims.vehicle_types import types_file

PROGRAM = "site"
PEDESTRIANS_H = 120.0  # who cross at or go round each signalised junction
WALKS_FROM_M = 30.0  # of the junction, at most


class City(Struct, frozen=True):
    """SUMO's arguments, the route files by seed, and the times of the signals."""

    arguments: tuple[str, ...]
    routes: dict[int, str]
    times: dict[str, Times]


def build(
    site: Site, level: TrafficLevel, folder: Path, seeds: Sequence[int], seconds: int
) -> City:
    """Write all files; starts SUMO once for each seed. Raises sims.city.CityUnusable."""
    network = build_network(site, folder, walked=True)
    times = {
        j.id: Times(j.yellow_s, j.all_red_s, j.min_green_s, j.max_green_s) for j in site.junctions
    }
    stages = {j.id: [network.signals[j.id].stage(s) for s in j.stages] for j in site.junctions}
    programs = folder / f"{site.id}-programs.add.xml"
    layouts = read_network(network.file, stages, times).layouts.values()
    _write(programs, "additional", map(_program, layouts))
    types = types_file(folder)
    cameras = frozenset(camera.segment for camera in site.cameras)
    routes = {}
    for seed in seeds:
        routes[seed] = str(folder / f"{site.id}-{seed}.rou.xml")
        arrivals = Arrivals(network, level, seed, cameras)
        trips = [
            *_driven(network, arrivals, types, seed, seconds),
            *_walked(site, network, seed, seconds),
        ]
        trips.sort(key=lambda trip: float(trip.attrib["depart"]))
        _write(Path(routes[seed]), "routes", trips)
    arguments = (
        *("--net-file", str(network.file), "--additional-files", f"{types},{programs}"),
        *("--step-length", str(STEP_S), "--lateral-resolution", str(LATERAL_RESOLUTION_M)),
        *("--ignore-junction-blocker", str(JUNCTION_BLOCKER_IGNORED_S)),
        *(
            "--collision.action",
            "warn",
            "--time-to-teleport",
            str(TELEPORT_AFTER_S),
            "--xml-validation",
            "never",
        ),
    )
    return City(arguments, routes, times)


def _program(layout: Layout) -> ET.Element:
    """Each stage in turn for as long as the cabinet's own plan has it, with yellow and all-red."""
    logic = ET.Element("tlLogic", id=layout.id, programID=PROGRAM, type="static", offset="0")
    following = [*layout.stages[1:], layout.stages[0]]
    for stage, next_ in zip(layout.stages, following, strict=True):
        change = changing(layout, stage, next_)
        green = {"state": stage, "duration": f"{LOCAL_GREEN_S:g}"}
        green |= {"minDur": f"{layout.min_green_s:g}", "maxDur": f"{layout.max_green_s:g}"}
        ET.SubElement(logic, "phase", green)
        ET.SubElement(logic, "phase", state=change, duration=f"{layout.yellow_s:g}")
        if layout.all_red_s > 0:
            cleared = clearing(change)
            ET.SubElement(logic, "phase", state=cleared, duration=f"{layout.all_red_s:g}")
    return logic


def _driven(
    network: Network, arrivals: Arrivals, types: Path, seed: int, seconds: int
) -> Iterator[ET.Element]:
    """The vehicles of `sims/demand.py` with the ways that `sims/routes.py` finds them."""
    files = ("--net-file", str(network.file), "--additional-files", str(types))
    quiet = ("--no-step-log", "--no-warnings", "--xml-validation", "never")
    libsumo.start(["sumo", *files, *quiet, "--seed", str(seed), "--weights.random-factor", "1.3"])
    try:
        routes = Routes(arrivals)
        numbers = count(1)
        for step in range(int(seconds / STEP_S)):
            for trip in arrivals.next(STEP_S):
                if not (edges := routes.of_trip(trip)):
                    continue
                vehicle = ET.Element(
                    "vehicle",
                    id=f"{trip.type}-{next(numbers)}",
                    type=trip.type,
                    depart=f"{step * STEP_S:.1f}",
                    departLane="best",
                    departSpeed="max",
                )
                ET.SubElement(vehicle, "route", edges=" ".join(edges))
                yield vehicle
    finally:
        libsumo.close()


def _walked(site: Site, network: Network, seed: int, seconds: int) -> Iterator[ET.Element]:
    """Pedestrians at each signalised junction, from one of its streets to another, or across."""
    random = np.random.default_rng([seed, 2])
    numbers = count(1)
    for junction in site.junctions:
        beside = [e for e in network.edges.values() if junction.id in (e.start, e.end)]
        if len(beside) < 2:
            continue
        walkers = random.poisson(PEDESTRIANS_H * seconds / 3600)
        for depart_s in random.uniform(0, seconds, walkers):
            a, b = (beside[i] for i in random.choice(len(beside), 2, replace=False))
            person = ET.Element("person", id=f"walker-{next(numbers)}", depart=f"{depart_s:.1f}")
            near_m = [min(WALKS_FROM_M, e.length_m / 2) for e in (a, b)]
            places = [
                f"{-m:.1f}" if e.end == junction.id else f"{m:.1f}"
                for e, m in zip((a, b), near_m, strict=True)
            ]
            person.set("departPos", places[0])
            ET.SubElement(person, "walk", {"from": a.id, "to": b.id, "arrivalPos": places[1]})
            yield person


def _write(file: Path, root: str, rows: Iterable[ET.Element]) -> None:
    tree = ET.Element(root)
    tree.extend(rows)
    ET.ElementTree(tree).write(file, encoding="utf-8", xml_declaration=True)
