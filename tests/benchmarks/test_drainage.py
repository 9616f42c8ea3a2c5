"""Pump and gate control is evaluated on real SWMM runs, and a bad project is said in a line."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.drainage.case import CaseUnusable, find, project_text, said_wrong
from benchmarks.drainage.planning import BASELINES
from causeway.cli import main

# A tank that a gate empties into a pipe too small for it: held back, less floods below.
PROJECT = """[TITLE]
[OPTIONS]
FLOW_UNITS CMS
INFILTRATION HORTON
FLOW_ROUTING DYNWAVE
START_DATE 01/01/2026
START_TIME 00:00:00
END_DATE 01/01/2026
END_TIME 06:00:00
REPORT_STEP 00:05:00
WET_STEP 00:01:00
DRY_STEP 00:05:00
ROUTING_STEP 10
ALLOW_PONDING NO
THREADS 4
[RAINGAGES]
RG INTENSITY 0:15 1.0 TIMESERIES storm
[SUBCATCHMENTS]
S1 RG T1 10 80 400 1 0
S2 RG J1 4 80 400 1 0
[SUBAREAS]
S1 0.015 0.1 1 3 25 OUTLET
S2 0.015 0.1 1 3 25 OUTLET
[INFILTRATION]
S1 50 5 4 7 0
S2 50 5 4 7 0
[JUNCTIONS]
J1 0 1.5 0 0 0
[OUTFALLS]
O1 -1 FREE NO
[STORAGE]
T1 1 4 0 FUNCTIONAL 0 0 2000 0 0
[CONDUITS]
C1 J1 O1 200 0.013 0 0 0 0
[ORIFICES]
G1 T1 J1 SIDE 0 0.65 NO 0
[XSECTIONS]
C1 CIRCULAR 0.6 0 0 0
G1 RECT_CLOSED 0.8 0.8 0 0
[TIMESERIES]
storm 0:00 5
storm 0:30 90
storm 1:00 10
storm 1:30 0
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    file = tmp_path / "tank.inp"
    file.write_text(PROJECT)
    return file


def evaluated(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["eval", "drainage", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


@pytest.mark.system
def test_holding_a_tank_back_floods_less_than_leaving_it_open(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    found = evaluated(
        [str(project), "--runs", "40", "--perturb", "1", "--jobs", "1", "--out", str(out)], capsys
    )
    one = found["scenarios"]["tank"]
    assert set(one["score"]) == set(one["score_time_weighted"]) == {"causeway", *BASELINES}
    assert one["score"]["uncontrolled"] > 100  # m3
    assert one["score"]["causeway"] == min(one["score"].values())
    assert one["ratio"] == one["ratio_time_weighted"] < 0.8
    assert one["assets"] == ["G1"]
    assert len(one["perturbed"]["score"]["ratios"]) == 1
    assert json.loads((out / "drainage.json").read_text()) == found
    assert (out / "drainage.txt").read_text().count("tank") == 4
    assert (out / "drainage.png").stat().st_size > 10_000


@pytest.mark.system
def test_a_pystorms_scenario_has_the_score_that_is_published_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pystorms")
    found = evaluated(["theta", "--controllers", "uncontrolled,equal_filling"], capsys)
    one = found["scenarios"]["theta"]
    assert one["score"]["uncontrolled"] == pytest.approx(1630.3, abs=0.1)
    assert one["score_time_weighted"]["uncontrolled"] == pytest.approx(467.6, abs=0.1)
    assert one["ratio"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("C1 J1 O1 200", "C1 J1 O9 200"), "undefined object O9 at line 34 of [CONDUIT] section"),
        (("ROUTING_STEP 10", "ROUTING_STAP 10"), "invalid keyword ROUTING_STAP at line 13"),
    ],
)
def test_a_project_with_errors_is_refused_with_reason_and_line(
    project: Path, change: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write_text(PROJECT.replace(*change))
    assert main(["eval", "drainage", str(project)]) == 2
    assert said in capsys.readouterr().err


def test_a_project_with_nothing_to_set_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = "G1 T1 J1 SIDE 0 0.65 NO 0", "G1 T1 J1 10 0.013 0 0 0 0"
    shape = "G1 RECT_CLOSED 0.8 0.8 0 0", "G1 CIRCULAR 0.8 0 0 0"
    text = PROJECT.replace("[ORIFICES]\n", "").replace(*gate).replace(*shape)
    project.write_text(text)
    assert main(["eval", "drainage", str(project)]) == 2
    assert "nothing to control" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "why"), [("omega", "expected a SWMM project"), ("gone.inp", "no such file")]
)
def test_a_name_that_means_nothing_is_refused(name: str, why: str) -> None:
    with pytest.raises(CaseUnusable, match=why):
        find(name)


def test_two_networks_of_one_name_are_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "tank.inp").write_text(PROJECT)
    assert main(["eval", "drainage", str(project), str(other / "tank.inp")]) == 2
    assert "two networks are named 'tank'" in capsys.readouterr().err


def test_a_run_changes_threads_and_rain_and_keeps_every_line_in_its_place(project: Path) -> None:
    lines = project_text(find(str(project)), rain_ratio=1.2).splitlines()
    before = PROJECT.splitlines()
    changed = [n for n, (a, b) in enumerate(zip(before, lines, strict=False)) if a != b]
    assert [lines[n] for n in changed] == ["THREADS 1"]
    assert lines[len(before) :] == ["", "[ADJUSTMENTS]", "RAINFALL " + " ".join(["1.2"] * 12)]


def test_what_swmm_finds_wrong_is_told_in_short() -> None:
    report = "\n".join(
        f"  ERROR 20{n}: bad {n} at line {n} of X section:\n  word" for n in range(5)
    )
    assert said_wrong(report).startswith("bad 0 at line 0 of X section (word); bad 1")
    assert said_wrong(report).endswith("; and 2 more")
