"""The least that a recorder in mitmdump does: `mitmdump -s tee.py` keeps each answer's reads."""

from mitmproxy import http


class Tee:
    """Streams every answer and keeps what passed until the answer is over."""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        reads: list[bytes] = []
        flow.metadata["reads"] = reads

        def tee(data: bytes) -> bytes:
            reads.append(data)
            return data

        flow.response.stream = tee

    def response(self, flow: http.HTTPFlow) -> None:
        flow.metadata.pop("reads", None)


addons = [Tee()]
