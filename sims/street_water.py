"""Tells the simulated traffic where the simulated water stands: one small memory-mapped file.

The water process writes depth by segment, rain and the time; the traffic process reads. It is a
link inside the simulator, which the centre never sees. A writer counts up before and after it
writes, so that a reader takes only whole states (a sequence lock).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causeway.site import Site

READS_MAX = 16


def _layout(site: Site) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("count", np.uint64),  # odd while it is written
            ("site", np.uint64),
            ("at_ns", np.int64),
            ("rain_mm_h", np.float64),
            ("depth_m", np.float64, (len(site.segments),)),
        ]
    )


class StreetWater(NamedTuple):
    """A whole state; depths in the order of the site's segments."""

    at_ns: int
    rain_mm_h: float
    depth_m: NDArray[np.float64]


class StreetWaterWriter:
    """The water process's end."""

    def __init__(self, file: Path, site: Site) -> None:
        fresh = file.with_suffix(".new")
        self._map = np.memmap(fresh, _layout(site), "w+", shape=(1,))
        self._map["site"] = zlib.crc32(site.hash.encode())
        fresh.replace(file)

    def write(self, at_ns: int, rain_mm_h: float, depth_m: Sequence[float]) -> None:
        """Put a state in place of the last one."""
        row = self._map[0]
        row["count"] += np.uint64(1)
        row["at_ns"], row["rain_mm_h"], row["depth_m"] = at_ns, rain_mm_h, depth_m
        row["count"] += np.uint64(1)


class StreetWaterReader:
    """The traffic process's end."""

    def __init__(self, file: Path, site: Site) -> None:
        self._file = file
        self._layout = _layout(site)
        self._site = zlib.crc32(site.hash.encode())
        self._map: np.memmap[tuple[int, ...], np.dtype[np.void]] | None = None
        self._inode = 0

    def read(self) -> StreetWater | None:
        """The newest state; None while there is none of this site."""
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            return None
        if self._map is None or stat.st_ino != self._inode:  # the water process began anew
            if stat.st_size != self._layout.itemsize:
                return None
            self._map = np.memmap(self._file, self._layout, "r", shape=(1,))
            self._inode = stat.st_ino
        for _ in range(READS_MAX):
            before = int(self._map[0]["count"])
            row = self._map[0].copy()
            if before % 2 == 0 and int(self._map[0]["count"]) == before:
                break
        else:
            return None
        if row["site"] != self._site or before == 0:
            return None
        return StreetWater(int(row["at_ns"]), float(row["rain_mm_h"]), row["depth_m"])
