"""`python -m benchmarks`: measure, print tables; `--json FILE` keeps the numbers."""

import argparse
import json
import os
import platform
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.console import Console

from wiretape.core.errors import WiretapeError

from . import (
    base_url,
    goals,
    growth,
    paced,
    pieces,
    process,
    recording,
    replaying,
    several,
    startup,
)
from .client import Unexpected
from .outcome import Section, as_json, as_markdown, as_svg, changes, show
from .process import CannotStart

MEASURED: Final = "<!-- measured -->"
"""What stands below this line in docs/benchmarks.md is written by `--markdown`."""

SECTIONS: Final = (
    *("recording", "base-url", "replay", "several", "paced", "growth", "start-up", "pieces"),
)


def _sections(
    wanted: list[str], *, quick: bool, many: bool, folder: Path
) -> Iterator[Callable[[], Section]]:
    cores = process.cores()
    recorded = recording.QUICK if quick else recording.FULL
    replayed = replaying.QUICK if quick else replaying.FULL
    counts = (100, 1000) if quick else (100, 1000, 10_000, *((growth.MANY,) if many else ()))
    every: dict[str, Callable[[], Section]] = {
        "recording": lambda: recording.section(recorded, folder, cores),
        "base-url": lambda: base_url.section(replayed, folder, cores),
        "replay": lambda: replaying.section(replayed, folder, cores),
        "several": lambda: several.section(replayed, folder, cores),
        "paced": lambda: paced.section(paced.QUICK if quick else paced.FULL, folder, cores),
        "growth": lambda: growth.section(counts, 0.1 if quick else 0.4, folder, cores),
        "start-up": lambda: startup.section(2 if quick else 5, folder),
        "pieces": lambda: pieces.section(0.1 if quick else 0.4),
    }
    return (every[name] for name in SECTIONS if not wanted or name in wanted)


def _machine() -> dict[str, str | int]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "wiretape": process.commit() or version("wiretape"),
        **{name: version(name) for name in ("mitmproxy", "aiohttp")},
        **({"load average": _load_average()} if hasattr(os, "getloadavg") else {}),
    }


def _load_average() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"which of {', '.join(SECTIONS)}; default all")
    parser.add_argument("--quick", action="store_true", help="less often, for a first look")
    parser.add_argument(
        "--many", action="store_true", help=f"also with {growth.MANY:,} recordings: minutes more"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help=f"write the tables to FILE, below its line {MEASURED} if it has one",
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the ratios of CPU to FILE")
    parser.add_argument(
        "--compare", type=Path, metavar="OLD", help="show what changed since a file of --json"
    )
    args = parser.parse_args()
    unknown = [name for name in args.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"{unknown[0]}: expected one of {', '.join(SECTIONS)}")
    try:
        old = None if args.compare is None else json.loads(args.compare.read_text("utf-8"))
        done, machine = _run(args.sections, quick=args.quick, many=args.many)
    except (CannotStart, Unexpected, WiretapeError, TimeoutError) as error:
        sys.exit(f"benchmarks: {error or 'a server did not answer in time'}")
    except (OSError, ValueError) as error:
        sys.exit(f"benchmarks: {args.compare}: expected a file that --json wrote: {error}")
    if old is not None:
        show(_console(), changes(old, done))
    if args.json is not None:
        document = {"machine": machine, "sections": [as_json(section) for section in done]}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        args.json.write_text(text, encoding="utf-8")
    if args.svg is not None:
        args.svg.write_text(as_svg(done), encoding="utf-8")
    if args.markdown is not None:
        _write_markdown(args.markdown, done, machine)


type _Machine = dict[str, str | int]


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 140)


def _shown(machine: _Machine) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def _run(wanted: list[str], *, quick: bool, many: bool) -> tuple[list[Section], _Machine]:
    console, machine = _console(), _machine()
    console.print(_shown(machine), highlight=False)
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        console.print(
            f"load average {os.getloadavg()[0]:.1f}: other work uses these cores, trust the ratios",
            style="yellow",
        )
    console.print()
    started = time.monotonic()
    done: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="wiretape-bench-") as folder:
        for measure in _sections(wanted, quick=quick, many=many, folder=Path(folder)):
            begun = time.monotonic()
            done.append(measure())
            show(console, done[-1])
            console.print(f"  {time.monotonic() - begun:.0f} s\n", style="dim")
    machine["took"] = f"{time.monotonic() - started:.0f} s"
    if "load average" in machine:
        machine["load average"] = f"{machine['load average']} to {_load_average()}"
    console.print(f"took {machine['took']}, load average {machine.get('load average', '?')}")
    return done, machine


def _write_markdown(path: Path, done: list[Section], machine: _Machine) -> None:
    parts = (f"Measured: {_shown(machine)}.\n", goals.as_markdown(done), *map(as_markdown, done))
    tables = "\n".join(filter(None, parts))
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    above, marker, _ = before.partition(MEASURED)
    text = f"{above}{marker}\n\n{tables}" if marker else tables
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
