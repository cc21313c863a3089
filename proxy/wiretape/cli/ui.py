"""The command that opens the page: `wiretape ui`."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wiretape.progress import shown_by

from .command import INTERRUPTED, guarded
from .options import CONFIG

if TYPE_CHECKING:
    from wiretape.ui.server import Page


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@CONFIG
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also show the run that wrote this file: its misses, what it used.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default any free one.")
@click.option("--open/--no-open", "opens", default=True, help="Open a browser (default) or not.")
@guarded
def ui(
    folder: Path | None, config_file: Path | None, report: Path | None, port: int, opens: bool
) -> int:
    """Look at recordings in a browser: what was asked, what came back, when, what changed.

    It serves on this machine only, to who has the printed URL, and changes nothing.

    \b
    wiretape ui
    wiretape ui recordings --report report.json
    """
    import asyncio

    from wiretape.config.load import load
    from wiretape.core.errors import ConfigError
    from wiretape.maintenance.inventory import sessions
    from wiretape.maintenance.usage import parse_report
    from wiretape.ui.server import Page, database_of

    config = load(config_file, os.environ)
    folder = folder or config.recordings
    sessions(folder)  # ConfigError if it is not there
    document = None
    if report is not None:
        try:
            document = parse_report(report.read_bytes(), str(report))
        except OSError as error:
            raise ConfigError(f"--report {report}: cannot be read: {error.strerror}") from None
    page = Page(
        config=config, folder=folder, document=document, database=database_of(config, folder)
    )
    # What the page reads is not for bars in this terminal.
    with shown_by(None):
        return asyncio.run(_serve(page, port, opens=opens))


async def _serve(page: "Page", port: int, *, opens: bool) -> int:
    import asyncio
    import webbrowser

    from wiretape.core.errors import ConfigError
    from wiretape.run.run import Signals
    from wiretape.ui.server import serving

    try:
        with Signals() as signals:
            async with serving(page, port) as url:
                click.echo(f"wiretape ui: {url}")
                if opens:
                    await asyncio.to_thread(webbrowser.open, url)
                await signals.stop.wait()
            return INTERRUPTED if signal.SIGINT in signals.received else 0
    except OSError as error:
        raise ConfigError(f"--port {port}: {error.strerror}") from None
