"""Decides how the wall lists each closure: proposed, approved or declined, and what led to it.

In come what `control/closures.py` proposes and withdraws and what operators decide; out go rows of
the `closures` table, each with its cause chain, and the `closure` field of the roads. A road counts
as closed while any class is kept out of it, even where more are proposed.
"""

from __future__ import annotations

from typing import ClassVar

from causeway import events as e
from causeway.events import AnyEvent, Now
from dashboard.chains import NS, Chains
from dashboard.tables import Tables


class ClosureTable:
    """The closures that are proposed, decided or in force."""

    hears: ClassVar[tuple[type, ...]] = (
        e.ClosureProposed,
        e.ClosureWithdrawn,
        e.ClosureDecided,
    )

    def __init__(self, tables: Tables, chains: Chains) -> None:
        self._tables = tables
        self._chains = chains

    def take(self, event: AnyEvent, now: Now) -> None:
        """Fold one closure event in."""
        at = round(now.at_ns / NS, 3)
        match event:
            case e.ClosureProposed() if event.segment in self._tables.rows["segments"]:
                self._propose(event, at, now)
            case e.ClosureDecided() if event.segment in self._tables.rows["closures"]:
                row = self._tables.rows["closures"][event.segment]
                self._tables.put(
                    "closures",
                    event.segment,
                    state="approved" if event.approved else "declined",
                    in_force=row["classes"] if event.approved else [],
                    at=at,
                    by=event.operator,
                )
                closed = "closed" if event.approved else ""
                self._tables.put("segments", event.segment, closure=closed)
            case e.ClosureWithdrawn() if event.segment in self._tables.rows["segments"]:
                self._tables.drop("closures", event.segment)
                self._tables.put("segments", event.segment, closure="")
            case _:
                pass

    def _propose(self, event: e.ClosureProposed, at: float, now: Now) -> None:
        row = self._tables.rows["closures"].get(event.segment)
        decided = event.in_force == event.classes
        self._tables.put(
            "closures",
            event.segment,
            classes=list(event.classes),
            in_force=list(event.in_force),
            depth_m=round(event.depth_m, 3),
            signs=list(event.signs),
            state="approved" if decided else "proposed",
            expected=None if event.expected_at_ns is None else round(event.expected_at_ns / NS),
            at=at,
            by=row["by"] if row is not None else "",
            because=self._chains.back_from(now.address),
        )
        closed = "closed" if event.in_force else "proposed"
        self._tables.put("segments", event.segment, closure=closed)
