"""The URLs of object stores: which texts name one, and which may not be used."""

import pytest

from wiretape.store_url import is_store, mirror_of, why_unfit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gs://bucket", True),
        ("file:///srv/recordings", True),
        ("s3:/bucket", False),
        ("https://h/x", False),
        ("s3", False),
    ],
)
def test_which_texts_name_a_store(text: str, expected: bool) -> None:
    assert is_store(text) is expected


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "az://container", "file:///srv/recordings"])
def test_urls_that_can_be_used(url: str) -> None:
    assert why_unfit(url) is None


@pytest.mark.parametrize(
    "url", ["s3://AKIA:hunter2@bucket", "s3://b?secret=hunter2", "gs://b#hunter2"]
)
def test_credentials_are_refused_and_not_repeated(url: str) -> None:
    reason = why_unfit(url)
    assert reason is not None
    assert "no credentials" in reason
    assert "hunter2" not in reason


def test_a_bucket_is_needed() -> None:
    assert why_unfit("az:///prefix") == "expected az://BUCKET/PREFIX"


def test_each_store_has_a_mirror_of_its_own() -> None:
    assert mirror_of("s3://bucket/a/") == mirror_of("s3://bucket/a")
    assert mirror_of("s3://bucket/a") != mirror_of("s3://bucket/b")
