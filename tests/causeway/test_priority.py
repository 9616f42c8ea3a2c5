from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GIVES_WAY = """
import os
from pathlib import Path
from causeway.priority import give_way
give_way(7)
print(os.nice(0), Path("/proc/self/autogroup").read_text().rpartition("nice ")[2])
"""


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this kernel has no autogroups"
)
def test_a_process_that_gives_way_does_so_with_its_session() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", GIVES_WAY],
        start_new_session=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [str(os.nice(0) + 7)] * 2
