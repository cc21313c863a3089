"""Decide which recorded requests can be sent again without creating anything."""

import json
import re
from typing import Final

from wiretape.core.conversation.turns import text_of
from wiretape.core.recording.document import Document

_READING: Final = frozenset(("GET", "HEAD", "OPTIONS"))  # RFC 9110, section 9.2.1

# Endpoints whose POST asks a model and makes nothing that stays.
_ASKING: Final = re.compile(
    r"(?:\A|/v\d+)/messages(?:/count_tokens)?\Z"  # not /threads/thread_1/messages
    r"|/(?:chat/completions|completions|responses|embeddings|moderations|rerank|classify|classifications|tokenize|detokenize|infill|images/generations"
    r"|audio/(?:speech|transcriptions|translations)|ocr"
    r"|v[12]/(?:chat|generate|embed)|api/(?:chat|generate|embed|embeddings|show)"
    r"|invoke(?:-with-response-stream)?|converse(?:-stream)?|responses/input_tokens"
    r"|[^/]+:(?:generateContent|streamGenerateContent|embedContent|batchEmbedContents|countTokens"
    r"|predict|rawPredict|streamRawPredict))\Z"
)
_PLACEHOLDER: Final = re.compile(r"REDACTED-[a-z0-9]")


def unsafe_reason(request: Document) -> str | None:
    """Why sending a `request` part again may make or change something at the provider; None if it
    does not.

    >>> unsafe_reason({"method": "POST", "endpoint": "/v1/chat/completions"}) is None
    True
    >>> unsafe_reason({"method": "POST", "endpoint": "/v1/files"})
    'POST /v1/files may make or change something there'
    """
    method, path = text_of(request.get("method")).upper(), text_of(request.get("endpoint"))
    if method in _READING:
        return None
    body = request.get("body")
    if method != "POST" or not _ASKING.search(path):
        return f"{method} {path} may make or change something there"
    if isinstance(body, dict):
        for name in ("background", "store"):
            if body.get(name) is True:
                return f"{name}: true makes something there that stays"
    return None


def unrepeatable_reason(request: Document) -> str | None:
    """Why a `request` part cannot be sent as it was; None if it can.

    >>> unrepeatable_reason({"body": {"user": "REDACTED-secret"}})
    'it holds redacted values'
    """
    if request.get("ids"):
        return "it sends back an id that an earlier answer gave"
    body = {key: value for key, value in request.items() if key.startswith("body")}
    if _PLACEHOLDER.search(json.dumps(body)):
        return "it holds redacted values"
    return None
