"""SUMO's own adaptive controllers on the phases of a scenario's programs, as an additional file.

"actuated" prolongs a green while vehicles follow each other within a time gap, "delay_based" while
vehicles of its approach have lost time; both keep the order of the phases (SUMO documentation,
Simulation/Traffic_Lights). Each phase with green may last between the minimum green that all
methods keep and its own longest time in the scenario, or where it has none the 50 s that SUMO's
netconvert gives: with the 120 s of the other methods both do worse. Yellow is as for all methods;
a phase with red and yellow ("u") is a transition too, and lasts as in the scenario.

Faults reach as far as SUMO lets them: an actuated signal has no detector on a dead lane, and one on
a lane with ghosts asks for more green without end; a lane of which every other vehicle is seen, and
all of delay_based, cannot be made faulty.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from benchmarks.signals.eyes import Faults
from benchmarks.signals.network import MIN_GREEN_S, YELLOW_S
from benchmarks.signals.scenario import Phase

ACTUATED = "actuated"
KINDS = (ACTUATED, "delay_based")
PROGRAM = "causeway"  # SUMO runs the program that is loaded last
MAX_GREEN_S = 50.0  # netconvert's tls.max-dur
NO_GAP_S = 1e6  # longer than any simulation: the green is prolonged to its maximum


def programs_of(
    kind: str,
    programs: Mapping[str, Sequence[Phase]],
    lanes: Mapping[str, Sequence[str]],
    faults: Faults,
) -> bytes:
    """An additional file with a program of that kind for each signal; `lanes` at its stop lines."""
    root = ET.Element("additional")
    for id_, phases in programs.items():
        logic = ET.SubElement(root, "tlLogic", id=id_, programID=PROGRAM, type=kind, offset="0")
        for lane in lanes[id_] if kind == ACTUATED else ():
            if lane in faults.dead:
                ET.SubElement(logic, "param", key=lane, value="NO_DETECTOR")
            elif lane in faults.ghosts:
                ET.SubElement(logic, "param", key=f"max-gap:{lane}", value=f"{NO_GAP_S:g}")
        for phase in phases:
            ET.SubElement(logic, "phase", _attributes(phase))
    return ET.tostring(root)


def _attributes(phase: Phase) -> dict[str, str]:
    named = {"state": phase.state}
    if phase.next:
        named["next"] = " ".join(map(str, phase.next))
    aspects = set(phase.state)
    if {"y", "Y"} & aspects:
        return {**named, "duration": f"{YELLOW_S:g}"}
    if "u" in aspects or not {"G", "g"} & aspects:
        return {**named, "duration": f"{phase.duration_s:g}"}
    varies = phase.max_s > phase.min_s >= 0
    longest_s = max(MIN_GREEN_S, phase.max_s if varies else max(MAX_GREEN_S, phase.duration_s))
    duration_s = min(max(MIN_GREEN_S, phase.duration_s), longest_s)
    return {
        **named,
        "duration": f"{duration_s:g}",
        "minDur": f"{MIN_GREEN_S:g}",
        "maxDur": f"{longest_s:g}",
    }
