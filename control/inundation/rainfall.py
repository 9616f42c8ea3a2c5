"""Decides what rain the gauges speak of, how much of it falls where, and how it may go on.

In come what each gauge has said lately and where it stands; out come the gauges that are believed,
the rain over any places, and the members of a nowcast. A gauge is not believed when it is silent,
when it says 0 amid rain (blocked), or when it repeats one number above 0 (stuck); each is said
with its reason. Between gauges the rain is their mean weighted by 1/distance² (Shepard 1968). The
nowcast is persistence with an end: how long a shower still lasts, and whether it grows, is drawn
for each member from what cloudbursts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causeway.site import LonLat, apart_m

Array = NDArray[np.float64]

BLOCKED_MM_H = 10.0  # the mean of the other gauges amid which a gauge that says 0 is blocked
STUCK_SHARE = 0.999
WINDOW_MIN = 20  # of the newest minutes judge a gauge
NOW_MIN = 5  # of them are the rain now: a tipping bucket's own window
NEAR_M = 150.0  # closer than this a gauge speaks for the place alone

# What a shower may still do, drawn for each member.
LASTS_S, LASTS_SPREAD = 1_500.0, 0.6  # median of the rest of it, and of its logarithm
FADES_S = 600.0
GROWS_SPREAD = 0.35  # of the logarithm
TREND_S = 600.0  # so long a rising or falling shower goes on as it did
UNKNOWN_MM_H, UNKNOWN_SHARE = 15.0, 0.3  # no gauge at all: it rains in so many members, so hard


class Believed(NamedTuple):
    """The gauges that are used, by place in the site's order, and why the others are not."""

    used: tuple[int, ...]
    faults: dict[str, str]


def believed(names: Sequence[str], mm_h: Array) -> Believed:
    """Judge gauges by their newest minutes: `mm_h` is (minutes, gauges), NaN where silent."""
    lately = mm_h[-WINDOW_MIN:]
    heard = ~np.isnan(lately)
    silent = np.logical_not(heard[-2 * NOW_MIN :].any(axis=0))
    mean = np.where(heard.any(axis=0), _mean(lately), np.nan)
    faults: dict[str, str] = {}
    for place, name in enumerate(names):
        others = np.delete(mean, place)
        own = lately[heard[:, place], place]
        if silent[place]:
            faults[name] = "silent"
        elif len(own) >= WINDOW_MIN // 2 and own.max() == 0 and _amid_rain(others):
            faults[name] = f"says 0 amid {np.nanmean(others):.0f} mm/h: blocked"
        elif len(own) >= WINDOW_MIN and own.min() > 0 and np.ptp(own) == 0:
            faults[name] = f"has said {own[0]:.1f} mm/h for {len(own)} min: stuck"
    return Believed(tuple(i for i, name in enumerate(names) if name not in faults), faults)


def _amid_rain(others: Array) -> bool:
    """Whether all the other gauges, two or more of them, say that it pours."""
    known = others[~np.isnan(others)]
    return len(known) >= 2 and bool(known.min() >= BLOCKED_MM_H)


def _mean(minutes: Array) -> Array:
    heard = ~np.isnan(minutes)
    return np.asarray(np.nansum(minutes, axis=0) / np.maximum(heard.sum(axis=0), 1))


class Field:
    """Rain over places from gauges: how much each gauge counts at each place."""

    def __init__(self, gauges: Sequence[LonLat], places: Sequence[LonLat | None]) -> None:
        away = [[np.inf if p is None else apart_m(p, g) for g in gauges] for p in places]
        self._away_m = np.array(away, float).reshape(len(places), len(gauges))

    def over(self, mm_h: Array, used: Sequence[int]) -> Array:
        """Rain (steps, places) from that of the gauges (steps, gauges); only `used` ones count.

        A step in which a used gauge said nothing is filled by the others. Without any it is 0.
        """
        if not len(used):
            return np.zeros((len(mm_h), len(self._away_m)))
        rain = mm_h[:, used]
        away = self._away_m[:, used]
        weights = 1.0 / np.maximum(np.where(np.isinf(away), 1.0, away), NEAR_M) ** 2
        heard = ~np.isnan(rain)
        total = np.where(heard, rain, 0.0) @ weights.T
        return np.asarray(total / np.maximum(heard @ weights.T, 1e-12))


def nowcast(
    recent: Array,
    used: Sequence[int],
    steps: int,
    step_s: int,
    members: int,
    rng: np.random.Generator,
) -> Array:
    """How the gauges' rain may go on: (members, steps, gauges) in mm/h.

    `recent` is (minutes, gauges) up to now. Each member has a rest of the shower, a growth, and the
    trend of the last minutes for a while.
    """
    gauges = recent.shape[1]
    now = np.nan_to_num(_mean(recent[-NOW_MIN:]))
    before = np.nan_to_num(_mean(recent[-3 * NOW_MIN : -NOW_MIN]))
    lead_s = (np.arange(steps) + 0.5) * step_s
    lasts_s = LASTS_S * np.exp(LASTS_SPREAD * rng.normal(size=members))
    grows = np.exp(GROWS_SPREAD * rng.normal(size=members))
    if not len(used):
        pours = rng.random(members) < UNKNOWN_SHARE
        level = np.where(pours, rng.exponential(UNKNOWN_MM_H, members), 0.0)
        rain = level[:, None] * np.clip((lasts_s[:, None] - lead_s) / FADES_S + 0.5, 0.0, 1.0)
        return np.repeat(rain[:, :, None], gauges, axis=2)
    whole_now, whole_before = float(now[list(used)].mean()), float(before[list(used)].mean())
    trend = np.clip((whole_now - whole_before) / max(whole_now, whole_before, 1.0), -1.0, 1.0)
    towards = 1.0 + trend * np.minimum(lead_s, TREND_S) / TREND_S * rng.random((members, 1))
    course = np.clip((lasts_s[:, None] - lead_s) / FADES_S + 0.5, 0.0, 1.0)
    grown = 1.0 + (grows[:, None] - 1.0) * np.minimum(lead_s / TREND_S, 1.0)
    shape = np.maximum(towards, 0.0) * course * grown
    return np.asarray(shape[:, :, None] * now)
