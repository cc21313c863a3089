"""A file's format is told by how it begins."""

import gzip
import io

import click
import pytest

from wiretape.cli.exporting import export
from wiretape.cli.importing import import_
from wiretape.core.errors import FormatError
from wiretape.exchange_formats.formats import READERS, format_of, unpacked
from wiretape.exchange_formats.writers import WRITERS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"interactions:\n- request:\n", "vcr"),
        (b"version: 1\ninteractions: []\n", "vcr"),
        (b"---\nhttp_interactions:\n", "vcr"),
        (b"when:\n  path: /\n", "vcr"),
        (b'{"version": 1, "interactions": []}', "vcr"),
        (b'\xef\xbb\xbf {"log": {"version": "1.2", "entries": []}}', "har"),
        (b'{\n  "log" : {"entries": []}}', "har"),
        (b'{"test_id": "t", "request": {}, "response": {}}', "llama-stack"),
        (b'{"request": {"pad": "' + b"x" * 70_000 + b'"}, "response": {}}', "llama-stack"),
        (b"HTTP/1.1 200 OK\r\n", "curl"),
        (b"data: {}\n\n", "sse"),
        (b": comment\ndata: 1\n", "sse"),
        (b"event: message_start\n", "sse"),
        (b"5409:8:response;", "flows"),
    ],
)
def test_the_format_of(text: bytes, name: str) -> None:
    file = io.BytesIO(text)
    assert format_of(file) == name
    assert file.tell() == 0


@pytest.mark.parametrize("text", [b"", b"# A page", b"{}", b'{"a": 1}', b"\0\1\2", b"[1]"])
def test_what_begins_like_none_of_them_is_a_fault_that_names_them(text: bytes) -> None:
    with pytest.raises(FormatError, match="--from"):
        format_of(io.BytesIO(text))


def test_gzip_is_taken_off() -> None:
    with unpacked(io.BytesIO(gzip.compress(b"data: 1\n\n"))) as file:
        assert (format_of(file), file.read()) == ("sse", b"data: 1\n\n")


def test_broken_gzip_is_a_fault() -> None:
    packed = gzip.compress(bytes(range(256)) * 50)
    for data in (packed[:-20], packed[:20] + b"\0" * 40):
        with (
            pytest.raises(FormatError, match="gzip"),
            unpacked(io.BytesIO(data)) as file,
        ):
            file.read()


def test_the_commands_offer_every_format() -> None:
    """They name them themselves: to import the readers takes longer than to show the help."""
    choices = {
        parameter.name: set(parameter.type.choices)
        for command in (import_, export)
        for parameter in command.params
        if isinstance(parameter.type, click.Choice)
    }
    assert choices["source_format"] == set(READERS)
    assert choices["target_format"] == {*WRITERS, "llama-stack"}
