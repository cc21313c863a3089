"""What is kept of recordings that were read: no more than there is room for, none that is old."""

from pathlib import Path

import pytest
from tests.support.stored import document, put

from wiretape.core.errors import StoreError
from wiretape.library import file_cache
from wiretape.library.file_cache import RecordingCache


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    paths = [put(tmp_path, document(f"prompt {number}"), f"{number}.json") for number in range(6)]
    return [path.name for path in paths]


def kept(cache: RecordingCache, names: list[str]) -> list[str]:
    return [name for name in names if name in cache._recordings]


def test_the_least_lately_used_go_first(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_cache, "_MOST", 3)
    cache = RecordingCache(tmp_path)
    for name in [*names[:3], names[0], *names[3:5]]:
        cache.get(name)
    assert kept(cache, names) == [names[0], *names[3:5]]


def test_what_is_kept_is_bounded_in_bytes(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (tmp_path / names[0]).stat().st_size
    monkeypatch.setattr(file_cache, "_MOST_BYTES", 2 * size + 1)
    cache = RecordingCache(tmp_path)
    for name in names * 3:
        cache.get(name)
    assert kept(cache, names) == names[-2:]
    # One that is larger than all the room is kept alone: it was wanted just now.
    monkeypatch.setattr(file_cache, "_MOST_BYTES", 1)
    cache.get(names[0])
    assert kept(cache, names) == names[:1]


def test_a_file_that_grows_counts_with_what_it_has_become(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = RecordingCache(tmp_path)
    for name in names:
        cache.get(name)
    monkeypatch.setattr(
        file_cache, "_MOST_BYTES", sum((tmp_path / name).stat().st_size for name in names)
    )
    put(tmp_path, document("prompt, " * 20), names[0])
    cache.get(names[0])
    assert names[1] not in kept(cache, names)
    assert names[0] in kept(cache, names)


def test_a_changed_file_is_read_anew(tmp_path: Path, names: list[str]) -> None:
    cache = RecordingCache(tmp_path)
    before = cache.get(names[0])
    assert cache.get(names[0]) is before
    put(tmp_path, document("another"), names[0])
    assert cache.get(names[0]).request["body"]["messages"][0]["content"] == "another"
    (tmp_path / names[0]).unlink()
    with pytest.raises(StoreError):
        cache.get(names[0])
