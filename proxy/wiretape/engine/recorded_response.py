"""The answer that a recording gives to a live request."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from wiretape.core.model import Chunk, Request, Response, WebSocket, header
from wiretape.core.redaction.run_paths import RunPaths
from wiretape.core.wire import jsonrpc, sse
from wiretape.library.file_cache import CachedRecording

from .request import ReplayRequest

_RENAMINGS: Final = 10_000


def response_to(request: ReplayRequest, recording: CachedRecording, paths: RunPaths) -> Response:
    """A recorded answer, with this run's folders and the ids of JSON-RPC that its request
    has, or the request whose stream it goes on with.
    """
    response = paths.response(recording.response, recording.answer.paths)
    renamings = request.session.renamings
    if jsonrpc.MARKER not in request.live.body and not renamings:
        return response  # the usual case, for which the recorded request need not be read
    recorded = recording.exchange.request
    if recorded.body:
        renaming = jsonrpc.Renaming.between(recorded.body, request.live.body)
    else:
        renaming = renamings.get(header(request.live.headers, "last-event-id") or "")
    if renaming is None:
        return response
    if not response.streaming:
        body = renaming.whole(response.body)
        at = response.chunks[-1].at if response.chunks else None
        return replace(response, chunks=(Chunk(body, at),)) if body else response
    if isinstance(response, WebSocket):
        messages = (
            message
            if message.sender == "client"
            else replace(message, data=renaming.whole(message.data))
            for message in response.messages
        )
        return replace(response, chunks=tuple(messages))
    events = (sse.parse(chunk.data) for chunk in response.chunks)
    renamings |= {event.id: renaming for event in events if event is not None and event.id}
    while len(renamings) > _RENAMINGS:
        del renamings[next(iter(renamings))]
    chunks = (replace(chunk, data=renaming.event(chunk.data)) for chunk in response.chunks)
    return replace(response, chunks=tuple(chunks))


def stays_open(live: Request, response: Response, is_recorded: Callable[[Request], bool]) -> bool:
    """Whether an answer is the stream in which an MCP server speaks of its own accord: it lives
    as long as its session, which goes faster now. A client opens one that ends again, and would
    be told everything twice. One that was resumed in the recording does end.
    """
    if live.method != "GET" or not response.streaming or not jsonrpc.is_mcp(live.headers):
        return False
    events = (sse.parse(chunk.data) for chunk in reversed(response.chunks))
    last_id = next((event.id for event in events if event and event.id), None)
    if last_id is None:
        return True
    headers = [item for item in live.headers if item[0].lower() != "last-event-id"]
    return not is_recorded(replace(live, headers=(*headers, ("last-event-id", last_id))))
