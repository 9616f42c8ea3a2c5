"""The storm, whole: the demo runs through it, counts what it did, and its journal replays."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.system

CAUSEWAY = str(Path(sys.executable).with_name("causeway"))


class Storm(NamedTuple):
    data: Path
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def storm() -> Iterator[Storm]:
    """Seven minutes of the king tide and the cloudburst, in 40 s."""
    with tempfile.TemporaryDirectory(prefix="causeway-storm-") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        asked = ["demo", "--headless", "--json", "--speed", "10", "--for", "40"]
        ran = subprocess.run(
            [CAUSEWAY, *asked, "--data", str(data)],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        yield Storm(data, json.loads(ran.stdout.splitlines()[-1]))


def test_the_demo_ends_with_its_counts(storm: Storm) -> None:
    summary = storm.summary
    assert summary["readings_stored"] > 1_000
    assert summary["lost"] == 0
    assert summary["alarms"] > 0
    assert summary["commands_requested"] >= summary["commands_confirmed"] > 0
    assert summary["frames_seen"] > 0
    assert {"incidents", "rejections"} <= set(summary)
    for latency in ("device_to_store_ms", "event_to_wall_ms"):
        assert 0 < summary[latency]["p50"] <= summary[latency]["p95"]
    assert {"centre", "nats", "postgres", "vision"} <= set(summary["peak_memory_mb"])


@pytest.mark.parametrize("seed", ["1", "4711"])
def test_the_storm_replays_byte_for_byte_under_any_hash_seed(storm: Storm, seed: str) -> None:
    ran = subprocess.run(
        [CAUSEWAY, "replay", "--check", "--json", str(storm.data)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["identical"] is True
    assert found["compared"] == found["last_step"]
    assert found["events"]["InundationChanged"] > 0
    assert found["events"]["StageCommanded"] > 0
