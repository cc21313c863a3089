"""A base URL's path names the provider, and what an answer points to comes back to wiretape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cases import in_one_test

from wiretape.core.model import split_url
from wiretape.core.providers.base_url import Destination, destination_of, links_to_door
from wiretape.core.providers.registry import Provider, Providers

HOSTS = ("api.openai.com", "localhost:8000", "[::1]:8001", "*.openai.azure.com")
PROVIDERS = Providers((Provider("p", HOSTS),))
DOOR = "http://127.0.0.1:8899"
URL = "https://api.openai.com/v1/files/1?x=y"
AT = f"{DOOR}/api.openai.com"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/api.openai.com/v1/x?a=b", ("https", "api.openai.com", 443, "/v1/x?a=b")),
        ("/api.openai.com", ("https", "api.openai.com", 443, "/")),
        ("/example.com:8443/v1", ("https", "example.com", 8443, "/v1")),
        ("/localhost:8000/v1", ("http", "localhost", 8000, "/v1")),
        ("/localhost/v1", ("https", "localhost", 443, "/v1")),
        ("/[::1]:8001/v1", ("http", "::1", 8001, "/v1")),
        ("/%5B::1%5D:8001/v1", ("http", "::1", 8001, "/v1")),
        ("/[::1]/v1", ("https", "::1", 443, "/v1")),
        ("/[2001:db8::1]:8001/v1", ("https", "2001:db8::1", 8001, "/v1")),
    ],
)
def test_the_path_names_the_provider(target: str, expected: tuple[str, str, int, str]) -> None:
    assert destination_of(target) == Destination(*expected)


@pytest.mark.parametrize("target", ["/", "//v1", "/?a=b", "/host?a=b", "/[::1/v1", "/h:99999/"])
def test_a_path_without_a_host_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Invalid|Port"):
        destination_of(target)


@in_one_test(
    "name, value, expected",
    [
        ("Location", "https://api.openai.com/v1/files/2", f"{AT}/v1/files/2"),
        ("location", "HTTPS://API.OpenAI.com/a?u=https://api.openai.com/b#c", None),
        ("location", "https://api.openai.com", f"{AT}/"),
        ("location", "https://api.openai.com?x=1", f"{AT}/?x=1"),
        ("location", "https://api.openai.com:443/a", f"{AT}/a"),
        ("location", "http://api.openai.com:80/a", f"{AT}/a"),
        ("location", "http://api.openai.com/a", f"{AT}/a"),
        ("location", "//api.openai.com/a", f"{AT}/a"),
        ("location", "https://u:p@api.openai.com/a", "http://u:p@127.0.0.1:8899/api.openai.com/a"),
        ("location", "/v1/files/2?a=b,c", f"{AT}/v1/files/2?a=b,c"),
        ("location", "../../../../etc", f"{AT}/etc"),
        ("location", "./2", f"{AT}/v1/files/2"),
        ("location", "2?page=3", "2?page=3"),
        ("location", "?page=3", "?page=3"),
        ("location", "http://localhost:8000/a", f"{DOOR}/localhost:8000/a"),
        ("location", "http://[::1]:8001/a", f"{DOOR}/[::1]:8001/a"),
        ("location", "https://mine.openai.azure.com/a", f"{DOOR}/mine.openai.azure.com/a"),
        ("content-location", "https://api.openai.com/v1/a", f"{AT}/v1/a"),
        ("operation-location", "https://api.openai.com/op/1?v=2", f"{AT}/op/1?v=2"),
        ("azure-asyncoperation", "/op/1", f"{AT}/op/1"),
        ("x-goog-upload-url", "https://api.openai.com/up?id=1", f"{AT}/up?id=1"),
        (
            "link",
            '<https://api.openai.com/a?p=2>; rel="next", </a?p=9>; rel=last, <https://x.example/>',
            f'<{AT}/a?p=2>; rel="next", <{AT}/a?p=9>; rel=last, <https://x.example/>',
        ),
        ("refresh", "5; url=https://api.openai.com/a", f"5; url={AT}/a"),
        ("refresh", "5; URL='/a'", f"5; URL='{AT}/a'"),
        (
            "www-authenticate",
            'Bearer resource_metadata="https://api.openai.com/.well-known/x"',
            f'Bearer resource_metadata="{AT}/.well-known/x"',
        ),
        # Elsewhere, and what is no link.
        ("location", "https://bucket.example/a?sig=b", "https://bucket.example/a?sig=b"),
        ("location", "https://api.openai.com.evil.example/a", None),
        ("access-control-allow-origin", "https://api.openai.com", "https://api.openai.com"),
        ("server-path", "/v1/files", "/v1/files"),
        ("content-type", "text/event-stream", "text/event-stream"),
        ("x-text", "see https://api.openai.com/docs", "see https://api.openai.com/docs"),
    ],
)
def test_a_link_to_a_provider_leads_to_the_door(
    name: str, value: str, expected: str | None
) -> None:
    ((_, got),) = links_to_door(((name, value),), URL, DOOR, PROVIDERS)
    if expected is None and "evil" in value:
        expected = value
    assert got == (expected or f"{DOOR}/API.OpenAI.com/a?u=https://api.openai.com/b#c")


PLACES = st.sampled_from(
    ["api.openai.com", "localhost:8000", "[::1]:8001", "mine.openai.azure.com", "x.example"]
)
PATHS = st.text(st.sampled_from("/abc.-_~%20?=&"), max_size=20).map(lambda text: "/" + text)


@given(PLACES, PATHS)
def test_no_absolute_link_to_a_provider_stays(host: str, path: str) -> None:
    """And what replaces it names the same host and path."""
    url = f"https://{host}{path}"
    ((_, got),) = links_to_door((("location", url),), URL, DOOR, PROVIDERS)
    _, host, port, target = split_url(url)
    if PROVIDERS.find(host, port) is None:
        assert got == url
        return
    assert got.startswith(f"{DOOR}/")
    assert destination_of(got.removeprefix(DOOR))[1:] == (host, port, target)
