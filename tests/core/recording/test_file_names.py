"""What the names of recordings say."""

import pytest

from wiretape.core.recording.file_names import (
    SIDE_FILE_NAME,
    by_take,
    name_of_take,
    stem_of,
    take_of,
)
from wiretape.core.recording.text import side_file_name


@pytest.mark.parametrize("number", [1, 2, 10, 999_999])
def test_a_name_says_its_take(number: int) -> None:
    name = name_of_take("api.openai.com/v1-models/3f2a00112233", number)
    assert (stem_of(name), take_of(name)) == ("api.openai.com/v1-models/3f2a00112233", number)


@pytest.mark.parametrize("name", ["by-hand.json", "v1.x/by.hand.json", "a.2/b.json", "a.json.json"])
def test_other_names_are_first_takes(name: str) -> None:
    assert take_of(name) == 1


def test_takes_are_in_the_order_of_their_numbers() -> None:
    names = ["b.json", "a.10.json", "a.2.json", "a.json"]
    assert sorted(names, key=by_take) == ["a.json", "a.2.json", "a.10.json", "b.json"]


def test_a_side_file_is_known_by_its_name() -> None:
    assert SIDE_FILE_NAME.fullmatch(side_file_name(b"binary"))
    assert not SIDE_FILE_NAME.fullmatch("3f2a00112233.bin")
