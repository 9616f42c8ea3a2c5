"""Draws storms over a simulated city: a high tide, a cloudburst on a low tide, or both at once.

In come a seed and the city's middle; out comes a `Storm`, a scenario that any of `sims/` can play.
A seed is of one kind by turns (tide, rain, compound), so that any row of seeds has as many of each.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, get_args

import msgspec
import numpy as np

from causeway.site import LonLat, Site
from sims import tide
from sims.rain import METRES_PER_DEGREE
from sims.scenario import NS, RainCell, Scenario, Tide, TrafficLevel
from sims.watershed import Watershed

Kind = Literal["tide", "rain", "compound"]
KINDS: tuple[Kind, ...] = get_args(Kind)
BEFORE_PEAK_S = 5 * 3_600  # a tide's flood is to be foreseen hours ahead
HOURS = 7
SEASON = (datetime(2025, 9, 1, tzinfo=UTC), 120)  # first day and days: the months of king tides
KING_M, LOW_M = 1.50, 0.7  # peaks above and below which a tide is one or the other
MINUTE = 60 * NS
GATE_STUCK: dict[Kind, float] = {"tide": 0.85, "rain": 0.0, "compound": 0.2}
FLAP_JAMMED, JAMMED_KNOWN = 0.15, 0.85
SILTED, SILTED_TO = 0.25, (0.5, 0.9)


class Condition(NamedTuple):
    """What is not as it should be on the day.

    The centre knows of the gates that cannot close, for their PLCs say so, and of `jammed_known`
    from the sewer crews' list; nobody knows of the other flaps and of the sewers that are silted
    up, to a share of their height.
    """

    stuck_gates: frozenset[str]
    jammed: frozenset[str]
    jammed_known: frozenset[str]
    silted: dict[str, float]


class Storm(NamedTuple):
    """One event, and how long it is watched."""

    seed: int
    kind: Kind
    scenario: Scenario
    condition: Condition
    seconds: int


def altered(truth: Watershed, condition: Condition) -> Watershed:
    """The city as it is on the day."""
    replace = msgspec.structs.replace
    sewers = []
    for sewer in truth.sewer:
        share = condition.silted.get(sewer.id, 1.0)
        sewers.append(
            replace(
                sewer,
                flap=sewer.flap and sewer.id not in condition.jammed,
                diameter_m=round(sewer.diameter_m * share, 3),
                height_m=round(sewer.height_m * share, 3),
            )
        )
    return replace(truth, sewer=tuple(sewers))


def draw(seed: int, site: Site, truth: Watershed) -> Storm:
    """The storm of a seed."""
    rng = np.random.default_rng([seed, 7])
    kind = KINDS[seed % len(KINDS)]
    surge_m = float(rng.uniform(0.05, 0.30)) if kind != "rain" else float(rng.normal(0.0, 0.05))
    peak_ns = _peak(rng, kind, surge_m)
    start = datetime.fromtimestamp((peak_ns - BEFORE_PEAK_S * NS) / NS, UTC)
    cells: tuple[RainCell, ...] = ()
    if kind != "tide":
        first = start + timedelta(seconds=float(rng.uniform(2.5, 4.5)) * 3_600)
        cells = tuple(_cell(rng, site, first) for _ in range(int(rng.integers(1, 4))))
    scenario = Scenario(
        id=f"storm_{seed}",
        name=f"{kind} {seed}",
        name_en=f"{kind} {seed}",
        start=start,
        seed=seed,
        traffic=TrafficLevel(veh_h=0.0, motorbike_share=1.0),
        tide=Tide(surge_m=surge_m),
        rain=cells,
    )
    return Storm(seed, kind, scenario, _condition(rng, kind, site, truth), HOURS * 3_600)


def _condition(rng: np.random.Generator, kind: Kind, site: Site, truth: Watershed) -> Condition:
    broken = [g.id for g in site.gates if rng.random() < GATE_STUCK[kind]]
    flaps = [s.id for s in truth.sewer if s.flap]
    jammed = [f for f in flaps if rng.random() < FLAP_JAMMED]
    silted = {s.id: float(rng.uniform(*SILTED_TO)) for s in truth.sewer if rng.random() < SILTED}
    known = frozenset(f for f in jammed if rng.random() < JAMMED_KNOWN)
    return Condition(frozenset(broken), frozenset(jammed), known, silted)


def _peak(rng: np.random.Generator, kind: Kind, surge_m: float) -> int:
    """When a tide of the kind is highest: one of the season's, by chance."""
    first, days = SEASON
    begins_ns = int(first.timestamp()) * NS
    times = begins_ns + np.arange(days * 24 * 4, dtype=np.int64) * 15 * MINUTE
    level = tide.stages_m(times, surge_m)
    inner = level[1:-1]
    peaks = np.flatnonzero((inner >= level[:-2]) & (inner > level[2:])) + 1
    fits = level[peaks] <= LOW_M if kind == "rain" else level[peaks] >= KING_M
    return int(times[rng.choice(peaks[fits])])


def _cell(rng: np.random.Generator, site: Site, first: datetime) -> RainCell:
    """A cloudburst that crosses the district, or grows and dies over it."""
    east, north = rng.normal(0.0, 1_000.0, 2) / METRES_PER_DEGREE
    lasts_s = float(rng.uniform(2_400.0, 7_200.0))
    return RainCell(
        at=LonLat(site.centre.lon + east, site.centre.lat + north),
        begins=first + timedelta(seconds=float(rng.uniform(0.0, 2_400.0))),
        lasts_s=lasts_s,
        peak_mm_h=float(rng.uniform(60.0, 170.0)),
        radius_m=float(rng.uniform(900.0, 3_000.0)),
        rise_s=float(rng.uniform(0.1, 0.35)) * lasts_s,
        fall_s=float(rng.uniform(0.2, 0.5)) * lasts_s,
        speed_m_s=float(rng.uniform(0.0, 1.0)),
        heading_deg=float(rng.uniform(0.0, 360.0)),
        gusts=0.15,
    )
