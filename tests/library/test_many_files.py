"""Many files together give what each gives by itself."""

import hashlib
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.open_folder import LONG_AGO
from tests.support.stored import document

from wiretape.config.packs import built_in, providers, rules
from wiretape.core.errors import FormatError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Request, Response
from wiretape.core.recording.document import Document, from_request, from_response
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.library.library import Library
from wiretape.library.many_files import facts_of_many
from wiretape.library.recording_file import Facts, StoredRequest, facts

SIDE = b"\xff" * 40
SIDE_NAME = hashlib.sha256(SIDE).hexdigest() + ".bin"
OTHERS: list[Any] = [None, 7, -1.5, "", "x\ny", [], {}, True, "sk-" + "aB3" * 9]
LLAMA_STACK = {
    "request": {"method": "POST", "url": "http://h/v1/chat/completions", "body": {"model": "m"}},
    "response": {"body": {"__type__": "x", "__data__": {}}, "is_streaming": False},
}


def stream() -> Document:
    headers = (("content-type", "text/event-stream"),)
    chunks = tuple(Chunk(b'data: {"id":"c%d"}\n\n' % number, 0.1) for number in range(3))
    response = Response(200, headers, chunks, streaming=True)
    return {**document("Streamed", stream=True), "response": from_response(response, "/v1/x")}


def documents() -> Iterator[Document]:
    """Recordings of each kind."""
    yield document("Hi")
    yield document("Hi", at="2026-11-20T17:30:00.5Z", temperature=0.5, seed=1)
    yield document("the token: 0b0e7b5a-7c1e-4b8e-9c5d-000000000001 of sk-7fQ2mXw9RtB4")
    yield stream()
    get = Request("GET", "https", "api.openai.com", 443, "/v1/files/file-1?after=file-2&key=v")
    yield {**document("Got"), "request": from_request(get)}
    form = Request("POST", "https", "h.example", 443, "/f", headers=(), body=b"a=1&b=2")
    yield {**document("Form"), "request": from_request(form)}
    binary = Request("POST", "https", "h.example", 443, "/f", headers=(), body=b"\xff\xfe")
    yield {**document("Binary"), "request": from_request(binary)}
    repeated = document("Again", file_id="file-1")
    repeated["response"]["body"]["__data__"]["file_id"] = "file-1"
    yield repeated
    with_ids = document("file-1", file_id="file-1")
    with_ids["request"]["ids"] = {"file-1": "0123456789ab#0"}
    yield with_ids
    for name in (SIDE_NAME, "0" * 64 + ".bin"):
        side = document(f"Side {name[:2]}")
        side["response"]["body"] = {"file": name}
        yield side
    yield LLAMA_STACK


def mutants(original: Document, random_: random.Random) -> Iterator[Document]:
    """The document with one member or item removed, or replaced by a value of another kind."""
    for _ in range(12):
        mutant: Any = json.loads(json.dumps(original))
        inner = mutant
        while True:
            key = random_.choice([*inner] if isinstance(inner, dict) else range(len(inner)))
            value = inner[key]
            if not isinstance(value, dict | list) or not value or random_.random() < 0.3:
                break
            inner = value
        if random_.random() < 0.4:
            del inner[key]
        else:
            inner[key] = random_.choice(OTHERS)
        yield mutant


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """The names of many files of each kind."""
    random_ = random.Random(14)
    texts = [json.dumps(each) for one in documents() for each in (one, *mutants(one, random_))]
    texts += ["", "{", "[]", "<<<<<<< HEAD\n", '{"request": {}, "response": {}}', "\ud800"]
    (tmp_path / SIDE_NAME).write_bytes(SIDE)
    for number, text in enumerate(texts):
        path = tmp_path / f"{number:012x}.json"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        os.utime(path, LONG_AGO)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to("nowhere")
    return [*sorted(path.name for path in tmp_path.glob("*.json")), "gone.json"]


@pytest.mark.parametrize("keeps_answers", [True, False])
def test_many_files_give_what_each_gives(
    tmp_path: Path, names: list[str], keeps_answers: bool
) -> None:
    redactor = Redactor(RedactionRules())
    matcher = Matcher(built_in(), rules=tuple(rules(providers())))
    library = Library(tmp_path, matcher, redactor.request)
    each = [facts(tmp_path, name, library._examine, keeps_answer=keeps_answers) for name in names]
    together = facts_of_many(
        tmp_path, names, library._examine, library._examine_all, keeps_answers=keeps_answers
    )
    library.close()
    assert together == each
    valid = [fact for fact in each if isinstance(fact, Facts) and fact.fault is None]
    assert 30 < len(valid) < len(names) - 20
    assert any(fact.answer for fact in valid) is keeps_answers
    assert any(fact.known for fact in valid)


def test_where_one_cannot_be_examined_each_is_by_itself(tmp_path: Path, names: list[str]) -> None:
    library = Library(tmp_path, Matcher(built_in()))

    def refuse(requests: object) -> list[StoredRequest]:
        raise FormatError("not this one")

    few = names[:20]
    expected = [facts(tmp_path, name, library._examine) for name in few]
    assert facts_of_many(tmp_path, few, library._examine, refuse) == expected
    library.close()
