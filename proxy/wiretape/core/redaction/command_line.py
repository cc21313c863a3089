"""Name a program by its command line, without the credentials in it.

Two servers of one folder of recordings are told apart by the URLs of their requests. A machine has
programs where it likes, so only a program's name counts; its arguments do, as they say what it
serves. The value of an option that is named as a credential is left out, and searched for; so is
what a URL holds of credentials.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

from .credential_names import CredentialNames, is_credential
from .known_values import KnownValue, credentials_in_header, credentials_in_userinfo
from .rules import SECRET_QUERY

_SEPARATOR: Final = re.compile(r"[\\/]")
_ASSIGNED: Final = re.compile(r"([\w.-]+)(?:=|:\s*)(.*)", re.DOTALL)
"""What docker has after `-e` and mcp-remote after `--header`: NAME=VALUE, NAME: VALUE."""
_NAMES: Final = CredentialNames()
_SAFE: Final = "/:@~,"  # what a path or a URL has: the stand-ins of folders are put in later
_LEFT_OUT: Final = "secret"


def command_target(command: Sequence[str]) -> tuple[str, tuple[KnownValue, ...]]:
    """The path and query that name a program, and the credentials among its arguments.

    >>> command_target(["/usr/bin/npx", "-y", "@acme/files", "--api-key", "kV8w2Qz5", "/srv"])
    ('/npx?y=@acme/files&api-key=secret&arg=/srv', (('api-key', 'kV8w2Qz5'),))
    """
    name = _SEPARATOR.split(command[0])[-1].removesuffix(".exe")
    known: list[KnownValue] = []
    pairs: list[str] = []
    for option, value in _options(command[1:]):
        if _is_secret(option):
            known += credentials_in_header(option, value) if value else ()
            value = _LEFT_OUT
        for named in reversed(list(_NAMES.occurrences(value))):
            known += credentials_in_userinfo(named.value)
            value = value[: named.start] + _LEFT_OUT + value[named.end :]
        pairs.append(f"{quote(option, _SAFE)}={quote(value, _SAFE)}")
    target = f"/{quote(name)}"
    return f"{target}?{'&'.join(pairs)}" if pairs else target, tuple(known)


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Arguments as options with their values; what has no option is `arg`."""
    rest = list(arguments)
    while rest:
        text = rest.pop(0)
        name, value = "arg", text
        if text.startswith("-") and text.strip("-"):
            name, equals, value = text.lstrip("-").partition("=")
            if not equals and rest and not rest[0].startswith("-"):
                value = rest.pop(0)
        assigned = _ASSIGNED.fullmatch(value)
        if assigned and _is_secret(assigned[1]):
            if name != "arg":
                yield name, assigned[1]
            name, value = assigned[1], assigned[2]
        yield name, value


def _is_secret(name: str) -> bool:
    return is_credential(name) or name.lower() in SECRET_QUERY
