"""A tunnel to a host of no provider carries whatever is spoken there, in every mode."""

import socket
from pathlib import Path

import pytest
from tests.support.commands import serving
from tests.support.limits import PATIENCE


@pytest.mark.parametrize("mode", ["record", "auto", "replay"])
@pytest.mark.parametrize("first", ["server", "client", "client at once"])
def test_raw_bytes_pass_both_ways_whoever_speaks_first(
    clean_env: dict[str, str], tmp_path: Path, mode: str, first: str
) -> None:
    (tmp_path / "config.yaml").write_text("other_hosts: tunnel\n")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        serving([mode, "-r", tmp_path / "r"], clean_env, tmp_path) as (_, line),
    ):
        server.settimeout(PATIENCE)
        port = int(line.partition("HTTPS_PROXY=http://127.0.0.1:")[2].partition(",")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            connect = b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % server.getsockname()[1]
            early = b"\x00\xffEHLO\r\n" if first == "client at once" else b""
            client.sendall(connect + early)
            assert until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
            talk, _ = server.accept()
            talk.settimeout(PATIENCE)
            with talk:
                if first == "client":
                    client.sendall(b"\x00\xffEHLO\r\n")
                if first != "server":
                    assert until(talk, b"\n") == b"\x00\xffEHLO\r\n"
                talk.sendall(b"220 \xfe\r\n")
                assert until(client, b"\n") == b"220 \xfe\r\n"
                # What one side has sent to its end the other still answers.
                client.sendall(b"BYE")
                client.shutdown(socket.SHUT_WR)
                assert until(talk, b"BYE") == b"BYE"
                talk.sendall(b"221\n")
                talk.shutdown(socket.SHUT_WR)
                assert until(client, b"\n") == b"221\n"
                assert client.recv(1) == b""


def until(sock: socket.socket, end: bytes) -> bytes:
    """What comes up to and with `end`."""
    got = b""
    while not got.endswith(end):
        data = sock.recv(1)
        assert data, got
        got += data
    return got
