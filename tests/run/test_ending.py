"""A run of which nothing reached the proxy fails, and says what clients asked for instead."""

import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from tests.support import paths
from tests.support.commands import Wiretape, serving
from tests.support.limits import PATIENCE
from tests.support.parts import settings_in
from tests.support.stream_call import CHAT, HOST, curl, options
from tests.support.upstream import Answer, Upstream

from wiretape.core.errors import WiretapeError
from wiretape.report.report import Report
from wiretape.run.ending import conclude, write_report

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


def _uses_gnutls(program: str) -> bool:
    path = shutil.which(program)
    if path is None:
        return False
    return "gnutls" in subprocess.run(["ldd", path], capture_output=True, text=True).stdout


@pytest.mark.parametrize("mode", ["replay", "record"])
def test_a_client_that_trusts_only_its_own_ca_file_is_told_which(
    wiretape: Wiretape, upstream: Upstream, mode: str, tmp_path: Path
) -> None:
    own = f"--cacert {upstream.ca_file}"
    script = f"curl -sS {own} https://{HOST}/v1/models; curl -sS https://api.openai.com/v1/models"
    done = wiretape(mode, "-r", tmp_path / "r", "--", "sh", "-c", script)
    assert f"does not trust wiretape's certificate for {HOST}: CMD is given {own}" in done.stderr
    assert "closed it without a request" not in done.stderr


@pytest.mark.skipif(not _uses_gnutls("wget"), reason="needs a wget that is built with GnuTLS")
@pytest.mark.parametrize("mode", ["replay", "record"])
def test_the_host_is_named_of_a_client_that_leaves_without_an_alert(
    wiretape: Wiretape, upstream: Upstream, mode: str, tmp_path: Path
) -> None:
    """GnuTLS ends the handshake before wget looks at the certificate and hangs up."""
    own = f"--ca-certificate={upstream.ca_file}"
    client = ["wget", "-qO-", "--tries=1", own, f"https://{HOST}/v1/models"]
    done = wiretape(mode, "-r", tmp_path / "r", "--", *client)
    assert f"opened a tunnel to {HOST} and closed it without a request" in done.stderr
    assert f"CMD is given {own}, which lacks that certificate" in done.stderr
    assert f"no request came through the tunnels to {HOST}" in done.stderr


def test_what_may_go_past_the_proxy_is_named_and_the_base_url_to_give_it(
    wiretape: Wiretape,
) -> None:
    done = wiretape("replay", "-r", paths.RECORDINGS, "--", "python3", "-c", "")
    assert "httpx with a transport= or trust_env=False" in done.stderr
    assert "axios" not in done.stderr
    assert "base URL instead: $WIRETAPE_BASE_URL/" in done.stderr


def test_no_tunnel_is_called_unused_that_was_used(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer.json({}))
    for mode, more in (("record", options(upstream, tmp_path / "r")), ("replay", [])):
        done = wiretape(mode, *(more or ["-r", tmp_path / "r"]), "--", *curl())
        assert done.returncode == 0, done.stderr
        assert "without a request" not in done.stderr


def test_a_run_is_written_as_a_page_in_one_file(wiretape: Wiretape, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    done = wiretape("replay", "--html-report", page, "--", *curl())
    assert done.returncode == 3, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "1 missed" in text
    assert "there are no recordings" in text
    assert "<h1>replay</h1>" in text
    done = wiretape("replay", "--html-report", tmp_path / "no" / "run.html", "--", "true")
    assert done.returncode == 2
    assert "its folder is not there; nothing was started" in done.stderr


def test_who_serves_is_told_where_to_look(clean_env: dict[str, str], tmp_path: Path) -> None:
    with serving(["replay", "-r", tmp_path / "r"], clean_env, tmp_path) as (process, _):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("wiretape replay: look at the run: http://127.0.0.1:")
        assert "/run?token=" in line


def test_a_report_is_added_to_a_store_and_kept_here_where_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    url = f"file://{tmp_path}/reports"
    settings = settings_in(tmp_path, "replay", report=url, allow_none=True)
    for _ in range(2):
        conclude(settings, Report("replay"))
    assert [report(path)["mode"] for path in (tmp_path / "reports").iterdir()] == ["replay"] * 2
    shutil.rmtree(tmp_path / "reports")
    (tmp_path / "reports").touch()
    with pytest.raises(WiretapeError, match=r"it is in .*report-"):
        conclude(settings, Report("replay"))
    (path,) = (tmp_path / "home").glob("report-*.json")
    assert report(path)["mode"] == "replay"
