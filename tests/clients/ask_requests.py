"""requests."""

from collections.abc import Iterator

import requests

from .place import body, headers, url
from .say import Call, events


def whole() -> Iterator[str]:
    call = "requests.whole"
    asked = body(call, stream=False)
    answer = requests.post(url(call), headers=headers(), json=asked)
    answer.raise_for_status()
    yield answer.content.decode()


def streamed() -> Iterator[str]:
    call = "requests.streamed"
    asked = body(call, stream=True)
    with requests.post(url(call), headers=headers(), json=asked, stream=True) as answer:
        answer.raise_for_status()
        yield from events(answer.iter_content(chunk_size=None))


CALLS: dict[str, Call] = {"requests.whole": whole, "requests.streamed": streamed}
