"""A small city to drive in: two by three signalised junctions, 250 m apart, open on every side."""

from pathlib import Path

import pytest

LON, LAT = 106.70, 10.78
STEP_LON, STEP_LAT = 250 / 109_230, 250 / 111_195  # 250 m at this latitude
COLUMNS, ROWS = 3, 2


def place(column: float, row: float) -> str:
    """A place on the grid as TOML."""
    return f"[{LON + column * STEP_LON:.7f}, {LAT + row * STEP_LAT:.7f}]"


def segment(id_: str, a: tuple[int, int], b: tuple[int, int]) -> str:
    middle = place((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
    return f"""
[[segment]]
id = "{id_}"
name = "Road {id_}"
line = [{place(*a)}, {place(*b)}]
lanes = 2
speed_limit_km_h = 50
low_point = {middle}
low_point_m = 1.2
"""


def junction(column: int, row: int) -> str:
    groups = "".join(
        f'[[junction.group]]\nid = "{g}"\nsegment = "{s}"\n'
        for g, s in (
            ("w", f"rd-ew{row}{column}"),
            ("e", f"rd-ew{row}{column + 1}"),
            ("s", f"rd-ns{column}{row}"),
            ("n", f"rd-ns{column}{row + 1}"),
        )
    )
    return f"""
[[junction]]
id = "j-{column}{row}"
name = "Junction {column}{row}"
at = {place(column, row)}
conflicts = [["w", "s"], ["w", "n"], ["e", "s"], ["e", "n"]]
{groups}
[[junction.stage]]
id = "ew"
green = ["w", "e"]
[[junction.stage]]
id = "ns"
green = ["s", "n"]
"""


def grid_toml() -> str:
    text = f"""
[site]
id = "grid"
name = "Lưới thử"
name_en = "Test grid"
timezone = "Asia/Ho_Chi_Minh"
datum = "hon_dau"
centre = {place(1, 0.5)}
credit = "made for tests"

[[quantity]]
id = "queue_veh"
unit = "veh"
min = 0
max = 200

[[quantity]]
id = "flow_veh_h"
unit = "veh/h"
min = 0
max = 8000

[[camera]]
id = "cam-00"
name = "Ngã tư Thử Nghiệm"
at = {place(0.62, 0)}
segment = "rd-ew01"
bearing_deg = 90
road = [[0.1, 1.0], [0.4, 0.3], [0.6, 0.3], [0.9, 1.0]]

[[sign]]
id = "vms-00"
name = "Bảng 00"
at = {place(0, 0)}
segments = ["rd-ew01"]
"""
    for row in range(ROWS):
        for column in range(COLUMNS + 1):
            text += segment(f"rd-ew{row}{column}", (column - 1, row), (column, row))
    for column in range(COLUMNS):
        for row in range(ROWS + 1):
            text += segment(f"rd-ns{column}{row}", (column, row - 1), (column, row))
    return text + "".join(junction(c, r) for c in range(COLUMNS) for r in range(ROWS))


@pytest.fixture
def grid_folder(tmp_path: Path) -> Path:
    """A site folder that load_site reads."""
    folder = tmp_path / "grid"
    folder.mkdir()
    (folder / "site.toml").write_text(grid_toml())
    return folder
