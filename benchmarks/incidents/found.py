"""What was found in a video, and what was to be found: the words of `causeway eval detectors`.

`Truth` is read from a JSON file, one object a video by the video's name:
{"total": 27} or {"away_frames": {"car": [80], ...}} is the count; {"wrong_way": {"first_visible":
125, "leaves": 171}} and {"impact_frame": [180, 195]} are incidents by frame, "stopped" one that is
there all the time; {"incidents": [{"kind": "congestion", "start_s": 0, "end_s": 10}]} names any
other, and an empty list says that there is none. A video that is not in the file is not judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from causeway.cli import Unusable

EVER_S = 1e9
EARLY_S = 1.0  # a detector may see it before the eye that wrote the truth


class Incident(Struct):
    """An incident as it was said: `start_s` when it was said, `seen_from_s` since when it was so.

    `end_s` is the video's end where it has not ended.
    """

    kind: str
    start_s: float
    end_s: float
    confidence: float
    why: str
    seen_from_s: float


class State(Struct):
    """A state of the camera or the weather: lost, frozen, dark, blurred, blocked, moved, ..."""

    state: str
    start_s: float
    end_s: float


class Found(Struct):
    """What came of one video. `count` is None where nothing could be counted."""

    count: int | None = None
    incidents: list[Incident] = []
    states: list[State] = []
    cpu_s: float = 0.0
    duration_s: float = 0.0
    frames: int = 0
    error: str = ""
    synthetic: dict[str, float | None] = {}  # seconds until a made fault was told
    pictures: list[str] = []  # files of the report: one an incident


class Wanted(Struct):
    """An incident that is there, and until when it counts as found."""

    kind: str
    start_s: float = 0.0
    end_s: float = EVER_S


class Truth(Struct):
    """What one video shows; a collision may as well be said as what follows one."""

    count: int | None
    incidents: list[Wanted] | None  # None: nothing is known of incidents


ALSO = {"collision": ("collision", "stopped_vehicle", "pedestrian")}


def read_truth(path: Path, rates: dict[str, float]) -> dict[str, Truth]:
    """By video; `rates` are frames a second, by which its frames are times."""
    try:
        raw: dict[str, dict[str, Any]] = msgspec.json.decode(path.read_bytes(), type=dict)
        return {name: _truth(raw[name], fps) for name, fps in rates.items() if name in raw}
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as fault:
        raise Unusable(f"{path}: no truth that can be read: {fault}") from None


def _truth(raw: dict[str, Any], fps: float) -> Truth:
    count = raw.get("total", raw.get("count"))
    if count is None and "away_frames" in raw:
        count = sum(len(frames) for frames in raw["away_frames"].values())
    wanted = [Wanted(i["kind"], i["start_s"], i["end_s"]) for i in raw.get("incidents", ())]
    if "wrong_way" in raw:
        rider = raw["wrong_way"]
        first_s = rider["first_visible"] / fps
        wanted.append(Wanted("wrong_way", first_s, rider["leaves"] / fps))
    if "impact_frame" in raw:
        wanted.append(Wanted("collision", raw["impact_frame"][0] / fps, EVER_S))
    if "stopped" in raw:
        wanted.append(Wanted("stopped_vehicle"))
    return Truth(count, wanted)


def matched(wanted: Wanted, found: list[Incident]) -> Incident | None:
    """The first incident that says it: of its kind, and said while it is so."""
    kinds = ALSO.get(wanted.kind, (wanted.kind,))
    hits = [i for i in found if i.kind in kinds and i.end_s >= wanted.start_s]
    hits = [i for i in hits if wanted.start_s - EARLY_S <= i.start_s <= wanted.end_s]
    return min(hits, key=lambda i: i.start_s, default=None)


def false_alarms(truth: Truth, found: list[Incident]) -> list[Incident]:
    """Those that say nothing of what is there."""
    if truth.incidents is None:
        return []
    meant = [(ALSO.get(w.kind, (w.kind,)), w) for w in truth.incidents]
    return [
        i
        for i in found
        if not any(
            i.kind in kinds and i.end_s >= w.start_s and i.start_s <= w.end_s for kinds, w in meant
        )
    ]
