"""Decides which street should be proposed for closure, and what the signs say when one is approved.

In come `InundationChanged`, `InundationForecast` and `FloodAlertChanged` events, the operators'
`ClosureDecided` and what the signs show; out go `ClosureProposed` and `ClosureWithdrawn` for
people, and `SignRequested` for the message signs that look upon the street. When the water has gone
the closure is withdrawn; a sign then says what the worst closure left says, or nothing. A sign that
shows something else than it should is asked again.

Laws of this file:
1. Nothing is closed and nothing is shown without a person's approval.
2. An approval covers the classes that it was given for: when the water rises over the next
   threshold the approved classes stay closed and the further ones wait; when it falls the fewer
   need no new one.
3. While a street is warned of, a class for which the forecast is sure enough and near enough is
   proposed before the water is there, and stays so while it is likelier than not. Once a gauge has
   seen the water it is the gauge that decides.
4. Who cannot pass is decided by `inundation/passability.py` alone.
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
    InundationForecast,
    Now,
    SignObserved,
    SignRequested,
    StreetOutlook,
    Tick,
)
from causeway.site import RoadSegment, Sign, Site
from control.inundation.alerts import SURE, WARNING, has_moved
from control.inundation.passability import CLASSES, KINDS, classes

NS = 1_000_000_000
ASK_AGAIN_S = 60.0
BANS = {  # by the class that stands furthest on; priority vehicles are exempt (QCVN 41, P.101)
    "motorbike": "CẤM XE MÁY",
    "car": "CẤM XE MÁY, Ô TÔ",
    "truck": "CẤM MỌI XE",
    "emergency": "CẤM MỌI XE",
}
LIKELY = 0.5
AHEAD_S = 3_600.0  # a closure is proposed at most so long before the water


class _Closure(Struct):
    """A closure that is proposed, and in force for those of its classes that were approved."""

    classes: tuple[str, ...]
    depth_m: float
    approved: tuple[str, ...] = ()
    expected_at_ns: int | None = None  # None: a gauge sees the water

    @property
    def in_force(self) -> tuple[str, ...]:
        return tuple(name for name in self.classes if name in self.approved)


class _Ahead(Struct):
    """What the newest forecast has of a street: since when, how deep, and when each kind stops."""

    peak_m: float = 0.0
    kinds: dict[str, tuple[float, int]] = {}  # probability, and from when on


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
            InundationForecast,
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
        self._closures: dict[str, _Closure] = {}
        self._warned: dict[str, None] = {}  # streets with a warning of water to come
        self._ahead: dict[str, _Ahead] = {}
        self._shown = {s.id: _Shown() for s in site.signs}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case InundationChanged() if event.segment in self._segments:
                yield from self._water(event)
                yield from self._speak(event.segment, now)
            case InundationForecast():
                self._ahead = {street.segment: _ahead(event, street) for street in event.streets}
                for segment in self._warned:
                    yield from self._expected(segment, now)
            case FloodAlertChanged() if event.segment in self._segments:
                if event.level >= WARNING and event.onset_at_ns is not None:
                    self._warned[event.segment] = None
                else:
                    self._warned.pop(event.segment, None)
                yield from self._expected(event.segment, now)
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
        if not event.kept_out:
            if closure is not None and closure.expected_at_ns is None:
                del self._closures[event.segment]
                yield ClosureWithdrawn(segment=event.segment, depth_m=event.depth_m)
            return
        if closure is None:
            closure = self._closures[event.segment] = _Closure(event.kept_out, event.depth_m)
        elif closure.classes == event.kept_out and closure.expected_at_ns is None:
            return
        closure.classes, closure.depth_m, closure.expected_at_ns = (
            event.kept_out,
            event.depth_m,
            None,
        )
        yield self._proposed(event.segment, closure)

    def _expected(self, segment: str, now: Now) -> Iterator[AnyEvent]:
        """A forecast proposes, changes or withdraws what no gauge has decided about."""
        closure = self._closures.get(segment)
        if closure is not None and closure.expected_at_ns is None:
            return
        ahead = self._ahead.get(segment, _Ahead())
        proposed = _Closure((), ahead.peak_m) if closure is None else closure
        due = [
            kind
            for kind in KINDS
            if segment in self._warned
            and kind in ahead.kinds
            and _is_due(*ahead.kinds[kind], now.at_ns, CLASSES[kind][0] in proposed.classes)
        ]
        if not due:
            if closure is not None:
                del self._closures[segment]
                yield ClosureWithdrawn(segment=segment, depth_m=ahead.peak_m)
                yield from self._speak(segment, now)
            return
        wanted = _Closure(
            classes(KINDS[: KINDS.index(due[-1]) + 1]),  # what stops one stops all before it
            ahead.peak_m,
            proposed.approved,
            min(ahead.kinds[kind][1] for kind in due),
        )
        if closure is None or _is_news(wanted, closure):
            self._closures[segment] = wanted
            yield self._proposed(segment, wanted)
            yield from self._speak(segment, now)

    def _proposed(self, segment: str, closure: _Closure) -> ClosureProposed:
        return ClosureProposed(
            segment=segment,
            classes=closure.classes,
            depth_m=closure.depth_m,
            signs=tuple(s.id for s in self._signs.values() if segment in s.segments),
            in_force=closure.in_force,
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
            closure.approved = closure.classes if event.approved else ()

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
            if s in self._closures and self._closures[s].in_force
        ]
        if not closed:
            return "", "no closure"
        closure, segment = max(closed, key=lambda c: (len(c[0].in_force), c[0].depth_m))
        soon = closure.expected_at_ns is not None
        text = sign_text(segment, closure.depth_m, closure.in_force, sign, soon)
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
        return msgspec.msgpack.encode((self._closures, self._shown, self._warned, self._ahead))

    def restore(self, state: bytes) -> None:
        self._closures, self._shown, self._warned, self._ahead = msgspec.msgpack.decode(
            state,
            type=tuple[dict[str, _Closure], dict[str, _Shown], dict[str, None], dict[str, _Ahead]],
        )


def _ahead(forecast: InundationForecast, street: StreetOutlook) -> _Ahead:
    kinds = {
        passage.kind: (passage.probability, forecast.issued_at_ns + passage.from_s * NS)
        for passage in street.closed
    }
    return _Ahead(street.peak_cm / 100, kinds)


def _is_due(probability: float, from_ns: int, at_ns: int, proposed: bool) -> bool:
    """Whether a class is to be kept out: surely and soon, or as before and still likely."""
    if proposed:
        return probability >= LIKELY
    return probability >= SURE and from_ns - at_ns <= AHEAD_S * NS


def _is_news(wanted: _Closure, closure: _Closure) -> bool:
    """Whether a proposal says something else than the one that stands."""
    return wanted.classes != closure.classes or has_moved(
        wanted.depth_m, closure.depth_m, wanted.expected_at_ns, closure.expected_at_ns
    )


def sign_text(
    segment: RoadSegment,
    depth_m: float,
    banned: tuple[str, ...],
    sign: Sign,
    soon: bool = False,
) -> str:
    """The street, the depth, who must not go on; a sign of fewer rows leaves out the first of them.

    `soon`: the water is still to come. Only the street's name is ever cut.
    """
    depth, ban = f"{'SẮP NGẬP' if soon else 'NGẬP'} {depth_m * 100:.0f} CM", BANS[banned[-1]]
    name = unicodedata.normalize("NFC", segment.name.upper())[: sign.columns].rstrip()
    lines = {1: (ban,), 2: (depth, ban)}.get(sign.rows, (name, depth, ban))
    return unicodedata.normalize("NFC", "\n".join(lines))
