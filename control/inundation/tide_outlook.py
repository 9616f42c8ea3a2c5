"""How the river may go on at a city's outfalls: by its tide model, or without one.

In come the times asked for and what the tide gauge has said; out come members' levels. With a
model of the gauge's tide (`tide_forecast.py`) they are the tide and the surge's own courses.
Without one the river stays where it is, less and less surely.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causeway.site import Site, TideModel
from control.inundation.forecaster import NS, TideOutlook
from control.inundation.tide_forecast import forecast_tide, member_levels_m, predict_m

Array = NDArray[np.float64]

STRAYS_M = 0.35  # in the first hour, of a river of which only the last level is known
UNKNOWN_M, UNKNOWN_SD_M = 0.5, 0.6  # and of one of which nothing is


def tide_outlook(site: Site) -> TideOutlook:
    """The best there is for a site."""
    gauges = {g.id for g in site.gauges if g.kind == "tide"}
    model = next((t for t in site.tides if t.gauge in gauges and t.surge is not None), None)
    return StandingRiver() if model is None else HarmonicRiver(model)


class HarmonicRiver:
    """A river whose tide has been fitted."""

    def __init__(self, model: TideModel) -> None:
        self._model = model

    def hindcast_m(self, at_ns: NDArray[np.int64]) -> Array:
        """The tide alone (n,)."""
        return predict_m(self._model, at_ns)

    def paths_m(
        self,
        times_ns: NDArray[np.int64],
        observed_ns: NDArray[np.int64],
        observed_m: Array,
        members: int,
        rng: np.random.Generator,
    ) -> Array:
        """Levels (members, times) from observations up to the first of the times."""
        issued_ns = int(times_ns[0])
        forecast = forecast_tide(self._model, observed_ns, observed_m, issued_ns, times_ns)
        return member_levels_m(forecast, members, rng)


class StandingRiver:
    """A river of which nothing is known but what its gauge has said."""

    def hindcast_m(self, at_ns: NDArray[np.int64]) -> Array:
        """A middling level (n,)."""
        return np.full(len(at_ns), UNKNOWN_M)

    def paths_m(
        self,
        times_ns: NDArray[np.int64],
        observed_ns: NDArray[np.int64],
        observed_m: Array,
        members: int,
        rng: np.random.Generator,
    ) -> Array:
        """Levels (members, times) that stray from the last one, each at its own pace."""
        strays = rng.normal(size=(members, 1))
        if not len(observed_m):
            return np.asarray(UNKNOWN_M + UNKNOWN_SD_M * strays + np.zeros(len(times_ns)))
        hours = (times_ns - observed_ns[-1]) / NS / 3_600
        return np.asarray(observed_m[-1] + STRAYS_M * strays * np.minimum(hours, 6.0) ** 0.7)
