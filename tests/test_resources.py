"""The recordings that come with wiretape, in a checkout and installed."""

from pathlib import Path

import pytest
from tests.support.paths import ROOT

from wiretape import resources


def test_in_a_checkout_they_lie_beside_the_package() -> None:
    assert resources.shipped_recordings() == ROOT / "recordings"


def test_installed_they_lie_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_INSTALLED", tmp_path)
    assert resources.shipped_recordings() == ROOT / "recordings"
    (tmp_path / "recordings").mkdir()
    assert resources.shipped_recordings() == tmp_path / "recordings"
