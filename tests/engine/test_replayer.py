"""Replay from disk: the same bytes in the same chunks, at the chosen pace, all offline."""

import json
import os
import re
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
from tests.support.stream_call import BODY, CHAT, EVENTS, HOST, STREAM, curl, documents, options
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


@pytest.fixture
def recorded(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> Path:
    """A folder with one recorded stream."""
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    assert wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl()).returncode == 0
    return tmp_path / "r"


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


def test_a_miss_is_an_error_of_the_providers_shape_and_fails_the_run(
    recorded: Path, wiretape: Wiretape, tmp_path: Path
) -> None:
    other = BODY.replace('"Hi"', '"Hello"')
    client = ["sh", "-c", f"{' '.join(map(_quoted, curl(CHAT, other, HOST, '-i')))} && true"]
    report = tmp_path / "report.json"
    done = wiretape("replay", "-r", recorded, "--report", report, "--", *client)
    assert done.returncode == 3
    assert "HTTP/1.1 400 Bad Request" in done.stdout
    assert "x-should-retry: false" in done.stdout.lower()
    assert "x-wiretape: miss" in done.stdout.lower()
    error = json.loads(done.stdout.partition("{")[1] + done.stdout.partition("{")[2])["error"]
    assert 'body.messages[0].content: got "Hello", recorded "Hi"' in error["message"]
    (name,) = (path.relative_to(recorded).as_posix() for path in recorded.rglob("*.json"))
    assert f"nearest is {name}" in error["message"]
    assert 'body.messages[0].content: got "Hello", recorded "Hi"' in done.stderr
    told = json.loads(report.read_text())
    assert told["counts"] == {"missed": 1}
    assert told["exchanges"][0]["miss"]["differences"] == [
        {"path": "body.messages[0].content", "got": "Hello", "recorded": "Hi"}
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


OPENAI = f"openai.OpenAI(base_url='https://{HOST}/v1')"


@pytest.mark.parametrize(
    ("sdk", "call"),
    [
        ("openai", f"{OPENAI}.chat.completions.create(model='m', messages=[])"),
        ("openai", f"list({OPENAI}.chat.completions.create(model='m', messages=[], stream=True))"),
        ("openai", f"{OPENAI}.responses.create(model='m', input='x')"),
        (
            "anthropic",
            "anthropic.Anthropic().messages.create(model='m', max_tokens=1, messages=[])",
        ),
        ("together", "together.Together().chat.completions.create(model='m', messages=[])"),
    ],
)
def test_an_sdk_raises_at_once_with_the_misses_own_words(
    recorded: Path, wiretape: Wiretape, sdk: str, call: str
) -> None:
    client = f"import {sdk}\ntry: {call}\nexcept {sdk}.BadRequestError as e: print(e)\n"
    done = wiretape("replay", "-r", recorded, "--", sys.executable, "-c", client)
    assert "no recording answers POST" in done.stdout
    assert done.stderr.count("missed    ") == 1, "the SDK must not retry"
    assert done.returncode == 3


def test_the_status_of_a_miss_is_the_configurations(
    recorded: Path, wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("on_miss: fail\nreplay: {miss_status: 451}\n")
    client = curl(CHAT, "{}", HOST, "-o", os.devnull, "-w", "%{http_code}")
    for mode in ("replay", "auto"):
        done = wiretape(mode, *options(upstream, recorded), "--report", "j", "--", *client)
        assert (done.returncode, done.stdout) == (3, "451"), done.stderr
        (row,) = json.loads((tmp_path / "j").read_bytes())["exchanges"]
        assert row["status"] == 451


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_an_informational_status_is_never_a_final_answer(
    recorded: Path, wiretape: Wiretape, upstream: Upstream, status: int
) -> None:
    (path,) = recorded.rglob("*.json")
    document = json.loads(path.read_bytes())
    document["response"]["status"] = status
    path.write_text(json.dumps(document))
    (recorded.parent / "config.yaml").write_text("on_miss: fail\n")
    for mode in ("replay", "auto"):
        client = curl(CHAT, BODY, HOST, "-o", os.devnull, "-w", "%{http_code}")
        done = wiretape(mode, *options(upstream, recorded), "--", *client)
        assert (done.returncode, done.stdout) == (3, "400"), done.stderr
        assert "response.status: expected the status of a final answer" in done.stderr


def test_a_miss_of_cmd_that_failed_keeps_its_own_status(recorded: Path, wiretape: Wiretape) -> None:
    client = ["sh", "-c", "curl -s https://api.together.xyz/nowhere; exit 9"]
    assert wiretape("replay", "-r", recorded, "--", *client).returncode == 9


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


def test_auto_replays_what_there_is_and_records_the_rest(
    recorded: Path, wiretape: Wiretape, upstream: Upstream
) -> None:
    upstream.script("/v1/models", Answer.json({"data": []}))
    both = ["sh", "-c", f"{' '.join(map(_quoted, curl()))}; curl -s https://{HOST}/v1/models"]
    done = wiretape("auto", *options(upstream, recorded), "--", *both)
    assert done.stdout.encode() == b"".join(EVENTS) + b'{"data": []}'
    assert "wiretape auto: 1 recorded, 1 replayed" in done.stderr
    assert [seen.target for seen in upstream.requests] == [CHAT, "/v1/models"]
    again = wiretape("auto", *options(upstream, recorded), "--", *both)
    assert again.stdout == done.stdout
    assert len(upstream.requests) == 2


def test_auto_in_ci_never_goes_live(recorded: Path, wiretape: Wiretape, upstream: Upstream) -> None:
    client = curl("/v1/models", None)
    env = {"CI": "true"}
    done = wiretape("auto", *options(upstream, recorded), "--", *client, env=env)
    assert done.returncode == 3
    assert len(upstream.requests) == 1


def test_equal_requests_in_one_auto_run_are_all_recorded_and_replayed_in_order(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    for number in range(3):
        upstream.script("/v1/models", Answer.json({"n": number}))
    thrice = ["sh", "-c", f"for i in 1 2 3; do curl -s https://{HOST}/v1/models; done"]
    live = wiretape("auto", *options(upstream, tmp_path / "r"), "--", *thrice)
    assert live.stdout == '{"n": 0}{"n": 1}{"n": 2}', live.stderr
    assert len(documents(tmp_path / "r")) == 3
    again = wiretape("replay", "-r", tmp_path / "r", "--", *thrice)
    assert again.stdout == live.stdout


def test_after_the_last_take_the_last_is_given_again_and_counted(
    recorded: Path, wiretape: Wiretape
) -> None:
    twice = ["sh", "-c", f"{' '.join(map(_quoted, curl()))}; {' '.join(map(_quoted, curl()))}"]
    done = wiretape("replay", "-r", recorded, "--", *twice)
    assert done.stdout.encode() == b"".join(EVENTS) * 2
    assert "1 answered again beyond the last take" in done.stderr


def test_used_up_takes_are_a_miss_where_the_configuration_says_so(
    recorded: Path, wiretape: Wiretape, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("replay: {repeat: miss}\n")
    twice = ["sh", "-c", f"{' '.join(map(_quoted, curl()))}; {' '.join(map(_quoted, curl()))}"]
    done = wiretape("replay", "-r", recorded, "--", *twice)
    assert "all takes of" in done.stdout
    assert done.returncode == 3


def test_a_broken_file_is_named_and_skipped_and_the_rest_works(
    recorded: Path, wiretape: Wiretape
) -> None:
    (recorded / "half.json").write_text('{"wiretape": 1, "request": {')
    (recorded / "package.json").write_text('{"name": "foreign"}')
    done = wiretape("replay", "-r", recorded, "--", *curl())
    assert done.stdout.encode() == b"".join(EVENTS)
    assert re.search(r"skipped .*half\.json: not JSON: .* line 1 column", done.stderr)
    assert re.search(r"skipped .*package\.json: .*not a recording", done.stderr)


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
