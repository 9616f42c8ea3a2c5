"""The Environment Agency's 2D benchmark tests 2, 4 and 8A as they were published.

Néelz and Pender, Benchmarking the latest generation of 2D hydraulic modelling packages, Environment
Agency report SC120002, 2013; data set of May 2010. What each number here comes from:

- Test 2: hydrograph, inflow line and output points are the data set's files. The ground is a
  formula that reproduces the data set's 2 m raster, read at three rows, to 0.0001 m. It falls by
  1 in 1,500 from north to south, as published, and by 1 in 2,000 from west to east (the text says
  3,000). The packages' own results are curves in a report: not to be had as numbers.
- Test 4: all as published; its ground is flat. Depths along the middle after one hour are what the
  report's figure 4.13 shows of the packages, as read off it (±0.02 m) by a third party.
- Test 8A: its ground is a lidar raster that has to be given (`read_glasgow`); rain and inflow are
  the data set's. A LISFLOOD-FP stage file beside it is compared with.

Two references are others' own runs of the full equations on the same data set: test 2 by a finite
volume solver at the published 20 m, test 4 as axisymmetric flow at two hours (u11d-com/
deceris_inundation, docs/implementation 15 and 18).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causeway.cli import Unusable

Floats = NDArray[np.float64]
XY = tuple[float, float]


class Reference(NamedTuple):
    """A value at each output point, `low` to `high`, by whom: `what` is depth_m or speed_m_s."""

    by: str
    what: str
    at_min: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    points: tuple[XY, ...]


class Case(NamedTuple):
    """A test: ground with row 0 in the north, its south-west corner, what comes in, where to look.

    `inflow` are (minute, m³/s), linear between, on `inflow_cells`; `rain` (minute, mm/h) holds
    until the next.
    """

    name: str
    ground_m: Floats
    corner: XY
    cell_m: float
    manning: float | Floats
    minutes: float
    inflow_cells: tuple[tuple[int, int], ...]
    inflow: tuple[tuple[float, float], ...]
    points: tuple[XY, ...]
    rain: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    references: tuple[Reference, ...] = ()

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of a place."""
        row = self.ground_m.shape[0] - 1 - int((y - self.corner[1]) // self.cell_m)
        return row, int((x - self.corner[0]) // self.cell_m)


HOLLOWS_M = (250.0, 750.0, 1250.0, 1750.0)
HOLLOWS = tuple((x, y) for x in HOLLOWS_M for y in HOLLOWS_M)
RAY = (*((x, 1000.0) for x in (50.0, 100.0, 200.0, 300.0, 400.0)), (300.0, 1300.0))
MIDDLE = tuple((x, 1000.0) for x in (25.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0, 400.0))


def depressions() -> Case:
    """Test 2, filling of floodplain depressions: 16 hollows on a slope, 97,200 m³, two days."""
    final = (0.38, 0.33, 0.33, 0.33, 0.28, 0.33, 0.33, 0.33, 0.0, 0.06, 0.17, 0.18, 0, 0, 0, 0)
    fine_m, cell_m = 2.0, 20.0
    place_m = np.arange(fine_m / 2, 2000.0, fine_m)
    return Case(
        name="2",
        ground_m=_means(egg_box_m(place_m, place_m[::-1, None]), round(cell_m / fine_m)),
        corner=(0.0, 0.0),
        cell_m=cell_m,
        manning=0.03,
        minutes=2880.0,
        inflow_cells=tuple((row, 0) for row in range(5)),  # 100 m from the north-west corner
        inflow=((0, 0), (5, 0), (10, 20), (86, 20), (91, 0)),
        points=HOLLOWS,
        references=(
            Reference("full equations, another's run", "depth_m", 2880.0, final, final, HOLLOWS),
        ),
    )


def egg_box_m(x_m: Floats, y_m: Floats) -> Floats:
    """The ground of test 2."""
    cos_x, cos_y = np.cos(2 * np.pi * x_m / 500), np.cos(2 * np.pi * y_m / 500)
    plane_m = 8.573 + y_m / 1500 - x_m / 2000
    return plane_m + 5 / 32 * (cos_x + cos_y) - 3 / 32 * cos_x * cos_y


def _means(fine: Floats, of: int) -> Floats:
    """Over blocks of so many cells each way; NaN where all are."""
    rows, columns = fine.shape[0] // of, fine.shape[1] // of
    blocks = fine[: rows * of, : columns * of].reshape(rows, of, columns, of)
    known = np.isfinite(blocks).sum((1, 3))
    return np.where(known > 0, np.nansum(blocks, (1, 3)) / np.maximum(known, 1), np.nan)


def floodplain() -> Case:
    """Test 4, speed of flood propagation over an extended floodplain: flat, from a gap of 20 m."""
    low = (0.32, 0.29, 0.25, 0.21, 0.18, 0.15, 0.11, 0.06, 0.0)
    high = (0.46, 0.36, 0.29, 0.25, 0.21, 0.18, 0.14, 0.10, 0.04)
    depth = (0.321, 0.269, 0.217, 0.183, 0.154, 0.148)
    speed = (0.390, 0.233, 0.144, 0.112, 0.095, 0.093)
    axisymmetric = "full equations, axisymmetric, another's run"
    return Case(
        name="4",
        ground_m=np.zeros((400, 200)),
        corner=(0.0, 0.0),
        cell_m=5.0,
        manning=0.05,
        minutes=300.0,
        inflow_cells=tuple((row, 0) for row in range(198, 202)),
        inflow=((0, 0), (5, 0), (60, 20), (240, 20), (300, 0)),
        points=RAY,
        references=(
            Reference("the packages, read off figure 4.13", "depth_m", 60.0, low, high, MIDDLE),
            Reference(axisymmetric, "depth_m", 120.0, depth, depth, RAY),
            Reference(axisymmetric, "speed_m_s", 120.0, speed, speed, RAY),
        ),
    )


GLASGOW = (263976.0, 664408.0, 264940.0, 664808.0)  # west, south, east, north; OSGB36 metres
FLOW_8A = (
    (0, 0), (20, 0), (22.92, 0.0625), (24.92, 0.25), (26.92, 0.625), (28.92, 1.3125),
    (30.92, 2.4375), (32.92, 3.5625), (34.92, 4.625), (37, 5), (39, 5), (40.92, 4.625),
    (42.92, 3.5625), (44.92, 2.4375), (46.92, 1.3125), (48.92, 0.625), (50.92, 0.25),
    (52.92, 0.0625), (55, 0),
)  # fmt: skip


def read_glasgow(folder: Path) -> Case:
    """Test 8A, rainfall and point source surface flow in urban areas, from the data set's folder.

    Needs Test8DEM.asc (0.5 m), Test8RoadPavement.asc, Test8A-inflow-location.csv and
    Test8Output.csv; raises Unusable.
    """
    cell_m = 2.0
    ground_m = _clipped(*_raster(folder / "Test8DEM.asc"), cell_m)
    paved = _clipped(*_raster(folder / "Test8RoadPavement.asc"), cell_m)
    points = tuple((row[-2], row[-1]) for row in _rows(folder / "Test8Output.csv"))
    case = Case(
        name="8A",
        ground_m=ground_m,
        corner=GLASGOW[:2],
        cell_m=cell_m,
        manning=np.where(np.isfinite(paved), 0.02, 0.05),
        minutes=300.0,
        inflow_cells=(),
        inflow=FLOW_8A,
        points=points,
        rain=((0.0, 0.0), (1.0, 400.0), (4.0, 0.0)),
        references=tuple(_stages(path, points) for path in sorted(folder.glob("*.stage"))),
    )
    well = _rows(folder / "Test8A-inflow-location.csv")[0]
    return case._replace(inflow_cells=(case.cell(well[-2], well[-1]),))


def _raster(path: Path) -> tuple[Floats, XY, float]:
    """An ESRI ASCII grid: values with NaN for no data, its south-west corner, its cell."""
    try:
        with path.open() as lines:
            head = dict(lines.readline().split() for _ in range(6))
            values = np.loadtxt(lines)
        known = {name.lower(): float(value) for name, value in head.items()}
        corner = known["xllcorner"], known["yllcorner"]
        values[values == known["nodata_value"]] = np.nan
    except (OSError, ValueError, KeyError) as error:
        raise Unusable(f"{path}: {error}; expected an ESRI ASCII grid") from None
    return values, corner, known["cellsize"]


def _clipped(fine: Floats, corner: XY, fine_m: float, cell_m: float) -> Floats:
    west, south, east, north = GLASGOW
    top = fine.shape[0] - round((north - corner[1]) / fine_m)
    left = round((west - corner[0]) / fine_m)
    rows, columns = round((north - south) / fine_m), round((east - west) / fine_m)
    if top < 0 or left < 0 or top + rows > fine.shape[0] or left + columns > fine.shape[1]:
        raise Unusable(f"a raster from {corner} does not cover {GLASGOW}")
    return _means(fine[top : top + rows, left : left + columns], round(cell_m / fine_m))


def _rows(path: Path) -> list[list[float]]:
    """The numbers of a CSV file under its heading."""
    try:
        lines = path.read_text().splitlines()[1:]
        return [[float(word) for word in line.split(",")] for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}; expected a heading and rows of numbers") from None


def _stages(path: Path, points: tuple[XY, ...]) -> Reference:
    """The greatest depths of a LISFLOOD-FP stage file."""
    body = path.read_text().partition("Output, depths:")[2].splitlines()[2:]
    peaks = tuple(np.loadtxt(body)[:, 1:].max(axis=0))
    return Reference(f"LISFLOOD-FP, {path.name}", "peak_m", 83.0, peaks, peaks, points)
