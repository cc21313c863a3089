"""Of the takes of a key those answer whose headers agree with the request's."""

from pathlib import Path

import pytest
from tests.support.asked_folder import JSON, HttpFolder

from wiretape.core.model import Chunk, Exchange, Headers, Response

BODY = {"prompt": "hi"}


@pytest.fixture
def folder(tmp_path: Path) -> HttpFolder:
    return HttpFolder(tmp_path / "r")


def record(
    folder: HttpFolder, answer: str, *headers: tuple[str, str], vary: str | None = None
) -> None:
    request = folder.request(BODY, headers=(*JSON, *headers))
    about: Headers = JSON if vary is None else (*JSON, ("vary", vary))
    folder.put(Exchange(request, Response(200, about, (Chunk(answer.encode()),))))


def answers(folder: HttpFolder, *asked: tuple[tuple[str, str], ...]) -> list[str | None]:
    """What requests with these headers are answered, one after the other in one run."""
    replayer = folder.replayer()
    given: list[str | None] = []
    for headers in asked:
        live = folder.request(BODY, headers=(*JSON, *headers))
        answer = replayer.answer(replayer.with_current_ids(replayer.prepare(live)))
        given.append(None if answer is None else answer.response.body.decode())
    return given


def test_takes_whose_headers_say_nothing_are_given_in_order(folder: HttpFolder) -> None:
    record(folder, "one")
    record(folder, "two")
    assert answers(folder, (), (), ()) == ["one", "two", "two"]


def test_what_an_answers_vary_names_decides(folder: HttpFolder) -> None:
    record(folder, "deutsch", ("accept-language", "de"), vary="Accept-Language")
    record(folder, "english", ("accept-language", "en"), vary="Accept-Language")
    english, german = (("accept-language", "en"),), (("accept-language", "de"),)
    assert answers(folder, english, german, english) == ["english", "deutsch", "english"]
    assert answers(folder, (("accept-language", "fr"),)) == [None]


def test_the_form_that_a_client_accepts_decides(folder: HttpFolder) -> None:
    record(folder, "a stream", ("accept", "text/event-stream"))
    record(folder, "whole", ("accept", "application/json"))
    assert answers(folder, (("accept", "application/json"),)) == ["whole"]
    assert answers(folder, (("accept", "text/event-stream"),)) == ["a stream"]


def test_a_recording_without_such_headers_answers_one_that_has_them(folder: HttpFolder) -> None:
    """As earlier versions wrote it: a range was not recorded."""
    record(folder, "whole")
    assert answers(folder, (("prefer", "respond-async"),)) == ["whole"]


def test_a_difference_in_headers_alone_is_named(folder: HttpFolder) -> None:
    record(folder, "deutsch", ("accept-language", "de"), vary="Accept-Language")
    replayer = folder.replayer()
    live = folder.request(BODY, headers=(*JSON, ("accept-language", "fr")))
    miss = replayer.misses.explain(replayer.with_current_ids(replayer.prepare(live)))
    (difference,) = miss.differences
    assert (difference.path, difference.got, difference.recorded) == (
        *("headers.accept-language", "fr", "de"),
    )
