"""The npm package: vitest, jest and node:test, with real SDKs, recorded and replayed.

A miss fails the test that caused it, though the test swallowed the error.
"""

import json
import os
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.support import npm, paths, stored
from tests.support.limits import PATIENCE
from tests.support.upstream import Answer, Upstream

from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording.document import from_exchange

pytestmark = pytest.mark.slow

PROGRAMS: Final = paths.ROOT / "tests" / "integrations" / "node"
PACKAGE: Final = paths.ROOT / "integrations" / "node"
CHAT: Final = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
MESSAGE: Final = {
    "id": "msg",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "yes"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
# What a runner gives its hooks by itself is no matter: a busy machine starts nothing in time.
VITEST: Final = ("run", "--root", ".", "--hookTimeout=1", "--testTimeout=600000", "chat.test.ts")
JEST: Final = ("--testTimeout=600000", "--testMatch", "**/jest.test.cjs")
RUNNERS: Final = {
    "vitest": (["vitest/vitest.mjs", *VITEST], "chat.test.ts"),
    "jest": (["jest/bin/jest.js", *JEST], "jest.test.cjs"),
    "node:test": (["--test", "--test-reporter=tap", "runner.test.mjs"], "runner.test.mjs"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project: the packages, and this one beside them."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    for package in npm.packages(PROGRAMS).iterdir():
        (modules / package.name).symlink_to(package, target_is_directory=True)
    (modules / "wiretape").symlink_to(PACKAGE, target_is_directory=True)
    (tmp_path / "package.json").write_text('{"private": true}')
    return tmp_path


def run(
    runner: str, project: Path, clean_env: dict[str, str], **more: str
) -> subprocess.CompletedProcess[str]:
    arguments, program = RUNNERS[runner]
    shutil.copy(PROGRAMS / program, project)
    if not arguments[0].startswith("-"):
        arguments = [str(project / "node_modules" / arguments[0]), *arguments[1:]]
    program_path = str(Path(sys.executable).parent / "wiretape")
    environment = {**clean_env, "WIRETAPE_BIN": program_path, "NO_COLOR": "1", **more}
    return subprocess.run(
        [npm.NODE, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("runner", list(RUNNERS))
def test_what_was_recorded_replays_and_a_swallowed_miss_fails_its_test(
    runner: str, project: Path, clean_env: dict[str, str], upstream: Upstream
) -> None:
    upstream.script("/v1/chat/completions", *[Answer.json(CHAT)] * 5)
    upstream.script("/v1/messages", Answer.json(MESSAGE))
    hosts = ("api.openai.com", "api.anthropic.com")
    routes = [part for host in hosts for part in ("--map", f"{host}={upstream.url}")]
    live = json.dumps([*routes, "--upstream-ca", str(upstream.ca_file)])
    done = run(runner, project, clean_env, WIRETAPE_MODE="record", ARGUMENTS=live)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = len(upstream.requests)
    assert asked >= 2

    done = run(runner, project, clean_env)
    assert done.returncode == 0, done.stdout + done.stderr

    done = run(runner, project, clean_env, ODD="something else")
    output = done.stdout + done.stderr
    assert done.returncode != 0, output
    assert 'got "something else", recorded "hi"' in output
    assert re.search(r"(?:Tests  1 failed|Tests: +1 failed|# fail 1\b)", output), output
    assert len(upstream.requests) == asked, "nothing went out"


def test_each_test_has_a_folder_of_its_own(
    project: Path, clean_env: dict[str, str], upstream: Upstream
) -> None:
    upstream.script("/v1/chat/completions", *[Answer.json(CHAT)] * 3)
    live = ["--map", f"api.openai.com={upstream.url}", "--upstream-ca", str(upstream.ca_file)]
    run("node:test", project, clean_env, WIRETAPE_MODE="record", ARGUMENTS=json.dumps(live))
    folders = {path.name for path in (project / "recordings" / "runner-test").iterdir()}
    assert folders == {"fetch", "node-https", "a-swallowed-miss"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WIRETAPE_BIN": "/nowhere/wiretape"}, "the program was not found: /nowhere/wiretape"),
        ({"WIRETAPE_MODE": "reply"}, 'mode "reply": expected one of replay, auto'),
        ({"WIRETAPE_BIN": "false"}, "wiretape ended"),
        ({"ARGUMENTS": '["--pace", "fast"]'}, "pace"),
    ],
)
def test_what_is_wrong_is_said_once_and_fails(
    variables: dict[str, str], said: str, project: Path, clean_env: dict[str, str]
) -> None:
    done = run("node:test", project, clean_env, **variables)
    assert done.returncode != 0
    assert said in done.stdout


def test_a_program_that_is_killed_leaves_no_proxy_behind(
    project: Path, clean_env: dict[str, str]
) -> None:
    (project / "killed.cjs").write_text(
        'require("wiretape").open().then(async (proxy) => {\n'
        "  console.log(proxy.url);\n"
        "  setInterval(() => {}, 1000);\n"
        "});\n"
    )
    environment = {**clean_env, "WIRETAPE_BIN": str(Path(sys.executable).parent / "wiretape")}
    with subprocess.Popen(
        [npm.NODE, "killed.cjs"], cwd=project, env=environment, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        assert node.stdout.readline().startswith("http://node-")
        children = Path(f"/proc/{node.pid}/task/{node.pid}/children")
        proxy = int(children.read_text().split()[0])
        node.kill()
    # The reader of the pipe ends with it: what it waits for is the end of the process.
    _gone(proxy)


def _gone(process: int) -> None:
    handle = os.pidfd_open(process) if Path(f"/proc/{process}").exists() else None
    if handle is not None:
        assert select.select([handle], [], [], PATIENCE)[0]
        os.close(handle)


def examples(page: Path) -> dict[str, str]:
    """The programs of a page by the names of their files, with which each begins."""
    blocks = re.findall(r"```js\n// (\S+).*?\n(.*?)```", page.read_text(), re.DOTALL)
    return {name: re.sub(r" // .*", "", example) for name, example in blocks}


def test_the_package_s_own_page_has_the_first_example() -> None:
    (ours,) = examples(PACKAGE / "README.md").values()
    assert ours == next(iter(examples(paths.ROOT / "docs" / "node.md").values()))


def test_the_examples_of_its_page_run_as_they_stand_there(
    project: Path, clean_env: dict[str, str]
) -> None:
    sent = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
    body = json.dumps(sent, separators=(",", ":")).encode()
    path = "/v1/chat/completions"
    request = Request("POST", "https", "api.openai.com", 443, path, headers=stored.JSON, body=body)
    answer = Response(200, stored.JSON, (Chunk(json.dumps(CHAT).encode(), 0.1),))
    recorded = from_exchange(Exchange(request, answer))
    folder = project / "recordings" / "chat-test" / "says-hello"
    stored.put(folder, recorded, "api.openai.com/v1-chat-completions/a.json")
    for name, example in examples(paths.ROOT / "docs" / "node.md").items():
        (project / name).write_text(example)
    vitest = [str(project / "node_modules/vitest/vitest.mjs"), "run", "--root", "."]
    environment = {**clean_env, "WIRETAPE_BIN": str(Path(sys.executable).parent / "wiretape")}
    for line in ([*vitest, "chat.test.mjs"], ["--test", "hello.mjs"], ["run.mjs"]):
        done = subprocess.run(
            [npm.NODE, *line],
            cwd=project,
            env={**environment, "OPENAI_API_KEY": "k"},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "200 { replayed: 1 } []\n"
