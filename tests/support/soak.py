"""Many exchanges of every kind through one proxy, and what it holds in memory as they pass.

    .venv/bin/python -m tests.support.soak record 20000

prints a line for each sample and the growth after warm-up: whole answers, streams of 50 events,
errors, clients that leave in the middle, and (in replay) misses.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.commands import start
from tests.support.rawclient import Connection, Reply
from tests.support.upstream import Answer, Upstream

HOST: Final = "api.openai.com"
CHAT: Final = "/v1/chat/completions"
TOLD: Final = {"content-type": "application/json"}
DIFFERENT: Final = 40
"""How many different requests of each kind there are."""
SAMPLES: Final = 20
SECONDS: Final = 300
"""How long a proxy may take to write what it has when it is told to stop."""
WARM: Final = 0.3
"""The part of the exchanges after which memory is to stay as it is."""


@dataclass(frozen=True)
class Sample:
    """The proxy's resident memory in bytes after so many exchanges."""

    exchanges: int
    resident: int


def resident(pid: int) -> int:
    """A process's resident memory in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def growth(samples: Sequence[Sample]) -> float:
    """How much more memory is held at the end than after warm-up, as a part of it.

    Each is the middle of a fifth of the samples: a collection more or less is no leak.
    """
    warm = [one.resident for one in samples if one.exchanges >= WARM * samples[-1].exchanges]
    part = max(1, len(warm) // 5)
    first, last = sorted(warm[:part])[part // 2], sorted(warm[-part:])[part // 2]
    return last / first - 1


# ------------------------------------------------------------------ provider and client

WORDS: Final = [
    {"id": "c", "choices": [{"index": 0, "delta": {"content": f"w{n} "}}]} for n in range(50)
]


def provide(upstream: Upstream) -> None:
    """Script what the exchanges ask for."""
    upstream.script(CHAT + "?kind=stream", Answer.sse(WORDS))
    upstream.script(
        CHAT + "?kind=whole", Answer.json({"choices": [{"message": {"content": "w" * 2000}}]})
    )
    upstream.script(CHAT + "?kind=bad", Answer.json({"error": {"message": "no"}}, status=400))
    upstream.script(CHAT + "?kind=busy", Answer.json({"error": {"message": "busy"}}, status=429))
    upstream.script(CHAT + "?kind=left", Answer.sse(WORDS, delays=[0] * 3 + [0.002] * 48))


def question(kind: str, number: int) -> bytes:
    content = f"question {number} " * 20
    body = {"model": "m", "messages": [{"role": "user", "content": content}], "kind": kind}
    return json.dumps(body).encode()


class Asker:
    """Asks one exchange after another, on one connection as long as it lasts."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    def ask(self, kind: str, body: bytes) -> Reply:
        """One exchange to its end."""
        connection = self._connection = self._connection or self._connect()
        reply = connection.ask("POST", f"{CHAT}?kind={kind}", TOLD, body)
        if reply.header("connection") == "close" or reply.end != "whole":
            self.leave()
        return reply

    def ask_and_leave(self, kind: str, body: bytes) -> int:
        """One exchange, but for its end; gives the status."""
        connection = self._connect()
        connection.send("POST", f"{CHAT}?kind={kind}", TOLD, body)
        status = connection.take_head().status
        connection.read()
        connection.close()
        return status

    def leave(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def exchanges(asker: Asker, number: int) -> Iterator[tuple[str, int]]:
    """Carry out so many; gives the kind and the status of each."""
    for done in range(number):
        nth = done // 10 % DIFFERENT
        kind = ("stream", "whole", "stream", "bad", "stream", "whole", "left", "stream", "busy")[
            done % 9
        ]
        if done % 10 == 9:
            yield "unknown", asker.ask("whole", question("unknown", done % 997)).status
        elif kind == "left":
            yield kind, asker.ask_and_leave(kind, question(kind, nth))
        else:
            yield kind, asker.ask(kind, question(kind, nth)).status
    asker.leave()


# ------------------------------------------------------------------ proxy


@contextmanager
def proxy(
    mode: str, folder: Path, env: Mapping[str, str], *more: str | Path
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A proxy that is up; gives the process and the port. What it says lies in `said.txt`."""
    with (folder.parent / "said.txt").open("a") as said:
        process = start([mode, "-q", "-r", folder, *more], env, folder.parent, said)
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            yield process, int(ready.split("HTTPS_PROXY=http://127.0.0.1:")[1].split(",")[0])
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def soak(
    mode: str, number: int, folder: Path, env: Mapping[str, str], *more: str
) -> tuple[list[Sample], dict[str, int]]:
    """Send `number` exchanges through a proxy; gives the samples, and how often which kind had
    which status.
    """
    with Upstream() as upstream:
        provide(upstream)
        live: list[str | Path] = [
            "--upstream-ca",
            upstream.ca_file,
            "--map",
            f"{HOST}={upstream.url}",
        ]
        if mode == "replay":
            # Unknown ones are left out: they are to be misses.
            with proxy("record", folder, env, *live) as (_, port):
                asker = _asker(port, env)
                for kind in ("stream", "whole", "bad", "left"):
                    for nth in range(DIFFERENT):
                        asker.ask(kind, question(kind, nth))
                asker.leave()
        with proxy(mode, folder, env, *(live if mode != "replay" else ()), *more) as (
            process,
            port,
        ):
            return _sampled(process, exchanges(_asker(port, env), number), number, upstream)


def _asker(port: int, env: Mapping[str, str]) -> Asker:
    ca = Path(env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
    return Asker(lambda: Connection(port, ca, HOST))


def _sampled(
    process: subprocess.Popen[str],
    done: Iterator[tuple[str, int]],
    number: int,
    upstream: Upstream,
) -> tuple[list[Sample], dict[str, int]]:
    samples, statuses = [], dict[str, int]()
    for count, (kind, status) in enumerate(done, 1):
        name = f"{kind} {status}"
        statuses[name] = statuses.get(name, 0) + 1
        if count % max(1, number // SAMPLES) == 0:
            samples.append(Sample(count, resident(process.pid)))
        upstream.requests.clear()
        upstream.sent.clear()
    return samples, statuses


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mode", choices=["record", "auto", "replay"])
    parser.add_argument("number", type=int, nargs="?", default=20_000)
    known, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="wiretape-soak-") as place:
        env: dict[str, Any] = {
            "PATH": os.environ["PATH"],
            "HOME": place,
            "WIRETAPE_HOME": f"{place}/state",
        }
        began = time.monotonic()
        folder = Path(place) / "recordings"
        samples, statuses = soak(known.mode, known.number, folder, env, *more)
        took = time.monotonic() - began
        files = sum(1 for _ in folder.rglob("*.json"))
    for sample in samples:
        print(f"{sample.exchanges:8,}  {sample.resident / 2**20:7.1f} MiB")
    print(f"{statuses}\n{files:,} files, {took:.0f} s, growth after warm-up {growth(samples):+.1%}")


if __name__ == "__main__":
    main()
