"""The folder that a command looks at: its sessions, and names without secrets."""

from pathlib import Path

import pytest
from tests.support.stored import CHAT, document, key12, put

from wiretape.cli.folder import Folder, Scope
from wiretape.core.errors import ConfigError

KEY = "tgp_v1_3kD9fWq7RzX2mB5nTc8vLj4hGs6pYa1eUoZbNi0KwMx"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recordings"


def test_all_sessions_are_looked_at_or_the_one_that_is_named(here: Path) -> None:
    put(here, document("Hi"))
    put(here / "one", document("Ho"))
    everything = Folder(Scope(None, None, None))
    assert [files.session for files in everything.sessions] == [None, "one"]
    assert (everything.path, everything.count) == (Path("recordings"), 2)
    assert Folder(Scope(None, None, "one")).count == 1


def test_the_option_goes_before_the_configuration(here: Path) -> None:
    put(here.parent / "other", document("Hi"))
    (here.parent / "config.yaml").write_text("recordings: nowhere\n")
    assert Folder(Scope(None, Path("other"), None)).count == 1
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        Folder(Scope(None, None, None))


def test_keys_are_those_of_the_configuration(here: Path) -> None:
    stored = document("Hi", seed=1)
    put(here, stored)
    plain = Folder(Scope(None, None, None)).keys.standing("x.json", stored).key
    assert plain.startswith(key12(stored))
    (here.parent / "config.yaml").write_text("match: {rules: [{name: seed, ignore: [$.seed]}]}\n")
    assert Folder(Scope(None, None, None)).keys.standing("x.json", stored).key != plain


def test_a_name_is_printed_without_secrets_and_escape_sequences(here: Path) -> None:
    put(here, document("Hi"), f"{CHAT}/{KEY}.json")
    put(here, document("Hi"), f"{CHAT}/\x1b[31m.json")
    folder = Folder(Scope(None, None, None))
    (files,) = folder.sessions
    shown = [folder.shown(files, name) for name in files.recordings]
    assert KEY not in "".join(shown)
    assert "\x1b" not in "".join(shown)
    row = folder.row(files, files.recordings[0], size=3)
    assert (row["recording"], row["size"], "session" in row) == (files.recordings[0], 3, False)
