"""What a project shows is found out, and what is broken in it says nothing."""

import json
from pathlib import Path

import pytest

from wiretape.starter.project import Project, read


def project(folder: Path, **environ: str) -> Project:
    return read(folder, environ, ("claude",))


def test_sdks_and_runner_are_found_in_every_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "requirements-dev.txt").write_text("# tools\npytest>=8\n\ngoogle_genai==1\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["openai>=1"]\n[project.optional-dependencies]\nx = ["cohere"]\n'
        '[dependency-groups]\ndev = ["groq", {include-group = "x"}]\n'
        '[tool.poetry.dependencies]\nmistralai = "*"\n'
    )
    package = {"dependencies": {"@anthropic-ai/sdk": "1"}, "devDependencies": {"vitest": "1"}}
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    found = project(tmp_path)
    assert set(found.sdks) == {
        "openai", "cohere", "groq", "mistralai", "google-genai", "@anthropic-ai/sdk"
    }  # fmt: skip
    assert found.sdks["google-genai"] == "requirements-dev.txt"
    assert (found.runner, found.ci, found.agents) == ("pytest", ("github",), ("claude",))
    assert found.providers == ["anthropic", "cohere", "google", "groq", "mistral", "openai"]


@pytest.mark.parametrize("name", ["pyproject.toml", "package.json", "requirements.txt"])
@pytest.mark.parametrize("text", ["{", "[1]", "\x00\udcff", "project = 1", '{"dependencies": 3}'])
def test_a_broken_file_says_nothing(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert project(tmp_path).sdks == {}


def test_a_gateway_is_known_by_its_variable_without_its_credential(
    tmp_path: Path,
) -> None:
    found = project(
        tmp_path,
        OPENAI_BASE_URL="https://user:secret@gateway.example.com/v1?key=abc",
        LLM_API_BASE="http://localhost:8000",
        BAD_BASE_URL="http://[::1",
        HOME="https://not.a.base.url",
    )
    assert found.hosts == ("gateway.example.com", "localhost:8000")
