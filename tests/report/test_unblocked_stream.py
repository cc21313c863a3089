"""A log that nobody reads stops nothing, and says what it left out."""

import os
import threading
from collections.abc import Iterator
from io import StringIO
from typing import TextIO

import pytest
from tests.support.limits import wait_until

from wiretape.report.unblocked_stream import UnblockedStream


class Pipe:
    """A pipe with a stream to write to it."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.reader = os.fdopen(reader, "rb", buffering=0)
        self.stream: TextIO = os.fdopen(writer, "w", encoding="utf-8", errors="backslashreplace")

    def read_all(self) -> str:
        """What comes until the writer's end is closed."""
        return self.reader.read().decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    opened = Pipe()
    yield opened
    opened.stream.close()
    opened.reader.close()


def lines_of(number: int) -> list[str]:
    return [f"line {n} " + "é" * 50 + "\n" for n in range(number)]


def test_a_line_is_there_at_once(pipe: Pipe) -> None:
    stream = UnblockedStream(pipe.stream)
    assert stream.write("one é\n") == 6
    assert pipe.reader.read(100).decode() == "one é\n"


def test_what_nobody_reads_is_kept_in_order_until_somebody_does(pipe: Pipe) -> None:
    stream = UnblockedStream(pipe.stream)
    lines = lines_of(2000)  # three times what a pipe holds
    for line in lines:
        stream.write(line)
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.append(pipe.read_all()))
    thread.start()
    stream.close()
    pipe.stream.close()
    thread.join()
    assert read == ["".join(lines)]


def test_a_long_line_is_written_in_pieces(pipe: Pipe) -> None:
    stream = UnblockedStream(pipe.stream)
    stream.write("a" * 200_000 + "\n")
    thread = threading.Thread(target=stream.close)
    thread.start()
    read = b""
    while not read.endswith(b"\n"):
        read += pipe.reader.read(1 << 16)
    thread.join()
    assert read == b"a" * 200_000 + b"\n"


def test_lines_beyond_what_is_kept_are_left_out_and_counted(pipe: Pipe) -> None:
    stream = UnblockedStream(pipe.stream, most=1000)
    lines = lines_of(2000)
    for line in lines:
        stream.write(line)
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.append(pipe.read_all()))
    thread.start()
    stream.close()
    pipe.stream.close()
    thread.join()
    got = read[0].splitlines(keepends=True)
    at = next(n for n, line in enumerate(got) if "left out" in line)
    number = len(lines) - (len(got) - 1)
    assert got[at] == f"wiretape: {number} lines left out, as nobody read them\n"
    assert got[:at] == lines[:at]
    assert got[at + 1 :] == lines[at + number :]


def test_a_process_ends_though_nobody_reads(pipe: Pipe) -> None:
    stream = UnblockedStream(pipe.stream)
    for line in lines_of(2000):
        stream.write(line)
    stream.close(patience=0.01)
    pipe.stream.write("x" * 200_000)  # as the interpreter may, when it ends
    pipe.stream.flush()


def test_a_reader_that_has_gone_stops_nothing(pipe: Pipe) -> None:
    stream = UnblockedStream(pipe.stream)
    pipe.reader.close()
    stream.write("one\n")
    stream.write("two\n")
    stream.close()


def test_a_reader_that_goes_while_lines_wait_stops_nothing(pipe: Pipe) -> None:
    stream = UnblockedStream(pipe.stream)
    for line in lines_of(2000):
        stream.write(line)
    pipe.reader.close()
    wait_until(lambda: stream._writer is None)
    stream.close()


def test_a_stream_without_a_file_is_written_to() -> None:
    text = StringIO()
    stream = UnblockedStream(text)
    stream.write("one\n")
    stream.flush()
    stream.close()
    assert text.getvalue() == "one\n"
