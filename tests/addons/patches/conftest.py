"""The embedded proxy, for tests that drive it byte by byte."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.embedded import Place, proxying


@pytest.fixture
async def proxy(state: Path) -> AsyncIterator[Place]:
    async with proxying(state) as place:
        yield place
