"""A proxy as a test process sees it: where it is, its sessions, and the environment for clients."""

import json
import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pytest_wiretape.program import WiretapeProblem
from pytest_wiretape.proxy import Environment, Proxy

ASKED: list[tuple[str, str, str | None]] = []
ANSWER: dict[str, Any] = {}


class Control(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        ASKED.append((self.command, self.path, self.headers["Authorization"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(404 if "error" in ANSWER else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[dict[str, Any]]:
    ASKED.clear()
    ANSWER.clear()
    clients = tmp_path / "wiretape_clients.py"
    clients.write_text(
        "done = []\n"
        "def install(): done.append('install')\n"
        "def uninstall(): done.append('uninstall')\n"
        "def forget_environment(): done.append('forget')\n"
    )
    with HTTPServer(("127.0.0.1", 0), Control) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        yield {
            "mode": "replay",
            "url": "http://127.0.0.1:4000",
            "base_url": f"http://{host}",
            "token": "the-token",
            "python_clients": str(clients),
            "environment": {
                "HTTPS_PROXY": "http://127.0.0.1:4000",
                "SSL_CERT_FILE": "/bundle.pem",
                "NO_PROXY": None,
            },
        }
        server.shutdown()


def test_a_client_is_told_apart_by_its_name(opened: dict[str, Any]) -> None:
    proxy = Proxy(opened, "gw0")
    assert proxy.url == "http://gw0:x@127.0.0.1:4000"
    assert proxy.headers == {"x-wiretape-session": "gw0"}
    assert proxy.base_url("api.openai.com/v1") == f"{opened['base_url']}/api.openai.com/v1"
    assert proxy.mode == "replay"


def test_the_environment_names_this_client(opened: dict[str, Any]) -> None:
    assert Proxy(opened, "gw0").environment() == {
        "HTTPS_PROXY": "http://gw0:x@127.0.0.1:4000",
        "SSL_CERT_FILE": "/bundle.pem",
        "NO_PROXY": None,
    }


def test_a_session_is_started_asked_for_and_finished_with_the_token(
    opened: dict[str, Any],
) -> None:
    ANSWER["counts"] = {"replayed": 1}
    proxy = Proxy(opened, "gw0")
    proxy.start("a/b", "tests/recordings")
    assert proxy.state("a/b") == proxy.finish("a/b") == ANSWER
    path = "/wiretape/sessions/a%2Fb"
    assert [
        ("POST", f"{path}/start?folder=tests%2Frecordings&client=gw0", "Bearer the-token"),
        ("GET", path, "Bearer the-token"),
        ("POST", f"{path}/finish", "Bearer the-token"),
    ] == ASKED


def test_what_the_proxy_refuses_is_said_in_its_words(opened: dict[str, Any]) -> None:
    ANSWER["error"] = {"message": "no such session"}
    with pytest.raises(WiretapeProblem, match="no such session"):
        Proxy(opened, "gw0").state("a")


def test_a_proxy_that_has_gone_is_said_to_have(opened: dict[str, Any]) -> None:
    proxy = Proxy({**opened, "base_url": "http://127.0.0.1:1"}, "gw0")
    with pytest.raises(WiretapeProblem, match="wiretape's proxy does not answer: "):
        proxy.state("a")


def test_an_environment_is_entered_and_left(
    opened: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "wiretape_clients", raising=False)
    monkeypatch.delenv("WIRETAPE_NO_PRELOAD", raising=False)
    monkeypatch.setenv("NO_PROXY", "mine")
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    before = dict(os.environ)
    environment, proxy = Environment(), Proxy(opened, "gw0")
    environment.enter(proxy)
    done = sys.modules["wiretape_clients"].done
    assert os.environ["HTTPS_PROXY"] == proxy.url
    assert "NO_PROXY" not in os.environ
    environment.enter(proxy)
    assert done == ["install", "forget"], "it was entered already"
    os.environ["HTTPS_PROXY"] = "changed by a test"
    environment.enter(proxy)
    assert os.environ["HTTPS_PROXY"] == proxy.url
    environment.leave()
    assert dict(os.environ) == before
    assert done[-2:] == ["uninstall", "forget"]
    monkeypatch.delitem(sys.modules, "wiretape_clients")
