from __future__ import annotations

from datetime import datetime
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from causeway.site import Camera, Site, load_site
from sims.cameras import CameraRenderer, Light, daylight_at, encode_jpeg
from sims.city import Network, build_network
from sims.optics import Optics, optics_of
from sims.passability import KINDS
from sims.vehicle_types import DRAWN, VEHICLE, Vehicles

NS = 1_000_000_000
AT_NS = int(datetime.fromisoformat("2025-11-06T17:20:00+07:00").timestamp()) * NS
DAY = Light(0.8, 0.0)
NIGHT = Light(0.0, 1.0)
EMPTY: Vehicles = np.zeros(0, VEHICLE)
BUILT: dict[str, Street] = {}  # a view takes a second to build; all tests look at the same


class Street:
    """The grid's one camera: on the middle of rd-ew01, looking east to j-10, 95 m away."""

    def __init__(self, site: Site, network: Network) -> None:
        self.network = network
        self.camera: Camera = site.cameras[0]
        self.renderer = CameraRenderer(site, network)
        self.optics: Optics = optics_of(self.camera, network.projection, (640, 360))

    def see(
        self,
        vehicles: Vehicles = EMPTY,
        aspects: str = "rrrr",
        depth_m: float = 0.0,
        rain_mm_h: float = 0.0,
        light: Light = DAY,
        at_ns: int = AT_NS,
    ) -> NDArray[np.uint8]:
        depths = {"rd-ew01": depth_m}
        shown = {"j-10": aspects}
        return self.renderer.render(self.camera, vehicles, shown, depths, rain_mm_h, light, at_ns)

    def pixel(self, forward_m: float, right_m: float, up_m: float) -> tuple[int, int]:
        """Where a point is in the picture, in metres from below the camera; it looks east."""
        place = (self.optics.x_m + forward_m, self.optics.y_m - right_m, up_m)
        seen = self.optics.to_camera(np.array(place, np.float32))
        x, y = self.optics.to_pixels(seen).tolist()
        return round(x), round(y)

    def vehicle(self, type_: str, forward_m: float, right_m: float, angle: float = 90) -> Vehicles:
        """One vehicle; `forward_m` and `right_m` of its front."""
        kind, length_m, width_m = DRAWN[type_]
        x_m, y_m = self.optics.x_m + forward_m, self.optics.y_m - right_m
        return np.array([(7, kind, x_m, y_m, angle, 8.0, length_m, width_m)], VEHICLE)


@pytest.fixture
def street(grid_folder: Path, tmp_path: Path) -> Street:
    site = load_site(grid_folder)
    if site.hash not in BUILT:
        BUILT[site.hash] = Street(site, build_network(site, tmp_path / "work"))
    return BUILT[site.hash]


def changed(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where two pictures differ by more than their noise could."""
    differs: NDArray[np.bool_] = np.abs(a.astype(int) - b.astype(int)).max(axis=2) > 12
    return differs


def test_the_ground_of_a_pixel_is_projected_back_to_that_pixel(street: Street) -> None:
    x, y, reach = street.optics.ground
    for row, column in ((300, 100), (200, 500), (120, 320)):
        assert np.isfinite(reach[row, column])
        place = np.array((x[row, column], y[row, column], 0.0), np.float32)
        pixel = street.optics.to_pixels(street.optics.to_camera(place))
        assert pixel.tolist() == pytest.approx([column + 0.5, row + 0.5], abs=0.05)
    assert np.isinf(reach[10, 320])


@pytest.mark.parametrize("type_", ["wary", "car", "bus", "truck"])
def test_a_vehicle_is_drawn_where_the_traffic_has_it(street: Street, type_: str) -> None:
    vehicle = street.vehicle(type_, 32.0, 3.0)
    rows, columns = np.nonzero(changed(street.see(vehicle), street.see()))
    length_m, width_m = float(vehicle["length"][0]), float(vehicle["width"][0])
    left, bottom = street.pixel(32.0 - length_m, 3.0 - width_m / 2, 0.0)
    right, _ = street.pixel(32.0 - length_m, 3.0 + width_m / 2, 0.0)
    assert np.percentile(columns, 5) > left - 12
    assert np.percentile(columns, 95) < right + 12
    assert abs(int(rows.max()) - bottom) < 8
    assert len(rows) > 60


def test_a_motorbike_is_narrower_than_tall_and_a_car_is_not(street: Street) -> None:
    def shape(type_: str) -> float:
        rows, columns = np.nonzero(
            changed(street.see(street.vehicle(type_, 30.0, 3.0)), street.see())
        )
        return float(np.ptp(rows) / np.ptp(columns))

    assert shape("wary") > 1.3
    assert shape("car") < 1.1


def test_vehicles_behind_the_camera_are_not_drawn(street: Street) -> None:
    behind = street.vehicle("bus", -20.0, 3.0)
    assert not changed(street.see(behind), street.see()).any()


@pytest.mark.parametrize(
    ("aspect", "channel"), [("r", 2), ("G", 1)], ids=["red is red", "green is green"]
)
def test_signal_heads_show_the_colour_of_their_group(
    street: Street, aspect: str, channel: int
) -> None:
    lit = street.see(aspects=aspect + "ooo").astype(int)
    unlit = street.see(aspects="oooo").astype(int)
    gain = np.clip(lit - unlit, 0, None)
    place = np.unravel_index(int(gain.sum(axis=2).argmax()), gain.shape[:2])
    assert gain[place].argmax() == channel
    head = next(h for h in street.renderer._view(street.camera).scene.heads if h.group == 0)
    x, y = street.pixel(head.x_m - street.optics.x_m, street.optics.y_m - head.y_m, 4.2)
    assert abs(int(place[0]) - y) < 12
    others = street.see(aspects="o" + aspect * 3)
    assert changed(others, street.see(aspects="oooo")).sum() <= changed(lit, unlit).sum()
    assert place[1] < x + 12  # this head, or its twin over the middle of the road


def test_water_spreads_over_the_street_as_it_rises(street: Street) -> None:
    dry = street.see()
    spread = [int(changed(street.see(depth_m=d), dry).sum()) for d in (0.03, 0.1, 0.2, 0.35)]
    assert spread == sorted(spread)
    assert spread[0] < spread[-1] / 4
    assert spread[-1] > 40_000  # of 230,400 pixels
    wet = changed(street.see(depth_m=0.35), dry)
    assert not wet[:60].any()  # the sky stays dry


def test_a_vehicle_sinks_into_deep_water(street: Street) -> None:
    car = street.vehicle("car", 30.0, 3.0)
    on_road = changed(street.see(car), street.see())
    bottom = np.nonzero(on_road)[0].max()
    x, y = street.pixel(30.0 - 4.4, 3.0, 0.0)
    assert abs(int(bottom) - y) < 8
    in_water = street.see(car, depth_m=0.5)
    tyres = in_water[y - 3 : y, x - 8 : x + 8].astype(int)
    assert tyres.mean() > street.see(car)[y - 3 : y, x - 8 : x + 8].mean() + 15


def test_night_is_dark_but_for_its_lamps(street: Street) -> None:
    road = np.s_[200:330, 200:440]
    day, lamps, dark = (
        float(street.see(light=light)[road].mean()) for light in (DAY, NIGHT, Light(0.0, 0.0))
    )
    assert dark < 0.35 * day
    assert dark < 0.7 * lamps < 0.7 * day


def test_oncoming_headlamps_shine_at_night_only(street: Street) -> None:
    coming = street.vehicle("car", 30.0, -4.0, angle=270)
    x, y = street.pixel(30.0, -4.0 - 0.38 * 1.75, 0.65)
    spot = np.s_[y - 3 : y + 4, x - 3 : x + 4]
    night = street.see(coming, light=NIGHT)[spot].astype(float)
    assert night.max(axis=2).mean() > 190
    assert night.mean() > street.see(light=NIGHT)[spot].mean() + 80


def test_rain_veils_the_distance_and_wets_the_road(street: Street) -> None:
    dry, pouring = street.see(), street.see(rain_mm_h=80.0, at_ns=AT_NS + NS)
    far = np.s_[88:112, 250:400]
    assert pouring[far].std() < dry[far].std()
    after = street.see(at_ns=AT_NS + 60 * NS)
    assert changed(after, dry)[150:330].mean() > 0.02  # still wet a minute later
    much_later = street.see(at_ns=AT_NS + 7_200 * NS)
    assert changed(much_later, dry)[150:330].mean() < 0.001


def test_the_same_arguments_give_the_same_picture_and_time_gives_new_noise(
    street: Street,
) -> None:
    later = AT_NS + 20_000 * NS
    first, second = (street.see(rain_mm_h=30.0, at_ns=later) for _ in range(2))
    assert np.array_equal(first, second)
    a, b = street.see(at_ns=later + 9_000 * NS), street.see(at_ns=later + 9_001 * NS)
    difference = np.abs(a.astype(int) - b.astype(int))[60:300]
    assert 1.0 < difference.mean() < 6.0


def test_the_overlay_tells_the_local_time(street: Street) -> None:
    clock = np.s_[330:360, 400:640]
    a, b = (street.see(at_ns=at) for at in (AT_NS + 40_000 * NS, AT_NS + 40_001 * NS))
    assert changed(a[clock], b[clock]).mean() > 0.004
    assert changed(a[60:300], b[60:300]).mean() < 0.01


def test_a_picture_is_some_tens_of_kilobytes(street: Street) -> None:
    data = encode_jpeg(street.see(street.vehicle("wary", 25.0, 2.0), rain_mm_h=20.0, depth_m=0.2))
    assert 15_000 < len(data) < 90_000
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (360, 640, 3)


def test_the_road_polygon_holds_the_lanes_and_not_the_pavement(street: Street) -> None:
    shares = street.renderer.road_polygon(street.camera)
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in shares)
    polygon = np.array([(x * 639, y * 359) for x, y in shares], np.float32)

    def inside(forward_m: float, right_m: float) -> bool:
        x, y = street.pixel(forward_m, right_m, 0.0)
        return cv2.pointPolygonTest(polygon, (float(x), float(y)), False) > 0

    assert all(inside(forward, right) for forward in (20, 40, 70) for right in (-5, -2, 2, 5))
    assert not any(inside(forward, right) for forward in (25, 40) for right in (-9, 9))


def test_a_turned_camera_sees_another_street(street: Street) -> None:
    turned = msgspec.structs.replace(street.camera, bearing_deg=270.0)
    other = street.renderer.render(turned, EMPTY, {}, {}, 0.0, DAY, AT_NS)
    assert changed(other, street.see()).mean() > 0.3


def test_daylight_follows_the_sun_of_the_place(street: Street) -> None:
    at = [f"2025-11-06T{clock}:00+07:00" for clock in ("00:00", "05:30", "08:00", "12:00")]
    morning = [
        daylight_at(street.camera.at, int(datetime.fromisoformat(a).timestamp()) * NS) for a in at
    ]
    assert morning[0] == 0.0
    assert morning == sorted(morning)
    assert morning[-1] == 1.0
    dusk = [daylight_at(street.camera.at, AT_NS + m * 60 * NS) for m in range(0, 60, 5)]
    assert dusk == sorted(dusk, reverse=True)
    assert 0.1 < dusk[0] < 0.6
    assert dusk[-1] == 0.0


def test_every_kind_of_vehicle_has_a_shape(street: Street) -> None:
    for type_, (kind, _, _) in DRAWN.items():
        assert KINDS[kind]
        near, far = street.vehicle(type_, 30.0, 2.0), street.vehicle(type_, 75.0, 2.0)
        assert changed(street.see(near), street.see()).sum() > 60
        assert changed(street.see(far), street.see()).sum() > 8
