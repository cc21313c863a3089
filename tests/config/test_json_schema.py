"""Editors complete and check config.yaml by a schema that says what loading says."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not installed
import pytest
from ruamel.yaml import YAML
from tests.support import paths

from wiretape.config.json_schema import config_schema
from wiretape.config.load import load

CHECK = jsonschema.Draft202012Validator(json.loads(json.dumps(config_schema())))


def document(text: str) -> Any:
    return YAML(typ="safe").load(text) or {}


def blocks() -> list[str]:
    """The whole configurations that the documentation shows."""
    texts = [path.read_text() for path in sorted((paths.ROOT / "docs").glob("*.md"))]
    found = [block for text in texts for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    return [block for block in found if re.match(r"(?:#.*\n)*(?:match|redact|record):", block)]


def test_the_shipped_file_and_what_the_documentation_shows_fit() -> None:
    CHECK.validate(document((paths.ROOT / "config.yaml").read_text()))
    assert len(blocks()) >= 3
    for block in blocks():
        CHECK.validate(document(block))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "listen:",
        "listen: {host: 0.0.0.0, base_url_port: }",
        "redact: {json: [$.a, {path: $.b, name: c}]}",
        "match: {rules: [{name: a, when: {provider: openai}, ignore: [$.x]}]}",
        "faults: [{name: a, status: 503}]",
        "providers: {mine: {hosts: [localhost:8000]}}",
    ],
)
def test_what_loads_fits(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    load(path, {})
    CHECK.validate(document(text))


@pytest.mark.parametrize(
    "text",
    [
        "recording: a",
        "listen: {prot: 1}",
        "listen: 1",
        "match: {rules: [{ignore: [$.x]}]}",
        "record: {mode: rewrite}",
        "redact: {json: [1]}",
    ],
)
def test_what_does_not_load_does_not_fit(text: str) -> None:
    assert not CHECK.is_valid(document(text))
