"""The recordings of a run: what is not one is reported, and theirs are the hosts that answer."""

import json
import os
import sys
from pathlib import Path

import pytest
from tests.support.commands import Wiretape

from wiretape.config.load import load
from wiretape.core.errors import StoreError
from wiretape.core.redaction.redactor import Redactor
from wiretape.report.report import Report
from wiretape.run.open_library import check_writable, open_library


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def put(folder: Path, name: str, url: str) -> None:
    folder.mkdir(exist_ok=True)
    request = {"method": "GET", "url": url, "endpoint": "/v1/models", "headers": {}}
    response = {"status": 200, "headers": {}, "is_streaming": False}
    document = {"wiretape": 1, "request": request, "response": response}
    (folder / name).write_text(json.dumps(document))


def test_recordings_say_which_hosts_are_answered_for(tmp_path: Path) -> None:
    put(tmp_path / "r", "a.json", "http://localhost:8000/v1/models")
    put(tmp_path / "r", "b.json", "https://api.openai.com/v1/models")
    (tmp_path / "r" / "note.json").write_text("{}")
    config, report = load(None, {}), Report("replay")
    redactor = Redactor(config.redaction)
    library = open_library(config, tmp_path / "r", None, redactor, report, recording=False)
    assert len(library) == 2, report.notices
    assert config.providers.nameless_hosts == ("localhost:8000",)
    assert config.providers.find("localhost", 8000) is not None
    assert config.providers.find("localhost", 8001) is None
    (notice,) = report.notices
    assert notice.startswith(f"skipped {tmp_path}/r/note.json: ")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=f"{tmp_path}/file: cannot be written: File exists"):
        check_writable(tmp_path / "file")
    check_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process reads")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_a_run_reads_many_new_recordings_in_several_processes(
    wiretape: Wiretape, tmp_path: Path
) -> None:
    for number in range(20):
        put(tmp_path / "r", f"{number}.json", f"https://api.openai.com/v1/models?page={number}")
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if '-m' in sys.orig_argv and 'wiretape' in sys.orig_argv:\n"
        "    from wiretape.library import scan_folder\n"
        "    scan_folder._MANY, scan_folder._BLOCK = 10, 5\n"
        "    sys.addaudithook(lambda event, _: event == 'os.fork' and os.write(2, b'forked\\n'))\n"
    )
    client = ["curl", "-s", "https://api.openai.com/v1/models?page=7", "-o", os.devnull]
    env = {"PYTHONPATH": str(tmp_path)}
    done = wiretape("replay", "-r", tmp_path / "r", "--", *client, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("forked") >= 2
