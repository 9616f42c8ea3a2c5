"""Decides whether a vehicle has broken down, or two have collided.

In come tracks, the camera's `View` and the scene; out go incidents of kinds stopped vehicle and
collision. A stopped vehicle stands on or at the road where none is wont to wait, while others pass,
and is in no queue. A collision leaves vehicles standing within seconds, with two of these marks at
least: it stopped harder than brakes do, it touched another that moved otherwise, it stands against
another that came to stand with it, people are on the road beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from causeway.events import AnyEvent, IncidentKind
from detectors.motion import Scene
from detectors.reports import Open, box_of
from detectors.tracks import Track
from detectors.view import View

NS = 1_000_000_000
STOOD_SIZES = 0.25  # of its size: what has not moved further stands
STOPPED_S = 10.0  # longer than a moment's hesitation; where vehicles wait, longer than a red signal
WAITING_S = 100.0
PASSED_MIN = 2  # others that have passed it meanwhile
BESIDE_SIZES = 4.0  # of its size: they passed beside it, a lane or two away
PASSING_SPEED = 1.0  # sizes a second: 16 km/h for a car
QUEUE_SIZES = 2.5  # of its size: the next vehicle of a queue stands nearer
CRASHED_S = 3.0
MARKS_S = 5.0  # the marks of a collision lie in so many seconds
MARKS_MIN = 2
ABRUPT_H_S = 4.0  # heights a second lost in one: 6 m/s2, more than a driver brakes by choice
CAME_SIZES = 1.0  # it drove here: it was not here from the start
UNLIKE_SPEED = 1.0  # sizes a second between two that touch
LEVEL_SHARE = 0.4  # of the lower one's height: their feet are as far away
NEAR_SIZES = 3.0  # people so near belong to it
HEIGHT_PX_MIN = 10.0  # of the reduced picture: what is smaller cannot be told from noise
ENDS_S = 8.0


@dataclass(slots=True)
class _Stand:
    """How a track stands: where and since when, who has passed, which marks of a collision."""

    x: float
    foot: float
    since_ns: int
    came: bool
    from_road: bool = False  # it was on the road when it last moved
    fast_h_s: float = 0.0  # before it stood
    touched_ns: int = 0
    passed: dict[int, None] = field(default_factory=dict)


class Standing:
    """What stands on one camera's road."""

    def __init__(self, camera: str) -> None:
        self._stopped = Open(camera, IncidentKind.STOPPED_VEHICLE, ENDS_S)
        self._crashed = Open(camera, IncidentKind.COLLISION, ENDS_S, most=1)
        self._stands: dict[int, _Stand] = {}

    def see(self, tracks: list[Track], view: View, scene: Scene) -> list[AnyEvent]:
        tracks = [t for t in tracks if t.confirmed and t.height >= HEIGHT_PX_MIN]
        self._follow(tracks, view, scene.at_ns)
        events: list[AnyEvent] = []
        standing = [t for t in tracks if self._stood_s(t, scene.at_ns) >= 1.0]
        moving = [t for t in tracks if self._stood_s(t, scene.at_ns) < 1.0]
        for track in standing:
            stand = self._stands[track.number]
            at_road = _at_road(track, view)
            if track.kind == "person" or not (at_road or stand.from_road):
                continue
            self._see_passing(track, stand, moving)
            stood_s = self._stood_s(track, scene.at_ns)
            marks = self._marks(track, stand, tracks, view, scene.at_ns)
            box = box_of(track, scene.road.shape)
            waits = view.waits(track.x, track.middle)
            if stood_s >= CRASHED_S and len(marks) >= MARKS_MIN and not waits:
                events += self._crashed.begin(
                    track.number, stand.since_ns, scene.at_ns, 0.4 + 0.15 * len(marks),
                    ", ".join(marks), box,
                )  # fmt: skip
            alone = not any(_queues(track, other) for other in standing if other is not track)
            after_s = WAITING_S if waits else STOPPED_S
            if at_road and stood_s >= after_s and len(stand.passed) >= PASSED_MIN and alone:
                why = f"still for {stood_s:.0f} s while {len(stand.passed)} others drove past"
                confidence = min(0.95, 0.6 + 0.05 * len(stand.passed))
                events += self._stopped.begin(
                    track.number, stand.since_ns, scene.at_ns, confidence, why, box
                )
            for kind in (self._stopped, self._crashed):
                kind.seen(track.number, scene.at_ns)
        for kind in (self._stopped, self._crashed):
            events += kind.ended(scene.at_ns, "it has gone")
        return events

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        self._stands = {}
        return [*self._stopped.lose(at_ns, why), *self._crashed.lose(at_ns, why)]

    def standing(self, track: Track, at_ns: int, seconds: float) -> bool:
        """Whether it has stood for so long."""
        return self._stood_s(track, at_ns) >= seconds

    def _follow(self, tracks: list[Track], view: View, at_ns: int) -> None:
        kept: dict[int, _Stand] = {}
        for track in tracks:
            stand = self._stands.get(track.number)
            size = _size(track)
            if stand is None:
                first = track.places[0]
                came = math.hypot(track.x - first.x, track.foot - first.foot) >= CAME_SIZES * size
                stand = _Stand(track.x, track.foot, at_ns, came)
            elif math.hypot(track.x - stand.x, track.foot - stand.foot) > STOOD_SIZES * size:
                stand = _Stand(
                    track.x, track.foot, at_ns, True, _at_road(track, view), _fast(track),
                    stand.touched_ns,
                )  # fmt: skip
            if any(_touch(track, other) for other in tracks if other is not track):
                stand.touched_ns = at_ns
            kept[track.number] = stand
        self._stands = kept

    def _stood_s(self, track: Track, at_ns: int) -> float:
        stand = self._stands.get(track.number)
        return (at_ns - stand.since_ns) / NS if stand is not None else 0.0

    def _see_passing(self, track: Track, stand: _Stand, moving: list[Track]) -> None:
        reach = BESIDE_SIZES * _size(track)
        for other in moving:
            near = math.hypot(other.x - track.x, other.middle - track.middle) < reach
            if near and other.kind != "person" and _speed(other) >= PASSING_SPEED:
                stand.passed[other.number] = None

    def _marks(
        self, track: Track, stand: _Stand, tracks: list[Track], view: View, at_ns: int
    ) -> list[str]:
        if not stand.came:
            return []
        marks = []
        if stand.fast_h_s >= ABRUPT_H_S:
            marks.append(f"it stopped within a second from {stand.fast_h_s * 1.5 * 3.6:.0f} km/h")
        if stand.touched_ns and abs(stand.since_ns - stand.touched_ns) <= MARKS_S * NS:
            marks.append("it touched another that moved otherwise")
        for other in tracks:
            if other is track:
                continue
            apart = math.hypot(other.x - track.x, other.foot - track.foot)
            there = self._stands.get(other.number)
            together = there is not None and abs(there.since_ns - stand.since_ns) <= MARKS_S * NS
            walks = other.kind == "person" and view.driven(other.x, other.foot - 1.0)
            if walks and apart < NEAR_SIZES * _size(track):
                marks.append("people are on the road beside it")
                break
            pair = together and there is not None and there.came and _against(track, other)
            if pair and self._stood_s(other, at_ns) >= CRASHED_S:
                marks.append("another came to stand against it")
                break
        return marks


def _size(track: Track) -> float:
    return max(track.width, track.height)


def _speed(track: Track) -> float:
    """Sizes a second."""
    return math.hypot(track.vx, track.vy) / _size(track)


def _fast(track: Track) -> float:
    """Heights a second, over the last second that it was seen."""
    then = track.since(1.0)
    dt_s = (track.at_ns - then.at_ns) / NS
    if dt_s < 0.5:
        return 0.0
    return math.hypot(track.x - then.x, track.foot - then.foot) / dt_s / max(track.height, 1.0)


def _at_road(track: Track, view: View) -> bool:
    """On what is driven, or as near to it as it is wide: a lane that it has blocked itself."""
    foot = track.foot - track.height / 4
    return any(
        view.on_road(track.x + side * track.width, foot) for side in (-1.0, -0.5, 0.0, 0.5, 1.0)
    )


def _queues(track: Track, other: Track) -> bool:
    if other.kind == "person":
        return False
    return math.hypot(other.x - track.x, other.foot - track.foot) < QUEUE_SIZES * _size(track)


def _against(track: Track, other: Track) -> bool:
    """Whether their boxes meet."""
    across = abs(track.x - other.x) < (track.width + other.width) / 2
    return across and abs(track.middle - other.middle) < (track.height + other.height) / 2


def _touch(track: Track, other: Track) -> bool:
    if not _against(track, other) or other.kind == "person":
        return False
    if abs(track.foot - other.foot) > LEVEL_SHARE * min(track.height, other.height):
        return False  # one hides the other
    apart = math.hypot(track.vx - other.vx, track.vy - other.vy)
    return apart >= UNLIKE_SPEED * max(_size(track), _size(other))
