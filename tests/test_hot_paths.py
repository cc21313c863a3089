"""How many instructions of the interpreter the hot paths take: a guard against slow changes that
needs no quiet machine. What libraries in C do beneath is not counted.

A path may take a tenth more than here. One that takes much less has a new, lower number.
"""

import json
import os
import subprocess
import sys
from typing import Final

import pytest
from tests.support.hot_paths import instructions
from tests.support.limits import PATIENCE
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 13), reason="the numbers are those of Python 3.13's instructions"
)

MOST: Final = {
    "a recorded request, asked for the first time": 4_060,
    "the same request again": 1_025,
    "an answer on its connection": 1_700,
    "a request that is read": 10_810,
    "a stream of 200 chunks becomes a recording": 57_750,
    "a recording of 200 chunks becomes a stream": 136_500,
}
MORE: Final = 1.1


def run() -> dict[str, float]:
    line = (sys.executable, "-m", "tests.support.hot_paths")
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    out = subprocess.check_output(line, cwd=ROOT, env=env, timeout=PATIENCE)
    numbers: dict[str, float] = json.loads(out)
    return numbers


@pytest.fixture(scope="module")
def counted() -> dict[str, float]:
    """The fewest of two runs, if one was not enough: a run that was held up looks at files anew."""
    numbers = run()
    if any(numbers[name] > most * MORE for name, most in MOST.items()):
        again = run()
        return {name: min(number, again[name]) for name, number in numbers.items()}
    return numbers


@pytest.mark.parametrize("name", MOST)
def test_a_hot_path_takes_no_more_than_before(name: str, counted: dict[str, float]) -> None:
    limit = MOST[name] * MORE
    assert counted[name] <= limit, f"{counted[name]:.0f}, {MOST[name]} before (times {MORE})"


def test_the_guard_sees_what_is_done() -> None:
    assert instructions(lambda: [n + 1 for n in range(1000)], 1) > 2 * instructions(
        lambda: [n + 1 for n in range(100)], 1
    )
