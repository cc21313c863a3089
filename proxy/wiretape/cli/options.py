"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from wiretape.store_url import is_store

type Command = Callable[..., None]
type Option = Callable[[Command], Command]

PORT: Final = click.IntRange(0, 65535)
CONFIG: Final[Option] = click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Configuration; default config.yaml in this folder, if there.",
)


class LocalFolder(click.Path):
    """A folder as a Path. An object store is refused: it would become a folder named "s3:"."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if is_store(str(value)):
            self.fail("expected a folder; a store is `recordings` in config.yaml", param, ctx)
        return super().convert(value, param, ctx)


RECORDINGS: Final[Option] = click.option(
    "-r",
    "--recordings",
    type=LocalFolder(),
    help="Folder of the recordings; default recordings.",
)
DRY_RUN: Final[Option] = click.option(
    "-n", "--dry-run", is_flag=True, help="Only show what would be done."
)


class FileOrStore(click.Path):
    """A file as a Path, or the URL of an object store as a text."""

    def __init__(self, *, allow_dash: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=False, allow_dash=allow_dash)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if is_store(str(value)) else super().convert(value, param, ctx)


def record_mode(default: str | None = None) -> Option:
    """`--record-mode MODE`; without a default the configuration says it."""
    return click.option(
        "--record-mode",
        type=click.Choice(["replace", "append", "missing-only"]),
        default=default,
        help="What becomes of recordings that are there: replace them"
        f"{'' if default else ' (default)'}, add takes to them, or write only what is missing"
        f"{' (default)' if default else ''}.",
    )


def _routes(_c: click.Context, _p: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    from wiretape.core.model import split_url

    routes: dict[str, str] = {}
    for value in values:
        host, _, url = value.partition("=")
        try:
            split_url(url)
        except ValueError:
            raise click.BadParameter(
                f"{value!r}: expected HOST=URL, such as api.together.xyz=https://127.0.0.1:8443"
            ) from None
        routes[host.lower()] = url
    return routes


def _hosts(_c: click.Context, _p: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        return ()
    from wiretape.config.value_types import as_host

    try:
        return tuple(as_host(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


HOSTS: Final[Option] = click.option(
    "--host",
    "hosts",
    multiple=True,
    callback=_hosts,
    metavar="HOST",
    help="Another provider's host, such as localhost:8000; may be repeated.",
)
BASE_URLS: Final[Option] = click.option(
    "--base-url",
    "base_urls",
    is_flag=True,
    help="Also point the base-URL variables of CMD's SDKs (OPENAI_BASE_URL, …) at that port.",
)
UPSTREAM_CA: Final[Option] = click.option(
    "--upstream-ca",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A further CA for providers, as for one on 127.0.0.1.",
)
ROUTES: Final[Option] = click.option(
    "--map",
    "routes",
    multiple=True,
    callback=_routes,
    metavar="HOST=URL",
    help="Send what is meant for HOST to URL instead.",
)


def session(text: str) -> Option:
    """`--session NAME`, with what it says of itself."""
    return click.option("--session", metavar="NAME", help=text)


def as_json(text: str) -> Option:
    """`--json`, with what it says of itself."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def with_options(*options: Option) -> Option:
    """Give a command these options, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def html_file(help: str, name: str = "--html") -> Option:
    """`--html FILE`: a page in one file; - is standard output."""
    return click.option(
        name,
        name.removeprefix("--").replace("-", "_"),
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        help=f"{help} It loads nothing and holds no secret.",
    )
