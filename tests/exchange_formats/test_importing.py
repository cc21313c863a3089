"""What other tools recorded becomes recordings: whole, in order, without secrets, over nothing."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.support import paths, realwire

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Exchange
from wiretape.core.playback.policy import RecordMode
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.exchange_formats.importing import ImportedFile, Importer, Source, session_names
from wiretape.intake.exchange_writer import ExchangeWriter
from wiretape.library.library import Library, LocalState
from wiretape.library.recording_file import load
from wiretape.report.report import Report

KEY = "sk-proj-" + "a1B2c3D4" * 8


def interaction(prompt: str, answer: str, **headers: str) -> dict[str, object]:
    body = f'{{"model":"m","messages":[{{"role":"user","content":"{prompt}"}}]}}'
    url = "https://api.openai.com/v1/chat/completions"
    return {
        "request": {"method": "POST", "uri": url, "body": body, "headers": headers},
        "response": {
            "status": {"code": 200},
            "headers": {"content-type": ["application/json"]},
            "body": {"string": f'{{"choices":[{{"message":{{"content":"{answer}"}}}}]}}'},
        },
    }


def cassette(path: Path, *interactions: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"interactions": list(interactions), "version": 1}))
    return path


type Import = Callable[..., ImportedFile]


@pytest.fixture
def import_file(tmp_path: Path) -> Import:
    """Imports a file into tmp_path/recordings as a run of its own."""

    def run(
        path: Path,
        session: str | None = None,
        record_mode: RecordMode = "missing-only",
        source: Source = Source(),  # noqa: B008  # it is frozen
    ) -> ImportedFile:
        redactor = Redactor(RedactionRules(), remember=True)

        def opened(name: str | None) -> Library:
            library = Library(
                tmp_path / "recordings",
                Matcher(built_in()),
                redactor.request,
                name,
                LocalState(tmp_path),
                record_mode,
            )
            library.load()
            return library

        writer = ExchangeWriter(redactor, built_in(), Report("record"), record_errors=True)
        importer = Importer(writer, opened)
        try:
            return importer.add(path, session, source)
        finally:
            importer.close()

    return run


def recorded(tmp_path: Path) -> list[Exchange]:
    """What is recorded, in the order it was made."""
    exchanges = [load(path).exchange for path in (tmp_path / "recordings").rglob("*.json")]
    return sorted(exchanges, key=lambda exchange: str(exchange.recorded_at))


def test_a_cassette_becomes_recordings_without_its_key(import_file: Import, tmp_path: Path) -> None:
    path = cassette(
        tmp_path / "a.yaml", interaction("hi", f"use {KEY}", authorization=f"Bearer {KEY}")
    )
    result = import_file(path)
    assert (result.format, result.imported, result.is_whole) == ("vcr", 1, True)
    text = next((tmp_path / "recordings").rglob("*.json")).read_text()
    assert KEY not in text
    assert "REDACTED" in text


def test_equal_requests_keep_the_order_of_their_answers(
    import_file: Import, tmp_path: Path
) -> None:
    answers = [f"answer {number}" for number in range(12)]
    import_file(cassette(tmp_path / "a.yaml", *(interaction("hi", text) for text in answers)))
    stored = [exchange.response.body.decode() for exchange in recorded(tmp_path)]
    assert [text for text, body in zip(answers, stored, strict=True) if text in body] == answers


def test_a_second_import_changes_nothing(import_file: Import, tmp_path: Path) -> None:
    path = cassette(tmp_path / "a.yaml", interaction("hi", "one"), interaction("hi", "two"))
    import_file(path)
    before = {file: file.read_bytes() for file in (tmp_path / "recordings").rglob("*.json")}
    again = import_file(path)
    assert (again.imported, again.present, again.is_whole) == (0, 2, True)
    assert before == {file: file.read_bytes() for file in (tmp_path / "recordings").rglob("*.json")}


def test_only_who_asks_for_it_writes_over_recordings(import_file: Import, tmp_path: Path) -> None:
    import_file(cassette(tmp_path / "a.yaml", interaction("hi", "old")))
    path = cassette(tmp_path / "b.yaml", interaction("hi", "new"))
    import_file(path)
    assert [b"old" in exchange.response.body for exchange in recorded(tmp_path)] == [True]
    import_file(path, record_mode="append")
    assert len(recorded(tmp_path)) == 2
    import_file(path, record_mode="replace")
    assert [b"new" in exchange.response.body for exchange in recorded(tmp_path)] == [True]


def test_a_session_has_a_folder_of_its_own(import_file: Import, tmp_path: Path) -> None:
    import_file(cassette(tmp_path / "a.yaml", interaction("hi", "one")), "first")
    import_file(cassette(tmp_path / "b.yaml", interaction("hi", "two")), "second")
    assert {path.name for path in (tmp_path / "recordings").iterdir()} >= {"first", "second"}
    assert len(recorded(tmp_path)) == 2


def test_an_error_that_somebody_kept_is_kept(import_file: Import, tmp_path: Path) -> None:
    refusal = interaction("hi", "slow down")
    refusal["response"] = {"status": {"code": 429}, "headers": {}, "body": {"string": "{}"}}
    assert import_file(cassette(tmp_path / "a.yaml", refusal)).imported == 1
    assert recorded(tmp_path)[0].response.status == 429


def test_a_stream_is_cut_at_events_and_has_no_times(import_file: Import, tmp_path: Path) -> None:
    stream = interaction("hi", "")
    stream["response"] = {
        "status": {"code": 200},
        "headers": {"content-type": ["text/event-stream"], "content-length": ["9999"]},
        "body": {"string": "data: {}\n\ndata: {}\n\n"},
    }
    import_file(cassette(tmp_path / "a.yaml", stream))
    response = recorded(tmp_path)[0].response
    assert [(chunk.data, chunk.at) for chunk in response.chunks] == [(b"data: {}\n\n", None)] * 2
    assert (response.end, response.headers_at, response.end_at) == ("complete", None, None)


def test_a_coding_that_the_tool_has_undone_is_not_claimed(
    import_file: Import, tmp_path: Path
) -> None:
    coded = interaction("hi", "plain")
    coded["response"]["headers"]["content-encoding"] = ["gzip"]  # type: ignore[index]  # a dict
    import_file(cassette(tmp_path / "a.yaml", coded))
    response = recorded(tmp_path)[0].response
    assert b"plain" in response.body
    assert response.coding is None


def test_what_cannot_be_read_is_told_and_the_rest_is_kept(
    import_file: Import, tmp_path: Path
) -> None:
    result = import_file(cassette(tmp_path / "a.yaml", "nothing", interaction("hi", "one")))
    assert ([item.where for item in result.left_out], result.imported) == (["#1"], 1)
    assert not result.is_whole
    assert import_file(tmp_path / "none.yaml").error == "cannot be read: No such file or directory"
    (tmp_path / "page.html").write_text("<html>")
    assert "--from" in str(import_file(tmp_path / "page.html").error)


def test_sessions_are_named_after_files_and_never_alike() -> None:
    base = Path("cassettes")
    names = [
        *("test_a/test_b.yaml", "test_a/test_b.json", "test_a-test_b.yaml", "test_c[1 2].yaml"),
        *("test_c[1-2].yaml", "ü.yaml", "ö.yaml", "x" * 200 + ".yaml", "x" * 201 + ".yaml"),
    ]
    sessions = list(session_names((base / name, base) for name in names))
    assert sessions[0] == "test_a-test_b"
    assert len(set(sessions)) == len(names)
    assert max(map(len, sessions)) <= 100


@pytest.mark.skipif(not paths.WIRE.is_dir(), reason=f"{paths.WIRE} is not there")
def test_real_cassettes_are_carried_over_byte_for_byte(import_file: Import, tmp_path: Path) -> None:
    """Read by another reader, they say the same: 138 exchanges; the others hold a credential."""
    files = [path for path in sorted(paths.WIRE.rglob("*")) if ".y" in path.name]
    for number, path in enumerate(files):
        assert import_file(path, f"s{number}").error is None
    stored = Counter(map(facts, recorded(tmp_path)))
    exact = 0
    for real in realwire.exchanges():
        expected = (real.request.url, real.request.body, real.status, real.plain)
        exact += stored[expected] > 0
    assert exact >= 138
    assert stored.total() >= 150


def facts(exchange: Exchange) -> tuple[str, bytes, int, bytes]:
    request, response = exchange.request, exchange.response
    return request.url, request.body, response.status, response.body
