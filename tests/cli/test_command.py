"""Each command has --json, and then prints one JSON document whatever happens: docs/json.md."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import pytest
from click.testing import CliRunner, Result
from tests.support import commands as processes
from tests.support import drifted_answers, paths, stored
from tests.support.cases import in_one_test
from tests.support.limits import PATIENCE

from wiretape.cli.main import main

WITHOUT: Final = {
    "demo": "is a show for people",
    "pipe": "speaks JSON lines both ways already",
    "completion": "prints a script for a shell",
    "mcp": "carries a server's own messages on standard output",
    "ui": "serves a page until it is stopped",
    "report merge": "prints a report, which is JSON",
}
"""Commands that have no --json, and why: docs/json.md says the same."""

RUN: Final = ["--allow-none", "--", "true"]
NOBODY: Final = ["--map", "api.together.xyz=http://127.0.0.1:1"]
"""A provider that is not reached."""
EXAMPLES: Final[Mapping[str, list[str]]] = {
    "record": RUN,
    "replay": RUN,
    "auto": RUN,
    "refresh": ["--only", "/v1/*", *RUN],
    "env": ["--port", "8899"],
    "calibrate": ["--", "true"],
    "edit": ["words.json", "--set", "text=Hello"],
    "doctor": [],
    "drift": NOBODY,
    "migrate": ["--to", "other", *NOBODY],
    "push": ["STORE"],
    "pull": ["STORE"],
    "sync": ["STORE"],
    "init": ["--dry-run"],
    "rules": [],
    "schema": ["config"],
    "ls": [],
    "show": ["NAME"],
    "diff": ["NAME", "NAME"],
    "verify": [],
    "rekey": [],
    "unused": ["--report", "report.json"],
    "prune": ["--report", "report.json", "--yes", "--force"],
    "stale": [],
    "scan": ["recordings"],
    "redact": ["recordings"],
    "import": ["trace.har"],
    "export": ["--to", "har", "-o", "out.har"],
}
"""How each command is run here, after --json."""

WRONG: Final = {"doctor": ["-c"]}
"""What is wrong use where an unknown option is not: what comes after is CMD's."""

ERRORS: Final = {
    "config": [
        *(["export", "--to", "har", "-o", "x", "-c", "broken.yaml"], ["show", "no-such"]),
        *(["replay", "--", "no-such-program"], ["replay", "--report", "no/x.json", "--", "true"]),
        *(["replay", "--report", "-", "--", "true"], ["rules", "--provider", "nobody"]),
        ["redact", "-c", "broken.yaml", "recordings"],
    ],
    "usage": [["export", "--to", "har"], ["redact"], ["schema", "report"], ["show"]],
    "store": [["export", "--to", "har", "-o", "no/folder"], ["show", "-r", "bad", "0000"]],
}


def commands(group: click.Group = main, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command by what one types: "ls", or "group ls"."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def options(name: str) -> set[str]:
    return {option for parameter in dict(commands())[name].params for option in parameter.opts}


JSON_COMMANDS: Final = [name for name, _ in commands() if name not in WITHOUT]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Path) -> Path:
    """A project with a recording, a report, a HAR and a broken configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(state))
    monkeypatch.delenv("CI", raising=False)
    stored.put(tmp_path / "recordings", stored.document("hi"))
    report = {"wiretape_report": 1, "mode": "replay", "exchanges": []}
    (tmp_path / "report.json").write_text(json.dumps({**report, "sessions": {}, "counts": {}}))
    stored.put(tmp_path, drifted_answers.chat(), "words.json")
    (tmp_path / "trace.har").write_text('{"log": {"entries": []}}')
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "000000000000.json").write_text('{"wiretape": 1}')
    (tmp_path / "broken.yaml").write_text("recordings: [1]\nnonsense: 2\n")
    return tmp_path


def run(name: str, arguments: list[str]) -> Result:
    here = {
        "NAME": stored.key12(stored.document("hi")),
        "STORE": Path("store").absolute().as_uri(),
    }
    given = [here.get(argument, argument) for argument in arguments]
    return CliRunner().invoke(main, [*name.split(), "--json", *given])


def document(result: Result) -> dict[str, Any]:
    """The one document on standard output."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    shown = json.loads(result.stdout)
    assert isinstance(shown, dict)
    return shown


def documented() -> dict[str, set[str]]:
    """The members of each command's document, by docs/json.md."""
    text = (paths.ROOT / "docs" / "json.md").read_text()
    rows = re.findall(r"^\| ((?:`[^`|]+`(?:, )?)+) \| (.+?) \|", text, re.M)
    return {
        name: set(re.findall(r"`(\w+)`", members))
        for names, members in rows
        for name in re.findall(r"`([^`]+)`", names)
    }


@in_one_test("name", [name for name, _ in commands()])
def test_every_command_has_it_or_says_why_not(name: str) -> None:
    if name in WITHOUT:
        assert "--json" not in options(name)
        return
    assert "--json" in options(name), (
        f"`wiretape {name}` has no --json: give it `as_json(…)` of cli/options.py and print one"
        f" `print_json(…)` of cli/command.py, or say in WITHOUT (and docs/json.md) why not"
    )
    assert name in EXAMPLES, f"add to EXAMPLES how `wiretape {name}` is run in a test"
    assert name in documented(), f"add the members of `wiretape {name} --json` to docs/json.md"


def test_what_is_said_of_commands_is_of_those_that_there_are() -> None:
    names = {name for name, _ in commands()}
    assert {*WITHOUT, *EXAMPLES, *WRONG} <= names
    assert documented().keys() - {"any error"} <= names


@pytest.mark.parametrize("name", [name for name in JSON_COMMANDS if name in EXAMPLES])
def test_success_is_one_document_as_it_is_documented(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "doctor":  # it drives what it finds
        monkeypatch.setenv("PATH", str(folder))
    shown = document(run(name, EXAMPLES[name]))
    assert "wiretape_error" not in shown
    if name != "schema":
        assert set(shown) == documented()[name]


@pytest.mark.parametrize("name", JSON_COMMANDS)
def test_wrong_use_is_one_document(name: str, folder: Path) -> None:
    result = run(name, WRONG.get(name, ["--no-such-option"]))
    shown = document(result)
    assert (shown["wiretape_error"], shown["kind"], shown["status"]) == (1, "usage", 2)
    assert (result.exit_code, set(shown)) == (2, documented()["any error"])
    assert shown["message"] in result.stderr


@pytest.mark.parametrize("name", JSON_COMMANDS)
def test_a_broken_configuration_is_one_document(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--config" not in options(name):
        pytest.skip("reads no configuration")
    if name == "doctor":  # it drives what it finds
        monkeypatch.setenv("PATH", str(folder))
    result = run(name, ["-c", "broken.yaml", *EXAMPLES.get(name, [])])
    shown = document(result)
    if name == "doctor":  # it is one of its findings
        assert "broken.yaml" in json.dumps(shown["findings"])
        return
    assert (shown["kind"], result.exit_code) == ("config", 2)
    assert "broken.yaml" in shown["message"]


@pytest.mark.parametrize(
    ("kind", "line"), [(kind, line) for kind, lines in ERRORS.items() for line in lines]
)
def test_each_class_of_error_is_one_document(kind: str, line: list[str], folder: Path) -> None:
    result = run(line[0], line[1:])
    shown = document(result)
    assert (shown["kind"], shown["status"], result.exit_code) == (kind, 2, 2)


def test_without_json_errors_are_for_people(folder: Path) -> None:
    result = CliRunner().invoke(main, ["show", "--", "--json"])
    assert (result.stdout, result.exit_code) == ("", 2)
    assert "--json" in result.stderr


def test_what_stands_against_an_upload_is_in_its_document(folder: Path) -> None:
    secret = stored.document("tgp_v1_3kD9fWq7RzX2mB5nTc8vLj4hGs6pYa1eUoZbNi0KwMx")
    stored.put(folder / "recordings", secret)
    result = run("push", ["STORE"])
    assert (result.exit_code, len(document(result)["refused"])) == (4, 1)
    assert document(result)["pushed"] == []


def test_a_page_is_written_and_the_document_printed(folder: Path) -> None:
    assert document(run("diff", ["NAME", "NAME", "--html", "diff.html"]))["equal"] is True
    assert (folder / "diff.html").exists()


def test_the_output_of_cmd_is_kept_out_of_it(folder: Path, clean_env: dict[str, str]) -> None:
    line = ["replay", "--allow-none", "--json", "--", "sh", "-c", "echo of CMD; exit 5"]
    done = processes.run(line, clean_env, folder)
    assert done.returncode == json.loads(done.stdout)["command_status"] == 5
    assert "of CMD" in done.stderr


def test_a_proxy_that_serves_prints_it_when_it_ends(
    folder: Path, clean_env: dict[str, str]
) -> None:
    process = processes.start(["replay", "--json"], clean_env, folder)
    assert process.stderr is not None
    assert "is ready" in process.stderr.readline()
    process.terminate()
    out, _ = process.communicate(timeout=PATIENCE)
    assert json.loads(out)["mode"] == "replay"
