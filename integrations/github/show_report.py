"""Show a report of `wiretape … --report FILE` in a GitHub job: annotations, and a summary.

    python show_report.py REPORT.json

Annotations go to standard output as workflow commands, the summary to $GITHUB_STEP_SUMMARY where
that is set. It needs Python's standard library alone.
Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

MOST_ANNOTATIONS = 10
"""GitHub shows no more of one step."""


def command(kind: str, title: str, message: str) -> str:
    """A workflow command; what would end it early is escaped.

    >>> command("error", "a: b", "50%\\nmore")
    '::error title=a%3A b::50%25%0Amore'
    """
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for character in "%\r\n:,":
        title = title.replace(character, f"%{ord(character):02X}")
    return f"::{kind} title={title}::{escaped}"


def problems(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A title and a text for each exchange that went wrong."""
    for row in report["exchanges"]:
        if row["outcome"] not in ("missed", "refused", "failed"):
            continue
        text = row["miss"]["message"] if "miss" in row else row.get("note", "")
        yield f"wiretape: {row['outcome']} {row['method']} {row['path']}", text


def summary(report: dict[str, Any]) -> str:
    """The run in Markdown; what a request said stands in code blocks, which end only at a fence
    longer than any within.
    """
    counts = ", ".join(f"{number} {name}" for name, number in report["counts"].items())
    lines = [f"### wiretape {report['mode']}: {counts or 'no exchanges'}", ""]
    lines += [f"- {notice}" for notice in report["notices"]]
    for title, text in problems(report):
        fence = "```"
        while fence in text:
            fence += "`"
        lines += ["", f"**{title.removeprefix('wiretape: ')}**", "", fence, text, fence]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Show the report that the command line names."""
    path = sys.argv[1]
    try:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    except (OSError, ValueError) as error:
        print(command("warning", "wiretape", f"{path}: cannot be read: {error}"))
        return 1
    shown = list(problems(report))
    for title, text in shown[:MOST_ANNOTATIONS]:
        print(command("error", title, text))
    if len(shown) > MOST_ANNOTATIONS:
        more = len(shown) - MOST_ANNOTATIONS
        print(command("error", "wiretape", f"and {more} more, in the summary of this job"))
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
            file.write(summary(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
