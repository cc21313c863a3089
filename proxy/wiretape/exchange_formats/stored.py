"""Recordings of llama-stack (now OGX), of all its eras, read as what was on the wire."""

import json
from typing import Any, BinaryIO

from wiretape.core.errors import FormatError
from wiretape.core.model import Request
from wiretape.core.recording.document import to_exchange, to_request
from wiretape.core.recording.llamastack import convert, is_llamastack
from wiretape.core.text import exact_json

from .foreign import ForeignExchange, ForeignItems, LeftOut


def read(file: BinaryIO, _hint: Request | None = None) -> ForeignItems:
    """The exchange of a recording, once for each spelling of its request.

    FormatError where it is not one.
    """
    try:
        document: Any = exact_json.parse(file.read())
    except (ValueError, json.JSONDecodeError):
        raise FormatError("not JSON") from None
    if not isinstance(document, dict):
        raise FormatError("expected a recording of llama-stack, an object")
    if not is_llamastack(document):
        raise FormatError("a recording of wiretape's own: copy it into the folder as it is")
    try:
        converted = convert(document)
        exchange = to_exchange(converted.document)
    except FormatError as error:
        yield LeftOut("#1", str(error))
        return
    response = exchange.response
    # Clients spell one call differently: each finds the answer.
    requests = [exchange.request, *(to_request(spelling) for spelling in converted.also)]
    for request in requests:
        yield ForeignExchange(
            where="#1",
            request=request,
            status=response.status,
            headers=response.headers,
            body=response.body,
            outcome="ended" if response.end == "complete" else "cut",
        )
