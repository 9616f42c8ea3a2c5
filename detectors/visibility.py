"""Decides how far a camera sees: fog, and night.

In come reduced pictures, one a second is enough; out goes the set of states that have lasted.
Contrast falls with distance as exp(-k d) (Koschmieder 1924; the visual range is where 5 % is left),
and the air's own light lifts what is dark. So in fog even the best edges of a picture are weak; and
in mist the darkest parts are bright, and the far half of the picture has less contrast than the
near one, which a dull road seen from straight above has not. Night has the noise of an amplified
sensor without colour, or the colour of street lamps over black.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

NS = 1_000_000_000
WIDTH_PX = 320
MARGIN_SHARE = 0.06  # of the height, above and below: cameras write there
EVERY_S = 1.0
BEGINS_S, ENDS_S = 3.0, 10.0
BLUR_PX = 1.2  # takes the sensor's noise, and of an edge of the road little
EDGE_PX = 5
EDGE_QUANTILE = 0.97  # the best edges of the picture: posts, vehicles, markings
# Michelson contrast of the best edges. A black object against the sky keeps exp(-3 d / V) at the
# distance d and the visual range V: of things 200 m to 500 m away, where a camera's view of a road
# has its skyline, 0.1 to 0.5 are left at V = 1 km and half of that in blurred edges of 5 pixels.
FOG_CONTRAST = 0.135
VEIL_RATIO = 0.4  # of the brightest dark-channel value: the darkest parts, lifted by the air
FAR_RATIO = 0.85  # of the near half's contrast; the quantiles of one picture vary by 5 %
GREY_SATURATION, NOISE_LEVELS = 3.0, 2.5  # an amplified sensor without colour
LAMP_RATIO, BLACK_LEVEL = 1.5, 25.0  # red to blue of the lit road, and the darkest hundredth

Levels = NDArray[np.float32]


class Visibility:
    """One camera's visibility. `states` are those that stand: fog, night."""

    def __init__(self) -> None:
        self.states: frozenset[str] = frozenset()
        self._judged_ns = 0
        self._since_ns: dict[str, int] = {}

    def see(self, picture: NDArray[np.uint8], at_ns: int) -> frozenset[str]:
        """What stands after a picture (h, w, 3) BGR."""
        if 0 <= at_ns - self._judged_ns < EVERY_S * NS:
            return self.states
        self._judged_ns = at_ns
        seems = judged(picture)
        for state in ("fog", "night"):
            changing = (state in seems) != (state in self.states)
            if not changing:
                self._since_ns.pop(state, None)
                continue
            since_ns = self._since_ns.setdefault(state, at_ns)
            if at_ns - since_ns >= (BEGINS_S if state in seems else ENDS_S) * NS:
                self.states ^= {state}
                self._since_ns.pop(state)
        return self.states


def judged(picture: NDArray[np.uint8]) -> frozenset[str]:
    """What one picture seems to say."""
    small = _small(picture)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)
    return frozenset(
        state for state, so in (("fog", _fog(small, grey)), ("night", _night(small, grey))) if so
    )


def clearness(picture: NDArray[np.uint8]) -> float:
    """Michelson contrast of the best edges, 0 to 1: the less, the thicker the air."""
    grey = np.asarray(cv2.cvtColor(_small(picture), cv2.COLOR_BGR2GRAY), np.float32)
    return float(np.quantile(_contrast(grey), EDGE_QUANTILE))


def _fog(small: NDArray[np.uint8], grey: Levels) -> bool:
    contrast = _contrast(grey)
    if float(np.quantile(contrast, EDGE_QUANTILE)) < FOG_CONTRAST:
        return True
    dark = cv2.erode(small.min(axis=2), np.ones((9, 9), np.uint8))
    air = float(np.quantile(dark, 0.995))
    if float(np.quantile(cv2.GaussianBlur(grey, (0, 0), BLUR_PX), 0.02)) < VEIL_RATIO * air:
        return False
    height = len(grey)
    far = float(np.quantile(contrast[height // 8 : 2 * height // 5], 0.9))
    near = float(np.quantile(contrast[3 * height // 5 :], 0.9))
    return far < FAR_RATIO * near


def _night(small: NDArray[np.uint8], grey: Levels) -> bool:
    saturation = float(np.median(cv2.cvtColor(small, cv2.COLOR_BGR2HSV)[..., 1]))
    noise = float(np.median(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), BLUR_PX))))
    if saturation < GREY_SATURATION and noise > NOISE_LEVELS:
        return True
    near = small[len(small) // 2 :]
    blue, _, red = (float(np.median(near[..., n])) for n in range(3))
    return red > LAMP_RATIO * (blue + 1.0) and float(np.quantile(grey, 0.01)) < BLACK_LEVEL


def _contrast(grey: Levels) -> Levels:
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), BLUR_PX), np.float32)
    kernel = np.ones((EDGE_PX, EDGE_PX), np.uint8)
    high, low = cv2.dilate(smooth, kernel), cv2.erode(smooth, kernel)
    return np.asarray((high - low) / (high + low + 10.0), np.float32)


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = round(picture.shape[0] * WIDTH_PX / picture.shape[1])
    small = cv2.resize(picture, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    rim = round(height * MARGIN_SHARE)
    return np.asarray(small[rim : height - rim], np.uint8)
