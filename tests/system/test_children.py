"""Real processes: they stop in order, restart within limits, and never outlive their parent."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from causeway.children import LOG_BYTES_MAX, Child, Children, ChildUnstartable
from causeway.wire import pack, read_message

pytestmark = pytest.mark.system

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
ECHO = """
import sys
from causeway.wire import pack, read_message_from
while (body := read_message_from(sys.stdin.buffer)) is not None:
    if body == b"die":
        sys.exit(3)
    sys.stdout.buffer.write(pack(body))
    sys.stdout.buffer.flush()
"""
DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(grandchild.pid, flush=True)
time.sleep(600)
"""
PARENT = """
import asyncio, sys
from pathlib import Path
from causeway.children import Children

async def main():
    children = Children(Path(sys.argv[1]))
    run_as = tuple(map(int, sys.argv[2:])) or None
    sleeper = await children.start("sleeper", ["sleep", "600"], run_as=run_as)
    print(sleeper.pid, flush=True)
    try:
        await asyncio.sleep(600)
    finally:
        await children.stop_all()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
async def children(tmp_path: Path) -> AsyncIterator[Children]:
    children = Children(tmp_path / "logs")
    yield children
    await children.stop_all(timeout_s=2)


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end_s, "10 s have passed"
        time.sleep(0.01)


def line_of_log(child: Child) -> str:
    wait_until(lambda: "\n" in child.log_file.read_text())
    return child.log_file.read_text().strip()


async def test_framed_messages_go_there_and_back(children: Children) -> None:
    child = await children.start("echo", [sys.executable, "-c", ECHO], pipes=True)
    for body in (b"", b"water", os.urandom(5_000_000)):
        child.writer.write(pack(body))
        await child.writer.drain()
        assert await read_message(child.reader) == body
    child.writer.close()
    assert await read_message(child.reader) is None
    assert not await child.again(child.runs)
    assert child.exit_code == 0


async def test_a_crashed_child_comes_back_until_its_restarts_are_used(children: Children) -> None:
    ends: list[int] = []
    child = await children.start(
        "echo",
        [sys.executable, "-c", ECHO],
        pipes=True,
        restarts_max=2,
        on_exit=lambda _, code: ends.append(code),
    )
    for expected in (True, True, False):
        runs_before = child.runs
        child.writer.write(pack(b"die"))
        assert await read_message(child.reader) is None
        assert await child.again(runs_before) is expected
    assert ends == [3, 3, 3]
    assert child.ended and not child.alive


async def test_a_child_that_is_killed_by_its_owner_counts_as_crashed(children: Children) -> None:
    child = await children.start("sleeper", SLEEPER, restarts_max=1)
    child.kill()
    assert await child.again(1)
    child.kill()
    assert not await child.again(2)
    assert child.exit_code == -signal.SIGKILL


async def test_a_stopped_child_does_not_come_back(children: Children) -> None:
    child = await children.start("sleeper", SLEEPER, restarts_max=9)
    await child.stop()
    assert child.runs == 1
    assert child.exit_code == -signal.SIGTERM


async def test_a_deaf_child_is_killed_with_what_it_started(children: Children) -> None:
    child = await children.start("deaf", [sys.executable, "-c", DEAF])
    grandchild = int(line_of_log(child))
    await child.stop(timeout_s=0.2)
    assert child.exit_code == -signal.SIGKILL
    wait_until(lambda: not runs(grandchild))


async def test_a_child_that_writes_on_unread_can_be_stopped(children: Children) -> None:
    flood = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    child = await children.start("flood", [sys.executable, "-c", flood], pipes=True)
    await child.reader.readexactly(65_536)
    await child.stop(timeout_s=5)
    assert child.exit_code == -signal.SIGTERM


async def test_children_are_stopped_in_reverse_order(children: Children) -> None:
    order: list[str] = []
    for name in ("first", "second", "third"):
        await children.start(name, SLEEPER, on_exit=lambda child, _: order.append(child.name))
    await children.stop_all()
    assert order == ["third", "second", "first"]


async def test_a_program_that_is_not_there_is_named(children: Children) -> None:
    with pytest.raises(ChildUnstartable, match="'no-such-program' is not a program"):
        await children.start("ghost", ["no-such-program"])


async def test_a_name_is_free_again_when_its_child_has_ended(children: Children) -> None:
    first = await children.start("sleeper", SLEEPER)
    await first.stop()
    second = await children.start("sleeper", SLEEPER)
    assert second.alive and second.pid != first.pid


async def test_peak_memory_is_kept_after_the_end(children: Children) -> None:
    hog = "x = bytearray(80 << 20); print('full', flush=True); del x; import time; time.sleep(600)"
    child = await children.start("hog", [sys.executable, "-c", hog])
    line_of_log(child)
    await child.stop()
    assert 80 < children.memory_mb()["hog"] < 150
    assert 80 < child.peak_memory_mb < 150


async def test_memory_counts_descendants(children: Children) -> None:
    hog = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        "'x = bytearray(80 << 20); print(1, flush=True); import time; time.sleep(600)'])"
    )
    child = await children.start("parent", [sys.executable, "-c", hog])
    line_of_log(child)
    assert children.memory_mb()["parent"] > 80
    assert child.peak_memory_mb < 60


async def test_a_log_is_bounded_and_its_newest_part_kept(children: Children) -> None:
    lines = LOG_BYTES_MAX // 64
    spam = f"for i in range({lines}): print(f'{{i:063d}}')\nprint('end', flush=True)\n"
    sleep = "import time\ntime.sleep(600)"
    child = await children.start("spam", [sys.executable, "-c", spam + sleep])
    wait_until(lambda: child.log_tail(1) == "end")
    child.trim_log()
    assert child.log_file.stat().st_size == 0
    kept = child.log_file.with_name("spam.log.1")
    assert kept.read_text().endswith("end\n")
    assert kept.stat().st_size <= 2**20


def start_parent(tmp_path: Path, *run_as: int) -> tuple[subprocess.Popen[bytes], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), *map(str, run_as)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent, child = start_parent(tmp_path)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not runs(child))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
def test_a_child_of_another_user_does_not_outlive_its_parent_either(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    parent, child = start_parent(tmp_path, nobody.pw_uid, nobody.pw_gid)
    wait_until(lambda: Path(f"/proc/{child}").stat().st_uid == nobody.pw_uid)
    wait_until(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
    parent.kill()
    parent.communicate()
    wait_until(lambda: not runs(child))


def test_a_ctrl_c_at_the_terminal_reaches_the_parent_which_stops_its_children(
    tmp_path: Path,
) -> None:
    parent, child = start_parent(tmp_path)
    assert os.getpgid(child) != os.getpgid(parent.pid)
    os.killpg(parent.pid, signal.SIGINT)
    parent.communicate(timeout=60)
    assert parent.returncode == 130
    assert not runs(child)
