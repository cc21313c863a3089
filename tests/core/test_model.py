"""Requests, answers and the URLs they went to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wiretape.core.model import Chunk, Request, Response, header, models_in_path, split_url

HEADERS = (("Content-Type", "text/plain"), ("X-A", "1"), ("x-a", "2"))


@pytest.mark.parametrize("name", ["x-a", "X-A", "X-a"])
def test_a_header_is_found_in_any_case_and_the_first_one_counts(name: str) -> None:
    assert header(HEADERS, name) == "1"


def test_a_header_that_is_not_there_is_none() -> None:
    assert header(HEADERS, "content") is None


@pytest.mark.parametrize(
    ("scheme", "host", "port", "authority"),
    [
        ("https", "api.x.ai", 443, "api.x.ai"),
        ("http", "localhost", 80, "localhost"),
        ("https", "api.x.ai", 8443, "api.x.ai:8443"),
        ("http", "api.x.ai", 443, "api.x.ai:443"),
        ("http", "::1", 8080, "[::1]:8080"),
        ("https", "::1", 443, "[::1]"),
    ],
)
def test_an_authority_names_a_port_that_is_not_the_schemes(
    scheme: str, host: str, port: int, authority: str
) -> None:
    request = Request("GET", scheme, host, port, "/v1/models?limit=1")
    assert request.authority == authority
    assert request.url == f"{scheme}://{authority}/v1/models?limit=1"


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/v1/models?limit=1&a=?", "/v1/models", "limit=1&a=?"),
        ("/v1/models", "/v1/models", ""),
        ("/v1/models?", "/v1/models", ""),
    ],
)
def test_a_target_is_path_and_query(target: str, path: str, query: str) -> None:
    request = Request("GET", "https", "api.x.ai", 443, target)
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://api.x.ai/v1/a?b=c", ("https", "api.x.ai", 443, "/v1/a?b=c")),
        ("http://localhost", ("http", "localhost", 80, "/")),
        ("https://api.x.ai?b=c", ("https", "api.x.ai", 443, "/?b=c")),
        ("HTTPS://API.X.ai/V1", ("https", "api.x.ai", 443, "/V1")),
        ("https://user:key@api.x.ai:8443/", ("https", "api.x.ai", 8443, "/")),
        ("http://[::1]:8080/a", ("http", "::1", 8080, "/a")),
        ("https://api.x.ai/a?", ("https", "api.x.ai", 443, "/a?")),
        ("https://api.x.ai/a#b?c", ("https", "api.x.ai", 443, "/a#b?c")),
        ("https://api.x.ai/a\tb\udcff", ("https", "api.x.ai", 443, "/a\tb\udcff")),
        ("https://api.x.ai//a//b", ("https", "api.x.ai", 443, "//a//b")),
    ],
)
def test_a_url_is_split(url: str, parts: tuple[str, str, int, str]) -> None:
    assert split_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.x.ai/v1",
        "/v1/models",
        "ftp://api.x.ai/",
        "https://",
        "https:///v1",
        "https://:443/",
        "https://user@/",
        "https://api.x.ai:99999/",
        "https://api.x.ai:no/",
        "https://[::1/",
        "https://a b/",
        "https://a\r\nb/",
        "vertexai:///generate_content",
    ],
)
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        split_url(url)


HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?", fullmatch=True), st.just("::1")
)


@settings(deadline=None)
@given(st.sampled_from(["http", "https"]), HOSTS, st.integers(1, 65535), st.text().map("/".__add__))
def test_the_url_of_a_request_splits_into_what_it_was_made_of(
    scheme: str, host: str, port: int, target: str
) -> None:
    request = Request("GET", scheme, host, port, target)
    assert split_url(request.url) == (scheme, host, port, target)


def test_the_body_of_an_answer_is_its_chunks_joined() -> None:
    assert Response(200, chunks=(Chunk(b"a"), Chunk(b""), Chunk(b"b"))).body == b"ab"
    assert Response(204).body == b""


@pytest.mark.parametrize(
    ("path", "models"),
    [
        ("/v1beta/models/gemini-2.0-flash:generateContent", ["gemini-2.0-flash"]),
        ("/openai/deployments/mine/chat/completions?api-version=1", ["mine"]),
        ("https://h/v1/engines/davinci", ["davinci"]),
        ("/model/a.b-v1/converse#x", ["a.b-v1"]),
        ("/v1/models?limit=1", []),
        ("/v1/models/", []),
    ],
)
def test_models_are_found_in_paths(path: str, models: list[str]) -> None:
    assert models_in_path(path) == models
