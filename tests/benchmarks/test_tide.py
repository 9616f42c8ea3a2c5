"""The tide from records: the three forms, the demo city's file, the skill at Vlissingen."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.tide import evaluation, fitting
from benchmarks.tide.records import read_record, write_csv
from causeway.cli import Unusable, main
from causeway.site import TideModel, load_site
from control.inundation.harmonics import HOUR_NS, predict_m
from control.inundation.tide_forecast import forecast_tide
from sims.tide import stages_m
from sims.tide_record import hourly_record

ROOT = Path(__file__).parents[2]
CITY = ROOT / "sims" / "cities" / "saigon"
RECORDS = ROOT.parent / "shared" / "data" / "tide"
FIRST_NS = 1_725_148_800_000_000_000  # 2024-09-01
DONAR = """\
[IDT;*DIF*;A;CENT;20190213]
EHD;I;cm
TYD;19760101;0000;19760101;0300;60;min
[WRD]
37/0:-42/0:
-999999999/99:120/0:
"""


def real_record(name):
    if not (RECORDS / name).exists():
        assert os.environ.get("CI") != "true", f"{RECORDS / name} is absent"
        pytest.skip(f"{RECORDS / name} is absent")
    return RECORDS / name


def written(folder, text):
    file = folder / "record"
    file.write_text(text)
    return file


def test_a_donar_export_gives_metres_each_hour_and_nan_where_none_is(tmp_path):
    record = read_record(written(tmp_path, DONAR))
    assert np.array_equal(record.level_m, [0.37, -0.42, np.nan, 1.2], equal_nan=True)
    assert [str(np.datetime64(int(t), "ns"))[:16] for t in record.at_ns[[0, -1]]] == [
        "1976-01-01T00:00",
        "1976-01-01T03:00",
    ]


def test_days_since_1700_and_millimetres_are_read(tmp_path):
    record = read_record(written(tmp_path, "113225.0000000  1237\n113225.0416667  1290\n"))
    assert record.level_m.tolist() == [1.237, 1.29]
    assert [str(np.datetime64(int(t), "ns"))[:19] for t in record.at_ns] == [
        "2010-01-01T00:00:00",
        "2010-01-01T01:00:00",
    ]


def test_csv_is_read_as_it_is_written_and_with_offsets_and_gaps(tmp_path):
    file = tmp_path / "gauge.csv"
    write_csv(file, np.array([FIRST_NS, FIRST_NS + HOUR_NS]), np.array([0.5, -0.25]))
    file.write_text(file.read_text() + "2024-09-01T09:00:00+07:00,\n")
    record = read_record(file)
    assert ((record.at_ns - FIRST_NS) // HOUR_NS).tolist() == [0, 1, 2]
    assert np.array_equal(record.level_m, [0.5, -0.25, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,stage\n", r":1: seen 'time,stage', expected time,level"),
        ("time,level\n2024-09-01T00:00:00Z,high\n", r":2: seen .*high', expected"),
        ("time,level\n2024-09-01T00:00:00,1\n", r":2: .* has no offset"),
        ("113225.0 1237\nnothing\n", r":2: seen 'nothing'"),
        (DONAR.replace("120/0", "12x/0"), r":6: seen '12x/0'"),
        (DONAR.replace("EHD;I;cm", "EHD;I;ft"), r"DONAR header: KeyError\('ft'\)"),
        (DONAR.partition("[WRD]")[0], r"without \[WRD\]"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(tmp_path, text, said):
    with pytest.raises(Unusable, match=said):
        read_record(written(tmp_path, text))


@pytest.mark.parametrize("asked", [("nap",), ("hon_dau", 0.2), ("mui_nai",)])
def test_a_plane_that_is_not_known_or_has_no_offset_is_refused(tmp_path, asked):
    options = fitting.FitOptions(tmp_path / "none.csv", "tg-phu-an", 10.77, *asked)
    with pytest.raises(Unusable, match="expected --datum hon_dau, or --datum mui_nai with"):
        fitting.fit(options, print)


def test_a_legacy_record_is_fitted_above_hon_dau_by_its_offset(tmp_path, capsys):
    write_csv(tmp_path / "old.csv", *hourly_record(FIRST_NS, 70 * 24, 2))
    asked = ["--gauge", "tg-1", "--lat", "10.8", "--datum", "mui_nai", "--offset-m", "0.2"]
    assert main(["fit", "tide", str(tmp_path / "old.csv"), *asked]) == 0
    out, said = capsys.readouterr()
    assert "mui_nai + 0.2 m = hon_dau" in said
    (raised,) = msgspec.toml.decode(out, type=dict[str, list[TideModel]])["tide"]
    assert raised.datum == "hon_dau"
    assert raised.mean_m == pytest.approx(0.08 + 0.2, abs=0.15)


def test_the_demo_citys_tide_is_what_its_record_gives(tmp_path):
    simulated = tmp_path / "phu-an.csv"
    assert main(["simulate", "tide", str(simulated)]) == 0
    made = tmp_path / "tide.toml"
    asked = ["--gauge", "tg-phu-an", "--lat", "10.7722", "--datum", "hon_dau", "--out", str(made)]
    assert main(["fit", "tide", str(simulated), *asked]) == 0
    (here,) = load_site(CITY).tides
    (again,) = msgspec.toml.decode(made.read_bytes(), type=dict[str, list[TideModel]])["tide"]
    at_ns = FIRST_NS + np.arange(0, 500 * 24, 7, dtype=np.int64) * HOUR_NS
    assert np.allclose(predict_m(here, at_ns), predict_m(again, at_ns), atol=1e-3)
    assert here.surge.autocovariance_m2 == pytest.approx(again.surge.autocovariance_m2, rel=1e-3)


def test_the_demo_citys_tide_is_near_the_simulated_river():
    (model,) = load_site(CITY).tides
    at_ns = FIRST_NS + np.arange(400 * 24, 480 * 24, dtype=np.int64) * HOUR_NS  # its autumn 2025
    off_m = predict_m(model, at_ns) - stages_m(at_ns)
    assert np.sqrt(np.mean(off_m**2)) < 0.05  # the slow constituents hold some of the surge


def test_the_skill_is_of_the_forecast_that_the_product_makes():
    at_ns, level_m = hourly_record(FIRST_NS, 80 * 24, 4)
    model = fitting.fit_tide(at_ns[: 70 * 24], level_m[: 70 * 24], 10.8)
    skill = evaluation._skill("one", model, at_ns, level_m, int(at_ns[75 * 24]))
    issued_ns = int(skill.issued_ns[3])
    leads_ns = np.array(evaluation.LEADS_H) * HOUR_NS
    made = forecast_tide(model, at_ns, level_m, issued_ns, issued_ns + leads_ns)
    came = level_m[75 * 24 + 3 + np.array(evaluation.LEADS_H)]
    assert np.allclose(skill.off_m[3], made.median_m - came)
    assert np.allclose(skill.tide_off_m[3], made.harmonic_m - came)


@pytest.mark.system
def test_vlissingens_second_year_is_forecast_well(tmp_path):
    file = real_record("VLISSGN_obs19.txt")
    found = evaluation.evaluate(evaluation.Options((file,), out=tmp_path), print)
    skill = found["records"]["VLISSGN_obs19"]
    at = dict(zip(skill["leads_h"], range(6), strict=True))
    assert skill["ratio"][at[1]] <= 0.35
    assert skill["ratio"][at[6]] <= 0.70
    for lead in at.values():
        assert skill["rmse_m"][lead] < skill["persistence_rmse_m"][lead]
        assert 0.85 < skill["covered_90"][lead] < 0.93
    assert (tmp_path / "tide.png").stat().st_size > 10_000
