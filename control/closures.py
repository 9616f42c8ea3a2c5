"""Decides which street should be proposed for closure, and what the signs say when one is approved.

In come `InundationChanged` events and the operators' `ClosureDecided`; out go `ClosureProposed` and
`ClosureWithdrawn` for people, and `SignRequested` for the message signs that look upon the street once
a person has approved. Nothing is closed and nothing is shown without that approval. When the water has
gone the closure is withdrawn and its signs go blank.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from causeway.events import (
    Address,
    AnyEvent,
    ClosureDecided,
    ClosureProposed,
    ClosureWithdrawn,
    InundationChanged,
    Now,
    SignRequested,
)
from causeway.site import RoadSegment, Sign, Site

CLASSES: dict[int, tuple[str, ...]] = {
    2: ("motorbike",),
    3: ("motorbike", "car"),
    4: ("motorbike", "car", "bus", "truck", "emergency"),
}
WITHDRAW_LEVEL = 1  # watch: the water is still seen, and no longer closes anything


class _Closure(Struct):
    """A closure that is proposed or in force."""

    level: int
    depth_m: float
    proposed: Address
    approved: bool = False
    shown: list[str] = []


class Closures:
    """From inundation level to closure proposal; from approval to sign text."""

    name = "closures"
    hears = frozenset({InundationChanged, ClosureDecided})

    def __init__(self, site: Site) -> None:
        self._segments = {s.id: s for s in site.segments}
        self._signs = site.signs
        self._closures: dict[str, _Closure] = {}

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        match event:
            case InundationChanged() if event.segment in self._segments:
                yield from self._water(event, now)
            case ClosureDecided() if event.segment in self._closures:
                yield from self._decided(event)
            case _:
                pass

    def _water(self, event: InundationChanged, now: Now) -> Iterator[AnyEvent]:
        closure = self._closures.get(event.segment)
        if event.level <= WITHDRAW_LEVEL:
            if closure is not None:
                yield ClosureWithdrawn(segment=event.segment, depth_m=event.depth_m)
                yield from self._blank(event.segment)
            return
        if closure is not None and closure.level == event.level:
            return
        signs = tuple(s.id for s in self._signs if event.segment in s.segments)
        approved = closure is not None and closure.approved
        shown = [] if closure is None else closure.shown
        self._closures[event.segment] = _Closure(
            event.level, event.depth_m, now.address, approved, shown
        )
        yield ClosureProposed(
            segment=event.segment,
            classes=CLASSES[event.level],
            depth_m=event.depth_m,
            signs=signs,
        )
        if approved:
            yield from self._show(event.segment)

    def _decided(self, event: ClosureDecided) -> Iterator[AnyEvent]:
        closure = self._closures[event.segment]
        closure.approved = event.approved
        if event.approved:
            yield from self._show(event.segment)
        elif closure.shown:
            yield from self._blank(event.segment)
            self._closures[event.segment] = closure

    def _show(self, segment: str) -> Iterator[AnyEvent]:
        closure = self._closures[segment]
        for sign in self._signs:
            if segment in sign.segments:
                closure.shown.append(sign.id) if sign.id not in closure.shown else None
                text = sign_text(self._segments[segment], closure.depth_m, closure.level, sign)
                yield SignRequested(
                    sign=sign.id,
                    text=text,
                    by=self.name,
                    why=f"{segment}: {closure.depth_m * 100:.0f} cm, closure approved",
                )

    def _blank(self, segment: str) -> Iterator[AnyEvent]:
        """End a closure; its signs go blank where no other closure speaks on them."""
        closure = self._closures.pop(segment)
        spoken = {s for c in self._closures.values() for s in c.shown}
        for sign in closure.shown:
            if sign not in spoken:
                yield SignRequested(sign=sign, text="", by=self.name, why=f"{segment}: withdrawn")
        closure.shown = []

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self._closures)

    def restore(self, state: bytes) -> None:
        self._closures = msgspec.msgpack.decode(state, type=dict[str, _Closure])


def sign_text(segment: RoadSegment, depth_m: float, level: int, sign: Sign) -> str:
    """Three lines that fit the sign: the street, the depth, who must not go on."""
    closed = {2: "CẤM XE MÁY", 3: "CẤM XE MÁY, Ô TÔ", 4: "CẤM MỌI XE"}[level]
    lines = (segment.name.upper(), f"NGẬP {depth_m * 100:.0f} CM", closed)
    return "\n".join(line[: sign.columns] for line in lines[: sign.rows])
