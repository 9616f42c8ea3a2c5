"""A storm, whole: the demo goes through it at many times real time, and its journal replays.

The tide reaches the gates' closing level when a cloudburst fills the streets. Somebody at the wall
approves every closure that is proposed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from control.inundation.alerts import WARNING

pytestmark = pytest.mark.system

CAUSEWAY = str(Path(sys.executable).with_name("causeway"))
WAIT_S = 180.0  # of a busy machine
FLOODED = 3  # streets
BAN = "CẤM XE MÁY"
COMMANDED = {"stage", "pump", "gate", "sign"}
SCENARIO = """
id = "storm"
name = "Giông"
name_en = "Storm"
start = 2025-11-06T14:58:00+07:00
seed = 3

[traffic]
veh_h = 2000.0
motorbike_share = 0.78

[tide]
surge_m = 0.2

[[rain]]
at = [106.7130, 10.7880]
begins = 2025-11-06T14:57:00+07:00
lasts_s = 3600.0
rise_s = 60.0
fall_s = 600.0
peak_mm_h = 300.0
radius_m = 2500.0
"""


class Storm(NamedTuple):
    """The demo's data and what it said at its end, and what was on the wall."""

    data: Path
    summary: dict[str, Any]
    wall: Wall


class Wall:
    """A page of the wall, and one who approves there what is proposed."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.texts: set[str] = set()  # of the signs
        self.alarms: dict[str, int] = {}  # by tag, their highest priority
        self.warned: set[str] = set()  # streets that a forecast or a gauge warned of
        self.confirmed: dict[str, str] = {}  # commands of which that is known, and their kind
        self._kinds: dict[str, str] = {}

    @property
    def flooded(self) -> set[str]:
        """Streets that were alarms."""
        floods = (tag for tag in self.alarms if tag.startswith("FLOOD-"))
        return {tag.removeprefix("FLOOD-") for tag in floods}

    def has_seen_it_all(self) -> bool:
        """Streets flooded and closed, a sign that says so, and every kind of command obeyed."""
        return (
            len(self.flooded) >= FLOODED
            and bool(self.closed & self.flooded)
            and any(BAN in text for text in self.texts)
            and set(self.confirmed.values()) >= COMMANDED
        )

    def watch(self, connection: ClientConnection) -> None:
        """Until it has seen it all, or for a while; less where the centre ends."""
        deadline_s = time.monotonic() + WAIT_S
        with suppress(TimeoutError, ConnectionClosed):
            while not self.has_seen_it_all() and (left_s := deadline_s - time.monotonic()) > 0:
                message = connection.recv(timeout=left_s)
                assert isinstance(message, bytes)
                said = json.loads(zlib.decompress(message))
                self._look(said.get("tables") or said.get("set", {}), connection)

    def _look(self, tables: dict[str, dict[str, Any]], connection: ClientConnection) -> None:
        for segment, row in tables.get("closures", {}).items():
            if row.get("state") == "proposed" and segment not in self.closed:
                self.closed.add(segment)
                ask = {"do": "closure", "id": 1, "segment": segment, "approved": True}
                connection.send(json.dumps(ask))
        for segment, row in tables.get("outlooks", {}).items():
            if row.get("level", 0) >= WARNING:
                self.warned.add(segment)
        for row in tables.get("signs", {}).values():
            self.texts.add(row.get("text") or "")
        for tag, row in tables.get("alarms", {}).items():
            if "priority" in row:
                self.alarms[tag] = min(row["priority"], self.alarms.get(tag, 4))
        for key, row in tables.get("commands", {}).items():
            kind = self._kinds.setdefault(key, row.get("kind", ""))
            if row.get("state") == "confirmed":
                self.confirmed[key] = kind


@pytest.fixture(scope="module")
def storm() -> Iterator[Storm]:
    """Until everything that it is made for has happened."""
    with tempfile.TemporaryDirectory(prefix="causeway-storm-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "storm.toml").write_text(SCENARIO)
        with (folder / "said").open("wb") as said:
            demo = subprocess.Popen(
                [
                    *(CAUSEWAY, "demo", "--headless", "--json", "--speed", "4"),
                    *("--scenario", str(folder / "storm.toml"), "--data", str(folder / "data")),
                ],
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        wall = Wall()
        try:
            address = wall_of(folder / "said", demo)
            with connect(f"{address}/feed", compression=None, max_size=None) as connection:
                wall.watch(connection)
            demo.send_signal(signal.SIGINT)
            printed, _ = demo.communicate(timeout=WAIT_S)
        finally:
            demo.kill()
        assert demo.returncode == 0, (folder / "said").read_text()
        yield Storm(folder / "data", json.loads(printed), wall)


def wall_of(said: Path, demo: subprocess.Popen[str]) -> str:
    """The wall's address, once the demo has said it."""
    deadline_s = time.monotonic() + WAIT_S
    while not (found := re.search(r"The wall: http(://\S+)", said.read_text())):
        assert demo.poll() is None, said.read_text()
        assert time.monotonic() < deadline_s, said.read_text()
        time.sleep(0.05)
    return f"ws{found[1]}"


def test_nothing_of_the_storm_is_lost(storm: Storm) -> None:
    summary = storm.summary
    assert summary["readings_stored"] > 100
    assert summary["frames_seen"] > 0
    assert summary["lost"] == 0
    assert summary["commands_requested"] >= summary["commands_confirmed"] > 0


def test_the_wall_shows_the_flood_and_what_is_closed(storm: Storm) -> None:
    wall = storm.wall
    assert len(wall.flooded) >= FLOODED
    assert wall.closed <= wall.flooded | wall.warned
    assert wall.closed & wall.flooded
    assert any(BAN in text for text in wall.texts)


@pytest.mark.parametrize("seed", ["1", "4711"])
def test_the_storm_replays_byte_for_byte_under_any_hash_seed(storm: Storm, seed: str) -> None:
    found = replayed(storm.data, seed)
    assert found["identical"] is True
    assert found["compared"] == found["last_step"] == storm.summary["steps"]
    happened = found["events"]
    decided = ("InundationChanged", "ClosureProposed", "PumpRequested", "GateRequested")
    commanded = ("StageCommanded", "PumpCommanded", "GateCommanded", "SignCommanded")
    assert {*decided, *commanded, "ClosureDecided", "CommandConfirmed"} <= set(happened)


def replayed(data: Path, seed: str) -> dict[str, Any]:
    ran = subprocess.run(
        [CAUSEWAY, "replay", "--check", "--json", str(data)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found
