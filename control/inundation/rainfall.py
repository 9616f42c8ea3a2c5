"""Decides what rain the gauges speak of, how much of it falls where, and how it may go on.

In come what each gauge has said lately and where it stands; out come the gauges that are believed,
the rain over any places, and the members of a nowcast. A gauge is not believed when it is silent,
when it says 0 amid rain (blocked), or when it repeats one number above 0 (stuck); each is said
with its reason. Between gauges the rain is their mean weighted by 1/distance² (Shepard 1968).

The nowcast knows what showers do: many whole ones are drawn, each rises, stands and fades; those
whose course up to now is like what the gauges saw are likely to be this one, and go on for the
members as they were drawn (importance sampling). A shower in its first minutes is so expected to
grow, an old one to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causeway.site import LonLat, apart_m

Array = NDArray[np.float64]

BLOCKED_MM_H = 10.0  # the mean of the other gauges amid which a gauge that says 0 is blocked
WINDOW_MIN = 20  # of the newest minutes judge a gauge
NOW_MIN = 5  # of them are the rain now: a tipping bucket's own window
NEAR_M = 150.0  # closer than this a gauge speaks for the place alone

# What showers do, cloudbursts and weak ones: medians, and spreads of the logarithm.
SHOWERS = 3_000
LASTS_S, LASTS_SPREAD = 4_200.0, 0.45
PEAK_MM_H, PEAK_SPREAD = 70.0, 0.7
WEAK_SHARE, WEAK_MM_H = 0.2, 5.0
RISES, FALLS = (0.08, 0.5), (0.15, 0.5)  # shares of its time
BEGAN_S_MAX = 7_200.0
AGAIN_SHARE, AGAIN_S = 0.1, 3_600.0  # another follows in so many members, within so long

# How like what was seen a drawn one has to be.
FLOOR_MM_H, OFF_RATIO = 2.0, 0.3  # standard deviation: a floor and a share of the rain
APART_MIN = 5  # so far apart two minutes' rain says two things
LEVEL_RATIO_MAX, LEVEL_SPREAD = 4.0, 0.15  # it is then set to the rain now, by so much at most
EVEN_MM_H = 10.0  # how rain differs from place to place lasts, the more the harder it rains
PLACE_SPREAD = 0.2
DRY_MM_H = 0.5  # less at every gauge is no rain

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


def _newest(recent: Array) -> Array:
    """The rain now at each gauge: of the newest minutes, or the last that was heard."""
    heard = np.logical_not(np.isnan(recent))
    last = len(recent) - 1 - heard[::-1].argmax(axis=0)
    lately = recent[-NOW_MIN:]
    silent = np.isnan(lately).all(axis=0)
    return np.nan_to_num(np.where(silent, recent[last, np.arange(recent.shape[1])], _mean(lately)))


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
    recent: Array, used: Sequence[int], lead_s: Array, members: int, rng: np.random.Generator
) -> Array:
    """How the gauges' rain may go on: (members, leads, gauges) in mm/h.

    `recent` is (minutes, gauges) up to now, NaN where silent: of such minutes nothing is known.
    """
    gauges = recent.shape[1]
    if not len(used):
        pours = rng.random(members) < UNKNOWN_SHARE
        level = np.where(pours, rng.exponential(UNKNOWN_MM_H, members), 0.0)
        lasts_s = LASTS_S / 2.0 * np.exp(LASTS_SPREAD * rng.normal(size=members))
        rain = np.where(lead_s < lasts_s[:, None], level[:, None], 0.0)
        return np.repeat(rain[:, :, None], gauges, axis=2)
    known = list(used)
    now = _newest(recent)
    if now[known].max(initial=0.0) < DRY_MM_H:
        return np.zeros((members, len(lead_s), gauges))
    mean = float(now[known].mean())
    heard = np.logical_not(np.isnan(recent[:, known]).all(axis=1))
    seen = np.where(heard, _mean(recent[:, known].T), np.nan)
    course = _courses(seen, lead_s, members, rng)
    place = (now + EVEN_MM_H) / (mean + EVEN_MM_H)
    place = place * np.exp(PLACE_SPREAD * rng.normal(size=(members, 1, gauges)))
    return np.asarray(course[:, :, None] * place)


class Showers(NamedTuple):
    """Showers as drawn, each (showers,): begin in seconds from now, and its trapezium."""

    begins_s: Array
    lasts_s: Array
    rises_s: Array
    falls_s: Array
    peak_mm_h: Array

    def at(self, times_s: Array) -> Array:
        """Their rain (showers, times) in mm/h."""
        age = times_s - self.begins_s[:, None]
        up = age / self.rises_s[:, None]
        down = (self.lasts_s[:, None] - age) / self.falls_s[:, None]
        return np.asarray(np.clip(np.minimum(up, down), 0.0, 1.0) * self.peak_mm_h[:, None])

    def some(self, which: NDArray[np.int_]) -> Showers:
        return Showers(*(column[which] for column in self))


def _drawn(count: int, begins_s: Array, rng: np.random.Generator) -> Showers:
    lasts = LASTS_S * np.exp(LASTS_SPREAD * rng.normal(size=count))
    peak = PEAK_MM_H * np.exp(PEAK_SPREAD * rng.normal(size=count))
    peak = np.where(rng.random(count) < WEAK_SHARE, peak / PEAK_MM_H * WEAK_MM_H, peak)
    rises, falls = (lasts * rng.uniform(*share, count) for share in (RISES, FALLS))
    return Showers(begins_s, lasts, rises, falls, peak)


def _courses(seen: Array, lead_s: Array, members: int, rng: np.random.Generator) -> Array:
    """How the rain goes on (members, leads) after the minutes seen, NaN where none was, in mm/h.

    Of showers that began lately more are drawn, and each counts for less: they differ the most.
    """
    ago = rng.random(SHOWERS) ** 2
    showers = _drawn(SHOWERS, -ago * BEGAN_S_MAX, rng)
    looked = np.arange(len(seen) - 1, -1, -APART_MIN)
    window = np.arange(NOW_MIN)  # a bucket says the mean of the minutes before
    minute = (looked - len(seen) + 1.0)[:, None] - window
    drawn = showers.at(np.asarray(minute.ravel() * 60.0, np.float64))
    drawn = drawn.reshape(SHOWERS, *minute.shape).mean(axis=2)
    off = FLOOR_MM_H + OFF_RATIO * np.fmax(seen[looked], drawn / 2.0)
    fit = ((drawn - seen[looked]) / off) ** 2 / 2.0 + np.log(off)
    fit = np.nansum(fit, axis=1)
    likely = np.exp(fit.min() - fit) * np.sqrt(ago)
    picked = rng.choice(SHOWERS, members, p=likely / likely.sum())
    now_mm_h = float(seen[np.logical_not(np.isnan(seen))][-1])
    level = (now_mm_h + FLOOR_MM_H) / (drawn[picked, 0] + FLOOR_MM_H)
    level = np.clip(level, 1.0 / LEVEL_RATIO_MAX, LEVEL_RATIO_MAX)
    level = level * np.exp(LEVEL_SPREAD * rng.normal(size=members))
    course = showers.some(picked).at(lead_s) * level[:, None]
    another = _drawn(members, rng.uniform(0.0, AGAIN_S, members), rng)
    follows = rng.random(members) < AGAIN_SHARE
    return np.asarray(course + another.at(lead_s) * follows[:, None])
