"""`wiretape schema` prints what editors and other programs check files with."""

import json

import jsonschema  # type: ignore[import-untyped]  # its stubs are not installed
import pytest
from click.testing import CliRunner
from tests.support import paths

from wiretape.cli.main import main


@pytest.mark.parametrize("kind", ["config", "recording"])
def test_a_schema_is_one(kind: str) -> None:
    shown = CliRunner().invoke(main, ["schema", kind])
    assert shown.exit_code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(shown.stdout))


def test_recordings_of_earlier_versions_fit_the_schema_of_recordings() -> None:
    schema = json.loads(CliRunner().invoke(main, ["schema", "recording"]).stdout)
    check = jsonschema.Draft202012Validator(schema)
    kept = sorted((paths.ROOT / "tests" / "data").rglob("*.json"))
    recordings = [json.loads(path.read_text()) for path in kept]
    ours = [text for text in recordings if isinstance(text, dict) and text.get("wiretape") == 1]
    assert len(ours) >= 10
    assert all(check.is_valid(document) for document in ours)


def test_another_kind_is_wrong_use() -> None:
    assert CliRunner().invoke(main, ["schema", "report"]).exit_code == 2
