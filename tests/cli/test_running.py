"""Options of the commands that carry a run: what each becomes, and what is wrong use."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from wiretape.cli import running
from wiretape.cli.main import main
from wiretape.core.errors import ConfigError
from wiretape.run.settings import Settings


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("WIRETAPE_RUN", raising=False)
    return tmp_path


def settings(*arguments: str) -> Settings:
    return running._parse(arguments)[0]


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="wiretape")


def test_an_option_goes_before_the_configuration(here: Path) -> None:
    (here / "config.yaml").write_text(
        "recordings: mine\npace: recorded\nlisten: {port: 8001, base_url_port: 8002}\n"
    )
    plain = settings("replay")
    assert (plain.recordings, plain.port, plain.base_url_port) == (Path("mine"), 8001, 8002)
    named = settings("replay", "-r", "other", "--port", "0", "--pace", "2x", "--session", "s")
    assert (named.recordings, named.port, named.session) == (Path("other"), 0, "s")
    assert named.pace != plain.pace


def test_a_host_of_the_command_line_is_a_provider() -> None:
    config = settings("record", "--host", "localhost:9000").config
    assert config.providers.find("localhost", 9000) is not None


def test_auto_only_replays_where_ci_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings("auto").mode == "auto"
    monkeypatch.setenv("CI", "true")
    assert settings("auto").mode == "replay"
    assert settings("auto", "--live").mode == "auto"


def test_replicas_of_a_run_have_one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_TOKEN", "shared")
    assert settings("replay", "--run", "a").token == "shared"
    assert settings("replay").token != "shared"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "'': expected record, replay, auto or refresh"),
        (["verify"], "'verify': expected record, replay, auto or refresh"),
        (["replay", "--nonsense"], "replay: No such option"),
        (["replay", "--help"], "replay: no help here"),
        (["replay", "--pace", "fast"], "replay: Invalid value for '--pace'"),
        (["replay", "--set", "3f2a"], r"expected KEY\.PART=TEXT"),
        (["replay", "--max-age", "old"], "replay: Invalid value for '--max-age'"),
        (["record", "--budget", "2"], "expected an amount above 0 with its currency"),
        (["replay", "--", "echo"], "no CMD can be run"),
        (["replay", "--workers", "2"], "--workers is for a proxy that other programs start"),
        (["replay", "--port", "8", "--base-url-port", "8"], "port 8 is that of the proxy and of"),
    ],
)
def test_what_cannot_be_carried_out_for_a_program_is_refused(
    arguments: list[str], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        settings(*arguments)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["auto", "--branch", "a"], "--branch goes with --live-from or --after"),
        (["record", "--workers", "2"], "No such option"),
        (["auto", "--workers", "2"], "--workers: only a replay over the network has them"),
        (["mcp"], "Missing argument"),
    ],
)
def test_wrong_use_starts_nothing(
    arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert reason in done.stderr


def test_a_branch_in_ci_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    done = run("auto", "--live-from", "2")
    assert done.exit_code == 2
    assert "CI is set, where auto only replays: --live lets it go live" in done.stderr


def test_the_command_is_handed_on_word_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []

    async def carry_out(settings: Settings, command: tuple[str, ...], report: Any) -> int:
        ran.append((settings.mode, command, settings.paths is not None, report.mode))
        return 7

    monkeypatch.setattr("wiretape.run.run.run", carry_out)
    done = run("record", "--", "echo", "--port", "1")
    assert done.exit_code == 7
    assert ran == [("record", ("echo", "--port", "1"), True, "record")]


@pytest.mark.parametrize(
    ("option", "ci", "mode"),
    [
        (None, "", "replay"),
        ("--record", "", "record"),
        ("--auto", "", "auto"),
        ("--auto", "true", "replay"),
    ],
)
def test_an_mcp_server_is_replayed_unless_it_is_said_otherwise(
    option: str | None, ci: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []

    async def carry_out(settings: Settings, command: tuple[str, ...], report: Any) -> int:
        ran.append((settings.mode, command, settings.config.sequences))
        return 0

    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("wiretape.run.stdio.run_stdio", carry_out)
    done = run("mcp", *([option] if option else []), "--", "server", "-v")
    assert (done.exit_code, ran) == (0, [(mode, ("server", "-v"), None)])


def test_every_command_that_carries_a_run_is_there() -> None:
    names = main.list_commands(click.Context(main))
    assert {"record", "replay", "auto", "refresh", "mcp", "pipe"} <= set(names)
