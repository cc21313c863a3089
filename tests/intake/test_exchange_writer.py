"""From a finished exchange to a file, and what is kept from becoming one."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from wiretape.config.load import load
from wiretape.config.packs import built_in
from wiretape.core.capture.recorder import Recorder
from wiretape.core.conversation.estimate import usage_of
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Headers, Request
from wiretape.core.playback.player import Player
from wiretape.core.redaction import encodings
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import JsonRule, RedactionRules
from wiretape.intake.exchange_writer import ALREADY_RECORDED, EndedExchange, ExchangeWriter
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report, Row
from wiretape.sessions.sessions import Session

JSON: Headers = (("content-type", "application/json"),)
UNGUESSABLE = "kV8w2Qz7T5rXn1Lp" + "Yb4Hs9Gd"
WHEN = "2026-11-20T17:30:00.000000Z"


def kept(
    folder: Path,
    rules: RedactionRules,
    body: bytes,
    headers: Headers = JSON,
    path: str = "/v1/x",
) -> tuple[Row, list[Path]]:
    """The row of an exchange with that answer, and the files there are then."""
    providers = built_in()
    library = Library(folder / "r", Matcher(providers), state=LocalState(folder))
    library.load()
    session = Session(name=None, library=library, player=Player("last"))
    redactor = Redactor(rules, remember=True)
    writer = ExchangeWriter(redactor, providers, Report("record"), record_errors=False)
    (row,) = writer.keep(EndedExchange(answered(body, headers, path), "ended", 0.3, session, WHEN))
    library.leave()
    return row, [path for path in (folder / "r").rglob("*") if path.suffix in (".json", ".bin")]


def answered(
    body: bytes, headers: Headers = JSON, path: str = "/v1/x", status: int = 200
) -> Recorder:
    request = Request(
        "POST", "https", "api.together.xyz", 443, path, headers=JSON, body=b'{"model":"m"}'
    )
    recorder = Recorder(request)
    recorder.start(status, headers, 0.1)
    recorder.read(body, 0.2)
    return recorder


# A number stays a number: redaction cannot take it out.
PIN = 271828182845904523536028
SECRET = json.dumps({"user": {"pin": PIN}}).encode()
RULES = RedactionRules(values=(("PIN_TOKEN", str(PIN)),))


def test_what_still_holds_a_secret_is_not_written(tmp_path: Path) -> None:
    row, files = kept(tmp_path, RULES, SECRET)
    assert (row.outcome, files) == ("refused", [])
    assert (row.note or "").startswith("not written: pin-token still stands")
    assert str(PIN) not in str(row)


def test_or_is_written_and_told(tmp_path: Path) -> None:
    row, files = kept(tmp_path, replace(RULES, gate="warn"), SECRET)
    assert (row.outcome, len(files)) == ("recorded", 1)
    assert (row.note or "").startswith("written although pin-token still stands")


def test_what_can_be_replaced_is(tmp_path: Path) -> None:
    body = json.dumps({"user": {"password": UNGUESSABLE}}).encode()
    row, (file,) = kept(tmp_path, RedactionRules(), body)
    assert (row.outcome, row.note) == ("recorded", None)
    assert UNGUESSABLE not in file.read_text()


@pytest.mark.parametrize("later", ["the answer", "the request"])
def test_what_an_earlier_run_found_is_secret_in_a_later_one(tmp_path: Path, later: str) -> None:
    tokens = JsonRule("tok", lambda value: [("tok",)] if "tok" in value else [])
    row, _ = kept(
        tmp_path, RedactionRules(json=(tokens,)), json.dumps({"tok": UNGUESSABLE}).encode()
    )
    assert row.outcome == "recorded"
    in_answer = later == "the answer"
    body = json.dumps({"say": f"is it {UNGUESSABLE}?" if in_answer else "no"}).encode()
    path = "/v1/y" if in_answer else f"/v1/files/{UNGUESSABLE}"
    row, files = kept(tmp_path, RedactionRules(), body, path=path)
    assert row.outcome == "recorded"
    assert len(files) == 2
    assert not any(UNGUESSABLE in str(file) + file.read_text() for file in files)


def test_side_files_go_through_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind: Headers = (("content-type", "application/octet-stream"),)
    body = b"\xff" * 300_000 + f"\npassword: {UNGUESSABLE}\n".encode()
    row, files = kept(tmp_path, RedactionRules(), body, kind)
    assert (row.outcome, sorted(file.suffix for file in files)) == ("recorded", [".bin", ".json"])
    assert not any(UNGUESSABLE.encode() in file.read_bytes() for file in files)
    # As if redaction had overlooked it.
    monkeypatch.setattr(Redactor, "document", lambda self, document, *_: (document, ()))
    row, files = kept(tmp_path / "other", RedactionRules(), body, kind)
    assert (row.outcome, files) == ("refused", [])
    assert "credential-field still stands in a side file" in (row.note or "")


def test_a_body_under_an_unknown_coding_is_not_written(tmp_path: Path) -> None:
    odd: Headers = (*JSON, ("content-encoding", "x-odd"))
    row, files = kept(tmp_path, RedactionRules(), b"\x01\x02", odd)
    assert (row.outcome, files) == ("refused", [])
    assert row.note == (
        "not written: content coding x-odd not decoded in response.body;"
        " in config.yaml: redact: {unsearched: [x-odd]}"
    )
    rules = RedactionRules(unsearched=frozenset(["x-odd"]))
    row, files = kept(tmp_path, rules, b"\x01\x02", odd)
    assert (row.outcome, len(files)) == ("recorded", 1)


def test_a_body_that_is_too_large_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "MAX_DECODED", 100)
    row, files = kept(tmp_path, RedactionRules(), b'"' + b"a" * 200 + b'"')
    assert (row.outcome, files) == ("refused", [])


def writer_for(folder: Path, **options: Any) -> tuple[ExchangeWriter, Session]:
    library = Library(folder / "r", Matcher(built_in()), state=LocalState(folder), **options)
    library.load()
    session = Session(name=None, library=library, player=Player("last"))
    redactor = Redactor(RedactionRules(), remember=True)
    return ExchangeWriter(redactor, built_in(), Report("record"), record_errors=False), session


def ended(session: Session, status: int = 200, at: str = WHEN) -> EndedExchange:
    return EndedExchange(answered(b"[1]", status=status), "ended", 0.3, session, at)


def test_an_outage_waits_for_its_retry_and_is_written_before_it(tmp_path: Path) -> None:
    writer, session = writer_for(tmp_path)
    assert writer.keep(ended(session, 429)) == []
    rows = writer.keep(ended(session, at="2026-11-20T17:30:01.000000Z"))
    assert [(row.status, row.outcome) for row in rows] == [(429, "recorded"), (200, "recorded")]
    assert writer.drop_outages() == []
    assert len(writer.written) == 2


def test_without_a_retry_it_is_dropped_and_said_to_be(tmp_path: Path) -> None:
    writer, session = writer_for(tmp_path)
    writer.keep(ended(session, 503))
    (row,) = writer.drop_outages()
    assert (row.outcome, row.note) == (
        *("skipped", "a 503 is not recorded (record.errors: true would)"),
    )
    assert writer.written == ()


def test_what_is_recorded_already_is_left_where_that_is_wanted(tmp_path: Path) -> None:
    writer, session = writer_for(tmp_path)
    writer.keep(ended(session))
    session.library.leave()
    writer, session = writer_for(tmp_path, record_mode="missing-only")
    (row,) = writer.keep(ended(session))
    assert (row.outcome, row.note) == ("passed", ALREADY_RECORDED)


def test_a_value_that_becomes_known_later_is_found_in_what_was_written(tmp_path: Path) -> None:
    writer, session = writer_for(tmp_path)
    said = json.dumps({"say": f"is it {UNGUESSABLE}?"}).encode()
    named = json.dumps({"password": UNGUESSABLE}).encode()
    writer.keep(EndedExchange(answered(said), "ended", 0.3, session, WHEN))
    assert writer.holding_late_values() == []
    later = "2026-11-20T17:30:01.000000Z"
    writer.keep(EndedExchange(answered(named, path="/v1/y"), "ended", 0.3, session, later))
    (late,) = writer.holding_late_values()
    assert late == writer.written[0]


def test_a_fault_inside_fails_the_run_and_shows_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise KeyError(UNGUESSABLE)

    monkeypatch.setattr(Redactor, "document", fail)
    writer, session = writer_for(tmp_path)
    (row,) = writer.keep(ended(session))
    assert row.outcome == "refused"
    assert row.note == "not written: wiretape failed inside (KeyError); -v shows where"


def opened(folder: Path, redactor: Redactor) -> tuple[ExchangeWriter, Session]:
    providers = built_in()
    library = Library(folder / "r", Matcher(providers), state=LocalState(folder))
    library.load()
    session = Session(name=None, library=library, player=Player("last"))
    return ExchangeWriter(redactor, providers, Report("record"), record_errors=False), session


def test_one_that_is_refused_leaves_those_written_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused by the gate, by the disk, by a fault of ours: each says so, in its place."""
    writer, session = opened(tmp_path, Redactor(RULES, remember=True))
    bodies = [b"[1]", SECRET, b"[2]", b"[3]", b"[4]"]
    paths = [f"/v1/x{number}" for number in range(5)]
    endings = [
        EndedExchange(answered(body, path=path), "ended", 0.3, session, WHEN)
        for body, path in zip(bodies, paths, strict=True)
    ]
    dropped: list[str] = []
    for ending in endings:
        ending.recorder.listener = cast(Any, Listener(ending.recorder.request.path, dropped))
    monkeypatch.setattr(endings[3].recorder, "finish", None)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".gitattributes").touch()
    real, calls = os.fsync, 0

    def sync(handle: int) -> None:
        nonlocal calls
        calls += 1
        # Nothing is dropped from the journal before it is on disk.
        assert dropped == [paths[1], paths[3]]
        if calls == 2:
            raise OSError(5, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    rows = [row for (row,) in writer.keep_together(endings)]
    outcomes = ["recorded", "refused", "refused", "refused", "recorded"]
    assert [row.outcome for row in rows] == outcomes
    assert [row.path for row in rows if row.outcome == "recorded"] == [paths[0], paths[4]]
    for row, note in zip(rows[1:4], ("pin-token", "Input/output", "failed inside"), strict=True):
        assert note in (row.note or "")
    assert sorted(dropped) == sorted(paths)
    files = sorted((tmp_path / "r").rglob("*.json"))
    assert [json.loads(path.read_bytes())["request"]["url"][-2:] for path in files] == ["x0", "x4"]
    assert writer.written == tuple(session.library.folder / str(rows[n].recording) for n in (0, 4))


class Listener:
    def __init__(self, name: str, dropped: list[str]) -> None:
        self.name, self.dropped = name, dropped

    def drop(self) -> None:
        self.dropped.append(self.name)


def test_a_fault_of_ours_while_a_batch_is_written_is_told_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, session = opened(tmp_path, Redactor(RedactionRules()))
    recorders = [answered(b"[%d]" % number, path=f"/v1/x{number}") for number in range(2)]
    endings = [EndedExchange(recorder, "ended", 0.3, session, WHEN) for recorder in recorders]
    monkeypatch.setattr(os, "replace", None)
    rows = [row for (row,) in writer.keep_together(endings)]
    assert [row.outcome for row in rows] == ["refused"] * 2
    monkeypatch.undo()
    assert list((tmp_path / "r").rglob("*.tmp")) == []
    (row,) = writer.keep(EndedExchange(answered(b"[2]"), "ended", 0.3, session, WHEN))
    assert row.outcome == "recorded"


def test_an_id_is_named_by_an_answer_that_is_written_with_the_request(tmp_path: Path) -> None:
    writer, session = opened(tmp_path, Redactor(RedactionRules(), remember=True))
    made = answered(b'{"id":"batch_abc123","object":"batch"}', path="/v1/batches")
    asked = answered(b'{"id":"batch_abc123","status":"done"}', path="/v1/batches/batch_abc123")
    endings = [EndedExchange(each, "ended", 0.3, session, WHEN) for each in (made, asked)]
    (first,), (second,) = writer.keep_together(endings)
    document = json.loads((session.library.folder / str(second.recording)).read_bytes())
    token = str(first.recording).rpartition("/")[2].removesuffix(".json")
    assert document["request"]["ids"] == {"batch_abc123": f"{token}#0"}


def test_exchanges_of_several_sessions_are_written_each_in_its_own(tmp_path: Path) -> None:
    redactor = Redactor(RedactionRules(), remember=True)
    places = [opened(tmp_path / name, redactor) for name in ("a", "b")]
    writer = places[0][0]
    endings = [
        EndedExchange(answered(b"[%d]" % n), "ended", 0.3, places[n % 2][1], WHEN) for n in range(4)
    ]
    rows = [row for (row,) in writer.keep_together(endings)]
    for number, row in enumerate(rows):
        path = places[number % 2][1].library.folder / str(row.recording)
        assert json.loads(path.read_bytes())["response"]["body"]["__data__"] == [number]


@pytest.mark.parametrize(
    ("media", "reads"),
    [
        ("text/event-stream", [b'data: {"choices":[{"delta":{"content":"Hello %d"}}]}\n\n'] * 9),
        ("text/event-stream", [b"data: hi\n\n", b": ping\n\n", b"data: [1]\n\ndata: [DONE]\n\n"]),
        ("application/x-ndjson", [b'{"message":{"content":"Hello"}}\n', b'{"done":true}\n']),
        ("application/json", [b'{"choices":[{"message":{"content":"Hello"}}]}']),
        ("text/plain", [b"Hello"]),
    ],
)
def test_tokens_are_estimated_as_from_the_wire(
    tmp_path: Path, media: str, reads: list[bytes]
) -> None:
    """Though the answer's JSON is not read once more for it."""
    writer, session = opened(tmp_path, Redactor(RedactionRules()))
    writer._report.prices = lambda: load(None, {}).prices
    recorder = answered(b"".join(reads), (("content-type", media),), "/v1/chat/completions")
    exchange = recorder.finish("ended", 0.3)
    (row,) = writer.keep(EndedExchange(recorder, "ended", 0.3, session, WHEN))
    assert row.usage == usage_of(exchange.request, exchange.response)
    assert row.usage is not None
