"""Answers as providers give them, and made-up changes of each with the verdict that is right."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

WORDS = "The weather in Tokyo is sunny today, with a light wind from the east."
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
    "required": ["city"],
}


def document(
    path: str, body: Any, answer: Any, media: str = "application/json", **more: Any
) -> Any:
    """A document; times are a tenth of a second apart."""
    streamed = isinstance(answer, list)
    items = [
        item | {"at": round(0.2 + n / 10, 3)} for n, item in enumerate(answer if streamed else [])
    ]
    return {
        "wiretape": 1,
        "request": {
            "method": "POST",
            "url": f"https://api.example.com{path}",
            "headers": {"content-type": "application/json"},
            "body": body,
            "endpoint": path,
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "text/event-stream" if streamed else media},
            "is_streaming": streamed,
            "end_at": 1.0,
            "body": items if streamed else {"__data__": answer},
            **more,
        },
    }


def _pieces(text: str) -> list[str]:
    return [word + " " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]]


def chat() -> Any:
    """A streamed chat completion."""

    def chunk(choices: list[Any], **more: Any) -> Any:
        return {
            "__data__": {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": choices,
                **more,
            }
        }

    def choice(delta: Any, finish: str | None = None) -> Any:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    usage = {"prompt_tokens": 40, "completion_tokens": 30, "total_tokens": 70}
    items = [
        chunk([choice({"role": "assistant", "content": "", "refusal": None})]),
        *(chunk([choice({"content": piece})]) for piece in _pieces(WORDS)),
        chunk([choice({}, "stop")]),
        chunk([], usage=usage),
        {"data": "[DONE]"},
    ]
    return document("/v1/chat/completions", {"model": "m", "stream": True}, items)


def call() -> Any:
    """A chat completion in one piece that calls a tool."""
    function = {"name": "get_weather", "arguments": '{"city": "Tokyo", "unit": "C"}'}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }
    answer = {
        "id": "chatcmpl-2",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 30, "total_tokens": 70},
        "service_tier": None,
    }
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
    return document("/v1/chat/completions", {"model": "m", "tools": [tool]}, answer)


def message() -> Any:
    """A streamed message of Anthropic's."""

    def event(kind: str, **more: Any) -> Any:
        return {"event": kind, "__data__": {"type": kind, **more}}

    head: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 40, "output_tokens": 1},
    }
    items = [
        event("message_start", message=head),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *(
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
            for piece in _pieces(WORDS)
        ),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 30}),
        event("message_stop"),
    ]
    return document("/v1/messages", {"model": "c", "stream": True}, items)


def structured() -> Any:
    """A chat completion whose text is JSON."""
    changed = call()
    choice = changed["response"]["body"]["__data__"]["choices"][0]
    choice["message"] = {"role": "assistant", "content": '{"city": "Tokyo", "degrees": 21}'}
    choice["finish_reason"] = "stop"
    return changed


def embedding() -> Any:
    """An embedding."""
    data = [{"object": "embedding", "index": 0, "embedding": [0.5, -1, 0.25]}]
    answer = {"object": "list", "data": data, "model": "e", "usage": {"prompt_tokens": 4}}
    return document("/v1/embeddings", {"model": "e", "input": "x"}, answer)


def gemini() -> Any:
    """An answer of Gemini's in one piece."""
    content = {"parts": [{"text": WORDS}], "role": "model"}
    answer = {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 40, "candidatesTokenCount": 30},
        "modelVersion": "g",
    }
    return document("/v1beta/models/g:generateContent", {"contents": []}, answer)


def unknown_tool() -> Any:
    """A call of a tool whose schema the request does not have."""
    changed = call()
    del changed["request"]["body"]["tools"]
    arguments({"city": "Tokyo"})(changed["response"])
    return changed


def terse_call() -> Any:
    """A call without the argument that may be left out."""
    changed = call()
    arguments({"city": "Tokyo"})(changed["response"])
    return changed


def slow_chat() -> Any:
    """A stream that began late."""
    changed = chat()
    late(20.0, 5.0)(changed["response"])
    return changed


def quick_message() -> Any:
    """A stream of a tenth of a second."""
    changed = message()
    late(0.0, 0.05)(changed["response"])
    return changed


def slow_gemini() -> Any:
    """An answer in one piece that took long."""
    return gemini() | {"response": gemini()["response"] | {"end_at": 9.0}}


def two_candidates() -> Any:
    """An answer with two candidates."""
    changed = gemini()
    _twice(changed["response"])
    return changed


def uncounted() -> Any:
    """An answer without usage."""
    changed = gemini()
    del changed["response"]["body"]["__data__"]["usageMetadata"]
    return changed


type Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Row:
    """An answer, what is changed of it in place, and the verdict; None: nothing differs."""

    name: str
    base: Callable[[], Any]
    change: Change
    verdict: str | None
    takes: tuple[Change, ...] = ()
    """How further takes differ from the recorded answer."""

    def documents(self) -> tuple[list[Any], Any]:
        """The recorded takes and the live answer."""
        recorded = [self.base(), *(self.base() for _ in self.takes)]
        for take, change in zip(recorded[1:], self.takes, strict=True):
            change(take["response"])
        live = copy.deepcopy(self.base())
        self.change(live["response"])
        return recorded, live


def values(response: Any) -> list[Any]:
    body = response["body"]
    return [i["__data__"] for i in (body if isinstance(body, list) else [body]) if "__data__" in i]


def each(path: str, change: Callable[[Any, str], Any]) -> Change:
    """Change a member wherever its path leads, in every event: "choices.*.delta.content"."""

    def apply(response: Any) -> None:
        *steps, last = path.split(".")
        nodes = values(response)
        for step in steps:
            nodes = [
                child
                for node in nodes
                for child in (node if step == "*" else [node.get(step)])
                if isinstance(child, (dict, list))
            ]
        for node in nodes:
            change(node, last)

    return apply


def put(path: str, value: Any) -> Change:
    return each(path, lambda node, name: node.__setitem__(name, value))


def swap(path: str, value: Any) -> Change:
    """Replace a member only where it has a value."""
    return each(
        path, lambda node, name: node.get(name) is not None and node.__setitem__(name, value)
    )


def drop(path: str) -> Change:
    return each(path, lambda node, name: node.pop(name, None))


def rename(path: str, new: str) -> Change:
    return each(path, lambda node, name: name in node and node.__setitem__(new, node.pop(name)))


def top(**members: Any) -> Change:
    return lambda response: response.update(members)


def header(name: str, value: str | None) -> Change:
    def apply(response: Any) -> None:
        response["headers"].pop(name, None)
        response["headers"].update({} if value is None else {name: value})

    return apply


def items(change: Callable[[list[Any]], Any]) -> Change:
    return lambda response: change(response["body"])


def of_kind(kind: str) -> Callable[[Any], bool]:
    return lambda item: item.get("event") == kind


def without(kind: str) -> Change:
    return items(
        lambda body: body.__setitem__(slice(None), [i for i in body if not of_kind(kind)(i)])
    )


def insert(at: int, kind: str, **more: Any) -> Change:
    item = {"event": kind, "__data__": {"type": kind, **more}, "at": 0.5}
    return items(lambda body: body.insert(at, item))


def moved(old: int, new: int) -> Change:
    return items(lambda body: body.insert(new, body.pop(old)))


def one_event(at: int, change: Change) -> Change:
    return lambda response: change({**response, "body": [response["body"][at]]})


def says(text: str) -> Change:
    """The same stream with other words, in as many pieces as they have."""

    def apply(response: Any) -> None:
        body = response["body"]
        if not isinstance(body, list):
            for path in ("choices.*.message.content", "candidates.*.content.parts.*.text"):
                swap(path, text)(response)
            return
        first, last = body[1], next(n for n, i in enumerate(body) if not _has_words(i) and n > 3)
        if "event" in first:
            first = body[3]
        start = body.index(first)
        made = []
        for number, piece in enumerate(_pieces(text)):
            item = copy.deepcopy(first) | {"at": round(0.4 + number / 10, 3)}
            data = item["__data__"]
            delta = data["choices"][0]["delta"] if "choices" in data else data["delta"]
            delta["content" if "choices" in data else "text"] = piece
            made.append(item)
        body[start:last] = made

    return apply


def _has_words(item: Any) -> bool:
    data = item.get("__data__", {})
    choices = data.get("choices") or [{}]
    return bool(choices[0].get("delta", {}).get("content")) or "text" in data.get("delta", {})


def arguments(value: Any) -> Change:
    text = value if isinstance(value, str) else json.dumps(value)
    return put("choices.*.message.tool_calls.*.function.arguments", text)


def late(seconds: float, factor: float = 1.0) -> Change:
    def apply(response: Any) -> None:
        for item in response["body"]:
            item["at"] = item["at"] * factor + seconds

    return apply


def both(*parts: Change) -> Change:
    def apply(response: Any) -> None:
        for change in parts:
            change(response)

    return apply


def error(status: int) -> Change:
    body = {"__data__": {"error": {"message": "no", "type": "invalid_request_error"}}}
    headers = {"content-type": "application/json"}
    return top(status=status, is_streaming=False, headers=headers, body=body)


def text_calls(name: str) -> Any:
    return {"id": "call_2", "type": "function", "function": {"name": name, "arguments": "{}"}}


def _as(other: Callable[[], Any]) -> Change:
    return lambda response: response.update(other()["response"])


def nothing(_: Any) -> None:
    pass


_TOOL = "choices.*.message.tool_calls"
_PARTS = "candidates.*.content.parts"
_TOKENS = "usage.prompt_tokens"
_DELTA = "choices.*.delta"
_OTHER = "Bring an umbrella: rain until evening and storms along most of that coast."

REGRESSIONS = (
    Row("a 200 became a 202", chat, top(status=202), "regression"),
    Row("a 200 became a 400", chat, error(400), "regression"),
    Row("a stream became one piece", chat, _as(call), "regression"),
    Row("the stream is cut", message, top(end="cut"), "regression"),
    Row("HTML for JSON", call, header("content-type", "text/html"), "regression"),
    Row("no media type", call, header("content-type", None), "regression"),
    Row("text for JSON", call, top(body={"text": "<html>"}), "regression"),
    Row("a member removed", call, drop("usage.total_tokens"), "regression"),
    Row("a member removed from all chunks", chat, drop("model"), "regression"),
    Row("a member renamed", call, rename("created", "created_at"), "regression"),
    Row("a nested member renamed", message, rename("delta.text", "value"), "regression"),
    Row("a delta's member removed", chat, drop(f"{_DELTA}.role"), "regression"),
    Row("text became a number", call, put("id", 7), "regression"),
    Row("a number became text", call, put("created", "1"), "regression"),
    Row("a list became an object", embedding, put("data.*.embedding", {"0": 1}), "regression"),
    Row("text became a list", chat, swap(f"{_DELTA}.content", ["x"]), "regression"),
    Row("numbers became text", embedding, put("data.*.embedding", ["a", "b", "c"]), "regression"),
    Row("an id became null", call, put("id", None), "regression"),
    Row("usage's count became null", call, put("usage.total_tokens", None), "regression"),
    Row("a chunk's id became null", chat, one_event(2, put("id", None)), "regression"),
    Row("usage went from a stream", chat, items(lambda b: b.pop(-2)), "regression"),
    Row("usage went from an answer", call, drop("usage"), "regression"),
    Row("an event went", message, without("content_block_stop"), "regression"),
    Row("the last event went", message, without("message_stop"), "regression"),
    Row("no [DONE]", chat, items(lambda b: b.pop()), "regression"),
    Row("events in another order", message, moved(-2, 1), "regression"),
    Row("usage before the end", chat, moved(-2, -3), "regression"),
    Row("an event renamed", message, lambda r: _renamed(r, "message_delta"), "regression"),
    Row("a block of another type", message, swap("content_block.type", "output"), "regression"),
    Row("a delta of another type", message, swap("delta.type", "delta"), "regression"),
    Row("another kind of object", call, put("object", "completion"), "regression"),
    Row("another kind of chunk", chat, put("object", "chunk"), "regression"),
    Row("a call went", call, put(_TOOL, []), "regression"),
    Row("another tool", call, put(f"{_TOOL}.*.function.name", "weather"), "regression"),
    Row("an argument went", call, arguments({"unit": "C"}), "regression"),
    Row("an argument's type", call, arguments({"city": ["Tokyo"], "unit": "C"}), "regression"),
    Row("an undeclared argument", call, arguments({"city": "T", "x": 1}), "regression"),
    Row("arguments cut off", call, arguments('{"city": "To'), "regression"),
    Row("arguments in a list", call, arguments("[1]"), "regression"),
    Row("no arguments", call, arguments({}), "regression"),
    Row("three times the tokens", call, put("usage.prompt_tokens", 120), "regression"),
    Row("a third of the tokens", message, put("message.usage.input_tokens", 9), "regression"),
    Row("no words", gemini, says(""), "regression"),
    Row("no words in a stream", chat, swap(f"{_DELTA}.content", ""), "regression"),
    Row("filtered", chat, swap("choices.*.finish_reason", "content_filter"), "regression"),
    Row("blocked", gemini, put("candidates.*.finishReason", "SAFETY"), "regression"),
    Row("an unknown end", gemini, put("candidates.*.finishReason", "DONE"), "regression"),
    Row("an unknown end in a stream", message, swap("delta.stop_reason", "over"), "regression"),
    Row("refused", chat, one_event(0, put(f"{_DELTA}.refusal", "No")), "regression"),
    Row("the text is no JSON", structured, says("It is 21 degrees"), "regression"),
    Row("the text's JSON lacks a member", structured, says('{"city": "Tokyo"}'), "regression"),
    Row("other types in its JSON", structured, says('{"city":"T","degrees":"21"}'), "regression"),
    Row("a shorter embedding", embedding, put("data.*.embedding", [0.5]), "regression"),
    Row("fewer candidates", gemini, put("candidates", []), "regression"),
    Row("a part without text", gemini, rename(f"{_PARTS}.*.text", "t"), "regression"),
    Row("one of two candidates", two_candidates, _as(gemini), "regression"),
    Row("words after the end", message, moved(4, 99), "regression"),
    Row("missing in one item", embedding, lambda r: _uneven(r), "regression"),
)  # fmt: skip

NEW = (
    Row("a member added", call, put("obfuscation", "x"), "new"),
    Row("a member added to all chunks", chat, put("obfuscation", "x"), "new"),
    Row("a member added within", gemini, put("candidates.*.avgLogprobs", -0.1), "new"),
    Row("a member added to one event", message, one_event(0, put("message.container", "c")), "new"),
    Row("a member only later", chat, one_event(3, drop("model")), "new"),
    Row("null got a value", call, put("service_tier", "default"), "new"),
    Row("a new event", message, insert(3, "content_block_info", index=0), "new"),
    Row("a new event in between", message, insert(-2, "usage_update", tokens=1), "new"),
    Row("a new block", message, lambda r: _thinks(r), "new"),
    Row("another call", call, lambda r: _calls_too(r), "new"),
    Row("it is deprecated", call, header("deprecation", "@1767225600"), "new"),
    Row("it ends next year", chat, header("sunset", "Fri, 01 Jan 2027 00:00:00 GMT"), "new"),
    Row("other words", chat, says(_OTHER), "new"),
    Row("other words in one piece", gemini, says(_OTHER), "new"),
    Row("more JSON", structured, says('{"city":"T","degrees":2,"wind":1}'), "new"),
    Row("cut at the limit", chat, swap("choices.*.finish_reason", "length"), "new"),
    Row("tokens that were not counted", uncounted, _as(gemini), "new"),
    Row(
        "an argument of a tool without a schema",
        unknown_tool,
        arguments({"city": "T", "x": 1}),
        "new",
    ),
    Row("much more output", message, swap("usage.output_tokens", 400), "new"),
    Row("a slower first chunk", chat, late(4.0), "new"),
    Row("a slower stream", message, late(0.0, 5.0), "new"),
    Row("slower in one piece", call, top(end_at=9.0), "new"),
    Row("a second candidate", gemini, lambda r: _twice(r), "new"),
)

ORDINARY = (
    Row("nothing", chat, nothing, None),
    Row("nothing in one piece", call, nothing, None),
    Row("nothing of a message", message, nothing, None),
    Row("ids and times", chat, both(put("id", "chatcmpl-9"), put("created", 9)), None),
    Row("another id of a call", call, put(f"{_TOOL}.*.id", "call_9"), None),
    Row("other argument values", call, arguments({"city": "Kyoto", "unit": "F"}), None),
    Row("arguments in another order", call, arguments({"unit": "C", "city": "Tokyo"}), None),
    Row("members in another order", gemini, lambda r: _backwards(r), None),
    Row("a few more tokens", call, put("usage.completion_tokens", 41), None),
    Row("no ping", message, without("ping"), "benign"),
    Row("pings", message, both(insert(4, "ping"), insert(9, "ping")), None),
    Row("other pieces", chat, lambda r: _regrouped(r), None),
    Row("a null member left out", call, drop("service_tier"), "benign"),
    Row("a null member more", call, put("system_fingerprint", None), "benign"),
    Row("case and spaces", gemini, says(WORDS.upper().replace(" ", "  ")), "benign"),
    Row("similar words", chat, says(WORDS.replace("sunny", "bright and sunny")), "benign"),
    Row("similar words in one piece", gemini, says(WORDS.replace("light", "gentle")), "benign"),
    Row("JSON with other values", structured, says('{"city": "Tokyo", "degrees": 19}'), "benign"),
    Row("JSON in other spaces", structured, says('{"city":"Tokyo",  "degrees":21}'), "benign"),
    Row("an optional argument less", call, arguments({"city": "Tokyo"}), "benign"),
    Row("other numbers", embedding, put("data.*.embedding", [1, 2, 3.5]), None),
    Row("a declared argument more", terse_call, arguments({"city": "T", "unit": "C"}), "benign"),
    Row("much faster", slow_chat, both(late(-4.0, 0.2), top(end_at=1.0)), "benign"),
    Row("faster in one piece", slow_gemini, top(end_at=0.1), "benign"),
    Row("sooner", chat, late(-0.1), None),
    Row("a little later", message, late(0.8), None),
    Row("a quick stream four times slower", quick_message, late(0.0, 4.0), None),
    Row("a header nobody steers by", call, header("x-ratelimit-remaining", "9"), None),
    Row("a charset", call, header("content-type", "application/json; charset=utf-8"), None),
    # What one of the takes has, or lacks, is normal.
    Row("optional by a take", call, drop("service_tier"), None, (drop("service_tier"),)),
    Row("a member by a take", call, put("extra", 1), None, (put("extra", 2),)),
    Row("an event by a take", message, insert(3, "info"), None, (insert(3, "info"),)),
    Row("a type by a take", call, put("id", 7), None, (put("id", 8),)),
    Row("no call by a take", call, put(_TOOL, []), None, (put(_TOOL, []),)),
    Row("tokens by a take", call, put(_TOKENS, 110), None, (put(_TOKENS, 120),)),
    Row("words by a take", gemini, says(_OTHER), None, (says(_OTHER),)),
)  # fmt: skip


def _renamed(response: Any, kind: str) -> None:
    for item in filter(of_kind(kind), response["body"]):
        item["event"] = item["__data__"]["type"] = kind + "_2"


def _uneven(response: Any) -> None:
    data = values(response)[0]["data"]
    data.append({"index": 1, "embedding": [1, 2, 3]})


def _thinks(response: Any) -> None:
    block = {"type": "thinking", "thinking": "Let me see"}
    insert(1, "content_block_start", index=1, content_block=block)(response)


def _calls_too(response: Any) -> None:
    values(response)[0]["choices"][0]["message"]["tool_calls"].append(text_calls("now"))


def _twice(response: Any) -> None:
    candidates = values(response)[0]["candidates"]
    candidates.append({**copy.deepcopy(candidates[0]), "index": 1})


def _backwards(response: Any) -> None:
    data = values(response)[0]
    response["body"]["__data__"] = dict(reversed(data.items()))


def _regrouped(response: Any) -> None:
    """The same words, two pieces to a chunk."""
    body = response["body"]
    for number in range(1, 9):
        delta = body[number]["__data__"]["choices"][0]["delta"]
        delta["content"] += body.pop(number + 1)["__data__"]["choices"][0]["delta"]["content"]
        if number >= 5:
            break
