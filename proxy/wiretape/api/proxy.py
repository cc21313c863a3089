"""Proxies for a block of Python: `replay`, `record`, `auto`, `refresh`."""

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, Unpack
from urllib.parse import quote, urlencode

from wiretape.core.errors import ConfigError, WiretapeError

from . import environment, process
from .result import Result, RunFailed, of_run, of_session

if TYPE_CHECKING:
    import ssl

type AnyPath = str | os.PathLike[str]


class RunOptions(TypedDict, total=False):
    """What `replay`, `record`, `auto` and `refresh` take besides the folder."""

    config: AnyPath
    """Configuration; else config.yaml in the working directory, if there."""
    hosts: Sequence[str]
    """More provider hosts, such as "localhost:8000"."""
    session: str
    """The folder below the recordings."""
    pace: str
    """"instant", "recorded", "2x", "ttft=0.4,tps=60"."""
    strict_ignored: bool
    """Fail if anything that a rule ignores has changed since the recording."""
    allow_none: bool
    """Succeed though nothing reached the proxy."""
    check: bool
    """False: no RunFailed at the end of a block; `report()` has it all the same."""
    set_environment: bool
    """False: this process's environment stays as it is; hand url or base_url() to clients."""
    arguments: Sequence[str]
    """Further options of the command, such as ["--map", "api.openai.com=http://127.0.0.1:9000"]."""


def replay(
    recordings: AnyPath | None = None, *, keep_keys: bool = False, **options: Unpack[RunOptions]
) -> "Proxy":
    """Answer from recordings only: no provider is connected to, no name resolved.

    >>> with wiretape.replay("recordings"):                             # doctest: +SKIP
    ...     openai.OpenAI().chat.completions.create(model="gpt-4o", messages=[…])

    recordings  the folder; by itself the configuration's, which is "recordings"
    keep_keys   leave the providers' keys in the environment; else they are dummies in the block
    options     `RunOptions`

    The block, `with` or `async with`, raises RunFailed at its end where a request missed or nothing
    reached the proxy, and ConfigError where it cannot begin.
    """
    return Proxy("replay", recordings, ["--keep-keys"] if keep_keys else [], options)


def record(
    recordings: AnyPath | None = None,
    *,
    record_mode: str | None = None,
    **options: Unpack[RunOptions],
) -> "Proxy":
    """Go to the provider and record every exchange; arguments as `replay` has them.

    record_mode  what becomes of recordings that are there: "replace" (by itself), "append" or
                 "missing-only"
    """
    return Proxy("record", recordings, _record_mode(record_mode), options)


def auto(
    recordings: AnyPath | None = None,
    *,
    live: bool = False,
    record_mode: str | None = None,
    **options: Unpack[RunOptions],
) -> "Proxy":
    """Replay what is recorded, record the rest; where CI is set replay only, unless `live`.

    Arguments as `record` has them.
    """
    more = [*(["--live"] if live else []), *_record_mode(record_mode)]
    return Proxy("auto", recordings, more, options)


def refresh(
    recordings: AnyPath | None = None, *, only: Sequence[str] = (), **options: Unpack[RunOptions]
) -> "Proxy":
    """Record anew what the block asks for, or a part of it; replay the rest.

    only  a rule's name, a path ("/v1/chat/*") or an age ("older-than:90d"); any of several
    """
    return Proxy("refresh", recordings, [f"--only={value}" for value in only], options)


def _record_mode(record_mode: str | None) -> list[str]:
    return [] if record_mode is None else ["--record-mode", record_mode]


class _Block:
    """A block in which clients are led to a proxy, entered with `with` or `async with`."""

    _set_environment = True
    _check = True

    def __init__(self) -> None:
        self._layer: environment.Layer | None = None
        self._changes: Mapping[str, str | None] | None = None
        self._result: Result | None = None

    def _open(self) -> Mapping[str, str | None]:
        """Open it and give what clients need in their environment."""
        raise NotImplementedError

    def _close(self) -> Result:
        """Close it and give what it came to."""
        raise NotImplementedError

    def _abandon(self) -> None:
        """It was opened for nobody."""
        self._close()

    def _untold(self, result: Result) -> bool:
        """Whether a result is to be raised."""
        return not result.ok

    def __enter__(self) -> Self:
        self._prepare()
        return self._enter(self._open())

    async def __aenter__(self) -> Self:
        import asyncio

        self._prepare()
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            changes = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(lambda done: done.exception() or self._abandon())
            raise
        return self._enter(changes)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._result = self._close()
        finally:
            self._leave()
        self._tell(error)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        import asyncio

        try:
            self._result = await asyncio.shield(asyncio.to_thread(self._close))
        finally:
            self._leave()
        self._tell(error)

    def _prepare(self) -> None:
        if self._changes is not None or self._result is not None:
            raise WiretapeError("this block was entered before: open another for each")
        if self._set_environment:
            environment.check()

    def _enter(self, changes: Mapping[str, str | None]) -> Self:
        self._changes = changes
        if self._set_environment:
            try:
                self._layer = environment.push(changes)
            except WiretapeError:
                self._abandon()
                raise
        return self

    def _leave(self) -> None:
        if self._layer is not None:
            environment.remove(self._layer)

    def _tell(self, error: BaseException | None) -> None:
        result = self._result
        if result is None or not self._check or not self._untold(result):
            return
        failed = RunFailed(result)
        if error is None:
            raise failed
        error.add_note(str(failed))

    @property
    def environ(self) -> dict[str, str]:
        """A complete environment for a process that is to go through the proxy."""
        return {
            name: value
            for name, value in {**os.environ, **self._opened()}.items()
            if value is not None
        }

    def _opened(self) -> Mapping[str, str | None]:
        if self._changes is None:
            raise WiretapeError("this proxy is not open: use it in a `with` block")
        return self._changes


class Proxy(_Block):
    """A proxy that `replay`, `record`, `auto` or `refresh` opens for a block.

    In the block this process's environment leads clients through it, and makes them trust it;
    afterwards it is as it was. A client has to be made in the block.
    """

    def __init__(
        self, mode: str, recordings: AnyPath | None, arguments: Sequence[str], options: RunOptions
    ) -> None:
        super().__init__()
        self._arguments: Final = _arguments(mode, recordings, arguments, options)
        self._set_environment = options.get("set_environment", True)
        self._check = options.get("check", True)
        self._process: process.PipeProcess | None = None
        self._answer: Mapping[str, Any] = {}
        self._told: set[str] = set()

    def _open(self) -> Mapping[str, str | None]:
        opening = {
            "arguments": self._arguments,
            "directory": os.getcwd(),
            "environment": dict(os.environ),
        }
        opened = process.take()
        try:
            self._answer = opened.ask("open", opening)
        except WiretapeError as error:
            process.give_back(opened)
            raise ConfigError(*str(error).splitlines()) from None
        self._process = opened
        return dict(self._answer["environment"])

    def _close(self) -> Result:
        assert self._process is not None
        try:
            return of_run(self._process.ask("close"))
        finally:
            process.give_back(self._process)

    def _abandon(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _untold(self, result: Result) -> bool:
        # What a session has reported is not reported again.
        return not result.ok and not (result.problems and self._told.issuperset(result.problems))

    @property
    def mode(self) -> str:
        """ "replay", "record", "auto" or "refresh"; where CI is set "auto" is "replay"."""
        self._opened()
        return str(self._answer["mode"])

    @property
    def url(self) -> str:
        """What a client has for its proxy: "http://127.0.0.1:8899"."""
        self._opened()
        return str(self._answer["url"])

    def base_url(self, host: str) -> str:
        """What a client has for its base URL instead: "http://127.0.0.1:8899/api.openai.com".

        >>> openai.OpenAI(base_url=proxy.base_url("api.openai.com/v1"))   # doctest: +SKIP
        """
        self._opened()
        return f"{self._answer['base_url']}/{host}"

    def ssl_context(self) -> "ssl.SSLContext":
        """A context that trusts the proxy, and whom the user's clients trust."""
        import ssl

        self._opened()
        return ssl.create_default_context(cafile=self._answer["bundle"])

    def session(self, name: str, *, folder: str | None = None) -> "ProxySession":
        """A session for a block: a folder of recordings of its own, and its own order of takes.

        >>> with proxy.session("test_checkout"):                        # doctest: +SKIP
        ...     checkout()

        name    letters, digits, "-" and "_", with "/" between such names
        folder  where its recordings are, for sessions that share them; by itself `name`

        The block raises RunFailed at its end where a request of this session missed.
        """
        return ProxySession(self, name, folder)

    def report(self) -> Result:
        """What the run has come to by now; after the block, in all."""
        if self._result is not None:
            return self._result
        self._opened()
        assert self._process is not None
        return of_run(self._process.ask("report"))

    def control(self, method: str, path: str) -> dict[str, Any]:
        """Ask the control endpoint (docs/sessions.md); gives its document, or raises WiretapeError
        with what it says.

        >>> proxy.control("GET", "/wiretape")["counts"]                 # doctest: +SKIP
        {'replayed': 3}
        """
        self._opened()
        assert self._process is not None
        answer = self._process.ask("control", [method, path])
        document: dict[str, Any] = answer["document"]
        if answer["status"] >= 400:
            raise WiretapeError(document["error"]["message"])
        return document


class ProxySession(_Block):
    """A session of a `Proxy`, for a block; clients that are made in it belong to it."""

    def __init__(self, proxy: Proxy, name: str, folder: str | None) -> None:
        super().__init__()
        self._proxy = proxy
        self._set_environment = proxy._set_environment
        self._check = proxy._check
        self._folder = folder
        self.name: Final = name
        self._place: Final = f"/wiretape/sessions/{quote(name, safe='')}"

    def _open(self) -> Mapping[str, str | None]:
        query = "?" + urlencode({"folder": self._folder}) if self._folder else ""
        self._proxy.control("POST", f"{self._place}/start{query}")
        changes = self._proxy._opened()
        return {
            name: self.url if value == self._proxy.url else value for name, value in changes.items()
        }

    def _close(self) -> Result:
        result = of_session(self.name, self._proxy.control("POST", f"{self._place}/finish"))
        self._proxy._told.update(result.problems)
        return result

    @property
    def url(self) -> str:
        """What a client of this session has for its proxy: "http://NAME:x@127.0.0.1:8899"."""
        return self._proxy.url.replace("://", f"://{quote(self.name, safe='')}:x@", 1)

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends that has a base URL and no proxy."""
        return {"x-wiretape-session": self.name}

    def base_url(self, host: str) -> str:
        """As the proxy's; the client has to send `headers` too."""
        return self._proxy.base_url(host)

    def ssl_context(self) -> "ssl.SSLContext":
        """As the proxy's."""
        return self._proxy.ssl_context()

    def report(self) -> Result:
        """What the session has come to by now; after the block, in all."""
        if self._result is not None:
            return self._result
        return of_session(self.name, self._proxy.control("GET", self._place))


def _arguments(
    mode: str, recordings: AnyPath | None, arguments: Sequence[str], options: RunOptions
) -> list[str]:
    unknown = options.keys() - RunOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"{mode}() got an unexpected argument {', '.join(sorted(unknown))}")
    line = [mode, *arguments]
    if recordings is not None:
        line.append(f"--recordings={os.fspath(recordings)}")
    if "config" in options:
        line.append(f"--config={os.fspath(options['config'])}")
    line += [f"--host={host}" for host in options.get("hosts", ())]
    line += [
        f"--{name}={value}"
        for name in ("session", "pace")
        if (value := options.get(name)) is not None
    ]
    line += ["--strict-ignored"] if options.get("strict_ignored") else []
    line += ["--allow-none"] if options.get("allow_none") else []
    return [*line, *options.get("arguments", ())]
