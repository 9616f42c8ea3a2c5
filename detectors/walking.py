"""Decides whether somebody walks on the carriageway.

In come tracks, the camera's `View` and the scene; out go incidents of kind pedestrian. Only a
neural network tells a person; one who rides has been made one with the bike. Their feet must be
where vehicles have driven, for longer than a step off the kerb, at a walker's or runner's pace.
"""

from __future__ import annotations

import math

from causeway.events import AnyEvent, IncidentKind
from detectors.motion import Scene
from detectors.reports import Open, box_of
from detectors.tracks import Track
from detectors.view import View

ON_ROAD_S = 2.0
FAST_H_S = (
    1.0  # heights a second: a brisk walk of 1.7 m/s, a person being 1.7 m high; who rides is faster
)
KIND_SHARE = 0.6  # of what the network took it for
KIND_MIN = 5
HEIGHT_PX_MIN = 10.0
ENDS_S = 3.0


class Walking:
    """People on one camera's carriageway."""

    def __init__(self, camera: str) -> None:
        self._open = Open(camera, IncidentKind.PEDESTRIAN, ENDS_S)
        self._for_s: dict[int, float] = {}

    def see(self, tracks: list[Track], view: View, scene: Scene) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        kept: dict[int, float] = {}
        for track in tracks:
            if not _walks(track) or not view.driven(track.x, track.foot - 1.0):
                continue
            kept[track.number] = self._for_s.get(track.number, 0.0) + scene.dt_s
            if kept[track.number] >= ON_ROAD_S:
                why = f"a person on the carriageway for {kept[track.number]:.0f} s"
                since_ns = scene.at_ns - round(kept[track.number] * 1e9)
                box = box_of(track, scene.road.shape)
                events += self._open.begin(track.number, since_ns, scene.at_ns, 0.7, why, box)
        self._for_s = kept
        return events + self._open.ended(scene.at_ns, "they have left it")

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        self._for_s = {}
        return self._open.lose(at_ns, why)


def _walks(track: Track) -> bool:
    people = track.kinds["person"]
    if people < KIND_MIN or people < KIND_SHARE * track.kinds.total():
        return False
    if not track.confirmed or track.height < HEIGHT_PX_MIN:
        return False
    return math.hypot(track.vx, track.vy) <= FAST_H_S * track.height
