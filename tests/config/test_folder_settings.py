"""What a listing has to know is what the whole configuration says."""

from pathlib import Path
from typing import NoReturn

import pytest

from wiretape.config.folder_settings import folder_settings
from wiretape.config.load import load
from wiretape.core.errors import ConfigError


@pytest.mark.parametrize(
    "text", [None, "recordings: here\nstale_after: 3d\nproviders: {mine: {hosts: [a.example]}}\n"]
)
def test_it_is_what_the_configuration_says(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("config.yaml").write_text(text)
    settings, config = folder_settings(None, {}), load(None, {})
    assert settings.recordings == config.recordings
    assert settings.stale_after == config.stale_after
    providers, prices = settings.load()
    assert providers.all == config.providers.all
    asked = ("openai", "gpt-5")
    assert prices.find(*asked) == config.prices.find(*asked) is not None


def test_a_wrong_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
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
