"""A run of which nothing reached the proxy fails, and says what clients asked for instead."""

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.test_record import CHAT, HOST, curl, options
from tests.support.commands import Wiretape, serving
from tests.support.limits import PATIENCE
from tests.support.upstream import Answer, Upstream

from wiretape.report.report import Report
from wiretape.run.ending import write_report

NOTHING = "nothing reached the proxy"
CI = {"CI": "true"}


def report(path: Path) -> Any:
    return json.loads(path.read_bytes())


@pytest.mark.parametrize(
    ("args", "env", "status"),
    [
        (["replay"], {}, 3),
        (["replay", "-q"], {}, 3),
        (["replay"], CI, 3),
        (["auto"], CI, 3),
        (["auto", "--live"], CI, 3),
        (["record"], CI, 3),
        (["refresh"], CI, 3),
        (["replay", "--allow-none"], {}, 0),
        (["replay", "--allow-none"], CI, 0),
        (["record", "--allow-none"], CI, 0),
        (["record"], {}, 0),
        (["record"], {"CI": "false"}, 0),
        (["auto"], {}, 0),
    ],
)
def test_a_run_that_reached_nothing(
    wiretape: Wiretape, args: list[str], env: dict[str, str], status: int
) -> None:
    done = wiretape(*args, "--", "true", env=env)
    assert done.returncode == status, done.stderr
    assert NOTHING in done.stderr
    assert ("--allow-none" in done.stderr) is (status == 3)
    assert wiretape(*args, "--", "sh", "-c", "exit 9", env=env).returncode == 9


def test_who_only_serves_need_not_be_asked(clean_env: dict[str, str], tmp_path: Path) -> None:
    with serving(["replay", "-r", tmp_path / "r"], clean_env, tmp_path) as (process, _):
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors


def test_a_tunnel_to_elsewhere_is_nothing_reached(wiretape: Wiretape, tmp_path: Path) -> None:
    client = [
        "sh",
        "-c",
        "curl -s https://a.example/ https://a.example/ https://b.example:8443/; true",
    ]
    done = wiretape("replay", "--report", "report.json", "--", *client)
    assert done.returncode == 3
    assert "seen: a.example, b.example:8443" in done.stderr
    assert "hosts of no provider, refused: a.example (2x), b.example:8443" in done.stderr
    assert report(tmp_path / "report.json")["other_hosts"] == [
        {"host": "a.example", "refused": 2},
        {"host": "b.example:8443", "refused": 1},
    ]
    wiretape("replay", "--report", "report.xml", "--", *client)
    suite = ET.parse(tmp_path / "report.xml").getroot()[0]
    assert suite.get("failures") == "1"
    assert suite.findtext("system-err", "").endswith("refused: a.example (2x), b.example:8443")


def test_one_request_is_enough(wiretape: Wiretape, tmp_path: Path) -> None:
    done = wiretape("replay", "--report", "report.json", "--", "curl", "-s", f"https://{HOST}/x")
    assert done.returncode == 3
    assert NOTHING not in done.stderr
    assert "other_hosts" not in report(tmp_path / "report.json")


def test_hosts_that_passed_unrecorded_are_listed(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer.json({}))
    port = upstream.url.rpartition(":")[2]
    there = f"https://localhost:{port}{CHAT}"
    elsewhere = f"curl -sS --noproxy '' --cacert {upstream.ca_file} {there}"
    client = ["sh", "-c", f"{elsewhere}; {subprocess.list2cmdline(curl())}"]
    done = wiretape("record", *options(upstream, tmp_path / "r"), "--report", "j", "--", *client)
    assert done.returncode == 0, done.stderr
    assert f"hosts of no provider, passed unrecorded: localhost:{port}" in done.stderr
    assert report(tmp_path / "j")["other_hosts"] == [{"host": f"localhost:{port}", "unrecorded": 1}]


@pytest.mark.parametrize(
    ("host", "hinted"), [("llm.corp.example", True), ("api.house.ai", True), ("a.example", False)]
)
def test_a_host_that_looks_like_a_provider_is_hinted_at(
    wiretape: Wiretape, host: str, hinted: bool
) -> None:
    done = wiretape("replay", "--", "sh", "-c", f"curl -s https://{host}/v1/models; true")
    assert (f"looks like an LLM provider: {host}; `--host {host}`" in done.stderr) is hinted


def test_a_report_to_standard_output_comes_after_what_cmd_says(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    print("said by CMD")
    write_report(Path("-"), Report("replay"))
    said, _, document = capfdbinary.readouterr().out.partition(b"\n")
    assert said == b"said by CMD"
    assert json.loads(document)["wiretape_report"] == 1
