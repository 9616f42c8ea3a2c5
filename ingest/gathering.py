"""Adds what many MQTT messages say up into few inputs for the engine.

In go the decoded messages of a short time; out come one `ReadingsReceived` for all their readings,
one `SignalsObserved` for all signal states, each sign, circuit and answer as it came, and one
`Rejected` for each source and reason. The cost of a step is shared that way; the order of each kind
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from causeway.events import (
    AnyEvent,
    CommandAnswered,
    LightingObserved,
    ReadingsReceived,
    Reason,
    Rejected,
    SignalsObserved,
    SignalState,
    SignObserved,
)
from ingest.payloads import READINGS_MAX, STRANGER, Decoded, Readings, Refusal


class Tally:
    """Counts refusals by source and reason, with the first sample of each."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Reason], int] = {}
        self._samples: dict[tuple[str, Reason], str] = {}

    def add(self, refusal: Refusal) -> None:
        key = (refusal.source, refusal.reason)
        self._counts[key] = self._counts.get(key, 0) + 1
        self._samples.setdefault(key, refusal.sample)

    def take(self) -> list[Rejected]:
        """What was counted since the last time."""
        taken = [
            Rejected(
                source=source, reason=reason, count=count, sample=self._samples[source, reason]
            )
            for (source, reason), count in self._counts.items()
        ]
        self._counts.clear()
        self._samples.clear()
        return taken


class Gathering:
    """The decoded messages of a short time."""

    def __init__(self) -> None:
        self._readings = Readings([], [], [], [])
        self._signals: list[SignalState] = []
        self._others: list[AnyEvent] = []
        self._tally = Tally()
        self._sources: dict[str, None] = {}

    def add(self, decoded: Decoded) -> None:
        """One message more."""
        for refusal in decoded.refusals:
            self._tally.add(refusal)
        match decoded.content:
            case Readings() as readings:
                self._sources[decoded.source] = None
                self._readings.points.extend(readings.points)
                self._readings.observed_at_ns.extend(readings.observed_at_ns)
                self._readings.values.extend(readings.values)
                self._readings.qualities.extend(readings.qualities)
            case SignalState() as state:
                self._signals.append(state)
            case SignObserved() | LightingObserved() | CommandAnswered() as event:
                self._others.append(event)
            case None:
                pass
            case _:
                assert_never(decoded.content)

    def events(self) -> Iterator[AnyEvent]:
        """The inputs that say the same."""
        source = next(iter(self._sources)) if len(self._sources) == 1 else STRANGER
        points, times, values, qualities = self._readings
        for i in range(0, len(points), READINGS_MAX):
            part = slice(i, i + READINGS_MAX)
            yield ReadingsReceived(
                source=source,
                points=tuple(points[part]),
                observed_at_ns=tuple(times[part]),
                values=tuple(values[part]),
                qualities=tuple(qualities[part]),
            )
        if self._signals:
            yield SignalsObserved(states=tuple(self._signals))
        yield from self._others
        yield from self._tally.take()
