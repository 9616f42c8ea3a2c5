from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from causeway.clock import NS
from causeway.events import Address, AnyEvent, Quality, ReadingsObserved, Step
from causeway.site import Site, load_site
from dashboard.picture import Picture

START_NS = 1_763_980_800 * NS


@pytest.fixture(scope="session")
def site() -> Site:
    return load_site(Path(__file__).parent / "site")


@pytest.fixture(scope="session")
def trial_module() -> Iterator[ModuleType]:
    """`trial.py`: a running centre with a scripted field."""
    spec = importlib.util.spec_from_file_location("trial", Path(__file__).with_name("trial.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["trial"] = module
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("trial", None)  # the page's tests may have had it too


class Told:
    """A picture, and the steps that it was told: numbered in order, at seconds from the start."""

    def __init__(self, site: Site) -> None:
        self.picture = Picture(site)
        self.steps: list[tuple[int, Step]] = []

    def at(self, seconds: float, *events: AnyEvent) -> int:
        """One step; gives its number."""
        number = len(self.steps) + 1
        step = Step("test", START_NS + int(seconds * NS), events)
        self.steps.append((number, step))
        self.picture.apply(number, step)
        return number

    def read(
        self, seconds: float, point: str, value: float, quality: Quality = Quality.GOOD
    ) -> int:
        """A reading of that moment."""
        return self.at(seconds, reading(seconds, point, value, quality))

    def row(self, table: str, key: str) -> dict[str, object]:
        return dict(self.picture.snapshot()[table][key])


def reading(
    seconds: float, point: str, value: float, quality: Quality = Quality.GOOD
) -> ReadingsObserved:
    return ReadingsObserved(
        source="test",
        points=(point,),
        observed_at_ns=(START_NS + int(seconds * NS),),
        values=(value,),
        qualities=(quality,),
        because=Address(0, 0),
    )


@pytest.fixture
def told(site: Site) -> Told:
    return Told(site)


@pytest.fixture
def fresh(site: Site) -> Callable[[], Told]:
    return lambda: Told(site)
