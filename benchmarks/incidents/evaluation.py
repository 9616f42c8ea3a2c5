"""Evaluates the camera detectors on videos and pictures: `causeway eval detectors`.

Each video is decoded and watched in a process of its own, since some files abort the decoder; such
a one is told as broken; single pictures are looked at by `stills.py`. What comes out is compared
with the truth where there is one, and told as a table, as JSON and as a page with pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct
from tqdm import tqdm

from benchmarks.incidents import stills
from benchmarks.incidents.found import Found, State, Truth, read_truth
from benchmarks.incidents.looking import Asked, Done
from benchmarks.incidents.report import made_table, page, summary, synthetic, table
from benchmarks.pool import STOP_TIMEOUT_S, whole_lines
from causeway.children import CAUSEWAY as COMMAND
from causeway.children import Child, Children
from causeway.cli import Unusable

Say = Callable[[str], None]


class Options(Struct, frozen=True):
    """What is evaluated."""

    videos: tuple[Path, ...]
    truth: Path | None = None
    roads: Path | None = None  # of single pictures
    model: Path | None = None
    annotate: Path | None = None
    report: Path | None = None
    fps: float = 10.0
    synthetic: bool = False


def evaluate(options: Options, say: Say) -> dict[str, object]:
    """Watch all, say the table, write the page; gives what `--json` prints."""
    pictures, videos = stills.split(options.videos)
    if not pictures and not videos:
        raise Unusable("no video and no picture in what was named")
    options = msgspec.structs.replace(options, videos=tuple(videos))
    _check(options)
    seen = stills.look(pictures, options.truth, options.roads)
    if seen:
        say(stills.table(seen))
    if not videos and seen:
        return {"stills": msgspec.to_builtins(seen), "summary": stills.summary(seen)}
    with tempfile.TemporaryDirectory(prefix="causeway-eval-") as work:
        done = asyncio.run(_evaluate(options, Path(work)))
        founds = {name: found for name, (found, _) in done.items()}
        truths = _truths(options, {name: fps for name, (_, fps) in done.items()})
        say(table(founds, truths))
        made = synthetic(founds)
        if options.synthetic:
            say(made_table(made))
        if options.report is not None:
            options.report.write_text(page(founds, truths, Path(work)), encoding="utf-8")
            say(f"written: {options.report}")
    return {
        "videos": {name: msgspec.to_builtins(found) for name, found in founds.items()},
        "summary": summary(founds, truths),
        "synthetic": made,
        "stills": msgspec.to_builtins(seen),
        "stills_summary": stills.summary(seen),
    }


def _check(options: Options) -> None:
    for path in options.videos:
        if not path.is_file():
            raise Unusable(f"no video {str(path)!r}")
    names = [path.name for path in options.videos]
    doubles = [name for name in names if names.count(name) > 1]
    if doubles:
        raise Unusable(f"two videos are named {doubles[0]!r}: results are by name")
    if options.model is not None and not options.model.is_file():
        raise Unusable(f"no model {str(options.model)!r}")
    if options.annotate is not None and len(options.videos) > 1:
        raise Unusable("--annotate takes one video")


def _truths(options: Options, rates: dict[str, float]) -> dict[str, Truth]:
    """The truth that was named, or what lies beside the videos."""
    if options.truth is not None and options.truth.suffix == ".json":
        return read_truth(options.truth, rates)
    found: dict[str, Truth] = {}
    for folder in dict.fromkeys(path.parent for path in options.videos):
        if (folder / "truth.json").is_file():
            found |= read_truth(folder / "truth.json", rates)
    return found


async def _evaluate(options: Options, work: Path) -> dict[str, tuple[Found, float]]:
    """By video: what was found, and its frames a second (0 where it cannot be read)."""
    children = Children(work / "log")
    founds: dict[str, tuple[Found, float]] = {}
    quiet = 0.5 if sys.stderr.isatty() else 30.0
    try:
        with tqdm(desc="watched", unit="frame", file=sys.stderr, mininterval=quiet) as bar:
            for number, video in enumerate(options.videos, 1):
                asked = Asked(
                    video=str(video.resolve()),
                    fps=options.fps,
                    model=str(options.model.resolve()) if options.model else "",
                    annotate=str(options.annotate.resolve()) if options.annotate else "",
                    synthetic=number if options.synthetic else None,
                    pictures=str(work) if options.report else "",
                )
                founds[video.name] = await _one(children, f"video-{number}", asked, bar)
    finally:
        await children.stop_all(STOP_TIMEOUT_S)
    return founds


async def _one(
    children: Children, name: str, asked: Asked, bar: tqdm[NoReturn]
) -> tuple[Found, float]:
    child = await children.start(name, [COMMAND, "eval-detectors-run"], pipes=True)
    child.writer.write(msgspec.json.encode(asked) + b"\n")
    with contextlib.suppress(ConnectionError):
        await child.writer.drain()
    last = Done()
    async for line in whole_lines(child.reader):
        last = msgspec.json.decode(line, type=Done)
        bar.update(1 if last.found is None else 0)
    await child.again(child.runs)
    if last.found is None:
        why = last.error or _why(child)
        return Found(error=why, states=[State("lost", 0.0, 0.0)]), 0.0
    return last.found, last.fps


def _why(child: Child) -> str:
    said = child.log_tail(200).splitlines()
    word = said[-1] if said else "no word"
    return f"the decoding process ended with code {child.exit_code}: {word}"
