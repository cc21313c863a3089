"""YAML text into plain values that remember their lines, so that a fault can name its place.

The reading is PyYAML's, that is YAML 1.1, with what makes configurations go wrong taken out: a key
that is there twice, a number or date that was meant as text (12:30 is 750 to YAML 1.1), tags, merge
keys. A document comes from anybody, so its size, its depth and what its aliases expand to have
limits; it is composed from PyYAML's events, since libyaml's own composer overflows the C stack on
deeply nested text.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1 << 20
MAX_NODES: Final = 10_000
"""Most values in a document, aliases expanded."""

MAX_DEPTH: Final = 50

type Place = tuple[str | int, ...]
"""Where a value stands: ("redact", "patterns", 0, "regex")."""

# libyaml's reads ten times as fast; PyYAML may have been built without it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What YAML 1.1's c-printable leaves out; spelled as a complement it takes 5 ms to compile.
_NOT_PRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_*.-]{1,80}")
# libyaml and PyYAML quote what they met; an unquoted secret may begin as an alias does.
_QUOTED: Final = re.compile(r" '[^'<]{2,}'")


class NotYaml(ValueError):
    """A text is no YAML document that wiretape reads; `line` and `column` count from 1."""

    def __init__(self, text: str, line: int, column: int = 1) -> None:
        super().__init__(text)
        self.line: Final = line
        self.column: Final = column


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the value at a place; `text` says what was expected."""

    line: int
    place: Place
    text: str

    def __str__(self) -> str:
        where = spelled(self.place)
        return f"{where}: {self.text}" if where else self.text


@dataclass(frozen=True, slots=True)
class Tree:
    """A document's value (dicts, lists, text, numbers, booleans, None) and the line of each place
    in it. What `faults` name is None in `value`.
    """

    value: Any
    lines: dict[Place, int]
    faults: tuple[Fault, ...]

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it."""
        return self.lines[self.nearest(place)]

    def nearest(self, place: Place) -> Place:
        """A place, or, where the document has none, the nearest one around it."""
        while place not in self.lines:
            place = place[:-1]
        return place


def spelled(place: Place) -> str:
    """A place as a person writes it: "redact.patterns[0].regex"."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if _PLAIN_KEY.fullmatch(step) else json.dumps(step[:40])
            text += f".{name}" if text else name
    return text


def parse(data: bytes) -> Tree:
    """Read one YAML document in UTF-8; an empty one is None. Raises NotYaml."""
    text = _decoded(data)
    loader = _Loader(text)
    try:
        root = _compose(loader)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error) from None
    finally:
        loader.dispose()
    expansion = _Expansion()
    value = expansion.value(root, (), root.line) if root else None
    return Tree(value, {(): 1} | expansion.lines, tuple(expansion.faults))


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


def _not_yaml(error: yaml.MarkedYAMLError) -> NotYaml:
    mark = error.problem_mark or error.context_mark
    text = _QUOTED.sub("", error.problem or "cannot be read")
    if error.context and error.context_mark:
        text += (
            f" ({_QUOTED.sub('', error.context)} that begins in line {error.context_mark.line + 1})"
        )
    return NotYaml(text, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)


@dataclass(slots=True)
class _Node:
    """A value as it stands in the text; a mapping's items are keys and values in turn."""

    line: int
    column: int
    kind: str = "scalar"
    items: "list[_Node]" = field(default_factory=list)
    scalar: str | int | float | bool | None = None
    text: str = ""
    fault: str | None = None


def _compose(loader: Any) -> _Node | None:
    root: _Node | None = None
    unfinished: list[_Node] = []
    anchors: dict[str, _Node] = {}
    count = 0
    while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        if isinstance(event, yaml.CollectionEndEvent):
            unfinished.pop()
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise NotYaml(
                    "an alias (*) of nothing; text that begins so needs quotes", line, column
                )
            node = anchors[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            node = _node(loader, event, line, column)
            count += 1
            if count > 2 * MAX_NODES:
                raise _too_much(node)
            if event.anchor is not None:
                anchors[event.anchor] = node
        else:
            if root is not None and isinstance(event, yaml.DocumentStartEvent):
                raise NotYaml("a second document begins here, expected one", line, column)
            continue
        if unfinished:
            unfinished[-1].items.append(node)
        else:
            root = node
        if isinstance(event, yaml.CollectionStartEvent):
            unfinished.append(node)
            if len(unfinished) > MAX_DEPTH:
                raise _too_deep(node)
    return root


def _too_much(node: _Node) -> NotYaml:
    text = f"more than {MAX_NODES} values, aliases (*) expanded"
    return NotYaml(text, node.line, node.column)


def _too_deep(node: _Node) -> NotYaml:
    return NotYaml(f"nested deeper than {MAX_DEPTH} levels", node.line, node.column)


def _node(loader: Any, event: yaml.NodeEvent, line: int, column: int) -> _Node:
    tag = getattr(event, "tag", None)
    if isinstance(event, yaml.ScalarEvent):
        if tag is None or tag == "!":
            tag = loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        scalar, fault = _scalar(tag.removeprefix(_TAG), event.value)
        return _Node(line, column, scalar=scalar, text=event.value, fault=fault)
    kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
    known = (None, "!", _TAG + ("seq" if kind == "list" else "map"))
    return _Node(line, column, kind, fault=None if tag in known else _UNKNOWN_TAG)


_UNKNOWN_TAG: Final = "unknown tag (!): write the value without it"


def _scalar(tag: str, text: str) -> tuple[str | int | float | bool | None, str | None]:
    """The value of a scalar, or what is wrong with it."""
    match tag:
        case "str" | "value":
            return text, None
        case "null":
            return None, None
        case "bool" if text.lower() in ("true", "yes", "on"):
            return True, None
        case "bool" if text.lower() in ("false", "no", "off"):
            return False, None
        case "int" if _INTEGER.fullmatch(text):
            return int(text), None
        case "float" if _FLOAT.fullmatch(text):
            return float(text), None
        case "int" | "float":
            return None, _ODD_NUMBER
        case "timestamp":
            return None, "YAML reads this as a date; put it in quotes"
        case "merge":
            return None, "merge keys (<<) are not known here; write the keys out"
    return None, _UNKNOWN_TAG


_ODD_NUMBER: Final = (
    "YAML reads this as a number in an unusual form (octal, base 60, with underscores, infinite);"
    " write plain decimals, or put it in quotes if it is text"
)


class _Expansion:
    """Values of nodes, with a place for each; aliases are written out."""

    def __init__(self) -> None:
        self.lines: dict[Place, int] = {}
        self.faults: list[Fault] = []

    def value(self, node: _Node, place: Place, line: int) -> Any:
        self.lines[place] = line
        if len(self.lines) > MAX_NODES:
            raise _too_much(node)
        if len(place) > MAX_DEPTH:
            raise _too_deep(node)
        if node.fault is not None:
            self.faults.append(Fault(line, place, node.fault))
            return None
        if node.kind == "list":
            return [
                self.value(item, (*place, index), item.line)
                for index, item in enumerate(node.items)
            ]
        if node.kind == "mapping":
            return self._mapping(node, place)
        return node.scalar

    def _mapping(self, node: _Node, place: Place) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, item in zip(node.items[::2], node.items[1::2], strict=True):
            # As a value YAML 1.1's on is true; as a key it is a word that rules have.
            name = key.text if key.scalar is True and key.text == "on" else key.scalar
            if key.fault is not None or not isinstance(name, str):
                text = key.fault or "expected text as a key; put it in quotes"
                self.faults.append(Fault(key.line, place, text))
            elif name in value:
                first = self.lines[*place, name]
                text = f"is here twice, first in line {first}; keep one"
                self.faults.append(Fault(key.line, (*place, name), text))
            else:
                value[name] = self.value(item, (*place, name), key.line)
        return value
