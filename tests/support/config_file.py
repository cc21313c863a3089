"""A configuration file of a test, in its working directory."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from wiretape.config.load import Config, load
from wiretape.core.errors import ConfigError


def read(text: str | bytes, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration that c.yaml says."""
    Path("c.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load(Path("c.yaml"), environ or {})


def faults(text: str | bytes) -> list[str]:
    """What is wrong with c.yaml, its name left out."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert all(fault.startswith("c.yaml:") for fault in caught.value.faults)
    return [fault.removeprefix("c.yaml:") for fault in caught.value.faults]
