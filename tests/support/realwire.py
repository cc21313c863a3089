"""Real exchanges that other projects recorded from real providers (`shared/data/wire`, which says
where each is from), read from the formats these recorders have.

They lie beside the project and not in it; where they are not there, the list is empty.
"""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from tests.support import paths

from wiretape.core.model import Headers, Request, header, split_url
from wiretape.core.wire.content_coding import decoded

WIRE: Final = paths.WIRE


@dataclass(frozen=True)
class Real:
    """An exchange as it was on the wire; `body` is as it came, with its content coding on it."""

    name: str
    request: Request
    status: int
    headers: Headers
    body: bytes

    @property
    def plain(self) -> bytes:
        """The body with its content coding undone."""
        return decoded(self.headers, self.body)


def exchanges() -> list[Real]:
    """All exchanges over HTTP there are."""
    return [one for path in sorted(WIRE.rglob("*")) for one in _read(path)]


class _Loader(yaml.CSafeLoader):
    """YAML as Ruby writes it, too."""


def _binary(loader: _Loader, node: yaml.Node) -> object:
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_yaml_binary(node)


yaml.add_constructor("!binary", _binary, _Loader)


def _read(path: Path) -> Iterator[Real]:
    name = path.name
    if name.endswith((".yaml", ".yml", ".yaml.gz")):
        data = path.read_bytes()
        text = gzip.decompress(data) if name.endswith(".gz") else data
        for number, document in enumerate(yaml.load_all(text, _Loader)):
            for reader in (_vcrpy, _ruby, _httpmock):
                yield from reader(f"{path.parent.name}/{name[-70:]}#{number}", document)
    elif name.endswith("response.sse"):
        yield _tapes(path)
    elif path.suffix == ".txt" and path.parent.name.startswith("anthropics"):
        yield _events(path, path.read_bytes())
    elif name.endswith("chunks.txt"):
        lines = path.read_bytes().splitlines()
        yield _events(path, b"".join(b"data: " + line + b"\n\n" for line in lines))


def _real(
    name: str,
    method: str,
    url: str,
    sent: bytes,
    asked: Headers,
    status: int,
    got: Headers,
    body: bytes,
) -> Real:
    try:
        scheme, host, port, target = split_url(url)
    except ValueError:  # its owner took it out
        scheme, host, port, target = "https", "provider.invalid", 443, "/v1/taken-out"
    request = Request(method.upper(), scheme, host, port, target, headers=asked, body=sent)
    if header(got, "content-encoding") is not None:
        try:
            decoded(got, body)
        except ValueError:  # the recorder undid the coding and left the header
            got = tuple(one for one in got if one[0].lower() != "content-encoding")
    # The length is that of what came, which a recorder that undoes codings does not keep.
    got = tuple(one for one in got if one[0].lower() != "content-length")
    return Real(name, request, status, got, body)


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, dict):
        if "base64_string" in value:
            return base64.b64decode(value["base64_string"])
        return _bytes(value.get("string"))
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)


def _headers(value: Any) -> Headers:
    return tuple(
        (name, str(one))
        for name, values in (value or {}).items()
        for one in (values if isinstance(values, list) else [values])
    )


def _parsed(part: Any) -> bytes:
    if "parsed_body" in part:
        return json.dumps(part["parsed_body"], ensure_ascii=False, separators=(",", ":")).encode()
    return _bytes(part.get("body"))


def _vcrpy(name: str, document: Any) -> Iterator[Real]:
    found = document.get("interactions", ())
    # Those of WebSockets have frames instead.
    pairs = [(one["request"], one["response"]) for one in found if "response" in one]
    if isinstance(document.get("requests"), list):
        pairs += list(zip(document["requests"], document["responses"], strict=True))
    for number, (asked, got) in enumerate(pairs):
        status = got.get("status") or got.get("status_code")
        yield _real(
            f"{name}.{number}",
            asked["method"],
            asked["uri"],
            _parsed(asked),
            _headers(asked.get("headers")),
            int(status["code"] if isinstance(status, dict) else status),
            _headers(got.get("headers")),
            _parsed(got) if "parsed_body" in got or "body" in got else _bytes(got.get("content")),
        )


def _ruby(name: str, document: Any) -> Iterator[Real]:
    for number, one in enumerate(document.get("http_interactions", ())):
        asked, got = one["request"], one["response"]
        yield _real(
            f"{name}.{number}",
            asked["method"],
            asked["uri"],
            _bytes(asked.get("body")),
            _headers(asked["headers"]),
            int(got["status"]["code"]),
            _headers(got["headers"]),
            _bytes(got.get("body")),
        )


def _httpmock(name: str, document: Any) -> Iterator[Real]:
    if "when" not in document:
        return
    asked, got = document["when"], document["then"]
    pairs: Callable[[Any], Headers] = lambda items: tuple(  # noqa: E731  # used twice, here alone
        (item["name"], str(item["value"])) for item in items or ()
    )
    yield _real(
        name,
        asked["method"],
        "https://provider.invalid" + asked["path"],
        _bytes(asked.get("body")),
        pairs(asked.get("header")),
        int(got["status"]),
        pairs(got.get("header")),
        _bytes(got.get("body")),
    )


def _tapes(path: Path) -> Real:
    start = str(path).removesuffix("response.sse")
    meta = json.loads(Path(start + "meta.json").read_bytes())
    return _real(
        f"{path.parent.name}/{path.name[-70:]}",
        "POST",
        "https://api.anthropic.com/v1/messages",
        Path(start + "request.json").read_bytes(),
        (("content-type", "application/json"),),
        meta["status"],
        tuple((name, value) for name, value in meta["response_headers"]),
        path.read_bytes(),
    )


def _events(path: Path, body: bytes) -> Real:
    request = Request("POST", "https", "provider.invalid", 443, "/v1/stream")
    name = f"{path.parent.name}/{path.name[-70:]}"
    return Real(name, request, 200, (("content-type", "text/event-stream"),), body)
