"""docs/clients.md says what `make test-clients` found, of every client, and nothing went wrong."""

from pathlib import Path

import pytest
import tests.clients.results as results
from tests.clients.matrix import ANSWER, MISS, Run
from tests.clients.results import CLIENTS, FILE, PAGE, Row, faults, read, save, table, with_table

import wiretape
from wiretape.core.text.located_yaml import parse

ROW: Row = {
    "client": "codex",
    "kind": "agent",
    "version": "1.2",
    "clock": "libfaketime",
    **dict.fromkeys(("recorded", "R1", "R2", "R3", "used home"), "same"),
    "other prompt": "shown",
}


def test_the_page_holds_the_results() -> None:
    page = PAGE.read_text()
    assert with_table(page, read()) == page


def test_every_client_was_driven_and_did_as_it_should() -> None:
    assert [row["client"] for row in read()] == [client.name for client in CLIENTS]
    assert {row["client"]: faults(row) for row in read() if faults(row)} == {}


def test_the_packs_are_of_the_versions_that_were_driven() -> None:
    packs = Path(wiretape.__file__).parent / "config" / "packs"
    for row in read():
        pack = packs / f"{row['client'].partition(' ')[0]}.yaml"
        if row["kind"] == "agent":
            assert parse(pack.read_bytes()).value["tested"] == row["version"], row["client"]


def test_a_fault_stands_in_the_table_and_a_round_that_was_not_run_is_none() -> None:
    row = {**ROW, "R1": "2 missed", "R3": "not run"}
    assert faults(row) == {"R1": "2 missed"}
    assert "| codex | 1.2 | agent | ✓ | 2 missed | ✓ | not run | ✓ | ✓ |" in table([row])


def test_a_row_takes_the_place_of_its_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FILE", tmp_path / FILE.name)
    save(ROW)
    save({**ROW, "client": "claude-code"})
    save({**ROW, "version": "1.3"})
    assert [(row["client"], row["version"]) for row in read()] == [
        ("claude-code", "1.2"),
        ("codex", "1.3"),
    ]


@pytest.mark.parametrize(
    ("run", "verdict", "shown"),
    [
        (Run(0, ANSWER, "", {"replayed": 1}), "same", "no miss"),
        (Run(0, "", "", {"replayed": 1}), "no answer", "no miss"),
        (Run(3, ANSWER, "", {"missed": 2}), "2 missed", "answered"),
        (Run(1, ANSWER, "", {"replayed": 1}), "exit 1", "no miss"),
        (Run(3, f"wiretape: {MISS} …", "", {"missed": 1}), "1 missed", "shown"),
        (Run(3, "model not found", "", {"missed": 1}), "1 missed", "hidden"),
        (Run(0, f"wiretape: {MISS} …", "", {"missed": 1}), "1 missed", "exit 0"),
    ],
)
def test_a_run_is_judged(run: Run, verdict: str, shown: str) -> None:
    assert (run.verdict(ANSWER), run.shown()) == (verdict, shown)
