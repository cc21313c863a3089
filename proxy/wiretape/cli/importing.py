"""The command that takes in what other tools recorded: `wiretape import`."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import ConfigError
from wiretape.core.text.printable import count, escaped
from wiretape.files import Unreadable, files, name_of
from wiretape.progress import track

from .command import FOUND, REFUSED, guarded, print_json, say
from .options import CONFIG, RECORDINGS, as_json, record_mode, session, with_options

if TYPE_CHECKING:
    from wiretape.config.load import Config
    from wiretape.core.model import Request
    from wiretape.core.redaction.redactor import Redactor
    from wiretape.exchange_formats.importing import ImportedFile, Importer
    from wiretape.library.library import Library

_FORMATS: Final = ("vcr", "har", "flows", "llama-stack", "curl", "sse")


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@with_options(
    CONFIG,
    RECORDINGS,
    session("Put all recordings into this session's folder."),
    click.option(
        "--session-per-file",
        is_flag=True,
        help="Put each file's recordings into a session of its own, named after the file.",
    ),
    click.option(
        "--from",
        "source_format",
        type=click.Choice(_FORMATS),
        help="The files' format; default: detected from how each begins.",
    ),
    click.option("--url", help="The request's URL, for answers alone (curl, sse)."),
    click.option("--method", default="POST", show_default=True, help="Its method."),
    click.option(
        "--request-body",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Its body: JSON, or any text.",
    ),
    record_mode("missing-only"),
    as_json("Print what became of each file as JSON."),
)
@guarded
def import_(
    paths: tuple[Path, ...],
    config_file: Path | None,
    recordings: Path | None,
    record_mode: Any,
    as_json: bool,
    **options: Any,
) -> int:
    """Turn what other tools recorded into recordings, without their secrets.

    Read are cassettes of vcrpy, pytest-recording, Ruby VCR and httpmock, HAR (browsers', Polly's),
    mitmproxy's flows, llama-stack's recordings, and answers alone: what `curl -i` prints, and event
    streams. Requests that have recordings keep them, unless --record-mode says otherwise.

    Exit status 1 if something could not be carried over, 4 if something was not written.

    \b
    wiretape import tests/cassettes --session-per-file
    wiretape import trace.har
    wiretape import answer.sse --url https://api.openai.com/v1/responses --request-body ask.json
    """
    from wiretape.config.load import load
    from wiretape.core.redaction.redactor import Redactor

    config = load(config_file, os.environ)
    redactor = Redactor(config.redaction, remember=True)
    unreadable = Unreadable()
    chosen = list(files(paths, unreadable, name_of))
    if not chosen:
        raise ConfigError("no file to import: the folders named hold none")
    with _importer(config, redactor, recordings or config.recordings, record_mode) as importer:
        results = list(_imported(importer, chosen, paths, **options))
    for path, reason in unreadable.reasons:
        say(f"{name_of(path)}: cannot be read: {reason}")
    _show(results, redactor, as_json=as_json)
    if any(result.refused for result in results):
        return REFUSED
    return 0 if all(result.is_whole for result in results) and not unreadable.reasons else FOUND


@contextmanager
def _importer(
    config: "Config", redactor: "Redactor", folder: Path, record_mode: Any
) -> "Iterator[Importer]":
    from wiretape.exchange_formats.importing import Importer
    from wiretape.intake.exchange_writer import ExchangeWriter
    from wiretape.report.report import Report
    from wiretape.run.open_library import check_writable, open_library

    report = Report("record")
    check_writable(folder)

    def opened(name: str | None) -> "Library":
        return open_library(
            config, folder, name, redactor, report, recording=True, record_mode=record_mode
        )

    # An error that somebody kept is one that a test asks for.
    writer = ExchangeWriter(redactor, config.providers, report, record_errors=True)
    importer = Importer(writer, opened)
    try:
        yield importer
    finally:
        importer.close()
    for notice in report.notices:
        say(notice)


def _imported(
    importer: "Importer",
    chosen: list[Path],
    paths: tuple[Path, ...],
    *,
    session: str | None,
    session_per_file: bool,
    source_format: str | None,
    **request: Any,
) -> "Iterator[ImportedFile]":
    from wiretape.exchange_formats.importing import Source, session_names
    from wiretape.sessions.sessions import UnknownSession, check_name

    if session is not None and session_per_file:
        raise click.UsageError("--session and --session-per-file exclude one another")
    try:
        check_name(session)
    except UnknownSession as error:
        raise ConfigError(f"--session: {error}") from None
    names: Iterator[str | None] = iter([session] * len(chosen))
    if session_per_file:
        names = session_names((path, _base(path, paths)) for path in chosen)
    source = Source(format=source_format, hint=_hint(**request))
    for path, name in zip(track(chosen, "importing"), names, strict=True):
        yield importer.add(path, name, source)


def _base(path: Path, paths: tuple[Path, ...]) -> Path:
    return next(base for base in paths if path == base or path.is_relative_to(base))


def _hint(url: str | None, method: str, request_body: Path | None) -> "Request | None":
    """The request that answers alone belong to."""
    from wiretape.exchange_formats.foreign import NotCarriedOver, request_of

    if url is None:
        if request_body is not None:
            raise click.UsageError("--request-body needs --url, where the request went")
        return None
    try:
        body = b"" if request_body is None else request_body.read_bytes()
        return request_of(method, url, (("content-type", "application/json"),), body)
    except OSError as error:
        raise ConfigError(f"{request_body}: cannot be read: {error.strerror}") from None
    except NotCarriedOver as error:
        raise ConfigError(f"--url or --method: {error}") from None


def _show(results: "list[ImportedFile]", redactor: "Redactor", *, as_json: bool) -> None:
    def shown(text: str) -> str:
        return escaped(redactor.text(text))

    if as_json:
        print_json("import", files=[_row(result, shown) for result in results])
    for result in () if as_json else results:
        name = shown(name_of(result.path))
        for item in (*result.refused, *result.left_out):
            click.echo(f"{name}{item.where}: {shown(item.reason)}")
        if result.error is not None:
            click.echo(f"{name}: {shown(result.error)}")
    imported = sum(result.imported for result in results)
    present = sum(result.present for result in results)
    lost = sum(len(result.left_out) + len(result.refused) for result in results)
    notes = [f"{count(imported, 'exchange')} of {count(len(results), 'file')} imported"]
    notes += [f"{present} recorded already"] if present else []
    notes += [f"{lost} not carried over"] if lost else []
    broken = sum(result.error is not None for result in results)
    notes += [f"{count(broken, 'file')} not read to the end"] if broken else []
    say("; ".join(notes))


def _row(result: "ImportedFile", shown: Callable[[str], str]) -> dict[str, Any]:
    def rows(items: Any) -> list[dict[str, str]]:
        return [{"where": item.where, "reason": shown(item.reason)} for item in items]

    return {
        "file": shown(name_of(result.path)),
        "format": result.format,
        "imported": result.imported,
        "present": result.present,
        "left_out": rows(result.left_out),
        "refused": rows(result.refused),
        "error": None if result.error is None else shown(result.error),
    }
