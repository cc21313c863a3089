"""A body that is not waited for, kept as it goes out."""

import tempfile
from typing import Any

import pytest

from wiretape_mitm import upload as module
from wiretape_mitm.upload import Upload


@pytest.mark.parametrize("most", [0, 2, 100])
def test_what_goes_out_is_kept(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", most)
    begun: list[Any] = []
    upload = Upload(begun.append)
    assert not upload.has_begun
    upload.begin("flow")
    assert [upload.tee(data) for data in (b"ab", b"c", b"")] == [b"ab", b"c", b""]
    assert (begun, upload.has_begun) == (["flow"], True)
    with upload.open() as file:
        assert file.read() == b"abc"


def test_the_way_out_is_chosen_once_its_beginning_has_sent_it_somewhere() -> None:
    order: list[str] = []
    upload = Upload(lambda flow: order.append("begin"))
    upload.leave = lambda flow: order.append("leave")
    upload.begin("flow")
    upload.close()
    assert order == ["begin", "leave"]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), PermissionError(13, "Denied")])
def test_what_cannot_be_kept_goes_out_all_the_same(
    error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(module, "IN_MEMORY", 1)
    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    upload = Upload(lambda flow: None)
    upload.begin("flow")
    assert [upload.tee(b"ab"), upload.tee(b"c")] == [b"ab", b"c"]
    with pytest.raises(type(error)):
        upload.open()
    upload.close()


def test_closing_one_that_never_began_is_harmless() -> None:
    Upload(lambda flow: None).close()
