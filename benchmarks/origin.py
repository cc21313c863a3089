"""A provider that does as little as it can: a bare aiohttp server over TLS, in its own process.

While recording it is the upstream (with a delay, each chunk stamped with the time it is written);
in the replay section it is the limit, reached directly.

    python -m benchmarks.origin STATE_DIR HOST [--delay MS] [--twice]

With an empty HOST it speaks plain HTTP; with --twice two processes share the port.
"""

import argparse
import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Final

from aiohttp import web

from wiretape.tls.authority import Authority

from . import workload


async def _stream(http: web.BaseRequest, delay: float, paced: int) -> web.StreamResponse:
    """200 chunks, one write each; with a delay each at its own time and stamped with it, or `paced`
    of them as a recording has them.
    """
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    response.enable_chunked_encoding()
    await response.prepare(http)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(paced):
        due = started + FIRST_SECONDS + number * delay
        await asyncio.sleep(max(0.0, due - loop.time()))
        await response.write(workload.paced_chunk(number, paced))
    for number in range(0 if paced else workload.CHUNKS):
        if not delay:
            await response.write(_CHUNKS[number])
            continue
        await asyncio.sleep(max(0.0, started + number * delay - loop.time()))
        await response.write(workload.chunk(number, time.monotonic_ns()))
    await response.write_eof()
    return response


FIRST_SECONDS: Final = 0.1
"""When the first of paced chunks leaves."""

_CHUNKS: Final = [workload.chunk(number) for number in range(workload.CHUNKS)]
_ANSWER: Final = workload.answer(1)
_LARGE: Final = workload.large_answer()


async def _serve(
    state: Path, host: str, delay: float, paced: int, port: socket.socket, parent: int | None
) -> None:
    async def handle(http: web.BaseRequest) -> web.StreamResponse:
        body = await http.read()
        if workload.is_stream(body):
            return await _stream(http, delay, paced)
        answer = _LARGE if workload.is_large(body) else _ANSWER
        return web.Response(body=answer, content_type="application/json")

    context = Authority.load_or_create(state).context(host) if host else None
    loop = asyncio.get_running_loop()
    server = web.Server(handle, access_log=None)
    listener = await loop.create_server(server, sock=port, ssl=context, backlog=1024)
    if parent is None:
        print(f"http://127.0.0.1:{port.getsockname()[1]}", flush=True)
    else:
        loop.add_reader(parent, os._exit, 0)  # it has ended
    await listener.serve_forever()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _fork() -> int | None:
    """Fork; gives the child what tells that its parent has ended, None to the parent."""
    ended, _ends = os.pipe()
    if os.fork():
        return None
    os.close(_ends)
    return ended


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("host")
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds between chunks")
    parser.add_argument("--paced", type=int, default=0, help="chunks of a stream, unstamped")
    parser.add_argument("--twice", action="store_true", help="by two processes")
    args = parser.parse_args()
    port = _bound(0)
    parent = None
    if args.twice:
        second = _bound(port.getsockname()[1])
        parent = _fork()
        port = port if parent is None else second
    asyncio.run(_serve(args.state, args.host, args.delay / 1000, args.paced, port, parent))


if __name__ == "__main__":
    main()
