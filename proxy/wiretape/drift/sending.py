"""Send requests to providers: no faster than allowed, again where they say so, and not for ever.

What comes back is kept by the same recorder that records a client's exchange.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Self
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from yarl import URL

from wiretape import __version__
from wiretape.budget_queue import BudgetQueue
from wiretape.core.capture.recorder import Recorder
from wiretape.core.conversation.estimate import expected, usage_of
from wiretape.core.cost.budget import Budget, OverBudget
from wiretape.core.model import Outcome, Request, header
from wiretape.core.text.printable import count

RETRIES: Final = 4
_LONGEST_WAIT: Final = 300.0
_AGAIN: Final = frozenset((408, 425, 429, 500, 502, 503, 504, 529))
_REFUSED: Final = frozenset((401, 403))
_HERE: Final = frozenset(("localhost", "::1", "0.0.0.0"))
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=300)


class NotMeasured(Exception):
    """A request got no answer that says anything; `str()` says why."""


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """An answer that came, as a recorder holds it; `at` is when it ended, in seconds."""

    recorder: Recorder
    outcome: Outcome
    at: float
    recorded_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """How requests are sent: `rate` in requests a second, at most `most` of them, and as long as
    the `budget` lasts (None: no limit); what is meant for a host of `routes` goes to that URL.
    """

    concurrency: int = 4
    rate: float | None = None
    most: int | None = None
    budget: Budget | None = None
    routes: Mapping[str, str] = field(default_factory=dict)
    trust: ssl.SSLContext | None = None
    upstream_proxy: str | None = field(default=None, repr=False)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class LiveSender:
    """Sends requests; use it in `async with`.

    Providers that are down, or refuse their key, are not asked again.
    """

    def __init__(self, options: SendOptions) -> None:
        self._options = options
        self._slots = asyncio.Semaphore(options.concurrency)
        self._pace = asyncio.Lock()
        self._resume_at: dict[str, float] = {}
        self._given_up: dict[str, str] = {}
        self._next_at = 0.0
        self._queue = None if options.budget is None else BudgetQueue(options.budget)
        self.sent = 0
        """How many requests were answered or tried, without their repetitions."""

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(
            timeout=_TIMEOUT, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def send(self, request: Request, provider: str) -> LiveAnswer:
        """Send a request until it is answered; NotMeasured says why it was not."""
        async with self._slots:
            self._check(request.authority)
            queue, ask = self._queue, expected(request, provider)
            if queue is None or ask is None:
                return await self._send(request)
            token, usage = object(), None
            try:
                await queue.reserve(token, ask)
                answer = await self._send(request)
                response = answer.recorder.finish(answer.outcome, answer.at).response
                usage = usage_of(request, response)
            except OverBudget as error:
                raise NotMeasured(str(error)) from None
            finally:
                queue.settle(token, usage)
            return answer

    async def _send(self, request: Request) -> LiveAnswer:
        if self._options.most is not None and self.sent >= self._options.most:
            budget = count(self._options.most, "request")
            raise NotMeasured(f"the budget of {budget} is spent")
        self.sent += 1
        for attempt in range(RETRIES + 1):
            await self._turn(request.authority)
            self._check(request.authority)
            answer, fault = await self._try(request)
            if answer is not None and answer.recorder.status in _REFUSED:
                self._give_up(
                    request.authority,
                    f"{request.authority} refused the key ({answer.recorder.status}):"
                    " it may have expired",
                )
            if answer is not None and answer.recorder.status not in _AGAIN:
                if answer.outcome == "ended" or attempt:
                    return answer
                continue  # the network may have cut it: once more
            reason = fault or f"it answered {answer.recorder.status if answer else 0}"
            if attempt == RETRIES or fault == _NOT_TRUSTED:
                break
            self._wait(request.authority, answer, attempt)
        if answer is None:
            self._give_up(request.authority, f"{request.authority} cannot be asked: {reason}")
        raise NotMeasured(f"{reason} {RETRIES + 1} times")

    def _check(self, authority: str) -> None:
        if reason := self._given_up.get(authority):
            raise NotMeasured(reason)

    def _give_up(self, authority: str, reason: str) -> None:
        self._given_up[authority] = reason
        raise NotMeasured(reason)

    def _wait(self, authority: str, answer: LiveAnswer | None, attempt: int) -> None:
        """Hold all requests of a host back, as long as it asks for."""
        seconds = 2.0**attempt
        if answer is not None:
            headers = answer.recorder.headers
            asked_for = retry_after(header(headers, "retry-after"), datetime.now(UTC))
            seconds = seconds if asked_for is None else asked_for
        if seconds > _LONGEST_WAIT:
            reason = f"{authority} asks to wait {seconds:.0f} s"
            self._give_up(authority, reason)
        resume_at = asyncio.get_running_loop().time() + seconds
        self._resume_at[authority] = max(self._resume_at.get(authority, 0.0), resume_at)

    async def _turn(self, authority: str) -> None:
        """Wait for the rate, and for what the host asked for."""
        time = asyncio.get_running_loop().time
        if (seconds := self._resume_at.get(authority, 0.0) - time()) > 0:
            await self._options.sleep(seconds)
        if self._options.rate is None:
            return
        async with self._pace:
            if (seconds := self._next_at - time()) > 0:
                await self._options.sleep(seconds)
            self._next_at = max(self._next_at, time()) + 1 / self._options.rate

    async def _try(self, request: Request) -> tuple[LiveAnswer | None, str | None]:
        recorder = Recorder(request)
        recorded_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome: Outcome = "ended"
        headers = [*request.headers, ("user-agent", f"wiretape/{__version__}")]
        try:
            async with self._client.request(
                request.method,
                URL(self._url(request), encoded=True),
                data=request.body or None,
                headers=headers,
                allow_redirects=False,
                ssl=self._options.trust or True,
                proxy=self._options.upstream_proxy or self._environment_proxy(request),
            ) as response:
                raw = tuple(
                    (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
                    for name, value in response.raw_headers
                )
                recorder.start(response.status, raw, loop.time() - began)
                try:
                    async for data in response.content.iter_any():
                        recorder.read(data, loop.time() - began)
                except (aiohttp.ClientError, TimeoutError, OSError):
                    outcome = "cut"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return None, _fault(error)
        return LiveAnswer(recorder, outcome, loop.time() - began, recorded_at), None

    def _environment_proxy(self, request: Request) -> str | None:
        return None if self._route(request) else environment_proxy(request.scheme, request.host)

    def _route(self, request: Request) -> str | None:
        routes = self._options.routes
        return routes.get(request.authority) or routes.get(request.host)

    def _url(self, request: Request) -> str:
        route = self._route(request)
        return request.url if route is None else route.rstrip("/") + request.target


_NOT_TRUSTED: Final = "its certificate is not trusted (--upstream-ca names its CA)"


def environment_proxy(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host. One on this machine is left out: it may be
    a wiretape, which would answer from the recordings.
    """
    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all")
    if proxy is None or proxy_bypass(host):
        return None
    proxy = proxy if "//" in proxy else f"http://{proxy}"
    name = urlsplit(proxy).hostname or ""
    return None if name in _HERE or name.startswith("127.") else proxy


def _fault(error: Exception) -> str:
    """Why nothing came, without what an error's text may repeat of the request."""
    if isinstance(error, TimeoutError):
        return "nothing came for too long"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _NOT_TRUSTED
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known here"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"it cannot be connected to ({error.os_error.strerror or 'no reason given'})"
    return f"its connection failed ({type(error).__name__})"


def retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); None without one.

    >>> retry_after("20", datetime.now(UTC))
    20.0
    """
    if value is None:
        return None
    if value.strip().isdecimal() and len(value) < 10:
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
