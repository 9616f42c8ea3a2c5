"""The demo as its user meets it: its ends, what is refused beside it, what may fail under it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from causeway.children import CAUSEWAY
from causeway.clock import NS

pytestmark = pytest.mark.system

CITY = Path(__file__).parents[2] / "sims" / "cities" / "saigon"
FILMS = Path(__file__).parents[3] / "shared" / "data" / "video"
FILMED, FILM = "cam-hbt-6", "oc4n_traffic.mp4"
PORTS = 4 + 4  # the wall, NATS with MQTT, PostgreSQL; the PLCs
ALONE = ("--site", str(CITY), "--port", "0", "--json", "--no-forecast")  # a centre without a field
AS_ROOT = os.geteuid() == 0
ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
WAIT_S = 180.0  # of a busy machine
SAID_BYTES_MAX = 2**20
LISTENING = "0A"  # /proc/net/tcp


def until(attempt: Callable[[], bool], wait_s: float = WAIT_S) -> None:
    deadline_s = time.monotonic() + wait_s
    while not attempt():
        assert time.monotonic() < deadline_s, "in vain"
        time.sleep(0.05)


class Program:
    """A `causeway` command in a session of its own, as from a terminal."""

    def __init__(self, data: Path, command: str, *more: str, before: tuple[str, ...] = ()) -> None:
        self.data = data
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the program
        self.process = subprocess.Popen(
            [*before, CAUSEWAY, command, "--data", str(data), *more],
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, "HOME": str(data.parent)},
            start_new_session=True,
            text=True,
        )

    @property
    def said(self) -> str:
        """What stands in its standard error."""
        return os.pread(self._said.fileno(), SAID_BYTES_MAX, 0).decode()

    @property
    def wall(self) -> str:
        """The wall's address, once it answers."""
        found: list[str] = []

        def is_there() -> bool:
            found.extend(re.findall(r"The wall: (http://\S+)", self.said))
            return bool(found) or self.process.poll() is not None

        until(is_there)
        assert found, self.said
        return found[0]

    def health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self.wall}/health", timeout=10) as answer:
                read: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as answer:
            read = json.load(answer)
        return read

    def ports(self) -> set[int]:
        """On which it and all that it has started listen."""
        sockets = {link for pid in self.processes() for link in links_of(pid)}
        return {port for port, inode in listening() if f"socket:[{inode}]" in sockets}

    def processes(self) -> list[int]:
        """What the program has started, or has to do with its data folder."""
        found = [self.process.pid] if self.process.poll() is None else []
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with suppress(OSError):
                named = str(self.data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
                holds = any(link.startswith(f"{self.data}/") for link in links_of(pid))
                if (named or holds) and pid not in found:
                    found.append(pid)
        return found

    def interrupt(self) -> int:
        """Ctrl-C: the terminal tells the whole foreground group. Gives the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        self.printed, _ = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode

    def summary(self) -> dict[str, Any]:
        """What it printed at its end."""
        summary: dict[str, Any] = json.loads(self.printed)
        return summary


def links_of(pid: int) -> list[str]:
    """What a process has open, and where it stands."""
    found: list[str] = []
    with suppress(OSError):
        paths = [Path(f"/proc/{pid}/cwd"), *Path(f"/proc/{pid}/fd").iterdir()]
        for path in paths:
            with suppress(OSError):
                found.append(os.readlink(path))
    return found


def listening() -> list[tuple[int, str]]:
    """Every listening TCP port of this machine, and the inode of its socket."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [(int(row[1].rpartition(":")[2], 16), row[9]) for row in rows if row[3] == LISTENING]


def nothing_is_left(program: Program, ports: set[int]) -> bool:
    return program.processes() == [] and not ports & {port for port, _ in listening()}


@pytest.fixture(scope="module")
def trials() -> Iterator[Path]:
    """A folder that every user can get to."""
    with tempfile.TemporaryDirectory(prefix="causeway-demo-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def folder(trials: Path) -> Path:
    made = Path(tempfile.mkdtemp(dir=trials))
    made.chmod(0o755)
    return made


class Starved(NamedTuple):
    """A centre whose disk is full, and what fills it."""

    program: Program
    filler: Path


@pytest.fixture(scope="module", autouse=True)
def starving(trials: Path) -> Iterator[Starved | None]:
    """Started first, for it has patience with its disk, while the others are tried."""
    disk = trials / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=755", "tmpfs", str(disk)]
    if not AS_ROOT or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    program = Program(disk / "data", "up", *ALONE)
    try:
        until(lambda: int(program.health()["journal_step"]) > 5)
        fill(disk / "filler")
        yield Starved(program, disk / "filler")
    finally:
        end(program)
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def starved(starving: Starved | None) -> Starved:
    if starving is None:
        pytest.skip("only root can mount a small disk")
    return starving


def fill(path: Path) -> None:
    block = bytes(65_536)
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(block) == len(block):
            pass


@pytest.fixture
def demo(folder: Path) -> Iterator[Program]:
    """A running demo with a few steps behind it."""
    program = Program(folder / "data", "demo", "--headless", "--json")
    try:
        until(lambda: program.health()["store_step"] > 20)
        yield program
    finally:
        end(program)


def end(program: Program) -> None:
    if program.process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(program.process.pid, signal.SIGKILL)
        program.process.communicate()
    until(lambda: program.processes() == [])


# --- half a minute of it -------------------------------------------------------------------------


class HalfMinute(NamedTuple):
    """A demo with a film in the place of a camera, after its end."""

    program: Program
    pictures: list[bytes]  # of the camera that is a film
    ports: set[int]


@pytest.fixture(scope="module")
def half_minute(trials: Path) -> Iterator[HalfMinute]:
    film = FILMS / FILM
    video = ("--video", f"{FILMED}={film}") if film.exists() else ()
    program = Program(trials / "half", "demo", "--headless", "--json", "--for", "40", *video)
    try:
        until(lambda: program.health()["store_step"] > 20)
        pictures = list(filter(None, (picture(program, FILMED) for _ in range(5))))
        until(lambda: len(program.ports()) >= PORTS)
        ports = program.ports()
        assert program.ended() == 0, program.said
        yield HalfMinute(program, pictures, ports)
    finally:
        end(program)


def picture(program: Program, camera: str) -> bytes:
    """A camera's newest, as soon as there is one."""
    time.sleep(0.3)
    seen = b""

    def there_is() -> bool:
        nonlocal seen
        with suppress(urllib.error.HTTPError):
            with urllib.request.urlopen(f"{program.wall}/api/camera/{camera}.jpg") as answer:
                assert int(answer.headers["X-Observed-At-Ns"]) > 1_700_000_000 * NS
                seen = answer.read()
            return True
        return False

    until(there_is)
    return seen


def test_a_demo_says_at_its_end_what_it_came_to(half_minute: HalfMinute) -> None:
    assert half_minute.program.printed.count("\n") == 1
    summary = half_minute.program.summary()
    assert summary["readings_stored"] > 100
    assert summary["frames_seen"] >= len(half_minute.pictures) > 0
    assert summary["lost"] == 0
    assert summary["commands_requested"] >= summary["commands_confirmed"] > 0
    assert summary["alarms"] >= 1  # the tide's
    assert summary["incidents"] == 0
    assert set(summary["rejections"]) <= {"late", "clock_skew"}  # of a busy machine
    for latency in ("device_to_store_ms", "event_to_wall_ms"):
        assert 0 < summary[latency]["p50"] <= summary[latency]["p95"]
    memory_mb = summary["peak_memory_mb"]
    assert {"centre", "nats", "postgres", "vision", "field-water", "field-traffic"} <= set(
        memory_mb
    )
    assert all(10 < mb < 2_000 for mb in memory_mb.values())


def test_nothing_of_it_is_left_but_its_data(half_minute: HalfMinute) -> None:
    assert nothing_is_left(half_minute.program, half_minute.ports)


def test_its_journal_replays_identical(half_minute: HalfMinute) -> None:
    replayed = subprocess.run(
        [CAUSEWAY, "replay", "--check", "--json", str(half_minute.program.data)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert replayed.returncode == 0, replayed.stderr
    found = json.loads(replayed.stdout)
    assert found["identical"] is True
    assert found["compared"] == found["last_step"] == half_minute.program.summary()["steps"]


def test_a_film_in_the_place_of_a_camera_is_shown_on_the_wall(half_minute: HalfMinute) -> None:
    if not (FILMS / FILM).exists():
        assert os.environ.get("CI") != "true", f"CI has to have {FILMS / FILM}"
        pytest.skip(f"no {FILM} in {FILMS}")
    film = list(frames(FILMS / FILM))
    shown = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1) for jpeg in half_minute.pictures]
    places = [min(range(len(film)), key=lambda i: apart(film[i], seen)) for seen in shown]
    assert all(apart(film[i], seen) < 6.0 for i, seen in zip(places, shown, strict=True))
    assert len(set(places)) > 1  # it moves


def frames(film: Path) -> Iterator[Any]:
    reader = cv2.VideoCapture(str(film))
    while (read := reader.read())[0]:
        yield read[1]


def apart(a: Any, b: Any) -> float:
    """How far two pictures are apart, in levels of 255 a pixel."""
    small = [cv2.resize(p, (80, 45), interpolation=cv2.INTER_AREA).astype(float) for p in (a, b)]
    return float(np.abs(small[0] - small[1]).mean())


def test_what_the_city_does_not_have_is_refused_by_its_name(folder: Path) -> None:
    program = Program(folder / "data", "demo", "--headless", "--video", "cam-mars=film.mp4")
    assert program.ended() == 2
    assert "no camera 'cam-mars'; expected one of cam-nhc-4" in program.said
    assert not (folder / "data").exists()


# --- its ends ------------------------------------------------------------------------------------


def test_a_demo_bears_what_happens_beside_and_under_it_and_leaves_nothing(demo: Program) -> None:
    again = Program(demo.data, "demo", "--headless", "--for", "5")
    assert again.ended() == 2
    expected = f"{demo.data}/nats is in use: seen process {demo.process.pid} that holds it"
    assert expected in again.said

    port = demo.wall.rpartition(":")[2]
    elsewhere = demo.data.with_name("elsewhere")
    beside = Program(elsewhere, "demo", "--port", port, "--for", "5")
    assert beside.ended() == 2
    assert f"the wall at 127.0.0.1:{port}: seen 'Address already in use'" in beside.said
    assert not elsewhere.exists()

    seen = []
    away_until_s = time.monotonic() + 10
    while time.monotonic() < away_until_s:
        kill_database(demo)
        time.sleep(0.2)
        seen.append(demo.health())
    assert [health["store_up"] for health in seen].count(False) > len(seen) / 2
    assert all(health["journal_up"] for health in seen)
    until(lambda: demo.health()["store_step"] > seen[-1]["journal_step"])

    ports = demo.ports()
    assert len(ports) >= PORTS
    assert demo.interrupt() == 0
    assert nothing_is_left(demo, ports)
    assert demo.summary()["lost"] == 0
    assert demo.summary()["readings_stored"] > 100


def kill_database(demo: Program) -> None:
    cluster = f"{demo.data}/postgres/pg"
    for pid in demo.processes():
        with suppress(OSError):
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if argv[0].endswith(b"/postgres") and cluster.encode() in argv:
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("after_s", [0.5, 1.0, 1.5])
def test_ctrl_c_while_it_starts_leaves_nothing(folder: Path, after_s: float) -> None:
    program = Program(folder / "data", "demo", "--headless")
    try:
        time.sleep(after_s)  # of its start: wherever that is by then
        ports = program.ports()
        assert program.interrupt() in (0, 130)
        assert nothing_is_left(program, ports)
        assert "Traceback" not in program.said
    finally:
        end(program)


@pytest.mark.skipif(not AS_ROOT, reason="the other tests run as an ordinary user already")
def test_ctrl_c_leaves_nothing_of_an_ordinary_users_demo(folder: Path) -> None:
    if subprocess.run([*ORDINARY_USER, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no other user can be stood in for here")
    program = Program(folder / "data", "demo", "--headless", "--json", before=ORDINARY_USER)
    try:
        until(lambda: program.health()["store_step"] > 10)
        until(lambda: len(program.ports()) >= PORTS)  # the PLCs come last
        ports = program.ports()
        assert program.interrupt() == 0
        assert nothing_is_left(program, ports)
        assert program.summary()["lost"] == 0
    finally:
        end(program)


# --- a full disk -------------------------------------------------------------------------------


def test_a_full_disk_stops_the_centre_with_a_clear_line_and_loses_nothing(starved: Starved) -> None:
    program, filler = starved
    assert program.ended() == 2
    assert re.search(r"causeway: .*its disk may be full", program.said), program.said
    assert program.processes() == []
    filler.unlink()
    again = Program(program.data, "up", *ALONE, "--for", "3")
    assert again.ended() == 0, again.said
    assert again.summary()["lost"] == 0
