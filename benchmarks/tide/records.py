"""Reads records of water level: CSV, Rijkswaterstaat's DONAR export, days and millimetres.

In comes a file, out go times and levels in metres, as they stand there: what is unusual in them
is for `control/inundation/harmonics.py` to find. The form is told by the content, never by the
file's name. A file that cannot be read is refused with line, what was seen and what was expected.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causeway.cli import Unusable

S_NS = 1_000_000_000
DAY_NS = 86_400 * S_NS
DAYS_1700_TO_1970 = 98_615  # the asc form counts days from 1700-01-01
DONAR_MISSING = 99  # its quality code; also the value 999999999 of either sign
DONAR_UNITS_M = {"cm": 0.01, "mm": 0.001, "m": 1.0}
STEP_S = {"min": 60, "s": 1, "h": 3_600}


class Record(NamedTuple):
    """Times (n,) and levels (n,) in metres above the record's own plane; NaN where none is."""

    name: str
    at_ns: NDArray[np.int64]
    level_m: NDArray[np.float64]


def read_record(file: Path) -> Record:
    """One file; raises Unusable with its line."""
    try:
        text = file.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise Unusable(f"{file}: cannot be read: {error}") from error
    first = text.lstrip()[:200].lower()
    if first.startswith("[idt"):
        at_ns, level_m = _donar(file, text)
    elif first.startswith("time"):
        at_ns, level_m = _csv(file, text)
    else:
        at_ns, level_m = _days_and_mm(file, text)
    return Record(file.stem, np.array(at_ns, np.int64), np.array(level_m, float))


def write_csv(file: Path, at_ns: NDArray[np.int64], level_m: NDArray[np.float64]) -> None:
    """The CSV that `read_record` reads: ISO 8601 times in UTC, levels to the millimetre."""
    with file.open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(("time", "level"))
        for at, level in zip(at_ns.tolist(), level_m.tolist(), strict=True):
            when = datetime.fromtimestamp(at // S_NS, UTC)
            rows.writerow((when.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{level:.3f}"))


def _csv(file: Path, text: str) -> tuple[list[int], list[float]]:
    rows = csv.reader(text.splitlines())
    header = [name.strip().lower() for name in next(rows)]
    if header[:2] != ["time", "level"]:
        raise Unusable(f"{file}:1: seen {','.join(header)!r}, expected time,level (metres)")
    at_ns, level_m = [], []
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        try:
            when = datetime.fromisoformat(row[0].strip())
            level = float(row[1]) if row[1].strip() else math.nan
        except (ValueError, IndexError):
            raise Unusable(
                f"{file}:{number}: seen {','.join(row)!r}, expected an ISO 8601 time and metres"
            ) from None
        if when.tzinfo is None:
            raise Unusable(f"{file}:{number}: {row[0]!r} has no offset; expected ...Z or ...+07:00")
        at_ns.append(round(when.timestamp()) * S_NS)
        level_m.append(level)
    return at_ns, level_m


def _days_and_mm(file: Path, text: str) -> tuple[list[int], list[float]]:
    """Two columns, days since 1700-01-01 and millimetres, as of UHSLC's Honolulu."""
    at_ns, level_m = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            days, level_mm = (float(word) for word in line.split())
            seconds = round((days - DAYS_1700_TO_1970) * 86_400)
        except (ValueError, OverflowError):
            raise Unusable(
                f"{file}:{number}: seen {line.strip()[:60]!r}, expected time,level as CSV, a DONAR "
                "export, or days since 1700 and millimetres"
            ) from None
        at_ns.append(seconds * S_NS)
        level_m.append(level_mm / 1_000)
    return at_ns, level_m


def _donar(file: Path, text: str) -> tuple[list[int], list[float]]:
    """One equidistant series: the header's first time, step and unit, then `value/quality:`."""
    head, found, body = text.partition("[WRD]")
    if not found:
        raise Unusable(f"{file}:1: a DONAR export without [WRD], where its values begin")
    fields = dict(_fields(head))
    try:
        start, clock, _, _, step, unit = fields["TYD"][:6]
        first = datetime.strptime(start + clock, "%Y%m%d%H%M").replace(tzinfo=UTC)
        step_ns = int(step) * STEP_S[unit] * S_NS
        scale_m = DONAR_UNITS_M[fields["EHD"][-1]]
    except (KeyError, ValueError) as error:
        raise Unusable(
            f"{file}: DONAR header: {error!r}; expected TYD;DATE;TIME;DATE;TIME;STEP;min "
            "and EHD;I;cm"
        ) from None
    level_m = []
    for word in re.findall(r"[^:\s]+", body):
        value, _, quality = word.partition("/")
        try:
            missing = int(quality) >= DONAR_MISSING or abs(int(value)) >= 999_999_999
            level_m.append(math.nan if missing else int(value) * scale_m)
        except ValueError:
            line = text[: text.index(word, len(head))].count("\n") + 1
            raise Unusable(f"{file}:{line}: seen {word!r}, expected VALUE/QUALITY") from None
    first_ns = int(first.timestamp()) * S_NS
    return [first_ns + i * step_ns for i in range(len(level_m))], level_m


def _fields(head: str) -> Iterator[tuple[str, list[str]]]:
    for line in head.splitlines():
        name, *values = line.strip().split(";")
        yield name, values
