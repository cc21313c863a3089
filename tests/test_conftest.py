"""Workers of one run have the same names for the same tests, and what is slow is there."""

import gzip

import pytest
from tests.conftest import SLOW, pytest_make_parametrize_id
from tests.support.cases import in_one_test
from tests.support.paths import ROOT


@pytest.mark.parametrize("when", [0, 1, 2_000_000_000])
def test_the_time_something_was_compressed_at_names_no_test(when: int) -> None:
    packed = gzip.compress(b"x" * 99, mtime=when)
    assert pytest_make_parametrize_id(packed) == f"{len(packed)} bytes"


@pytest.mark.parametrize("value", [b"data: {}\n\n", "text", 7, None])
def test_what_can_be_read_is_named_as_it_is(value: object) -> None:
    assert pytest_make_parametrize_id(value) is None


@in_one_test("name", SLOW)
def test_what_is_marked_slow_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / "tests" / path).exists()
    assert not function or f"def {function}(" in (ROOT / "tests" / path).read_text()
