"""A body that is too large to wait for, kept as it goes out."""

import hashlib
import tempfile
from typing import Any

import pytest

from wiretape_mitm.upload import Upload


def test_a_body_below_the_limit_is_nowhere_else() -> None:
    upload = Upload(lambda flow: None)
    assert (upload.spilled, upload.size) == (False, 0)
    upload.close()


def test_what_goes_out_is_in_the_file() -> None:
    begun: list[Any] = []
    upload = Upload(begun.append)
    upload.begin("flow")
    assert [upload.tee(data) for data in (b"ab", b"c", b"")] == [b"ab", b"c", b""]
    assert (begun, upload.spilled, upload.size) == (["flow"], True, 3)
    assert upload.sha256 == hashlib.sha256(b"abc").hexdigest()
    with upload.open() as file:
        assert file.read() == b"abc"


def test_a_full_disk_does_not_stop_the_upload() -> None:
    upload = Upload(lambda flow: None)
    upload.begin(None)
    file = upload.open()
    file.close()  # a write to it fails as one to a full disk does

    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    upload._file = Full()  # type: ignore[assignment]  # a disk that is full
    assert [upload.tee(b"ab"), upload.tee(b"c")] == [b"ab", b"c"]
    assert upload.size == 3
    with pytest.raises(OSError, match="No space left"):
        upload.open()


def test_where_no_file_can_be_made_the_upload_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    begun: list[Any] = []
    upload = Upload(begun.append)
    upload.begin("flow")
    assert upload.tee(b"ab") == b"ab"
    assert (begun, upload.spilled, type(upload.fault)) == (["flow"], True, PermissionError)
