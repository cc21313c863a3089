"""What a run that was killed left behind becomes recordings of the next."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wiretape.config.packs import built_in
from wiretape.core.capture.recorder import Recorder
from wiretape.core.errors import StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Headers, Outcome, Request
from wiretape.core.playback.player import Player
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.intake.exchange_writer import EndedExchange, ExchangeWriter
from wiretape.intake.journal import Journal
from wiretape.intake.journal_reader import KEEP_SECONDS
from wiretape.intake.recovery import recover
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Session

JSON: Headers = (("content-type", "application/json"),)
SSE: Headers = (("content-type", "text/event-stream"),)
CHAT = Request(
    "POST", "https", "api.openai.com", 443, "/v1/chat/completions", headers=JSON, body=b'{"a":1}'
)
PROVIDERS = built_in()
WHEN = "2026-11-20T17:30:00Z"
DEAD = 2**22 + 1  # greater than any process's number


def dead(journal: Journal) -> None:
    """The run of a journal is over, as after a kill."""
    journal._lock.release()


class Case:
    """A folder of recordings, a home for journals, and what is told."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.recordings = folder / "r"
        self.runtime = folder / "runtime"
        self.report = Report("record")
        self.rules = RedactionRules()

    def library(
        self, name: str | None = None, replaces: bool = True, since_ns: float = float("inf")
    ) -> Library:
        record_mode: Any = "replace" if replaces else "append"
        library = Library(
            self.recordings,
            Matcher(PROVIDERS),
            session=name,
            state=LocalState(self.home),
            record_mode=record_mode,
        )
        library.join(since_ns)
        library.load()
        return library

    def recover(self, opened: Any = None) -> None:
        recover(
            self.home,
            self.recordings,
            Redactor(self.rules),
            PROVIDERS,
            self.report,
            opened or self.library,
        )

    def killed(
        self,
        answer: bytes,
        outcome: Outcome | None = "ended",
        session: str | None = None,
        recordings: Path | None = None,
    ) -> Journal:
        """A journal with an exchange whose run was killed; None: before it ended."""
        self.home.mkdir(exist_ok=True)
        journal = Journal(self.home, recordings or self.recordings, self.rules.values)
        recorder = answered(journal, answer, session)
        if outcome is not None:
            assert recorder.listener is not None
            recorder.listener.ended(recorder, outcome, 0.5, WHEN)  # type: ignore[attr-defined]  # a ExchangeFile
        dead(journal)
        return journal

    def record(self, answer: bytes, recorded_at: str = WHEN) -> None:
        """A recording of a run that was not killed."""
        self.home.mkdir(exist_ok=True)
        recorder = answered(None, answer)
        library = self.library()
        session = Session(name=None, library=library, player=Player("last"))
        writer = ExchangeWriter(
            Redactor(self.rules), PROVIDERS, Report("record"), record_errors=False
        )
        (row,) = writer.keep(EndedExchange(recorder, "ended", 0.5, session, recorded_at))
        assert row.outcome == "recorded"
        library.leave()

    def answers(self) -> dict[str, Any]:
        """What the recordings answer, by name."""
        found = {
            path.relative_to(self.recordings).as_posix(): json.loads(path.read_bytes())
            for path in sorted(self.recordings.rglob("*.json"))
        }
        return {
            name: (document["response"]["body"].get("__data__"), document["response"].get("end"))
            for name, document in found.items()
        }

    def journals(self) -> list[Path]:
        return list((self.home / "journal").iterdir())

    def keys(self) -> list[Path]:
        return list((self.runtime / "wiretape").iterdir())


def answered(journal: Journal | None, answer: bytes, session: str | None = None) -> Recorder:
    recorder = Recorder(CHAT)
    if journal is not None:
        recorder.listener = journal.begin(CHAT, session, WHEN)
    recorder.start(200, (*JSON, ("content-length", "3")), 0.125)
    recorder.read(answer, 0.25)
    return recorder


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    case = Case(tmp_path)
    case.runtime.mkdir()
    monkeypatch.setenv("WIRETAPE_RUNTIME_DIR", str(case.runtime))
    return case


def test_an_exchange_that_had_ended_is_recorded(case: Case) -> None:
    case.killed(b"[1]")
    case.recover()
    assert list(case.answers().values()) == [([1], None)]
    assert (case.journals(), case.keys()) == ([], [])
    (notice,) = case.report.notices
    assert notice.startswith("recovered 1 exchange of a run that was killed (20")
    assert notice.endswith(f": {next(iter(case.answers()))}")
    assert not case.report.rows


def test_a_session_gets_what_is_its_own(case: Case) -> None:
    case.killed(b"[1]", session="one")
    case.recover()
    (name,) = case.answers()
    assert name.startswith("one/api.openai.com/")


def test_one_that_had_ended_takes_the_place_of_an_older_recording(case: Case) -> None:
    case.record(b"[0]")
    case.killed(b"[1]")
    case.recover()
    assert list(case.answers().values()) == [([1], None)]


def test_but_of_none_that_is_younger_than_the_run(case: Case) -> None:
    case.killed(b"[1]")
    case.record(b"[2]")
    case.recover()
    assert sorted(case.answers().values()) == [([1], None), ([2], None)]


def test_one_that_had_not_ended_takes_no_place(case: Case) -> None:
    case.record(b"[0]")
    case.killed(b"[1", None)
    case.recover()
    assert sorted(end or "" for _, end in case.answers().values()) == ["", "cut"]
    assert "1 of them incomplete" in case.report.notices[0]


def test_what_was_written_just_before_the_kill_is_not_written_again(case: Case) -> None:
    case.killed(b"[1]")
    case.record(b"[1]")
    case.recover()
    assert list(case.answers().values()) == [([1], None)]
    assert case.report.notices == []
    assert case.journals() == []


def test_a_request_that_had_no_answer_is_dropped(case: Case) -> None:
    case.home.mkdir()
    journal = Journal(case.home, case.recordings)
    journal.begin(CHAT, None, WHEN)
    dead(journal)
    case.recover()
    assert case.answers() == {}
    assert case.journals() == []


def test_what_holds_a_secret_is_refused_and_fails_the_run(case: Case) -> None:
    # A number stays a number: redaction cannot take it out.
    case.rules = replace(case.rules, values=(("PIN_TOKEN", "271828182845904523536028"),))
    case.killed(b'{"pin":271828182845904523536028}')
    case.recover()
    (row,) = case.report.rows
    assert row.outcome == "refused"
    assert case.answers() == {}
    assert case.journals() == []


def test_without_the_secrets_the_run_knew_nothing_is_recorded(case: Case) -> None:
    known = (("DATABASE_PASSWORD", "hunter2-correct-horse"), ("OPENAI_API_KEY", "sk-1"))
    case.rules = replace(case.rules, values=known)
    journal = case.killed(b"[1]")
    case.rules = replace(case.rules, values=(known[1], ("DATABASE_PASSWORD", "another")))
    case.recover()
    assert case.answers() == {}
    (notice,) = case.report.notices
    assert "DATABASE_PASSWORD had another value then, or is not set now" in notice
    assert "hunter2" not in notice + (journal.folder / "run.json").read_text()
    case.rules = replace(case.rules, values=(*known, ("MORE", "more")))
    case.recover()
    assert list(case.answers().values()) == [([1], None)]


def test_what_cannot_be_written_waits_for_a_later_run(case: Case) -> None:
    case.killed(b"[1]")

    def full(name: str | None, replaces: bool, since_ns: int) -> Library:
        raise StoreError("r: cannot be written: No space left on device")

    case.recover(full)
    assert case.report.notices == [
        "exchanges of a run that was killed wait for the next run: r: cannot be written:"
        " No space left on device"
    ]
    case.recover()
    assert list(case.answers().values()) == [([1], None)]


def test_a_journal_of_another_folder_is_left_until_it_is_old(case: Case, tmp_path: Path) -> None:
    journal = case.killed(b"[1]", recordings=tmp_path / "other")
    case.recover()
    assert case.journals() == [journal.folder]
    old = os.stat(journal.folder).st_mtime - KEEP_SECONDS - 1
    for path in (journal.folder / "1", journal.folder):
        os.utime(path, (old, old))
    case.recover()
    assert (case.journals(), case.keys()) == ([], [])
    assert case.answers() == {}


def aged(folder: Path) -> None:
    """Make a journal as old as one that nobody comes for."""
    old = os.stat(folder).st_mtime - KEEP_SECONDS - 1
    for path in (*folder.iterdir(), folder):
        os.utime(path, (old, old))


def lost(journal: Journal) -> None:
    """The machine has restarted: its memory is gone."""
    journal.key.path.unlink()


def test_without_its_key_a_journal_is_told_and_removed(case: Case) -> None:
    lost(case.killed(b"[1]"))
    case.recover()
    (notice,) = case.report.notices
    assert re.fullmatch(
        r"1 exchange of a run that was killed \(20..-..-..T..:..:..Z\) could not be recovered: its"
        r" key went with the machine's memory",
        notice,
    )
    assert (case.journals(), case.answers()) == ([], {})
    assert not case.report.rows


def test_without_its_key_another_folders_journal_is_left_until_it_is_old(
    case: Case, tmp_path: Path
) -> None:
    journal = case.killed(b"[1]", recordings=tmp_path / "other")
    lost(journal)
    case.recover()
    assert case.journals() == [journal.folder]
    aged(journal.folder)
    case.recover()
    assert (case.journals(), case.report.notices) == ([], [])


def test_an_old_journal_without_its_key_goes_untold(case: Case) -> None:
    journal = case.killed(b"[1]")
    lost(journal)
    aged(journal.folder)
    case.recover()
    assert (case.journals(), case.report.notices) == ([], [])


def test_a_key_is_found_where_the_run_kept_it(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.killed(b"[1]")
    monkeypatch.setenv("WIRETAPE_RUNTIME_DIR", str(tmp_path / "elsewhere"))
    case.recover()
    assert list(case.answers().values()) == [([1], None)]
    assert case.keys() == []


def test_a_journal_names_no_other_file_as_its_key(case: Case, tmp_path: Path) -> None:
    journal = case.killed(b"[1]")
    other = journal.key.path.rename(journal.key.path.with_name("other"))
    told = json.loads((journal.folder / "run.json").read_bytes())
    (journal.folder / "run.json").write_text(json.dumps({**told, "key": str(other)}))
    case.recover()
    assert case.answers() == {}
    assert case.keys() == [other]


@pytest.mark.parametrize("text", ["", "{}", '{"wiretape_journal": 1, "salt": "", "known": []}'])
def test_a_journal_that_makes_no_sense_is_left_until_it_is_old(case: Case, text: str) -> None:
    journal = case.killed(b"[1]")
    (journal.folder / "run.json").write_text(text)
    case.recover()
    assert case.journals() == [journal.folder]
    aged(journal.folder)
    case.recover()
    assert (case.journals(), case.report.notices) == ([], [])


def test_files_that_make_no_sense_are_left_out(case: Case) -> None:
    journal = case.killed(b"[1]")
    (journal.folder / "7").write_bytes(b"Q\x02\0\0\0")
    (journal.folder / "8").write_bytes(b"")
    case.recover()
    assert list(case.answers().values()) == [([1], None)]
    assert case.journals() == []


def test_temporary_files_of_the_dead_are_removed_and_those_of_the_living_stay(case: Case) -> None:
    case.killed(b"[1]")
    place = case.recordings / "deep"
    place.mkdir(parents=True)
    names = [
        f".{DEAD}-0123456789ab.tmp",
        f".{os.getpid()}-0123456789ab.tmp",
        f".{os.getppid()}-0123456789ab.tmp",
        ".0123456789abcdef.tmp",
        ".wiretape-rekey-0.tmp",
    ]
    for name in names:
        (place / name).write_text("")
    os.utime(place / names[3], (0, 0))
    case.recover()
    assert sorted(path.name for path in place.iterdir()) == sorted([names[2], names[4]])
