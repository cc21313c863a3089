"""An agent and the libraries around it, real, in `tests.clients.matrix`: what installs fast.

`make test-clients` drives all of them.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.clients.agents import AGENTS
from tests.clients.installing import NotInstalled, install
from tests.clients.matrix import results_of
from tests.support.paths import ROOT

FAST = ("openai-agents",)


@pytest.mark.clients
@pytest.mark.parametrize("name", FAST)
def test_an_agent_replays_on_another_machine_and_shows_a_miss(
    name: str, packages: Path, clean_env: Mapping[str, str], tmp_path: Path
) -> None:
    client = next(client for client in AGENTS if client.name == name)
    try:
        installed = install(client, ROOT / ".cache" / "clients")
    except NotInstalled as error:
        pytest.skip(f"pip could not fetch {client.packages[0]}: {error}")
    rounds = ("R2", "other prompt")
    results = results_of(client, installed, packages, tmp_path, clean_env, rounds, in_short=True)
    assert results == {"recorded": "same", "R2": "same", "other prompt": "shown"}
