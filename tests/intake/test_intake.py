"""From a finished exchange to a file, and what is kept from becoming one."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from wiretape.config.packs import built_in
from wiretape.config.rule_entry import rule
from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Headers, Outcome, Request
from wiretape.core.redaction import encodings
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import JsonRule, RedactionRules
from wiretape.intake.intake import Intake
from wiretape.intake.journal import Journal
from wiretape.intake.journal_reader import read
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report, Row
from wiretape.sessions.sessions import Sessions

JSON: Headers = (("content-type", "application/json"),)
UNGUESSABLE = "kV8w2Qz7T5rXn1Lp" + "Yb4Hs9Gd"


async def kept(
    folder: Path,
    rules: RedactionRules,
    body: bytes,
    headers: Headers = JSON,
    path: str = "/v1/x",
) -> tuple[Row, list[Path]]:
    """The row of an exchange with that answer, and the files there are then."""
    report = Report("record")
    providers = built_in()
    sessions = Sessions(
        lambda name: Library(folder / "r", Matcher(providers), state=LocalState(folder))
    )
    sessions.own.library.load()
    intake = Intake(Redactor(rules, remember=True), providers, report)
    recorder = Recorder(
        Request("POST", "https", "api.together.xyz", 443, path, headers=JSON, body=b'{"model":"m"}')
    )
    recorder.start(200, headers, 0.1)
    recorder.read(body, 0.2)
    intake.put(recorder, "ended", 0.3, sessions.own)
    await intake.finish()
    (row,) = report.rows
    return row, [path for path in (folder / "r").rglob("*") if path.suffix in (".json", ".bin")]


@pytest.mark.timeout(60, method="signal")
async def test_draining_ends_where_the_last_was_written_a_moment_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done, and the event loop has yet to call what notes that: waiting must let it."""
    loop = asyncio.get_running_loop()
    written: asyncio.Future[None] = loop.create_future()
    written.set_result(None)
    monkeypatch.setattr(loop, "run_in_executor", lambda *_: written)
    state = LocalState(tmp_path)
    sessions = Sessions(lambda name: Library(tmp_path, Matcher(built_in()), state=state))
    intake = Intake(Redactor(RedactionRules()), built_in(), Report("auto"))
    recorder = Recorder(Request("GET", "https", "api.openai.com", 443, "/v1/models"))
    intake.put(recorder, "ended", 0.1, sessions.own)
    await intake.drain()
    assert not intake.is_busy


# A number stays a number: redaction cannot take it out.
PIN = 271828182845904523536028
SECRET = json.dumps({"user": {"pin": PIN}}).encode()
RULES = RedactionRules(values=(("PIN_TOKEN", str(PIN)),))


async def test_what_still_holds_a_secret_is_not_written(tmp_path: Path) -> None:
    row, files = await kept(tmp_path, RULES, SECRET)
    assert (row.outcome, files) == ("refused", [])
    assert (row.note or "").startswith("not written: pin-token still stands")
    assert str(PIN) not in str(row)


async def test_or_is_written_and_told(tmp_path: Path) -> None:
    row, files = await kept(tmp_path, replace(RULES, gate="warn"), SECRET)
    assert (row.outcome, len(files)) == ("recorded", 1)
    assert (row.note or "").startswith("written although pin-token still stands")


async def test_what_can_be_replaced_is(tmp_path: Path) -> None:
    body = json.dumps({"user": {"password": UNGUESSABLE}}).encode()
    row, (file,) = await kept(tmp_path, RedactionRules(), body)
    assert (row.outcome, row.note) == ("recorded", None)
    assert UNGUESSABLE not in file.read_text()


@pytest.mark.parametrize("later", ["the answer", "the request"])
async def test_what_an_earlier_run_found_is_secret_in_a_later_one(
    tmp_path: Path, later: str
) -> None:
    tokens = JsonRule("tok", lambda value: [("tok",)] if "tok" in value else [])
    row, _ = await kept(
        tmp_path, RedactionRules(json=(tokens,)), json.dumps({"tok": UNGUESSABLE}).encode()
    )
    assert row.outcome == "recorded"
    in_answer = later == "the answer"
    body = json.dumps({"say": f"is it {UNGUESSABLE}?" if in_answer else "no"}).encode()
    path = "/v1/y" if in_answer else f"/v1/files/{UNGUESSABLE}"
    row, files = await kept(tmp_path, RedactionRules(), body, path=path)
    assert row.outcome == "recorded"
    assert len(files) == 2
    assert not any(UNGUESSABLE in str(file) + file.read_text() for file in files)


async def test_side_files_go_through_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Headers = (("content-type", "application/octet-stream"),)
    body = b"\xff" * 300_000 + f"\npassword: {UNGUESSABLE}\n".encode()
    row, files = await kept(tmp_path, RedactionRules(), body, kind)
    assert (row.outcome, sorted(file.suffix for file in files)) == ("recorded", [".bin", ".json"])
    assert not any(UNGUESSABLE.encode() in file.read_bytes() for file in files)
    # As if redaction had overlooked it.
    monkeypatch.setattr(Redactor, "document", lambda self, document, *_: (document, ()))
    row, files = await kept(tmp_path / "other", RedactionRules(), body, kind)
    assert (row.outcome, files) == ("refused", [])
    assert "credential-field still stands in a side file" in (row.note or "")


async def test_a_body_under_an_unknown_coding_is_not_written(tmp_path: Path) -> None:
    odd: Headers = (*JSON, ("content-encoding", "x-odd"))
    row, files = await kept(tmp_path, RedactionRules(), b"\x01\x02", odd)
    assert (row.outcome, files) == ("refused", [])
    assert row.note == (
        "not written: content coding x-odd not decoded in response.body;"
        " in config.yaml: redact: {unsearched: [x-odd]}"
    )
    rules = RedactionRules(unsearched=frozenset(["x-odd"]))
    row, files = await kept(tmp_path, rules, b"\x01\x02", odd)
    assert (row.outcome, len(files)) == ("recorded", 1)


async def test_a_body_that_is_too_large_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "MAX_DECODED", 100)
    row, files = await kept(tmp_path, RedactionRules(), b'"' + b"a" * 200 + b'"')
    assert (row.outcome, files) == ("refused", [])


async def journaled(
    folder: Path, outcome: Outcome = "ended", status: int = 200, **options: Any
) -> tuple[Intake, Recorder, Journal]:
    """An exchange that was put, not waited for."""
    providers = built_in()
    sessions = Sessions(
        lambda name: Library(folder / "r", Matcher(providers), state=LocalState(folder))
    )
    journal = Journal(folder, folder / "r")
    intake = Intake(
        Redactor(RedactionRules()), providers, Report("record"), journal=journal, **options
    )
    recorder = Recorder(
        Request(
            "POST", "https", "api.together.xyz", 443, "/v1/x", headers=JSON, body=b'{"model":"m"}'
        )
    )
    intake.begin(recorder, sessions.own)
    recorder.start(status, JSON, 0.1)
    recorder.read(b"[1]", 0.2)
    intake.put(recorder, outcome, 0.3, sessions.own)
    return intake, recorder, journal


def journal_files(journal: Journal) -> list[Path]:
    return [path for path in journal.folder.iterdir() if path.name.isdecimal()]


async def test_what_waits_to_be_written_is_in_the_journal(tmp_path: Path) -> None:
    intake, recorder, journal = await journaled(tmp_path)
    (path,) = journal_files(journal)
    found = read(path, journal.key)
    assert found is not None
    assert found.ended
    assert found.recorder.reads == recorder.reads
    await intake.drain()
    assert journal_files(journal) == []
    assert len(list((tmp_path / "r").rglob("*.json"))) == 1
    await intake.finish()
    assert not journal.folder.exists()


async def test_an_outage_stays_in_the_journal_as_long_as_a_retry_may_come(tmp_path: Path) -> None:
    intake, _, journal = await journaled(tmp_path, status=503)
    await intake.drain()
    assert len(journal_files(journal)) == 1
    await intake.finish()
    assert not journal.folder.exists()


async def test_an_exchange_that_is_forgotten_is_not_in_the_journal(tmp_path: Path) -> None:
    intake, recorder, journal = await journaled(tmp_path)
    intake.forget(recorder)
    assert journal_files(journal) == []
    await intake.finish()


async def test_a_recording_says_when_its_exchange_ended(tmp_path: Path) -> None:
    when = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
    intake, _, _ = await journaled(tmp_path, clock=lambda: when)
    await intake.finish()
    (path,) = (tmp_path / "r").rglob("*.json")
    assert json.loads(path.read_bytes())["recorded_at"] == "2026-11-20T17:30:00.000001Z"


async def test_a_burst_is_slowed_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wiretape.intake.intake._MOST_BYTES_BEHIND", 10)
    providers = built_in()
    sessions = Sessions(
        lambda name: Library(tmp_path / "r", Matcher(providers), state=LocalState(tmp_path))
    )
    report = Report("record")
    intake = Intake(Redactor(RedactionRules()), providers, report)
    recorder = Recorder(Request("GET", "https", "api.together.xyz", 443, "/v1/x"))
    recorder.start(200, JSON, 0.1)
    recorder.read(b'{"a":"more than ten"}', 0.2)
    intake.put(recorder, "ended", 0.3, sessions.own)
    intake._start_waiting(asyncio.get_running_loop())
    assert not intake._room.is_set()
    await intake.wait_for_room()
    assert report.counts == {"recorded": 1}
    await intake.finish()


async def test_rules_that_found_something_are_known_whatever_became_of_the_request(
    tmp_path: Path,
) -> None:
    providers, report = built_in(), Report("record")
    rules = [rule({"name": name, "ignore": [f"$.{name}"]}) for name in ("a", "b", "c")]
    matcher = Matcher(providers, rules=rules)
    sessions = Sessions(lambda name: Library(tmp_path, matcher, state=LocalState(tmp_path)))
    intake = Intake(Redactor(RedactionRules()), providers, report)
    live = Request("GET", "https", "api.openai.com", 443, "/v1/realtime")
    recorder = WebSocketRecorder(live)
    recorder.start(101, (), 0.1)
    recorder.message("client", b'{"a": 1}', 0.2, binary=False)
    recorder.message("server", b'{"c": 1}', 0.2, binary=False)
    intake.put(recorder, recorder.closed("client", 1000, ""), 0.3, sessions.own)
    failed = Request(
        "POST", "https", "api.openai.com", 443, "/v1/x", headers=JSON, body=b'{"b": 1}'
    )
    intake.report_unrecorded(failed, "failed", "not reached", sessions.own)
    await intake.finish()
    assert [row.outcome for row in report.rows] == ["failed", "recorded"]
    assert report.applied == {"a", "b"}
