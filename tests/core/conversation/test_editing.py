"""What an answer says is changed in every dialect, and what cannot be is refused whole."""

import copy
import json
from typing import Any

import pytest
from tests.support import drifted_answers as answers
from tests.support import paths
from tests.support.realwire import exchanges

from wiretape.core.capture.recorder import Recorder
from wiretape.core.conversation.conversation import conversation
from wiretape.core.conversation.editing import editable_parts, edited, from_text, to_text
from wiretape.core.drift.answer_facts import answer_facts
from wiretape.core.drift.compare import changes
from wiretape.core.errors import FormatError
from wiretape.core.recording.document import from_exchange, to_exchange
from wiretape.library.recording_file import load

NEW = "It rains in Tokyo.\n\nTake an umbrella."


def responses() -> Any:
    """A stream of OpenAI's responses, which says everything three times."""

    def event(kind: str, **more: Any) -> Any:
        return {"event": kind, "__data__": {"type": kind, **more}}

    at = {"output_index": 0, "content_index": 0}
    content = [{"type": "output_text", "text": answers.WORDS, "annotations": []}]
    item = {"type": "message", "role": "assistant", "content": content}
    usage = {"input_tokens": 40, "output_tokens": 30, "total_tokens": 70}
    whole = {"object": "response", "status": "completed", "output": [item], "usage": usage}
    words = answers.WORDS.split(" ")
    items = [
        event("response.created", response={"object": "response", "status": "in_progress"}),
        *(event("response.output_text.delta", delta=f"{w} ", **at) for w in words[:-1]),
        event("response.output_text.delta", delta=words[-1], **at),
        event("response.output_text.done", text=answers.WORDS, **at),
        event("response.output_item.done", item=copy.deepcopy(item), output_index=0),
        event("response.completed", response=copy.deepcopy(whole)),
    ]
    return answers.document("/v1/responses", {"model": "m", "stream": True}, items)


def ollama() -> Any:
    call = {"function": {"name": "get_weather", "arguments": {"city": "Tokyo"}}}
    message = {"role": "assistant", "content": answers.WORDS, "tool_calls": [call]}
    answer = {"model": "m", "message": message, "done": True, "eval_count": 30}
    return answers.document("/api/chat", {"model": "m"}, answer)


def in_reads() -> Any:
    """A chat completion in one piece that came in two reads, written with indents."""
    document = answers.structured()
    text = json.dumps(document["response"]["body"]["__data__"], indent=2)
    text = text.replace(json.dumps('{"city": "Tokyo", "degrees": 21}'), json.dumps(answers.WORDS))
    items = [{"text": text[:50], "at": 0.1}, {"text": text[50:], "at": 0.2}]
    document["response"] |= {"body": items, "is_streaming": True, "framing": "reads"}
    return document


DIALECTS = {
    "chat": answers.chat,
    "messages": answers.message,
    "responses": responses,
    "gemini": answers.gemini,
    "ollama": ollama,
    "reads": in_reads,
}


def said(document: Any) -> str:
    [turn] = conversation(document).answer
    return "".join(part.text for part in turn.parts if part.kind == "text")


@pytest.mark.parametrize("name", DIALECTS)
def test_a_text_is_written_back_wherever_it_stands(name: str) -> None:
    document = DIALECTS[name]()
    before = copy.deepcopy(document)
    result = edited(document, {"text": NEW}, "2026-11-29T20:00:00Z").document
    assert said(result) == NEW
    assert document == before, "the old document is as it was"
    text = json.dumps(result["response"], ensure_ascii=False)
    assert "sunny" not in text
    assert result["edited"] == {"at": "2026-11-29T20:00:00Z", "parts": ["text"]}
    was, now = to_exchange(document).response, to_exchange(result).response
    if name == "reads":
        assert json.loads(now.body)["choices"][0]["message"]["content"] == NEW
        assert now.body.startswith(b'{\n  "id"')
        return
    assert len(now.chunks) == len(was.chunks)
    assert [chunk.at for chunk in now.chunks] == [chunk.at for chunk in was.chunks]


def test_later_events_say_the_same_and_tokens_are_estimated() -> None:
    result = edited(responses(), {"text": "Rain."})
    last = result.document["response"]["body"][-1]["__data__"]["response"]
    assert last["output"][0]["content"][0]["text"] == "Rain."
    assert last["usage"] == {"input_tokens": 40, "output_tokens": 2, "total_tokens": 42}
    assert result.notes == ("30 tokens became 2, an estimate by the length of the words",)


@pytest.mark.parametrize("words", ["x", "", "many " * 500, "日本語 🎉", "line\r\nline"])
def test_words_of_any_length_are_divided_among_the_chunks(words: str) -> None:
    if not words:
        result = edited(answers.chat(), {"text": words}).document
        assert [p.text for p in editable_parts(result)] == []
    else:
        assert said(edited(answers.chat(), {"text": words}).document) == words


@pytest.mark.parametrize(
    ("base", "arguments"), [(answers.call, '{"city":"Kyoto"}'), (ollama, "{}")]
)
def test_a_call_gets_other_arguments(base: Any, arguments: str) -> None:
    arguments = '{"city": "Kyoto"}'
    document = edited(base(), {"call": arguments}).document
    [part] = [part for part in editable_parts(document) if part.name == "call"]
    assert json.loads(part.text) == {"city": "Kyoto"}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"call": '{"city": "Kyo'}, "was JSON and is not any more"),
        ({"call": "[1]"}, "expected the arguments as a JSON object"),
        ({"text": "x"}, "no part of this answer; it has: call"),
        ({"call[1]": "{}"}, "no part of this answer"),
    ],
)
def test_what_breaks_json_or_is_not_there_is_refused(changes: dict[str, str], fault: str) -> None:
    document = answers.call()
    before = copy.deepcopy(document)
    with pytest.raises(FormatError, match=fault.replace("[", r"\[")):
        edited(document, changes)
    assert document == before


def test_a_text_that_was_json_stays_json() -> None:
    assert said(edited(answers.structured(), {"text": '{"city": "Kyoto"}'}).document) == (
        '{"city": "Kyoto"}'
    )
    with pytest.raises(FormatError, match="was JSON"):
        edited(answers.structured(), {"text": "no JSON"})


def test_one_of_two_that_read_the_same_cannot_be_changed_alone() -> None:
    document = answers.two_candidates()
    with pytest.raises(FormatError, match=r"text\[0\] and text\[1\] read the same"):
        edited(document, {"text[0]": "x"})
    result = edited(document, {"text[0]": "x", "text[1]": "x"}).document
    assert [part.text for part in editable_parts(result)] == ["x", "x"]


def test_parts_are_read_back_from_their_text() -> None:
    document = answers.call()
    parts = editable_parts(document)
    text = to_text(parts, "name.json")
    assert from_text(text, parts) == {}
    assert from_text(text.replace("Tokyo", "Kyoto"), parts) == {
        "call": '{"city": "Kyoto", "unit": "C"}'
    }
    assert from_text(text.replace("\n", "\r\n"), parts) == {}
    for broken in ("", "nothing", text + text, text.replace("=== call", "=== text")):
        with pytest.raises(FormatError, match="expected these lines"):
            from_text(broken, parts)


def test_a_text_that_looks_like_a_mark_is_a_text() -> None:
    document = edited(answers.chat(), {"text": "=== text\n==== call"}).document
    parts = editable_parts(document)
    text = to_text(parts, "x")
    assert from_text(text, parts) == {}
    assert from_text(text + "more", parts) == {"text": "=== text\n==== call\nmore"}


@pytest.mark.parametrize("path", sorted(paths.RECORDINGS.glob("*.json")), ids=lambda p: p.stem)
def test_what_real_providers_said_is_edited(path: Any) -> None:
    document = load(path).document
    parts = editable_parts(document)
    words = '{"type": "none"}' if parts[0].raw.startswith("{") else NEW
    result = edited(document, {parts[0].name: words})
    assert editable_parts(result.document)[0].raw == words
    assert to_exchange(result.document).response.chunks


def test_a_plan_and_the_data_of_plain_events_are_words() -> None:
    plan = [
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": p}}} for p in ("I ", "go")
    ]
    document = answers.document("/v2/chat", {"model": "m"}, [{"__data__": each} for each in plan])
    [part] = editable_parts(edited(document, {"reasoning": "I stay"}).document)
    assert part.text == "I stay"
    plain = [{"event": "output", "data": "Sure"}, {"event": "output", "data": ", here"}]
    document = answers.document("/v1/streams/x", {"model": "m"}, plain)
    assert said(edited(document, {"text": "No way here"}).document) == "No way here"


@pytest.mark.slow
def test_what_real_providers_said_is_edited_and_has_not_drifted_from_itself() -> None:
    parts_seen = 0
    for real in exchanges():
        recorder = Recorder(real.request)
        recorder.start(real.status, real.headers, 0.1)
        recorder.read(real.body, 0.2)
        document = from_exchange(recorder.finish("ended", 0.3))
        facts = answer_facts(document)
        assert list(changes([facts], facts)) == [], real.name
        parts = editable_parts(document)
        for part in parts:
            same = [other.name for other in parts if other.raw == part.raw]
            if part.raw:
                words = '{"a": "b"}' if part.raw[:1] in "{[" else NEW
                edited(document, dict.fromkeys(same, words))
                parts_seen += 1
    if not parts_seen:
        pytest.skip("the real exchanges are not beside the project (../shared/data/wire)")
    assert parts_seen > 100
