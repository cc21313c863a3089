"""Which outer proxy a destination is reached through, and what is said of one that cannot be."""

import pytest

from wiretape.core.errors import ConfigError
from wiretape_mitm.upstream_proxy import Outer, OuterProxy, given, no_proxy, of_environment, parse

PROXY = OuterProxy("http", "proxy.corp", 3128)
URL = "http://proxy.corp:3128"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        (URL, PROXY),
        ("proxy.corp:3128", PROXY),
        ("http://proxy.corp", OuterProxy("http", "proxy.corp", 80)),
        ("https://proxy.corp/", OuterProxy("https", "proxy.corp", 443)),
        ("http://[::1]:8080", OuterProxy("http", "::1", 8080)),
        ("http://u:p@h:1", OuterProxy("http", "h", 1, "Basic dTpw")),
        ("http://u%40d:p%3Aw@h:1", OuterProxy("http", "h", 1, "Basic dUBkOnA6dw==")),
        ("http://u@h:1", OuterProxy("http", "h", 1, "Basic dTo=")),
    ],
)
def test_a_proxy_s_url_is_read(url: str, proxy: OuterProxy) -> None:
    assert parse(url, "HTTPS_PROXY") == proxy


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("socks5://u:s3cret@h:1", "got a socks5:// proxy, which is not supported"),
        ("http://u:s3cret@h:99999", "its value is not a URL"),
        ("http://u:s3cret@[h", "its value is not a URL"),
        ("http://u:s3cret@:1", "what it is set to names no host"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(url, "ALL_PROXY")
    message = str(caught.value)
    assert message.startswith("ALL_PROXY: expected http://[USER:PASSWORD@]HOST[:PORT] or https://")
    assert said in message
    assert "s3cret" not in message


def test_credentials_show_in_no_repr() -> None:
    assert "dTpw" not in repr(given("http://u:p@h:1"))


@pytest.mark.parametrize(
    ("environ", "https", "http"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": URL}, PROXY, None),
        ({"http_proxy": URL}, None, PROXY),
        ({"ALL_PROXY": URL}, PROXY, PROXY),
        ({"https_proxy": URL, "HTTPS_PROXY": "http://other:1"}, PROXY, None),
        ({"HTTPS_PROXY": URL, "all_proxy": "http://o:1"}, PROXY, OuterProxy("http", "o", 1)),
        ({"HTTPS_PROXY": " "}, None, None),
    ],
)
def test_an_environment_s_proxies(
    environ: dict[str, str], https: OuterProxy | None, http: OuterProxy | None
) -> None:
    found = of_environment(environ)
    assert (found.https, found.http) == (https, http)


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("", "api.openai.com", False),
        ("*", "api.openai.com", True),
        ("openai.com", "api.openai.com", True),
        (".openai.com", "API.OpenAI.com.", True),
        ("*.openai.com", "api.openai.com", True),
        ("penai.com", "api.openai.com", False),
        ("a.com, openai.com", "api.openai.com", True),
        ("a.com openai.com", "api.openai.com", True),
        ("openai.com:443", "api.openai.com", True),
        ("openai.com:80", "api.openai.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "[fd00::1]", True),
        ("[fd00::1]:443", "fd00::1", True),
        ("[fd00::1]:80", "fd00::1", False),
        ("10.0.0.0/8", "fd00::1", False),
        ("openai.com", "10.1.2.3", False),
        (",", "api.openai.com", False),
    ],
)
def test_no_proxy_says_what_is_reached_directly(no_proxy: str, host: str, direct: bool) -> None:
    outer = of_environment({"HTTPS_PROXY": URL, "NO_PROXY": no_proxy})
    assert outer.proxy("https", host, 443) == (None if direct else PROXY)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_is_never_reached_through_the_environment_s_proxy(host: str) -> None:
    outer = of_environment({"HTTPS_PROXY": URL, "NO_PROXY": "a.com"})
    assert outer.proxy("https", host, 443) is None


def test_a_setting_s_proxy_is_for_everything() -> None:
    outer = given(URL, "b.com")
    assert outer == Outer(PROXY, PROXY, ("b.com",))
    assert outer.proxy("http", "a.com", 80) == PROXY
    assert outer.proxy("https", "b.com", 443) is None


@pytest.mark.parametrize(
    ("environ", "value"),
    [
        ({}, ""),
        ({"NO_PROXY": "a"}, "a"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, "b"),
        ({"NO_PROXY": "a", "no_proxy": " "}, "a"),
    ],
)
def test_no_proxy_is_read_in_the_lower_case_first(environ: dict[str, str], value: str) -> None:
    assert no_proxy(environ) == value
