"""Decides what an MQTT message says: topic and payload in, events or typed refusals out.

Payloads are those of docs/INTERFACES.md, as JSON or MessagePack. What cannot be taken becomes a
`Refusal` with its reason and a sample of what was seen and what was expected; one bad reading in an
array does not cost the others. `gathering.py` adds up what many messages say; `plausibility.py`
judges the readings against time and their past.

Laws of this file:
1. No payload, however broken, raises.
2. A refusal's source is an asset of the site, or `mqtt` where the topic names none: strangers
   cannot make the centre remember a name for each message.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Sequence as Many
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from causeway.events import (
    CommandAnswered,
    Interval,
    LightingObserved,
    Quality,
    Reason,
    SignalMode,
    SignalState,
    SignObserved,
)
from causeway.frame import EncodedFrame
from causeway.site import Junction, Site, near
from causeway.tracks import VEHICLES_MAX, TrackedCrossing, TrackedExit, TrackedVehicle, Tracks

ROOT = "causeway/v1/"
STRANGER = "mqtt"  # the source of what no asset of the site has said
TELEMETRY_BYTES_MAX = 256 * 1024
READINGS_MAX = 4_096  # in one message, and in one input: a step stays well below the journal's 8 MB
STATE_BYTES_MAX = 16 * 1024
FRAME_BYTES_MAX = 2 * 2**20
FRAME_OFF_NS_MAX = 60_000_000_000  # a live picture's age, and the error of a camera's clock
TRACKS_BYTES_MAX = 256 * 1024
TRACKS_TOPIC = re.compile(rf"{ROOT}signal/([^/]+)/tracks")
SAMPLE_CHARACTERS_MAX = 160
AT_NS_MAX = 2**63 - 1
JPEG_START = b"\xff\xd8\xff"  # SOI and the first byte of the next marker
JPEG_END = b"\xff\xd9"
JPEG_PADDING_BYTES_MAX = 64  # some cameras fill the last block up behind the end mark

AtNs = Annotated[int, Meta(ge=0, le=AT_NS_MAX)]
Sequence = Annotated[int, Meta(ge=0, le=65_535)]
_PRINTABLE = "^[^\\x00-\\x09\\x0b-\\x1f\\x7f]*$"  # and line feeds; PostgreSQL takes no NUL
T = TypeVar("T", bound=Struct)


class _Reading(Struct):
    point: str
    at_ns: AtNs
    value: float
    quality: Literal["good", "uncertain", "bad", "stale"] = "good"


class _SignalState(Struct):
    at_ns: AtNs
    stage: str
    interval: Interval
    aspects: Annotated[str, Meta(pattern="^[Gyro]*$")]
    mode: SignalMode
    sequence: Sequence = 0
    fault: Annotated[str, Meta(max_length=200, pattern=_PRINTABLE)] = ""


class _SignState(Struct):
    at_ns: AtNs
    text: Annotated[str, Meta(max_length=500, pattern=_PRINTABLE)]
    sequence: Sequence = 0


class _LightingState(Struct):
    at_ns: AtNs
    level_ratio: float
    sequence: Sequence = 0


class _Answer(Struct):
    at_ns: AtNs
    sequence: Sequence
    accepted: bool
    result: Literal["accepted", "late", "repeated", "interlock", "local", "fault", "malformed"]


class _Tracks(Struct):
    at_ns: AtNs
    vehicles: Annotated[tuple[TrackedVehicle, ...], Meta(max_length=VEHICLES_MAX)]
    crossings: Annotated[tuple[TrackedCrossing, ...], Meta(max_length=VEHICLES_MAX)] = ()
    exits: Annotated[tuple[TrackedExit, ...], Meta(max_length=32)] = ()


class Refusal(NamedTuple):
    """What was not taken: whose it was, why, and what was seen."""

    source: str
    reason: Reason
    sample: str


class Readings(NamedTuple):
    """The readings of one message that could be read; four lists of one length."""

    points: list[str]
    observed_at_ns: list[int]
    values: list[float]
    qualities: list[Quality]


Content = Readings | SignalState | SignObserved | LightingObserved | CommandAnswered


class Decoded(NamedTuple):
    """What one message says. `content` is None where nothing of it could be taken."""

    source: str
    content: Content | None
    refusals: tuple[Refusal, ...] = ()


class _Refused(Exception):
    """Leaves a decoding from within; never leaves this file."""

    def __init__(self, reason: Reason, sample: str) -> None:
        self.reason = reason
        self.sample = sample
        super().__init__(sample)


_QUALITIES = {quality.name.lower(): quality for quality in Quality}
_JSON_STARTS = frozenset(b"{[ \t\r\n")
_MSGPACK_MAPS = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))
_MSGPACK_ARRAYS = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
_NOT_A_NUMBER = re.compile(rb"[:\[,]\s*-?(NaN|Infinity|nan|inf)\b")  # Python's and JavaScript's
_OUT_OF_FLOAT = "Number out of range"  # msgspec's word for what only infinity could hold

_repr = reprlib.Repr()
_repr.maxlevel = 2
_repr.maxstring = _repr.maxother = 60
_json_reading = msgspec.json.Decoder(_Reading)
_json_readings = msgspec.json.Decoder(list[_Reading])
_msgpack_reading = msgspec.msgpack.Decoder(_Reading)
_msgpack_readings = msgspec.msgpack.Decoder(list[_Reading])
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


class Payloads:
    """Decodes the messages of one site's devices."""

    def __init__(self, site: Site) -> None:
        self._points = {point.id: point.source for point in site.points.values()}
        self._junctions = {j.id: j for j in site.junctions}
        self._segments_at = _segments_at(site)
        self._signs = frozenset(s.id for s in site.signs)
        self._circuits = frozenset(c.id for c in site.circuits)
        self._cameras = {c.id: c.source for c in site.cameras}
        self._plcs = frozenset(p.id for p in site.plcs)
        self._devices = frozenset(
            (*(g.id for g in site.gauges), *self._junctions, *self._signs, *self._circuits)
        )
        self._speakers = {
            "telemetry/": self._devices,
            "answer/": self._signs | self._circuits | frozenset(self._junctions),
            "signal//state": frozenset(self._junctions),
            "sign//state": self._signs,
            "lighting//state": self._circuits,
        }
        self._names: dict[str, dict[str, str]] = {device: {} for device in sorted(self._devices)}
        for point, source in self._points.items():
            if source in self._names:
                self._names[source][point] = point
                self._names[source][point.removeprefix(f"{source}/")] = point

    def decode(self, topic: str, payload: bytes, retained: bool = False) -> Decoded:
        """What a message on any topic but a camera's says."""
        try:
            source = self._source_of(topic)
        except _Refused as refused:
            return Decoded(STRANGER, None, (_refusal(STRANGER, topic, refused),))
        try:
            if retained:
                raise _Refused(Reason.NOT_PERMITTED, "retained; expected never")
            kind = topic[len(ROOT) :].partition("/")[0]
            if kind == "telemetry":
                return self._telemetry(source, topic, payload)
            return Decoded(source, self._state(kind, source, payload))
        except _Refused as refused:
            return Decoded(source, None, (_refusal(source, topic, refused),))

    def frame(self, topic: str, payload: bytes, now_ns: int) -> EncodedFrame | Refusal:
        """A camera's picture, checked from the outside: nothing is decompressed here."""
        source = STRANGER
        try:
            camera, at_ns = self._camera_of(topic)
            source = camera
            if not abs(now_ns - at_ns) <= FRAME_OFF_NS_MAX:
                off_s = (now_ns - at_ns) / 1e9
                reason = Reason.LATE if off_s > 0 else Reason.FUTURE
                raise _Refused(reason, f"{off_s:.1f} s old; expected now")
            _check_jpeg(payload)
            return EncodedFrame(camera, at_ns, payload)
        except _Refused as refused:
            return _refusal(source, topic, refused)

    def tracks(self, topic: str, payload: bytes, now_ns: int) -> Tracks | Refusal:
        """What a junction's roadside tracker saw."""
        source = STRANGER
        try:
            named = TRACKS_TOPIC.fullmatch(topic)
            if named is None:
                raise _Refused(Reason.UNKNOWN_TOPIC, "no such topic")
            if named[1] not in self._junctions:
                raise _Refused(Reason.UNKNOWN_ASSET, "no such junction in this site")
            source = named[1]
            _check_size(payload, TRACKS_BYTES_MAX)
            seen = _struct(payload, _Tracks)
            off_s = (now_ns - seen.at_ns) / 1e9
            if not abs(now_ns - seen.at_ns) <= FRAME_OFF_NS_MAX:
                reason = Reason.LATE if off_s > 0 else Reason.FUTURE
                raise _Refused(reason, f"{off_s:.1f} s old; expected now")
            self._check_segments(source, seen)
            return Tracks(source, seen.at_ns, seen.vehicles, seen.crossings, seen.exits)
        except _Refused as refused:
            return _refusal(source, topic, refused)

    def _check_segments(self, junction: str, seen: _Tracks) -> None:
        """A tracker speaks of the roads of its own junction only."""
        known = self._segments_at[junction]
        named = {v.segment for v in seen.vehicles} | {e.segment for e in seen.exits}
        for crossing in seen.crossings:
            named |= {crossing.from_segment, crossing.to_segment}
        if not named <= known:
            strange = min(named - known)
            raise _Refused(Reason.WRONG_SOURCE, f"segment {_short(strange)} is not at {junction}")

    def _source_of(self, topic: str) -> str:
        """The asset that a topic speaks for, where the topic is one of ours and the asset fits."""
        kind, _, rest = topic.removeprefix(ROOT).partition("/")
        device, slash, end = rest.partition("/")
        known = self._speakers.get(f"{kind}/{slash}{end}") if topic.startswith(ROOT) else None
        if known is None or not device:
            raise _Refused(Reason.UNKNOWN_TOPIC, "no such topic")
        if device in known:
            return device
        if device in self._plcs:
            raise _Refused(Reason.WRONG_SOURCE, "a PLC's values come by Modbus")
        if device in self._devices or device in self._cameras:
            raise _Refused(Reason.WRONG_SOURCE, "another kind of asset")
        raise _Refused(Reason.UNKNOWN_ASSET, "no such asset in this site")

    def _camera_of(self, topic: str) -> tuple[str, int]:
        match topic.removeprefix(ROOT).split("/") if topic.startswith(ROOT) else ():
            case ("camera", camera, "frame", at) if camera in self._cameras:
                if self._cameras[camera] != "mqtt":
                    raise _Refused(Reason.WRONG_SOURCE, "the centre reads this camera itself")
                if not (at.isascii() and at.isdigit()) or len(at) > 19 or int(at) > AT_NS_MAX:
                    raise _Refused(Reason.MALFORMED, "expected OBSERVED_AT_NS as a number")
                return camera, int(at)
            case ("camera", _, "frame", _):
                raise _Refused(Reason.UNKNOWN_ASSET, "no such camera in this site")
            case _:
                raise _Refused(Reason.UNKNOWN_TOPIC, "no such topic")

    def _telemetry(self, device: str, topic: str, payload: bytes) -> Decoded:
        _check_size(payload, TELEMETRY_BYTES_MAX)
        readings = Readings([], [], [], [])
        refusals: list[Refusal] = []
        for entry in _entries(payload):
            try:
                reading = entry if isinstance(entry, _Reading) else _converted(entry)
                point = self._point(device, reading.point)
                if not math.isfinite(reading.value):
                    raise _Refused(Reason.NOT_A_NUMBER, f"{point}: {reading.value}")
            except _Refused as refused:
                refusals.append(_refusal(device, topic, refused))
                continue
            readings.points.append(point)
            readings.observed_at_ns.append(reading.at_ns)
            readings.values.append(reading.value)
            readings.qualities.append(_QUALITIES[reading.quality])
        return Decoded(device, readings if readings.points else None, tuple(refusals))

    def _point(self, device: str, name: str) -> str:
        point = self._names[device].get(name)
        if point is not None:
            return point
        owner = self._points.get(name)
        if owner is None:
            expected = ", ".join(n for n in self._names[device] if not n.startswith(f"{device}/"))
            raise _Refused(
                Reason.UNKNOWN_POINT, f"point {_short(name)}; expected {expected or 'none'}"
            )
        raise _Refused(Reason.WRONG_SOURCE, f"{name} is {owner}'s to give")

    def _state(self, kind: str, source: str, payload: bytes) -> Content:
        _check_size(payload, STATE_BYTES_MAX)
        match kind:
            case "signal":
                return _signal(self._junctions[source], _struct(payload, _SignalState))
            case "sign":
                sign = _struct(payload, _SignState)
                return SignObserved(
                    sign=source,
                    observed_at_ns=sign.at_ns,
                    text=sign.text,
                    sequence=sign.sequence,
                )
            case "lighting":
                return _lighting(source, _struct(payload, _LightingState))
            case _:
                return _answer(source, _struct(payload, _Answer))


def _segments_at(site: Site) -> dict[str, frozenset[str]]:
    """The roads that end or begin at each junction, and those that lead up to it."""
    ends = {s.id: (s.line[0], s.line[-1]) for s in site.segments}
    return {
        j.id: frozenset(
            (
                *(g.segment for g in j.groups if g.segment is not None),
                *(id_ for id_, pair in ends.items() if any(near(j.at, end) for end in pair)),
            )
        )
        for j in site.junctions
    }


def _signal(junction: Junction, state: _SignalState) -> SignalState:
    if len(state.aspects) != len(junction.groups):
        raise _Refused(
            Reason.MALFORMED,
            f"{len(state.aspects)} aspects; expected one for each of {len(junction.groups)} groups",
        )
    stages = [stage.id for stage in junction.stages]
    if state.stage and state.stage not in stages:
        raise _Refused(
            Reason.MALFORMED, f"stage {_short(state.stage)}; expected one of {', '.join(stages)}"
        )
    return SignalState(
        junction.id,
        state.at_ns,
        state.stage,
        state.interval,
        state.aspects,
        state.mode,
        state.sequence,
        state.fault,
    )


def _lighting(circuit: str, state: _LightingState) -> LightingObserved:
    if not math.isfinite(state.level_ratio):
        raise _Refused(Reason.NOT_A_NUMBER, f"level_ratio {state.level_ratio}")
    if not 0 <= state.level_ratio <= 1:
        raise _Refused(Reason.OUT_OF_RANGE, f"level_ratio {state.level_ratio}; expected 0 to 1")
    return LightingObserved(
        circuit=circuit,
        observed_at_ns=state.at_ns,
        level_ratio=state.level_ratio,
        sequence=state.sequence,
    )


def _answer(target: str, answer: _Answer) -> CommandAnswered:
    if answer.accepted != (answer.result == "accepted"):
        raise _Refused(Reason.MALFORMED, f"accepted {answer.accepted}, result {answer.result}")
    return CommandAnswered(
        target=target,
        sequence=answer.sequence,
        accepted=answer.accepted,
        result=answer.result,
        observed_at_ns=answer.at_ns,
    )


def _entries(payload: bytes) -> Many[object]:
    """The readings of a message; where it does not hold only readings, its elements as they are."""
    found: Many[object]
    start = payload[0] if payload else -1
    try:
        if start in _JSON_STARTS:
            array = payload.lstrip()[:1] == b"["
            found = _json_readings.decode(payload) if array else (_json_reading.decode(payload),)
        elif start in _MSGPACK_ARRAYS:
            found = _msgpack_readings.decode(payload)
        elif start in _MSGPACK_MAPS:
            found = (_msgpack_reading.decode(payload),)
        else:
            raise _no_known_form(payload)
    except _UNREADABLE as error:
        whole = _plain(payload, error)
        found = whole if isinstance(whole, list) else (whole,)
    if not 0 < len(found) <= READINGS_MAX:
        reason = Reason.OVERSIZED if found else Reason.MALFORMED
        raise _Refused(reason, f"{len(found)} readings; expected 1 to {READINGS_MAX}")
    return found


def _plain(payload: bytes, error: Exception) -> object:
    """The whole payload without its types; refused with `error` where not even that can be read.

    Python's JSON reader, unlike the standard, knows NaN: devices that write it are common.
    """
    well_formed = isinstance(error, msgspec.ValidationError)
    try:
        if payload[0] not in _JSON_STARTS:
            return msgspec.msgpack.decode(payload)
        if well_formed or _NOT_A_NUMBER.search(payload):
            return json.loads(payload.decode())
    except _UNREADABLE:
        pass
    raise _unreadable(payload, error)


def _converted(entry: object) -> _Reading:
    """One element that was not read as a reading, to say what is wrong with it."""
    try:
        return msgspec.convert(entry, _Reading)
    except _UNREADABLE as error:
        too_large = _OUT_OF_FLOAT in str(error)
        reason = Reason.NOT_A_NUMBER if too_large else Reason.MALFORMED
        raise _Refused(reason, f"{error}; seen {_short(entry)}") from None


def _struct(payload: bytes, kind: type[T]) -> T:
    start = payload[0] if payload else -1
    try:
        if start in _JSON_STARTS:
            return msgspec.json.decode(payload, type=kind)
        if start in _MSGPACK_MAPS or start in _MSGPACK_ARRAYS:
            return msgspec.msgpack.decode(payload, type=kind)
    except _UNREADABLE as error:
        raise _unreadable(payload, error) from None
    raise _no_known_form(payload)


def _unreadable(payload: bytes, error: Exception) -> _Refused:
    if _OUT_OF_FLOAT in str(error) or _NOT_A_NUMBER.search(payload):
        return _Refused(Reason.NOT_A_NUMBER, f"seen {_short(payload)}")
    return _Refused(Reason.MALFORMED, f"{error}; seen {_short(payload)}")


def _no_known_form(payload: bytes) -> _Refused:
    seen = _short(payload) if payload else "nothing"
    return _Refused(Reason.MALFORMED, f"seen {seen}; expected JSON or MessagePack")


def _check_size(payload: bytes, bytes_max: int) -> None:
    if len(payload) > bytes_max:
        raise _Refused(Reason.OVERSIZED, f"{len(payload)} bytes; expected at most {bytes_max}")


def _check_jpeg(payload: bytes) -> None:
    _check_size(payload, FRAME_BYTES_MAX)
    if not payload.startswith(JPEG_START):
        raise _Refused(
            Reason.UNDECODABLE_FRAME, f"starts with {_short(payload[:8])}; expected a JPEG"
        )
    if JPEG_END not in payload[-JPEG_PADDING_BYTES_MAX:]:
        raise _Refused(
            Reason.TRUNCATED_FRAME, f"{len(payload)} bytes without the end mark of a JPEG"
        )


def _refusal(source: str, topic: str, refused: _Refused) -> Refusal:
    text = f"{topic[:80]}: {refused.sample}"
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return Refusal(source, refused.reason, printable[:SAMPLE_CHARACTERS_MAX])


def _short(seen: object) -> str:
    if isinstance(seen, bytes | str):
        seen = seen[:60]
    return _repr.repr(seen)
