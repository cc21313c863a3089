"""The first files of a project load, do what they say, and take nobody's place."""

from pathlib import Path
from typing import Any

from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE
from tests.support.upstream import Answer, Upstream

from wiretape.config.load import load
from wiretape.config.packs import built_in
from wiretape.starter.files import config, files
from wiretape.starter.project import Project


def project(**facts: Any) -> Project:
    usual: dict[str, Any] = {
        "sdks": {},
        "runner": None,
        "agents": (),
        "ci": (),
        "hosts": (),
        "is_python": True,
    }
    return Project(**{**usual, **facts})


def test_a_config_holds_what_differs_and_loads(tmp_path: Path) -> None:
    text = config(project(hosts=("api.openai.com", "localhost:8000")), built_in())
    assert "api.openai.com" not in text
    (tmp_path / "config.yaml").write_text(text)
    assert load(tmp_path / "config.yaml", {}).providers.find("localhost", 8000) is not None


def test_a_project_with_nothing_special_has_a_config_that_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config(project(), built_in()))
    assert load(tmp_path / "config.yaml", {}).providers.hosts == built_in().hosts


def test_a_node_project_gets_a_node_test() -> None:
    found = dict(files(project(sdks={"openai": "package.json"}, is_python=False), built_in()))
    assert "node --test test/wiretape-example.test.mjs" in found["test/wiretape-example.test.mjs"]


def test_init_leaves_what_is_there_as_it_is(wiretape: Wiretape, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("record: {errors: true}\n")
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["openai"]\n')
    done = wiretape("init")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "config.yaml").read_text() == "record: {errors: true}\n"
    assert "config.yaml: is there and stays as it is" in done.stdout
    assert "wiretape-scan" in (tmp_path / ".pre-commit-config.yaml").read_text()
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert wiretape("init").returncode == 0
    assert first == {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()
    }


def test_a_folder_that_cannot_be_written_to_is_named(wiretape: Wiretape, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "tests").write_text("a file, and no folder")
    done = wiretape("init")
    assert done.returncode == 2
    assert "test_wiretape_example.py: cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_test_is_recorded_and_replays(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["openai"]\n')
    wiretape("init")
    message = {"role": "assistant", "content": "Hello."}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    upstream.script("/v1/chat/completions", Answer.json(body))
    key = {"OPENAI_API_KEY": "sk-none-of-yours", "PYTHONDONTWRITEBYTECODE": "1"}
    pytest_line = ["--", "python", "-m", "pytest", "-q", "-p", "no:anyio", "tests"]
    options: list[str | Path] = [
        "--upstream-ca",
        upstream.ca_file,
        "--map",
        f"api.openai.com={upstream.url}",
    ]
    recorded = wiretape("record", *options, *pytest_line, env=key, timeout=PATIENCE)
    assert (recorded.returncode, "1 passed" in recorded.stdout) == (0, True), recorded.stdout
    replayed = wiretape("replay", *pytest_line, timeout=PATIENCE)
    assert (replayed.returncode, "1 passed" in replayed.stdout) == (0, True), replayed.stdout
