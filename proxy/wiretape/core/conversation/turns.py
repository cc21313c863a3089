"""Read the turns of a conversation and their parts from a request's body.

Providers name the same few things differently; `parts` reads the content values of all of them, by
`type` and by the names of members. No JSON is an error here: an unexpected value is shown as JSON.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from wiretape.core.text import exact_json
from wiretape.core.text.printable import size

type PartKind = Literal["text", "reasoning", "refusal", "call", "result", "media", "data"]
"""The kind of a part: words, thoughts, a refusal, a tool call, a tool's result, something that is
not text, or other JSON."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a turn. The `text` of a call is its arguments, of media a description: "[image 12
    kB]". `name` is the tool's, `id` the call's, `base64` what media holds, if it is in the body.
    """

    kind: PartKind
    text: str
    name: str = ""
    id: str = ""
    base64: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of one side; `finish` says why an answer ended: "stop", "tool_calls"."""

    role: str
    parts: tuple[Part, ...]
    finish: str | None = None


HIDDEN: Final = "[not shown by the provider]"
"""The text of reasoning that an answer has only encrypted."""


def text_of(value: exact_json.Json) -> str:
    """A value as text: a string as it is, null as "", anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else exact_json.dumps(value, "spaced")


def first(holder: exact_json.Json, *names: str) -> exact_json.Json:
    """The first of an object's members that is not empty.

    >>> first({"content": "", "output": "hi"}, "content", "output")
    'hi'
    """
    if isinstance(holder, dict):
        for name in names:
            if holder.get(name) not in (None, "", [], {}):
                return holder[name]
    return None


def objects(value: exact_json.Json) -> Iterator[dict[str, exact_json.Json]]:
    """The objects of a list."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def arguments(text: str) -> exact_json.Json:
    """A call's arguments as JSON, or the text itself if it is not JSON."""
    try:
        return exact_json.parse(text)
    except ValueError:
        return text


# ------------------------------------------------------------------ parts


def parts(content: exact_json.Json) -> list[Part]:
    """The parts of a message's content: text, a list, an object, or nothing.

    >>> parts([{"type": "text", "text": "hi"}, {"type": "tool_use", "name": "now", "input": {}}])
    [Part(kind='text', text='hi', name='', id=''), Part(kind='call', text='', name='now', id='')]
    """
    if content is None or content == "":
        return []
    if isinstance(content, list):
        return [part for item in content for part in _parts_of(item)]
    return _parts_of(content)


def _parts_of(item: exact_json.Json) -> list[Part]:
    if isinstance(item, str):
        return [Part("text", item)]
    if not isinstance(item, dict):
        return [Part("data", text_of(item))]
    kind = item.get("type")
    if isinstance(kind, str):
        read = _BY_TYPE.get(kind)
        if read is not None:
            return read(item)
        if kind.endswith(("_result", "_output")):
            return _result(item)
        if kind.endswith("_call"):
            rest = {key: value for key, value in item.items() if key not in ("type", "id")}
            return [Part("call", text_of(rest), kind, text_of(item.get("id")))]
    read = next((read for name, read in _BY_MEMBER.items() if name in item), None)
    return read(item) if read is not None else [Part("data", text_of(item))]


def _text(item: dict[str, exact_json.Json]) -> list[Part]:
    value = item.get("text")
    if isinstance(value, dict) and "value" in value:
        value = value["value"]
    # Gemini marks thoughts by `thought`.
    return [Part("reasoning" if item.get("thought") is True else "text", text_of(value))]


def joined(content: exact_json.Json) -> str:
    """The text of a content value, whatever its parts."""
    return "\n".join(part.text for part in parts(content))


def _reasoning(item: dict[str, exact_json.Json]) -> list[Part]:
    thoughts = first(item, "thinking", "text", "summary", "content", "reasoningText")
    if thoughts is None:
        hidden = first(item, "data", "encrypted_content", "signature", "redactedContent")
        return [] if hidden is None else [Part("reasoning", HIDDEN)]
    return [Part("reasoning", joined(thoughts))]


def _bedrock_reasoning(item: dict[str, exact_json.Json]) -> list[Part]:
    inner = item["reasoningContent"]
    return _reasoning(inner) if isinstance(inner, dict) else [Part("reasoning", text_of(inner))]


def _refusal(item: dict[str, exact_json.Json]) -> list[Part]:
    return [Part("refusal", text_of(item.get("refusal")))]


def call(item: exact_json.Json) -> Part:
    """A tool call of any provider."""
    if not isinstance(item, dict):
        return Part("call", text_of(item))
    function = item.get("function")
    inner = function if isinstance(function, dict) else item
    given = first(inner, "arguments", "input", "args", "parameters", "partial_json")
    return Part(
        "call",
        text_of(given),
        text_of(inner.get("name")),
        text_of(first(item, "call_id", "id", "toolUseId")),
    )


def _call(item: dict[str, exact_json.Json]) -> list[Part]:
    return [call(item)]


def _result(item: exact_json.Json) -> list[Part]:
    if not isinstance(item, dict):
        return [Part("result", text_of(item))]
    given = first(item, "content", "output", "result", "response", "outputs", "outcome")
    ids = first(item, "tool_use_id", "call_id", "tool_call_id", "toolUseId", "id")
    names = first(item, "name", "tool_name")
    return [Part("result", joined(given), text_of(names), text_of(ids))]


def _inside(name: str, read: Callable[[exact_json.Json], list[Part]]) -> "_PartReader":
    return lambda item: read(item[name])


def _media(noun: str) -> "_PartReader":
    return lambda item: [media(noun, item)]


def media(noun: str, item: exact_json.Json) -> Part:
    """Describe something that is not text: "[image 12 kB]", "[file report.pdf 1.2 MB]"."""
    words: list[str] = []
    kind = None
    weight = 0
    base64 = ""
    for name, value in _strings(item):
        if name in ("mime_type", "mimeType", "media_type", "format"):
            kind = kind or value
        elif name in ("filename", "file_name", "file_id", "fileId"):
            words.append(value)
        elif value.startswith("data:"):
            head, _, data = value.partition(",")
            kind = kind or head[5:].partition(";")[0]
            weight += decoded_size(data)
            base64 = data
        elif value.startswith(("http://", "https://", "gs://", "s3://")):
            words.append(value if len(value) <= 80 else value[:79] + "…")
        elif name in _DATA:
            weight += decoded_size(value)
            base64 = value
    if noun == "file" and kind and kind.partition("/")[0] in ("image", "audio", "video"):
        noun = kind.partition("/")[0]
    if weight:
        words.append(size(weight))
    return Part("media", f"[{' '.join([noun, *words])}]", base64=base64)


_DATA: Final = frozenset(("", "data", "bytes", "b64_json", "file_data", "body", "url", "image_url"))


def _strings(item: exact_json.Json, name: str = "", depth: int = 4) -> Iterator[tuple[str, str]]:
    if isinstance(item, str):
        yield name, item
    elif isinstance(item, dict) and depth:
        for key, value in item.items():
            yield from _strings(value, key, depth - 1)


def decoded_size(base64: str) -> int:
    """The number of bytes that base64 decodes to."""
    return len(base64.rstrip("=")) * 3 // 4


type _PartReader = Callable[[dict[str, exact_json.Json]], list[Part]]

_BY_TYPE: Final[dict[str, _PartReader]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text", "reasoning_text"), _text),
    **dict.fromkeys(("thinking", "redacted_thinking", "reasoning", "thought"), _reasoning),
    "refusal": _refusal,
    **dict.fromkeys(
        ("function", "function_call", "custom_tool_call", "mcp_call", "tool_use"), _call
    ),
    **dict.fromkeys(("server_tool_use", "mcp_tool_use"), _call),
    **dict.fromkeys(("image", "image_url", "input_image", "image_file"), _media("image")),
    **dict.fromkeys(("audio", "audio_url", "input_audio"), _media("audio")),
    **dict.fromkeys(("video", "video_url", "input_video"), _media("video")),
    **dict.fromkeys(("file", "input_file", "file_url", "document", "document_url"), _media("file")),
    "message": lambda item: parts(item.get("content")),
}
_BY_MEMBER: Final[dict[str, _PartReader]] = {
    "text": _text,
    "thinking": _reasoning,
    "reasoningContent": _bedrock_reasoning,
    **{
        name: _inside(name, lambda value: [call(value)])
        for name in ("functionCall", "function_call", "toolUse", "executableCode")
    },
    **{
        name: _inside(name, _result)
        for name in ("functionResponse", "function_response", "toolResult", "codeExecutionResult")
    },
    **dict.fromkeys(
        ("inlineData", "inline_data", "fileData", "file_data", "document"), _media("file")
    ),
    "image": _media("image"),
    "audio": _media("audio"),
    "video": _media("video"),
    "refusal": _refusal,
    "parts": lambda item: parts(item["parts"]),
    "content": lambda item: parts(item["content"]),
}


# ------------------------------------------------------------------ turns of a request


def message(item: dict[str, exact_json.Json], role: str = "user") -> Turn:
    """A message of a request, or of an answer in one piece; `role` if it does not name one."""
    kind = item.get("type")
    if "role" not in item and kind != "message" and not {"content", "parts", "message"} & set(item):
        read = _parts_of(item)
        default = "tool" if read and read[0].kind == "result" else _ROLES.get(text_of(kind), role)
        return Turn(default, tuple(read))
    name = text_of(item.get("role")) or role
    thoughts = first(item, "reasoning_content", "reasoning", "tool_plan")
    if thoughts is None and isinstance(item.get("thinking"), str):
        thoughts = item["thinking"]
    read = [Part("reasoning", joined(thoughts))] if thoughts is not None else []
    if name.lower() in ("tool", "function") and "parts" not in item:
        read += _result(item)
    else:
        read += parts(first(item, "content", "parts", "message"))
    if item.get("refusal") is not None:
        read += _refusal(item)
    images = item.get("images")
    if isinstance(images, list):
        read += [media("image", image) for image in images]
    if isinstance(item.get("audio"), dict):
        read.append(media("audio", item["audio"]))
    calls = item.get("tool_calls")
    read += [call(item) for item in calls] if isinstance(calls, list) else []
    if item.get("function_call") is not None:
        read.append(call(item["function_call"]))
    return Turn(name, tuple(read))


# The roles of items without one in the input of OpenAI's responses.
_ROLES: Final = dict.fromkeys(
    ("reasoning", "function_call", "custom_tool_call", "mcp_call", "web_search_call"), "assistant"
)


def request_turns(body: exact_json.Json) -> list[Turn]:
    """The turns of a request's JSON body; an unknown body is one turn with the JSON.

    >>> body = {"system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]}
    >>> [turn.role for turn in request_turns(body)]
    ['system', 'user']
    """
    if not isinstance(body, dict):
        return [Turn("user", tuple(parts(body)))] if body not in (None, "", []) else []
    turns = [
        Turn("system", tuple(parts(body[name])))
        for name in (
            "system",
            "instructions",
            "preamble",
            "systemInstruction",
            "system_instruction",
        )
        if body.get(name) not in (None, "", [])
    ]
    for name in ("chat_history", "messages", "contents", "input", "prompt", "message"):
        turns += _turns(body.get(name))
    for name in ("query", "inputs", "inputText", "texts", "documents", "content"):
        turns += _turns(body.get(name))
    for request in objects(body.get("requests")):
        turns += _turns(request.get("content"))
    if not turns and set(body) - {"model", "stream"}:
        return [Turn("request", (Part("data", text_of(body)),))]
    return turns


def _turns(value: exact_json.Json) -> list[Turn]:
    if isinstance(value, dict):
        return [message(value)]
    if not isinstance(value, list):
        return [Turn("user", tuple(parts(value)))] if value not in (None, "") else []
    if value and not any(isinstance(item, (dict, str)) for item in value):
        # A prompt as tokens.
        return [Turn("user", (Part("data", text_of(value)),))]
    return [
        message(item) if isinstance(item, dict) else Turn("user", tuple(parts(item)))
        for item in value
    ]


def tools(body: exact_json.Json) -> tuple[str, ...]:
    """The names of the tools that a request offers."""
    names: list[str] = []
    offered = first(body, "tools", "functions")
    if offered is None:
        offered = first(first(body, "toolConfig"), "tools")
    for tool in objects(offered):
        inner = first(tool, "function", "toolSpec")
        declarations = first(tool, "functionDeclarations", "function_declarations")
        for function in objects(declarations) if declarations is not None else [inner or tool]:
            name = first(function, "name", "type")
            names.append(text_of(name) if name is not None else next(iter(tool), "?"))
    return tuple(names)


def spaced(text: str) -> str:
    """A call's arguments for a reader, with uniform spaces if they are JSON."""
    value = arguments(text)
    return text if isinstance(value, str) else exact_json.dumps(value, "spaced")
