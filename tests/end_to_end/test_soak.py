"""Memory stays as it is however many exchanges pass; `soak.py` by hand has more of them."""

from pathlib import Path

import pytest
from tests.support.soak import Sample, growth, soak

NUMBER = 750
MOST = 0.05
"""Of what is held after warm-up: some 12 KiB an exchange."""


@pytest.mark.parametrize("mode", ["record", "auto", "replay"])
def test_memory_stays_as_it_is(mode: str, clean_env: dict[str, str], tmp_path: Path) -> None:
    samples, statuses = soak(mode, NUMBER, tmp_path / "recordings", clean_env)
    missed = 400 if mode == "replay" else 200
    assert statuses == {
        "stream 200": 300,
        "whole 200": 150,
        "bad 400": 75,
        "left 200": 75,
        "busy 400" if mode == "replay" else "busy 429": 75,
        f"unknown {missed}": 75,
    }
    assert growth(samples) < MOST, samples


def test_growth_is_that_after_warm_up() -> None:
    held = [50, 80, *[100] * 7, 110]
    samples = [Sample(number, size) for number, size in enumerate(held, 1)]
    assert growth(samples) == pytest.approx(0.1)
