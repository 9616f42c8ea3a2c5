"""Evaluates what single pictures say: water on the road, and how far the camera sees.

In come picture files and folders of them; out go a `Still` each and, where their truth is known,
balanced accuracy and the area under the ROC curve with intervals. A picture that shows several on
white paper is cut into them, `NAME#1`, `NAME#2`, ... from the top left. A single picture has no
usual look, so of the two signs of water only sheen is judged. Its road is what `--roads` gives,
a TOML table by picture with `road` as in a site's camera and `camera`, whose pictures are left
out together; where the road is not known nothing is said of water.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.incidents.report import interval
from causeway.cli import Unusable
from detectors.motion import road_mask
from detectors.visibility import clearness, judged
from detectors.water import PATCH_SHARE_MIN, road_reduced, sheen_ratio

KINDS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
PAPER_LEVEL = 245
PART_SHARE_MIN, PARTS_GAP_PX = 0.01, 9  # of the sheet's area; what is nearer is one picture
FOG_M = 1_000.0  # the meteorologist's limit
RESAMPLES, SEED = 2_000, 1

Picture = NDArray[np.uint8]


class Road(Struct, forbid_unknown_fields=True):
    """What is known of a picture's camera."""

    camera: str
    road: tuple[tuple[float, float], ...]


class Still(Struct):
    """What a picture says, and what is true of it where that is known."""

    clearness: float
    states: list[str]
    camera: str = ""
    sheen_ratio: float = 0.0
    water: bool | None = None  # None: its road is not known
    true_water: bool | None = None
    visibility_m: float | None = None


def split(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Pictures, with those of folders, and all else."""
    pictures: list[Path] = []
    for path in paths:
        if path.is_dir():
            pictures += sorted(p for p in path.iterdir() if p.suffix.lower() in KINDS)
        elif path.suffix.lower() in KINDS:
            pictures.append(path)
    return pictures, [p for p in paths if not p.is_dir() and p.suffix.lower() not in KINDS]


def look(pictures: Sequence[Path], truth: Path | None, roads: Path | None) -> dict[str, Still]:
    """By name, the pictures as the detectors see them."""
    known = _roads(roads)
    truths = _truths(pictures, truth)
    stills: dict[str, Still] = {}
    for path in pictures:
        for name, picture in _cut(path):
            still = Still(round(clearness(picture), 4), sorted(judged(picture)))
            road = known.get(name) or known.get(path.name)
            if road is not None:
                mask = road_mask(road.road, *picture.shape[:2])
                sheen = sheen_ratio(*road_reduced(picture, mask))
                still.camera, still.sheen_ratio = road.camera, round(sheen, 4)
                still.water = sheen >= PATCH_SHARE_MIN
            water, still.visibility_m = truths.get(name) or truths.get(path.name) or (None, None)
            still.true_water = _in_name(path.stem) if water is None else water
            stills[name] = still
    return stills


def summary(stills: dict[str, Still]) -> dict[str, Any]:
    """Of those whose truth is known."""
    told: dict[str, Any] = {}
    wet = [s for s in stills.values() if s.true_water is not None and s.water is not None]
    if {s.true_water for s in wet} == {True, False}:
        truth = np.array([s.true_water for s in wet])
        told["water"] = _accuracy(truth, np.array([bool(s.water) for s in wet]))
        if len({s.camera for s in wet}) > 1:
            told["water_camera_left_out"] = _accuracy(truth, _left_out(wet))
    for light in ("day", "night"):
        seen = [s for s in stills.values() if s.visibility_m is not None]
        seen = [s for s in seen if ("night" in s.states) == (light == "night")]
        foggy = np.array([(s.visibility_m or 0.0) < FOG_M for s in seen], np.bool_)
        if foggy.any() and not foggy.all():
            scores = -np.array([s.clearness for s in seen])
            told[f"fog_{light}"] = _auc(foggy, scores) | {
                "said": sum("fog" in s.states for s, f in zip(seen, foggy, strict=True) if f),
                "said_falsely": sum(
                    "fog" in s.states for s, f in zip(seen, foggy, strict=True) if not f
                ),
            }
        elif seen:
            told[f"fog_{light}"] = {"foggy": int(foggy.sum()), "clear": int((~foggy).sum())}
    return told


def table(stills: dict[str, Still]) -> str:
    """One line a picture, and the sums."""
    width = max(len(name) for name in stills)
    lines = [f"{'picture':{width}}  {'sheen':>6}  {'clear':>6}  says"]
    for name, still in stills.items():
        says = [*(["water"] if still.water else []), *still.states]
        if None not in (still.true_water, still.water) and still.true_water != still.water:
            says.append("MISSED water" if still.true_water else "FALSE water")
        if still.visibility_m is not None:
            says.append(f"({still.visibility_m:.0f} m)")
        lines.append(
            f"{name:{width}}  {still.sheen_ratio:6.3f}  {still.clearness:6.3f}  {' '.join(says)}"
        )
    for what, told in summary(stills).items():
        lines.append(f"{what}: " + ", ".join(f"{k} {v}" for k, v in told.items()))
    return "\n".join(lines)


def _cut(path: Path) -> Iterator[tuple[str, Picture]]:
    """The picture, or those that a sheet of paper shows."""
    whole = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if whole is None:
        raise Unusable(f"{path}: no picture that can be read")
    inked = (whole.min(axis=2) < PAPER_LEVEL).astype(np.uint8)
    closed = cv2.morphologyEx(inked, cv2.MORPH_CLOSE, np.ones((PARTS_GAP_PX,) * 2, np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed)
    boxes = [s[:4].tolist() for s in stats[1:] if s[4] >= PART_SHARE_MIN * inked.size]
    if len(boxes) < 2 or any(w * h > inked.size / 2 for _, _, w, h in boxes):
        yield path.name, np.asarray(whole, np.uint8)
        return
    row = min(h for _, _, _, h in boxes) / 2
    for number, (x, y, w, h) in enumerate(sorted(boxes, key=lambda b: (b[1] // row, b[0])), 1):
        yield f"{path.name}#{number}", np.asarray(whole[y : y + h, x : x + w], np.uint8)


def _roads(path: Path | None) -> dict[str, Road]:
    if path is None:
        return {}
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, Road])
    except (OSError, ValueError, msgspec.ValidationError) as fault:
        raise Unusable(f"{path}: no roads that can be read: {fault}") from None


def _truths(
    pictures: Sequence[Path], truth: Path | None
) -> dict[str, tuple[bool | None, float | None]]:
    """By name, whether there is water and the visibility in metres, from the file that was named
    or `visibility.csv` beside the pictures: JSON {NAME: {"water": true, "visibility_m": 300}}, or
    CSV with the name and, last, the metres.
    """
    files = [truth] if truth is not None else [p.with_name("visibility.csv") for p in pictures]
    found: dict[str, tuple[bool | None, float | None]] = {}
    for file in dict.fromkeys(files):
        if truth is None and not file.is_file():
            continue
        try:
            if file.suffix == ".csv":
                with file.open(encoding="utf-8", newline="") as lines:
                    for row in list(csv.DictReader(lines)):
                        found[row["name"]] = (None, float(list(row.values())[-1]))
            else:
                raw = msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, Any]])
                found |= {n: (t.get("water"), t.get("visibility_m")) for n, t in raw.items()}
        except (OSError, ValueError, KeyError, msgspec.DecodeError) as fault:
            raise Unusable(f"{file}: no truth that can be read: {fault}") from None
    return found


def _in_name(stem: str) -> bool | None:
    """NAME_water and NAME_nowater say it themselves."""
    return {"water": True, "nowater": False}.get(stem.rpartition("_")[2])


def _left_out(stills: Sequence[Still]) -> NDArray[np.bool_]:
    """Each camera's pictures judged by the limit that was best for the other cameras."""
    said = np.zeros(len(stills), np.bool_)
    sheen = np.array([s.sheen_ratio for s in stills])
    truth = np.array([s.true_water for s in stills])
    for camera in {s.camera for s in stills}:
        out = np.array([s.camera == camera for s in stills])
        said[out] = sheen[out] >= _best_limit(sheen[~out], truth[~out])
    return said


def _best_limit(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Half-way between two scores, the lowest of the best."""
    if truth.all() or not truth.any():
        return PATCH_SHARE_MIN
    places = np.unique(scores)
    limits = (places[1:] + places[:-1]) / 2
    if not len(limits):
        return PATCH_SHARE_MIN
    return float(max(limits, key=lambda limit: (_balanced(truth, scores >= limit), -limit)))


def _balanced(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    return (float(said[truth].mean()) + float((~said[~truth]).mean())) / 2


def _accuracy(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> dict[str, Any]:
    """Shares with exact intervals, and their mean with one by resampling within each class."""
    hits, rejected = int(said[truth].sum()), int((~said[~truth]).sum())
    wet, dry = int(truth.sum()), int((~truth).sum())
    random = np.random.default_rng(SEED)
    means = (
        random.binomial(wet, hits / wet, RESAMPLES) / wet
        + random.binomial(dry, rejected / dry, RESAMPLES) / dry
    ) / 2
    return {
        "found": f"{hits} of {wet}",
        "found_95": [round(v, 2) for v in interval(hits, wet)],
        "rejected": f"{rejected} of {dry}",
        "rejected_95": [round(v, 2) for v in interval(rejected, dry)],
        "balanced_accuracy": round(_balanced(truth, said), 3),
        "balanced_95": [round(float(v), 2) for v in np.percentile(means, [2.5, 97.5])],
    }


def _auc(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, Any]:
    """The share of pairs in the right order, with an interval by resampling the pictures."""
    random = np.random.default_rng(SEED)
    yes, no = scores[truth], scores[~truth]

    def area(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        apart = a[:, None] - b[None, :]
        return float((apart > 0).mean() + (apart == 0).mean() / 2)

    areas = [area(random.choice(yes, len(yes)), random.choice(no, len(no))) for _ in range(500)]
    return {
        "auc": round(area(yes, no), 3),
        "auc_95": [round(float(v), 2) for v in np.percentile(areas, [2.5, 97.5])],
        "foggy": len(yes),
        "clear": len(no),
    }
