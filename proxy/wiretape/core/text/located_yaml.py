"""Read YAML 1.2 into plain values that remember their lines.

ruamel.yaml reads, so `12:30`, `on` and `no` stay text, and so do dates. Duplicate keys, numbers in
unusual forms, tags and merge keys are refused. Size, depth and the expansion of aliases are
limited, since a document may come from anybody. Import this module only if there is a document:
ruamel.yaml costs 20 ms at start. The result's types are in `located.py`.
"""

import math
import re
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError, MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from .located import MAX_BYTES, Location, NotYaml, Problem, Tree

MAX_NODES: Final = 10_000
"""The most values of a document, aliases expanded."""

MAX_DEPTH: Final = 50

_NOT_PRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# ruamel.yaml's messages quote the text; an unquoted secret may begin as an alias does.
_QUOTED: Final = re.compile(r" '[^'<]{2,}'| \"[^\"<]{2,}\"")

_UNKNOWN_TAG: Final = "unknown tag (!): write the value without it"
_ODD_NUMBER: Final = (
    "YAML reads this as a number in an unusual form (octal, with underscores, infinite);"
    " write plain decimals, or put it in quotes if it is text"
)


def parse(data: bytes) -> Tree:
    """Read a YAML document in UTF-8; an empty one gives None. Raises NotYaml.

    >>> parse(b"listen:\\n  port: 80").line(("listen", "port"))
    2
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    yaml.max_depth = MAX_DEPTH
    text = _decoded(data)
    try:
        root = yaml.compose(text)
    except MaxDepthExceededError as error:
        raise _at(error.problem_mark, _TOO_DEEP) from None
    except MarkedYAMLError as error:
        raise _not_yaml(error) from None
    expansion = _Expansion()
    value = expansion.value(root, (), _line(root)) if root is not None else None
    return Tree(value, {(): 1} | expansion.lines, tuple(expansion.problems))


class _BoundedComposer(Composer):
    """Composes nodes up to a limit, before an endless document fills the memory."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self.count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.count += 1
        if self.count > 2 * MAX_NODES:
            raise _at(self.parser.peek_event().start_mark, _TOO_MUCH)
        return super().compose_node(parent, index)


_TOO_MUCH: Final = f"more than {MAX_NODES} values, aliases (*) expanded"
_TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels"


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise NotYaml("longer than 1 MiB", 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NotYaml(f"expected UTF-8, got the byte 0x{data[error.start]:02x}", line) from None
    strange = _NOT_PRINTABLE.search(text)
    if strange:
        at = strange.start()
        raise NotYaml(
            f"the character U+{ord(text[at]):04X} is not allowed here",
            text.count("\n", 0, at) + 1,
            at - text.rfind("\n", 0, at),
        )
    return text


def _at(mark: Any, text: str) -> NotYaml:
    return NotYaml(text, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _not_yaml(error: MarkedYAMLError) -> NotYaml:
    mark = error.problem_mark or error.context_mark
    if isinstance(error, ComposerError):
        if error.context:
            return _at(mark, "a second document begins here, expected one")
        return _at(mark, "an alias (*) of nothing; text that begins so needs quotes")
    text = _QUOTED.sub("", error.problem or "cannot be read")
    if error.context and error.context_mark:
        context = _QUOTED.sub("", error.context)
        text += f" ({context} that begins in line {error.context_mark.line + 1})"
    return _at(mark, text)


class _Expansion:
    """Turns nodes into values and notes the line of each; expands aliases."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []

    def value(self, node: Node, location: Location, line: int) -> Any:
        self.lines[location] = line
        if len(self.lines) > MAX_NODES:
            raise _at(node.start_mark, _TOO_MUCH)
        if len(location) > MAX_DEPTH:
            raise _at(node.start_mark, _TOO_DEEP)
        try:
            if isinstance(node, SequenceNode):
                _refuse_tag(node, "seq")
                return [
                    self.value(item, (*location, index), _line(item))
                    for index, item in enumerate(node.value)
                ]
            if isinstance(node, MappingNode):
                _refuse_tag(node, "map")
                return self._mapping(node, location)
            return _scalar(node)
        except _Unusable as error:
            self.problems.append(Problem(line, location, str(error)))
            return None

    def _mapping(self, node: MappingNode, location: Location) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, item in node.value:
            try:
                name = None if isinstance(key, SequenceNode | MappingNode) else _scalar(key)
                if not isinstance(name, str):
                    raise _Unusable("expected text as a key; put it in quotes")
            except _Unusable as error:
                self.problems.append(Problem(_line(key), location, str(error)))
                continue
            if name in value:
                first = self.lines[*location, name]
                text = f"is here twice, first in line {first}; keep one"
                self.problems.append(Problem(_line(key), (*location, name), text))
            else:
                value[name] = self.value(item, (*location, name), _line(key))
        return value


class _Unusable(ValueError):
    """A value that is valid YAML but not accepted; the text says what to do."""


def _refuse_tag(node: Node, known: str) -> None:
    if node.tag != _TAG + known:
        raise _Unusable(_UNKNOWN_TAG)


def _scalar(node: Node) -> str | int | float | bool | None:
    """The value of a scalar; raises _Unusable."""
    text: str = node.value
    match str(node.tag).removeprefix(_TAG):
        case "str" | "value" | "timestamp":
            return text
        case "null":
            return None
        case "bool" if text.lower() in ("true", "false"):
            return text.lower() == "true"
        case "bool":
            return text  # under %YAML 1.1, yes and no would be booleans
        case "int" if _INTEGER.fullmatch(text):
            return int(text)
        case "float" if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
        case "int" | "float":
            raise _Unusable(_ODD_NUMBER)
        case "merge":
            raise _Unusable("merge keys (<<) are not known here; write the keys out")
    raise _Unusable(_UNKNOWN_TAG)
