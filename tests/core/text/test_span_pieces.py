"""Spans of a text that is in pieces: what they replace is the same in the joined text."""

from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.text.span_pieces import divided, located, moved
from wiretape.core.text.spans import Span, applied


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[Span]]:
    """Texts, and spans of them joined: in order, apart, not empty."""
    texts = draw(st.lists(st.text("abc", max_size=4), min_size=1, max_size=6))
    borders = st.integers(0, len("".join(texts)))
    at = sorted(draw(st.sets(borders, max_size=8)))
    pairs = zip(at[::2], at[1::2], strict=False)
    return texts, [Span(start, end, f"<{start}>", "rule") for start, end in pairs]


@given(cases())
def test_the_pieces_joined_are_the_text_with_its_spans_replaced(
    case: tuple[list[str], list[Span]],
) -> None:
    texts, spans = case
    shares = divided(texts, spans)
    pieces = [applied(text, share) for text, share in zip(texts, shares, strict=True)]
    assert "".join(pieces) == applied("".join(texts), spans)
    # Each placeholder and rule is there once, where its span begins.
    named = [span.placeholder for share in shares for span in share if span.rule]
    assert named == [span.placeholder for span in spans]


@given(cases())
def test_a_span_begins_in_its_first_text_and_ends_in_its_last(
    case: tuple[list[str], list[Span]],
) -> None:
    texts, spans = case
    for span, first, last, start in located(texts, spans):
        assert start == len("".join(texts[:first]))
        assert start <= span.start < start + len(texts[first])
        assert len("".join(texts[:last])) < span.end <= len("".join(texts[: last + 1]))


def test_a_moved_span_keeps_what_it_is_for() -> None:
    assert moved(Span(1, 3, "X", "rule"), 4) == Span(5, 7, "X", "rule")
