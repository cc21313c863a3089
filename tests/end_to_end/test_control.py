"""The control endpoint on a raw socket: odd requests are refused, and nothing goes anywhere."""

import socket
from pathlib import Path

import pytest
from tests.support.commands import serving
from tests.support.limits import PATIENCE


def status(port: int, path: str, *headers: bytes) -> int:
    head = b"\r\n".join((f"GET {path} HTTP/1.1".encode(), b"Host: 127.0.0.1", *headers))
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(head + b"\r\n\r\n")
        return int(client.recv(4096).split()[1])


@pytest.mark.parametrize("mode", ["record", "auto", "replay"])
def test_odd_credentials_are_a_401(mode: str, clean_env: dict[str, str], tmp_path: Path) -> None:
    with serving([mode, "-r", tmp_path / "r"], clean_env, tmp_path) as (process, ready):
        port = int(ready.split("base URLs http://127.0.0.1:")[1].split("/")[0])
        for value in (b"Bearer \xff", b"Bearer \xc3\xa9", b"\xf0\x9f\x92\xa9", b"Bearer", b""):
            assert status(port, "/wiretape", b"Authorization: " + value) == 401, value
        assert status(port, "/healthz") == 200
        assert status(port, "/readyz") == (503 if mode == "replay" else 200)
        assert status(port, "/healthz", b"Sec-Fetch-Site: cross-site") == 403
        for path in ("/wiretape", "/api.openai.com/v1/models"):
            assert status(port, path, b"Sec-Fetch-Site: cross-site") == 403
            assert status(port, path, b"sec-fetch-site:  Cross-Site ", b"Origin: null") == 403
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        assert "hook failed" not in errors
