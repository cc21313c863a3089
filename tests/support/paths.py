"""Where the project's files and the shared data lie."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
"""The checkout."""

RECORDINGS: Final = ROOT / "recordings"
"""The seeds: recordings that ship with wiretape."""

SHARED: Final = ROOT.parent / "shared"
"""Real data beside the checkout; tests that read it are skipped where it is absent."""

DATA: Final = SHARED / "data"
LLAMA_STACK: Final = DATA / "llama-stack"
WIRE: Final = DATA / "wire"
