"""A ticket hands one answer over, once."""

from typing import Any

from wiretape.engine.tickets import Tickets


def test_a_ticket_is_good_once() -> None:
    tickets, answers, request = Tickets(), (object(), object()), object()
    issued: Any = [tickets.issue(answer, request) for answer in answers]  # type: ignore[arg-type]
    assert issued[0] != issued[1]
    assert tickets.take(issued[1]) == (answers[1], request)
    assert tickets.take(issued[1]) is None
    assert tickets.take(issued[0]) == (answers[0], request)


def test_what_is_no_ticket_gives_nothing() -> None:
    assert Tickets().take("") is None
