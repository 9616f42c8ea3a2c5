"""Decides whether a road is jammed, from the vehicles on it: congestion within seconds.

In come tracks, the camera's `View` and the scene; out go incidents of kind congestion. Jammed is a
road on which many vehicles are and most of them creep. Where vehicles have waited more than once
and driven on that is a red signal's queue, and must last longer than one. `congestion.py` says the
same from the picture alone, of a road whose vehicles cannot be told apart.
"""

from __future__ import annotations

import math

from causeway.events import AnyEvent, IncidentKind
from detectors.motion import Scene
from detectors.reports import Open
from detectors.tracks import Track
from detectors.view import View

MANY = 6  # vehicles
CREEP_H_S = 0.9  # heights a second: 5 km/h, a car being 1.5 m high
CREEPING_SHARE = 0.7
HOLD_S = 5.0
WAITING_HOLD_S = 90.0
WAITING_SHARE = 0.5  # of the creeping ones stand where vehicles are wont to wait
WONT_TIMES = 2  # one queue that has driven on may have been the jam
OVER_S = 2.0
ENDS_S = 10.0
HEIGHT_PX_MIN = 6.0


class Queueing:
    """Jams on one camera's road."""

    def __init__(self, camera: str) -> None:
        self._open = Open(camera, IncidentKind.CONGESTION, ENDS_S, most=1)
        self._jammed_s = 0.0

    def see(self, tracks: list[Track], view: View, scene: Scene) -> list[AnyEvent]:
        vehicles = [t for t in tracks if _is_vehicle(t)]
        creeping = [t for t in vehicles if _speed(t) <= CREEP_H_S]
        if len(vehicles) >= MANY and len(creeping) >= CREEPING_SHARE * len(vehicles):
            self._jammed_s += scene.dt_s
            self._open.seen(0, scene.at_ns)
        else:
            self._jammed_s = max(0.0, self._jammed_s - scene.dt_s)
        waiting = sum(view.waits(t.x, t.middle, WONT_TIMES) for t in creeping)
        hold_s = WAITING_HOLD_S if waiting > WAITING_SHARE * len(creeping) else HOLD_S
        events: list[AnyEvent] = []
        if self._jammed_s >= hold_s:
            since_ns = scene.at_ns - round(self._jammed_s * 1e9)
            why = f"{len(creeping)} of {len(vehicles)} vehicles creep"
            events += self._open.begin(0, since_ns, scene.at_ns, 0.8, why, None)
        return events + self._open.ended(scene.at_ns, "the road is free or moves again")

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        self._jammed_s = 0.0
        return self._open.lose(at_ns, why)


def _is_vehicle(track: Track) -> bool:
    if not track.confirmed or track.missed_s > 0 or track.height < HEIGHT_PX_MIN:
        return False
    return track.kind not in ("", "person") and track.seen_s >= OVER_S / 2


def _speed(track: Track) -> float:
    """Heights a second over the last seconds."""
    then = track.since(OVER_S)
    dt_s = max((track.at_ns - then.at_ns) / 1e9, 0.1)
    return math.hypot(track.x - then.x, track.foot - then.foot) / dt_s / track.height
