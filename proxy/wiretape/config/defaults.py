"""The defaults of config.yaml as values, for a run without that file: pydantic, which checks one,
takes a sixth of a run's start.

`schema.py` is where keys and defaults are defined; `make packs` writes them to `shipped.json`.
"""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from .shipped import shipped

if TYPE_CHECKING:
    from .schema import File


def default_file() -> "File":
    """Give the file in which every key has its default, without reading or checking one."""
    from wiretape.core.playback.pace import Pace

    return cast("File", _section({**shipped()["defaults"], "pace": Pace()}))


def _section(members: dict[str, Any]) -> SimpleNamespace:
    """Make a section of the file; an empty mapping (`providers`) stays a mapping."""
    return SimpleNamespace(**{name: _value(value) for name, value in members.items()})


def _value(value: Any) -> Any:
    if isinstance(value, dict) and value:
        return _section(value)
    return value.copy() if isinstance(value, list | dict) else value
