"""From a finished exchange to a file, and what is kept from becoming one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from wiretape import forms
from wiretape.intake import Intake
from wiretape.library import Library
from wiretape.match import Matcher
from wiretape.model import Headers, Request
from wiretape.providers import Providers
from wiretape.recorder import Recorder
from wiretape.redact import RedactionRules, Redactor
from wiretape.report import Report, Row

JSON: Headers = (("content-type", "application/json"),)
UNGUESSABLE = "kV8w2Qz-T5rXn1Lp"


async def kept(
    folder: Path, rules: RedactionRules, body: bytes, headers: Headers = JSON
) -> tuple[Row, list[Path]]:
    """The row of an exchange with that answer, and the files there are then."""
    report = Report("record")
    providers = Providers()
    library = Library(folder / "r", Matcher(providers), locks=folder)
    intake = Intake(library, Redactor(rules), providers, report)
    recorder = Recorder(
        Request("POST", "https", "api.together.xyz", 443, "/v1/x", JSON, b'{"model":"m"}')
    )
    recorder.start(200, headers, 0.1)
    recorder.read(body, 0.2)
    intake.put(recorder, "ended", 0.3)
    await intake.drain()
    intake.close()
    (row,) = report.rows
    return row, [path for path in (folder / "r").rglob("*") if path.suffix in (".json", ".bin")]


SECRET = json.dumps({"user": {"password": UNGUESSABLE}}).encode()
TOLD = (
    "credential-field still stands in response.body.__data__.user.password;"
    ' in config.yaml: redact: {json: ["$.user.password"]}'
)


async def test_what_still_holds_a_secret_is_not_written(tmp_path: Path) -> None:
    row, files = await kept(tmp_path, RedactionRules(), SECRET)
    assert (row.outcome, row.note, files) == ("refused", f"not written: {TOLD}", [])


async def test_or_is_written_and_told(tmp_path: Path) -> None:
    row, files = await kept(tmp_path, replace(RedactionRules(), gate="warn"), SECRET)
    assert (row.outcome, row.note, len(files)) == ("recorded", f"written although {TOLD}", 1)


async def test_the_line_that_is_told_takes_it_out(tmp_path: Path) -> None:
    from wiretape.configfile import finder
    from wiretape.redact import JsonRule

    rules = RedactionRules(json=(JsonRule("password", finder("$.user.password")),))
    row, (file,) = await kept(tmp_path, rules, SECRET)
    assert (row.outcome, row.note) == ("recorded", None)
    assert UNGUESSABLE not in file.read_text()


async def test_a_body_under_an_unknown_coding_is_not_written(tmp_path: Path) -> None:
    odd: Headers = (*JSON, ("content-encoding", "x-odd"))
    row, files = await kept(tmp_path, RedactionRules(), b"\x01\x02", odd)
    assert (row.outcome, files) == ("refused", [])
    assert row.note == (
        "not written: content coding x-odd not undone in response.body;"
        " in config.yaml: redact: {unsearched: [x-odd]}"
    )
    rules = RedactionRules(unsearched=frozenset(["x-odd"]))
    row, files = await kept(tmp_path, rules, b"\x01\x02", odd)
    assert (row.outcome, len(files)) == ("recorded", 1)


async def test_a_body_that_is_too_large_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "MAX_DECODED", 100)
    row, files = await kept(tmp_path, RedactionRules(), b'"' + b"a" * 200 + b'"')
    assert (row.outcome, files) == ("refused", [])
