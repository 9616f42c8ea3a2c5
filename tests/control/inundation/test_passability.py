from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.site import InundationLevels
from control.inundation.passability import KINDS, kept_out, limits

DEPTH_M, VELOCITY_M_S = st.floats(0, 2), st.none() | st.floats(0, 5)
PUBLISHED = limits(None)
SITE = InundationLevels(date(2020, 1, 1), (0.10, 0.15, 0.25, 0.40), 0.03, 60.0, "rule", 0.70)


@pytest.mark.parametrize(
    ("depth_m", "out"),
    [
        (0.19, ()),
        (0.20, ("motorbike",)),
        (0.30, ("motorbike", "car")),
        (0.50, ("motorbike", "car", "bus", "truck")),
        (0.60, ("motorbike", "car", "bus", "truck", "emergency")),
    ],
)
def test_standing_water_keeps_out_who_the_published_depths_name(depth_m, out):
    assert kept_out(PUBLISHED, depth_m) == out


def test_fast_water_stops_a_car_that_would_stand_in_it():
    assert kept_out(PUBLISHED, 0.15, 1.9) == ("motorbike",)
    assert kept_out(PUBLISHED, 0.15, 2.0) == ("motorbike", "car")
    assert kept_out(PUBLISHED, 0.05, 3.0) == ("motorbike", "car", "bus", "truck", "emergency")


def test_a_sites_own_depths_replace_the_published_ones():
    assert [limit.depth_m for limit in limits(SITE)] == [0.15, 0.25, 0.40, 0.70]
    assert kept_out(limits(SITE), 0.65) == ("motorbike", "car", "bus", "truck")


@settings(deadline=None)
@given(DEPTH_M, DEPTH_M, VELOCITY_M_S)
def test_who_cannot_pass_cannot_pass_deeper_water(depth_m, more_m, velocity_m_s):
    shallow = kept_out(PUBLISHED, depth_m, velocity_m_s)
    assert set(shallow) <= set(kept_out(PUBLISHED, depth_m + more_m, velocity_m_s))


@settings(deadline=None)
@given(DEPTH_M, st.floats(0, 5), st.floats(0, 5))
def test_who_cannot_pass_cannot_pass_faster_water(depth_m, velocity_m_s, more_m_s):
    slow = kept_out(PUBLISHED, depth_m, velocity_m_s)
    assert set(kept_out(PUBLISHED, depth_m)) <= set(slow)
    assert set(slow) <= set(kept_out(PUBLISHED, depth_m, velocity_m_s + more_m_s))


@settings(deadline=None)
@given(DEPTH_M, VELOCITY_M_S, st.sampled_from([PUBLISHED, limits(SITE)]))
def test_the_kinds_stop_in_their_order(depth_m, velocity_m_s, rows):
    stopped = [limit.is_passed(depth_m, velocity_m_s) for limit in rows]
    assert stopped == sorted(stopped, reverse=True)
    assert [limit.kind for limit in rows] == list(KINDS)
