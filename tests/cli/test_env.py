"""`wiretape env`, as it is called."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wiretape.cli.main import main
from wiretape.run.serving import ServingProxy, announced


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["env", *args], prog_name="wiretape")


def test_without_a_proxy_there_is_nothing_to_print() -> None:
    done = run()
    assert done.exit_code == 2
    assert "no wiretape is serving: start one with `wiretape replay --port 8899`" in done.stderr
    assert run("--port", "8899", "--base-url").exit_code == 2, "that port is not known"


def test_a_port_may_be_named_before_anything_serves() -> None:
    assert "HTTPS_PROXY=http://127.0.0.1:8899" in run("--port", "8899").stdout.replace("'", "")


def test_the_port_of_the_configuration_is_the_default(here: Path) -> None:
    (here / "config.yaml").write_text("listen: {port: 8898}\n")
    assert "http://127.0.0.1:8898" in run().stdout


@pytest.mark.parametrize(("mode", "has_dummies"), [("replay", True), ("record", False)])
def test_the_proxy_that_serves_is_found(mode: str, has_dummies: bool) -> None:
    with announced(ServingProxy(mode=mode, port=4000, base_url_port=4001, token="t")):
        variables = json.loads(run("--json", "--base-url").stdout)["variables"]
        other = run("--no-replay" if has_dummies else "--replay", "--json").stdout
    assert variables["HTTPS_PROXY"] == "http://127.0.0.1:4000"
    assert variables["OPENAI_BASE_URL"].startswith("http://127.0.0.1:4001/api.openai.com")
    assert ("OPENAI_API_KEY" in variables) is has_dummies
    assert ("OPENAI_API_KEY" in json.loads(other)["variables"]) is not has_dummies


@pytest.mark.parametrize(
    ("shell", "line"), [("sh", "export "), ("fish", "set -gx "), ("powershell", "$env:")]
)
def test_lines_are_of_the_shell_that_is_named(shell: str, line: str) -> None:
    assert line in run("--port", "8899", "--shell", shell).stdout
