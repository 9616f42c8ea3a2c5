import msgspec
import pytest

from causeway.events import (
    Address,
    AlarmRaised,
    AlarmReturned,
    BasinAlertChanged,
    CameraHealth,
    CameraHealthObserved,
    CommandConfirmed,
    CommandUnconfirmed,
    EngineStarted,
    FloodCause,
    IncidentDetected,
    IncidentEnded,
    IncidentKind,
    Interval,
    InundationChanged,
    SignalMode,
    SignalsObserved,
    SignalState,
    SourceLost,
    SourceReached,
    Tick,
    TideLevelChanged,
    WatchdogObserved,
)
from causeway.site import Basin, Conduit, DrainageNode, LonLat
from control.alarm_kinds import CAMERA_PRIORITY, CAMERA_WORDS, INCIDENT_PRIORITY, KINDS
from control.alarms import Alarms

TIDE = {1: 1.40, 2: 1.50, 3: 1.60}


@pytest.fixture
def step(site, bench):
    return bench(Alarms(site))


def raised(answers):
    return [(a.alarm, a.priority, a.text_vi, a.text_en) for a in answers if type(a) is AlarmRaised]


@pytest.mark.parametrize(("level", "priority"), [(1, 4), (2, 3), (3, 2), (4, 1)])
def test_a_flooded_street_alarms_the_more_the_more_it_closes(step, level, priority):
    event = InundationChanged(segment="rd-1", level=level, depth_m=0.274, point="sg-1/depth_m")
    assert raised(step(event)) == [
        ("FLOOD-rd-1", priority, "Ngập 27 cm Calmette", "27 cm of water on Calmette")
    ]


def test_only_a_basins_emergency_alarms_and_a_lower_level_ends_it(site, bench):
    place = LonLat(106.7, 10.77)
    drained = msgspec.structs.replace(
        site,
        segments=tuple(msgspec.structs.replace(s, node="n") for s in site.segments),
        nodes=(DrainageNode("n", place, 0.0, 2.0), DrainageNode("out", place, 0.0, 2.0, "outfall")),
        conduits=(Conduit("c", "n", "out"),),
        basins=(Basin("ba-1", "Ba Son", ("out",)),),
    )
    step = bench(Alarms(drained))

    def basin(level):
        return BasinAlertChanged(
            basin="ba-1",
            name="Ba Son",
            level=level,
            was=0,
            probability=0.8,
            peak_m=0.54,
            onset_at_ns=step.at_ns + 1_500 * 10**9,
            cause=FloodCause.RAIN,
            streets=("rd-1",),
            of=2,
            why="",
        )

    assert raised(step(basin(2))) == []
    assert raised(step(basin(3))) == [
        (
            "BASIN-ba-1",
            1,
            "Lưu vực Ba Son ngập khẩn cấp: 1/2 đoạn sau 25 phút, tới 54 cm",
            "Flood emergency in basin Ba Son: 1 of 2 roads in 25 min, up to 54 cm",
        )
    ]
    assert [type(a) for a in step(basin(2))] == [AlarmReturned]


@pytest.mark.parametrize(("level", "priority"), [(1, 3), (2, 2), (3, 1)])
def test_a_tide_above_an_alarm_level_alarms(step, level, priority):
    event = TideLevelChanged(gauge="tg-phu-an", level=level, stage_m=1.7, threshold_m=TIDE[level])
    (alarm,) = raised(step(event))
    roman, metres = "I" * level, f"{TIDE[level]:.2f}"
    assert alarm == (
        "TIDE-tg-phu-an",
        priority,
        f"Triều Phú An vượt báo động {roman} ({metres.replace('.', ',')} m)",
        f"Tide at Phú An above alarm level {roman} ({metres} m)",
    )


def test_a_tide_back_below_the_first_level_returns(step):
    step(TideLevelChanged(gauge="tg-phu-an", level=1, stage_m=1.41, threshold_m=1.4))
    (answer,) = step(TideLevelChanged(gauge="tg-phu-an", level=0, stage_m=1.3, threshold_m=1.4))
    assert type(answer) is AlarmReturned


def incident(name, kind=IncidentKind.STOPPED_VEHICLE):
    return IncidentDetected(
        incident=name, kind=kind, camera="cam-1", first_seen_at_ns=1, confidence=0.9, why="seen"
    )


def test_an_incident_alarms_until_the_last_of_its_kind_at_the_camera_has_ended(step):
    assert raised(step(incident("a"))) == [
        ("INC-cam-1-STOPPED", 2, "Xe dừng bất thường: Calmette", "Vehicle stopped: Calmette")
    ]
    assert step(incident("b")) == []
    assert step(IncidentEnded(incident="a", observed_at_ns=2)) == []
    (answer,) = step(IncidentEnded(incident="b", observed_at_ns=3))
    assert type(answer) is AlarmReturned


def test_incidents_of_two_kinds_are_two_alarms(step):
    step(incident("a"))
    (alarm,) = raised(step(incident("c", IncidentKind.CONGESTION)))
    assert alarm == ("INC-cam-1-CONGESTION", 3, "Ùn tắc: Calmette", "Congestion: Calmette")


def test_a_new_start_of_the_engine_ends_incidents_that_nobody_watches_any_more(step):
    step(incident("a"))
    (answer,) = step(EngineStarted(version="1", site_hash=""))
    assert type(answer) is AlarmReturned


@pytest.mark.parametrize("health", [h for h in CameraHealth if h is not CameraHealth.OK])
def test_a_camera_that_cannot_be_believed_alarms_after_its_delay(step, health):
    assert step(CameraHealthObserved(camera="cam-1", health=health, observed_at_ns=1)) == []
    (alarm,) = raised(step(Tick(), after_s=5))
    assert alarm[:2] == ("CAM-cam-1", CAMERA_PRIORITY[health])
    assert alarm[2] == f"Camera Calmette: {CAMERA_WORDS[health][0]}"
    step(CameraHealthObserved(camera="cam-1", health=CameraHealth.OK, observed_at_ns=2))
    (answer,) = step(Tick(), after_s=10)
    assert type(answer) is AlarmReturned


@pytest.mark.parametrize(
    ("source", "priority", "name"),
    [
        ("tg-phu-an", 3, "Phú An"),
        ("sg-1", 3, "sg-1"),
        ("j-01", 2, "Calmette - Hàm Nghi"),
        ("plc-1", 1, "PLC 1"),
        ("vms-1", 3, "Bảng 1"),
    ],
)
def test_a_silent_source_alarms_and_returns_when_it_has_spoken_for_a_while(
    step, source, priority, name
):
    assert raised(step(SourceLost(source=source, why="no message for 30 s"))) == [
        (f"SRC-{source}", priority, f"Mất liên lạc: {name}", f"Contact lost: {name}")
    ]
    assert step(SourceReached(source=source)) == []
    (answer,) = step(Tick(), after_s=5)
    assert type(answer) is AlarmReturned


def test_after_a_start_silence_is_news_only_when_there_was_time_to_speak(step):
    step(EngineStarted(version="", site_hash=""))
    assert raised(step(SourceLost(source="plc-1", why="no connection"))) == []
    assert raised(step(SourceLost(source="j-01", why="no message"))) == []
    step(SourceReached(source="plc-1"), after_s=10)
    assert raised(step(Tick(), after_s=34)) == []
    assert [alarm for alarm, *_ in raised(step(Tick(), after_s=2))] == ["SRC-j-01"]


def test_a_plc_on_its_own_rules_alarms_when_it_stays_so(step):
    def watchdog(taken_over):
        return WatchdogObserved(plc="plc-1", taken_over=taken_over, observed_at_ns=1)

    assert raised(step(watchdog(True))) == []
    assert raised(step(Tick(), after_s=9)) == []
    assert raised(step(Tick(), after_s=1)) == [
        ("PLC-plc-1", 2, "PLC 1 tự điều khiển tại chỗ", "PLC 1 follows its own rules")
    ]
    assert step(watchdog(False)) == []
    (answer,) = step(Tick(), after_s=5)
    assert type(answer) is AlarmReturned


def test_by_a_fast_clock_there_is_more_time_to_speak(step):
    step(EngineStarted(version="", site_hash="", speed=10.0))
    assert raised(step(SourceLost(source="j-01", why="no message"))) == []
    assert raised(step(Tick(), after_s=440)) == []
    assert [alarm for alarm, *_ in raised(step(Tick(), after_s=15))] == ["SRC-j-01"]


def test_a_lighting_circuit_is_named_in_both_languages(step):
    (alarm,) = raised(step(SourceLost(source="lc-1", why="")))
    assert alarm[2:] == (
        "Mất liên lạc: Chiếu sáng Calmette",
        "Contact lost: Street lights Calmette",
    )


def test_a_command_that_a_newer_one_took_the_place_of_is_no_failure(step):
    superseded = CommandUnconfirmed(
        command=Address(1, 1), target="vms-1", sequence=4, why="", superseded_by=5
    )
    assert step(superseded) == []


def unconfirmed(target):
    return CommandUnconfirmed(command=Address(1, 1), target=target, sequence=4, why="not seen")


def test_an_unconfirmed_command_alarms_until_a_later_one_is_confirmed(step):
    assert raised(step(unconfirmed("p-1"))) == [
        (
            "CMD-p-1",
            2,
            "Bơm p-1 (Nguyễn Hữu Cảnh) không thực hiện lệnh",
            "Pump p-1 (Nguyễn Hữu Cảnh) did not do as commanded",
        )
    ]
    assert step(unconfirmed("p-1")) == []  # the next one says nothing new
    step(CommandConfirmed(command=Address(2, 1), target="p-1", sequence=5, took_ns=1))
    (answer,) = step(Tick(), after_s=30)
    assert type(answer) is AlarmReturned


@pytest.mark.parametrize(
    ("point", "alarm"), [("p_1__fault_bool", "PUMP-p-1"), ("g_1__fault_bool", "GATE-g-1")]
)
def test_a_reported_fault_alarms(step, point, alarm):
    step.read(**{point: 1.0})
    assert raised(step(Tick(), after_s=2))[0][:2] == (alarm, 2)


def test_a_gate_open_against_the_tide_alarms_after_its_time_to_travel(step):
    step.read(g_1__opening_ratio=0.6, g_1__outside_m=1.31)
    assert step(Tick(), after_s=149) == []
    assert raised(step(Tick(), after_s=1)) == [
        (
            "GATE-g-1-OPEN",
            1,
            "Cống Bến Nghé còn mở 60 % khi triều 1,31 m (mức đóng 1,20 m)",
            "Cống Bến Nghé still 60 % open at a tide of 1.31 m (closes at 1.20 m)",
        )
    ]
    step.read(1, g_1__outside_m=1.17)  # within the dead band
    assert step(Tick(), after_s=30) == []
    step.read(1, g_1__opening_ratio=0.0)
    (answer,) = step(Tick(), after_s=5)
    assert type(answer) is AlarmReturned


def test_a_gate_that_closes_in_its_time_raises_nothing(step):
    step.read(g_1__opening_ratio=1.0, g_1__outside_m=1.31)
    step(Tick(), after_s=100)
    step.read(1, g_1__opening_ratio=0.0)
    assert step(Tick(), after_s=300) == []


@pytest.mark.parametrize(
    ("interval", "mode", "aspects", "fault", "words"),
    [
        (Interval.GREEN, SignalMode.CENTRE, "GGrr", "lamp n", ("lỗi lamp n", "fault lamp n")),
        (Interval.FLASHING, SignalMode.FLASH, "oooo", "", ("nháy vàng", "flashing")),
        (Interval.GREEN, SignalMode.FLASH, "GGrr", "", ("nháy vàng", "flashing")),
        (Interval.DARK, SignalMode.LOCAL, "oooo", "", ("tắt", "dark")),
        (
            Interval.GREEN,
            SignalMode.CENTRE,
            "GGGr",
            "",
            ("xanh xung đột (n, e)", "conflicting green (n, e)"),
        ),
    ],
)
def test_signals_that_are_wrong_alarm(step, interval, mode, aspects, fault, words):
    state = SignalState("j-01", 1, "ns", interval, aspects, mode, 0, fault)
    step(SignalsObserved(states=(state,)))
    name = "Calmette - Hàm Nghi"
    assert raised(step(Tick(), after_s=1)) == [
        ("SIG-j-01", 1, f"Đèn {name}: {words[0]}", f"Signals {name}: {words[1]}")
    ]
    fine = SignalState("j-01", 2, "ns", Interval.GREEN, "GGrr", SignalMode.CENTRE)
    step(SignalsObserved(states=(fine,)))
    (answer,) = step(Tick(), after_s=5)
    assert type(answer) is AlarmReturned


@pytest.mark.parametrize(
    "event",
    [
        InundationChanged(segment="rd-9", level=4, depth_m=1.0, point=""),
        TideLevelChanged(gauge="tg-9", level=3, stage_m=2.0, threshold_m=1.6),
        SourceLost(source="nobody", why=""),
        unconfirmed("p-9"),
        CameraHealthObserved(camera="cam-9", health=CameraHealth.LOST, observed_at_ns=1),
        SignalsObserved(states=(SignalState("j-9", 1, "", Interval.DARK, "", SignalMode.UNKNOWN),)),
        IncidentEnded(incident="never seen", observed_at_ns=1),
    ],
)
def test_facts_about_what_the_site_does_not_know_raise_nothing(step, event):
    step(event)
    assert step(Tick(), after_s=600) == []


def test_every_kind_of_incident_and_of_health_has_its_row():
    assert set(INCIDENT_PRIORITY) == set(IncidentKind)
    assert {k.value for k in IncidentKind} <= set(KINDS)
    assert set(CAMERA_PRIORITY) == set(CAMERA_WORDS) == set(CameraHealth) - {CameraHealth.OK}
