"""Documents of requests as they come, before anything is redacted."""

from wiretape.core.model import Headers, Request, split_url
from wiretape.core.recording.document import Document, from_request

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
CHAT = "https://api.together.xyz/v1/chat/completions"


def request(
    body: bytes | str = b"",
    media: str = JSON,
    url: str = CHAT,
    method: str = "POST",
    headers: Headers = (),
) -> Document:
    """The document of a request as it came."""
    scheme, host, port, target = split_url(url)
    kept = (("Content-Type", media), *headers) if media else headers
    data = body.encode() if isinstance(body, str) else body
    return from_request(Request(method, scheme, host, port, target, headers=kept, body=data))
