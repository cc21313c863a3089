"""The defaults without the schema are the schema's own, to the last key."""

from typing import Any

from pydantic import BaseModel

from wiretape.config.defaults import default_file
from wiretape.config.load import load
from wiretape.config.schema import File


def values(section: Any) -> Any:
    if isinstance(section, BaseModel):
        section = {name: getattr(section, name) for name in type(section).model_fields}
    elif hasattr(section, "__dict__") and type(section).__name__ == "SimpleNamespace":
        section = vars(section)
    if isinstance(section, dict):
        return {name: values(value) for name, value in section.items()}
    return section


def test_they_are_those_of_the_schema() -> None:
    assert values(default_file()) == values(File())


def test_no_two_runs_share_what_may_be_changed() -> None:
    first = default_file()
    first.match.headers.append("x-mine")
    first.providers["mine"] = None  # type: ignore[assignment]  # anything
    assert values(default_file()) == values(File())


def test_a_run_without_a_file_is_configured_as_one_with_an_empty_file(
    tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    without = load(None, {})
    (tmp_path / "config.yaml").write_text("version: 1\n", encoding="utf-8")
    with_file = load(None, {})
    for name in ("recordings", "pace", "drift_limits", "record_max_body", "record_mode", "repeat"):
        assert getattr(without, name) == getattr(with_file, name), name
