"""Decides whether a vehicle stands where others drive.

In come scenes (`motion.py`); out go `IncidentDetected` and `IncidentEnded` of kind stopped
vehicle. A blob of a vehicle's size that came onto the learnt background and has not moved for a
while is one when others have driven past beside it, on its half of the road. A queue at a red
signal is none: nothing drives past its head, it has others standing with it, and it stands where
vehicles have waited before, which needs longer. What stood there already when the background was
learnt is part of it and is not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.events import AnyEvent, Box, IncidentDetected, IncidentEnded, IncidentKind
from causeway.site import Camera
from detectors.motion import Levels, Mask, Scene, grown

NS = 1_000_000_000
STILL_S = 20.0  # from then on it may be an incident
WAITING_STILL_S = 100.0  # and where vehicles are wont to wait, longer than a signal is red
WAITED_S = 5.0  # a vehicle that stood for so long and drove on has waited there
WAITED_FOR_S = 3_600.0  # for so long that is remembered
COLD_S = (
    105.0  # until then all of the road is a place to wait: a signal's cycle must have been seen
)
WAITED_RATIO = 0.3  # of a blob that lies on such a place
WAITED_RIM_PX = 2
STANDING_S = 3.0  # from then on it belongs to what stands
PASSED_TAU_S = 20.0  # for how long a vehicle that drove past is remembered
PASSED_MIN = 2.0  # areas of the blob times seconds, of movement beside it: about two vehicles
PASSED_FOR_S = 12.0  # a queue that drives off is gone before
REACH = 2.0  # of its longer side: so near is beside it
QUEUE_MAX = 2.0  # areas of the blob that may stand on its half of the road besides
WIDTH_MIN, WIDTH_MAX = 0.03, 0.3  # of the road's width there: a motorbike of 0.8 m, a lorry
RIM_PX = 2  # around a blob that is its own, shadow and blur
FOOT_PX = 3  # polygons are drawn by hand
BLOB_PX_MIN = 20  # of the reduced picture
GONE_RATIO = 0.3  # of its place that still stands: less is gone
GONE_S = 6.0
INCIDENTS_MAX = 8  # a camera; more than that is congestion's to say


@dataclass(slots=True)
class _Blob:
    """Something that stands, and what has driven past it: its areas times seconds, fading.

    `passed_for_s` is for how long that has been so, without a queue around it.
    """

    mask: Mask
    box: tuple[int, int, int, int]  # left, top, width, height, in pixels of the reduced picture
    area_px: int
    still_s: float
    passed: float = 0.0
    passed_for_s: float = 0.0


@dataclass(slots=True)
class _Open:
    """An incident that has not ended."""

    incident: str
    mask: Mask
    seen_at_ns: int


class StoppedVehicles:
    """Vehicles that stand on one camera's road."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera.id
        self._standing: list[_Blob] = []
        self._open: list[_Open] = []
        self._seen_s = 0.0
        self._stood: Mask = np.zeros((0, 0), np.bool_)
        self._waited_until_ns: NDArray[np.int64] = np.zeros((0, 0), np.int64)

    def see(self, scene: Scene) -> list[AnyEvent]:
        self._learn_waiting(scene)
        events = self._ended(scene)
        standing = scene.still_s >= STANDING_S
        blobs = [b for b in _blobs(standing, scene.still_s) if _on_road(b, scene.road)]
        if blobs:
            left, right = _halves(scene.road)
            for blob in blobs:
                half = left if _is_left(blob, left) else right
                self._remember(blob, half, standing, scene)
                if len(self._open) < INCIDENTS_MAX and self._is_incident(blob, scene):
                    events.append(self._begin(blob, scene))
        self._standing = blobs
        return events

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        """End what is open: the camera can no longer be believed."""
        ended, self._open, self._standing = self._open, [], []
        self._seen_s = 0.0
        self._stood[:] = False
        return [IncidentEnded(incident=o.incident, observed_at_ns=at_ns, why=why) for o in ended]

    def _ended(self, scene: Scene) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for known in list(self._open):
            same = known.mask.shape == scene.road.shape
            if same and float((scene.still_s[known.mask] > 0).mean()) >= GONE_RATIO:
                known.seen_at_ns = scene.at_ns
            elif scene.at_ns - known.seen_at_ns >= GONE_S * NS:
                self._open.remove(known)
                events.append(
                    IncidentEnded(
                        incident=known.incident, observed_at_ns=scene.at_ns, why="it has gone"
                    )
                )
        return events

    def _remember(self, blob: _Blob, half: Mask, standing: Mask, scene: Scene) -> None:
        """Carry on what has passed the blob since it stands, and add what passes beside it now."""
        apart = ~grown(blob.mask, RIM_PX)
        others = int(np.count_nonzero(standing & half & apart))
        if others > QUEUE_MAX * blob.area_px:
            return  # one of a queue: what drives past it then tells nothing
        same = [b for b in self._standing if b.mask.shape == half.shape and _touch(b, blob)]
        before = max(same, key=lambda b: b.passed, default=blob)
        left, top, width, height = blob.box
        reach = round(REACH * max(width, height))
        rows = slice(max(0, top - reach), top + height + reach)
        columns = slice(max(0, left - reach), left + width + reach)
        beside = (half & scene.moving & scene.foreground & scene.road)[rows, columns]
        passing = int(np.count_nonzero(beside & apart[rows, columns])) / blob.area_px
        fading = math.exp(-scene.dt_s / PASSED_TAU_S)
        blob.passed = before.passed * fading + passing * scene.dt_s
        if blob.passed >= PASSED_MIN:
            blob.passed_for_s = before.passed_for_s + scene.dt_s

    def _learn_waiting(self, scene: Scene) -> None:
        """Where something stood for a while and has driven on, vehicles are wont to wait."""
        if self._stood.shape != scene.road.shape:
            self._stood = np.zeros(scene.road.shape, np.bool_)
            self._waited_until_ns = np.zeros(scene.road.shape, np.int64)
        self._seen_s += scene.dt_s
        gone = self._stood & (scene.still_s == 0)
        if gone.any():
            until_ns = scene.at_ns + int(WAITED_FOR_S * NS)
            self._waited_until_ns[grown(gone, WAITED_RIM_PX)] = until_ns
        self._stood = (self._stood & ~gone) | (scene.still_s >= WAITED_S)

    def _is_waiting_place(self, blob: _Blob, at_ns: int) -> bool:
        waited = self._waited_until_ns[blob.mask] > at_ns
        return self._seen_s < COLD_S or float(waited.mean()) > WAITED_RATIO

    def _is_incident(self, blob: _Blob, scene: Scene) -> bool:
        if blob.still_s < STILL_S or blob.passed_for_s < PASSED_FOR_S:
            return False
        if blob.still_s < WAITING_STILL_S and self._is_waiting_place(blob, scene.at_ns):
            return False
        road = scene.road
        if any((o.mask & blob.mask).any() for o in self._open):
            return False
        _, top, width, height = blob.box
        rows = np.flatnonzero(road.any(axis=1))
        row = min(max(top + height - 1, int(rows[0])), int(rows[-1]))
        road_px = int(road[row].sum())
        return WIDTH_MIN <= width / max(1, road_px) <= WIDTH_MAX

    def _begin(self, blob: _Blob, scene: Scene) -> IncidentDetected:
        first_seen_at_ns = scene.at_ns - int(blob.still_s * NS)
        while any(o.incident.endswith(f"-{first_seen_at_ns}") for o in self._open):
            first_seen_at_ns += 1
        incident = f"{self._camera}-stopped_vehicle-{first_seen_at_ns}"
        self._open.append(_Open(incident, blob.mask, scene.at_ns))
        height, width = scene.road.shape
        left, top, w, h = blob.box
        return IncidentDetected(
            incident=incident,
            kind=IncidentKind.STOPPED_VEHICLE,
            camera=self._camera,
            first_seen_at_ns=first_seen_at_ns,
            confidence=round(min(0.95, 0.5 + 0.1 * blob.passed / PASSED_MIN), 2),
            why=f"still for {blob.still_s:.0f} s while others drove past",
            box=Box(
                round(left / width, 4),
                round(top / height, 4),
                round(w / width, 4),
                round(h / height, 4),
            ),
        )


def _blobs(standing: Mask, still_s: Levels) -> list[_Blob]:
    joined = cv2.morphologyEx(standing.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    blobs = []
    for label in range(1, count):
        left, top, width, height, area = (int(v) for v in stats[label])
        if area >= BLOB_PX_MIN:
            mask: Mask = labels == label
            stood_s = float(np.median(still_s[mask & standing]))
            blobs.append(_Blob(mask, (left, top, width, height), area, stood_s))
    return blobs


def _touch(a: _Blob, b: _Blob) -> bool:
    return bool((a.mask & b.mask).any())


def _on_road(blob: _Blob, road: Mask) -> bool:
    """Whether its foot is on the road, or as near to it as the polygon is drawn."""
    left, top, width, height = blob.box
    foot = slice(max(0, top + height - 1), top + height + FOOT_PX)
    return bool(road[foot, left : left + width].any())


def _halves(road: Mask) -> tuple[Mask, Mask]:
    """The picture left and right of the road's middle, row by row, and of its ends beyond them."""
    columns, rows = np.arange(road.shape[1]), np.arange(road.shape[0])
    widths = road.sum(axis=1)
    has_road = widths > 0
    middles = (road * columns).sum(axis=1)[has_road] / widths[has_road]
    middle: NDArray[np.float64] = np.interp(rows, rows[has_road], middles)
    left: Mask = columns[None, :] < middle[:, None]
    return left, ~left


def _is_left(blob: _Blob, left: Mask) -> bool:
    return 2 * int((blob.mask & left).sum()) > blob.area_px
