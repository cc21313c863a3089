"""config.yaml as it is written: every key with its default, and what is wrong with a file.

All problems of a file are reported at once, a line each:

    config.yaml:12: redact.patterns[0].regex: not a regular expression: missing ) at position 3
    config.yaml:3: matching: unknown key, expected one of: listen, match, … (did you mean "match"?)

A message shows a value only where it could be no secret. Only this module, `pack_file.py` and
`value_types.py` import pydantic.
"""

import fnmatch
from dataclasses import fields
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    create_model,
    model_validator,
)

from wiretape.core.drift.rules import CHANGES, DriftVerdict, Tier
from wiretape.core.matching.rule import RequestPart
from wiretape.core.playback.faults import Fault
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.player import Repeat
from wiretape.core.playback.policy import MISS_STATUS, OnMiss, RecordMode
from wiretape.core.providers.registry import ErrorShape
from wiretape.core.redaction.rules import Gate
from wiretape.core.text.located import Location, Problem, Tree

from .faults import fault as on_demand
from .near import near
from .rule_entry import MEMBERS
from .rule_entry import finder as finder
from .rule_entry import linear_regex as linear_regex
from .value_types import (
    Address,
    Age,
    Amount,
    AnyHeader,
    Coding,
    Currency,
    FilePath,
    Flag,
    Header,
    Host,
    HostGlob,
    JsonPath,
    KeptHeader,
    Label,
    Method,
    MiB,
    MissStatus,
    Named,
    Parameter,
    Port,
    Regex,
    Tokens,
    UrlPath,
    Variable,
    VariablePattern,
    as_body,
    as_gate,
    as_normaliser,
    as_on_miss,
    as_pace,
    as_places,
    as_recordings,
    as_sequences,
    as_upstream_proxy,
    got,
    kind_of,
    text_like,
)

type OtherHosts = Literal["tunnel", "refuse"]

VERSION: Final = 1


def check(tree: Tree) -> tuple["File", list[Problem]]:
    """Check a document; give it as a file, and its problems. With any, the file is the defaults."""
    value = tree.value
    version = value.get("version", VERSION) if isinstance(value, dict) else VERSION
    if type(version) is int and version != VERSION:
        # Nothing else can be judged: what a key means may have changed.
        text = f"unknown version {version}, this wiretape knows {VERSION}"
        return File(), [Problem(tree.line(("version",)), ("version",), text)]
    file, problems = check_as(File, tree)
    return file or File(), problems


def check_as[S: "Section"](section: type[S], tree: Tree) -> tuple[S | None, list[Problem]]:
    """Check a document against a section; give it as one, None if it is not, and its problems."""
    reported = {(problem.line, problem.location) for problem in tree.problems}
    try:
        return section.model_validate(tree.value), list(tree.problems)
    except ValidationError as error:
        details = error.errors(include_url=False)
        more = [_problem(tree, detail, section) for detail in details]
        return None, list(tree.problems) + [
            problem for problem in more if (problem.line, problem.location) not in reported
        ]


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
    host: Address = "127.0.0.1"
    names: list[Host] = []
    port: Port = 0
    base_url_port: Port | None = None

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.port and self.port == self.base_url_port:
            raise ValueError("expected two different ports")
        return self


class Record(Section):
    errors: Flag = False
    mode: RecordMode = "replace"
    max_body: MiB = 64
    drain: Flag = False
    folders: Flag = True


class Replay(Section):
    repeat: Repeat = "last"
    miss_status: MissStatus = MISS_STATUS


class ProviderEntry(Section):
    hosts: list[Host] = []
    key_env: list[Variable] = []
    errors: ErrorShape | None = None


class When(Section):
    provider: Named | None = None
    method: Method | None = None
    host: HostGlob | None = None
    path: UrlPath | None = None
    body: Annotated[str | dict[str, Any] | None, PlainValidator(as_body)] = None


class RuleEntry(Section):
    name: Named
    when: When = When.model_construct()
    on: list[RequestPart] | None = None
    ignore: list[JsonPath] = []
    only: list[JsonPath] = []
    ignore_query: list[Parameter] = []
    ignore_headers: list[AnyHeader] = []
    normalise: list[Annotated[str | dict[str, Any], PlainValidator(as_normaliser)]] = []
    null_is_absent: Annotated[bool | list[str], PlainValidator(as_places)] = False
    record: Literal["never"] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.on is None and not any(getattr(self, name) for name in MEMBERS):
            raise ValueError(f"says nothing: give one of {', '.join(MEMBERS)}")
        both = [path for path in self.only if path in self.ignore]
        if both:
            raise ValueError(f"{both[0]} is both in only and in ignore; keep one")
        return self


class Matching(Section):
    headers: list[AnyHeader] = []
    without_headers: list[AnyHeader] = []
    without: list[Named] = []
    rules: list[RuleEntry] = []


# An entry has the fields of a fault, each with its default.
_FAULT: Final[dict[str, Any]] = {
    field.name: (field.type, field.default) for field in fields(Fault) if field.name != "name"
}
_FaultFields: Any = create_model(
    "_FaultFields",
    __base__=Section,
    name=(Named, ...),
    when=(When, When.model_construct()),
    **_FAULT,
)


class FaultEntry(_FaultFields):  # type: ignore[misc]  # its base is made at run time
    @model_validator(mode="after")
    def _goes_wrong_somehow(self) -> Self:
        on_demand(self.model_dump())
        return self


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
    drop_response_headers: list[KeptHeader] = []
    gate: Annotated[Gate, PlainValidator(as_gate)] = "refuse"
    unsearched: list[Coding] = []


def _known_change(name: str) -> str:
    names = sorted({change for some in CHANGES.values() for change in some})
    if not any(fnmatch.fnmatchcase(change, name) for change in names):
        raise ValueError(f"expected one of {', '.join(names)}, * for any text{near(name, names)}")
    return name


class DriftRuleEntry(Section):
    verdict: DriftVerdict
    tier: Tier | Literal["*"] = "*"
    change: Annotated[str, AfterValidator(_known_change)] = "*"
    path: str = "*"
    was: str = "*"
    now: str = "*"
    provider: Named | None = None


class Drift(Section):
    """The factors are limits, as `core/drift/compare.py` states them."""

    usage: Annotated[float, Field(ge=1)] = 1.5
    similar: Annotated[float, Field(ge=0, le=1)] = 0.5
    timing: Annotated[float, Field(ge=1)] = 3.0
    rules: list[DriftRuleEntry] = []


class PriceEntry(Section):
    model: Named
    input: Amount
    provider: Named = "*"
    output: Amount | None = None
    cached_input: Amount | None = None
    cache_write: Amount | None = None
    cache_write_1h: Amount | None = None
    over: Tokens = 0
    currency: Currency = "USD"
    source: str | None = None
    date: str | None = None


class TelemetryEntry(Section):
    metrics: Flag = False
    traces: Flag = False
    content: Flag = False


class File(Section):
    """The whole file."""

    version: int = VERSION
    recordings: Annotated[
        str,
        text_like(r"[^~\0][^\0]*", "a folder, absolute or below the working directory (no ~)"),
        AfterValidator(as_recordings),
    ] = "recordings"
    pace: Annotated[Pace, PlainValidator(as_pace)] = Pace()
    other_hosts: OtherHosts | None = None
    on_miss: Annotated[OnMiss | None, PlainValidator(as_on_miss)] = None
    http2: Flag = False
    stale_after: Age = "90d"
    upstream_proxy: Annotated[str, AfterValidator(as_upstream_proxy)] | None = None
    sequences: Annotated[str, AfterValidator(as_sequences)] | None = None
    listen: Listen = Listen.model_construct()
    record: Record = Record.model_construct()
    replay: Replay = Replay.model_construct()
    providers: dict[Label, ProviderEntry] = {}
    match: Matching = Matching.model_construct()
    redact: Redact = Redact.model_construct()
    faults: list[FaultEntry] = []
    drift: Drift = Drift.model_construct()
    prices: list[PriceEntry] = []
    telemetry: TelemetryEntry = TelemetryEntry.model_construct()


# ------------------------------------------------------------------ what is wrong


def _problem(tree: Tree, detail: Any, section: type[Section]) -> Problem:
    """What pydantic found wrong, in our words."""
    kind, value = detail["type"], detail["input"]
    location: Location = tuple(step for step in detail["loc"] if step != "[key]")
    if kind == "missing":
        return Problem(tree.line(location), location, "missing, it has no default")
    if kind == "extra_forbidden":
        names = sorted(
            field.alias or name
            for name, field in _model(section, location[:-1]).model_fields.items()
        )
        text = f"unknown key, expected one of: {', '.join(names)}{near(str(location[-1]), names)}"
    elif kind == "literal_error":
        text = f"expected {detail['ctx']['expected'].replace(chr(39), '')}, got {got(value)}"
    elif kind == "value_error":
        text = str(detail["ctx"]["error"])
    elif kind in _EXPECTED:
        text = f"expected {_EXPECTED[kind]}, got {kind_of(value)}"
        if kind == "string_type" and isinstance(value, bool | int | float):
            text += "; put it in quotes"
    else:
        text = detail["msg"]
    location = tree.nearest(location)
    return Problem(tree.line(location), location, text)


_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list, in brackets or with a dash before each item",
    "dict_type": "keys with values",
    "model_type": "keys with values",
}


def _model(section: type[Section], location: Location) -> type[BaseModel]:
    """The model of the mapping at a location of a section."""
    model: Any = section
    for step in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields = model.model_fields.items()
            model = next(field.annotation for name, field in fields if step in (name, field.alias))
        else:
            model = get_args(model)[-1]  # list[RuleEntry], dict[Label, ProviderEntry]
    return model  # type: ignore[no-any-return]  # the type of a field, read at run time
