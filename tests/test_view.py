"""What a run shows: plain lines where stderr is no terminal, colour where it is."""

import io
import logging

import pytest

from wiretape.match import Difference
from wiretape.miss import Miss
from wiretape.redact import RedactionRules
from wiretape.report import Report, Row
from wiretape.view import View, line, log_to_stderr, summary

ROW = Row(
    "recorded",
    "together",
    "POST",
    "/v1/chat/completions",
    model="meta/Llama",
    status=200,
    chunks=25,
    first_chunk=0.1819,
    duration=1.2041,
    recording="x.json",
)
MISS = Miss(
    "POST", "https://h/v1", "differs", "near.json", (Difference("body.t", 0.7, 0.2),), 3
)  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_exchange_is_one_line() -> None:
    assert line(ROW) == (
        "recorded  together  POST /v1/chat/completions  meta/Llama  200  25 chunks"
        "  first 0.182s  1.204s"
    )
    assert line(Row("failed", "openai", "GET", "/v1/models", note="refused")) == (
        "failed    openai  GET /v1/models  (refused)"
    )


def test_what_would_steer_a_terminal_is_not_printed() -> None:
    evil = Row("recorded", "together", "POST", "/v1\x1b[2J", model="a\rb\x9b31m")
    assert line(evil) == "recorded  together  POST /v1\N{REPLACEMENT CHARACTER}[2J  " + (
        "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}31m"
    )


def test_plain_lines_where_there_is_no_terminal() -> None:
    out, report = io.StringIO(), Report("replay")
    view = View(report, out, quiet=False)
    report.add(ROW)
    missed = Row("missed", "together", "POST", "/v1", status=404, miss=MISS)
    report.add(missed)
    report.add(missed)
    report.notice("careful")
    view.close()
    assert out.getvalue() == (
        f"{line(ROW)}\n"
        "missed    together  POST /v1  404\n"
        "  no recording answers POST https://h/v1; nearest is near.json, which differs in\n"
        "    body.t: got 0.7, recorded 0.2\n"
        '  If that should not count, add to match.rules: {name: my-rule, ignore: ["$.t"]}\n'
        "  Else record it: wiretape record -- CMD\n"
        "missed    together  POST /v1  404\n"
        "wiretape: careful\n"
        "wiretape replay: 1 recorded, 2 missed\n"
    )


def test_quiet_keeps_misses_losses_and_notices() -> None:
    out, report = io.StringIO(), Report("record")
    view = View(report, out, quiet=True)
    report.add(ROW)
    report.add(Row("refused", "together", "GET", "/v1", note="not written: disk full"))
    report.add(Row("missed", "together", "POST", "/v1", miss=MISS))
    view.close()
    lines = out.getvalue().splitlines()
    assert lines[0] == "refused   together  GET /v1  (not written: disk full)"
    assert lines[1].startswith("  no recording answers POST https://h/v1; nearest is near.json")
    assert len(lines) == 5


def test_a_terminal_gets_colours_and_the_diff_in_red_and_green() -> None:
    out, report = Terminal(), Report("replay")
    view = View(report, out, quiet=False)
    report.add(Row("missed", "together", "POST", "/v1", miss=MISS))
    view.close()
    text = out.getvalue()
    assert "\x1b[31mgot 0.7\x1b[0m" in text
    assert "\x1b[32mrecorded 0.2\x1b[0m" in text


def test_a_live_view_shows_what_is_under_way() -> None:
    out, report = Terminal(), Report("record")
    view = View(report, out, quiet=False, live=True)
    assert report.watched
    report.begin("token", Row("passed", "together", "POST", "/v1/chat", model="m"), 0.0, lambda: 7)
    assert view._live is not None
    view._live.refresh()
    report.end("token")
    report.add(ROW)
    view.close()
    assert "together  POST /v1/chat  m  7 reads" in out.getvalue()
    assert "wiretape record: 1 recorded" in out.getvalue()


def test_log_lines_and_tracebacks_hold_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "tgp_v1_" + "Xq7" * 14 + "z"
    monkeypatch.setattr(logging.root, "handlers", [])
    log_to_stderr(RedactionRules(), verbose=True)
    try:
        raise ValueError(f"Authorization: Bearer {key}")
    except ValueError:
        logging.getLogger("wiretape.server").debug("failed on ?key=%s", key, exc_info=True)
    told = capsys.readouterr().err
    assert key not in told
    assert "wiretape: failed on ?key=REDACTED-" in told
    assert "ValueError: Authorization: Bearer REDACTED-" in told


def test_the_summary_counts() -> None:
    report = Report("auto")
    assert summary(report) == "wiretape auto: no exchanges"
    report.add(ROW)
    report.beyond = 2
    report.redactions["x"] = 3
    assert summary(report) == (
        "wiretape auto: 1 recorded; 2 answered again beyond the last take; 3 values redacted"
    )
