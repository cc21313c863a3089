"""What a suggested rule must not take out of a request: what was asked, of which model, and in what
form the answer comes.

Which member of a body is the question nobody can know for every interface. So besides the known
names, a value counts as part of the question unless it looks like what changes from run to run: a
number, an id, a time.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from wiretape.core.wire.selecting_headers import selects

from .canonical import ABSENT
from .normalise import NormaliserKind, leaves

PATTERN_KINDS: Final[tuple[NormaliserKind, ...]] = ("uuids", "dates", "temporary-paths")
"""The changes that take only a pattern out of a text."""

_QUESTION_NAMES: Final = """
    messages message input inputs inputText prompt prompts contents content query q question
    documents text texts chat_history preamble turns parts instances system system_instruction
    systemInstruction instructions suffix task image images audio video file files url
"""
_QUESTION: Final = frozenset(_QUESTION_NAMES.split())
"""Members that hold what was asked, wherever they stand: only a pattern within may be taken out."""

_FORM_NAMES: Final = """
    model models engine deployment stream stream_options generate incremental_output background
    tools tool_choice toolConfig tool_config functions function_call parallel_tool_calls
    response_format responseFormat format output_config output_format text_format schema
    generationConfig generation_config inferenceConfig options parameters size quality
    previous_response_id conversation
"""
_FORM: Final = frozenset(_FORM_NAMES.split())
"""Members that say who answers and in what form: nothing of them may be taken out."""

_DEPENDS_NAMES: Final = """
    temperature top_p topP top_k topK min_p seed n stop stop_sequences stopSequences
    max_tokens max_completion_tokens max_output_tokens maxOutputTokens max_tokens_to_sample
    frequency_penalty presence_penalty repetition_penalty logit_bias logprobs top_logprobs
    reasoning reasoning_effort thinking safetySettings dimensions encoding_format voice
"""
_DEPENDS: Final = frozenset(_DEPENDS_NAMES.split())
"""Members that an answer depends on: their numbers may be ignored, with a warning."""

_ARGUMENTS: Final = frozenset(("arguments", "args", "input", "parameters", "properties"))
"""Below these a member named as an id is what a tool was called with."""

# A member that is named so says when or by whom, and not what.
_VOLATILE_NAME: Final = re.compile(
    r"(?:.*_)?(?:id|ids|at|ts|time|timestamp|date|created|nonce|uuid|trace|cache_control|cache_key)"
    r"|.*[a-z](?:Id|Ids|At)"
)
_METADATA_NAME: Final = re.compile(r"(?:.*_)?(?:metadata|labels|tags)|.*[a-z](?:Metadata|Labels)")

_PARAMETERS_NAMES: Final = """
    alt model models stream deployment engine q query question prompt text input after before
    page offset limit cursor order filter pageSize pageToken page_size page_token
"""
_PARAMETERS: Final = frozenset(_PARAMETERS_NAMES.split())
"""Query parameters that say what is asked for."""

_WORDS: Final = re.compile(r"[^\W\d_]{2,}\W+(?:\w+\W+)*?[^\W\d_]{2,}")


def member_names(path: str | None) -> list[str]:
    """The names of members that a JSONPath leads through: "$.a[0]['b c']" has a and "b c"."""
    names = re.findall(r"\.([A-Za-z_][A-Za-z0-9_]*)|\['([^']*)'\]", path or "")
    return [plain or quoted for plain, quoted in names]


def in_question(names: Sequence[str]) -> bool:
    """Whether a path leads into what was asked, or to who answers and in what form."""
    return not _QUESTION.isdisjoint(names) or not _FORM.isdisjoint(names[:1])


def may_ask(names: Sequence[str], *texts: str) -> bool:
    """Whether texts at a path may ask something; at an unknown one they may where they have words.

    >>> may_ask(["utterance"], "book room 37"), may_ask(["metadata", "note"], "attempt 3 of 4")
    (True, False)
    """
    if in_question(names):
        return True
    return not _is_metadata(names) and any(map(_WORDS.search, texts))


def _is_metadata(names: Sequence[str]) -> bool:
    return bool(names) and bool(
        _METADATA_NAME.fullmatch(names[0]) or _VOLATILE_NAME.fullmatch(names[-1])
    )


def depends_on(names: Sequence[str]) -> bool:
    """Whether an answer depends on what stands at a path, given the names of its members."""
    return bool(names) and names[0] in _DEPENDS


def hides_question(
    names: Sequence[str], kind: NormaliserKind | None, values: Iterable[Any] = ()
) -> bool:
    """Whether a change of what stands at a path could give one question the answer of another.

    `names` are those of the path's members, `kind` is the change (None: it is ignored), and
    `values` is what requests have there.

    >>> hides_question(["messages", "content"], None), hides_question(["model"], "regex")
    (True, True)
    >>> hides_question(["metadata", "run"], None, ["a", "b"])
    False
    """
    if not _FORM.isdisjoint(names[:1]) or "generate" in names or "stream" in names:
        return True
    if kind is not None:
        return False  # a pattern, of which `suggested_rule.py` takes care
    if names and _VOLATILE_NAME.fullmatch(names[-1]):
        return not _ARGUMENTS.isdisjoint(names[1:])
    if in_question(names):
        return True
    if _is_metadata(names):
        return False
    is_number_only = depends_on(names)
    return not all(_is_volatile(value, is_number_only=is_number_only) for value in values)


def _is_volatile(value: Any, *, is_number_only: bool = False) -> bool:
    """Whether a value looks like what changes from run to run."""
    return value is ABSENT or all(
        (isinstance(leaf, int | float) and not isinstance(leaf, bool))
        or (isinstance(leaf, str) and not is_number_only and _is_volatile_text(leaf))
        for _, leaf in leaves(value)
    )


def _is_volatile_text(text: str) -> bool:
    """Whether a text is one token with digits in it, and not words."""
    return any(map(str.isdigit, text)) and not _WORDS.search(text)


def deciding_parameter(name: str, *values: Any) -> bool:
    """Whether a query parameter says what is asked for."""
    if name in _PARAMETERS:
        return True
    return not _VOLATILE_NAME.fullmatch(name) and not all(map(_is_volatile, values))


def deciding_header(name: str) -> bool:
    """Whether a header decides the answer; a language may differ from machine to machine."""
    return name == "accept" or (selects(name) and name != "accept-language")
