"""What comes with wiretape, from one JSON file: packs, prices, the defaults of config.yaml.

People edit `packs/*.yaml`, `prices.yaml` and `schema.py`, then `make packs` writes `shipped.json`;
a test fails where that is forgotten. Reading YAML and schema instead takes 25 and 120 ms of every
command's start, most of it imports.
"""

import json
from functools import cache
from pkgutil import get_data
from typing import Any, Final

NAME: Final = "shipped.json"


@cache
def shipped() -> dict[str, Any]:
    """Read the file: "packs" by name, "prices" with all numbers as texts, "defaults"."""
    # The package's own data, read as its modules are: the same in every run.
    data: dict[str, Any] = json.loads(get_data(__package__, NAME) or b"")
    return data
