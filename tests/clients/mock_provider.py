"""A provider on 127.0.0.1 that speaks every API of the clients: aimock, with what it is to say."""

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.limits import wait_until


def fixtures(
    answers: Mapping[str, str], tools: Mapping[str, tuple[str, Mapping[str, Any]] | None]
) -> list[dict[str, Any]]:
    """What is said to prompts: an answer, or the call of a tool and then the answer."""
    found: list[dict[str, Any]] = []
    for prompt, answer in answers.items():
        tool = tools.get(prompt)
        if tool is None:
            found.append({"match": {"userMessage": prompt}, "response": {"content": answer}})
            continue
        call = {"name": tool[0], "arguments": json.dumps(tool[1])}
        found += [
            {
                "match": {"userMessage": prompt, "hasToolResult": False},
                "response": {"toolCalls": [call]},
            },
            # Over a WebSocket the tool's output comes alone, after the id of the answer before.
            {"match": {"hasToolResult": True}, "response": {"content": answer}},
        ]
    return found


@contextmanager
def mock_provider(
    node: Path, packages: Path, place: Path, said: list[dict[str, Any]]
) -> Iterator[str]:
    """Serve until the block ends; gives the URL."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "said.json").write_text(json.dumps({"fixtures": said}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = packages / "@copilotkit" / "aimock" / "dist" / "cli.js"
    with (place / "provider.log").open("w") as log:
        process = subprocess.Popen(
            [node, program, "-p", str(port), "-f", place], stdout=log, stderr=log
        )
        try:
            wait_until(lambda: _answers(port) or process.poll() is not None)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
