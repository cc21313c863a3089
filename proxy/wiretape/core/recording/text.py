"""Write and read the text of a recording file.

The outer levels are indented by two and each chunk has a line of its own, so that git shows a
changed word as a changed line. Large binary bodies move to side files named by their content.
`document.py` knows what a document consists of; `llamastack.py` reads llama-stack's own recordings.
"""

import base64
import re
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any, Final

from wiretape.core.errors import FormatError
from wiretape.core.text import exact_json

from .document import VERSION, Document

WIDTH: Final = 100
SIDE_FILE_BYTES: Final = 16 * 1024
"""Binary bodies larger than this go to a side file."""

MAX_DEPTH: Final = exact_json.MAX_DEPTH + 8
"""The deepest nesting of a file: around a body of any allowed depth there are the document, the
answer and the chunks.
"""

_BOM: Final = b"\xef\xbb\xbf"
_CONFLICT: Final = re.compile(rb"^(?:<{7}|\|{7}|>{7})(?: [^\r\n]*)?\r?$", re.MULTILINE)


def side_file_name(data: bytes) -> str:
    """The name of the side file that holds `data`: its SHA-256 and ".bin"."""
    import hashlib  # late: it needs OpenSSL, which who only reads does not

    return hashlib.sha256(data).hexdigest() + ".bin"


def externalise(document: Document) -> tuple[Document, dict[str, bytes]]:
    """Move large binary bodies out of a document; gives the smaller document and the side files by
    name.

    A multipart request stays: it is compared by its parts, which the name of a file does not show.
    """
    files: dict[str, bytes] = {}

    def moved_out(item: Any, key: str, file_key: str) -> Any:
        if not isinstance(item, dict) or _decoded_size(item.get(key, "")) <= SIDE_FILE_BYTES:
            return item
        data = base64.b64decode(item[key])
        name = side_file_name(data)
        files[name] = data
        return {file_key if k == key else k: name if k == key else v for k, v in item.items()}

    request, response = document["request"], document["response"]
    body = response.get("body")
    if not _is_base64(request, "body_base64") and not any(
        _is_base64(item, "base64") for item in (body if isinstance(body, list) else [body])
    ):
        return document, {}
    if not str(request["headers"].get("content-type", "")).lower().startswith("multipart/"):
        request = moved_out(request, "body_base64", "body_file")
    if isinstance(body, list):
        body = [moved_out(item, "base64", "file") for item in body]
    else:
        body = moved_out(body, "base64", "file")
    if "body" in response:
        response = {**response, "body": body}
    return {**document, "request": request, "response": response}, files


def _is_base64(item: Any, key: str) -> bool:
    return isinstance(item, dict) and key in item


def _decoded_size(text: str) -> int:
    return len(text) * 3 // 4 - text.count("=", -2)


class PartTexts:
    """The `request` and `response` parts of a document as `dumps` writes them, the latest of each,
    so that none is written twice: what is here must not change any more.
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[Document, str]] = {}

    def of(self, name: str, part: Document) -> str:
        """The text of a part called `name`."""
        known = self._latest.get(name)
        if known is None or known[0] is not part:
            known = self._latest[name] = part, part_text(name, part)
        return known[1]


def part_text(name: str, part: Document) -> str:
    """The text of a document's `request` or `response` part as `dumps` writes it."""
    return _response(part) if name == "response" else _wrapped(part, 2, len(name) + 6)


_END: Final = re.compile(r'(?:,\n  "paths": \[(?:"[\w-]+"(?:, "[\w-]+")*)?\])?\n\}\n\Z')
"""What may follow the `response` part in a text of `dumps`."""
_LONGEST_END: Final = 400


def without_parts(text: str, parts: Mapping[str, str]) -> tuple[str, list[str]]:
    """A recording's text with null in place of those of the `parts`, given by name and text, that
    stand in it as `dumps` writes them; and their names.

    That the rest is JSON proves that they are the members of these names: each stands between a
    line end and a name, which no string holds, and only the end of the whole follows the last.

    >>> without_parts('{\\n  "request": {},\\n  "response": {}\\n}\\n', {"response": "{}"})
    ('{\\n  "request": {},\\n  "response": null\\n}\\n', ['response'])
    """
    end = _END.search(text, max(0, len(text) - _LONGEST_END))
    stop = end.start() if end else 0
    rest = [text[stop:]]
    names: list[str] = []
    for name in ("response", "request"):
        lead, part = f'\n  "{name}": ', parts.get(name)
        start = stop - len(part or "")
        if (
            part is None
            or start < len(lead)
            or not text.startswith(part, start)
            or not text.startswith(lead, start - len(lead))
        ):
            break
        names.append(name)
        rest += ["null", lead]
        stop = start - len(lead)
        if stop < 1 or text[stop - 1] != ",":
            break
        rest.append(",")
        stop -= 1
    return "".join((text[:stop], *reversed(rest))), names


def dumps(document: Document, texts: PartTexts | None = None) -> str:
    """Write a recording file: UTF-8, LF, a final newline; equal documents give equal texts. `texts`
    holds parts that are written already.

    >>> body = [{"data": "a"}, {"data": "b"}]
    >>> print(dumps({"wiretape": 1, "request": {}, "response": {"status": 200, "body": body}}))
    {
      "wiretape": 1,
      "request": {},
      "response": {
        "status": 200,
        "body": [
          {"data": "a"},
          {"data": "b"}
        ]
      }
    }
    <BLANKLINE>
    """
    texts = texts or PartTexts()
    # A part may be long: it is put into one text once.
    parts = ["{\n"]
    for key, value in document.items():
        if value is None:
            continue
        is_part = key in ("request", "response")
        text = texts.of(key, value) if is_part else _wrapped(value, 2, len(key) + 6)
        parts += [f"  {_line(key)}: ", text, ",\n"]
    parts[-1 if len(parts) > 1 else 1 :] = ["\n}\n"]
    return "".join(parts)


def _response(response: Document) -> str:
    parts = ["{\n"]
    for key, value in response.items():
        parts.append(f"    {_line(key)}: ")
        if key == "body" and isinstance(value, list) and value:
            # The times in a document are rounded, and what else it holds was read.
            parts += ["[\n      ", exact_json.dumps_each(value, ",\n      "), "\n    ]"]
        else:
            parts.append(_wrapped(value, 4, len(key) + 8))
        parts.append(",\n")
    parts[-1 if len(parts) > 1 else 1 :] = ["\n  }"]
    return "".join(parts)


def _line(value: exact_json.Json) -> str:
    kind = type(value)
    if kind is str and value.isascii():
        return encode_basestring(value)
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    # The times in a document are rounded, and what else it holds was read.
    return exact_json.dumps(value, "spaced", parsed=True)


def _wrapped(value: exact_json.Json, indent: int, used: int) -> str:
    """Write a value on one line if it fits, else a member a line; a list of numbers always stays on
    one line.
    """
    parts: list[str] = []
    _wrap(value, indent, used, parts)
    return "".join(parts)


def _wrap(value: exact_json.Json, indent: int, used: int, parts: list[str]) -> None:
    is_object = isinstance(value, dict)
    if not is_object and not isinstance(value, list):
        parts.append(_line(value))
        return
    # A long body is not written at each of its levels only to see that it is long.
    if not _is_long(value):
        line = _line(value)
        if len(line) + used <= WIDTH or not (
            is_object or any(isinstance(item, (dict, list, str)) for item in value)
        ):
            parts.append(line)
            return
    gap = "\n" + " " * (indent + 2)
    begin = ("{" if is_object else "[") + gap
    for name in value if is_object else range(len(value)):
        item, lead = value[name], f"{_line(name)}: " if is_object else ""
        parts.append(begin + lead)
        if type(item) is str:
            parts.append(_line(item))
        else:
            _wrap(item, indent + 2, indent + 3 + len(lead), parts)
        begin = "," + gap
    if not value:
        parts.append("{" if is_object else "[")
    parts.append("\n" + " " * indent + ("}" if is_object else "]"))


def _is_long(value: exact_json.Json) -> bool:
    """Whether an object or list takes more than a line, by the fewest characters of its first
    members; False says little, also of a list of numbers.
    """
    size = 0
    level = [value]
    for _ in range(_LEVELS):
        below: list[exact_json.Json] = []
        for part in level[:_LOOKED_AT]:
            is_object = isinstance(part, dict)
            if is_object:
                # A name has quotation marks, a colon, a comma and two spaces with it.
                size += sum(map(len, part)) + 6 * len(part)
            for item in part.values() if is_object else part[:_LOOKED_AT]:
                if isinstance(item, str):
                    size += len(item) + 2
                elif isinstance(item, (dict, list)):
                    below.append(item)
            if size > WIDTH:
                return True
        level = below
    return False


_LEVELS: Final = 4
_LOOKED_AT: Final = 50


def loads(text: str | bytes) -> Document:
    """Read a recording file's text; raises FormatError if it is something else.

    The document is wiretape's own or llama-stack's (without the key `wiretape`).
    `document.to_exchange` checks its parts.

    >>> loads('{"wiretape": 1, "request": {}, "response": {}}')
    {'wiretape': 1, 'request': {}, 'response': {}}
    >>> loads("[]")
    Traceback (most recent call last):
    wiretape.core.errors.FormatError: holds a JSON list, expected a recording object
    """
    # Editors put a byte order mark at the start.
    text = text.removeprefix("\ufeff") if isinstance(text, str) else text.removeprefix(_BOM)
    if not text or text.isspace():
        raise FormatError("the file is empty, expected a recording")
    try:
        document = exact_json.parse(text, max_depth=MAX_DEPTH)
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 text (byte {error.start}), expected a recording") from None
    except ValueError as error:
        raise FormatError(_conflict(text) or f"not JSON: {_parse_fault(error)}") from None
    if not isinstance(document, dict):
        raise FormatError(f"holds a JSON {type(document).__name__}, expected a recording object")
    if not isinstance(document.get("request"), dict) or not isinstance(
        document.get("response"), dict
    ):
        raise FormatError("has no request and response objects: not a recording")
    version = document.get("wiretape")
    if "wiretape" in document and (isinstance(version, bool) or not isinstance(version, int)):
        raise FormatError(f"wiretape: expected the format's version {VERSION}, got {version!r:.20}")
    if isinstance(version, int) and not 1 <= version <= VERSION:
        raise FormatError(
            f"wiretape: format version {version} is not known to this wiretape"
            f" (it reads 1 to {VERSION}): update wiretape"
        )
    return document


def _conflict(text: str | bytes) -> str | None:
    """What to do about git's conflict markers, if the text has any."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    mark = _CONFLICT.search(data)
    if mark is None:
        return None
    line = data.count(b"\n", 0, mark.start()) + 1
    return (
        f"a git conflict is not resolved (line {line}): take one side whole with `git checkout"
        " --ours FILE` or `git checkout --theirs FILE`, then `git add FILE`"
    )


def _parse_fault(error: ValueError) -> str:
    # JSONDecodeError's text names line and column, never the content.
    return str(error) if "char" in str(error) else str(error).partition(":")[0]
