"""The adaptive planner in the demo: it times the signals, and its absence is borne and seen."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish
from websockets.sync.client import connect

from causeway.children import CAUSEWAY
from causeway.site import load_site

pytestmark = pytest.mark.system

SITE = load_site(Path(__file__).parents[2] / "sims" / "cities" / "saigon")
HELD = "j-me-linh"
WAIT_S = 120.0  # of a loaded machine, on which numba may have to compile first
RUN_S = 60.0


class Wall:
    """A demo that runs, and what its feed tells of the signals."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the demo
        self.process = subprocess.Popen(
            [CAUSEWAY, "demo", "--headless", "--json", "--no-forecast", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
        )
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        self.conflicts: list[tuple[str, str]] = []
        self.answers: dict[int, dict[str, Any]] = {}
        found: list[str] = []
        while not found:
            assert self.process.poll() is None, self.said
            found = re.findall(r"The wall: http://(\S+)", self.said)
            time.sleep(0.1)
        self._held = ExitStack()
        self._feed = self._held.enter_context(connect(f"ws://{found[0]}/feed", max_size=None))

    @property
    def said(self) -> str:
        return os.pread(self._said.fileno(), 2**20, 0).decode()

    def until(self, holds: Callable[[], object], wait_s: float = WAIT_S) -> None:
        """Read the feed until something holds."""
        deadline_s = time.monotonic() + wait_s
        while not holds():
            assert time.monotonic() < deadline_s, "in vain"
            self._take(json.loads(zlib.decompress(self._feed.recv(timeout=WAIT_S))))

    def ask(self, number: int, **request: Any) -> bool:
        self._feed.send(json.dumps({"id": number, **request}))
        self.until(lambda: number in self.answers)
        return bool(self.answers[number]["ok"])

    def _take(self, message: dict[str, Any]) -> None:
        if message["kind"] == "answer":
            self.answers[message["id"]] = message
        elif message["kind"] == "snapshot":
            self.tables = message["tables"]
        else:
            for table, keys in message["drop"].items():
                for key in keys:
                    self.tables[table].pop(key, None)
            for table, rows in message["set"].items():
                for key, fields in rows.items():
                    self.tables[table].setdefault(key, {}).update(fields)
        for junction in SITE.junctions:
            aspects = self.tables["signals"].get(junction.id, {}).get("aspects", "")
            shown = dict(zip((g.id for g in junction.groups), aspects, strict=False))
            for pair in junction.conflicts:
                if all(shown.get(group) in ("G", "y") for group in pair):
                    self.conflicts.append((junction.id, aspects))

    def methods(self) -> list[str]:
        return [row["method"] for row in self.tables.get("signals", {}).values()]

    def planner(self) -> int:
        """The planner's process."""
        ours = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in map(int, ours.split()):
            if b"signal-planner" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError("no planner")

    def confirmed(self) -> int:
        """Commands that came of a plan, and were seen to be carried out by the cabinets."""
        rows = self.tables["commands"].values()
        return sum(row["by"] == "planner" and row["state"] == "confirmed" for row in rows)

    def end(self) -> int:
        self._held.close()
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=RUN_S)
        return self.process.returncode


@pytest.fixture(scope="module")
def wall() -> Iterator[Wall]:
    with tempfile.TemporaryDirectory(prefix="causeway-signals-") as name:
        Path(name).chmod(0o755)
        started = Wall(Path(name) / "data")
        try:
            yield started
        finally:
            if started.process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(started.process.pid, signal.SIGKILL)
            started.process.communicate()


def test_plans_arrive_for_every_junction_and_their_requests_are_carried_out(wall: Wall) -> None:
    wall.until(lambda: wall.methods() and set(wall.methods()) == {"planner"})
    wall.until(lambda: wall.confirmed() >= 20)
    plans = [row["plan"] for row in wall.tables["signals"].values()]
    assert all(plan is not None and plan["cost"] >= 0 for plan in plans)
    wall.until(lambda: all(row["over_s"] > 0 for row in wall.tables["measures"].values()))
    approaches = [a for row in wall.tables["measures"].values() for a in row["approaches"].values()]
    assert sum(a["arrivals"] for a in approaches) > 100


def test_an_operator_holds_a_junction_and_gives_it_back(wall: Wall) -> None:
    row = wall.tables["signals"][HELD]
    assert wall.ask(1, do="override", junction=HELD, action="hold", for_s=300)
    wall.until(lambda: row["held"] == "hold" and row["control"] == "manual")
    assert wall.ask(2, do="override", junction=HELD, action="release")
    wall.until(lambda: row["held"] == "" and row["control"] == "automatic")
    assert wall.ask(3, do="override", junction=HELD, action="hold", for_s=2)
    wall.until(lambda: row["held"] == "hold")
    wall.until(lambda: row["held"] == "" and row["control"] == "automatic")


def test_what_a_tracker_cannot_have_seen_is_a_counted_rejection(wall: Wall) -> None:
    secrets = json.loads((wall.data / "secrets.json").read_text())
    ports = json.loads((wall.data / "ports.json").read_text())
    publish.single(
        f"causeway/v1/signal/{HELD}/tracks",
        b'{"at_ns": 1, "vehicles": "many"}',
        port=int(ports["mqtt"]),
        auth={"username": "field", "password": secrets["field"]},
    )
    wall.until(lambda: wall.tables["sources"][HELD]["rejected"] == {"malformed": 1})
    assert wall.tables["signals"][HELD]["method"] == "planner"


def test_a_planner_that_dies_leaves_the_greedy_rule_within_seconds_and_comes_back(
    wall: Wall,
) -> None:
    killed = wall.planner()
    os.kill(killed, signal.SIGKILL)
    wall.until(lambda: set(wall.methods()) == {"greedy"}, wait_s=10.0)
    why = {row["method_why"] for row in wall.tables["signals"].values()}
    assert why == {"the signal planner has ended"}
    assert all(row["plan"] is None for row in wall.tables["signals"].values())
    wall.until(lambda: set(wall.methods()) == {"planner"})
    assert wall.planner() != killed


def test_no_conflicting_greens_were_ever_seen_and_the_journal_replays(wall: Wall) -> None:
    assert wall.conflicts == []
    assert wall.end() == 0, wall.said
    replayed = subprocess.run(
        [CAUSEWAY, "replay", "--check", "--json", str(wall.data)],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert replayed.returncode == 0, replayed.stderr
    found = json.loads(replayed.stdout)
    assert found["identical"] is True
    assert found["events"]["StagesPlanned"] > 0
