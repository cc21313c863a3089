"""What was redacted, marked in place."""

from tests.support.page_recordings import KEY

from wiretape.core.conversation.redactions import Piece, pieces, redactions, rule_of


def test_a_text_without_placeholders_is_one_piece() -> None:
    assert pieces("hi") == [Piece("hi")]
    assert pieces("") == [Piece("")]


def test_the_pieces_joined_are_the_text() -> None:
    text = f"{KEY} and {KEY}, REDACTED-secret REDACTED-"
    assert "".join(piece.text for piece in pieces(text)) == text
    assert [piece.rule for piece in pieces(text)] == [
        *("openai-key", None, "openai-key", None, "secret", None)
    ]


def test_a_placeholder_names_its_rule_with_and_without_a_digest() -> None:
    assert rule_of("REDACTED-secret") == "secret"
    assert rule_of("REDACTED-my-own-rule-0123abcd") == "my-own-rule"


def test_each_placeholder_is_listed_with_all_its_places() -> None:
    document = {
        "request": {"body": {"messages": [{"content": f"{KEY} {KEY}"}, {KEY: 1}]}},
        "response": {"body": [{"text": "REDACTED-secret"}]},
    }
    assert redactions(document) == {
        KEY: ["request.body.messages[0].content", "request.body.messages[1]"],
        "REDACTED-secret": ["response.body[0].text"],
    }
