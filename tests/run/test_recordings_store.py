"""A run whose recordings are in a store has them on this machine before it begins."""

from pathlib import Path

import pytest
from tests.support.parts import settings_in
from tests.support.stored import document, put

from wiretape.report.report import Report
from wiretape.run.recordings_store import with_mirror
from wiretape.store_url import mirror_of


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))


def test_recordings_in_a_folder_need_no_mirror(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "replay")
    assert with_mirror(settings, Report("replay")) is settings


def test_recordings_of_a_store_are_pulled(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    path = put(tmp_path / "store", document("Hi"))
    url = f"file://{tmp_path}/store"
    settings = settings_in(tmp_path, "replay", f"recordings: {url}\n", recordings=mirror_of(url))
    mirrored = with_mirror(settings, Report("replay"))
    assert mirrored.mirror is not None
    copy = mirror_of(url) / path.relative_to(tmp_path / "store")
    assert copy.read_bytes() == path.read_bytes()


def test_another_folder_that_was_named_goes_before_the_store(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "replay", f"recordings: file://{tmp_path}/store\n")
    assert with_mirror(settings, Report("replay")) is settings
