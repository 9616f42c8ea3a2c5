"""Pumps and gates follow the levels at their two ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.inundation.release import (
    REST_S,
    Array,
    Asset,
    Drives,
    EqualFilling,
    FeedbackRelease,
    LevelRules,
    View,
    seen,
    starting_parameters,
)

GATES = (Asset("a"), Asset("b"))
PUMP = (Asset("p", pump=True, start_ratio=0.6, stop_ratio=0.3),)


def view(
    filling: list[float],
    settings: list[float] | None = None,
    *,
    at_s: float = 0.0,
    head_below_m: float = 0.0,
    below: list[float] | None = None,
    flow_m3s: float = 0.0,
) -> View:
    n = len(filling)
    return View(
        at_s=at_s,
        filling=np.array(filling),
        filling_below=np.array(below if below is not None else [0.0] * n),
        head_m=np.ones(n),
        head_below_m=np.full(n, head_below_m),
        flow_m3s=np.full(n, flow_m3s),
        settings=np.array(settings if settings is not None else [0.0] * n),
    )


@pytest.mark.parametrize(
    ("filling", "running", "expected"),
    [(0.59, 0, 0), (0.6, 0, 1), (0.31, 1, 1), (0.3, 1, 0)],
)
def test_a_pump_starts_at_one_level_and_stops_at_a_lower_one(
    filling: float, running: int, expected: int
) -> None:
    assert LevelRules(PUMP).settings(view([filling], [running])) == [expected]


def test_a_gate_shuts_while_the_water_outside_stands_higher() -> None:
    rules = LevelRules(GATES)
    assert rules.settings(view([0.9, 0.1], head_below_m=1.04)).tolist() == [1.0, 0.5]
    assert rules.settings(view([0.9, 0.1], head_below_m=1.06)).tolist() == [0.0, 0.0]


def test_the_emptier_storage_throttles_by_its_share_of_the_mean() -> None:
    assert EqualFilling(GATES).settings(view([0.2, 0.6])).tolist() == pytest.approx([0.5, 1.0])


def test_a_total_release_is_shared_out_by_what_the_last_setting_gave() -> None:
    law = EqualFilling(GATES, total_m3s=1.0)
    law.settings(view([0.25, 0.25], [0.5, 0.5], at_s=0, flow_m3s=0.4))
    settings = law.settings(view([0.25, 0.25], [0.5, 0.5], at_s=60, flow_m3s=0.9))
    assert settings.tolist() == pytest.approx([0.25, 0.25])  # 0.45 m3/s each


def test_a_capped_structure_is_shut_while_empty_and_then_opens_slowly() -> None:
    law = FeedbackRelease([Asset("g", peak_m3s=2.0)], [1, 0.5, 0.5, 0.5, 0.5])
    assert law.settings(view([0.0], [0.0], at_s=0)) == [0.0]
    assert law.settings(view([0.01], [0.0], at_s=60)) == pytest.approx([0.1])


def test_a_level_that_is_not_read_counts_as_the_mean_of_the_others() -> None:
    assert seen(np.array([0.2, np.nan, 0.6])).tolist() == [0.2, 0.4, 0.6]
    assert seen(np.array([np.nan])).tolist() == [0.5]


def test_a_pump_rests_between_a_stop_and_the_next_start() -> None:
    drives = Drives(PUMP)
    on, off = np.ones(1), np.zeros(1)
    assert drives.limited(on, view([1.0], [0], at_s=0)) == [1]
    assert drives.limited(off, view([0.2], [1], at_s=60)) == [0]
    assert drives.limited(on, view([1.0], [0], at_s=59 + REST_S)) == [0]
    assert drives.limited(on, view([1.0], [0], at_s=60 + REST_S)) == [1]


LEVELS = st.lists(st.floats(0, 2) | st.just(float("nan")), min_size=2, max_size=2)


@given(st.lists(st.floats(0, 1), min_size=10, max_size=10), LEVELS, LEVELS)
def test_no_law_gives_a_setting_outside_0_to_1(
    parameters: list[float], filling: list[float], settings: list[float]
) -> None:
    now = view(filling, [0.0 if np.isnan(s) else s / 2 for s in settings], flow_m3s=0.3)
    capped = [Asset("a", peak_m3s=1.0), Asset("b")]
    laws = (FeedbackRelease(capped, parameters), EqualFilling(capped, 0.5), EqualFilling(GATES))
    for law in laws:
        given: Array = law.settings(now)
        assert ((given >= 0) & (given <= 1)).all()


def test_the_first_law_that_is_tried_leaves_all_open() -> None:
    law = FeedbackRelease(GATES, starting_parameters(2)[0])
    assert law.settings(view([0.0, 1.5])).tolist() == [1.0, 1.0]


def test_a_few_assets_are_tried_one_by_one_as_well() -> None:
    laws = [FeedbackRelease(GATES, law) for law in starting_parameters(2)[-4:]]
    low, high = view([0.1, 0.1], below=[0.05, 0.05]), view([0.9, 0.9], below=[0.9, 0.9])
    assert [law.settings(low).round(2).tolist() for law in laws] == [
        [0.68, 1.0],
        [0.2, 1.0],
        [1.0, 0.68],
        [1.0, 0.2],
    ]
    assert all((law.settings(high) == 1.0).all() for law in laws)
