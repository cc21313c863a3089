"""The event loops that the front works with: a module whose tests are for both
imports `event_loop_policy`, and has `BOTH_LOOPS` as its mark."""

import asyncio

import pytest

BOTH_LOOPS = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")
"""pytest-asyncio's other way, a hook, would rename every test that there is."""


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """pytest-asyncio's: what makes a test's loop."""
    if request.param == "asyncio":
        return asyncio.DefaultEventLoopPolicy()
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    policy: asyncio.AbstractEventLoopPolicy = uvloop.EventLoopPolicy()
    return policy
