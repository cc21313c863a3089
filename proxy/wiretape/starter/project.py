"""What a project's own files say of it: its SDKs, its test runner, its CI."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

SDKS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "together": "together",
    "together-ai": "together",
    "anthropic": "anthropic",
    "@anthropic-ai/sdk": "anthropic",
    "google-genai": "google",
    "@google/genai": "google",
    "mistralai": "mistral",
    "cohere": "cohere",
    "groq": "groq",
    "ollama": "ollama",
    "boto3": "bedrock",
    "litellm": "litellm",
    "openai-agents": "openai",
    "langchain-openai": "openai",
    "langchain-anthropic": "anthropic",
    "pydantic-ai": "openai",
    "@ai-sdk/openai": "openai",
    "@ai-sdk/anthropic": "anthropic",
}
"""Packages that talk to a provider, of PyPI and npm, and the provider each is for."""

RUNNERS: Final = ("pytest", "vitest", "jest")
AGENTS: Final = ("claude", "codex", "gemini", "qwen", "opencode", "aider")
_BASE_URL: Final = re.compile(r"[A-Z0-9_]+_(?:BASE_URL|API_BASE|ENDPOINT)")
_NAME: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_LARGEST: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What was found: SDKs by name with the file that names each, the test runner, programs of
    agents on PATH, CI systems, and hosts that base-URL variables name.
    """

    sdks: Mapping[str, str]
    runner: str | None
    agents: tuple[str, ...]
    ci: tuple[str, ...]
    hosts: tuple[str, ...]
    is_python: bool

    @property
    def providers(self) -> list[str]:
        """The providers of the SDKs, each once."""
        return sorted({SDKS[name] for name in self.sdks})


def read(folder: Path, environ: Mapping[str, str], programs: tuple[str, ...]) -> Project:
    """Look at a project; `programs` are the agents that are on PATH. Broken files say nothing."""
    named = dict(_dependencies(folder))
    github = (folder / ".github" / "workflows").is_dir()
    gitlab = (folder / ".gitlab-ci.yml").is_file()
    return Project(
        sdks={name: named[name] for name in sorted(named) if name in SDKS},
        runner=next((name for name in RUNNERS if name in named), None),
        agents=programs,
        ci=tuple(name for name, there in (("github", github), ("gitlab", gitlab)) if there),
        hosts=tuple(sorted(set(_hosts(environ)))),
        is_python=any((folder / name).is_file() for name in ("pyproject.toml", "requirements.txt")),
    )


def _dependencies(folder: Path) -> Iterator[tuple[str, str]]:
    """Each package that a project's files depend on, and the file."""
    for path in sorted(folder.glob("requirements*.txt")):
        for line in _text(path).splitlines():
            if match := _NAME.match(line):
                yield match[1].lower().replace("_", "-"), path.name
    for name in _python_project(_text(folder / "pyproject.toml")):
        yield name, "pyproject.toml"
    try:
        package = json.loads(_text(folder / "package.json") or "{}")
    except ValueError:
        return
    for kind in ("dependencies", "devDependencies"):
        listed = package.get(kind) if isinstance(package, dict) else None
        for name in listed if isinstance(listed, dict) else ():
            yield name, "package.json"


def _python_project(text: str) -> Iterator[str]:
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    project = _table(document, "project")
    lists = [project.get("dependencies")]
    for group in (_table(document, "dependency-groups"), _table(project, "optional-dependencies")):
        lists += group.values()
    lists.append([*_table(document, "tool", "poetry", "dependencies")])
    for items in lists:
        for item in items if isinstance(items, list) else ():
            if isinstance(item, str) and (match := _NAME.match(item)):
                yield match[1].lower().replace("_", "-")


def _table(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A table within a document, empty if it is missing."""
    for name in names:
        document = value if isinstance(value := document.get(name), dict) else {}
    return document


def _hosts(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if _BASE_URL.fullmatch(name) and value.startswith(("http://", "https://")):
            try:
                parts = urlsplit(value)
                host, port = parts.hostname, parts.port
            except ValueError:
                continue
            if host:
                yield f"{host}:{port}" if port else host


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace") if path.stat().st_size <= _LARGEST else ""
    except OSError:
        return ""
