"""`wiretape import` as its users meet it: a folder of cassettes, then a replay with no network."""

import json
import sys
from pathlib import Path

import yaml
from tests.support import plain_client
from tests.support.commands import Wiretape

ASK = plain_client.program("""
import sys
answer = Client().post(
    "https://api.openai.com/v1/chat/completions",
    json={"model": "m", "messages": [{"role": "user", "content": sys.argv[1]}]},
)
print(answer.status_code, answer.text)
""")


def cassettes(folder: Path) -> Path:
    for name in ("test_a", "test_b"):
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        one = {
            "request": {
                "method": "POST",
                "uri": "https://api.openai.com/v1/chat/completions",
                "body": json.dumps(body),
                "headers": {"content-type": ["application/json"]},
            },
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"content-type": ["application/json"]},
                "body": {"string": f'{{"of": "{name}"}}'},
            },
        }
        path = folder / "test_module" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({"interactions": [one], "version": 1}))
    return folder


def test_a_folder_of_cassettes_is_imported_and_replays(wiretape: Wiretape, tmp_path: Path) -> None:
    folder = cassettes(tmp_path / "cassettes")
    done = wiretape("import", folder, "--session-per-file")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "2 exchanges of 2 files imported" in done.stderr
    (tmp_path / "ask.py").write_text(ASK)
    for name in ("test_a", "test_b"):
        session = f"test_module-{name}"
        ran = wiretape("replay", "--session", session, "--", sys.executable, "ask.py", "hi")
        assert (ran.returncode, ran.stdout) == (0, f'200 {{"of": "{name}"}}\n'), ran.stderr
    missed = wiretape("replay", "--session", session, "--", sys.executable, "ask.py", "other")
    assert missed.returncode == 3
    assert wiretape("verify").returncode == 0


def test_recordings_are_exported_and_imported_again(wiretape: Wiretape, tmp_path: Path) -> None:
    wiretape("import", cassettes(tmp_path / "cassettes"), "--session-per-file")
    for target, name in (("har", "trace.har"), ("vcr", "all.yaml")):
        done = wiretape("export", "--to", target, "-o", name)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "2 recordings exported" in done.stderr
        assert wiretape("import", name, "-r", target).returncode == 0
        assert len(list((tmp_path / target).rglob("*.json"))) == 2
    lines = wiretape("export", "--to", "jsonl", "--session", "test_module-test_a").stdout
    assert json.loads(lines)["prompt"] == "hi"
    broken = next((tmp_path / "har").rglob("*.json"))
    broken.write_text("{")
    done = wiretape("export", "--to", "jsonl", "-r", "har")
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert broken.name in done.stderr


def test_what_is_not_carried_over_is_told(wiretape: Wiretape, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>")
    done = wiretape("import", "page.html")
    assert done.returncode == 1
    assert "page.html: begins like none of the formats" in done.stdout
    shown = json.loads(wiretape("import", "page.html", "--json").stdout)
    assert shown["files"][0]["format"] is None
    assert "--from" in shown["files"][0]["error"]


def test_an_answer_alone_is_given_its_request(wiretape: Wiretape, tmp_path: Path) -> None:
    (tmp_path / "answer.txt").write_text('HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n\r\n{"c": 1}')
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    (tmp_path / "body.json").write_text(json.dumps(body))
    url = "https://api.openai.com/v1/chat/completions"
    done = wiretape("import", "answer.txt", "--url", url, "--request-body", "body.json")
    assert done.returncode == 0, done.stderr
    (tmp_path / "ask.py").write_text(ASK)
    ran = wiretape("replay", "--", sys.executable, "ask.py", "hi")
    assert ran.stdout == '200 {"c": 1}\n'


def test_wrong_usage_starts_nothing(wiretape: Wiretape, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("interactions: []\n")
    for arguments, said in (
        (["missing.yaml"], "missing.yaml"),
        (["a.yaml", "--session", "../x"], "session"),
        (["a.yaml", "--session", "x", "--session-per-file"], "exclude"),
        (["a.yaml", "--request-body", "a.yaml"], "--url"),
        (["a.yaml", "--url", "ftp://x"], "--url"),
    ):
        done = wiretape("import", *arguments)
        assert done.returncode == 2, arguments
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("recordings/*/*"))
