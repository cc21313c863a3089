"""The demo's client prints the words of a stream and gives the bytes it came in."""

import io
import json
import urllib.request
from typing import Any

import pytest

from wiretape.demo import client

STREAM = (
    b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n'
    b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'
    b": a comment\n\n"
    b'data: {"choices": [{"delta": {"content": "lo"}}]}\n\n'
    b'data: {"choices": []}\n\n'
    b"data: [DONE]\n\n"
)


def test_words_are_printed_and_bytes_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requests: list[Any] = []

    def urlopen(request: urllib.request.Request) -> io.BytesIO:
        requests.append(request)
        return io.BytesIO(STREAM)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setenv("TOGETHER_API_KEY", "key-of-the-test")
    assert client.ask("Say hello") == STREAM
    assert capsys.readouterr().out == "Hello\n"
    (request,) = requests
    assert request.get_header("Authorization") == "Bearer key-of-the-test"
    body = json.loads(request.data)
    assert (body["messages"][0]["content"], body["stream"]) == ("Say hello", True)
