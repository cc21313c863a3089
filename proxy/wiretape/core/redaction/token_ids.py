"""Lists of token ids that spell a whole text: a prompt, an answer, a conversation.

Who has the model's vocabulary reads a secret from them, though redaction took it out of the text.
`LISTS` names the members; a new dialect is a row. Where the bodies of an exchange hold a
placeholder, the lists of its answer become *neutral*: equally long, eight digits and a mark, then
zeros, so each is still a list of ids that any vocabulary has. In a request a list becomes neutral
if the answer holds a placeholder, or if it begins with one that became neutral before: what an
answer gave out and a later request sends stays one conversation.

The digits are those of a digest (scrypt, as a placeholder's) of the ids, by which a list is known
again in a later run. Where a value has no digest, since it could be guessed, neither has the list:
its digits are of the redacted exchange, and only the run that recorded it knows it again.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json
from wiretape.core.text.regex import linear, may_occur

from . import token_lists
from .clean_parts import CleanParts
from .placeholder import PLACEHOLDER, WITH_DIGEST, hard_digest, is_encoded_in, may_be_in
from .rules import Finding, Where, finding

LISTS: Final = frozenset(
    (
        "completion_token_ids",  # Fireworks, and who trains with vLLM
        "context",  # Ollama's /api/generate: the conversation, given and sent
        "generated_token_ids",
        "ids",  # KoboldCpp
        "input",  # OpenAI's embeddings
        "input_ids",  # SGLang, LMDeploy, Triton
        "input_token_ids",
        "output_ids",  # SGLang, TensorRT-LLM
        "output_token_ids",
        "prompt",  # completions of OpenAI, vLLM, llama.cpp: instead of a text
        "prompt_token_ids",  # vLLM, Fireworks, SGLang
        "response_token_ids",
        "tokenIds",  # Vertex AI's computeTokens, as strings
        "token_ids",  # vLLM
        "tokens",  # llama.cpp, tokenizers of vLLM and Cohere, segments of Whisper
    )
)
"""Members with the ids of a text's tokens: a list of integers, or of such lists."""

RULE: Final = "token-ids"

_DIGITS: Final = 8
_ALIKE: Final = 16
"""A list of at least so many ids is known again as the start of a longer one, too."""
_BESIDE_TEXTS: Final = frozenset(("ids", "tokenIds", "token_ids", "tokens"))
"""Lists that `token_lists` changes where their items have texts."""
_MOST_LENGTHS: Final = 200
_ITEM: Final = r'\\*"?\d{1,9}\\*"?'
_IN_TEXT: Final = re.compile(
    rf'(\\*"(?:{"|".join(sorted(LISTS))})\\*"\s*:\s*\[[\[\s]*)({_ITEM}(?:[\s,\[\]]+{_ITEM})*)'
)
_SPACE: Final = r"(?:\s|\\+[nrt])*"
_LIST: Final = rf'"(?:{"|".join(sorted(LISTS))})\\*"{_SPACE}:{_SPACE}\['
"""Matches a JSON text with a list of one of those names, also within its strings: for RE2."""
_NUMBER: Final = re.compile(r'("?)(\d+)')
_RECORDED: Final = re.compile(
    rb'"(?:%b)": *\[[\[\s]*"?(\d"?(?:,\s*"?\d"?){%d}),\s*"?1"?((?:,\s*"?0"?)*)\s*\]'
    % ("|".join(sorted(LISTS)).encode(), _DIGITS - 1)
)
_NUMBERS: Final = re.compile(rb'\[[\[\s]*"?\d"?,')
"""Matches in whatever `_RECORDED` matches: most recordings hold no list of numbers."""

type Ids = list[Any]
"""Token ids: integers, or integers as strings."""

type ChangeIds = Callable[[Ids], Ids | None]
"""Gives what a list becomes; None where it stays."""


class Mark(NamedTuple):
    """By what a neutral list of a recording tells the ids that it stands for."""

    length: int
    digits: str


def marks_in(recording: bytes) -> Iterator[Mark]:
    """The marks of a recording file's neutral lists that have a digest."""
    # What is recorded is a list of one of those names, which two looks tell.
    may_be_there = _NUMBERS.search(recording) is not None and may_occur(_LIST, recording)
    for match in _RECORDED.finditer(recording) if may_be_there else ():
        digits = b"".join(re.findall(rb"\d", match[1])).decode()
        yield Mark(_DIGITS + 1 + match[2].count(b"0"), digits)


def is_neutral(ids: Ids) -> bool:
    """Whether a list says nothing of a text.

    >>> is_neutral([1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0]), is_neutral([1, 2, 3, 4, 5, 6, 7, 8, 512])
    (True, False)
    """
    numbers = [int(item) for item in ids]
    return (
        max(numbers[:_DIGITS], default=0) < 10
        and max(numbers[_DIGITS : _DIGITS + 1], default=0) < 2
        and not any(numbers[_DIGITS + 1 :])
    )


class KnownTokenIds:
    """The lists that became neutral in a run, by what they were; it holds digests only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._neutral: dict[bytes, Ids] = {}
        self._lengths: frozenset[int] = frozenset()
        self.added = 0
        """How many were ever added."""

    def __len__(self) -> int:
        return len(self._neutral)

    def add(self, ids: Ids, neutral: Ids) -> None:
        """Know `ids` again; `neutral` stands for them."""
        if self._neutral.setdefault(_key(ids), neutral) is neutral:
            self.added += 1
        while len(self._neutral) > self._most:
            self._neutral.pop(next(iter(self._neutral)), None)
        self._lengths = frozenset(map(len, tuple(self._neutral.values())))

    def neutral(self, ids: Ids) -> Ids | None:
        """What stands for `ids`, or for those they begin with; None if they are not known."""
        lengths = (length for length in self._lengths if _is_start(length, ids))
        for length in sorted(lengths, reverse=True):
            known = self._neutral.get(_key(ids[:length]))
            if known is not None:
                return _as(ids, [*known, *ids[length:]])
        return None

    def recognise(self, request: Document, marks: frozenset[Mark]) -> bool:
        """Add the lists of a request that recordings have the marks of; gives whether there are
        any.
        """
        before = self.added

        def known(ids: Ids) -> None:
            lengths = {mark.length for mark in marks if _is_start(mark.length, ids)}
            for length in () if is_neutral(ids) else sorted(lengths, reverse=True)[:_MOST_LENGTHS]:
                digits = _digest(ids[:length])
                if Mark(length, digits) in marks:
                    self.add(ids[:length], _neutral(length, digits, is_digest=True))

        _request(request, known, [])
        return self.added > before

    def request(self, part: Document, answers: str | None = None) -> Document:
        """A `request` part in which known lists are neutral; with `answers` (JSON) only those that
        stand in it.
        """

        def given(ids: Ids) -> Ids | None:
            is_given = answers is None or json.dumps(ids)[1:-1] in answers
            return self.neutral(ids) if is_given else None

        return _request(part, given, []) if self._neutral else part


def redact(
    document: Document, known: KnownTokenIds | None, clean: CleanParts
) -> tuple[Document, list[Finding]]:
    """Make the lists of a redacted document neutral, and remember them in `known`; `clean` has the
    texts of its parts.
    """
    findings: list[Finding] = []
    request, response = document["request"], document["response"]
    bodies = _bodies(request)
    standing: list[Ids] = []
    if linear(_LIST).occurs_in(clean.texts.of("request", request)):
        if known is not None:
            request = _request(request, known.neutral, findings)
        standing = _neutral_in(request)
    # First a look at the whole part, whose text is there: most have no placeholder.
    is_sent, is_given = (
        clean.may_hold_placeholder(name, part) and may_be_in(exact_json.dumps(body, parsed=True))
        for name, part, body in (
            ("request", document["request"], bodies),
            ("response", response, response.get("body")),
        )
    )
    if not (is_given or is_sent or standing):
        return ({**document, "request": request} if findings else document), findings
    sent, given = _serialise(_bodies(request)), _serialise(response.get("body"))
    is_strong = all(map(_has_digest, standing)) and _all_have_digests(sent + given)
    digits = str(int(hashlib.sha256((sent + given).encode()).hexdigest(), 16))[:_DIGITS]

    def change(ids: Ids) -> Ids | None:
        if is_neutral(ids):
            return None
        is_digest = is_strong and len(ids) > _DIGITS
        neutral = _neutral(len(ids), _digest(ids) if is_digest else digits, is_digest=is_digest)
        if known is not None:
            known.add(ids, neutral)
        return _as(ids, neutral)

    response = _response(response, change, findings)
    if is_given:
        request = _request(request, change, findings)
    return {**document, "request": request, "response": response}, findings


def _neutral_in(request: Document) -> list[Ids]:
    """The lists of a request that are neutral, or begin with one that is."""
    result: list[Ids] = []

    def look(ids: Ids) -> None:
        if is_neutral(ids[:_ALIKE] if len(ids) > _ALIKE else ids):
            result.append(ids)

    _request(request, look, [])
    return result


def _bodies(request: Document) -> Document:
    return {name: request[name] for name in ("body", "body_text", "body_base64") if name in request}


def _serialise(value: Any) -> str:
    return exact_json.dumps(value, "spaced", parsed=True)


def _all_have_digests(text: str) -> bool:
    return not is_encoded_in(text) and all(
        WITH_DIGEST.fullmatch(match[0]) for match in PLACEHOLDER.finditer(text)
    )


# ------------------------------------------------------------------ lists


def _is_start(length: int, ids: Ids) -> bool:
    """Whether a known list of that length may be the start of `ids`."""
    return length == len(ids) or _ALIKE <= length < len(ids)


def _key(ids: Ids) -> bytes:
    return hashlib.sha256(",".join(map(str, ids)).encode()).digest()


def _digest(ids: Ids) -> str:
    return f"{int(hard_digest(_key(ids).hex()), 16) % 10**_DIGITS:0{_DIGITS}d}"


def _neutral(length: int, digits: str, *, is_digest: bool) -> Ids:
    return [*map(int, digits), int(is_digest), *[0] * length][:length]


def _has_digest(ids: Ids) -> bool:
    return int(ids[_DIGITS]) == 1 if len(ids) > _DIGITS else False


def _as(ids: Ids, neutral: Ids) -> Ids:
    """`neutral`, with strings where `ids` has strings."""
    return [str(item) if isinstance(ids[0], str) else int(item) for item in neutral]


def are_ids(value: list[Any]) -> bool:
    """Whether a list could be token ids: integers, or integers as strings."""
    return bool(value) and all(
        type(item) is int or (isinstance(item, str) and item.isascii() and item.isdecimal())
        for item in value
    )


# ------------------------------------------------------------------ documents


def _request(part: Document, change: ChangeIds, findings: list[Finding]) -> Document:
    result = dict(part)
    for name in ("body", "body_text"):
        if name in part:
            result[name] = _changed(part[name], change, findings, ("request", name))
    return result if any(result[name] is not part[name] for name in part) else part


def _response(part: Document, change: ChangeIds, findings: list[Finding]) -> Document:
    body = part.get("body")
    where: Where = ("response", "body")
    if isinstance(body, dict):
        (item,) = _items([body], change, findings, lambda at: where)
        return {**part, "body": item}
    if not isinstance(body, list):
        return part
    return {**part, "body": _items(body, change, findings, lambda at: (*where, at))}


def _items(
    body: list[Any], change: ChangeIds, findings: list[Finding], where: Callable[[int], Where]
) -> list[Any]:
    items = [_chunk(item, change, findings, where(at)) for at, item in enumerate(body)]
    # Reads may divide a list; a change keeps the length of a text.
    runs: list[list[int]] = [[]]
    for at, item in enumerate(items):
        if isinstance(item, dict) and isinstance(item.get("text"), str):
            runs[-1].append(at)
        else:
            runs.append([])
    for run in runs:
        text = "".join(items[at]["text"] for at in run)
        changed = _changed(text, change, findings, where(run[0])) if run else text
        for at in run if changed is not text else ():
            size = len(items[at]["text"])
            items[at] = {**items[at], "text": changed[:size]}
            changed = changed[size:]
    return items


def _chunk(item: Any, change: ChangeIds, findings: list[Finding], where: Where) -> Any:
    if not isinstance(item, dict):
        return item  # written by hand
    return {
        name: _changed(value, change, findings, (*where, name))
        if name in ("__data__", "data")
        else value
        for name, value in item.items()
    }


def _changed(value: Any, change: ChangeIds, findings: list[Finding], where: Where) -> Any:
    """A value with its lists changed; the value itself if none is."""
    if isinstance(value, str):
        return _in_text(value, change, findings, where)
    if isinstance(value, list):
        items = [_changed(item, change, findings, (*where, at)) for at, item in enumerate(value)]
        return value if all(map(_is_same, items, value)) else items
    if not isinstance(value, dict):
        return value
    result = {}
    for name, item in value.items():
        if name == "tokens" and _are_octets(value):
            result[name] = item if change(value["tokenIds"]) is None else [""] * len(item)
        elif name in LISTS and isinstance(item, list) and not _is_beside_text(name, value):
            result[name] = _list(item, change, findings, (*where, name))
        else:
            result[name] = _changed(item, change, findings, (*where, name))
    return value if all(map(_is_same, result.values(), value.values())) else result


def _list(value: list[Any], change: ChangeIds, findings: list[Finding], where: Where) -> list[Any]:
    if are_ids(value):
        changed = change(value)
        if changed is None or changed == value:
            return value
        findings.append(finding(RULE, where))
        return changed
    items = [
        _list(item, change, findings, (*where, at))
        if isinstance(item, list)
        else _changed(item, change, findings, (*where, at))
        for at, item in enumerate(value)
    ]
    return value if all(map(_is_same, items, value)) else items


def _is_same(new: Any, old: Any) -> bool:
    return new is old


def _is_beside_text(name: str, value: dict[str, Any]) -> bool:
    """Whether a list's items have texts beside them, which `token_lists` lets them follow."""
    if name not in _BESIDE_TEXTS or _are_octets(value):
        return False
    columns = (value.get(other) for other in token_lists.CHOSEN if other != name)
    return token_lists.spells_again(value) or any(
        isinstance(column, list) and len(column) == len(value[name]) for column in columns
    )


def _are_octets(value: dict[str, Any]) -> bool:
    """Whether an object has a text's ids as strings, and its tokens in base64 (Vertex AI)."""
    ids, tokens = value.get("tokenIds"), value.get("tokens")
    return (
        isinstance(ids, list)
        and isinstance(tokens, list)
        and len(ids) == len(tokens)
        and are_ids(ids)
        and isinstance(ids[0], str)
    )


def _in_text(text: str, change: ChangeIds, findings: list[Finding], where: Where) -> str:
    """ChangeIds the lists in JSON that is stored as text, each id by one of the same length."""
    if "[" not in text:
        return text

    def instead(match: re.Match[str]) -> str:
        ids: Ids = [int(number) for _, number in _NUMBER.findall(match[2])]
        changed = change(ids)
        if changed is None or changed == ids:
            return match[0]
        findings.append(finding(RULE, where))
        digits = iter(map(str, changed))

        def digit(old: re.Match[str]) -> str:
            size = len(old[2])
            return f'"{next(digits).zfill(size)}' if old[1] else next(digits).ljust(size)

        return match[1] + _NUMBER.sub(digit, match[2])

    changed = _IN_TEXT.sub(instead, text)
    return text if changed == text else changed
