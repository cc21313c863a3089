"""What a replaying proxy cannot read as a request fails the run: no recording answered it."""

import sys
from pathlib import Path

import pytest
from tests.support.commands import Wiretape

SENDS = """
import os, socket, sys
from urllib.parse import urlsplit
proxy = urlsplit(os.environ["WIRETAPE_BASE_URL"])
with socket.create_connection((proxy.hostname, proxy.port)) as client:
    client.sendall(eval(sys.argv[1]))
    print(client.recv(65536).split(b" ")[1].decode())
"""
TWICE = (
    b"POST /api.openai.com/v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
    b"Content-Type: application/json\r\nContent-Type: text/plain\r\n\r\n{}"
)
BROKEN = b"GET /api.openai.com/v1/x HTTP/1.1\r\nHost: h\r\nno colon here\r\n\r\n"


@pytest.mark.parametrize("raw", [TWICE, BROKEN], ids=["a header twice", "a broken header"])
def test_a_request_that_is_not_http_fails_the_run(
    wiretape: Wiretape, tmp_path: Path, raw: bytes
) -> None:
    line = [sys.executable, "-c", SENDS, repr(raw)]
    done = wiretape("replay", "-r", tmp_path, "--", *line)
    assert (done.returncode, done.stdout) == (3, "400\n"), done.stderr
    assert "not a request as HTTP has it; answered with 400" in done.stderr
