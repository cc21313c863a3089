"""Find how an answer differs from the recorded ones, tier by tier; `rules.py` judges it.

Several takes widen what is normal: a member, an event or a tool that one of them lacks is optional,
and a number is normal between the least and the greatest. Measures are stated in `Limits`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from wiretape.core.conversation.turns import arguments
from wiretape.core.text import word_diff

from .answer_facts import AnswerFacts, Structure, type_name
from .rules import FoundChange, Limits, Tier


def changes(
    takes: Sequence[AnswerFacts],
    live: AnswerFacts,
    tools: Mapping[str, Mapping[str, Any]] | None = None,
    limits: Limits | None = None,
) -> Iterator[FoundChange]:
    """The differences of a live answer from at least one recorded take of its request; `tools` are
    the schemas of the tools that the request offers.
    """
    limits = limits or Limits()
    yield from _transport(takes, live)
    if all(take.status >= 400 for take in takes) != (live.status >= 400):
        return  # an error and an answer have nothing more in common
    yield from _shape(takes, live)
    yield from _tools(takes, live, tools or {})
    yield from _usage(takes, live, limits)
    yield from _text(takes, live, limits)
    yield from _timing(takes, live, limits)


type _Differ = Callable[..., FoundChange]


def _of(tier: Tier) -> _Differ:
    """What makes a change of a tier of its name, path, and both values: text, or names of types."""

    def difference(change: str, path: str = "", was: object = "", now: object = "") -> FoundChange:
        was, now = (
            " or ".join(sorted(value)) if isinstance(value, set) else str(value)
            for value in (was, now)
        )
        return FoundChange(tier=tier, change=change, path=path, was=was, now=now)

    return difference


# ------------------------------------------------------------------ transport


def _transport(takes: Sequence[AnswerFacts], live: AnswerFacts) -> Iterator[FoundChange]:
    difference = _of("transport")
    first = takes[0]
    if live.status not in {take.status for take in takes}:
        yield difference("status", "", first.status, live.status)
    if live.streamed not in {take.streamed for take in takes}:
        kinds = {True: "streamed", False: "whole"}
        yield difference("streaming", "", kinds[first.streamed], kinds[live.streamed])
    if live.end not in {take.end for take in takes}:
        yield difference("end", "", first.end, live.end)
    known = [take.headers for take in takes if take.headers is not None]
    headers_now = live.headers or {}
    for name in sorted({name for headers in (*known, headers_now) for name in headers}):
        values = {headers.get(name, "") for headers in known}
        now = headers_now.get(name, "")
        if known and now not in values:
            kind = "header-came" if values == {""} else "header" if now else "header-went"
            yield difference(kind, name, min(values), now)


# ------------------------------------------------------------------ shape


def _shape(takes: Sequence[AnswerFacts], live: AnswerFacts) -> Iterator[FoundChange]:
    difference = _of("shape")
    if not live.is_json and all(take.is_json for take in takes):
        yield difference("not-json")
        return
    was = [frozenset(take.kinds) for take in takes]
    now = frozenset(live.kinds)
    went = sorted(frozenset.intersection(*was) - now)
    came = sorted(now - frozenset.union(*was))
    yield from (difference("kind-went", kind) for kind in went)
    yield from (difference("kind-came", kind) for kind in came)
    orders = [_first_seen(take.kinds) for take in takes]
    order = _first_seen(live.kinds)
    if not any(_agree(other, order) for other in orders):
        shared = [kind for kind in order if kind in orders[0]]
        before = [kind for kind in orders[0] if kind in shared]
        yield difference("order", "", ", ".join(before), ", ".join(shared))
    lasts = {take.kinds[-1] for take in takes if take.kinds and take.streamed}
    if live.streamed and live.kinds and lasts and live.kinds[-1] not in lasts:
        last = sorted(lasts)[0]
        # Reported already, if it is the one that went or came.
        if last not in went and live.kinds[-1] not in came and live.end == "complete":
            yield difference("last", "", last, live.kinds[-1])
    yield from _structures([take.structure for take in takes], live.structure, live.streamed)


def _first_seen(kinds: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(kinds))


def _agree(first: Sequence[str], second: Sequence[str]) -> bool:
    shared = set(first) & set(second)
    return [kind for kind in first if kind in shared] == [kind for kind in second if kind in shared]


def _structures(
    takes: Sequence[Structure], live: Structure, streamed: bool
) -> Iterator[FoundChange]:
    difference = _of("shape")
    variants = {path for take in takes for path in take.variants} & live.variants.keys()
    for path in sorted(variants):
        known = [take.variants.get(path, set()) for take in takes]
        now = live.variants[path]
        yield from (
            difference("variant-went", f"{path}({kind})")
            for kind in sorted(set.intersection(*known) - now)
        )
        yield from (
            difference("variant-came", f"{path}({kind})") for kind in sorted(now.difference(*known))
        )
    paths = {path for structure in (*takes, live) for path in structure.types}
    for path in sorted(paths):
        parent = live.parents.get(path) or next(
            (take.parents[path] for take in takes if path in take.parents), None
        )
        if parent is None:  # the items of a list
            lists = [take.types[path] for take in takes if path in take.types]
            if lists and path in live.types:
                yield from _types(path, lists, live.types[path], difference)
            continue
        able = [take for take in takes if parent in take.objects]
        if not able or parent not in live.objects:
            continue  # the value around it is reported
        known = [take.types[path] for take in able if path in take.types]
        types = live.types.get(path)
        if types is None:
            if len(known) == len(able):
                yield difference("null-went" if _only_null(known) else "member-went", path)
        elif not known:
            yield difference("null-came" if _only_null([types]) else "member-came", path)
        else:
            yield from _types(path, known, types, difference)
            always = all(path in take.types and take.is_always(path) for take in able)
            if always and not live.is_always(path) and not _only_null(known):
                yield difference("optional-event" if streamed else "optional", path)


def _only_null(types: Iterable[set[str]]) -> bool:
    return {name for names in types for name in names} == {"null"}


def _types(
    path: str, known: list[set[str]], now: set[str], difference: _Differ
) -> Iterator[FoundChange]:
    was = {name for names in known for name in names}
    came = now - was
    if came - {"null"} and was - {"null"}:
        yield difference("type", path, was, now)
    elif "null" in came:
        yield difference("nullable", path, was, now)
    elif came:
        yield difference("filled", path, was, now)


# ------------------------------------------------------------------ tool calls


def _tools(
    takes: Sequence[AnswerFacts], live: AnswerFacts, tools: Mapping[str, Mapping[str, Any]]
) -> Iterator[FoundChange]:
    difference = _of("tools")
    counts = [Counter(call.name for call in take.calls) for take in takes]
    now = Counter(call.name for call in live.calls)
    for name in sorted({name for count in (*counts, now) for name in count}):
        known = [count[name] for count in counts]
        if now[name] < min(known):
            yield difference("call-went", name, f"{min(known)}x", f"{now[name]}x")
        elif now[name] > max(known):
            yield difference("call-came", name, f"{max(known)}x", f"{now[name]}x")
        recorded = [call.arguments for take in takes for call in take.calls if call.name == name]
        called = [call.arguments for call in live.calls if call.name == name]
        is_object = all(isinstance(value, dict) for value in recorded)
        if is_object and not all(isinstance(value, dict) for value in called):
            yield difference("arguments-broken", name)
            continue
        if recorded and called and all(isinstance(value, dict) for value in called):
            for change in _arguments(recorded, called, tools.get(name)):
                yield difference(change[0], f"{name}.{change[1]}", *change[2:])


def _arguments(
    recorded: Sequence[Any], called: Sequence[Any], schema: Mapping[str, Any] | None
) -> Iterator[tuple[str, ...]]:
    """The differences of a tool's arguments: the change, the argument, and its types."""
    objects = [value for value in recorded if isinstance(value, dict)]
    properties = (schema or {}).get("properties")
    declared = properties if isinstance(properties, dict) else None
    required = (schema or {}).get("required")
    for name in sorted({name for value in (*objects, *called) for name in value}):
        known = {type_name(value[name]) for value in objects if name in value}
        now = {type_name(value[name]) for value in called if name in value}
        if not now or (len(known) and not all(name in value for value in called)):
            if all(name in value for value in objects):
                needed = declared is None or (isinstance(required, list) and name in required)
                yield "argument-went" if needed else "argument-went-optional", name
        elif not known:
            if declared is None:
                yield "argument-came", name
            else:
                is_declared = name in declared
                yield "argument-came-declared" if is_declared else "argument-undeclared", name
        if known and now - known:
            yield "argument-type", name, " or ".join(sorted(known)), " or ".join(sorted(now))


# ------------------------------------------------------------------ usage and timing


def _usage(
    takes: Sequence[AnswerFacts], live: AnswerFacts, limits: Limits
) -> Iterator[FoundChange]:
    difference = _of("usage")
    for name in ("in", "out"):
        known = [take.tokens[name] for take in takes if name in take.tokens]
        now = live.tokens.get(name)
        if now is None:
            if len(known) == len(takes):
                yield difference("usage-went", f"tokens-{name}")
        elif not known:
            yield difference("usage-came", f"tokens-{name}")
        elif not _is_within(now, known, limits.usage, limits.tokens):
            yield difference(f"tokens-{name}", "", _range(known, "d"), now)


def _is_within(now: float, known: Sequence[float], factor: float, slack: float) -> bool:
    low, high = min(known), max(known)
    return min(low / factor, low - slack) <= now <= max(high * factor, high + slack)


def _range(known: Sequence[float], form: str) -> str:
    low, high = f"{min(known):{form}}", f"{max(known):{form}}"
    return low if low == high else f"{low} to {high}"


def _timing(
    takes: Sequence[AnswerFacts], live: AnswerFacts, limits: Limits
) -> Iterator[FoundChange]:
    difference = _of("timing")
    length = sum(map(len, live.texts.values()))
    for name, lead, unit in (
        ("first_chunk", "first-chunk-", "s"),
        ("whole", "", "s"),
        ("rate", "", "characters/s"),
    ):
        now = getattr(live, name)
        known = [value for take in takes if (value := getattr(take, name)) is not None]
        if now is None or not known:
            continue
        # Of a rate, what the live words take: a short answer's says little.
        seconds = [value if unit == "s" else length / value for value in (now, *known)]
        if _is_within(seconds[0], seconds[1:], limits.timing, limits.seconds):
            continue
        kind = f"{lead}{'slower' if seconds[0] > max(seconds[1:]) else 'faster'}"
        yield difference(kind, "", f"{_range(known, '.3g')} {unit}", f"{now:.3g} {unit}")


# ------------------------------------------------------------------ text


FINISHES: Final = frozenset(
    (
        *("stop", "length", "tool_calls", "function_call", "content_filter", "eos"),
        *("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"),
        *("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "OTHER"),
        *("completed", "incomplete", "failed", "max_output_tokens", "COMPLETE", "TOOL_CALL"),
        *("load", "guardrail_intervened", "content_filtered", "model_context_window_exceeded"),
    )
)
"""The reasons for an end that providers document."""


def _text(takes: Sequence[AnswerFacts], live: AnswerFacts, limits: Limits) -> Iterator[FoundChange]:
    difference = _of("text")
    sizes = {len(take.finishes) for take in takes}
    if len(live.finishes) not in sizes:
        kind = "choice-went" if len(live.finishes) < min(sizes) else "choice-came"
        yield difference(kind, "", str(min(sizes)), str(len(live.finishes)))
    for number, finish in enumerate(live.finishes):
        known = {take.finishes[number] for take in takes if number < len(take.finishes)}
        if known and finish not in known:
            is_known = finish is None or finish in FINISHES
            was = sorted(map(str, known))[0]
            yield difference(
                "finish" if is_known else "finish-unknown", _choice(str(number)), was, str(finish)
            )
    for slot in dict.fromkeys(slot for facts in (*takes, live) for slot in facts.texts):
        path = _choice(slot[0]) + slot[1]
        texts = [text for take in takes if (text := take.texts.get(slot))]
        now = live.texts.get(slot, "")
        if not now:
            if len(texts) == len(takes):
                yield difference("went", path)
        elif not texts:
            yield difference("came", path)
        elif now not in texts:
            yield from _words(slot, path, texts, now, limits, difference)


def _choice(number: str) -> str:
    return "" if number == "0" else f"choice {int(number) + 1} "


def _words(
    slot: tuple[str, str],
    path: str,
    texts: list[str],
    now: str,
    limits: Limits,
    difference: _Differ,
) -> Iterator[FoundChange]:
    if slot[1] == "media":
        yield difference("size", path, texts[0][:80], now[:80])
        return
    values = [arguments(text) for text in texts]
    if all(isinstance(value, (dict, list)) for value in values):
        value = arguments(now)
        if not isinstance(value, (dict, list)):
            yield difference("json-broken", path)
            return
        yield from _json_text(path, values, value, difference)
    if _normalised(now) in map(_normalised, texts):
        yield difference("normalised", path)
        return
    counts = word_diff.words(_folded(now))
    share = max(word_diff.common(word_diff.words(_folded(text)), counts) for text in texts)
    # The texts themselves are not printed: they do not fit a table.
    kind = "similar" if share >= limits.similar else "different"
    yield difference(kind, path, "", f"{share:.2f} of the words")


def _json_text(
    path: str, values: list[Any], now: Any, difference: _Differ
) -> Iterator[FoundChange]:
    structures = []
    for value in (*values, now):
        structures.append(Structure())
        structures[-1].add(path, value)
    *known, live = structures
    for change in _structures(known, live, streamed=False):
        kind = _JSON_CHANGES.get(change.change)
        if kind is not None:
            yield difference(kind, change.path, change.was, change.now)


_JSON_CHANGES: Final = {
    **dict.fromkeys(("member-went", "optional", "variant-went"), "json-went"),
    **dict.fromkeys(("member-came", "null-came", "variant-came"), "json-came"),
    **dict.fromkeys(("type", "nullable"), "json-type"),
}
_SPACES: Final = re.compile(r"[\W_]+")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _normalised(text: str) -> str:
    return _SPACES.sub(" ", _folded(text)).strip()
