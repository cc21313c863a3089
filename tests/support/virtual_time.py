"""An event loop whose clock moves on only when nothing is left to do but to wait.

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())            # an hour of sleep takes no time, and ends after an hour

What a test asserts about times then holds on any machine. Sockets work as long as both ends are in
this loop: a loopback write can be read at once.
"""

import asyncio
import selectors


class _Selector(selectors.DefaultSelector):
    def __init__(self, late: float) -> None:
        super().__init__()
        self.now = 0.0
        self._late = late

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout:
            self.now += timeout + self._late
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; each of its waits ends `late` seconds late, as on a machine at work."""

    def __init__(self, late: float = 0.0) -> None:
        self._clock = _Selector(late)
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now
