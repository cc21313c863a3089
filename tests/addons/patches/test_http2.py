"""What an HTTP/2 client has not taken is counted as it comes and goes."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.proxy.layers.http._http_h2 import SendH2Data

from wiretape_mitm.patches.http2 import CountedBuffer


class Unread(CountedBuffer):
    """Going through it for each frame would be quadratic in the frames."""

    def __iter__(self) -> Iterator[SendH2Data]:
        raise AssertionError("gone through")


@given(st.lists(st.tuples(st.sampled_from("alp"), st.binary(max_size=9))))
def test_the_size_is_known_without_a_look_at_the_pieces(steps: list[tuple[str, bytes]]) -> None:
    kept, sizes = Unread(), list[int]()
    for step, data in steps:
        piece = SendH2Data(data, end_stream=False)
        if step == "a":
            kept.append(piece)
            sizes.append(len(data))
        elif step == "l":
            kept.appendleft(piece)
            sizes.insert(0, len(data))
        elif sizes:
            assert len(kept.popleft().data) == sizes.pop(0)
        assert kept.size == sum(sizes)
