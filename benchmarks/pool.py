"""Runs of an evaluation, each in a process of its own: a simulator has one simulation in a process.

A run's process reads one question on its standard input, a line of JSON, writes how far it is, and
last its answer. At most so many run at once; the first that fails ends them all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from tqdm import tqdm

from causeway.children import CAUSEWAY, Child, Children
from causeway.cli import Unusable

CHUNK_BYTES = 2**16
STOP_TIMEOUT_S = 2.0  # a run has nothing to save


class Asked(Protocol):
    """To a run's process; `work` is a folder of its own, which is gone after it."""

    work: str


class Done(Protocol):
    """From it: so many more seconds simulated, or its answer, or why there is none."""

    seconds: int
    error: str


A = TypeVar("A", bound=Asked)
D = TypeVar("D", bound=Done)


class Pool(Generic[A, D]):
    """Runs what is asked by `causeway COMMAND`; `failed` says why there was no answer."""

    def __init__(
        self,
        children: Children,
        work: Path,
        command: str,
        answer: type[D],
        failed: Callable[[A, Child, D | None], Unusable],
        jobs: int | None = None,
    ) -> None:
        self._children = children
        self._work = work
        self._command = command
        self._answer = answer
        self._failed = failed
        self._jobs = jobs or cores()
        self._numbers = count(1)

    async def all(
        self, asked: Sequence[A], progress: Callable[[int], object] = lambda seconds: None
    ) -> list[D]:
        """An answer for each, in their order; raises Unusable."""
        answers: dict[int, D] = {}
        todo = iter(list(enumerate(asked)))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._jobs, len(asked))):
                    group.create_task(self._work_off(todo, answers, progress))
        except* Unusable as failed:
            raise failed.exceptions[0] from None
        return [answers[number] for number in range(len(asked))]

    async def _work_off(
        self,
        todo: Iterator[tuple[int, A]],
        answers: dict[int, D],
        progress: Callable[[int], object],
    ) -> None:
        for number, one in todo:
            answers[number] = await self._one(one, progress)

    async def _one(self, asked: A, progress: Callable[[int], object]) -> D:
        name = f"run-{next(self._numbers)}"
        with tempfile.TemporaryDirectory(dir=self._work, ignore_cleanup_errors=True) as work:
            child = await self._children.start(name, [CAUSEWAY, self._command], pipes=True)
            asked.work = work
            child.writer.write(msgspec.json.encode(asked) + b"\n")
            with contextlib.suppress(ConnectionError):
                await child.writer.drain()
            done: D | None = None
            async for line in whole_lines(child.reader):
                answer = msgspec.json.decode(line, type=self._answer)
                progress(answer.seconds)
                done = None if answer.seconds else answer
            await child.again(child.runs)
        if done is None or done.error:
            raise self._failed(asked, child, done)
        return done


def answering() -> Callable[[object], None]:
    """In a run's process: writes answers; whatever else is printed goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(done: object) -> None:
        answers.write(msgspec.json.encode(done) + b"\n")
        answers.flush()

    return answer


def simulated_bar(total_s: int) -> tqdm[Any]:
    """A progress bar of simulated seconds."""
    return tqdm(
        total=total_s,
        desc="simulated",
        unit="s",
        unit_scale=True,
        file=sys.stderr,
        mininterval=0.5 if sys.stderr.isatty() else 30.0,
    )


async def whole_lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines of any length: the survey of a great city is longer than `readline` takes."""
    parts: list[bytes] = []
    while chunk := await reader.read(CHUNK_BYTES):
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for other in others:
            yield b"".join(parts)
            parts = [other]


def cores() -> int:
    """Processes that are worth running at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
