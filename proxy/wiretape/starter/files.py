"""The files that `wiretape init` writes: each its path below the project, and its text."""

from collections.abc import Iterable, Iterator
from typing import Final

from wiretape.core.providers.registry import Providers

from .project import Project

ATTRIBUTES: Final = """\
# Recordings are read byte for byte, and are long in a pull request.
recordings/**/*.json text eol=lf linguist-generated
recordings/**/*.bin -text
"""

_HOOK: Final = """\
repos:
  - repo: local
    hooks:
      - id: wiretape-scan
        name: wiretape scan
        entry: wiretape scan
        language: system
        files: ^recordings/
        pass_filenames: true
        require_serial: true
"""

_PYTEST: Final = '''\
"""Shows wiretape at work; delete it once your own tests do.

    wiretape record -- pytest {path}     once, with a key
    wiretape replay -- pytest {path}     ever after, with none
"""

import os

import pytest


@pytest.mark.skipif("WIRETAPE" not in os.environ, reason="run it with wiretape record or replay")
def test_an_answer_is_the_same_every_time() -> None:
{call}
'''

_CALLS: Final = {
    "openai": """\
    openai = pytest.importorskip("openai")
    messages = [{"role": "user", "content": "Say hello."}]
    answer = openai.OpenAI().chat.completions.create(model="gpt-4o-mini", messages=messages)
    assert answer.choices[0].message.content""",
    "anthropic": """\
    anthropic = pytest.importorskip("anthropic")
    messages = [{"role": "user", "content": "Say hello."}]
    answer = anthropic.Anthropic().messages.create(
        model="claude-sonnet-4-5", max_tokens=50, messages=messages
    )
    assert answer.content""",
}

_NODE: Final = """\
// Shows wiretape at work; delete it once your own tests do.
//     wiretape record -- node --test {path}     once, with a key
//     wiretape replay -- node --test {path}     ever after, with none
import assert from "node:assert";
import test from "node:test";

test("an answer is the same every time", { skip: !process.env.WIRETAPE }, async () => {
  const { default: OpenAI } = await import("openai");
  const messages = [{ role: "user", content: "Say hello." }];
  const answer = await new OpenAI().chat.completions.create({ model: "gpt-4o-mini", messages });
  assert.ok(answer.choices[0].message.content);
});
"""


def files(project: Project, known: Providers) -> Iterator[tuple[str, str]]:
    """Each file for a project; `known` are the providers that need no configuration."""
    yield "config.yaml", config(project, known)
    yield ".gitattributes", ATTRIBUTES
    yield ".pre-commit-config.yaml", _HOOK
    path = "tests/test_wiretape_example.py"
    if project.is_python:
        call = next(
            (_CALLS[name] for name in project.providers if name in _CALLS), _CALLS["openai"]
        )
        yield path, _PYTEST.format(path=path, call=call)
    elif "openai" in project.sdks:
        path = "test/wiretape-example.test.mjs"
        yield path, _NODE.replace("{path}", path)


def config(project: Project, known: Providers) -> str:
    """A config.yaml with only what differs from the defaults, and why."""
    lines = [
        "# wiretape's configuration. What is not here has its default, which docs/configuration.md",
        "# lists; `wiretape doctor` says whether all is well.",
        *(f"# Found: {what}." for what in _found(project)),
        "",
    ]
    hosts = [host for host in project.hosts if not _is_known(host, known)]
    if hosts:
        lines += [
            "providers:",
            "  house: # named by a base-URL variable of this environment",
            f"    hosts: [{', '.join(_quoted(hosts))}]",
        ]
    else:
        lines += [
            "# A provider of your own, or a gateway:",
            "# providers:",
            "#   house:",
            '#     hosts: [llm.example.com, "localhost:8000"]',
        ]
    return "\n".join((*lines, ""))


def _found(project: Project) -> Iterator[str]:
    yield from (f"{name} ({file})" for name, file in project.sdks.items())
    if project.runner:
        yield f"tests run by {project.runner}"
    yield from (f"the agent {name}" for name in project.agents)
    yield from (f"CI of {name}: it replays, since CI is set there" for name in project.ci)


def _is_known(host: str, known: Providers) -> bool:
    name, _, port = host.rpartition(":") if ":" in host else (host, "", "")
    return known.find(name, int(port) if port else None) is not None


def _quoted(hosts: Iterable[str]) -> Iterator[str]:
    yield from (f'"{host}"' for host in hosts)
