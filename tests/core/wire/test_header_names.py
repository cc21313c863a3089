"""Names of headers, one that ends in an asterisk being all that begin so."""

import pytest

from wiretape.core.wire.header_names import HeaderNames

NAMES = HeaderNames(["Date", "X-Stainless-*"])


@pytest.mark.parametrize("name", ["date", "x-stainless-os", "x-stainless-"])
def test_a_name_is_in_it_in_full_or_by_how_it_begins(name: str) -> None:
    assert name in NAMES


@pytest.mark.parametrize("name", ["dat", "date2", "x-stainless", "my-x-stainless-os", ""])
def test_other_names_are_not(name: str) -> None:
    assert name not in NAMES


def test_names_in_full_are_told_from_how_others_begin() -> None:
    assert NAMES.in_full == {"date"}


def test_none_is_in_no_names_and_any_in_an_asterisk() -> None:
    assert "date" not in HeaderNames()
    assert "date" in HeaderNames(["*"])
