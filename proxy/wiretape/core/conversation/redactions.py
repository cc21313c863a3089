"""Find what was redacted in a recording, for showing it in place."""

from collections.abc import Iterator
from dataclasses import dataclass

from wiretape.core.recording.document import Document
from wiretape.core.redaction.placeholder import PLACEHOLDER, WITH_DIGEST
from wiretape.core.text import exact_json


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text; `rule` names the rule that redacted it, None for plain text."""

    text: str
    rule: str | None = None


def pieces(text: str) -> list[Piece]:
    """A text cut at its placeholders.

    >>> pieces("key REDACTED-openai-key-3f9a1c07")
    [Piece(text='key ', rule=None), Piece(text='REDACTED-openai-key-3f9a1c07', rule='openai-key')]
    """
    result = []
    end = 0
    for match in PLACEHOLDER.finditer(text) if "REDACTED-" in text else ():
        if match.start() > end:
            result.append(Piece(text[end : match.start()]))
        result.append(Piece(match[0], rule_of(match[0])))
        end = match.end()
    if end < len(text) or not result:
        result.append(Piece(text[end:]))
    return result


def rule_of(placeholder: str) -> str:
    """The rule that a placeholder names: "REDACTED-openai-key-3f9a1c07" gives "openai-key"."""
    match = WITH_DIGEST.fullmatch(placeholder)
    return match[1] if match else placeholder.removeprefix("REDACTED-")


def redactions(document: Document) -> dict[str, list[str]]:
    """Each placeholder of a recording with the paths where it stands, in order.

    >>> redactions({"request": {"headers": {"authorization": "Bearer REDACTED-secret"}}})
    {'REDACTED-secret': ['request.headers.authorization']}
    """
    result: dict[str, list[str]] = {}
    for path, text in _texts(document, ""):
        for placeholder in dict.fromkeys(PLACEHOLDER.findall(text)):
            result.setdefault(placeholder, []).append(path)
    return result


def _texts(value: exact_json.Json, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if "REDACTED-" in value:
            yield path, value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _texts(member, f"{path}.{name}" if path else name)
            yield from _texts(name, path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{path}[{number}]")
