"""The fuzz target holds for its seeds, and finds and keeps what fails."""

import random
from pathlib import Path

import pytest
from tests.fuzz import fuzz_core, seeds, targets

from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import to_exchange

SEEDS = list(seeds.seeds())


@pytest.mark.parametrize("data", SEEDS, ids=[f"{n}" for n in range(len(SEEDS))])
def test_a_seed_holds(data: bytes) -> None:
    targets.check(data)


def test_the_seeds_reach_every_target() -> None:
    assert {data[0] for data in SEEDS} == set(range(len(targets.TARGETS)))


def test_the_recordings_among_the_seeds_are_recordings() -> None:
    files = [data[1:] for data in SEEDS if data[0] == 3]
    assert [len(to_exchange(recording_format.loads(text)).response.chunks) for text in files] == [
        3,
        2,
        1,
    ]


def test_too_little_to_choose_by_is_passed_over() -> None:
    targets.check(b"\0\0")


def test_changes_at_random_find_a_fault_and_keep_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(data: bytes) -> None:
        assert b"\xff" not in data

    (tmp_path / "failed").mkdir()
    (tmp_path / "seed").write_bytes(b"\0abc")
    assert fuzz_core.at_random(check, tmp_path, 50.0, random.Random(1)) == 1
    (failed,) = (tmp_path / "failed").iterdir()
    assert b"\xff" in failed.read_bytes()
    assert f"{failed}: failed after" in capsys.readouterr().err


def test_what_is_in_the_corpus_is_checked_even_without_time(tmp_path: Path) -> None:
    seen: list[bytes] = []
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    assert fuzz_core.at_random(seen.append, tmp_path, 0.0, random.Random(1)) == 0
    assert seen == [b"a", b"b"]
