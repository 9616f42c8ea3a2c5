"""Decides whether something drives against the others.

In come tracks, the camera's `View` and the scene; out go incidents of kind wrong way. Against the
others drives what has moved by its own size in a direction in which next to nobody has passed
there, where several have passed the other way. The dense optical flow within its box (Kroeger et
al. 2016) must say the same as the track, since two things of which one is mistaken for the other
make a track that goes where nothing went.
"""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np

from causeway.events import AnyEvent, IncidentKind
from detectors.motion import Scene
from detectors.reports import Open, box_of
from detectors.tracks import Place, Track
from detectors.view import View

OVER_S = (1.0, 2.5)  # its way is judged over so long: of a slow one, longer
MOVED_SIZES = 0.75  # by so many of its sizes it must have moved meanwhile
PLACES_MIN = 3
STRAIGHT_RATIO = 0.6
OTHERS_MIN = 3  # so many have passed the other way: by chance, of two ways, 1 in 8
OTHERS_SHARE = 0.75  # of all that have passed there
REACH_PX_MIN = 20.0  # of the reduced picture; else a vehicle's own size, half a lane to each side
GROWTH_MAX = 2.0  # of its area from one picture to the next
JUMPS_SHARE = 0.25  # of the pictures: network and movement draw different boxes
SAID_S = 0.5  # for so long, of pictures in which track and flow agree
ENDS_S = 3.0
FLOW_PX_MIN = 0.25  # between two pictures: less is the flow's own error
HEIGHT_PX_MIN = 8.0  # of the reduced picture: what is smaller has no flow of its own


class WrongWay:
    """Vehicles of one camera that drive against the others."""

    def __init__(self, camera: str) -> None:
        self._open = Open(camera, IncidentKind.WRONG_WAY, ENDS_S)
        self._for_s: dict[int, float] = {}
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def see(self, tracks: list[Track], view: View, scene: Scene) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        kept: dict[int, float] = {}
        for track in tracks:
            before_s = self._for_s.get(track.number, 0.0)
            if not _against(track, view):
                kept[track.number] = max(0.0, before_s - scene.dt_s)
                continue
            if not self._flows(track, view, scene):
                kept[track.number] = before_s
                continue
            kept[track.number] = before_s + scene.dt_s
            if kept[track.number] >= SAID_S:
                others = view.passed(_path(track, view), *_way(track, view), _reach(track))[1]
                events += self._open.begin(
                    track.number,
                    track.places[0].at_ns,
                    scene.at_ns,
                    min(0.95, 0.6 + 0.05 * others),
                    f"against the direction in which {others} others have passed",
                    box_of(track, scene.road.shape),
                )
        self._for_s = kept
        return events + self._open.ended(scene.at_ns, "it has gone")

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        self._for_s = {}
        return self._open.lose(at_ns, why)

    def _flows(self, track: Track, view: View, scene: Scene) -> bool:
        """Whether the picture within its box moves as the track does."""
        height, width = scene.grey.shape
        rim = max(4, round(track.height / 2))
        rows = slice(
            max(0, int(track.foot - track.height) - rim), min(height, int(track.foot) + rim)
        )
        columns = slice(
            max(0, int(track.x - track.width / 2) - rim),
            min(width, int(track.x + track.width / 2) + rim),
        )
        there = (scene.foreground & scene.moving)[rows, columns]
        if there.shape[0] < 16 or there.shape[1] < 16 or not there.any():
            return False
        now = np.ascontiguousarray(scene.grey[rows, columns])
        before = np.ascontiguousarray(scene.grey_before[rows, columns])
        flow = self._flow.calc(before, now, np.zeros((*now.shape, 2), np.float32))
        x, y = float(np.median(flow[..., 0][there])), float(np.median(flow[..., 1][there]))
        way = _way(track, view)
        return x * way[0] + y * way[1] >= FLOW_PX_MIN


def _against(track: Track, view: View) -> bool:
    if not track.confirmed or track.missed_s > 0 or track.height < HEIGHT_PX_MIN:
        return False
    path = _path(track, view)
    dx, dy, moved = _moved(path)
    if moved < MOVED_SIZES * max(track.width, track.height):
        return False
    steps = sum(math.hypot(b.x - a.x, b.middle - a.middle) for a, b in pairwise(path))
    if moved < STRAIGHT_RATIO * steps or not _keeps_size(path):
        return False
    alike, others = view.passed(path, dx / moved, dy / moved, _reach(track))
    return others >= OTHERS_MIN and others >= OTHERS_SHARE * (alike + others)


def _keeps_size(path: list[Place]) -> bool:
    """What grows or shrinks at once is two things taken for one, or one for two."""
    ratios = [b.width * b.height / (a.width * a.height) for a, b in pairwise(path)]
    jumps = sum(not 1 / GROWTH_MAX <= ratio <= GROWTH_MAX for ratio in ratios)
    return jumps <= JUMPS_SHARE * len(ratios)


def _reach(track: Track) -> float:
    return max(REACH_PX_MIN, track.width, track.height)


def _path(track: Track, view: View) -> list[Place]:
    """Where it was lately: what the picture's edge cuts grows as it comes in, and stays there."""
    path: list[Place] = []
    for over_s in OVER_S:
        since_ns = track.since(over_s).at_ns
        path = [p for p in track.places if p.at_ns >= since_ns and view.whole(p)]
        if _moved(path)[2] >= MOVED_SIZES * max(track.width, track.height):
            break
    return path


def _moved(path: list[Place]) -> tuple[float, float, float]:
    """Right, down, and how far."""
    if len(path) < PLACES_MIN:
        return 0.0, 0.0, 0.0
    dx, dy = path[-1].x - path[0].x, path[-1].middle - path[0].middle
    return dx, dy, math.hypot(dx, dy)


def _way(track: Track, view: View) -> tuple[float, float]:
    dx, dy, moved = _moved(_path(track, view))
    return dx / (moved or 1.0), dy / (moved or 1.0)
