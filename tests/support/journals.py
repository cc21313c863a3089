"""Journals of runs: exchanges to write into one, and what is read of it again."""

from pathlib import Path

from wiretape.core.capture.recorder import Recorder
from wiretape.core.model import Headers, Request
from wiretape.intake.journal import ExchangeFile, Journal
from wiretape.intake.journal_key import find
from wiretape.intake.journal_reader import UnfinishedExchange, read

JSON: Headers = (("content-type", "application/json"),)
SSE: Headers = (("content-type", "text/event-stream"),)
CHAT = Request(
    "POST",
    "https",
    "api.openai.com",
    443,
    "/v1/chat/completions?q=\udcff",
    headers=JSON,
    body=b'{"a":\xff\n1}',
)
OPENING = Request(
    "GET", "https", "api.openai.com", 443, "/v1/realtime", headers=(("upgrade", "websocket"),)
)
WHEN = "2026-11-20T17:30:00Z"
LATER = "2026-11-20T17:31:00Z"


def begun(journal: Journal, recorder: Recorder, session: str | None = None) -> ExchangeFile:
    """The file of an exchange that begins."""
    file = journal.begin(recorder.request, session, WHEN)
    assert file is not None
    recorder.listener = file
    return file


def files(journal: Journal) -> list[Path]:
    """The files of a journal's exchanges."""
    return sorted(path for path in journal.folder.iterdir() if path.name.isdecimal())


def unfinished(journal: Journal) -> UnfinishedExchange:
    """A journal's only exchange, as the next run reads it."""
    (path,) = files(journal)
    key = find(journal.key.path)
    assert key is not None
    exchange = read(path, key)
    assert exchange is not None
    return exchange
