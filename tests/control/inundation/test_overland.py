"""The overland kernel: still water, the budget, and flows whose solution is known.

The exact dam break of the local-inertial equations, on a flat bed without friction:

    h_t + q_x = 0,   q_t + (g h²/2)_x = 0.

The Jacobian has the eigenvalues ±c, c = sqrt(g h), whatever the flow; both fields are genuinely
nonlinear (c grows with h along both eigenvectors (1, ±c)). q ± (2/3) sqrt(g) h^1.5 is constant
along dx/dt = ±c. Water at rest, deeper on the left, so gives

- a rarefaction to the left, over which q + (2/3) sqrt(g) h^1.5 keeps its value: within it
  x/t = -c, that is h = (x/t)²/g, and q = (2/3) sqrt(g) (h_left^1.5 - h^1.5);
- a shock to the right. Rankine and Hugoniot: s (h - h_right) = q and s q = g (h² - h_right²)/2, so
  s² = g (h + h_right)/2 and q = (h - h_right) sqrt(g (h + h_right)/2); c_right < s < c.

The depth between the two is where both give the same q. The fan never reaches x = 0 (c > 0).
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from control.inundation.overland import GRAVITY as G
from control.inundation.overland import Overland, Taps


def rough_ground(seed, rows=40, columns=50, steps=None):
    """Hills of about a metre with a hole in the data; of multiples of 1/steps m where asked."""
    ground_m = np.random.default_rng(seed).normal(0, 1.0, (rows, columns))
    if steps:
        ground_m = np.round(ground_m * steps) / steps
    ground_m[5:9, 10:18] = np.nan
    return ground_m


def lake(ground_m, level_m):
    water = Overland(ground_m, 2.0)
    water.depth_m[:] = np.where(water.known, np.maximum(level_m - ground_m, 0.0), 0.0)
    return water


def test_a_lake_at_rest_stays_bit_for_bit_over_an_irregular_partly_dry_bed():
    water = lake(rough_ground(3, steps=1024), 0.5)
    before_m = water.depth_m.copy()
    assert 0.2 < np.mean(before_m == 0.0) < 0.5
    water.advance(3600)
    assert np.array_equal(water.depth_m, before_m)
    assert not np.any(water.discharge_m2s)


def test_where_levels_are_no_binary_fractions_a_lake_moves_by_rounding_alone():
    water = lake(rough_ground(3), 0.5)
    before_m = water.depth_m.copy()
    water.advance(3600)
    assert np.abs(water.depth_m - before_m).max() < 1e-12
    assert np.abs(water.discharge_m2s).max() < 1e-13


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), theta=st.sampled_from([0.7, 0.9, 1.0]))
def test_every_litre_is_accounted_for_and_no_cell_goes_below_nothing(seed, theta):
    rng = np.random.default_rng(seed)
    ground_m = rough_ground(seed) + np.linspace(3, 0, 50)
    rows, columns = [20, 21, 33], [5, 44, 30]
    ground_m[rows, columns] = np.nan_to_num(ground_m[rows, columns], nan=1.0)
    water = Overland(ground_m, 3.0, rng.uniform(0.01, 0.08, ground_m.shape), "es", theta)
    water.depth_m[:, :8] = np.where(water.known[:, :8], rng.uniform(0, 3), 0.0)
    taps = Taps(rows, columns, [4.0, 0.0, 0.3], [0.0, 2.0, 0.1])
    before_m3 = water.volume_m3
    spent = [water.advance(300, 90.0, taps), water.advance(600, 0.0, taps), water.advance(900)]
    rained, welled, drained, left = np.sum(spent, axis=0)
    assert rained > 0 and welled == pytest.approx(4.3 * 900) and drained > 0 and left > 0
    came_m3 = before_m3 + rained + welled
    assert abs(came_m3 - drained - left - water.volume_m3) <= 1e-12 * came_m3
    assert water.depth_m.min() >= 0.0
    assert not water.depth_m[~water.known].any()


def test_a_tap_on_a_cell_without_data_is_refused():
    water = Overland(np.array([[0.0, np.nan]]), 1.0)
    with pytest.raises(ValueError, match="a tap on a cell without data"):
        water.advance(1.0, taps=Taps([0], [1], [1.0], [0.0]))


def test_an_inlet_takes_no_more_than_there_is():
    water = Overland(np.zeros((3, 3)), 1.0)
    water.depth_m[1, 1] = 1e-3
    balance = water.advance(60, taps=Taps([1], [1], [0.0], [1.0]))
    assert balance.drained == pytest.approx(1e-3)
    assert water.volume_m3 == 0.0


def test_rain_falls_at_its_rate_and_only_where_the_ground_is_known():
    ground_m = np.zeros((4, 5))
    ground_m[0, 0] = np.nan
    water = Overland(ground_m, 10.0)
    assert water.advance(1800, 40.0).rained == pytest.approx(0.02 * 19 * 100)
    assert water.depth_m[1:, 1:] == pytest.approx(0.02)


def exact(h_left, h_right, speed):
    """Depth and flow of the local-inertial dam break at x/t = speed; also shock and fan."""

    def fan(h):
        return 2 / 3 * np.sqrt(G) * (h_left**1.5 - h**1.5)

    def shock(h):
        return (h - h_right) * np.sqrt(G * (h + h_right) / 2)

    between = brentq(lambda h: fan(h) - shock(h), h_right, h_left)
    bore = np.sqrt(G * (between + h_right) / 2)
    head, tail = -np.sqrt(G * h_left), -np.sqrt(G * between)
    h = np.select([speed < head, speed < tail, speed < bore], [h_left, speed**2 / G, between])
    h = np.where(speed < bore, h, h_right)
    return h, np.where(speed < bore, fan(h), 0.0), (head < speed) & (speed < bore)


def stoker(h_left, h_right, speed):
    """Depth of the dam break of the full shallow-water equations (Stoker 1957)."""

    def fan(h):
        return 2 * (np.sqrt(G * h_left) - np.sqrt(G * h))

    def shock(h):
        return (h - h_right) * np.sqrt(G / 2 * (1 / h + 1 / h_right))

    between = brentq(lambda h: fan(h) - shock(h), h_right, h_left)
    bore = fan(between) * between / (between - h_right)
    head, tail = -np.sqrt(G * h_left), fan(between) - np.sqrt(G * between)
    inside = (2 * np.sqrt(G * h_left) - speed) ** 2 / (9 * G)
    return np.select(
        [speed < head, speed < tail, speed < bore], [h_left, inside, between], h_right
    ), (head < speed) & (speed < bore)


def dam_break(h_right, cells=1000, turned=False, theta=0.9):
    """x/t, depth and flow when the fan has run over two fifths of the channel."""
    shape = (cells, 1) if turned else (1, cells)
    water = Overland(np.zeros(shape), 1.0, 0.0, theta=theta)
    x_m = np.arange(cells) + 0.5 - cells / 2
    water.depth_m[:] = np.where(x_m < 0, 1.0, h_right).reshape(shape)
    at_s = 0.4 * cells / np.sqrt(G)
    water.advance(at_s)
    flow = water.discharge_m2s[1 if turned else 0]
    return x_m / at_s, water.depth_m.ravel(), flow.ravel()


@pytest.mark.parametrize("h_right", [0.8, 0.5, 0.1])
def test_a_wet_dam_break_is_within_one_percent_of_the_exact_solution(h_right):
    speed, h, q = dam_break(h_right)
    h_exact, q_exact, moved = exact(1.0, h_right, speed)
    assert np.abs(h - h_exact)[moved].sum() < 0.002 * h_exact[moved].sum()
    assert np.abs(q - q_exact)[moved].sum() < 0.007 * q_exact[moved].sum()
    before = np.where(speed < 0, 1.0, h_right)
    assert np.abs(h - h_exact).sum() < 0.007 * np.abs(h_exact - before).sum()


def test_the_error_falls_as_the_cells_do():
    errors = []
    for cells in (250, 1000):
        speed, h, _ = dam_break(0.5, cells)
        errors.append(np.abs(h - exact(1.0, 0.5, speed)[0]).mean())
    assert errors[1] < errors[0] / 2.5


def test_north_to_south_is_as_west_to_east():
    assert np.array_equal(dam_break(0.5, 200)[1], dam_break(0.5, 200, turned=True)[1])


@pytest.mark.parametrize(("h_right", "apart"), [(0.8, 0.011), (0.5, 0.083), (0.1, 0.335)])
def test_how_far_leaving_out_convection_is_from_the_full_equations(h_right, apart):
    speed, h, _ = dam_break(h_right)
    h_full, moved = stoker(1.0, h_right, speed)
    assert np.abs(h - h_full)[moved].sum() / h_full[moved].sum() == pytest.approx(apart, abs=0.002)


@pytest.mark.parametrize("slope", [0.01, 0.05])
def test_on_a_slope_rain_runs_off_as_manning_says(slope):
    columns, cell_m, rain_mm_h = 60, 5.0, 100.0
    ground_m = np.tile(-slope * cell_m * np.arange(columns), (3, 1))
    water = Overland(ground_m, cell_m, 0.05, "e")
    for _ in range(4):
        water.advance(3600, rain_mm_h)
    flow = water.discharge_m2s[0][1]
    away_m = (np.arange(columns) + 0.5) * cell_m
    assert flow[20:50] == pytest.approx(rain_mm_h / 3.6e6 * away_m[20:50], rel=0.01)
    normal_m = (0.05 * flow / np.sqrt(slope)) ** 0.6
    assert water.depth_m[1, 20:50] == pytest.approx(normal_m[20:50], rel=0.03)


def test_water_spreads_in_a_circle():
    cells = 121
    water = Overland(np.zeros((cells, cells)), 2.0, 0.05)
    water.advance(900, taps=Taps([60], [60], [2.0], [0.0]))
    east = np.flatnonzero(water.depth_m[60, 60:] > 0.02).max()
    diagonal = np.flatnonzero(np.diag(water.depth_m)[60:] > 0.02).max() * np.sqrt(2)
    assert diagonal == pytest.approx(east, rel=0.05)
    assert np.allclose(water.depth_m, water.depth_m.T, atol=1e-9)
    assert np.allclose(water.depth_m, water.depth_m[::-1, ::-1], atol=1e-9)


def test_over_an_open_edge_water_falls_and_at_a_wall_it_stays():
    closed, open_ = Overland(np.zeros((5, 9)), 1.0), Overland(np.zeros((5, 9)), 1.0, 0.03, "w")
    for water in (closed, open_):
        water.depth_m[:] = 0.2
    assert closed.advance(600).left == 0.0
    assert open_.advance(600).left > 0.9 * 0.2 * 45
    with pytest.raises(ValueError, match=r"open edges \['x'\]: expected some of n, e, s, w"):
        Overland(np.zeros((2, 2)), 1.0, open_edges="xn")


def test_a_pause_changes_nothing_but_the_rounding():
    place = np.arange(30)
    ground_m = 0.2 * np.sin(place / 5)[:, None] * np.cos(place / 7)
    apart, whole = (lake(ground_m, 0.3) for _ in range(2))
    for water in (apart, whole):
        water.depth_m[10:15, 10:15] += 0.3
    for _ in range(8):
        apart.advance(2.0, step_s_max=0.125)
    whole.advance(16.0, step_s_max=0.125)
    assert np.allclose(apart.depth_m, whole.depth_m, atol=1e-12)
    assert np.ptp(whole.depth_m[20:]) > 0.01
