"""The packs and prices that come with wiretape, read from one JSON file made of their YAML.

People edit `packs/*.yaml` and `prices.yaml`, then `make packs` writes `shipped.json`; a test fails
where that is forgotten. Reading the YAML instead takes 25 ms of every command's start, most of it
the import of PyYAML.
"""

import json
from functools import cache
from pkgutil import get_data
from typing import Any, Final

NAME: Final = "shipped.json"


@cache
def shipped() -> dict[str, Any]:
    """What the YAML files say: "packs" by name, and "prices" with all numbers as texts."""
    # The package's own data, read as its modules are: the same in every run.
    data: dict[str, Any] = json.loads(get_data(__package__, NAME) or b"")
    return data
