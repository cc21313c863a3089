"""Fixtures that several tests of whole runs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import npm, paths
from tests.support.live_provider import Provider


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of the npm packages that package-lock.json names."""
    return npm.packages(paths.ROOT / "tests" / "clients" / "node")


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """A provider of WebSockets."""
    with Provider(tmp_path) as provider:
        yield provider
