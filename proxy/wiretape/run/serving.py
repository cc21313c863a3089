"""The proxies of this user that are serving just now, so that `wiretape env` can find them; and
what runs left behind that were killed.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from wiretape.files import write_whole
from wiretape.library.processes import birth_of, is_alive
from wiretape.state_dir import state_dir


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingProxy:
    """A proxy and how its clients reach it."""

    mode: str
    port: int
    base_url_port: int = 0
    upstream_ca: Sequence[Path] = ()
    token: str = field(default="", repr=False)
    hosts: Sequence[str] = ()
    """See `client_environment`'s `own_hosts`."""


@contextmanager
def announced(proxy: ServingProxy) -> Iterator[None]:
    """Let `wiretape env` find this process's proxy as long as it serves."""
    path = _folder() / f"{os.getpid()}.json"
    document = {
        "mode": proxy.mode,
        "port": proxy.port,
        "base_url_port": proxy.base_url_port,
        "upstream_ca": [str(ca) for ca in proxy.upstream_ca],
        "token": proxy.token,
        "hosts": list(proxy.hosts),
        "birth": birth_of(os.getpid()),
    }
    # Only the user may read the token.
    write_whole(path, json.dumps(document).encode(), 0o600)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def serving_proxies() -> list[ServingProxy]:
    """The proxies that serve now, the latest first; removes the files of dead ones."""
    proxies: list[tuple[float, ServingProxy]] = []
    for path in _folder().glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            pid = int(path.stem)
            document = json.loads(path.read_text()) if is_alive(pid) else None
            if document is None or not is_alive(pid, document.get("birth")):
                path.unlink(missing_ok=True)
                continue
            proxy = ServingProxy(
                mode=str(document["mode"]),
                port=int(document["port"]),
                base_url_port=int(document["base_url_port"]),
                upstream_ca=tuple(Path(name) for name in document["upstream_ca"]),
                token=str(document.get("token", "")),
                hosts=tuple(map(str, document.get("hosts", ()))),
            )
            proxies.append((path.stat().st_mtime, proxy))
    return [proxy for _, proxy in sorted(proxies, key=lambda item: item[0], reverse=True)]


def remove_leftovers() -> None:
    """Remove what runs left behind that were killed, and locks that nobody holds."""
    serving_proxies()
    for path in _folder().glob(".*.tmp"):
        with suppress(OSError, ValueError):
            if not is_alive(int(path.name[1:].split(".")[0].split("-")[0])):
                path.unlink()
    state = state_dir()
    for marker in state.glob("*.run"):
        with suppress(OSError, ValueError, IndexError):
            if not is_alive(int(marker.name.split(".")[-3])):
                marker.unlink()
    for lock in state.glob("*.lock"):
        from filelock import FileLock, Timeout  # late: usually there is none

        # Who opened it meanwhile finds it gone once it has the lock, and makes it anew.
        with suppress(OSError, Timeout), FileLock(lock, timeout=0):
            lock.unlink()


def _folder() -> Path:
    folder = state_dir() / "running"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
