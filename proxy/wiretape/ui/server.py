"""Serve the page on loopback: over a folder of recordings, a run's report, or a run under way.

Whoever opens it has the token of its URL, which becomes a cookie; other sites and other machines
are refused as at the control endpoint. Nothing can be changed through it: it only answers GET.
"""

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from socket import socket
from typing import Any, Final

from aiohttp import web

from wiretape.config.load import Config
from wiretape.core.cost.usage import Usage
from wiretape.core.errors import FormatError, StoreError, WiretapeError
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.age import parse_age
from wiretape.library import index_cache
from wiretape.library.recording_file import LoadedRecording, load
from wiretape.maintenance.inventory import sessions
from wiretape.maintenance.loading import compare_recordings
from wiretape.maintenance.usage import used_in
from wiretape.maintenance.verify import FileProblem, Keys, verify
from wiretape.report.report import Report
from wiretape.sessions.control import LocalNames, why_foreign
from wiretape.state_dir import state_dir

from .catalog import FACETS, PAGE, SORTS, STATES, Catalog, Query
from .diff_view import diff_view
from .page import STATIC, render
from .recording_view import RecordingView, at_event, recording_view
from .run_view import run_view

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'"
    " data:"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_log: Final = logging.getLogger(__name__)
_AGES: Final = ("1d", "7d", "30d", "90d")
_TICK_SECONDS: Final = 0.25
_PATIENT_SECONDS: Final = 0.2
"""How long a page waits for files that have changed, before it shows what is known."""
_PROBLEMS: Final = 500


@dataclass(kw_only=True)
class Page:
    """What is looked at: recordings, and the document of a report or the report of a run."""

    config: Config
    folder: Path
    document: Mapping[str, Any] | None = None
    report: Report | None = None
    database: Path | None = None
    token: str = field(default_factory=lambda: token_urlsafe(24), repr=False)
    is_over: bool = False

    @property
    def has_run(self) -> bool:
        """Whether the page has the views of a run."""
        return self.document is not None or self.report is not None

    def run_document(self) -> Mapping[str, Any] | None:
        """Give the report as it is now."""
        return self.document if self.report is None else self.report.as_json()


def database_of(config: Config, folder: Path) -> Path | None:
    """Give the file that keeps a folder's rows from one page to the next; None if none can be."""
    cache = state_dir() / "ui"
    digest = index_cache.fingerprint(cache, config.text)
    if not digest:
        return None
    path = index_cache.database_path(cache, folder, digest)
    index_cache.tidy(path)
    return path


@asynccontextmanager
async def serving(page: Page, at: int | socket = 0) -> AsyncIterator[str]:
    """Serve a page as long as the block lasts, at a port of loopback or at a socket that listens;
    gives the URL that opens it. Raises OSError if the port is taken.
    """
    runner = web.AppRunner(application(page), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        if isinstance(at, socket):
            await web.SockSite(runner, at).start()
        else:
            await web.TCPSite(runner, "127.0.0.1", at).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/?token={page.token}"
    finally:
        page.is_over = True
        await runner.cleanup()


def application(page: Page) -> web.Application:
    """Make the application that serves the views of a page."""
    views = _Views(page)
    app = web.Application(middlewares=[_guard(page)])
    for path, view in (
        ("/", views.library),
        ("/recording", views.recording),
        ("/diff", views.diff),
        ("/run", views.run),
        ("/run/events", views.events),
        ("/maintenance", views.maintenance),
    ):
        app.router.add_get(path, view)
    app.router.add_static("/static/", STATIC)
    return app


def _guard(page: Page) -> Any:
    """Refuse what another site or machine asks, and who has no token; say errors as pages."""

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            response = _admitted(request, page.token) or await handler(request)
        except web.HTTPException as error:
            response = _error(page, error.status, error.text or error.reason)
        except WiretapeError as error:
            response = _error(page, 404, str(error))
        except Exception as error:
            # aiohttp's own answer has none of the headers.
            _log.exception("the page failed")
            response = _error(page, 500, f"wiretape itself failed: {type(error).__name__}")
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    return guard


def _admitted(request: web.Request, token: str) -> web.Response | None:
    """None if a request is let in; a redirect that gives who has the token its cookie."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    foreign = why_foreign(headers, LocalNames())
    if foreign or headers.get("sec-fetch-site") == "same-site":
        # Another port of this machine is the same site.
        raise web.HTTPForbidden(text=foreign or "the request comes from a page of another origin")
    cookie = f"wiretape-{request.url.port}"
    if "token" in request.query:
        if not _same(request.query["token"], token):
            raise web.HTTPForbidden(text="the token is of another page: take the URL as printed")
        response = web.Response(status=303, headers={"Location": request.path})
        response.set_cookie(cookie, token, httponly=True, samesite="Strict")
        return response
    if not _same(request.cookies.get(cookie, ""), token):
        raise web.HTTPUnauthorized(text="open the page by the URL that wiretape printed")
    return None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def _error(page: Page, status: int, text: str) -> web.Response:
    html = render("error.html", folder="", view="", text=text, status=status)
    return web.Response(text=html, status=status, content_type="text/html")


class _Views:
    """The views: what they show is read and rendered on a thread, and nothing waits for it."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._catalog: Final = Catalog(page.folder, page.config.providers, page.database)
        self._redactor: Final = Redactor(page.config.redaction)
        self._refreshing: asyncio.Task[None] | None = None
        self._was_read = False
        self._latest: tuple[object, LoadedRecording, RecordingView] | None = None

    async def _html(self, template: str, view: str, **context: Any) -> web.Response:
        folder = str(self._page.folder)
        text = await asyncio.to_thread(render, template, folder=folder, view=view, **context)
        # A lone surrogate of a recording has no UTF-8.
        return web.Response(body=text.encode("utf-8", "replace"), content_type="text/html")

    async def _refresh(self) -> None:
        """Look for files that have changed, without waiting for many of them."""
        if self._refreshing is None or self._refreshing.done():
            self._catalog.stale_before = (
                datetime.now(UTC) - parse_age(self._page.config.stale_after)
            ).timestamp()
            self._refreshing = asyncio.create_task(asyncio.to_thread(self._catalog.refresh))
        # Who has seen the rows before need not wait long: what has changed is there the next time.
        share = 4 if self._was_read else 1
        await asyncio.wait([self._refreshing], timeout=_PATIENT_SECONDS / share)
        if self._refreshing.done():
            self._refreshing.result()
            self._was_read = True
        self._catalog.unused = self._unused()

    def _unused(self) -> list[str]:
        document = self._page.run_document()
        if document is None:
            return []
        names = used_in(document, "the report").names
        lead = {session: f"{session}/" if session else "" for session in ("", *filter(None, names))}
        used = {lead[session or ""] + name for session, every in names.items() for name in every}
        # A report says nothing about the sessions that it does not name.
        return [
            name
            for session, name in self._catalog.named()
            if (session or None) in names and name not in used
        ]

    async def library(self, request: web.Request) -> web.Response:
        await self._refresh()
        query = _query(request.query)
        results = await asyncio.to_thread(self._catalog.find, query)
        prices = self._page.config.prices
        costs = {
            row["name"]: prices.cost(
                row["provider"], row["model"], Usage(**json.loads(row["usage"]))
            )
            for row in results.rows
            if row["usage"]
        }
        headers = request.headers
        is_part = "HX-Request" in headers and "HX-History-Restore-Request" not in headers
        return await self._html(
            "results.html" if is_part else "library.html",
            "library",
            query=query,
            results=results,
            costs=costs,
            pages=-(-results.total // PAGE),
            unread=self._catalog.unread,
            ages=_AGES,
            states=[s for s in STATES if s != "unused" or self._page.has_run],
            given=dict(request.query),
        )

    async def recording(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "")
        view, recording = await self._loaded(name)
        start = _number(request.query.get("from"))
        if start:
            view = await asyncio.to_thread(at_event, view, recording, start)
        document = self._page.run_document() or {"exchanges": ()}
        used_by = [
            row.get("session") or "the run"
            for row in document["exchanges"]
            if row.get("recording")
            and name in (row["recording"], f"{row.get('session')}/{row['recording']}")
        ]
        return await self._html(
            "recording.html",
            "recording",
            recording=view,
            takes=self._catalog.takes(name) or [name],
            used_by=list(dict.fromkeys(used_by))[:20],
        )

    async def _loaded(self, name: str) -> tuple[RecordingView, LoadedRecording]:
        """A recording of the folder; the latest is at hand for its next page of events."""
        path = self._path(name)

        def read() -> tuple[object, LoadedRecording, RecordingView]:
            try:
                stat = path.stat()
                key = (name, stat.st_mtime_ns, stat.st_size)
                if self._latest is not None and self._latest[0] == key:
                    return self._latest
                recording = load(path)
                return (
                    key,
                    recording,
                    recording_view(name, str(path), recording, config=self._page.config),
                )
            except OSError as error:
                raise StoreError(f"{name}: cannot be read: {error.strerror}") from None
            except (FormatError, StoreError) as error:
                raise StoreError(f"{name}: {error}") from None

        self._latest = await asyncio.to_thread(read)
        return self._latest[2], self._latest[1]

    def _path(self, name: str) -> Path:
        """The file of a recording; StoreError for what is not below the folder."""
        folder = self._page.folder.resolve()
        with suppress(OSError, ValueError):
            path = (folder / name).resolve()
            if path.is_relative_to(folder) and path.suffix == ".json" and path.is_file():
                return folder / name
        raise StoreError(f"{name}: no recording of this name in {self._page.folder}")

    async def diff(self, request: web.Request) -> web.Response:
        names = request.query.getall("name", [])
        if len(names) != 2:
            raise web.HTTPBadRequest(text=f"mark two recordings to compare; {len(names)} are")
        a, b = [(name, (await self._loaded(name))[1]) for name in names]
        result = await asyncio.to_thread(
            compare_recordings, a[1], b[1], self._page.config.matcher, self._redactor
        )
        return await self._html("diff.html", "diff", diff=diff_view(a, b, result))

    async def run(self, request: web.Request) -> web.Response:
        document = self._page.run_document()
        is_live = self._page.report is not None
        return await self._html(
            "run_part.html" if "HX-Request" in request.headers else "run.html",
            "run",
            run=None if document is None else run_view(document, is_live=is_live),
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell whenever something has happened in the run."""
        response = web.StreamResponse(
            headers={**_HEADERS, "Content-Type": "text/event-stream; charset=utf-8"}
        )
        await response.prepare(request)
        report, before = self._page.report, None
        with suppress(ConnectionResetError):  # who looked has left
            while report is not None and not self._page.is_over:
                now = (report.exchanges, len(report.notices))
                if now != before:
                    await response.write(b"data: changed\n\n")
                before = now
                await asyncio.sleep(_TICK_SECONDS)
            await response.write(b"event: over\ndata: over\n\n")
        return response

    async def maintenance(self, request: web.Request) -> web.Response:
        await self._refresh()
        stale = Query(state="stale", sort="when", reverse=True)
        unused = Query(state="unused")
        problems = await asyncio.to_thread(self._verified) if "verify" in request.query else None
        return await self._html(
            "maintenance.html",
            "maintenance",
            stale=self._catalog.find(stale),
            stale_after=self._page.config.stale_after,
            unused=self._catalog.find(unused) if self._page.has_run else None,
            broken=self._catalog.find(Query(state="broken")),
            problems=problems,
        )

    def _verified(self) -> list[tuple[str, FileProblem]]:
        keys = Keys(self._page.config.matcher, self._redactor)
        return [
            (f"{files.session}/{problem.name}" if files.session else problem.name, problem)
            for files in sessions(self._page.folder)
            for problem in verify(files, keys, self._redactor, self._redactor.text).findings
        ][:_PROBLEMS]


def _query(values: Mapping[str, str]) -> Query:
    """What a URL asks of the library; what it cannot mean is left out."""
    since = values.get("since", "")
    sort, state = values.get("sort", ""), values.get("state", "")
    return Query(
        text=values.get("q", "").strip(),
        facets={name: values.get(name, "") for name in FACETS},
        state=state if state in STATES else "",
        since=datetime.now(UTC) - parse_age(since) if since in _AGES else None,
        sort=sort if sort in SORTS else "name",
        reverse=values.get("reverse") == "1",
        page=_number(values.get("page")),
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else 0
