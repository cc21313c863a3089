"""What of an answer's headers is recorded: what clients steer by, and nothing of an account."""

import json

import pytest
from tests.support.cases import in_one_test

from wiretape.core.redaction import gate
from wiretape.core.redaction.answer_headers import DROP_RESPONSE_HEADERS, AnswerHeaders
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import SECRET_HEADERS, RedactionRules

KEPT = AnswerHeaders(DROP_RESPONSE_HEADERS, (), SECRET_HEADERS)
STEER = """
    Accept-Ranges Allow Cache-Control Content-Disposition Content-Encoding Content-Language
    Content-Location Content-Range Content-Type ETag Last-Modified Link Location Refresh
    Retry-After Retry-After-Ms Vary WWW-Authenticate X-Should-Retry Preference-Applied
    Sec-WebSocket-Protocol Sec-WebSocket-Extensions Mcp-Session-Id
    X-Goog-Upload-URL X-Goog-Upload-Status X-Goog-Upload-Control-URL X-Goog-Upload-Size-Received
    X-Goog-Upload-Chunk-Granularity X-Goog-Hash
    Operation-Location Azure-AsyncOperation X-Ms-Error-Code X-Ms-Continuation-Token
    X-RateLimit-Limit-Requests X-RateLimit-Remaining-Tokens X-RateLimit-Reset-Tokens
    X-RateLimit-Limit-Project-Tokens Anthropic-RateLimit-Requests-Remaining
    X-Amzn-ErrorType X-Amzn-Bedrock-Input-Token-Count X-Total-Count X-Next-Page Upload-Offset
    Tus-Resumable OpenAI-Version OpenAI-Model X-Made-Up
"""
# The last lines: what published recordings of providers' answers had in them.
LEFT_OUT = """
    Connection Keep-Alive Proxy-Authenticate Proxy-Connection TE Trailer Transfer-Encoding Upgrade
    Via Alt-Svc Strict-Transport-Security Content-Length Server X-Wiretape X-Wiretape-Fault
    Date Age Expires Server-Timing Traceparent X-Cache X-Cache-Hits X-Served-By X-Timer
    X-Envoy-Upstream-Service-Time CF-Cache-Status X-Amz-Cf-Id X-Amzn-Bedrock-Invocation-Latency
    OpenAI-Organization OpenAI-Project Set-Cookie Anthropic-Organization-Id Anthropic-Workspace-Id
    X-Request-Id Request-Id CF-Ray OpenAI-Processing-Ms
    Anthropic-RateLimit-Unified-5h-Utilization Anthropic-RateLimit-Unified-7d-Utilization
    TraceResponse X-Amzn-RequestId Apim-Request-Id AzureML-Model-Session X-Ms-Region
    Mistral-Correlation-Id X-Generation-Id X-Cloud-Trace-Context DG-Project-Id
    X-Trial-Endpoint-Call-Limit X-Hostname X-Together-TraceId X-Cluster X-Engine-Pod
    X-Groq-Organization X-Tenant-Id X-LiteLLM-Key-Spend Authorization X-Api-Key
"""


@in_one_test("name", STEER.split())
def test_a_header_that_clients_steer_by_is_recorded(name: str) -> None:
    assert KEPT.is_recorded(name)


@in_one_test("name", LEFT_OUT.split())
def test_a_header_of_a_connection_a_moment_or_an_account_is_not(name: str) -> None:
    assert not KEPT.is_recorded(name)


def test_the_user_has_the_last_word_but_for_secrets() -> None:
    headers = AnswerHeaders(
        {*DROP_RESPONSE_HEADERS, "x-own-*"}, ("cf-*", "date", "set-cookie"), ("set-cookie",)
    )
    names = ("X-Own-A", "CF-Ray", "Date", "Set-Cookie", "X-Other")
    assert [headers.is_recorded(name) for name in names] == [False, True, True, False, True]


@pytest.mark.parametrize(("method", "has_length"), [("HEAD", True), ("GET", False), (None, False)])
def test_the_length_of_an_answer_to_head_is_its_content(
    method: str | None, has_length: bool
) -> None:
    part = KEPT({"headers": {"content-length": "5", "etag": "a"}, "status": 200}, method)
    assert part == {
        "headers": {"content-length": "5", "etag": "a"} if has_length else {"etag": "a"},
        "status": 200,
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x-goog-upload-url", "https://h/u?upload_id=AB&key={}", "https://h/u?upload_id=AB&key={}"),
        ("operation-location", "https://h/op?sig={}", "https://h/op?sig={}"),
        ("link", '<https://h/a?p=2&key={}>; rel="next"', '<https://h/a?p=2&key={}>; rel="next"'),
        ("location", "/a?access_token={}#f", "/a?access_token={}#f"),
        ("location", "https://{}@h/a", "https://{}@h/a"),
        ("x-note", "sk-proj-{}", "{}"),
    ],
)
def test_values_are_redacted(name: str, value: str, expected: str) -> None:
    secret = "Ab3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d"
    document = {
        "wiretape": 1,
        "recorded_at": None,
        "request": {"method": "GET", "url": "https://h/", "headers": {}, "endpoint": "/"},
        "response": {
            "status": 200,
            "headers": {name: value.format(secret)},
            "is_streaming": False,
            "body": None,
        },
    }
    redacted, _ = Redactor(RedactionRules()).document(document)
    got = redacted["response"]["headers"][name]
    assert secret not in got
    before, _, after = expected.partition("{}")
    assert got.startswith(f"{before}REDACTED-")
    assert got.endswith(after)


def test_trailers_are_chosen_as_headers_are() -> None:
    part = {"headers": {}, "trailers": {"Set-Cookie": "a=b", "X-Checksum": "abc", "Date": "now"}}
    assert KEPT(part, "POST") == {"headers": {}, "trailers": {"x-checksum": "abc"}}


def test_a_secret_trailer_is_left_out_and_told() -> None:
    document = {
        "request": {
            "method": "POST",
            "url": "https://api.together.xyz/v1/x",
            "headers": {},
            "trailers": {"authorization": "a", "x-made-up": "b"},
        },
        "response": {"status": 200, "headers": {}, "trailers": {"set-cookie": "a=b", "x-c": "d"}},
    }
    redacted, findings = Redactor(RedactionRules()).document(document)
    assert redacted["request"]["trailers"] == {}
    assert redacted["response"]["trailers"] == {"x-c": "d"}
    assert [(item.rule, item.where) for item in findings] == [
        ("authorization", "request.trailers.authorization"),
        ("set-cookie", "response.trailers.set-cookie"),
    ]


@pytest.mark.parametrize("name", ["x-session-token", "x-api-secret", "x-refresh-token"])
def test_a_value_named_as_a_credential_is_replaced_and_the_recording_written(name: str) -> None:
    secret = "Ab3dE5fG7hJ9kL1mN3pQ5rS7"
    names = {name: secret, "x-next-page-token": secret, "x-ratelimit-remaining-tokens": "1234"}
    document = {
        "wiretape": 1,
        "recorded_at": None,
        "request": {"method": "GET", "url": "https://h/", "headers": {}, "endpoint": "/"},
        "response": {"status": 200, "headers": names, "is_streaming": False, "body": None},
    }
    redactor = Redactor(RedactionRules())
    redacted, findings = redactor.document(document)
    headers = redacted["response"]["headers"]
    assert headers[name].startswith("REDACTED-")
    assert headers["x-ratelimit-remaining-tokens"] == "1234"
    assert next(item.where for item in findings) == f"response.headers.{name}"
    assert gate.inspect(json.dumps(redacted), redactor) == ()
