"""What a SUMO run cost the traffic, from the trips and the statistics that it wrote.

Delay as RESCO defines it: of every vehicle that was to depart, arrived or not, the time lost on the
way and before it could depart; of one that never could depart, the time from then to the end. SUMO
writes the last as `departDelay` of a trip with a negative `depart`, and leaves out what was to
depart after the end (1.28, --tripinfo-output.write-undeparted).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from msgspec import Struct


class Outcome(Struct, frozen=True):
    """Of one simulation; means are over all vehicles that were to depart."""

    delay_s: float
    waiting_s: float
    wait_max_s: float  # the longest that one vehicle stood on its way, all its stops together
    stops: float
    queue_veh: float  # how many stand in the whole net, on average over time
    co2_kg: float
    vehicles: int
    completed: int
    never_inserted: int
    teleports: int
    collisions: int
    emergency_stops: int
    decision_ms_median: float | None = None  # for one junction
    decision_ms_p99: float | None = None
    decision_ms_max: float | None = None
    decisions: int = 0
    wall_s: float = 0.0


def outcome(trips: Path, statistics: Path, seconds: float) -> Outcome:
    """Reads both files; `seconds` is how long the simulation lasted."""
    delay_s = waiting_s = wait_max_s = co2_mg = 0.0
    vehicles = completed = never_inserted = stops = 0
    for _, trip in ET.iterparse(trips):
        if trip.tag == "emissions":
            co2_mg += float(trip.get("CO2_abs", 0))
        if trip.tag != "tripinfo":
            continue
        departed = float(trip.get("depart", -1)) >= 0
        vehicles += 1
        never_inserted += not departed
        completed += float(trip.get("arrival", -1)) >= 0
        delay_s += float(trip.get("departDelay", 0))
        if departed:
            delay_s += float(trip.get("timeLoss", 0))
            waited_s = float(trip.get("waitingTime", 0))
            waiting_s += waited_s
            wait_max_s = max(wait_max_s, waited_s)
            stops += int(trip.get("waitingCount", 0))
        trip.clear()
    whole = ET.parse(statistics).getroot()
    return Outcome(
        delay_s=delay_s / max(1, vehicles),
        waiting_s=waiting_s / max(1, vehicles),
        wait_max_s=wait_max_s,
        stops=stops / max(1, vehicles),
        queue_veh=waiting_s / seconds,
        co2_kg=co2_mg / 1e6,
        vehicles=vehicles,
        completed=completed,
        never_inserted=never_inserted,
        teleports=_count(whole, "teleports", "total"),
        collisions=_count(whole, "safety", "collisions"),
        emergency_stops=_count(whole, "safety", "emergencyStops"),
    )


def _count(root: ET.Element, element: str, attribute: str) -> int:
    found = root.find(element)
    return int(found.get(attribute, 0)) if found is not None else 0
