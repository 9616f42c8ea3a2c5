"""Decides how full a camera's road is, how much of that moves, and when it is congested.

In come scenes (`motion.py`); out go a `TrafficMeasured` every five seconds and `IncidentDetected`
and `IncidentEnded` of kind congestion. Congested is a road that is full and hardly moves for
longer than a red signal lasts; it is free again when it has not been so for as long. A road that
was jammed already when its background was learnt is seen as jammed only after that traffic has
moved on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from causeway.events import (
    AnyEvent,
    Box,
    IncidentDetected,
    IncidentEnded,
    IncidentKind,
    TrafficMeasured,
)
from causeway.site import Camera
from detectors.motion import Mask, Scene

NS = 1_000_000_000
MEASURE_S = 5.0
SPEED_EVERY_S = 0.5  # flow of the whole picture is the dearest thing here
FULL_RATIO = 0.40  # of the road under vehicles: seen in free traffic 0.10 to 0.39
SLOW_RATIO = 0.45  # of that moving: seen in free traffic 0.52 to 0.95
HOLD_S = 90.0  # a red signal's queue does not last so long
BEGINS, ENDS = 0.8, 0.2  # shares of the measurements in the hold time
BOXES_MAX = 40
BOX_PX_MIN = 12  # of the reduced picture


@dataclass(slots=True)
class _Sums:
    """What the scenes of one measurement add up to."""

    since_ns: int
    frames: int = 0
    occupied: float = 0.0
    moving: float = 0.0
    speeds: list[float] | None = None
    speed_at_ns: int = 0


class Congestion:
    """Traffic measurement and congestion of one camera."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera.id
        self._sums: _Sums | None = None
        self._jammed: deque[bool] = deque(maxlen=round(HOLD_S / MEASURE_S))
        self._incident = ""
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def see(self, scene: Scene) -> list[AnyEvent]:
        sums = self._sums = self._sums or _Sums(scene.at_ns)
        vehicles = scene.foreground & scene.road
        occupied = int(np.count_nonzero(vehicles))
        driving = scene.moving & vehicles
        sums.frames += 1
        sums.occupied += occupied / max(1, int(np.count_nonzero(scene.road)))
        sums.moving += int(np.count_nonzero(driving)) / occupied if occupied else 1.0
        if driving.any() and scene.at_ns - sums.speed_at_ns >= SPEED_EVERY_S * NS:
            sums.speed_at_ns = scene.at_ns
            sums.speeds = [*(sums.speeds or ()), self._speed_px_s(scene, driving)]
        if scene.at_ns - sums.since_ns < MEASURE_S * NS:
            return []
        self._sums = None
        measured = TrafficMeasured(
            camera=self._camera,
            observed_at_ns=scene.at_ns,
            occupancy_ratio=round(sums.occupied / sums.frames, 4),
            moving_ratio=round(sums.moving / sums.frames, 4),
            speed_px_s=round(float(np.median(sums.speeds or [0.0])), 1),
            frames=sums.frames,
            boxes=boxes_of(scene.foreground),
        )
        return [measured, *self._judge(measured)]

    def lose(self, at_ns: int, why: str) -> list[AnyEvent]:
        """End what is open: the camera can no longer be believed."""
        self._sums = None
        self._jammed.clear()
        return self._end(at_ns, why) if self._incident else []

    def _speed_px_s(self, scene: Scene, driving: Mask) -> float:
        """Median movement of what moves; too low where vehicles pass more than their length."""
        nothing = np.zeros((*scene.grey.shape, 2), np.float32)
        flow = self._flow.calc(scene.grey_before, scene.grey, nothing)
        shift = np.hypot(flow[..., 0][driving], flow[..., 1][driving])
        return float(np.median(shift)) / scene.dt_s / scene.scale

    def _judge(self, measured: TrafficMeasured) -> list[AnyEvent]:
        jammed = measured.occupancy_ratio >= FULL_RATIO and measured.moving_ratio <= SLOW_RATIO
        self._jammed.append(jammed)
        if len(self._jammed) < (self._jammed.maxlen or 0):
            return []
        share = sum(self._jammed) / len(self._jammed)
        at_ns = measured.observed_at_ns
        if not self._incident and jammed and share >= BEGINS:
            first_seen_at_ns = at_ns - int(HOLD_S * NS)
            self._incident = f"{self._camera}-congestion-{first_seen_at_ns}"
            return [
                IncidentDetected(
                    incident=self._incident,
                    kind=IncidentKind.CONGESTION,
                    camera=self._camera,
                    first_seen_at_ns=first_seen_at_ns,
                    confidence=round(share, 2),
                    why=(
                        f"{measured.occupancy_ratio * 100:.0f} % of the road occupied, "
                        f"{measured.moving_ratio * 100:.0f} % of that moving"
                    ),
                )
            ]
        if self._incident and share <= ENDS:
            return self._end(at_ns, "the road is free or moves again")
        return []

    def _end(self, at_ns: int, why: str) -> list[AnyEvent]:
        incident, self._incident = self._incident, ""
        return [IncidentEnded(incident=incident, observed_at_ns=at_ns, why=why)]


def boxes_of(mask: Mask) -> tuple[Box, ...]:
    """The boxes of the mask's parts, the largest first, as shares of width and height."""
    height, width = mask.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    large = sorted(stats[1:].tolist(), key=lambda s: -int(s[cv2.CC_STAT_AREA]))[:BOXES_MAX]
    return tuple(
        Box(
            round(left / width, 4),
            round(top / height, 4),
            round(w / width, 4),
            round(h / height, 4),
        )
        for left, top, w, h, area in large
        if area >= BOX_PX_MIN
    )
