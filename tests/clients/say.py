"""How a client program tells the test what it got: a JSON line for each object, at once."""

import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

type Call = Callable[[], Iterator[Any] | AsyncIterator[Any]]

# WHATWG HTML 9.2.5: a blank line ends an event; these streams end their lines in LF or CRLF.
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n")


def line(call: str, **members: Any) -> None:
    """Print one line about a call."""
    print(json.dumps({"call": call, **members}), flush=True)


class Events:
    """Cuts what a raw client reads at the ends of events, so that reads do not show in the lines.

    Nothing is lost: the texts, joined and encoded, are the bytes.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The events that one read completes."""
        self._rest += data
        while found := _EVENT_END.search(self._rest):
            event, self._rest = self._rest[: found.end()], self._rest[found.end() :]
            yield event.decode()

    def close(self) -> Iterator[str]:
        """What no event's end ended."""
        if self._rest:
            yield self._rest.decode()


def events(reads: Iterable[bytes]) -> Iterator[str]:
    """The events of a stream, each as soon as it is whole."""
    cut = Events()
    for data in reads:
        yield from cut.feed(data)
    yield from cut.close()


async def async_events(reads: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """The same for reads that are awaited."""
    cut = Events()
    async for data in reads:
        for event in cut.feed(data):
            yield event
    for event in cut.close():
        yield event
