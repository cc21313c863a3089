"""One object store, by its URL: read, create, replace what was read; errors that say what to do."""

import configparser
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from secrets import token_hex
from typing import Any, Final
from urllib.parse import urlsplit

from filelock import FileLock

from wiretape.core.errors import ConfigError, StoreError
from wiretape.progress import steps
from wiretape.store_url import ADVICE, why_unfit

_THREADS: Final = 16
_MOST_UNDER_WAY: Final = 256
_CONNECT: Final = timedelta(seconds=0.8)
_REQUEST: Final = timedelta(seconds=60)
_S3_VARIABLES: Final = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_REGION", "AWS_DEFAULT_REGION"),
)
_SIGNS_OF_SILENCE: Final = ("error sending request", "timed out", "retries", "operation timed")
_STALE_CREDENTIALS: Final = ("ExpiredToken", "InvalidToken", "RequestTimeTooSkewed")
_OWN_SERVICES: Final = ("169.254.", "metadata.google.internal")
"""Where a machine of a cloud has its credentials from, who is asked where none are given."""
_OTHER_REGION: Final = ("AuthorizationHeaderMalformed", "PermanentRedirect")
"""Codes of S3: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""
_RETRY: Final[Any] = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=1),
    "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=0.2)},
}
_LOCK: Final = ".wiretape/lock"
"""In a store of files: held while one is replaced."""
_LOCK_SECONDS: Final = 30.0
_ENDPOINT: Final = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")
_ENDPOINTS: Final = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
}


class OutOfReach(StoreError):
    """A store does not answer now; it may later."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's content, and the tag that it is replaced by."""

    data: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in a listing; `changed` is in seconds of the epoch."""

    name: str
    tag: str
    changed: float


class ObjectStore:
    """The objects below a URL; names are relative to it, with "/".

    Raises ConfigError for an invalid URL, OutOfReach and StoreError from every call.
    """

    def __init__(self, url: str, environ: Mapping[str, str] = os.environ) -> None:
        if (why := why_unfit(url)) is not None:
            raise ConfigError(f"{urlsplit(url).scheme}://…: {why}")
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            raise ConfigError(
                f"{url}: obstore is not installed; `pip install 'wiretape[fleet]'` installs it"
            ) from None
        self.url: Final = url.rstrip("/")
        self._obstore = obstore
        self._scheme = urlsplit(url).scheme
        names = _ENDPOINTS.get(self._scheme, ())
        self._variable = next((name for name in names if environ.get(name)), None)
        self._endpoint = environ[self._variable] if self._variable else None
        if self._variable and not _ENDPOINT.fullmatch(self._endpoint or ""):
            raise ConfigError(f"{self._variable}: expected http://HOST[:PORT] or https://…")
        options: dict[str, Any] = {}
        if self._scheme in ADVICE:
            options = {"client_options": self._client(), "retry_config": _RETRY}
        if self._scheme == "s3":
            options["config"] = _s3_config(environ, self._endpoint)
        try:
            if self._scheme == "file":
                Path(urlsplit(url).path).mkdir(parents=True, exist_ok=True)
            self._store = from_url(self.url, **options)
        except Exception as error:
            advice = ADVICE.get(self._scheme)
            where = f"; it is read from {advice}" if advice else ""
            raise ConfigError(f"{self.url}: {_first_line(error)}{where}") from None

    def _client(self) -> dict[str, Any]:
        client: dict[str, Any] = {"timeout": _REQUEST, "connect_timeout": _CONNECT}
        if (self._endpoint or "").startswith("http://"):
            client["allow_http"] = True
        return client

    def read(self, name: str) -> StoredObject | None:
        """An object; None if it is not there."""
        with self._errors(name):
            try:
                result = self._obstore.get(self._store, name)
                return StoredObject(bytes(result.bytes()), str(result.meta["e_tag"] or ""))
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def create(self, name: str, data: bytes) -> bool:
        """Create an object; False if there is one already that says something else."""
        return self.created(name, data) is not None

    def created(self, name: str, data: bytes) -> str | None:
        """As `create`; gives the new object's tag, None for False."""
        exists: Any = self._obstore.exceptions.AlreadyExistsError
        with self._errors(name):
            try:
                result = self._obstore.put(self._store, name, data, mode="create")
                return str(result["e_tag"])
            except exists:
                # The answer to an earlier try may have been lost.
                there = self.read(name)
                return there.tag if there is not None and there.data == data else None

    def put(self, name: str, data: bytes) -> None:
        """Write an object, whatever is there."""
        with self._errors(name):
            self._obstore.put(self._store, name, data)

    def replace(self, name: str, data: bytes, tag: str) -> bool:
        """Write an object that is as it was read; False if it is not any more."""
        changed: Any = self._obstore.exceptions.PreconditionError
        with self._errors(name):
            if self._scheme == "file":
                return self._replace_file(name, data, tag)
            try:
                self._obstore.put(self._store, name, data, mode={"e_tag": tag})
                return True
            except (changed, FileNotFoundError) as error:
                if "NoSuchBucket" in str(error):
                    raise
                there = self.read(name)
                return there is not None and there.data == data

    def _replace_file(self, name: str, data: bytes, tag: str) -> bool:
        """As `replace`: no file system has a condition for it, so a lock is held."""
        lock = Path(urlsplit(self.url).path, _LOCK)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=_LOCK_SECONDS):
            there = self.read(name)
            if there is None or there.tag != tag:
                return there is not None and there.data == data
            self._obstore.put(self._store, name, data)
            return True

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with self._errors(name), suppress(FileNotFoundError):
            self._obstore.delete(self._store, name)

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names of the objects below a folder; a thousand are asked for at once."""
        return (listed.name for listed in self.listing(prefix))

    def names_after(self, start: str) -> list[str]:
        """The names in a folder that begin with `start`. A store that lists in another order than
        that of names may have more.
        """
        listing = self.listing(start.rpartition("/")[0], start)
        in_order = self._scheme in ADVICE
        names: Iterator[str] = (listed.name for listed in listing)
        if in_order:
            names = takewhile(lambda name: name.startswith(start), names)
        return [name for name in names if name.startswith(start)]

    def listing(self, prefix: str = "", after: str = "") -> "Iterator[ListedObject]":
        """The objects below a folder, without their contents: those `after` a name."""
        with self._errors(prefix):
            for objects in self._obstore.list(self._store, prefix or None, offset=after or None):
                for stored in objects:
                    changed = stored["last_modified"].timestamp()
                    if stored["path"] != _LOCK:
                        tag = str(stored["e_tag"] or "")
                        yield ListedObject(str(stored["path"]), tag, changed)

    def probe(self) -> None:
        """StoreError unless the store enforces conditions of writes; some ignore them silently."""
        name = f".wiretape/probe-{token_hex(8)}"
        try:
            first = self.created(name, b"1")
            if first is None or self.create(name, b"2"):
                raise self._unfit("overwrites what was to be created only (If-None-Match)")
            if not self.replace(name, b"3", first):
                raise self._unfit("refuses to replace an object that is as it was (If-Match)")
            if self.replace(name, b"4", first):
                raise self._unfit("replaces an object that has changed (If-Match)")
        finally:
            with suppress(StoreError):
                self.remove(name)

    def _unfit(self, what: str) -> StoreError:
        return StoreError(
            f"{self._shown()} {what}: two recordings could overwrite one another, so nothing is"
            " recorded there; record into a folder, and `wiretape push` it"
        )

    def _shown(self) -> str:
        where = f" at {self._endpoint} ({self._variable})" if self._endpoint else ""
        return f"{self.url}{where}"

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        errors: Any = self._obstore.exceptions
        try:
            yield
        except StoreError:
            raise
        except (
            errors.UnauthenticatedError,
            errors.PermissionDeniedError,
            PermissionError,
        ) as error:
            raise self._refused(name, error) from None
        except errors.GenericError as error:
            text = str(error)
            if any(code in text for code in _STALE_CREDENTIALS):
                raise self._refused(name, error) from None
            if any(service in text for service in _OWN_SERVICES):
                raise StoreError(
                    f"{self._shown()}: no credentials are given, and this machine has none of its"
                    f" own: they are read from {ADVICE.get(self._scheme, 'the environment')}"
                ) from None
            if "redirect" in text or any(code in text for code in _OTHER_REGION):
                raise StoreError(
                    f"{self._shown()}: {_code(error)}: the bucket is in another region than"
                    " AWS_REGION says, or at another endpoint"
                ) from None
            is_answer = "non-2xx status code: 4" in text
            if not is_answer and any(sign in text for sign in _SIGNS_OF_SILENCE):
                raise OutOfReach(
                    f"{self._shown()} does not answer ({_code(error)[:160]})"
                    + ("" if self._endpoint else f"; {self._hint()} names another endpoint")
                ) from None
            raise StoreError(f"{self._shown()}: {_code(error)}") from None
        except Exception as error:
            raise StoreError(f"{self._shown()}: {name}: {_code(error)}") from None
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            # The library gives up on what cannot stand in a request.
            raise StoreError(
                f"{self._shown()}: cannot be asked: one of"
                f" {ADVICE.get(self._scheme, 'the environment')} cannot stand in a request"
            ) from None

    def _hint(self) -> str:
        return _ENDPOINTS.get(self._scheme, ("its URL",))[-1]

    def _refused(self, name: str, error: BaseException) -> StoreError:
        return StoreError(
            f"{self._shown()}: {name or 'listing'} is refused ({_code(error)}): the credentials"
            f" ({ADVICE.get(self._scheme, 'of this user')}) may be wrong, expired or without"
            " this permission, or this machine's clock is off"
        )


def in_parallel(work: Callable[[str], None], names: Iterable[str], what: str) -> None:
    """Call a function with each name, several at a time; the first error ends it. `what` is said
    of the progress, where that is shown and `names` have a length.
    """
    total = len(names) if isinstance(names, Sized) else 0
    under_way: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_THREADS) as threads, steps(what, total) as advance:
        try:
            for name in names:
                under_way.append(threads.submit(work, name))
                # A listing may be of a million names: they are not all in memory.
                if len(under_way) > _MOST_UNDER_WAY:
                    under_way.popleft().result()
                    advance(1)
            while under_way:
                under_way.popleft().result()
                advance(1)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _s3_config(environ: Mapping[str, str], endpoint: str | None) -> dict[str, str]:
    """What the environment says, and what obstore does not read: the endpoint's other names, and
    the files below ~/.aws.
    """
    config = {name.lower(): environ[name] for name in _S3_VARIABLES if environ.get(name)}
    if endpoint:
        config["aws_endpoint"] = endpoint
    if environ.get("AWS_ACCESS_KEY_ID"):
        return config
    profile = environ.get("AWS_PROFILE", "default")
    home = Path(environ.get("HOME", "~")).expanduser() / ".aws"
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": (home / "credentials", profile),
        "AWS_CONFIG_FILE": (
            home / "config",
            profile if profile == "default" else f"profile {profile}",
        ),
    }
    for variable, (path, section) in files.items():
        parser = configparser.RawConfigParser()
        with suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read_string(Path(environ.get(variable) or path).read_text())
        for key in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region"):
            if parser.has_option(section, key) and not (key == "region" and "aws_region" in config):
                config[key if key.startswith("aws") else f"aws_{key}"] = parser.get(section, key)
    return config


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].strip()


def _code(error: BaseException) -> str:
    """The service's own code where its answer has one, else the first line."""
    text = str(error)
    start = text.find("<Code>")
    if start >= 0:
        return text[start + 6 : text.find("</Code>", start)][:80]
    return _first_line(error)[:200]
