"""What depends on the moment is not an answer to keep."""

import pytest

from wiretape.core.recording.outage import is_outage


@pytest.mark.parametrize("status", [401, 403, 407, 408, 425, 429, 500, 502, 503, 529, 599])
def test_an_answer_that_depends_on_a_key_or_the_moment(status: int) -> None:
    assert is_outage(status)


@pytest.mark.parametrize("status", [101, 200, 204, 206, 304, 400, 402, 404, 409, 413, 422])
def test_an_answer_that_depends_on_the_request(status: int) -> None:
    assert not is_outage(status)
