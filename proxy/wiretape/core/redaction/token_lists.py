"""Lists in which a provider repeats the text of an answer token by token.

Log probabilities give the text of each token and often its bytes as integers, its number in the
vocabulary and the most likely alternatives. If redaction changes the text of a token, all of these
have to follow, or they reveal the secret. The tables name the members; a new dialect is a row:

    OpenAI (Chat, Responses, Realtime), Ollama, vLLM, llama.cpp  token, bytes, id, top_logprobs
    Gemini          token, tokenId, candidates    old llama.cpp  content, probs, tok_str
    Hugging Face    text, id, top_tokens          SGLang         [-0.1, 7, "token"]
    Cohere          text, token_ids               vLLM's prompt  {"7": {decoded_token, rank}}
    Completions, Together  tokens beside token_ids and top_logprobs ({token: -0.1})

So do tokenizers:

    Cohere          token_strings beside tokens       vLLM  token_strs beside tokens
    Hugging Face    id, text, start, stop             llama.cpp  id, piece
    xAI             string_token, token_id, token_bytes

Lists of ids without texts are `token_ids.py`'s.
"""

from collections.abc import Collection, Mapping, Set
from typing import Any, Final

from wiretape.core.text.exact_json import Json

_TEXT: Final = frozenset(
    ("content", "decoded_token", "piece", "string_token", "text", "tok_str", "token")
)
"""Members with the text of a token."""

_SIGNS: Final = frozenset(
    (
        *("bytes", "logProbability", "log_probability", "logprob", "logprobs", "prob", "probs"),
        *("piece", "rank", "token_bytes", "token_id", "tokenId", "token_ids", "special"),
    )
)
"""Members of which at least one accompanies the text of a token, and none any other text."""
_SPAN: Final = frozenset(("id", "start", "stop"))
"""Members that do so together."""

_LONGEST: Final = 32
"""The longest token that may be part of a secret."""

_IDS: Final = frozenset(("id", "ids", "token_id", "tokenId", "token_ids", "tokenIds"))
"""Members with the number of a token in the vocabulary."""

_ALTERNATIVES: Final = frozenset(
    ("alternatives", "candidates", "probs", "top_logprobs", "top_probs", "top_tokens")
)
"""Members that list the alternatives to a token."""

CHOSEN: Final = ("chosenCandidates", "token_strings", "token_strs", "tokens")
"""Lists of a text's tokens that are accompanied by other lists."""
_BESIDE: Final = frozenset(
    ("ids", "token_ids", "tokenIds", "tokens", "topCandidates", "top_logprobs", "top_tokens")
)
"""Lists with something about each item of a `CHOSEN` list, by position."""
_COLUMNS_OF_IDS: Final = frozenset(("ids", "token_ids", "tokenIds", "tokens"))


def spells_again(value: Mapping[str, Any]) -> bool:
    """Whether an object has the text of a token and further members of a token."""
    return _are_of_a_token(value.keys()) and any(
        isinstance(value.get(name), str) for name in _TEXT & value.keys()
    )


def may_be_token(names: Collection[str]) -> bool:
    """Whether an object with members of these names could spell a token, or hold one by its number;
    False is certain.
    """
    return _are_of_a_token(frozenset(names)) or any(map(str.isdecimal, names))


def _are_of_a_token(names: Set[str]) -> bool:
    # This runs for each object of each chunk, and most are of no token.
    if _TEXT.isdisjoint(names):
        return False
    return not _SIGNS.isdisjoint(names) or names >= _SPAN


def is_token_list(name: object, value: list[Any]) -> bool:
    """Whether a list's items are the tokens of a text in order."""
    first = None
    for first in value:
        if first is not None:
            break
    if isinstance(first, list):
        return is_row(name, first)
    if not isinstance(first, dict) or name in _ALTERNATIVES:
        return False
    return spells_again(first) or is_by_id(first)


def is_row(name: object, value: list[Any]) -> bool:
    """Whether an item of a list of that name is [log probability, number, text] of a token."""
    return (
        isinstance(name, str)
        and name.endswith("logprobs")
        and len(value) == 3
        and isinstance(value[2], str)
        and type(value[1]) is int
    )


def is_by_id(value: dict[str, Any]) -> bool:
    """Whether an object holds a token and its alternatives by their numbers."""
    for name, first in value.items():
        return isinstance(first, dict) and "decoded_token" in first and name.isdecimal()
    return False


def are_octets(value: list[Any]) -> bool:
    """Whether a list could be the bytes of a text."""
    return all(type(item) is int and 0 <= item < 256 for item in value)


def follow(before: Json, after: Json, name: object = None) -> Json:
    """Change what repeats the redacted texts of `after`, a copy of `before`. Both are the member
    `name` of an object, or items of its list.

    >>> before = {"token": "hi", "logprob": -0.1, "bytes": [104, 105]}
    >>> follow(before, {**before, "token": "X"})
    {'token': 'X', 'logprob': -0.1, 'bytes': [88]}
    """
    if isinstance(before, dict) and isinstance(after, dict):
        return _object(before, after)
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        if is_row(name, before) and before[2] != after[2]:
            return [after[0], 0, after[2]]
        return [follow(*pair, name) for pair in zip(before, after, strict=True)]
    return after


def _object(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    if len(before) != len(after):
        return after
    result = {
        name: item if item is old else follow(old, item, name)
        for old, (name, item) in zip(before.values(), after.items(), strict=True)
    }
    for name in _TEXT & before.keys() & after.keys():
        old, new = before[name], after[name]
        if isinstance(old, str) and isinstance(new, str) and old != new:
            _token(before, result, old, new)
    if is_by_id(before) and before != result:
        token = next(iter(before.values()))["decoded_token"]
        new = next(iter(result.values()))["decoded_token"]
        by_id = _alternatives(list(before.values()), list(result.values()), token, new)
        return {f"0-{at}" if at else "0": item for at, item in enumerate(by_id)}
    for name in CHOSEN:
        if isinstance(before.get(name), list) and before[name] != after.get(name):
            _columns(before, result, before[name], result[name])
    return result


def _token(before: Mapping[str, Any], result: dict[str, Any], old: str, new: str) -> None:
    """Change what accompanies the text of a token."""
    for name, item in before.items():
        if name in ("bytes", "token_bytes") and item == list(_octets(old)):
            result[name] = list(_octets(new))
        elif name in _IDS and (len(old) <= _LONGEST or isinstance(item, list)):
            result[name] = _without_ids(item)
        elif name in _ALTERNATIVES:
            result[name] = _alternatives(item, result[name], old, new)


def _columns(
    before: Mapping[str, Any], result: dict[str, Any], old: list[Any], new: list[Any]
) -> None:
    """Change the items of the accompanying lists for tokens that changed."""
    for name in _BESIDE & before.keys():
        column = before[name]
        if column is old or not isinstance(column, list) or len(column) != len(old):
            continue
        cells = list(result[name])
        for at, (was, now) in enumerate(zip(old, new, strict=True)):
            if was == now:
                continue
            if name in _COLUMNS_OF_IDS:
                cells[at] = _without_ids(cells[at])
            else:
                cells[at] = _alternatives(column[at], cells[at], _text(was), _text(now))
        result[name] = cells


def _text(token: Any) -> str:
    if isinstance(token, dict):
        token = next((token[name] for name in _TEXT if isinstance(token.get(name), str)), "")
    return token if isinstance(token, str) else ""


def _alternatives(before: Json, after: Json, old: str, new: str) -> Json:
    """Change the alternatives of a token that begin like it: objects, or texts as names.

    What the search has replaced in them already stays.
    """
    if isinstance(after, list):
        befores = before if isinstance(before, list) and len(before) == len(after) else after
        return [_alternatives(*pair, old, new) for pair in zip(befores, after, strict=True)]
    if not isinstance(after, dict) or not isinstance(before, dict):
        return after
    if nested := next((name for name in _ALTERNATIVES & after.keys()), None):
        return {**after, nested: _alternatives(before.get(nested), after[nested], old, new)}
    if spells_again(before):
        name = next(name for name in _TEXT if isinstance(before.get(name), str))
        if before[name] != after.get(name) or not _begin_alike(before[name], old):
            return after
        result = {**after, name: new}
        _token(before, result, before[name], new)
        return result
    result = {}
    for name, item in after.items():
        text = new if name in before and _begin_alike(name, old) else name
        while text in result:
            text += "-"
        result[text] = item
    return result


def _begin_alike(text: str, other: str) -> bool:
    text, other = text.strip(), other.strip()
    return bool(text and other) and (text.startswith(other) or other.startswith(text))


def _without_ids(value: Json) -> Json:
    if isinstance(value, list):
        return [_without_ids(item) for item in value]
    return 0 if isinstance(value, int) and not isinstance(value, bool) else value


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
