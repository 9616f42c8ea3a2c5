"""Draws the drainage of a simulated city as its engineers have it in their model: surveyed, so not
quite as it is.

In come the site and the truth; out goes the text of a SWMM project, which the site folder holds
and the centre forecasts with. What differs from the truth, once and for all, by a seeded draw:
catchments' areas by 5 %, paved shares by 8 points, widths by 20 %; the streets' bowls by 15 %;
sewers and canals as smooth as when they were built. Pipes, inverts, pumps and gates are as they
are: those can be surveyed.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import numpy as np

from causeway.site import Site
from sims.swmm_input import Roughness, gage_of, swmm_input
from sims.watershed import Watershed

SEED = 1954
STEP_S = 15.0  # peaks are within 2 mm of those at 2 s, at a fifth of the cost
AS_BUILT = Roughness(sewer=0.013, canal=0.025, street=0.018)
AREA_SD, PAVED_SD, WIDTH_SD, BOWL_SD = 0.05, 0.08, 0.20, 0.15
BEGINS = datetime(2025, 1, 1)  # noqa: DTZ001 - a project's own clock, which who runs it sets


def surveyed(truth: Watershed) -> Watershed:
    """The watershed as it was measured."""
    rng = np.random.default_rng(SEED)
    replace = msgspec.structs.replace
    catchments = tuple(
        replace(
            c,
            area_ha=round(c.area_ha * float(np.exp(AREA_SD * rng.normal())), 3),
            impervious_ratio=round(
                float(np.clip(c.impervious_ratio + PAVED_SD * rng.normal(), 0.1, 1.0)), 3
            ),
            width_m=round(c.width_m * float(np.exp(WIDTH_SD * rng.normal())), 1),
        )
        for c in truth.catchment
    )
    streets = []
    for street in truth.street:
        share = float(np.exp(BOWL_SD * rng.normal()))
        bowl = tuple((depth_m, round(surface * share, 0)) for depth_m, surface in street.bowl)
        streets.append(replace(street, bowl=bowl))
    return replace(truth, catchment=catchments, street=tuple(streets))


def survey_model(site: Site, truth: Watershed) -> str:
    """The project of what was surveyed; a rain gage's place is its node's, in degrees."""
    text = swmm_input(site, surveyed(truth), BEGINS, 0.0, STEP_S, AS_BUILT)
    at = {n.id: n.at for n in site.nodes}
    rows = [f"{gage_of(c.node)} {at[c.node].lon} {at[c.node].lat}" for c in truth.catchment]
    return f"{text}[SYMBOLS]\n" + "\n".join(rows) + "\n"
