"""From a finished exchange to a file, and what is kept from becoming one."""

import asyncio
import json
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
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.intake.exchange_writer import forget
from wiretape.intake.intake import Intake
from wiretape.intake.journal import Journal
from wiretape.intake.journal_reader import read
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

JSON: Headers = (("content-type", "application/json"),)
UNGUESSABLE = "kV8w2Qz7T5rXn1Lp" + "Yb4Hs9Gd"


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
    forget(recorder)
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


async def test_what_ended_in_one_moment_is_written_in_one_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few at a time, though, and what is large by itself: the folder is locked meanwhile."""
    providers = built_in()
    sessions = Sessions(
        lambda name: Library(tmp_path / "r", Matcher(providers), state=LocalState(tmp_path))
    )
    report = Report("record")
    intake = Intake(Redactor(RedactionRules()), providers, report)
    batches: list[int] = []
    keep = intake.writer.keep_together

    def counted(endings: Any) -> Any:
        batches.append(len(endings))
        return keep(endings)

    monkeypatch.setattr(intake.writer, "keep_together", counted)
    monkeypatch.setattr("wiretape.intake.intake._MOST_TOGETHER", 4)
    monkeypatch.setattr("wiretape.intake.intake._MOST_BYTES_TOGETHER", 1000)
    for number in range(8):
        request = Request("GET", "https", "api.openai.com", 443, f"/v1/models/{number}")
        recorder = Recorder(request)
        recorder.start(200, JSON, 0.1)
        recorder.read(b"[%s1]" % (b" " * (2000 if number == 5 else 0)), 0.2)
        intake.put(recorder, "ended", 0.3, sessions.own)
    assert intake.backlog == 8
    await intake.drain()
    assert (batches, intake.backlog) == ([4, 1, 1, 2], 0)
    assert [row.path for row in report.rows] == [f"/v1/models/{number}" for number in range(8)]
    assert len(list((tmp_path / "r").rglob("*.json"))) == 8
    await intake.finish()
