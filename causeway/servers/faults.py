"""Why a server cannot be used.

ServerUnusable
├── PortInUse         another program listens where this one is to
├── DiskFull          too little room to start, or none left
├── HalfInitialised   a database directory that is not whole
├── WrongOwner        a directory of another user
├── OutOfReach        a path that the server's user cannot get to
├── AnotherInstance   the data directory is in use
├── NotReady          started, and did not get ready or ended; with the end of its log
└── Unreachable       a configured server that does not answer as it should
"""

from __future__ import annotations


class ServerUnusable(Exception):
    """`server` is the one concerned, `what` the thing that is wrong about it."""

    def __init__(self, server: str, what: str, seen: str, expected: str) -> None:
        self.server = server
        self.what = what
        self.seen = seen
        self.expected = expected
        super().__init__(f"{server}: {what}: seen {seen}; expected {expected}")


class PortInUse(ServerUnusable):
    """Another program listens there."""

    def __init__(self, server: str, port: int) -> None:
        self.port = port
        seen = "another program that listens there"
        super().__init__(
            server, f"port {port} of 127.0.0.1", seen, "a free port, or none configured"
        )


class DiskFull(ServerUnusable):
    """Too little room on the data directory's file system."""

    def __init__(self, server: str, path: str, free_mb: int, needed_mb: int) -> None:
        self.path = path
        self.free_mb = free_mb
        self.needed_mb = needed_mb
        super().__init__(
            server, f"the disk of {path} is full", f"{free_mb} MB free", f"at least {needed_mb} MB"
        )


class HalfInitialised(ServerUnusable):
    """A database directory that was damaged or is not one of ours."""


class WrongOwner(ServerUnusable):
    """A directory that belongs to another user."""


class OutOfReach(ServerUnusable):
    """A path that the server's own user cannot get to."""


class AnotherInstance(ServerUnusable):
    """The data directory is in use by another process."""

    def __init__(self, server: str, path: str, pid: int) -> None:
        self.pid = pid
        who = f"process {pid}" if pid else "a process"
        super().__init__(
            server, f"{path} is in use", f"{who} that holds it", "one instance to a data directory"
        )


class NotReady(ServerUnusable):
    """It ended or was not ready in time; `log` is the end of what it wrote."""

    def __init__(self, server: str, seen: str, log_file: str, log: str) -> None:
        self.log = log
        super().__init__(
            server, "it does not come up", seen, f"a ready server\n{log_file} ends with:\n{log}"
        )


class Unreachable(ServerUnusable):
    """A configured server does not answer, or not as expected."""
