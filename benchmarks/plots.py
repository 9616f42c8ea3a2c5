"""What `causeway eval` writes: the folder of an evaluation; plots as panels in a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

INK, OTHER, MARK = "#333333", "#9aa5b1", "#0b6e99"
COLUMNS_MAX = 3

Panel = Callable[[Any], None]  # draws on matplotlib's Axes


def save_panels(
    panels: Sequence[Panel],
    size: Callable[[int, int], tuple[float, float]],
    label: str,
    stem: Path,
    say: Callable[[str], None],
    columns_max: int = COLUMNS_MAX,
) -> list[Path]:
    """PNG and SVG of that stem; none, and why, without matplotlib.

    `size` gives width and height in inches for so many columns and rows.
    """
    try:
        figures = import_module("matplotlib.figure")
    except ImportError:
        say("no plot: matplotlib is not installed (pip install 'causeway[eval]')")
        return []
    columns = min(columns_max, len(panels))
    rows = -(-len(panels) // columns)
    figure = figures.Figure(figsize=size(columns, rows), layout="constrained")
    for number, draw in enumerate(panels, 1):
        draw(figure.add_subplot(rows, columns, number))
    figure.supxlabel(label, fontsize=9)
    files = [stem.with_suffix(ending) for ending in (".png", ".svg")]
    for file in files:
        figure.savefig(file, dpi=150)
    return files


def write_all(
    folder: Path | None,
    name: str,
    text: str,
    found: object,
    plot: Callable[[Path], list[Path]],
    say: Callable[[str], None],
) -> None:
    """NAME.txt, NAME.json and what `plot` draws, into the folder; nothing without one."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(text + "\n")
    written = msgspec.json.format(msgspec.json.encode(found), indent=2)
    (folder / f"{name}.json").write_bytes(written)
    for file in plot(folder):
        say(f"written: {file}")


def framed(axes: Any, title: str) -> None:
    """Lines: the title at the left, a legend, no frame at the right and above."""
    axes.set_title(title, fontsize=9, loc="left")
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def bare(axes: Any, title: str) -> None:
    """Its title at the left, the first bar at the top, no frame at the right and above."""
    axes.set_title(title, fontsize=9, loc="left")
    axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
