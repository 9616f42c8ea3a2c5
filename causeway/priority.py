"""Lets a process that can wait give way to those that cannot.

Linux shares a processor between sessions first, then between the processes of each (`sched(7)`,
autogroups), and a child of ours has a session of its own (`children.py`). So a nice value alone
would hold back nothing: the session's is set as well.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_SESSION = Path("/proc/self/autogroup")


def give_way(nice: int) -> None:
    """Raise the nice value of this process and of its session by 0 to 19."""
    value = os.nice(nice)
    with suppress(OSError):  # a kernel without autogroups
        _SESSION.write_text(str(value))
