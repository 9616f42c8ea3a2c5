"""Measures what watching costs: `causeway bench detectors`.

Three of the demo's cameras look at its simulated evening traffic for a minute; their pictures, JPEG
as a camera sends them, are decoded and shown to the product's own detectors, as the vision worker
does. Beside it, as the baseline, OpenCV's MOG2 background subtractor alone sees the same decoded
pictures. Times are this process's CPU, once the detectors have learnt the road; a camera's memory
is what the process holds more for each.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from benchmarks.city import SITE, city
from causeway.events import AnyEvent, TrafficMeasured
from causeway.frame import EncodedFrame, Frame
from causeway.site import Camera, Site
from detectors.jpeg import decoded
from detectors.watch import CameraWatch
from sims.cameras import CameraRenderer, Light, daylight_at, encode_jpeg
from sims.scenario import load_scenario
from sims.traffic import Traffic

SCENARIO = SITE.parents[1] / "scenarios" / "evening_peak.toml"
CAMERAS = 3
SECONDS = 60
LEARNING_S = 20
FPS = 5
NS = 1_000_000_000

T = TypeVar("T")


def detectors_bench(cameras: int = CAMERAS, seconds: int = SECONDS) -> dict[str, object]:
    """Medians and 95th percentiles of a frame."""
    site = city()
    watched = site.cameras[:cameras]
    frames, render_ms = _rendered(site, watched, seconds)
    decode_ms, watch_ms, mog2_ms = [], [], []
    said: list[AnyEvent] = []
    before_mb = _memory_mb()
    watches = []
    for camera in watched:
        watch = CameraWatch(camera)
        watches.append(watch)
        mog2 = cv2.createBackgroundSubtractorMOG2()
        learnt = LEARNING_S * FPS
        for number, encoded in enumerate(frames[camera.id]):
            frame, decoding_ms = _timed(_decoded, encoded)
            events, watching_ms = _timed(watch.see, frame)
            _, subtracting_ms = _timed(mog2.apply, frame.pixels)
            said += events
            if number >= learnt:
                decode_ms.append(decoding_ms)
                watch_ms.append(watching_ms)
                mog2_ms.append(subtracting_ms)
    whole_ms = np.add(decode_ms, watch_ms)
    height, width = _decoded(frames[watched[0].id][0]).pixels.shape[:2]
    return {
        "cameras": cameras,
        "frames": len(whole_ms),
        "size": f"{width}x{height}",
        "jpeg_bytes": round(np.mean([len(f.jpeg) for some in frames.values() for f in some])),
        "render_ms": round(render_ms, 1),
        "decode_ms": _told(decode_ms),
        "detect_ms": _told(watch_ms),
        "frame_ms": _told(whole_ms.tolist()),
        "cameras_a_core": round(1_000 / FPS / float(np.mean(whole_ms))),
        "memory_mb_a_camera": round((_memory_mb() - before_mb) / len(watches), 1),
        "measurements": sum(isinstance(event, TrafficMeasured) for event in said),
        "baseline": "OpenCV's MOG2 alone",
        "baseline_ms": _told(mog2_ms),
    }


def _rendered(
    site: Site, cameras: tuple[Camera, ...], seconds: int
) -> tuple[dict[str, list[EncodedFrame]], float]:
    """Each camera's pictures, and milliseconds of a rendering."""
    frames: dict[str, list[EncodedFrame]] = {camera.id: [] for camera in cameras}
    scenario = load_scenario(SCENARIO, site)
    spent_ms: list[float] = []
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder:
        traffic = Traffic(site, scenario, Path(folder))
        try:
            renderer = CameraRenderer(site, traffic.network)
            for n in range(seconds * FPS):
                at_ns = scenario.start_ns + n * NS // FPS
                traffic.step_to(at_ns)
                for camera in cameras:
                    light = Light(daylight_at(camera.at, at_ns), 1.0)
                    vehicles, aspects = traffic.vehicles(), traffic.aspects()
                    picture, drawing_ms = _timed(
                        renderer.render, camera, vehicles, aspects, {}, 0.0, light, at_ns
                    )
                    jpeg = encode_jpeg(picture)
                    spent_ms.append(drawing_ms)
                    frames[camera.id].append(EncodedFrame(camera.id, at_ns, jpeg))
        finally:
            traffic.close()
    return frames, float(np.median(spent_ms))


def _memory_mb() -> float:
    """What this process holds now; Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _decoded(encoded: EncodedFrame) -> Frame:
    frame = decoded(encoded)
    assert frame is not None, f"{encoded.camera} gave no picture"
    return frame


def _timed(work: Callable[..., T], *given: object) -> tuple[T, float]:
    """What it gives, and milliseconds of CPU."""
    started = time.process_time()
    done = work(*given)
    return done, (time.process_time() - started) * 1e3


def _told(times_ms: list[float]) -> dict[str, float]:
    p50, p95 = np.percentile(times_ms, [50, 95])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}
