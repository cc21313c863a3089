"""config.yaml as it is written: every key with its default, and what is wrong with a file.

All faults of a file are told at once, a line each:

    config.yaml:12: redact.patterns[0].regex: not a regular expression: missing ) at position 3
    config.yaml:3: matching: unknown key, expected one of: listen, match, … (did you mean "match"?)

A message shows a value only where it could be no secret. The only module that imports pydantic.
"""

import difflib
import re
import string
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from .match import Finder
from .pace import Pace
from .player import Repeat
from .providers import ErrorShape
from .redactrules import LARGE, Gate
from .yamltext import Fault, Place, Tree

if TYPE_CHECKING:
    from jsonpath import JSONPathEnvironment

    from .linear import Linear

type OtherHosts = Literal["tunnel", "refuse"]

VERSION: Final = 1


def check(tree: Tree) -> tuple["File", list[Fault]]:
    """The file that a document is, and what is wrong with it; with faults the defaults."""
    value, faults = tree.value, list(tree.faults)
    version = value.get("version", VERSION) if isinstance(value, dict) else VERSION
    if type(version) is int and version != VERSION:
        # Nothing else can be judged: what a key means may have changed.
        text = f"unknown version {version}, this wiretape knows {VERSION}"
        return File(), [Fault(tree.line(("version",)), ("version",), text)]
    told = {(fault.line, fault.place) for fault in faults}
    try:
        file = File.model_validate(value)
    except ValidationError as error:
        found = [_fault(tree, detail) for detail in error.errors(include_url=False)]
        return File(), faults + [fault for fault in found if (fault.line, fault.place) not in told]
    return file, faults


def near(text: str, names: Iterable[str]) -> str:
    """A hint at the name that was probably meant: ' (did you mean "match"?)', or nothing."""
    found = difflib.get_close_matches(text.lower(), list(names), 1)
    return f' (did you mean "{found[0]}"?)' if found else ""


# ------------------------------------------------------------------ what a value may be


def _text(regex: str, expected: str, change: Callable[[str], str] = str) -> AfterValidator:
    allowed = re.compile(regex)

    def fits(text: str) -> str:
        if not allowed.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return change(text)

    return AfterValidator(fits)


def _host(text: str) -> str:
    host = text.lower()
    found = _HOST.fullmatch(host)
    if not found or len(found["name"]) > 253:
        raise ValueError(
            "expected a host such as api.example.com, localhost:8443 or *.example.com,"
            " without scheme and path"
        )
    if found["port"] and not 1 <= int(found["port"]) <= 65535:
        raise ValueError("expected a port from 1 to 65535 after the host's colon")
    return host


# A pattern's last label is written out, so that it cannot be all hosts there are.
_HOST: Final = re.compile(
    r"(?P<name>(?:[a-z0-9_*](?:[a-z0-9_*-]*[a-z0-9_*])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)"
    r"(?::(?P<port>[0-9]{1,9}))?"
)


def _port(port: int) -> int:
    if not 0 <= port <= 65535:
        raise ValueError(f"expected a port from 1 to 65535, or 0 for any free one, got {port}")
    return port


def _gate(value: Any) -> Gate:
    if value in ("refuse", "warn"):
        return cast(Gate, value)
    if value is False or value == "off":
        raise ValueError(
            "cannot be off, since secrets would be written unseen: warn writes what still holds one"
            " and says so"
        )
    raise ValueError(f"expected refuse or warn, got {_got(value)}")


def _pace(value: Any) -> Pace:
    if isinstance(value, str):
        return Pace.parse(value)
    raise ValueError(f"expected instant, recorded or a factor such as 2x, got {_got(value)}")


def _regex(text: str) -> str:
    try:
        with warnings.catch_warnings():
            # "Possible nested set": what will mean another thing in another Python.
            warnings.simplefilter("error")
            regex = re.compile(text)
    except re.error as error:
        # Python quotes names of groups, and what is meant as one.
        reason = re.sub(r" '[^']*'", "", error.msg)
        at = "" if error.pos is None else f" at position {error.pos}"
        raise ValueError(f"not a regular expression: {reason}{at}") from None
    except (FutureWarning, DeprecationWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression to rely on: {error}") from None
    # One character at a time: on long texts some expressions take forever.
    if any((match := regex.search(probe)) and not match[0] for probe in ("", *string.printable)):
        raise ValueError("matches the empty text: ask for at least one character")
    try:
        linear(text)
    except ValueError as error:
        raise ValueError(
            f"not a regular expression of RE2, which bounds its time: {error}; RE2 has no"
            " look-around and no backreferences"
        ) from None
    standing = next((one for one in _PLACEHOLDERS if regex.search(one)), None)
    if standing:
        raise ValueError(
            f"matches wiretape's own placeholders, such as {standing}: ask for more of what the"
            " secret looks like"
        )
    return text


@cache
def linear(text: str) -> "Linear":
    """A regular expression as what finds it in linear time; ValueError where it cannot be."""
    # Imported late: only who has patterns of his own needs it.
    from .linear import Linear

    return Linear(text)


_PLACEHOLDERS: Final = ("REDACTED-authorization", "REDACTED-x-api-key-0a1b2c3d")


@cache
def _environment() -> "JSONPathEnvironment":
    # Imported late: it takes a third of the time that all other imports here take.
    from jsonpath import JSONPathEnvironment

    environment = JSONPathEnvironment(strict=True)
    # Deeper than a body that is JSON to us (jsontext.MAX_DEPTH).
    environment.max_recursion_depth = 1000
    return environment


@cache
def finder(path: str) -> Finder:
    """A JSONPath (RFC 9535) as what finds its places in a value; ValueError where it is none."""
    from jsonpath import JSONPathError

    try:
        compiled = _environment().compile(path)
    except JSONPathError as error:
        index = error.token.index if error.token else -1
        at = f" at position {index}" if index >= 0 else " at the end"
        reason = re.sub(r"( token)? ('.*'|\".*\")", r"\1", str(error.args[0]), flags=re.DOTALL)
        raise ValueError(f"not a JSONPath (RFC 9535): {reason}{at}") from None

    def find(value: Any) -> Iterable[tuple[str | int, ...]]:
        # The library reads a string as JSON.
        if not isinstance(value, dict | list):
            return ()
        return (match.parts for match in compiled.finditer(value))

    return find


def _json_path(path: str) -> str:
    if not path.startswith("$") or not path.strip("$ "):
        raise ValueError("expected a JSONPath below the body, such as $.messages[0].id or $..id")
    finder(path)
    return path


_TOKEN: Final = r"[A-Za-z0-9!#$%&'+.^_`|~-]+"  # RFC 9110, section 5.6.2, without the asterisk
Header = Annotated[str, _text(_TOKEN, "a header's name alone", str.lower)]
KeptHeader = Annotated[
    str,
    _text(rf"{_TOKEN}\*?", "a header's name, or how names begin and an asterisk", str.lower),
]
Parameter = Annotated[str, _text(r"[^\s=&?#]+", "a query parameter's name alone", str.lower)]
Variable = Annotated[
    str,
    _text(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable, not its value"),
]
VariablePattern = Annotated[
    str,
    _text(
        r"[A-Za-z_*?][A-Za-z0-9_*?]*",
        "the name of an environment variable, not its value; * stands for any text",
    ),
]
Coding = Annotated[
    str, _text(r"[A-Za-z0-9_-]+", f"{LARGE}, or the name of a content coding", str.lower)
]
FilePath = Annotated[str, _text(r"[^~\0][^\0]*", "a file, absolute or below the working directory")]
Label = Annotated[
    str, _text(r"[a-z0-9]+(?:-[a-z0-9]+)*", "a name of lower-case letters, digits and hyphens")
]
Named = Annotated[str, _text(r"\S.*", "a name")]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, AfterValidator(_port)]
JsonPath = Annotated[str, AfterValidator(_json_path)]
Regex = Annotated[str, AfterValidator(_regex)]


# ------------------------------------------------------------------ the keys


class Section(BaseModel):
    """A mapping of the file; a key without a value has its default."""

    # Validators are built for `File` alone, when there is a file: each takes time at every start.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, value: Any) -> Any:
        if value is None:
            return {}
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


class Listen(Section):
    port: Port = 0
    base_url_port: Port | None = None

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.port and self.port == self.base_url_port:
            raise ValueError("expected two different ports")
        return self


class Record(Section):
    errors: bool = False


class Replay(Section):
    repeat: Repeat = "last"


class ProviderEntry(Section):
    hosts: list[Host] = []
    key_env: list[Variable] = []
    errors: ErrorShape | None = None


class When(Section):
    provider: Named | None = None
    method: Annotated[str, _text("[A-Za-z]+", "a method such as POST", str.upper)] | None = None
    path: Annotated[str, _text(r"[/*].*", "a path such as /v1/*")] | None = None


class RuleEntry(Section):
    name: Named
    when: When = When.model_construct()
    ignore: list[JsonPath] = []
    ignore_query: list[Parameter] = []
    ignore_headers: list[Header] = []

    @model_validator(mode="after")
    def _ignores(self) -> Self:
        if not (self.ignore or self.ignore_query or self.ignore_headers):
            raise ValueError("ignores nothing: give ignore, ignore_query or ignore_headers")
        return self


class Match(Section):
    headers: list[Header] = ["anthropic-version", "anthropic-beta", "openai-beta"]
    rules: list[RuleEntry] = []


class JsonEntry(Section):
    """A path alone is short for a mapping with that path, and gives the name then."""

    path: JsonPath
    name: Label | None = None

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class PatternEntry(Section):
    name: Label
    regex: Regex


class Redact(Section):
    headers: list[Header] = []
    query: list[Parameter] = []
    env: list[VariablePattern] = []
    dotenv: list[FilePath] = []
    json_: list[JsonEntry] = Field(default=[], alias="json")
    patterns: list[PatternEntry] = []
    keep_request_headers: list[KeptHeader] = []
    keep_response_headers: list[KeptHeader] = []
    gate: Annotated[Gate, PlainValidator(_gate)] = "refuse"
    unsearched: list[Coding] = []


class File(Section):
    """The whole file."""

    version: int = VERSION
    recordings: Annotated[
        str, _text(r"[^~\0][^\0]*", "a folder, absolute or below the working directory (no ~)")
    ] = "recordings"
    pace: Annotated[Pace, PlainValidator(_pace)] = Pace()
    other_hosts: OtherHosts | None = None
    listen: Listen = Listen.model_construct()
    record: Record = Record.model_construct()
    replay: Replay = Replay.model_construct()
    providers: dict[Label, ProviderEntry] = {}
    match: Match = Match.model_construct()
    redact: Redact = Redact.model_construct()


# ------------------------------------------------------------------ what is wrong


def _fault(tree: Tree, detail: Any) -> Fault:
    """What pydantic found wrong, in our words."""
    kind, value = detail["type"], detail["input"]
    place: Place = tuple(step for step in detail["loc"] if step != "[key]")
    if kind == "missing":
        return Fault(tree.line(place), place, "missing, it has no default")
    if kind == "extra_forbidden":
        names = sorted(
            field.alias or name for name, field in _model(place[:-1]).model_fields.items()
        )
        text = f"unknown key, expected one of: {', '.join(names)}{near(str(place[-1]), names)}"
    elif kind == "literal_error":
        text = f"expected {detail['ctx']['expected'].replace(chr(39), '')}, got {_got(value)}"
    elif kind == "value_error":
        text = str(detail["ctx"]["error"])
    elif kind in _EXPECTED:
        text = f"expected {_EXPECTED[kind]}, got {_kind(value)}"
        if kind == "string_type" and isinstance(value, bool | int | float):
            text += "; put it in quotes"
    else:
        text = detail["msg"]
    place = tree.nearest(place)
    return Fault(tree.line(place), place, text)


_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list, in brackets or with a dash before each item",
    "dict_type": "keys with values",
    "model_type": "keys with values",
}


def _model(place: Place) -> type[BaseModel]:
    """The model of the mapping at a place."""
    here: Any = File
    for step in place:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = here.model_fields.items()
            here = next(field.annotation for name, field in fields if step in (name, field.alias))
        else:
            here = get_args(here)[-1]  # list[RuleEntry], dict[Label, ProviderEntry]
    return here  # type: ignore[no-any-return]  # the type of a field, read at run time


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean (YAML reads yes, no, on and off as one)"
    return _KINDS[type(value)]


_KINDS: Final[dict[type, str]] = {
    str: "text",
    int: "a number",
    float: "a number with a fraction",
    list: "a list",
    dict: "keys with values",
}


def _got(value: Any) -> str:
    """A value of a key that holds no secret."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:39] + "…")
    return str(value) if type(value) in (int, float) else _kind(value)
