"""Layers of variables: opened and closed in any order."""

import os
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.api import environment

NAMES = ("WT_A", "WT_B", "WT_C")
CHANGES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("1", "2", None)))


@pytest.fixture(autouse=True)
def no_clients(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Reading whom to trust anew takes aiohttp long."""
    clients = Mock()
    monkeypatch.setattr(environment, "_clients", lambda: clients)
    return clients


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("x", "y"))),
    st.lists(CHANGES, min_size=1, max_size=4),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_whatever_is_taken_away_first_what_was_before_comes_back(
    before: dict[str, str], changes: list[dict[str, str | None]], order: list[int]
) -> None:
    for name in NAMES:
        os.environ.pop(name, None)
    os.environ.update(before)
    layers = [environment.push(change) for change in changes]
    for place in order[: len(layers)]:
        environment.remove(layers.pop(place % len(layers)))
        values: dict[str, str | None] = dict(before)
        for layer in environment._layers:
            values.update(layer.changes)
        assert {name: os.environ.get(name) for name in NAMES} == {
            name: values.get(name) for name in NAMES
        }
    for name in NAMES:
        os.environ.pop(name, None)


def test_a_layer_is_taken_away_once(no_clients: Mock) -> None:
    layer = environment.push({"WT_A": "1"})
    assert not no_clients.uninstall.called
    environment.remove(layer)
    assert no_clients.uninstall.called
    os.environ["WT_A"] = "mine"
    environment.remove(layer)
    assert os.environ.pop("WT_A") == "mine"
