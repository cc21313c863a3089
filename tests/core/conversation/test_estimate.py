"""Where a provider tells no tokens they are estimated, and marked so."""

import json
from typing import Any

import pytest

from wiretape.core.conversation.conversation import summary
from wiretape.core.conversation.estimate import request_tokens, usage_of
from wiretape.core.cost.usage import Usage
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording.document import from_exchange

ASK = {"model": "m", "messages": [{"role": "user", "content": "x" * 40}]}


def ask(body: Any = ASK, method: str = "POST", path: str = "/v1/chat/completions") -> Request:
    data = json.dumps(body).encode()
    return Request(method, "https", "api.openai.com", 443, path, body=data)


def stream(*texts: str, status: int = 200) -> Response:
    values = ({"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts)
    chunks = (Chunk(b"data: " + json.dumps(value).encode() + b"\n\n") for value in values)
    headers = (("content-type", "text/event-stream"),)
    return Response(status, headers, tuple(chunks), streaming=True)


def test_an_answer_without_a_count_is_estimated() -> None:
    usage = Usage(10, 3, estimated=True)
    assert usage_of(ask(), stream("Hello ", "there.")) == usage
    document = from_exchange(Exchange(ask(), stream("Hello ", "there.")))
    assert summary(document).usage == usage


def test_the_tools_of_a_request_count_and_images_do_not() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}}
    body = {"messages": [{"role": "user", "content": [image, {"type": "text", "text": "look"}]}]}
    assert request_tokens(body) == 1
    assert request_tokens({**body, "tools": [{"name": "x" * 400}]}) > 100


@pytest.mark.parametrize("body", [None, 1, "text", [], {"messages": 7}])
def test_any_body_has_an_estimate(body: Any) -> None:
    assert request_tokens(body) >= 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (ask(method="GET"), 200),
        (ask(), 429),
        (ask(path="/v1/messages/count_tokens"), 200),
        (ask({"input": "no model"}), 200),
    ],
)
def test_what_is_not_billed_has_no_usage(request_: Request, status: int) -> None:
    assert usage_of(request_, stream("Hello", status=status)) is None


def test_a_count_of_tokens_alone_is_not_what_was_used() -> None:
    answer = Response(
        200, (("content-type", "application/json"),), (Chunk(b'{"input_tokens": 9}'),)
    )
    request = ask(path="/v1/messages/count_tokens?beta=true")
    assert usage_of(request, answer) is None
    assert not summary(from_exchange(Exchange(request, answer))).usage.is_known
