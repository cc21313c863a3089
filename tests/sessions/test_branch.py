"""A branch goes live at a number or after a recording, and keeps what answered before."""

from pathlib import Path

import pytest
from tests.support.stored import document, put

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.library.library import Library
from wiretape.sessions.branch import Branch


def library(folder: Path, session: str | None = None) -> Library:
    return Library(folder, Matcher(built_in()), session=session)


def test_it_is_live_from_a_number_on(tmp_path: Path) -> None:
    branch = Branch(library(tmp_path, "b"), 3)
    assert branch.unreached == "--live-from 3: only 0 requests came"
    assert [branch.next_is_live() for _ in range(4)] == [False, False, True, True]
    assert branch.unreached is None


@pytest.mark.parametrize("live_from", [None, 9])
def test_it_is_live_after_a_recording_and_has_a_copy_of_it(
    tmp_path: Path, live_from: int | None
) -> None:
    path = put(tmp_path, document("Hi"))
    name = path.relative_to(tmp_path).as_posix()
    branch = Branch(library(tmp_path, "b"), live_from, name)
    assert not branch.next_is_live()
    branch.replayed(library(tmp_path), name)
    assert branch.next_is_live()
    assert (tmp_path / "b" / name).read_bytes() == path.read_bytes()
