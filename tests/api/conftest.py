"""What the tests of the API share: an environment as a user's, and recordings of a chat."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import stored

from wiretape.api import environment, process


@pytest.fixture(autouse=True)
def usual_environment(
    clean_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The clean environment in this process; a test that leaves a proxy's behind fails."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if not name.startswith("PYTEST_"):
            monkeypatch.delenv(name)
    for name, value in clean_env.items():
        monkeypatch.setenv(name, value)
    yield
    assert environment._layers == []
    assert {"HTTPS_PROXY", "SSL_CERT_FILE", "WIRETAPE_TOKEN"} & os.environ.keys() == set()


@pytest.fixture(scope="package", autouse=True)
def kept_processes() -> Iterator[None]:
    yield
    process.end_idle()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Recordings of a chat that begins with "Hi", and of one in a session."""
    folder = tmp_path / "recordings"
    stored.put(folder, stored.document("Hi"))
    stored.put(folder / "checkout", stored.document("Pay"))
    return folder
