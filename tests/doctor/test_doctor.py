"""`wiretape doctor` as a user runs it: real clients through the real proxy."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.support import paths
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE
from tests.support.tools import working


def findings(
    wiretape: Wiretape, *words: str | Path, env: Mapping[str, str] | None = None
) -> tuple[int, dict[str, dict[str, Any]]]:
    done = wiretape("doctor", "--json", *words, env=env, timeout=PATIENCE)
    document = json.loads(done.stdout[done.stdout.index('{\n  "wiretape_doctor"') :])
    return done.returncode, {finding["name"]: finding for finding in document["findings"]}


@pytest.fixture
def without_clients(tmp_path: Path) -> dict[str, str]:
    """An environment in which git is installed and no client, to be quick about the rest."""
    tools = tmp_path / "tools"
    tools.mkdir()
    if git := shutil.which("git"):
        (tools / "git").symlink_to(git)
    return {"PATH": str(tools)}


@pytest.fixture
def python_of_the_tests(tmp_path: Path, clean_env: dict[str, str]) -> dict[str, str]:
    """An environment whose python3 has the packages that the probes look for."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(sys.executable)
    return {"PATH": f"{Path(sys.executable).parent}:{tools}:{clean_env['PATH']}"}


def test_each_installed_client_is_driven_and_judged(
    wiretape: Wiretape, python_of_the_tests: dict[str, str]
) -> None:
    status, found = findings(wiretape, env=python_of_the_tests)
    assert status == 0
    for name in ("python urllib", "python httpx", "python requests"):
        assert found[f"client {name}"]["state"] == "ok", found[f"client {name}"]
    assert "REQUESTS_CA_BUNDLE" in found["client python requests"]["seen"]
    assert found["client python aiohttp with trust_env=True"]["state"] == "ok"
    if working("curl"):
        assert found["client curl"]["state"] == "ok"


def test_a_client_that_is_not_installed_is_passed_over(wiretape: Wiretape, tmp_path: Path) -> None:
    _, found = findings(wiretape, env={"PATH": str(tmp_path)})
    clients = {name: item["state"] for name, item in found.items() if name.startswith("client ")}
    assert len(clients) > 8
    assert set(clients.values()) == {"skipped"}


def test_a_config_that_does_not_load_is_a_fault(
    wiretape: Wiretape, without_clients: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("listen: {port: high}\n")
    status, found = findings(wiretape, env=without_clients)
    assert status == 1
    assert found["config"]["state"] == "fault"
    assert "config.yaml:1" in found["config"]["seen"]


def test_recordings_that_git_ignores_are_a_fault(
    wiretape: Wiretape, without_clients: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(paths.RECORDINGS, tmp_path / "recordings")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    status, found = findings(wiretape, env=without_clients)
    assert (status, found["git ignore"]["state"]) == (0, "ok")
    assert found["git attributes"]["state"] == "note"
    (tmp_path / ".gitignore").write_text("recordings/\n")
    (tmp_path / ".gitattributes").write_text("recordings/** -text\n")
    status, found = findings(wiretape, env=without_clients)
    assert (status, found["git ignore"]["state"]) == (1, "fault")
    assert found["git attributes"]["state"] == "ok"


def test_a_command_is_run_and_what_it_asked_is_told(
    wiretape: Wiretape, without_clients: dict[str, str], tmp_path: Path
) -> None:
    asking = "import urllib.request as u; u.urlopen('https://api.openai.com/v1/models')"
    status, found = findings(
        wiretape, "-r", tmp_path, "--", sys.executable, "-c", asking, env=without_clients
    )
    assert status == 1
    assert found["CMD"]["seen"] == "1 requests reached the proxy, 1 of them had no recording"


def test_hosts_that_are_no_providers_are_named(
    wiretape: Wiretape, without_clients: dict[str, str], tmp_path: Path
) -> None:
    asking = """
import urllib.request as u
for host in ("b.example.com", "a.example.com"):
    try: u.urlopen(f"https://{host}/")
    except OSError: pass
"""
    _, found = findings(
        wiretape, "-r", tmp_path, "--", sys.executable, "-c", asking, env=without_clients
    )
    assert [name for name in found if name.startswith("host ")] == [
        "host a.example.com",
        "host b.example.com",
    ]


def test_a_command_that_pins_a_certificate_is_told_of(
    wiretape: Wiretape, without_clients: dict[str, str], tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "pinned.pem")
    asking = (
        "import ssl, urllib.request as u;"
        f" pinned = ssl.create_default_context(cafile={str(tmp_path / 'pinned.pem')!r});"
        " u.urlopen('https://api.openai.com/v1/models', context=pinned)"
    )
    status, found = findings(
        wiretape, "-r", tmp_path, "--", sys.executable, "-c", asking, env=without_clients
    )
    assert status == 1
    assert "does not trust its certificate" in found["trust"]["seen"]
    assert "pins" in found["trust"]["advice"]
