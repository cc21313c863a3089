"""A provider that no one here wrote: aimock (npm), recorded and replayed by three stock SDKs."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.commands import command
from tests.support.limits import PATIENCE
from tests.support.npm import NODE

FIXTURES = paths.SHARED / "tools" / "aimock-fixtures.json"
HOSTS = ("api.openai.com", "api.anthropic.com", "api-inference.together.ai")
KEYS = {
    "OPENAI_API_KEY": "sk-" + "Vq4" * 12,
    "ANTHROPIC_API_KEY": "sk-ant-api03-" + "Vq4" * 20,
    "TOGETHER_API_KEY": "tgp_v1_" + "Vq4" * 15,
}
ASK = """
import anthropic, openai, together

def user(text):
    return [{"role": "user", "content": text}]

client = openai.OpenAI()
tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
for text, more in (("hi", {}), ("tool", {"tools": tools}), ("long", {})):
    stream = client.chat.completions.create(
        model="gpt-4o", messages=user(text), stream=True, **more
    )
    for chunk in stream:
        print(chunk.model_dump_json())
print(client.chat.completions.create(model="gpt-4o", messages=user("hi")).model_dump_json())
for event in client.responses.create(model="gpt-4o", input="hi", stream=True):
    print(event.model_dump_json())
print(client.embeddings.create(model="text-embedding-3-small", input="embed").model_dump_json())
with anthropic.Anthropic().messages.stream(
    model="claude-3-5-sonnet", max_tokens=99, messages=user("hi")
) as stream:
    for event in stream:
        print(event.model_dump_json())
stream = together.Together().chat.completions.create(model="m", messages=user("hi"), stream=True)
for chunk in stream:
    print(chunk.model_dump_json())
"""


@pytest.fixture
def aimock(packages: Path, tmp_path: Path) -> Iterator[str]:
    """aimock on a port of its own; its URL."""
    if not FIXTURES.is_file():
        pytest.skip(f"{FIXTURES.name} is not beside the project (../shared/tools)")
    with started(packages, tmp_path / "fixtures", FIXTURES.read_text()) as url:
        yield url


@contextmanager
def started(packages: Path, folder: Path, fixtures: str) -> Iterator[str]:
    """An aimock that answers as `fixtures` say; its URL."""
    folder.mkdir()
    (folder / "a.json").write_text(fixtures)
    program = packages / "@copilotkit" / "aimock" / "dist" / "cli.js"
    with subprocess.Popen(
        [NODE, program, "-p", "0", "-f", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = None
        for line in process.stdout:
            found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", line)
            if found:
                url = found[1]
                break
        try:
            assert url is not None, "aimock did not start"
            yield url
        finally:
            process.terminate()
            process.stdout.read()


def test_three_sdks_get_from_disk_what_they_got_from_aimock_and_drift_what_has_changed(
    aimock: str, packages: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        ask = () if arguments[0] == "drift" else ("--", sys.executable, "-c", ASK)
        return subprocess.run(
            command(*arguments, "-r", "recordings", *ask),
            env={**clean_env, **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def routes(url: str) -> list[str]:
        return [word for host in HOSTS for word in ("--map", f"{host}={url}")]

    live = run("record", *routes(aimock), **KEYS)
    assert live.returncode == 0, live.stderr
    assert len(live.stdout.splitlines()) == 90
    assert "wiretape record: 8 recorded" in live.stderr
    replayed = run("replay")
    assert (replayed.returncode, replayed.stdout) == (0, live.stdout), replayed.stderr
    written = "".join(path.read_text() for path in (tmp_path / "recordings").rglob("*.json"))
    assert not [name for name, key in KEYS.items() if key in written]

    same = run("drift", *routes(aimock), **KEYS)
    assert (same.returncode, "8 of 8 measured" in same.stderr) == (0, True), same.stdout
    changed = FIXTURES.read_text().replace('"get_weather"', '"get_forecast"')
    with started(packages, tmp_path / "changed", changed) as other:
        drifted = run("drift", *routes(other), **KEYS)
    assert drifted.returncode == 5, drifted.stderr
    assert drifted.stdout.count("regression  openai POST /v1/chat/completions") == 1
    assert "get_weather: a tool is no longer called" in drifted.stdout
