"""A small plant: a PLC with two pumps and a gate, a PLC with one pump, and what else obeys."""

from __future__ import annotations

from pathlib import Path

import pytest

from causeway.site import Site, load_site

PLANT = """
[site]
id = "plant"
name = "Trạm thử"
name_en = "Test plant"
timezone = "Asia/Ho_Chi_Minh"
datum = "hon_dau"
centre = [106.70, 10.77]
credit = "made up"

[[quantity]]
id = "sump_m"
unit = "m"
min = -10.0
max = 10.0
[[quantity]]
id = "remote_bool"
unit = ""
min = 0.0
max = 1.0
[[quantity]]
id = "power_kw"
unit = "kW"
min = 0.0
max = 5000.0
[[quantity]]
id = "running_bool"
unit = ""
min = 0.0
max = 1.0
[[quantity]]
id = "flow_m3s"
unit = "m3/s"
min = 0.0
max = 50.0
[[quantity]]
id = "current_a"
unit = "A"
min = 0.0
max = 1000.0
[[quantity]]
id = "fault_bool"
unit = ""
min = 0.0
max = 1.0
[[quantity]]
id = "opening_ratio"
unit = ""
min = 0.0
max = 1.0
[[quantity]]
id = "inside_m"
unit = "m"
min = -10.0
max = 10.0
[[quantity]]
id = "outside_m"
unit = "m"
min = -10.0
max = 10.0
[[quantity]]
id = "moving_bool"
unit = ""
min = 0.0
max = 1.0
[[quantity]]
id = "queue_veh"
unit = "veh"
min = 0.0
max = 500.0
[[quantity]]
id = "flow_veh_h"
unit = "veh/h"
min = 0.0
max = 9000.0

[[plc]]
id = "plc-1"
name = "Nhiêu Lộc"
host = "127.0.0.1"
port = 1502
targets = ["p-1", "p-2", "g-1"]
register = []
[[plc]]
id = "plc-2"
name = "Bình Triệu"
host = "127.0.0.1"
port = 1503
targets = ["p-3"]
register = []

[[station]]
id = "ps-1"
name = "Nhiêu Lộc"
at = [106.70, 10.77]
plc = "plc-1"
sump_min_m = -2.0
datum = "hon_dau"
power_kw_max = 100.0
[[station]]
id = "ps-2"
name = "Bình Triệu"
at = [106.71, 10.78]
plc = "plc-2"
sump_min_m = -2.0
datum = "hon_dau"
power_kw_max = 100.0

[[pump]]
id = "p-1"
station = "ps-1"
flow_m3s = 2.0
start_m = 0.5
stop_m = -0.5
starts_per_hour_max = 3
rest_s = 60.0
[[pump]]
id = "p-2"
station = "ps-1"
flow_m3s = 1.0
start_m = 0.8
stop_m = -0.4
[[pump]]
id = "p-3"
station = "ps-2"
flow_m3s = 1.0
start_m = 0.8
stop_m = -0.4
[[pump]]
id = "p-4"
station = "ps-2"
flow_m3s = 1.0
start_m = 0.8
stop_m = -0.4

[[gate]]
id = "g-1"
name = "Cống Nhiêu Lộc"
at = [106.70, 10.77]
plc = "plc-1"
closing_m = 1.3
travel_s = 60.0
datum = "hon_dau"

[[segment]]
id = "rd-1"
name = "Nguyễn Hữu Cảnh"
line = [[106.70, 10.77], [106.71, 10.77]]
lanes = 2
speed_limit_km_h = 50.0
low_point = [106.705, 10.77]
low_point_m = 0.9
[[junction]]
id = "j-1"
name = "Tôn Đức Thắng"
at = [106.70, 10.77]
conflicts = [["n", "e"]]
group = [{ id = "n" }, { id = "e" }]
stage = [{ id = "ns", green = ["n"] }, { id = "ew", green = ["e"] }]
[[sign]]
id = "vms-1"
name = "Cầu Thủ Thiêm"
at = [106.70, 10.77]
segments = ["rd-1"]
[[circuit]]
id = "lc-1"
at = [106.70, 10.77]
segment = "rd-1"
power_kw = 20.0
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder: Path = tmp_path_factory.mktemp("plant")
    (folder / "site.toml").write_text(PLANT)
    return load_site(folder)
