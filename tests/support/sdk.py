"""What the end-to-end tests of matching share: curl's command lines and what is on disk."""

import json
from pathlib import Path
from typing import Any

from tests.support.upstream import Upstream

OPENAI = "api.openai.com"


def record_options(upstream: Upstream, folder: Path, host: str = OPENAI) -> list[str | Path]:
    """What `wiretape record` needs to take `upstream` for a host."""
    return ["-r", folder, "--upstream-ca", upstream.ca_file, "--map", f"{host}={upstream.url}"]


def post(path: str, body: Any, *more: str, host: str = OPENAI) -> list[str]:
    """curl's command line for a POST of JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    head = ["curl", "-sS", f"https://{host}{path}", "-H", "content-type: application/json"]
    return [*head, "--data-raw", text, *more]


def get(path: str, *more: str, host: str = OPENAI) -> list[str]:
    """curl's command line for a GET."""
    return ["curl", "-sS", f"https://{host}{path}", *more]


def shell(*commands: list[str]) -> list[str]:
    """One command that runs some, one after another."""
    import shlex

    return ["sh", "-c", "; ".join(f"{shlex.join(command)}; echo" for command in commands)]


def documents(folder: Path) -> dict[str, dict[str, Any]]:
    """The recordings below a folder by their name in it."""
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_bytes())
        for path in sorted(folder.rglob("*.json"))
    }


def statuses(folder: Path) -> list[int]:
    """The statuses of a folder's recordings, by name."""
    return [document["response"]["status"] for document in documents(folder).values()]
