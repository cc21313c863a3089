"""Replay from disk: the same bytes in the same chunks, at the chosen pace, all offline."""

import json
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.commands import Wiretape, port_of, serving
from tests.support.limits import PATIENCE
from tests.support.stream_call import BODY, CHAT, EVENTS, HOST, STREAM, curl, options
from tests.support.tools import working
from tests.support.upstream import Answer, Upstream

SEEDS = paths.RECORDINGS
HELLO = json.dumps(
    {
        "model": "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
        "messages": [{"role": "user", "content": "Hello, world!"}],
        "stream": True,
    }
)


def chunks_of(proxy_port: int, ca: Path, body: str = BODY, target: str = CHAT) -> list[bytes]:
    """The HTTP chunks (RFC 9112, section 7.1) a raw client gets through the proxy."""
    raw = socket.create_connection(("127.0.0.1", proxy_port), timeout=PATIENCE)
    raw.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
    assert raw.recv(4096).startswith(b"HTTP/1.1 200")
    context = ssl.create_default_context(cafile=str(ca))
    with context.wrap_socket(raw, server_hostname=HOST) as tls:
        head = f"POST {target} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        tls.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        stream = tls.makefile("rb")
        while stream.readline() != b"\r\n":
            pass
        chunks = []
        while size := int(stream.readline(), 16):
            chunks.append(stream.read(size))
            assert stream.readline() == b"\r\n"
        return chunks


def test_each_event_is_one_chunk_through_every_door(
    recorded: Path, clean_env: dict[str, str], state: Path, upstream: Upstream, tmp_path: Path
) -> None:
    ca = state / "mitmproxy-ca-cert.pem"
    for mode in ("replay", "auto"):
        for pace in ("instant", "20x"):
            arguments = [mode, "--pace", pace, *options(upstream, recorded)]
            with serving(arguments, clean_env, tmp_path) as (_, ready):
                assert chunks_of(port_of(ready), ca) == EVENTS, (mode, pace)
    assert len(upstream.requests) == 1


def test_chunks_larger_than_a_read_are_whole_through_every_door(
    wiretape: Wiretape, upstream: Upstream, clean_env: dict[str, str], state: Path, tmp_path: Path
) -> None:
    events = [b"data: " + b"%06d " % n * (n % 3000) + b"\n\n" for n in range(1, 400, 7)]
    events += [b"data: " + b"x" * 200_000 + b"\n\n", b"data: [DONE]\n\n"]
    upstream.script(CHAT, Answer(headers=STREAM, chunks=events))
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl(CHAT, BODY, HOST, "-o", "x"))
    for mode in ("replay", "auto"):
        with serving([mode, *options(upstream, tmp_path / "r")], clean_env, tmp_path) as (_, ready):
            got = chunks_of(port_of(ready), state / "mitmproxy-ca-cert.pem")
        assert [len(chunk) for chunk in got] == [len(event) for event in events], mode
        assert got == events
    assert len(upstream.requests) == 1


def test_a_client_of_http_1_0_gets_the_stream_without_chunks(
    recorded: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    with serving(["replay", "-r", recorded], clean_env, tmp_path) as (_, ready):
        client = ["curl", "-sSN", "--http1.0", f"http://127.0.0.1:{port_of(ready)}/{HOST}{CHAT}"]
        client += ["-H", "content-type: application/json", "--data-raw", BODY, "-i"]
        done = subprocess.run(client, env=clean_env, capture_output=True, timeout=PATIENCE)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"transfer-encoding" not in head.lower()
    assert body == b"".join(EVENTS)


def test_the_run_needs_no_network_and_resolves_no_name(
    recorded: Path, wiretape: Wiretape, tmp_path: Path
) -> None:
    """Every connect and every look-up of the whole run is written down by an audit hook."""
    spy = tmp_path / "spy"
    spy.mkdir()
    log = tmp_path / "audit.log"
    (spy / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, args):\n"
        "    if event.startswith('socket.') and event.split('.')[1] in WATCHED:\n"
        "        shown = args[1:] if event == 'socket.connect' else args\n"
        "        with open(os.environ['AUDIT_LOG'], 'a') as file:\n"
        "            file.write(f'{event} {shown}\\n')\n"
        "    elif event == 'import' and args[0].partition('.')[0] == 'mitmproxy':\n"
        "        with open(os.environ['AUDIT_LOG'], 'a') as file: file.write('mitmproxy\\n')\n"
        "WATCHED = ('connect', 'getaddrinfo', 'gethostbyname', 'gethostbyaddr', 'sendto')\n"
        "sys.addaudithook(hook)\n"
    )
    client = (
        "import urllib.request\n"
        f"r = urllib.request.Request('https://{HOST}{CHAT}', {BODY.encode()!r},"
        " {'Content-Type': 'application/json'})\n"
        "print(urllib.request.urlopen(r).read())\n"
    )
    env = {"PYTHONPATH": str(spy), "AUDIT_LOG": str(log)}
    done = wiretape("replay", "-r", recorded, "--", sys.executable, "-c", client, env=env)
    assert done.stdout == f"{b''.join(EVENTS)!r}\n", done.stderr
    seen = log.read_text().splitlines()
    # The client's own way to the proxy is there, so the hook was at work; and nothing else is.
    assert any(line.startswith("socket.connect") for line in seen)
    assert [line for line in seen if "'127.0.0.1'" not in line] == []


def test_the_run_works_where_there_is_no_network_at_all(
    recorded: Path, clean_env: dict[str, str]
) -> None:
    unshare = working("unshare", "-rn", "true")
    if unshare is None:
        pytest.skip("this machine lets no one make a network namespace (unshare -rn)")
    inside = 'ip link set lo up 2>/dev/null || ifconfig lo up; exec "$@"'
    arguments = [sys.executable, "-m", "wiretape", "replay", "-r", str(recorded), "--", *curl()]
    done = subprocess.run(
        [unshare, "-rn", "sh", "-c", inside, "sh", *arguments],
        env=clean_env,
        capture_output=True,
        timeout=PATIENCE,
    )
    if b"Cannot assign" in done.stderr or b"not found" in done.stderr:
        pytest.skip("the loopback device of a namespace cannot be set up here")
    assert (done.returncode, done.stdout) == (0, b"".join(EVENTS)), done.stderr


def test_a_recorded_pace_is_kept_and_scaled(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl())
    (place,) = (tmp_path / "r").rglob("*.json")
    document = json.loads(place.read_text())
    for number, chunk in enumerate(document["response"]["body"]):
        chunk["at"] = 0.2 + 0.2 * number
    document["response"]["end_at"] = 0.8
    place.write_text(json.dumps(document))
    took = {}
    for pace in ("instant", "recorded", "2x", "0.5x"):
        client = curl(
            CHAT, BODY, HOST, "-o", "/dev/null", "-w", "%{time_starttransfer} %{time_total}"
        )
        done = wiretape("replay", "-q", "--pace", pace, "-r", tmp_path / "r", "--", *client)
        took[pace] = float(done.stdout.split()[1])
    # Bounds from below only: a slow machine may be late, never early.
    assert took["recorded"] >= 0.8
    assert took["2x"] >= 0.4
    assert took["0.5x"] >= 1.6
    assert took["instant"] < took["recorded"]


def test_another_host_is_refused_with_the_setting_that_tunnels_it(
    recorded: Path, wiretape: Wiretape
) -> None:
    done = wiretape("replay", "-r", recorded, "--", "curl", "-sS", "https://example.com/")
    assert "example.com:443 is not a provider's host" in done.stderr
    assert "other_hosts: tunnel" in done.stderr


def test_another_host_is_tunnelled_where_the_setting_says_so(
    recorded: Path, wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("other_hosts: tunnel\n")
    upstream.script("/hello", Answer.json({"hello": 1}))
    port = upstream.url.rpartition(":")[2]
    client = [
        "curl", "-sS", "--noproxy", "", "--cacert", str(upstream.ca_file),
        f"https://localhost:{port}/hello",
    ]  # fmt: skip
    done = wiretape("replay", "-r", recorded, "--", *client)
    assert json.loads(done.stdout) == {"hello": 1}


def test_plain_http_goes_through_the_proxy_in_absolute_form(
    wiretape: Wiretape, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text('providers: {local: {hosts: ["ollama.test:11434"]}}\n')
    with Upstream(tls=False) as upstream:
        upstream.script("/api/chat", Answer.json({"done": True}))
        client = [
            "curl", "-sS", "http://ollama.test:11434/api/chat",
            "-H", "content-type: application/json", "--data-raw", "{}",
        ]  # fmt: skip
        route = ["--map", f"ollama.test:11434={upstream.url}"]
        live = wiretape("record", "-r", tmp_path / "r", *route, "--", *client)
    assert json.loads(live.stdout) == {"done": True}, live.stderr
    assert (tmp_path / "r" / "ollama.test+11434" / "api-chat").is_dir()
    again = wiretape("replay", "-r", tmp_path / "r", "--", *client)
    assert again.stdout == live.stdout


def test_the_shipped_recordings_replay_to_curl(wiretape: Wiretape) -> None:
    done = wiretape("replay", "-r", SEEDS, "--", *curl(CHAT, HELLO))
    events = done.stdout.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    stored = json.loads((SEEDS / "6730dcde0b73.json").read_text())["response"]["body"]
    assert [json.loads(event.removeprefix("data: ")) for event in events[:-2]] == [
        chunk["__data__"] for chunk in stored
    ]


def test_a_hundred_clients_at_once_each_get_their_own_answer(
    wiretape: Wiretape, upstream: Upstream, clean_env: dict[str, str], state: Path, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl())
    got: list[list[bytes]] = []
    with serving(["replay", "-r", tmp_path / "r"], clean_env, tmp_path) as (_, ready):
        ca, port = state / "mitmproxy-ca-cert.pem", port_of(ready)
        threads = [
            threading.Thread(target=lambda: got.append(chunks_of(port, ca))) for _ in range(100)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=PATIENCE)
    assert got == [EVENTS] * 100


def test_one_connection_carries_many_requests(
    recorded: Path, wiretape: Wiretape, tmp_path: Path
) -> None:
    client = (
        "import http.client, os, ssl\n"
        "proxy = os.environ['HTTPS_PROXY'].rpartition(':')[2]\n"
        "context = ssl.create_default_context(cafile=os.environ['SSL_CERT_FILE'])\n"
        "c = http.client.HTTPSConnection('127.0.0.1', int(proxy), context=context)\n"
        f"c.set_tunnel('{HOST}', 443)\n"
        "for _ in range(5):\n"
        f"    c.request('POST', '{CHAT}', {BODY!r}, {{'Content-Type': 'application/json'}})\n"
        "    print(len(c.getresponse().read()), c.sock.getsockname()[1])\n"
    )
    done = wiretape("replay", "-r", recorded, "--", sys.executable, "-c", client)
    assert len(set(done.stdout.splitlines())) == 1
    assert len(done.stdout.splitlines()) == 5
