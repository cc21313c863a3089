"""The sessions of a folder, their recordings and the side files beside them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from wiretape.core.errors import ConfigError
from wiretape.maintenance.inventory import orphans, recorded_at, sessions
from wiretape.store_url import mirror_of

SIDE = "0" * 64 + ".bin"
OTHER = "1" * 64 + ".bin"


def lay(folder: Path, *names: str, text: str = "{}") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_host_folders_are_of_no_session_and_other_folders_are_sessions(tmp_path: Path) -> None:
    lay(tmp_path, "a.json", "api.x.com/e/b.json", "localhost+80/e/c.json", "s1/api.x.com/e/d.json")
    assert [(f.session, f.recordings) for f in sessions(tmp_path)] == [
        (None, ("a.json", "api.x.com/e/b.json", "localhost+80/e/c.json")),
        ("s1", ("api.x.com/e/d.json",)),
    ]


def test_sessions_may_lie_in_folders(tmp_path: Path) -> None:
    lay(tmp_path, "tests/test_a/test_x/h.x/a.json", "tests/test_a/test_y/h.x/b.json")
    assert [(f.session, f.recordings) for f in sessions(tmp_path)] == [
        (None, ()),
        ("tests/test_a/test_x", ("h.x/a.json",)),
        ("tests/test_a/test_y", ("h.x/b.json",)),
    ]
    assert [f.recordings for f in sessions(tmp_path, "tests/test_a/test_y")] == [("h.x/b.json",)]


@pytest.mark.parametrize("name", ["one/own/b.json", "one/h.x/b.json"])
def test_a_session_with_folders_of_the_users_own_is_one(tmp_path: Path, name: str) -> None:
    lay(tmp_path, name, "one/more/own/h.y/c.json")
    assert [f.session for f in sessions(tmp_path)] == [None, "one"]


def test_hidden_files_and_folders_are_no_recordings(tmp_path: Path) -> None:
    lay(tmp_path, ".a.json", ".git/b.json", "h.x/.c.json", "h.x/.d/e.json")
    assert [f.recordings for f in sessions(tmp_path)] == [()]


def test_one_session_is_looked_at_alone(tmp_path: Path) -> None:
    lay(tmp_path, "h.x/a.json", "one/h.x/b.json", "two/h.x/c.json")
    assert [(f.session, f.recordings) for f in sessions(tmp_path, "two")] == [
        ("two", ("h.x/c.json",))
    ]


def test_a_session_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    lay(tmp_path, "one/h.x/b.json")
    with pytest.raises(ConfigError) as told:
        sessions(tmp_path, "two")
    assert str(told.value) == f"--session two: no such folder in {tmp_path} (there: one)"


def test_a_session_outside_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--session '\.\./x': expected letters"):
        sessions(tmp_path, "../x")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: no such folder; name the folder .* with -r"):
        sessions(tmp_path / "nowhere")


def test_a_side_file_that_a_recording_beside_it_names_is_no_orphan(tmp_path: Path) -> None:
    lay(tmp_path, f"h.x/{SIDE}", f"h.x/{OTHER}", f"h.y/{SIDE}")
    lay(tmp_path, "h.x/a.json", text=f'{{"file": "{SIDE}"}}')
    (files,) = sessions(tmp_path)
    assert orphans(files) == [f"h.x/{OTHER}", f"h.y/{SIDE}"]
    assert orphans(files, without=["h.x/a.json"]) == [
        f"h.x/{SIDE}",
        f"h.x/{OTHER}",
        f"h.y/{SIDE}",
    ]


def test_beside_a_recording_that_cannot_be_read_no_side_file_is_an_orphan(tmp_path: Path) -> None:
    lay(tmp_path, f"h.x/{SIDE}")
    (tmp_path / "h.x/a.json").symlink_to(tmp_path / "gone")
    (files,) = sessions(tmp_path)
    assert (files.recordings, orphans(files)) == (("h.x/a.json",), [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-20T17:30:00Z", datetime(2026, 11, 20, 17, 30, tzinfo=UTC)),
        ("2026-11-20T19:30:00+02:00", datetime(2026, 11, 20, 17, 30, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("yesterday", None),
        (7, None),
        (None, None),
    ],
)
def test_the_time_of_a_recording_is_read(text: object, found: datetime | None) -> None:
    assert recorded_at({"recorded_at": text}) == found


def test_where_a_store_was_not_pulled_it_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"object store.*wiretape pull"):
        sessions(mirror_of("s3://bucket/prefix"))
