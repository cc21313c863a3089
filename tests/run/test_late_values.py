"""What becomes known as a secret after a recording was written is taken out when the run ends."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.support.commands import Wiretape
from tests.support.corpus_stands import stands
from tests.support.stream_call import CHAT, HOST, curl, documents, options
from tests.support.upstream import Answer, Upstream

CARRIED = "Wm4tR8qLz2" + "VbN6xKc9PdYh3Js7"
ASKED = "q7HsT2mXv9" + "LbWc4RzKp8NdFg"
EXPORTED = "e5Kd-81Vq_" + "Zt7LmWx3RbPo.9u"
RULES = 'redact: {json: ["$.tok"]}\n'
WEAK = "hunter two three"


def shell(*commands: list[str]) -> list[str]:
    return ["sh", "-c", "\n".join(map(shlex.join, commands))]


def written(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        yield str(path.relative_to(folder)).encode()
        if path.is_file():
            yield path.read_bytes()


def test_what_becomes_known_later_is_taken_out_of_the_runs_recordings(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    """Named by a later answer, carried by a later request, set by a later cookie."""
    (tmp_path / "config.yaml").write_text(RULES)
    said = json.dumps({"say": f"{CARRIED} and {ASKED}, {EXPORTED}"})
    upstream.script("/v1/first", Answer.json({"echo": f"is it {CARRIED}, {ASKED}, {EXPORTED}?"}))
    upstream.script(f"/v1/files/{CARRIED}", Answer.json({"ok": 1}))
    cookie = [("Set-Cookie", f"s={EXPORTED}; Path=/")]
    upstream.script(CHAT, Answer.json({"tok": CARRIED}, headers=cookie))
    client = shell(
        curl("/v1/first", said),
        curl(f"/v1/files/{CARRIED}", None),
        [*curl(CHAT, None), "-H", f"Authorization: Bearer {ASKED}"],
    )
    folder = tmp_path / "r"
    report = ("--report", tmp_path / "report.json")
    done = wiretape("record", *report, *options(upstream, folder), "--", *client, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 recordings of this run held what became known as a secret only later" in done.stderr
    assert len(documents(folder)) == 3
    for value in (CARRIED, ASKED, EXPORTED):
        assert not stands(value, [report[1].read_bytes(), *written(folder)])
    rows = json.loads(report[1].read_bytes())["exchanges"]
    assert all((folder / row["recording"]).is_file() for row in rows)
    again = wiretape("replay", "-r", folder, "--", *client, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "is it REDACTED-" in again.stdout


def test_a_run_fails_that_cannot_take_it_out_and_names_the_recording(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(RULES)
    upstream.script("/v1/first", Answer.json({"ok": 1}))
    upstream.script(CHAT, Answer.json({"tok": WEAK}))
    # The client has it of its own: its request would not be known again.
    client = shell(curl("/v1/first", json.dumps({"say": WEAK})), curl(CHAT, None))
    folder = tmp_path / "r"
    report = ("--report", tmp_path / "report.json")
    done = wiretape("record", *report, *options(upstream, folder), "--", *client, cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    rows = json.loads(report[1].read_bytes())["exchanges"]
    (row,) = (row for row in rows if row["outcome"] == "refused")
    assert (row["provider"], row["method"], row["path"]) == ("together", "POST", "/v1/first")
    (first,) = (path for path in folder.rglob("*.json") if path.parent.name == "v1-first")
    assert first.name in done.stderr
    assert "became known as a secret only later" in done.stderr
    assert WEAK not in done.stderr


def test_a_run_in_which_nothing_is_late_says_nothing(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(RULES)
    upstream.script("/v1/first", Answer.json({"ok": 1}))
    upstream.script(CHAT, Answer.json({"tok": CARRIED}))
    client = shell(curl("/v1/first", json.dumps({"say": "hello"})), curl(CHAT, None))
    done = wiretape("record", *options(upstream, tmp_path / "r"), "--", *client, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "later" not in done.stderr
    assert HOST in str(list((tmp_path / "r").rglob("*.json")))
