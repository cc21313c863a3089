"""pytest-wiretape is a distribution of its own, which need not be installed to be tested."""

import sys

from tests.support import paths

sys.path.insert(0, str(paths.ROOT / "integrations" / "pytest"))
