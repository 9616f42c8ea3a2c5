"""A junction's layout is checked whole, and what it shows between two stages is safe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.signals.layout import (
    Lane,
    Layout,
    LayoutError,
    Movement,
    PedestrianCrossing,
    changing,
    checked,
    clearing,
    conflicts,
    stage_least_s,
    walked_over,
)

NORTH, EAST, OUT = (Lane(id_, 100.0, 13.9) for id_ in ("north", "east", "out"))
SOUND = Layout(
    id="X",
    lanes=(NORTH, EAST),
    exits=(OUT,),
    movements=(Movement(0, 0, 0, (), (1,)), Movement(1, 0, 1, (0,), (0,))),
    stages=("Gr", "rG"),
    yellow_s=3.0,
    min_green_s=7.0,
    max_green_s=60.0,
)

stages = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.text("Ggrs", min_size=n, max_size=n)] * 2)
)


def test_a_sound_layout_is_taken_as_it_is() -> None:
    assert checked(SOUND) is SOUND


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stages": ()}, "with green: 0"),
        ({"stages": ("Gr",)}, "with green: 1"),
        ({"stages": ("Gr", "rGr")}, "stage 1 has 3 aspects"),
        ({"stages": ("Gr", "ry")}, "none of G, g, r, s"),
        ({"stages": ("Gr", "rs")}, "stage 1 has no green"),
        ({"stages": ("Gr", "rG", "Gr")}, "stage 2 is the same as stage 0"),
        ({"stages": ("Gr", "GG")}, "which cross"),
        ({"movements": ()}, "no movement"),
        ({"movements": (Movement(2, 0, 0),)}, "lane 2 of 2"),
        ({"movements": (Movement(0, 1, 0),)}, "exit 1 of 1"),
        ({"movements": (Movement(0, 0, -1),)}, "signal -1 of 2"),
        ({"movements": (Movement(0, 0, 0, (), (0,)),)}, "meets movement 0"),
        ({"movements": (Movement(0, 0, 0, (7,)),)}, "meets movement 7"),
        ({"yellow_s": 0.0}, "yellow of 0 s"),
        ({"min_green_s": 61.0}, "greens of 61 to 60 s"),
    ],
)
def test_an_unsound_layout_is_refused_by_name(changes: dict[str, object], said: str) -> None:
    with pytest.raises(LayoutError, match=r"junction X: .*") as refused:
        checked(SOUND._replace(**changes))  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert refused.value.junction == "X"


def test_one_of_two_that_cross_may_go_while_it_yields() -> None:
    assert list(conflicts(SOUND, "Gg")) == []
    assert list(conflicts(SOUND, "GG")) == [(0, 1), (1, 0)]


@given(stages)
def test_green_ends_by_yellow_and_begins_only_with_its_stage(pair: tuple[str, str]) -> None:
    before, after = pair
    apart = SOUND._replace(movements=())  # who crosses whom is the next test's
    for was, shown, will in zip(before, changing(apart, before, after), after, strict=True):
        assert (shown == "y") == (was in "Gg" and will not in "Gg")
        if shown in "Gg":
            assert shown == was
            assert will in "Gg"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("Gr", "gG", "yr"),  # who had the way must now let the other pass
        ("Gg", "gG", "yg"),
        ("Gr", "gg", "Gr"),
        ("gr", "gG", "gr"),
        ("gG", "Gg", "gy"),
        ("Gr", "Gg", "Gr"),
    ],
)
def test_who_loses_the_right_of_way_is_told_by_yellow(before: str, after: str, shown: str) -> None:
    assert changing(SOUND, before, after) == shown


@given(st.tuples(*[st.text("Ggrs", min_size=2, max_size=2)] * 2))
def test_right_of_way_passes_between_crossing_movements_only_over_yellow_or_red(
    pair: tuple[str, str],
) -> None:
    before, after = pair
    shown = changing(SOUND, before, after)
    for one, other in ((0, 1), (1, 0)):
        if after[one] == "G" != before[one]:
            assert shown[other] != "G" or after[other] == "G"


@given(st.text("Ggrs", min_size=2, max_size=2))
def test_a_stage_changes_to_itself_without_a_change(stage: str) -> None:
    assert changing(SOUND, stage, stage) == stage


def test_a_turn_on_red_waits_for_its_stage_only_where_it_is_to_be_green() -> None:
    assert changing(SOUND._replace(movements=()), "sssr", "sGrs") == "srrs"


WALKED = SOUND._replace(
    crossings=(PedestrianCrossing("over east", 2, 12.0, (1,)),), stages=("GrG", "rGr")
)


def test_a_crossing_keeps_pedestrians_and_vehicles_apart() -> None:
    assert checked(WALKED) is WALKED
    assert list(walked_over(WALKED, "rGG")) == [(0, 1)]
    assert list(walked_over(WALKED, "rgG")) == []  # who turns lets them pass


@pytest.mark.parametrize(
    ("crossing", "stages", "said"),
    [
        (PedestrianCrossing("c", 2, 12.0, (1,)), ("GrG", "rGG"), "crossing 0 and movement 1"),
        (PedestrianCrossing("c", 3, 12.0, (1,)), ("GrG", "rGr"), "signal 3 of 3"),
        (PedestrianCrossing("c", 1, 12.0, ()), ("GrG", "rGr"), "which is a movement's"),
        (PedestrianCrossing("c", 2, 12.0, (1,)), ("Grr", "rGr"), "green in no stage"),
        (PedestrianCrossing("c", 2, 12.0, (1,)), ("GrG", "rGg"), "let vehicles pass"),
        (PedestrianCrossing("c", 2, 0.0, (1,)), ("GrG", "rGr"), "0 m long"),
        (PedestrianCrossing("c", 2, 12.0, (5,)), ("GrG", "rGr"), "meets movement 5 of 2"),
    ],
)
def test_an_unsound_crossing_is_refused(
    crossing: PedestrianCrossing, stages: tuple[str, ...], said: str
) -> None:
    with pytest.raises(LayoutError) as refused:
        checked(WALKED._replace(crossings=(crossing,), stages=stages))
    assert said in str(refused.value)


def test_who_is_called_makes_the_minimum_green_long_enough_to_get_across() -> None:
    assert stage_least_s(WALKED, "GrG", ()) == 7
    assert stage_least_s(WALKED, "GrG", (0,)) == 7 + 10  # 12 m at 1.2 m/s
    assert stage_least_s(WALKED, "rGr", (0,)) == 7


def test_pedestrians_have_no_yellow_and_all_red_follows_on_it() -> None:
    change = changing(WALKED, "GrG", "rGr")
    assert change == "yrr"
    assert clearing(change) == "rrr"
