"""Isolated, CMD has loopback and nothing else; where that cannot be had, nothing starts."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape
from tests.support.stream_call import CHAT, EVENTS, STREAM, curl, options
from tests.support.upstream import Answer, Upstream

from wiretape.config.load import load
from wiretape.core.errors import ConfigError
from wiretape.run import isolation
from wiretape.run.settings import Mode, Settings

REASON = isolation.why_not()
can_isolate = pytest.mark.skipif(REASON is not None, reason=REASON or "")
CI = {"CI": "true"}

# Says which interfaces there are, and whether it can connect to a port of the machine.
LOOK = """
import socket, sys
print(*(name for _, name in socket.if_nameindex()))
with socket.socket() as probe:
    print(probe.connect_ex(("127.0.0.1", int(sys.argv[1]))) == 0)
"""


def settings(mode: Mode = "replay", config: str = "", **others: Any) -> Settings:
    path = Path("config.yaml")
    path.write_text(config)
    loaded = load(path, {})
    given: dict[str, Any] = {"isolate": True, "environ": {}, **others}
    return Settings(
        mode=mode, config=loaded, recordings=loaded.recordings, pace=loaded.pace, **given
    )


@can_isolate
@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["replay", "--isolate"], {}),
        (["replay"], CI),
        (["auto"], CI),
        (["replay", "--isolate"], {"CI": "false"}),
    ],
)
def test_cmd_has_loopback_alone(
    wiretape: Wiretape, args: list[str], env: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        look = [sys.executable, "-c", LOOK, str(outside.getsockname()[1])]
        more = ["--allow-none", "--report", "report.json"]
        done = wiretape(*args, *more, "--", *look, env=env)
    assert (done.returncode, done.stdout) == (0, "lo\nFalse\n"), done.stderr
    assert "CMD had a network with loopback only" in done.stderr
    assert json.loads((tmp_path / "report.json").read_bytes())["isolated"] is True


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["replay", "--no-isolate"], CI),
        (["replay"], {}),
        (["record"], CI),
        (["auto", "--live"], CI),
    ],
)
def test_cmd_has_the_machines_network_otherwise(
    wiretape: Wiretape, args: list[str], env: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        look = [sys.executable, "-c", LOOK, str(outside.getsockname()[1])]
        done = wiretape(*args, "--allow-none", "--", *look, env=env)
    assert done.stdout.endswith("\nTrue\n"), done.stderr
    assert "loopback only" not in done.stderr


@can_isolate
def test_a_recording_replays_through_both_doors_in_isolation(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl())
    base = " ".join(curl()[:2]) + f" --noproxy '*' $WIRETAPE_BASE_URL/api.together.xyz{CHAT}"
    body = "-H 'content-type: application/json' --data-raw \"$BODY\""
    both = f"{subprocess.list2cmdline(curl()[:3])} {body} && {base} {body}"
    env = {"BODY": curl()[-1]}
    done = wiretape("replay", "--isolate", "-r", "r", "--", "sh", "-c", both, env=env)
    assert (done.returncode, done.stdout.encode()) == (0, b"".join(EVENTS) * 2), done.stderr


@can_isolate
def test_files_are_written_as_the_same_user(wiretape: Wiretape, tmp_path: Path) -> None:
    client = ["sh", "-c", "id -u; touch made"]
    done = wiretape("replay", "--isolate", "--allow-none", "--", *client)
    assert (done.returncode, done.stdout) == (0, f"{os.geteuid()}\n"), done.stderr
    assert (tmp_path / "made").stat().st_uid == os.geteuid()


@can_isolate
def test_a_cmd_that_fails_in_ci_is_told_how_to_get_the_network(wiretape: Wiretape) -> None:
    done = wiretape("replay", "--", "sh", "-c", "exit 7", env=CI)
    assert done.returncode == 7
    assert "--no-isolate gives it the machine's network" in done.stderr
    assert "--no-isolate" not in wiretape("replay", "--isolate", "--", "false").stderr


@pytest.mark.parametrize(
    ("mode", "config", "has_command", "expected"),
    [
        ("record", "", True, "record may have to contact providers; only replay can be isolated"),
        ("auto", "", True, "auto may have to contact providers; only replay can be isolated"),
        ("replay", "", False, "it is CMD that is isolated, and there is none"),
        ("replay", "other_hosts: tunnel", True, "other_hosts: tunnel in the configuration wants"),
        ("replay", "listen: {host: 192.0.2.1}", True, "listen.host 192.0.2.1 is not there"),
    ],
)
def test_a_contradiction_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    config: str,
    has_command: bool,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        isolation.isolate_if_wanted(settings(mode, config), has_command=has_command)
    assert str(caught.value).startswith(f"--isolate: {expected}")
    assert str(caught.value).endswith("; nothing was started")
    in_ci = settings(mode, config, isolate=None, environ=CI)
    assert not isolation.isolate_if_wanted(in_ci, has_command=has_command)


def test_where_the_system_has_no_name_spaces_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigError, match="--isolate: it needs Linux and its name spaces"):
        isolation.isolate_if_wanted(settings(), has_command=True)
    assert not isolation.isolate_if_wanted(settings(isolate=None, environ=CI), has_command=True)


def test_what_the_kernel_forbids_is_told_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden() -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(isolation, "_set_loopback_up", forbidden)
    before = os.readlink("/proc/self/ns/net") if Path("/proc/self/ns").exists() else ""
    with pytest.raises(ConfigError, match=r"Operation not permitted.*user name spaces"):
        isolation.isolate_if_wanted(settings(), has_command=True)
    assert not before or os.readlink("/proc/self/ns/net") == before
