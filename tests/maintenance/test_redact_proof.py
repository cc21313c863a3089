"""A change of recordings is proved by asking their requests again; tests/maintenance/test_redact
has what redaction itself changes.
"""

from pathlib import Path
from typing import Any

import pytest
from tests.support.parts import settings_in
from tests.support.stored import CHAT, document, put

from wiretape.core.errors import FormatError
from wiretape.core.recording import text as recording_format
from wiretape.core.redaction.redactor import Redactor
from wiretape.maintenance.inventory import sessions
from wiretape.maintenance.redact_proof import FileChanges, Prover, ReplayProof, load_file
from wiretape.scanning.redact_file import Rewritten

ONE, TWO = (f"{CHAT}/{letter * 12}.json" for letter in "ab")
OTHERWISE = document("Hi")
OTHERWISE["response"]["status"] = 201


class Changed:
    """A folder of two recordings, and what would become of them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "r"
        for name, prompt in ((ONE, "Hi"), (TWO, "Ho")):
            put(self.root, document(prompt), name)
        self.config = settings_in(folder, "replay").config
        self.changes = FileChanges()
        self.rewritten: dict[str, Rewritten] = {}

    def change(self, name: str, after: dict[str, Any]) -> None:
        text = recording_format.dumps(after)
        self.rewritten[name] = Rewritten(
            text=text, document=after, changes=(), files={}, void=frozenset()
        )
        self.changes.new[name] = text.encode()

    def proof(self, within: set[Path] | None = None) -> ReplayProof:
        stored = {name: load_file(self.root / name) for name in self.rewritten}
        prover = Prover(
            self.root, within or set(), self.config, Redactor(self.config.redaction), stored,
            self.rewritten,
        )  # fmt: skip
        (session,) = sessions(self.root)
        return prover.of(session, self.changes)


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changed:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    return Changed(tmp_path)


def test_where_nothing_changes_nothing_is_asked(changed: Changed) -> None:
    assert changed.proof() == ReplayProof(0, 0, ())


def test_a_change_that_leaves_the_conversation_is_proved(changed: Changed) -> None:
    changed.change(ONE, OTHERWISE)
    assert changed.proof() == ReplayProof(2, 0, ())


def test_a_request_that_would_get_no_answer_is_named(changed: Changed) -> None:
    changed.change(ONE, document("Hi, you"))
    assert changed.proof().faults == ((str(changed.root / ONE), "would stop answering"),)


def test_two_requests_that_would_be_one_are_named(changed: Changed) -> None:
    changed.change(TWO, OTHERWISE)
    proof = changed.proof()
    assert proof.requests == 2
    assert {Path(path).name for path, _ in proof.faults} <= {Path(ONE).name, Path(TWO).name}
    assert proof.faults


def test_only_the_recordings_within_are_asked(changed: Changed) -> None:
    changed.change(ONE, OTHERWISE)
    assert changed.proof({(changed.root / ONE).resolve()}) == ReplayProof(1, 0, ())


def test_the_folder_itself_is_left_as_it_is(changed: Changed) -> None:
    before = {path: path.read_bytes() for path in changed.root.rglob("*.json")}
    changed.change(ONE, document("Hi, you"))
    changed.proof()
    assert {path: path.read_bytes() for path in changed.root.rglob("*.json")} == before


def test_a_file_that_is_not_a_recording_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FormatError):
        load_file(tmp_path / "x.json")
