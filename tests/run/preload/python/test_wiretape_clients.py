"""Clients that ignore HTTPS_PROXY are led through it, and given back what they had."""

import http.client
import importlib.util
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import urllib3

from wiretape.run.stubborn_clients import PYTHON_CLIENTS


def _loaded() -> Any:
    # Its folder is not a package: it is put on CMD's PYTHONPATH.
    spec = importlib.util.spec_from_file_location("wiretape_clients", PYTHON_CLIENTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


clients = _loaded()

PROXY = "http://user:p%40ss@127.0.0.1:4000"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    clients.install()
    yield
    clients.uninstall()


async def test_aiohttp_reads_the_environment_unless_it_is_told_not_to() -> None:
    async with aiohttp.ClientSession() as session:
        assert session.trust_env
    async with aiohttp.ClientSession(trust_env=False) as session:
        assert not session.trust_env


@pytest.fixture
def urlopened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    def urlopen(self: Any, method: str, url: str, *args: Any, **named: Any) -> str:
        calls.append((self, url))
        return "answer"

    monkeypatch.setattr(urllib3.ProxyManager, "urlopen", urlopen)
    return calls


def test_urllib3_asks_a_proxy_with_the_credentials(urlopened: list[Any]) -> None:
    manager: Any = urllib3.PoolManager(headers={"x-a": "1"})
    assert manager.urlopen("GET", "https://api.example/v1") == "answer"
    assert manager.urlopen("GET", "https://api.example/v2") == "answer"
    (through, _), (again, _) = urlopened
    assert through is again, "one manager for each proxy"
    assert through.proxy.url == "http://127.0.0.1:4000"
    assert through.proxy_headers == {"Proxy-Authorization": "Basic dXNlcjpwQHNz"}
    assert through.headers == {"x-a": "1"}


def test_urllib3_goes_past_where_no_proxy_says_so(
    urlopened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        urllib3.PoolManager(retries=0).urlopen("GET", "https://127.0.0.1:1/", retries=0)
    assert urlopened == []


class Connected(Exception):
    """Where a connection was to go."""


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(address: tuple[str, int], *args: Any, **named: Any) -> Any:
        raise Connected(address)

    monkeypatch.setattr(socket, "create_connection", create)


@pytest.mark.usefixtures("connecting")
def test_http_client_makes_a_tunnel() -> None:
    connection = http.client.HTTPSConnection("api.example", 8443)
    connection._create_connection = socket.create_connection  # type: ignore[attr-defined]
    with pytest.raises(Connected, match=r"127\.0\.0\.1.*4000"):
        connection.connect()
    assert connection._tunnel_host == "api.example"  # type: ignore[attr-defined]
    assert connection._tunnel_port == 8443  # type: ignore[attr-defined]


@pytest.mark.usefixtures("connecting")
def test_a_tunnel_of_the_clients_own_is_left_alone() -> None:
    connection = http.client.HTTPSConnection("other.proxy", 3128)
    connection._create_connection = socket.create_connection  # type: ignore[attr-defined]
    connection.set_tunnel("api.example", 443)
    with pytest.raises(Connected, match=r"other\.proxy.*3128"):
        connection.connect()


def test_all_is_given_back() -> None:
    patched = (aiohttp.ClientSession.__init__, urllib3.PoolManager.urlopen)
    clients.install()
    clients.uninstall()
    given_back = (aiohttp.ClientSession.__init__, urllib3.PoolManager.urlopen)
    assert given_back[0] is not patched[0]
    assert given_back[1] is not patched[1]
    assert all("wiretape" not in function.__code__.co_filename for function in given_back)
    clients.uninstall()


@pytest.mark.parametrize(
    ("environ", "host", "netloc"),
    [
        ({"HTTPS_PROXY": "127.0.0.1:4000"}, "api.example", "127.0.0.1:4000"),
        ({"HTTPS_PROXY": "http://h:1"}, "api.example", "h:1"),
        ({"HTTPS_PROXY": "http://h:1", "NO_PROXY": ".example"}, "api.example", None),
        ({"HTTPS_PROXY": "http://h:1"}, "", None),
        ({"HTTPS_PROXY": ""}, "api.example", None),
    ],
)
def test_the_proxy_for_a_host_is_the_environments(
    environ: dict[str, str], host: str, netloc: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    parts = clients._proxy_for(host)
    assert (parts.netloc if parts is not None else None) == netloc


def test_the_environment_is_read_again_where_it_was_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import urllib.request

    from aiohttp import connector

    monkeypatch.setattr(urllib.request, "_opener", urllib.request.OpenerDirector())
    before = connector._SSL_CONTEXT_VERIFIED
    monkeypatch.setattr(connector, "_SSL_CONTEXT_VERIFIED", before)
    clients.forget_environment()
    assert urllib.request._opener is None  # type: ignore[attr-defined]
    assert connector._SSL_CONTEXT_VERIFIED is not before

    class Mine(urllib.request.OpenerDirector):
        pass

    monkeypatch.setattr(urllib.request, "_opener", mine := Mine())
    clients.forget_environment()
    assert urllib.request._opener is mine  # type: ignore[attr-defined]
