"""A provider pack as it is written: every key of its file, and what is wrong with one.

Packs are checked when `shipped.json` is made of them (`write_shipped.py`); a run reads that.
"""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from wiretape.core.providers.registry import ErrorShape
from wiretape.core.text.located import NotYaml, Problem
from wiretape.core.text.located_yaml import parse

from .near import near
from .schema import DriftRuleEntry, RuleEntry, Section, check_as
from .value_types import Host, Label, Named, Variable


def _as_dummy(value: Any) -> str | dict[str, str]:
    text = value.get("if_set") if isinstance(value, dict) and len(value) == 1 else value
    if not isinstance(text, str) or not text:
        raise ValueError("expected the dummy that replay sets, or {if_set: DUMMY}")
    return value  # type: ignore[no-any-return]  # it is one of both


def _as_key_header(value: Any) -> str | dict[str, Any]:
    if isinstance(value, dict) and value.keys() == {"name", "env"} and value["env"]:
        return value
    if isinstance(value, str) and value:
        return value
    raise ValueError("expected a header's name, or {name: HEADER, env: [VARIABLE, …]}")


Dummy = Annotated[str | dict[str, str], PlainValidator(_as_dummy)]
KeyHeaderEntry = Annotated[str | dict[str, Any], PlainValidator(_as_key_header)]


class PackFile(Section):
    """One pack; `packs.py` says what each key is for."""

    name: Label
    tested: str | None = None
    hosts: list[Host] = Field(default=[])
    key_env: dict[Variable, Dummy] = Field(default={})
    base_url_env: dict[Variable, Named] = Field(default={})
    key_header: KeyHeaderEntry = "authorization"
    errors: ErrorShape | None = None
    like: list[Label] = Field(default=[])
    ids: list[Named] = Field(default=[])
    rules: list[RuleEntry] = Field(default=[])
    drift: list[DriftRuleEntry] = Field(default=[])


def faults(name: str, data: bytes, names: Collection[str]) -> list[str]:
    """Check the text of the pack `name`; give a line for each fault: file, line, key, what was
    expected. `names` are those of all packs.
    """
    file = f"packs/{name}.yaml"
    try:
        tree = parse(data)
    except NotYaml as error:
        return [f"{file}:{error.line}:{error.column}: not YAML: {error}"]
    pack, problems = check_as(PackFile, tree)
    if pack is not None and pack.name != name:
        text = f"expected {name}, as the file is called"
        problems.append(Problem(tree.line(("name",)), ("name",), text))
    for index, other in enumerate(pack.like if pack else ()):
        if other not in names:
            text = f"expected the name of a pack{near(other, names)}"
            problems.append(Problem(tree.line(("like", index)), ("like", index), text))
    return [f"{file}:{problem.line}: {problem}" for problem in problems]
