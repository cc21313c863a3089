"""Import mitmproxy without the addons of its own programs.

The package `mitmproxy.addons` imports all forty of them, with flask, ldap3 and pyparsing: a third
of the time that mitmproxy takes. Those that are asked for by name are found as ever.
"""

import sys
from importlib.util import find_spec, module_from_spec


def leave_out_addons() -> None:
    """Put an empty package in the place of `mitmproxy.addons`, unless it is imported already."""
    if "mitmproxy.addons" in sys.modules:
        return
    import mitmproxy

    spec = find_spec("mitmproxy.addons")
    if spec is not None:
        package = module_from_spec(spec)
        sys.modules["mitmproxy.addons"] = package
        mitmproxy.addons = package  # type: ignore[attr-defined]  # as an import does
