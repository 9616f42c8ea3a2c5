"""Decides whether a vehicle stands where others drive.

In come scenes (`motion.py`); out go `IncidentDetected` and `IncidentEnded` of kind stopped
vehicle. A blob of a vehicle's size that came onto the learnt background and has not moved for a
while is one when others have driven past beside it, on its half of the road. A queue at a red
signal is none: nothing drives past its head, and it has others standing with it. What stood there
already when the background was learnt is part of it and is not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.events import AnyEvent, Box, IncidentDetected, IncidentEnded, IncidentKind
from causeway.site import Camera
from detectors.motion import Levels, Mask, Scene

NS = 1_000_000_000
STILL_S = 20.0  # from then on it may be an incident
STANDING_S = 3.0  # from then on it belongs to what stands
PASSED_TAU_S = 20.0  # for how long a vehicle that drove past is remembered
PASSED_MIN = 1.5  # areas of the blob times seconds, of movement beside it: about two vehicles
QUEUE_MAX = 2.0  # areas of the blob that may stand on its half of the road besides
WIDTH_MIN, WIDTH_MAX = 0.03, 0.5  # of the road's width there: a motorbike of 0.8 m, a lorry
BLOB_PX_MIN = 20  # of the reduced picture
GONE_RATIO = 0.3  # of its place that still stands: less is gone
GONE_S = 6.0
INCIDENTS_MAX = 8  # a camera; more than that is congestion's to say


@dataclass(slots=True)
class _Blob:
    """Something that stands."""

    mask: Mask
    box: tuple[int, int, int, int]  # left, top, width, height, in pixels of the reduced picture
    area_px: int
    still_s: float


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
        self._open: list[_Open] = []
        self._passed_s: Levels = np.zeros((0, 0), np.float32)

    def see(self, scene: Scene) -> list[AnyEvent]:
        if self._passed_s.shape != scene.road.shape:
            self._passed_s = np.zeros(scene.road.shape, np.float32)
        self._passed_s *= math.exp(-scene.dt_s / PASSED_TAU_S)
        self._passed_s[scene.moving & scene.foreground] += scene.dt_s
        events = self._ended(scene)
        standing = (scene.still_s >= STANDING_S) & scene.road
        for blob in _blobs(standing, scene.still_s):
            if len(self._open) < INCIDENTS_MAX and self._is_incident(blob, standing, scene):
                events.append(self._begin(blob, scene))
        return events

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        """End what is open: the camera can no longer be believed."""
        ended, self._open = self._open, []
        self._passed_s[:] = 0.0
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

    def _is_incident(self, blob: _Blob, standing: Mask, scene: Scene) -> bool:
        if blob.still_s < STILL_S or any((o.mask & blob.mask).any() for o in self._open):
            return False
        left, top, width, height = blob.box
        half, road_px = _half(scene.road, left + width / 2, top + height - 1)
        if not WIDTH_MIN <= width / max(1, road_px) <= WIDTH_MAX:
            return False
        others = int((standing & half & ~_grown(blob.mask)).sum())
        return others <= QUEUE_MAX * blob.area_px and self._passed(blob, half) >= PASSED_MIN

    def _passed(self, blob: _Blob, half: Mask) -> float:
        """How much has driven past beside it, in its areas times seconds."""
        _, top, _, height = blob.box
        beside = half & ~_grown(blob.mask)
        beside[:top] = False
        beside[top + height :] = False
        return float(self._passed_s[beside].sum()) / blob.area_px

    def _begin(self, blob: _Blob, scene: Scene) -> IncidentDetected:
        first_seen_at_ns = scene.at_ns - int(blob.still_s * NS)
        while any(o.incident.endswith(f"-{first_seen_at_ns}") for o in self._open):
            first_seen_at_ns += 1
        incident = f"{self._camera}-stopped_vehicle-{first_seen_at_ns}"
        self._open.append(_Open(incident, blob.mask, scene.at_ns))
        height, width = scene.road.shape
        left, top, w, h = blob.box
        half, _ = _half(scene.road, left + w / 2, top + h - 1)
        passed = self._passed(blob, half)
        return IncidentDetected(
            incident=incident,
            kind=IncidentKind.STOPPED_VEHICLE,
            camera=self._camera,
            first_seen_at_ns=first_seen_at_ns,
            confidence=round(min(0.95, 0.5 + 0.1 * passed / PASSED_MIN), 2),
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


def _half(road: Mask, x: float, y: int) -> tuple[Mask, int]:
    """The half of the road, split row by row, on which a point lies; the road's width there."""
    columns = np.arange(road.shape[1])
    widths = road.sum(axis=1)
    middles: NDArray[np.float64] = (road * columns).sum(axis=1) / np.maximum(widths, 1)
    right = columns[None, :] >= middles[:, None]
    half: Mask = road & (right if x >= middles[y] else ~right)
    return half, int(widths[y])


def _grown(mask: Mask) -> Mask:
    return cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.bool_)
