"""The files that come with wiretape: in the package when installed, beside it in a checkout."""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_INSTALLED: Final = _PACKAGE / "data"
_CHECKOUT: Final = _PACKAGE.parents[1]


def shipped_recordings() -> Path:
    """The folder of the recordings that the demo replays."""
    installed = _INSTALLED / "recordings"
    return installed if installed.is_dir() else _CHECKOUT / "recordings"
