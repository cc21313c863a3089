"""A release: the changelog's dated sections, and the workflow that a tag starts."""

import importlib.util
import re
from datetime import date
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.version import Version
from tests.support import paths

TEXT = (paths.ROOT / "CHANGELOG.md").read_text()
WORKFLOW = paths.ROOT / ".github" / "workflows" / "release.yml"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("changelog", paths.ROOT / ".ci/changelog.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHANGELOG = script()


def test_the_changelog_has_what_is_unreleased_then_dated_versions_the_newest_first() -> None:
    first, *sections = re.findall(r"^## (.*)$", TEXT, re.M)
    assert first == "[Unreleased]"
    dated = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})", each) for each in sections]
    assert None not in dated, "a section is `## [1.2.3] - 2026-11-29`: .ci/changelog.py cut 1.2.3"
    order = [(date.fromisoformat(each[2]), Version(each[1])) for each in dated if each]
    assert order == sorted(set(order), reverse=True)


BEFORE = """# Changelog

## [Unreleased]

### Added

- Second.

## [0.1.0] - 2026-01-02

- First.
"""


def test_a_release_gives_what_was_unreleased_a_version_and_a_date() -> None:
    after = CHANGELOG.cut(BEFORE, "0.2.0", "2026-03-04")
    assert CHANGELOG.notes(after, "v0.2.0") == "### Added\n\n- Second.\n"
    assert CHANGELOG.notes(after, "v0.1.0") == "- First.\n"
    assert re.findall("^## .*", after, re.M) == [
        "## [Unreleased]",
        "## [0.2.0] - 2026-03-04",
        "## [0.1.0] - 2026-01-02",
    ]


@pytest.mark.parametrize(
    ("version", "reason"), [("0.1.0", "already"), ("1", "such as"), ("v1.0.0", "such as")]
)
def test_what_cannot_be_a_release_is_told(version: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CHANGELOG.cut(BEFORE, version, "2026-03-04")
    with pytest.raises(ValueError, match="no section"):
        CHANGELOG.notes(BEFORE, "v0.2.0")


def test_nothing_to_release_is_told() -> None:
    with pytest.raises(ValueError, match="nothing"):
        CHANGELOG.cut(CHANGELOG.cut(BEFORE, "0.2.0", "2026-03-04"), "0.3.0", "2026-03-05")


@pytest.fixture
def workflow() -> dict[Any, Any]:
    if not WORKFLOW.exists():
        pytest.skip("an sdist has no .github")
    document: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
    return document


@pytest.mark.usefixtures("workflow")
def test_every_action_is_pinned_by_its_commit_and_says_its_version() -> None:
    for path in (WORKFLOW, paths.ROOT / "action.yml"):
        uses = re.findall(r"uses: (.*)", path.read_text())
        assert uses
        assert [
            line
            for line in uses
            if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
        ] == []


def test_a_tag_releases_all_three_with_no_token(workflow: dict[Any, Any]) -> None:
    assert workflow[True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}  # YAML 1.1's "on"
    assert workflow["permissions"] == {}
    jobs = workflow["jobs"]
    assert jobs["python"]["strategy"]["matrix"]["distribution"] == ["wiretape", "pytest-wiretape"]
    publishing = {name for name, job in jobs.items() if "id-token" in job["permissions"]}
    assert publishing == {"python", "node"}
    for name in publishing:
        assert jobs[name]["permissions"] == {"id-token": "write"}
        assert "environment" in jobs[name]
        assert not [step for step in jobs[name]["steps"] if "checkout" in step.get("uses", "")]
    assert "secrets." not in WORKFLOW.read_text()


def test_nothing_that_a_tag_is_called_gets_into_a_script(workflow: dict[Any, Any]) -> None:
    lines = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert [line for line in lines if "${{" in line] == []
    build = [step for step in workflow["jobs"]["build"]["steps"] if "checkout" in str(step)]
    assert build[0]["with"]["fetch-depth"] == 0, "the version is the tag's"


def test_what_is_unreleased_now_could_be_released() -> None:
    text = CHANGELOG.cut(TEXT, "999.0.0", "2099-01-01")
    assert CHANGELOG.notes(text, "v999.0.0").startswith("### ")
