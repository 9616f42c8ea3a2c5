"""SUMO's own adaptive controllers on the phases of a scenario's programs, as an additional file.

"actuated" prolongs a green while vehicles follow each other within a time gap, "delay_based" while
vehicles of its approach have lost time; both keep the order of the phases (SUMO documentation,
Simulation/Traffic_Lights). Each phase with green may last between the minimum green that all
methods keep and its own longest time in the scenario, or where it has none the 50 s that SUMO's
netconvert gives: with the 120 s of the other methods both do worse. Yellow is as for all methods;
a phase with red and yellow ("u") is a transition too, and lasts as in the scenario.

The clearance of a crossing is as for all methods: a phase that only gives pedestrians red is as
long as they need, and is put in where there is none. So it is in the scenario's own programs.
SUMO's controllers let pedestrians walk in every cycle, called or not.

Faults reach as far as SUMO lets them: an actuated signal has no detector on a dead lane, and one on
a lane with ghosts asks for more green without end; a lane of which every other vehicle is seen, and
all of delay_based, cannot be made faulty.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from msgspec import structs

from benchmarks.signals.eyes import Faults
from benchmarks.signals.scenario import Phase
from control.signals.layout import GREEN, RED, WALK_S, Layout, PedestrianCrossing

ACTUATED = "actuated"
KINDS = (ACTUATED, "delay_based")
STATIC = "static"
PROGRAM = "causeway"  # SUMO runs the program that is loaded last
MAX_GREEN_S = 50.0  # netconvert's tls.max-dur
NO_GAP_S = 1e6  # longer than any simulation: the green is prolonged to its maximum


def programs_of(
    kind: str,
    programs: Mapping[str, Sequence[Phase]],
    layouts: Mapping[str, Layout],
    faults: Faults,
) -> bytes:
    """An additional file with a program of that kind for each signal."""
    root = ET.Element("additional")
    for id_, phases in programs.items():
        logic = ET.SubElement(root, "tlLogic", id=id_, programID=PROGRAM, type=kind, offset="0")
        for lane in (lane.id for lane in layouts[id_].lanes) if kind == ACTUATED else ():
            if lane in faults.dead:
                ET.SubElement(logic, "param", key=lane, value="NO_DETECTOR")
            elif lane in faults.ghosts:
                ET.SubElement(logic, "param", key=f"max-gap:{lane}", value=f"{NO_GAP_S:g}")
        for phase, clears in cleared(layouts[id_], phases):
            varies = kind != STATIC and not clears
            attributes = (
                _attributes(phase, layouts[id_]) if varies else _named(phase, phase.duration_s)
            )
            ET.SubElement(logic, "phase", attributes)
    return ET.tostring(root)


def cleared(layout: Layout, phases: Sequence[Phase]) -> list[tuple[Phase, bool]]:
    """The phases with the clearance of each crossing, and which of them are for that.

    Phases that are not in turn (`next`) are left as they are.
    """
    if not layout.crossings or any(phase.next for phase in phases):
        return [(phase, False) for phase in phases]
    found: list[tuple[Phase, bool]] = []
    for i, phase in enumerate(phases):
        before, following = phases[i - 1], phases[(i + 1) % len(phases)]
        if clears_s := _clears_s(layout, before, phase):
            found.append((structs.replace(phase, duration_s=clears_s), True))
        else:
            found.append((_walked(layout, phase), False))
        ended = _ended(layout, phase, following)
        if ended and not _clears_s(layout, phase, following):
            state = list(phase.state)
            for crossing in ended:
                state[crossing.signal] = RED
            needed_s = float(max(crossing.clearance_s for crossing in ended))
            found.append((Phase("".join(state), needed_s, -1.0, -1.0), True))
    return found


def _clears_s(layout: Layout, before: Phase, phase: Phase) -> float:
    """How long a phase must be that only ends crossings; 0 where anything else changes with it."""
    ended = _ended(layout, before, phase)
    walks = {crossing.signal for crossing in ended}
    pairs = enumerate(zip(before.state, phase.state, strict=True))
    if any(a != b for place, (a, b) in pairs if place not in walks):
        return 0.0
    return float(max((crossing.clearance_s for crossing in ended), default=0))


def _ended(layout: Layout, before: Phase, after: Phase) -> list[PedestrianCrossing]:
    """The crossings that are green no more."""
    return [c for c in layout.crossings if before.state[c.signal] == GREEN != after.state[c.signal]]


def _walked(layout: Layout, phase: Phase) -> Phase:
    walks = any(phase.state[crossing.signal] == GREEN for crossing in layout.crossings)
    if not walks or not _stands(layout, phase):
        return phase
    return structs.replace(phase, duration_s=max(float(WALK_S), phase.duration_s))


def _stands(layout: Layout, phase: Phase) -> bool:
    """Whether a phase is a green one, and no transition in which only a crossing stays green."""
    walks = {crossing.signal for crossing in layout.crossings}
    driven = {aspect for place, aspect in enumerate(phase.state) if place not in walks}
    if set("yYu") & driven:
        return False
    return bool(set("Gg") & driven) or phase.state in layout.stages


def _named(phase: Phase, duration_s: float) -> dict[str, str]:
    named = {"state": phase.state, "duration": f"{duration_s:g}"}
    return {**named, "next": " ".join(map(str, phase.next))} if phase.next else named


def _attributes(phase: Phase, layout: Layout) -> dict[str, str]:
    aspects = set(phase.state)
    if {"y", "Y"} & aspects:
        return _named(phase, layout.yellow_s)
    if not _stands(layout, phase):
        return _named(phase, phase.duration_s)
    varies = phase.max_s > phase.min_s >= 0
    least_s = layout.min_green_s
    longest_s = max(least_s, phase.max_s if varies else max(MAX_GREEN_S, phase.duration_s))
    duration_s = min(max(least_s, phase.duration_s), longest_s)
    return {
        **_named(phase, duration_s),
        "minDur": f"{least_s:g}",
        "maxDur": f"{longest_s:g}",
    }
