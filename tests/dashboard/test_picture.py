from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

import msgspec
import pytest

from causeway import events as e
from causeway.events import Address, Quality
from causeway.site import Site
from dashboard.picture import Picture

if TYPE_CHECKING:
    from conftest import Told

NS = 1_000_000_000
START = 1_763_980_800
DEPTH = "sg-1/depth_m"


def raised(priority: int = 2, acknowledged: bool = False) -> e.AlarmRaised:
    return e.AlarmRaised(
        alarm="FLOOD-rd-1",
        priority=priority,
        asset="rd-1",
        kind="flood",
        text_vi="Ngập",
        text_en="Flood",
        acknowledged=acknowledged,
    )


def pump_command(told: Told, seconds: float, sequence: int = 1) -> Address:
    request = e.PumpRequested(pump="p-1", run=True, by="pumps", why="sump -0.90 m")
    number = len(told.steps) + 1
    told.at(
        seconds,
        request,
        e.PumpCommanded(
            pump="p-1",
            run=True,
            sequence=sequence,
            issued_at_ns=0,
            expires_at_ns=0,
            because=Address(number, 0),
        ),
    )
    return Address(number, 1)


# --- readings -------------------------------------------------------------------------------------


def test_a_street_reading_is_shown_as_a_point_and_as_its_road_depth(told: Told) -> None:
    told.read(1, DEPTH, 0.42)
    assert told.row("points", DEPTH) == {"v": 0.42, "q": 0, "at": START + 1.0}
    assert told.row("segments", "rd-1")["depth_m"] == 0.42


def test_a_reading_that_was_overtaken_does_not_replace_a_newer_one(told: Told) -> None:
    told.read(5, DEPTH, 0.42)
    told.read(3, DEPTH, 0.10)
    assert told.row("segments", "rd-1")["depth_m"] == 0.42


@pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
def test_a_depth_that_cannot_be_believed_is_unknown(told: Told, quality: Quality) -> None:
    told.read(1, DEPTH, 0.42)
    told.read(2, DEPTH, 0.43, quality)
    assert told.row("segments", "rd-1")["depth_m"] is None
    assert told.row("points", DEPTH)["q"] == int(quality)


def test_a_point_that_is_silent_for_its_stale_time_becomes_stale_and_its_depth_unknown(
    told: Told,
) -> None:
    told.read(1, DEPTH, 0.42)
    told.at(31, e.Tick())
    assert told.row("points", DEPTH)["q"] == 0
    told.at(31.1, e.Tick())
    assert told.row("points", DEPTH)["q"] == 3
    assert told.row("segments", "rd-1")["depth_m"] is None


def test_a_pump_shows_what_its_plc_says(told: Told) -> None:
    told.read(1, "p-1/running_bool", 1.0)
    told.read(1, "p-1/flow_m3s", 1.42)
    told.read(1, "p-1/fault_bool", 0.0)
    row = told.row("pumps", "p-1")
    assert (row["running"], row["flow_m3s"], row["fault"]) == (True, 1.42, False)


def test_a_step_that_is_known_already_changes_nothing(told: Told) -> None:
    told.read(1, DEPTH, 0.42)
    told.picture.take_delta()
    told.picture.apply(*told.steps[0])
    assert told.picture.take_delta() is None


# --- deltas ---------------------------------------------------------------------------------------


def test_a_delta_has_only_the_fields_that_changed(told: Told) -> None:
    told.read(1, DEPTH, 0.42)
    told.picture.take_delta()
    told.read(2, DEPTH, 0.42)
    delta = told.picture.take_delta()
    assert delta is not None
    assert delta.set == {
        "points": {DEPTH: {"at": START + 2.0}},
        "segments": {"rd-1": {"at": START + 2.0}},
    }
    assert delta.drop == {}


def test_nothing_changed_gives_no_delta(told: Told) -> None:
    told.picture.take_delta()
    assert told.picture.take_delta() is None


def test_a_row_that_goes_and_comes_back_is_dropped_and_set_whole(told: Told) -> None:
    told.at(1, raised())
    told.at(2, e.AlarmAcknowledged(alarm="FLOOD-rd-1", operator="an"))
    told.picture.take_delta()
    told.at(3, e.AlarmReturned(alarm="FLOOD-rd-1"))
    told.at(4, raised())
    delta = told.picture.take_delta()
    assert delta is not None
    assert delta.drop == {"alarms": ["FLOOD-rd-1"]}
    assert delta.set["alarms"]["FLOOD-rd-1"] == told.row("alarms", "FLOOD-rd-1")


def test_a_page_that_merges_every_delta_has_the_picture(told: Told) -> None:
    page = msgspec.json.decode(msgspec.json.encode(told.picture.snapshot()))
    told.picture.take_delta()
    told.read(1, DEPTH, 0.42)
    told.at(2, raised())
    pump_command(told, 3)
    told.at(4, e.AlarmAcknowledged(alarm="FLOOD-rd-1", operator="an"))
    told.at(5, e.AlarmReturned(alarm="FLOOD-rd-1"))
    told.at(40, e.Tick())
    delta = told.picture.take_delta()
    assert delta is not None
    for table, keys in delta.drop.items():
        for key in keys:
            page[table].pop(key, None)
    for table, rows in delta.set.items():
        for key, fields in rows.items():
            page[table].setdefault(key, {}).update(fields)
    assert page == msgspec.json.decode(msgspec.json.encode(told.picture.snapshot()))


# --- alarms ---------------------------------------------------------------------------------------


def test_an_alarm_waits_is_acknowledged_and_leaves_when_it_returns(told: Told) -> None:
    told.at(1, raised())
    assert told.row("alarms", "FLOOD-rd-1")["state"] == "unack"
    told.at(2, e.AlarmAcknowledged(alarm="FLOOD-rd-1", operator="an"))
    assert told.row("alarms", "FLOOD-rd-1")["state"] == "ack"
    told.at(3, e.AlarmReturned(alarm="FLOOD-rd-1"))
    assert told.picture.snapshot()["alarms"] == {}


def test_an_alarm_that_returns_unacknowledged_stays_until_it_is_acknowledged(told: Told) -> None:
    told.at(1, raised())
    told.at(2, e.AlarmReturned(alarm="FLOOD-rd-1"))
    assert told.row("alarms", "FLOOD-rd-1")["state"] == "rtn_unack"
    told.at(3, e.AlarmAcknowledged(alarm="FLOOD-rd-1", operator="an"))
    assert told.picture.snapshot()["alarms"] == {}


def test_an_active_alarm_that_speaks_anew_keeps_its_time_and_its_acknowledgement(
    told: Told,
) -> None:
    told.at(1, raised(priority=2))
    told.at(2, e.AlarmAcknowledged(alarm="FLOOD-rd-1", operator="an"))
    told.at(3, raised(priority=3, acknowledged=True))
    row = told.row("alarms", "FLOOD-rd-1")
    assert (row["state"], row["priority"], row["since"]) == ("ack", 3, START + 1.0)


def test_a_graver_alarm_must_be_acknowledged_again(told: Told) -> None:
    told.at(1, raised(priority=3))
    told.at(2, e.AlarmAcknowledged(alarm="FLOOD-rd-1", operator="an"))
    told.at(3, raised(priority=1))
    assert told.row("alarms", "FLOOD-rd-1")["state"] == "unack"


def test_a_shelved_alarm_says_until_when(told: Told) -> None:
    told.at(1, raised())
    until_at_ns = (START + 900) * NS
    told.at(2, e.AlarmShelved(alarm="FLOOD-rd-1", operator="an", until_at_ns=until_at_ns))
    assert told.row("alarms", "FLOOD-rd-1")["shelved_until"] == START + 900
    told.at(3, e.AlarmUnshelved(alarm="FLOOD-rd-1", operator=""))
    assert told.row("alarms", "FLOOD-rd-1")["shelved_until"] == 0


# --- commands -------------------------------------------------------------------------------------


def test_a_command_is_followed_from_its_request_to_its_confirmation(told: Told) -> None:
    address = pump_command(told, 1)
    key = f"{address.step}-{address.index}"
    row = told.row("commands", key)
    assert (row["by"], row["why"], row["what"]) == ("pumps", "sump -0.90 m", "run")
    assert told.row("pumps", "p-1")["wanted"] is True
    seen = [row["state"]]
    for event in (
        e.CommandSent(command=address, target="p-1", sequence=1),
        e.CommandAnswered(
            target="p-1", sequence=1, accepted=True, result="accepted", observed_at_ns=0
        ),
        e.CommandConfirmed(command=address, target="p-1", sequence=1, took_ns=1_500_000_000),
    ):
        told.at(2, event)
        seen.append(told.row("commands", key)["state"])
    assert seen == ["commanded", "sent", "accepted", "confirmed"]
    assert told.row("commands", key)["took_ms"] == 1500
    assert told.row("pumps", "p-1")["wanted"] is None


def test_what_is_wanted_of_a_pump_stands_until_the_pump_shows_it(told: Told) -> None:
    pump_command(told, 1)
    told.read(2, "p-1/running_bool", 0.0)
    assert told.row("pumps", "p-1")["wanted"] is True
    told.read(3, "p-1/running_bool", 1.0)
    assert told.row("pumps", "p-1")["wanted"] is None


def test_a_refusal_names_who_asked_and_which_interlock_said_no(told: Told) -> None:
    request = e.PumpRequested(pump="p-1", run=True, by="operator:an")
    refusal = e.CommandRefused(
        target="p-1",
        interlock="rest",
        why="stopped 40 s ago, expected 120 s",
        by="operator:an",
        because=Address(1, 0),
    )
    told.at(1, request, refusal)
    row = told.row("commands", "1-1")
    assert (row["state"], row["by"], row["what"]) == ("refused", "operator:an", "run")
    assert row["outcome"] == "rest: stopped 40 s ago, expected 120 s"


def test_a_device_refusal_ends_the_command(told: Told) -> None:
    pump_command(told, 1)
    refusal = e.CommandAnswered(
        target="p-1", sequence=1, accepted=False, result="local", observed_at_ns=0
    )
    told.at(2, refusal)
    row = told.row("commands", "1-1")
    assert (row["state"], row["outcome"]) == ("refused", "local")
    assert told.row("pumps", "p-1")["wanted"] is None


def test_retiming_signals_does_not_push_a_pump_command_out_of_the_log(told: Told) -> None:
    address = pump_command(told, 1)
    for n in range(500):
        stage = e.StageCommanded(
            junction="j-01", stage="ns", sequence=n + 1, issued_at_ns=0, expires_at_ns=0
        )
        told.at(2 + n, stage)
    commands = told.picture.snapshot()["commands"]
    assert f"{address.step}-{address.index}" in commands
    assert len(commands) <= 200


# --- closures -------------------------------------------------------------------------------------


def flooded(told: Told, in_force: tuple[str, ...] = ()) -> int:
    """A step as the cores make it: the batch, what was taken of it, the level, the proposal."""
    number = len(told.steps) + 1
    received = e.ReadingsReceived(
        source="sg-1",
        points=(DEPTH,),
        observed_at_ns=((START + number) * NS,),
        values=(0.42,),
        qualities=(Quality.GOOD,),
    )
    return told.at(
        number,
        received,
        e.ReadingsObserved(
            source="sg-1",
            points=(DEPTH,),
            observed_at_ns=((START + number) * NS,),
            values=(0.42,),
            qualities=(Quality.GOOD,),
            because=Address(number, 0),
        ),
        e.InundationChanged(
            segment="rd-1", level=3, depth_m=0.42, point=DEPTH, because=Address(number, 1)
        ),
        e.ClosureProposed(
            segment="rd-1",
            classes=("motorbike", "car"),
            depth_m=0.42,
            signs=("vms-01",),
            in_force=in_force,
            because=Address(number, 2),
        ),
    )


def test_a_proposed_closure_carries_its_chain_back_to_the_reading(told: Told) -> None:
    flooded(told)
    row = told.row("closures", "rd-1")
    chain = row["because"]
    assert isinstance(chain, list)
    assert [link["kind"] for link in chain] == [
        "ClosureProposed",
        "InundationChanged",
        "ReadingsObserved",
        "ReadingsReceived",
    ]
    assert chain[-1]["address"] == "1-0"
    assert "0.42" in chain[2]["text"] and DEPTH in chain[2]["text"]
    assert row["state"] == "proposed"
    assert told.row("segments", "rd-1")["closure"] == "proposed"


def test_an_operator_decides_and_the_road_shows_it(told: Told) -> None:
    flooded(told)
    told.at(2, e.ClosureDecided(segment="rd-1", approved=True, operator="an"))
    assert told.row("closures", "rd-1")["state"] == "approved"
    assert told.row("segments", "rd-1")["closure"] == "closed"
    told.at(3, e.ClosureDecided(segment="rd-1", approved=False, operator="an"))
    assert told.row("closures", "rd-1")["state"] == "declined"
    assert told.row("segments", "rd-1")["closure"] == ""


def test_more_classes_than_were_approved_wait_while_the_road_stays_closed(told: Told) -> None:
    flooded(told, in_force=("motorbike",))
    row = told.row("closures", "rd-1")
    assert (row["state"], row["in_force"]) == ("proposed", ["motorbike"])
    assert told.row("segments", "rd-1")["closure"] == "closed"


def test_classes_that_are_all_in_force_wait_for_nobody(told: Told) -> None:
    flooded(told, in_force=("motorbike", "car"))
    assert told.row("closures", "rd-1")["state"] == "approved"


def test_a_withdrawn_closure_leaves_the_table(told: Told) -> None:
    flooded(told)
    told.at(2, e.ClosureWithdrawn(segment="rd-1", depth_m=0.05))
    assert told.picture.snapshot()["closures"] == {}
    assert told.row("segments", "rd-1")["closure"] == ""


# --- signals, cameras, sources --------------------------------------------------------------------


def signals(seconds: float, stage: str, interval: e.Interval) -> e.SignalsObserved:
    at_ns = int((START + seconds) * NS)
    state = e.SignalState("j-01", at_ns, stage, interval, "Gr", e.SignalMode.CENTRE)
    return e.SignalsObserved(states=(state,))


def test_a_signal_interval_counts_from_its_first_report(told: Told) -> None:
    for seconds in (1, 2, 3):
        told.at(seconds, signals(seconds, "ns", e.Interval.GREEN))
    assert told.row("signals", "j-01")["since"] == START + 1
    told.at(4, signals(4, "ns", e.Interval.YELLOW))
    assert told.row("signals", "j-01")["since"] == START + 4


def test_a_signal_that_is_silent_is_unknown(told: Told) -> None:
    told.at(1, signals(1, "ns", e.Interval.GREEN))
    told.at(12, e.Tick())
    row = told.row("signals", "j-01")
    assert (row["interval"], row["aspects"]) == ("unknown", "")


def test_a_camera_that_cannot_be_believed_measures_nothing(told: Told) -> None:
    told.at(
        1,
        e.TrafficMeasured(
            camera="cam-1",
            observed_at_ns=START * NS,
            occupancy_ratio=0.7,
            moving_ratio=0.1,
            speed_px_s=0.0,
            frames=10,
        ),
    )
    assert told.row("segments", "rd-2")["congestion"] == 3
    frozen = e.CameraHealthObserved(
        camera="cam-1", health=e.CameraHealth.FROZEN, observed_at_ns=START * NS, why="61 s"
    )
    told.at(2, frozen)
    row = told.row("cameras", "cam-1")
    assert (row["health"], row["occupancy"]) == ("frozen", None)
    assert told.row("segments", "rd-2")["congestion"] == 0


def test_a_congestion_incident_jams_its_road_until_it_ends(told: Told) -> None:
    found = e.IncidentDetected(
        incident="cam-1-congestion-1",
        kind=e.IncidentKind.CONGESTION,
        camera="cam-1",
        first_seen_at_ns=START * NS,
        confidence=0.9,
        why="",
    )
    told.at(1, found)
    assert told.row("segments", "rd-2")["congestion"] == 3
    ended = e.IncidentEnded(incident="cam-1-congestion-1", observed_at_ns=(START + 60) * NS)
    told.at(60, ended)
    assert told.row("segments", "rd-2")["congestion"] == 0
    assert told.row("cameras", "cam-1")["incident"] == ""
    told.at(700, e.Tick())
    assert told.picture.snapshot()["incidents"] == {}


def test_one_red_is_no_congestion_and_a_queue_that_stays_is(told: Told) -> None:
    for second in range(20):
        told.read(second, "j-01/n/queue_veh", 0.0)
    for second in range(20, 32):
        told.read(second, "j-01/n/queue_veh", 75.0)
    assert told.row("segments", "rd-1")["congestion"] == 0
    for second in range(32, 300):
        told.read(second, "j-01/n/queue_veh", 75.0)
    assert told.row("segments", "rd-1")["congestion"] == 3


def test_rejections_are_counted_by_reason_with_their_last_sample(told: Told) -> None:
    for count, sample in ((3, "a"), (4, "b")):
        told.at(
            1,
            e.Rejected(source="sg-1", reason=e.Reason.MALFORMED, count=count, sample=sample),
        )
    row = told.row("sources", "sg-1")
    assert row["rejected"] == {"malformed": 7}
    assert row["sample"] == "malformed: b"


def test_after_a_start_nothing_is_known_of_a_source_until_it_is_heard(told: Told) -> None:
    told.at(1, e.SourceReached(source="plc-1"))
    told.at(1, e.WatchdogObserved(plc="plc-1", taken_over=True, observed_at_ns=1))
    told.at(2, e.SourceLost(source="sg-1", why="no message"))
    assert told.row("sources", "plc-1")["local"] is True
    told.at(3, e.EngineStarted(version="1", site_hash="x"))
    row, silent = told.row("sources", "plc-1"), told.row("sources", "sg-1")
    assert (row["state"], row["local"]) == ("unknown", None)
    assert (silent["state"], silent["why"]) == ("unknown", "")
    told.at(4, e.WatchdogObserved(plc="plc-1", taken_over=False, observed_at_ns=4))
    assert told.row("sources", "plc-1")["local"] is False


def test_a_source_that_the_site_has_not_is_named_all_the_same(told: Told) -> None:
    told.at(1, e.Rejected(source="stranger", reason=e.Reason.UNKNOWN_ASSET, count=1))
    assert told.row("sources", "stranger")["rejected"] == {"unknown_asset": 1}


def test_message_counts_are_told_now_and_then_not_with_every_message(told: Told) -> None:
    told.at(0, e.Tick())
    batch = e.ReadingsReceived(
        source="mqtt",
        points=(DEPTH,),
        observed_at_ns=(0,),
        values=(0.1,),
        qualities=(Quality.GOOD,),
    )
    for second in range(1, 4):
        told.at(second, batch)
    assert told.row("sources", "sg-1")["n"] == 0
    told.at(5, e.Tick())
    assert told.row("sources", "sg-1")["n"] == 3


# --- tide and rain --------------------------------------------------------------------------------


def test_rain_of_60_mm_an_hour_for_half_an_hour_is_30_mm_and_passes_after_an_hour(
    told: Told,
) -> None:
    for minute in range(31):
        told.read(60 * minute, "rg-1/rain_mm_h", 60.0)
    assert told.row("rain", "rg-1")["mm_60min"] == pytest.approx(30.0, abs=0.1)
    for minute in range(31, 95):
        told.read(60 * minute, "rg-1/rain_mm_h", 0.0)
    assert told.row("rain", "rg-1")["mm_60min"] == 0.0


def test_the_tide_rate_is_that_of_the_last_quarter_of_an_hour(told: Told) -> None:
    for minute in range(20):
        told.read(60 * minute, "tg-phu-an/stage_m", 1.2 + 0.005 * minute)
    assert told.row("tide", "tg-phu-an")["rate_m_h"] == pytest.approx(0.3, abs=0.01)


def test_a_forecast_is_kept_by_its_point(told: Told) -> None:
    forecast = e.ForecastIssued(
        point=DEPTH, model="test", issued_at_ns=START * NS, lead_s=(300, 600), values=(0.4, 0.5)
    )
    told.at(1, forecast)
    assert told.row("forecasts", DEPTH)["v"] == [0.4, 0.5]


# --- state ----------------------------------------------------------------------------------------


def eventful(told: Told) -> None:
    told.read(1, DEPTH, 0.42)
    flooded(told)
    told.at(3, raised())
    pump_command(told, 4)
    told.at(5, signals(5, "ns", e.Interval.GREEN))
    for second in range(6, 40):
        told.read(second, "j-01/n/queue_veh", 40.0)
        told.read(second, "rg-1/rain_mm_h", 60.0)
        told.read(second, "tg-phu-an/stage_m", 1.3)
    told.at(41, e.CommandSent(command=Address(4, 1), target="p-1", sequence=1))
    told.at(42, e.Rejected(source="sg-1", reason=e.Reason.LATE, count=2))
    told.at(43, e.Tick())


def test_snapshot_and_tail_give_the_same_picture_as_the_whole(
    fresh: Callable[[], Told], site: Site
) -> None:
    whole = fresh()
    eventful(whole)
    for cut in (1, 4, 20, len(whole.steps)):
        before, after = Picture(site), Picture(site)
        for number, step in whole.steps[:cut]:
            before.apply(number, step)
        after.restore(before.encode())
        for number, step in whole.steps[cut:]:
            after.apply(number, step)
        assert after.snapshot() == whole.picture.snapshot()
        assert after.encode() == whole.picture.encode()


def test_a_state_of_another_form_is_refused(site: Site) -> None:
    with pytest.raises(msgspec.DecodeError):
        Picture(site).restore(b"\x93\x01\x02\x03")


SAID_ELSEWHERE = {
    e.AlarmAcknowledgeRequested,  # requests are shown by what answers them
    e.AlarmShelveRequested,
    e.AlarmUnshelveRequested,
    e.ControlModeRequested,
    e.SignalOverrideRequested,
    e.PumpRequested,
    e.GateRequested,
    e.StageRequested,
    e.SignRequested,
    e.LightingRequested,
    e.RoadWaterMeasured,  # the incident says what came of it
    e.CoreFailed,  # an error of the program, for its log
    e.CascadeCut,
}


def test_every_event_type_is_folded_into_a_table_or_said_elsewhere(told: Told) -> None:
    folded = set(told.picture._folds)
    assert folded.isdisjoint(SAID_ELSEWHERE)
    assert folded | SAID_ELSEWHERE == set(get_args(e.AnyEvent))


# --- the outlook ----------------------------------------------------------------------------------


def test_who_cannot_pass_is_told_with_the_times_of_day(told: Told) -> None:
    street = e.StreetOutlook(
        segment="rd-1",
        low_cm=(0,),
        median_cm=(30,),
        high_cm=(40,),
        over=(1.0, 0.8, 0.5, 0.0),
        peak_cm=30,
        onset_s=600,
        end_s=1_200,
        cause=e.FloodCause.RAIN,
        closed=(
            e.PassageOutlook("motorbike", 0.8, 600, 1_200),
            e.PassageOutlook("car", 0.5, 900, None),
        ),
    )
    forecast = e.InundationForecast(
        issued_at_ns=START * NS, lead_s=(600,), members=30, streets=(street,), inputs=""
    )
    told.at(1, forecast)
    assert told.row("outlooks", "rd-1")["closed"] == [
        {"kind": "motorbike", "p": 0.8, "from": START + 600, "until": START + 1_200},
        {"kind": "car", "p": 0.5, "from": START + 900, "until": None},
    ]


def basin_alert(level: int, was: int) -> e.BasinAlertChanged:
    return e.BasinAlertChanged(
        basin="ba-1",
        name="Ba Son",
        level=level,
        was=was,
        probability=0.8,
        peak_m=0.4,
        onset_at_ns=START * NS,
        cause=e.FloodCause.BOTH,
        streets=("rd-1",) if level else (),
        of=4,
        why="",
    )


def test_a_basins_alert_stands_until_it_is_cancelled(told: Told) -> None:
    told.at(1, basin_alert(2, 0))
    row = told.row("basins", "ba-1")
    assert (row["name"], row["level"], row["streets"], row["of"]) == ("Ba Son", 2, ["rd-1"], 4)
    told.at(2, basin_alert(0, 2))
    assert told.picture.snapshot()["basins"] == {}


def test_each_episode_of_standing_water_counts_once_as_what_it_came_to(told: Told) -> None:
    none, gathered, flooded = e.Standing.NONE, e.Standing.GATHERED, e.Standing.FLOODED
    story = [(none, gathered), (gathered, none), (none, gathered), (gathered, flooded)]
    for second, (was, standing) in enumerate(story):
        told.at(
            second,
            e.StandingWaterChanged(
                segment="rd-1",
                standing=standing,
                was=was,
                point="sg-1/depth_m",
                depth_m=0.1,
                peak_m=0.2,
                since_at_ns=START * NS,
            ),
        )
    row = told.row("standing", "rd-1")
    assert (row["now"], row["gathered"], row["flooded"]) == ("flooded", 1, 1)


# --- how good the outlook was ---------------------------------------------------------------------


def test_scores_of_forecasts_add_up_over_leads_and_alerts(told: Told) -> None:
    def scored(streets: int, mae_m: float, inside: int) -> e.OutlookScored:
        return e.OutlookScored(
            issued_at_ns=0,
            lead_s=3_600,
            streets=streets,
            mae_m=mae_m,
            persistence_mae_m=0.2,
            inside=inside,
        )

    hit, false = e.AlertOutcome.HIT, e.AlertOutcome.FALSE
    told.at(
        1,
        scored(1, 0.1, 1),
        scored(3, 0.02, 2),
        e.FloodAlertScored(segment="rd-1", outcome=hit, lead_s=900),
        e.FloodAlertScored(segment="rd-1", outcome=false),
        e.FloodAlertScored(segment="rd-1", outcome=hit, lead_s=1_200),
    )
    row = told.row("outlook_skill", "3600")
    assert row == {"n": 4, "off": 0.16, "kept_off": 0.8, "inside": 3}
    alerts = told.row("outlook_skill", "alerts")
    assert alerts == {"leads_s": [900, 1_200], "hit": 2, "missed": 0, "false": 1}
