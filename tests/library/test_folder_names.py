"""Whose a folder is."""

import pytest

from wiretape.library.folder_names import SESSION_NAME, endpoint_slug, host_folder, is_host_folder


@pytest.mark.parametrize(
    ("name", "is_host"),
    [
        *(("api.openai.com", True), ("localhost+8080", True), ("127.0.0.1+9", True)),
        *(("checkout", False), ("test_cart-2", False), (".hidden", False), ("", False)),
    ],
)
def test_a_hosts_folder_is_told_by_its_name(name: str, is_host: bool) -> None:
    assert is_host_folder(name) is is_host


@pytest.mark.parametrize(
    ("name", "is_session"),
    [
        *(("checkout", True), ("tests/test_cart/test_pays", True), ("/".join("a" * 10), True)),
        *(("/".join("a" * 11), False), ("a//b", False), ("..", False), ("a" * 101, False)),
    ],
)
def test_a_session_is_named_by_folders_of_letters_and_digits(name: str, is_session: bool) -> None:
    assert (SESSION_NAME.fullmatch(name) is not None) is is_session


@pytest.mark.parametrize(
    ("url", "host", "slug"),
    [
        ("https://api.together.xyz/v1/chat/completions", "api.together.xyz", "v1-chat-completions"),
        ("http://localhost:11434/api/chat", "localhost+11434", "api-chat"),
        ("https://intranet/", "intranet+443", "root"),
        ("https://h.example:8443/a/../b?key=secret", "h.example+8443", "a-..-b"),
        ("http://[::1]:8000/v1", "1+8000", "v1"),
    ],
)
def test_folders_are_named_for_people_and_stay_inside(url: str, host: str, slug: str) -> None:
    assert (host_folder(url), endpoint_slug(url)) == (host, slug)
