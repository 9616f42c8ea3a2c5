"""Scores forecasts of street depths and the alerts that came of them, against what was so.

In come a storm's record, its ensembles and its alerts; out come the storm's `Alerts`, `Points`, and
of many storms the CRPS of the ensemble, of persistence, and the reliability. Pure.

Definitions:
- An event is a street's depth passing 20 cm; water that is gone for less than `APART_MIN` has not
  been gone. An alert is a street's level rising to a warning, until it falls below one.
- An event is a hit when an alert raised before its onset still stands at it; the lead is the time
  between. An alert that comes later has missed it. An alert during which no street water passes
  20 cm is false. POD = hits / events, FAR = false / (hits' and false alerts), CSI = hits / (events
  + false).
- CRPS (Hersbach 2000) is taken over points (issue, street, lead) at which the truth, the wettest
  member of any ensemble or the depth at issue is wet.
- Persistence is the true depth at issue of every street, gauged or not, dressed with all errors
  that it made at that lead in the other storms, from a dry or from a wet street; it has as many
  members as the ensemble.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.forecast.truth import Record
from benchmarks.forecast.watching import Issued
from causeway.events import OUTLOOK_DEPTHS_M, FloodAlertChanged
from control.inundation.alerts import WARNING
from control.inundation.forecaster import ALERT_DEPTH, MEMBERS, SHOWN_M, STEP_S

LEADS_MIN = (15, 30, 60, 90, 120, 180)
OVER_M = OUTLOOK_DEPTHS_M[ALERT_DEPTH]
OBSERVED_M = 0.10  # an alarm on observed water that wants some lead has to sound at this depth
APART_MIN = 60
UNJUDGED_MIN = 30  # an alert raised so late that the record ends before it could come true
BINS = 10

Array = NDArray[np.float64]
Span = tuple[int, int]  # first and last minute


class Alerts(Struct):
    """How the alerts of one storm did: the hits' leads in minutes, events missed, false alerts."""

    leads_min: list[int] = []
    missed: int = 0
    false: int = 0


class Points(NamedTuple):
    """Of one lead, by point: what was so, the depth at issue, the CRPS, P(> 20 cm) as forecast.

    `open_crps` is that of the ensemble without assimilation, NaN where none was run.
    """

    truth_m: Array
    now_m: Array
    crps_m: Array
    over: Array
    open_crps_m: Array


class Kept(NamedTuple):
    """Of one lead, by issue and street, dry or wet: the depth at issue, and what was so later."""

    now_m: Array
    truth_m: Array


# --- alerts --------------------------------------------------------------------------------------


def score_alerts(record: Record, alerts: Sequence[tuple[int, FloodAlertChanged]]) -> Alerts:
    """What the alerts of a storm were worth, street by street."""
    total = Alerts()
    for place, street in enumerate(record.streets):
        told = [(minute, alert.level) for minute, alert in alerts if alert.segment == street]
        _score(record.depth_m[:, place], standing(told, len(record.at_ns)), total)
    return total


def score_observed(record: Record) -> Alerts:
    """What an alarm at 10 cm of observed water would have been worth, had each street a gauge."""
    total = Alerts()
    for place in range(len(record.streets)):
        depth_m = record.depth_m[:, place]
        _score(depth_m, spans(depth_m > OBSERVED_M), total)
    return total


def standing(told: Sequence[tuple[int, int]], minutes: int) -> list[Span]:
    """When a street was warned of, from its levels in the order of their minutes."""
    found: list[Span] = []
    since: int | None = None
    for minute, level in told:
        if level >= WARNING and since is None:
            since = minute
        elif level < WARNING and since is not None:
            found.append((since, minute))
            since = None
    if since is not None:
        found.append((since, minutes))
    return found


def spans(wet: NDArray[np.bool_]) -> list[Span]:
    """Minutes (the first is 1) from and to which something held; short breaks are none."""
    edges = np.diff(np.concatenate([[False], wet, [False]]).astype(np.int8))
    whole = list(zip(np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1), strict=True))
    joined: list[Span] = []
    for first, last in whole:
        if joined and first - joined[-1][1] < APART_MIN:
            joined[-1] = joined[-1][0], int(last)
        else:
            joined.append((int(first), int(last)))
    return joined


def _score(depth_m: Array, warned: Sequence[Span], total: Alerts) -> None:
    events = spans(depth_m > OVER_M)
    after = 0  # an alert that has stood since the last event warns of the next from its end on
    for onset, end in events:
        raised = [max(first, after) for first, last in warned if first < onset <= last]
        if raised:
            total.leads_min.append(onset - min(raised))
        else:
            total.missed += 1
        after = end
    minutes = len(depth_m)
    for first, last in warned:
        unjudged = last >= minutes and first > minutes - UNJUDGED_MIN
        if not unjudged and not any(onset <= last and first <= end for onset, end in events):
            total.false += 1


# --- depths --------------------------------------------------------------------------------------


def points_of(record: Record, issued: Sequence[Issued]) -> list[Points]:
    """The points of a storm, by lead."""
    rows: list[list[Points]] = [[] for _ in LEADS_MIN]
    places = [record.streets.index(s) for s in issued[0].ensemble.streets] if issued else []
    for one in issued:
        now_m = record.depth_m[one.minute - 1, places]
        for number, lead_min in enumerate(LEADS_MIN):
            if one.minute + lead_min > len(record.at_ns):
                continue
            truth_m = record.depth_m[one.minute + lead_min - 1, places]
            step = lead_min * 60 // STEP_S - 1
            members = one.ensemble.depth_m[:, step, :]
            wet = np.maximum(np.maximum(truth_m, now_m), members.max(axis=0)) >= SHOWN_M
            open_loop = None if one.open_loop is None else one.open_loop.depth_m[:, step, :]
            if open_loop is not None:
                wet |= open_loop.max(axis=0) >= SHOWN_M
            open_crps = np.full(int(wet.sum()), np.nan)
            if open_loop is not None:
                open_crps = crps(open_loop[:, wet], truth_m[wet])
            over = (members[:, wet] > OVER_M).mean(axis=0)
            rows[number].append(
                Points(
                    truth_m[wet], now_m[wet], crps(members[:, wet], truth_m[wet]), over, open_crps
                )
            )
    return [joined(row) for row in rows]


def kept_of(record: Record, issued: Sequence[Issued]) -> list[Kept]:
    """What persistence would have been dressed with after this storm, by lead."""
    found = []
    for lead_min in LEADS_MIN:
        now = np.array([one.minute - 1 for one in issued], int)
        now = now[now + lead_min < len(record.at_ns)]
        now_m, truth_m = record.depth_m[now], record.depth_m[now + lead_min]
        found.append(Kept(now_m.ravel(), truth_m.ravel()))
    return found


def joined(parts: Sequence[Points]) -> Points:
    """All points of several."""
    if not parts:
        return Points(*(np.zeros(0) for _ in Points._fields))
    return Points(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def crps(members: Array, truth: Array) -> Array:
    """Of ensembles (members, points) for truths (points,), in their unit."""
    count = len(members)
    ranked = np.sort(members, axis=0)
    weights = (2 * np.arange(1, count + 1) - count - 1) / count**2
    return np.asarray(np.abs(members - truth).mean(axis=0) - weights @ ranked)


def persistence_crps(own: Points, past: Sequence[Kept]) -> Array:
    """Of persistence at a storm's points of one lead, from what it missed by in the past."""
    errors = np.concatenate([one.truth_m - one.now_m for one in past])
    was_wet = np.concatenate([one.now_m >= SHOWN_M for one in past])
    found = np.empty(len(own.truth_m))
    for wet in (False, True):
        known, here = errors[was_wet == wet], (own.now_m >= SHOWN_M) == wet
        dress = np.quantile(known, (np.arange(MEMBERS) + 0.5) / MEMBERS) if len(known) else 0.0
        members = np.maximum(own.now_m[here] + np.reshape(dress, (-1, 1)), 0.0)
        found[here] = crps(members, own.truth_m[here])
    return found


class Reliability(Struct):
    """By bin of P(> 20 cm): how often it was forecast, what was forecast, how often it was so."""

    count: list[int]
    forecast: list[float]
    observed: list[float]


def reliability(points: Points) -> Reliability:
    """Of the points of one lead; bins in which nothing was forecast are left out."""
    edges = np.linspace(0.0, 1.0, BINS + 1)
    found = Reliability([], [], [])
    for low, high in pairwise(edges):
        last = high == edges[-1]
        inside = (points.over >= low) & ((points.over < high) | last)
        if inside.any():
            found.count.append(int(inside.sum()))
            found.forecast.append(round(float(points.over[inside].mean()), 3))
            found.observed.append(round(float((points.truth_m[inside] > OVER_M).mean()), 3))
    return found
