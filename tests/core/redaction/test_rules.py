"""The rules that wiretape comes with, and how a finding is written."""

import pytest

from wiretape.core.redaction.rules import (
    SECRET_HEADERS,
    SECRET_QUERY,
    RedactionRules,
    Where,
    finding,
)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (("request", "headers", "x-api-key"), "request.headers.x-api-key"),
        (("response", "body", 0, "data"), "response.body[0].data"),
        ((0, "a b"), '[0]["a b"]'),
        ((), ""),
    ],
)
def test_a_findings_path_reads_as_code(where: Where, text: str) -> None:
    assert finding("rule", where).where == text


def test_values_of_the_environment_are_not_printed() -> None:
    assert "kV8w2Qz" not in repr(RedactionRules(values=(("OPENAI_API_KEY", "kV8w2Qz"),)))


def test_lists_are_in_lower_case_and_nothing_secret_is_kept() -> None:
    rules = RedactionRules()
    names = rules.secret_headers | rules.secret_query | rules.keep_request_headers
    assert names == {name.lower() for name in names}
    assert not rules.keep_request_headers & SECRET_HEADERS
    assert {"authorization", "x-api-key", "cookie", "set-cookie"} <= rules.secret_headers
    assert {"key", "sig", "x-amz-signature"} <= SECRET_QUERY
    assert rules.gate == "refuse"
