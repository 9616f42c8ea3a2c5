"""A small site as files, to be spoilt one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SITE = """\
[site]
id = "test"
name = "Thử"
name_en = "Test"
timezone = "Asia/Ho_Chi_Minh"
datum = "hon_dau"
centre = [106.7, 10.77]
credit = "nobody"
include = ["roads.toml", "plant.toml", "tide.toml"]

[[quantity]]
id = "stage_m"
unit = "m"
min = -4.0
max = 4.0
rate_max_per_s = 0.01

[[quantity]]
id = "queue_veh"
unit = "1"
min = 0
max = 500

[[quantity]]
id = "flow_veh_h"
unit = "1/h"
min = 0
max = 20000

[[quantity]]
id = "sump_m"
unit = "m"
min = -10
max = 5

[[quantity]]
id = "remote_bool"
unit = "1"
min = 0
max = 1

[[quantity]]
id = "power_kw"
unit = "kW"
min = 0
max = 5000

[[quantity]]
id = "running_bool"
unit = "1"
min = 0
max = 1

[[quantity]]
id = "flow_m3s"
unit = "m3/s"
min = 0
max = 50

[[quantity]]
id = "current_a"
unit = "A"
min = 0
max = 1000

[[quantity]]
id = "fault_bool"
unit = "1"
min = 0
max = 1

[[gauge]]
id = "tg-one"
name = "Một"
kind = "tide"
at = [106.71, 10.78]
quantities = ["stage_m"]
datum = "hon_dau"

[[tide_levels]]
gauge = "tg-one"
valid_from = 2020-01-01
levels_m = [1.4, 1.5, 1.6]
datum = "hon_dau"
source = "the province"
"""

ROADS = """\
[[segment]]
id = "rd-one"
name = "Một"
line = [[106.7, 10.77], [106.71, 10.77]]
lanes = 2
speed_limit_km_h = 50
low_point = [106.705, 10.77]
low_point_m = 1.2

[[junction]]
id = "j-one"
name = "Một"
at = [106.7, 10.77]
conflicts = [["n", "e"]]
group = [{ id = "n", segment = "rd-one" }, { id = "e" }]
stage = [{ id = "ns", green = ["n"] }, { id = "ew", green = ["e"] }]
"""

PLANT = """\
[[station]]
id = "ps-one"
name = "Một"
at = [106.7, 10.77]
plc = "plc-one"
sump_min_m = -2.0
datum = "hon_dau"
power_kw_max = 100

[[pump]]
id = "p-one"
station = "ps-one"
flow_m3s = 1.0
start_m = 0.5
stop_m = -0.5

[[plc]]
id = "plc-one"
name = "Một"
host = "127.0.0.1"
port = 5020
targets = ["p-one"]

[[plc.register]]
point = "ps-one/sump_m"
table = "input"
address = 0
type = "i16"
scale = 0.01

[[plc.register]]
point = "p-one/running_bool"
table = "discrete"
address = 0
type = "bool"
"""

TIDE = """\
[[tide]]
gauge = "tg-one"
datum = "hon_dau"
lat_deg = 10.8
mean_m = 0.1
from_ns = 1725148800000000000
to_ns = 1756684800000000000
constituents = [["M2", 0.7, 324.0]]

[tide.surge]
autocovariance_m2 = [0.01, 0.009]
leads_h = [1.0]
error_scores = [[-1.6, -1.3, -0.7, 0.0, 0.7, 1.3, 1.6]]
residual_scores = [-1.6, -1.3, -0.7, 0.0, 0.7, 1.3, 1.7]
"""

FILES = {"site.toml": SITE, "roads.toml": ROADS, "plant.toml": PLANT, "tide.toml": TIDE}

SiteWith = Callable[..., Path]


@pytest.fixture
def site_with(tmp_path: Path) -> SiteWith:
    """Write the site with one passage of one file replaced; gives its folder."""

    def write(file: str = "site.toml", old: str = "", new: str = "") -> Path:
        for name, text in FILES.items():
            if name == file and old:
                assert text.count(old) == 1, f"{old!r} stands in {name} {text.count(old)} times"
                text = text.replace(old, new)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write
