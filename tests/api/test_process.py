"""The process at the other end of the pipe: started, kept, ended."""

import os
from pathlib import Path

import pytest

from wiretape.api import process
from wiretape.api.process import PipeProcess
from wiretape.core.errors import WiretapeError


@pytest.fixture
def pipe() -> PipeProcess:
    return process.take()


def test_a_process_is_kept_for_the_next_run(pipe: PipeProcess) -> None:
    process.give_back(pipe)
    assert process.take() is pipe
    pipe.kill()
    process.give_back(pipe)
    other = process.take()
    assert other is not pipe
    process.give_back(other)


def test_a_process_of_a_parent_that_forked_is_not_used(
    pipe: PipeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        assert not pipe.is_running
    assert pipe.is_running
    process.give_back(pipe)


def test_what_cannot_be_done_is_told_and_the_process_goes_on(
    pipe: PipeProcess, tmp_path: Path
) -> None:
    for name, told in {"close": "expected open", "report": "expected open"}.items():
        with pytest.raises(WiretapeError, match=told):
            pipe.ask(name)
    for asked in (True, {}, {"arguments": [], "directory": 1, "environment": {}}):
        with pytest.raises(WiretapeError, match="expected arguments, directory and environment"):
            pipe.ask("open", asked)
    for arguments, told in {(): "expected record", ("demo",): "'demo'"}.items():
        asked = {"arguments": arguments, "directory": str(tmp_path), "environment": {}}
        with pytest.raises(WiretapeError, match=told):
            pipe.ask("open", asked)
    process.give_back(pipe)


def test_an_answer_that_was_not_waited_for_ends_the_process(
    pipe: PipeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipe, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipe.ask("report")
    assert not pipe.is_running
