from __future__ import annotations

from typing import Any

import pytest

from causeway import events as e
from causeway.clock import NS
from causeway.site import Arterial, Site

START_NS = 1_763_980_800 * NS


def state(seconds: float, stage: str, interval: e.Interval) -> e.SignalsObserved:
    at_ns = START_NS + int(seconds * NS)
    aspects = {"ns": "Gr", "ew": "rG"}[stage] if interval is e.Interval.GREEN else "rr"
    shown = e.SignalState("j-01", at_ns, stage, interval, aspects, e.SignalMode.CENTRE)
    return e.SignalsObserved(states=(shown,))


def planned(stage: str = "ew") -> e.StagesPlanned:
    plan = e.StagePlan("j-01", START_NS, stage, 4, "ew", 41.2, "ns", 52.6)
    return e.StagesPlanned(plans=(plan, e.StagePlan("j-99", 0, "", 0, "", 0.0, "", 0.0)))


def test_a_junction_shows_its_plan_and_the_next_best(told: Any) -> None:
    told.at(0, planned())
    assert told.row("signals", "j-01")["plan"] == {
        "at": START_NS / NS, "stage": "ew", "hold_s": 4, "following": "ew", "cost": 41,
        "other": "ns", "other_cost": 53,
    }  # fmt: skip
    told.at(1, e.StagePlanningLost(junctions=(), why="the signal planner has ended"))
    assert told.row("signals", "j-01")["plan"] is None


def test_the_method_is_shown_with_why_it_is_not_the_planner(told: Any) -> None:
    greedy = e.SignalMethod.GREEDY
    told.at(0, e.SignalMethodChanged(junction="j-01", method=greedy, why="no plan yet"))
    row = told.row("signals", "j-01")
    assert (row["method"], row["method_why"]) == ("greedy", "no plan yet")


def test_an_override_is_shown_until_it_ends(told: Any) -> None:
    hold, release = e.SignalOverride.HOLD, e.SignalOverride.RELEASE
    until_ns = START_NS + 60 * NS
    told.at(0, e.SignalOverridden(junction="j-01", action=hold, until_at_ns=until_ns, operator="a"))
    row = told.row("signals", "j-01")
    assert (row["held"], row["held_until"], row["held_by"]) == ("hold", until_ns / NS, "a")
    told.at(1, e.SignalOverridden(junction="j-01", action=release, until_at_ns=0, operator="a"))
    assert told.row("signals", "j-01")["held"] == ""


def test_measures_without_a_vehicle_say_nothing(told: Any) -> None:
    some = e.ApproachMeasures("n", 8, 0.75, 3, 1, 2, 9, 12.5, 7)
    none = e.ApproachMeasures("e", 0, 0.0, 0, 0, 0, 0, 0.0, 0)
    measures = e.SignalMeasures("j-01", START_NS, 300, (some, none))
    told.at(0, e.SignalsMeasured(measures=(measures,)))
    approaches = told.row("measures", "j-01")["approaches"]
    assert (approaches["n"]["on_green"], approaches["n"]["delay_s"]) == (0.75, 12.5)
    assert (approaches["e"]["on_green"], approaches["e"]["delay_s"]) == (None, None)


@pytest.fixture
def on_arterial(site: Site, told: Any) -> Any:
    import msgspec

    there = (Arterial("art", "Arterial", ("j-01", "j-01")),)
    return type(told)(msgspec.structs.replace(site, arterials=there))


def test_the_bands_keep_every_change_of_the_last_minutes(on_arterial: Any) -> None:
    told = on_arterial
    for second in range(0, 700, 50):
        stage = ("ns", "ew")[second // 50 % 2]
        told.at(second, state(second, stage, e.Interval.GREEN))
        told.at(second + 1, state(second + 1, stage, e.Interval.GREEN))  # no change
    changes = told.row("bands", "j-01")["changes"]
    assert [round(c[0] - START_NS / NS) for c in changes] == list(range(300, 700, 50))
    assert changes[-1][1:] == ["ew", "green"]


def test_a_controller_that_is_silent_is_not_shown_green_any_longer(on_arterial: Any) -> None:
    told = on_arterial
    told.at(0, state(0, "ns", e.Interval.GREEN))
    told.at(20, e.Tick())
    assert told.row("bands", "j-01")["changes"][-1] == [START_NS / NS, "", "unknown"]


def test_a_picture_that_was_restored_goes_on_with_plans_and_bands(on_arterial: Any) -> None:
    told = on_arterial
    told.at(0, state(0, "ns", e.Interval.GREEN), planned())
    again = type(told)(told.picture._site)
    again.picture.restore(told.picture.encode())
    assert again.row("signals", "j-01") == told.row("signals", "j-01")
    assert again.row("bands", "j-01") == told.row("bands", "j-01")
