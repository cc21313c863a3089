"""Hand answers from mitmproxy over to the engine."""

from secrets import token_hex

from .answer import ReplayAnswer
from .request import ReplayRequest


class Tickets:
    """Hands an answer from mitmproxy to the engine; a ticket is good once."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[ReplayAnswer, ReplayRequest]] = {}

    def issue(self, answer: ReplayAnswer, request: ReplayRequest) -> str:
        """A ticket that no other user of this machine can guess."""
        ticket = token_hex(16)
        self._issued[ticket] = (answer, request)
        return ticket

    def take(self, ticket: str) -> tuple[ReplayAnswer, ReplayRequest] | None:
        """What a ticket was issued for."""
        return self._issued.pop(ticket, None)
