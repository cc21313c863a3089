"""Stock clients through the real proxy, over TLS, against a scripted provider.

All clients ask three times, in one process each time: the provider directly, through `record`, and
through `replay` with neither key nor provider. The tests then look at one call each. While
recording, the provider sends an event only when the client has printed the one before it.
"""

import re
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.clients.cases import (
    HOSTS,
    OTHERS_HOST,
    Case,
    chat_object,
    chat_objects,
    contains,
    message_object,
    message_objects,
    named_event,
    odd_chunks,
    raw,
    raw_whole,
    response_objects,
    streamed,
    texts,
    whole,
    zipped,
    zipped_whole,
)
from tests.clients.rounds import KEYS, Clients, Rounds
from tests.support import paths
from tests.support.cases import in_one_test
from tests.support.commands import Wiretape, serving
from tests.support.limits import PATIENCE
from tests.support.upstream import Received, Upstream

from wiretape.core.wire.content_coding import codings, decoder

# ------------------------------------------------------------------ who asks, and what


MODELS = [
    {"id": name, "object": "model", "created": 1758039042, "owned_by": "someone"}
    for name in ("gpt-4o", "gpt-4o-mini")
]


def cases() -> Iterator[Case]:
    models = whole("openai.models", {"object": "list", "data": MODELS}, "/v1/models")
    yield replace(models, sent=MODELS)
    for name in ("openai.whole", "openai.async_whole", "together.whole", "together.async_whole"):
        yield whole(name, chat_object(name))
    for name in (
        "openai.streamed",
        "openai.async_streamed",
        "together.streamed",
        "together.async_streamed",
    ):
        yield streamed(name, chat_objects(name))
    name = "openai.responses_streamed"
    yield streamed(name, response_objects(name), "/v1/responses", named_event, done=False)
    for name in ("anthropic.whole", "anthropic.async_whole"):
        yield whole(name, message_object(name), "/v1/messages")
    for name in ("anthropic.streamed", "anthropic.async_streamed"):
        values, ping = message_objects(name), [{"type": "ping"}]
        yield streamed(name, values, "/v1/messages", named_event, ping, done=False)
    for client in ("httpx", "httpx.http2", "httpx.async", "requests", "aiohttp", "curl"):
        name = client + ("_" if "." in client else ".")
        yield raw_whole(name + "whole")
        yield raw(name + "streamed")
    yield zipped_whole("httpx.gzip_whole")
    yield zipped("httpx.gzip_streamed")
    yield raw("httpx.odd_streamed", odd_chunks())


CASES = {case.name: case for case in cases()}
STREAMED = [name for name, case in CASES.items() if case.shown]
RAW = [name for name, case in CASES.items() if case.place not in HOSTS]


def going_directly(provider: Upstream) -> dict[str, str]:
    trust = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return {
        **dict.fromkeys(trust, str(provider.ca_file)),
        "OPENAI_BASE_URL": provider.url + "/openai/v1",
        "TOGETHER_BASE_URL": provider.url + "/together",
        "ANTHROPIC_BASE_URL": provider.url + "/anthropic",
        "CLIENTS_URL": provider.url + "/others",
    }


@pytest.fixture(scope="module")
def rounds(clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    env = {**clean_env, "PYTHONPATH": str(paths.ROOT)}
    program = [sys.executable, "-m", "tests.clients"]
    clients = Clients(program, CASES, env, going_directly)
    return clients.ask(tmp_path_factory.mktemp("clients"))


# ------------------------------------------------------------------ call by call


@in_one_test("name", CASES)
def test_the_client_understands_the_provider(rounds: Rounds, name: str) -> None:
    # Without this the others might compare failures.
    assert rounds.direct.end(name) == {"end": "ok"}
    got, sent = rounds.direct.got(name), CASES[name].sent
    assert contains(got, sent), (got, sent)


@in_one_test("name", CASES)
def test_recording_changes_nothing_for_the_client(rounds: Rounds, name: str) -> None:
    assert rounds.recorded.lines[name] == rounds.direct.lines[name]


@in_one_test("name", CASES)
def test_replay_gives_the_client_what_it_got(rounds: Rounds, name: str) -> None:
    assert rounds.replayed.lines[name] == rounds.direct.lines[name]


@pytest.mark.parametrize("name", RAW)
def test_replayed_bytes_are_the_bytes_sent(rounds: Rounds, name: str) -> None:
    assert "".join(rounds.replayed.got(name)).encode() == CASES[name].plain


@pytest.mark.parametrize("name", STREAMED)
def test_an_event_reaches_the_client_before_the_next_is_sent(rounds: Rounds, name: str) -> None:
    assert name not in rounds.recorded.late


@in_one_test("name", CASES)
def test_the_provider_gets_the_request_as_it_was_made(rounds: Rounds, name: str) -> None:
    [direct], [recorded] = rounds.direct.requests[name], rounds.recorded.requests[name]
    assert recorded.method == direct.method
    assert recorded.target == direct.target
    assert without_host(recorded) == without_host(direct)
    assert recorded.header("Host") == CASES[name].host
    assert recorded.body == direct.body


def without_host(request: Received) -> list[tuple[str, str]]:
    """The headers, in order and case; where the Host is has to be the same, what it says not."""
    return [(name, "" if name.lower() == "host" else value) for name, value in request.headers]


# ------------------------------------------------------------------ the runs as a whole


def test_recording_says_that_all_is_recorded(rounds: Rounds) -> None:
    assert rounds.recorded.report["counts"] == {"recorded": len(CASES)}
    assert rounds.recorded.report["notices"] == []
    assert rounds.recorded.status == 0
    assert len(list(rounds.recordings.rglob("*.json"))) == len(CASES)


def test_replay_says_that_all_is_replayed(rounds: Rounds) -> None:
    assert rounds.replayed.report["counts"] == {"replayed": len(CASES)}
    assert rounds.replayed.report["notices"] == []
    assert rounds.replayed.status == 0


def test_replay_does_not_go_to_the_provider(rounds: Rounds) -> None:
    before, after = rounds.connections
    assert before >= 1
    assert after == before


def test_no_key_is_in_a_recording(rounds: Rounds) -> None:
    text = "".join(path.read_text() for path in rounds.recordings.rglob("*.json"))
    assert [name for name, key in KEYS.items() if key in text] == []
    printed = rounds.recorded.errors + rounds.replayed.errors
    assert [name for name, key in KEYS.items() if key in printed] == []


# ------------------------------------------------------------------ on the wire


@pytest.fixture(scope="module")
def door(
    rounds: Rounds, clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a replay that serves what the clients recorded."""
    args: list[str | Path] = ["replay", "-r", rounds.recordings]
    with serving(args, clean_env, tmp_path_factory.mktemp("door")) as (_, ready):
        yield port_of(ready)


def port_of(ready: str) -> int:
    found = re.search(r"HTTPS_PROXY=http://127\.0\.0\.1:(\d+)", ready)
    assert found is not None, ready
    return int(found[1])


def tunnel(port: int, host: str, ca: Path, alpn: Sequence[str] = ("http/1.1",)) -> ssl.SSLSocket:
    """TLS with `host` through the proxy."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    sock.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = sock.recv(1)
        assert data, head
        head += data
    assert head.split(b" ", 2)[1] == b"200"
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(list(alpn))
    return context.wrap_socket(sock, server_hostname=host)


@pytest.fixture(scope="module")
def authority(rounds: Rounds, state: Path) -> Path:
    return state / "mitmproxy-ca-cert.pem"


@pytest.mark.parametrize("name", STREAMED)
def test_replay_sends_one_http_chunk_for_each_event(
    rounds: Rounds, door: int, authority: Path, name: str
) -> None:
    [request] = rounds.recorded.requests[name]
    # Without what the --map put before the path.
    asked = request.head.replace(f" /{CASES[name].place}/".encode(), b" /", 1) + request.body
    with tunnel(door, CASES[name].host, authority) as tls, tls.makefile("rb") as reader:
        tls.sendall(asked)
        head = {}
        assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
        while (text := reader.readline().decode()) != "\r\n":
            key, _, value = text.strip().partition(": ")
            head[key.lower()] = value
        assert head["transfer-encoding"] == "chunked"
        # The client said that it takes the coding that the provider chose.
        undo = decoder(codings(tuple(head.items())))
        chunks = []
        while size := int(reader.readline(), 16):
            chunks.append(undo.decode(reader.read(size)).decode())
            assert reader.read(2) == b"\r\n"
    assert ("content-encoding" in head) == ("gzip" in name)
    assert chunks == texts(CASES[name].plain)


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_client_that_prefers_http_2_is_offered_http_1_1(
    clean_env: dict[str, str], tmp_path: Path, state: Path, mode: str
) -> None:
    with serving([mode], clean_env, tmp_path) as (_, ready):
        ca = state / "mitmproxy-ca-cert.pem"
        with tunnel(port_of(ready), OTHERS_HOST, ca, ("h2", "http/1.1")) as tls:
            assert tls.selected_alpn_protocol() == "http/1.1"


# ------------------------------------------------------------------ a client that goes past


STRAY = paths.ROOT / "tests" / "clients" / "stray.py"


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_client_that_ignores_the_proxy_is_told_of(wiretape: Wiretape, mode: str) -> None:
    ran = wiretape(mode, "-q", "--", sys.executable, STRAY, env={"WIRETAPE_NO_PRELOAD": "1"})
    assert ran.stdout == "no way there\n"
    assert "nothing reached the proxy" in ran.stderr
    assert "With WIRETAPE_NO_PRELOAD set" in ran.stderr
    assert "trust_env=True" in ran.stderr
