"""A proxy as a test process sees it: where it is, and its sessions by the control endpoint.

The process that has started it (xdist's controller) hands `opened` to the others, its workers.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import ssl
import sys
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .network import connected
from .program import Program, WiretapeProblem

_SECONDS = 120.0


class Proxy:
    """A proxy that runs; `client` is what this process is called by it, whatever the test."""

    def __init__(self, opened: dict[str, Any], client: str, program: Program | None = None) -> None:
        self.opened = opened
        self.client = client
        self.program = program
        """None where another process has started it."""

    @property
    def mode(self) -> str:
        """ "replay", "record", "auto" or "refresh"."""
        return str(self.opened["mode"])

    @property
    def url(self) -> str:
        """What a client has for its proxy; the same for all tests of this process."""
        return str(self.opened["url"]).replace("://", f"://{self.client}:x@", 1)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the control endpoint."""
        parts = urlsplit(self.opened["base_url"])
        return str(parts.hostname), int(parts.port or 80)

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends that has a base URL instead."""
        return {"x-wiretape-session": self.client}

    def base_url(self, host: str) -> str:
        """What a client has for its base URL: `base_url("api.openai.com/v1")`."""
        return f"{self.opened['base_url']}/{host}"

    def ssl_context(self) -> ssl.SSLContext:
        """A context that trusts the proxy."""
        return ssl.create_default_context(cafile=self.opened["bundle"])

    def environment(self) -> dict[str, str | None]:
        """The variables that lead clients through the proxy; None: it is not to be set."""
        plain = self.opened["url"]
        return {
            name: self.url if value == plain else value
            for name, value in self.opened["environment"].items()
        }

    def start(self, session: str, folder: str) -> None:
        """A test begins: what this process's clients ask is in its session from now on."""
        query = urlencode({"folder": folder, "client": self.client})
        self._control("POST", f"{_place(session)}/start?{query}")

    def state(self, session: str) -> dict[str, Any]:
        """What a session has come to by now."""
        return self._control("GET", _place(session))

    def finish(self, session: str) -> dict[str, Any]:
        """A test is over, and all of it is written; what it came to."""
        return self._control("POST", f"{_place(session)}/finish")

    def _control(self, method: str, path: str) -> dict[str, Any]:
        host = urlsplit(self.opened["base_url"]).netloc
        connection = http.client.HTTPConnection(host)
        try:
            connection.sock = connected(*self.address, _SECONDS)
            headers = {"Authorization": f"Bearer {self.opened['token']}"}
            connection.request(method, f"/wiretape/sessions/{path}", headers=headers)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        except Exception as error:  # whatever else a test has patched
            raise WiretapeProblem(f"wiretape's proxy does not answer: {error}") from None
        finally:
            connection.close()
        if answer.status >= 400:
            raise WiretapeProblem(str(document["error"]["message"]))
        return dict(document)


def _place(session: str) -> str:
    return quote(session, safe="")


class Environment:
    """This process's environment, while tests run that have a proxy."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}
        self._clients: Any = None

    def enter(self, proxy: Proxy) -> None:
        """Lead clients through a proxy; nothing happens where they are."""
        wanted = proxy.environment()
        if self._before and all(os.environ.get(name) == wanted[name] for name in wanted):
            return
        for name, value in wanted.items():
            self._before.setdefault(name, os.environ.get(name))
            _set(name, value)
        # Clients that ignore these variables, or read them once, are led in by wiretape's own file.
        self._clients = self._clients or _module(proxy.opened["python_clients"])
        if not os.environ.get("WIRETAPE_NO_PRELOAD"):
            self._clients.install()
        self._clients.forget_environment()

    def leave(self) -> None:
        """Set all back to what it was."""
        if not self._before:
            return
        for name, value in self._before.items():
            _set(name, value)
        self._before = {}
        self._clients.uninstall()
        self._clients.forget_environment()


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _module(path: str) -> Any:
    name = "wiretape_clients"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
