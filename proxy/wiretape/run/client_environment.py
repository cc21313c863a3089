"""The environment in which a stock client, unchanged, talks through the proxy and trusts it.

No single variable does this: each client reads its own and ignores the others. So every variable
that a client was seen to need is set, always (the tables below say which is for whom). Clients that
read none of them are patched by `stubborn_clients.py`.

A variable for a CA file *replaces* what the client trusts, so it names a bundle that holds the
public roots too; those that *add* to it (Node, Deno) name our certificate alone.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from wiretape.config.packs import DummyKey
from wiretape.core.errors import ConfigError
from wiretape.tls.trust_roots import ADD_TRUST, REPLACE_TRUST, REPLACE_TRUST_IF_SET

MARKER: Final = "WIRETAPE"
"""Set to "1" for CMD, so that a program can tell it is being recorded or replayed."""

# Which spelling a client reads varies: curl takes http_proxy only in lower case, wget https_proxy
# likewise, Go and undici prefer one and accept both. So both are set, equal.
_PROXY: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
# A proxy of the user's that stands beside ours would win in some clients (httpx: for other schemes;
# curl: as a fallback), so it is replaced. Without such a file none is needed.
_PROXY_IF_SET: Final = ("ALL_PROXY", "all_proxy")
_NO_PROXY: Final = ("NO_PROXY", "no_proxy")
# Only Go leaves localhost out by itself. CIDR blocks are not understood by httpx, aiohttp or Node.
# Node and urllib would know IPv6's only as "[::1]", but over that httpx 0.28 raises InvalidURL.
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")

_FIXED: Final = (
    ("NODE_USE_ENV_PROXY", "1"),  # Node from 22.21 and 24: without it HTTPS_PROXY is ignored
    (MARKER, "1"),
)
# The bundle holds what these folders hold, so they would add nothing.
_REMOVED: Final = ("SSL_CERT_DIR",)

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def client_environment(
    environ: Mapping[str, str],
    *,
    proxy_url: str,
    ca_cert: Path,
    bundle: Path,
    dummy_keys: Iterable[DummyKey] = (),
    keep_keys: bool = False,
    hosts: Iterable[str] = (),
    own_hosts: Iterable[str] = (),
) -> dict[str, str]:
    """Give the complete environment for CMD, from the user's own.

    proxy_url   "http://127.0.0.1:8899"
    ca_cert     the authority's certificate, for clients that add it to their own roots
    bundle      what a client is to trust in all, from `Authority.bundle` of the same `environ`
    dummy_keys  what takes the place of the providers' keys, so that a client that goes past the
                proxy has none to show
    keep_keys   what the user has stays; a provider that he has no key of gets dummies
    hosts       hosts to intercept, "api.openai.com", "*.azure.com", "name:8443"; an entry of the
                user's NO_PROXY that covers one would hide it from the proxy, so it goes
    own_hosts   more of them, that the user named or has recordings of: a server of this machine
                among them is reached through the proxy, others past it

    Raises ConfigError for a key variable whose name no shell could set.
    """
    user_environ = dict(environ)
    new = {name: value for name, value in user_environ.items() if name not in _REMOVED}
    new |= dict.fromkeys(_PROXY, proxy_url)
    new |= {name: proxy_url for name in _PROXY_IF_SET if user_environ.get(name)}
    new |= dict.fromkeys(_NO_PROXY, _no_proxy(user_environ, tuple(hosts), tuple(own_hosts)))
    new |= dict.fromkeys(REPLACE_TRUST, str(bundle))
    new |= {name: str(bundle) for name in REPLACE_TRUST_IF_SET if user_environ.get(name)}
    for name in ADD_TRUST:
        # Who has an extra CA of his own keeps it: the bundle holds it (`Authority.bundle`).
        is_ours_alone = user_environ.get(name, "") in ("", str(ca_cert))
        new[name] = str(ca_cert if is_ours_alone else bundle)
    new |= dict(_FIXED)
    dummies = tuple(dummy_keys)
    packs_with_keys = {
        dummy.pack for dummy in dummies if keep_keys and user_environ.get(_checked(dummy.name))
    }
    for dummy in dummies:
        if dummy.pack not in packs_with_keys and (dummy.always or user_environ.get(dummy.name)):
            new[_checked(dummy.name)] = dummy.value
    return new


def changed(environ: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    """Give what differs in `new`: names with their new value, or None where one was removed."""
    changes: dict[str, str | None] = {
        name: value for name, value in new.items() if environ.get(name) != value
    }
    return changes | {name: None for name in environ if name not in new}


def export_lines(changes: Mapping[str, str | None], shell: str = "sh") -> str:
    """Write `changes` as lines that a shell evaluates, one for each variable, by name.

    {"A": "it's", "B": None} gives "export A='it'\\"'\\"'s'" and "unset B" for sh (bash, zsh, dash),
    and the like for "fish" and "powershell". Each line ends in a newline.

    Raises ConfigError for another shell, or a name that no shell could set.
    """
    if shell not in _SHELLS:
        raise ConfigError(f"shell {shell!r}: expected one of {', '.join(_SHELLS)}")
    assign, remove = _SHELLS[shell]
    return "".join(
        (remove(name) if (value := changes[name]) is None else assign(name, value)) + "\n"
        for name in sorted(map(_checked, changes))
    )


def local_names_among(hosts: Iterable[str]) -> tuple[str, ...]:
    """Which names of this machine are among hosts: "localhost:8000" gives "localhost"."""
    hosts = tuple(hosts)
    return tuple(name for name in _LOCAL if any(_covers(name, host) for host in hosts))


def _no_proxy(
    environ: Mapping[str, str], hosts: tuple[str, ...], own_hosts: tuple[str, ...]
) -> str:
    entries = [
        entry
        for name in _NO_PROXY
        for entry in re.split(r"[,\s]+", environ.get(name, ""))
        if entry and entry != "*" and not any(_covers(entry, host) for host in (*hosts, *own_hosts))
    ]
    through = local_names_among(own_hosts)
    return ",".join(dict.fromkeys([*entries, *(name for name in _LOCAL if name not in through)]))


def _covers(entry: str, host: str) -> bool:
    """Say whether a NO_PROXY entry takes `host`, which may be a pattern, past the proxy.

    ".openai.com", "*.openai.com", "openai.com" and "api.openai.com:443" all cover "api.openai.com".
    """
    suffix = _without_port(entry.lower()).removeprefix("*").removeprefix(".")
    host = _without_port(host.lower())
    return host == suffix or host.endswith("." + suffix) or fnmatchcase(suffix, host)


def _without_port(host: str) -> str:
    bracketed = re.match(r"\[([^]]*)\]", host)
    return bracketed[1] if bracketed else re.sub(r"\A([^:]+):\d+\Z", r"\1", host)


def _checked(name: str) -> str:
    # A name comes from config.yaml and ends up in text that a shell evaluates.
    if not _NAME.match(name):
        raise ConfigError(
            f"environment variable {name!r}: expected a name of letters, digits and underscores"
        )
    return name


def _fish_quoted(value: str) -> str:
    # Inside single quotes fish knows two escapes, \' and \\ .
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _powershell_quoted(value: str) -> str:
    # PowerShell takes the typographic quotes U+2018 to U+201B for single quotes as well; doubled,
    # each stands for itself.
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", value) + "'"


type _Assign = Callable[[str, str], str]
type _Remove = Callable[[str], str]

_SHELLS: Final[Mapping[str, tuple[_Assign, _Remove]]] = {
    "sh": (
        lambda name, value: f"export {name}={shlex.quote(value)}",
        lambda name: f"unset {name}",
    ),
    "fish": (
        lambda name, value: f"set -gx {name} {_fish_quoted(value)}",
        lambda name: f"set -e {name}",
    ),
    "powershell": (
        lambda name, value: f"$env:{name} = {_powershell_quoted(value)}",
        lambda name: f"Remove-Item Env:{name} -ErrorAction SilentlyContinue",
    ),
}
