"""Which requests may be sent again."""

from typing import Any

import pytest
from tests.support.cases import in_one_test

from wiretape.core.drift.repeatable import unrepeatable_reason, unsafe_reason


def request(path: str, method: str = "POST", body: Any = None) -> dict[str, Any]:
    return {"method": method, "endpoint": path, "body": body}


@in_one_test(
    "path",
    [
        *("/v1/chat/completions", "/openai/deployments/d/chat/completions", "/v1/completions"),
        *("/v1/responses", "/v1/embeddings", "/v1/messages", "/v1/messages/count_tokens"),
        *("/v1beta/models/g:generateContent", "/v1beta/models/g:streamGenerateContent"),
        *("/api/chat", "/api/generate", "/v2/chat", "/v1/rerank", "/v1/moderations"),
        *("/model/anthropic.claude/converse-stream", "/model/m/invoke"),
    ],
)
def test_asking_a_model_is_safe(path: str) -> None:
    assert unsafe_reason(request(path)) is None


@in_one_test(
    "path",
    [
        *("/v1/files", "/v1/batches", "/v1/fine_tuning/jobs", "/v1/threads", "/v1/uploads"),
        *("/v1/vector_stores", "/v1/responses/resp_1/cancel", "/v1/messages/batches"),
        *("/v1beta/cachedContents", "/v1beta/models/g:batchGenerateContent", "/api/pull", "/"),
        *("/v1/files/chat/completions/x", "/v1/threads/thread_1/messages", "/v1/threads/t/runs"),
        *("/v1/models/m/predictions", "/v1beta/interactions", "/mcp"),
    ],
)
def test_what_may_make_something_is_not(path: str) -> None:
    assert unsafe_reason(request(path)) is not None


def test_reading_is_safe_and_deleting_is_not() -> None:
    assert unsafe_reason(request("/v1/files/file-1", "GET")) is None
    assert unsafe_reason(request("/v1/files/file-1", "DELETE")) is not None


@pytest.mark.parametrize("member", ["store", "background"])
def test_what_is_to_stay_there_is_not(member: str) -> None:
    assert unsafe_reason(request("/v1/responses", body={member: True})) is not None
    assert unsafe_reason(request("/v1/responses", body={member: False})) is None


def test_ids_of_earlier_answers_and_redacted_values_cannot_be_sent() -> None:
    assert unrepeatable_reason(request("/v1/x", body={"q": "plain"})) is None
    assert unrepeatable_reason({**request("/v1/x"), "ids": {"file-1": "0123456789ab#0"}})
    assert unrepeatable_reason(request("/v1/x", body={"q": "REDACTED-together-key-3f9a1c07"}))
