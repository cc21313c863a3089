"""What came on the wire is in no line of the terminal, whatever is wrong with it."""

import socket
from pathlib import Path
from typing import Final

import pytest
from tests.support.limits import PATIENCE
from tests.support.rawprovider import providing
from tests.support.soak import proxy

SECRET: Final = "Zq8kW2vT5nR7xY3m"
HOST: Final = "api.openai.com"
ABSOLUTE: Final = f"http://{HOST}"
MALFORMED: Final = (
    f"CONNECT user:{SECRET}@x HTTP/1.1\r\n\r\n",
    f"CONNECT {SECRET} HTTP/1.1\r\n\r\n",
    f"GET {SECRET} HTTP/1.1\r\n\r\n",
    f"{SECRET}\r\n\r\n",
    f"GET {ABSOLUTE}/ HTTP/{SECRET}\r\n\r\n",
    f"GET {ABSOLUTE}/ HTTP/1.1\r\n{SECRET}\r\n\r\n",
    f"GET {ABSOLUTE}/ HTTP/1.1\r\nx {SECRET}: a\r\n\r\n",
    f"POST {ABSOLUTE}/ HTTP/1.1\r\nContent-Length: {SECRET}\r\n\r\n",
    f"POST {ABSOLUTE}/ HTTP/1.1\r\nTransfer-Encoding: {SECRET}\r\n\r\n",
    f"POST {ABSOLUTE}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n\r\n",
    f"GET {ABSOLUTE}/ HTTP/1.1\r\nAuthorization: {SECRET}",
    f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n{SECRET}{SECRET}",
    f"GET /nowhere/{SECRET} HTTP/1.1\r\n\r\n",
)
ANSWERS: Final = (
    f"{SECRET}\r\n\r\n",
    f"HTTP/1.1 {SECRET}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {SECRET}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{SECRET}",
)


def exchange(port: int, data: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(data.encode())
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def texts(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert folder / "said.txt" in files
    return "".join(path.read_text(errors="replace") for path in files)


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_malformed_request_is_not_repeated(
    clean_env: dict[str, str], tmp_path: Path, mode: str
) -> None:
    options = ("-v", "--report", tmp_path / "report.json")
    with proxy(mode, tmp_path / "recordings", clean_env, *options) as (_, port):
        for data in MALFORMED:
            exchange(port, data)
    said = texts(tmp_path)
    assert SECRET not in said
    assert SECRET.encode().hex() not in said


def test_a_malformed_answer_is_not_repeated(clean_env: dict[str, str], tmp_path: Path) -> None:
    waiting = list(ANSWERS)

    def talk(sock: socket.socket, head: bytes) -> None:
        sock.sendall(waiting.pop(0).encode())

    with providing(talk) as url:
        options = ("-v", "--report", tmp_path / "report.json", "--map", f"{HOST}={url}")
        with proxy("record", tmp_path / "recordings", clean_env, *options) as (_, port):
            for _ in ANSWERS:
                exchange(port, f"GET {ABSOLUTE}/v1/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
    assert SECRET not in texts(tmp_path)


def test_ten_thousand_headers_are_refused_at_once(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    def talk(sock: socket.socket, head: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    statuses = []
    lines = "".join(f"x-{number}: v\r\n" for number in range(10_000))
    with providing(talk) as url:
        options = ("--map", f"{HOST}={url}")
        with proxy("record", tmp_path / "recordings", clean_env, *options) as (_, port):
            for headers in (lines, "x-0: v\r\n"):
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
                    head = f"GET {ABSOLUTE}/v1/x HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n"
                    sock.sendall(head.encode())
                    statuses.append(sock.recv(65536).split(b" ")[1])
    assert statuses == [b"400", b"200"]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_a_provider_with_an_ipv6_address_is_recorded_and_replayed(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as probe:
        place = f"[::1]:{probe.getsockname()[1]}"
    (tmp_path / "config.yaml").write_text(f'providers: {{six: {{hosts: ["{place}"]}}}}\n')

    def talk(sock: socket.socket, head: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    bodies = []
    with providing(talk) as url:
        for mode, more in (("record", ("--map", f"{place}={url}")), ("replay", ())):
            with proxy(mode, tmp_path / "recordings", clean_env, *more) as (_, port):
                for target in (f"http://{place}/v1/x", f"http://{place}/v1/y"):
                    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
                        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
                        got = b""
                        while not got.endswith(b"{}") and (data := sock.recv(65536)):
                            got += data
                        bodies.append(got.rpartition(b"\r\n\r\n")[2])
    assert bodies == [b"{}"] * 4
