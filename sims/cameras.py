"""Renders what the city's cameras see: streets, vehicles, signals, rain, water and night.

In come the vehicles, aspects, depths, rain and light of one moment; out comes one picture of one
camera, (H, W, 3) uint8 BGR, and apart from it its JPEG. What stands still is made once for a camera
(`streetscape.py`) and mixed once for a state of light, wet and water; a frame adds vehicles
(`vehicle_shapes.py`), lamps, rain, noise and the overlay.

Laws of this file:
1. The same arguments give the same picture, noise and rain included.
2. Vehicles stand where the traffic has them, heads show the aspects that they are given.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import cv2
import numpy as np
from numpy.typing import NDArray

from causeway.site import Camera, LonLat, Site
from sims.city import Network
from sims.optics import Floats, Optics, optics_of
from sims.painting import SKY_LOW, Colour, Layers, Pixels
from sims.streetscape import Head, Scene, build_scene
from sims.vehicle_shapes import SUBPIXEL_BITS, Figure, figures
from sims.vehicle_types import Vehicles

NS = 1_000_000_000
WATCHED_M = 100.0
JPEG_QUALITY = 80
NIGHT_AMBIENT = np.array((0.15, 0.12, 0.11), np.float32)  # BGR share of full daylight
LAMP_COLOUR = np.array((0.66, 0.86, 1.0), np.float32)
LAMP_GAIN = 1.5
MURKY = np.array((88, 108, 120), np.float32)
SEEN_THROUGH_M = 150.0  # houses hide what is farther away
DRY_VEIL_M = 900.0
RAIN_VEIL_M = 190.0  # in a cloudburst
CLOUDBURST_MM_H = 80.0
WET_FROM_MM_H = 1.0
RAIN_SEEN_FROM_MM_H = 0.5
LAMPS_SEEN_UNDER = 0.75  # daylight
POOLS_UNDER = 0.35
POOLS_MAX = 14
REFLECTED_UP_TO_M = 70.0
WADES_FROM_M = 0.02
HEAD_HEIGHT_M = 3.4
LENS_RADIUS_M = 0.24
LENSES = {"r": ((50, 50, 255), 0), "y": ((60, 210, 255), 1), "G": ((130, 255, 90), 2)}
DARK_LENS = (34, 36, 36)
TEXTURES = 4
BACKGROUNDS_MAX = 40

Bytes = NDArray[np.uint8]


class Light(NamedTuple):
    """`daylight` 0 (night) to 1 (noon); `lamps` the street lights' level, 0 to 1."""

    daylight: float
    lamps: float


def daylight_at(place: LonLat, at_ns: int) -> float:
    """Daylight under an overcast sky, 0 to 1, from the sun's height (Cooper 1969 declination)."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
    day = at.timetuple().tm_yday
    declination = math.radians(23.45 * math.sin(math.radians(360 * (284 + day) / 365)))
    b = math.radians(360 * (day - 81) / 364)
    equation_min = 9.87 * math.sin(2 * b) - 7.53 * math.cos(b) - 1.5 * math.sin(b)
    hours = at.hour + at.minute / 60 + at.second / 3600 + place.lon / 15 + equation_min / 60
    angle = math.radians(15 * (hours - 12))
    lat = math.radians(place.lat)
    height = math.sin(lat) * math.sin(declination)
    height += math.cos(lat) * math.cos(declination) * math.cos(angle)
    degrees = math.degrees(math.asin(max(-1.0, min(1.0, height))))
    # From civil dusk (-6 degrees) on it is night; from 20 degrees up an overcast day is full.
    return float(min(max((degrees + 6.0) / 26.0, 0.0), 1.0) ** 1.2)


def encode_jpeg(picture: Pixels) -> bytes:
    """The picture as a camera sends it."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"not encodable: shape {picture.shape}, type {picture.dtype}")
    return data.tobytes()


@dataclass(frozen=True)
class _Background:
    """The still part of a picture in one state of light, wet and water."""

    picture: Pixels
    water_m: Floats | None  # depth by pixel; None when all is dry
    ripples: Bytes | None  # how strongly ripples show
    ambient: Floats  # (3,)
    veil_m: float


@dataclass
class _View:
    """One camera: its optics, its scene, and the backgrounds mixed so far."""

    camera: Camera
    optics: Optics
    scene: Scene
    seed: int
    backgrounds: dict[tuple[int, ...], _Background]
    wet: float = 0.0
    wet_at_ns: int = 0


class CameraRenderer:
    """All cameras of a site."""

    def __init__(self, site: Site, network: Network, size: tuple[int, int] = (640, 360)) -> None:
        self._site = site
        self._network = network
        self._size = size
        self._zone = ZoneInfo(site.timezone)
        self._views: dict[Camera, _View] = {}
        self._font = cv2.FontFace("sans")
        random = np.random.default_rng(7)
        self._grain = _grain(size, random)
        self._streaks = _streaks(size, random)
        self._ripple = _ripple_texture(size, random)
        self._sprite = _sprite(64)

    def render(
        self,
        camera: Camera,
        vehicles: Vehicles,
        aspects: Mapping[str, str],
        depths_m: Mapping[str, float],
        rain_mm_h: float,
        light: Light,
        at_ns: int,
    ) -> Pixels:
        """One picture. `aspects` by junction (G y r o for each group), `depths_m` by segment."""
        view = self._view(camera)
        random = np.random.default_rng([view.seed, at_ns % (1 << 62)])
        wet = _wetness(view, rain_mm_h, at_ns)
        back = self._background(view, light, wet, depths_m, rain_mm_h)
        picture = back.picture.copy()
        if back.ripples is not None:
            self._shimmer(picture, back.ripples, rain_mm_h, random)
        shown = _in_reach(vehicles, view.optics)
        wade_m = _wade_m(shown, view.optics, back)
        every = figures(shown, view.optics, rain_mm_h > 2.0, wade_m)
        seen = [figure for figure in every if not _behind_a_house(figure, view)]
        self._paint_vehicles(picture, seen, wade_m, view, back, light, wet)
        self._paint_heads(picture, view, aspects, light)
        if light.daylight < LAMPS_SEEN_UNDER or rain_mm_h > 2.0:
            self._paint_lamps(picture, seen, shown, light, wet)
        self._paint_rain(picture, rain_mm_h, light, random)
        self._paint_noise(picture, light, random)
        self._paint_overlay(picture, camera.name, at_ns)
        return picture

    def road_polygon(self, camera: Camera) -> tuple[tuple[float, float], ...]:
        """The camera's own road in its picture, a polygon in shares of width and height.

        As far as vehicles are large enough to be told apart.
        """
        view = self._view(camera)
        road = (view.scene.watched > 0.5) & (view.optics.ground[2] < WATCHED_M)
        closed = cv2.morphologyEx(road.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        found, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if not found:
            return ((0.0, 1.0), (0.5, 0.3), (1.0, 1.0))
        largest = cv2.approxPolyDP(max(found, key=cv2.contourArea), 5.0, True)[:, 0, :]
        width, height = self._size
        return tuple(
            (round(float(x) / (width - 1), 3), round(float(y) / (height - 1), 3))
            for x, y in largest
        )

    def _view(self, camera: Camera) -> _View:
        view = self._views.get(camera)
        if view is None:
            optics = optics_of(camera, self._network.projection, self._size)
            scene = build_scene(self._site, self._network, camera, optics)
            view = _View(camera, optics, scene, zlib.crc32(camera.id.encode()), {})
            self._views[camera] = view
        return view

    # -- the still part

    def _background(
        self,
        view: _View,
        light: Light,
        wet: float,
        depths_m: Mapping[str, float],
        rain_mm_h: float,
    ) -> _Background:
        levels_cm = [round(depths_m.get(bed.segment, 0.0) * 100) for bed in view.scene.beds]
        rain = round(min(rain_mm_h / CLOUDBURST_MM_H, 1.0) * 8)
        lit = (round(light.daylight * 40), round(light.lamps * 10))
        key = (*lit, round(wet * 6), rain, *levels_cm)
        back = view.backgrounds.get(key)
        if back is None:
            if len(view.backgrounds) >= BACKGROUNDS_MAX // max(len(self._site.cameras), 1) + 1:
                view.backgrounds.pop(next(iter(view.backgrounds)))
            back = _mix(view, light, wet, levels_cm, rain / 8)
            view.backgrounds[key] = back
        return back

    def _shimmer(
        self, picture: Pixels, ripples: Bytes, rain_mm_h: float, random: np.random.Generator
    ) -> None:
        """Moving ripples on standing water, and rings where drops fall."""
        height, width = ripples.shape
        x, y = int(random.integers(64)), int(random.integers(64))
        moved = cv2.multiply(self._ripple[y : y + height, x : x + width], ripples, scale=1 / 255)
        cv2.add(picture, cv2.merge((moved, moved, moved)), dst=picture)
        drops = int(min(rain_mm_h, CLOUDBURST_MM_H) * 0.8)
        xs, ys = random.integers(0, width, drops), random.integers(height // 4, height, drops)
        for px, py in zip(xs.tolist(), ys.tolist(), strict=True):
            if ripples[py, px]:
                wide = 1 + int(6 * (py / height - 0.2))
                ring = (max(wide, 1), max(wide // 3, 1))
                b, g, r = picture[py, px].tolist()
                cv2.ellipse(picture, (px, py), ring, 0, 0, 360, (b + 28, g + 28, r + 28), 1)

    # -- what moves

    def _paint_vehicles(
        self,
        picture: Pixels,
        seen: list[Figure],
        wade_m: Floats,
        view: _View,
        back: _Background,
        light: Light,
        wet: float,
    ) -> None:
        lit = view.scene.direct.lit
        haze = np.array(SKY_LOW, np.float32) * back.ambient
        for figure in seen:
            x, y = _clipped(figure.shadow.mean(axis=0) / (1 << SUBPIXEL_BITS), view.optics)
            b, g, r = (float(v) for v in back.picture[y, x])
            wading = wade_m[figure.row] > WADES_FROM_M
            if not wading:
                dark = 0.62 - 0.1 * light.daylight
                cv2.fillConvexPoly(
                    picture,
                    figure.shadow,
                    (b * dark, g * dark, r * dark),
                    cv2.LINE_AA,
                    SUBPIXEL_BITS,
                )
            light_here = back.ambient + lit[y, x] * _lamp_gain(light) * LAMP_COLOUR
            veil = 1.0 - math.exp(-figure.far_m / back.veil_m)
            gain = tuple((light_here * (1 - veil)).tolist())
            base = tuple((haze * veil).tolist())
            if (wading or wet > 0.3) and figure.far_m < REFLECTED_UP_TO_M and figure.faces:
                _paint_reflection(picture, figure, (b, g, r), gain, 0.5 if wading else 0.15)
            _paint_figure(picture, figure, gain, base)

    def _paint_heads(
        self, picture: Pixels, view: _View, aspects: Mapping[str, str], light: Light
    ) -> None:
        """Signal heads on their posts, in the colours that are shown."""
        optics = view.optics
        for head in sorted(view.scene.heads, key=lambda h: -_head_far_m(h, optics)):
            shown = aspects.get(head.junction, "")
            aspect = shown[head.group] if head.group < len(shown) else "o"
            points = [(head.x_m, head.y_m, z) for z in (0.0, HEAD_HEIGHT_M, HEAD_HEIGHT_M + 1.7)]
            seen = optics.to_camera(np.array(points, np.float32))
            x, y = _clipped(optics.to_pixels(seen[0]), optics)
            if view.scene.walls[y, x] > 0.5:
                continue
            foot, low, high = (tuple(p) for p in optics.to_pixels(seen).tolist())
            scale = optics.focal_px / float(seen[1, 2])
            self._paint_head(picture, foot, low, high, scale, aspect, light)

    def _paint_head(
        self,
        picture: Pixels,
        foot: tuple[float, float],
        low: tuple[float, float],
        high: tuple[float, float],
        scale: float,
        aspect: str,
        light: Light,
    ) -> None:
        grey = 30 + 60 * light.daylight
        thick = max(round(0.14 * scale), 1)
        cv2.line(picture, _pixel(foot), _pixel(low), (grey, grey, grey), thick, cv2.LINE_AA)
        half = max(0.34 * scale, 2.0)
        corners = (_pixel((high[0] - half, high[1])), _pixel((low[0] + half, low[1])))
        cv2.rectangle(picture, corners[0], corners[1], (26, 28, 28), cv2.FILLED)
        radius = max(LENS_RADIUS_M * scale, 1.4)
        for letter, (colour, place) in LENSES.items():
            y = high[1] + (low[1] - high[1]) * (place + 0.5) / 3
            lit = letter == aspect
            at = (round(low[0] * 8), round(y * 8))
            shown = colour if lit else DARK_LENS
            cv2.circle(picture, at, round(radius * 8), shown, cv2.FILLED, cv2.LINE_AA, 3)
            if lit:
                strength = 0.55 + 0.35 * (1 - light.daylight)
                self._glow(picture, (low[0], y), radius * 4.5, colour, strength)

    def _paint_lamps(
        self, picture: Pixels, seen: list[Figure], vehicles: Vehicles, light: Light, wet: float
    ) -> None:
        """Headlamps and tail lamps, their light on the road, and their streaks on a wet one."""
        dark = 1.0 - light.daylight
        pools = 0
        for figure in reversed(seen):
            braking = float(vehicles["speed"][figure.row]) < 1.5
            colour: Colour = (215, 245, 255) if figure.towards else (40, 30, 255)
            strength = 0.9 * dark if figure.towards else (0.75 if braking else 0.4) * dark
            radius = max(0.32 * figure.lamp_px, 1.5) * (1.5 if figure.towards else 1.0)
            for x, y in figure.lamps.tolist():
                self._glow(picture, (x, y), radius, colour, strength + 0.1)
                if wet > 0.3 and figure.far_m < 110:
                    below = y + 0.9 * figure.lamp_px + radius
                    faint = strength * 0.45 * wet
                    self._glow(picture, (x, below), radius * 0.7, colour, faint, stretch=3.5)
            if figure.towards and light.daylight < POOLS_UNDER and pools < POOLS_MAX:
                pools += 1
                x, y = figure.shadow.mean(axis=0) / (1 << SUBPIXEL_BITS)
                reach = 2.6 * figure.lamp_px
                at = (float(x), float(y) + reach * 0.4)
                self._glow(picture, at, reach, (120, 160, 175), 0.28 * dark, stretch=0.35)

    def _glow(
        self,
        picture: Pixels,
        at: tuple[float, float],
        radius: float,
        colour: Colour,
        strength: float,
        stretch: float = 1.0,
    ) -> None:
        """Add a soft spot of light."""
        width, height = self._size
        half_x, half_y = max(round(radius), 1), max(round(radius * stretch), 1)
        left, top = round(at[0]) - half_x, round(at[1]) - half_y
        right, bottom = left + 2 * half_x + 1, top + 2 * half_y + 1
        if left >= width or top >= height or right <= 0 or bottom <= 0 or half_x > width:
            return
        spot = cv2.resize(self._sprite, (right - left, bottom - top))
        inner = spot[max(-top, 0) : height - top, max(-left, 0) : width - left]
        area = picture[max(top, 0) : bottom, max(left, 0) : right]
        tinted = inner[..., None] * np.array(colour, np.float32) * strength
        area[:] = cv2.add(area, tinted.astype(np.uint8))

    # -- the air, the sensor, the overlay

    def _paint_rain(
        self, picture: Pixels, rain_mm_h: float, light: Light, random: np.random.Generator
    ) -> None:
        if rain_mm_h < RAIN_SEEN_FROM_MM_H:
            return
        height, width = picture.shape[:2]
        share = min(rain_mm_h / CLOUDBURST_MM_H, 1.0) ** 0.6
        brightness = (0.35 + 0.65 * light.daylight) * (0.35 + 0.65 * share)
        for _ in range(1 + round(2 * share)):
            x, y = int(random.integers(64)), int(random.integers(160))
            layer = self._streaks[int(random.integers(TEXTURES))][y : y + height, x : x + width]
            faint = cv2.convertScaleAbs(layer, alpha=brightness)
            cv2.add(picture, cv2.merge((faint, faint, faint)), dst=picture)

    def _paint_noise(self, picture: Pixels, light: Light, random: np.random.Generator) -> None:
        """Sensor noise: stronger in the dark, where the camera turns up its gain."""
        height, width = picture.shape[:2]
        level = 0 if light.daylight > 0.5 else 1 if light.daylight > 0.15 else 2
        lighter, darker = self._grain[level]
        for texture, combine in ((lighter, cv2.add), (darker, cv2.subtract)):
            x, y = int(random.integers(64)), int(random.integers(64))
            combine(picture, texture[y : y + height, x : x + width], dst=picture)

    def _paint_overlay(self, picture: Pixels, name: str, at_ns: int) -> None:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
        clock = at.astimezone(self._zone).strftime("%d-%m-%Y  %H:%M:%S")
        height, width = picture.shape[:2]
        size = max(round(height * 0.042), 9)
        for text, x, y in ((name, 10, size + 8), (clock, width - round(size * 11.4), height - 9)):
            cv2.putText(picture, text, (x + 1, y + 1), (20, 20, 20), self._font, size, 500)
            cv2.putText(picture, text, (x, y), (240, 240, 240), self._font, size, 500)


# -- mixing the still part


def _mix(view: _View, light: Light, wet: float, levels_cm: list[int], rain: float) -> _Background:
    scene, optics = view.scene, view.optics
    day = light.daylight
    tint = np.array((1 + 0.22 * (1 - day), 1 + 0.06 * (1 - day), 1 - 0.04 * (1 - day)), np.float32)
    # A camera opens its iris as the light goes: dusk looks brighter to it than it is.
    ambient = (NIGHT_AMBIENT + day**0.6 * tint * (1 - 0.15 * rain)).astype(np.float32)
    veil_m = DRY_VEIL_M + (RAIN_VEIL_M - DRY_VEIL_M) * rain**0.5
    direct = _exposed(scene.direct, light, ambient)
    reach = optics.ground[2]
    mirrored = _exposed(scene.mirrored, light, ambient)
    grazing = np.clip(reach / np.float32(70), 0, 1)[..., None]
    if wet > 0:
        shine = cv2.blur(mirrored, (3, 25))
        road = (scene.road * scene.open)[..., None] * wet
        share = road * (0.16 + 0.34 * grazing)
        direct = (direct * (1 - 0.30 * road) * (1 - share) + shine * share).astype(np.float32)
    water_m = _water_m(scene, levels_cm)
    ripples = None
    if water_m is not None:
        direct, ripples = _flooded(direct, mirrored, water_m, scene, light, ambient, grazing)
    veil = (1 - np.exp(-np.minimum(reach, SEEN_THROUGH_M) / veil_m))[..., None]
    hazy = direct * (1 - veil) + np.array(SKY_LOW, np.float32) * ambient * veil
    picture = np.clip(hazy, 0, 255).astype(np.uint8)
    return _Background(picture, water_m, ripples, ambient, veil_m)


def _lamp_gain(light: Light) -> float:
    """How much the street lights count for the camera: much only once its iris is open."""
    return light.lamps * LAMP_GAIN * (1.0 - light.daylight) ** 2


def _exposed(layers: Layers, light: Light, ambient: Floats) -> Floats:
    """The view under daylight and lamps, with what shines by itself and its bloom."""
    lamps = layers.lit[..., None] * _lamp_gain(light) * LAMP_COLOUR
    shining = layers.glow.astype(np.float32) * min(1.0, 1.15 - light.daylight)
    bloom = cv2.GaussianBlur(shining, (0, 0), 7) * 0.55 * (1 - light.daylight)
    exposed: Floats = layers.day * (ambient + lamps) + shining * 0.9 + bloom
    return exposed


def _water_m(scene: Scene, levels_cm: list[int]) -> Floats | None:
    """The water's depth by pixel, from the depths over the low points; None when all is dry."""
    water_m: Floats | None = None
    for bed, level_cm in zip(scene.beds, levels_cm, strict=True):
        if level_cm > 0:
            over = np.maximum(np.float32(level_cm / 100) - bed.height_m, 0)
            water_m = over if water_m is None else np.maximum(water_m, over)
    return water_m if water_m is not None and bool((water_m > 0).any()) else None


def _flooded(
    dry: Floats,
    mirrored: Floats,
    water_m: Floats,
    scene: Scene,
    light: Light,
    ambient: Floats,
    grazing: Floats,
) -> tuple[Floats, Bytes]:
    """The view with standing water in it, and where its ripples show."""
    lamps = scene.direct.lit[..., None] * (0.5 * _lamp_gain(light)) * LAMP_COLOUR
    murky = MURKY * (ambient * 0.95 + lamps)
    sheen = cv2.blur(mirrored, (1, 7))
    share = 0.28 + 0.47 * grazing
    water = murky * (1 - share) + sheen * share
    cover = np.clip(water_m / 0.05, 0, 1)[..., None]
    cover = cover * 0.94 * scene.open[..., None]
    shore = np.clip(1 - np.abs(water_m - 0.012) / 0.012, 0, 1)[..., None] * 16 * ambient
    shore = shore * (1 - grazing) * scene.open[..., None]
    ripples = np.clip(water_m * scene.open * 2_500, 0, 110 * (0.25 + 0.75 * light.daylight))
    return dry * (1 - cover) + water * cover + shore, ripples.astype(np.uint8)


def _wetness(view: _View, rain_mm_h: float, at_ns: int) -> float:
    """How wet the road is, 0 to 1; it dries within half an hour."""
    dried = max(at_ns - view.wet_at_ns, 0) / (1_800 * NS)
    view.wet = max(view.wet - dried, min(rain_mm_h / WET_FROM_MM_H, 1.0), 0.0)
    view.wet_at_ns = at_ns
    return view.wet


# -- vehicles


def _in_reach(vehicles: Vehicles, optics: Optics) -> Vehicles:
    near = (np.abs(vehicles["x"] - optics.x_m) < 200) & (np.abs(vehicles["y"] - optics.y_m) < 200)
    chosen: Vehicles = vehicles[near]
    return chosen


def _wade_m(vehicles: Vehicles, optics: Optics, back: _Background) -> Floats:
    """The water's depth where each vehicle is."""
    if back.water_m is None or not len(vehicles):
        return np.zeros(len(vehicles), np.float32)
    angle = np.radians(vehicles["angle"])
    half = vehicles["length"] / 2
    place = np.column_stack(
        [
            vehicles["x"] - np.sin(angle) * half,
            vehicles["y"] - np.cos(angle) * half,
            np.zeros(len(vehicles)),
        ]
    )
    seen = optics.to_camera(place.astype(np.float32))
    pixels = np.round(optics.to_pixels(seen)).astype(np.intp)
    x = np.clip(pixels[:, 0], 0, optics.width - 1)
    y = np.clip(pixels[:, 1], 0, optics.height - 1)
    depth: Floats = np.where(seen[:, 2] > 1, back.water_m[y, x], 0).astype(np.float32)
    return depth


def _paint_figure(
    picture: Pixels, figure: Figure, gain: tuple[float, ...], base: tuple[float, ...]
) -> None:
    gain_b, gain_g, gain_r = gain
    base_b, base_g, base_r = base
    for points, (b, g, r) in figure.faces:
        colour = (b * gain_b + base_b, g * gain_g + base_g, r * gain_r + base_r)
        cv2.fillConvexPoly(picture, points, colour, cv2.LINE_AA, SUBPIXEL_BITS)
    if figure.head is not None:
        x, y, radius, (b, g, r) = figure.head
        colour = (b * gain_b + base_b, g * gain_g + base_g, r * gain_r + base_r)
        at = (round(x * 8), round(y * 8))
        cv2.circle(picture, at, max(round(radius * 8), 6), colour, cv2.FILLED, cv2.LINE_AA, 3)


def _paint_reflection(
    picture: Pixels,
    figure: Figure,
    ground: Colour,
    gain: tuple[float, ...],
    share: float,
) -> None:
    """The vehicle's outline upside down in the water or on the wet road."""
    points = np.concatenate([points for points, _ in figure.faces])
    base = int(points[:, 1].max())
    upside_down = points.copy()
    upside_down[:, 1] = base + (base - points[:, 1]) * 7 // 10
    hull = cv2.convexHull(upside_down)
    body = np.mean([paint for _, paint in figure.faces], axis=0).tolist()
    b, g, r = (
        under * (1 - share) + own * lit * share
        for under, own, lit in zip(ground, body, gain, strict=True)
    )
    cv2.fillConvexPoly(picture, hull, (b, g, r), cv2.LINE_AA, SUBPIXEL_BITS)


def _behind_a_house(figure: Figure, view: _View) -> bool:
    x, y = _clipped(figure.shadow.mean(axis=0) / (1 << SUBPIXEL_BITS), view.optics)
    return bool(view.scene.walls[y, x] > 0.5)


def _clipped(at: Floats, optics: Optics) -> tuple[int, int]:
    x, y = at.tolist()
    return min(max(int(x), 0), optics.width - 1), min(max(int(y), 0), optics.height - 1)


def _pixel(at: tuple[float, float]) -> tuple[int, int]:
    return round(at[0]), round(at[1])


def _head_far_m(head: Head, optics: Optics) -> float:
    return math.hypot(head.x_m - optics.x_m, head.y_m - optics.y_m)


# -- textures made once


def _grain(size: tuple[int, int], random: np.random.Generator) -> list[tuple[Bytes, Bytes]]:
    """For three gains, what noise adds and what it takes away; larger than a picture."""
    shape = (size[1] + 64, size[0] + 64, 3)
    textures: list[tuple[Bytes, Bytes]] = []
    for sigma in (2.2, 3.4, 4.8):
        noise = random.normal(0, sigma, shape).astype(np.float32)
        noise = noise * 0.7 + random.normal(0, sigma, (*shape[:2], 1)).astype(np.float32) * 0.7
        textures.append(
            (np.clip(noise, 0, 60).astype(np.uint8), np.clip(-noise, 0, 60).astype(np.uint8))
        )
    return textures


def _streaks(size: tuple[int, int], random: np.random.Generator) -> list[Bytes]:
    """Falling rain as a fast shutter sees it: short slanted lines."""
    layers: list[Bytes] = []
    for _ in range(TEXTURES):
        layer = np.zeros((size[1] + 160, size[0] + 64), np.uint8)
        for x, y, long, grey in _drops(layer.shape, random):
            end = (round(x - long * 0.12), round(y + long))
            cv2.line(layer, (round(x), round(y)), end, grey, 1, cv2.LINE_AA)
        layers.append(cv2.GaussianBlur(layer, (3, 3), 0).astype(np.uint8))
    return layers


def _drops(
    shape: tuple[int, ...], random: np.random.Generator
) -> Iterator[tuple[float, float, float, int]]:
    for _ in range(340):
        x, y = random.uniform(0, shape[1]), random.uniform(-30, shape[0])
        near = random.random() ** 3
        yield float(x), float(y), 7 + 34 * near, int(48 + 70 * near)


def _ripple_texture(size: tuple[int, int], random: np.random.Generator) -> Bytes:
    noise = random.normal(0, 1, (size[1] + 64, size[0] + 64)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=4.0, sigmaY=0.9)
    texture: Bytes = np.clip(smooth / smooth.std() * 26, 0, 80).astype(np.uint8)
    return texture


def _sprite(size: int) -> Floats:
    """A soft round spot, 1 in the middle, 0 at the rim."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    square = axis[:, None] ** 2 + axis[None, :] ** 2
    spot: Floats = np.clip(np.exp(-5 * square) - math.exp(-5), 0, 1).astype(np.float32)
    return spot
