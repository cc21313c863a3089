"""The proxies of this user that are serving just now, so that `wiretape env` can find them."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from wiretape.library.processes import is_alive
from wiretape.state_dir import state_dir


@dataclass(frozen=True, slots=True)
class Running:
    """A serving proxy; as a context manager it is announced while it serves."""

    mode: str
    port: int
    base_url_port: int
    upstream_ca: Sequence[Path] = ()
    token: str = field(default="", repr=False)
    pid: int = 0

    def __enter__(self) -> Self:
        folder = _folder()
        document = {
            "mode": self.mode,
            "port": self.port,
            "base_url_port": self.base_url_port,
            "upstream_ca": [str(path) for path in self.upstream_ca],
            "token": self.token,
        }
        temporary = folder / f".{os.getpid()}.tmp"
        # The folder is the user's alone, and so is the token.
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(document))
        temporary.replace(folder / f"{os.getpid()}.json")
        return self

    def __exit__(self, *_: object) -> None:
        (_folder() / f"{os.getpid()}.json").unlink(missing_ok=True)


def _folder() -> Path:
    folder = state_dir() / "running"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def running() -> list[Running]:
    """The proxies that serve now, the latest first; what dead ones left behind is removed."""
    found: list[tuple[float, Running]] = []
    for path in _folder().glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            pid = int(path.stem)
            if not is_alive(pid):
                path.unlink(missing_ok=True)
                continue
            document = json.loads(path.read_text())
            found.append(
                (
                    path.stat().st_mtime,
                    Running(
                        str(document["mode"]),
                        int(document["port"]),
                        int(document["base_url_port"]),
                        tuple(Path(name) for name in document["upstream_ca"]),
                        str(document.get("token", "")),
                        pid,
                    ),
                )
            )
    return [proxy for _, proxy in sorted(found, key=lambda item: item[0], reverse=True)]
