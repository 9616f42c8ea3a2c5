from __future__ import annotations

import json
import struct
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.events import (
    CommandAnswered,
    Interval,
    LightingObserved,
    Quality,
    ReadingsReceived,
    Reason,
    Rejected,
    SignalMode,
    SignalsObserved,
    SignalState,
    SignObserved,
)
from causeway.frame import EncodedFrame
from causeway.site import Site
from causeway.tracks import TrackedCrossing, TrackedExit, TrackedVehicle, Tracks
from ingest.gathering import READINGS_MAX, Gathering
from ingest.payloads import (
    FRAME_BYTES_MAX,
    SAMPLE_CHARACTERS_MAX,
    STATE_BYTES_MAX,
    STRANGER,
    TELEMETRY_BYTES_MAX,
    Payloads,
    Readings,
    Refusal,
)

AT = 1_763_980_800_000_000_000
TIDE = "causeway/v1/telemetry/tg-phu-an"
SIGNAL = "causeway/v1/signal/j-01/state"
SIGN = "causeway/v1/sign/vms-01/state"
LIGHTING = "causeway/v1/lighting/lc-01/state"
ANSWER = "causeway/v1/answer/j-01"
FRAME = f"causeway/v1/camera/cam-1/frame/{AT}"
JPEG = b"\xff\xd8\xff\xe0" + b"\x11" * 200 + b"\xff\xd9"
STAGE = {"point": "stage_m", "at_ns": AT, "value": 1.52}
GREEN = {
    "at_ns": AT,
    "stage": "ns",
    "interval": "green",
    "aspects": "Gr",
    "mode": "centre",
    "sequence": 41,
    "fault": "",
}

ENCODERS: tuple[Callable[[object], bytes], ...] = (msgspec.json.encode, msgspec.msgpack.encode)
as_both = pytest.mark.parametrize("encode", ENCODERS, ids=["json", "msgpack"])


@pytest.fixture(scope="module")
def payloads(site: Site) -> Payloads:
    return Payloads(site)


def one_refusal(payloads: Payloads, topic: str, payload: bytes, retained: bool = False) -> Refusal:
    decoded = payloads.decode(topic, payload, retained)
    assert decoded.content is None
    assert len(decoded.refusals) == 1, decoded.refusals
    return decoded.refusals[0]


@as_both
def test_a_reading_may_come_alone(payloads: Payloads, encode: Callable[[object], bytes]) -> None:
    decoded = payloads.decode(TIDE, encode(STAGE))
    assert decoded.source == "tg-phu-an"
    assert decoded.content == Readings(["tg-phu-an/stage_m"], [AT], [1.52], [Quality.GOOD])
    assert decoded.refusals == ()


@as_both
def test_readings_may_come_as_an_array_with_short_and_whole_names(
    payloads: Payloads, encode: Callable[[object], bytes]
) -> None:
    message = [
        {"point": "n/queue_veh", "at_ns": AT, "value": 14},
        {"point": "j-01/e/flow_veh_h", "at_ns": AT + 1, "value": 720, "quality": "uncertain"},
    ]
    decoded = payloads.decode("causeway/v1/telemetry/j-01", encode(message))
    assert decoded.content == Readings(
        ["j-01/n/queue_veh", "j-01/e/flow_veh_h"],
        [AT, AT + 1],
        [14.0, 720.0],
        [Quality.GOOD, Quality.UNCERTAIN],
    )


@as_both
def test_states_and_answers_are_read(payloads: Payloads, encode: Callable[[object], bytes]) -> None:
    text = "NGẬP 35 CM\nXE MÁY ĐI VÒNG"
    answer = {"at_ns": AT, "sequence": 42, "accepted": False, "result": "interlock"}
    assert payloads.decode(SIGNAL, encode(GREEN)).content == SignalState(
        "j-01", AT, "ns", Interval.GREEN, "Gr", SignalMode.CENTRE, 41
    )
    assert payloads.decode(
        SIGN, encode({"at_ns": AT, "text": text, "sequence": 3})
    ).content == SignObserved(sign="vms-01", observed_at_ns=AT, text=text, sequence=3)
    assert payloads.decode(
        LIGHTING, encode({"at_ns": AT, "level_ratio": 1, "sequence": 2})
    ).content == LightingObserved(circuit="lc-01", observed_at_ns=AT, level_ratio=1, sequence=2)
    assert payloads.decode(ANSWER, encode(answer)).content == CommandAnswered(
        target="j-01", sequence=42, accepted=False, result="interlock", observed_at_ns=AT
    )


def test_one_bad_reading_does_not_cost_the_others(payloads: Payloads) -> None:
    message = [
        STAGE,
        {"point": "stage_m", "at_ns": AT, "value": True},
        {"point": "salinity", "at_ns": AT, "value": 1.0},
        {"point": "sg-1/depth_m", "at_ns": AT, "value": 1.0},
        {"point": "battery_v", "at_ns": AT, "value": 12.1},
        17,
    ]
    decoded = payloads.decode(TIDE, msgspec.json.encode(message))
    assert isinstance(decoded.content, Readings)
    assert decoded.content.points == ["tg-phu-an/stage_m", "tg-phu-an/battery_v"]
    assert [r.reason for r in decoded.refusals] == [
        Reason.MALFORMED,
        Reason.UNKNOWN_POINT,
        Reason.WRONG_SOURCE,
        Reason.MALFORMED,
    ]


def test_a_dead_sensor_written_as_nan_does_not_cost_the_other_readings(payloads: Payloads) -> None:
    message = [STAGE, {"point": "battery_v", "at_ns": AT, "value": float("nan")}]
    decoded = payloads.decode(TIDE, json.dumps(message).encode())
    assert isinstance(decoded.content, Readings)
    assert decoded.content.points == ["tg-phu-an/stage_m"]
    assert [r.reason for r in decoded.refusals] == [Reason.NOT_A_NUMBER]


def test_a_short_name_that_is_another_devices_point_is_not_confused(payloads: Payloads) -> None:
    refusal = one_refusal(
        payloads, "causeway/v1/telemetry/sg-1", msgspec.json.encode({**STAGE, "point": "stage_m"})
    )
    assert refusal.reason is Reason.UNKNOWN_POINT
    assert "expected depth_m" in refusal.sample


def reading(**changes: object) -> bytes:
    return msgspec.json.encode({**STAGE, **changes})


def state(**changes: object) -> bytes:
    return msgspec.json.encode({**GREEN, **changes})


def packed(value: float) -> bytes:
    return (
        b"\x83\xa5point\xa7stage_m\xa5at_ns\xcf"
        + struct.pack(">Q", AT)
        + b"\xa5value\xcb"
        + struct.pack(">d", value)
    )


BAD: dict[str, tuple[str, bytes, Reason]] = {
    "nothing": (TIDE, b"", Reason.MALFORMED),
    "text": (TIDE, b"1.52", Reason.MALFORMED),
    "broken JSON": (TIDE, b'{"point": "stage_m", "at', Reason.MALFORMED),
    "broken MessagePack": (TIDE, msgspec.msgpack.encode(STAGE)[:-3], Reason.MALFORMED),
    "more behind the JSON": (TIDE, reading() + b"x", Reason.MALFORMED),
    "an empty array": (TIDE, b"[]", Reason.MALFORMED),
    "an empty MessagePack array": (TIDE, b"\x90", Reason.MALFORMED),
    "an array that claims 4 billion": (TIDE, b"\xdd\xff\xff\xff\xff", Reason.MALFORMED),
    "not UTF-8": (TIDE, reading().replace(b"stage_m", b"stage\xff\xfe"), Reason.MALFORMED),
    "UTF-16": (TIDE, reading().decode().encode("utf-16-le"), Reason.MALFORMED),
    "a lone surrogate": (TIDE, reading().replace(b"stage_m", b"\\ud800"), Reason.MALFORMED),
    "deep nesting": (TIDE, reading()[:-1] + b',"x":' + b"[" * 50_000, Reason.MALFORMED),
    "deep and closed nesting": (
        TIDE,
        reading()[:-1] + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        Reason.MALFORMED,
    ),
    "deep MessagePack": (TIDE, b"\x91" * 100_000 + b"\x90", Reason.MALFORMED),
    "no value": (TIDE, b'{"point": "stage_m", "at_ns": 1}', Reason.MALFORMED),
    "a bool for a value": (TIDE, reading(value=True), Reason.MALFORMED),
    "a text for a value": (TIDE, reading(value="1.5"), Reason.MALFORMED),
    "null for a value": (TIDE, reading(value=None), Reason.MALFORMED),
    "a float for a time": (TIDE, reading(at_ns=1.5), Reason.MALFORMED),
    "a bool for a time": (TIDE, reading(at_ns=True), Reason.MALFORMED),
    "a negative time": (TIDE, reading(at_ns=-1), Reason.MALFORMED),
    "a time over 63 bits": (TIDE, reading(at_ns=2**63), Reason.MALFORMED),
    "a huge time": (TIDE, reading(at_ns=10**300), Reason.MALFORMED),
    "a time as text": (TIDE, reading(at_ns="2025-11-24T18:00:00+07:00"), Reason.MALFORMED),
    "an unknown quality": (TIDE, reading(quality="superb"), Reason.MALFORMED),
    "a number for a point": (TIDE, reading(point=7), Reason.MALFORMED),
    "a huge value": (TIDE, reading(value=10**400), Reason.NOT_A_NUMBER),
    "a value past floats": (TIDE, reading().replace(b"1.52", b"1e999"), Reason.NOT_A_NUMBER),
    "NaN in JSON": (TIDE, reading().replace(b"1.52", b"NaN"), Reason.NOT_A_NUMBER),
    "-Infinity in JSON": (TIDE, reading().replace(b"1.52", b"-Infinity"), Reason.NOT_A_NUMBER),
    "NaN in MessagePack": (TIDE, packed(float("nan")), Reason.NOT_A_NUMBER),
    "infinity in MessagePack": (TIDE, packed(float("inf")), Reason.NOT_A_NUMBER),
    "an unknown point": (TIDE, reading(point="salinity"), Reason.UNKNOWN_POINT),
    "an endless name": (TIDE, reading(point="x" * 100_000), Reason.UNKNOWN_POINT),
    "another device's point": (TIDE, reading(point="sg-1/depth_m"), Reason.WRONG_SOURCE),
    "a PLC's point": (TIDE, reading(point="ps-1/sump_m"), Reason.WRONG_SOURCE),
    "too many bytes": (TIDE, b" " * TELEMETRY_BYTES_MAX + reading(), Reason.OVERSIZED),
    "too many readings": (TIDE, b"[" + b"1," * READINGS_MAX + b"1]", Reason.OVERSIZED),
    "an unknown device": ("causeway/v1/telemetry/tg-none", reading(), Reason.UNKNOWN_ASSET),
    "a PLC on MQTT": ("causeway/v1/telemetry/plc-1", reading(), Reason.WRONG_SOURCE),
    "a camera with telemetry": ("causeway/v1/telemetry/cam-1", reading(), Reason.WRONG_SOURCE),
    "a gauge as a signal": ("causeway/v1/signal/tg-phu-an/state", state(), Reason.WRONG_SOURCE),
    "an unknown signal": ("causeway/v1/signal/j-99/state", state(), Reason.UNKNOWN_ASSET),
    "an unknown target": ("causeway/v1/answer/j-99", state(), Reason.UNKNOWN_ASSET),
    "an unknown topic": ("causeway/v1/telemetri/tg-phu-an", reading(), Reason.UNKNOWN_TOPIC),
    "a topic too long": (TIDE + "/stage_m", reading(), Reason.UNKNOWN_TOPIC),
    "a topic too short": ("causeway/v1/telemetry", reading(), Reason.UNKNOWN_TOPIC),
    "a topic of another root": ("causeway/v2/telemetry/tg-phu-an", reading(), Reason.UNKNOWN_TOPIC),
    "no topic": ("", reading(), Reason.UNKNOWN_TOPIC),
    "an array for a state": (SIGNAL, b"[]", Reason.MALFORMED),
    "a text for a state": (SIGNAL, b"green", Reason.MALFORMED),
    "a missing aspect": (SIGNAL, state(aspects="G"), Reason.MALFORMED),
    "an unknown aspect": (SIGNAL, state(aspects="GR"), Reason.MALFORMED),
    "an unknown stage": (SIGNAL, state(stage="sw"), Reason.MALFORMED),
    "an unknown interval": (SIGNAL, state(interval="amber"), Reason.MALFORMED),
    "an unknown mode": (SIGNAL, state(mode="auto"), Reason.MALFORMED),
    "a sequence over 16 bits": (SIGNAL, state(sequence=65_536), Reason.MALFORMED),
    "a NUL in a fault": (SIGNAL, state(fault="a\0b"), Reason.MALFORMED),
    "an endless state": (SIGNAL, state(fault="x" * STATE_BYTES_MAX), Reason.OVERSIZED),
    "a NUL in a text": (SIGN, b'{"at_ns": 1, "text": "a\\u0000"}', Reason.MALFORMED),
    "too much light": (LIGHTING, b'{"at_ns": 1, "level_ratio": 1.5}', Reason.OUT_OF_RANGE),
    "no light at all": (LIGHTING, b'{"at_ns": 1, "level_ratio": NaN}', Reason.NOT_A_NUMBER),
    "an unknown result": (
        ANSWER,
        b'{"at_ns": 1, "sequence": 1, "accepted": false, "result": "no"}',
        Reason.MALFORMED,
    ),
    "a contradiction": (
        ANSWER,
        b'{"at_ns": 1, "sequence": 1, "accepted": true, "result": "late"}',
        Reason.MALFORMED,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_its_reason(payloads: Payloads, name: str) -> None:
    topic, payload, reason = BAD[name]
    refusal = one_refusal(payloads, topic, payload)
    assert refusal.reason is reason
    assert refusal.sample.isprintable()
    assert 0 < len(refusal.sample) <= SAMPLE_CHARACTERS_MAX


def test_a_stranger_has_no_name_of_its_own(payloads: Payloads) -> None:
    refusal = one_refusal(payloads, "causeway/v1/telemetry/tg-none", reading())
    assert refusal.source == STRANGER
    assert "tg-none" in refusal.sample


def test_a_known_device_is_named_in_its_refusals(payloads: Payloads) -> None:
    assert one_refusal(payloads, TIDE, b"?").source == "tg-phu-an"


def test_a_retained_message_is_refused(payloads: Payloads) -> None:
    assert one_refusal(payloads, SIGN, b"{}", retained=True).reason is Reason.NOT_PERMITTED


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (FRAME, JPEG[:-2], Reason.TRUNCATED_FRAME),
        (FRAME, JPEG + b"\x00" * 100, Reason.TRUNCATED_FRAME),
        (FRAME, b"\x89PNG\r\n" + JPEG, Reason.UNDECODABLE_FRAME),
        (FRAME, b"", Reason.UNDECODABLE_FRAME),
        (FRAME, JPEG[:-2] + b"\x11" * FRAME_BYTES_MAX + JPEG[-2:], Reason.OVERSIZED),
        ("causeway/v1/camera/cam-9/frame/1", JPEG, Reason.UNKNOWN_ASSET),
        (f"causeway/v1/camera/cam-2/frame/{AT}", JPEG, Reason.WRONG_SOURCE),
        ("causeway/v1/camera/cam-1/frame/now", JPEG, Reason.MALFORMED),
        ("causeway/v1/camera/cam-1/frame/-1", JPEG, Reason.MALFORMED),
        ("causeway/v1/camera/cam-1/frame/٣", JPEG, Reason.MALFORMED),
        (f"causeway/v1/camera/cam-1/frame/{2**63}", JPEG, Reason.MALFORMED),
        (f"causeway/v1/camera/cam-1/frame/{AT - 61 * 10**9}", JPEG, Reason.LATE),
        ("causeway/v1/camera/cam-1/frame/4070908800000000000", JPEG, Reason.FUTURE),
        ("causeway/v1/camera/cam-1", JPEG, Reason.UNKNOWN_TOPIC),
    ],
)
def test_a_bad_picture_is_refused_with_its_reason(
    payloads: Payloads, topic: str, payload: bytes, reason: Reason
) -> None:
    taken = payloads.frame(topic, payload, AT)
    assert isinstance(taken, Refusal)
    assert taken.reason is reason


def test_a_picture_is_taken_with_its_time_and_with_padding_behind_it(payloads: Payloads) -> None:
    assert payloads.frame(FRAME, JPEG, AT) == EncodedFrame("cam-1", AT, JPEG)
    padded = JPEG + b"\0" * 40
    assert payloads.frame(FRAME, padded, AT) == EncodedFrame("cam-1", AT, padded)


@given(topic=st.sampled_from([TIDE, SIGNAL, SIGN, LIGHTING, ANSWER]), payload=st.binary())
def test_no_bytes_raise(site: Site, topic: str, payload: bytes) -> None:
    decoded = Payloads(site).decode(topic, payload)
    assert (decoded.content is None) == bool(decoded.refusals)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner),
    max_leaves=8,
)
_fields = st.sampled_from(["point", "at_ns", "value", "quality", "stage", "text", "sequence"])


@given(
    topic=st.sampled_from([TIDE, SIGNAL, SIGN, LIGHTING, ANSWER]),
    message=st.dictionaries(_fields, _values) | st.lists(st.dictionaries(_fields, _values)),
)
def test_no_well_formed_message_raises(site: Site, topic: str, message: object) -> None:
    decoded = Payloads(site).decode(topic, msgspec.msgpack.encode(message))
    assert decoded.content is not None or decoded.refusals


def test_a_gathering_puts_many_messages_into_few_inputs(payloads: Payloads) -> None:
    gathering = Gathering()
    depth = msgspec.json.encode({"point": "depth_m", "at_ns": AT, "value": 0.2})
    for topic, payload in (
        (TIDE, reading()),
        ("causeway/v1/telemetry/sg-1", depth),
        (SIGNAL, state()),
        (TIDE, b"?"),
        (SIGNAL, state(at_ns=AT + 1)),
        (TIDE, b"??"),
    ):
        gathering.add(payloads.decode(topic, payload))
    readings, signals, rejected = gathering.events()
    assert readings == ReadingsReceived(
        source="mqtt",
        points=("tg-phu-an/stage_m", "sg-1/depth_m"),
        observed_at_ns=(AT, AT),
        values=(1.52, 0.2),
        qualities=(Quality.GOOD, Quality.GOOD),
    )
    assert isinstance(signals, SignalsObserved)
    assert [s.observed_at_ns for s in signals.states] == [AT, AT + 1]
    assert isinstance(rejected, Rejected)
    assert (rejected.source, rejected.reason, rejected.count) == ("tg-phu-an", "malformed", 2)
    assert rejected.sample.endswith("seen b'?'; expected JSON or MessagePack")


def test_a_gathering_of_one_device_names_it_and_splits_what_is_too_long(payloads: Payloads) -> None:
    gathering = Gathering()
    many = [{**STAGE, "at_ns": AT + i} for i in range(2_000)]
    for _ in range(3):
        gathering.add(payloads.decode(TIDE, msgspec.msgpack.encode(many)))
    events = [e for e in gathering.events() if isinstance(e, ReadingsReceived)]
    assert [len(e.points) for e in events] == [READINGS_MAX, 6_000 - READINGS_MAX]
    assert {e.source for e in events} == {"tg-phu-an"}


# --- a roadside tracker ---------------------------------------------------------------------------

TRACKS = "causeway/v1/signal/j-01/tracks"
SEEN = {
    "at_ns": AT,
    "vehicles": [["17", "rd-1", 2, 83.4, 9.7, "motorbike"]],
    "crossings": [["12", "rd-1", "rd-1"]],
    "exits": [["rd-1", {"motorbike": 3, "car": 1}, 40.0, 6.5, 0]],
}


@as_both
def test_what_a_tracker_sees_is_taken(site: Site, encode: Callable[[object], bytes]) -> None:
    tracks = Payloads(site).tracks(TRACKS, encode(SEEN), AT)
    assert isinstance(tracks, Tracks)
    assert (tracks.junction, tracks.observed_at_ns) == ("j-01", AT)
    assert tracks.vehicles == (TrackedVehicle("17", "rd-1", 2, 83.4, 9.7, "motorbike"),)
    assert tracks.crossings == (TrackedCrossing("12", "rd-1", "rd-1"),)
    assert tracks.exits == (TrackedExit("rd-1", {"motorbike": 3, "car": 1}, 40.0, 6.5, 0),)


@pytest.mark.parametrize(
    ("topic", "change", "reason"),
    [
        ("causeway/v1/signal/j-09/tracks", {}, Reason.UNKNOWN_ASSET),
        (TRACKS, {"vehicles": [["17", "rd-9", 2, 83.4, 9.7, "car"]]}, Reason.WRONG_SOURCE),
        (TRACKS, {"vehicles": [["17", "rd-1", 0, 83.4, 9.7, "car"]]}, Reason.MALFORMED),
        (TRACKS, {"vehicles": [["17", "rd-1", 1, -1.0, 9.7, "car"]]}, Reason.MALFORMED),
        (TRACKS, {"vehicles": [["17", "rd-1", 1, 1.0, 9.7, "tank"]]}, Reason.MALFORMED),
        (TRACKS, {"vehicles": SEEN["vehicles"] * 1_001}, Reason.MALFORMED),
        (TRACKS, {"exits": [["rd-1", {"car": -1}, 40.0, 6.5, 0]]}, Reason.MALFORMED),
        (TRACKS, {"at_ns": AT - 61 * 10**9}, Reason.LATE),
        (TRACKS, {"at_ns": AT + 61 * 10**9}, Reason.FUTURE),
    ],
)
def test_what_a_tracker_cannot_have_seen_is_refused(
    site: Site, topic: str, change: dict[str, object], reason: Reason
) -> None:
    refused = Payloads(site).tracks(topic, msgspec.json.encode({**SEEN, **change}), AT)
    assert isinstance(refused, Refusal)
    assert refused.reason is reason


@given(st.binary(max_size=200))
def test_no_tracks_however_broken_raise(site: Site, payload: bytes) -> None:
    assert isinstance(Payloads(site).tracks(TRACKS, payload, AT), Refusal)
