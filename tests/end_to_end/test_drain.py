"""`record.drain: true`: what a client leaves behind is recorded to its end."""

import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from tests.support.commands import serving
from tests.support.limits import PATIENCE
from tests.support.mitmdump import mitmdump
from tests.support.stream_call import CHAT, EVENTS, HOST, STREAM, curl, documents, options
from tests.support.upstream import Answer, Upstream

CONFIG = "record: {drain: true}\n"


def base_url_port(ready: str) -> int:
    return int(ready.partition("base URLs http://127.0.0.1:")[2].partition("/")[0])


def leave(port: int) -> None:
    """Ask for the stream on the base-URL port, read its first event and go."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        body = b'{"model":"m","messages":[],"stream":true}'
        head = f"POST /{HOST}{CHAT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        got = b""
        while EVENTS[0] not in got:
            got += client.recv(65536)


@pytest.mark.parametrize("drain", [True, False])
def test_the_rest_of_an_answer_is_recorded_where_that_is_wanted(
    clean_env: dict[str, str], tmp_path: Path, upstream: Upstream, drain: bool
) -> None:
    gate = threading.Event()
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={1: gate}))
    (tmp_path / "config.yaml").write_text(CONFIG if drain else "{}\n")
    args = ["record", *options(upstream, tmp_path / "r")]
    with serving(args, clean_env, tmp_path) as (process, line):
        leave(base_url_port(line))
        if drain:
            # In the meantime the proxy learns that its client left; else the client gets it all.
            threading.Timer(0.3, gate.set).start()
            gate.wait()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=PATIENCE)
    (document,) = documents(tmp_path / "r")
    response = document["response"]
    if drain:
        assert "end" not in response
        assert len(response["body"]) == len(EVENTS)
        assert "the client left after 1 chunk" in told
    else:
        assert response["end"] == "client-closed"
        assert len(response["body"]) == 1
        assert "ended early: client-closed" in told


def test_a_run_that_stops_cuts_what_is_read_on(
    clean_env: dict[str, str], tmp_path: Path, upstream: Upstream
) -> None:
    never = threading.Event()
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={1: never}))
    (tmp_path / "config.yaml").write_text(CONFIG)
    args = ["record", *options(upstream, tmp_path / "r")]
    with serving(args, clean_env, tmp_path) as (process, line):
        leave(base_url_port(line))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)  # in a hurry
        process.communicate(timeout=PATIENCE)
    (document,) = documents(tmp_path / "r")
    assert (document["response"]["end"], len(document["response"]["body"])) == ("cut", 1)


def test_mitmdump_reads_on_as_well(
    clean_env: dict[str, str], tmp_path: Path, upstream: Upstream
) -> None:
    (tmp_path / "config.yaml").write_text('providers: {here: {hosts: ["localhost"]}}\n' + CONFIG)
    gate = threading.Event()
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={1: gate}))
    port = upstream.url.rpartition(":")[2]
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={upstream.ca_file}")
    url = f"https://localhost:{port}{CHAT}"
    client = [url if part == f"https://{HOST}{CHAT}" else part for part in curl()]
    with mitmdump("record.py", clean_env, tmp_path, *trust) as (process, proxy):
        with subprocess.Popen(
            [*client, "-k", "-x", proxy, "--noproxy", ""], env=clean_env, stdout=subprocess.PIPE
        ) as asking:
            assert asking.stdout is not None
            assert asking.stdout.read(len(EVENTS[0])) == EVENTS[0]
            asking.kill()
        threading.Timer(0.3, gate.set).start()
        gate.wait()
        assert process.stdout is not None
        for told in process.stdout:
            if "the client left after 1 chunk" in told:
                break
    (document,) = documents(tmp_path / "recordings")
    assert "end" not in document["response"]
    assert len(document["response"]["body"]) == len(EVENTS)
