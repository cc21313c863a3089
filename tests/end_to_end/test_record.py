"""Recording through the proxy: the client's bytes are untouched, the file is complete."""

import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape, command, serving
from tests.support.limits import PATIENCE
from tests.support.ports import unused_port
from tests.support.stream_call import BODY, CHAT, EVENTS, HOST, STREAM, curl, documents, options
from tests.support.upstream import Answer, Upstream


def test_a_stream_is_passed_on_byte_for_byte_and_recorded_chunk_by_chunk(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    done = wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl())
    assert (done.returncode, done.stdout.encode()) == (0, b"".join(EVENTS))
    (document,) = documents(tmp_path / "r")
    assert document["wiretape"] == 1
    assert document["request"] == {
        "method": "POST",
        "url": f"https://{HOST}{CHAT}",
        "headers": {"accept": "*/*", "content-type": "application/json"},
        "body": json.loads(BODY),
        "endpoint": CHAT,
        "model": "m",
    }
    response = document["response"]
    assert response["is_streaming"] is True
    assert "end" not in response
    kinds = [sorted(chunk.keys() - {"at", "__type__"}) for chunk in response["body"]]
    assert kinds == [["__data__"], ["text"], ["__data__"], ["data"]]
    times = [chunk["at"] for chunk in response["body"]]
    assert times == sorted(times)
    assert "recorded  together  POST /v1/chat/completions  m  200  4 chunks" in done.stderr


def test_the_request_reaches_the_provider_as_it_was_sent(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer.json({}))
    headers = ["-H", "X-Odd-CASE: a", "-H", "Accept-Encoding: gzip, x-odd", "-H", "x-odd-case: b"]
    arguments = curl(CHAT, BODY, HOST, *headers)
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *arguments)
    (seen,) = upstream.requests
    assert (seen.method, seen.target, seen.body) == ("POST", CHAT, BODY.encode())
    assert [(n, v) for n, v in seen.headers if n.lower() not in ("user-agent", "host")] == [
        ("Accept", "*/*"),
        ("content-type", "application/json"),
        ("X-Odd-CASE", "a"),
        ("Accept-Encoding", "gzip, x-odd"),
        ("x-odd-case", "b"),
        ("Content-Length", str(len(BODY))),
    ]
    assert dict(seen.headers)["Host"] == HOST


def test_every_read_reaches_the_client_before_the_next_is_sent(
    clean_env: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    gates = {number: threading.Event() for number in range(1, len(EVENTS))}
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates=gates))
    arguments = command("record", "-q", *options(upstream, tmp_path / "r"), "--", *curl())
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, env=clean_env, stdout=pipe, cwd=tmp_path) as process:
        assert process.stdout is not None
        for number, event in enumerate(EVENTS):
            # Were anything held back, this read would wait for a chunk that is never sent.
            assert os.read(process.stdout.fileno(), 65536) == event
            if number + 1 in gates:
                gates[number + 1].set()
        assert process.wait(timeout=PATIENCE) == 0
    assert len(documents(tmp_path / "r")[0]["response"]["body"]) == len(EVENTS)


def test_a_client_that_closes_at_done_leaves_a_complete_recording(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    never = threading.Event()
    answer = Answer(headers=STREAM, chunks=[*EVENTS, b": bye\n\n"], gates={len(EVENTS): never})
    upstream.script(CHAT, answer)
    leaver = (
        "import json, os, urllib.request\n"
        f"r = urllib.request.Request('https://{HOST}{CHAT}', {BODY.encode()!r},"
        " {'Content-Type': 'application/json'})\n"
        "answer = urllib.request.urlopen(r)\n"
        "while answer.readline() != b'data: [DONE]\\n': pass\n"
    )
    done = wiretape(
        "record", *options(upstream, tmp_path / "r"), "--", sys.executable, "-c", leaver
    )
    never.set()
    assert done.returncode == 0, done.stderr
    (document,) = documents(tmp_path / "r")
    assert "end" not in document["response"]
    assert document["response"]["body"][-1].keys() == {"data", "at"}


@pytest.mark.parametrize(
    ("end", "recorded", "curls"),
    [
        ("reset", "reset", 56),  # curl: failure in receiving network data
        ("fin", "cut", 18),  # curl: transfer closed with outstanding read data remaining
    ],
)
def test_a_stream_that_breaks_off_is_recorded_and_replayed_as_it_did(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path, end: Any, recorded: str, curls: int
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS[:2], end=end))
    live = wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl())
    assert live.returncode == curls
    assert documents(tmp_path / "r")[0]["response"]["end"] == recorded
    again = wiretape("replay", "-r", tmp_path / "r", "--", *curl())
    assert (again.returncode, again.stdout) == (curls, live.stdout)


def test_a_json_answer_is_one_recording_too(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("/v1/models", Answer.json({"object": "list", "data": []}))
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl("/v1/models", None))
    (document,) = documents(tmp_path / "r")
    assert document["response"]["is_streaming"] is False
    assert document["response"]["body"]["__data__"] == {"object": "list", "data": []}


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_errors_of_the_moment_pass_and_are_not_recorded(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path, status: int
) -> None:
    upstream.script("/v1/models", Answer.json({"error": {"message": "no"}}, status=status))
    done = wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl("/v1/models", None))
    assert json.loads(done.stdout) == {"error": {"message": "no"}}
    assert documents(tmp_path / "r") == []
    assert f"a {status} is not recorded (record.errors: true would)" in done.stderr


def test_errors_are_recorded_where_the_configuration_says_so(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("record: {errors: true}\n")
    answer = Answer.json({"error": {}}, status=429, headers=[("Retry-After", "7")])
    upstream.script("/v1/models", answer)
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl("/v1/models", None))
    done = wiretape("replay", "-r", tmp_path / "r", "--", *curl("/v1/models", None, HOST, "-i"))
    assert "HTTP/1.1 429" in done.stdout
    assert "retry-after: 7" in done.stdout.lower()


def test_an_answer_about_the_request_is_recorded_whatever_its_status(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("/v1/models", Answer.json({"error": {"message": "bad"}}, status=400))
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl("/v1/models", None))
    assert documents(tmp_path / "r")[0]["response"]["status"] == 400


def test_other_hosts_pass_untouched_and_unrecorded(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("/hello", Answer.json({"hello": 1}))
    port = upstream.url.rpartition(":")[2]
    # No --map and no CA of ours for it: the client must see the other host's own certificate.
    client = [
        "curl", "-sS", "--noproxy", "", "--cacert", str(upstream.ca_file),
        f"https://localhost:{port}/hello",
    ]  # fmt: skip
    done = wiretape("record", "-r", tmp_path / "r", "--", *client)
    assert json.loads(done.stdout) == {"hello": 1}, done.stderr
    assert documents(tmp_path / "r") == []
    assert f"no request to a configured provider host (seen: localhost:{port})" in done.stderr


@pytest.mark.parametrize("where", ["down", "tls"])
@pytest.mark.parametrize(
    ("host", "shape"),
    [
        ("api.together.xyz", ["error", "message"]),
        ("api.anthropic.com", ["error", "message"]),
    ],
)
def test_a_provider_that_is_not_reached_is_a_clear_502_and_no_recording(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path, where: str, host: str, shape: list[str]
) -> None:
    closed = unused_port()
    # Without --upstream-ca the upstream's certificate is not to be trusted.
    url = f"https://127.0.0.1:{closed}" if where == "down" else upstream.url
    client = curl("/v1/models", None, host, "-w", "%{http_code}")
    done = wiretape("record", "-r", tmp_path / "r", "--map", f"{host}={url}", "--", *client)
    body, status = done.stdout[:-3], done.stdout[-3:]
    assert status == "502"
    told = json.loads(body)
    for step in shape:
        told = told[step]
    assert isinstance(told, str)
    assert told.startswith(f"wiretape: {host} could not be reached: ")
    assert ("certificate" in told.lower()) == (where == "tls")
    assert documents(tmp_path / "r") == []
    assert "failed    " in done.stderr


def test_a_client_that_gives_up_waiting_leaves_no_recording(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    never = threading.Event()
    upstream.script("/v1/models", Answer(gates={-1: never}))
    came = tmp_path / "came"
    os.mkfifo(came)
    coming = threading.Thread(target=lambda: upstream.wait_for_request() and came.write_text("\n"))
    coming.start()
    script = f"{shlex.join(curl('/v1/models', None, HOST))} & read _ <came; kill $!; wait $!"
    done = wiretape("record", *options(upstream, tmp_path / "r"), "--", "sh", "-c", script)
    coming.join()
    never.set()
    assert done.returncode == 128 + signal.SIGTERM
    assert documents(tmp_path / "r") == []
    assert "(the client left before an answer came)" in done.stderr


def test_a_base_url_records_and_replays_the_same_files_as_the_proxy(
    clean_env: dict[str, str], wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    arguments = ["record", *options(upstream, tmp_path / "r"), "--base-url-port", "0"]
    with serving(arguments, clean_env, tmp_path) as (_, ready):
        base = ready.split("base URLs ")[1].split("/HOST")[0]
        client = [
            "curl", "-sSN", f"{base}/{HOST}{CHAT}",
            "-H", "content-type: application/json", "--data-raw", BODY,
        ]  # fmt: skip
        live = subprocess.run(
            client, capture_output=True, timeout=PATIENCE, check=True, env=clean_env
        )
    assert live.stdout == b"".join(EVENTS)
    assert dict(upstream.requests[0].headers)["Host"] == HOST
    assert len(documents(tmp_path / "r")) == 1
    through_proxy = wiretape("replay", "-r", tmp_path / "r", "--", *curl())
    assert through_proxy.stdout.encode() == live.stdout
    with serving(["replay", "-r", tmp_path / "r"], clean_env, tmp_path) as (_, ready):
        base = ready.split("base URLs ")[1].split("/HOST")[0]
        client[2] = f"{base}/{HOST}{CHAT}"
        again = subprocess.run(
            client, capture_output=True, timeout=PATIENCE, check=True, env=clean_env
        )
    assert again.stdout == live.stdout


def test_a_stream_that_two_signals_end_is_kept_as_far_as_it_came(
    clean_env: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    gate = threading.Event()
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={2: gate}))
    arguments = ["record", *options(upstream, tmp_path / "r")]
    with serving(arguments, clean_env, tmp_path) as (process, ready):
        proxy = ready.split("HTTPS_PROXY=")[1].split(",")[0]
        client = subprocess.Popen(
            [*curl(), "-k", "-x", proxy], stdout=subprocess.PIPE, env=clean_env
        )
        assert client.stdout is not None
        first = b"".join(EVENTS[:2])
        got = b""
        while got != first:
            got += os.read(client.stdout.fileno(), 65536)
            assert first.startswith(got)
        # After the second there is no more waiting for what is under way.
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130
        gate.set()
        client.communicate(timeout=PATIENCE)
    (document,) = documents(tmp_path / "r")
    assert document["response"]["end"] == "cut"
    assert len(document["response"]["body"]) == 2


def test_a_stream_under_way_is_finished_before_the_proxy_goes(
    clean_env: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    gate = threading.Event()
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={2: gate}))
    with serving(["record", *options(upstream, tmp_path / "r")], clean_env, tmp_path) as (
        process,
        ready,
    ):
        proxy = ready.split("HTTPS_PROXY=")[1].split(",")[0]
        client = subprocess.Popen(
            [*curl(), "-k", "-x", proxy], stdout=subprocess.PIPE, env=clean_env
        )
        assert client.stdout is not None
        first = os.read(client.stdout.fileno(), 65536)
        process.terminate()
        gate.set()
        rest, _ = client.communicate(timeout=PATIENCE)
        assert first + rest == b"".join(EVENTS)
        assert process.wait(timeout=PATIENCE) == 0
    assert "end" not in documents(tmp_path / "r")[0]["response"]


def test_the_proxy_offers_http_1_1(
    clean_env: dict[str, str], upstream: Upstream, state: Path, tmp_path: Path
) -> None:
    for mode in ("record", "replay"):
        with serving([mode, "-r", tmp_path / "r"], clean_env, tmp_path) as (_, ready):
            port = int(ready.split("HTTPS_PROXY=http://127.0.0.1:")[1].split(",")[0])
            raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            raw.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n".encode())
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")
            context = ssl.create_default_context(cafile=str(state / "mitmproxy-ca-cert.pem"))
            context.set_alpn_protocols(["h2", "http/1.1"])
            with context.wrap_socket(raw, server_hostname=HOST) as tls:
                assert tls.selected_alpn_protocol() == "http/1.1"
