"""Runs the Environment Agency's 2D benchmark tests: `causeway eval overland`.

In come the tests' names (2, 4, 8A with the data set's folder); each runs on the product's kernel,
and depths and speeds at the published points stand beside what others had there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.inundation.cases import XY, Case, Reference, depressions, floodplain, read_glasgow
from causeway.cli import Unusable
from control.inundation.overland import Overland, Taps

NAMES = ("2", "4", "8A")
STRIDE_MIN = 1.0
WET_M = 0.01

Say = Callable[[str], None]
Floats = NDArray[np.float64]


class Options(Struct, frozen=True):
    """Which tests; `data` is the folder of 8A's data set."""

    cases: tuple[str, ...]
    data: Path | None = None


class Seen(Struct, frozen=True):
    """One place: when it became wet, the greatest depth, the last, and both over time."""

    at: XY
    wet_min: float | None
    peak_m: float
    final_m: float
    depth_m: Floats
    speed_m_s: Floats


def evaluate(options: Options, say: Say) -> dict[str, object]:
    """Run the tests, say their tables; gives what `--json` prints."""
    if strange := [name for name in options.cases if name not in NAMES]:
        raise Unusable(f"no test {strange[0]!r}; expected some of {', '.join(NAMES)}")
    found: dict[str, object] = {}
    for name in options.cases:
        found[name] = run(_case(name, options.data), say)
    return {"cases": found}


def _case(name: str, data: Path | None) -> Case:
    if name == "2":
        return depressions()
    if name == "4":
        return floodplain()
    if data is None:
        raise Unusable("test 8A: its ground is the Environment Agency's; expected --data FOLDER")
    return read_glasgow(data)


def run(case: Case, say: Say) -> dict[str, object]:
    """One test from its beginning to its end."""
    began_s = time.process_time()
    water = Overland(case.ground_m, case.cell_m, case.manning)
    places = list(dict.fromkeys((*case.points, *(p for r in case.references for p in r.points))))
    row, column = np.array([case.cell(*place) for place in places]).T
    came_m3 = 0.0
    depths, speeds = [], []
    for minute in tqdm(
        np.arange(0.0, case.minutes, STRIDE_MIN), case.name, disable=not sys.stderr.isatty()
    ):
        balance = water.advance(60 * STRIDE_MIN, _rain(case, minute), _taps(case, minute))
        came_m3 += balance.rained + balance.welled
        depths.append(water.depth_m[row, column])
        east, south = water.discharge_m2s
        flow = np.hypot(east[row, column], south[row, column])
        speeds.append(flow / np.maximum(depths[-1], WET_M))
    seen = dict(zip(places, _seen(places, np.array(depths), np.array(speeds)), strict=True))
    cpu_s = time.process_time() - began_s
    off = abs(water.volume_m3 - came_m3) / came_m3
    say(f"test {case.name}: {came_m3:,.0f} m³, off by {off:.1e}; {water.steps:,} steps")
    compared = [_compared(reference, seen) for reference in case.references]
    for reference, ours in zip(case.references, compared, strict=True):
        say(f"  {reference.what} at {reference.at_min:g} min, {reference.by}")
        for at, value, low, high in zip(
            reference.points, ours, reference.low, reference.high, strict=True
        ):
            theirs = f"{low:.3f}" if low == high else f"{low:.2f} to {high:.2f}"
            say(f"    {at[0]:7.0f} {at[1]:7.0f}   {value:.3f}   {theirs}")
    return {
        "came_m3": came_m3,
        "mass_error_ratio": off,
        "steps": water.steps,
        "cpu_s": round(cpu_s, 1),
        "points": [
            {"at": at, "wet_min": s.wet_min, "peak_m": s.peak_m, "final_m": s.final_m}
            for at, s in seen.items()
            if at in case.points
        ],
        "references": [
            {
                "by": r.by,
                "what": r.what,
                "at_min": r.at_min,
                "low": r.low,
                "high": r.high,
                "ours": o,
            }
            for r, o in zip(case.references, compared, strict=True)
        ],
    }


def _rain(case: Case, minute: float) -> float:
    return [rate for since, rate in case.rain if since <= minute][-1]


def _taps(case: Case, minute: float) -> Taps | None:
    """The stride's mean inflow, spread over its cells: exact where bends lie on whole minutes."""
    minutes, flows = np.array(case.inflow, float).T
    flow_m3s = float(np.interp(minute + STRIDE_MIN / 2, minutes, flows))
    if flow_m3s == 0.0:
        return None
    row, column = np.array(case.inflow_cells).T
    each = np.full(len(row), flow_m3s / len(row))
    return Taps(row, column, each, np.zeros(len(row)))


def _seen(places: list[XY], depth_m: Floats, speed_m_s: Floats) -> Iterator[Seen]:
    """`depth_m` and `speed_m_s` are (strides, places)."""
    for number, at in enumerate(places):
        depth = depth_m[:, number]
        wet = np.flatnonzero(depth > WET_M)
        yield Seen(
            at,
            float((wet[0] + 1) * STRIDE_MIN) if len(wet) else None,
            float(depth.max()),
            float(depth[-1]),
            depth,
            speed_m_s[:, number],
        )


def _compared(reference: Reference, seen: dict[XY, Seen]) -> list[float]:
    until = round(reference.at_min / STRIDE_MIN)
    values = []
    for at in reference.points:
        match reference.what:
            case "depth_m":
                value = seen[at].depth_m[until - 1]
            case "speed_m_s":
                value = seen[at].speed_m_s[until - 1]
            case _:
                value = seen[at].depth_m[:until].max()
        values.append(round(float(value), 4))
    return values
