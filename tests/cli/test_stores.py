"""`wiretape push`, `pull`, `sync`, and runs whose recordings are in a store."""

import json
from pathlib import Path

import pytest
from tests.support import stored
from tests.support.commands import Wiretape
from tests.support.stream_call import CHAT, EVENTS, STREAM, curl, options
from tests.support.upstream import Answer, Upstream

pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store"


def test_recordings_go_to_a_store_and_come_back(
    wiretape: Wiretape, tmp_path: Path, url: str
) -> None:
    path = stored.put(tmp_path / "recordings", stored.document("hi"))
    name = path.relative_to(tmp_path / "recordings").as_posix()
    planned = wiretape("push", url, "--dry-run")
    assert (planned.returncode, planned.stdout) == (0, f"pushed: {name}\n")
    pushed = wiretape("push", url, "--json", "--freeze", "v1")
    assert json.loads(pushed.stdout)["pushed"] == [name]
    assert "v1@sha256:" in pushed.stderr
    assert "nothing to do; 1 alike before" in wiretape("push", url).stderr
    for arguments in (["pull", url], ["pull", url, "--frozen", "v1"], ["sync", url]):
        folder = tmp_path / arguments[-1].rpartition("/")[2]
        assert wiretape(*arguments, "-r", folder).returncode == 0
        assert (folder / name).read_bytes() == path.read_bytes()
    (tmp_path / "store" / name).unlink()
    path.write_text(path.read_text().replace("hi", "ho"))
    differs = wiretape("sync", url)
    assert (differs.returncode, "differs" in differs.stderr) == (1, True)


def test_nothing_that_holds_a_secret_is_uploaded(
    wiretape: Wiretape, tmp_path: Path, url: str
) -> None:
    stored.put(tmp_path / "recordings", stored.document("hi"))
    key = "sk-ant-" + "api03-" + "Ab1" * 31 + "AA"
    stored.put(tmp_path / "recordings", stored.document(f"my key is {key}"))
    ran = wiretape("push", url)
    assert (ran.returncode, key in ran.stdout + ran.stderr) == (4, False)
    assert "nothing was uploaded" in ran.stderr
    assert not list((tmp_path / "store").rglob("*.json"))


def test_a_url_that_is_none_or_holds_a_key_is_refused(wiretape: Wiretape, tmp_path: Path) -> None:
    for url in ("recordings", "s3://key:hunter2@bucket/x"):
        ran = wiretape("pull", url)
        assert (ran.returncode, "hunter2" in ran.stderr) == (2, False)
    (tmp_path / "config.yaml").write_text("recordings: s3://key:hunter2@bucket/x\n")
    ran = wiretape("replay", "--", "true")
    assert (ran.returncode, "config.yaml:1: recordings" in ran.stderr) == (2, True)
    assert "hunter2" not in ran.stderr


def test_one_machine_records_into_a_store_and_another_replays(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path, url: str
) -> None:
    (tmp_path / "config.yaml").write_text(f"recordings: {url}\n")
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    arguments = options(upstream, tmp_path / "unused")
    arguments = [word for word in arguments if word not in ("-r", tmp_path / "unused")]
    recorded = wiretape("record", *arguments, "--", *curl())
    assert recorded.returncode == 0, recorded.stderr
    assert len(list((tmp_path / "store" / ".wiretape").rglob("*.json"))) == 1
    machine = {"WIRETAPE_HOME": str(tmp_path / "another")}
    replayed = wiretape("replay", "--", *curl(), env=machine)
    assert (replayed.returncode, replayed.stdout.encode()) == (0, b"".join(EVENTS)), replayed.stderr
