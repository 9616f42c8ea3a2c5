"""Decides who decides: the engine or a person, asset by asset.

In come the operators' `ControlModeRequested`; out go `ControlModeChanged`, which every rule and
every authority hears, or `CommandRefused` for an asset that cannot be commanded. There is no
state here: each one that hears the change keeps what concerns it, so a repeated request is
answered again.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from causeway.events import (
    AnyEvent,
    CommandRefused,
    ControlModeChanged,
    ControlModeRequested,
    Now,
)
from causeway.site import Site


class ControlModes:
    """Gives an asset to a person, or back to the engine."""

    name = "modes"
    hears = frozenset({ControlModeRequested})

    def __init__(self, site: Site) -> None:
        commanded = (site.junctions, site.pumps, site.gates, site.signs, site.circuits)
        self._assets = frozenset(asset.id for assets in commanded for asset in assets)

    def step(self, event: AnyEvent, now: Now) -> Iterator[AnyEvent]:
        if not isinstance(event, ControlModeRequested):
            return
        if event.asset in self._assets:
            yield ControlModeChanged(asset=event.asset, mode=event.mode, operator=event.operator)
        else:
            yield CommandRefused(
                target=event.asset,
                interlock="unknown_asset",
                why=f"{event.asset!r} is no junction, pump, gate, sign or lighting circuit",
                by=f"operator:{event.operator}",
            )

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(None)

    def restore(self, state: bytes) -> None:
        msgspec.msgpack.decode(state, type=None)
