"""What tests of redaction share."""

from collections.abc import Iterator

import pytest

from wiretape.core.text import regex


@pytest.fixture(scope="module")
def looks_at_short_texts() -> Iterator[None]:
    """Let RE2 look at short texts as at long ones: those of tests are short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regex, "_short", 0)
        yield
