"""A recorded stream, for the tests of the engine."""

from pathlib import Path

import pytest
from tests.support.commands import Wiretape
from tests.support.stream_call import CHAT, EVENTS, STREAM, curl, options
from tests.support.upstream import Answer, Upstream


@pytest.fixture
def recorded(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> Path:
    """A folder with one recorded stream."""
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    assert wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl()).returncode == 0
    return tmp_path / "r"
