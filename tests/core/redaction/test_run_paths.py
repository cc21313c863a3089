"""The folders of a run are stored as what they are, and come back as the next run's own."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording.document import from_exchange, to_exchange
from wiretape.core.redaction.run_paths import RunPaths

HERE = RunPaths({"cwd": ["/home/ann/shop"], "home": ["/home/ann"]})
THERE = RunPaths({"cwd": ["/tmp/ci/build 7"], "home": ["/root"]})
JSON = (("content-type", "application/json"),)
SSE = (("content-type", "text/event-stream"),)


def asking(text: str) -> dict[str, Any]:
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    request = Request(
        "POST", "https", "api.openai.com", 443, "/v1/chat/completions", headers=JSON, body=body
    )
    return from_exchange(Exchange(request, Response(200)))


def prompt(document: dict[str, Any]) -> str:
    content = document["request"]["body"]["messages"][0]["content"]
    assert isinstance(content, str)
    return content


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("cwd: /home/ann/shop", "cwd: {cwd}"),
        ("/home/ann/shop/", "{cwd}/"),
        ("in `/home/ann/shop/src/a.py`.", "in `{cwd}/src/a.py`."),
        ("/home/ann/.claude/x/-home-ann-shop/y", "{home}/.claude/x/{cwd-slug}/y"),
        ("/home/ann/shopping", "{home}/shopping"),
        ('{"path":"/home/ann/shop"}', '{"path":"{cwd}"}'),
        ('{"path":"\\/home\\/ann\\/shop"}', '{"path":"{cwd}"}'),
        ("file:///home/ann/shop/a", "file://{cwd}/a"),
        ("/home/ann/shop.", "{cwd}."),
        ("/home/ann/shop\n/home/ann", "{cwd}\n{home}"),
    ],
)  # fmt: skip
def test_a_folder_is_stored_as_what_it_is(text: str, stored: str) -> None:
    document = HERE.document(asking(text))
    assert prompt(document) == stored
    assert set(document["paths"]) <= {"cwd", "home", "cwd-slug", "home-slug"}


@pytest.mark.parametrize(
    "text",
    [
        "/home/annette",
        "/home/ann2",
        "/srv/home/annex",
        "x/home/ann-2",
        "/home/ann.bak",
        "nothing of the kind",
        "literally {cwd} and /home/ann/shop",
    ],
)
def test_what_is_another_folder_stays(text: str) -> None:
    document = asking(text)
    assert HERE.document(document) is document
    assert HERE.request(document["request"]) is document["request"]


def test_two_machines_say_the_same() -> None:
    here, there = (
        paths.request(asking(f"in {cwd}/a of {home}")["request"])
        for paths, cwd, home in (
            (HERE, "/home/ann/shop", "/home/ann"),
            (THERE, "/tmp/ci/build 7", "/root"),
        )
    )
    assert here == there


def test_an_answer_leads_the_client_to_its_own_folder() -> None:
    chunks = (b'data: {"c":"open /home/ann/shop/a.py"}\n\n', b"data: [DONE]\n\n")
    response = Response(200, SSE, tuple(map(Chunk, chunks)), streaming=True)
    request = Request(
        "POST", "https", "api.openai.com", 443, "/v1/chat/completions", headers=JSON, body=b"{}"
    )
    document = HERE.document(from_exchange(Exchange(request, response)))
    stored = to_exchange(document).response.body
    assert b"/home/ann" not in stored
    assert document["paths"] == ["cwd"]
    assert HERE.restored(stored, document["paths"]) == b"".join(chunks)
    assert b"open /tmp/ci/build 7/a.py" in THERE.restored(stored, document["paths"])


def test_a_folder_that_is_cut_over_the_chunks_of_a_stream_is_found() -> None:
    parts = ["open /ho", "me/ann/sh", "op/a", ".py"]
    events = [
        f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': part}}]})}\n\n".encode()
        for part in parts
    ]
    response = Response(200, SSE, tuple(map(Chunk, events)), streaming=True)
    request = Request(
        "POST", "https", "api.openai.com", 443, "/v1/chat/completions", headers=JSON, body=b"{}"
    )
    document = HERE.document(from_exchange(Exchange(request, response)))
    restored = THERE.restored(to_exchange(document).response.body, document["paths"]).decode()
    texts = [
        json.loads(line.removeprefix("data: "))["choices"][0]["delta"]["content"]
        for line in restored.splitlines()
        if line
    ]
    assert "".join(texts) == "open /tmp/ci/build 7/a.py"


def streamed(texts: list[str], asked: str = "hi", ending: str = "[DONE]") -> dict[str, Any]:
    """A recording whose answer says `texts`, one a chunk."""
    events = [json.dumps({"choices": [{"index": 0, "delta": {"content": x}}]}) for x in texts]
    chunks = tuple(Chunk(f"data: {event}\n\n".encode()) for event in (*events, ending))
    document = from_exchange(
        Exchange(
            Request("POST", "https", "api.openai.com", 443, "/v1/x", headers=JSON, body=b"{}"),
            Response(200, SSE, chunks, streaming=True),
        )
    )
    return {**document, "request": asking(asked)["request"]}


ESCAPES: list[Callable[[str], str]] = [
    str,
    lambda text: text.replace("/", "\\/"),
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(text, safe="")),
    lambda text: json.dumps(text)[1:-1].replace("/", "\\u002f"),
    lambda text: json.dumps(json.dumps({"path": text, "by": '"a\\b"'})),
    lambda text: text.replace("a", "\x1b[1ma"),
    lambda text: f"a=3Db {text.replace('h', '=68')}",
    lambda text: text.replace("a", "\\x61"),
]


@given(
    st.lists(
        st.builds(
            lambda escape, text: escape(text),
            st.sampled_from(ESCAPES),
            st.sampled_from(
                ["/home/ann/shop", "/home/ann/x", "-home-ann-shop", "/home", "\\", "%"]
            ),
        ),
        max_size=3,
    ),
    st.lists(st.integers(0, 80), max_size=4),
    st.sampled_from(["[DONE]", "of /home/ann", "[1, 2"]),
    st.sampled_from(["hi", "in /home/ann/shop"]),
)
def test_a_look_at_a_stream_finds_what_a_search_does(
    parts: list[str], cuts: list[int], ending: str, asked: str
) -> None:
    text = "".join(parts)
    cuts = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    document = streamed([text[a:b] for a, b in pairwise(cuts)], asked, ending)
    by_search = RunPaths({"cwd": ["/home/ann/shop"], "home": ["/home/ann"]})
    by_search._may_be_named = lambda response: True  # type: ignore[method-assign]
    assert HERE.document(document) == by_search.document(document)


def test_it_does_under_any_two_escapes() -> None:
    by_search = RunPaths({"cwd": ["/home/ann/shop"], "home": ["/home/ann"]})
    by_search._may_be_named = lambda response: True  # type: ignore[method-assign]
    found = 0
    for outer, inner in product(ESCAPES, repeat=2):
        text = f" {outer(inner('/home/ann/shop'))}."
        document = streamed([text[: len(text) // 2], text[len(text) // 2 :]])
        stored = by_search.document(document)
        assert HERE.document(document) == stored, text
        found += "paths" in stored
    assert found > 30, "or nothing was looked for"


def test_a_stream_that_names_no_folder_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    document = streamed(['{"path":"', "\\/srv\n", '"} 100%', " of C:\\\\home\\ann"])
    monkeypatch.setattr("wiretape.core.redaction.streams.redact", None)
    assert HERE.document(document) is document


def test_a_recorded_request_is_what_a_live_one_is() -> None:
    for asked in ("%2Fhome%2Fann", "\\u002fhome\\u002fann", "/home/ann and %2Fhome%2Fann"):
        document = streamed(["in /home/ann"], asked)
        stored = HERE.document(document)
        assert stored["paths"] == ["home"]
        assert stored["request"] == HERE.request(document["request"])


def test_what_is_not_named_in_paths_is_what_was_on_the_wire() -> None:
    assert HERE.restored(b'f"{cwd}/x"', []) == b'f"{cwd}/x"'
    assert HERE.restored(b"{tmp}", ["tmp"]) == b"{tmp}"


@pytest.mark.parametrize("path", ["/", "", "relative", '/with"quote', "/back\\slash", "/ünï"])
def test_a_path_that_is_not_plain_is_left_alone(path: str) -> None:
    assert not RunPaths({"cwd": [path]})


@given(st.text())
def test_an_answer_comes_back_whatever_stands_around_a_folder(around: str) -> None:
    text = f"{around}/home/ann/shop/{around}"
    document = HERE.document(asking(text))
    assert HERE.restored(
        prompt(document).encode("utf-8", "surrogatepass"), document.get("paths", [])
    ) == text.encode("utf-8", "surrogatepass")


def test_an_answer_has_this_runs_folders_in_each_chunk_and_is_otherwise_the_same() -> None:
    chunks = (Chunk(b"in {cwd}", 0.1), Chunk(b"and {home}", 0.2))
    response = Response(200, SSE, chunks, streaming=True, end="cut")
    assert HERE.response(response, ["cwd"]) == replace(
        response, chunks=(Chunk(b"in /home/ann/shop", 0.1), chunks[1])
    )
    assert HERE.response(response, ()) is response
