"""The event loop of a replay: asyncio's own, or uvloop where the user asks for it.

What records goes by asyncio's, on which mitmproxy is built.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from os import environ
from typing import Any, Final

from wiretape.core.errors import ConfigError

VARIABLE: Final = "WIRETAPE_LOOP"
"""The environment variable that names the loop: asyncio or uvloop."""


def run_in_loop[T](main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, as `asyncio.run` does; ConfigError if there is no such loop."""
    try:
        factory = loop_factory(environ)
    except ConfigError:
        main.close()
        raise
    return asyncio.run(main, loop_factory=factory)


def loop_factory(environ: Mapping[str, str]) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop that `WIRETAPE_LOOP` names; None is asyncio's own.

    >>> loop_factory({}) is loop_factory({"WIRETAPE_LOOP": "asyncio"}) is None
    True
    """
    name = environ.get(VARIABLE, "")
    if name in ("", "asyncio"):
        return None
    if name != "uvloop":
        raise ConfigError(f"{VARIABLE}={name:.40}: expected asyncio or uvloop")
    try:
        import uvloop
    except ImportError:
        raise ConfigError(
            f"{VARIABLE}=uvloop: it is not installed; install it beside wiretape, or unset the"
            " variable"
        ) from None
    return uvloop.new_event_loop
