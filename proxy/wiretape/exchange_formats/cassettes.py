"""Cassettes in YAML or JSON: vcrpy's and pytest-recording's, Ruby VCR's, httpmock's.

vcrpy's own reader is not used: it is `yaml.load` for its own layout, and knows neither the parsed
bodies that pydantic-ai's serializer writes nor the files of others, which lie in the same folders.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, Final

import yaml

from wiretape.core.errors import FormatError
from wiretape.core.model import Headers, Request, header
from wiretape.core.text import exact_json

from .foreign import (
    ForeignExchange,
    ForeignItem,
    ForeignItems,
    LeftOut,
    NotCarriedOver,
    answered_at,
    checked_headers,
    final_status,
    from_base64,
    instant,
    listed_headers,
    request_of,
    to_text,
)

_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_MOST_EXPANDED: Final = 20
"""As many times its length a file may be with its aliases expanded."""
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")


class _CassetteLoader(yaml.CSafeLoader):
    """YAML whose scalars are JSON's or text: a header that looks like a date stays as it is."""


def _scalar(loader: _CassetteLoader, node: yaml.Node) -> object:
    text = str(node.value)
    if _INTEGER.fullmatch(text) and len(text) < 1000:
        return int(text)
    if _JSON_NUMBER.fullmatch(text):
        return exact_json.number(text)
    return {"true": True, "false": False}.get(text, text)


def _binary(loader: _CassetteLoader, node: yaml.Node) -> object:
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_yaml_binary(node)


def _untagged(loader: _CassetteLoader, suffix: str, node: yaml.Node) -> object:
    """What a tag of another language marks, as what it is without."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


for kind in ("bool", "int", "float", "timestamp"):
    _CassetteLoader.add_constructor(f"tag:yaml.org,2002:{kind}", _scalar)
_CassetteLoader.add_constructor("!binary", _binary)
_CassetteLoader.add_multi_constructor("!", _untagged)
_CassetteLoader.add_multi_constructor("tag:yaml.org,2002:python/", _untagged)


def read(file: BinaryIO, hint: Request | None = None) -> ForeignItems:
    """The exchanges of a cassette; FormatError where it is not YAML or not a cassette.

    `hint` tells the host, or the whole URL, where the cassette keeps none.
    """
    data = file.read()
    try:
        documents = _json(data) or _yaml(data)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise FormatError(f"{line}not YAML: {error.problem or 'broken'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = "not YAML, and not JSON" if isinstance(error, yaml.YAMLError) else str(error)
        raise FormatError(reason) from None
    number = 0
    for document in documents:
        for entry, layout in _entries(document):
            number += 1
            yield _item(f"#{number}", entry, partial(layout, hint))


def _yaml(data: bytes) -> list[Any]:
    """The documents of a cassette in YAML; ValueError for one that libyaml would end this process
    for (nested too deeply), or whose aliases stand for more than there is memory.
    """
    open_nodes: list[list[Any]] = []
    sizes: dict[str | None, int] = {}
    for event in yaml.parse(data, yaml.CSafeLoader):
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append([event.anchor, 0])
            if len(open_nodes) > exact_json.MAX_DEPTH:
                raise ValueError("nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            sizes[anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise ValueError("an alias in it stands for what it is in")
            size = sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            size = 1 + len(event.value)
            sizes[event.anchor] = size
        if open_nodes:
            open_nodes[-1][1] += size
            if open_nodes[-1][1] > _MOST_EXPANDED * (len(data) + 1000):
                raise ValueError("its aliases stand for too much")
    return list(yaml.load_all(data, _CassetteLoader))


def _json(data: bytes) -> list[Any]:
    """The document of a cassette in JSON; YAML would read its escapes and controls otherwise."""
    try:
        return [exact_json.parse(data)]
    except ValueError:
        return []


type _Layout = Callable[[Request | None, str, Any], ForeignExchange]


def _entries(document: Any) -> Iterator[tuple[Any, _Layout]]:
    if not isinstance(document, dict):
        raise FormatError(
            "expected a cassette: a mapping with interactions (vcrpy), http_interactions (Ruby VCR)"
            " or when and then (httpmock)"
        )
    if isinstance(document.get("interactions"), list):
        yield from ((entry, _exchange) for entry in document["interactions"])
    elif isinstance(document.get("http_interactions"), list):
        yield from ((entry, _exchange) for entry in document["http_interactions"])
    elif isinstance(document.get("requests"), list) and isinstance(document.get("responses"), list):
        pairs = zip(document["requests"], document["responses"], strict=False)
        yield from (({"request": sent, "response": got}, _exchange) for sent, got in pairs)
    elif "when" in document and "then" in document:
        yield document, _mock
    else:
        raise FormatError("no interactions in it: not a cassette of vcrpy, Ruby VCR or httpmock")


def _item(where: str, entry: Any, layout: Callable[[str, Any], ForeignExchange]) -> ForeignItem:
    try:
        return layout(where, entry)
    except NotCarriedOver as error:
        return LeftOut(where, str(error))


def _exchange(hint: Request | None, where: str, entry: Any) -> ForeignExchange:
    if isinstance(entry, dict) and "direction" in entry:
        raise NotCarriedOver("a message of a WebSocket, of which the cassette keeps no URL")
    if not isinstance(entry, dict) or not isinstance(entry.get("request"), dict):
        raise NotCarriedOver("it has no request")
    sent, received = entry["request"], entry.get("response")
    if not isinstance(received, dict):
        raise NotCarriedOver("it has no answer; messages of a WebSocket are not read from here")
    headers = _headers(received.get("headers"))
    status = received.get("status", received.get("status_code"))
    return ForeignExchange(
        where=where,
        request=request_of(
            str(sent.get("method", "")),
            _url(sent, hint),
            _headers(sent.get("headers")),
            _body(sent),
        ),
        status=final_status(status.get("code") if isinstance(status, dict) else status),
        headers=headers,
        body=_body(received),
        recorded_at=instant(entry.get("recorded_at")) or answered_at(headers),
    )


def _mock(hint: Request | None, where: str, entry: Any) -> ForeignExchange:
    sent, received = entry["when"], entry["then"]
    if not isinstance(sent, dict) or not isinstance(received, dict):
        raise NotCarriedOver("it has no request or no answer")
    request_headers = listed_headers(sent.get("header") or [])
    host = sent.get("host") or header(request_headers, "host")
    origin = f"https://{host}" if host else hint and f"{hint.scheme}://{hint.authority}"
    if not origin:
        raise NotCarriedOver("httpmock kept no host of it: give one with --url")
    headers = listed_headers(received.get("header") or [])
    return ForeignExchange(
        where=where,
        request=request_of(
            str(sent.get("method", "")),
            f"{origin}{sent.get('path', '/')}",
            request_headers,
            _body(sent),
        ),
        status=final_status(received.get("status")),
        headers=headers,
        body=_body(received),
        recorded_at=answered_at(headers),
    )


def _url(sent: dict[str, Any], hint: Request | None) -> str:
    """A request's URL, or the one that was given where its owner took that out."""
    url = str(sent.get("uri", sent.get("url", "")))
    return hint.url if hint is not None and "://" not in url else url


def _headers(value: Any) -> Headers:
    if not isinstance(value or {}, dict):
        raise NotCarriedOver("its headers are not names with their values")
    return checked_headers(
        (str(name), to_text(line))
        for name, values in (value or {}).items()
        for line in (values if isinstance(values, list) else [values])
    )


def _body(part: dict[str, Any]) -> bytes:
    if "parsed_body" in part:
        return exact_json.dumps(part["parsed_body"], "compact").encode("utf-8", "surrogatepass")
    return _bytes(part["body"] if "body" in part else part.get("content"))


def _bytes(value: object) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        if "base64_string" in value:
            return from_base64(str(value["base64_string"]))
        return _bytes(value.get("string"))
    if isinstance(value, list):
        raise NotCarriedOver("a body of it is a list")
    return to_text(value).encode("utf-8", "surrogateescape")
