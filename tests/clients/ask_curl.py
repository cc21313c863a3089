"""curl, which prefers HTTP/2 (https, by ALPN) without being asked."""

import json
import subprocess
from collections.abc import Iterator

from .place import body, headers, url
from .say import Call, events


def _curl(call: str, *, stream: bool) -> Iterator[bytes]:
    command = ["curl", "--silent", "--show-error", "--fail", "--no-buffer", url(call)]
    for name, value in {**headers(), "Content-Type": "application/json"}.items():
        command += ["--header", f"{name}: {value}"]
    command += ["--data", json.dumps(body(call, stream=stream))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        while data := process.stdout.read(65536):
            yield data
    if process.returncode:
        raise RuntimeError(f"curl ended with {process.returncode}")


def whole() -> Iterator[str]:
    yield b"".join(_curl("curl.whole", stream=False)).decode()


def streamed() -> Iterator[str]:
    yield from events(_curl("curl.streamed", stream=True))


CALLS: dict[str, Call] = {"curl.whole": whole, "curl.streamed": streamed}
