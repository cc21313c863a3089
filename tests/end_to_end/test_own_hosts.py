"""Hosts that no provider entry names: recorded by --host, replayed because recordings are there."""

import json
import shlex
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.support.commands import Wiretape, serving
from tests.support.stream_call import CHAT, curl, documents, options
from tests.support.upstream import Answer, Upstream

CHAT_BODY = '{"model":"m"}'


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = json.dumps({"path": self.path, "body": body.decode()}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-Own", "yes")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def local() -> Iterator[int]:
    """A server of this machine that is no provider's; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask(url: str, body: str = CHAT_BODY) -> list[str]:
    header = "content-type: application/json"
    return ["curl", "-sS", "-i", url, "-H", header, "--data-raw", body]


def test_a_host_is_recorded_by_name_and_replayed_by_being_there(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer.json({"n": 1}))
    host = "llm.example:8443"
    client = curl(CHAT, CHAT_BODY, host)
    to_host = options(upstream, tmp_path / "r", host)
    done = wiretape("record", *to_host, "--host", host, "--", *client)
    assert (done.returncode, done.stdout) == (0, '{"n": 1}'), done.stderr
    assert "recorded  llm.example:8443  POST" in done.stderr
    base = f"curl -sS --noproxy '*' $WIRETAPE_BASE_URL/{host}{CHAT}"
    data = f"-H 'content-type: application/json' --data-raw '{CHAT_BODY}'"
    doors = [client, ["sh", "-c", f"{base} {data}"]]
    for door in doors:
        for mode in (["replay"], ["auto", "--upstream-ca", str(upstream.ca_file)]):
            done = wiretape(*mode, "-r", tmp_path / "r", "--", *door)
            assert (done.returncode, done.stdout) == (0, '{"n": 1}'), done.stderr
    assert len(upstream.requests) == 1


def test_the_rule_that_a_miss_at_such_a_host_suggests_can_be_pasted(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer.json({"n": 1}))
    host = "llm.example:8443"
    first, second, other = (
        curl(CHAT, json.dumps({"model": "m", "trace": trace, "messages": prompt}), host)
        for trace, prompt in (("one", "x"), ("two", "x"), ("two", "y"))
    )
    to_host = options(upstream, tmp_path / "r", host)
    assert wiretape("record", *to_host, "--host", host, "--", *first).returncode == 0
    missed = wiretape("replay", "-r", tmp_path / "r", "--", *second)
    assert missed.returncode == 3
    lines = missed.stderr.splitlines()
    start = next(n for n, line in enumerate(lines) if "add under match.rules" in line) + 1
    end = next(n for n in range(start, len(lines)) if not lines[n].startswith("      "))
    config = tmp_path / "own.yaml"
    config.write_text("\n".join(["match:", "  rules:", *lines[start:end], ""]))
    again = wiretape("replay", "-c", config, "-r", tmp_path / "r", "--", *second)
    assert (again.returncode, again.stdout) == (0, '{"n": 1}'), again.stderr
    assert wiretape("replay", "-c", config, "-r", tmp_path / "r", "--", *other).returncode == 3


def test_a_local_server_goes_through_the_proxy_and_its_neighbours_pass(
    wiretape: Wiretape, local: int, tmp_path: Path
) -> None:
    """NO_PROXY no longer hides a local provider; other servers of its host are as they were."""
    with Upstream(tls=False) as upstream:
        upstream.script(CHAT, Answer.json({"n": 1}))
        port = upstream.url.rpartition(":")[2]
        provider, other = f"http://localhost:{port}{CHAT}", f"http://localhost:{local}/own?a=b"
        client = ["sh", "-c", "; ".join(shlex.join(ask(url)) for url in (provider, other))]
        arguments: list[str | Path] = [
            "-r",
            tmp_path / "r",
            "--report",
            "report.json",
            "--",
            *client,
        ]
        done = wiretape("record", "--host", f"localhost:{port}", *arguments)
        assert done.returncode == 0, done.stderr
        assert len(documents(tmp_path / "r")) == 1
    live = done.stdout
    done = wiretape("replay", *arguments)
    assert done.returncode == 0, done.stderr
    for out in (live, done.stdout):
        assert '{"n": 1}' in out
        assert '"path": "/own?a=b"' in out
        assert "201 Created" in out
        assert "X-Own: yes" in out
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["other_hosts"] == [{"host": f"localhost:{local}", "unrecorded": 1}]


def test_without_a_local_provider_local_servers_are_not_asked_through_the_proxy(
    wiretape: Wiretape, local: int
) -> None:
    client = ["sh", "-c", f"echo $NO_PROXY; curl -sS --noproxy '' http://localhost:{local}/ -d x"]
    done = wiretape("replay", "--allow-none", "--", *client)
    assert done.stdout.startswith("localhost,127.0.0.1,::1\n")
    assert "is not a configured provider host" in done.stdout


def test_a_local_server_that_is_down_is_told(wiretape: Wiretape, tmp_path: Path) -> None:
    with Upstream(tls=False) as upstream:
        down = int(upstream.url.rpartition(":")[2])
    client = ["curl", "-sS", f"http://127.0.0.1:{down}/x"]
    done = wiretape("replay", "--host", "127.0.0.1:1", "--allow-none", "--", *client)
    assert f"wiretape: 127.0.0.1:{down} could not be reached" in done.stdout


def test_env_of_a_serving_proxy_knows_the_hosts(
    clean_env: dict[str, str], wiretape: Wiretape, tmp_path: Path
) -> None:
    args: list[str | Path] = ["replay", "-r", tmp_path / "r", "--host", "localhost:8000"]
    with serving(args, clean_env, tmp_path):
        done = wiretape("env")
    assert "export NO_PROXY=127.0.0.1,::1\n" in done.stdout


@pytest.mark.parametrize("host", ["http://a.example", "a b", "", "a:99999999", "*"])
def test_a_host_that_is_none_is_wrong_use(wiretape: Wiretape, host: str) -> None:
    done = wiretape("record", "--host", host, "--", sys.executable, "-c", "")
    assert done.returncode == 2
    assert "expected a" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "url", ["http://[::1]:8001", "https://[::1]:8443", "https://[2001:db8::1]"]
)
def test_an_ipv6_host_is_recorded_and_replayed_through_every_door(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path, url: str
) -> None:
    upstream.script(CHAT, Answer.json({"n": 1}))
    host = url.partition("://")[2]
    to_host = options(upstream, tmp_path / "r", host)
    proxied = curl(CHAT, CHAT_BODY, host)
    proxied[2] = f"{url}{CHAT}"
    data = f"-H 'content-type: application/json' --data-raw '{CHAT_BODY}'"
    base = ["sh", "-c", f"curl -g -sS --noproxy '*' $WIRETAPE_BASE_URL/{host}{CHAT} {data}"]
    # A base URL is plain HTTP on this machine alone.
    doors = [proxied] if url.startswith("https://[::1]") else [proxied, base]
    for number, door in enumerate(doors):
        folder = tmp_path / f"r{number}"
        to_host[1] = folder
        done = wiretape("record", *to_host, "--host", host, "--", *door)
        assert (done.returncode, done.stdout) == (0, '{"n": 1}'), done.stderr
        for other in doors:
            done = wiretape("replay", "-r", folder, "--", *other)
            assert (done.returncode, done.stdout) == (0, '{"n": 1}'), done.stderr
