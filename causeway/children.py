"""Starts and stops processes; nothing else in Causeway does.

A `Children` holds the children of one process. Each has a name, a log file, a death signal, and,
where its owner wants one, a limit of restarts an hour. A small launcher runs between fork and exec:
it takes the death signal and drops to another user there, because `preexec_fn` would fork a process
that has threads. Children stand in sessions of their own, so that a Ctrl-C at the terminal reaches
only the centre, which then stops them in reverse order.

Laws of this file:
1. No child outlives its parent: the kernel sends the death signal even when the parent got SIGKILL.
   It ties that signal to the thread that forked, so children start from the main thread only.
2. A log is bounded: over `LOG_BYTES_MAX` its newest part moves to NAME.log.1 and it begins anew.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

CAUSEWAY = str(Path(sys.executable).with_name("causeway"))  # our own command
LOG_BYTES_MAX = 8 * 2**20
LOG_BYTES_KEPT = 2**20
WATCH_EVERY_S = 5.0  # memory samples and log sizes
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # before the first, second ... restart of an hour
HOUR_S = 3_600.0
STOP_TIMEOUT_S = 10.0
PIPE_BYTES = 2**20

# Runs as `python -I -S -c` with the parent's id, the death signal, user and group (-1: stay), argv.
# setuid clears the death signal and exec keeps it, hence the order; Python's own files may be out
# of the other user's reach, hence the early import.
_LAUNCH = """
import ctypes, os, signal, sys
parent, death, uid, gid = map(int, sys.argv[1:5])
argv = sys.argv[5:]
libc = ctypes.CDLL(None)
try:
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        libc.prctl(1, death)  # PR_SET_PDEATHSIG
    if os.getppid() == parent:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv(argv[0], argv)
except OSError as error:
    print(f"{argv[0]} cannot be run: {error}", file=sys.stderr)
sys.exit(127)
"""

RunAs = tuple[int, int]

log = logging.getLogger(__name__)


class ChildUnstartable(Exception):
    """There is no such program, or it may not be run."""

    def __init__(self, name: str, program: str) -> None:
        self.name = name
        self.program = program
        super().__init__(f"{name}: {program!r} is not a program that can be run")


@dataclass(frozen=True)
class _How:
    """How a child is started, each time."""

    argv: tuple[str, ...]
    pipes: bool
    env: Mapping[str, str] | None
    cwd: Path | None
    run_as: RunAs | None
    stop_signal: Signals
    death_signal: Signals
    restarts_max: int
    keep_open: tuple[int, ...]


class Child:
    """One process, and its successors where it may be restarted. Made by `Children.start`."""

    def __init__(
        self, name: str, log_file: Path, how: _How, on_exit: Callable[[Child, int], None] | None
    ) -> None:
        self.name = name
        self.log_file = log_file
        self.pid = 0
        self.runs = 0
        self.exit_code: int | None = None
        self.peak_memory_mb = 0.0  # VmHWM, MiB, as last sampled: ru_maxrss has the parent's in it
        self.peak_tree_memory_mb = 0.0  # sum of PSS with all descendants, MiB, sampled
        self._how = how
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._from_child: asyncio.ReadTransport | None = None
        self._restarted_s: deque[float] = deque()
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs now; between a crash and the restart it does not."""
        return self.pid != 0 and self.exit_code is None

    @property
    def ended(self) -> bool:
        """Whether it has ended for good: stopped, or past its restarts."""
        return self._tending is not None and self._tending.done()

    @property
    def reader(self) -> asyncio.StreamReader:
        """What it writes to its standard output. A restarted child has a new one."""
        assert self._reader is not None, f"{self.name} was started without pipes"
        return self._reader

    @property
    def writer(self) -> asyncio.StreamWriter:
        """Its standard input. A restarted child has a new one."""
        assert self._writer is not None, f"{self.name} was started without pipes"
        return self._writer

    async def again(self, runs: int) -> bool:
        """Wait until it has been started more than `runs` times; False when it never will be.

        An owner that has read to the end of `reader` calls this with the `runs` it noted before.
        """
        while self.runs <= runs and not self.ended:
            self._changed.clear()
            await self._changed.wait()
        return self.runs > runs

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End its input, send its stop signal, and after `timeout_s` kill it and its group."""
        self._stopping.set()
        if self._tending is None:
            return
        if self.alive:
            self.sample_memory()
            if self._writer is not None:
                self._writer.close()
            self._signal(self._how.stop_signal)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self._tending)
        except TimeoutError:
            log.warning("%s did not stop within %g s: killed", self.name, timeout_s)
            self.kill()
            await asyncio.shield(self._tending)
        if self._from_child is not None:
            self._from_child.close()

    def kill(self) -> None:
        """SIGKILL to it and its group, at once. Without `stop` this counts as a crash."""
        if self.alive:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._signal(signal.SIGKILL)

    def log_tail(self, lines: int = 20) -> str:
        """The newest lines of its log."""
        with suppress(OSError), self.log_file.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65_536))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
        return ""

    async def run(self) -> None:
        """Start it, and a task that tends it. Called by `Children.start` only."""
        try:
            await self._spawn()
        except BaseException:
            _close(self._how.keep_open)
            raise
        self._tending = asyncio.create_task(self._tend(), name=f"tend {self.name}")
        self._tending.add_done_callback(self._end)

    def sample_memory(self) -> None:
        """Note the peaks up to now; Linux only."""
        if self.alive:
            tree_mb = sum(_proportional_mb(pid) for pid in _tree(self.pid))
            self.peak_tree_memory_mb = max(self.peak_tree_memory_mb, tree_mb)
            self.peak_memory_mb = max(self.peak_memory_mb, _peak_resident_mb(self.pid))

    def trim_log(self) -> None:
        """Begin the log anew when it is over its limit, and keep its newest part."""
        with suppress(OSError):
            if self.log_file.stat().st_size <= LOG_BYTES_MAX:
                return
            with self.log_file.open("r+b") as file:
                file.seek(-LOG_BYTES_KEPT, os.SEEK_END)
                self.log_file.with_name(self.log_file.name + ".1").write_bytes(file.read())
                file.truncate(0)  # the child appends, so it goes on at the new end

    async def _spawn(self) -> None:
        how = self._how
        settings = (os.getpid(), int(how.death_signal), *(how.run_as or (-1, -1)))
        with self.log_file.open("ab") as output:
            process = subprocess.Popen(  # noqa: ASYNC220 - asyncio's own waits for the pipes' end too
                [sys.executable, "-I", "-S", "-c", _LAUNCH, *map(str, settings), *how.argv],
                stdin=subprocess.PIPE if how.pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if how.pipes else output,
                stderr=output,
                env=dict(how.env) if how.env is not None else None,
                cwd=how.cwd or ("/" if how.run_as else None),
                start_new_session=True,
                pass_fds=how.keep_open,
            )
        self._process = process
        self.pid = process.pid
        self.exit_code = None
        if how.pipes:
            await self._connect(process)
        self.runs += 1
        self._changed.set()

    async def _connect(self, process: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError, AttributeError):  # AttributeError: not on macOS
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._reader = asyncio.StreamReader(limit=PIPE_BYTES)
        from_child = asyncio.StreamReaderProtocol(self._reader)
        self._from_child, _ = await loop.connect_read_pipe(lambda: from_child, process.stdout)
        to_child = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        transport, _ = await loop.connect_write_pipe(lambda: to_child, process.stdin)
        self._writer = asyncio.StreamWriter(transport, to_child, None, loop)

    async def _tend(self) -> None:
        while True:
            await _has_ended(self.pid)
            self.exit_code = self._reap()
            if self._writer is not None:
                self._writer.close()
            self._changed.set()
            self._tell(self.exit_code)
            if self._stopping.is_set() or not await self._may_restart():
                return
            try:
                await self._spawn()
            except OSError:
                log.exception("%s cannot be started again", self.name)
                return

    def _end(self, _: asyncio.Task[None]) -> None:
        _close(self._how.keep_open)
        self._changed.set()

    def _tell(self, exit_code: int) -> None:
        if exit_code != 0 and not self._stopping.is_set():
            log.warning("%s has ended by itself, exit code %d", self.name, exit_code)
        if self._on_exit is not None:
            try:
                self._on_exit(self, exit_code)
            except Exception:
                log.exception("%s: its owner failed to hear of its end", self.name)

    def _reap(self) -> int:
        """Its exit code; ends what it started and left behind."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # before the wait, which gives the id free
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if self._process is not None:
            self._process.returncode = code  # or Popen would wait for a process that is gone
        return code

    async def _may_restart(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        while self._restarted_s and now_s - self._restarted_s[0] > HOUR_S:
            self._restarted_s.popleft()
        if len(self._restarted_s) >= self._how.restarts_max:
            return False
        pause_s = BACK_OFF_S[min(len(self._restarted_s), len(BACK_OFF_S) - 1)]
        self._restarted_s.append(now_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        return not self._stopping.is_set()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Children:
    """All child processes of this process, in the order of their start."""

    def __init__(self, log_dir: Path) -> None:
        self.log_dir = log_dir
        self._children: dict[str, Child] = {}
        self._watching: asyncio.Task[None] | None = None
        log_dir.mkdir(parents=True, exist_ok=True)

    async def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        pipes: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        run_as: RunAs | None = None,
        stop_signal: Signals = signal.SIGTERM,
        death_signal: Signals = signal.SIGTERM,
        restarts_max: int = 0,
        keep_open: Sequence[int] = (),
        on_exit: Callable[[Child, int], None] | None = None,
    ) -> Child:
        """Start `argv` and return at once; raises ChildUnstartable.

        With `pipes` the child's standard input and output are `writer` and `reader`, else both its
        outputs go to the log. `restarts_max` is an hour. `keep_open` are file descriptors that it
        inherits; ours are closed when it has ended for good, or cannot be started.
        `on_exit(child, exit_code)` is called at every end; a signal's code is negative.
        """
        assert threading.current_thread() is threading.main_thread(), "see law 1"
        earlier = self._children.get(name)
        assert earlier is None or earlier.ended, f"a child {name!r} runs already"
        program = shutil.which(argv[0])
        if program is None:
            _close(keep_open)
            raise ChildUnstartable(name, argv[0])
        how = _How(
            argv=(_absolute(program), *argv[1:]),
            pipes=pipes,
            env=env,
            cwd=cwd,
            run_as=run_as,
            stop_signal=stop_signal,
            death_signal=death_signal,
            restarts_max=restarts_max,
            keep_open=tuple(keep_open),
        )
        child = Child(name, self.log_dir / f"{name}.log", how, on_exit)
        if earlier is not None:
            child.peak_memory_mb = earlier.peak_memory_mb
            child.peak_tree_memory_mb = earlier.peak_tree_memory_mb
            del self._children[name]  # so that it stands last
        self._children[name] = child
        await child.run()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="watch children")
        return child

    async def stop_all(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop them, the last started first; each has `timeout_s`."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        for child in reversed(list(self._children.values())):
            await child.stop(timeout_s)

    def memory_mb(self) -> dict[str, float]:
        """Each child's peak in MiB, also of those that have ended.

        The larger of its own peak of resident memory (VmHWM) and the highest sum of the
        proportional set sizes of it and its descendants, which counts shared pages once. Sampled
        every 5 s and before a stop; nothing where there is no /proc.
        """
        for child in self._children.values():
            child.sample_memory()
        return {
            child.name: max(child.peak_memory_mb, child.peak_tree_memory_mb)
            for child in self._children.values()
        }

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for child in list(self._children.values()):
                await asyncio.to_thread(child.sample_memory)
                child.trim_log()


def _absolute(path: str) -> str:
    """Not resolved: the python of a virtual environment is a link that must stay one."""
    return os.path.abspath(path)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


async def _has_ended(pid: int) -> None:
    """Wait until a child process has ended; it is still to be reaped."""
    if not hasattr(os, "pidfd_open"):
        while not _is_zombie(pid):  # noqa: ASYNC110 - outside Linux nothing wakes us
            await asyncio.sleep(0.05)
        return
    loop = asyncio.get_running_loop()
    fd = os.pidfd_open(pid)
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def _is_zombie(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _tree(pid: int) -> list[int]:
    """A process and its descendants, as /proc has them now."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
    return found


def _peak_resident_mb(pid: int) -> float:
    return _field_mb(Path(f"/proc/{pid}/status"), "VmHWM:")


def _proportional_mb(pid: int) -> float:
    return _field_mb(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def _field_mb(path: Path, field: str) -> float:
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 2**10
    return 0.0
