"""How water spreads over the ground: a local-inertial kernel on a grid of square cells.

In come the ground, the rain and what wells up or is drained on single cells; out come depths, flows
and where the water came from and went. Shallow water without convective acceleration,

    h_t + qx_x + qy_y = source,    q_t + g h (h + z)_x + g n² |q| q / h^(7/3) = 0,

after Bates, Horritt and Fewtrell 2010: explicit, flows on the cells' faces, with the centred
discharge of de Almeida et al. 2012 (eq. 8), which damps what a shock leaves behind. |q| takes both
components, or water would spread faster along the diagonals. Two things differ from Bates:

- The depth in the pressure term is the mean of both cells' where that is less than the depth over
  the sill between them. On a flat bed the pressure is then the difference of g h²/2, and a shock
  runs as fast as in the exact equations; with Bates's depth a dam break onto a tenth of the depth
  is 11 % off on any grid. Friction keeps Bates's depth.
- Friction is that of the flow after the step (a quadratic equation), not of the flow before it
  (eq. 12): a film of rain on a steep slope then swings from step to step.

Laws of this file:
1. Water is only moved: what leaves a cell enters its neighbour, and none gives more than it has.
2. Still water stays still, over any bed, wet or partly dry.
3. Cells without data and the grid's edges are walls; over an open edge water falls freely.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from control.compiling import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GRAVITY = 9.80665  # m/s²
COURANT = 0.7  # of the fastest wave; in two dimensions the limit is 1/sqrt(2)
KINEMATIC = 5.0 / 3.0  # how much faster than the water a wave runs down a rough slope
THETA = 0.9  # a face's own share in its centred discharge; 1: Bates, undamped
STILL_M = 1e-3  # a thinner film does not flow (as in LISFLOOD-FP)
WEIR = (2.0 / 3.0) ** 1.5  # q = WEIR sqrt(g) h^1.5: critical flow over an edge
WALL_M = 1e6  # the ground of cells without data
ALL_BUT = 1.0 - 1e-12  # of its water a cell may give: rounding must not take it below nothing
MM_H = 1e-3 / 3600.0  # in m/s
CUBE_ROOT_BITS = 709_921_077  # two thirds of the bits of a float32 1.0: a third of x's and these
DRY = -1.0  # in place of a friction
FAST = {"contract", "nnan", "nsz"}  # nothing that would change the order of a sum


_compiled = compiled(error_model="numpy", fastmath=FAST)


class Balance(NamedTuple):
    """Where water came from and went to over a stretch of time, in m³."""

    rained: float
    welled: float
    drained: float
    left: float


class Overland:
    """The water on one piece of ground.

    `ground_m` (rows, columns), row 0 in the north, is NaN where there is no data; `manning` is one
    roughness or one a cell. `open_edges` are some of "nesw".
    """

    def __init__(
        self,
        ground_m: Floats,
        cell_m: float,
        manning: float | Floats = 0.03,
        open_edges: str = "",
        theta: float = THETA,
    ) -> None:
        self.known = np.isfinite(ground_m)
        self.steps = 0
        self._cell_m = cell_m
        self._theta = theta
        rows, columns = np.add(ground_m.shape, 2)  # a frame of wall
        self._ground = _Ground(np.full((rows, columns), WALL_M), *np.zeros((2, rows, columns)))
        self._ground.elevation_m[1:-1, 1:-1] = np.where(self.known, ground_m, WALL_M)
        self._ground.friction[1:-1, 1:-1] = GRAVITY * np.square(manning)
        self._water, self._spare = (
            _Water(
                np.zeros((rows, columns)),
                np.zeros((rows, columns + 1)),
                np.zeros((rows + 1, columns)),
            )
            for _ in range(2)
        )
        self._edges = _edges(self.known, open_edges)

    @property
    def depth_m(self) -> Floats:
        """Of each cell (rows, columns). It is a view: who writes into it sets the water."""
        return self._water.depth_m[1:-1, 1:-1]

    @property
    def volume_m3(self) -> float:
        """All water."""
        return math.fsum(self.depth_m.ravel()) * self._cell_m**2

    @property
    def discharge_m2s(self) -> tuple[Floats, Floats]:
        """What flows east and south through the middle of each cell, per metre of width."""
        east, south = self._water.east_m2s[1:-1, 1:-1], self._water.south_m2s[1:-1, 1:-1]
        return (east[:, :-1] + east[:, 1:]) / 2, (south[:-1] + south[1:]) / 2

    def advance(
        self,
        seconds: float,
        rain_mm_h: float | Floats = 0.0,
        taps: Taps | None = None,
        step_s_max: float = 10.0,
    ) -> Balance:
        """Let so much time pass; `step_s_max` bounds a step where there is little water yet.

        Raises ValueError for a tap on a cell without data.
        """
        taps = taps or Taps()
        if not self.known[taps.row, taps.column].all():
            raise ValueError("a tap on a cell without data")
        self._ground.rain_m_s[1:-1, 1:-1] = np.where(self.known, rain_mm_h, 0.0) * MM_H
        area_m2 = self._cell_m**2
        sums = _advance(
            float(seconds),
            float(step_s_max),
            float(self._cell_m),
            self._theta,
            self._ground,
            self._water,
            self._spare,
            _on_cells(taps, area_m2),
            self._edges,
        )
        self.steps += sums.steps
        return Balance(*(area_m2 * metres for metres in sums[1:]))


class Taps(NamedTuple):
    """Cells on which water wells up, or inlets take it as far as there is some."""

    row: Ints = np.zeros(0, np.int64)
    column: Ints = np.zeros(0, np.int64)
    well_m3s: Floats = np.zeros(0)
    drain_m3s: Floats = np.zeros(0)


def _on_cells(taps: Taps, area_m2: float) -> _Taps:
    """In the frame, as metres a second."""
    row, column = (np.asarray(place, np.int64) + 1 for place in taps[:2])
    well, drain = (np.asarray(flow, np.float64) / area_m2 for flow in taps[2:])
    return _Taps(row, column, well, drain)


def _edges(known: NDArray[np.bool_], open_edges: str) -> Ints:
    """(n, 3): row and column in the frame, and the side that is open: 0 n, 1 e, 2 s, 3 w."""
    if strange := set(open_edges) - set("nesw"):
        raise ValueError(f"open edges {sorted(strange)}: expected some of n, e, s, w")
    number = np.arange(known.size).reshape(known.shape)
    sides = (number[0], number[:, -1], number[-1], number[:, 0])
    places = [
        (place // known.shape[1] + 1, place % known.shape[1] + 1, side)
        for side, cells in enumerate(sides)
        if "nesw"[side] in open_edges
        for place in cells
        if known.flat[place]
    ]
    return np.array(places, np.int64).reshape(-1, 3)


class _Ground(NamedTuple):
    """Of each cell of the frame; `friction` is g n²."""

    elevation_m: Floats
    friction: Floats
    rain_m_s: Floats


class _Water(NamedTuple):
    """Of each cell of the frame: depth, flow through its west face, flow through its north face."""

    depth_m: Floats
    east_m2s: Floats
    south_m2s: Floats


class _Taps(NamedTuple):
    row: Ints
    column: Ints
    well_m_s: Floats
    drain_m_s: Floats


class _Reach(NamedTuple):
    """Of each row the first and the last column that is or was wet, or will be."""

    first: Ints
    last: Ints


class _Faces(NamedTuple):
    """Room for a row of faces: pressure, friction, depth of flow and its cube root, and as bits.

    Each loop below reads few arrays: LLVM vectorises none that reads more than it can tell apart.
    """

    force: Floats
    friction: Floats
    depth: NDArray[np.float32]
    root: NDArray[np.float32]
    depth_bits: NDArray[np.int32]
    root_bits: NDArray[np.int32]


class _Sums(NamedTuple):
    """Metres, over all cells."""

    steps: int
    rained: float
    welled: float
    drained: float
    left: float


@_compiled
def _advance(
    seconds: float,
    step_s_max: float,
    cell_m: float,
    theta: float,
    ground: _Ground,
    water: _Water,
    spare: _Water,
    taps: _Taps,
    edges: Ints,
) -> _Sums:
    """The state is in `water`, before and after."""
    reach, deepest_m = _reached(ground, water, spare, taps)
    fastest_m_s = 0.0
    width = ground.elevation_m.shape[1] + 1
    depth, root = np.empty(width, np.float32), np.empty(width, np.float32)
    faces = _Faces(
        np.empty(width), np.empty(width), depth, root, depth.view(np.int32), root.view(np.int32)
    )
    rain_m_s = ground.rain_m_s.sum()
    now, then = water, spare
    steps, done_s = 0, 0.0
    rained = welled = drained = left = 0.0
    while done_s < seconds:
        step_s = min(step_s_max, seconds - done_s)
        wave_m_s = max(math.sqrt(GRAVITY * deepest_m), KINEMATIC * fastest_m_s)
        if wave_m_s > 0.0:
            step_s = min(step_s, COURANT * cell_m / wave_m_s)
        fastest_m_s = max(
            _flow_east(ground, now, then, reach, faces, theta, step_s, cell_m),
            _flow_south(ground, now, then, reach, faces, theta, step_s, cell_m),
        )
        _flow_over(edges, now, then)
        per_m = step_s / cell_m
        lowest_m, deepest_m = _fill(ground, now, then, reach, step_s, per_m)
        if lowest_m < 0.0:
            _limit(now, then, reach, per_m)
            lowest_m, deepest_m = _fill(ground, now, then, reach, step_s, per_m)
        for i in range(len(taps.row)):
            r, c = taps.row[i], taps.column[i]
            filled_m = then.depth_m[r, c] + taps.well_m_s[i] * step_s
            taken_m = min(filled_m, taps.drain_m_s[i] * step_s)
            then.depth_m[r, c] = filled_m - taken_m
            deepest_m = max(deepest_m, filled_m - taken_m)
            welled += taps.well_m_s[i] * step_s
            drained += taken_m
        rained += rain_m_s * step_s
        left += _flowed_over(edges, then) * per_m
        _grow(then, reach)
        now, then = then, now
        done_s = seconds if step_s >= seconds - done_s else done_s + step_s
        steps += 1
    if steps % 2:
        water.depth_m[:] = now.depth_m
        water.east_m2s[:] = now.east_m2s
        water.south_m2s[:] = now.south_m2s
    return _Sums(steps, rained, welled, drained, left)


@_compiled
def _reached(ground: _Ground, water: _Water, spare: _Water, taps: _Taps) -> tuple[_Reach, float]:
    """Where water is or will be, and how deep; beyond it nothing flows, in neither state."""
    rows, columns = ground.elevation_m.shape
    reach = _Reach(np.full(rows, columns, np.int64), np.full(rows, -1, np.int64))
    deepest_m = 0.0
    for r in range(rows):
        for c in range(columns):
            deepest_m = max(deepest_m, water.depth_m[r, c])
            if water.depth_m[r, c] > 0.0 or ground.rain_m_s[r, c] > 0.0:
                reach.first[r] = min(reach.first[r], c)
                reach.last[r] = c
    for i in range(len(taps.row)):
        r, c = taps.row[i], taps.column[i]
        reach.first[r], reach.last[r] = min(reach.first[r], c), max(reach.last[r], c)
    spare.depth_m[:] = 0.0
    spare.east_m2s[:] = 0.0
    spare.south_m2s[:] = 0.0
    for r in range(rows):
        for c in range(columns):
            if not reach.first[r] <= c <= reach.last[r] + 1:
                water.east_m2s[r, c] = 0.0
            above = max(r - 1, 0)
            first = min(reach.first[above], reach.first[r])
            if not first <= c <= max(reach.last[above], reach.last[r]):
                water.south_m2s[r, c] = 0.0
    return reach, deepest_m


@_compiled
def _around(reach: _Reach, r: int, columns: int) -> tuple[int, int]:
    """From which column, to before which, row r may have water after a step."""
    first = min(reach.first[r - 1], reach.first[r], reach.first[r + 1])
    last = max(reach.last[r - 1], reach.last[r], reach.last[r + 1])
    return max(1, first - 1), min(columns - 1, last + 2)


@_compiled
def _flow_east(
    ground: _Ground,
    now: _Water,
    then: _Water,
    reach: _Reach,
    faces: _Faces,
    theta: float,
    step_s: float,
    cell_m: float,
) -> float:
    fastest_m_s = 0.0
    for r in range(1, ground.elevation_m.shape[0] - 1):
        a, b = reach.first[r], reach.last[r] + 2
        if a < b - 1:
            west, east = slice(a - 1, b - 1), slice(a, b)
            h, z, k = now.depth_m[r], ground.elevation_m[r], ground.friction[r]
            _press(h[west], h[east], z[west], z[east], faces)
            _rub(k[west], k[east], faces)
            q, both = now.east_m2s[r], slice(a - 1, b)
            along = q[west], q[east], q[a + 1 : b + 1]
            across = now.south_m2s[r, both], now.south_m2s[r + 1, both]
            pushed_m_s = _push(along, across, faces, theta, step_s, cell_m, then.east_m2s[r, east])
            fastest_m_s = max(fastest_m_s, pushed_m_s)
    return fastest_m_s


@_compiled
def _flow_south(
    ground: _Ground,
    now: _Water,
    then: _Water,
    reach: _Reach,
    faces: _Faces,
    theta: float,
    step_s: float,
    cell_m: float,
) -> float:
    fastest_m_s = 0.0
    for r in range(2, ground.elevation_m.shape[0] - 1):
        a = min(reach.first[r - 1], reach.first[r])
        b = max(reach.last[r - 1], reach.last[r]) + 1
        if a < b:
            here = slice(a, b)
            h, z, k, q = now.depth_m, ground.elevation_m, ground.friction, now.south_m2s
            _press(h[r - 1, here], h[r, here], z[r - 1, here], z[r, here], faces)
            _rub(k[r - 1, here], k[r, here], faces)
            along = q[r - 1, here], q[r, here], q[r + 1, here]
            across = now.east_m2s[r - 1, a : b + 1], now.east_m2s[r, a : b + 1]
            pushed_m_s = _push(along, across, faces, theta, step_s, cell_m, then.south_m2s[r, here])
            fastest_m_s = max(fastest_m_s, pushed_m_s)
    return fastest_m_s


@_compiled
def _press(h: Floats, h_next: Floats, z: Floats, z_next: Floats, faces: _Faces) -> None:
    """The pressure on each face, and its depth of flow."""
    force, depth = faces.force, faces.depth
    for i in range(len(h)):
        level, level_next = z[i] + h[i], z_next[i] + h_next[i]
        flowing = max(level, level_next) - max(z[i], z_next[i])
        mean = 0.5 * (h[i] + h_next[i])
        force[i] = GRAVITY * min(mean, flowing) * (level - level_next)
    for i in range(len(h)):
        level, level_next = z[i] + h[i], z_next[i] + h_next[i]
        depth[i] = np.float32(max(level, level_next) - max(z[i], z_next[i]))


@_compiled
def _rub(k: Floats, k_next: Floats, faces: _Faces) -> None:
    """g n² / h^(7/3) of each face to seven digits, or DRY.

    The cube root is Halley's iteration from a third of the number's bits: a power costs ten times
    as much as all the rest.
    """
    depth, root, friction = faces.depth, faces.root, faces.friction
    depth_bits, root_bits = faces.depth_bits, faces.root_bits
    third = np.float32(1.0 / 3.0)
    for i in range(len(k)):
        root_bits[i] = np.int32(np.float32(depth_bits[i]) * third) + np.int32(CUBE_ROOT_BITS)
    for i in range(len(k)):
        h, c = depth[i], root[i]
        cube = c * c * c
        c *= (cube + h + h) / (cube + cube + h)
        cube = c * c * c
        root[i] = c * (cube + h + h) / (cube + cube + h)
    for i in range(len(k)):
        h = depth[i]
        rubbed = 0.5 * (k[i] + k_next[i]) / np.float64(h * h * root[i])
        friction[i] = rubbed if h > np.float32(STILL_M) else DRY


@_compiled
def _push(
    along: tuple[Floats, Floats, Floats],
    across: tuple[Floats, Floats],
    faces: _Faces,
    theta: float,
    step_s: float,
    cell_m: float,
    moved: Floats,
) -> float:
    """The flow after a step, and the fastest. `across` is to the side, one longer than `along`."""
    before, own, after = along
    left, right = across
    force, friction, depth = faces.force, faces.friction, faces.depth
    aside, per_m = 0.5 * (1.0 - theta), step_s / cell_m
    for i in range(len(moved)):
        side = 0.25 * (left[i] + left[i + 1] + right[i] + right[i + 1])
        pushed = theta * own[i] + aside * (before[i] + after[i]) + per_m * force[i]
        rubbed = step_s * friction[i]
        side *= 1.0 + rubbed * math.sqrt(own[i] * own[i] + side * side)
        rubbed *= math.sqrt(pushed * pushed + side * side)
        moved[i] = 0.0 if rubbed < 0.0 else 2.0 * pushed / (1.0 + math.sqrt(1.0 + 4.0 * rubbed))
    fastest_m_s = 0.0
    for i in range(len(moved)):
        fastest_m_s = max(fastest_m_s, abs(moved[i]) / max(depth[i], np.float32(STILL_M)))
    return fastest_m_s


@_compiled
def _flow_over(edges: Ints, now: _Water, then: _Water) -> None:
    for i in range(len(edges)):
        r, c, side = edges[i]
        h = now.depth_m[r, c]
        flow = WEIR * math.sqrt(GRAVITY * h) * h if h > STILL_M else 0.0
        if side == 0:
            then.south_m2s[r, c] = -flow
        elif side == 1:
            then.east_m2s[r, c + 1] = flow
        elif side == 2:
            then.south_m2s[r + 1, c] = flow
        else:
            then.east_m2s[r, c] = -flow


@_compiled
def _flowed_over(edges: Ints, then: _Water) -> float:
    flow = 0.0
    for i in range(len(edges)):
        r, c, side = edges[i]
        if side == 0 or side == 2:
            flow += abs(then.south_m2s[r + side // 2, c])
        else:
            flow += abs(then.east_m2s[r, c + (3 - side) // 2])
    return flow


@_compiled
def _fill(
    ground: _Ground, now: _Water, then: _Water, reach: _Reach, step_s: float, per_m: float
) -> tuple[float, float]:
    """Depths after a step; the lowest and the deepest."""
    rows, columns = ground.elevation_m.shape
    lowest_m = deepest_m = 0.0
    for r in range(1, rows - 1):
        a, b = _around(reach, r, columns)
        if a < b:
            h, rain, filled = now.depth_m[r, a:b], ground.rain_m_s[r, a:b], then.depth_m[r, a:b]
            east = then.east_m2s[r, a : b + 1]
            north, south = then.south_m2s[r, a:b], then.south_m2s[r + 1, a:b]
            for i in range(len(h)):
                gained = per_m * (east[i] - east[i + 1] + north[i] - south[i])
                filled[i] = h[i] + gained + rain[i] * step_s
            for i in range(len(h)):
                lowest_m = min(lowest_m, filled[i])
                deepest_m = max(deepest_m, filled[i])
    return lowest_m, deepest_m


@_compiled
def _limit(now: _Water, then: _Water, reach: _Reach, per_m: float) -> None:
    """Let no cell give more than it has."""
    rows, columns = now.depth_m.shape
    for r in range(1, rows - 1):
        a, b = _around(reach, r, columns)
        for c in range(a, b):
            west, east = then.east_m2s[r, c], then.east_m2s[r, c + 1]
            north, south = then.south_m2s[r, c], then.south_m2s[r + 1, c]
            given_m = max(east, 0.0) + max(south, 0.0) - min(west, 0.0) - min(north, 0.0)
            given_m *= per_m
            may_m = now.depth_m[r, c] * ALL_BUT
            if given_m > may_m:
                share = may_m / given_m
                then.east_m2s[r, c] = west * share if west < 0.0 else west
                then.east_m2s[r, c + 1] = east * share if east > 0.0 else east
                then.south_m2s[r, c] = north * share if north < 0.0 else north
                then.south_m2s[r + 1, c] = south * share if south > 0.0 else south


@_compiled
def _grow(then: _Water, reach: _Reach) -> None:
    """Take what became wet beside the reach into it, one cell a step."""
    rows, columns = then.depth_m.shape
    before = _Reach(reach.first.copy(), reach.last.copy())
    for r in range(1, rows - 1):
        a, end = _around(before, r, columns)
        b = end - 1
        while a < reach.first[r] and a <= b and then.depth_m[r, a] == 0.0:
            a += 1
        while b > reach.last[r] and b >= a and then.depth_m[r, b] == 0.0:
            b -= 1
        if a <= b:
            reach.first[r], reach.last[r] = min(a, reach.first[r]), max(b, reach.last[r])
