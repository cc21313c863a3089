"""JSON that comes back byte for byte.

`parse` reads JSON text into plain Python values and `dumps` writes them in a named style;
`style_of` finds the style that gives a text back exactly, or None. A recording stores the value and
the style's name, so it stays readable and the wire's bytes are not lost.

A style is a name of up to three parts, `layout[+escape…][+newline]`:

    compact   {"a":1,"b":[2]}          what SDKs send and most providers answer
    spaced    {"a": 1, "b": [2]}       Python's json.dumps
    colons    {"a": 1,"b": [2]}        Google's events
    indent2   one member a line        OpenAI's and Google's single answers (indent1 … indent8)
    +ascii    é as \\u00e9             Python's default
    +html     < > & as \\u003c …       Go's encoding/json
    +newline  the text ends in "\\n"   Go's json.Encoder

Numbers keep their value and their spelling: integers of any size are exact, and a number that has
an exponent or is not as Python spells it (1e0, 0.10, 1e-05) is read as `Number`, a float that
remembers its text. Source: RFC 8259.

msgspec reads and writes where it gives the same as the standard library, which it takes a tenth of
the time for: what it refuses, or would spell in its own way, Python does.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain, product, repeat
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Final, NamedTuple

type Json = Any
"""None, bool, int, float, str, list of Json, or dict of str to Json."""

MAX_DEPTH: Final = 200
"""Deepest nesting that is still treated as JSON; deeper bodies are text."""


_numbers_made = 0
"""How many `Number`s were created; while it stays the same, no value can hold a new one."""


class Number(float):
    """A float that is written as it was read."""

    text: str

    def __new__(cls, text: str) -> "Number":
        """Read `text`, a JSON number with a fraction or an exponent."""
        global _numbers_made
        _numbers_made += 1
        value = super().__new__(cls, text)
        value.text = text
        return value


def number(text: str) -> float:
    """Read a JSON number that has a fraction or an exponent."""
    value = float(text)
    # Where Python writes no exponent, msgspec writes the same digits.
    return value if repr(value) == text and "e" not in text else Number(text)


def _constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON (RFC 8259, section 6)")


# Shared: creating a decoder takes longer than reading an event.
_DECODER: Final = json.JSONDecoder(parse_float=number, parse_constant=_constant)


class _Native(NamedTuple):
    """msgspec's functions, which raise for what they cannot do."""

    decode: Callable[[str], Json]
    decode_lines: Callable[[bytes], list[Json]]
    encode: Callable[[Json], bytes]
    encode_lines: Callable[[Sequence[Json]], bytes]
    """Writes each value on a line of its own, as `encode` does."""
    encode_sorted: Callable[[Json], bytes]
    """Writes members by name; raises for a `Number`."""
    format: Callable[[bytes, int], bytes]
    """Lays out compact JSON: in one line with spaces (0), or with so many a level."""


@cache
def _native() -> _Native | None:
    """None where msgspec is not installed; late, since not every command reads JSON."""
    try:
        import msgspec
    except ImportError:
        return None

    def spelled(value: object) -> msgspec.Raw:
        if type(value) is not Number:
            raise TypeError("not of JSON")
        return msgspec.Raw(value.text)

    decoder, encoder = (
        msgspec.json.Decoder(float_hook=number),
        msgspec.json.Encoder(enc_hook=spelled),
    )
    return _Native(
        decoder.decode,
        decoder.decode_lines,
        encoder.encode,
        encoder.encode_lines,
        msgspec.json.Encoder(order="sorted").encode,
        lambda data, indent: msgspec.json.format(data, indent=indent),
    )


def parse(text: str | bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """Read one JSON text.

    Raises ValueError for anything RFC 8259 does not allow (NaN, trailing text, bad UTF-8), for
    integers too long for Python to convert and for nesting deeper than `max_depth`.

    >>> parse('{"seed": 1e0}'), dumps(parse('{"seed": 1e0}'))
    ({'seed': 1.0}, '{"seed":1e0}')
    """
    return _parse(text, max_depth)[0]


def _parse(text: str | bytes, max_depth: int = MAX_DEPTH) -> tuple[Json, bool]:
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    if text.startswith("\ufeff"):
        raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
    before = _numbers_made
    value = _decoded(text)
    if _is_too_deep(text, value, max_depth):
        raise ValueError(f"JSON nested deeper than {max_depth} levels")
    # Another thread may have created a number meanwhile; that costs only a walk of the value.
    return value, _numbers_made != before


def _decoded(text: str) -> Json:
    if native := _native():
        try:
            return native.decode(text)
        except Exception:  # the standard library takes lone surrogates, and says what is wrong
            pass
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def _depth_exceeds(value: Json, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        objects = [item for item in level if type(item) is dict]
        lists = [item for item in level if type(item) is list]
        if not objects and not lists:
            return False
        level = [*chain.from_iterable(map(dict.values, objects)), *chain.from_iterable(lists)]
    return True


def unique_keys(text: str | bytes) -> bool:
    """Whether no object in the JSON text names a member twice.

    Raises ValueError if `text` is not JSON.

    >>> unique_keys('{"a": 1, "b": {"a": 2}}'), unique_keys('{"a": 1, "a": 2}')
    (True, False)
    """
    return not overridden(text)


def overridden(text: str | bytes) -> list[dict[str, Json]]:
    """The members of objects in the JSON text that a later one of the same name takes the place of
    when it is read, in order.

    Raises ValueError if `text` is not JSON.

    >>> overridden('{"a": 1, "b": {"c": 2, "c": 3}, "a": 4}')
    [{'c': 2}, {'a': 1}]
    """
    lost: list[dict[str, Json]] = []

    def pairs(members: list[tuple[str, Json]]) -> dict[str, Json]:
        result: dict[str, Json] = {}
        for name, value in members:
            if name in result:
                lost.append({name: result[name]})
            result[name] = value
        return result

    try:
        json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    return lost


_HTML: Final = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))
_LINES: Final = (("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_STYLE: Final = re.compile(r"(compact|spaced|colons|indent[1-8])(\+ascii)?(\+html)?(\+newline)?")

_SEPARATORS: Final = {"compact": (",", ":"), "spaced": (", ", ": "), "colons": (",", ": ")}
_ENCODERS: Final[dict[tuple[str, bool], Callable[[Json], str]]] = {
    (layout, ascii_only): json.JSONEncoder(
        ensure_ascii=ascii_only, allow_nan=False, separators=separators
    ).encode
    for layout, separators in _SEPARATORS.items()
    for ascii_only in (False, True)
}


@lru_cache(maxsize=256)  # a file may name any
def _parts(style: str) -> tuple[str, bool, bool, bool] | None:
    """A style's layout, and whether it has +ascii, +html and +newline; None if it is invalid."""
    match = _STYLE.fullmatch(style)
    return match and (match[1], match[2] is not None, match[3] is not None, match[4] is not None)


def is_style(name: object) -> bool:
    """Whether `name` names a style."""
    return isinstance(name, str) and _parts(name) is not None


def dumps(value: Json, style: str = "compact", *, parsed: bool = False) -> str:
    """Write `value` in a style; `parsed` promises that each float with an exponent is a `Number`,
    as `parse` gives it, and saves most of the time.

    >>> dumps({"a": [1, "<é>"]}, "spaced+html")
    '{"a": [1, "\\\\u003cé\\\\u003e"]}'
    """
    return _dumps(value, style, parsed=parsed)


def _dumps(value: Json, style: str, *, parsed: bool = True, numbers: bool = True) -> str:
    parts = _parts(style)
    if parts is None:
        raise ValueError(f"{style!r} is not a JSON style")
    layout, ascii_only, html, newline = parts
    text = _by_msgspec(value, layout) if parsed else None
    if text is None or (ascii_only and _BEYOND_ASCII.search(text)):
        text = _by_python(value, layout, ascii_only=ascii_only, numbers=numbers)
    if html:
        for plain, escaped in (*_HTML, *_LINES):
            text = text.replace(plain, escaped)
    if not ascii_only and not text.isascii():
        # A lone surrogate has no UTF-8 form, so it is written as an escape.
        text = _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text + "\n" if newline else text


_BEYOND_ASCII: Final = re.compile("[^\0-~]")
"""What Python escapes in a text that is to be ASCII: DEL too."""


def sorted_dumps(value: Json) -> str:
    """Write plain JSON with its members by name, in ASCII: what `json.dumps` gives.

    >>> sorted_dumps({"b": "é", "a": [1.5, None]})
    '{"a":[1.5,null],"b":"\\\\u00e9"}'
    """
    if native := _native():
        try:
            text = native.encode_sorted(value).decode()
        except Exception:  # a lone surrogate, an integer of more than 64 bits, or a `Number`
            text = "\x7f"
        # Where one of the two writes an exponent, the other does not or spells it otherwise.
        is_alike = ".0000" not in text and not _EXPONENT.search(text)
        if is_alike and text.isascii() and "\x7f" not in text:  # Python escapes DEL, too
            return text
    return _SORTED.encode(value)


_EXPONENT: Final = re.compile("[0-9]e-?[0-9]")
_SORTED: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _by_msgspec(value: Json, layout: str) -> str | None:
    """The text of a value from `parse`; None if msgspec cannot write it."""
    native = _native()
    if native is None or layout == "colons":
        return None
    try:
        data = native.encode(value)
        if layout != "compact":
            data = native.format(data, 0 if layout == "spaced" else int(layout[6:]))
    except Exception:  # a lone surrogate, or more levels than it takes
        return None
    return data.decode()


def dumps_each(values: Sequence[Json], between: str) -> str:
    """Write values from `parse` in the style "spaced", with a text between them: many at once in a
    fifth of the time.

    >>> dumps_each([{"a": 1, "b": 2}, []], " / ")
    '{"a": 1, "b": 2} / []'
    """
    return between.join(_each(some, between) for some in _batches(values))


_TOGETHER: Final = 256
"""Values that are read or written in one call: what they take stays in the processor's cache."""
_BORDER: Final = rb'"\u0000\u0000"'
"""Stands between values that are laid out together, if none holds it."""


def _batches[Value](values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    return (values[at : at + _TOGETHER] for at in range(0, len(values), _TOGETHER))


def _each(values: Sequence[Json], between: str) -> str:
    text = _each_by_msgspec(values, between)
    return between.join(_dumps(value, "spaced") for value in values) if text is None else text


def _each_by_msgspec(values: Sequence[Json], between: str) -> str | None:
    native = _native()
    if native is None or len(values) < 2:
        return None
    try:
        lines = native.encode_lines(values)
        if _BORDER in lines:
            return None
        items = lines[:-1].replace(b"\n", b",%b," % _BORDER)
        data = native.format(b"[%b]" % items, 0)
    except Exception:  # a lone surrogate, or more levels than it takes
        return None
    return data[1:-1].replace(b", %b, " % _BORDER, between.encode()).decode()


def _by_python(value: Json, layout: str, *, ascii_only: bool, numbers: bool) -> str:
    if numbers and _numbers_made and _holds_number(value):
        return "".join(_spell(value, layout, ascii_only, 0))
    if layout.startswith("indent"):
        return json.dumps(
            value,
            ensure_ascii=ascii_only,
            allow_nan=False,
            indent=int(layout[6:]),
            separators=(",", ": "),
        )
    return _ENCODERS[layout, ascii_only](value)


_ATOMS: Final = frozenset((str, int, float, bool, type(None)))


def _holds_number(value: Json) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return type(value) is Number
    return any(map(_holds_number, [item for item in value if type(item) not in _ATOMS]))


def _spell(value: Json, layout: str, ascii_only: bool, level: int) -> Iterable[str]:
    """Encode a value that holds a `Number`, which the standard library would spell its own way."""
    if isinstance(value, Number):
        yield value.text
        return
    if not isinstance(value, (dict, list)) or not value:
        yield json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)
        return
    indent = int(layout[6:]) if layout.startswith("indent") else 0
    open_gap = "\n" + " " * indent * (level + 1) if indent else ""
    close_gap = "\n" + " " * indent * level if indent else ""
    comma, colon = _SEPARATORS.get(layout, (",", ": "))
    between = comma + open_gap
    quote = encode_basestring_ascii if ascii_only else encode_basestring
    yield ("{" if isinstance(value, dict) else "[") + open_gap
    for count, item in enumerate(value):
        if count:
            yield between
        if isinstance(value, dict):
            yield quote(item) + colon
            yield from _spell(value[item], layout, ascii_only, level + 1)
        else:
            yield from _spell(item, layout, ascii_only, level + 1)
    yield close_gap + ("}" if isinstance(value, dict) else "]")


_INDENT: Final = re.compile(r"[\[{]\n( {1,8})\S")


def read(text: str, hint: str = "compact") -> tuple[Json, str] | None:
    """Read JSON and find the style that writes it back exactly; `hint` is tried first.

    Gives (value, style), or None if `text` is not JSON or no style gives it back: then it has to
    be stored as text.

    >>> read('{"a": [1, 2]}\\n')
    ({'a': [1, 2]}, 'spaced+newline')
    >>> read('{"a":1, "b":2}') is None
    True
    """
    if hint == "compact" and (compact := _read_compact(text)):
        return compact[0], "compact"
    try:
        value, numbers = _parse(text)
    except ValueError:
        return None
    if _dumps(value, hint, numbers=numbers) == text:
        return value, hint
    body = text.removesuffix("\n")
    newline = "" if body == text else "+newline"
    escapes: tuple[str, ...] = ("",)
    if "\\u" in body:
        escapes = ("+ascii", "+html", "+ascii+html", "") if body.isascii() else ("+html", "")
    indent = _INDENT.match(body)
    layouts = (f"indent{len(indent[1])}",) if indent else tuple(_SEPARATORS)
    for layout, escape in product(layouts, escapes):
        style = layout + escape + newline
        if _dumps(value, style, numbers=numbers) == text:
            return value, style
    return None


def _read_compact(text: str) -> tuple[Json] | None:
    """The value of a text that msgspec gives back, in the least time; None for another."""
    native = _native()
    if native is None:
        return None
    try:
        value = native.decode(text)
        if native.encode(value) != text.encode():
            return None
    except Exception:
        return None
    return None if _is_too_deep(text, value, MAX_DEPTH) else (value,)


def read_compact(texts: Sequence[str]) -> list[Json] | None:
    """The values of texts that are all compact JSON, in a fraction of the time that `read` takes
    for each; None if one is not, or without msgspec.

    >>> read_compact(['{"a":1}', "[]"]), read_compact(['{"a":1}', '{"a": 1}'])
    ([{'a': 1}, []], None)
    """
    values: list[Json] = []
    for some in _batches(texts):
        compact = _read_lines(some)
        if compact is None:
            return None
        values += compact
    return values


def _read_lines(texts: Sequence[str]) -> list[Json] | None:
    native = _native()
    if native is None:
        return None
    try:
        lines = "\n".join((*texts, "")).encode()
        # A line end in a text would be another line's.
        if lines.count(b"\n") != len(texts):
            return None
        values = native.decode_lines(lines)
        # Written again each value is on a line of its own: so each text is what its value gives.
        if native.encode_lines(values) != lines:
            return None
    except Exception:
        return None
    # So deep a value has as many brackets that open and that close.
    if max(map(len, texts)) > 2 * MAX_DEPTH and any(
        map(_is_too_deep, texts, values, repeat(MAX_DEPTH))
    ):
        return None
    return values


def _is_too_deep(text: str, value: Json, limit: int) -> bool:
    return text.count("[") + text.count("{") > limit and _depth_exceeds(value, limit)


def style_of(text: str) -> str | None:
    """The style that gives `text` back exactly, or None."""
    result = read(text)
    return result[1] if result else None
