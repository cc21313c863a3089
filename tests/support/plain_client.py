"""A client of the standard library for programs that tests run, where any client will do.

It starts in a quarter of the time that httpx takes and is spelled as httpx is.
"""

import base64
import http.client
import json
import os
import ssl
import textwrap
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit


def program(text: str) -> str:
    """The text of a program that uses `Client`."""
    return Path(__file__).read_text() + textwrap.dedent(text)


class Response:
    """An answer that was read to its end."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status_code = answer.status
        self.is_success = answer.status < 300
        self.text = answer.read().decode()

    def json(self) -> Any:
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        if not self.is_success:
            raise RuntimeError(f"{self.status_code}: {self.text}")


class Client:
    """Asks through HTTPS_PROXY, over one connection to each host."""

    def __init__(
        self, base_url: str = "", proxy: str | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._base_url = base_url
        self._proxy = urlsplit(proxy or os.environ["HTTPS_PROXY"])
        self._context = context or ssl.create_default_context()
        self._connections: dict[str, http.client.HTTPSConnection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.close()

    def post(self, url: str, json: Any) -> Response:
        return self.request("POST", url, json=json)

    def request(
        self, method: str, url: str, headers: dict[str, str] | None = None, json: Any = None
    ) -> Response:
        target = urlsplit(self._base_url + url)
        body = None if json is None else _dumps(json)
        sent = {"accept": "*/*", **({"content-type": "application/json"} if body else {})}
        connection = self._to(target.netloc)
        path = target.path + (f"?{target.query}" if target.query else "")
        connection.request(method, path, body, {**sent, **(headers or {})})
        return Response(connection.getresponse())

    def _to(self, host: str) -> http.client.HTTPSConnection:
        if host not in self._connections:
            proxy, name = self._proxy, self._proxy.username
            connection = http.client.HTTPSConnection(
                proxy.hostname or "", proxy.port, context=self._context
            )
            word = base64.b64encode(f"{name}:{proxy.password}".encode()).decode()
            connection.set_tunnel(
                host, headers={"proxy-authorization": f"Basic {word}"} if name else {}
            )
            self._connections[host] = connection
        return self._connections[host]


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
