"""The page of a run that is under way: a port that costs nothing until somebody looks."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wiretape.config.load import Config
    from wiretape.report.report import Report

_SERVER: Final = "wiretape.ui.server"


@asynccontextmanager
async def live_page(config: "Config", folder: Path, report: "Report") -> AsyncIterator[str]:
    """Offer the page of a run as long as the block lasts; gives the URL that opens it.

    Templates and views are imported, on a thread, when the first browser connects.
    """
    loop = asyncio.get_running_loop()
    token = token_urlsafe(24)
    begun: list[asyncio.Task[None]] = []

    async def begin() -> None:
        await asyncio.to_thread(import_module, _SERVER)
        from .server import Page, serving

        page = Page(config=config, folder=folder, report=report, token=token)
        await stack.enter_async_context(serving(page, listening))

    def connected() -> None:
        loop.remove_reader(listening)
        begun.append(asyncio.create_task(begin()))

    async with AsyncExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.setblocking(False)
        loop.add_reader(listening, connected)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/run?token={token}"
        finally:
            loop.remove_reader(listening)
            await asyncio.gather(*begun)
