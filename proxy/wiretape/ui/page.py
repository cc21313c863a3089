"""Render pages: as they are served, and as one file that needs nothing else."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from wiretape.core.conversation.redactions import pieces
from wiretape.core.errors import WiretapeError, reason_of
from wiretape.core.text.printable import count, size
from wiretape.files import write_output
from wiretape.maintenance.listed_recording import age

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"
SCRIPTS: Final = ("vendored/uPlot.min.js", "page.js")
STYLES: Final = ("vendored/uPlot.min.css", "page.css")
"""What one file holds of `STATIC`; htmx is for pages that are served."""


@dataclass(frozen=True, slots=True)
class Inline:
    """The scripts and styles of a page in one file, and the policy that lets them alone run."""

    scripts: tuple[Markup, ...]
    styles: tuple[Markup, ...]
    policy: str


def render(template: str, **context: Any) -> str:
    """Render a page to be served; its scripts and styles are files beside it."""
    return environment().get_template(template).render(inline=None, **context)


def one_file(template: str, **context: Any) -> str:
    """Render a page as one HTML file, which loads nothing and runs no script but wiretape's."""
    return environment().get_template(template).render(inline=_inline(), **context)


def write_page(path: Path, page: str) -> None:
    """Write a page to a file, or to standard output where that is "-"."""
    # A lone surrogate of a recording has no UTF-8.
    data = page.encode("utf-8", "replace")
    try:
        write_output(path, data)
    except OSError as error:
        raise WiretapeError(f"{path}: cannot be written: {reason_of(error)}") from error


@cache
def environment() -> Environment:
    """Give the templates; what they show is escaped, without exception."""
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "count": count,
        "pieces": pieces,
        "seconds": seconds,
        "size": size,
        "sparks": json.loads,
        "when": when,
    }
    return templates


def seconds(value: object) -> str:
    """Write a time in seconds for a reader: "182 ms", "1.20 s", "-" where it is unknown."""
    if not isinstance(value, int | float):
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def when(recorded: float | None) -> str:
    """Write how long ago a moment of the epoch (in seconds) was: "9d"; "-" where it is unknown."""
    if recorded is None:
        return "-"
    return age(datetime.now(UTC), datetime.fromtimestamp(recorded, UTC))


@cache
def _inline() -> Inline:
    scripts, styles = (
        tuple((STATIC / name).read_text(encoding="utf-8") for name in names)
        for names in (SCRIPTS, STYLES)
    )
    policy = (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    return Inline(tuple(map(Markup, scripts)), tuple(map(Markup, styles)), policy)


def _hashes(texts: tuple[str, ...]) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
