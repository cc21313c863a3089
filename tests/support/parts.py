"""The parts of a run in a folder of a test's own, put together as the command does."""

from pathlib import Path
from typing import Any

from wiretape.config.load import load
from wiretape.report.report import Report
from wiretape.run.compose import Parts, compose
from wiretape.run.settings import Mode, Settings


def settings_in(folder: Path, mode: Mode, text: str = "", **more: Any) -> Settings:
    """The settings of a run: `text` is its config.yaml, its recordings are in `folder`/r."""
    path = folder / "config.yaml"
    path.write_text(text)
    config = load(path, {})
    options: dict[str, Any] = {"environ": {}, "recordings": folder / "r", **more}
    return Settings(mode=mode, config=config, pace=config.pace, **options)


def parts_in(folder: Path, mode: Mode, text: str = "", **more: Any) -> Parts:
    """The parts of such a run, and its report in them."""
    return compose(settings_in(folder, mode, text, **more), Report(mode))
