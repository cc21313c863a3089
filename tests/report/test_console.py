"""What a run shows: plain lines where stderr is no terminal, colour where it is."""

import io
import logging
from decimal import Decimal
from typing import Any

import pytest

from wiretape.core.cost.prices import Price, PriceTable
from wiretape.core.cost.usage import Usage
from wiretape.core.matching.canonical import Change, Difference
from wiretape.core.matching.miss import Miss
from wiretape.core.matching.rule import Rule
from wiretape.core.matching.suggested_rule import Suggestion
from wiretape.core.redaction.rules import RedactionRules
from wiretape.report.console import View, line, log_to_stderr, stale_lines, summary
from wiretape.report.report import Report, Row

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
    "POST",
    "https://h/v1",
    "differs",
    nearest="near.json",
    differences=(Difference("body.t", 0.7, 0.2),),
    recordings=3,
    suggestion=Suggestion(
        '    - name: my-rule\n      ignore: ["$.t"]', ("mind the t",), rule=Rule("my-rule")
    ),
)


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
        "  If that should not count, add under match.rules in config.yaml:\n"
        '      - name: my-rule\n        ignore: ["$.t"]\n'
        "  Warning: mind the t.\n"
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
    assert len(lines) == 8


def test_a_terminal_gets_colours_and_the_diff_in_red_and_green() -> None:
    out, report = Terminal(), Report("replay")
    view = View(report, out, quiet=False)
    report.add(Row("missed", "together", "POST", "/v1", miss=MISS))
    view.close()
    text = out.getvalue()
    assert "\x1b[32mgot 0.7\x1b[0m" in text
    assert "\x1b[31mrecorded 0.2\x1b[0m" in text
    assert "\x1b[33m  Warning: mind the t.\x1b[0m" in text


def test_a_terminal_gets_long_texts_word_by_word() -> None:
    out, report = Terminal(), Report("replay")
    View(report, out, quiet=False)
    words = "the old man and the sea and the sky and the fish and the bird "
    differing = Difference("body.p", words + "red\x1b[2J fox", words + "brown fox")
    report.add(
        Row(
            "missed",
            "x",
            "POST",
            "/v1",
            miss=Miss("POST", "u", "differs", nearest="a", differences=(differing,)),
        )
    )
    text = out.getvalue()
    assert "\x1b[31m[-brown-]\x1b[0m" in text
    assert "\x1b[32m{+red\N{REPLACEMENT CHARACTER}[2J+}\x1b[0m" in text


def test_one_miss_is_told_once_and_another_too() -> None:
    out, report = io.StringIO(), Report("replay")
    View(report, out, quiet=True)
    for nearest in ("a.json", "a.json", "b.json"):
        miss = Miss("POST", "u", "takes-used", nearest=nearest)
        report.add(Row("missed", "x", "POST", "/v1", miss=miss))
    assert len(out.getvalue().splitlines()) == 2


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
        logging.getLogger("wiretape.engine.handler").debug("failed on ?key=%s", key, exc_info=True)
    told = capsys.readouterr().err
    assert key not in told
    assert "wiretape: failed on ?key=REDACTED-" in told
    # Of what failed the kind and the place are told, and no value.
    assert told.endswith("ValueError\n")


def test_the_summary_counts() -> None:
    report = Report("auto")
    assert summary(report) == "wiretape auto: no exchanges"
    report.add(ROW)
    report.beyond = 2
    report.redactions["x"] = 3
    assert summary(report) == (
        "wiretape auto: 1 recorded; 2 answered again beyond the last take; 3 values redacted"
    )
    report.redactions["x"] = 1
    assert summary(report).endswith("; 1 value redacted")


TABLE = PriceTable([Price(model="m*", input=Decimal(2), output=Decimal(4))])


def spent_report(**facts: Any) -> Report:
    report = Report("replay", **facts)
    for model, usage in (
        ("m", Usage(1_000_000, 50_000)),
        ("m", Usage(1_000_000, 50_000)),
        ("m2", Usage(400, 0, estimated=True)),
        ("other", Usage(1, 1)),
    ):
        report.add(Row("replayed", "openai", "POST", "/v1", model, usage=usage))
    report.add(Row("recorded", "openai", "POST", "/v1", "m", usage=Usage(100, 0)))
    return report


def test_a_run_tells_what_it_spent_and_what_it_did_not() -> None:
    out, report = io.StringIO(), spent_report(prices=lambda: TABLE)
    View(report, out, quiet=False).close()
    assert out.getvalue().splitlines() == [
        "wiretape: recorded 1 answer: 100 tokens, 0.00020 USD spent",
        "wiretape: replayed 4 answers: 2.1 M tokens, 4.40 USD not spent"
        " (1 estimated, as the provider gave no tokens)",
        "wiretape: no price is known for other (openai): 1 answer not counted in the cost"
        " (`prices` in config.yaml adds one)",
        "wiretape replay: 1 recorded, 4 replayed",
    ]


def stale_report(**facts: bool) -> Report:
    report = Report("replay", **facts)  # type: ignore[arg-type]  # by name
    run = Change("body.run", "together/run", "a", "b")
    for changes in ((run,), (run, run), (run, Change("query.t", "mine", "1", "2"))):
        report.add(Row("replayed", "together", "POST", "/v1", stale=changes))
    return report


def test_what_changed_though_ignored_is_a_line_for_each_rule() -> None:
    report = stale_report()
    assert stale_lines(report) == [
        "since the recording changed, though ignored by rule together/run: body.run (3 exchanges)",
        "since the recording changed, though ignored by rule mine: query.t (1 exchange)",
    ]
    assert summary(report) == (
        "wiretape replay: 3 replayed; 2 ignored places changed since the recording"
    )


@pytest.mark.parametrize(("quiet", "strict", "lines"), [(0, 0, 3), (1, 0, 0), (1, 1, 2)])
def test_a_strict_run_tells_it_even_when_quiet(quiet: bool, strict: bool, lines: int) -> None:
    out, report = io.StringIO(), stale_report(strict_ignored=strict)
    View(report, out, quiet=quiet).close()
    assert len(out.getvalue().splitlines()) == lines


def test_all_that_one_rule_ignores_is_one_line() -> None:
    """A trace upload that is ignored has as many places as members."""
    report = Report("replay")
    changes = tuple(Change(f"body.a{n:02}", "trace", 1, 2) for n in range(30))
    for _ in range(2):
        report.add(Row("replayed", "together", "POST", "/v1", stale=changes))
    assert stale_lines(report) == [
        "since the recording changed, though ignored by rule trace:"
        " body.a00, body.a01, body.a02 and 27 more (2 exchanges)"
    ]
