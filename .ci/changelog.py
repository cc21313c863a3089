#!/usr/bin/env python3
"""The sections of CHANGELOG.md that a release needs.

.ci/changelog.py cut 1.2.3      makes of [Unreleased] a section with today's date (UTC)
.ci/changelog.py notes v1.2.3   prints the section of a tag; exit status 1 if it has none
"""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
UNRELEASED = "## [Unreleased]\n"
DATED = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})\n", re.M)


def cut(text: str, version: str, date: str) -> str:
    """The changelog in which what was unreleased is a version's; ValueError if that cannot be."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"{version}: expected a version such as 1.2.3")
    if version in dict(DATED.findall(text)):
        raise ValueError(f"{version} has a section already")
    before, heading, after = text.partition(UNRELEASED)
    if not re.split(r"^## ", after, maxsplit=1, flags=re.M)[0].strip():
        raise ValueError("there is nothing under [Unreleased]")
    return f"{before}{heading}\n## [{version}] - {date}\n{after}"


def notes(text: str, tag: str) -> str:
    """What the section of a tag (v1.2.3) says; ValueError if there is none with a date."""
    for section in DATED.finditer(text):
        if f"v{section[1]}" == tag:
            return (
                re.split(r"^## ", text[section.end() :], maxsplit=1, flags=re.M)[0].strip() + "\n"
            )
    raise ValueError(f"{tag}: no section of CHANGELOG.md has it and a date: .ci/changelog.py cut")


def main(arguments: list[str]) -> int:
    text = CHANGELOG.read_text(encoding="utf-8")
    try:
        match arguments:
            case ["cut", version]:
                CHANGELOG.write_text(cut(text, version, f"{datetime.now(UTC):%Y-%m-%d}"), "utf-8")
            case ["notes", tag]:
                sys.stdout.write(notes(text, tag))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except ValueError as error:
        print(f".ci/changelog.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
