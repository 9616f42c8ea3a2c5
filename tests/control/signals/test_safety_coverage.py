"""Every branch of the safety layer is taken by its own tests."""

import subprocess
import sys
from pathlib import Path

from control.signals import safety

TESTS = Path(__file__).with_name("test_safety.py")


def test_the_tests_of_the_safety_layer_take_every_branch_of_it(tmp_path):
    coverage = [sys.executable, "-m", "coverage"]
    data = f"--data-file={tmp_path / 'coverage'}"
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS)]
    pytest += ["-k", "not whatever_happens"]  # the property test takes them too, but not for sure
    run = [*coverage, "run", "--branch", data, f"--include={safety.__file__}", *pytest]
    subprocess.run(run, check=True, capture_output=True, timeout=120)
    report = [*coverage, "report", data, "--show-missing", "--fail-under=100"]
    found = subprocess.run(report, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stdout
