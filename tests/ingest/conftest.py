from __future__ import annotations

from pathlib import Path

import pytest

from causeway.site import Site, load_site


@pytest.fixture(scope="session")
def site() -> Site:
    return load_site(Path(__file__).parent / "site")
