"""Recordings found by what a person calls them."""

from pathlib import Path

import pytest

from wiretape.core.errors import ConfigError
from wiretape.maintenance.names import completions, find

CHAT = "api.openai.com/v1-chat-completions"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        f"{CHAT}/3f2a00112233.json",
        f"{CHAT}/3f2a00112233.2.json",
        f"{CHAT}/3f9900112233.json",
        f"demo/{CHAT}/3f2a00112233.json",
        f"demo/{CHAT}/77aa00112233.json",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_the_start_of_a_key_is_enough(folder: Path) -> None:
    assert find(folder, "3f9").name == f"{CHAT}/3f9900112233.json"


def test_a_whole_key_is_its_first_take(folder: Path) -> None:
    assert find(folder, "3f2a00112233").name == f"{CHAT}/3f2a00112233.json"
    assert find(folder, "3f2a00112233.2").name == f"{CHAT}/3f2a00112233.2.json"


def test_a_start_that_several_have_names_them(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find(folder, "3f")
    assert str(caught.value).split("\n") == [
        "'3f' names 3 recordings; say which:",
        f"  {CHAT}/3f2a00112233.json",
        f"  {CHAT}/3f2a00112233.2.json",
        f"  {CHAT}/3f9900112233.json",
    ]


def test_a_name_below_the_folder_is_found(folder: Path) -> None:
    found = find(folder, f"demo/{CHAT}/77aa00112233")
    assert found.name == f"demo/{CHAT}/77aa00112233.json"
    assert found.path == folder / found.name


def test_a_path_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    path = folder / CHAT / "3f9900112233.json"
    assert find(folder, str(path)).name == f"{CHAT}/3f9900112233.json"
    assert find(tmp_path / "nowhere", str(path)).name == path.as_posix()


def test_sessions_are_looked_through_where_no_other_recording_fits(folder: Path) -> None:
    assert find(folder, "77aa").name == f"demo/{CHAT}/77aa00112233.json"


def test_a_session_hides_the_others(folder: Path) -> None:
    assert find(folder, "3f2a", "demo").name == f"demo/{CHAT}/3f2a00112233.json"
    with pytest.raises(ConfigError, match="no recording of this name"):
        find(folder, "3f99", "demo")


@pytest.mark.parametrize("wanted", ["", "/", "../x", "nope", "\x00", "x" * 5000])
def test_what_names_nothing_is_told(folder: Path, wanted: str) -> None:
    with pytest.raises(ConfigError, match="no recording of this name"):
        find(folder, wanted)


def test_a_shell_is_given_keys_and_names(folder: Path) -> None:
    assert completions(folder, "3f9") == ["3f9900112233"]
    assert completions(folder, f"demo/{CHAT}/7") == [f"demo/{CHAT}/77aa00112233"]
    assert completions(folder / "nowhere", "") == []
