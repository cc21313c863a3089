"""What runs behind the proxy: `python -m wiretape.doctor.drive FOLDER` makes every probe."""

import json
import os
import sys
from pathlib import Path

from .doctor import run_probes

if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    (_folder / "outcomes.json").write_text(json.dumps(run_probes(_folder, os.environ)))
