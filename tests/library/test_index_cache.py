"""The indexes kept between runs: named so that a wrong one is never asked, and few."""

import os
from pathlib import Path

from wiretape.library import index_cache


def test_fingerprints_tell_rules_apart_and_nothing_of_them(tmp_path: Path) -> None:
    cache = tmp_path / "index"
    first = index_cache.fingerprint(cache, b"rules", "secret")
    assert first == index_cache.fingerprint(cache, b"rules", "secret")
    assert first != index_cache.fingerprint(cache, b"rules", "other")
    assert first != index_cache.fingerprint(cache, b"rule", "ssecret")
    assert first != index_cache.fingerprint(tmp_path / "other", b"rules", "secret")
    assert [path.name for path in cache.iterdir()] == ["key"]


def test_old_caches_of_a_folder_are_removed(tmp_path: Path) -> None:
    cache = tmp_path / "index"
    cache.mkdir()
    ours = [index_cache.database_path(cache, tmp_path, f"f{number}") for number in range(8)]
    other = index_cache.database_path(cache, tmp_path / "other", "f")
    ancient = index_cache.database_path(cache, tmp_path / "more", "f")
    for age, path in enumerate([*ours, other, ancient]):
        path.touch()
        when = 1_000_000_000 if path == ancient else path.stat().st_mtime - age
        os.utime(path, (when, when))
    index_cache.tidy(ours[0])
    assert sorted(cache.iterdir()) == sorted([*ours[:4], other])


def test_a_fingerprint_key_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    first = index_cache.fingerprint(tmp_path, "rules")
    (tmp_path / "key").write_bytes(b"short")
    second = index_cache.fingerprint(tmp_path, "rules")
    assert second not in (first, "")
    assert second == index_cache.fingerprint(tmp_path, "rules")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_without_a_place_for_the_key_there_is_no_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert index_cache.fingerprint(tmp_path / "file" / "index", "rules") == ""


def test_a_database_that_cannot_be_made_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert index_cache.open_database(tmp_path / "file" / "index" / "a.sqlite") is None
