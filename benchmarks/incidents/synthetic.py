"""Faults that are made, on real clips: stated apart, and never mixed with what is real.

A clip is played to its middle and back and forth from there, so that it lasts; then a fault begins:
the picture freezes, goes black, blurs, shifts, or its JPEG loses its end. And a clip is played
backwards, to detectors that have learnt it forwards: all that drives then drives the wrong way.
Amounts are drawn from a seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.incidents.clip import NS, Clip
from causeway.events import CameraHealth, CameraHealthObserved, IncidentDetected, IncidentKind
from causeway.frame import EncodedFrame, Frame
from causeway.site import Camera
from detectors.camera_health import HealthOfCamera
from detectors.jpeg import decoded
from detectors.tracks import Track
from detectors.view import View
from detectors.watch import CameraWatch

FAULTS = ("freeze", "black", "blur", "shift", "jpeg_loss")
SOUND_S = 10.0  # before the fault
WITHIN_S = 30.0
WRONG_WAY_WITHIN_S = 3.0
FRAMES_MAX = 400

Picture = NDArray[np.uint8]


def faults_found(clip: Clip, seed: int) -> dict[str, float | None]:
    """By fault: seconds until the camera's health said that it is not well; None: it did not."""
    frames = [frame.pixels for _, frame in zip(range(FRAMES_MAX), clip.pictures(), strict=False)]
    random = np.random.default_rng(seed)
    return {fault: _seconds(frames, clip.step_s, fault, random) for fault in FAULTS}


def _seconds(
    frames: list[Picture], step_s: float, fault: str, random: np.random.Generator
) -> float | None:
    health = HealthOfCamera("camera")
    amount = float(random.uniform(0.0, 1.0))
    frozen: Picture | None = None
    for number, pixels in enumerate(_back_and_forth(frames)):
        at_s = number * step_s
        if at_s > SOUND_S + WITHIN_S:
            return None
        at_ns = round((1_000 + at_s) * NS)
        shown: Picture | None = pixels
        if at_s >= SOUND_S:
            frozen = pixels if frozen is None else frozen
            shown = frozen if fault == "freeze" else _broken(pixels, fault, amount)
        events = (
            health.undecodable(at_ns)
            if shown is None
            else health.see(Frame("camera", at_ns, shown))
        )
        for event in events:
            if isinstance(event, CameraHealthObserved) and event.health is not CameraHealth.OK:
                return round(at_s - SOUND_S, 2)
    return None


def _back_and_forth(frames: list[Picture]) -> Iterator[Picture]:
    while True:
        yield from chain(frames, reversed(frames))


def _broken(pixels: Picture, fault: str, amount: float) -> Picture | None:
    """The picture as a camera with the fault gives it; None: it cannot be decoded."""
    height, width = pixels.shape[:2]
    match fault:
        case "black":
            return np.zeros_like(pixels)
        case "blur":
            sigma = (3.0 + 5.0 * amount) * width / 640
            return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)
        case "shift":
            share = 0.1 + 0.2 * amount
            move = np.array([[1, 0, share * width], [0, 1, share * height / 2]], np.float32)
            moved = cv2.warpAffine(pixels, move, (width, height), borderMode=cv2.BORDER_REFLECT)
            return np.asarray(moved, np.uint8)
        case _:
            jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
            frame = decoded(EncodedFrame("camera", 0, jpeg[: int(len(jpeg) * 0.5 * amount)]))
            return None if frame is None else frame.pixels


def wrong_way_found(clip: Clip, camera: Camera, view: View, background: Picture) -> float | None:
    """Seconds until wrong way was said of the clip played backwards, since something drives there.

    An empty road at the clip's end is no delay of the detector's.
    """
    frames = [f for _, f in zip(range(FRAMES_MAX), clip.pictures(), strict=False)]
    watch = CameraWatch(camera, view, background)
    drives_since_s: float | None = None
    for number, frame in enumerate(reversed(frames)):
        at_s = number * clip.step_s
        events = watch.see(Frame(frame.camera, round((1_000 + at_s) * NS), frame.pixels))
        if drives_since_s is None and any(_drives(t) for t in watch.traffic.tracks.live):
            drives_since_s = at_s
        for event in events:
            if isinstance(event, IncidentDetected) and event.kind is IncidentKind.WRONG_WAY:
                return round(at_s - (drives_since_s or 0.0), 2)
    return None


def _drives(track: Track) -> bool:
    """Whether it has moved by its own size."""
    first = track.places[0]
    moved = math.hypot(track.x - first.x, track.middle - first.middle)
    return track.confirmed and moved > max(track.width, track.height)
