"""What a SUMO run cost the traffic, from the trips and the statistics that it wrote.

Delay as RESCO defines it: of every vehicle that was to depart, arrived or not, the time lost on the
way and before it could depart; of one that never could depart, the time from then to the end. SUMO
writes the last as `departDelay` of a trip with a negative `depart`, and leaves out what was to
depart after the end (1.28, --tripinfo-output.write-undeparted).

A person's delay is that of the vehicle that he sits in, or his waiting at crossings; its mean is
over all in the vehicles (`road_users.py`) and on foot.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from benchmarks.signals.road_users import road_user


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
    person_delay_s: float = 0.0
    signal_wait_max_s: int = 0  # that one vehicle stood before one signal
    pedestrian_wait_s: float = 0.0  # at crossings, a pedestrian's mean
    pedestrian_wait_max_s: int = 0
    pedestrians: int = 0
    pedestrians_hit: int = 0
    priority_vehicles: int = 0
    priority_delay_s: float = 0.0  # of those who ask for priority
    others_delay_s: float = 0.0


class Watched(Struct, frozen=True):
    """What no file of SUMO's tells: waits before signals, and the class of each vehicle type."""

    signal_wait_max_s: int = 0
    pedestrian_waits_s: int = 0  # of all together
    pedestrian_wait_max_s: int = 0
    classes: dict[str, str] = {}


HITS = frozenset(("junctionPedestrian", "sharedLane"))  # of persons, as SUMO has them


def pedestrians_hit(collisions: Path) -> int:
    """From SUMO's output of collisions; none without the file."""
    if not collisions.exists():
        return 0
    return sum(hit.get("type") in HITS for hit in ET.parse(collisions).getroot())


def outcome(
    trips: Path,
    statistics: Path,
    seconds: float,
    watched: Watched | None = None,
    hit: int = 0,
    asks: Callable[[str], bool] = lambda vehicle: False,
) -> Outcome:
    """Reads both files; `seconds` is how long the simulation lasted, `asks` who has priority."""
    watched = watched or Watched()
    asking, asking_delay_s = 0, 0.0
    persons = person_delays_s = 0.0
    pedestrians = 0
    delay_s = waiting_s = wait_max_s = co2_mg = 0.0
    vehicles = completed = never_inserted = stops = 0
    for _, trip in ET.iterparse(trips):
        if trip.tag == "emissions":
            co2_mg += float(trip.get("CO2_abs", 0))
        pedestrians += trip.tag == "personinfo"
        if trip.tag != "tripinfo":
            continue
        departed = float(trip.get("depart", -1)) >= 0
        vehicles += 1
        never_inserted += not departed
        completed += float(trip.get("arrival", -1)) >= 0
        lost_s = float(trip.get("departDelay", 0))
        if departed:
            lost_s += float(trip.get("timeLoss", 0))
            waited_s = float(trip.get("waitingTime", 0))
            waiting_s += waited_s
            wait_max_s = max(wait_max_s, waited_s)
            stops += int(trip.get("waitingCount", 0))
        delay_s += lost_s
        if asks(trip.get("id", "")):
            asking, asking_delay_s = asking + 1, asking_delay_s + lost_s
        aboard = road_user(watched.classes.get(trip.get("vType", ""), "")).persons
        persons += aboard
        person_delays_s += aboard * lost_s
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
        person_delay_s=(person_delays_s + watched.pedestrian_waits_s)
        / max(1.0, persons + pedestrians),
        signal_wait_max_s=watched.signal_wait_max_s,
        pedestrian_wait_s=watched.pedestrian_waits_s / max(1, pedestrians),
        pedestrian_wait_max_s=watched.pedestrian_wait_max_s,
        pedestrians=pedestrians,
        pedestrians_hit=hit,
        priority_vehicles=asking,
        priority_delay_s=asking_delay_s / max(1, asking),
        others_delay_s=(delay_s - asking_delay_s) / max(1, vehicles - asking),
    )


def _count(root: ET.Element, element: str, attribute: str) -> int:
    found = root.find(element)
    return int(found.get(attribute, 0)) if found is not None else 0
