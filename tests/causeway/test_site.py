"""The site's reader: a whole city, or every fault with its file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from causeway.site import Fault, SiteInvalid, load_site

SiteWith = Callable[..., Path]


def faults(folder: Path) -> list[Fault]:
    with pytest.raises(SiteInvalid) as refused:
        load_site(folder)
    return refused.value.faults


def line_of(folder: Path, file: str, start: str) -> int:
    lines = (folder / file).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(start))


def test_a_site_is_read_from_all_its_files(site_with: SiteWith) -> None:
    site = load_site(site_with())
    assert [gauge.id for gauge in site.gauges] == ["tg-one"]
    assert [junction.id for junction in site.junctions] == ["j-one"]
    assert site.junctions[0].groups[0].segment == "rd-one"
    assert site.pumps[0].rest_s == 120.0


def test_every_point_gets_its_quantity_source_and_datum(site_with: SiteWith) -> None:
    points = load_site(site_with()).points
    assert points["tg-one/stage_m"].datum == "hon_dau"
    assert points["tg-one/stage_m"].rate_max_per_s == 0.01
    assert points["ps-one/sump_m"].source == "plc-one"
    assert points["p-one/running_bool"].source == "plc-one"
    assert points["p-one/running_bool"].datum is None
    assert points["j-one/n/queue_veh"].source == "j-one"


def test_the_hash_is_of_the_files_bytes(site_with: SiteWith) -> None:
    first = load_site(site_with()).hash
    assert load_site(site_with()).hash == first
    assert (
        load_site(site_with("plant.toml", "power_kw_max = 100", "power_kw_max = 101")).hash != first
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "entry", "said"),
    [
        ("site.toml", 'unit = "kW"', "unit = 7", "[[quantity]]", "Expected `str`, got `int`"),
        ("site.toml", 'kind = "tide"', 'kind = "tidal"', "[[gauge]]", "Invalid enum value 'tidal'"),
        ("site.toml", 'kind = "tide"\n', "", "[[gauge]]", "missing required field `kind`"),
        ("site.toml", 'kind = "tide"', 'kind = "tide"\ncolour = 1', "[[gauge]]", "unknown field"),
        ("site.toml", '["stage_m"]', '["stage_ft"]', "[[gauge]]", "no [[quantity]] of that id"),
        (
            "site.toml",
            'quantities = ["stage_m"]\ndatum = "hon_dau"',
            'quantities = ["stage_m"]',
            "[[gauge]]",
            "a level needs a datum",
        ),
        ("site.toml", 'id = "tg-one"', 'id = "TG one"', "[[gauge]]", "expected [a-z0-9_-]+"),
        ("roads.toml", 'id = "rd-one"\nn', 'id = "tg-one"\nn', "[[segment]]", "used twice"),
        ("site.toml", 'gauge = "tg-one"', 'gauge = "tg-two"', "[[tide_levels]]", "no such asset"),
        ("site.toml", "[1.4, 1.5, 1.6]", "[1.6, 1.5, 1.4]", "[[tide_levels]]", "rising values"),
        ("site.toml", "max = 4.0", "max = -5.0", "[[quantity]]", "is not below max -5.0"),
        ("site.toml", 'id = "queue_veh"', 'id = "stage_m"', "[[quantity]]", "used twice"),
        (
            "roads.toml",
            "line = [[106.7, 10.77], [106.71, 10.77]]",
            "line = [[106.7, 10.77]]",
            "[[segment]]",
            "needs two points",
        ),
        ("roads.toml", "lanes = 2", "lanes = 0", "[[segment]]", "lanes 0: expected above 0"),
        ("roads.toml", '[["n", "e"]]', '[["n", "w"]]', "[[junction]]", "conflict names group 'w'"),
        ("roads.toml", 'green = ["n"]', 'green = ["n", "e"]', "[[junction]]", "which conflict"),
        ("roads.toml", 'green = ["e"]', 'green = ["n"]', "[[junction]]", "'e' is never green"),
        (
            "roads.toml",
            ', { id = "ew", green = ["e"] }',
            "",
            "[[junction]]",
            "needs two stages; seen 1",
        ),
        (
            "roads.toml",
            'segment = "rd-one"',
            'segment = "rd-9"',
            "[[junction]]",
            "group.segment 'rd-9'",
        ),
        ("plant.toml", "stop_m = -0.5", "stop_m = 0.5", "[[pump]]", "is not below start_m 0.5"),
        ("plant.toml", 'plc = "plc-one"', 'plc = "plc-2"', "[[station]]", "plc 'plc-2'"),
        ("plant.toml", '["p-one"]', '["p-two"]', "[[plc]]", "target 'p-two'"),
        ("plant.toml", '"ps-one/sump_m"', '"tg-one/stage_m"', "[[plc]]", "belongs to 'tg-one'"),
        ("plant.toml", '"ps-one/sump_m"', '"ps-one/level"', "[[plc]]", "no point 'ps-one/level'"),
        (
            "plant.toml",
            'table = "discrete"',
            'table = "holding"',
            "[[plc]]",
            "type bool in table holding",
        ),
        ("plant.toml", "port = 5020", "port = 0", "[[plc]]", "port 0: expected above 0"),
        ("tide.toml", '"tg-one"', '"tg-two"', "[[tide]]", "gauge 'tg-two': no such asset"),
        ("tide.toml", '"hon_dau"', '"mui_nai"', "[[tide]]", "the legacy plane"),
        ("tide.toml", '"hon_dau"', '"nap"', "[[tide]]", "datum 'nap'; expected hon_dau"),
        ("tide.toml", "lat_deg = 10.8", "lat_deg = 106.7", "[[tide]]", "expected -90 to 90"),
        ("tide.toml", '[["M2", 0.7, 324.0]]', "[]", "[[tide]]", "no constituents"),
        ("tide.toml", '"M2", 0.7', '"M2", -0.7', "[[tide]]", "M2: amplitude -0.7 m"),
        ("tide.toml", "[0.01, 0.009]", "[0.01, 0.02]", "[[tide]]", "no greater value"),
        ("tide.toml", "leads_h = [1.0]", "leads_h = [1.0, 2.0]", "[[tide]]", "expected 2 rows"),
        ("tide.toml", "[[-1.6, -1.3", "[[-1.3, -1.6", "[[tide]]", "expected rising quantiles"),
    ],
)
def test_a_fault_is_named_with_file_line_and_what_was_expected(
    site_with: SiteWith, file: str, old: str, new: str, entry: str, said: str
) -> None:
    folder = site_with(file, old, new)
    found = [fault for fault in faults(folder) if said in fault.text]
    assert found, [str(fault) for fault in faults(folder)]
    assert found[0].file == file
    line = (folder / file).read_text().splitlines()[found[0].line - 1]
    assert line == entry


def test_a_fault_points_at_the_entry_it_is_in_not_at_the_first(site_with: SiteWith) -> None:
    folder = site_with("site.toml", 'unit = "kW"\nmin = 0', 'unit = "kW"\nmin = "low"')
    (fault,) = faults(folder)
    lines = (folder / "site.toml").read_text().splitlines()
    assert lines[fault.line - 1 : fault.line + 1] == ["[[quantity]]", 'id = "power_kw"']


def test_a_file_that_is_no_toml_is_named_with_the_line(site_with: SiteWith) -> None:
    folder = site_with("roads.toml", "lanes = 2", "lanes = = 2")
    (fault,) = faults(folder)
    assert fault.file == "roads.toml"
    assert fault.line == line_of(folder, "roads.toml", "lanes")
    assert fault.text.startswith("not TOML")


def test_a_file_that_is_not_there_is_named(site_with: SiteWith) -> None:
    folder = site_with("site.toml", '"tide.toml"]', '"tide.toml", "signs.toml"]')
    (fault,) = faults(folder)
    assert str(fault).startswith("signs.toml:1: cannot be read")


def test_an_unknown_table_is_named_with_its_line_and_those_expected(site_with: SiteWith) -> None:
    folder = site_with("roads.toml", "[[junction]]", "[[junctoin]]")
    (fault,) = faults(folder)
    assert fault.line == line_of(folder, "roads.toml", "[[junctoin]]")
    assert "junctoin: unknown table; expected [[quantity]], [[gauge]]" in fault.text


def test_all_faults_are_found_at_once(site_with: SiteWith) -> None:
    folder = site_with("plant.toml", "stop_m = -0.5", "stop_m = 0.5")
    roads = folder / "roads.toml"
    roads.write_text(roads.read_text().replace("lanes = 2", "lanes = -1"))
    texts = [str(fault) for fault in faults(folder)]
    assert any(text.startswith("plant.toml:") for text in texts)
    assert any(text.startswith("roads.toml:") for text in texts)


def test_a_folder_without_a_site_is_refused(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path)
    assert fault.file == "site.toml"


def test_a_tide_needs_its_surge_and_a_gauge_has_one_tide(site_with: SiteWith) -> None:
    folder = site_with("tide.toml", "[[tide]]", "[[tide]]")
    text = (folder / "tide.toml").read_text()
    (folder / "tide.toml").write_text(text + text.partition("[tide.surge]")[0])
    second = text.count("\n") + 1
    assert [str(fault) for fault in faults(folder)] == [
        f"tide.toml:{second}: gauge 'tg-one': a second tide model; expected one a gauge",
        f"tide.toml:{second}: tide of tg-one: no [tide.surge]; expected what `causeway fit tide` "
        "writes",
    ]


def test_the_demo_city_is_whole() -> None:
    site = load_site(Path(__file__).parents[2] / "sims" / "cities" / "saigon")
    assert site.id == "saigon"
    assert "tg-phu-an/stage_m" in site.points
