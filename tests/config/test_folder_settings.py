"""What a listing has to know is what the whole configuration says."""

import os
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from wiretape.config.folder_settings import folder_settings
from wiretape.config.load import Config, load
from wiretape.core.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """The configurations that are read whole."""
    read: list[Path | None] = []

    def loaded(path: Path | None, environ: dict[str, str]) -> Config:
        read.append(path)
        return load(path, environ)

    monkeypatch.setattr("wiretape.config.load.load", loaded)
    return read


@pytest.mark.parametrize(
    "text", [None, "recordings: here\nstale_after: 3d\nproviders: {mine: {hosts: [a.example]}}\n"]
)
def test_it_is_what_the_configuration_says(text: str | None) -> None:
    if text is not None:
        Path("config.yaml").write_text(text)
    config = load(None, {})
    for _ in range(2):  # then it is known
        settings = folder_settings(None, {})
        assert settings.recordings == config.recordings
        assert settings.stale_after == config.stale_after
        providers, prices = settings.load()
        assert providers.all == config.providers.all
        asked = ("openai", "gpt-5")
        assert prices.find(*asked) == config.prices.find(*asked) is not None


def test_a_file_that_was_right_is_not_read_whole_again(loads: list[Path | None]) -> None:
    Path("config.yaml").write_text("recordings: here\n")
    first = folder_settings(None, {})
    assert (first.recordings, loads) == (Path("here"), [None])
    again = folder_settings(None, {})
    assert (again.recordings, again.stale_after) == (first.recordings, first.stale_after)
    assert (again.fingerprint, loads) == (first.fingerprint, [None])
    again.load()
    assert loads == [None, None]


def test_each_change_is_noticed(loads: list[Path | None]) -> None:
    texts = [None, "", "recordings: a\n", "recordings: b\n", None]
    seen = []
    for text in texts:
        if text is None:
            Path("config.yaml").unlink(missing_ok=True)
        else:
            Path("config.yaml").write_text(text)
        settings = folder_settings(None, {})
        assert settings.recordings == load(None, {}).recordings
        seen.append(settings.fingerprint)
    assert len(set(seen)) == 4
    assert seen[0] == seen[-1]
    Path("config.yaml").write_text("recordngs: c\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match="recordngs: unknown key"):
            folder_settings(None, {})
    assert len(loads) == 5


def test_another_wiretape_does_not_go_by_what_this_one_knows(
    loads: list[Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("config.yaml").write_text("recordings: here\n")
    folder_settings(None, {})
    monkeypatch.setattr("wiretape.config.folder_settings.program_state", lambda: iter(["a.py 1 2"]))
    folder_settings(None, {})
    assert len(loads) == 2


@pytest.mark.parametrize(
    "text",
    [
        "redact: {dotenv: [.env]}\n",
        "upstream_proxy: $PROXY\n",
        "recordings: s3://bucket/prefix\n",
    ],
)
def test_what_depends_on_more_than_its_text_is_always_read(
    text: str, loads: list[Path | None]
) -> None:
    Path("config.yaml").write_text(text)
    for number in (1, 2):
        folder_settings(None, {})
        assert len(loads) == number
    if "s3" not in text:
        Path(".env").write_text("not a variable\n")
        with pytest.raises(ConfigError):
            folder_settings(None, {"PROXY": "no URL"})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_read_once() -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text("recordings: here\n"))
    writer.start()
    assert folder_settings(Path("pipe"), {}).recordings == Path("here")
    writer.join()


def test_a_wrong_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml: no such file"):
        folder_settings(Path("mine.yaml"), {})
    Path("config.yaml").write_text("recordngs: x\nversion: 1\n")
    with pytest.raises(ConfigError, match="recordngs: unknown key"):
        folder_settings(None, {})


def test_a_folder_that_may_not_be_looked_into_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object, **options: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.lstat", denied)
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ConfigError, match=r"config\.yaml: cannot be read: Permission denied"):
        folder_settings(None, {})
