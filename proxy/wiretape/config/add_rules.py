"""Add rules to the text of a config.yaml, so that all else of it stays as it is written.

Lines are put in below `rules:`, in front of the rules that are there: what is above a rule, such as
a comment, stays above it. Where `match` is written in braces ruamel.yaml writes the file anew, with
its comments. The result is parsed again, and refused unless it is the old values with the rules.
"""

import io
from collections.abc import Sequence
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wiretape.core.errors import ConfigError
from wiretape.core.text.located import NotYaml
from wiretape.core.text.located_yaml import parse

_INDENT: Final = 4
"""Columns before the dash in a rule's YAML, as misses print it."""


def add_rules(data: bytes, rules: Sequence[str], source: str) -> bytes:
    """Add rules to the text of a file; each is lines of YAML, as misses suggest them.

    Raises ConfigError, which names `source`, if the file's `match.rules` cannot be added to.

    >>> rule = '    - name: a\\n      ignore: ["$.x"]'
    >>> print(add_rules(b"match:\\n  rules: # ours\\n  - name: b\\n", [rule], "x").decode())
    match:
      rules: # ours
      - name: a
        ignore: ["$.x"]
      - name: b
    <BLANKLINE>
    """
    if not rules:
        return data
    try:
        text = data.decode("utf-8")
        expected = _expected(parse(data).value, rules)
        newline = "\r\n" if "\r\n" in text else "\n"
        changed = _inserted(text, rules, newline) or _written_anew(text, rules)
        result = changed.encode("utf-8")
        if parse(result).value == expected:
            return result
    except (NotYaml, YAMLError, AttributeError, TypeError, ValueError):
        pass
    raise ConfigError(
        f"{source}: rules cannot be added to it as it is written; nothing was changed, and they can"
        " be pasted under match.rules"
    )


def _expected(value: Any, rules: Sequence[str]) -> Any:
    """What the file says once the rules are in it."""
    value = dict(value or {})
    match = dict(value.get("match") or {})
    match["rules"] = [*_values(rules), *(match.get("rules") or ())]
    return {**value, "match": match}


def _values(rules: Sequence[str]) -> Any:
    return parse(("rules:\n" + "\n".join(rules) + "\n").encode()).value["rules"]


def _inserted(text: str, rules: Sequence[str], newline: str) -> str | None:
    """The text with the rules' lines put in; None where there is no line to put them below."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += newline
    root = YAML(typ="rt", pure=True).compose(text)
    match_key, match = _member(root, "match")
    if match_key is None:
        if root is not None and (not isinstance(root, MappingNode) or root.flow_style):
            return None
        block = ["match:", "  rules:", *_lines(rules, 4)]
        return "".join([*lines, *(f"{line}{newline}" for line in block)])
    if match is None or (isinstance(match, MappingNode) and match.flow_style):
        return None
    rules_key, listed = _member(match, "rules")
    if _is_empty(match):
        at, block = match_key.end_mark.line, ["  rules:", *_lines(rules, 4)]
    elif rules_key is None:
        column = match.start_mark.column
        block = [f"{' ' * column}rules:", *_lines(rules, column + 2)]
        at = match_key.end_mark.line
    elif isinstance(listed, SequenceNode) and not listed.flow_style:
        at, block = rules_key.end_mark.line, _lines(rules, listed.start_mark.column)
    elif listed is not None and _is_empty(listed):
        at = rules_key.end_mark.line
        block = _lines(rules, rules_key.start_mark.column + 2)
    else:
        return None
    lines[at + 1 : at + 1] = [f"{line}{newline}" for line in block]
    return "".join(lines)


def _lines(rules: Sequence[str], column: int) -> list[str]:
    """The lines of rules with their dashes in a column."""
    moved = column - _INDENT
    lines = [line for rule in rules for line in rule.splitlines()]
    return [" " * moved + line if moved >= 0 else line[-moved:] for line in lines]


def _member(node: Node | None, name: str) -> tuple[Node | None, Node | None]:
    """A mapping's key and value."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == name:
                return key, value
    return None, None


def _is_empty(node: Node) -> bool:
    """Whether nothing is written for a value. Below a null that is written no line can stand."""
    return isinstance(node, ScalarNode) and not node.value and node.style is None


def _written_anew(text: str, rules: Sequence[str]) -> str:
    """The whole file as ruamel.yaml writes it, with the rules."""
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text) or {}
    if document.get("match") is None:
        document["match"] = {}
    match = document["match"]
    if match.get("rules") is None:
        match["rules"] = []
    for number, value in enumerate(yaml.load("rules:\n" + "\n".join(rules))["rules"]):
        match["rules"].insert(number, value)
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()
