"""When a stream's chunks are written, by a clock that does not wait."""

import asyncio
from collections.abc import Callable, Coroutine

from tests.support.virtual_time import VirtualTimeLoop

from wiretape.core.model import Chunk
from wiretape.core.playback.pace import Schedule
from wiretape.engine.paced_stream import PacedAnswer, PacedStream
from wiretape.report.report import Report, Row

DUE = (0.0, 0.5, 0.5, 2.0)


class Recorded:
    """A stream, and what is written of it when."""

    def __init__(self, *chunks: bytes) -> None:
        self.report = Report("replay")
        self.late: list[float] = []
        self.report.lateness = self.late.append
        self.ends = 0
        self.written: list[tuple[float, bytes]] = []
        loop = asyncio.get_running_loop()
        self.started = loop.time()
        answer = PacedAnswer(
            head=b"",
            chunks=tuple(Chunk(data) for data in chunks),
            due=Schedule(0.0, DUE, 3.0),
            started=self.started,
            framed=lambda data: iter((b"<", data, b">") if len(data) > 3 else (data,)),
            end=b".",
            row_of=lambda first, took, note: Row(
                "replayed", "p", "GET", "/", first_chunk=first, duration=took, note=note
            ),
            report=self.report,
        )

        def write(data: bytes) -> None:
            self.written.append((round(loop.time() - self.started, 3), data))

        self.stream = PacedStream(answer, b"HEAD", write, self._ended)
        self.stream.begin()

    def _ended(self) -> None:
        self.ends += 1


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(test())


def test_each_chunk_leaves_at_its_time_and_the_first_with_the_head() -> None:
    async def test() -> None:
        sent = Recorded(b"a", b"", b"bcde", b"f")
        await asyncio.sleep(10)
        parts = [(0.5, b"<"), (0.5, b"bcde"), (0.5, b">"), (2.0, b"f"), (3.0, b".")]
        assert sent.written == [(0.0, b"HEADa"), *parts]
        (row,) = sent.report.rows
        assert (row.first_chunk, row.duration, row.note) == (0.0, 3.0, None)
        assert sent.ends == 1
        assert len(sent.late) == 4

    run(test)


def test_nothing_is_written_while_it_rests() -> None:
    async def test() -> None:
        sent = Recorded(b"a", b"b", b"c", b"d")
        await asyncio.sleep(1)
        sent.stream.pause()
        await asyncio.sleep(4)
        assert sent.written[-1] == (0.5, b"c")
        assert not sent.report.rows
        sent.stream.resume()
        assert sent.written[-2:] == [(5.0, b"d"), (5.0, b".")]
        assert max(sent.late) == 3.0
        assert sent.ends == 1

    run(test)


def test_a_short_rest_moves_no_chunk() -> None:
    async def test() -> None:
        sent = Recorded(b"a", b"b", b"c", b"d")
        sent.stream.pause()
        sent.stream.resume()
        await asyncio.sleep(10)
        assert [at for at, _ in sent.written] == [0.0, 0.5, 0.5, 2.0, 3.0]

    run(test)


def test_one_that_is_left_writes_no_more_and_says_so() -> None:
    async def test() -> None:
        sent = Recorded(b"a", b"b", b"c", b"d")
        await asyncio.sleep(1)
        sent.stream.leave()
        await asyncio.sleep(10)
        assert len(sent.written) == 3
        assert [row.note for row in sent.report.rows] == ["the client left"]
        assert not sent.ends

    run(test)


def test_a_stream_of_nothing_has_a_head_and_an_end() -> None:
    async def test() -> None:
        sent = Recorded()
        await asyncio.sleep(10)
        assert sent.written == [(3.0, b"HEAD.")]
        assert sent.report.rows[0].first_chunk is None

    run(test)
