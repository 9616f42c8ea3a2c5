"""One video through the product's detectors, in a process of its own: `eval-detectors-run`."""

from __future__ import annotations

import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.city import city
from benchmarks.incidents.clip import NS, START_NS, Clip, ClipUnusable
from benchmarks.incidents.drawing import drawn
from benchmarks.incidents.found import Found, Incident, State
from benchmarks.incidents.synthetic import faults_found, wrong_way_found
from benchmarks.pool import answering
from causeway.events import (
    Address,
    AnyEvent,
    CameraHealth,
    CameraHealthObserved,
    IncidentDetected,
    IncidentEnded,
    Now,
)
from causeway.frame import Frame
from causeway.site import Camera
from control.water_on_road import WaterOnRoad
from detectors.motion import Motion, reduced
from detectors.network import ModelUnusable, Network
from detectors.steady import Steady, steadied
from detectors.traffic import Traffic
from detectors.view import View
from detectors.watch import CameraWatch

LEARN_S = 600.0  # of a long video: its first ten minutes
SAMPLES_MAX = 80
SAMPLE_EVERY_S = 0.25
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


class Asked(Struct):
    """To a run's process."""

    video: str
    fps: float = 10.0
    model: str = ""
    annotate: str = ""
    pictures: str = ""
    synthetic: int | None = None  # the seed


class Done(Struct, omit_defaults=True):
    """From it: so many frames seen, or what was found."""

    frames: int = 0
    found: Found | None = None
    fps: float = 0.0
    error: str = ""


def run_main() -> int:
    """One `Asked` in, `Done`s out; what the decoder says goes to stderr."""
    answer = answering()
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Asked)
    cv2.setNumThreads(1)
    try:
        clip = Clip(Path(asked.video), asked.fps)
        found = look(asked, clip, lambda frames: answer(Done(frames=frames)))
        answer(Done(found=found, fps=clip.fps))
    except (ClipUnusable, ModelUnusable) as unusable:
        answer(Done(error=str(unusable)))
    return 0


def look(asked: Asked, clip: Clip, progress: Callable[[int], None]) -> Found:
    """What the detectors say of a clip, once they have learnt its road from it."""
    camera = _described(Path(asked.video))
    network = Network(Path(asked.model).read_bytes()) if asked.model else None
    background = learn_background(clip)
    view = learn_view(clip, camera, background, network)
    watch = CameraWatch(camera, view, background, network)
    water = WaterOnRoad(msgspec.structs.replace(city(), cameras=(camera,), gauges=()))
    notes = Notes()
    film = _Film(asked, clip)
    spent_s = 0.0
    for number, frame in enumerate(clip.pictures(), 1):
        started_s = time.process_time()
        events = watch.see(frame)
        now = Now(frame.observed_at_ns, Address(1, 0))
        events += [e for seen in events if type(seen) in water.hears for e in water.step(seen, now)]
        spent_s += time.process_time() - started_s
        film.take(frame, watch, events)
        notes.take(events, watch.visibility.states, frame.observed_at_ns)
        progress(number)
    film.close()
    found = notes.found(spent_s)
    found.pictures = film.pictures
    if view is not None and view.line is not None:
        found.count = watch.traffic.counting.total
    if asked.synthetic is not None:
        found.synthetic = faults_found(clip, asked.synthetic)
        if found.count:
            assert view is not None
            found.synthetic["reversed"] = wrong_way_found(clip, camera, view, background)
    return found


def _described(video: Path) -> Camera:
    """The camera by NAME.mp4.toml or NAME.toml beside the video, else one of which all is learnt.

    It may have `road`, `counted` and `ignored`, as in a site's file; nothing is everyday here.
    """
    known: dict[str, object] = {"counted": ()}
    for path in (video.with_name(video.name + ".toml"), video.with_suffix(".toml")):
        if path.is_file():
            try:
                known |= tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as fault:
                raise ClipUnusable(f"{path}: {fault}") from None
            break
    place = {"id": "camera", "name": "", "at": (0.0, 0.0), "segment": "", "bearing_deg": 0.0}
    try:
        return msgspec.convert({**place, "road": WHOLE, **known}, Camera)
    except msgspec.ValidationError as fault:
        raise ClipUnusable(f"the description beside {video.name}: {fault}") from None


class _Film:
    """The annotated video and the report's pictures, where they are asked for."""

    def __init__(self, asked: Asked, clip: Clip) -> None:
        self.pictures: list[str] = []  # one an incident
        self._asked = asked
        self._fps = 1.0 / clip.step_s
        self._writer: cv2.VideoWriter | None = None
        self._open: dict[str, IncidentDetected] = {}

    def take(self, frame: Frame, watch: CameraWatch, events: list[AnyEvent]) -> None:
        begun = [event for event in events if isinstance(event, IncidentDetected)]
        self._open |= {event.incident: event for event in begun}
        for event in events:
            if isinstance(event, IncidentEnded):
                self._open.pop(event.incident, None)
        if self._asked.annotate:
            picture = drawn(frame, watch, list(self._open.values()))
            if self._writer is None:
                size = (picture.shape[1], picture.shape[0])
                code = cv2.VideoWriter.fourcc(*"mp4v")
                self._writer = cv2.VideoWriter(self._asked.annotate, code, self._fps, size)
                if not self._writer.isOpened():
                    raise ClipUnusable(f"{self._asked.annotate}: no video can be written there")
            self._writer.write(picture)
        if self._asked.pictures:
            for event in begun:
                name = f"{Path(self._asked.video).name}-{len(self.pictures)}.jpg"
                cv2.imwrite(str(Path(self._asked.pictures) / name), drawn(frame, watch, [event]))
                self.pictures.append(name)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


def learn_background(clip: Clip) -> NDArray[np.uint8]:
    """The median of the steadied pictures: what is seen most of the time."""
    steady = Steady()
    kept: list[NDArray[np.uint8]] = []
    next_s = 0.0
    for frame in clip.pictures():
        at_s = clip.seconds(frame.observed_at_ns)
        picture = reduced(frame.pixels)
        shift = steady.see(picture)
        if at_s >= next_s and len(kept) < SAMPLES_MAX:
            kept.append(steadied(picture, shift))
            next_s += max(SAMPLE_EVERY_S, min(clip.duration_s, LEARN_S) / SAMPLES_MAX)
        if at_s > LEARN_S:
            break
    return np.asarray(np.median(np.stack(kept), axis=0), np.uint8)


def learn_view(
    clip: Clip, camera: Camera, background: NDArray[np.uint8], network: Network | None
) -> View | None:
    """The road, its directions and sizes, from a first look."""
    motion, traffic = Motion(camera, background), Traffic(camera.id, None, network)
    for frame in clip.pictures():
        scene = motion.see(frame)
        if scene is not None:
            traffic.see(frame, scene)
        if clip.seconds(frame.observed_at_ns) > LEARN_S:
            break
    return traffic.learnt()


class Notes:
    """Events become what the evaluation tells."""

    def __init__(self) -> None:
        self._found = Found()
        self._open: dict[str, Incident] = {}
        self._health: State | None = None
        self._weather: dict[str, State] = {}
        self._at_ns = START_NS

    def take(self, events: list[AnyEvent], states: frozenset[str], at_ns: int) -> None:
        self._at_ns = at_ns
        self._found.frames += 1
        at_s = (at_ns - START_NS) / NS
        for state in states - self._weather.keys():
            self._weather[state] = State(state, round(at_s, 2), -1.0)
            self._found.states.append(self._weather[state])
        for state in self._weather.keys() - states:
            self._weather.pop(state).end_s = round(at_s, 2)
        for event in events:
            match event:
                case IncidentDetected():
                    since_s = round((event.first_seen_at_ns - START_NS) / NS, 2)
                    incident = Incident(
                        kind=event.kind.value,
                        start_s=round(at_s, 2),
                        end_s=-1.0,
                        confidence=event.confidence,
                        why=event.why,
                        seen_from_s=since_s,
                    )
                    self._open[event.incident] = incident
                    self._found.incidents.append(incident)
                case IncidentEnded() if event.incident in self._open:
                    self._open.pop(event.incident).end_s = round(at_s, 2)
                case CameraHealthObserved():
                    if self._health is not None:
                        self._health.end_s = round(at_s, 2)
                    self._health = None
                    if event.health not in (CameraHealth.OK, CameraHealth.UNKNOWN):
                        self._health = State(event.health.value, round(at_s, 2), -1.0)
                        self._found.states.append(self._health)
                case _:
                    pass

    def found(self, cpu_s: float) -> Found:
        end_s = round((self._at_ns - START_NS) / NS, 2)
        lasting: list[Incident | State] = [*self._found.incidents, *self._found.states]
        for one in lasting:
            if one.end_s < 0:
                one.end_s = end_s
        self._found.cpu_s = round(cpu_s, 3)
        self._found.duration_s = end_s
        return self._found
