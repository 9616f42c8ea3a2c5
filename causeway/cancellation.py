"""Raises a cancellation that was lost on the way.

Python 3.11's `asyncio.wait_for`, which the libraries of NATS, MQTT and Modbus use, gives its result
instead of raising when answer and cancellation come in the same turn of the event loop
(cpython gh-86296). We use `asyncio.timeout` ourselves; after a library's call, `heed_cancellation`.
"""

from __future__ import annotations

import asyncio


def heed_cancellation() -> None:
    """Raise CancelledError if this task was told to end.

    Not inside `asyncio.timeout`, nor after a TaskGroup that failed: both cancel their own task, and
    Python 3.11's TaskGroup may not take that back.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
