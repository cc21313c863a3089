"""Write `shipped.json`, which runs read: provider packs, prices, the defaults of config.yaml.

make packs
"""

import json
from pathlib import Path
from pkgutil import get_data
from typing import Any

import yaml

from wiretape.core.errors import ConfigError

from .pack_file import faults
from .packs import NAMES
from .schema import File
from .shipped import NAME


def read_pack(name: str, data: bytes) -> dict[str, Any]:
    """Parse a pack's file.

    Raises ConfigError with a line for each fault:

    packs/groq.yaml:2: host: unknown key, expected one of: …, hosts, … (did you mean "hosts"?)
    """
    if problems := faults(name, data, NAMES):
        raise ConfigError(*problems)
    text: dict[str, Any] = yaml.safe_load(data)
    return text


def as_text() -> str:
    """Make the content of `shipped.json`; raises ConfigError if a pack has a fault."""
    files = {name: get_data(__package__, f"packs/{name}.yaml") or b"" for name in NAMES}
    packs = [f"{json.dumps(name)}: {json.dumps(read_pack(name, files[name]))}" for name in NAMES]
    # As texts: no number is to be a binary fraction on its way to a decimal one.
    groups = yaml.load(get_data(__package__, "prices.yaml") or b"", yaml.BaseLoader)
    prices = map(json.dumps, groups)
    # A pace is what its text means, and has a default of its own.
    defaults = json.dumps(File().model_dump(mode="json", exclude={"pace"}))
    # An item a line, so that a diff says what has changed.
    head = f'{{"defaults": {defaults},'
    lines = (
        head,
        '"packs": {',
        ",\n".join(packs),
        "},",
        '"prices": [',
        ",\n".join(prices),
        "]}",
        "",
    )
    return "\n".join(lines)


if __name__ == "__main__":
    Path(__file__).with_name(NAME).write_text(as_text(), encoding="utf-8")
