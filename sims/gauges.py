"""Decides what a simulated instrument says of a true value: resolution, noise, and what is wrong
with it.

In come the time and the truth; out go readings as the instrument would give them, or nothing when
it is dead. The same seed, times and truths give the same readings. `devices.py` publishes them,
and the PLCs' own level sensors are made of the same stuff.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import NamedTuple

import numpy as np

NS = 1_000_000_000
TIP_MM = 0.2  # WMO No. 8: the usual tipping bucket
TIP_WINDOW_S = 300.0


class Make(NamedTuple):
    """What a kind of instrument can do: last digit and standard deviation in its unit, period."""

    resolution: float
    noise: float
    period_s: float


MAKES: dict[str, Make] = {
    "stage_m": Make(0.01, 0.004, 10.0),  # radar
    "depth_m": Make(0.01, 0.003, 5.0),  # ultrasonic over the kerb
    "level_m": Make(0.01, 0.003, 10.0),  # pressure
    "rain_mm_h": Make(TIP_MM * 3_600 / TIP_WINDOW_S, 0.0, 10.0),
    "sump_m": Make(0.001, 0.002, 0.2),
    "inside_m": Make(0.001, 0.003, 0.2),
    "outside_m": Make(0.001, 0.004, 0.2),
    "power_kw": Make(0.01, 0.01, 10.0),
    "queue_veh": Make(1.0, 0.0, 5.0),
    "flow_veh_h": Make(1.0, 0.0, 5.0),
}
OTHER = Make(0.001, 0.0, 10.0)


class Ailment(NamedTuple):
    """What is wrong with an instrument since a time.

    `kind` is dead (says nothing), frozen (the last value again and again), drifting (`amount` more
    each hour), lying (`amount` beside the truth), or skewed (its clock is `amount` seconds ahead).
    """

    kind: str
    since_ns: int
    amount: float = 0.0


class Instrument:
    """One measured quantity of one device."""

    def __init__(self, point: str, quantity: str) -> None:
        self.make = MAKES.get(quantity, OTHER)
        self._rng = np.random.default_rng(zlib.crc32(point.encode()))
        self._bucket = TippingBucket() if quantity == "rain_mm_h" else None
        self._positive = quantity in ("depth_m", "rain_mm_h", "power_kw", "queue_veh", "flow_veh_h")
        self._ailments: dict[str, Ailment] = {}
        self._last: float | None = None

    def ail(self, ailment: Ailment) -> None:
        self._ailments[ailment.kind] = ailment

    def heal(self, kind: str) -> None:
        self._ailments.pop(kind, None)

    @property
    def clock_skew_ns(self) -> int:
        """How far the device's clock is ahead."""
        skewed = self._ailments.get("skewed")
        return 0 if skewed is None else int(skewed.amount * NS)

    def read(self, now_ns: int, truth: float) -> float | None:
        """What it says now; None when it says nothing."""
        if self._bucket is not None:
            truth = self._bucket.rate_mm_h(now_ns, truth)
        if "dead" in self._ailments:
            return None
        if "frozen" in self._ailments and self._last is not None:
            return self._last
        value = truth + float(self._rng.normal(0.0, 1.0)) * self.make.noise
        if (drifting := self._ailments.get("drifting")) is not None:
            value += drifting.amount * (now_ns - drifting.since_ns) / NS / 3_600
        if (lying := self._ailments.get("lying")) is not None:
            value += lying.amount
        digits = round(value / self.make.resolution) * self.make.resolution
        if self._positive and digits < 0:
            digits = 0.0
        self._last = round(digits, 6) + 0.0
        return self._last


class TippingBucket:
    """Rain as a bucket counts it: tips of 0.2 mm over the last five minutes.

    It has stood there before it is first asked, in the rain that falls then.
    """

    def __init__(self) -> None:
        self._mm = 0.0
        self._last_ns: int | None = None
        self._tips_ns: deque[int] = deque(maxlen=10_000)

    def rate_mm_h(self, now_ns: int, true_mm_h: float) -> float:
        if self._last_ns is not None:
            self._mm += true_mm_h * max(0, now_ns - self._last_ns) / NS / 3_600
        else:
            tips = int(true_mm_h * TIP_WINDOW_S / 3_600 / TIP_MM)
            apart_ns = int(TIP_WINDOW_S) * NS // max(tips, 1)
            self._tips_ns.extend(now_ns - i * apart_ns for i in reversed(range(tips)))
        self._last_ns = now_ns
        while self._mm >= TIP_MM:
            self._mm -= TIP_MM
            self._tips_ns.append(now_ns)
        while self._tips_ns and now_ns - self._tips_ns[0] >= TIP_WINDOW_S * NS:
            self._tips_ns.popleft()
        return len(self._tips_ns) * TIP_MM * 3_600 / TIP_WINDOW_S
