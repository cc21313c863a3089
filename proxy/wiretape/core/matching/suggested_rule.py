"""The rule under which a request would match a recording, as YAML to paste, if there is one.

The smallest that does: where two texts differ only in UUIDs, dates, temporary paths or numbers
these are normalised, else the place is ignored. A rule is told only after it has been tried on
both, which changes neither; and none is told that would let one question have another's answer:
what was asked, the model and whether it streams are never ignored, nor a number within a prompt.
"""

import copy
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wiretape.core.text.jsonpath import compiled

from .canonical import Canonical
from .normalise import Names, Normaliser, NormaliserKind, normalised, without
from .structural_diff import Differing, Steps

_MATTERS: Final = """
    messages input prompt contents content system system_instruction systemInstruction instructions
    model models suffix query documents text texts file image audio
    tools tool_choice toolConfig tool_config functions function_call parallel_tool_calls
    temperature top_p topP top_k topK min_p seed n stop stop_sequences stopSequences
    max_tokens max_completion_tokens max_output_tokens maxOutputTokens max_tokens_to_sample
    frequency_penalty presence_penalty repetition_penalty logit_bias logprobs top_logprobs
    reasoning reasoning_effort thinking generationConfig generation_config inferenceConfig options
    safetySettings response_format responseFormat format dimensions encoding_format voice
    stream stream_options previous_response_id
"""
MATTERS: Final = frozenset(_MATTERS.split())
"""The members of a body that an answer depends on."""

_ASKED: Final = frozenset(
    (
        *("messages", "input", "prompt", "contents", "content", "query", "documents", "text"),
        *("texts", "system", "system_instruction", "systemInstruction", "instructions"),
        *("model", "models", "stream", "generate", "tools", "functions"),
    )
)
"""Members that are the question itself. Only a pattern within them may be taken out."""

# A member below one of these that is named so says when or by whom, and not what.
_VOLATILE: Final = re.compile(
    r"(?:.*_)?(?:id|ids|at|ts|time|timestamp|date|created|nonce|uuid|trace|cache_control)|.*[a-z](?:Id|Ids|At)"
)

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER: Final = re.compile(r"[^\s=&?#]+")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+")
_DIGITS: Final = re.compile("[0-9]+")
_WORD: Final = re.compile(r"[^\W\d_]{3}")
"""Without a word in it a text is nothing but its numbers: it is ignored as a whole."""

_SPREAD: Final = 3
"""From so many items of one list on a rule is told for all of its items."""

_KINDS: Final[tuple[NormaliserKind, ...]] = ("uuids", "dates", "temporary-paths")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule's YAML, an item of `match.rules`, and what to mind before it is taken."""

    yaml: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    """What a rule does to a body at one JSONPath, or everywhere where that is None."""

    path: str | None
    kind: NormaliserKind | None = None
    digits: int = 0


def suggest(
    request: Canonical, recorded: Canonical, found: Sequence[Differing]
) -> Suggestion | None:
    """The smallest rule that lets a request match a recording; None where rules cannot."""
    query, headers, body = [], [], []
    for one in found:
        match one.steps:
            case ("query", str(name), *_) if _PARAMETER.fullmatch(name):
                query.append(name.lower())
            case ("headers", str(name), *_) if _HEADER.fullmatch(name):
                headers.append(name.lower())
            case ("body", "json" | "text" | "form", *_):
                body.append(one)
            case _:
                return None
    changes = _tried(request, recorded, body) if body else ()
    if changes is None or any(map(_hides_a_question, changes)):
        return None
    return Suggestion(
        _yaml(request, changes, list(dict.fromkeys(query)), list(dict.fromkeys(headers))),
        tuple(_warnings(changes)),
    )


# ------------------------------------------------------------------ what would do


def _tried(
    request: Canonical, recorded: Canonical, found: Sequence[Differing]
) -> tuple[_Change, ...] | None:
    """The changes that make two bodies equal: the smallest, else those of whole lists."""
    bodies = [one.value["body"] or {} for one in (request, recorded)]
    if not bodies[0] or bodies[0].keys() != bodies[1].keys():
        return None
    ((kind, got),), ((_, stored),) = (body.items() for body in bodies)
    plans = [[_change(one) for one in found]]
    if kind == "json":
        paths = [_above_list(one.steps) for one in found]
        plans.append([(_Change(path),) if path else () for path in paths])
    for plan in plans:
        changes = tuple(dict.fromkeys(change for some in plan for change in some))
        if all(plan) and _same(got, stored, changes):
            return _spread(got, stored, changes)
    return None


def _change(one: Differing) -> tuple[_Change, ...]:
    """What would make one place the same; nothing where no rule can."""
    path = _path(one.steps[2:]) if one.steps[1] == "json" else None
    if one.steps[1] == "json" and path is None:
        return ()
    got, recorded = one.got, one.recorded
    if isinstance(got, str) and isinstance(recorded, str):
        kinds = _kinds(got, recorded)
        if kinds:
            return tuple(_Change(path, kind) for kind in kinds)
        masked = _DIGITS.sub("0", got)
        if path and masked == _DIGITS.sub("0", recorded) and _WORD.search(masked):
            return (_Change(path, "regex"),)
    types = {type(got), type(recorded)}
    if path and float in types and types <= {int, float}:
        digits = next((n for n in range(9, 2, -1) if round(got, n) == round(recorded, n)), 0)
        if digits:
            return (_Change(path, "round", digits),)
    return (_Change(path),) if path else ()


def _kinds(got: str, recorded: str) -> list[NormaliserKind]:
    """The normalisers, as few as will do, that make two texts the same; none where they do not."""
    needed = list(_KINDS)
    if not _alike(got, recorded, needed):
        return []
    for kind in _KINDS:
        fewer = [one for one in needed if one != kind]
        if _alike(got, recorded, fewer):
            needed = fewer
    return needed


def _alike(got: str, recorded: str, kinds: Iterable[NormaliserKind]) -> bool:
    for kind in kinds:
        got, recorded = (_apply(text, Normaliser(kind)) for text in (got, recorded))
    return got == recorded


def _apply(value: Any, normaliser: Normaliser) -> Any:
    return normalised(value, normaliser, Names(), lambda place, was: None)


def _same(got: Any, recorded: Any, changes: Iterable[_Change]) -> bool:
    one, two = (_changed(body, changes) for body in (got, recorded))
    return bool(one == two)


def _changed(body: Any, changes: Iterable[_Change]) -> Any:
    """A body with the changes made, in the order a rule makes them: first it ignores."""
    finders = [found for c in changes if c.kind is None and c.path and (found := compiled(c.path))]
    body = copy.deepcopy(body)  # a normaliser changes what it is given
    body = without(body, {tuple(place) for find in finders for place in find(body)})
    for change in changes:
        if change.kind is None:
            continue
        finder = compiled(change.path) if change.path else None
        at = (finder,) if finder else ()
        regex = _DIGITS if change.kind == "regex" else None
        body = _apply(body, Normaliser(change.kind, at, regex, "0", change.digits))
    return body


def _spread(got: Any, recorded: Any, changes: tuple[_Change, ...]) -> tuple[_Change, ...]:
    """The same for all items of a list where many of them have it: one path for all of them."""
    for depth in range(3):
        general: list[_Change] = []
        for change in changes:
            path = _starred(change.path, depth) if change.path else None
            alike = [c for c in changes if c.path and c.kind == change.kind]
            if path and sum(_starred(c.path or "", depth) == path for c in alike) >= _SPREAD:
                change = _Change(path, change.kind, change.digits)
            general.append(change)
        told = tuple(dict.fromkeys(general))
        if len(told) < len(changes) and _same(got, recorded, told):
            changes = told
    return changes


def _starred(path: str, depth: int) -> str | None:
    """A path with an asterisk for its index number `depth`, if it has one."""
    found = list(re.finditer(r"\[[0-9]+\]", path))
    if depth >= len(found) or found[depth].end() == len(path):
        return None
    return path[: found[depth].start()] + "[*]" + path[found[depth].end() :]


def _path(steps: Steps) -> str | None:
    """Steps below a JSON body as a JSONPath (RFC 9535); None where they are none to write down."""
    text = "$"
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step):
            text += f".{step}"
        else:
            text += f"['{step}']"
    return text if steps and text.isprintable() and compiled(text) else None


def _above_list(steps: Steps) -> str | None:
    """The member that holds the outermost list of a place, or the place."""
    inner = steps[2:]
    first = next((n for n, step in enumerate(inner) if isinstance(step, int)), len(inner))
    return _path(inner[:first])


# ------------------------------------------------------------------ how it is told


def _yaml(
    request: Canonical, changes: Sequence[_Change], query: Sequence[str], headers: Sequence[str]
) -> str:
    provider, method, path = request.endpoint
    when = []
    # What a rule leaves out is an asterisk, and of a placeholder the digest is gone: neither is
    # what a rule is asked about.
    if provider != "*" and provider.isprintable() and provider.strip():
        when.append(f"provider: {_quoted(provider)}")
    if re.fullmatch("[A-Za-z]+", method):
        when.append(f"method: {method}")
    if re.fullmatch(r"/[^?\[\]]*", path) and path.isprintable() and "REDACTED-" not in path:
        when.append(f"path: {_quoted(path)}")
    lines = []
    if when:
        lines.append(f"      when: {{{', '.join(when)}}}")
    ignored = [change.path for change in changes if change.kind is None and change.path]
    for key, values in (("ignore", ignored), ("ignore_query", query), ("ignore_headers", headers)):
        if values:
            lines.append(f"      {key}: [{', '.join(map(_quoted, values))}]")
    changed: dict[tuple[NormaliserKind, int], list[str]] = {}
    for change in changes:
        if change.kind is not None:
            places = changed.setdefault((change.kind, change.digits), [])
            places += [change.path] if change.path else []
    if changed:
        lines.append("      normalise:")
        lines += [f"        - {_normaliser(*key, paths)}" for key, paths in changed.items()]
    # Two rules that are pasted one after the other must not have one name.
    name = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return "\n".join((f"    - name: rule-{name}", *lines))


def _normaliser(kind: NormaliserKind, digits: int, paths: Sequence[str]) -> str:
    at = f", at: [{', '.join(map(_quoted, paths))}]" if paths else ""
    if kind == "regex":
        return f'{{regex: "[0-9]+", replace: "0"{at}}}'
    if kind == "round":
        return f"{{round: {digits}{at}}}"
    return f"{{with: {kind}{at}}}" if at else kind


def _quoted(text: str) -> str:
    """A printable text as a double-quoted YAML scalar."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _members(path: str | None) -> list[str]:
    """The names of members that a JSONPath leads through."""
    names = re.findall(r"\.([A-Za-z_][A-Za-z0-9_]*)|\['([^']*)'\]", path or "")
    return [plain or quoted for plain, quoted in names]


def _hides_a_question(change: _Change) -> bool:
    """Whether a change would let two requests that ask for something else be one."""
    members = _members(change.path)
    if not members or members[0] not in _ASKED or change.kind in _KINDS:
        return False
    return not (len(members) > 1 and _VOLATILE.fullmatch(members[-1]))


def _warnings(changes: Iterable[_Change]) -> Iterable[str]:
    """What of the rule would let different questions have one answer."""
    ignored, numbers = [], []
    for change in changes:
        members = _members(change.path)
        matters = bool(members) and members[0] in MATTERS
        if not matters or (len(members) > 1 and _VOLATILE.fullmatch(members[-1])):
            continue
        if change.kind is None:
            ignored.append(change.path or "")
        elif change.kind == "regex":
            numbers.append(change.path or "")
    if ignored:
        yield f"an answer depends on {_listed(ignored)}, and other values would get this answer too"
    if numbers:
        yield f"other numbers in {_listed(numbers)} would get this answer too"


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
