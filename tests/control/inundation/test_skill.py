from __future__ import annotations

import pytest

from causeway.events import (
    Address,
    AlertOutcome,
    FloodAlertChanged,
    FloodAlertScored,
    FloodCause,
    InundationChanged,
    InundationForecast,
    Now,
    OutlookScored,
    Quality,
    ReadingsObserved,
    StreetOutlook,
)
from control.inundation.skill import FloodSkill

NS = 1_000_000_000
LEADS_S = (600, 1_800, 3_600, 7_200)
BEGINS_NS = 1_762_424_400 * NS


def instant(minute):
    return BEGINS_NS + minute * 60 * NS


class Told:
    """A core, told things at minutes; gives what it answered."""

    def __init__(self, site):
        self.core = FloodSkill(site)

    def at(self, minute, *events):
        now = Now(instant(minute), Address(minute + 1, 0))
        return [answer for event in events for answer in self.core.step(event, now)]

    def depth(self, minute, depth_m, quality=Quality.GOOD):
        reading = ReadingsObserved(
            source="sg-1",
            points=("sg-1/depth_m",),
            observed_at_ns=(instant(minute),),
            values=(depth_m,),
            qualities=(quality,),
        )
        return self.at(minute, reading)


@pytest.fixture
def told(site):
    return Told(site)


def forecast(minute, low_cm=10, median_cm=20, high_cm=30, segment="rd-1"):
    count = len(LEADS_S)
    outlook = StreetOutlook(
        segment=segment,
        low_cm=(low_cm,) * count,
        median_cm=(median_cm,) * count,
        high_cm=(high_cm,) * count,
        over=(0.9, 0.5, 0.1, 0.0),
        peak_cm=median_cm,
        onset_s=1_800,
        end_s=3_600,
        cause=FloodCause.RAIN,
    )
    return InundationForecast(
        issued_at_ns=instant(minute), lead_s=LEADS_S, members=30, streets=(outlook,), inputs=""
    )


def alert(level):
    return FloodAlertChanged(
        segment="rd-1", level=level, probability=0.6, peak_m=0.3, cause=FloodCause.RAIN, why=""
    )


def water(level):
    return InundationChanged(segment="rd-1", level=level, depth_m=0.25, point="sg-1/depth_m")


def test_a_depth_is_scored_when_its_time_has_come_and_not_before(told):
    told.depth(0, 0.05)
    told.at(0, forecast(0))
    assert told.depth(29, 0.24) == []
    assert told.depth(30, 0.26) == [
        OutlookScored(
            issued_at_ns=BEGINS_NS,
            lead_s=1_800,
            streets=1,
            mae_m=0.06,
            persistence_mae_m=0.21,
            inside=1,
        )
    ]
    (hour,) = told.depth(60, 0.5)
    assert (hour.lead_s, hour.inside, hour.mae_m) == (3_600, 0, 0.3)


def test_a_street_that_was_to_stay_dry_and_did_is_no_skill(told):
    told.depth(0, 0.0)
    told.at(0, forecast(0, segment="rd-2"))
    assert told.depth(30, 0.01) == []
    (missed,) = told.depth(60, 0.2)
    assert (missed.mae_m, missed.inside) == (0.2, 0)


def test_a_gauge_that_is_silent_or_bad_when_the_time_comes_tells_nothing(told):
    told.depth(0, 0.2)
    told.at(0, forecast(0))
    assert told.depth(30, 0.9, Quality.BAD) == []
    told.at(90, forecast(90))  # silent for so long, it is not even asked about
    assert told.depth(120, 0.2)[0].issued_at_ns == BEGINS_NS


def test_a_score_whose_time_was_missed_is_dropped(told):
    told.depth(0, 0.2)
    told.at(0, forecast(0))
    assert told.depth(24 * 60, 0.2) == []


def test_a_warning_that_stays_warns_of_the_next_flood_from_the_last_ones_end(told):
    told.at(10, alert(2))
    told.at(35, water(2))
    told.at(60, water(0))
    (hit,) = told.at(200, water(2))
    assert hit.lead_s == 140 * 60


def test_a_flood_that_was_warned_of_is_a_hit_with_its_lead(told):
    told.at(10, alert(2))
    assert told.at(35, water(2)) == [
        FloodAlertScored(segment="rd-1", outcome=AlertOutcome.HIT, lead_s=1_500)
    ]
    assert told.at(50, water(3)) == told.at(80, water(0)) == told.at(90, alert(0)) == []


def test_a_flood_without_a_warning_before_it_was_missed(told):
    told.at(10, alert(1))  # a watch
    (missed,) = told.at(35, water(2), alert(2))
    assert (missed.outcome, missed.lead_s) == (AlertOutcome.MISSED, None)
    assert told.at(80, water(0), alert(0)) == []


def test_a_warning_that_nothing_came_of_was_false(told):
    told.at(10, alert(2))
    assert told.at(20, alert(3)) == []
    (false,) = told.at(60, alert(0))
    assert false.outcome is AlertOutcome.FALSE


def test_water_that_comes_back_within_the_hour_is_no_new_flood(told):
    told.at(10, alert(2))
    told.at(35, water(2))
    told.at(60, water(0))
    assert told.at(100, water(2)) == []
    told.at(110, water(0))
    assert [a.outcome for a in told.at(200, water(2))] == [AlertOutcome.HIT]


def test_the_state_comes_back_as_it_was(site, told):
    told.depth(0, 0.05)
    told.at(0, forecast(0), alert(2))
    other = Told(site)
    other.core.restore(told.core.encode())
    assert other.core.encode() == told.core.encode()
    assert other.depth(30, 0.26) == told.depth(30, 0.26) != []
