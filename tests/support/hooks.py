"""A test's own addon in the place of the product's hooks."""

from collections.abc import Awaitable
from types import SimpleNamespace
from typing import cast

from wiretape.config.packs import built_in
from wiretape.report.report import Report
from wiretape_mitm.connections import Exits
from wiretape_mitm.hooks import Hooks


def hooks_with(addon: object) -> Hooks:
    """What `EmbeddedProxy` takes, with this addon alone; nothing is closed to it."""
    exits = Exits(built_in(), record=True, tunnel_others=True)
    return cast(Hooks, SimpleNamespace(chain=(addon,), exits=exits, report=Report("record")))


async def ended(rest: Awaitable[None] | None) -> None:
    """Wait for what a hook has given, as mitmproxy's side does: nothing where it has ended."""
    if rest is not None:
        await rest
