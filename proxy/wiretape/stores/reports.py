"""The reports of a run's replicas in an object store: one object each, below the run's URL."""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from itertools import islice
from secrets import token_hex
from typing import Any

from wiretape.core.errors import ConfigError, StoreError

from .store import ObjectStore


def check(url: str, environ: Mapping[str, str]) -> None:
    """StoreError or ConfigError where reports could not be found below a URL."""
    list(islice(ObjectStore(url, environ).names(), 1))


def push(url: str, environ: Mapping[str, str], data: bytes) -> str:
    """Add a report; gives its URL. StoreError if it cannot be written."""
    store = ObjectStore(url, environ)
    machine = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:60]
    name = f"{machine}-{token_hex(4)}.json"
    if not store.create(name, data):
        raise StoreError(f"{store.url}/{name}: another report has this name")
    return f"{store.url}/{name}"


def read_all(url: str, environ: Mapping[str, str]) -> Iterator[Any]:
    """The JSON of the reports below a URL, in the order of their names; ConfigError without any."""
    store = ObjectStore(url, environ)
    names = sorted(name for name in store.names() if name.endswith(".json"))
    if not names:
        raise ConfigError(f"{store.url}: no report is there")
    for name in names:
        there = store.read(name)
        try:
            yield json.loads(there.data if there is not None else b"")
        except ValueError as error:
            raise ConfigError(f"{store.url}/{name}: cannot be read as a report: {error}") from None
