"""Compiles with numba what plans and water have to reckon fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """At the first call, by numba's options; kept for later runs where it finds a place."""

    def compile_it(function: Callable[P, R]) -> Callable[P, R]:
        try:
            return cast(Callable[P, R], njit(cache=True, **options)(function))
        except RuntimeError:  # neither the installation nor a cache folder can be written
            return cast(Callable[P, R], njit(**options)(function))

    return compile_it
