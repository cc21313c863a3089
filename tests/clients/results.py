"""Drives every client and keeps what came of it in results.json and docs/clients.md.

    make test-clients                  installs and drives all of them
    make test-clients ARGS="codex …"   these alone; the other rows stay

What is installed lies in $WIRETAPE_CLIENTS, or in .cache/clients of the checkout. Exits with 1
where a client did not do what it should.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.paths import ROOT

from .agents import AGENTS, Client
from .installing import PROVIDER, NotInstalled, install, version_of
from .libraries import LIBRARIES
from .matrix import clock_of, results_of

CLIENTS: Final = (*AGENTS, *LIBRARIES)
FILE: Final = Path(__file__).parent / "results.json"
PAGE: Final = ROOT / "docs" / "clients.md"
BEGIN, END = "<!-- results: written by `make test-clients` -->", "<!-- end of results -->"
EXPECTED: Final = {
    **dict.fromkeys(("recorded", "R1", "R2", "R3", "used home"), "same"),
    "other prompt": "shown",
}

type Row = dict[str, str]


def main(names: Sequence[str]) -> int:
    """Drive the clients of these names, or all; give the exit status."""
    unknown = set(names) - {client.name for client in CLIENTS}
    if unknown:
        known = ", ".join(client.name for client in CLIENTS)
        print(f"{', '.join(unknown)}: expected names among {known}", file=sys.stderr)
        return 2
    clients = clients_folder()
    provider = install(PROVIDER, clients) / "node_modules"
    failed = False
    for client in CLIENTS:
        if names and client.name not in names:
            continue
        try:
            row = row_of(client, clients, provider)
        except NotInstalled as error:
            print(f"{client.name}: not installed: {error}", flush=True)
            failed = True
            continue
        failed |= bool(faults(row))
        print(json.dumps(row), flush=True)
        save(row)
    PAGE.write_text(with_table(PAGE.read_text(), read()))
    return int(failed)


def clients_folder() -> Path:
    return Path(os.environ.get("WIRETAPE_CLIENTS") or ROOT / ".cache" / "clients")


def row_of(client: Client, clients: Path, provider: Path) -> Row:
    """Install a client and drive it."""
    installed = install(client, clients)
    with tempfile.TemporaryDirectory(prefix="clients-") as place:
        environ = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "WIRETAPE_HOME": str(Path(place) / "wiretape"),
        }
        results = results_of(client, installed, provider, Path(place).resolve(), environ)
    version, clock = version_of(client, installed), clock_of(client)
    return {
        "client": client.name,
        "kind": client.kind,
        "version": version,
        "clock": clock or "",
        **results,
    }


def faults(row: Mapping[str, str]) -> dict[str, str]:
    """What of a row is not as it should be; what could not be run is no fault."""
    return {
        name: row[name]
        for name, verdict in EXPECTED.items()
        if row[name] not in (verdict, "not run")
    }


def read() -> list[Row]:
    """The rows of the results file."""
    rows: list[Row] = json.loads(FILE.read_text()) if FILE.exists() else []
    return rows


def save(row: Row) -> None:
    """Put a row in the place of the one of its client, in the order of `CLIENTS`."""
    rows = {(old["kind"], old["client"]): old for old in read()}
    rows[row["kind"], row["client"]] = row
    order = [(client.kind, client.name) for client in CLIENTS]
    kept = [rows[key] for key in order if key in rows]
    FILE.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def with_table(page: str, rows: Iterable[Row]) -> str:
    """A page with the table of these rows between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(rows)}{END}{rest.partition(END)[2]}"


def table(rows: Iterable[Row]) -> str:
    """A Markdown table; a fault is told in its cell."""
    kinds = {"agent": "agent", "python": "Python", "node": "Node"}
    marks = {"same": "✓", "shown": "✓"}
    lines = [
        f"| client | version | kind | {' | '.join(EXPECTED)} | clock |",
        f"|{'---|' * (len(EXPECTED) + 4)}",
    ]
    for row in rows:
        verdicts = [marks.get(row[name], row[name]) for name in EXPECTED]
        cells = [row["client"], row["version"], kinds[row["kind"]], *verdicts, row["clock"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
