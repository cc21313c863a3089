"""Print a run on stderr: a line per exchange, notices, misses, a summary."""

import logging
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TextIO

from wiretape.core.cost.prices import Money, rounded
from wiretape.core.matching.diff_text import sides, word_diff
from wiretape.core.matching.miss import SHOWN, Miss
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.text.printable import count, printable
from wiretape.core.text.wire_quotes import failure_text, without_quotes
from wiretape.core.text.word_diff import in_brackets

from .report import Report, Row, RowOutcome, other_host_lines
from .unblocked_stream import unblocked

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from wiretape.core.text.word_diff import RunKind

_COLOURS: Final[dict[RowOutcome, str]] = {
    "recorded": "green",
    "replayed": "cyan",
    "missed": "bold red",
    "refused": "bold red",
    "failed": "red",
    "skipped": "yellow",
    "passed": "dim",
}
OUTCOMES: Final = tuple(_COLOURS)
_STALE: Final = 3
"""The number of changed paths that are named for each rule."""


def line(row: Row) -> str:
    """Format an exchange as one line of plain text.

    "recorded  together  POST /v1/chat/completions  some/model  200  25 chunks  first 0.182s
    1.204s"
    """
    parts = [f"{row.outcome:<8}", row.provider, f"{row.method} {row.path}"]
    if row.model:
        parts.append(row.model)
    if row.status is not None:
        parts.append(str(row.status))
    if row.chunks is not None:
        parts.append(count(row.chunks, "chunk"))
    if row.first_chunk is not None:
        parts.append(f"first {row.first_chunk:.3f}s")
    if row.duration is not None:
        parts.append(f"{row.duration:.3f}s")
    if row.fault:
        parts.append(f"fault on demand: {row.fault}")
    if row.note:
        parts.append(f"({row.note})")
    return printable("  ".join(parts))


def summary(report: Report) -> str:
    """Word the run in one line: "wiretape record: 3 recorded, 1 missed"."""
    counts = report.counts
    outcomes = [f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]]
    text = f"wiretape {report.mode}: {', '.join(outcomes) or 'no exchanges'}"
    if report.budget is not None:
        spent = Money(report.budget.spent, report.budget.limit.currency)
        text += f"; {spent} spent of a budget of {report.budget.limit}"
    if report.beyond:
        text += f"; {report.beyond} answered again beyond the last take"
    if report.stale:
        text += f"; {count(len(report.stale), 'ignored place')} changed since the recording"
    if report.isolated:
        text += "; CMD had a network with loopback only"
    if report.redactions:
        text += f"; {count(report.redactions.total(), 'value')} redacted"
    return text


def spending_lines(report: Report) -> list[str]:
    """Word what was recorded and what was replayed, in tokens and money: a line for each.

    "replayed 212 answers: 1.2 M tokens, 3.40 USD not spent"
    """
    lines = []
    for outcome, spending in sorted(report.spending.items()):
        is_spent = outcome != "replayed"
        costs = ", ".join(
            f"{money} {'spent' if is_spent else 'not spent'}" for money in spending.money
        )
        text = f"{outcome} {count(spending.answers, 'answer')}: "
        text += f"{rounded(spending.tokens_in + spending.tokens_out)} tokens"
        text += f", {costs}" if costs else ""
        if spending.estimated:
            text += f" ({spending.estimated} estimated, as the provider gave no tokens)"
        lines.append(text)
        if spending.unpriced:
            names = [f"{model or 'no model'} ({host})" for host, model in sorted(spending.unpriced)]
            more = f" and {len(names) - _STALE} more" if len(names) > _STALE else ""
            lines.append(
                f"no price is known for {', '.join(names[:_STALE])}{more}:"
                f" {count(spending.unpriced.total(), 'answer')} not counted in the cost"
                " (`prices` in config.yaml adds one)"
            )
    return lines


def stale_lines(report: Report) -> list[str]:
    """Word what has changed since the recordings though rules ignore it: a line for each rule."""
    paths: dict[str, list[str]] = {}
    for path, rule in report.stale:
        paths.setdefault(rule, []).append(path)
    lines = []
    for rule, changed in paths.items():
        more = f" and {len(changed) - _STALE} more" if len(changed) > _STALE else ""
        lines.append(
            f"since the recording changed, though ignored by rule {rule}:"
            f" {', '.join(changed[:_STALE])}{more} ({count(report.stale_rules[rule], 'exchange')})"
        )
    return lines


class _Redacted(logging.Formatter):
    """Redacts log lines and tracebacks, which may quote a request.

    Lines of other libraries lose everything they quote, tracebacks the values that failed.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("wiretape: %(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not record.name.startswith("wiretape"):
            text = without_quotes(text)
        return printable(self._redactor.text(text))

    def formatException(self, ei: Any) -> str:  # logging's name
        return failure_text(ei[1]) if ei[1] is not None else ""


def log_to_stderr(rules: RedactionRules, *, verbose: bool) -> None:
    """Send warnings to stderr, and with `verbose` wiretape's own debug log."""
    handler = logging.StreamHandler(unblocked(sys.stderr))
    handler.setFormatter(_Redacted(Redactor(rules)))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
    logging.getLogger("wiretape").setLevel(logging.DEBUG if verbose else logging.WARNING)


class View:
    """Prints a report as it grows; in colours if stderr is a terminal."""

    def __init__(
        self, report: Report, stream: TextIO | None = None, *, quiet: bool, live: bool = False
    ) -> None:
        self._report = report
        self._stream = stream or sys.stderr
        self._lines = unblocked(self._stream)
        self._quiet = quiet
        self._misses: set[int] = set()
        self._console = _console(self._stream) if not quiet and self._stream.isatty() else None
        self._live: Live | None = None
        if live and self._console is not None:
            self._live = self._watch(self._console)
        report.listen = self.row
        report.notify = self.notice

    def _watch(self, console: "Console") -> "Live":
        """Show the exchanges that are under way below the finished ones."""
        from rich.live import Live
        from rich.text import Text

        def render() -> Text:
            now = perf_counter()
            rows = [
                f"…         {row.provider}  {row.method} {row.path}  {row.model or ''}"
                f"  {underway.count()} reads  {now - underway.started:.1f}s"
                for underway in list(self._report.underway.values())
                for row in [underway.row]
            ]
            return Text(printable("\n".join(rows)), "dim", no_wrap=True, overflow="ellipsis")

        self._report.watched = True
        live = Live(
            get_renderable=render,
            console=console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live

    def row(self, row: Row) -> None:
        """Print an exchange that is over. Each miss is printed once, even when quiet."""
        if not self._quiet or row.outcome in ("refused", "failed"):
            self._print(line(row), _COLOURS[row.outcome])
        if row.miss is not None:
            # Hashes only: there may be as many misses as requests.
            message_hash = hash(row.miss.message)
            if message_hash not in self._misses:
                self._misses.add(message_hash)
                self._miss(row.miss)

    def notice(self, text: str) -> None:
        """Print a notice, even when quiet."""
        self._print(f"wiretape: {printable(text)}", "yellow")

    def abandon(self) -> None:
        """Stop without a summary: the run could not begin or end properly."""
        if self._live is not None:
            self._live.stop()
        self._lines.close()

    def close(self) -> None:
        """Print the summary: the run is over."""
        if self._live is not None:
            self._live.stop()
        strict = self._report.strict_ignored
        if strict or not self._quiet:
            for text in stale_lines(self._report):
                self._print(f"wiretape: {printable(text)}", "bold red" if strict else "yellow")
        if not self._quiet:
            for text in other_host_lines(self._report):
                self._print(f"wiretape: {printable(text)}", "yellow")
            for text in spending_lines(self._report):
                self._print(f"wiretape: {printable(text)}", "default")
            self._print(summary(self._report), "bold")
        self._lines.close()

    def _miss(self, miss: Miss) -> None:
        if self._console is None or not miss.differences:
            self._print(printable("  " + miss.message.replace("\n", "\n  ")), "red")
            return
        self._print("  " + printable(miss.head), "red")
        self._console.print(_diff(miss))
        for text in miss.tail():
            style = "yellow" if text.startswith("Warning: ") else "default"
            self._print("  " + printable(text.replace("\n", "\n  ")), style)

    def _print(self, text: str, style: str) -> None:
        if self._console is not None:
            from rich.text import Text

            self._console.print(Text(text, style))
        else:
            self._lines.write(f"{text}\n")
            self._lines.flush()


def _console(stream: TextIO) -> "Console":
    # rich takes 70 ms to import and is of use on a terminal only.
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=True)


_STYLES: Final[dict["RunKind", str]] = {
    "same": "default",
    "removed": "red",
    "added": "green",
    "left out": "dim",
}


def _diff(miss: Miss) -> "Text":
    """Format the differences: the live request in green, the recorded one in red."""
    from rich.text import Text

    text = Text()
    for number, difference in enumerate(miss.differences[:SHOWN]):
        text.append("\n" if number else "")
        text.append(f"    {printable(difference.path)}: ", "bold")
        runs = word_diff(difference)
        if runs is None:
            live, recorded = sides(difference)
            text.append(printable(live), "green")
            text.append(", ")
            text.append(printable(recorded), "red")
            continue
        for run in runs:
            text.append(printable(in_brackets([run])), _STYLES[run.kind])
    return text
