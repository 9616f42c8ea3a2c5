"""Decides which street should be proposed for closure, and what the signs say when one is approved.

In come `InundationChanged` and `FloodAlertChanged` events, the operators' `ClosureDecided` and
what the signs show; out go `ClosureProposed` and `ClosureWithdrawn` for people, and `SignRequested`
for the message signs that look upon the street. When the water has gone the closure is withdrawn;
a sign then says what the worst closure left says, or nothing. A sign that shows something else
than it should is asked again.

Laws of this file:
1. Nothing is closed and nothing is shown without a person's approval.
2. An approval covers the classes that it was given for: when the water rises over the next
   threshold the approved classes stay closed and the further ones wait; when it falls the fewer
   need no new one.
3. A warning that is sure enough and near enough proposes the closure before the water is there.
   Once a gauge has seen the water it is the gauge that decides.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    Address,
    AnyEvent,
    ClosureDecided,
    ClosureProposed,
    ClosureWithdrawn,
    CommandRefused,
    ControlMode,
    ControlModeChanged,
    FloodAlertChanged,
    InundationChanged,
    Now,
    SignObserved,
    SignRequested,
    Tick,
)
from causeway.site import RoadSegment, Sign, Site
from control.inundation.alerts import SURE, WARNING
from control.inundation.levels import day_of, levels_in_force

NS = 1_000_000_000
ASK_AGAIN_S = 60.0
CLASSES: dict[int, tuple[str, ...]] = {
    0: (),
    2: ("motorbike",),
    3: ("motorbike", "car"),
    4: ("motorbike", "car", "bus", "truck", "emergency"),
}
CLOSING = (2, 3, 4)
BANS: dict[int, str] = {2: "CẤM XE MÁY", 3: "CẤM XE MÁY, Ô TÔ", 4: "CẤM MỌI XE"}
AHEAD_S = 3_600.0  # a closure is proposed at most so long before the water
WITHDRAW_LEVEL = 1  # watch: the water is still seen, and no longer closes anything


class _Closure(Struct):
    """A closure that is proposed, or in force up to the level that was approved (0: none)."""

    level: int
    depth_m: float
    approved_level: int = 0
    expected_at_ns: int | None = None  # None: a gauge sees the water

    @property
    def level_in_force(self) -> int:
        return min(self.level, self.approved_level)


class _Shown(Struct):
    """What a sign should say and why, what it says, and when it was last asked."""

    wanted: str = ""
    why: str = "no closure"
    because: Address | None = None
    text: str | None = None
    manual: bool = False
    asked_at_ns: int = 0


class Closures:
    """From inundation level to closure proposal; from approval to sign text."""

    name = "closures"
    hears = frozenset(
        {
            InundationChanged,
            FloodAlertChanged,
            ClosureDecided,
            SignObserved,
            ControlModeChanged,
            Tick,
        }
    )

    def __init__(self, site: Site) -> None:
        self._segments = {s.id: s for s in site.segments}
        self._signs = {s.id: s for s in site.signs}
        self._rows = site.inundation_levels
        self._closures: dict[str, _Closure] = {}
        self._shown = {s.id: _Shown() for s in site.signs}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case InundationChanged() if event.segment in self._segments:
                yield from self._water(event)
                yield from self._speak(event.segment, now)
            case FloodAlertChanged() if event.segment in self._segments:
                yield from self._expected(event, now.at_ns)
                yield from self._speak(event.segment, now)
            case ClosureDecided():
                yield from self._decided(event)
                yield from self._speak(event.segment, now)
            case SignObserved() if event.sign in self._shown:
                self._shown[event.sign].text = unicodedata.normalize("NFC", event.text)
            case ControlModeChanged() if event.asset in self._shown:
                self._shown[event.asset].manual = event.mode is ControlMode.MANUAL
            case Tick():
                yield from self._ask_again(now.at_ns)
            case _:
                pass

    def _water(self, event: InundationChanged) -> Iterator[AnyEvent]:
        closure = self._closures.get(event.segment)
        if event.level <= WITHDRAW_LEVEL:
            if closure is not None and closure.expected_at_ns is None:
                del self._closures[event.segment]
                yield ClosureWithdrawn(segment=event.segment, depth_m=event.depth_m)
            return
        if closure is None:
            closure = self._closures[event.segment] = _Closure(event.level, event.depth_m)
        elif closure.level == event.level and closure.expected_at_ns is None:
            return
        closure.level, closure.depth_m, closure.expected_at_ns = event.level, event.depth_m, None
        yield self._proposed(event.segment, closure)

    def _expected(self, event: FloodAlertChanged, at_ns: int) -> Iterator[AnyEvent]:
        """A forecast proposes, changes or withdraws what no gauge has decided about."""
        closure = self._closures.get(event.segment)
        if closure is not None and closure.expected_at_ns is None:
            return
        onset_at_ns = event.onset_at_ns
        if event.level < WARNING or onset_at_ns is None:
            if closure is not None:
                del self._closures[event.segment]
                yield ClosureWithdrawn(segment=event.segment, depth_m=event.peak_m)
            return
        level = self._level_of(event.peak_m, at_ns)
        near = event.probability >= SURE and onset_at_ns - at_ns <= AHEAD_S * NS
        if closure is None and not near:
            return
        if closure is None:
            closure = self._closures[event.segment] = _Closure(level, event.peak_m)
        closure.level, closure.depth_m, closure.expected_at_ns = level, event.peak_m, onset_at_ns
        yield self._proposed(event.segment, closure)

    def _level_of(self, depth_m: float, at_ns: int) -> int:
        """The closing level of a depth to come: at least that of motorbikes."""
        rows = levels_in_force(self._rows, day_of(at_ns))
        reached = sum(depth_m >= d for d in rows.depths_m) if rows is not None else 0
        return max(min(CLOSING), reached)

    def _proposed(self, segment: str, closure: _Closure) -> ClosureProposed:
        return ClosureProposed(
            segment=segment,
            classes=CLASSES[closure.level],
            depth_m=closure.depth_m,
            signs=tuple(s.id for s in self._signs.values() if segment in s.segments),
            in_force=CLASSES[closure.level_in_force],
            expected_at_ns=closure.expected_at_ns,
        )

    def _decided(self, event: ClosureDecided) -> Iterator[AnyEvent]:
        closure = self._closures.get(event.segment)
        if closure is None:
            yield CommandRefused(
                target=event.segment,
                interlock="no_proposal",
                why=f"no closure of {event.segment!r} is proposed",
                by=f"operator:{event.operator}",
            )
        else:
            closure.approved_level = closure.level if event.approved else 0

    def _speak(self, segment: str, now: Now) -> Iterator[AnyEvent]:
        """Ask for the texts that are now other ones than before."""
        for sign in self._signs.values():
            if segment not in sign.segments:
                continue
            shown = self._shown[sign.id]
            text, why = self._wanted(sign)
            if text != shown.wanted:
                shown.wanted, shown.why, shown.because = text, why, now.address
                yield self._ask(sign.id, now.at_ns)

    def _wanted(self, sign: Sign) -> tuple[str, str]:
        """What the worst approved closure before the sign has to say."""
        closed = [
            (self._closures[s], self._segments[s])
            for s in sign.segments
            if s in self._closures and self._closures[s].level_in_force > 0
        ]
        if not closed:
            return "", "no closure"
        closure, segment = max(closed, key=lambda c: (c[0].level_in_force, c[0].depth_m))
        soon = closure.expected_at_ns is not None
        text = sign_text(segment, closure.depth_m, closure.level_in_force, sign, soon)
        expected = " expected" if soon else ""
        return text, f"{segment.id}: {closure.depth_m * 100:.0f} cm{expected}, closure approved"

    def _ask_again(self, at_ns: int) -> Iterator[AnyEvent]:
        for id_, shown in self._shown.items():
            if (
                shown.text is not None
                and shown.text != shown.wanted
                and not shown.manual
                and at_ns - shown.asked_at_ns >= ASK_AGAIN_S * NS
            ):
                yield self._ask(id_, at_ns)

    def _ask(self, sign: str, at_ns: int) -> SignRequested:
        shown = self._shown[sign]
        shown.asked_at_ns = at_ns
        return SignRequested(
            sign=sign, text=shown.wanted, by=self.name, why=shown.why, because=shown.because
        )

    def encode(self) -> bytes:
        return msgspec.msgpack.encode((self._closures, self._shown))

    def restore(self, state: bytes) -> None:
        self._closures, self._shown = msgspec.msgpack.decode(
            state, type=tuple[dict[str, _Closure], dict[str, _Shown]]
        )


def sign_text(
    segment: RoadSegment, depth_m: float, level: int, sign: Sign, soon: bool = False
) -> str:
    """The street, the depth, who must not go on; a sign of fewer rows leaves out the first of them.

    `soon`: the water is still to come. Only the street's name is ever cut.
    """
    depth, ban = f"{'SẮP NGẬP' if soon else 'NGẬP'} {depth_m * 100:.0f} CM", BANS[level]
    name = unicodedata.normalize("NFC", segment.name.upper())[: sign.columns].rstrip()
    lines = {1: (ban,), 2: (depth, ban)}.get(sign.rows, (name, depth, ban))
    return unicodedata.normalize("NFC", "\n".join(lines))
