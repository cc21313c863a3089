"""A provider that answers as recordings say: on 127.0.0.1, byte for byte, by the request's body."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from aiohttp import web

from wiretape.core.model import Exchange

KEY = "tgp_v1_" + "Vq4Xw9" * 6


class FaithfulProvider:
    """Answers from `exchanges`; `answer` may be replaced by what a test wants to see."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        # A path may begin with a host, for hosts that are mapped here with one.
        self._exchanges = {
            (prefix + each.request.path, _canonical(each.request.body)): each
            for each in exchanges
            for prefix in ("", f"/{each.request.authority}")
        }
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.scripted: list[web.Response] = []
        """Answers that go before the recorded ones."""
        self.url = ""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.path_qs, headers, body))
        if self.scripted:
            return self.scripted.pop(0)
        exchange = self._exchanges.get((request.path, _canonical(body)))
        if exchange is None:
            return web.json_response({"error": {"message": "unknown"}}, status=404)
        answer = exchange.response
        head = {name: value for name, value in answer.headers if name.lower() == "content-type"}
        response = web.StreamResponse(status=answer.status, headers=head)
        await response.prepare(request)
        for chunk in answer.chunks:
            await response.write(chunk.data)
        await response.write_eof()
        return response

    @contextmanager
    def running(self) -> Iterator["FaithfulProvider"]:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            application = web.Application(client_max_size=1 << 26)
            application.router.add_route("*", "/{path:.*}", self._answer)
            server = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            runner.run(server.setup())
            runner.run(web.TCPSite(server, "127.0.0.1", 0).start())
            self.url = f"http://127.0.0.1:{server.addresses[0][1]}"
            thread = Thread(target=loop.run_forever)
            thread.start()
            try:
                yield self
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                runner.run(server.cleanup())


def _canonical(body: bytes) -> str:
    try:
        value: Any = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    return json.dumps(value, sort_keys=True)
