"""What a test's folder is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_wiretape.names import folder_of

from wiretape.library.library import SESSION_NAME


@pytest.mark.parametrize(
    ("nodeid", "folder"),
    [
        ("test_a.py::test_x", "test_a/test_x"),
        (
            "tests/test_cart.py::TestPay::test_pays[gpt-4o]",
            "tests/test_cart/TestPay/test_pays-gpt-4o",
        ),
        ("t.py::test_x[a::b/c]", "t/test_x-a-b-c-"),
    ],
)
def test_a_folder_is_as_the_test_is(nodeid: str, folder: str) -> None:
    assert folder_of(nodeid).startswith(folder)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=14), st.text())
def test_whatever_a_test_is_called_its_folder_is_a_sessions(parts: list[str], given: str) -> None:
    nodeid = f"{'/'.join(parts)}.py::test_x[{given}]"
    assert SESSION_NAME.fullmatch(folder_of(nodeid))


@given(st.text(), st.text())
def test_tests_that_are_not_the_same_have_not_the_same_folder(one: str, other: str) -> None:
    folders = {folder_of(f"t.py::test_x[{given}]") for given in (one, other)}
    assert len(folders) == len({one, other})
