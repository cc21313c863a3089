import base64
from dataclasses import dataclass
from pathlib import Path

import pytest

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.recording.given_ids import AnswerId
from wiretape.library.library import Library, LocalState
from wiretape.sessions.sessions import Sessions, UnknownSession, of_credentials


@dataclass(frozen=True)
class Taken:
    """A take, by its name."""

    name: str


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def opened(tmp_path: Path) -> list[str | None]:
    return []


@pytest.fixture
def sessions(tmp_path: Path, opened: list[str | None]) -> Sessions:
    return made(tmp_path, opened, None)


def made(folder: Path, opened: list[str | None], default: str | None) -> Sessions:
    def library(name: str | None) -> Library:
        opened.append(name)
        return Library(folder, Matcher(built_in()), session=name, state=LocalState(folder))

    return Sessions(library, default=default)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("", None),
        (basic("test-1:x"), "test-1"),
        (basic("test-1"), "test-1"),
        (basic("a%5Fb:x"), "a_b"),
        (basic(":x"), None),
        ("basic " + basic("Up:x")[6:], "Up"),
    ],
)
def test_proxy_credentials_name_a_session(header: str | None, name: str | None) -> None:
    assert of_credentials(header) == name


@pytest.mark.parametrize(
    "header", ["Bearer abc", "Basic ???", basic("../up:x"), basic("a b:x"), basic("x" * 101)]
)
def test_credentials_that_name_none_are_told(header: str) -> None:
    with pytest.raises(UnknownSession):
        of_credentials(header)


def test_the_runs_own_session_is_opened_at_once(
    sessions: Sessions, opened: list[str | None]
) -> None:
    assert opened == [None]
    assert sessions.get(None) is sessions.own


def test_a_session_is_opened_once_when_it_is_first_named(
    sessions: Sessions, opened: list[str | None], tmp_path: Path
) -> None:
    session = sessions.get("one")
    assert sessions.get("one") is session
    assert opened == [None, "one"]
    assert session.library.folder == tmp_path / "one"


def test_who_names_none_is_in_the_runs_session(tmp_path: Path) -> None:
    sessions = made(tmp_path, [], "mine")
    assert sessions.get(None) is sessions.get("mine") is sessions.own


@pytest.mark.parametrize("name", ["..", "a/", "a/../b", "/a", ".hidden", "a.b", "x" * 101, "a\n"])
def test_a_name_that_is_no_folders_is_refused(sessions: Sessions, name: str) -> None:
    with pytest.raises(UnknownSession, match="letters, digits, - and _"):
        sessions.get(name)


def test_sessions_have_cursors_of_their_own(sessions: Sessions) -> None:
    takes = [Taken("a"), Taken("b")]
    one, two = sessions.get("one"), sessions.get("two")
    assert one.player.next("k", takes) == two.player.next("k", takes)


def test_a_session_that_starts_over_knows_nothing(sessions: Sessions) -> None:
    session = sessions.get("one")
    takes = [Taken("a"), Taken("b")]
    first = session.player.next("k", takes)
    session.known_ids.learn([AnswerId("resp_1")], "aaaaaaaaaaaa")
    session.counts["replayed"] += 1
    session.used.add("x")
    session.add_problem("x")
    session.reset()
    assert session.player.next("k", takes) == first
    assert (len(session.known_ids), dict(session.counts), session.used) == (0, {}, set())
    assert session.problems == []


def test_a_finished_session_is_opened_anew(sessions: Sessions, opened: list[str | None]) -> None:
    before = sessions.get("one")
    sessions.forget("one")
    assert sessions.known("one") is None
    assert sessions.get("one") is not before
    assert opened == [None, "one", "one"]


def test_what_a_client_asks_is_in_the_session_that_is_started_for_it(sessions: Sessions) -> None:
    first = sessions.start("tests/test_a", client="gw0")
    assert sessions.get("gw0") is first
    second = sessions.start("tests/test_b", client="gw0")
    assert sessions.get("gw0") is second
    sessions.forget("tests/test_a")
    assert sessions.get("gw0") is second
    sessions.forget("tests/test_b")
    assert sessions.get("gw0").name == "gw0"


def test_sessions_may_share_a_folder(sessions: Sessions, opened: list[str | None]) -> None:
    takes = [Taken("a"), Taken("b")]
    one, two = sessions.start("one", "shared"), sessions.start("two", "shared")
    assert (one.name, two.name, opened) == ("shared", "shared", [None, "shared", "shared"])
    assert one.player.next("k", takes) == two.player.next("k", takes)
    with pytest.raises(UnknownSession, match="session one is open with folder shared"):
        sessions.start("one", "another")


def test_a_problem_is_kept_once(sessions: Sessions) -> None:
    for number in (1, 1, *range(1_000)):
        sessions.own.add_problem(str(number))
    assert sessions.own.problems[:3] == ["1", "0", "2"]
    assert len(sessions.own.problems) < 1_000


def test_the_runs_own_session_stays_when_it_is_finished(tmp_path: Path) -> None:
    sessions = made(tmp_path, [], "mine")
    sessions.own.counts["replayed"] += 1
    sessions.forget("mine")
    assert sessions.get(None) is sessions.own
    assert not sessions.own.counts
