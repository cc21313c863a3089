"""What is recorded again, what goes to the provider, and what becomes of errors and misses."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape
from tests.support.sdk import documents, get, post, record_options, shell, statuses
from tests.support.upstream import Answer, Upstream

CHAT = "/v1/chat/completions"


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def answer(text: str, **options: Any) -> Answer:
    return Answer.json({"choices": [{"message": {"content": text}}]}, **options)


def said(text: str) -> list[str]:
    """The contents of the answers that a command printed, a line each."""
    return [json.loads(line)["choices"][0]["message"]["content"] for line in text.splitlines()]


BUSY = Answer.json({"error": {"message": "busy"}}, status=429, headers=[("retry-after", "0")])
DOWN = Answer.json({"error": {"message": "down"}}, status=503)


# ------------------------------------------------------------------ errors and retries


def test_a_retry_sequence_that_ends_well_is_recorded_whole(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, BUSY, DOWN, answer("well"))
    three = shell(*[post(CHAT, ask("hi"))] * 3)
    done = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *three)
    assert sorted(statuses(tmp_path / "r")) == [200, 429, 503]
    assert "3 recorded" in done.stderr
    codes = post(CHAT, ask("hi"), "-o", os.devnull, "-w", "%{http_code}")
    again = wiretape("replay", "-r", tmp_path / "r", "--", *shell(*[codes] * 5))
    assert again.stdout.split() == ["429", "503", "200", "200", "200"]
    assert again.returncode == 0


def test_an_outage_that_lasts_is_not_recorded(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, DOWN)
    twice = shell(*[post(CHAT, ask("hi"))] * 2)
    done = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *twice)
    assert documents(tmp_path / "r") == {}
    assert done.stderr.count("a 503 is not recorded (record.errors: true would)") == 2


def test_a_retry_of_another_request_keeps_no_error(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, DOWN, answer("well"))
    both = shell(post(CHAT, ask("one")), post(CHAT, ask("two")))
    wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *both)
    assert statuses(tmp_path / "r") == [200]


def test_an_outage_that_was_wanted_is_replayed_as_often_as_it_was_recorded(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("record: {errors: true}\n")
    upstream.script(CHAT, DOWN)
    twice = shell(*[post(CHAT, ask("hi"))] * 2)
    wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *twice)
    codes = post(CHAT, ask("hi"), "-o", os.devnull, "-w", "%{http_code}")
    again = wiretape("replay", "-r", tmp_path / "r", "--", *shell(*[codes] * 3))
    assert again.stdout.split() == ["503", "503", "400"]
    assert again.returncode == 3


def test_a_provider_that_was_not_reached_is_part_of_a_retry_sequence(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(raw=b"", end="fin"), answer("well"))
    twice = shell(*[post(CHAT, ask("hi"))] * 2)
    live = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *twice)
    assert "1 failed" in live.stderr
    ends = [d["response"].get("end") for d in documents(tmp_path / "r").values()]
    assert sorted(map(str, ends)) == ["None", "failed"]
    codes = post(CHAT, ask("hi"), "-o", os.devnull, "-w", "%{http_code}")
    again = wiretape("replay", "-r", tmp_path / "r", "--", *shell(*[codes] * 3))
    assert again.stdout.split() == ["502", "200", "200"]


# ------------------------------------------------------------------ recording again


@pytest.fixture
def old(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> Path:
    """Recordings: two takes of "hi", one of "ho"."""
    upstream.script(CHAT, answer("1"), answer("2"), answer("3"), answer("new"))
    three = shell(post(CHAT, ask("hi")), post(CHAT, ask("hi")), post(CHAT, ask("ho")))
    wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *three)
    assert len(documents(tmp_path / "r")) == 3
    return tmp_path / "r"


def replayed(wiretape: Wiretape, folder: Path, *texts: str) -> list[str]:
    done = wiretape("replay", "-r", folder, "--", *shell(*[post(CHAT, ask(t)) for t in texts]))
    return said(done.stdout)


def test_recording_again_replaces_all_takes(
    wiretape: Wiretape, upstream: Upstream, old: Path
) -> None:
    wiretape("record", *record_options(upstream, old), "--", *post(CHAT, ask("hi")))
    assert replayed(wiretape, old, "hi", "hi", "ho") == ["new", "new", "3"]
    assert len(documents(old)) == 2


def test_appending_adds_takes(wiretape: Wiretape, upstream: Upstream, old: Path) -> None:
    more = ["--record-mode", "append"]
    wiretape("record", *record_options(upstream, old), *more, "--", *post(CHAT, ask("hi")))
    assert replayed(wiretape, old, "hi", "hi", "hi", "hi") == ["1", "2", "new", "new"]


def test_only_what_is_missing_is_written(wiretape: Wiretape, upstream: Upstream, old: Path) -> None:
    (old.parent / "config.yaml").write_text("record: {mode: missing-only}\n")
    both = shell(post(CHAT, ask("hi")), post(CHAT, ask("ha")))
    done = wiretape("record", *record_options(upstream, old), "--", *both)
    assert said(done.stdout) == ["new", "new"]
    assert "1 recorded, 1 passed" in done.stderr
    assert replayed(wiretape, old, "hi", "ha") == ["1", "new"]


def test_refresh_records_what_is_selected_and_replays_the_rest(
    wiretape: Wiretape, upstream: Upstream, old: Path
) -> None:
    upstream.script("/v1/models", Answer.json({"data": ["old"]}), Answer.json({"data": ["new"]}))
    wiretape("record", *record_options(upstream, old), "--", *get("/v1/models"))
    came = len(upstream.requests)
    both = shell(get("/v1/models"), post(CHAT, ask("ho")))
    only = ["--only", "/v1/models"]
    done = wiretape("refresh", *record_options(upstream, old), *only, "--", *both)
    assert done.returncode == 0, done.stderr
    assert '"new"' in done.stdout
    assert "1 recorded, 1 replayed" in done.stderr
    assert [r.path for r in upstream.requests[came:]] == ["/v1/models"]


def test_refresh_knows_how_old_a_recording_is(
    wiretape: Wiretape, upstream: Upstream, old: Path
) -> None:
    name = next(n for n, d in documents(old).items() if '"ho"' in json.dumps(d["request"]))
    text = (old / name).read_text()
    day = documents(old)[name]["recorded_at"]
    (old / name).write_text(text.replace(day, "2020-01-01T00:00:00Z"))
    came = len(upstream.requests)
    both = shell(post(CHAT, ask("hi")), post(CHAT, ask("ho")))
    only = ["--only", "older-than:90d"]
    done = wiretape("refresh", *record_options(upstream, old), *only, "--", *both)
    assert said(done.stdout) == ["1", "new"]
    assert len(upstream.requests) == came + 1


def test_refresh_of_a_rule_that_is_none_starts_nothing(wiretape: Wiretape) -> None:
    done = wiretape("refresh", "--only", "no-such-rule", "--", "echo", "never")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'no-such-rule': expected a path" in done.stderr


# ------------------------------------------------------------------ misses in auto


def test_a_miss_may_fail_where_recordings_are_to_be_complete(
    wiretape: Wiretape, upstream: Upstream, old: Path
) -> None:
    (old.parent / "config.yaml").write_text("on_miss: fail\n")
    came = len(upstream.requests)
    both = shell(post(CHAT, ask("hi")), post(CHAT, ask("new")))
    done = wiretape("auto", *record_options(upstream, old), "--", *both)
    assert done.returncode == 3
    assert "1 replayed, 1 missed" in done.stderr
    assert len(upstream.requests) == came


def test_a_miss_passes_to_named_hosts_alone(
    wiretape: Wiretape, upstream: Upstream, old: Path
) -> None:
    (old.parent / "config.yaml").write_text("on_miss: {passthrough: [api.openai.com]}\n")
    upstream.script("/v1/models", Answer.json({"data": []}))
    away = ["--map", f"api.mistral.ai={upstream.url}"]
    both = shell(get("/v1/models"), get("/v1/models", host="api.mistral.ai"))
    before = documents(old)
    done = wiretape("auto", *record_options(upstream, old), *away, "--", *both)
    assert done.returncode == 3
    assert '{"data"' in done.stdout
    assert "1 missed, 1 passed" in done.stderr
    assert len([r for r in upstream.requests if r.path == "/v1/models"]) == 1
    assert documents(old) == before


def test_in_ci_nothing_goes_live_unless_a_flag_says_so(
    wiretape: Wiretape, upstream: Upstream, old: Path
) -> None:
    came = len(upstream.requests)
    arguments = [*record_options(upstream, old), "--", *post(CHAT, ask("new"))]
    done = wiretape("auto", *arguments, env={"CI": "true"})
    assert done.returncode == 3
    assert len(upstream.requests) == came
    live = wiretape("auto", "--live", *arguments, env={"CI": "true"})
    assert live.returncode == 0, live.stderr
    assert len(upstream.requests) == came + 1


# ------------------------------------------------------------------ the guard, rules, changes


def test_what_a_rule_ignores_and_has_changed_is_told(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    rule = "match: {rules: [{name: run, ignore: ['$.metadata.run']}]}\n"
    (tmp_path / "config.yaml").write_text(rule)
    upstream.script(CHAT, answer("1"))
    first = post(CHAT, ask("hi", metadata={"run": "a"}))
    wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *first)
    same = wiretape("replay", "-r", tmp_path / "r", "--strict-ignored", "--", *first)
    assert same.returncode == 0, same.stderr
    other = post(CHAT, ask("hi", metadata={"run": "b"}))
    told = wiretape("replay", "-r", tmp_path / "r", "--report", "r.json", "--", *other)
    assert (told.returncode, said(told.stdout)) == (0, ["1"])
    assert "body.metadata.run" in told.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["stale"] == [{"path": "body.metadata.run", "rule": "run", "exchanges": 1}]
    strict = wiretape("replay", "-r", tmp_path / "r", "--strict-ignored", "--", *other)
    assert strict.returncode == 3


def test_a_rule_that_applies_to_nothing_is_told(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    rules = "{name: used, ignore: ['$.a']}, {name: unused, ignore: ['$.b']}"
    (tmp_path / "config.yaml").write_text(f"match: {{rules: [{rules}]}}\n")
    upstream.script(CHAT, answer("1"))
    done = wiretape(
        "record", *record_options(upstream, tmp_path / "r"), "--", *post(CHAT, ask("hi", a=1))
    )
    assert "rules of config.yaml that applied to no request of this run: unused" in done.stderr


def test_a_change_on_disk_is_noticed_while_serving(
    wiretape: Wiretape, upstream: Upstream, old: Path, tmp_path: Path
) -> None:
    name = next(n for n, d in documents(old).items() if '"ho"' in json.dumps(d["request"]))
    text = (old / name).read_text()
    edited = text.replace('"content": "3"', '"content": "edited"')
    assert edited != text
    (tmp_path / "edited.json").write_text(edited)
    done = wiretape(
        "replay",
        "-r",
        old,
        "--",
        *shell(
            post(CHAT, ask("ho")),
            ["cp", str(tmp_path / "edited.json"), str(old / name)],
            post(CHAT, ask("ho")),
            ["rm", str(old / name)],
            post(CHAT, ask("ho"), "-o", os.devnull, "-w", "%{http_code}"),
        ),
    )
    first, _, second, _, status = done.stdout.splitlines()
    assert said(f"{first}\n{second}") == ["3", "edited"]
    assert status == "400"


def test_a_distinct_miss_is_told_once_and_counted_each_time(
    wiretape: Wiretape, old: Path, tmp_path: Path
) -> None:
    many = shell(*[post(CHAT, ask("hi there"))] * 5)
    done = wiretape("replay", "-r", old, "--report", "r.json", "--", *many)
    assert done.returncode == 3
    assert done.stderr.count("no recording answers POST") == 1
    assert "5 missed" in done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["counts"] == {"missed": 5}
    assert report["exchanges"][0]["miss"]["differences"][0]["path"] == "body.messages[0].content"


def test_a_run_told_as_junit_fails_where_it_missed(
    wiretape: Wiretape, old: Path, tmp_path: Path
) -> None:
    from xml.etree import ElementTree

    both = shell(post(CHAT, ask("hi")), post(CHAT, ask("away")))
    wiretape("replay", "-r", old, "--report", "r.xml", "--", *both)
    suite = ElementTree.parse(tmp_path / "r.xml").getroot()
    suite = suite if suite.tag == "testsuite" else suite[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
