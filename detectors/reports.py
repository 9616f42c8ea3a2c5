"""Decides how an incident that a machine has found is told, and that each is told once.

Every state machine of tracks (`wrong_way.py`, `standing.py`, `walking.py`, `queueing.py`) holds an
`Open`: what it reports begins, goes on while it is seen, and ends when it was not for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from causeway.events import AnyEvent, Box, IncidentDetected, IncidentEnded, IncidentKind
from detectors.tracks import Track

NS = 1_000_000_000


@dataclass(slots=True)
class _One:
    incident: str
    seen_at_ns: int


class Open:
    """The incidents of one kind that one camera has open, by the number of their track."""

    def __init__(self, camera: str, kind: IncidentKind, ends_s: float, most: int = 8) -> None:
        self._camera = camera
        self._kind = kind
        self._ends_s = ends_s
        self._most = most
        self._open: dict[int, _One] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._open

    def __len__(self) -> int:
        return len(self._open)

    def seen(self, number: int, at_ns: int) -> None:
        """It is still so."""
        if number in self._open:
            self._open[number].seen_at_ns = at_ns

    def begin(
        self, number: int, since_ns: int, at_ns: int, confidence: float, why: str, box: Box | None
    ) -> list[AnyEvent]:
        """Tell it, if it is not told already, and not too many are."""
        if number in self._open or len(self._open) >= self._most:
            self.seen(number, at_ns)
            return []
        incident = f"{self._camera}-{self._kind}-{since_ns}"
        while any(o.incident == incident for o in self._open.values()):
            since_ns += 1
            incident = f"{self._camera}-{self._kind}-{since_ns}"
        self._open[number] = _One(incident, at_ns)
        return [
            IncidentDetected(
                incident=incident,
                kind=self._kind,
                camera=self._camera,
                first_seen_at_ns=since_ns,
                confidence=round(confidence, 2),
                why=why,
                box=box,
            )
        ]

    def ended(self, at_ns: int, why: str) -> list[AnyEvent]:
        """Those that were not seen for a while."""
        over = [n for n, o in self._open.items() if at_ns - o.seen_at_ns >= self._ends_s * NS]
        return self._end(over, at_ns, why)

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        """All of them: the camera can no longer be believed."""
        return self._end(list(self._open), at_ns, why)

    def _end(self, numbers: list[int], at_ns: int, why: str) -> list[AnyEvent]:
        ended = [self._open.pop(number) for number in numbers]
        return [IncidentEnded(incident=o.incident, observed_at_ns=at_ns, why=why) for o in ended]


def box_of(track: Track, shape: tuple[int, ...]) -> Box:
    """Its box in shares of the picture (h, w)."""
    height, width = shape[0], shape[1]
    left = min(max((track.x - track.width / 2) / width, 0.0), 1.0)
    top = min(max((track.foot - track.height) / height, 0.0), 1.0)
    return Box(
        round(left, 4),
        round(top, 4),
        round(min(track.width / width, 1.0 - left), 4),
        round(min(track.height / height, 1.0 - top), 4),
    )
